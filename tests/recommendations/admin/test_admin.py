"""The recommender's pages: jobs that are queued and followed, rankers that are moved, preferences that can be read."""

from datetime import timedelta

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts.models import AuditEntry
from catalog.models import Listing
from jobs import queue
from recommendations.admin.training_form import USUAL
from recommendations.buyers import profiles
from recommendations.buyers.refresh import refresh_preferences
from recommendations.listings.rows import read_listings
from recommendations.listings.vectors import write_vectors
from recommendations.models import EventKind, Preference, RankerVersion, SeedRun, TrainingRun
from recommendations.training.runs import run_training, start_training
from recommender_site.celery import app
from tests.factories import (
    BuyerFactory,
    InteractionFactory,
    ListingFactory,
    PlacementFactory,
    PreferenceFactory,
    RankerVersionFactory,
    ServedListFactory,
    UserFactory,
)
from tests.vector_tables import create_partition

pytestmark = pytest.mark.django_db
RUNS = "admin:recommendations_trainingrun_changelist"
KINDS = "admin:recommendations_eventkind"
SUBMITTED = {"_form_submitted": "on"}


def messages_of(response) -> list[str]:
    return [str(message) for message in response.context["messages"]]


# --- Training --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("list_name", ["trainingrun", "rankerversion"])
def test_retrain_now_queues_a_training_and_leads_to_its_page(
    operator: Client, queued, list_name: str, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        button = reverse(f"admin:recommendations_{list_name}_retrain_now")
        response = operator.post(button, {**SUBMITTED, "promote": "on"})
    run = TrainingRun.objects.get()
    assert (run.status, run.promote, run.started_by.is_staff) == ("queued", True, True)
    assert queued == [("recommendations.retrain", run.pk)]
    assert response.headers["HX-Redirect"] == reverse("admin:recommendations_trainingrun_change", args=[run.pk])


def test_looking_at_the_retrain_dialog_starts_nothing(operator: Client):
    page = operator.get(reverse("admin:recommendations_trainingrun_retrain_now"))
    assert "Train a new ranker version" in page.text
    assert not TrainingRun.objects.exists()


def test_a_training_is_started_with_parameters_from_the_form(
    operator: Client, queued, django_capture_on_commit_callbacks
):
    given = {"history_days": 30, "held_back_share": 0.2, "seed": ""}
    with django_capture_on_commit_callbacks(execute=True):
        response = operator.post(reverse("admin:recommendations_trainingrun_add"), given)
    run = TrainingRun.objects.get()
    assert run.parameters == {**USUAL, "history_days": 30, "held_back_share": 0.2}
    assert run.promote is False
    assert queued == [("recommendations.retrain", run.pk)]
    assert response.url == reverse("admin:recommendations_trainingrun_change", args=[run.pk])


def test_the_form_explains_each_parameter_with_its_usual_value_and_its_limits(operator: Client):
    response = operator.get(reverse("admin:recommendations_trainingrun_add"))
    form = response.context["adminform"].form
    assert set(USUAL) < set(form.fields)
    assert {name: form[name].initial for name in USUAL} == USUAL
    assert "Events older than this are not learned from. From 1 to 3,650, usually 365." in response.text
    assert response.context["adminform"].form["promote"].initial is True


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("history_days", 0), ("history_days", 9_999), ("prior_buyers", -1), ("events_per_buyer", "many"),
        ("held_back_share", 1), ("held_back_share", "nan"), ("archetype_half_life_days", 0), ("seed", 2**40),
    ],
)  # fmt: skip
def test_parameters_that_make_no_sense_are_refused_beside_their_field(operator: Client, field: str, value):
    response = operator.post(reverse("admin:recommendations_trainingrun_add"), {field: value})
    assert list(response.context["adminform"].form.errors) == [field]
    assert not TrainingRun.objects.exists()


