"""Candidates from every source, scored alike and put in order by the rules of the placement."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.buyers.histories import Vectors
from recommendations.buyers.shoppers import Shopper, preference_of, shopper_in
from recommendations.engine.policy import Intent, Kind, ListPolicy, Pool, build_list, intent_phase, price_bands
from recommendations.engine.pooling import merge
from recommendations.engine.ranker import SourceSwitch
from recommendations.engine.terms import Goods, Scored
from recommendations.listings.demand import Pulse, market_pulse
from recommendations.listings.rows import read_listings
from recommendations.listings.space import ListingSpace
from recommendations.listings.window import Window, borrow_window
from recommendations.serving.list_cache import LifetimeCache, digest_of
from recommendations.serving.placements import Rules
from recommendations.serving.scorer import Scorer
from recommendations.serving.sources import (
    NO_IDS,
    SOURCES,
    ExplorationSource,
    NewArrivalsSource,
    PromotedSource,
    Shelf,
    Source,
    TasteSource,
)

SECONDS_A_DAY = 86_400.0
SOURCE_OF_KIND = {
    Kind.EXPLORED: ExplorationSource.name,
    Kind.FRESH: NewArrivalsSource.name,
    Kind.PROMOTED: PromotedSource.name,
}


@dataclass(frozen=True)
class Candidate:
    listing_id: int
    score: float
    source: str


ORDERS: LifetimeCache[tuple[list[Candidate], bool]] = LifetimeCache()  # and whether they are all there are


@dataclass(frozen=True, eq=False)
class Ranked:
    """Candidates in order; whether they are all there are; and how they were scored, once a ranker is live."""

    candidates: list[Candidate]
    is_everything: bool
    scorer: Scorer | None


def rank(
    filters: ListingFilters,
    switch: SourceSwitch,
    shopper: Shopper | None,
    rules: Rules,
    k: int,
    n: int,
    exclude: Collection[int],
) -> Ranked:
    """About ``n`` candidates, the first ``k`` by the placement's rules. ``filters`` include the placement's own."""
    with borrow_window() as window:
        if window is None:
            return newest(filters, n, exclude)
        if shopper is None or shopper.version_id != window.version_id:  # a promotion came in between
            buyer = shopper.buyer if shopper else None
            shopper = shopper_in(window, buyer, preference_of(buyer))
        shelf = fill_shelf(window, shopper, rules, filters, switch, exclude)
        key = (
            (window.state, shelf.pulse.moment),
            (filters, switch, k, n, frozenset(exclude), digest_of(shopper, rules)),
        )
        if (known := ORDERS.get(key)) is not None:
            return Ranked(*known, shelf.scorer)
        ranked = rank_shelf(shelf, k, n)
        ORDERS.keep(key, (ranked.candidates, ranked.is_everything))
        return ranked


def rank_shelf(shelf: Shelf, k: int, n: int) -> Ranked:
    """The same for what a shelf holds, without asking whether it was done before."""
    scorer = shelf.scorer
    proposed = gather(sources_for(scorer.switch), scorer.shopper, shelf, n)
    candidates = arrange(proposed, shelf, policy_for(shelf, k))
    n_allowed = int(shelf.allowed.sum())
    is_everything = n_allowed == len(candidates) if shelf.window.is_complete else len(candidates) < n
    return Ranked(candidates, is_everything, scorer)


def fill_shelf(
    window: Window,
    shopper: Shopper,
    rules: Rules,
    filters: ListingFilters,
    switch: SourceSwitch,
    exclude: Collection[int],
    pulse: Pulse | None = None,
) -> Shelf:
    """What may be shown to a buyer; ``pulse`` is that of the market right now, if it is not given."""
    pulse = pulse or market_pulse()
    return Shelf(
        window=window,
        filters=filters,
        exclude=exclude,
        allowed=window.allowed(filters, exclude),
        scorer=Scorer.of(window, shopper, rules, pulse, switch, place_in(filters)),
        pulse=pulse,
        rules=rules,
        rng=generator_for(shopper, pulse),
    )


def place_in(filters: ListingFilters) -> tuple[float, float] | None:
    """The place that is asked about, if one is."""
    if filters.latitude is None or filters.longitude is None:
        return None
    return filters.latitude, filters.longitude


def generator_for(shopper: Shopper, pulse: Pulse) -> np.random.Generator:
    """Chance that stands still while nothing happens: another draw with each event, version, and day.

    A buyer who asks twice gets the same list, and no list changes because another buyer acted.
    """
    key = shopper.buyer.pk if shopper.buyer else 0
    return np.random.default_rng([key, shopper.n_events, shopper.version_id, int(pulse.moment // SECONDS_A_DAY)])


def policy_for(shelf: Shelf, k: int) -> ListPolicy:
    """The placement's rules, as they suit this buyer: how settled, and of how many tastes."""
    policy = shelf.rules.policy(k)
    shopper = shelf.scorer.shopper
    if shelf.rules.placement.follows_intent and shopper.is_personal:
        policy = policy.for_intent(intent_of(shelf))
    if len(shopper.tastes) > 1:
        policy = replace(policy, taste_shares=tuple(member.share for member in shopper.tastes))
    return policy


def intent_of(shelf: Shelf) -> Intent:
    """How set the buyer is on a make, a body and a price."""
    window, rows = shelf.window, shelf.window.live_sample()
    codes = [window.columns.codes(name)[rows].astype(np.int64) for name in ("make", "body")]
    return intent_phase(
        shelf.scorer.wants.utilities(window.stock.vectors[rows])[0],
        [*(np.where(some > 0, some, -1) for some in codes), price_bands(window.columns.numbers("price")[rows])],
    )


