"""Evaluations as rows: started, followed, stored; a crashed one holds no figures.

Figures are written in the transaction that says "done", so figures that are found can be trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction

from accounts.models import User
from jobs.work import Attempt, perform
from recommendations.evaluation.log_backtest import LogParameters, backtest_log
from recommendations.evaluation.outcome import FORMAT, Outcome, Report, known, no_report
from recommendations.models import Evaluation, EvaluationFigure, RankerVersion


def start_evaluation(*, parameters: dict[str, Any] | None = None, started_by: User | None = None) -> Evaluation:
    """A queued evaluation of the log, for ``run_evaluation``; raises EvaluationRefused for nonsense."""
    checked = LogParameters.from_json(parameters or {})
    version = RankerVersion.objects.filter(pk=checked.version).first() if checked.version else None
    return Evaluation.objects.create(parameters=checked.to_json(), version=version, started_by=started_by)


def run_evaluation(*, evaluation_id: int, report: Report = no_report) -> Evaluation | None:
    """Carry out a queued evaluation; None when another process has it, or it was cancelled. Raises what went wrong."""

    def work(attempt: Attempt[Evaluation]) -> None:
        parameters = LogParameters.from_json(attempt.job.parameters)
        store(attempt, backtest_log(parameters, reports_to(attempt, report)))

    is_done = perform(Evaluation, evaluation_id, work)
    return Evaluation.objects.get(pk=evaluation_id) if is_done else None


def evaluate_now(
    source: str, parameters: dict[str, Any], work: Callable[[Report], Outcome], report: Report = no_report
) -> Evaluation:
    """Carry out some other backtest at once, as a row of its own: an event file, say."""
    evaluation = Evaluation.objects.create(source=source[:200], parameters=parameters)
    perform(Evaluation, evaluation.pk, lambda attempt: store(attempt, work(reports_to(attempt, report))))
    evaluation.refresh_from_db()
    return evaluation


def reports_to(attempt: Attempt[Evaluation], report: Report) -> Report:
    """Reports to the row and to the caller how far it is."""

    def both(fraction: float, step: str) -> None:
        attempt.report(fraction, step)
        report(fraction, step)

    return both


@transaction.atomic
def store(attempt: Attempt[Evaluation], outcome: Outcome) -> None:
    """All figures and the word that they are complete, or nothing."""
    evaluation = attempt.job
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
    attempt.finish(
        source=outcome.source[:200],
        moment=outcome.moment,
        n_events=outcome.n_events,
        n_buyers=outcome.n_buyers,
        n_candidates=outcome.n_candidates,
        summary=outcome.to_json()["summary"],
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
