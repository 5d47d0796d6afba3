from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import Buyer
from recommendations.events import recording
from recommendations.models import Interaction
from tests.factories import ListingFactory

pytestmark = pytest.mark.django_db
EVENTS = "/api/v1/events"


@pytest.fixture
def car():
    return ListingFactory()


def counts(answer) -> tuple[int, int]:
    return answer.json()["recorded"], answer.json()["repeated"]


def refused(client, body):
    """The fields of a refusal; nothing of the request may have stayed."""
    buyers = Buyer.objects.count()
    got = client.post(EVENTS, body)
    assert got.status_code == 400, got.json()
    assert not Interaction.objects.exists()
    assert Buyer.objects.count() == buyers
    return got.json()["error"]["fields"]


@pytest.mark.parametrize("wrap", [lambda event: event, lambda event: [event], lambda event: {"events": [event]}])
def test_one_event_can_come_in_three_wrappings(as_alice, alice, car, wrap):
    got = as_alice.post(EVENTS, wrap({"kind": "like", "listing_id": car.pk}))
    assert (got.status_code, counts(got)) == (201, (1, 0))
    event = Interaction.objects.get()
    assert (event.buyer, event.kind_id, event.listing) == (alice, "like", car)


def test_an_event_keeps_everything_it_was_sent_with(as_alice, car):
    list_id, moment = uuid4(), timezone.now() - timedelta(days=1)
    as_alice.post(EVENTS, {"kind": "contact", "event_id": "e-1", "listing_id": car.pk, "list_id": str(list_id),
                           "position": 3, "occurred_at": moment.isoformat()})  # fmt: skip
    event = Interaction.objects.get()
    assert (event.event_id, event.served_list_id, event.position) == ("e-1", list_id, 3)
    assert event.occurred_at == moment


def test_a_search_elsewhere_can_be_recorded_in_the_words_of_our_own_search(as_alice):
    as_alice.post(EVENTS, {"kind": "search", "query": {"brand": "VW", "fuel": ["Diesel"], "max_price": 9000}})
    assert Interaction.objects.get().query == {"makes": ["volkswagen"], "fuels": ["diesel"], "max_price": 9000.0}


def test_an_event_sent_twice_counts_once(as_alice, car):
    body = {"kind": "like", "event_id": "e-1", "listing_id": car.pk}
    assert counts(as_alice.post(EVENTS, body)) == (1, 0)
    assert counts(as_alice.post(EVENTS, [body, body])) == (0, 2)
    assert Interaction.objects.count() == 1


def test_a_thousand_events_of_a_hundred_buyers_cost_as_many_queries_as_one(
    as_garage, car, django_assert_max_num_queries
):
    events = [
        {"kind": "view", "listing_id": car.pk, "buyer": f"buyer-{n % 100}", "event_id": f"e-{n}"} for n in range(1000)
    ]
    with django_assert_max_num_queries(16):
        got = as_garage.post(EVENTS, {"events": events})
    assert counts(got) == (1000, 0)
    assert Buyer.objects.filter(external_id__startswith="buyer-").count() == 100


