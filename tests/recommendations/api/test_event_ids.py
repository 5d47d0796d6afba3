"""An event id belongs to its sender; sent again it is a repeat or a conflict; each event of a list has an answer."""

import threading

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import Buyer
from accounts.services import create_api_key, erase_person, merge_guest
from recommendations.events.recording import Event, record_interactions
from recommendations.models import Interaction
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory

pytestmark = pytest.mark.django_db
EVENTS = "/api/v1/events"
ID = "e-1"


@pytest.fixture
def car(db):
    return ListingFactory()


@pytest.fixture
def another_car(db):
    return ListingFactory()


def client_system(name: str = "another") -> APIClient:
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=create_api_key(name=name, scopes=["read", "ingest"], created_by=None)[1])
    return client


def like(car, **fields):
    return {"kind": "like", "event_id": ID, "listing_id": car.pk} | fields


def outcomes(answer) -> list[str]:
    return [event["status"] for event in answer.json()["events"]]


# --- Whose id it is --------------------------------------------------------------------------------------------------
def test_two_senders_may_use_the_same_id(as_alice, as_carol, as_gus, as_garage, car):
    senders = [as_alice, as_carol, as_gus, as_garage, client_system()]
    for number, sender in enumerate(senders):
        named = {"buyer": "customer-7"} if number > 2 else {}
        assert sender.post(EVENTS, like(car) | named).json()["recorded"] == 1, number
    assert Interaction.objects.filter(event_id=ID).count() == len(senders)


def test_one_key_may_not_use_an_id_for_two_buyers(as_garage, car):
    assert as_garage.post(EVENTS, like(car, buyer="customer-7")).status_code == 201
    assert as_garage.post(EVENTS, like(car, buyer="customer-8")).status_code == 409
    assert not Buyer.objects.filter(external_id="customer-8").exists()


@pytest.mark.parametrize(
    "change",
    [{"kind": "view"}, {"position": 4}, {"list_id": "5f0c9a1e-0000-4000-8000-000000000000"},
     {"occurred_at": "2026-01-15T12:00:00Z"}, {"kind": "search", "listing_id": None, "query": {"brand": "bmw"}}],
)  # fmt: skip
def test_other_content_under_the_same_id_is_a_conflict_that_names_both(as_alice, car, change):
    as_alice.post(EVENTS, like(car))
    for body in (like(car) | change, [like(car) | change], {"events": [like(car) | change]}):
        got = as_alice.post(EVENTS, body)
        assert (got.status_code, got.json()["error"]["code"]) == (409, "conflict")
        (path, (reason,)), *_ = got.json()["error"]["fields"].items()
        assert path.endswith("event_id")
        assert '"kind": "like"' in reason
        assert reason.count('"kind"') == 2
    assert Interaction.objects.count() == 1


def test_another_listing_under_the_same_id_is_a_conflict(as_alice, car, another_car):
    as_alice.post(EVENTS, like(car))
    reason = as_alice.post(EVENTS, like(another_car)).json()["error"]["fields"]["event_id"][0]
    assert str(car.pk) in reason
    assert str(another_car.pk) in reason


def test_two_events_of_one_request_may_not_share_an_id(as_alice, car, another_car):
    assert as_alice.post(EVENTS, [like(car), like(another_car)]).status_code == 409
    assert not Interaction.objects.exists()
    assert outcomes(as_alice.post(EVENTS, [like(car), like(car)])) == ["recorded", "repeated"]


def test_an_event_without_an_id_is_another_one_each_time(as_alice, car):
    body = {"kind": "view", "listing_id": car.pk}
    assert outcomes(as_alice.post(EVENTS, [body, body])) == ["recorded", "recorded"]


def test_an_event_whose_list_turns_out_to_be_unknown_is_still_a_repeat(as_alice, car):
    body = like(car, list_id="5f0c9a1e-0000-4000-8000-000000000000", position=3)
    assert outcomes(as_alice.post(EVENTS, [body, body])) == ["recorded", "repeated"]
    Interaction.objects.update(served_list=None, position=None)
    assert outcomes(as_alice.post(EVENTS, [body])) == ["repeated"]


# --- What happened before --------------------------------------------------------------------------------------------
def test_what_an_earlier_release_recorded_is_repeated_by_the_same_content_only(as_alice, alice, car, another_car):
    InteractionFactory(event_id=ID, buyer=alice, kind_id="like", listing=car)
    assert outcomes(as_alice.post(EVENTS, [like(car)])) == ["repeated"]
    assert outcomes(as_alice.post(EVENTS, [like(another_car)])) == ["recorded"]


def test_an_event_sent_again_after_the_login_counts_once(as_alice, alice, car, another_car):
    guest = BuyerFactory(guest=True)
    record_interactions(buyer=guest, events=[Event(kind="like", event_id=ID, listing_id=car.pk)])
    merge_guest(guest=guest, into=alice)
    assert outcomes(as_alice.post(EVENTS, [like(car)])) == ["repeated"]
    assert outcomes(as_alice.post(EVENTS, [like(another_car)])) == ["recorded"]


