"""The rules of one list: those of its placement, with the changes of a variant, and the merchandising rules."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.filters import ListingFilters
from recommendations.engine.policy import ListPolicy
from recommendations.engine.score_terms import TERMS
from recommendations.merchandising.plan import NO_PLAN, Plan
from recommendations.models import Placement


@dataclass(frozen=True)
class Rules:
    """The rules by which one list is made.

    Attributes:
        placement: Its row, with the rules that a variant changes; not to be saved.
        variant: Name of the experiment's arm, or ``HOLDOUT`` for those who take no part; "" outside of experiments.
        experiment: Its name; "" outside of experiments.
        plan: The merchandising rules that apply to the list.
        version_id: The ranker version that ranks; None: the live one.
        other: Rules of the second variant, where two are interleaved; else None.
    """

    placement: Placement
    variant: str = ""
    plan: Plan = NO_PLAN
    experiment: str = ""
    version_id: int | None = None
    other: Rules | None = None

    @property
    def filters(self) -> ListingFilters:
        """The filters that every listing of the placement must match."""
        return ListingFilters.from_query(self.placement.filters)

    @property
    def boosts(self) -> dict[str, float]:
        """Term -> weight in the score, per standard deviation of the term, in place of the learned one.

        It is a weight and not a factor, holds for cold and known buyers alike, and 0 switches the term off.
        """
        return {name: weight for name, weight in self.placement.boosts.items() if name in TERMS}

    def policy(self, k: int) -> ListPolicy:
        """The policy of a list of ``k``. One shorter than the placement's explores as much, as far as it has room.
        Raises ValueError if the placement's own list has fewer positions than are reserved."""
        exploration_share = self.placement.exploration_positions / max(k, 1)
        if k < self.placement.k:
            left = 1.0 - self.placement.promoted_share - self.placement.fresh_share
            exploration_share = min(exploration_share, max(left, 0.0))
        return ListPolicy(
            k=k,
            diversity=self.placement.diversity,
            max_per_model=self.placement.max_per_model,
            max_per_seller=self.placement.max_per_seller,
            exploration_share=exploration_share,
            promoted_share=self.placement.promoted_share,
            fresh_share=self.placement.fresh_share,
            group_caps=self.plan.room,
        )