def test_one_event_costs_few_statements(as_alice, car, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(recording, "is_near_a_month", lambda moment: False)  # on whatever day this runs
    body = {"kind": "view", "listing_id": car.pk}
    with django_assert_max_num_queries(5):  # the buyer, what it is checked against, the insert, and around it
        as_alice.post(EVENTS, {**body, "event_id": "e-1"})
    with django_assert_max_num_queries(7):  # the car besides, and which ranker is live where no index is loaded
        as_alice.get(f"/api/v1/cars/detail/{car.pk}")
    assert Interaction.objects.count() == 2


def test_in_the_hours_around_the_first_of_a_month_an_event_is_compared_before_it_is_written(
    as_alice, car, monkeypatch, django_assert_max_num_queries
):
    monkeypatch.setattr(recording, "is_near_a_month", lambda moment: True)
    body = {"kind": "view", "listing_id": car.pk, "event_id": "e-1"}
    with django_assert_max_num_queries(12):  # a savepoint and what the sender sent before, besides
        assert counts(as_alice.post(EVENTS, body)) == (1, 0)
    assert counts(as_alice.post(EVENTS, body)) == (0, 1)
    assert Interaction.objects.count() == 1


@pytest.mark.parametrize(
    ("moment", "is_near"),
    [("2026-11-30T22:59:00Z", False), ("2026-11-30T23:01:00Z", True), ("2026-12-01T00:59:00Z", True),
     ("2026-12-01T01:01:00Z", False), ("2027-01-01T00:00:00Z", True), ("2028-02-29T12:00:00Z", False)],
)  # fmt: skip
def test_near_a_month_is_within_an_hour_of_its_first_moment(moment, is_near):
    assert recording.is_near_a_month(datetime.fromisoformat(moment)) == is_near


@pytest.mark.parametrize(
    ("change", "field"),
    [({"kind": "steal"}, "kind"), ({"kind": None}, "kind"), ({"kind": ["like"]}, "kind"), ({"kind": ""}, "kind"),
     ({"listing_id": 0}, "listing_id"), ({"listing_id": "x"}, "listing_id"), ({"listing_id": 10**30}, "listing_id"),
     ({"listing_id": 999_999_999}, "listing_id"), ({"listing_id": None}, "listing_id"),
     ({"listing_id": True}, "listing_id"), ({"listing_id": 1.5}, "listing_id"),
     ({"event_id": "x" * 65}, "event_id"), ({"event_id": {}}, "event_id"), ({"position": 0}, "position"),
     ({"position": 99_999}, "position"), ({"list_id": "x"}, "list_id"),
     ({"occurred_at": "yesterday"}, "occurred_at"), ({"occurred_at": 1}, "occurred_at"),
     ({"occurred_at": "2999-01-01T00:00:00Z"}, "occurred_at"),
     ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
     ({"occurred_at": "1066-10-14T09:00:00Z"}, "occurred_at"), ({"query": "skoda"}, "query"),
     ({"query": [1]}, "query"), ({"query": {"min_year": "x"}}, "query.min_year"),
     ({"query": {"brand": 5}}, "query.brand"), ({"query": {"min_price": 2, "max_price": 1}}, "query.min_price")],
)  # fmt: skip
def test_one_wrong_event_is_named_and_nothing_is_recorded(as_alice, car, change, field):
    right = {"kind": "like", "listing_id": car.pk}
    assert f"events[1].{field}" in refused(as_alice, [right, right | change, right])
    assert field in refused(as_alice, right | change)


@pytest.mark.parametrize("body", [[], {"events": []}, {"events": None}, {"events": {}}, "x", 5, None, True])
def test_a_body_that_holds_no_events_is_refused(as_alice, body):
    assert as_alice.post(EVENTS, body).status_code == 400


@pytest.mark.parametrize("event", [None, 5, "like", [], [[]]])
def test_what_is_no_event_is_named_by_its_place(as_alice, car, event):
    assert any("events[1]" in path for path in refused(as_alice, [{"kind": "like", "listing_id": car.pk}, event]))


def test_more_events_than_allowed_are_refused(as_alice, car, settings):
    settings.EVENTS_PER_REQUEST = 2
    assert "events" in refused(as_alice, [{"kind": "like", "listing_id": car.pk}] * 3)


def test_a_clock_that_runs_a_little_ahead_is_forgiven_but_not_believed(as_alice, car):
    ahead = timezone.now() + timedelta(minutes=2)
    as_alice.post(EVENTS, {"kind": "like", "listing_id": car.pk, "occurred_at": ahead.isoformat()})
    assert Interaction.objects.get().occurred_at < ahead


def test_carol_may_not_write_for_alice(as_carol, carol, alice, car):
    alice.external_id, carol.external_id = "alice", "carol"
    alice.save()
    carol.save()
    for name in ("alice", str(alice.pk), ""):
        got = as_carol.post(EVENTS, [{"kind": "like", "listing_id": car.pk, "buyer": name}])
        assert got.status_code in (400, 403)
    assert not Interaction.objects.exists()
    assert as_carol.post(EVENTS, [{"kind": "like", "listing_id": car.pk, "buyer": "carol"}]).status_code == 201


def test_a_client_system_has_to_say_whose_event_it_is(as_garage, car):
    assert "events[0].buyer" in refused(as_garage, [{"kind": "like", "listing_id": car.pk}])


def test_buyers_who_are_new_do_not_stay_when_an_event_is_refused(as_garage, car):
    events = [
        {"kind": "like", "listing_id": car.pk, "buyer": "new"},
        {"kind": "steal", "listing_id": car.pk, "buyer": "new"},
    ]
    assert "events[1].kind" in refused(as_garage, events)


def test_a_key_that_may_only_read_may_not_tell(as_reader, car):
    assert as_reader.post(EVENTS, {"kind": "like", "listing_id": car.pk, "buyer": "007"}).status_code == 403


def test_unauthenticated_requests_are_refused():
    assert APIClient().post(EVENTS, {}).status_code == 401


def test_events_of_one_buyer_are_events_of_no_other_buyer(as_alice, alice, carol, car):
    as_alice.post(EVENTS, {"kind": "like", "listing_id": car.pk})
    assert (alice.interactions.count(), carol.interactions.count()) == (1, 0)
