"""The decision whether the curves of terms are served: only if they predict choices significantly better.

Curves are boosted on most of the buyers and predict the choices of the others, fold by fold; weights learned from the
same buyers do the same. The curves are kept if the mean gain of a buyer is above 0 with 97.5% confidence. A training
then compares lists with curves to lists with the weights alone, by the margin of the gate (``curves_gate``). If either
comparison is undecided, the curves are not served.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recommendations.engine.boosting import BoostingConfig, BoostingData, cross_fitted, learn_curves
from recommendations.engine.scoring import LinearScore, ScoreConfig
from recommendations.metrics import ranking as metrics
from recommendations.training.gate import FEWEST_BUYERS

FEWEST_CHOICES = 1_000  # with fewer, what is predicted better may be no more than the a-priori weights hold back


@dataclass(frozen=True)
class CurvesVerdict:
    """Whether one score has curves, and why; JSON by ``to_json``.

    Attributes:
        is_used: Whether it has.
        reason: A sentence with the figures it rests on.
        n_choices, n_buyers: What they were learned from, or too few.
        gain, low, high: Log-likelihood of a choice that curves add, mean over buyers, with its 95% interval; 0 where
            nothing was compared.
    """

    is_used: bool
    reason: str
    n_choices: int = 0
    n_buyers: int = 0
    gain: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


SWITCHED_OFF = CurvesVerdict(False, "Switched off for this training.")
NOTHING_LEARNED = CurvesVerdict(False, f"No choices to learn from; it takes {FEWEST_CHOICES:,}.")


def with_curves(
    score: LinearScore, data: BoostingData, score_config: ScoreConfig, config: BoostingConfig
) -> tuple[LinearScore, CurvesVerdict]:
    """Return the score with curves if they predict choices of other buyers better, and the verdict.

    Args:
        score: Weights, learned from the choices by ``score_config``.
        data: The choices.
    """
    buyers, codes = np.unique(data.buyer_ids, return_inverse=True)
    n_choices, n_buyers = len(data), len(buyers)
    if n_choices < FEWEST_CHOICES or n_buyers < FEWEST_BUYERS:
        reason = (
            f"{n_choices:,} choices of {n_buyers:,} buyers were there to learn from; it takes {FEWEST_CHOICES:,} of "
            f"{FEWEST_BUYERS} buyers."
        )
        return score, CurvesVerdict(False, reason, n_choices, n_buyers)
    of_curves, of_weights = (
        np.bincount(codes, fits) / np.bincount(codes) for fits in cross_fitted(data, score_config, config)
    )
    found = metrics.compare(of_curves, of_weights, np.random.default_rng(config.seed))
    is_better = found.is_better
    reason = (
        f"{'Better' if is_better else 'Not shown to be better'} than weights alone at predicting choices: "
        f"{found.difference:+.4f} in log-likelihood a choice ({found.low:+.4f} to {found.high:+.4f}) over "
        f"{n_buyers:,} buyers with {n_choices:,} choices."
    )
    numbers = (n_choices, n_buyers, found.difference, found.low, found.high)
    if not is_better:
        return score, CurvesVerdict(False, reason, *numbers)
    learned = learn_curves(data, score, score_config, config)
    return learned, CurvesVerdict(learned.curves is not None, reason, *numbers)
