"""Rank: collect candidates from every source, score them, and order them by the rules of the placement."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.buyers.context import BuyerContext, buyer_context_in, preference_of
from recommendations.buyers.histories import Vectors
from recommendations.engine.demand import SECONDS_A_DAY
from recommendations.engine.features import ListingFeatures
from recommendations.engine.policy import Kind, ListPolicy, Pool, Why, build_list, focus_of, price_bands
from recommendations.engine.pooling import merge
from recommendations.engine.ranker import SourceSwitch
from recommendations.engine.terms import Scored
from recommendations.listings.index import ListingIndex, borrow_index
from recommendations.listings.market_statistics import MarketStatistics, current_market_statistics
from recommendations.listings.rows import read_listings
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.serving.list_cache import LifetimeCache
from recommendations.serving.rules import Rules
from recommendations.serving.scorer import Scorer
from recommendations.serving.sources import (
    NEWEST,
    NO_IDS,
    SOURCES,
    ExplorationSource,
    NewArrivalsSource,
    PromotedSource,
    RankingContext,
    Source,
    TasteSource,
    shares_of,
)

RULE_SOURCE = "rule"  # of cars that only a merchandising rule brought up
BY_SCORE = "score"
STAND_IN = "stand-in"  # for a car that was sold a moment ago
PLACED_BY_KIND = {Kind.EXPLORED: "exploration", Kind.FRESH: "new", Kind.PROMOTED: "promoted"}
PLACED_BY_WHY = {Why.SCORE: BY_SCORE, Why.VARIETY: "variety", Why.WISH: "wish", Why.CAP: "cap"}
SOURCE_OF_KIND = {
    Kind.EXPLORED: ExplorationSource.name,
    Kind.FRESH: NewArrivalsSource.name,
    Kind.PROMOTED: PromotedSource.name,
}


class Candidate(NamedTuple):
    """A listing that may be in the list.

    Attributes:
        listing_id: Of the listing.
        score: Its score.
        source: The candidate source that it counts for.
        rule_id: The merchandising rule that pinned it; 0 for none.
        propensity: The probability of its position, given those above it (see ``Selection``); None: not known.
        placed_by: What decided its position: the score, a kind of reserved position, or a rule of the list.
    """

    listing_id: int
    score: float
    source: str
    rule_id: int = 0
    propensity: float | None = 1.0
    placed_by: str = BY_SCORE


ORDERS: LifetimeCache[tuple[list[Candidate], bool]] = LifetimeCache()  # and whether they are all there are


@dataclass(frozen=True, eq=False)
class Ranked:
    """Candidates in order, whether no others match, and their scorer; None before any version is live."""

    candidates: list[Candidate]
    is_everything: bool
    scorer: Scorer | None


@dataclass(frozen=True, kw_only=True, eq=False)
class RankRequest:
    """A request to rank candidates.

    Attributes:
        filters: Those of the list and of its placement together.
        switch: ``hybrid`` for all candidate sources, or one pipeline alone.
        buyer_context: None where no version was live when the buyer was read.
        rules: Of the placement.
        k: The number of positions at the top that the rules arrange.
        n: The number of candidates to collect, about.
        exclude: Ids of listings that are no candidates.
    """

    filters: ListingFilters
    switch: SourceSwitch
    buyer_context: BuyerContext | None
    rules: Rules
    k: int
    n: int
    exclude: Collection[int] = ()


def rank(request: RankRequest) -> Ranked:
    """Rank in the live listing index; the newest listings before any version is live."""
    with borrow_index() as listing_index:
        if listing_index is None:
            return newest(request.filters, request.n, request.exclude)
        context = request.buyer_context
        if context is None or context.version_id != listing_index.version_id:  # a promotion came in between
            buyer = context.buyer if context else None
            context = buyer_context_in(listing_index, buyer, preference_of(buyer))
            request = replace(request, buyer_context=context)
        return rank_in(listing_index, request)


def rank_in(listing_index: ListingIndex, request: RankRequest) -> Ranked:
    """Rank in a listing index of the version that the buyer's context is of."""
    buyer_context, rules, filters, switch = request.buyer_context, request.rules, request.filters, request.switch
    if buyer_context is None:
        raise ValueError("an index needs the context of its buyer")
    market_statistics = current_market_statistics()
    scorer = Scorer.of(listing_index, buyer_context, rules, market_statistics, switch, location_in(filters))
    key = (
        (listing_index.state, market_statistics.as_of),
        (filters, switch, request.k, request.n, frozenset(request.exclude), scorer.digest),
    )
    if (known := ORDERS.get(key)) is not None:
        return Ranked(*known, scorer)
    context = build_ranking_context(
        listing_index, buyer_context, rules, filters, switch, request.exclude, market_statistics, scorer
    )
    ranked = rank_candidates(context, request.k, request.n)
    ORDERS.keep(key, (ranked.candidates, ranked.is_everything))
    return ranked


