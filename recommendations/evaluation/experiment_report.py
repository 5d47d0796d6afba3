"""The report of an experiment: figures of its variants, comparisons, segments, and its remaining time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import ceil, inf, isfinite, isnan

import numpy as np

from recommendations.evaluation.experiment_log import BASELINE, SEGMENTS, VALUE, Reading
from recommendations.metrics.experiments import (
    ALPHA,
    LEAST_BUYERS,
    RATIO_ALPHA,
    Comparison,
    buyers_needed,
    compare,
    compare_pairs,
    explained,
    holm,
    pairs_needed,
    ratio_p,
)
from recommendations.models import Experiment
from recommendations.models.experiments import HOLDOUT, INTERLEAVED

LONGEST_DAYS = 365  # longer promises are none
VERDICTS = {1: "better", -1: "worse", 0: "open"}
GUARDRAILS = {  # outcome -> what to say of it, and whether more of it is good
    "early_clicks": ("clicks", True),
    "early_contacts": ("contacts", True),
    "early_dismissals": ("dismissals", False),
}


@dataclass(frozen=True)
class ArmFigures:
    """One variant: all of its buyers so far, and per buyer only those whose days are over.

    Attributes:
        n_buyers, n_lists, n_shown: All so far; cars shown in lists.
        n_judged: Buyers whose days are over.
        n_clicks, n_contacts: Of these buyers, within their days.
        value: Of their contacts and sales, in the market's currency; 0 where clients send none.
    """

    name: str
    share: float
    n_buyers: int
    n_lists: int
    n_shown: int
    n_judged: int
    n_clicks: int
    n_contacts: int
    value: float = 0.0
    stopped_at: datetime | None = None

    @property
    def clicks_per_buyer(self) -> float:
        return self.n_clicks / self.n_judged if self.n_judged else 0.0

    @property
    def contacts_per_buyer(self) -> float:
        return self.n_contacts / self.n_judged if self.n_judged else 0.0

    @property
    def value_per_buyer(self) -> float:
        return self.value / self.n_judged if self.n_judged else 0.0


@dataclass(frozen=True)
class Difference:
    """An arm beside the control, as shares of what the control has; infinite ends say nothing yet.

    Attributes:
        sign: 1 where the arm surely has more, -1 where it surely has less, 0 where that is open.
        p: Always-valid p-value, before any correction for several questions.
        saved: Share of the variance that buyers' time before took away.
    """

    arm: str
    value: float
    low: float
    high: float
    sign: int
    p: float
    saved: float
    n: int

    @property
    def is_known(self) -> bool:
        """Whether there is an interval at all."""
        return isfinite(self.low) and not isnan(self.value)

    @property
    def verdict(self) -> str:
        return VERDICTS[self.sign]


@dataclass(frozen=True)
class SegmentRow:
    """A difference among some of the buyers, with its p-value corrected for all rows of the table (Holm)."""

    segment: str
    difference: Difference
    adjusted_p: float

    @property
    def verdict(self) -> str:
        if self.adjusted_p >= ALPHA:
            return "open"
        return "better" if self.difference.value > 0 else "worse"


@dataclass(frozen=True)
class Curve:
    """How the difference of an arm and its interval went from day to day; days without an interval are left out."""

    arm: str
    days: tuple[date, ...]
    values: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


@dataclass(frozen=True)
class Plan:
    """How long it takes. Infinite where nothing is known, or nothing happens.

    Attributes:
        buyers: Of the control and the arm that takes longest together.
        days: Until so many have entered and their days are over.
        buyers_a_day: Who enter the whole experiment on an average day.
        mean: Outcome of a buyer as it is now.
    """

    buyers: float
    days: float
    buyers_a_day: float
    mean: float

    @property
    def is_known(self) -> bool:
        return self.days <= LONGEST_DAYS


@dataclass(frozen=True)
class Harm:
    """An arm that is surely worse in a guardrail."""

    arm: str
    what: str
    difference: Difference

    @property
    def sentence(self) -> str:
        more = "more" if self.difference.sign > 0 else "fewer"
        among = f"surely {more} {self.what} on a buyer's first day, among {self.difference.n:,} buyers"
        if not self.difference.is_known:
            return f"{among}, where the control has none"
        low, high = sorted((abs(self.difference.low), abs(self.difference.high)))
        return f"{among}: {abs(self.difference.value):.0%} {more} (from {low:.0%} to {high:.0%})"


@dataclass(frozen=True)
class Report:
    """Everything the page of an experiment shows.

    Attributes:
        arms: The control first, then the others, then the holdout where there is one.
        ratio_p: Always-valid p-value of the arms' sizes.
        differences: Of each arm, in the metric that decides.
        other: The same in the other metric, which decides nothing.
        segments: Arms by segment.
    """

    arms: tuple[ArmFigures, ...]
    ratio_p: float
    differences: tuple[Difference, ...]
    other: tuple[Difference, ...]
    segments: tuple[SegmentRow, ...]
    curves: tuple[Curve, ...]
    plan: Plan
    harms: tuple[Harm, ...]
    verdict: str
    kind: str  # of the verdict: success, danger, warning, info

    @property
    def is_ratio_wrong(self) -> bool:
        return self.ratio_p < RATIO_ALPHA


def report_on(experiment: Experiment, reading: Reading) -> Report:
    """The report on one reading of an experiment that was started."""
    metric = experiment.metric
    other = next(name for name in Experiment.Metric.values if name != metric)
    differences = differences_of(experiment, reading, metric)
    ratio, plan = sample_ratio_p(experiment, reading), plan_of(experiment, reading)
    verdict, kind = verdict_on(experiment, reading, differences, ratio, plan)
    return Report(
        arms=tuple(figures_of(experiment, reading)),
        ratio_p=ratio,
        differences=differences,
        other=differences_of(experiment, reading, other),
        segments=segments_of(experiment, reading),
        curves=tuple(curve_of(experiment, reading, arm) for arm in experiment.other_arms),
        plan=plan,
        harms=harms_in(experiment, reading),
        verdict=verdict,
        kind=kind,
    )


def figures_of(experiment: Experiment, reading: Reading) -> list[ArmFigures]:
    found = []
    shares = experiment.shares
    for name in (experiment.control_arm, *experiment.other_arms, HOLDOUT):
        cells = [cell for cell in reading.cells if cell.variant == name]
        if name == HOLDOUT and (experiment.is_interleaved or (not cells and not experiment.holdout)):
            continue
        clicks, contacts = (reading.moments(metric, name) for metric in ("clicks", "contacts"))
        found.append(
            ArmFigures(
                name=name,
                share=experiment.holdout / 100 if name == HOLDOUT else shares[name] * (1 - experiment.holdout / 100),
                n_buyers=sum(cell.n for cell in cells),
                n_lists=sum(cell.n_lists for cell in cells),
                n_shown=sum(cell.n_shown for cell in cells),
                n_judged=int(clicks.n),
                n_clicks=int(clicks.y),
                n_contacts=int(contacts.y),
                value=float(reading.moments(VALUE, name).y),
                stopped_at=experiment.stopped_at_of(name),
            )
        )
    return found


def alpha_of(experiment: Experiment) -> float:
    """The error rate allowed for each comparison with the control; their sum is ``ALPHA`` (Bonferroni)."""
    return ALPHA / max(len(experiment.other_arms), 1)


def planned_buyers(experiment: Experiment) -> float:
    return float(experiment.planned_buyers or 20 * LEAST_BUYERS)


def compared(
    experiment: Experiment, reading: Reading, outcome: str, arm: str, *, segment: str = "", alpha: float
) -> Comparison:
    control = reading.moments(outcome, experiment.control_arm, segment)
    if experiment.is_interleaved:
        difference = reading.moments(outcome, INTERLEAVED, segment)
        return compare_pairs(control, difference, planned=planned_buyers(experiment), alpha=alpha)
    other = reading.moments(outcome, arm, segment)
    return compare(control, other, planned=planned_buyers(experiment), alpha=alpha)


def as_difference(arm: str, found: Comparison) -> Difference:
    value, low, high = (float(found.relative(each)) for each in (found.difference, found.low, found.high))
    if isnan(low):  # the control has nothing: what is more than that is no share of it
        low, high = -inf, inf
    sign = int(found.low > 0) - int(found.high < 0)
    return Difference(arm, value, low, high, sign, float(found.p), float(found.saved), int(found.n))


def differences_of(experiment: Experiment, reading: Reading, outcome: str) -> tuple[Difference, ...]:
    alpha = alpha_of(experiment)
    return tuple(
        as_difference(arm, compared(experiment, reading, outcome, arm, alpha=alpha)) for arm in experiment.other_arms
    )


def segments_of(experiment: Experiment, reading: Reading) -> tuple[SegmentRow, ...]:
    """Each arm among each kind of buyers, in the metric that decides; Holm's correction over all of them."""
    found = [
        (
            segment,
            as_difference(arm, compared(experiment, reading, experiment.metric, arm, segment=segment, alpha=ALPHA)),
        )
        for segment in SEGMENTS
        for arm in experiment.other_arms
    ]
    adjusted = holm([difference.p for _, difference in found])
    return tuple(SegmentRow(one, other, float(p)) for (one, other), p in zip(found, adjusted, strict=True))


