import uuid
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Buyer
from recommendations.buyers.preferences import current_preference
from recommendations.buyers.refresh import renew_preferences
from recommendations.events.recording import Event, record_interactions
from recommendations.exceptions import EventsRefused, RankerRefused
from recommendations.listings.embedding import embed_listings, embed_missing_listings
from recommendations.listings.index import drop_index
from recommendations.models import Interaction, ListingVector, Preference, RankerVersion
from recommendations.training.runs import run_training, start_training
from recommendations.training.versions import promote_ranker, retire_old_rankers, rollback_ranker
from tests.factories import BuyerFactory, ListingFactory, RankerVersionFactory, UserFactory
from tests.markets import trained_market, view

pytestmark = pytest.mark.django_db

NOTE = "too few buyers to judge it by"


def test_an_event_sent_twice_counts_once():
    buyer, listing = BuyerFactory(), ListingFactory()
    event = Event(kind="view", listing_id=listing.pk, event_id="once")
    assert record_interactions(buyer=buyer, events=[event, event]).n_repeated == 1
    assert record_interactions(buyer=buyer, events=[event]).n_recorded == 0
    assert Interaction.objects.count() == 1


def test_a_request_with_one_bad_event_records_none_and_names_every_problem():
    buyer, listing = BuyerFactory(), ListingFactory()
    future = timezone.now() + timedelta(days=1)
    events = [
        Event(kind="view", listing_id=listing.pk),
        Event(kind="stare", listing_id=10**12),
        Event(kind="view", listing_id=listing.pk, occurred_at=future, position=0),
        Event(kind="view"),
    ]
    with pytest.raises(EventsRefused) as refused:
        record_interactions(buyer=buyer, events=events)
    found = {(problem.index, problem.field) for problem in refused.value.problems}
    assert found == {(1, "kind"), (1, "listing_id"), (2, "occurred_at"), (2, "position"), (3, "listing_id")}
    assert not Interaction.objects.exists()


def test_a_clock_that_runs_a_little_ahead_makes_no_events_of_the_future():
    event = Event(kind="view", listing_id=ListingFactory().pk, occurred_at=timezone.now() + timedelta(minutes=2))
    record_interactions(buyer=BuyerFactory(), events=[event])
    assert Interaction.objects.get().occurred_at <= timezone.now()


def test_an_event_may_name_a_list_that_is_not_recorded_yet():
    event = Event(kind="view", listing_id=ListingFactory().pk, served_list_id=uuid.uuid4(), position=3)
    assert record_interactions(buyer=BuyerFactory(), events=[event]).n_recorded == 1


def test_many_events_of_one_buyer_enqueue_one_refresh(django_capture_on_commit_callbacks):
    listings = [ListingFactory() for _ in range(3)]
    with django_capture_on_commit_callbacks() as callbacks:
        view(BuyerFactory(), *(listings * 30))
    assert len(callbacks) == 1


def test_new_listings_get_vectors_in_every_usable_space():
    market = trained_market()
    second = run_training(run_id=start_training(promote=False).pk)
    listing = ListingFactory()
    assert embed_listings([listing.pk]) == 2
    assert embed_listings([listing.pk]) == 0
    assert ListingVector.objects.filter(listing_id=listing.pk).count() == 2
    assert {market.version.pk, second.pk} == set(
        ListingVector.objects.filter(listing_id=listing.pk).values_list("version_id", flat=True)
    )


def test_the_beat_job_embeds_what_no_task_did():
    trained_market()
    ListingFactory()
    assert embed_missing_listings() == 1
    assert embed_missing_listings() == 0


def test_only_a_ready_version_can_be_promoted():
    live = trained_market().version
    with pytest.raises(RankerRefused, match="live already"):
        promote_ranker(version=live)
    with pytest.raises(RankerRefused, match="only a ready version"):
        promote_ranker(version=RankerVersionFactory(status="failed"))


