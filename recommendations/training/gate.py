"""May a newly trained version go live? Judged against the one that is, on the same buyers and the same cars.

A version passes when it is not significantly worse on NDCG@20 and does not show less of the stock. Whoever trains puts
the question (``evaluation.compare_spaces``), keeps the verdict with the version (``RankerVersion.gate``), and obeys it;
an operator may overrule it with a note.

"Not significantly worse" and not "better": from one night to the next a ranker hardly changes, and half of all equal
ones would be refused for bad luck.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommendations.metrics import ranking as metrics

FEWEST_BUYERS = 30  # with fewer, an interval says nothing
COVERAGE_TOLERANCE = 0.1  # of the live version's coverage: what two trainings on the same log may differ by
WORTH_MENTIONING = 0.05  # share of tested events that the live version had learned from


@dataclass(frozen=True, eq=False)
class GateFigures:
    """Two versions on the same held-back events, with the same candidates.

    Attributes:
        new, live: NDCG@k of each buyer under either version, shape (n_buyers,); nan for one without a value.
        new_coverage, live_coverage: Share of the candidates that appear in anybody's first k.
        seen_by_live: Share of the tested events that the live version had learned from when it was trained: an
            unfair advantage, told in the verdict.
        k: Length of the lists.
    """

    new: NDArray[np.float64]
    live: NDArray[np.float64]
    new_coverage: float
    live_coverage: float
    seen_by_live: float = 0.0
    k: int = 20


@dataclass(frozen=True)
class Verdict:
    """Whether a version may go live, and why.

    Attributes:
        passed: True when it may.
        reason: One or two plain sentences with the figures they rest on.
        figures: The same as numbers, JSON; empty when nothing was compared.
    """

    passed: bool
    reason: str
    figures: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """For ``RankerVersion.gate``."""
        return asdict(self)


def judge(figures: GateFigures | None, *, seed: int = 0) -> Verdict:
    """The verdict on a new version.

    Args:
        figures: Of both versions; None when no version is live, which nothing can be worse than.
        seed: Of the bootstrap.

    Returns:
        Passed, unless the whole 95 % interval of the paired difference in NDCG lies below 0, or coverage falls by more
        than ``COVERAGE_TOLERANCE`` of what it was. Too few buyers to tell pass too, and the reason says so: whoever has
        no log yet must be able to start. NDCG does not count against a new version either where the live one had
        learned from what both were tested on: then it is the live one that nobody has tested.
    """
    if figures is None:
        return Verdict(True, "No version is live that it could be worse than.", {})
    rng = np.random.default_rng(seed)
    gain = metrics.compare(figures.new, figures.live, rng)
    if gain.n_users < FEWEST_BUYERS:
        return Verdict(True, f"Only {_buyers(gain.n_users)} to test on; it takes {FEWEST_BUYERS} to tell.", {})
    lost = _coverage_lost(figures)
    reasons = [_told(figures, gain)]
    if lost > COVERAGE_TOLERANCE:
        reasons.append(
            f"Its lists show {figures.new_coverage:.1%} of the stock, the live version's {figures.live_coverage:.1%}: "
            f"{lost:.0%} less, where {COVERAGE_TOLERANCE:.0%} is tolerated."
        )
    if figures.seen_by_live >= WORTH_MENTIONING:
        reasons.append(
            f"The live version had learned from {figures.seen_by_live:.0%} of the tested events, which favours it, so "
            "that NDCG alone does not keep the new one out."
        )
    numbers = {
        "ndcg_new": metrics.mean_over_users(figures.new),
        "ndcg_live": metrics.mean_over_users(figures.live),
        "difference": gain.difference,
        "low": gain.low,
        "high": gain.high,
        "coverage_new": figures.new_coverage,
        "coverage_live": figures.live_coverage,
        "seen_by_live": figures.seen_by_live,
        "n_buyers": gain.n_users,
        "k": figures.k,
    }
    is_refused = gain.is_worse and figures.seen_by_live < WORTH_MENTIONING
    return Verdict(not is_refused and lost <= COVERAGE_TOLERANCE, " ".join(reasons), numbers)


def _coverage_lost(figures: GateFigures) -> float:
    """Share of the live version's coverage that the new one lacks; 0 when it has more."""
    if figures.live_coverage <= 0:
        return 0.0
    return max(0.0, 1.0 - figures.new_coverage / figures.live_coverage)


def _told(figures: GateFigures, gain: metrics.Comparison) -> str:
    word = "significantly worse than" if gain.is_worse else "better than" if gain.is_better else "not worse than"
    new, live = metrics.mean_over_users(figures.new), metrics.mean_over_users(figures.live)
    return (
        f"{word.capitalize()} the live version: NDCG@{figures.k} {new:.3f} against {live:.3f}, a difference of "
        f"{gain.difference:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) over {_buyers(gain.n_users)}."
    )


def _buyers(n: int) -> str:
    return "1 buyer" if n == 1 else f"{n} buyers"