def rank_candidates(context: RankingContext, k: int, n: int, sources: tuple[Source, ...] | None = None) -> Ranked:
    """Rank in a ranking context, past the cache; ``sources`` replace those of its switch."""
    scorer = context.scorer
    proposed = gather(sources or sources_for(scorer.switch), scorer.buyer_context, context, n)
    candidates = arrange(proposed, context, policy_for(context, k))
    is_everything = len(context.rows) == len(candidates) if context.listing_index.is_complete else len(candidates) < n
    return Ranked(candidates, is_everything, scorer)


def build_ranking_context(
    listing_index: ListingIndex,
    buyer_context: BuyerContext,
    rules: Rules,
    filters: ListingFilters,
    switch: SourceSwitch,
    exclude: Collection[int],
    market_statistics: MarketStatistics | None = None,
    scorer: Scorer | None = None,
) -> RankingContext:
    """The context of one ranking.

    ``market_statistics`` are the current ones if not given, and ``scorer`` is made if the caller has none.
    """
    market_statistics = market_statistics or current_market_statistics()
    return RankingContext(
        listing_index=listing_index,
        filters=filters,
        exclude=exclude,
        allowed=listing_index.allowed(filters, exclude),
        scorer=scorer
        or Scorer.of(listing_index, buyer_context, rules, market_statistics, switch, location_in(filters)),
        market_statistics=market_statistics,
        rules=rules,
        rng=generator_for(buyer_context, market_statistics),
    )


def location_in(filters: ListingFilters) -> tuple[float, float] | None:
    """The location that the filters name, if any."""
    if filters.latitude is None or filters.longitude is None:
        return None
    return filters.latitude, filters.longitude


