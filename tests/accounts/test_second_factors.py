"""The second factor of staff, through the pages: set up, asked for, required, lost."""

import json
import re
import time
from urllib.parse import quote

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from accounts.login.account_urls import urlpatterns
from accounts.models import AuditEntry, User
from catalog.models import Listing
from tests.accounts.security_key import SecurityKey
from tests.factories import ListingFactory, UserFactory, user_of_role

PASSWORD = "password"
INDEX = "/admin/"
SECURE = {"wsgi.url_scheme": "https", "SERVER_PORT": "443"}


@pytest.fixture
def alice(db, settings) -> User:
    settings.TWO_FACTOR = "optional"
    return UserFactory(email="alice@example.com", operator=True)


def log_in(client: Client, door: str = "admin:login", next_page: str = ""):
    address = reverse(door) + (f"?next={next_page}" if next_page else "")
    return client.post(address, {"username": "alice@example.com", "password": PASSWORD})


def code_for(secret: str, steps: int = 0) -> str:
    cache.empty()  # a code counts once; tests have no time to wait for the next
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def wrong_code_for(secret: str) -> str:
    right = {code_for(secret, steps) for steps in range(-3, 4)}
    return next(code for code in ("000000", "111111", "222222", "333333") if code not in right)


def set_up(client: Client) -> str:
    """As a person does: confirm the password, scan the secret, type the code it gives."""
    page = client.get(reverse("mfa_activate_totp"), follow=True)
    if page.request["PATH_INFO"] == reverse("account_reauthenticate"):
        page = client.post(
            page.request["PATH_INFO"] + "?next=" + reverse("mfa_activate_totp"), {"password": PASSWORD}, follow=True
        )
    secret = page.context["form"].secret
    assert "data:image/svg" in page.text
    answer = client.post(reverse("mfa_activate_totp"), {"code": code_for(secret)})
    assert answer.status_code == 302, answer.text
    return secret


@pytest.fixture
def secret(alice, client) -> str:
    log_in(client)
    secret = set_up(client)
    client.logout()
    return secret


# --- Set up and asked for --------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_from_the_first_login_to_one_with_a_code(settings, client):
    settings.TWO_FACTOR = "optional"
    alice = UserFactory(email="alice@example.com", operator=True)
    assert log_in(client).headers["Location"] == INDEX
    secret = set_up(client)
    assert client.get(INDEX).status_code == 200  # this session has just shown it
    client.logout()

    answer = log_in(client, next_page="/admin/catalog/listing/")
    assert answer.headers["Location"] == reverse("mfa_authenticate")
    assert client.get(INDEX).status_code == 302
    page = client.get(reverse("mfa_authenticate"))
    assert page.status_code == 200
    assert client.post(reverse("mfa_authenticate"), {"code": wrong_code_for(secret)}).status_code == 200
    assert client.get(INDEX).status_code == 302
    answer = client.post(reverse("mfa_authenticate"), {"code": code_for(secret)})
    assert answer.headers["Location"] == "/admin/catalog/listing/"
    assert client.get(INDEX).status_code == 200

    notes = list(AuditEntry.objects.filter(object_id=str(alice.pk)).values_list("note", flat=True))
    assert "A second factor was set up: totp authenticator." in notes
    assert secret not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize("door", ["admin:login", "rest_framework:login"])
def test_no_door_leads_past_the_code(door, secret, client):
    assert log_in(client, door).headers["Location"] == reverse("mfa_authenticate")
    assert client.get(INDEX).status_code == 302
    assert client.get("/api/v1/users/me").status_code == 401


ELSEWHERE = ["https://evil.example/", "//evil.example/", "/\\evil.example", "https:evil.example", "javascript:alert(1)"]


@pytest.mark.parametrize("address", ELSEWHERE)
def test_no_door_leads_to_another_site(address, secret, client):
    for door in ("admin:login", "rest_framework:login"):
        for name in ("next", "redirect_to", "url"):
            bob = UserFactory(operator=True)
            given = {"username": bob.email, "password": PASSWORD, name: address}
            assert_stays(Client().post(reverse(door) + f"?{name}={quote(address)}", given))
        log_in(client, door, quote(address))
        assert_stays(client.post(reverse("mfa_authenticate") + f"?next={quote(address)}", {"code": code_for(secret)}))
        assert client.get(INDEX).status_code == 200
        page = reverse("account_reauthenticate") + f"?next={quote(address)}"
        assert_stays(client.post(page, {"password": PASSWORD, "next": address}))
        assert_stays(client.post(reverse("account_logout") + f"?next={quote(address)}", {"next": address}))


