"""Users, client systems and guests are counted apart, so that none of them can use up the others' share."""

import io
import json
import re

import pytest
from django.urls import resolve
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts.api.throttles import OpenRouteThrottle
from accounts.services import create_api_key
from recommender_site.http.fast_lane import with_fast_lane
from tests.described_fields import operations, resolved
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
ME = "/api/v1/users/me"
MANY = 100  # entries of one body that have to count as such
BESIDE_ANOTHER = {"actions", "genres"}  # as many as there are item_ids, or the request is refused
LEFT_OUT = {"exclude", "exclude_external"}  # of one list, which costs no more for it


@pytest.fixture(autouse=True)
def _two_calls_a_day(monkeypatch):
    for name in ("UserThrottle", "ApiKeyThrottle", "GuestThrottle"):
        monkeypatch.setattr(f"accounts.api.throttles.{name}.rate", "2/day", raising=False)
    noon = 86_400 * 20_000 + 43_200.0
    monkeypatch.setattr("accounts.api.throttles.CountingThrottle.timer", lambda throttle: noon)


def calls(headers, path="/api/v1/", address="203.0.113.1", times=3):
    answers = [APIClient().get(path, headers=headers, REMOTE_ADDR=address) for _ in range(times)]
    return [answer.status_code for answer in answers]


def test_each_user_has_a_share_wherever_the_calls_come_from():
    alice, carol = ({"Authorization": f"Bearer {AccessToken.for_user(UserFactory())}"} for _ in range(2))
    assert calls(alice) == [200, 200, 429]
    assert calls(alice, address="203.0.113.2", times=1) == [429]
    assert calls(carol) == [200, 200, 429]


def test_each_key_has_a_share():
    keys = [create_api_key(name="a client", scopes=["read"], created_by=None)[1] for _ in range(2)]
    assert [calls({"X-Api-Key": key}) for key in keys] == [[200, 200, 429]] * 2


def test_guests_share_by_address_since_a_visitor_key_costs_nothing():
    one, other = {"X-Visitor-Key": "the-browser-of-gus-1"}, {"X-Visitor-Key": "the-browser-of-gus-2"}
    assert calls(one, times=2) + calls(other, times=1) + calls({}, times=1) == [200, 200, 429, 429]
    assert calls(other, address="203.0.113.2", times=1) == [200]


def test_an_address_cannot_be_made_up_where_there_is_no_proxy():
    forged = [calls({"X-Forwarded-For": f"198.51.100.{n}"}, times=1)[0] for n in range(3)]
    assert forged == [200, 200, 429]


def test_the_refusal_says_when_to_come_back():
    calls({})
    refused = APIClient().get("/api/v1/", REMOTE_ADDR="203.0.113.1")
    assert (refused.status_code, refused["Retry-After"]) == (429, "43200")
    assert refused.json()["error"]["code"] == "throttled"


def test_every_answer_that_is_counted_says_what_is_left():
    answers = [APIClient().get("/api/v1/", REMOTE_ADDR="203.0.113.1") for _ in range(3)]
    assert [answer["RateLimit"] for answer in answers] == [f'"guest";r={left};t=43200' for left in (1, 0, 0)]
    assert {answer["RateLimit-Policy"] for answer in answers} == {'"guest";q=2;w=86400'}
    user = {"Authorization": f"Bearer {AccessToken.for_user(UserFactory())}"}
    assert APIClient().get(ME, headers=user)["RateLimit"] == '"user";r=1;t=43200'
    assert APIClient().get("/no/such/page").headers.keys().isdisjoint({"RateLimit", "RateLimit-Policy"})


def test_a_bulk_that_is_refused_takes_nothing_of_what_is_left(monkeypatch):
    monkeypatch.setattr("accounts.api.throttles.ApiKeyThrottle.rate", "1500/day", raising=False)
    client = APIClient(headers={"X-Api-Key": create_api_key(name="a client", scopes=["ingest"], created_by=None)[1]})
    answers = [client.post("/api/v1/events", {"events": [{}] * n}, format="json") for n in (1000, 600, 500)]
    assert [(answer.status_code, answer["RateLimit"]) for answer in answers] == [
        (400, '"api_key";r=500;t=43200'),
        (429, '"api_key";r=500;t=43200'),
        (400, '"api_key";r=0;t=43200'),
    ]


# --- Bulk routes -----------------------------------------------------------------------------------------------------
BULKS = [
    ("/api/v1/events", "ingest", lambda n: {"events": [{}] * n}),
    ("/api/v1/events", "ingest", lambda n: [{}] * n),
    ("/api/v1/events", "ingest", lambda n: {"kind": "impression", "positions": [1] * n}),
    ("/api/v1/listings", "ingest", lambda n: {"source": "garage", "listings": [{}] * n}),
    ("/api/v1/listings", "ingest", lambda n: [{}] * n),
    ("/api/v1/listings/complete", "ingest", lambda n: {"external_ids": [7] * n}),
    ("/api/v1/cars/rank", "read", lambda n: {"listing_ids": [{}] * n}),
    ("/api/v1/cars/rank", "read", lambda n: {"listing_ids": "," * (n - 1)}),
    ("/api/v1/cars/recommendations/placements", "read", lambda n: {"lists": [{}] * n}),
    ("/batch", "read", lambda n: [{}] * n),
    ("/interact", "ingest", lambda n: {"user_id": "u", "item_ids": ["x"] * n, "actions": []}),
    ("/add_items", "ingest", lambda n: {"item_ids": ["x"] * n, "genres": 1}),
]


