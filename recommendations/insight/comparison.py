"""Ranker versions side by side: the figures of past evaluations, and the parameters of one that compares them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from recommendations.evaluation.log_backtest import name_of
from recommendations.evaluation.outcome import OURS
from recommendations.exceptions import RankerRefused
from recommendations.metrics.figures import ALL_BUYERS, COVERAGE, DIVERSITY, LEAD, NOVELTY, PAIRS_WON
from recommendations.models import Evaluation, EvaluationFigure, Interaction, RankerVersion
from recommendations.training.gate import FEWEST_BUYERS

SHOWN_AT_MOST = 4  # versions that fit a page
LOOKED_THROUGH = 50  # newest evaluations that are searched
K = 10
METRICS = (("ndcg", K), ("recall", K), ("hit rate", K), (COVERAGE, K), (DIVERSITY, K), (NOVELTY, K), (PAIRS_WON, 0))


# --- Which versions --------------------------------------------------------------------------------------------------


def usual_versions() -> list[RankerVersion]:
    """Return the live version, the one a rollback returns to, and the newest; each once, the live one first."""
    usable = list(RankerVersion.objects.usable().order_by("-pk"))
    live = [one for one in usable if one.status == RankerVersion.Status.LIVE]
    before = [one for one in usable if one.promoted_at and live and one.pk < live[0].pk][:1]
    return list(dict.fromkeys([*live, *before, *usable[:1]]))


# --- Figures ---------------------------------------------------------------------------------------------------------


class Value(NamedTuple):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


Key = tuple[str, str, int]  # metric, slice, k


@dataclass(frozen=True)
class Measured:
    """Figures of one version in one evaluation.

    Attributes:
        evaluation: The evaluation.
        figures: By metric, slice and k.
        known: Share of the tested events that the version was trained on; None where it was not recorded.
    """

    evaluation: Evaluation
    figures: Mapping[Key, Value]
    known: float | None

    def figure(self, metric: str, k: int, of_slice: str = ALL_BUYERS) -> Value | None:
        return self.figures.get((metric, of_slice, k))


@dataclass(frozen=True)
class Findings:
    """Figures of some versions.

    Attributes:
        measured: By version id; absent where a version was never evaluated.
        leads: Differences of the first version to each other one, by version id and metric, paired by buyer; only from
            an evaluation of all of them.
        is_same_question: Whether the figures are of the same buyers, cars and cutoff.
        unfinished: An evaluation of these versions that is queued or running.
    """

    measured: Mapping[int, Measured] = field(default_factory=dict)
    leads: Mapping[int, Mapping[Key, Value]] = field(default_factory=dict)
    is_same_question: bool = False
    unfinished: Evaluation | None = None


def find(versions: Sequence[RankerVersion]) -> Findings:
    """Find the newest evaluation of all these versions; if there is none, the newest of each."""
    ids = [version.pk for version in versions]
    newest = list(Evaluation.objects.filter(source=Evaluation.LOG).order_by("-pk")[:LOOKED_THROUGH])
    unfinished = next((one for one in newest if one.status in ("queued", "running") and asks_all(one, ids)), None)
    done = [one for one in newest if one.status == Evaluation.Status.DONE]
    joint = next((one for one in done if asks_all(one, ids)), None) if len(ids) > 1 else None
    if joint:
        figures = read_figures([joint])
        measured = {one: measured_by(joint, one, figures[joint.pk]) for one in ids}
        return Findings(measured, leads_in(joint, ids, figures[joint.pk]), True, unfinished)
    chosen = {one: next((each for each in done if name_in(each, one)), None) for one in ids}
    figures = read_figures({each.pk: each for each in chosen.values() if each}.values())
    measured = {one: measured_by(each, one, figures[each.pk]) for one, each in chosen.items() if each}
    return Findings(measured, {}, len(measured) == len(ids) > 1 and is_one_question(chosen.values()), unfinished)


def name_in(evaluation: Evaluation, version_id: int) -> str:
    """Return the name of a version among the rankers of an evaluation; "" where it is not among them."""
    if evaluation.version_id == version_id:
        return OURS
    return name_of(version_id) if version_id in evaluation.parameters.get("beside", ()) else ""


def asks_all(evaluation: Evaluation, version_ids: Iterable[int]) -> bool:
    return all(name_in(evaluation, one) for one in version_ids)


def is_one_question(evaluations: Iterable[Evaluation | None]) -> bool:
    """Whether the evaluations had the same cutoff, buyers, cars and seed."""
    asked = {
        (one.moment, one.n_buyers, one.n_candidates, one.n_events, one.parameters.get("seed"))
        for one in evaluations
        if one
    }
    return len(asked) == 1


def read_figures(evaluations: Iterable[Evaluation]) -> dict[int, dict[str, dict[Key, Value]]]:
    """Read figures by evaluation and name of the ranker; one query."""
    found: dict[int, dict[str, dict[Key, Value]]] = {one.pk: {} for one in evaluations}
    for row in EvaluationFigure.objects.filter(evaluation__in=found).order_by("pk"):
        if row.value is not None:
            low, high = (row.value if end is None else end for end in (row.low, row.high))
            own = found[row.evaluation_id].setdefault(row.ranker, {})
            own[row.metric, row.slice, row.k] = Value(row.value, low, high, row.n)
    return found


def measured_by(evaluation: Evaluation, version_id: int, figures: Mapping[str, Mapping[Key, Value]]) -> Measured:
    name = name_in(evaluation, version_id)
    own = {key: value for key, value in figures.get(name, {}).items() if not key[0].startswith(LEAD)}
    return Measured(evaluation, own, evaluation.summary.get("known", {}).get(name))


def leads_in(
    evaluation: Evaluation, version_ids: Sequence[int], figures: Mapping[str, Mapping[Key, Value]]
) -> dict[int, dict[Key, Value]]:
    """Return the first version's differences to the others, which an evaluation holds for one version only."""
    first, *others = version_ids
    if name_in(evaluation, first) == OURS:
        return {one: leads_of(figures.get(name_of(one), {}), 1) for one in others}
    led = [one for one in others if name_in(evaluation, one) == OURS]
    return {one: leads_of(figures.get(name_of(first), {}), -1) for one in led}