def curve_of(experiment: Experiment, reading: Reading, arm: str) -> Curve:
    days = reading.days(experiment.metric)
    if not days:
        return Curve(arm, (), (), (), ())
    way, name = (compare_pairs, INTERLEAVED) if experiment.is_interleaved else (compare, arm)
    control, other = (reading.daily(experiment.metric, one) for one in (experiment.control_arm, name))
    found = way(control, other, planned=planned_buyers(experiment), alpha=alpha_of(experiment))
    values, lows, highs = (found.relative(each) for each in (found.difference, found.low, found.high))
    known = [number for number in range(len(days)) if np.isfinite(lows[number])]
    return Curve(
        arm,
        tuple(days[number] for number in known),
        *(tuple(float(each[number]) for number in known) for each in (values, lows, highs)),
    )


def sample_ratio_p(experiment: Experiment, reading: Reading) -> float:
    """Whether buyers came into the arms in their shares, until the first arm was stopped, which takes no more.

    Where variants make lists together, every buyer is in both.
    """
    if experiment.is_interleaved:
        return 1.0
    stops = [moment for name in experiment.stopped_arms if (moment := experiment.stopped_at_of(name))]
    until = min(stops).date() if stops else None
    names = sorted(experiment.variants)
    counts = [
        sum(cell.n for cell in reading.cells if cell.variant == name and (until is None or cell.day < until))
        for name in names
    ]
    shares = experiment.shares
    return float(ratio_p(counts, [shares[name] for name in names]))