def test_a_version_that_failed_the_gate_is_promoted_with_a_note_only():
    RankerVersionFactory(live=True)
    failed = RankerVersionFactory(gate={"passed": False, "reason": "Significantly worse than the live version."})
    for note in ("", "  "):
        with pytest.raises(RankerRefused, match=r"takes a note.*Significantly worse"):
            promote_ranker(version=failed, note=note)
    operator = UserFactory(operator=True)
    promoted = promote_ranker(version=failed, note=" we know better ", by=operator)
    assert (promoted.note, promoted.promoted_by) == ("we know better", operator)
    assert RankerVersion.objects.live() == failed


def test_promote_asks_for_the_note_and_takes_it():
    RankerVersionFactory(live=True)
    failed = RankerVersionFactory(gate={"passed": False, "reason": "Worse."})
    with pytest.raises(CommandError, match="--note"):
        call_command("promote", str(failed.pk))
    call_command("promote", f"v{failed.pk}", "--note", "for the demonstration", stdout=StringIO())
    failed.refresh_from_db()
    assert (failed.status, failed.note) == ("live", "for the demonstration")
    call_command("rollback", "--note", "enough", stdout=StringIO())
    assert RankerVersion.objects.live().note == "enough"


def test_a_rolled_back_version_says_from_where():
    first, second = RankerVersionFactory(live=True), RankerVersionFactory()
    promote_ranker(version=second)
    assert rollback_ranker().note == f"rolled back to, from {second}"
    assert RankerVersion.objects.live() == first


def test_right_after_a_promotion_a_read_answers_in_the_new_space(settings):
    settings.WINDOW_STALENESS_SECONDS = 0
    market = trained_market()
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:3])
    before = current_preference(buyer)
    second = run_training(run_id=start_training(promote=False).pk)
    assert current_preference(buyer).version_id == before.version_id == market.version.pk
    promote_ranker(version=second, note=NOTE)
    assert current_preference(buyer).version_id == second.pk
    rollback_ranker()
    assert current_preference(buyer).computed_at == before.computed_at  # it was kept


def test_after_a_promotion_a_worker_renews_those_who_were_active_lately(django_capture_on_commit_callbacks):
    market = trained_market()
    buyers = BuyerFactory.create_batch(2)
    for buyer in buyers:
        view(buyer, *market.bmws[:2])
    second = run_training(run_id=start_training(promote=False).pk)
    with django_capture_on_commit_callbacks() as callbacks:
        promote_ranker(version=second, note=NOTE)
    assert len(callbacks) == 1  # to enqueue the task
    drop_index()
    assert renew_preferences(version_id=second.pk) == Buyer.objects.exclude(interactions=None).count() == 10
    assert set(Preference.objects.filter(version=second).values_list("buyer", flat=True)) >= {b.pk for b in buyers}
    assert renew_preferences(version_id=second.pk) == 0
    assert renew_preferences(version_id=market.version.pk) == 0  # no longer live


def test_rollback_goes_back_one_version_at_a_time_and_then_refuses():
    first = trained_market().version
    second, third = (run_training(run_id=start_training(promote=False).pk) for _ in range(2))
    for version in (second, third):
        promote_ranker(version=version, note=NOTE)
    assert RankerVersion.objects.live() == third
    assert rollback_ranker() == second
    assert rollback_ranker() == first
    with pytest.raises(RankerRefused, match="no earlier version"):
        rollback_ranker()


def test_old_versions_are_retired_with_their_vectors_but_never_the_way_back():
    market = trained_market()
    buyer = BuyerFactory()
    view(buyer, market.bmws[0])
    current_preference(buyer)
    versions = [market.version, *(run_training(run_id=start_training(promote=False).pk) for _ in range(2))]
    promote_ranker(version=versions[2], note=NOTE)
    retired = retire_old_rankers(keep=2)
    assert retired == [versions[1]]
    assert not ListingVector.objects.of(versions[1]).exists()
    assert ListingVector.objects.of(versions[0]).exists()
    assert Preference.objects.filter(version=versions[0], buyer=buyer).exists()
