"""How one list scores cars, from wherever they are known: the terms of the moment, weighed as the placement wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recommendations.buyers.shoppers import Shopper
from recommendations.engine.policy import crowding_term
from recommendations.engine.ranker import SourceSwitch
from recommendations.engine.scoring import ARCHETYPE, DEAL, DEMAND, DISTANCE, FRESHNESS, UTILITY, LinearScore
from recommendations.engine.taste import draw
from recommendations.engine.terms import Goods, Market, Scored, Wants, score_rows
from recommendations.listings.demand import Pulse
from recommendations.listings.space import ListingSpace
from recommendations.serving.placements import Rules

CROWDING = "crowding"  # what a car loses that already has more interested buyers than its seller can answer
TERMS_OF_SWITCH: Mapping[SourceSwitch, tuple[str, ...]] = {
    "content": (UTILITY, DEAL, FRESHNESS, DISTANCE),  # what the car is
    "collaborative": (UTILITY, ARCHETYPE, DEMAND),  # what others do
}


@dataclass(frozen=True, eq=False)
class Scorer:
    """Everything that decides the scores of one list.

    Attributes:
        shopper: The buyer who asks.
        switch: Which pipelines are on.
        wants: The buyer, as the score reads them.
        score: Weights of the terms, with the placement's boosts.
        pulse: Recent market statistics.
        average: Demand of the average live listing, per effective day.
        rules: Of the placement.
    """

    shopper: Shopper
    switch: SourceSwitch
    wants: Wants
    score: LinearScore
    pulse: Pulse
    average: float
    rules: Rules

    @classmethod
    def of(
        cls,
        space: ListingSpace,
        shopper: Shopper,
        rules: Rules,
        pulse: Pulse,
        switch: SourceSwitch = "hybrid",
        place: tuple[float, float] | None = None,
    ) -> Self:
        score = shopper.ranker.score_for(is_personal=shopper.is_personal)
        if switch in TERMS_OF_SWITCH:
            score = score.only(TERMS_OF_SWITCH[switch])
        return cls(
            shopper=shopper,
            switch=switch,
            wants=shopper.wants(switch, place),
            score=score.with_weights(rules.boosts),
            pulse=pulse,
            average=space.market(pulse.moment, pulse.demand).average,
            rules=rules,
        )

    def judge(self, goods: Goods, listing_ids: Sequence[int]) -> Scored:
        """Scores of the listings and what they are made of; ``listing_ids`` are theirs, in the same order."""
        demand = np.array([self.pulse.demand.get(key, 0.0) for key in listing_ids])
        market = Market(goods, self.pulse.moment, demand, self.average)
        scored = score_rows(self.shopper.ranker, market, self.wants, np.arange(len(goods)), self.score)
        return scored.plus(CROWDING, self._crowding(listing_ids))

    def imagine(self, scored: Scored, goods: Goods, rng: np.random.Generator, n_draws: int = 1) -> NDArray[np.float64]:
        """The scores if the taste were a little different, by several Thompson draws; shape (n, n_draws)."""
        known = self.wants.utilities(goods.vectors)[0]
        drawn = np.stack([wants.utilities(goods.vectors)[0] for wants in self.imagined(rng, n_draws)], axis=1)
        return scored.scores[:, None] + self.score.scale_of(UTILITY) * (drawn - known[:, None])

    def imagined(self, rng: np.random.Generator, n_draws: int = 1) -> list[Wants]:
        """What the buyer may as well want: each taste drawn from what is believed of it, so many times."""
        drawn = np.stack([draw(member.taste, rng, n_draws) for member in self.shopper.tastes], axis=1)
        switched = self.shopper.ranker.switched
        return [replace(self.wants, weights=np.array([switched(w, self.switch) for w in tastes])) for tastes in drawn]

    def _crowding(self, listing_ids: Sequence[int]) -> NDArray[np.float64]:
        placement = self.rules.placement
        if not placement.free_leads:
            return np.zeros(len(listing_ids))
        leads = [self.pulse.leads.get(key, 0) for key in listing_ids]
        return crowding_term(leads, placement.free_leads, placement.saturation_strength)