def harms_in(experiment: Experiment, reading: Reading) -> tuple[Harm, ...]:
    """Arms that are surely worse than the control; all looks at all guardrails together err in ``ALPHA`` at most."""
    alpha = ALPHA / (len(GUARDRAILS) * max(len(experiment.other_arms), 1))
    found = []
    for arm in experiment.other_arms:
        for outcome, (what, is_more_good) in GUARDRAILS.items():
            difference = as_difference(arm, compared(experiment, reading, outcome, arm, alpha=alpha))
            if difference.sign == (-1 if is_more_good else 1):
                found.append(Harm(arm, what, difference))
    return tuple(found)


# --- How long --------------------------------------------------------------------------------------------------------
def plan_of(experiment: Experiment, reading: Reading) -> Plan:
    """How many buyers and days it takes to find the lift in question, by what the control, or the placement, does."""
    is_started = experiment.started_at is not None
    if experiment.is_interleaved:
        return plan_together(experiment, reading, is_started=is_started)
    now = reading.moments(experiment.metric, experiment.control_arm if is_started else BASELINE)
    shares = experiment.shares
    others = [shares[name] for name in experiment.other_arms]
    mean = float(now.mean)
    needed = buyers_needed(
        mean=mean,
        variance=float(now.variance) * (1.0 - explained(now)),
        lift=experiment.smallest_lift / 100,
        shares=(shares.get(experiment.control_arm, 0.0), min(others, default=0.0)),
        alpha=alpha_of(experiment),
    )
    a_day = entries_a_day(reading) * (1.0 if is_started else 1.0 - experiment.holdout / 100)
    of_these = shares.get(experiment.control_arm, 0.0) + min(others, default=0.0)
    days = needed / (a_day * of_these) + experiment.outcome_days + 1 if a_day and of_these else inf
    return Plan(needed, days, a_day, mean)


def plan_together(experiment: Experiment, reading: Reading, *, is_started: bool) -> Plan:
    """The same where two variants make lists together.

    Before the start, each is taken to choose half of the cars that buyers go for, by one coin a car: then the
    difference of a buyer spreads as widely as a count of so many does (Poisson).
    """
    if is_started:
        mean = float(reading.moments(experiment.metric, experiment.control_arm).mean)
        variance = float(reading.moments(experiment.metric, INTERLEAVED).variance)
    else:
        both = float(reading.moments(experiment.metric, BASELINE).mean)
        mean, variance = both / 2, both
    needed = pairs_needed(mean=mean, variance=variance, lift=experiment.smallest_lift / 100)
    a_day = entries_a_day(reading) * (1.0 if is_started else 1.0 - experiment.holdout / 100)
    days = needed / a_day + experiment.outcome_days + 1 if a_day else inf
    return Plan(needed, days, a_day, mean)


