"""The way of a list: buyer -> preference -> candidates -> score -> order -> rows for sale -> reasons.

What the API answers, the admin previews and the evaluation measures all come from here. The chosen rows are read
from the database last, and that read decides what is still for sale.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
from django.db import connection
from django.utils import timezone
from numpy.typing import NDArray

from accounts.models import Buyer
from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations import telemetry
from recommendations.datasets import table_of
from recommendations.demand import recent_demand
from recommendations.engine.ranker import SourceSwitch
from recommendations.engine.reasons import DEMAND, tell_reason
from recommendations.engine.taste import Taste
from recommendations.histories import Vectors
from recommendations.models import Placement, ServedList
from recommendations.preferences import current_preference, taste_of
from recommendations.serving_log import writer
from recommendations.sources import (
    ExplorationSource,
    FreshSource,
    NeighbourSource,
    Shelf,
    Shopper,
    Source,
    TasteSource,
    TrendingSource,
)
from recommendations.window import borrow_window

NO_FILTERS = ListingFilters()
SMALLEST_POOL = 100
HISTORY_LENGTH = 30  # cars
HISTORY_DECAY = 0.9  # each earlier car counts so much less
SECONDS_A_DAY = 86_400.0
FACTS = ("body", "fuel", "gearbox", "drive", "colour", "year", "currency", "mileage_km", "power_kw", "engine_l", "tags")
SPARE = 20  # candidates beyond those asked for, in case some were just sold
DEEPER = 4  # each further look goes so many times deeper
TIRED_AFTER_DAYS = 30
DEMAND_WEIGHT = 0.05  # utility of one e-fold of recent demand, for a buyer whose taste is known
DEMAND_WEIGHT_OF_STRANGERS = 0.5  # a stranger is best helped by what others want


@dataclass(frozen=True, kw_only=True)
class ListRequest:
    """One question: the best ``k`` cars for a buyer (or a stranger, None) under filters, at a placement."""

    buyer: Buyer | None
    k: int = 20
    filters: ListingFilters = NO_FILTERS
    placement: str = "home"
    source: SourceSwitch = "hybrid"


@dataclass(frozen=True, eq=False)
class RecommendedListing:
    """One place in a list.

    Attributes:
        listing: Its row as it was for sale a moment ago, with make, model and seller.
        position: 1 is the top.
        score: How well it suits the buyer, in utility; higher is better.
        source: Who found it.
        reason: One sentence for the buyer.
        terms: What each feature adds to the score; they add up to it.
    """

    listing: Listing
    position: int
    score: float
    source: str
    reason: str
    terms: dict[str, float]


@dataclass(frozen=True, eq=False)
class RecommendedList:
    id: uuid.UUID
    items: list[RecommendedListing]
    version_id: int | None
    is_personalised: bool
    n_events: int


@dataclass(frozen=True)
class Candidate:
    listing_id: int
    score: float
    source: str


def recommend(request: ListRequest) -> RecommendedList:
    """The best cars for sale for a buyer; exactly ``k`` whenever so many match the filters."""
    with telemetry.LIST_SECONDS.time():
        placement = Placement.objects.filter(slug=request.placement).first() or Placement(slug=request.placement)
        shopper = meet(request.buyer)
        chosen = choose(request, placement, shopper)
        answer = tell(request, shopper, chosen)
        log_served(answer, request, placement)
        return answer


def meet(buyer: Buyer | None) -> Shopper | None:
    """The asking buyer as numbers; a stranger is the population. None before any ranker is live."""
    known = buyer if buyer and buyer.is_personalised else None
    with borrow_window() as window:
        if window is None:
            return None
        preference = current_preference(known) if known else None
        prior = window.ranker.prior
        recent = recently_opened(known) if known else []
        rows = window.stock.rows_of(np.array([event.listing_id for event in recent], np.int64))
        strengths = np.array([event.weight for event in recent]) * HISTORY_DECAY ** np.arange(len(recent))
        return Shopper(
            buyer=buyer,
            version_id=window.version_id,
            ranker=window.ranker,
            taste=taste_of(preference) if preference else Taste(prior.mean, prior.covariance),
            is_personal=preference is not None,
            n_events=preference.n_interactions if preference else 0,
            history=(window.archetypes[rows[rows >= 0]], strengths[rows >= 0]),
            opened_make_ids=frozenset(event.make_id for event in recent if event.make_id),
        )


class Opened(NamedTuple):
    """A car somebody dealt with, as far as lists need to know."""

    listing_id: int
    weight: float
    make_id: int | None


def recently_opened(buyer: Buyer) -> list[Opened]:
    """Cars the buyer dealt with in a favourable way lately, newest first."""
    events = buyer.interactions.filter(listing__isnull=False, kind__weight__gt=0).order_by("-occurred_at", "-id")
    return [
        Opened(*row) for row in events.values_list("listing_id", "kind__weight", "listing__make_id")[:HISTORY_LENGTH]
    ]


def choose(request: ListRequest, placement: Placement, shopper: Shopper | None) -> list[tuple[Candidate, Listing]]:
    """Candidates in order, each with its row as it is for sale this moment."""
    never = unwanted(request.buyer) if request.buyer else set()
    tired = tired_of(request.buyer, placement.times_shown_at_most) if request.buyer else set()
    chosen: list[tuple[Candidate, Listing]] = []
    seen: set[int] = set()
    for exclude in (never | tired, never) if tired else (never,):  # what was shown often steps back, but comes back
        n = max(DEEPER * request.k, SMALLEST_POOL)
        while len(chosen) < request.k:
            pool, is_everything = rank(request, shopper, n, exclude | seen)
            seen.update(candidate.listing_id for candidate in pool)
            chosen += for_sale(pool, request.filters)[: request.k - len(chosen)]
            if is_everything:
                break
            n *= DEEPER
    return chosen


def for_sale(pool: Sequence[Candidate], filters: ListingFilters) -> list[tuple[Candidate, Listing]]:
    """The candidates that can be bought right now and match right now, with their rows."""
    ids = [candidate.listing_id for candidate in pool]
    rows = Listing.objects.available().filter(pk__in=ids).matching(filters).with_card_data().in_bulk()
    return [(candidate, rows[candidate.listing_id]) for candidate in pool if candidate.listing_id in rows]


def rank(
    request: ListRequest, shopper: Shopper | None, n: int, exclude: Collection[int]
) -> tuple[list[Candidate], bool]:
    """About n candidates, best first, and whether they are all there are."""
    with borrow_window() as window:
        if window is None:
            return newest(request.filters, n, exclude)
        if shopper is None or shopper.version_id != window.version_id:  # a promotion came in between
            shopper = meet(request.buyer)
        allowed = window.allowed(request.filters, exclude)
        shelf = Shelf(
            window=window,
            filters=request.filters,
            exclude=exclude,
            allowed=allowed,
            demand=recent_demand(),
            now=time.time(),
            rng=np.random.default_rng(),
        )
        source_by_id = gather(sources_for(request.source, shopper), shopper, shelf, n)
        scores = score(np.array(list(source_by_id), np.int64), shopper, shelf, request.source)
        pool = [
            Candidate(key, float(value), source_by_id[key]) for key, value in zip(source_by_id, scores, strict=True)
        ]
        pool.sort(key=lambda candidate: (-candidate.score, candidate.listing_id))
        n_allowed = int(allowed.sum()) if window.is_complete else None
        return pool, n_allowed == len(pool) if n_allowed is not None else len(pool) < n


def newest(filters: ListingFilters, n: int, exclude: Collection[int]) -> tuple[list[Candidate], bool]:
    """What to show before any ranker is live: the newest cars."""
    ids = Listing.objects.available().matching(filters).exclude(pk__in=exclude).values_list("pk", flat=True)
    pool = [Candidate(key, 0.0, "newest") for key in ids.order_by("-published_at", "-pk")[:n]]
    return pool, len(pool) < n


def sources_for(switch: SourceSwitch, shopper: Shopper) -> list[Source]:
    """Who proposes, the most telling first: a car found by several counts for the first of them."""
    if switch != "hybrid":
        return [TasteSource(switch)]
    if not shopper.is_personal:
        return [TrendingSource(), TasteSource(), FreshSource()]
    return [TasteSource(), NeighbourSource(), TrendingSource(), FreshSource(), ExplorationSource()]


def gather(sources: Sequence[Source], shopper: Shopper, shelf: Shelf, n: int) -> dict[int, str]:
    """Listing id -> the source that found it first. The taste, or whoever stands for it, proposes most."""
    source_by_id: dict[int, str] = {}
    for source in sources:
        wanted = n if isinstance(source, TasteSource) else max(n // 5, 10)
        for listing_id in source.propose(shopper, shelf, wanted).tolist():
            source_by_id.setdefault(listing_id, source.name)
    return source_by_id


def score(listing_ids: NDArray[np.int64], shopper: Shopper, shelf: Shelf, switch: SourceSwitch) -> NDArray[np.float64]:
    """Utility for the buyer, plus a little for what is in demand; shape (n,), higher is better."""
    if not len(listing_ids):
        return np.empty(0)
    weights = shopper.ranker.switched(shopper.weights, switch)
    vectors = Vectors(shelf.window, set(listing_ids.tolist())).matrix(listing_ids.tolist()).astype(np.float64)
    return vectors @ weights + demand_term(listing_ids.tolist(), shopper, shelf.demand)


def demand_term(listing_ids: Sequence[int], shopper: Shopper, demand: Mapping[int, float]) -> NDArray[np.float64]:
    weight = DEMAND_WEIGHT if shopper.is_personal else DEMAND_WEIGHT_OF_STRANGERS
    return weight * np.log1p([demand.get(key, 0.0) for key in listing_ids])


# --- What a buyer does not want to see -------------------------------------------------------------------------------


def unwanted(buyer: Buyer) -> set[int]:
    """Listings a buyer dismissed, and the buyer's own."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.listing_id FROM recommendations_interaction i "
            "JOIN recommendations_eventkind k ON k.slug = i.kind_id AND k.is_dismissal "
            "WHERE i.buyer_id = %s AND i.listing_id IS NOT NULL "
            "UNION SELECT l.id FROM catalog_listing l JOIN catalog_seller s ON s.id = l.seller_id "
            "WHERE s.user_id = %s AND l.status = 'live'",
            [buyer.pk, buyer.user_id],
        )
        return {row[0] for row in cursor.fetchall()}


