"""Experiments in the console: a form without JSON, the rules of a variant with a preview, and the answer."""

from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry
from accounts.roles import OPERATOR, VIEWER
from recommendations.models import Experiment, Placement, RankerVersion
from tests.factories import PlacementFactory, RankerVersionFactory, UserFactory, user_of_role
from tests.recommendations.evaluation.test_experiments import SAME, reading_of, together

pytestmark = pytest.mark.django_db
ADD = "admin:recommendations_experiment_add"
BOTH = {"a": {"share": 0.5}, "b": {"share": 0.5, "overrides": {"diversity": 0.4}}}


def client_of(role: str) -> Client:
    client = Client()
    client.force_login(user_of_role(role))
    return client


@pytest.fixture
def operator() -> Client:
    return client_of(OPERATOR)


@pytest.fixture
def experiment() -> Experiment:
    return Experiment.objects.create(slug="x", placement=PlacementFactory(), variants=BOTH)


def running(experiment: Experiment) -> Experiment:
    experiment.status, experiment.started_at = "running", datetime(2026, 3, 1, tzinfo=UTC)
    reading = reading_of({"a": SAME, "b": {**SAME, "contacts": 0.6}})
    experiment.measured, experiment.measured_at = reading.as_json(), reading.read_at
    experiment.save()
    return experiment


def given(**changes) -> dict:
    return {
        "slug": "x", "placement": PlacementFactory().pk, "status": "draft", "arm_1": "a", "share_1": 50, "arm_2": "b",
        "share_2": 50, "holdout": 0, "metric": "contacts", "outcome_days": 7, "smallest_lift": 10, **changes,
    }  # fmt: skip


def url(experiment: Experiment, page: str, *args) -> str:
    return reverse(f"admin:recommendations_experiment_{page}", args=[experiment.pk, *args])


