"""Evaluations as rows: started, followed, stored; a crashed one holds no figures.

Figures are written in the transaction that says "done", so whoever finds figures can trust them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from recommendations.evaluation.of_log import LogParameters, backtest_log
from recommendations.evaluation.outcome import FORMAT, Outcome, Report, known, quiet
from recommendations.models import Evaluation, EvaluationFigure, RankerVersion

SILENCE_OF_THE_DEAD = timedelta(minutes=30)  # no step of an evaluation takes that long


def start_evaluation(*, parameters: dict[str, Any] | None = None, started_by: User | None = None) -> Evaluation:
    """A queued evaluation of the log, for ``run_evaluation``; raises EvaluationRefused for nonsense."""
    checked = LogParameters.from_json(parameters or {})
    version = RankerVersion.objects.filter(pk=checked.version).first() if checked.version else None
    return Evaluation.objects.create(parameters=checked.to_json(), version=version, started_by=started_by)


def run_evaluation(*, evaluation_id: int, report: Report = quiet) -> Evaluation | None:
    """Carry out a queued evaluation; None when somebody else took it. Raises what went wrong, after noting it."""
    if not claim(evaluation_id):
        return None
    evaluation = Evaluation.objects.get(pk=evaluation_id)
    parameters = LogParameters.from_json(evaluation.parameters)
    return carried_out(evaluation, lambda told: backtest_log(parameters, told), report)


def evaluate_now(
    source: str, parameters: dict[str, Any], work: Callable[[Report], Outcome], report: Report = quiet
) -> Evaluation:
    """Carry out some other backtest at once, as a row of its own: an event file, say."""
    evaluation = Evaluation.objects.create(source=source[:200], parameters=parameters)
    claim(evaluation.pk)
    return carried_out(evaluation, work, report)


def claim(evaluation_id: int) -> bool:
    """Take a queued evaluation, or one whose process has been silent for so long that it must have died."""
    now = timezone.now()
    dead = Q(status=Evaluation.Status.RUNNING, heartbeat_at__lt=now - SILENCE_OF_THE_DEAD)
    free = Evaluation.objects.filter(Q(status=Evaluation.Status.QUEUED) | dead, pk=evaluation_id)
    return bool(free.update(status=Evaluation.Status.RUNNING, started_at=now, heartbeat_at=now))


def dead_evaluations() -> list[int]:
    """Evaluations of the log that were begun, and that no process has worked on for long: killed, or told to stop."""
    begun = Evaluation.objects.filter(
        source=Evaluation.LOG, status__in=[Evaluation.Status.RUNNING, Evaluation.Status.QUEUED]
    )
    silent = begun.filter(heartbeat_at__lt=timezone.now() - SILENCE_OF_THE_DEAD)
    return list(silent.values_list("pk", flat=True))


def carried_out(evaluation: Evaluation, work: Callable[[Report], Outcome], report: Report) -> Evaluation:
    def told(fraction: float, step: str) -> None:
        Evaluation.objects.filter(pk=evaluation.pk).update(
            progress=fraction, step=step[:120], heartbeat_at=timezone.now()
        )
        report(fraction, step)

    try:
        store(evaluation, work(told))
    except SystemExit:  # the process is told to stop: whoever starts next begins again
        Evaluation.objects.filter(pk=evaluation.pk).update(status=Evaluation.Status.QUEUED, progress=0, step="")
        raise
    except BaseException as error:
        Evaluation.objects.filter(pk=evaluation.pk).update(
            status=Evaluation.Status.FAILED, error=str(error) or type(error).__name__, finished_at=timezone.now()
        )
        raise
    evaluation.refresh_from_db()
    return evaluation


@transaction.atomic
def store(evaluation: Evaluation, outcome: Outcome) -> None:
    """All figures and the word that they are complete, or nothing."""
    evaluation.figures.all().delete()
    EvaluationFigure.objects.bulk_create(
        EvaluationFigure(
            evaluation=evaluation,
            ranker=figure.ranker,
            slice=figure.slice,
            metric=figure.metric,
            k=figure.k,
            value=known(figure.value),
            low=known(figure.low),
            high=known(figure.high),
            n=figure.n,
        )
        for figure in outcome.figures
    )
    now = timezone.now()
    Evaluation.objects.filter(pk=evaluation.pk).update(
        status=Evaluation.Status.DONE,
        source=outcome.source[:200],
        moment=outcome.moment,
        n_events=outcome.n_events,
        n_buyers=outcome.n_buyers,
        n_candidates=outcome.n_candidates,
        summary=outcome.to_json()["summary"],
        progress=1,
        step="",
        error="",
        heartbeat_at=now,
        finished_at=now,
    )


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """A stored evaluation in the form of ``Outcome.to_json``, with its number and when it was made."""
    figures = evaluation.figures.values("ranker", "slice", "metric", "k", "value", "low", "high", "n").order_by("pk")
    return {
        "format": FORMAT,
        "evaluation": evaluation.pk,
        "version": evaluation.version_id,
        "finished_at": evaluation.finished_at.isoformat() if evaluation.finished_at else None,
        "source": evaluation.source,
        "moment": evaluation.moment.isoformat() if evaluation.moment else None,
        "n_events": evaluation.n_events,
        "n_buyers": evaluation.n_buyers,
        "n_candidates": evaluation.n_candidates,
        "summary": evaluation.summary,
        "figures": list(figures),
    }
