"""The outcome of a backtest of any kind: figures, and the data needed to read them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommendations.metrics import ranking as metrics
from recommendations.metrics.figures import Figure

OURS = "forecourt"
KS = (5, 10, 20)
ALTERNATIVES = 19  # beside each choice whose probability is predicted
FORMAT = "forecourt-evaluation/1"

Report = Callable[[float, str], None]  # fraction done from 0 to 1, and what is being done


@dataclass(frozen=True)
class Outcome:
    """Everything a backtest found.

    Attributes:
        source: "log", or the name of a file.
        moment: Learned before, tested after.
        n_events: Events tested on.
        n_buyers: Buyers (users) asked about.
        n_candidates: Listings (items) to choose from.
        figures: Of every ranker.
        summary: What is not a figure of one ranker, as JSON: ``rankers`` (name -> what it is), ``notes`` (sentences a
            reader must know), ``calibration`` (bins), ``learned`` (weights and options), ``parameters``.
    """

    source: str
    moment: datetime
    n_events: int
    n_buyers: int
    n_candidates: int
    figures: tuple[Figure, ...]
    summary: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; what cannot be measured is null."""
        return {
            "format": FORMAT,
            "source": self.source,
            "moment": self.moment.isoformat(),
            "n_events": self.n_events,
            "n_buyers": self.n_buyers,
            "n_candidates": self.n_candidates,
            "summary": dict(self.summary),
            "figures": [{name: known(value) for name, value in asdict(figure).items()} for figure in self.figures],
        }


def known(value: Any) -> Any:
    """The value, or None for nan, which JSON and the database do without."""
    return None if isinstance(value, float) and math.isnan(value) else value


def no_report(fraction: float, step: str) -> None:
    """Ignores the progress."""


class PredictedChoices:
    """Predicted probabilities of choices, for the calibration error: each choice is among 19 alternatives drawn at
    random.

    The softmax of scores in log odds gives the probability of each alternative. Over a whole stock every probability
    would be near 0 and the calibration could not be measured; among twenty it can.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._probabilities: list[NDArray[np.float64]] = []
        self._came_true: list[NDArray[np.bool_]] = []

    def add(self, scores: NDArray[np.floating], chosen: Iterable[int], allowed: NDArray[np.intp]) -> None:
        """One buyer's choices, each beside others that they did not choose.

        Args:
            scores: Of all things, shape (n_things,).
            chosen: Rows the buyer chose.
            allowed: Rows the buyer could have chosen, those included.
        """
        chosen = np.asarray(list(chosen), np.intp)
        others = np.setdiff1d(allowed, chosen)
        if not len(others):
            return
        for row in chosen.tolist():
            beside = self._rng.choice(others, min(ALTERNATIVES, len(others)), replace=False)
            utility = scores[np.concatenate([[row], beside])].astype(np.float64)
            odds = np.exp(utility - utility.max())
            self._probabilities.append(odds / odds.sum())
            self._came_true.append(np.arange(len(odds)) == 0)

    def summary(self) -> dict[str, Any]:
        """Bins and error as JSON; empty without a choice."""
        if not self._probabilities:
            return {}
        probabilities = np.concatenate(self._probabilities)
        found = metrics.calibration(np.minimum(probabilities, 1.0), np.concatenate(self._came_true))
        return {
            "predicted": [round(value, 4) for value in found.predicted.tolist()],
            "observed": [round(value, 4) for value in found.observed.tolist()],
            "n": found.n.tolist(),
            "error": round(found.error, 4),
            "n_choices": len(self._probabilities),
            "alternatives": ALTERNATIVES + 1,
        }