@pytest.mark.parametrize(("path", "scope", "body"), BULKS)
def test_a_bulk_counts_what_it_carries(path, scope, body, monkeypatch):
    monkeypatch.setattr("accounts.api.throttles.ApiKeyThrottle.rate", "1500/day", raising=False)
    client = APIClient(headers={"X-Api-Key": create_api_key(name="a client", scopes=[scope], created_by=None)[1]})
    asked = [client.post(path, body(n), format="json").status_code for n in (1000, 1000, 400, 1000, 100, 1)]
    assert [status == 429 for status in asked] == [False, True, False, True, False, True]


WITH_BODIES = [(route, each) for _, route, each in operations() if "requestBody" in each]


@pytest.mark.parametrize(("route", "operation"), WITH_BODIES, ids=lambda part: part if isinstance(part, str) else "")
def test_every_list_that_a_body_may_bring_is_counted(route, operation):
    view = resolve(re.sub(r"{[^}]*}", "1", route)).func.cls
    asked = resolved(operation["requestBody"]["content"]["application/json"]["schema"])
    forms = [resolved(form) for form in asked.get("oneOf", [asked])]
    fields = {name: resolved(field) for form in forms for name, field in form.get("properties", {}).items()}
    long = {name for name, field in fields.items() if field.get("type") == "array" and is_long(field)}
    assert long - BESIDE_ANOTHER - LEFT_OUT <= {*getattr(view, "carried_in", ())}


def is_long(field):
    most = field.get("maxItems", 10**6)
    return most >= MANY and most != field.get("minItems")  # a vector of so many numbers is one thing


def test_a_subscriber_of_ipv6_has_one_share_and_not_one_for_each_address(settings):
    settings.DEMO_MODE = True
    asked = [calls({}, address=f"2001:db8:0:7::{n}", times=1)[0] for n in range(3)]
    assert asked == [200, 200, 429]
    assert calls({}, address="2001:db8:0:8::1", times=1) == [200]
    assert OpenRouteThrottle().key_of({"REMOTE_ADDR": "2001:db8:0:7::1"}) == OpenRouteThrottle().key_of(
        {"REMOTE_ADDR": "2001:db8:0:7:1::"}
    )


def test_more_at_once_than_the_whole_allowance_is_let_through_alone(monkeypatch):
    monkeypatch.setattr("accounts.api.throttles.ApiKeyThrottle.rate", "500/day", raising=False)
    client = APIClient(headers={"X-Api-Key": create_api_key(name="a client", scopes=["ingest"], created_by=None)[1]})
    asked = [client.post("/api/v1/events", [{}] * 1000, format="json").status_code for _ in range(2)]
    assert asked == [400, 429]


@pytest.mark.parametrize("body", ["{", "[" * 3000, "\ud800"])
def test_a_body_that_cannot_be_read_counts_too(body):
    client = APIClient(headers={"X-Api-Key": create_api_key(name="a client", scopes=["ingest"], created_by=None)[1]})
    content = body.encode("utf-8", "surrogatepass")
    asked = [client.generic("POST", "/api/v1/events", content, "application/json").status_code for _ in range(3)]
    assert asked == [400, 400, 429]


def test_while_the_cache_is_away_each_process_counts(monkeypatch):
    monkeypatch.setattr("django.core.cache.cache.count", lambda *args, **more: 0)
    assert calls({}, address="203.0.113.99") == [200, 200, 429]


@pytest.mark.parametrize(("path", "body", "carried"), [("/infer", {}, 1), ("/batch", [{}] * 100, 100),
                                                       ("/interact", {"item_ids": ["x"] * 100}, 100)])  # fmt: skip
def test_open_routes_are_counted_by_the_short_way_and_the_usual_one(path, body, carried, settings, monkeypatch):
    settings.DEMO_MODE = True
    monkeypatch.setattr("accounts.api.throttles.OpenRouteThrottle.rate", f"{3 * carried}/day", raising=False)
    asked = [by_the_short_way(path, body)[0] for _ in range(2)]
    asked += [APIClient().post(path, body, format="json", REMOTE_ADDR="203.0.113.50").status_code for _ in range(2)]
    assert [status == 429 for status in asked] == [False, False, False, True]
    assert by_the_short_way(path, body) == (429, "43200")


def by_the_short_way(path, body):
    content = json.dumps(body).encode()
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "CONTENT_LENGTH": str(len(content)),
               "wsgi.input": io.BytesIO(content), "REMOTE_ADDR": "203.0.113.50"}  # fmt: skip
    started = []
    with_fast_lane(None)(environ, lambda status, headers: started.append((status, dict(headers))))
    return int(started[0][0].split()[0]), started[0][1].get("Retry-After")
