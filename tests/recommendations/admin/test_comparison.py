"""Rankers side by side in the admin: who may view them, and what the buttons do."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry
from accounts.roles import VIEWER
from recommendations.models import Evaluation, EvaluationFigure, RankerVersion
from tests.factories import BuyerFactory, RankerVersionFactory, UserFactory, user_of_role
from tests.markets import trained_market, view

pytestmark = pytest.mark.django_db
PAGE = "admin:recommendations_rankerversion_comparison"
QUERIES = 17


@pytest.fixture
def versions() -> tuple[RankerVersion, RankerVersion]:
    """A live version, and one that is ready and was evaluated beside it."""
    live, ready = RankerVersionFactory(live=True), RankerVersionFactory()
    made = Evaluation.objects.create(
        status="done", version=ready, parameters={"beside": [live.pk]}, n_buyers=40,
        summary={"known": {"forecourt": 0.0, f"v{live.pk}": 0.0}},
    )  # fmt: skip
    for ranker, metric, value, low, high, of_slice in (
        ("forecourt", "ndcg", 0.3, 0.2, 0.4, "all"), (f"v{live.pk}", "ndcg", 0.25, 0.15, 0.35, "all"),
        (f"v{live.pk}", "lead in ndcg", 0.05, 0.01, 0.09, "all"), ("forecourt", "ndcg", 0.1, 0.0, 0.2, "cold buyer"),
        (f"v{live.pk}", "ndcg", 0.1, 0.0, 0.2, "cold buyer"),
    ):  # fmt: skip
        EvaluationFigure.objects.create(
            evaluation=made, ranker=ranker, metric=metric, k=10, slice=of_slice, value=value, low=low, high=high, n=40
        )
    return live, ready


def address(*versions: RankerVersion, **more: str) -> str:
    return reverse(PAGE, query={"v": [version.pk for version in versions], **more})


# --- Looking ---------------------------------------------------------------------------------------------------------
def test_a_viewer_reads_which_is_better_with_figures_slices_and_plots(viewer: Client, versions):
    live, ready = versions
    text = viewer.get(address(ready, live)).text
    assert f"{ready} finds 20% more than {live}" in text
    assert "so it is not chance" in text
    assert "0.300 (0.200 to 0.400)" in text
    assert "Cold buyer" in text
    assert f"surely behind {ready}" in text
    assert text.count("<svg xmlns") == 2  # NDCG, and the lead in it
    assert "Promote" not in text.split("<main", 1)[-1].split("Promote or roll back", 1)[-1].split("Figures", 1)[0]


def test_two_of_three_that_were_asked_the_same_are_compared_all_the_same(viewer: Client, versions):
    live, ready = versions
    text = viewer.get(address(ready, live, RankerVersionFactory())).text
    assert f"{ready} finds 20% more than {live}" in text
    assert "It is not known yet" in text
    assert "Not all of them were asked the same" in text


def test_the_usual_versions_come_without_asking(viewer: Client, versions):
    live, ready = versions
    assert viewer.get(reverse(PAGE)).context["versions"] == [live, ready]


def test_before_the_first_training_the_page_says_what_to_do(viewer: Client):
    assert "A first training makes one." in viewer.get(reverse(PAGE)).text


def test_one_version_alone_asks_for_another(viewer: Client):
    RankerVersionFactory(live=True)
    assert "There is only one version to look at." in viewer.get(reverse(PAGE)).text


@pytest.mark.parametrize("asked", ["v=7777", "v=x", f"v={'9' * 40}"])
def test_versions_that_do_not_exist_are_refused(viewer: Client, versions, asked: str):
    response = viewer.get(f"{reverse(PAGE)}?{asked}")
    assert "Select a valid choice" in response.text
    assert "versions" not in response.context


def test_more_versions_than_fit_are_refused(viewer: Client):
    many = [RankerVersionFactory() for _ in range(5)]
    assert "5 versions do not fit side by side" in viewer.get(address(*many)).text


def test_a_retired_version_is_described_by_what_was_kept(viewer: Client, versions):
    live, _ = versions
    kept = {"rankers": {"forecourt": {"ndcg@20": 0.1234}}}
    retired = RankerVersionFactory(status="retired", n_listings=1_234, metrics=kept)
    text = viewer.get(address(live, retired)).text
    assert "1,234" in text
    assert "<td>–</td><td>0.123</td>" in text
    assert "It is not known yet" in text


def test_lists_are_shown_on_request_to_those_who_may_see_buyers(client: Client):
    market = trained_market()
    view(BuyerFactory(external=True, external_id="alice"), *market.bmws[:4])
    client.force_login(user_of_role(VIEWER))
    text = client.get(address(market.version, lists="1")).text
    assert "alice" in text
    assert "BMW 3 Series" in text
    few = UserFactory(is_staff=True)
    few.user_permissions.set(
        Permission.objects.filter(codename__in=["view_rankerversion", "view_evaluation", "view_trainingrun"])
    )
    client.force_login(few)
    assert client.get(address(market.version, lists="1")).status_code == 403
    assert "alice" not in client.get(address(market.version)).text


def test_staff_without_permission_sees_nothing(client: Client, versions):
    client.force_login(UserFactory(is_staff=True))
    assert client.get(reverse(PAGE)).status_code == 403


def test_a_longer_comparison_takes_few_queries(viewer: Client, versions, django_assert_max_num_queries):
    viewer.get(address(*versions))
    with django_assert_max_num_queries(QUERIES):
        viewer.get(address(*versions))


def test_a_version_leads_to_the_comparison_with_the_live_one(viewer: Client, versions):
    live, ready = versions
    response = viewer.get(reverse("admin:recommendations_rankerversion_compare_this", args=[ready.pk]))
    assert response.url == address(live, ready)
    response = viewer.get(reverse("admin:recommendations_rankerversion_compare_this", args=[live.pk]))
    assert response.url == reverse(PAGE)


# --- Acting ----------------------------------------------------------------------------------------------------------
def test_an_operator_promotes_and_rolls_back_and_the_audit_log_records_both_sides(operator: Client, versions):
    live, ready = versions
    operator.post(address(live, ready), {"do": "promote", "version": ready.pk, "note": "Finds more."})
    ready.refresh_from_db()
    assert (RankerVersion.objects.live(), ready.note) == (ready, "Finds more.")
    entry = AuditEntry.objects.get(action="promoted")
    assert (entry.before, entry.after["live"], entry.note) == ({"live": str(live)}, str(ready), "Finds more.")
    operator.post(address(live, ready), {"do": "roll_back", "note": "Complaints."})
    assert RankerVersion.objects.live() == live
    entry = AuditEntry.objects.get(action="rolled back")
    assert (entry.before, entry.after["live"], entry.note) == ({"live": str(ready)}, str(live), "Complaints.")


def test_a_version_that_failed_the_gate_is_refused_without_a_note(operator: Client, versions):
    live, ready = versions
    RankerVersion.objects.filter(pk=ready.pk).update(gate={"passed": False, "reason": "It shows less."})
    response = operator.post(address(live, ready), {"do": "promote", "version": ready.pk, "note": " "}, follow=True)
    assert "so it takes a note" in response.text
    assert RankerVersion.objects.live() == live
    assert not AuditEntry.objects.filter(action="promoted").exists()


def test_all_versions_compared_are_queued_in_one_evaluation(
    operator: Client, versions, queued, django_capture_on_commit_callbacks
):
    live, ready = versions
    with django_capture_on_commit_callbacks(execute=True):
        response = operator.post(address(ready, live), {"do": "evaluate"}, follow=True)
    asked = Evaluation.objects.get(status="queued")
    assert (asked.version, asked.parameters["beside"], asked.parameters["with_baselines"]) == (ready, [live.pk], False)
    assert queued == [("recommendations.evaluate", asked.pk)]
    assert "They are being asked the same right now" in response.text


def test_one_version_alone_is_not_evaluated_beside_nothing(operator: Client, queued):
    live = RankerVersionFactory(live=True)
    response = operator.post(address(live), {"do": "evaluate"}, follow=True)
    assert "Nothing was started: it takes two versions" in response.text
    assert not Evaluation.objects.exists()


@pytest.mark.parametrize("button", [{"do": "promote"}, {"do": "roll_back"}, {"do": "evaluate"}])
def test_a_viewer_presses_no_button(viewer: Client, versions, queued, button: dict):
    live, ready = versions
    assert viewer.post(address(live, ready), {**button, "version": ready.pk}).status_code == 403
    assert (RankerVersion.objects.live(), queued, Evaluation.objects.count()) == (live, [], 1)
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("button", [{}, {"do": "explode"}, {"do": "promote", "version": "x"}])
def test_unknown_buttons_change_nothing(operator: Client, versions, button: dict):
    live, ready = versions
    response = operator.post(address(live, ready), button, follow=True)
    assert "Nothing was changed" in response.text
    assert RankerVersion.objects.live() == live
