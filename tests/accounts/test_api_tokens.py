"""Logging in, staying logged in, logging out; guests who turn out to be users."""

from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from accounts.models import Buyer
from accounts.services import buyer_for_user, buyer_for_visitor
from tests.factories import BuyerFactory, UserFactory

pytestmark = pytest.mark.django_db
VISITOR_KEY = "a-guest-in-some-browser"


@pytest.fixture
def client():
    return APIClient()


@pytest.fixture
def alice():
    return UserFactory(email="Alice@example.com", first_name="Alice", last_name="Liddell")


def log_in(client, **headers):
    credentials = {"email": "alice@EXAMPLE.com", "password": "password"}
    return client.post("/api/v1/token", credentials, headers=headers)


def with_token(token):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def test_a_token_opens_the_endpoint_of_the_own_account(client, alice):
    token = log_in(client).json()["access"]
    got = with_token(token).get("/api/v1/users/me")
    assert got.json() == {"email": "Alice@example.com", "first_name": "Alice", "surname": "Liddell"}


@pytest.mark.parametrize("path", ["token", "token/", "token/fake-token", "token/fake-token/", "users/me", "users/me/"])
def test_routes_answer_with_and_without_a_slash(client, path):
    assert client.options(f"/api/v1/{path}").status_code in (200, 401)


def test_a_wrong_password_is_refused_like_an_unknown_address(client, alice):
    wrong = client.post("/api/v1/token", {"email": alice.email, "password": "wrong"})
    unknown = client.post("/api/v1/token", {"email": "unknown@example.com", "password": "wrong"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


def test_an_account_that_was_closed_cannot_log_in_nor_use_its_token(client, alice):
    pair = log_in(client).json()
    alice.is_active = False
    alice.save()
    assert log_in(client).status_code == 401
    assert with_token(pair["access"]).get("/api/v1/users/me").status_code == 401
    assert client.post("/api/v1/token/refresh", {"refresh": pair["refresh"]}).status_code == 401


def test_a_refresh_token_can_be_spent_once(client, alice):
    first = log_in(client).json()["refresh"]
    second = client.post("/api/v1/token/refresh", {"refresh": first}).json()
    assert with_token(second["access"]).get("/api/v1/users/me").status_code == 200
    assert client.post("/api/v1/token/refresh", {"refresh": first}).status_code == 401


def test_after_logging_out_the_refresh_token_buys_nothing(client, alice):
    refresh = log_in(client).json()["refresh"]
    assert client.post("/api/v1/token/revoke", {"refresh": refresh}).status_code == 204
    assert client.post("/api/v1/token/refresh", {"refresh": refresh}).status_code == 401
    assert client.post("/api/v1/token/revoke", {"refresh": refresh}).status_code == 401


def test_a_refresh_token_of_an_erased_user_is_refused(client, alice):
    refresh = log_in(client).json()["refresh"]
    alice.delete()
    assert client.post("/api/v1/token/refresh", {"refresh": refresh}).status_code == 401


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "\0", "é" * 5000])
@pytest.mark.parametrize("path", ["refresh", "revoke"])
def test_what_is_no_token_is_refused(client, path, token):
    assert client.post(f"/api/v1/token/{path}", {"refresh": token}).status_code in (400, 401)


def test_an_access_token_is_no_refresh_token(client, alice):
    access = log_in(client).json()["access"]
    assert client.post("/api/v1/token/refresh", {"refresh": access}).status_code == 401


def test_logging_in_brings_the_guest_along(client, alice):
    guest = buyer_for_visitor(VISITOR_KEY)
    assert log_in(client, **{"X-Visitor-Key": VISITOR_KEY}).status_code == 200
    guest.refresh_from_db()
    assert guest.merged_into == buyer_for_user(alice)


def test_logging_in_from_a_shared_browser_takes_nothing_from_the_person_before(client, alice):
    bob = BuyerFactory()
    guest = BuyerFactory(guest=True, visitor_key=VISITOR_KEY, merged_into=bob)
    assert log_in(client, **{"X-Visitor-Key": VISITOR_KEY}).status_code == 200
    guest.refresh_from_db()
    assert guest.merged_into == bob


def test_an_unused_visitor_key_leaves_no_row_behind(client, alice):
    log_in(client, **{"X-Visitor-Key": VISITOR_KEY})
    assert not Buyer.objects.exists()


def test_a_fake_token_makes_one_a_demo_user(client, alice, settings):
    settings.DEMO_MODE = True
    got = client.post("/api/v1/token/fake-token", {"email": "alice@example.com"})
    assert list(got.json()) == ["token"]
    assert with_token(got.json()["token"]).get("/api/v1/users/me").json()["surname"] == "Liddell"


@pytest.mark.parametrize(
    ("demo_mode", "email", "status"),
    [(False, "alice@example.com", 404), (False, None, 404), (True, "unknown@example.com", 404), (True, "", 400),
     (True, None, 400), (True, "a\0b", 400), (True, ["a"], 400), (True, {}, 400)],
)  # fmt: skip
def test_no_fake_token_outside_demo_mode_nor_for_unknown_users(client, alice, settings, demo_mode, email, status):
    settings.DEMO_MODE = demo_mode
    body = {} if email is None else {"email": email}
    assert client.post("/api/v1/token/fake-token", body).status_code == status


def test_attempts_on_one_account_are_limited_and_other_accounts_are_not(client, settings):
    settings.THROTTLE_LOGIN = "3/day"
    attacked, other = (f"{uuid4()}@example.com" for _ in range(2))

    def attempt(email):
        return client.post("/api/v1/token", {"email": email, "password": "wrong"}, REMOTE_ADDR="203.0.113.7")

    assert [attempt(attacked).status_code for _ in range(4)] == [401, 401, 401, 429]
    refused = attempt(attacked.upper())
    assert refused.json()["error"]["code"] == "throttled"
    assert 86_000 < int(refused["Retry-After"]) <= 86_400
    assert attempt(other).status_code == 401