# --- Candidates ------------------------------------------------------------------------------------------------------


def sources_for(switch: SourceSwitch) -> tuple[Source, ...]:
    """Who proposes. A pipeline that is looked at alone brings its own candidates only."""
    return SOURCES if switch == "hybrid" else (TasteSource(switch),)


def gather(sources: tuple[Source, ...], shopper: Shopper, shelf: Shelf, n: int) -> dict[int, str]:
    """Listing id -> the source it counts for: n of them by the placement's shares, as far as there are so many.

    Sources that are switched off, or run out, leave their places to the others; where all of them together have too
    little to say, the taste fills up what they leave, for k asked is k answered.
    """
    shares = [shelf.rules.shares.get(source.name, 1.0) for source in sources]
    total = sum(shares)
    proposals = [
        source.propose(shopper, shelf, wanted_of(source, share / total, n)) if share > 0 else NO_IDS
        for source, share in zip(sources, shares, strict=True)
    ]
    source_by_id = {key: sources[position].name for key, position in merge(proposals, shares, n)}
    if len(source_by_id) < n:
        taste = next(source.name for source in sources if isinstance(source, TasteSource))
        for key in shelf.best(shelf.scorer.wants, n).tolist():
            if len(source_by_id) < n:
                source_by_id.setdefault(key, taste)
    return source_by_id


def wanted_of(source: Source, share: float, n: int) -> int:
    """How many to ask of a source: the taste may have to stand in for everybody, the others lose some to each other."""
    return n if isinstance(source, TasteSource) else int(np.ceil(2 * share * n))


def newest(filters: ListingFilters, n: int, exclude: Collection[int]) -> Ranked:
    """What to show before any ranker is live: the newest cars."""
    ids = Listing.objects.available().matching(filters).exclude(pk__in=exclude).values_list("pk", flat=True)
    candidates = [Candidate(key, 0.0, "newest") for key in ids.order_by("-published_at", "-pk")[:n]]
    return Ranked(candidates, len(candidates) < n, None)


# --- Order -----------------------------------------------------------------------------------------------------------


def arrange(source_by_id: Mapping[int, str], shelf: Shelf, policy: ListPolicy) -> list[Candidate]:
    """Every candidate once: first the list the policy builds, then the others by score."""
    ids = np.array(list(source_by_id), np.int64)
    space = space_with(shelf.window, ids)
    ids = ids[space.stock.rows_of(ids) >= 0]
    if not len(ids):
        return []
    goods = space.goods.take(space.stock.rows_of(ids))
    scored = shelf.scorer.judge(goods, ids.tolist())
    order = np.lexsort((ids, -scored.scores))
    pool = pool_of(ids, goods, scored, space, shelf, policy.n_draws)
    selection = build_list(pool.take(order), policy, shelf.rng)
    chosen = order[selection.rows]
    kinds = dict(zip(chosen.tolist(), selection.kinds.tolist(), strict=True))
    rest = order[~np.isin(order, chosen)]
    return [
        Candidate(
            listing_id=int(ids[row]),
            score=float(scored.scores[row]),
            source=SOURCE_OF_KIND.get(Kind(kinds.get(row, Kind.RANKED)), source_by_id[int(ids[row])]),
        )
        for row in np.concatenate([chosen, rest]).tolist()
    ]


def space_with(window: Window, listing_ids: NDArray[np.int64]) -> ListingSpace:
    """A space that holds the candidates: the window, or where it is a sample of the stock, one made for them alone."""
    if (window.stock.rows_of(listing_ids) >= 0).all():
        return window
    rows = read_listings(Listing.objects.filter(pk__in=listing_ids.tolist()))
    space = ListingSpace(window.ranker)
    space.put(rows, Vectors(window, rows.listing_ids).matrix(rows.listing_ids.tolist()))
    return space


def pool_of(
    ids: NDArray[np.int64], goods: Goods, scored: Scored, space: ListingSpace, shelf: Shelf, n_draws: int
) -> Pool:
    """The candidates as the policy sees them; only buyers whose taste we have begun to know are explored with."""
    rows = space.stock.rows_of(ids)
    models, sellers = space.columns.codes("model")[rows], space.column("seller_ids")[rows]
    scorer = shelf.scorer
    imagined = np.full(len(ids), np.nan)
    if scorer.shopper.is_personal and scorer.switch == "hybrid":
        imagined = scorer.imagine(scored, goods, shelf.rng, n_draws)
    return Pool(
        scores=scored.scores,
        features=goods.vectors,
        models=np.where(models > 0, models, -1),
        sellers=np.where(sellers > 0, sellers, -1),
        exploration_scores=imagined,
        is_promoted=space.column("promoted_until")[rows] > shelf.pulse.moment,
        fresh_scores=hopes_of(ids, scored, shelf),
        tastes=scored.tastes if len(scorer.shopper.tastes) > 1 else np.full(len(ids), -1),
    )


def hopes_of(ids: NDArray[np.int64], scored: Scored, shelf: Shelf) -> NDArray[np.float64]:
    """Scores of new listings if they were asked about as much as they may be; nan for those that are not new."""
    if not shelf.rules.placement.fresh_share:
        return np.full(len(ids), np.nan)
    return scored.scores + shelf.log_rates(shelf.window.stock.rows_of(ids))
