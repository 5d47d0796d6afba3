"""What is measured as the wait of an event for its preference: the loop's own part and nothing else."""

from datetime import timedelta

import pytest
from django.utils import timezone

from recommendations.buyers.lag import waited_for_the_loop
from tests.factories import BuyerFactory, InteractionFactory, PreferenceFactory, RankerVersionFactory

HOUR = timedelta(hours=1)


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def version(db, now):
    return RankerVersionFactory(live=True, promoted_at=now - HOUR)


def is_measured(version, event) -> bool:
    return waited_for_the_loop([event.pk], version.pk) == [event.received_at]


def test_an_event_of_now_is_measured(version, now):
    assert is_measured(version, InteractionFactory(occurred_at=now, received_at=now))
    assert is_measured(version, InteractionFactory(occurred_at=now + HOUR, received_at=now))  # a clock that is ahead


@pytest.mark.parametrize("late", [timedelta(minutes=2), timedelta(days=50), timedelta(days=12_000)])
def test_an_event_that_was_sent_late_is_not(late, version, now):
    assert not is_measured(version, InteractionFactory(occurred_at=now - late, received_at=now))


@pytest.mark.parametrize("before", [HOUR + timedelta(seconds=1), timedelta(days=50)])
def test_an_event_from_before_the_live_version_is_not(before, version, now):
    assert not is_measured(version, InteractionFactory(occurred_at=now - before, received_at=now - before))


def test_an_event_that_another_version_knew_is_not(version, now):
    event = InteractionFactory(occurred_at=now, received_at=now)
    PreferenceFactory(buyer=event.buyer, last_interaction_id=event.pk)
    assert not is_measured(version, event)
    newer = InteractionFactory(buyer=event.buyer, occurred_at=now, received_at=now)
    assert is_measured(version, newer)


def test_an_event_that_the_guest_knew_is_not(version, now):
    buyer = BuyerFactory()
    event = InteractionFactory(buyer=buyer, occurred_at=now, received_at=now)
    guest = BuyerFactory(merged_into=buyer)
    PreferenceFactory(buyer=guest, version=version, last_interaction_id=event.pk)
    assert not is_measured(version, event)


def test_the_preference_that_is_being_made_does_not_count_as_another(version, now):
    event = InteractionFactory(occurred_at=now, received_at=now)
    PreferenceFactory(buyer=event.buyer, version=version, last_interaction_id=event.pk)
    assert is_measured(version, event)