def tired_of(buyer: Buyer, times_shown_at_most: int) -> set[int]:
    """Listings a buyer was shown so often lately that others should have a turn."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT listing_id FROM recommendations_servedlist, unnest(listing_ids) AS listing_id "
            "WHERE buyer_id = %s AND served_at > %s GROUP BY listing_id HAVING count(*) >= %s",
            [buyer.pk, timezone.now() - timedelta(days=TIRED_AFTER_DAYS), times_shown_at_most],
        )
        return {row[0] for row in cursor.fetchall()}


# --- Cars like this one ----------------------------------------------------------------------------------------------


def similar_listings(listing: Listing, k: int = 20, filters: ListingFilters = NO_FILTERS) -> list[RecommendedListing]:
    """The live cars most like one car, which may itself be sold, the most similar first; never the car itself."""
    with borrow_window() as window:
        if window is None:
            return []
        vector = Vectors(window, {listing.pk}).matrix([listing.pk])[0]
        ids, distances = window.nearest(vector, k + SPARE, window.allowed(filters, {listing.pk}))
    pool = [Candidate(key, -value, "similar") for key, value in zip(ids.tolist(), distances.tolist(), strict=True)]
    return [
        RecommendedListing(
            listing=row,
            position=position,
            score=candidate.score,
            source=candidate.source,
            reason=tell_reason({}, {}, source="similar", facts=facts_of(row, None), is_personal=False),
            terms={},
        )
        for position, (candidate, row) in enumerate(for_sale(pool, filters)[:k], start=1)
    ]


# --- Telling and remembering -----------------------------------------------------------------------------------------


def tell(request: ListRequest, shopper: Shopper | None, chosen: Sequence[tuple[Candidate, Listing]]) -> RecommendedList:
    """The chosen rows as a list, each with the terms of its score and a reason made of them."""
    terms = terms_of([listing for _, listing in chosen], shopper, request.source) if shopper else [{}] * len(chosen)
    typical = typical_listing()
    items = [
        RecommendedListing(
            listing=listing,
            position=position,
            score=sum(parts.values(), 0.0),
            source=candidate.source,
            reason=tell_reason(
                parts,
                {},  # the encoder's terms are told against the average listing already
                source=candidate.source,
                facts=facts_of(listing, shopper),
                typical=typical,
                is_personal=shopper is not None and shopper.is_personal,
            ),
            terms=parts,
        )
        for position, ((candidate, listing), parts) in enumerate(zip(chosen, terms, strict=True), start=1)
    ]
    return RecommendedList(
        id=uuid.uuid4(),
        items=items,
        version_id=shopper.version_id if shopper else None,
        is_personalised=shopper is not None and shopper.is_personal,
        n_events=shopper.n_events if shopper else 0,
    )


def terms_of(listings: Sequence[Listing], shopper: Shopper, switch: SourceSwitch) -> list[dict[str, float]]:
    """What each feature adds to the score of each listing; the values of one listing add up to its score."""
    if not listings:
        return []
    weights = shopper.ranker.switched(shopper.weights, switch)
    parts = shopper.ranker.breakdown(weights, table_of(listings))
    demand = demand_term([listing.pk for listing in listings], shopper, recent_demand())
    values = np.column_stack([parts.values, demand])
    return [dict(zip((*parts.names, DEMAND), row.tolist(), strict=True)) for row in values]


def facts_of(listing: Listing, shopper: Shopper | None) -> dict[str, Any]:
    """What a card shows, and what a reason may mention."""
    published = listing.published_at
    return {
        "make": listing.make.name if listing.make else "",
        "model": listing.car_model.name if listing.car_model else "",
        "seller_kind": listing.seller.kind if listing.seller else "",
        "price": float(listing.price) if listing.price is not None else None,
        "days_on_sale": (timezone.now() - published).total_seconds() / SECONDS_A_DAY if published else None,
        "is_opened_make": bool(shopper and listing.make_id in shopper.opened_make_ids),
        **{name: getattr(listing, name) for name in FACTS},
    }


def typical_listing() -> dict[str, float]:
    with borrow_window() as window:
        return window.typical() if window else {}


def log_served(answer: RecommendedList, request: ListRequest, placement: Placement) -> None:
    """Remember what was shown; the database hears of it a moment later."""
    writer.write(
        ServedList(
            id=answer.id,
            buyer=request.buyer,
            placement=placement if placement.pk else None,
            version_id=answer.version_id,
            served_at=timezone.now(),
            filters=request.filters.as_query(),
            listing_ids=[item.listing.pk for item in answer.items],
            scores=[item.score for item in answer.items],
            sources=[item.source for item in answer.items],
        )
    )
    telemetry.LISTS.labels(request.placement, str(answer.is_personalised).lower()).inc()
    for item in answer.items:
        telemetry.ITEMS.labels(item.source).inc()
