"""How tokens end: all at once, and a refresh token buys exactly one successor."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.models import AuditEntry, TokenFamily, User
from accounts.roles import ROLES
from accounts.tokens import log_out_everywhere
from tests.factories import UserFactory

ME = "/api/v1/users/me"
NEW = "another-long-one-7"


@pytest.fixture
def alice(db):
    return UserFactory(email="alice@example.com")


def log_in() -> dict[str, str]:
    return APIClient().post("/api/v1/token", {"email": "alice@example.com", "password": "password"}).json()


def renew(refresh: str):
    return APIClient().post("/api/v1/token/refresh", {"refresh": refresh})


def is_accepted(access: str, scheme: str = "Bearer") -> bool:
    return APIClient(headers={"Authorization": f"{scheme} {access}"}).get(ME).status_code == 200


def set_password(user: User) -> None:
    user.set_password(NEW)
    user.save()


def close_and_open(user: User) -> None:
    for is_active in (False, True):
        user.is_active = is_active
        user.save(update_fields=["is_active"])


ENDINGS = [set_password, close_and_open, log_out_everywhere]


@pytest.mark.parametrize("end", ENDINGS)
def test_what_ends_a_login_ends_every_token_and_session(end, alice, settings):
    settings.DEMO_MODE = True
    pairs = [log_in(), log_in()]
    pairs.append(renew(pairs[0]["refresh"]).json())
    fake = APIClient().post("/api/v1/token/fake-token", {"email": alice.email}).json()["token"]
    browser = Client()
    browser.force_login(alice)
    assert browser.get(ME).status_code == 200
    accesses = [fake, *(pair["access"] for pair in pairs)]
    assert all(map(is_accepted, accesses))
    end(User.objects.get(pk=alice.pk))
    assert not any(map(is_accepted, accesses))
    assert [renew(pair["refresh"]).status_code for pair in pairs] == [401, 401, 401]
    assert browser.get(ME).status_code in (401, 403)


@pytest.mark.parametrize("end", [close_and_open, log_out_everywhere])
def test_a_login_afterwards_is_good_at_once(end, alice):
    end(alice)
    pair = log_in()
    assert is_accepted(pair["access"])
    assert is_accepted(renew(pair["refresh"]).json()["access"])


def test_everywhere_is_a_route(alice):
    here, there = log_in(), log_in()
    client = APIClient(headers={"Authorization": f"Bearer {here['access']}"})
    assert client.post("/api/v1/token/revoke-all").status_code == 204
    assert not is_accepted(here["access"])
    assert not is_accepted(there["access"])


def test_logging_out_ends_this_login_and_no_other(alice):
    here, there = log_in(), log_in()
    assert APIClient().post("/api/v1/token/revoke", {"refresh": here["refresh"]}).status_code == 204
    assert (is_accepted(here["access"]), is_accepted(there["access"])) == (False, True)


def test_spending_a_token_twice_ends_its_family(alice):
    other, first = log_in(), log_in()
    second = renew(first["refresh"]).json()
    third = renew(second["refresh"]).json()
    assert renew(first["refresh"]).status_code == 401
    assert renew(third["refresh"]).status_code == 401
    assert not is_accepted(third["access"])
    assert is_accepted(other["access"])


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_get_one_successor():
    UserFactory(email="alice@example.com")
    refresh = log_in()["refresh"]

    def ask(_) -> int:
        try:
            return renew(refresh).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(ask, range(8)))
    assert statuses == [200] + [401] * 7
    assert TokenFamily.objects.get().ended_at is not None


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer", "bEaReR"])
def test_the_scheme_is_read_in_any_case(scheme, alice):
    assert is_accepted(log_in()["access"], scheme)


# --- Passwords in the admin ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", [*ROLES, "superuser"])
def test_a_password_is_set_in_the_admin_and_in_the_audit_log(role, alice, client):
    operator = UserFactory(is_staff=True, is_superuser=role == "superuser")
    if role != "superuser":
        operator.groups.add(Group.objects.get(name=role))
    client.force_login(operator)
    access = log_in()["access"]
    page = reverse("admin:auth_user_password_change", args=[alice.pk])
    given = {"password1": NEW, "password2": NEW, "usable_password": "true", "set-password": "1"}
    answer = client.post(page, given)
    is_allowed = operator.has_perm("accounts.change_user")
    assert answer.status_code == (302 if is_allowed else 403)
    alice.refresh_from_db()
    assert alice.check_password(NEW) == is_allowed
    assert is_accepted(access) != is_allowed
    notes = list(AuditEntry.objects.filter(object_id=str(alice.pk)).values_list("by", "note"))
    assert notes == ([(operator.pk, "A new password.")] if is_allowed else [])
    assert NEW not in str(list(AuditEntry.objects.values()))
