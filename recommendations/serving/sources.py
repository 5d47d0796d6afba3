"""Candidate sources: one small class each.

A source proposes listings, the most promising first. All sources get the same buyer and the same rows: live, matching
the filters, and not excluded. The placement decides how many of a source's listings are taken (``engine.pooling``), and
one score for all decides their positions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accounts.models import Buyer
from catalog.filters import ListingFilters
from recommendations.buyers.context import BuyerContext
from recommendations.buyers.state import SEARCHES_READ
from recommendations.engine.demand import SECONDS_A_DAY
from recommendations.engine.draws import hashed
from recommendations.engine.features import BuyerFeatures
from recommendations.engine.policy import weights_of_wishes
from recommendations.engine.pooling import merge
from recommendations.engine.ranker import SourceSwitch
from recommendations.engine.reason import Facts, Kind, Reason, budget_in, newness_of
from recommendations.engine.score_terms import DEMAND, UTILITY
from recommendations.engine.terms import market_terms
from recommendations.listings.index import ListingIndex
from recommendations.listings.market_statistics import MarketStatistics
from recommendations.listings.retrieval import retriever_for
from recommendations.models import Placement, SavedSearch
from recommendations.serving.rules import Rules
from recommendations.serving.scorer import Scorer

FRESH_DAYS = 3.0
NEW_DAYS = 7.0  # for so long a listing may be too new to be known
NEWEST, SIMILAR = "newest", "similar"  # where cars come from that no source proposed
ARRIVALS_PER_PLACE = 5  # new arrivals are drawn among so many times more of the most suitable

Ids = NDArray[np.int64]
NO_IDS: Ids = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class RankingContext:
    """What one ranking works on.

    Attributes:
        listing_index: The live listings in memory; a sample of them where all would not fit.
        filters, exclude: What every candidate must match, and listing ids that are no candidates.
        allowed: The same as a mask over the rows of the index.
        scorer: Scores the listings.
        market_statistics: Demand, leads and price drops. Sources use its ``as_of`` as the time, so that a list stays
            the same while the statistics do.
        rules: Of the placement.
        rng: For sources that draw.
    """

    listing_index: ListingIndex
    filters: ListingFilters
    exclude: Collection[int]
    allowed: NDArray[np.bool_]
    scorer: Scorer
    market_statistics: MarketStatistics
    rules: Rules
    rng: np.random.Generator

    def best(self, buyer_features: BuyerFeatures, n: int) -> Ids:
        """The n candidates of the highest utility, from the index where it is complete, else by pgvector."""
        if self.listing_index.is_complete:
            return self.best_where(None, buyer_features, n)
        retriever = retriever_for(self.listing_index)
        found = [retriever.best(weights, n, self.filters, self.exclude)[0] for weights in buyer_features.weights]
        return self._merged(found, n)

    def best_among(self, filters: ListingFilters, buyer_features: BuyerFeatures, n: int) -> Ids:
        """As ``best``, of the candidates that match further filters."""
        if self.listing_index.is_complete:
            return self.best_where(self.listing_index.matching(filters, self.rows), buyer_features, n)
        retriever, both = retriever_for(self.listing_index), self.filters.together_with(filters)
        return self._merged([retriever.best(w, n, both, self.exclude)[0] for w in buyer_features.weights], n)

    @cached_property
    def rows(self) -> NDArray[np.intp]:
        """The allowed rows of the index, ascending."""
        return np.flatnonzero(self.allowed)

    def best_where(self, is_chosen: NDArray[np.bool_] | None, buyer_features: BuyerFeatures, n: int) -> Ids:
        """The n best of some of ``rows``, or of all: one retrieval for each interest, merged by their shares."""
        if buyer_features is self.scorer.buyer_features:  # most sources ask for the same
            by_taste = self._utilities
        else:
            by_taste = [self.listing_index.utilities(weights, self.rows) for weights in buyer_features.weights]
        at = slice(None) if is_chosen is None else np.flatnonzero(is_chosen)
        rows = self.rows[at]
        return self._merged([self.listing_index.highest(rows, utilities[at], n)[0] for utilities in by_taste], n)

    def wished(self, n: int) -> Ids:
        """The n best of the candidates that match the buyer's stated wishes, those of the largest shares first.

        Where the index is a sample of the stock, only listings that match all wishes are found.
        """
        wishes = self.scorer.buyer_context.wishes
        if not self.listing_index.is_complete:
            together = self.filters
            for wish in wishes:
                together = together.together_with(wish.filters)
            found = [
                retriever_for(self.listing_index).best(weights, n, together, self.exclude)[0]
                for weights in self.scorer.buyer_features.weights
            ]
            return self._merged(found, n)
        weights = weights_of_wishes([wish.share for wish in wishes])
        is_unmet = [~self.listing_index.columns.matching(wish.filters, self.rows) for wish in wishes]
        unmet = weights @ np.array(is_unmet)
        found = []
        for missing in np.unique(unmet[unmet < weights.sum()]):  # cars that satisfy none are no answer to a wish
            if sum(map(len, found)) < n:
                found.append(self.best_where(unmet == missing, self.scorer.buyer_features, n))
        return np.concatenate([NO_IDS, *found])[:n]

    def suitable(self, is_chosen: NDArray[np.bool_], n: int) -> Ids:
        """As ``best_where`` for this buyer, but only candidates of more than average utility."""
        return self.best_where(is_chosen & self._is_better_than_average, self.scorer.buyer_features, n)

    @cached_property
    def _is_better_than_average(self) -> NDArray[np.bool_]:
        offsets = self.scorer.buyer_features.offsets
        best = np.max([u + offset for u, offset in zip(self._utilities, offsets, strict=True)], axis=0)
        is_better: NDArray[np.bool_] = best > self.average_utility
        return is_better

    def are_among(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which of ``self.rows`` are among some rows."""
        mask = np.zeros(len(self.allowed), bool)
        mask[rows] = True
        return mask[self.rows]

    def known_rows(self, listing_ids: Mapping[int, object]) -> NDArray[np.intp]:
        """The allowed rows among some listings, which are the keys of a mapping."""
        rows = self.listing_index.kept(
            ("rows", id(listing_ids)), listing_ids, lambda: self._all_known_rows(np.fromiter(listing_ids, np.int64))
        )
        return rows[self.allowed[rows]]

    def _all_known_rows(self, listing_ids: Ids) -> NDArray[np.intp]:
        rows = self.listing_index.stock.rows_of(listing_ids)
        return rows[rows >= 0]

    def is_younger(self, days: float) -> NDArray[np.bool_]:
        """Which of ``rows`` were published within so many days."""
        published_at = self.listing_index.column("published_at")[self.rows]
        return self._is_younger(published_at, days)

    def _is_younger(self, published_at: NDArray[np.float64], days: float) -> NDArray[np.bool_]:
        return published_at > self.market_statistics.as_of - days * SECONDS_A_DAY

    @cached_property
    def average_utility(self) -> float:
        """The mean utility of the live listings for this buyer, by a sample; 0 without any."""
        utilities = self.sample_utilities()
        return float(utilities.mean()) if len(utilities) else 0.0

    def sample_utilities(self) -> NDArray[np.float64]:
        """Utility of each row of ``live_sample``, under the interest where it is highest."""
        listing_index, features = self.listing_index, self.scorer.buyer_features
        return listing_index.kept(
            ("sample", features.weights.tobytes(), features.offsets.tobytes()),
            listing_index,
            lambda: features.utilities(listing_index.stock.vectors[listing_index.live_sample()])[0],
        )

    def log_rates(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """One draw of each new row's rate of demand, as a log ratio to the average; nan for rows that are not new.

        A draw belongs to its listing: it is the same for all sources of this ranking, whatever else is for sale.
        """
        rates = np.full(len(rows), np.nan)
        is_new = (rows >= 0) & self._is_younger(self.listing_index.column("published_at"), NEW_DAYS)[rows]
        chances = hashed(self.listing_index.stock.listing_ids[rows[is_new]], self._arrivals_seed) / 2.0**64
        market = self.listing_index.market(self.market_statistics.as_of, self.market_statistics.demand)
        rates[is_new] = market.draw_log_rates(rows[is_new], chances)
        return rates

    @cached_property
    def _arrivals_seed(self) -> int:
        return int(self.rng.integers(2**62))

    @cached_property
    def _utilities(self) -> list[NDArray[np.float32]]:
        """Utility of each of ``rows`` under each interest, without its offset."""
        return [self.listing_index.utilities(weights, self.rows) for weights in self.scorer.buyer_features.weights]

    def _merged(self, of_tastes: Sequence[Ids], n: int) -> Ids:
        """Merge what was found for each interest, by their shares."""
        if len(of_tastes) == 1:
            return of_tastes[0]
        shares = [interest.share for interest in self.scorer.buyer_context.interests]
        return np.array([listing_id for listing_id, _ in merge(of_tastes, shares, n)], np.int64)


class Source(ABC):
    """A proposer of candidates. Its class declares everything about it.

    Attributes:
        name: In placements, served lists and answers of the API.
        share: Its default proportion of the candidates, >= 0; a placement may set another. The shares of sources that
            propose nothing, such as saved searches of a buyer who saved none, go to the others.
    """

    name: str
    share: float = 0.0

    @abstractmethod
    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        """Up to n listing ids, the most promising first; may be empty."""

    def reason(self, facts: Facts, is_personal: bool) -> Reason | None:
        """The reason to show for a listing of this source; None to explain it by its score instead."""
        return None


class TasteSource(Source):
    """Cars of the highest utility for this buyer, under each of their interests; stated wishes get their share."""

    share = 0.6

    def __init__(self, switch: SourceSwitch = "hybrid") -> None:
        self.name: str = "taste" if switch == "hybrid" else switch

    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        best = context.best(context.scorer.buyer_features, n)
        share = max((wish.share for wish in buyer_context.wishes), default=0.0)
        if not share:
            return best
        both = merge([context.wished(n), best], [share, 1.0 - share], n)  # what was asked for, and what else suits
        return np.array([listing_id for listing_id, _ in both], np.int64)


class NeighbourSource(Source):
    """Cars of the archetypes that buyers of the last cars seen also looked at (EASE), by utility."""

    name, share = "neighbours", 0.08

    def reason(self, facts: Facts, is_personal: bool) -> Reason | None:
        return Reason(Kind.LIKE_MINDED) if is_personal else None

    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        if not len(buyer_context.history[0]):
            return NO_IDS
        scores = context.scorer.buyer_features.neighbour_scores(context.listing_index.ranker.collaborative)
        best = np.argsort(-scores, kind="stable")[: max(n // 4, 5)]
        is_wanted = np.zeros(len(scores), bool)
        is_wanted[best[scores[best] > 0]] = True
        return context.best_where(
            is_wanted[context.listing_index.archetypes[context.rows]], context.scorer.buyer_features, n
        )


class TrendingSource(Source):
    """Cars with the most contacts for their days on sale.

    The rate is smoothed (``score_terms.demand_term``): one contact on the first day is no trend. Where the market has
    no contacts at all, any favourable event counts. Cars with an implausible price are left out, since the contacts it
    draws are no demand for the car.
    """

    name, share = "trending", 0.06

    def reason(self, facts: Facts, is_personal: bool) -> Reason | None:
        return Reason(Kind.POPULAR, budget=budget_in(facts, is_personal))

    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        contacts = context.market_statistics.contacts or context.market_statistics.demand
        rows = context.known_rows(contacts)
        rows = rows[context.listing_index.is_plausible[rows]]
        if not len(rows):
            return NO_IDS
        market = context.listing_index.market(context.market_statistics.as_of, contacts)
        rates = market_terms(market, rows)[DEMAND]
        ids = context.listing_index.stock.listing_ids[rows]
        return ids[np.lexsort((ids, -rates))][:n]


class FreshSource(Source):
    """Cars of the last days with more than average utility for this buyer, by utility."""

    name, share = "fresh", 0.06

    def reason(self, facts: Facts, is_personal: bool) -> Reason | None:
        return newness_of(facts, is_personal)

    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        return context.suitable(context.is_younger(FRESH_DAYS), n)


class SavedSearchSource(Source):
    """Cars that match the buyer's newest saved searches, in turns, by utility."""

    name, share = "saved search", 0.06

    def reason(self, facts: Facts, is_personal: bool) -> Reason | None:
        return Reason(Kind.SAVED_SEARCH)

    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        if buyer_context.buyer is None or not buyer_context.is_personal:
            return NO_IDS
        queries = self._queries(buyer_context.buyer) if buyer_context.read is None else buyer_context.read.searches
        found = [self._found(ListingFilters.from_query(query), context, n) for query in queries]
        return np.array([listing_id for listing_id, _ in merge(found, [1.0] * len(found), n)], np.int64)

    def _queries(self, buyer: Buyer) -> Sequence[object]:
        return list(SavedSearch.objects.filter(buyer=buyer).values_list("query", flat=True)[:SEARCHES_READ])

    def _found(self, search: ListingFilters, context: RankingContext, n: int) -> Ids:
        return context.best_where(
            context.listing_index.matching(search, context.rows), context.scorer.buyer_features, n
        )


class PriceDropSource(Source):
    """Cars whose price fell within the last days, with more than average utility for this buyer, by utility."""

    name, share = "price drop", 0.04

    def reason(self, facts: Facts, is_personal: bool) -> Reason | None:
        return Reason(Kind.PRICE_DROP) if facts.get("price_drop") else None

    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        rows = context.known_rows(context.market_statistics.price_drops)
        return context.suitable(context.are_among(rows), n)


class ExplorationSource(Source):
    """Cars that are the best under one Thompson sample of the buyer's preference."""

    name, share = "exploration", 0.05

    def reason(self, facts: Facts, is_personal: bool) -> Reason | None:
        has_seen = is_personal and facts.get("has_history") is not False  # answers and searches show no car
        return Reason(Kind.A_LITTLE_DIFFERENT if has_seen else Kind.DIFFERENT)

    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        if not buyer_context.is_personal or not context.rules.placement.exploration_positions:
            return NO_IDS
        return context.best(context.scorer.sample_posterior(context.rng)[0], n)


class NewArrivalsSource(Source):
    """New cars of more than average utility, by utility plus a Thompson sample of their log rate of demand.

    The rate of a new car is not known yet; it is drawn from that of similar cars (``engine.arrivals``). Utility and the
    logarithm of the rate are both logits, so they add up.
    """

    name, share = "new arrivals", 0.05

    def reason(self, facts: Facts, is_personal: bool) -> Reason | None:
        return newness_of(facts, is_personal)

    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        if not context.rules.placement.fresh_share:
            return NO_IDS
        ids = context.suitable(context.is_younger(NEW_DAYS), ARRIVALS_PER_PLACE * n)
        if not len(ids):
            return NO_IDS
        vectors, _ = context.listing_index.vectors_of(ids)
        utilities = context.scorer.score.scale_of(UTILITY) * context.scorer.buyer_features.utilities(vectors)[0]
        drawn_scores = utilities + context.log_rates(context.listing_index.stock.rows_of(ids))
        return ids[np.lexsort((ids, -drawn_scores))][:n]


class PromotedSource(Source):
    """Promoted cars, by utility; only where the placement reserves positions for them."""

    name, share = "promoted", 0.05

    def reason(self, facts: Facts, is_personal: bool) -> Reason | None:
        return Reason(Kind.PROMOTED, budget=budget_in(facts, is_personal))

    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        if not context.rules.placement.promoted_share:
            return NO_IDS
        promoted_until = context.listing_index.column("promoted_until")[context.rows]
        is_promoted = promoted_until > context.market_statistics.as_of
        return context.best_where(is_promoted, context.scorer.buyer_features, n)


# The most informative first: a car that several sources propose counts for the one whose turn comes first.
SOURCES: tuple[Source, ...] = (
    TasteSource(),
    SavedSearchSource(),
    NeighbourSource(),
    PriceDropSource(),
    TrendingSource(),
    FreshSource(),
    PromotedSource(),
    NewArrivalsSource(),
    ExplorationSource(),
)

DEFAULT_SHARES: Mapping[str, float] = {  # the largest first
    source.name: source.share for source in sorted(SOURCES, key=lambda source: -source.share)
}


def shares_of(placement: Placement) -> dict[str, float]:
    """Source name -> share of the candidates, >= 0; shares need not add up to one."""
    return {name: placement.sources.get(name, share) for name, share in DEFAULT_SHARES.items()}


def reason_of_source(name: str, facts: Facts, is_personal: bool) -> Reason | None:
    """The reason of the source of a candidate; None for candidates of no source, such as pinned ones."""
    if name == NEWEST:
        return newness_of(facts, is_personal)
    if name == SIMILAR:
        return Reason(Kind.SIMILAR)
    return next((source.reason(facts, is_personal) for source in SOURCES if source.name == name), None)