def leads_of(figures: Mapping[Key, Value], sign: int) -> dict[Key, Value]:
    """Return the differences to a ranker, or with sign -1 those of the ranker itself."""
    found = {}
    for (metric, of_slice, k), one in figures.items():
        if metric.startswith(LEAD):
            low, high = sorted((sign * one.low, sign * one.high))
            found[metric.removeprefix(LEAD), of_slice, k] = Value(sign * one.value, low, high, one.n)
    return found


def slices_in(findings: Findings) -> list[str]:
    """Return the slices in the order of measurement, all buyers first."""
    return list(dict.fromkeys(key[1] for one in findings.measured.values() for key in one.figures))


# --- An evaluation of all of them ------------------------------------------------------------------------------------


def joint_parameters(versions: Sequence[RankerVersion]) -> dict[str, Any]:
    """Return parameters of an evaluation of all versions on events that none of them was trained on.

    Where too few buyers have acted since the youngest was trained, it tests on the last part of the log, and states
    which share of it each version was trained on.

    Raises:
        RankerRefused: With fewer than two versions that can rank.
    """
    usable = [one for one in versions if one.status in (RankerVersion.Status.LIVE, RankerVersion.Status.READY)]
    if len(usable) < 2:
        raise RankerRefused("it takes two versions that are live or ready; the vectors of others are gone")
    first, *others = usable
    asked: dict[str, Any] = {"version": first.pk, "beside": [one.pk for one in others], "with_baselines": False}
    if moment := unseen_since(usable):
        asked["test_from"] = moment
    return asked


def unseen_since(versions: Sequence[RankerVersion]) -> str | None:
    """Return the time, in ISO 8601, after which no version was trained on any event; None where too little happened
    since."""
    last_id = max(version.last_interaction_id for version in versions)
    events = Interaction.objects.about_cars()
    last = events.filter(pk__lte=last_id).order_by("-occurred_at").values_list("occurred_at", flat=True).first()
    newer = events.filter(occurred_at__gt=last) if last else events.none()
    if newer.order_by().values("buyer").distinct()[:FEWEST_BUYERS].count() < FEWEST_BUYERS:
        return None
    return (last + timedelta(microseconds=1)).isoformat() if last else None