def entries_a_day(reading: Reading) -> float:
    """Buyers who enter on an average day; the day of the reading itself is not over, and does not count."""
    today = reading.read_at.date()
    entries = [cell for cell in reading.cells if cell.variant != HOLDOUT and cell.day < today]
    together = [cell for cell in entries if cell.variant == INTERLEAVED]  # the sides of it are the same buyers
    entries = together or entries
    if not entries:
        return 0.0
    n_days = (today - min(cell.day for cell in entries)).days
    return sum(cell.n for cell in entries) / max(n_days, 1)


# --- In one sentence -------------------------------------------------------------------------------------------------
def verdict_on(
    experiment: Experiment, reading: Reading, differences: Sequence[Difference], ratio: float, plan: Plan
) -> tuple[str, str]:
    """The verdict in words, and its colour."""
    what = f"{experiment.metric} {'on the cars it chose' if experiment.is_interleaved else 'per buyer'}"
    if ratio < RATIO_ALPHA:
        return (
            "Do not believe this experiment: the variants did not get their shares of the buyers, so something in how "
            "lists are asked for, or recorded, differs between them.",
            "danger",
        )
    if experiment.stop_reason and experiment.stopped_arms:
        return f"Stopped: {experiment.stop_reason}", "danger"
    known = [one for one in differences if one.is_known]
    better = [one for one in known if one.verdict == "better"]
    if better:
        best = max(better, key=lambda one: one.value)
        return (
            f"“{best.arm}” is better than “{experiment.control_arm}”: {best.value:+.0%} {what} "
            f"({best.low:+.0%} to {best.high:+.0%}).",
            "success",
        )
    if known and all(one.verdict == "worse" for one in known):
        best = max(known, key=lambda one: one.value)
        return (
            f"Keep “{experiment.control_arm}”: “{best.arm}” has {best.value:+.0%} {what} "
            f"({best.low:+.0%} to {best.high:+.0%}).",
            "danger",
        )
    lift = experiment.smallest_lift / 100
    if len(known) == len(differences) and all(-lift < one.low and one.high < lift for one in known):
        return (
            f"It makes no difference that matters: whatever there is lies within {lift:.0%} of “"
            f"{experiment.control_arm}”.",
            "info",
        )
    return still_open(experiment, reading, known, plan)


def still_open(experiment: Experiment, reading: Reading, known: Sequence[Difference], plan: Plan) -> tuple[str, str]:
    ran = ((experiment.stopped_at or reading.read_at) - (experiment.started_at or reading.read_at)).days
    if experiment.status == Experiment.Status.STOPPED:
        return f"It was stopped after {days(ran)} without an answer: it may be better, worse or the same.", "warning"
    longer = (
        f"A lift of {experiment.smallest_lift}% would show after about {days(ceil(plan.days))}"
        if plan.is_known
        else f"With so few {experiment.metric}, a lift of {experiment.smallest_lift}% would not show within a year"
    )
    so_far = (
        "; ".join(f"“{one.arm}” {one.value:+.0%} ({one.low:+.0%} to {one.high:+.0%})" for one in known)
        or f"fewer than {LEAST_BUYERS} buyers in a variant have had their {days(experiment.outcome_days)}"
    )
    return f"Too early to say on day {ran + 1}: {so_far}. {longer}.", "info"


def days(n: int) -> str:
    return f"{n:,} day{'' if n == 1 else 's'}"


def promise_of(experiment: Experiment, plan: Plan) -> str:
    """How long it would take, for one that is not started."""
    if not plan.mean or not isfinite(plan.buyers):
        return f"How long it takes cannot be said: the lists of this placement have brought no {experiment.metric} yet."
    so = (
        f"With {plan.buyers_a_day:,.0f} buyers a day and {plan.mean:.3g} {experiment.metric} per buyer, a lift of "
        f"{experiment.smallest_lift}% takes {ceil(plan.buyers):,} buyers"
    )
    if not plan.is_known:
        return f"{so}: more than a year. Look for a larger lift, decide by clicks, or give the variants more buyers."
    return (
        f"{so}, which is about {days(ceil(plan.days))}; in at least four of five such experiments it is found by then."
    )
