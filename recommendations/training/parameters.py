"""What an operator may choose for one training."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from recommendations.exceptions import TrainingRefused

WHERE_BETTER, OFF = "where better", "off"  # of curves of the terms


@dataclass(frozen=True, kw_only=True)
class TrainingParameters:
    """What an operator may choose for one training.

    Attributes:
        history_days: Events older than this are not learned from.
        prior_buyers: The prior is learned from at most so many buyers, drawn from all who did anything.
        events_per_buyer: Of each of them, at most so many of the newest events.
        sampled_alternatives: Cars drawn evenly beside each choice from no list, and beside each condition of a search.
        held_back_share: The newest share of the events is kept for weighing the terms of the score and for the gate.
        archetype_half_life_days: After this long an event counts half for factors and EASE. Long, for what buyers of
            Octavias also look at changes slowly; what one buyer wants fades by the half-lives of the kinds.
        seed: Makes a training repeatable.
        term_curves: Whether terms of the score get curves beside their weights: where these are better, or never.
    """

    history_days: int = 365
    prior_buyers: int = 400
    events_per_buyer: int = 40
    sampled_alternatives: int = 20
    held_back_share: float = 0.15
    archetype_half_life_days: float = 90.0
    seed: int = 0
    term_curves: str = WHERE_BETTER

    def __post_init__(self) -> None:
        for name in ("history_days", "prior_buyers", "events_per_buyer", "sampled_alternatives"):
            if getattr(self, name) < 1:
                raise TrainingRefused(f"{name} must be at least 1")
        if not 0 < self.archetype_half_life_days < math.inf:
            raise TrainingRefused("archetype_half_life_days must be a number above 0")
        if not 0 < self.held_back_share < 1:
            raise TrainingRefused("held_back_share must lie between 0 and 1")
        if self.term_curves not in (WHERE_BETTER, OFF):
            raise TrainingRefused(f"term_curves must be “{WHERE_BETTER}” or “{OFF}”")

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> TrainingParameters:
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(given) - known):
            raise TrainingRefused(f"unknown parameter {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return cls(**given)
