"""The scorer of one list: the terms of the score now, with the learned weights and those that the placement sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recommendations.buyers.context import BuyerContext
from recommendations.engine.features import BuyerFeatures, ListingFeatures, Market
from recommendations.engine.policy import congestion_term
from recommendations.engine.ranker import SourceSwitch
from recommendations.engine.reasons import CONGESTION
from recommendations.engine.score_terms import COLLABORATIVE, CONTENT, SCORE_TERMS, UTILITY
from recommendations.engine.scoring import LinearScore
from recommendations.engine.taste import draw
from recommendations.engine.terms import Scored, score_rows
from recommendations.listings.market_statistics import MarketStatistics
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.serving.list_cache import digest_of
from recommendations.serving.rules import Rules

TERMS_OF_SWITCH: Mapping[SourceSwitch, tuple[str, ...]] = {
    "content": tuple(term.name for term in SCORE_TERMS if CONTENT in term.pipelines),
    "collaborative": tuple(term.name for term in SCORE_TERMS if COLLABORATIVE in term.pipelines),
}


@dataclass(frozen=True, eq=False)
class Scorer:
    """Everything that decides the scores of one list.

    Attributes:
        buyer_context: Of the buyer.
        switch: ``hybrid``, or the one pipeline that is on.
        buyer_features: The buyer as the score needs them.
        score: Weights of the terms, with the placement's boosts.
        market_statistics: Demand, leads and price drops lately.
        average: Demand of the average live listing, per effective day.
        rules: Of the placement.
    """

    buyer_context: BuyerContext
    switch: SourceSwitch
    buyer_features: BuyerFeatures
    score: LinearScore
    market_statistics: MarketStatistics
    average: float
    rules: Rules

    @classmethod
    def of(
        cls,
        snapshot: ListingSnapshot,
        buyer_context: BuyerContext,
        rules: Rules,
        market_statistics: MarketStatistics,
        switch: SourceSwitch = "hybrid",
        location: tuple[float, float] | None = None,
    ) -> Self:
        score = buyer_context.ranker.score_for(is_personal=buyer_context.is_personal)
        if switch in TERMS_OF_SWITCH:
            score = score.only(TERMS_OF_SWITCH[switch])
        return cls(
            buyer_context=buyer_context,
            switch=switch,
            buyer_features=buyer_context.buyer_features(switch, location),
            score=score.with_weights(rules.boosts),
            market_statistics=market_statistics,
            average=snapshot.market(market_statistics.as_of, market_statistics.demand).average,
            rules=rules,
        )

    @cached_property
    def digest(self) -> bytes:
        """A digest of the buyer's context and of the rules of the list."""
        return digest_of(self.buyer_context, self.rules)

    def score_listings(self, listing_features: ListingFeatures, listing_ids: Sequence[int]) -> Scored:
        """Scores of some listings and their parts; ``listing_ids`` in the same order."""
        demand = np.array([self.market_statistics.demand.get(key, 0.0) for key in listing_ids])
        market = Market(listing_features, self.market_statistics.as_of, demand, self.average)
        return self.score_rows_of(market, np.arange(len(listing_features)), listing_ids)

    def score_rows_of(self, market: Market, rows: NDArray[np.intp], listing_ids: Sequence[int]) -> Scored:
        """The same of some rows of a market, which has the demand of each row."""
        scored = score_rows(self.buyer_context.ranker, market, self.buyer_features, rows, self.score)
        scored = scored.plus(CONGESTION, self._congestion(listing_ids))
        for term, values in self.rules.plan.added_to(listing_ids).items():
            scored = scored.plus(term, values)
        return scored

    def thompson_scores(
        self, scored: Scored, listing_features: ListingFeatures, rng: np.random.Generator, n_draws: int = 1
    ) -> NDArray[np.float64]:
        """The scores under Thompson samples of the preference, shape (n, n_draws)."""
        known = self.buyer_features.utilities(listing_features.vectors)[0]
        drawn = np.stack(
            [
                buyer_features.utilities(listing_features.vectors)[0]
                for buyer_features in self.sample_posterior(rng, n_draws)
            ],
            axis=1,
        )
        by_weight = self.score.scale_of(UTILITY) * (drawn - known[:, None])
        drawn_curve, known_curve = (
            self.score.curve_of(UTILITY, values, self.buyer_features.n_cars) for values in (drawn, known)
        )
        return scored.scores[:, None] + by_weight + drawn_curve - known_curve[:, None]

    def sample_posterior(self, rng: np.random.Generator, n_draws: int = 1) -> list[BuyerFeatures]:
        """The buyer's features with each interest's weights drawn from its posterior, ``n_draws`` times."""
        drawn = np.stack([draw(interest.taste, rng, n_draws) for interest in self.buyer_context.interests], axis=1)
        switched = self.buyer_context.ranker.switched
        return [
            replace(self.buyer_features, weights=np.array([switched(w, self.switch) for w in tastes]))
            for tastes in drawn
        ]

    def _congestion(self, listing_ids: Sequence[int]) -> NDArray[np.float64]:
        placement = self.rules.placement
        if not placement.free_leads:
            return np.zeros(len(listing_ids))
        leads = [self.market_statistics.leads.get(key, 0) for key in listing_ids]
        return congestion_term(leads, placement.free_leads, placement.saturation_strength)