# --- The form --------------------------------------------------------------------------------------------------------
def test_variants_are_typed_in_fields(operator):
    page = operator.get(reverse(ADD)).text
    assert "textarea" in page  # the note
    assert 'name="variants"' not in page
    answer = operator.post(reverse(ADD), given(arm_3="c", share_3=25))
    made = Experiment.objects.get()
    assert answer.url == url(made, "report")
    assert made.variants == {name: {"share": share, "overrides": {}} for name, share in
                             (("a", 50), ("b", 50), ("c", 25))}  # fmt: skip
    assert (made.control, made.shares["c"]) == ("a", 0.2)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"arm_2": "a"}, "arm_1", "Two variants have this name"),
        ({"arm_2": ""}, "arm_2", "required"),
        ({"share_2": 0}, "share_2", "greater than or equal to 0.1"),
        ({"arm_2": "holdout"}, "arm_1", "take another"),
        ({"arm_2": "feed"}, "arm_1", "take another"),
        ({"arm_3": "c"}, "arm_1", "“c” needs a share above 0"),
        ({"status": "stopped"}, "status", "does not run"),
        ({"status": "scheduled"}, "starts_at", "Say when"),
        ({"arm_2": "interleaved"}, "arm_1", "take another"),
        ({"version_2": "999999"}, "version_2", "Select a valid choice"),
        ({"arm_3": "c", "share_3": 20, "mode": "interleaved"}, "arm_1", "made together by two variants"),
        ({"holdout": 60}, "holdout", "less than or equal to 50"),
        ({"outcome_days": 0}, "outcome_days", "greater than or equal to 1"),
        ({"ends_at_0": "2026-01-01", "ends_at_1": "10:00", "starts_at_0": "2026-01-02", "starts_at_1": "10:00"},
         "ends_at", "Ends before it starts"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_at_its_field(operator, changes, field, words):
    answer = operator.post(reverse(ADD), given(**changes))
    assert words in str(answer.context["adminform"].form.errors[field])
    assert not Experiment.objects.exists()


def test_a_variant_that_is_renamed_keeps_its_rules(operator, experiment):
    operator.post(url(experiment, "change"), given(arm_2="varied"))
    assert Experiment.objects.get().variants["varied"]["overrides"] == {"diversity": 0.4}


def test_a_variant_names_a_version_and_two_make_lists_together(operator):
    version = RankerVersionFactory(status="ready")
    operator.post(reverse(ADD), given(version_2=str(version.pk), mode="interleaved"))
    made = Experiment.objects.get()
    assert (made.mode, made.version_ids) == ("interleaved", {version.pk})
    assert f'value="{version.pk}" selected' in operator.get(url(made, "change")).text
    assert f"ranker: v{version.pk}" in operator.get(url(made, "report")).text.lower()
    operator.post(url(made, "change"), given(placement=made.placement_id, mode="interleaved"))
    assert Experiment.objects.get().version_ids == set()


@pytest.mark.parametrize("status", ["retired", "failed"])
def test_a_version_that_is_gone_is_shown_and_refused_and_not_dropped_in_silence(operator, status):
    version = RankerVersionFactory(status="ready")
    operator.post(reverse(ADD), given(version_2=str(version.pk), note="before"))
    made = Experiment.objects.get()
    RankerVersion.objects.filter(pk=version.pk).update(status=status)
    page = operator.get(url(made, "change")).text
    assert f'<option value="{version.pk}" selected>v{version.pk}, gone</option>' in page
    sent = given(placement=made.placement_id, note="after")
    answer = operator.post(url(made, "change"), {**sent, "version_2": str(version.pk)})
    assert f"“b” names the ranker version {version.pk}" in str(answer.context["adminform"].form.errors["arm_1"])
    made.refresh_from_db()
    assert (made.version_ids, made.note) == ({version.pk}, "before")
    operator.post(url(made, "change"), sent)
    made.refresh_from_db()
    assert (made.version_ids, made.note) == (set(), "after")


def test_more_versions_than_a_process_holds_are_not_started(operator):
    versions = RankerVersionFactory.create_batch(3, status="ready")
    variants = {name: {"share": 1, "version": one.pk} for name, one in zip("abc", versions, strict=True)}
    row = Experiment.objects.create(slug="x", placement=PlacementFactory(), variants=variants)
    said = operator.post(url(row, "report"), {"do": "start"}, follow=True).text
    assert "Not started: With the experiments that run" in said
    assert Experiment.objects.get().status == "draft"


def test_the_live_version_counts_where_it_is_named_as_another_may_go_live(operator):
    """Three named versions would have to be held once a fourth is live."""
    live, *others = RankerVersionFactory(live=True), *RankerVersionFactory.create_batch(2, status="ready")
    first = {"a": {"share": 1}, "b": {"share": 1, "version": live.pk}}
    Experiment.objects.create(slug="y", placement=PlacementFactory(), variants=first, status="running")
    variants = {name: {"share": 1, "version": one.pk} for name, one in zip("ab", others, strict=True)}
    row = Experiment.objects.create(slug="x", placement=PlacementFactory(slug="other"), variants=variants)
    said = operator.post(url(row, "report"), {"do": "start"}, follow=True).text
    assert "Not started: With the experiments that run" in said
    Experiment.objects.filter(pk=row.pk).update(variants={**variants, "b": {"share": 1, "version": live.pk}})
    assert "Started." in operator.post(url(row, "report"), {"do": "start"}, follow=True).text


def test_the_answer_of_two_that_make_lists_together(operator, experiment):
    experiment.mode, experiment.status, experiment.started_at = (
        "interleaved",
        "running",
        datetime(2026, 3, 1, tzinfo=UTC),
    )
    reading = together(0.3)
    experiment.measured, experiment.measured_at = reading.as_json(), reading.read_at
    experiment.save()
    page = operator.get(url(experiment, "report")).text
    assert "“b” is better than “a”" in page
    assert "contacts on the cars it chose" in page
    assert "Sample ratio" not in page


def test_one_that_was_started_keeps_its_variants(operator, experiment):
    running(experiment)
    page = operator.get(url(experiment, "change")).text
    assert 'name="arm_1"' not in page
    assert "a: 50% · b: 50%" in page
    operator.post(url(experiment, "change"), given(status="running", slug="other", arm_2="c", note="hoped for more"))
    kept = Experiment.objects.get()
    assert (kept.slug, kept.variants, kept.note) == ("x", BOTH, "hoped for more")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [("running", "draft", "can only be stopped"), ("stopped", "running", "Copy it to run it again")],
)
def test_no_way_leads_back(operator, experiment, before, after, words):
    running(experiment)
    experiment.status = before
    experiment.save()
    answer = operator.post(url(experiment, "change"), given(status=after))
    assert words in str(answer.context["adminform"].form.errors["status"])


def test_one_that_is_started_says_when_and_is_alone_on_its_placement(operator):
    operator.post(reverse(ADD), given(status="running", slug="one"))
    assert Experiment.objects.get().started_at is not None
    answer = operator.post(reverse(ADD), given(status="running", slug="other"))
    assert "“one” is running on this placement already" in str(answer.context["adminform"].form.errors["status"])


# --- The page --------------------------------------------------------------------------------------------------------
def test_a_draft_says_how_long_it_takes_and_is_started(operator, experiment):
    assert "Not measured yet" in operator.get(url(experiment, "report")).text
    operator.post(url(experiment, "report"), {"do": "start"})
    experiment.refresh_from_db()
    assert (experiment.status, experiment.planned_buyers) == ("running", None)
    assert AuditEntry.objects.get().action == "started"
    operator.post(url(experiment, "report"), {"do": "stop"})
    experiment.refresh_from_db()
    assert (experiment.status, experiment.stopped_at is not None) == ("stopped", True)
    assert "stopped it" in experiment.stop_reason


