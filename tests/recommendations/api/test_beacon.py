"""Events that a browser sends while its page is left: by the key in the body, called plain text, from pages of ours."""

import json

import pytest
from django.test import Client

from accounts.models import Buyer
from recommendations.models import Interaction
from tests.factories import ListingFactory

pytestmark = pytest.mark.django_db
BEACON = "/api/v1/events/beacon"
GUEST = "the-browser-of-gus"
PAGE = "https://www.example.com"


@pytest.fixture
def event():
    listing = ListingFactory(external_id="A-1", source="garage")
    return {"kind": "view", "external_id": "A-1", "source": "garage", "event_id": f"e-{listing.pk}"}


def send(events, key=GUEST, kind="text/plain;charset=UTF-8", **headers):
    body = {"events": events} if key is None else {"visitor_key": key, "events": events}
    return Client().post(BEACON, json.dumps(body), content_type=kind, headers=headers)


@pytest.mark.parametrize("kind", ["text/plain;charset=UTF-8", "text/plain", "application/json"])
def test_the_event_is_that_of_the_guest(event, kind):
    answer = send([event], kind=kind)
    assert (answer.status_code, answer.json()["recorded"]) == (201, 1)
    assert Interaction.objects.get().buyer.visitor_key == GUEST
    assert send([event], kind=kind).json()["repeated"] == 1


def test_the_guest_is_the_one_of_the_header(event):
    send([event])
    with_header = Client(headers={"X-Visitor-Key": GUEST})
    with_header.post("/api/v1/events", {**event, "event_id": "other"}, content_type="application/json")
    assert Buyer.objects.filter(visitor_key=GUEST).count() == 1
    assert Interaction.objects.count() == 2


def test_what_is_right_is_recorded_and_what_is_not_is_named(event):
    wrong = [{"kind": "no such kind", "external_id": "A-1"}, {"kind": "view", "listing_id": 10**9}]
    answer = send([wrong[0], event, wrong[1]]).json()
    assert [each["status"] for each in answer["events"]] == ["refused", "recorded", "refused"]
    assert send([{**event, "buyer": "42", "event_id": "x"}]).status_code == 403
    assert Interaction.objects.count() == 1


@pytest.mark.parametrize("key", [None, "", "short", 7, ["x" * 20], {"a": 1}, "ü" * 20, "x" * 65])
def test_without_a_key_that_is_one_nothing_is_recorded(event, key):
    answer = send([event], key=key)
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, ["visitor_key"])
    assert not Interaction.objects.exists()


@pytest.mark.parametrize("body", ["", "[]", "7", "{", '"x"', "null", '{"events": []}'])
def test_a_body_that_is_none_is_refused(body):
    answer = Client().post(BEACON, body, content_type="text/plain")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("events", [[], {}, "x", None, 7, [7], [None]])
def test_events_that_are_none_are_refused_or_named(events):
    answer = send(events)
    assert answer.status_code == 400 or answer.json()["events"][0]["status"] == "refused"


def test_a_field_that_is_not_known_is_refused_by_name(event):
    body = {"visitor_key": GUEST, "events": [event], "visitor": 1}
    answer = Client().post(BEACON, json.dumps(body), content_type="text/plain")
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, ["visitor"])


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({}, True),
        ({"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": PAGE}, True),
        ({"Origin": PAGE, "Sec-Fetch-Site": "cross-site"}, True),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": f"{PAGE}.evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
    ],
)
def test_pages_of_origins_that_are_not_named_send_nothing(event, headers, is_taken, settings):
    settings.CORS_ALLOWED_ORIGINS = [PAGE]
    assert send([event], **headers).status_code == (201 if is_taken else 403)
    assert Interaction.objects.exists() == is_taken
    settings.CORS_ALLOW_ALL_ORIGINS = True
    assert send([event], **headers).status_code == 201


def test_other_credentials_count_for_nothing_here(event):
    client = Client(headers={"X-Visitor-Key": "the-browser-of-another"})
    client.post(BEACON, json.dumps({"visitor_key": GUEST, "events": [event]}), content_type="text/plain")
    assert Interaction.objects.get().buyer.visitor_key == GUEST
