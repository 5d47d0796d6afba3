"""Candidates from every source, scored alike and put in order by the rules of the placement."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.demand import recent_demand
from recommendations.engine.policy import Kind, ListPolicy, Pool, build_list
from recommendations.engine.ranker import SourceSwitch
from recommendations.engine.taste import draw
from recommendations.histories import Vectors
from recommendations.models import Placement
from recommendations.shoppers import Shopper, preference_of, shopper_in
from recommendations.sources import (
    ExplorationSource,
    FreshSource,
    NeighbourSource,
    Shelf,
    Source,
    TasteSource,
    TrendingSource,
)
from recommendations.window import borrow_window

# Utility of one e-fold of recent demand. A stranger is best helped by what others want; who is known is helped by that.
DEMAND_WEIGHT_OF_STRANGERS = 0.5
SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True)
class Candidate:
    listing_id: int
    score: float
    source: str


def rank(
    filters: ListingFilters,
    switch: SourceSwitch,
    shopper: Shopper | None,
    placement: Placement,
    k: int,
    n: int,
    exclude: Collection[int],
) -> tuple[list[Candidate], bool]:
    """About ``n`` candidates, the first ``k`` by the placement's rules; and whether they are all there are."""
    with borrow_window() as window:
        if window is None:
            return newest(filters, n, exclude)
        if shopper is None or shopper.version_id != window.version_id:  # a promotion came in between
            buyer = shopper.buyer if shopper else None
            shopper = shopper_in(window, buyer, preference_of(buyer))
        allowed = window.allowed(filters, exclude)
        shelf = Shelf(
            window=window,
            filters=filters,
            exclude=exclude,
            allowed=allowed,
            demand=recent_demand(),
            now=time.time(),
            rng=generator_for(shopper),
        )
        source_by_id = gather(sources_for(switch, shopper), shopper, shelf, n)
        candidates = arrange(source_by_id, shopper, shelf, switch, policy_of(placement, k))
        is_everything = int(allowed.sum()) == len(candidates) if window.is_complete else len(candidates) < n
        return candidates, is_everything


def generator_for(shopper: Shopper) -> np.random.Generator:
    """Chance that stands still while nothing happens: another draw with each event, version, and day.

    Whoever asks twice gets the same list, and nobody's list moves because somebody else acted.
    """
    key = shopper.buyer.pk if shopper.buyer else 0
    return np.random.default_rng([key, shopper.n_events, shopper.version_id, int(time.time() // SECONDS_A_DAY)])


def policy_of(placement: Placement, k: int) -> ListPolicy:
    return ListPolicy(
        k=k,
        diversity=placement.diversity,
        max_per_model=placement.max_per_model,
        max_per_seller=placement.max_per_seller,
        exploration_share=placement.exploration_share,
    )


def arrange(
    source_by_id: Mapping[int, str], shopper: Shopper, shelf: Shelf, switch: SourceSwitch, policy: ListPolicy
) -> list[Candidate]:
    """Every candidate once: first the list the policy builds, then the others by score."""
    ids = np.array(list(source_by_id), np.int64)
    if not len(ids):
        return []
    vectors = Vectors(shelf.window, set(ids.tolist())).matrix(ids.tolist())
    scores = score(ids, vectors, shopper, shelf, switch)
    order = np.lexsort((ids, -scores))
    pool = pool_of(ids[order], vectors[order], scores[order], shopper, shelf, switch)
    selection = build_list(pool, policy, shelf.rng)
    chosen = order[selection.rows]
    explored = set(chosen[selection.kinds == Kind.EXPLORED].tolist())
    rest = order[~np.isin(order, chosen)]
    return [
        Candidate(
            listing_id=int(ids[row]),
            score=float(scores[row]),
            source=ExplorationSource.name if row in explored else source_by_id[int(ids[row])],
        )
        for row in np.concatenate([chosen, rest]).tolist()
    ]


def pool_of(
    ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    scores: NDArray[np.float64],
    shopper: Shopper,
    shelf: Shelf,
    switch: SourceSwitch,
) -> Pool:
    """The candidates as the policy sees them; only somebody whose taste we have begun to know is explored with."""
    rows = shelf.window.stock.rows_of(ids)
    known = rows >= 0
    models = np.where(known, shelf.window.columns.codes("model")[rows], -1)
    sellers = np.where(known, shelf.window.column("seller_ids")[rows], 0)
    imagined = np.full(len(ids), np.nan)
    if shopper.is_personal and switch == "hybrid":
        imagined = vectors @ draw(shopper.taste, shelf.rng)[0]
    return Pool(
        scores=scores,
        features=vectors,
        models=np.where(models > 0, models, -1),
        sellers=np.where(sellers > 0, sellers, -1),
        exploration_scores=imagined,
    )


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


def score(
    ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    shopper: Shopper,
    shelf: Shelf,
    switch: SourceSwitch,
) -> NDArray[np.float64]:
    """Utility for the buyer, and for a stranger what is in demand; shape (n,), higher is better."""
    weights = shopper.ranker.switched(shopper.weights, switch)
    return vectors.astype(np.float64) @ weights + demand_term(ids.tolist(), shopper, shelf.demand)


def demand_term(listing_ids: Sequence[int], shopper: Shopper, demand: Mapping[int, float]) -> NDArray[np.float64]:
    weight = 0.0 if shopper.is_personal else DEMAND_WEIGHT_OF_STRANGERS
    return weight * np.log1p([demand.get(key, 0.0) for key in listing_ids])