def assert_stays(answer):
    assert answer.status_code == 302
    assert re.match(r"/(?![/\\])", answer.headers["Location"]), answer.headers["Location"]


def test_a_password_alone_buys_no_token(secret):
    def ask(**more):
        given = {"email": "alice@example.com", "password": PASSWORD, **more}
        return Client().post("/api/v1/token", given, content_type="application/json")

    assert ask().status_code == 401
    assert "code" in ask().json()["error"]["message"]
    assert ask(code=wrong_code_for(secret)).status_code == 401
    assert ask(code=code_for(secret)).status_code == 200
    assert ask(code="x" * 500).status_code in (400, 401)


@pytest.mark.parametrize(("steps", "status"), [(-2, 401), (-1, 200), (0, 200), (1, 200), (2, 401)])
def test_a_code_that_ran_out_while_it_was_typed_still_counts(steps, status, secret, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)  # no step may end between the code and its check
    given = {"email": "alice@example.com", "password": PASSWORD, "code": code_for(secret, steps)}
    assert Client().post("/api/v1/token", given, content_type="application/json").status_code == status


def test_a_code_counts_once(secret):
    code = code_for(secret)
    given = {"email": "alice@example.com", "password": PASSWORD, "code": code}
    assert [
        Client().post("/api/v1/token", given, content_type="application/json").status_code for _ in range(2)
    ] == [200, 401]  # fmt: skip


def test_a_recovery_code_lets_in_once(secret, client):
    codes = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()
    for expected in (302, 200):
        log_in(client)
        assert client.post(reverse("mfa_authenticate"), {"code": codes[0]}).status_code == expected
        client.logout()


def test_a_session_from_before_must_show_it_too(alice, secret, client):
    client.force_login(alice)
    assert client.get(INDEX).headers["Location"].startswith(reverse("admin:login"))
    assert log_in(client).headers["Location"] == reverse("mfa_authenticate")
    assert client.get(reverse("mfa_authenticate")).status_code == 200


@pytest.mark.parametrize("wanted", ["optional", "required"])
def test_a_session_that_owes_a_code_opens_nothing_else_either(wanted, alice, secret, client, settings):
    settings.TWO_FACTOR, settings.DEMO_MODE = wanted, False
    bob = UserFactory(email="bob@example.com", operator=True)  # who has not set one up
    ListingFactory(pk=1)
    for person in (alice, bob) if wanted == "required" else (alice,):
        client.force_login(person)
        for path in ("/shop/", "/shop/cars/1/"):
            assert client.get(path).headers["Location"].startswith(reverse("admin:login"))
        assert client.post("/shop/act/", {"act": "sold 1 - 0"}).headers["Location"].startswith(reverse("admin:login"))
        assert {
            client.get(path).status_code for path in ("/api/v1/users/me", "/api/v1/users/me/export", "/api/log")
        } == {401}
    assert Listing.objects.get().status == "live"
    client.force_login(UserFactory())  # no staff: there is no code to be owed
    assert client.get("/api/v1/users/me").status_code == 200


# --- Tried, lost, turned off -----------------------------------------------------------------------------------------
def test_codes_are_counted_and_a_right_password_forgives_none(secret, client, settings):
    settings.LOGIN_FAILURES_PER_ACCOUNT = 4
    for _ in range(4):
        log_in(client)
        client.post(reverse("mfa_authenticate"), {"code": wrong_code_for(secret)})
    log_in(client)
    page = client.post(reverse("mfa_authenticate"), {"code": code_for(secret)})
    assert "Too many attempts" in page.text
    assert client.get(INDEX).status_code == 302
    given = {"email": "alice@example.com", "password": PASSWORD, "code": code_for(secret)}
    assert Client().post("/api/v1/token", given, content_type="application/json").status_code == 429
    assert AuditEntry.objects.filter(action="closed", note__contains="wrong codes").count() == 1


def test_an_administrator_removes_what_was_lost(alice, secret, client):
    client.force_login(UserFactory(operator=True))
    client.post(reverse("admin:accounts_user_remove_factors", args=[alice.pk]), {"_form_submitted": "on"})
    assert not Authenticator.objects.exists()
    assert log_in(Client()).headers["Location"] == INDEX
    assert AuditEntry.objects.filter(object_id=str(alice.pk), note__contains="removed").exists()