def generator_for(buyer_context: BuyerContext, market_statistics: MarketStatistics) -> np.random.Generator:
    """A generator seeded by the buyer, the number of their events, the version and the day.

    A buyer who asks twice gets the same list, and no list changes because another buyer acted.
    """
    key = buyer_context.buyer.pk if buyer_context.buyer else 0
    return np.random.default_rng(
        [key, buyer_context.n_events, buyer_context.version_id, int(market_statistics.as_of // SECONDS_A_DAY)]
    )


def policy_for(context: RankingContext, k: int) -> ListPolicy:
    """Return the placement's policy, adapted to the buyer's focus, stated wishes and interests."""
    policy = context.rules.policy(k)
    buyer_context = context.scorer.buyer_context
    if context.rules.placement.follows_intent and buyer_context.is_personal:
        policy = policy.for_focus(focus_on_stock(context))
    if buyer_context.wishes:
        policy = replace(policy, wish_shares=tuple(wish.share for wish in buyer_context.wishes))
    if len(buyer_context.interests) > 1:
        policy = replace(policy, taste_shares=tuple(interest.share for interest in buyer_context.interests))
    return policy


def focus_on_stock(context: RankingContext) -> float:
    """Return how decided the buyer is on a make, a body and a price; cached while the index does not change."""
    listing_index, features = context.listing_index, context.scorer.buyer_features
    return listing_index.kept(
        ("focus", features.weights.tobytes(), features.offsets.tobytes()),
        listing_index,
        lambda: focus_of(context.sample_utilities(), fields_of_sample(listing_index)),
    )


def fields_of_sample(listing_index: ListingIndex) -> list[NDArray[np.int64]]:
    """Make, body and price band of each row of ``live_sample``; -1 for unknown."""

    def fields() -> list[NDArray[np.int64]]:
        rows = listing_index.live_sample()
        codes = [listing_index.columns.codes(name)[rows].astype(np.int64) for name in ("make", "body")]
        bands = price_bands(listing_index.columns.numbers("price")[rows])
        return [*(np.where(some > 0, some, -1) for some in codes), bands]

    return listing_index.kept("fields of the sample", listing_index, fields)


# --- Candidates ------------------------------------------------------------------------------------------------------


def sources_for(switch: SourceSwitch) -> tuple[Source, ...]:
    """The candidate sources: all for ``hybrid``; a pipeline alone has only its own candidates."""
    return SOURCES if switch == "hybrid" else (TasteSource(switch),)


def gather(sources: tuple[Source, ...], buyer_context: BuyerContext, context: RankingContext, n: int) -> dict[int, str]:
    """About n candidates as listing id -> source name, in the shares that the placement gives to sources.

    The places of sources that are switched off or run out go to the others; where all together propose fewer than n,
    the listings of the highest utility fill up, so that a list has ``k`` items whenever that many match.
    """
    by_name = shares_of(context.rules.placement)
    shares = [by_name.get(source.name, 1.0) for source in sources]
    total = sum(shares)
    proposals = [
        source.propose(buyer_context, context, wanted_of(source, share / total, n)) if share > 0 else NO_IDS
        for source, share in zip(sources, shares, strict=True)
    ]
    source_by_id = {key: sources[position].name for key, position in merge(proposals, shares, n)}
    if len(source_by_id) < n:
        taste = next(source.name for source in sources if isinstance(source, TasteSource))
        for key in context.best(context.scorer.buyer_features, n).tolist():
            if len(source_by_id) < n:
                source_by_id.setdefault(key, taste)
    return source_by_id | widened(source_by_id, context, n)


def widened(source_by_id: Mapping[int, str], context: RankingContext, n: int) -> dict[int, str]:
    """The best listings of each rule that raises scores, so that a rule's effect does not depend on the sources."""
    found = [context.best_among(f, context.scorer.buyer_features, n) for f in context.rules.plan.widening]
    return {key: RULE_SOURCE for ids in found for key in ids.tolist() if key not in source_by_id}


def wanted_of(source: Source, share: float, n: int) -> int:
    """How many listings to ask of a source: n of the taste, which fills up; twice its share of others, for overlaps."""
    return n if isinstance(source, TasteSource) else int(np.ceil(2 * share * n))


def newest(filters: ListingFilters, n: int, exclude: Collection[int]) -> Ranked:
    """The newest listings, for lists before any version is live."""
    ids = Listing.objects.available().cars().matching(filters).exclude(pk__in=exclude).values_list("pk", flat=True)
    candidates = [Candidate(key, 0.0, NEWEST) for key in ids.order_by("-published_at", "-pk")[:n]]
    return Ranked(candidates, len(candidates) < n, None)


# --- Order -----------------------------------------------------------------------------------------------------------


def arrange(source_by_id: Mapping[int, str], context: RankingContext, policy: ListPolicy) -> list[Candidate]:
    """Every candidate once: first the list that the policy builds, then the others by score."""
    ids = np.array(list(source_by_id), np.int64)
    snapshot = snapshot_with(context.listing_index, ids)
    ids = ids[snapshot.stock.rows_of(ids) >= 0]
    if not len(ids):
        return []
    listing_features = snapshot.listing_features.take(snapshot.stock.rows_of(ids))
    scored = context.scorer.score_listings(listing_features, ids.tolist())
    order = np.lexsort((ids, -scored.scores))
    pool = pool_of(ids, listing_features, scored, snapshot, context, policy.n_draws)
    selection = build_list(pool.take(order), policy, context.rng)
    chosen = order[selection.rows]
    rest = order[~np.isin(order, chosen)]
    rest = rest[np.argsort(is_over_cap(pool, policy, chosen)[rest], kind="stable")]
    listed = (ids[chosen], scored.scores[chosen], selection.kinds, selection.reasons, selection.propensities)
    return [
        Candidate(
            listing_id,
            score,
            SOURCE_OF_KIND.get(Kind(kind)) or source_by_id[listing_id],
            propensity=propensity,
            placed_by=PLACED_BY_KIND.get(Kind(kind)) or PLACED_BY_WHY[Why(why)],
        )
        for listing_id, score, kind, why, propensity in zip(*(values.tolist() for values in listed), strict=True)
    ] + [
        Candidate(listing_id, score, source_by_id[listing_id], placed_by=STAND_IN)
        for listing_id, score in zip(ids[rest].tolist(), scored.scores[rest].tolist(), strict=True)
    ]


def is_over_cap(pool: Pool, policy: ListPolicy, chosen: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether each candidate is of a group whose cap is reached, so that it replaces a sold listing last."""
    is_full = pool.groups[chosen].sum(axis=0) >= np.array(policy.group_caps, np.int64)
    is_over: NDArray[np.bool_] = (pool.groups & is_full).any(axis=1)
    return is_over


def snapshot_with(listing_index: ListingIndex, listing_ids: NDArray[np.int64]) -> ListingSnapshot:
    """A snapshot with all candidates: the index, or where that is a sample of the stock, one made of them alone."""
    if (listing_index.stock.rows_of(listing_ids) >= 0).all():
        return listing_index
    rows = read_listings(Listing.objects.filter(pk__in=listing_ids.tolist()))
    snapshot = ListingSnapshot(listing_index.ranker)
    snapshot.put(rows, Vectors(listing_index, rows.listing_ids).matrix(rows.listing_ids.tolist()))
    return snapshot


def pool_of(
    ids: NDArray[np.int64],
    listing_features: ListingFeatures,
    scored: Scored,
    snapshot: ListingSnapshot,
    context: RankingContext,
    n_draws: int,
) -> Pool:
    """The candidates as the policy needs them; exploration scores only for buyers with a preference of their own."""
    rows = snapshot.stock.rows_of(ids)
    models, sellers = snapshot.columns.codes("model")[rows], snapshot.column("seller_ids")[rows]
    scorer = context.scorer
    sampled_scores = np.full(len(ids), np.nan)
    if scorer.buyer_context.is_personal and scorer.switch == "hybrid":
        sampled_scores = scorer.thompson_scores(scored, listing_features, context.rng, n_draws)
    return Pool(
        scores=scored.scores,
        features=listing_features.vectors,
        models=np.where(models > 0, models, -1),
        sellers=np.where(sellers > 0, sellers, -1),
        exploration_scores=sampled_scores,
        is_promoted=snapshot.column("promoted_until")[rows] > context.market_statistics.as_of,
        fresh_scores=arrival_scores(ids, scored, context),
        groups=context.rules.plan.capped(ids.tolist()),
        tastes=scored.tastes if len(scorer.buyer_context.interests) > 1 else np.full(len(ids), -1),
        wishes=wishes_met(rows, snapshot, scorer.buyer_context),
    )


def wishes_met(rows: NDArray[np.intp], snapshot: ListingSnapshot, buyer_context: BuyerContext) -> NDArray[np.bool_]:
    """Which of the buyer's stated wishes each row satisfies, shape (n, n_wishes)."""
    met = np.ones((len(rows), len(buyer_context.wishes)), bool)
    for at, wish in enumerate(buyer_context.wishes):
        met[:, at] = snapshot.columns.matching(wish.filters, rows)
    return met


def arrival_scores(ids: NDArray[np.int64], scored: Scored, context: RankingContext) -> NDArray[np.float64]:
    """Scores of new listings under a drawn rate of demand (``RankingContext.log_rates``); nan for others."""
    if not context.rules.placement.fresh_share:
        return np.full(len(ids), np.nan)
    return scored.scores + context.log_rates(context.listing_index.stock.rows_of(ids))
