"""Users, buyers and keys in the admin: who may change whom, and the one time a key is shown."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import ApiKey, Buyer, User
from tests.factories import ApiKeyFactory, BuyerFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def clerk(client: Client) -> Client:
    """Staff who may edit users and keys, and nothing more."""
    person = UserFactory(is_staff=True)
    verbs = ["add_user", "change_user", "delete_user", "view_user", "view_apikey"]
    person.user_permissions.set(Permission.objects.filter(codename__in=verbs))
    client.force_login(person)
    return client


def messages_of(response) -> list[str]:
    return [str(message) for message in response.context["messages"]]


# --- Users -----------------------------------------------------------------------------------------------------------
def test_staff_log_in_with_their_email_in_any_case(client: Client):
    UserFactory(operator=True, email="Alice@example.com")
    response = client.post(reverse("admin:login"), {"username": "alice@EXAMPLE.com", "password": "password"})
    assert response.status_code == 302


def test_a_user_is_added_by_email_and_password(operator: Client):
    given = {
        "email": "bob@example.com",
        "usable_password": "true",
        "password1": "long-enough-4",
        "password2": "long-enough-4",
    }
    operator.post(reverse("admin:accounts_user_add"), given)
    assert User.objects.get(email="bob@example.com").check_password("long-enough-4")


def test_an_address_that_is_taken_is_refused_in_any_case(operator: Client):
    UserFactory(email="bob@example.com")
    given = {"email": "BOB@example.com", "usable_password": "false"}
    response = operator.post(reverse("admin:accounts_user_add"), given)
    assert response.status_code == 200
    assert User.objects.filter(email__iexact="bob@example.com").count() == 1


def test_a_user_editor_cannot_make_anyone_a_superuser(clerk: Client):
    person = UserFactory()
    page = reverse("admin:accounts_user_change", args=[person.pk])
    given = {"email": person.email, "first_name": "New", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    clerk.post(page, given)
    person.refresh_from_db()
    assert (person.first_name, person.is_staff, person.is_superuser) == ("New", False, False)


def test_the_account_of_a_superuser_is_out_of_reach_of_other_staff(clerk: Client):
    chief = UserFactory(operator=True)
    given = {"email": "mine@example.com", "is_active": "on"}
    assert clerk.post(reverse("admin:accounts_user_change", args=[chief.pk]), given).status_code == 403
    assert clerk.post(reverse("admin:auth_user_password_change", args=[chief.pk]), {}).status_code == 403
    assert clerk.post(reverse("admin:accounts_user_delete", args=[chief.pk]), {"post": "yes"}).status_code == 403


def test_erasing_a_user_takes_the_buyer_and_the_history_along(operator: Client):
    from tests.factories import InteractionFactory

    event = InteractionFactory()
    operator.post(reverse("admin:accounts_user_delete", args=[event.buyer.user.pk]), {"post": "yes"})
    assert not Buyer.objects.filter(pk=event.buyer.pk).exists()


# --- Buyers ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("term", ["ann@exam", "crm-7", "visitor-seven"])
def test_a_buyer_is_found_by_the_beginning_of_what_is_known(operator: Client, term: str):
    BuyerFactory(user__email="ann@example.com"), BuyerFactory(external=True, external_id="crm-71")
    BuyerFactory(guest=True, visitor_key="visitor-seventy"), BuyerFactory()
    response = operator.get(reverse("admin:accounts_buyer_changelist"), {"q": term})
    assert response.context["cl"].result_count == 1


@pytest.mark.parametrize(("known_as", "n_found"), [("user", 2), ("guest", 1), ("external", 1), ("merged", 1)])
def test_buyers_are_filtered_by_what_they_are_known_by(operator: Client, known_as: str, n_found: int):
    user = BuyerFactory()
    BuyerFactory(), BuyerFactory(external=True), BuyerFactory(guest=True, merged_into=user)
    response = operator.get(reverse("admin:accounts_buyer_changelist"), {"known_as": known_as})
    assert response.context["cl"].result_count == n_found


# --- Keys ------------------------------------------------------------------------------------------------------------
def test_a_new_key_is_shown_once_and_authenticates(operator: Client):
    given = {"name": "shop", "scopes": ["read", "ingest"], "expires_at_0": "", "expires_at_1": ""}
    response = operator.post(reverse("admin:accounts_apikey_add"), given, follow=True)
    key = ApiKey.objects.get()
    (shown,) = [
        word for word in messages_of(response)[0].replace("<", " ").replace(">", " ").split() if word[:3] == "fc_"
    ]
    assert ApiKey.digest(shown) == key.hashed_key
    assert (key.name, key.scopes) == ("shop", ["read", "ingest"])
    assert shown not in operator.get(reverse("admin:accounts_apikey_change", args=[key.pk])).text


def test_a_key_without_a_scope_is_refused_beside_the_field(operator: Client):
    response = operator.post(reverse("admin:accounts_apikey_add"), {"name": "shop"})
    assert "scopes" in response.context["adminform"].form.errors
    assert not ApiKey.objects.exists()


def test_a_key_can_be_renamed_but_keeps_its_scopes_and_its_secret(operator: Client):
    key = ApiKeyFactory()
    given = {"name": "renamed", "scopes": ["admin"], "expires_at_0": "", "expires_at_1": ""}
    operator.post(reverse("admin:accounts_apikey_change", args=[key.pk]), given)
    renamed = ApiKey.objects.get()
    assert (renamed.name, renamed.scopes, renamed.hashed_key) == ("renamed", key.scopes, key.hashed_key)


def test_revoked_keys_close_and_the_action_says_how_many(operator: Client):
    keys = [ApiKeyFactory(secret="one"), ApiKeyFactory(secret="two")]
    given = {"action": "revoke", "_selected_action": [key.pk for key in keys]}
    response = operator.post(reverse("admin:accounts_apikey_changelist"), given, follow=True)
    assert messages_of(response) == ["2 API keys revoked."]
    assert not ApiKey.objects.usable().exists()


def test_revoking_needs_the_permission_to_change_keys(clerk: Client):
    key = ApiKeyFactory()
    given = {"action": "revoke", "_selected_action": [key.pk]}
    clerk.post(reverse("admin:accounts_apikey_changelist"), given)
    key.refresh_from_db()
    assert key.is_usable


# --- Tokens ----------------------------------------------------------------------------------------------------------
def test_a_refresh_token_is_never_shown_since_anyone_who_reads_it_could_use_it(operator: Client):
    from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
    from rest_framework_simplejwt.tokens import RefreshToken

    token = RefreshToken.for_user(UserFactory())
    row = OutstandingToken.objects.get()
    page = operator.get(reverse("admin:token_blacklist_outstandingtoken_change", args=[row.pk]))
    assert str(token) not in page.text
    assert row.jti in page.text


def test_erasing_asks_once_more_and_names_the_person(client: Client):
    client.force_login(UserFactory(operator=True))
    buyer = BuyerFactory(user__first_name="Ada", user__last_name="Wong")
    asked = client.get(reverse("admin:accounts_buyer_erase", args=[buyer.pk])).text
    assert str(buyer) in asked
    assert "Ada Wong" in asked
    page = client.get(reverse("admin:accounts_buyer_change", args=[buyer.pk])).text
    before = page[: page.index(reverse("admin:accounts_buyer_erase", args=[buyer.pk]))]
    assert "red-" in before[before.rindex("<li") :]
