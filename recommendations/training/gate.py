"""Decide whether a newly trained version may go live, on the same buyers and listings as the versions compared with.

A version passes when it is shown to be *not inferior*: with 97.5% confidence it loses no more than a margin of NDCG@20
and of pairs won against the live version, and against a fixed reference version, so that small losses of each night do
not add up. It must not be worse than popularity, nor show less of the stock, nor be shown to lose more than the margin
for one segment of the buyers (cold ones, those of one fuel, ...), which a mean over all would hide. Without enough
evidence the live version stays. An operator may overrule the verdict with a note.

It need not be better: from one night to the next a ranker hardly changes, and half of all equal ones would be refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommendations.metrics import ranking as metrics

FEWEST_BUYERS = 30  # with fewer, an interval says nothing
MARGIN = 0.1  # share of the live version's NDCG@20, and of what it wins beyond chance, that a new one may lose
REFERENCE_MARGIN = 0.08  # the same of the reference version's: three nights that lose 3% each are more
CHANCE = 0.5  # of winning a pair
UNFAIR_MARGIN = 0.5  # in a segment, where the live version had learned from the tested events
SEGMENT_CONFIDENCE = 0.05  # chance that an equal version is refused by any of the segments, at most
MOST_SEGMENTS_SAID = 5
LEAST_PAIRS_MARGIN = 0.01  # of pairs won, where a version is little better than chance
COVERAGE_TOLERANCE = 0.1  # of the live version's coverage: what two trainings on the same log may differ by
WORTH_MENTIONING = 0.05  # share of tested events that the live version had learned from


class Code(StrEnum):
    """The reason of a verdict, for programs; the first that applies."""

    FIRST = "first_version"
    PASSED = "passed"
    TOO_LITTLE_EVIDENCE = "too_little_evidence"
    WORSE = "worse_than_live"
    CANNOT_TELL = "cannot_tell"
    WORSE_THAN_RECORDED = "worse_than_live_was"
    WORSE_THAN_REFERENCE = "worse_than_reference"
    WORSE_AT_PAIRS = "worse_at_pairs"
    CANNOT_TELL_OF_PAIRS = "cannot_tell_of_pairs"
    WORSE_AT_PAIRS_THAN_REFERENCE = "worse_at_pairs_than_reference"
    BELOW_POPULARITY = "below_popularity"
    LESS_COVERAGE = "less_coverage"
    WORSE_FOR_SEGMENT = "worse_for_segment"


@dataclass(frozen=True, eq=False)
class GateFigures:
    """Figures of the compared versions on the same held-out events, with the same candidates.

    Attributes:
        new, live: NDCG@k of each buyer under either version, shape (n_buyers,); nan for one without a value.
        new_coverage, live_coverage: Share of the candidates that appear in the first k of a buyer.
        seen_by_live: Share of the tested events that the live version was trained on. If it is large, its figures of
            today are too good and not used.
        live_recorded: NDCG@k of the live version at its own training, on events it was not trained on; used in place of
            the figures of today where those are too good. None where it was not measured.
        live_recorded_coverage: The same of its coverage, used where it is less.
        popularity: NDCG@k of the most popular listings, shape (n_buyers,); None: not measured.
        reference: The same of the reference version; None where there is none, or it is the live one.
        new_won, live_won, reference_won: Share of pairs won by each buyer's choices among what they were shown, shape
            (n_buyers,); nan for a buyer without such a choice. None: not measured.
        segments: Which buyers belong to a segment, by its name, shape (n_buyers,) each; they may overlap.
        k: Length of the lists.
        live_name: What the sentences call the live version.
    """

    new: NDArray[np.float64]
    live: NDArray[np.float64]
    new_coverage: float
    live_coverage: float
    seen_by_live: float = 0.0
    live_recorded: float | None = None
    live_recorded_coverage: float | None = None
    popularity: NDArray[np.float64] | None = None
    reference: NDArray[np.float64] | None = None
    new_won: NDArray[np.float64] | None = None
    live_won: NDArray[np.float64] | None = None
    reference_won: NDArray[np.float64] | None = None
    segments: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    k: int = 20
    live_name: str = "the live version"


@dataclass(frozen=True)
class Verdict:
    """Whether a version may go live, and why.

    Attributes:
        passed: True when it may.
        reason: A few plain sentences with the figures they rest on.
        figures: The same as numbers, JSON; empty when nothing was compared.
        code: The reason for programs.
    """

    passed: bool
    reason: str
    figures: dict[str, float]
    code: Code = Code.PASSED

    def to_json(self) -> dict[str, Any]:
        """For ``RankerVersion.gate``."""
        return asdict(self)


def decide(figures: GateFigures | None, *, seed: int = 0) -> Verdict:
    """The verdict on a new version.

    Args:
        figures: Of all versions; None when no version is live, which any version may replace.
        seed: Of the bootstrap.

    Returns:
        Passed when every check of the module's docstring passes; not passed with too few buyers.
    """
    if figures is None:
        return Verdict(True, "No version is live that it could be worse than.", {}, Code.FIRST)
    n_buyers = int(np.isfinite(figures.new).sum())
    if n_buyers < FEWEST_BUYERS:
        reason = f"Only {_buyers(n_buyers)} to test on; it takes {FEWEST_BUYERS} to tell, so {figures.live_name} stays."
        return Verdict(False, reason, {}, Code.TOO_LITTLE_EVIDENCE)
    checks = [check for check in _checks(figures, np.random.default_rng(seed)) if check is not None]
    failed = [check.code for check in checks if check.code != Code.PASSED]
    numbers = {name: value for check in checks for name, value in check.numbers.items()}
    numbers |= {"n_buyers": n_buyers, "k": figures.k, "seen_by_live": figures.seen_by_live}
    reason = " ".join(check.sentence for check in checks if check.sentence)
    return Verdict(not failed, reason, numbers, failed[0] if failed else Code.PASSED)


@dataclass(frozen=True)
class _Check:
    code: Code
    sentence: str
    numbers: dict[str, float]


def _checks(figures: GateFigures, rng: np.random.Generator) -> tuple[_Check | None, ...]:
    is_fair = figures.seen_by_live < WORTH_MENTIONING
    return (
        _against_live(figures, rng) if is_fair else _against_recorded(figures),
        _against_reference(figures, rng),
        _pairs_against_live(figures, rng) if is_fair else None,
        _pairs_against_reference(figures, rng),
        _against_popularity(figures, rng),
        _coverage(figures, is_fair=is_fair),
        _segments(figures, rng, UNFAIR_MARGIN if not is_fair else MARGIN),
    )


def _against_live(figures: GateFigures, rng: np.random.Generator) -> _Check:
    gain, live = metrics.compare(figures.new, figures.live, rng), metrics.mean_over_users(figures.live)
    margin = MARGIN * live
    code = Code.PASSED if gain.low >= -margin else Code.WORSE if gain.high < 0 else Code.CANNOT_TELL
    words = {
        Code.PASSED: "Better than" if gain.is_better else "Not worse than",
        Code.WORSE: "Significantly worse than",
        Code.CANNOT_TELL: "It is unclear whether it is worse than",
    }[code]
    new = metrics.mean_over_users(figures.new)
    sentence = (
        f"{words} {figures.live_name}: NDCG@{figures.k} {new:.3f} against {live:.3f}, a difference of "
        f"{gain.difference:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) over {_buyers(gain.n_users)}, "
        f"where a loss of {margin:.3f} is tolerated."
    )
    numbers = {
        "ndcg_new": new, "ndcg_live": live, "difference": gain.difference, "low": gain.low, "high": gain.high,
        "margin": margin,
    }  # fmt: skip
    return _Check(code, sentence, numbers)


def _against_recorded(figures: GateFigures) -> _Check:
    """Against the figure of the live version's own training, since it was trained on the events of today's test."""
    new = metrics.mean_over_users(figures.new)
    learned = f"The live version had learned from {figures.seen_by_live:.0%} of the tested events"
    if figures.live_recorded is None:
        return _Check(Code.PASSED, f"{learned}, and was never measured without.", {"ndcg_new": new})
    known = figures.new[np.isfinite(figures.new)]
    error = 1.96 * float(known.std()) / np.sqrt(len(known))
    least = (1 - MARGIN) * figures.live_recorded
    code = Code.PASSED if new + error >= least else Code.WORSE_THAN_RECORDED
    sentence = (
        f"{learned}, so that it is held against its own training, where it reached NDCG@{figures.k} "
        f"{figures.live_recorded:.3f}; the new one reaches {new:.3f} (give or take {error:.3f})."
    )
    return _Check(code, sentence, {"ndcg_new": new, "ndcg_live": figures.live_recorded, "margin": MARGIN * least})


def _against_reference(figures: GateFigures, rng: np.random.Generator) -> _Check | None:
    if figures.reference is None:
        return None
    gain, reference = metrics.compare(figures.new, figures.reference, rng), metrics.mean_over_users(figures.reference)
    code = Code.PASSED if gain.low >= -REFERENCE_MARGIN * reference else Code.WORSE_THAN_REFERENCE
    numbers = {
        "ndcg_reference": reference, "reference_difference": gain.difference, "reference_low": gain.low,
        "reference_high": gain.high, "reference_margin": REFERENCE_MARGIN * reference,
    }  # fmt: skip
    word = "Not worse" if code == Code.PASSED else "Worse, or not shown to be as good,"
    sentence = (
        f"{word} than the reference version: {gain.difference:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) "
        f"against its {reference:.3f}."
    )
    return _Check(code, sentence, numbers)


def _pairs_against_live(figures: GateFigures, rng: np.random.Generator) -> _Check | None:
    found = _pairs(figures.new_won, figures.live_won, MARGIN, rng)
    if found is None:
        return None
    gain, of_live, margin = found
    code = Code.PASSED if gain.low >= -margin else Code.WORSE_AT_PAIRS if gain.high < 0 else Code.CANNOT_TELL_OF_PAIRS
    words = {
        Code.PASSED: "No more is lost",
        Code.WORSE_AT_PAIRS: "Significantly more is lost",
        Code.CANNOT_TELL_OF_PAIRS: "It is unclear whether more is lost",
    }[code]
    sentence = (
        f"{words} of pairs won: {of_live + gain.difference:.3f} against {of_live:.3f}, a difference of "
        f"{gain.difference:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) over {_buyers(gain.n_users)}, "
        f"where a loss of {margin:.3f} is tolerated."
    )
    numbers = {
        "pairs_new": of_live + gain.difference, "pairs_live": of_live, "pairs_difference": gain.difference,
        "pairs_low": gain.low, "pairs_high": gain.high, "pairs_margin": margin,
    }  # fmt: skip
    return _Check(code, sentence, numbers)


def _pairs_against_reference(figures: GateFigures, rng: np.random.Generator) -> _Check | None:
    found = _pairs(figures.new_won, figures.reference_won, REFERENCE_MARGIN, rng)
    if found is None:
        return None
    gain, reference, margin = found
    is_lost = gain.low < -margin
    sentence = (
        f"Of pairs won, more is lost than tolerated, or not shown to be kept, of the reference version's "
        f"{reference:.3f}: {gain.difference:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})."
    )
    numbers = {
        "pairs_reference": reference, "pairs_reference_difference": gain.difference,
        "pairs_reference_low": gain.low, "pairs_reference_high": gain.high, "pairs_reference_margin": margin,
    }  # fmt: skip
    code = Code.WORSE_AT_PAIRS_THAN_REFERENCE if is_lost else Code.PASSED
    return _Check(code, sentence if is_lost else "", numbers)


def _pairs(
    new: NDArray[np.float64] | None, other: NDArray[np.float64] | None, margin: float, rng: np.random.Generator
) -> tuple[metrics.Comparison, float, float] | None:
    """The difference in pairs won, the other version's share of pairs won, and the margin; None where too few buyers
    chose from a list that they were shown."""
    if new is None or other is None or np.isfinite(other).sum() < FEWEST_BUYERS:
        return None
    won = metrics.mean_over_users(other)
    return metrics.compare(new, other, rng), won, max(margin * (won - CHANCE), LEAST_PAIRS_MARGIN)


def _against_popularity(figures: GateFigures, rng: np.random.Generator) -> _Check | None:
    """Refuse a version below popularity, unless it is better than the live version."""
    if figures.popularity is None:
        return None
    gain, floor = metrics.compare(figures.new, figures.popularity, rng), metrics.mean_over_users(figures.popularity)
    improves = metrics.mean_over_users(figures.new) > metrics.mean_over_users(figures.live)
    is_below = gain.high < 0 and not improves
    sentence = f"Significantly below popularity, which reaches {floor:.3f}." if is_below else ""
    return _Check(Code.BELOW_POPULARITY if is_below else Code.PASSED, sentence, {"ndcg_popularity": floor})


def _coverage(figures: GateFigures, *, is_fair: bool) -> _Check:
    """Refuse a loss of coverage. A live version that was trained on the tested events knows more of their buyers and
    shows more of the stock by that; then its recorded coverage counts where it is less."""
    of_live = figures.live_coverage
    if not is_fair and figures.live_recorded_coverage is not None:
        of_live = min(of_live, figures.live_recorded_coverage)
    lost = 0.0 if of_live <= 0 else max(0.0, 1.0 - figures.new_coverage / of_live)
    numbers = {"coverage_new": figures.new_coverage, "coverage_live": of_live}
    if lost <= COVERAGE_TOLERANCE:
        return _Check(Code.PASSED, "", numbers)
    sentence = (
        f"Its lists show {figures.new_coverage:.1%} of the stock, {figures.live_name}'s {of_live:.1%}: "
        f"{lost:.0%} less, where {COVERAGE_TOLERANCE:.0%} is tolerated."
    )
    return _Check(Code.LESS_COVERAGE, sentence, numbers)


def _segments(figures: GateFigures, rng: np.random.Generator, margin: float) -> _Check | None:
    """Refuse a version that is shown to lose more than a margin of what the live one reaches for some of the buyers.

    Few of them are enough evidence to refuse a large loss and never to show that there is none, so a loss must be
    shown, at a confidence that as many comparisons ask for (Bonferroni). The margin is wide where the live version had
    learned from the tested events.
    """
    comparisons = list(_in_segments(figures))
    confidence = 1 - 2 * SEGMENT_CONFIDENCE / max(len(comparisons), 1)
    lost = []
    for segment, what, new, live, floor in comparisons:
        worth = metrics.mean_over_users(live) - floor
        gain = metrics.compare(new, live, rng, confidence=confidence)
        if worth > 0 and gain.high < -margin * worth:
            lost.append((gain.difference / worth, f"{what} of {segment} {gain.difference:+.3f} ({gain.low:+.3f} to "
                         f"{gain.high:+.3f}) from {floor + worth:.3f} over {_buyers(gain.n_users)}"))  # fmt: skip
    if not lost:
        return None if not comparisons else _Check(Code.PASSED, "", {"n_segments": len(comparisons)})
    worst = "; ".join(sentence for _, sentence in sorted(lost)[:MOST_SEGMENTS_SAID])
    sentence = f"Lost for a part of the buyers, where a loss of {margin:.0%} is tolerated: {worst}."
    return _Check(Code.WORSE_FOR_SEGMENT, sentence, {"n_segments": len(comparisons), "n_segments_lost": len(lost)})


def _in_segments(
    figures: GateFigures,
) -> Iterator[tuple[str, str, NDArray[np.float64], NDArray[np.float64], float]]:
    """Segment, name of a figure, its values under the new and the live version, and the value of chance, wherever
    enough buyers of the segment have one."""
    pairs = (figures.new_won, figures.live_won)
    for segment, own in figures.segments.items():
        for what, new, live, floor in (
            (f"NDCG@{figures.k}", figures.new, figures.live, 0.0),
            ("pairs won", *pairs, CHANCE),
        ):
            if new is not None and live is not None and np.isfinite(live[own]).sum() >= FEWEST_BUYERS:
                yield segment, what, new[own], live[own], floor


def _buyers(n: int) -> str:
    return "1 buyer" if n == 1 else f"{n} buyers"
