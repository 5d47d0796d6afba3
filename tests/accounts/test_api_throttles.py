"""Users, client systems and guests are counted apart, so that none of them can use up the others' share."""

import pytest
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts.services import create_api_key
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
ME = "/api/v1/users/me"


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