def test_the_command_line_removes_what_was_lost(alice, secret):
    call_command("unlock", alice.email, "--second-factor")
    assert not Authenticator.objects.exists()


def test_the_secret_is_stored_encrypted_and_shown_nowhere(alice, secret, client):
    row = Authenticator.objects.get(type="totp")
    assert secret not in str(row.data)
    assert get_adapter().decrypt(row.data["secret"]) == secret
    client.force_login(UserFactory(operator=True))
    page = client.get(reverse("admin:mfa_authenticator_change", args=[row.pk]))
    assert page.status_code == 200
    assert row.data["secret"] not in page.text


def test_under_another_site_key_nothing_fits_and_nothing_crashes(secret, client, settings):
    settings.SECRET_KEY = "another-key-of-forty-characters-for-tests"
    log_in(client)
    page = client.post(reverse("mfa_authenticate"), {"code": code_for(secret)})
    assert page.status_code == 200
    given = {"email": "alice@example.com", "password": PASSWORD, "code": code_for(secret)}
    assert Client().post("/api/v1/token", given, content_type="application/json").status_code == 401


def test_turned_off_nothing_is_asked_and_no_page_is_there(secret, client, settings):
    settings.TWO_FACTOR = "off"
    assert log_in(client).headers["Location"] == INDEX
    assert client.get(INDEX).status_code == 200
    for pattern in ("mfa_index", "mfa_activate_totp", "mfa_add_webauthn", "account_reauthenticate"):
        assert client.get(reverse(pattern)).status_code == 404
    given = {"email": "alice@example.com", "password": PASSWORD}
    assert Client().post("/api/v1/token", given, content_type="application/json").status_code == 200


# --- Required --------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_where_it_is_required_staff_set_one_up_first(client, settings):
    settings.TWO_FACTOR = "required"
    alice = UserFactory(email="alice@example.com", operator=True)
    page = client.post(reverse("admin:login"), {"username": alice.email, "password": PASSWORD}, follow=True)
    assert page.request["PATH_INFO"] == reverse("mfa_index")
    for path in (INDEX, "/admin/catalog/listing/", reverse("admin:password_change"), "/admin/search/?s=a"):
        assert client.get(path).status_code == 302
    set_up(client)
    assert client.get(INDEX).status_code == 200


def test_where_it_is_required_a_token_is_too(alice, settings):
    settings.TWO_FACTOR = "required"
    given = {"email": alice.email, "password": PASSWORD}
    answer = Client().post("/api/v1/token", given, content_type="application/json")
    assert answer.status_code == 401
    assert "second factor" in answer.json()["error"]["message"]
    UserFactory(email="bob@example.com")
    given = {"email": "bob@example.com", "password": PASSWORD}
    assert Client().post("/api/v1/token", given, content_type="application/json").status_code == 200


def add_key(client: Client, key: SecurityKey):
    page = client.get(reverse("mfa_add_webauthn"), follow=True)
    address = page.request["PATH_INFO"] + "?next=" + reverse("mfa_add_webauthn")
    page = client.post(address, {"password": PASSWORD}, follow=True)
    options = page.context["js_data"]["creation_options"]["publicKey"]
    return client.post(reverse("mfa_add_webauthn"), {"name": "Mine", "credential": key.create(options)})


def answer_with(client: Client, key: SecurityKey):
    page = client.get(reverse("mfa_authenticate"))
    options = page.context["js_data"]["request_options"]["publicKey"]
    return client.post(reverse("mfa_authenticate"), {"credential": key.get(options)})


def test_a_security_key_is_set_up_and_then_asked_for(alice, client):
    client.defaults |= SECURE
    log_in(client)
    key = SecurityKey("https://testserver")
    assert add_key(client, key).status_code == 302
    assert Authenticator.objects.filter(user=alice, type="webauthn").count() == 1
    client.logout()
    assert log_in(client).headers["Location"] == reverse("mfa_authenticate")
    assert answer_with(client, SecurityKey("https://testserver")).status_code == 200  # another one
    assert client.get(INDEX).status_code == 302
    assert answer_with(client, key).headers["Location"] == INDEX
    assert client.get(INDEX).status_code == 200


