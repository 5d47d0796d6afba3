"""Which of two ranker versions is better, as a sentence that states how certain it is."""

from __future__ import annotations

from dataclasses import dataclass

from recommendations.insight.comparison import Findings, Measured, Value
from recommendations.metrics.figures import ALL_BUYERS
from recommendations.models import RankerVersion

METRIC, K = "ndcg", 10
WORTH_MENTIONING = 0.05  # difference in the shares of the test that two versions had learned from


@dataclass(frozen=True)
class Verdict:
    """Which of two versions is better, as a sentence.

    Attributes:
        winner: The better version; None where it is uncertain.
        caution: A reason to doubt the sentence; "" without one.
    """

    sentence: str
    is_certain: bool = False
    winner: RankerVersion | None = None
    caution: str = ""


def verdict_on(first: RankerVersion, other: RankerVersion, findings: Findings) -> Verdict:
    """Compare the first version with another one."""
    one, two = findings.measured.get(first.pk), findings.measured.get(other.pk)
    lead = findings.leads.get(other.pk, {}).get((METRIC, ALL_BUYERS, K))
    if lead and one and two:
        return paired_verdict(first, other, one, two, lead)
    if one and two and findings.is_same_question:
        return unpaired_verdict(first, other, one, two)
    return Verdict(
        f"It is not known yet whether {first} is better than {other}: no evaluation tested both on the same events. "
        "Evaluate them on the same part of the log."
    )


def paired_verdict(first: RankerVersion, other: RankerVersion, one: Measured, two: Measured, lead: Value) -> Verdict:
    own, theirs = one.figure(METRIC, K), two.figure(METRIC, K)
    if own is None or theirs is None:
        return Verdict(f"An evaluation tested {first} and {other}, but nothing could be measured.")
    better, worse, gain = (first, other, lead.value) if lead.value >= 0 else (other, first, -lead.value)
    high, low = max(own.value, theirs.value), min(own.value, theirs.value)
    figures = f"NDCG@{K} {high:.3f} against {low:.3f}, over {lead.n:,} buyers"
    ends = sorted((lead.low, lead.high) if better == first else (-lead.high, -lead.low))
    interval = f"the 95 % interval of the difference, {ends[0]:+.3f} to {ends[1]:+.3f},"
    caution = caution_about(better, worse, one, two, first)
    if not gain and not lead.low and not lead.high:
        return Verdict(f"{first} and {other} find the same: {figures}.", is_certain=True, caution=caution)
    percent = f"{gain / low:.0%} more" if low > 0 else "more"
    said = f"{better} finds {percent} than {worse} of what buyers went for ({figures})"
    if ends[0] > 0:
        return Verdict(f"{said}; {interval} lies above 0, so it is not chance.", True, better, caution)
    return Verdict(f"{said}; {interval} includes 0, so it may be chance.", False, better, caution)


def unpaired_verdict(first: RankerVersion, other: RankerVersion, one: Measured, two: Measured) -> Verdict:
    """Compare two evaluations on the same question, each with an interval of its own."""
    own, theirs = one.figure(METRIC, K), two.figure(METRIC, K)
    if own is None or theirs is None:
        return Verdict(f"An evaluation tested {first} and {other}, but nothing could be measured.")
    (better, best), (worse, least) = sorted([(first, own), (other, theirs)], key=lambda pair: -pair[1].value)
    said = f"{better} finds more than {worse} (NDCG@{K} {best.value:.3f} against {least.value:.3f})"
    caution = caution_about(better, worse, one, two, first)
    if best.low > least.high:
        return Verdict(f"{said}, and their intervals do not touch: it is not chance.", True, better, caution)
    return Verdict(
        f"{said}, but their intervals overlap, so it may be chance. Asked together, buyer by buyer, they can be "
        "distinguished better.", False, better, caution,
    )  # fmt: skip


def caution_about(
    better: RankerVersion, worse: RankerVersion, one: Measured, two: Measured, first: RankerVersion
) -> str:
    """Warn if the better version was trained on more of the test's events, which says nothing about new events."""
    known = {True: one.known, False: two.known}
    of_better, of_worse = known[better == first], known[better != first]
    if of_better is None or of_worse is None:
        return "It was not noted which of the tested events the versions had learned from."
    if of_better - of_worse >= WORTH_MENTIONING:
        return (
            f"{better} had learned from {of_better:.0%} of the tested events and {worse} from {of_worse:.0%}, which "
            f"favours {better}: wait for newer events, and evaluate again."
        )
    if min(of_better, of_worse) >= WORTH_MENTIONING:
        least = "all" if min(of_better, of_worse) == 1 else f"{min(of_better, of_worse):.0%} or more"
        return f"Both had learned from {least} of the tested events, so the figures themselves flatter."
    return ""
