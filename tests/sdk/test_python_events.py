"""Events that are gathered: each is recorded once, whatever happens on the way, and none is lost at the end."""

import time
from datetime import datetime, timedelta

import httpx
import pytest
from django.utils import timezone

from forecourt import Client, NoAnswer, NotAuthenticated, QueueOptions, Throttled
from recommendations.models import Interaction
from tests.factories import ListingFactory

pytestmark = pytest.mark.django_db
PATIENT = {"queue": QueueOptions(seconds=3600)}
AWAY = httpx.ConnectError("refused")


@pytest.fixture
def car():
    return ListingFactory(external_id="A-1", source="shop")


def add(client, n=1, **event):
    for _ in range(n):
        client.events.add(**{"kind": "view", "buyer": "42", "external_id": "A-1", **event})


def recorded() -> int:
    return Interaction.objects.count()


def test_events_are_sent_together_when_asked_to(forecourt, wire, car):
    add(forecourt, 5)
    assert (recorded(), len(wire.requests)) == (0, 0)
    forecourt.events.flush()
    assert (recorded(), len(wire.requests)) == (5, 1)
    assert forecourt.events.unsent == []


@pytest.mark.parametrize("wrong", [{"occurred_at": datetime(2026, 1, 1)}, {"value": float("nan")}, {"query": object()}])
def test_what_json_cannot_hold_is_refused_at_once_and_stops_no_other(forecourt, car, wrong):
    with pytest.raises((ValueError, TypeError)):
        add(forecourt, **wrong)
    add(forecourt, 2)
    forecourt.events.flush()
    assert recorded() == 2


def test_an_event_is_of_the_time_when_it_was_added(forecourt, car):
    before = timezone.now()
    add(forecourt)
    after = timezone.now()
    forecourt.events.flush()
    happened = Interaction.objects.get().occurred_at
    assert before - timedelta(milliseconds=1) <= happened <= after


def test_closing_sends_what_waits(connect, key, car):
    client = connect(api_key=key, source="shop", **PATIENT)
    add(client, 3)
    client.close()
    assert recorded() == 3
    with pytest.raises(RuntimeError, match="closed"):
        add(client)


@pytest.mark.parametrize("n_lost", [1, 2])
def test_an_event_whose_answer_was_lost_counts_once(forecourt, wire, car, n_lost):
    wire.lost = [httpx.ReadTimeout("too late")] * n_lost
    add(forecourt, 4)
    forecourt.events.flush()
    assert recorded() == 4
    assert len(wire.requests) == n_lost + 1


def test_events_wait_while_the_site_is_away_and_keep_their_order(forecourt, wire, car):
    wire.faults = [AWAY] * 6
    add(forecourt, kind="view")
    for _ in range(2):
        with pytest.raises(NoAnswer):
            forecourt.events.flush()
    add(forecourt, kind="like")
    assert [event["kind"] for event in forecourt.events.unsent] == ["view", "like"]
    forecourt.events.flush()
    assert list(Interaction.objects.order_by("pk").values_list("kind__slug", flat=True)) == ["view", "like"]


@pytest.mark.parametrize(("fault", "error"), [(AWAY, NoAnswer), ((429, {"Retry-After": "600"}), Throttled)])
def test_what_cannot_be_sent_at_the_end_is_handed_back(connect, key, wire, car, fault, error):
    client = connect(api_key=key, **PATIENT)
    add(client, 2)
    wire.faults = [fault] * 3
    with pytest.raises(error):
        client.events.close()
    assert len(client.events.unsent) == 2
    wire.faults = []
    client.events.send(client.events.unsent)
    assert recorded() == 2


def test_one_event_that_is_wrong_keeps_no_other_from_being_recorded(connect, key, car):
    refused = []
    client = connect(api_key=key, queue=QueueOptions(seconds=3600, on_refused=refused.append))
    add(client)
    add(client, kind="no such kind")
    add(client, external_id=None, listing_id=10**9)
    add(client, position=0)
    add(client, kind="like")
    client.events.flush()
    assert recorded() == 2
    assert [list(each.fields) for each in refused] == [["kind"], ["listing_id"], ["position"]]
    assert client.events.unsent == []


@pytest.mark.parametrize("at_most", [1, 2, 3, 7])
def test_a_site_that_takes_fewer_at_once_gets_fewer(settings, forecourt, car, at_most):
    settings.EVENTS_PER_REQUEST = at_most
    add(forecourt, 9)
    forecourt.events.flush()
    assert recorded() == 9


def test_a_callback_that_fails_loses_no_event(connect, key, car):
    client = connect(api_key=key, queue=QueueOptions(seconds=3600, on_refused=lambda refused: 1 / 0))
    add(client, kind="no such kind")
    add(client)
    client.events.flush()
    assert recorded() == 1


def test_no_more_wait_than_may(connect, key, wire, car):
    client = connect(api_key=key, queue=QueueOptions(seconds=3600, limit=3))
    add(client, 3)
    wire.faults = [AWAY] * 3
    with pytest.raises(NoAnswer):
        add(client)
    assert len(client.events.unsent) == 3
    add(client)
    assert (recorded(), len(client.events.unsent)) == (3, 1)


def test_events_may_come_before_their_listing(forecourt):
    sent = forecourt.events.send([{"kind": "view", "buyer": "42", "external_id": "later"}] * 2)
    assert (sent["waiting"], [each["status"] for each in sent["events"]]) == (2, ["waiting", "waiting"])


def test_a_key_that_is_not_accepted_is_no_reason_to_drop_events(connect, car):
    client = connect(api_key="wrong", **PATIENT)
    add(client)
    with pytest.raises(NotAuthenticated):
        client.events.flush()
    assert len(client.events.unsent) == 1


@pytest.mark.django_db(transaction=True)
def test_events_are_sent_in_the_background_over_a_real_connection(live_server, key, car):
    with Client(live_server.url, api_key=key, queue=QueueOptions(seconds=0.02)) as client:
        add(client, 3)
        for _ in range(500):
            if not client.events.unsent:
                break
            time.sleep(0.02)
        assert recorded() == 3
