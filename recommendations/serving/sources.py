"""Where candidates come from: one small class each.

A source looks at the stock from one side and proposes listings, the most promising first. All sources see the same
shopper and the same rows: live, matching the filters, and not excluded. How many of its listings are taken is the
placement's decision (``engine.pooling``), and where they end up that of one score for all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from accounts.models import Buyer
from catalog.filters import ListingFilters
from recommendations.buyers.context import BuyerContext
from recommendations.buyers.state import SEARCHES_READ
from recommendations.engine.draws import hashed
from recommendations.engine.policy import weights_of_wishes
from recommendations.engine.pooling import merge
from recommendations.engine.ranker import SourceSwitch
from recommendations.engine.reason import Facts, Kind, Reason, budget_in, newness_of
from recommendations.engine.score_terms import DEMAND, UTILITY
from recommendations.engine.terms import SECONDS_A_DAY, BuyerFeatures
from recommendations.listings.index import ListingIndex
from recommendations.listings.market_statistics import MarketStatistics
from recommendations.listings.retrieval import retriever_for
from recommendations.models import SavedSearch
from recommendations.serving.scorer import Scorer

if TYPE_CHECKING:
    from recommendations.serving.placements import Rules

FRESH_DAYS = 3.0
NEW_DAYS = 7.0  # for so long a listing may be too new to be known
NEWEST, SIMILAR = "newest", "similar"  # where cars come from that no source proposed
ARRIVALS_PER_PLACE = 5  # new arrivals are drawn among so many times more of the most suitable

Ids = NDArray[np.int64]
NO_IDS: Ids = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class RankingContext:
    """What may be shown at all, and what sources need to know about it.

    Attributes:
        listing_index: The stock in memory; a sample of it where the whole would not fit.
        filters, exclude: What every candidate must satisfy, and listing ids to leave out.
        allowed: The same as a mask over the rows of the index.
        scorer: How this list scores.
        market_statistics: Of the market; sources take its time for now, so that a list stands still with it.
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
        """The n best of the whole stock: from memory where all of it is there, else from the database."""
        if self.listing_index.is_complete:
            return self.best_where(None, buyer_features, n)
        retriever = retriever_for(self.listing_index)
        found = [retriever.best(weights, n, self.filters, self.exclude)[0] for weights in buyer_features.weights]
        return self._merged(found, n)

    def best_among(self, filters: ListingFilters, buyer_features: BuyerFeatures, n: int) -> Ids:
        """As ``best``, of the cars that satisfy some filters besides."""
        if self.listing_index.is_complete:
            return self.best_where(self.listing_index.matching(filters, self.rows), buyer_features, n)
        retriever, both = retriever_for(self.listing_index), self.filters.together_with(filters)
        return self._merged([retriever.best(w, n, both, self.exclude)[0] for w in buyer_features.weights], n)

    @cached_property
    def rows(self) -> NDArray[np.intp]:
        """The rows that are allowed, ascending. What depends on a row is worked out for these alone."""
        return np.flatnonzero(self.allowed)

    def best_where(self, is_chosen: NDArray[np.bool_] | None, buyer_features: BuyerFeatures, n: int) -> Ids:
        """The n best of some of ``rows``, or of all: one retrieval for each taste, merged by their shares."""
        if buyer_features is self.scorer.buyer_features:  # most sources ask for the same
            by_taste = self._utilities
        else:
            by_taste = [self.listing_index.utilities(weights, self.rows) for weights in buyer_features.weights]
        at = slice(None) if is_chosen is None else np.flatnonzero(is_chosen)
        rows = self.rows[at]
        return self._merged([self.listing_index.highest(rows, utilities[at], n)[0] for utilities in by_taste], n)

    def wished(self, n: int) -> Ids:
        """The n best of the cars that satisfy what the buyer asked for outright, those of the weightiest wishes first.

        Where the stock is beyond the index, only cars that satisfy all wishes are looked for.
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
        """The same for what the buyer is believed to want, but only cars that suit them better than the average one."""
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
        """Rows of those of the listings that are allowed; the listings are the keys."""
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
        """Of the live stock for this buyer, by a sample; 0 without any stock."""
        utilities = self.sample_utilities()
        return float(utilities.mean()) if len(utilities) else 0.0

    def sample_utilities(self) -> NDArray[np.float64]:
        """Utility of each row of ``live_sample`` under the taste that likes it best."""
        listing_index, features = self.listing_index, self.scorer.buyer_features
        return listing_index.kept(
            ("sample", features.weights.tobytes(), features.offsets.tobytes()),
            listing_index,
            lambda: features.utilities(listing_index.stock.vectors[listing_index.live_sample()])[0],
        )

    def log_rates(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """One draw of how much each row will be asked about, against the average; nan for one that is not new.

        A listing's draw is its own: it is the same for every source on this shelf, and whatever else is for sale.
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
        """Utility of each of ``rows`` under each taste, without its offset."""
        return [self.listing_index.utilities(weights, self.rows) for weights in self.scorer.buyer_features.weights]

    def _merged(self, of_tastes: Sequence[Ids], n: int) -> Ids:
        """What was found for each taste, by the tastes' shares."""
        if len(of_tastes) == 1:
            return of_tastes[0]
        shares = [interest.share for interest in self.scorer.buyer_context.interests]
        return np.array([listing_id for listing_id, _ in merge(of_tastes, shares, n)], np.int64)


