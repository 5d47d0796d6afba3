import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from recommendations.exceptions import EventsRefused, RankerRefused
from recommendations.models import Interaction, ListingVector, Preference, RankerVersion
from recommendations.preferences import current_preference
from recommendations.services import (
    Event,
    embed_listings,
    embed_missing_listings,
    promote_ranker,
    record_interactions,
    retire_old_rankers,
    rollback_ranker,
)
from recommendations.training import run_training, start_training
from tests.factories import BuyerFactory, ListingFactory, RankerVersionFactory
from tests.worlds import trained_market, view

pytestmark = pytest.mark.django_db


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


def test_rollback_goes_back_one_version_at_a_time_and_then_refuses():
    first = trained_market().version
    second = run_training(run_id=start_training().pk)
    third = run_training(run_id=start_training().pk)
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
    promote_ranker(version=versions[2])
    retired = retire_old_rankers(keep=2)
    assert retired == [versions[1]]
    assert not ListingVector.objects.of(versions[1]).exists()
    assert ListingVector.objects.of(versions[0]).exists()
    assert Preference.objects.filter(version=versions[0], buyer=buyer).exists()