def test_a_guest_and_the_user_it_becomes_may_have_used_the_same_id(as_alice, alice, car, another_car):
    guest = BuyerFactory(guest=True)
    record_interactions(buyer=guest, events=[Event(kind="like", event_id=ID, listing_id=car.pk)])
    as_alice.post(EVENTS, like(another_car))
    merge_guest(guest=guest, into=alice)
    assert alice.interactions.count() == 2


# --- In parts --------------------------------------------------------------------------------------------------------
def test_one_bad_event_does_not_refuse_the_others_when_that_is_asked(as_garage, car, another_car):
    as_garage.post(EVENTS, like(car, buyer="a"))
    events = [
        like(car, buyer="a"), like(another_car, buyer="a"), like(car, event_id="e-2", buyer="b"),
        {"kind": "steal", "listing_id": car.pk, "buyer": "c"}, {"kind": "like", "listing_id": 999_999, "buyer": "d"},
        {"kind": "like", "listing_id": "x", "buyer": "e"}, {"kind": "like", "listing_id": car.pk}, None, 5,
    ]  # fmt: skip
    assert as_garage.post(EVENTS, events).status_code == 400
    for got in (as_garage.post(f"{EVENTS}?partial=true", events),
                as_garage.post(EVENTS, {"events": events, "partial": True})):  # fmt: skip
        assert got.status_code == 201
        statuses = outcomes(got)
        assert statuses[:2] == ["repeated", "conflict"]
        assert statuses[2] in ("recorded", "repeated")
        assert statuses[3:] == ["refused"] * 6
    answers = got.json()["events"]
    assert [list(event["fields"]) for event in answers[1:7]] == [
        ["event_id"], [], ["kind"], ["listing_id"], ["listing_id"], ["buyer"],
    ]  # fmt: skip
    assert Interaction.objects.count() == 2
    assert {*Buyer.objects.values_list("external_id", flat=True)} == {"a", "b"}, "who did nothing is not made"


def test_who_was_erased_is_not_made_again_by_events_that_are_not_recorded(as_garage, car):
    as_garage.post(EVENTS, like(car, buyer="a"))
    erase_person(buyer=Buyer.objects.get())
    as_garage.post(EVENTS, like(car, buyer="b"))
    refused = [like(car, buyer="a", listing_id=999_999), like(car, buyer="a", kind="steal", event_id="e-2"),
               like(car, buyer="a"), like(car, buyer="a", event_id="x" * 65)]  # fmt: skip
    assert outcomes(as_garage.post(f"{EVENTS}?partial=true", refused)) == ["refused", "refused", "conflict", "refused"]
    for event in refused:
        assert as_garage.post(EVENTS, event).status_code in (400, 409)
    assert Buyer.objects.get().external_id == "b"
    assert outcomes(as_garage.post(f"{EVENTS}?partial=true", [*refused, like(car, buyer="a", event_id="e-3")]))[4:] == [
        "recorded"
    ]
    assert Buyer.objects.get(external_id="a").interactions.count() == 1


def test_a_guest_of_whom_nothing_is_recorded_is_not_made(as_gus, car):
    Buyer.objects.all().delete()
    assert outcomes(as_gus.post(f"{EVENTS}?partial=true", [like(car, listing_id=999_999)])) == ["refused"]
    assert not Buyer.objects.exists()


def test_nine_hundred_and_ninety_nine_are_recorded_beside_one_that_is_wrong(as_garage, car):
    events = [{"kind": "view", "listing_id": car.pk, "buyer": f"b-{n % 9}"} for n in range(999)]
    events.insert(500, {"kind": "view", "listing_id": 0, "buyer": "b-0"})
    got = as_garage.post(f"{EVENTS}?partial=true", {"events": events})
    assert (got.json()["recorded"], outcomes(got)[500]) == (999, "refused")


def test_nothing_recorded_is_nothing_created(as_alice):
    got = as_alice.post(f"{EVENTS}?partial=true", [{"kind": "steal"}])
    assert (got.status_code, outcomes(got)) == (200, ["refused"])


@pytest.mark.parametrize("wish", ["yes please", "2", ""])
def test_a_wish_that_is_none_is_refused(as_alice, car, wish):
    assert "partial" in as_alice.post(f"{EVENTS}?partial={wish}", [like(car)]).json()["error"]["fields"]


# --- At once ---------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_same", [True, False])
def test_of_many_who_send_an_id_at_once_one_is_recorded(is_same):
    car, buyer = ListingFactory(), BuyerFactory()
    answers: list[object] = []
    start = threading.Barrier(6)

    def send(number: int) -> None:
        events = [
            Event(kind="like", event_id=f"e-{n}", listing_id=car.pk, position=None if is_same else number + 1)
            for n in (range(5) if number % 2 else reversed(range(5)))
        ]
        start.wait()
        try:
            answers.append(record_interactions(buyer=buyer, events=events).n_recorded)
        except Exception as error:
            answers.append(type(error).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Interaction.objects.count() == 5
    others = 0 if is_same else "EventsConflict"
    assert sorted(map(str, answers)) == sorted(map(str, [5] + [others] * 5))
