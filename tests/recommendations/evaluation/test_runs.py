from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.work import CRASHED, resume_jobs
from recommendations.evaluation import runs
from recommendations.evaluation.runs import as_json, evaluate_now, run_evaluation, start_evaluation
from recommendations.exceptions import EvaluationRefused
from recommendations.models import Evaluation, EvaluationFigure
from tests.factories import UserFactory
from tests.recommendations.evaluation.test_report import OUTCOME

pytestmark = pytest.mark.django_db


@pytest.fixture
def found(monkeypatch):
    """What the backtest will find; None for what really happens."""
    monkeypatch.setattr(runs, "backtest_log", lambda parameters, report: report(0.5, "half") or OUTCOME)


@pytest.mark.usefixtures("found")
def test_an_evaluation_stores_its_figures_and_says_that_it_is_done():
    user = UserFactory()
    evaluation = run_evaluation(evaluation_id=start_evaluation(started_by=user).pk)
    assert evaluation.status == Evaluation.Status.DONE
    assert evaluation.started_by == user
    assert (evaluation.n_buyers, evaluation.n_events, evaluation.n_candidates) == (40, 1_234, 900)
    assert (evaluation.progress, evaluation.error) == (1, "")
    figure = evaluation.figures.get(ranker="forecourt", slice="all", metric="ndcg", k=10)
    assert (figure.value, figure.low, figure.high, figure.n) == (0.32, 0.27, 0.37, 40)
    assert evaluation.figures.get(slice="cold buyer").value is None


@pytest.mark.usefixtures("found")
def test_a_stored_evaluation_reads_like_one_that_was_not_stored():
    document = as_json(run_evaluation(evaluation_id=start_evaluation().pk))
    direct = OUTCOME.to_json()
    assert {name: document[name] for name in direct} == direct


@pytest.mark.usefixtures("found")
def test_an_evaluation_is_carried_out_once():
    evaluation = start_evaluation()
    assert run_evaluation(evaluation_id=evaluation.pk) is not None
    assert run_evaluation(evaluation_id=evaluation.pk) is None


@pytest.mark.usefixtures("found")
def test_one_whose_process_died_is_made_anew():
    evaluation = start_evaluation()
    silent = timezone.now() - timedelta(hours=1)
    Evaluation.objects.filter(pk=evaluation.pk).update(status="running", heartbeat_at=timezone.now())
    assert run_evaluation(evaluation_id=evaluation.pk) is None
    Evaluation.objects.filter(pk=evaluation.pk).update(heartbeat_at=silent)
    assert run_evaluation(evaluation_id=evaluation.pk).status == Evaluation.Status.DONE


def test_a_failed_one_says_why_and_has_no_figures(monkeypatch):
    def fail(parameters, report):
        raise ValueError("the moon was in the way")

    monkeypatch.setattr(runs, "backtest_log", fail)
    evaluation = start_evaluation()
    with pytest.raises(ValueError, match="moon"):
        run_evaluation(evaluation_id=evaluation.pk)
    evaluation.refresh_from_db()
    assert (evaluation.status, evaluation.error) == (Evaluation.Status.FAILED, "the moon was in the way")
    assert not EvaluationFigure.objects.exists()


def test_one_whose_worker_receives_a_stop_signal_goes_back_to_the_queue(monkeypatch):
    def stop(parameters, report):
        raise SystemExit(0)

    monkeypatch.setattr(runs, "backtest_log", stop)
    evaluation = start_evaluation()
    with pytest.raises(SystemExit):
        run_evaluation(evaluation_id=evaluation.pk)
    evaluation.refresh_from_db()
    assert evaluation.status == Evaluation.Status.QUEUED


def test_a_site_without_events_has_nothing_to_evaluate():
    evaluation = start_evaluation()
    with pytest.raises(EvaluationRefused, match="no events to learn from"):
        run_evaluation(evaluation_id=evaluation.pk)
    evaluation.refresh_from_db()
    assert evaluation.error == "there are no events to learn from"


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"half_life": 3}, "unknown parameter half_life"),
        ({"test_share": 1.5}, "test_share"),
        ({"test_from": "soon"}, "“soon” is no date"),
        ({"max_buyers": 0}, "max_buyers"),
        ({"test_days": 0}, "test_days"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_and_leave_no_row(parameters, complaint):
    with pytest.raises(EvaluationRefused, match=complaint):
        start_evaluation(parameters=parameters)
    assert not Evaluation.objects.exists()


def test_other_backtests_become_rows_of_their_own():
    evaluation = evaluate_now("orders.csv", {"seed": 1}, lambda report: OUTCOME)
    assert (evaluation.status, evaluation.source) == ("done", "orders <2026>.csv")
    assert evaluation.figures.count() == len(OUTCOME.figures)


def test_only_evaluations_of_the_log_are_begun_anew_when_their_process_died(queued):
    silent = {"status": "running", "heartbeat_at": timezone.now() - timedelta(hours=1)}
    killed = Evaluation.objects.create(**silent)
    of_a_file = Evaluation.objects.create(source="orders.csv", **silent)  # which may be gone
    resume_jobs(timezone.now())
    assert queued == [("recommendations.evaluate", killed.pk)]
    of_a_file.refresh_from_db()
    assert (of_a_file.status, of_a_file.error) == ("interrupted", CRASHED)