class Source(ABC):
    """One side of the stock. All that is to be said of a source stands in its class.

    Attributes:
        name: In placements, served lists and answers of the API.
        share: Of the candidates, where a placement says nothing else, >= 0. Shares are proportions: those of sources
            that have nothing to say, such as saved searches of a buyer who saved none, go to the others.
    """

    name: str
    share: float = 0.0

    @abstractmethod
    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        """Up to n listing ids, the most promising first; empty where this source has nothing to say."""

    def reason(self, facts: Facts, is_personal: bool) -> Reason | None:
        """What the way a car was found says to a buyer; None where the car's own points say more."""
        return None


class TasteSource(Source):
    """The cars with the highest utility for this buyer, or for each taste of a household.

    What the buyer asked for outright has its share of them.
    """

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
    """Cars of the archetypes that buyers of the last cars seen also looked at (EASE), the most suitable first."""

    name, share = "neighbours", 0.08

    def reason(self, facts: Facts, is_personal: bool) -> Reason | None:
        return Reason(Kind.LIKE_MINDED) if is_personal else None

    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        if not len(buyer_context.history[0]):
            return NO_IDS
        scores = context.scorer.buyer_features.neighbour_scores(context.listing_index.ranker)
        best = np.argsort(-scores, kind="stable")[: max(n // 4, 5)]
        is_wanted = np.zeros(len(scores), bool)
        is_wanted[best[scores[best] > 0]] = True
        return context.best_where(
            is_wanted[context.listing_index.archetypes[context.rows]], context.scorer.buyer_features, n
        )


class TrendingSource(Source):
    """Cars whose sellers are contacted most for the days they have been on sale.

    The rate of contacts is smoothed (``score_terms.demand_term``): one call on the first day is no trend. Where no
    seller was contacted at all, any favourable event stands for a contact. A price out of all reason draws calls that
    are no demand for the car, so such cars take no part.
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
        rates = context.listing_index.market(context.market_statistics.as_of, contacts).terms(rows)[DEMAND]
        ids = context.listing_index.stock.listing_ids[rows]
        return ids[np.lexsort((ids, -rates))][:n]


class FreshSource(Source):
    """Cars that came in during the last days and suit this buyer, the most suitable first."""

    name, share = "fresh", 0.06

    def reason(self, facts: Facts, is_personal: bool) -> Reason | None:
        return newness_of(facts, is_personal)

    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        return context.suitable(context.is_younger(FRESH_DAYS), n)


class SavedSearchSource(Source):
    """Cars that match a search the buyer has saved: of each of the newest ones in turn, the most suitable first."""

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
    """Cars whose price fell within the last days and that suit this buyer, the most suitable first."""

    name, share = "price drop", 0.04

    def reason(self, facts: Facts, is_personal: bool) -> Reason | None:
        return Reason(Kind.PRICE_DROP) if facts.get("price_drop") else None

    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        rows = context.known_rows(context.market_statistics.price_drops)
        return context.suitable(context.are_among(rows), n)


class ExplorationSource(Source):
    """Cars that would be the best if the taste were a little different: one Thompson draw from the belief."""

    name, share = "exploration", 0.05

    def reason(self, facts: Facts, is_personal: bool) -> Reason | None:
        return Reason(Kind.A_LITTLE_DIFFERENT if is_personal else Kind.DIFFERENT)

    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        if not buyer_context.is_personal or not context.rules.placement.exploration_positions:
            return NO_IDS
        return context.best(context.scorer.sample_posterior(context.rng)[0], n)


class NewArrivalsSource(Source):
    """New cars of which it is not known yet how much they will be asked about, tried out among those that suit.

    Each draws the rate it may have, from what is known of its like (``engine.arrivals``); utility and the logarithm of
    that rate are both logits, so their sum is what to expect.
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
    """Cars that a seller paid for, the most suitable first; only where the placement keeps places for them."""

    name, share = "promoted", 0.05

    def reason(self, facts: Facts, is_personal: bool) -> Reason | None:
        return Reason(Kind.PROMOTED, budget=budget_in(facts, is_personal))

    def propose(self, buyer_context: BuyerContext, context: RankingContext, n: int) -> Ids:
        if not context.rules.placement.promoted_share:
            return NO_IDS
        promoted_until = context.listing_index.column("promoted_until")[context.rows]
        is_promoted = promoted_until > context.market_statistics.as_of
        return context.best_where(is_promoted, context.scorer.buyer_features, n)


# The most informative first: a car found by several counts for the one whose turn comes first.
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


def reason_of_source(name: str, facts: Facts, is_personal: bool) -> Reason | None:
    """What the source of a candidate says of it; None for what no source brought, such as a pinned car."""
    if name == NEWEST:
        return newness_of(facts, is_personal)
    if name == SIMILAR:
        return Reason(Kind.SIMILAR)
    return next((source.reason(facts, is_personal) for source in SOURCES if source.name == name), None)