def test_one_that_runs_beside_another_is_not_started(operator, experiment):
    other = Experiment.objects.create(slug="y", placement=experiment.placement, variants=BOTH)
    running(experiment)
    answer = operator.post(url(other, "report"), {"do": "start"}, follow=True)
    assert "another experiment runs on this placement" in answer.text
    other.refresh_from_db()
    assert (other.status, other.started_at) == ("draft", None)


def test_the_page_of_one_that_runs_has_the_answer(operator, experiment):
    page = operator.get(url(running(experiment), "report")).text
    for words in ("“b” is better than “a”", "in order", "<svg", "corrected for that (Holm)", "usually 0.05"):
        assert words in page
    assert "is better" in operator.get(reverse("admin:recommendations_experiment_changelist")).text


def test_the_log_is_read_by_a_worker(operator, experiment, queued, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        operator.post(url(experiment, "report"), {"do": "measure"})
    assert queued == [("recommendations.measure_experiment", experiment.pk)]


def test_a_copy_is_a_draft_with_the_same_variants(operator, experiment):
    running(experiment)
    operator.post(url(experiment, "report"), {"do": "copy"})
    copy = Experiment.objects.exclude(pk=experiment.pk).get()
    assert (copy.slug, copy.status, copy.variants, copy.measured) == ("x-2", "draft", BOTH, {})


def test_variants_that_are_alike_are_said_to_be_before_the_start_and_after_it(operator, experiment):
    experiment.variants = {name: {"share": 50.0, "overrides": {}} for name in "ab"}
    experiment.save()
    assert "started like this, it is a trial run" in operator.get(url(experiment, "report")).text
    assert "this is a trial run" in operator.get(url(running(experiment), "report")).text
    experiment.variants["b"]["overrides"] = {"diversity": 0.9}
    experiment.save()
    assert "trial run" not in operator.get(url(experiment, "report")).text


def test_a_viewer_reads_and_changes_nothing(experiment):
    viewer = client_of(VIEWER)
    assert "Start now" not in viewer.get(url(experiment, "report")).text
    for do in ("start", "stop", "measure", "copy"):
        assert viewer.post(url(experiment, "report"), {"do": do}).status_code == 403
    assert viewer.post(url(experiment, "variant", 1), {"diversity": 1}).status_code == 403
    stranger = Client()
    stranger.force_login(UserFactory(is_staff=True))
    assert stranger.get(url(experiment, "report")).status_code == 403


@pytest.mark.parametrize("do", ["", "remove"])
def test_what_the_page_does_not_do_is_not_found(operator, experiment, do):
    assert operator.post(url(experiment, "report"), {"do": do}).status_code == 404
    assert operator.get(url(experiment, "variant", 2)).status_code == 404


# --- The rules of a variant ------------------------------------------------------------------------------------------
def typed(client: Client, address: str, **changes) -> dict:
    form = client.get(address).context["form"]
    return {**dict(form.as_query), "basis": form.basis, **changes}


def test_rules_of_a_variant_are_what_differs_from_the_placement(operator, experiment):
    address = url(experiment, "variant", 1)
    operator.post(address, typed(operator, address, boost_freshness="0.7", diversity="0.05", share_trending="0.3"))
    experiment.refresh_from_db()
    usual = Placement()
    assert usual.diversity == 0.05
    assert experiment.variants["b"] == {
        "share": 0.5,
        "overrides": {"boosts": {"freshness": 0.7}, "sources": {"trending": 0.3}},
    }
    assert AuditEntry.objects.get().after["variants"]["b"]["overrides"]["boosts"] == {"freshness": 0.7}
    assert 'name="k"' not in operator.get(address).text


def test_rules_of_one_that_was_started_stay(operator, experiment):
    address = url(running(experiment), "variant", 1)
    answer = operator.post(address, typed(operator, address, diversity="0.9"), follow=True)
    assert "ran already" in answer.text
    experiment.refresh_from_db()
    assert experiment.variants == BOTH


def test_a_change_of_the_same_moment_is_not_overwritten(operator, experiment):
    address = url(experiment, "variant", 1)
    later = typed(operator, address, diversity="0.9")
    operator.post(address, typed(operator, address, diversity="0.2"))
    assert "other values were saved meanwhile" in operator.post(address, later).text
    experiment.refresh_from_db()
    assert experiment.variants["b"]["overrides"]["diversity"] == 0.2
