"""Single sign-on against a provider that really answers: who comes in, and who does not."""

import pytest
from allauth.socialaccount.models import SocialAccount
from django.core.checks import run_checks
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from tests.accounts.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
INDEX = "/admin/"


@pytest.fixture
def provider(settings):
    provider = Provider()
    settings.OIDC_ISSUER, settings.OIDC_NAME = provider.issuer, "Log in with Garage ID"
    settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = CLIENT_ID, CLIENT_SECRET
    provider.person = {"sub": "4711", "email": "alice@example.com", "email_verified": True, "given_name": "Alice"}
    yield provider
    provider.close()


def sign_on(provider: Provider, client: Client, **given):
    """As a browser goes: the button, the provider, and back."""
    start = client.post(reverse("openid_connect_login", kwargs={"provider_id": "sso"}), given)
    assert start.status_code == 302, start.text
    assert start.headers["Location"].startswith(f"{provider.issuer}/authorize?")
    return client.get(provider.authorize(start.headers["Location"]))


def refusal(answer, client: Client) -> str:
    assert answer.headers["Location"] == reverse("admin:login")
    assert client.get(INDEX).status_code == 302
    return client.get(reverse("admin:login")).text


def test_staff_come_in_and_are_known_by_the_providers_id_from_then_on(provider, client):
    alice = UserFactory(email="alice@example.com", operator=True)
    assert "Log in with Garage ID" in client.get(reverse("admin:login")).text
    answer = sign_on(provider, client, next="/admin/catalog/listing/")
    assert answer.headers["Location"] == "/admin/catalog/listing/"
    assert client.get(INDEX).status_code == 200
    assert SocialAccount.objects.get().user == alice
    alice.refresh_from_db()
    assert alice.check_password("password")  # it goes on to work
    assert AuditEntry.objects.filter(object_id=str(alice.pk), note__contains="Single sign-on").exists()

    provider.person["email"] = "alice.new@example.com"
    other = Client()
    sign_on(provider, other)
    assert other.session["_auth_user_id"] == str(alice.pk)


@pytest.mark.parametrize(
    "claim",
    [{"email_verified": False}, {"email_verified": "no"}, {"email_verified": None}, {"email": ""}, {"email": None}],
)
def test_an_address_that_is_not_verified_is_no_ones(claim, provider, client):
    UserFactory(email="alice@example.com", operator=True)
    provider.person |= claim
    assert "not say that your e-mail address is verified" in refusal(sign_on(provider, client), client)
    assert not SocialAccount.objects.exists()


def test_a_setting_trusts_a_provider_that_says_nothing_of_it(provider, client, settings):
    settings.OIDC_TRUSTS_EMAIL = True
    UserFactory(email="alice@example.com", operator=True)
    del provider.person["email_verified"]
    sign_on(provider, client)
    assert client.get(INDEX).status_code == 200


@pytest.mark.parametrize("address", ["al\u0131ce@example.com", "stranger@example.com"])
def test_a_stranger_is_refused(address, provider, client):
    UserFactory(email="alice@example.com", operator=True)
    provider.person["email"] = address
    refusal(sign_on(provider, client), client)
    assert User.objects.count() == 1


def test_a_stranger_gets_the_role_that_a_setting_names(provider, client, settings):
    settings.OIDC_NEW_STAFF_ROLE = "Viewer"
    sign_on(provider, client)
    user = User.objects.get()
    assert (user.email, user.first_name, user.is_staff, user.is_superuser) == (
        "alice@example.com",
        "Alice",
        True,
        False,
    )
    assert [group.name for group in user.groups.all()] == ["Viewer"]
    assert not user.has_usable_password()
    assert client.get(INDEX).status_code == 200


@pytest.mark.parametrize("state", [{"is_staff": False}, {"is_active": False}])
def test_people_who_are_no_staff_and_closed_accounts_are_refused(state, provider, client):
    alice = UserFactory(email="alice@example.com", operator=True)
    sign_on(provider, client)  # connected while all was well
    client.logout()
    User.objects.filter(pk=alice.pk).update(**state)
    refusal(sign_on(provider, client), client)


def test_a_buyers_account_is_not_taken_over(provider, client):
    UserFactory(email="alice@example.com")
    refusal(sign_on(provider, client), client)
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize("process", ["connect", "redirect"])
def test_it_logs_in_and_does_nothing_else(process, provider, client):
    UserFactory(email="alice@example.com", operator=True)
    mallory = UserFactory(email="mallory@example.com", operator=True)
    client.force_login(mallory)
    assert sign_on(provider, client, process=process).headers["Location"] == reverse("admin:login")
    assert not SocialAccount.objects.exists()


def test_a_code_that_was_not_asked_for_here_is_refused(provider, client):
    UserFactory(email="alice@example.com", operator=True)
    start = client.post(reverse("openid_connect_login", kwargs={"provider_id": "sso"}))
    back = provider.authorize(start.headers["Location"])
    victim = Client()
    refusal(victim.get(back), victim)  # another person's browser
    assert client.get(back).headers["Location"] == INDEX
    client.logout()
    refusal(client.get(back), client)  # twice


def test_a_second_factor_is_asked_for_where_there_is_one_and_else_the_provider_counts(provider, client, settings):
    settings.TWO_FACTOR = "required"
    alice = UserFactory(email="alice@example.com", operator=True)
    sign_on(provider, client)
    assert client.get(INDEX).status_code == 200
    client.logout()
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    TOTP.activate(alice, generate_totp_secret())
    assert sign_on(provider, client).headers["Location"] == reverse("mfa_authenticate")
    assert client.get(INDEX).status_code == 302


@pytest.mark.parametrize("failure", ["down", "wrong secret", "refused there"])
def test_a_provider_that_fails_is_a_sentence_and_no_crash(failure, provider, client, settings):
    UserFactory(email="alice@example.com", operator=True)
    start = client.post(reverse("openid_connect_login", kwargs={"provider_id": "sso"}))
    back = provider.authorize(start.headers["Location"])
    if failure == "down":
        provider.is_down = True
    if failure == "wrong secret":
        settings.OIDC_CLIENT_SECRET = "another"
    if failure == "refused there":
        back = back.replace("code=", "error=access_denied&was=")
    assert "did not work" in refusal(client.get(back), client)


def test_a_provider_that_cannot_be_reached_at_the_start_is_a_sentence(provider, client):
    provider.is_down = True
    answer = client.post(reverse("openid_connect_login", kwargs={"provider_id": "sso"}))
    assert "did not work" in refusal(answer, client)


def test_without_a_provider_there_is_no_button_and_no_page(client, settings):
    settings.OIDC_ISSUER = ""
    assert "sso" not in client.get(reverse("admin:login")).text
    for name in ("openid_connect_login", "openid_connect_callback"):
        assert client.get(reverse(name, kwargs={"provider_id": "sso"})).status_code == 404


def test_half_a_configuration_stops_the_start(settings):
    settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID = "https://login.example.com", ""
    assert "accounts.E001" in [problem.id for problem in run_checks()]