def test_a_run_shows_its_parameters_the_unusual_first_and_can_be_repeated(operator: Client):
    run = start_training(parameters={"seed": 7}, promote=False)
    page = operator.get(reverse("admin:recommendations_trainingrun_change", args=[run.pk]))
    assert "<td>Seed</td><td>7</td><td>0</td></tr><tr><td>Days of history</td><td>365</td>" in page.text
    again = operator.get(reverse("admin:recommendations_trainingrun_train_again", args=[run.pk]), follow=True)
    form = again.context["adminform"].form
    assert (form["seed"].value(), form["history_days"].value(), form["promote"].value()) == ("7", 365, False)


def test_the_retrain_dialog_leads_to_the_form(operator: Client):
    page = operator.get(reverse("admin:recommendations_trainingrun_retrain_now"))
    assert reverse("admin:recommendations_trainingrun_add") in page.text


def test_a_dead_workers_job_says_that_it_is_begun_anew(operator: Client):
    run = TrainingRun.objects.create(status="running", heartbeat_at=timezone.now() - timedelta(minutes=4))
    page = operator.get(reverse("admin:recommendations_trainingrun_progress", args=[run.pk]))
    assert "another begins the job anew" in page.text


def test_a_broker_that_is_down_costs_no_error_and_the_job_can_be_queued_again(
    operator: Client, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks
):
    def refuse(name, **how):
        raise OperationalError("the broker is away")

    queue.breaker.close()
    monkeypatch.setattr(app, "send_task", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        operator.post(reverse("admin:recommendations_trainingrun_retrain_now"), SUBMITTED)
    run = TrainingRun.objects.get()
    assert run.status == "queued"

    handed = []
    queue.breaker.close()
    monkeypatch.setattr(app, "send_task", lambda name, args, **how: handed.append((name, *args)))
    with django_capture_on_commit_callbacks(execute=True):
        operator.post(reverse("admin:recommendations_trainingrun_queue_again", args=[run.pk]), SUBMITTED)
    assert handed == [("recommendations.retrain", run.pk)]


def test_a_job_that_runs_is_not_queued_a_second_time(operator: Client, queued, django_capture_on_commit_callbacks):
    run = TrainingRun.objects.create(status="running")
    with django_capture_on_commit_callbacks(execute=True):
        operator.post(reverse("admin:recommendations_trainingrun_queue_again", args=[run.pk]), SUBMITTED)
    assert queued == []


def test_a_cancelled_training_stops_and_the_audit_log_names_who_did_it(operator: Client):
    ListingFactory()
    run = start_training()
    operator.post(reverse("admin:recommendations_trainingrun_cancel", args=[run.pk]), SUBMITTED)
    assert run_training(run_id=run.pk) is None
    run.refresh_from_db()
    assert run.status == "cancelled"
    entry = AuditEntry.objects.get(action="cancelled", model="recommendations.trainingrun")
    assert (entry.object_id, entry.before["status"], entry.by.is_staff) == (str(run.pk), "queued", True)


def test_cancelling_what_has_ended_changes_nothing(operator: Client):
    run = TrainingRun.objects.create(status="done")
    operator.post(reverse("admin:recommendations_trainingrun_cancel", args=[run.pk]), SUBMITTED)
    run.refresh_from_db()
    assert run.status == "done"


@pytest.mark.parametrize(
    ("status", "offered"),
    [("queued", {"queue_again", "cancel"}), ("running", {"cancel"}), ("done", set()), ("failed", set()),
     ("cancelled", set())],
)  # fmt: skip
def test_a_job_offers_the_buttons_that_it_would_not_refuse(operator: Client, status: str, offered: set[str]):
    run = TrainingRun.objects.create(status=status)
    page = operator.get(reverse("admin:recommendations_trainingrun_change", args=[run.pk])).text
    for button in ("queue_again", "cancel"):
        assert (reverse(f"admin:recommendations_trainingrun_{button}", args=[run.pk]) in page) is (button in offered)


@pytest.mark.parametrize("status", RankerVersion.Status.values)
def test_a_version_offers_to_be_promoted_where_it_is_ready_and_says_why_it_failed(operator: Client, status: str):
    version = RankerVersionFactory(status=status)
    TrainingRun.objects.create(status="failed", version=version, error="there is nothing to learn from")
    page = operator.get(reverse("admin:recommendations_rankerversion_change", args=[version.pk])).text
    assert (reverse("admin:recommendations_rankerversion_promote", args=[version.pk]) in page) is (status == "ready")
    assert "there is nothing to learn from" in page


@pytest.mark.parametrize("button", ["retrain_now", "queue_again", "cancel", "train_again"])
def test_a_viewer_cannot_start_or_stop_trainings(viewer: Client, button: str):
    run = TrainingRun.objects.create(status="queued")
    args = [] if button == "retrain_now" else [run.pk]
    response = viewer.post(reverse(f"admin:recommendations_trainingrun_{button}", args=args), SUBMITTED)
    assert response.status_code == 403
    assert "Retrain now" not in viewer.get(reverse(RUNS)).text
    assert list(TrainingRun.objects.values_list("status", flat=True)) == ["queued"]


# --- Progress --------------------------------------------------------------------------------------------------------
def test_the_page_of_a_running_job_asks_for_its_progress_and_a_finished_one_does_not(operator: Client):
    run = TrainingRun.objects.create(status="running", progress=0.62, step="fitting the prior", log="read 10 listings")
    page = reverse("admin:recommendations_trainingrun_change", args=[run.pk])
    progress = reverse("admin:recommendations_trainingrun_progress", args=[run.pk])
    text = operator.get(page).text
    assert f'hx-get="{progress}"' in text
    assert 'aria-valuenow="62"' in text
    assert "fitting the prior" in text
    assert "read 10 listings" in text
    TrainingRun.objects.update(status="done")
    assert f'hx-get="{progress}"' not in operator.get(page).text


def test_progress_is_a_small_piece_and_a_finished_job_reloads_the_page(operator: Client):
    run = SeedRun.objects.create(status="running", progress=0.5)
    progress = reverse("admin:recommendations_seedrun_progress", args=[run.pk])
    running = operator.get(progress)
    assert "50 %" in running.text
    assert "<html" not in running.text
    assert "HX-Refresh" not in running.headers
    SeedRun.objects.update(status="failed", error="the disk is full")
    ended = operator.get(progress)
    assert ended.headers["HX-Refresh"] == "true"
    assert "the disk is full" in ended.text


@pytest.mark.parametrize("status", SeedRun.Status.values)
def test_only_a_queued_job_waits(operator: Client, status: str):
    run = SeedRun.objects.create(status=status)
    for page in ("progress", "change"):
        shown = operator.get(reverse(f"admin:recommendations_seedrun_{page}", args=[run.pk])).text
        assert ("<strong>Waiting</strong>" in shown) == (status == "queued"), page


def test_the_progress_of_no_job_is_not_found(operator: Client):
    assert operator.get(reverse("admin:recommendations_seedrun_progress", args=[404])).status_code == 404


def test_progress_needs_the_permission_to_see_the_job(client: Client):
    client.force_login(UserFactory(is_staff=True))
    run = SeedRun.objects.create()
    assert client.get(reverse("admin:recommendations_seedrun_progress", args=[run.pk])).status_code == 403


def test_a_job_that_no_worker_takes_says_what_to_do(operator: Client):
    run = SeedRun.objects.create(created_at=timezone.now() - timedelta(minutes=5))
    assert (
        "No worker has taken it yet"
        in operator.get(reverse("admin:recommendations_seedrun_progress", args=[run.pk])).text
    )


@pytest.mark.parametrize(("status", "polls"), [("running", True), ("done", False)])
def test_a_list_of_jobs_follows_only_what_runs(operator: Client, status: str, polls: bool):
    TrainingRun.objects.create(status=status)
    assert ("every 4s" in operator.get(reverse(RUNS)).text) is polls


# --- Seeding ---------------------------------------------------------------------------------------------------------
def test_seeding_is_queued_with_the_sizes_asked_for(operator: Client, queued, django_capture_on_commit_callbacks):
    given = {"n_listings": 300, "n_buyers": 20, "n_events": 900, "seed": 7}
    with django_capture_on_commit_callbacks(execute=True):
        response = operator.post(reverse("admin:recommendations_seedrun_add"), given)
    run = SeedRun.objects.get()
    assert (run.n_listings, run.n_buyers, run.n_events, run.seed, run.status) == (300, 20, 900, 7, "queued")
    assert run.started_by.is_staff
    assert queued == [("catalog.seed_marketplace", run.pk)]
    assert response.url == reverse("admin:recommendations_seedrun_change", args=[run.pk])


@pytest.mark.parametrize("n_listings", [-1, 1_000_001, "many"])
def test_a_size_that_cannot_be_seeded_is_refused(operator: Client, n_listings):
    given = {"n_listings": n_listings, "n_buyers": 20, "n_events": 900, "seed": 7}
    response = operator.post(reverse("admin:recommendations_seedrun_add"), given)
    assert "n_listings" in response.context["adminform"].form.errors
    assert not SeedRun.objects.exists()


def test_a_viewer_cannot_seed(viewer: Client):
    assert viewer.get(reverse("admin:recommendations_seedrun_add")).status_code == 403


def test_an_unfinished_job_cannot_be_deleted(operator: Client):
    run = SeedRun.objects.create(status="running")
    delete = reverse("admin:recommendations_seedrun_delete", args=[run.pk])
    assert operator.post(delete, {"post": "yes"}).status_code == 403
    SeedRun.objects.update(status="done")
    operator.post(delete, {"post": "yes"})
    assert not SeedRun.objects.exists()


# --- Rankers ---------------------------------------------------------------------------------------------------------
def test_promoting_moves_the_pointer_and_rolling_back_moves_it_back(operator: Client):
    before, after = RankerVersionFactory(live=True), RankerVersionFactory()
    operator.post(
        reverse("admin:recommendations_rankerversion_promote", args=[after.pk]), {**SUBMITTED, "note": "Better."}
    )
    after.refresh_from_db()
    assert (RankerVersion.objects.live(), after.note) == (after, "Better.")
    operator.post(reverse("admin:recommendations_rankerversion_roll_back"), SUBMITTED)
    assert RankerVersion.objects.live() == before
    history = operator.get(reverse("admin:recommendations_rankerversion_history", args=[after.pk]), follow=True)
    assert "Better." in history.text


def test_a_refused_promotion_says_why_and_changes_nothing(operator: Client):
    live, retired = RankerVersionFactory(live=True), RankerVersionFactory(status="retired")
    operator.post(reverse("admin:recommendations_rankerversion_promote", args=[retired.pk]), SUBMITTED)
    (said,) = messages_of(operator.get(reverse("admin:recommendations_rankerversion_changelist")))
    assert said.startswith("Nothing was changed: ")
    assert "retired" in said
    assert RankerVersion.objects.live() == live


def test_a_rollback_without_an_earlier_version_says_so(operator: Client):
    RankerVersionFactory(live=True)
    operator.post(reverse("admin:recommendations_rankerversion_roll_back"), SUBMITTED)
    (said,) = messages_of(operator.get(reverse("admin:recommendations_rankerversion_changelist")))
    assert said == "Nothing was changed: there is no earlier version to go back to."


def test_a_version_that_failed_the_gate_takes_a_note_and_shows_why(operator: Client):
    RankerVersionFactory(live=True)
    failed = RankerVersionFactory(gate={"passed": False, "reason": "Its lists show less of the stock.", "figures": {}})
    promote = reverse("admin:recommendations_rankerversion_promote", args=[failed.pk])
    page = operator.get(reverse("admin:recommendations_rankerversion_change", args=[failed.pk]))
    assert "Its lists show less of the stock." in page.text
    operator.post(promote, SUBMITTED)
    (said,) = messages_of(operator.get(reverse("admin:recommendations_rankerversion_changelist")))
    assert "takes a note" in said
    assert RankerVersion.objects.live() != failed
    operator.post(promote, {**SUBMITTED, "note": "The stock was cut by half on purpose."})
    failed.refresh_from_db()
    assert RankerVersion.objects.live() == failed
    assert failed.note == "The stock was cut by half on purpose."
    assert failed.promoted_by.is_staff


FAIR = {"ndcg_new": 0.125, "ndcg_live": 0.25, "difference": -0.125, "low": -0.2, "high": -0.05, "margin": 0.025}
OF_PAIRS = {
    "pairs_new": 0.7, "pairs_live": 0.8, "pairs_difference": -0.1, "pairs_low": -0.12, "pairs_high": -0.08,
    "pairs_margin": 0.03,
}  # fmt: skip
ALWAYS = {"coverage_new": 0.5, "coverage_live": 0.25, "seen_by_live": 0.0, "n_buyers": 1234, "k": 20}


def page_of_gate(operator: Client, figures: dict[str, float]) -> str:
    version = RankerVersionFactory(gate={"passed": False, "reason": "Worse.", "figures": figures})
    return operator.get(reverse("admin:recommendations_rankerversion_change", args=[version.pk])).text


def test_the_figures_of_the_gate_stand_beside_those_of_the_version_that_was_live(operator: Client):
    page = page_of_gate(operator, FAIR | OF_PAIRS | ALWAYS)
    assert "<td>NDCG@20</td><td>0.125</td><td>0.250</td>" in page
    assert "<td>Pairs won</td><td>0.700</td><td>0.800</td>" in page
    assert "Over 1,234 buyers." in page
    assert "NDCG, live: -50.00 %, likely -80.00 to -20.00; the limit is -10.00 %" in page
    assert "Pairs, live: -12.50 %, likely -15.00 to -10.00; the limit is -3.75 %" in page


@pytest.mark.parametrize(
    "figures",
    [
        FAIR | ALWAYS,  # no buyer chose from a list
        {"ndcg_new": 0.125, "ndcg_live": 0.25, "margin": 0.025} | ALWAYS,  # held against what was recorded
        {"ndcg_new": 0.125} | ALWAYS,  # which was not
        {**FAIR, "ndcg_live": 0.0} | ALWAYS,
        {name: value for name, value in FAIR.items() if name != "margin"} | ALWAYS,  # of earlier releases
    ],
)
def test_the_figures_of_every_kind_of_verdict_are_shown(operator: Client, figures):
    page = page_of_gate(operator, figures)
    assert "<td>NDCG@20</td><td>0.125</td>" in page
    assert "<td>Pairs won</td><td>–</td>" in page


def test_a_viewer_can_neither_promote_nor_roll_back(viewer: Client):
    live, ready = RankerVersionFactory(live=True), RankerVersionFactory()
    promote = reverse("admin:recommendations_rankerversion_promote", args=[ready.pk])
    assert viewer.post(promote, SUBMITTED).status_code == 403
    assert viewer.post(reverse("admin:recommendations_rankerversion_roll_back"), SUBMITTED).status_code == 403
    assert RankerVersion.objects.live() == live


def test_metrics_stand_beside_those_of_popularity(operator: Client):
    measured = {"taste": {"ndcg": 0.25}, "popularity": {"ndcg": 0.0625}}
    version = RankerVersionFactory(metrics={"n_buyers": 40, "n_candidates": 900, "rankers": measured})
    page = operator.get(reverse("admin:recommendations_rankerversion_change", args=[version.pk]))
    assert "Asked about 40 buyers, 900 cars." in page.text
    assert "<td>ndcg</td><td>0.250</td><td>0.062</td>" in page.text


# --- Weights and rules -----------------------------------------------------------------------------------------------
def test_weights_are_edited_in_the_list_itself(operator: Client):
    page = reverse("admin:recommendations_eventkind_changelist")
    formset = operator.get(page).context["cl"].formset
    given = {"form-TOTAL_FORMS": len(formset), "form-INITIAL_FORMS": len(formset), "_save": "Save"}
    for number, form in enumerate(formset):
        for field in form:
            if field.value() is not None and field.value() is not False:  # 0 is given too
                given[f"form-{number}-{field.name}"] = field.value()
    row = next(number for number, form in enumerate(formset) if form.instance.slug == "view")
    operator.post(page, {**given, f"form-{row}-weight": "1.5", f"form-{row}-half_life_days": "10"})
    view = EventKind.objects.get(slug="view")
    assert (view.weight, view.half_life_days) == (1.5, 10)


def test_rules_that_keep_more_places_than_there_are_are_refused(operator: Client):
    page = reverse("admin:recommendations_placement_change", args=[PlacementFactory().pk])
    form = operator.get(page).context["adminform"].form
    given = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    response = operator.post(page, {**given, "exploration_positions": 14, "promoted_share": 0.5})
    assert "together must take no more than the whole list" in str(response.context["adminform"].form.errors)


def test_the_form_of_a_placement_names_what_it_knows(operator: Client):
    page = operator.get(
        reverse("admin:recommendations_placement_change", args=[PlacementFactory().pk])
    ).content.decode()
    for name in ("Saved search", "Usually 0.06", "free_leads", "promoted_share", "follows_intent", "Archetype"):
        assert name in page


# --- Lists, listings, buyers -----------------------------------------------------------------------------------------
def test_a_served_list_shows_its_cars_as_they_were_and_as_they_are(operator: Client):
    sold, gone = ListingFactory(sold=True, title="Sold since"), ListingFactory()
    served = ServedListFactory(listing_ids=[gone.pk, sold.pk], scores=[1.25, 0.5], sources=["utility", "trending"])
    InteractionFactory(buyer=served.buyer, listing=sold, served_list=served, position=2)
    gone.delete()
    text = operator.get(reverse("admin:recommendations_servedlist_change", args=[served.pk])).text
    for shown in ("removed", "1.250", "Sold since", "<td>Sold</td>", "Opened the page"):
        assert shown in text


@pytest.fixture
def embedded_listing() -> Listing:
    """A listing with a vector of 128 times a half in the live space."""
    listing = ListingFactory()
    version = RankerVersionFactory(live=True)
    create_partition(version.pk)
    rows = read_listings(Listing.objects.filter(pk=listing.pk))
    write_vectors(version, rows.listing_ids, np.full((1, 128), 0.5, np.float32), rows.table.digests())
    return listing


def test_a_listing_shows_its_vector_and_whether_it_is_up_to_date(operator: Client, embedded_listing: Listing):
    page = reverse("admin:catalog_listing_change", args=[embedded_listing.pk])
    text = operator.get(page).text
    assert "<td>up to date</td>" in text
    assert "norm 5.657, 128 dimensions" in text  # the square root of 128 quarters
    Listing.objects.filter(pk=embedded_listing.pk).update(price=1)
    assert "<td>out of date</td>" in operator.get(page).text


def test_a_listing_without_a_vector_says_so(operator: Client, embedded_listing: Listing):
    another = ListingFactory()
    assert "<td>missing</td>" in operator.get(reverse("admin:catalog_listing_change", args=[another.pk])).text


def test_a_listing_with_vectors_and_events_can_be_deleted(operator: Client, embedded_listing: Listing):
    event = InteractionFactory(listing=embedded_listing)
    operator.post(reverse("admin:catalog_listing_delete", args=[embedded_listing.pk]), {"post": "yes"})
    assert not Listing.objects.filter(pk=embedded_listing.pk).exists()
    event.refresh_from_db()
    assert event.listing is None


@pytest.mark.parametrize(("n_seen", "label"), [(None, "Behind"), (1, "Fresh"), (0, "Behind")])
def test_a_buyer_says_whether_the_taste_has_seen_every_event(operator: Client, n_seen: int | None, label: str):
    event = InteractionFactory()
    if n_seen is not None:
        PreferenceFactory(
            buyer=event.buyer, version=RankerVersionFactory(live=True),
            last_interaction_id=event.pk if n_seen else 0, n_interactions=n_seen,
        )  # fmt: skip
    assert freshness_shown(operator, event.buyer) == label


def test_a_buyer_without_history_is_cold(operator: Client):
    assert freshness_shown(operator, BuyerFactory()) == "Cold"


def freshness_shown(client: Client, buyer) -> str:
    response = client.get(reverse("admin:accounts_buyer_changelist"))
    (row,) = [row for row in response.context["cl"].result_list if row.pk == buyer.pk]
    return next(
        label for label in ("Cold", "Fresh", "Behind") if label in response.context["cl"].model_admin.taste_badge(row)
    )


def test_preferences_behind_the_log_can_be_listed(operator: Client):
    event = InteractionFactory()
    behind = PreferenceFactory(buyer=event.buyer)
    PreferenceFactory()
    response = operator.get(reverse("admin:recommendations_preference_changelist"), {"behind": "yes"})
    assert list(response.context["cl"].result_list) == [behind]


# --- A preference in words -------------------------------------------------------------------------------------------
@pytest.fixture
def learned_taste() -> Preference:
    """A buyer who only ever opened cheap diesels, in a market of petrol and diesel at any price."""
    for number in range(60):
        ListingFactory(
            title="", price=2_000 + 500 * number, fuel="diesel" if number % 2 else "petrol", seller=None,
            published_at=timezone.now() - timedelta(days=5),
        )  # fmt: skip
    buyer = BuyerFactory()
    wanted = Listing.objects.filter(fuel="diesel", price__lt=9_000)
    for listing in wanted:
        InteractionFactory(buyer=buyer, listing=listing, kind_id="contact", occurred_at=timezone.now())
    run_training(run_id=start_training().pk)
    refresh_preferences(buyer_id=buyer.pk)
    return Preference.objects.get(buyer=buyer)


def test_a_preference_is_described_in_words_and_with_its_certainty(operator: Client, learned_taste: Preference):
    profile = profiles.profile_of(learned_taste)
    wanted = {wish.field: (wish.wanted, wish.unwanted) for wish in profile.wishes}
    assert wanted["fuel"] == ("Diesel", "Petrol")
    assert wanted["price"][0].startswith(("the less the better", "about"))
    assert 0 < profile.certainty < 1
    page = operator.get(reverse("admin:accounts_buyer_change", args=[learned_taste.buyer_id]))
    assert "<td>Diesel</td><td>Petrol</td>" in page.text


def test_the_taste_is_refreshed_from_the_buyers_page(operator: Client, learned_taste: Preference):
    InteractionFactory(buyer=learned_taste.buyer, occurred_at=timezone.now())
    button = reverse("admin:accounts_buyer_refresh_taste", args=[learned_taste.buyer_id])
    operator.post(button, SUBMITTED)
    assert Preference.objects.get().n_interactions == learned_taste.buyer.interactions.count()


@pytest.mark.parametrize("kind", sorted(EventKind.RECORDED_BY_US))
def test_a_kind_of_event_that_the_site_records_itself_cannot_be_deleted(kind):
    client = Client()
    client.force_login(UserFactory(operator=True))
    EventKind.objects.create(slug="own", name="Own", weight=1, half_life_days=30)
    assert client.post(reverse(f"{KINDS}_delete", args=[kind]), {"post": "yes"}).status_code == 403
    for chosen in ([kind], [kind, "own"]):
        sent = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
        client.post(reverse(f"{KINDS}_changelist"), sent)
        assert EventKind.objects.filter(slug=kind).exists()
    assert client.post(reverse(f"{KINDS}_delete", args=["own"]), {"post": "yes"}).status_code == 302
    assert not EventKind.objects.filter(slug="own").exists()
