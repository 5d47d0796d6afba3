"""One count of wrong passwords for every door, by account and by address, in the database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError

from accounts.login.attempts import forget_old_counts
from accounts.models import AuditEntry, FailedLogins, User
from tests.factories import UserFactory

WRONG, RIGHT = "not-it", "password"
HERE, THERE = "203.0.113.7", "198.51.100.9"


def by_token(email: str, password: str, address: str = HERE) -> int:
    body = {"email": email, "password": password}
    return Client().post("/api/v1/token", body, content_type="application/json", REMOTE_ADDR=address).status_code


def by_form(path: str, email: str, password: str, address: str) -> int:
    answer = Client().post(path, {"username": email, "password": password}, REMOTE_ADDR=address)
    return 401 if answer.status_code == 200 else answer.status_code


def in_the_admin(email: str, password: str, address: str = HERE) -> int:
    return by_form(reverse("admin:login"), email, password, address)


def by_session(email: str, password: str, address: str = HERE) -> int:
    return by_form(reverse("rest_framework:login"), email, password, address)


DOORS = [by_token, in_the_admin, by_session]
LETS_IN = {by_token: 200, in_the_admin: 302, by_session: 302}


@pytest.fixture
def alice(db, settings) -> User:
    settings.LOGIN_FAILURES_PER_ACCOUNT = 5
    return UserFactory(email="alice@example.com", operator=True)


def fail(n_times: int, door=by_token, email: str = "alice@example.com", address: str = HERE) -> list[int]:
    return [door(email, WRONG, address) for _ in range(n_times)]


def let_time_pass() -> None:
    past = timezone.now() - timedelta(minutes=16)
    FailedLogins.objects.update(first_at=past, last_at=past)
    FailedLogins.objects.exclude(closed_until=None).update(closed_until=past)


# --- By account ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("closing", DOORS)
@pytest.mark.parametrize("door", DOORS)
def test_what_fails_at_one_door_closes_the_account_at_all(closing, door, alice):
    assert fail(5, closing) == [401] * 5
    assert door(alice.email, RIGHT) == 429
    assert door(alice.email, RIGHT, THERE) == 429
    UserFactory(email="bob@example.com", operator=True)
    assert door("bob@example.com", RIGHT) == LETS_IN[door]


def test_doors_share_one_count(alice):
    tried = [door(alice.email, WRONG, f"203.0.113.{n}") for n, door in enumerate([*DOORS, *DOORS])]
    assert tried == [401] * 5 + [429]


@pytest.mark.parametrize("door", DOORS)
def test_the_last_try_may_be_right_and_forgives_what_failed(door, alice):
    fail(4, door)
    assert door(alice.email, RIGHT) == LETS_IN[door]
    assert fail(5, door) == [401] * 5
    assert door(alice.email, RIGHT) == 429


def test_a_closed_account_opens_by_itself_and_no_later_for_what_is_tried_meanwhile(alice):
    fail(5)
    until = FailedLogins.objects.get(kind="account").closed_until
    fail(20)
    assert FailedLogins.objects.get(kind="account").closed_until == until
    let_time_pass()
    assert by_token(alice.email, RIGHT) == 200


def test_failures_long_ago_are_not_added_up(alice):
    fail(4)
    let_time_pass()
    assert [*fail(4), by_token(alice.email, RIGHT)] == [401] * 4 + [200]


SPELLINGS = [
    "ALICE@example.com",
    " alice@example.com",
    "alice@EXAMPLE.com ",
    "Al\u0131ce@example.com",
    "alice@example.com\0",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_other_spellings_of_an_account_are_that_account(spelling, alice):
    for address in range(3):
        in_the_admin(spelling, WRONG, f"203.0.113.{address}")
    fail(5)
    assert by_token(alice.email, RIGHT) == 429
    assert in_the_admin(spelling, RIGHT) != 302


def test_an_account_that_does_not_exist_is_closed_like_any_other(alice):
    def tried(email: str) -> list[int]:
        return fail(7, email=email)

    assert tried("stranger@example.com") == tried(alice.email)


def test_the_refusal_says_when_to_come_back(alice):
    fail(5)
    answer = Client().post(
        "/api/v1/token", {"email": alice.email, "password": RIGHT}, content_type="application/json", REMOTE_ADDR=THERE
    )
    assert answer.json()["error"]["code"] == "throttled"
    assert 840 < int(answer["Retry-After"]) <= 900
    page = Client().post(reverse("admin:login"), {"username": alice.email, "password": RIGHT})
    assert page.status_code == 429
    assert "Try again in 15 minutes" in page.text


def test_a_wrong_old_password_is_counted_too(alice, client):
    client.force_login(alice)
    given = {"old_password": WRONG, "new_password1": "another-long-7", "new_password2": "another-long-7"}
    for _ in range(5):
        client.post(reverse("admin:password_change"), given)
    page = client.post(reverse("admin:password_change"), {**given, "old_password": RIGHT})
    assert "Too many attempts" in page.text
    alice.refresh_from_db()
    assert alice.check_password(RIGHT)
    assert by_token(alice.email, RIGHT) == 429


# --- By address ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("door", DOORS)
def test_an_address_that_tries_many_accounts_is_closed_for_all(door, alice, settings):
    settings.LOGIN_FAILURES_PER_ADDRESS = 8
    assert [door(f"person{n}@example.com", WRONG) for n in range(8)] == [401] * 8
    assert door(alice.email, RIGHT) == 429
    assert door(alice.email, RIGHT, THERE) == LETS_IN[door]


def test_getting_in_oneself_forgives_an_address_nothing(alice, settings):
    settings.LOGIN_FAILURES_PER_ADDRESS = 8
    UserFactory(email="mallory@example.com")
    for n in range(8):
        by_token(f"person{n}@example.com", WRONG)
        if n < 7:
            assert by_token("mallory@example.com", RIGHT) == 200
    assert by_token("mallory@example.com", RIGHT) == 429


def test_an_office_may_log_in_as_often_as_it_likes(alice, settings):
    settings.LOGIN_FAILURES_PER_ADDRESS = 3
    assert [by_token(alice.email, RIGHT) for _ in range(20)] == [200] * 20


def test_the_addresses_of_one_ipv6_subscriber_are_one(alice, settings):
    settings.LOGIN_FAILURES_PER_ADDRESS = 8
    for n in range(8):
        by_token(f"person{n}@example.com", WRONG, f"2001:db8:1:2::{n:x}")
    assert by_token(alice.email, RIGHT, "2001:db8:1:2:ffff::1") == 429
    assert by_token(alice.email, RIGHT, "2001:db8:1:3::1") == 200


def test_a_closed_address_fills_no_table_with_names(alice, settings):
    settings.LOGIN_FAILURES_PER_ADDRESS = 4
    for n in range(30):
        by_token(f"person{n}@example.com", WRONG)
    assert FailedLogins.objects.count() == 5


def test_an_address_cannot_be_made_up(alice, settings):
    settings.LOGIN_FAILURES_PER_ADDRESS = 4
    for n in range(4):
        Client(headers={"X-Forwarded-For": f"192.0.2.{n}"}).post(
            "/api/v1/token", {"email": f"p{n}@example.com", "password": WRONG}, content_type="application/json",
            REMOTE_ADDR=HERE,
        )  # fmt: skip
    assert by_token(alice.email, RIGHT) == 429


# --- Pace ------------------------------------------------------------------------------------------------------------
def test_right_ones_have_a_pace_too(alice, settings):
    settings.THROTTLE_LOGIN = "3/min"
    assert [by_token(alice.email, RIGHT), in_the_admin(alice.email, RIGHT), by_session(alice.email, RIGHT)] == [
        200,
        302,
        302,
    ]
    assert by_token(alice.email, RIGHT) == 429
    assert by_token(alice.email, RIGHT, THERE) == 200


# --- Without the cache, and all at once ------------------------------------------------------------------------------
@pytest.mark.parametrize("door", DOORS)
def test_the_cache_takes_no_part(door, alice, monkeypatch):
    def away(*args, **kwargs):
        raise RedisConnectionError("no cache")

    monkeypatch.setattr(type(cache._cache), "get_client", away)
    assert fail(5, door) == [401] * 5
    assert door(alice.email, RIGHT) == 429


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("door", DOORS)
def test_many_at_once_are_looked_at_no_more_often_than_one_after_another(door, settings, monkeypatch):
    settings.LOGIN_FAILURES_PER_ACCOUNT = 5
    UserFactory(email="alice@example.com", operator=True)
    looked_at = []
    verify = MD5PasswordHasher.verify

    def noted(self, password, encoded):
        looked_at.append(password)
        return verify(self, password, encoded)

    monkeypatch.setattr(MD5PasswordHasher, "verify", noted)

    def attempt(n: int) -> int:
        try:
            return door("alice@example.com", f"{WRONG}{n}", f"203.0.113.{n}")
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(attempt, range(40)))
    assert sorted(statuses) == [401] * 5 + [429] * 35
    assert len(looked_at) == 5
    assert AuditEntry.objects.filter(action="closed").count() == 1


# --- Seen, opened, noted ---------------------------------------------------------------------------------------------
def test_a_closed_account_is_in_the_audit_log_once(alice):
    fail(9)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.model, entry.object_id) == ("closed", "accounts.user", str(alice.pk))
    assert "5 wrong passwords" in entry.note
    assert HERE in entry.note
    assert WRONG not in str(AuditEntry.objects.values())


def test_a_closed_address_is_in_the_audit_log(alice, settings):
    settings.LOGIN_FAILURES_PER_ADDRESS = 4
    for n in range(6):
        by_token(f"person{n}@example.com", WRONG)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.model) == ("closed", "accounts.failedlogins")
    assert HERE in entry.object_name


def test_an_operator_sees_who_is_closed_and_opens_it(alice, client):
    fail(5)
    client.force_login(UserFactory(operator=True))
    page = client.get(reverse("admin:accounts_failedlogins_changelist"), {"state": "closed"})
    assert page.context["cl"].result_count == 1
    assert "alice@example.com" in page.text
    row = FailedLogins.objects.get(kind="account")
    client.post(reverse("admin:accounts_failedlogins_reopen", args=[row.pk]), {"_form_submitted": "on"})
    assert by_token(alice.email, RIGHT) == 200
    assert list(AuditEntry.objects.values_list("action", flat=True)) == ["opened", "closed"]


def test_selected_rows_are_opened_together(alice, client):
    fail(5), fail(5, email="stranger@example.com")
    client.force_login(UserFactory(operator=True))
    rows = list(FailedLogins.objects.values_list("pk", flat=True))
    given = {"action": "reopen_selected", "_selected_action": rows}
    client.post(reverse("admin:accounts_failedlogins_changelist"), given)
    assert not FailedLogins.objects.exists()


def test_a_get_opens_nothing(alice, client):
    fail(5)
    client.force_login(UserFactory(operator=True))
    row = FailedLogins.objects.get(kind="account")
    client.get(reverse("admin:accounts_failedlogins_reopen", args=[row.pk]))
    assert by_token(alice.email, RIGHT) == 429


@pytest.mark.parametrize("named", ["Alice@example.com", "--all"])
def test_the_command_line_opens_where_no_login_is_left(named, alice):
    fail(5)
    call_command("unlock", named)
    assert by_token(alice.email, RIGHT) == 200


def test_the_command_line_opens_an_address(alice, settings):
    settings.LOGIN_FAILURES_PER_ADDRESS = 4
    for n in range(4):
        by_token(f"person{n}@example.com", WRONG)
    call_command("unlock", HERE)
    assert by_token(alice.email, RIGHT) == 200


def test_old_counts_go_and_those_of_erased_people_at_once(alice):
    fail(1), fail(1, email="bob@example.com")
    FailedLogins.objects.update(last_at=timezone.now() - timedelta(days=31))
    fail(1, email="carol@example.com")
    forget_old_counts(timedelta(days=30))
    assert set(FailedLogins.objects.values_list("name", flat=True)) == {"carol@example.com", HERE}


@with_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(email=st.text(max_size=400), password=st.text(max_size=400))
@pytest.mark.parametrize("door", DOORS)
def test_whatever_is_typed_is_refused_and_nothing_crashes(door, db, email, password):
    email = email.encode(errors="replace").decode()
    password = password.encode(errors="replace").decode()
    assert door(email, password) in (400, 401, 429)