@pytest.mark.parametrize("origin", ["https://testserver.evil.example", "http://testserver", "https://evil.example"])
def test_a_key_that_was_used_on_another_page_does_not_fit(origin, alice, client):
    client.defaults |= SECURE
    log_in(client)
    key = SecurityKey("https://testserver")
    add_key(client, key)
    client.logout()
    log_in(client)
    key.origin = origin
    assert answer_with(client, key).status_code == 200
    assert client.get(INDEX).status_code == 302


RESPONSE = dict.fromkeys(("clientDataJSON", "attestationObject", "authenticatorData", "signature"), "eA")
NONSENSE = [{}, [], 1, None, {"id": 1}, {"response": {}}, "x",
            {"type": "public-key", "id": "eA", "rawId": "eA", "response": RESPONSE}]  # fmt: skip


@pytest.mark.parametrize("credential", [*map(json.dumps, NONSENSE), "{", "\0"])
def test_nonsense_for_a_key_is_refused(credential, alice, client):
    client.defaults |= SECURE
    log_in(client)
    add_key(client, SecurityKey("https://testserver"))
    given = {"name": "x", "credential": credential}
    assert client.post(reverse("mfa_add_webauthn"), given).status_code == 200
    assert client.post(reverse("mfa_reauthenticate_webauthn"), given).status_code in (200, 302)
    client.logout()
    log_in(client)
    client.get(reverse("mfa_authenticate"))
    assert client.post(reverse("mfa_authenticate"), {"credential": credential}).status_code == 200
    assert client.get(INDEX).status_code == 302


@pytest.mark.parametrize(
    "content", [{}, {"code": "\0"}, {"code": "' \u202e" * 50}, {"credential": "[]"}, {"credential": "{"}]
)
def test_no_page_of_ones_account_crashes(content, secret, client, settings):
    settings.SENDS_EMAIL, settings.OIDC_ISSUER = True, ""
    for stage in ("before", "between", "inside"):
        for name in names():
            fresh = Client(raise_request_exception=False)
            if stage != "before":
                log_in(fresh)
            if stage == "inside":
                fresh.post(reverse("mfa_authenticate"), {"code": code_for(secret)})
            path = reverse(name, kwargs=ARGUMENTS.get(name))
            for answer in (fresh.get(path), fresh.post(path, content)):
                assert answer.status_code < 500, (stage, name)


ARGUMENTS = {
    "mfa_edit_webauthn": {"pk": 1}, "mfa_remove_webauthn": {"pk": 1},
    "password_reset_confirm": {"uidb64": "MQ", "token": "a-b"},
    "openid_connect_login": {"provider_id": "sso"}, "openid_connect_callback": {"provider_id": "sso"},
}  # fmt: skip


def names(patterns=urlpatterns) -> list[str]:
    found = []
    for pattern in patterns:
        found += names(pattern.url_patterns) if hasattr(pattern, "url_patterns") else [pattern.name]
    return found


def test_removing_a_row_in_the_console_leaves_no_secret_in_the_audit_log(alice, secret, client):
    row = Authenticator.objects.get(type="totp")
    client.force_login(UserFactory(operator=True))
    client.post(reverse("admin:mfa_authenticator_delete", args=[row.pk]), {"post": "yes"})
    assert not Authenticator.objects.filter(pk=row.pk).exists()
    entry = AuditEntry.objects.first()
    assert (entry.object_id, "removed" in entry.note) == (str(alice.pk), True)
    assert row.data["secret"] not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize("role", ["Viewer", "Operator", "Administrator"])
def test_only_administrators_reach_second_factors_and_none_a_superusers(role, alice, secret):
    client, row = Client(), Authenticator.objects.get(type="totp")
    client.force_login(user_of_role(role))
    may_look = role == "Administrator"
    assert client.get(reverse("admin:mfa_authenticator_changelist")).status_code == (200 if may_look else 403)
    client.post(reverse("admin:mfa_authenticator_delete", args=[row.pk]), {"post": "yes"})
    client.post(reverse("admin:accounts_user_remove_factors", args=[alice.pk]), {"_form_submitted": "on"})
    assert Authenticator.objects.filter(pk=row.pk).exists()  # Alice is a superuser
    alice.is_superuser = False
    alice.save()
    client.post(reverse("admin:accounts_user_remove_factors", args=[alice.pk]), {"_form_submitted": "on"})
    assert Authenticator.objects.filter(pk=row.pk).exists() != may_look
