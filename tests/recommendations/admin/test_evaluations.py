"""Evaluations in the admin: started by the button, read as tables and plots, taken away as files."""

import json

import pytest
from django.urls import reverse

from recommendations.evaluation.runs import evaluate_now
from recommendations.models import Evaluation, RankerVersion
from tasks.recommendations import evaluate_task
from tests.factories import RankerVersionFactory, UserFactory
from tests.recommendations.evaluation.test_report import OUTCOME

pytestmark = pytest.mark.django_db
LIST = "admin:recommendations_evaluation_changelist"
ASKED = {"_form_submitted": "on", "version": "", "test_percent": 20, "max_buyers": 100}


@pytest.fixture
def evaluation() -> Evaluation:
    return evaluate_now("orders.csv", {}, lambda report: OUTCOME)


def page(evaluation, name="change"):
    return reverse(f"admin:recommendations_evaluation_{name}", args=[evaluation.pk])


def start(client, captured, **given):
    with captured(execute=True):
        return client.post(reverse("admin:recommendations_evaluation_evaluate_now"), ASKED | given)


def test_the_button_queues_an_evaluation_and_leads_to_its_page(operator, queued, django_capture_on_commit_callbacks):
    response = start(operator, django_capture_on_commit_callbacks)
    evaluation = Evaluation.objects.get()
    assert queued == [("recommendations.evaluate", evaluation.pk)]
    assert evaluation.parameters["test_share"] == 0.2
    assert evaluation.parameters["max_buyers"] == 100
    assert evaluation.started_by.is_staff
    assert response.headers["HX-Redirect"] == page(evaluation)


def test_a_stored_version_may_be_asked(operator, queued, django_capture_on_commit_callbacks):
    version = RankerVersionFactory(live=True)
    start(operator, django_capture_on_commit_callbacks, version=version.pk)
    assert Evaluation.objects.get().version == version


def test_a_retired_version_is_not_among_those_to_choose(operator, queued, django_capture_on_commit_callbacks):
    version = RankerVersionFactory(status=RankerVersion.Status.RETIRED)
    start(operator, django_capture_on_commit_callbacks, version=version.pk)
    assert not Evaluation.objects.exists()


def test_a_user_with_only_view_permission_starts_nothing(viewer, queued, django_capture_on_commit_callbacks):
    start(viewer, django_capture_on_commit_callbacks)
    assert not Evaluation.objects.exists()
    assert queued == []


def test_the_list_shows_ours_and_the_best_other(operator, evaluation):
    text = operator.get(reverse(LIST)).text
    assert "0.320" in text
    assert "0.200 (popular)" in text


def test_the_page_shows_plots_tables_and_what_to_know(viewer, evaluation):
    text = viewer.get(page(evaluation)).text
    assert text.count("<svg xmlns") == 4
    assert "7 rows without a user were left out." in text
    assert "0.1200 (0.080 to 0.160)" in text
    assert "learned anew" in text


def test_a_queued_evaluation_has_a_page_without_figures(viewer):
    assert "not there before the evaluation is done" in viewer.get(page(Evaluation.objects.create())).text


def test_everything_can_be_taken_away_as_json(viewer, evaluation):
    response = viewer.get(page(evaluation, "download_json"))
    assert f'filename="evaluation-{evaluation.pk}.json"' in response.headers["Content-Disposition"]
    assert json.loads(response.content)["figures"] == OUTCOME.to_json()["figures"]


def test_the_report_is_a_page_of_its_own(viewer, evaluation):
    response = viewer.get(page(evaluation, "open_report"))
    assert response.text.startswith("<!doctype html>")
    assert "<script" not in response.text
    assert "Content-Security-Policy" in response.headers


@pytest.mark.parametrize("name", ["download_json", "open_report"])
def test_neither_is_for_staff_without_permission(client, evaluation, name):
    client.force_login(UserFactory(is_staff=True))
    assert client.get(page(evaluation, name)).status_code == 403


def test_the_task_carries_out_what_was_queued_and_says_which(monkeypatch, evaluation):
    monkeypatch.setattr("tasks.recommendations.run_evaluation", lambda evaluation_id: f"evaluation {evaluation_id}")
    assert evaluate_task(7) == "evaluation 7"
