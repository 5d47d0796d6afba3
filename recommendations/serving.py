"""The way of a list: buyer -> preference -> candidates -> score -> order -> rows for sale -> reasons.

What the API answers, the admin previews and the evaluation measures all come from here. The chosen rows are read
from the database last, and that read decides what is still for sale.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from django.db import connection
from django.utils import timezone
from numpy.typing import NDArray

from accounts.models import Buyer
from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations import telemetry
from recommendations.demand import recent_demand
from recommendations.engine.ranker import SourceSwitch
from recommendations.engine.taste import Taste
from recommendations.histories import Vectors
from recommendations.models import Placement, Preference, ServedList
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
from recommendations.window import Window, borrow_window

NO_FILTERS = ListingFilters()
SMALLEST_POOL = 100
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
    """One place in a list. ``score``: how well it suits the buyer, higher is better. ``position``: 1 is the top."""

    listing: Listing
    position: int
    score: float
    source: str
    reason: str


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
        buyer = request.buyer if request.buyer and request.buyer.is_personalised else None
        preference = current_preference(buyer) if buyer else None
        chosen = choose(request, placement, preference)
        answer = explain(request, preference, chosen)
        log_served(answer, request, placement)
        return answer


def choose(
    request: ListRequest, placement: Placement, preference: Preference | None
) -> list[tuple[Candidate, Listing]]:
    """Candidates in order, each with its row as it is for sale this moment."""
    never = unwanted(request.buyer) if request.buyer else set()
    tired = tired_of(request.buyer, placement.times_shown_at_most) if request.buyer else set()
    chosen: list[tuple[Candidate, Listing]] = []
    seen: set[int] = set()
    for exclude in (never | tired, never) if tired else (never,):  # what was shown often steps back, but comes back
        n = max(DEEPER * request.k, SMALLEST_POOL)
        while len(chosen) < request.k:
            pool, is_everything = rank(request, placement, preference, n, exclude | seen)
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
    request: ListRequest,
    placement: Placement,
    preference: Preference | None,
    n: int,
    exclude: Collection[int],
) -> tuple[list[Candidate], bool]:
    """About n candidates, best first, and whether they are all there are."""
    with borrow_window() as window:
        if window is None:
            return newest(request.filters, n, exclude)
        if preference and preference.version_id != window.version_id:  # a promotion came in between
            preference = current_preference(preference.buyer)
        shopper = know(preference, window)
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


def know(preference: Preference | None, window: Window) -> Shopper:
    """The asking buyer as numbers; a stranger is the population."""
    if preference is None:
        prior = window.ranker.prior
        nothing = np.empty(0, np.int32), np.empty(0)
        return Shopper(prior.mean, Taste(prior.mean, prior.covariance), is_personal=False, history=nothing)
    taste = taste_of(preference)
    return Shopper(taste.mean, taste, is_personal=True, history=recent_archetypes(preference, window))


def recent_archetypes(preference: Preference, window: Window) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Archetypes of the cars the buyer dealt with lately, newest first and strongest."""
    events = preference.buyer.interactions.filter(listing__isnull=False, kind__weight__gt=0)
    recent = list(events.order_by("-occurred_at", "-id").values_list("listing_id", "kind__weight")[:30])
    rows = window.stock.rows_of(np.array([listing_id for listing_id, _ in recent], np.int64))
    strengths = np.array([weight for _, weight in recent]) * 0.9 ** np.arange(len(recent))
    return window.archetypes[rows[rows >= 0]], strengths[rows >= 0]


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
    weights = shelf.window.ranker.switched(shopper.weights, switch)
    vectors = Vectors(shelf.window, set(listing_ids.tolist())).matrix(listing_ids.tolist()).astype(np.float64)
    demand = np.log1p([shelf.demand.get(key, 0.0) for key in listing_ids.tolist()])
    return vectors @ weights + (DEMAND_WEIGHT if shopper.is_personal else DEMAND_WEIGHT_OF_STRANGERS) * demand


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


def explain(
    request: ListRequest, preference: Preference | None, chosen: Sequence[tuple[Candidate, Listing]]
) -> RecommendedList:
    items = [
        RecommendedListing(listing, position, candidate.score, candidate.source, "")
        for position, (candidate, listing) in enumerate(chosen, start=1)
    ]
    return RecommendedList(
        uuid.uuid4(), items, preference.version_id if preference else None, preference is not None, 0
    )


# --- Telling and remembering -----------------------------------------------------------------------------------------


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
