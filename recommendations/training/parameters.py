"""The parameters of a training that an operator may set."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from recommendations.exceptions import TrainingRefused

WHERE_BETTER, OFF = "where better", "off"  # of curves of the terms


@dataclass(frozen=True, kw_only=True)
class TrainingParameters:
    """The parameters of a training that an operator may set.

    Attributes:
        history_days: Older events are not used.
        prior_buyers: Number of buyers that the prior is learned from, drawn from all with events.
        events_per_buyer: Number of newest events of each of them.
        sampled_alternatives: Cars drawn uniformly as alternatives of a choice without a list, and of each condition of
            a search.
        held_back_share: Share of the events, the newest, held out for the weights of the terms and for the gate.
        archetype_half_life_days: Half-life of events for factors and EASE. It is long, since similarity of archetypes
            changes slowly; a buyer's own events decay by the half-lives of their kinds.
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
