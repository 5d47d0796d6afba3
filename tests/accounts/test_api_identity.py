"""Alice is a user, Carol is another user, Gus is a guest, and a garage calls by key."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.views import APIView

from accounts.api.authentication import ApiKeyAuthentication
from accounts.api.identity import buyer_of
from accounts.models import Buyer
from accounts.services import buyer_for_user, create_api_key, revoke_api_key
from tests.factories import BuyerFactory, UserFactory

pytestmark = pytest.mark.django_db
GUS = {"X-Visitor-Key": "the-browser-of-gus"}


@pytest.fixture
def garage():
    return create_api_key(name="a garage", scopes=["read"], created_by=None)


def seen_by_a_view(user=None, query="", **headers):
    request = APIRequestFactory().get(f"/{query}", headers=headers)
    if user:
        request._force_auth_user = user
    return APIView().initialize_request(request)


def test_a_key_opens_in_both_spellings_of_its_header(garage):
    key, secret = garage
    for headers in (
        {"Authorization": f"Api-Key {secret}"},
        {"Authorization": f"api-key {secret}"},
        {"X-Api-Key": secret},
    ):
        assert seen_by_a_view(**headers).auth == key


@pytest.mark.parametrize("headers", [{"X-Api-Key": "fc_wrong"}, {"X-Api-Key": ""}, {"Authorization": "Api-Key"}])
def test_a_wrong_key_is_refused_with_both_challenges(headers):
    got = APIClient().get("/api/v1/users/me", headers=headers)
    assert got.status_code == 401
    assert got["WWW-Authenticate"] == 'Bearer realm="api", Api-Key realm="api"'


def test_a_key_that_was_revoked_or_has_expired_opens_nothing(garage):
    key, secret = garage
    assert APIClient().get("/api/v1/users/me", headers={"X-Api-Key": secret}).status_code == 403
    key.expires_at = timezone.now()
    key.save()
    assert APIClient().get("/api/v1/users/me", headers={"X-Api-Key": secret}).status_code == 401
    key.expires_at = None
    key.save()
    revoke_api_key(key=key)
    assert APIClient().get("/api/v1/users/me", headers={"X-Api-Key": secret}).status_code == 401


def test_the_last_use_of_a_key_is_noted_once_a_minute(garage, django_assert_num_queries):
    key, secret = garage
    request = seen_by_a_view(**{"X-Api-Key": secret})
    with django_assert_num_queries(2):
        ApiKeyAuthentication().authenticate(request)
    with django_assert_num_queries(1):
        ApiKeyAuthentication().authenticate(request)
    type(key).objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    with django_assert_num_queries(2):
        ApiKeyAuthentication().authenticate(request)


def test_a_user_is_the_buyer_of_that_user():
    alice = UserFactory()
    assert buyer_of(seen_by_a_view(alice)) == buyer_for_user(alice)


def test_a_guest_is_the_buyer_of_the_browser():
    assert buyer_of(seen_by_a_view(**GUS)).visitor_key == "the-browser-of-gus"


def test_a_client_system_acts_for_the_buyer_it_names_or_for_no_buyer(garage):
    _, secret = garage
    assert buyer_of(seen_by_a_view(query="?buyer=007", **{"X-Api-Key": secret})).external_id == "007"
    assert buyer_of(seen_by_a_view(**{"X-Api-Key": secret})) is None


@pytest.mark.parametrize("visitor_key", ["short", "x" * 65, "with spaces in between", "a-key-with-ünicode-in-it"])
def test_a_visitor_key_that_could_be_guessed_or_stored_wrongly_is_refused(visitor_key):
    got = APIClient().get("/api/v1/users/me/privacy", headers={"X-Visitor-Key": visitor_key})
    assert got.status_code == 401
    assert "X-Visitor-Key" in got.json()["error"]["message"]


def test_carol_may_not_act_for_alice_by_naming_alice():
    alice, carol = BuyerFactory(external_id="alice"), BuyerFactory(external_id="carol")
    client = APIClient()
    client.force_authenticate(carol.user)
    assert client.get("/api/v1/users/me/privacy?buyer=alice").status_code == 403
    assert client.get("/api/v1/users/me/privacy", {"buyer": alice.pk}).status_code == 403
    assert client.get("/api/v1/users/me/privacy?buyer=carol").status_code == 200


def test_opting_out_is_for_oneself_only():
    alice, carol = BuyerFactory(), BuyerFactory()
    client = APIClient()
    client.force_authenticate(carol.user)
    got = client.patch("/api/v1/users/me/privacy", {"is_personalised": False})
    assert (got.status_code, got.json()) == (200, {"is_personalised": False})
    alice.refresh_from_db()
    carol.refresh_from_db()
    assert (alice.is_personalised, carol.is_personalised) == (True, False)


def test_opting_out_needs_an_account_or_the_key_of_a_client_system():
    got = APIClient().patch("/api/v1/users/me/privacy", {"is_personalised": False}, headers=GUS)
    assert got.status_code == 403
    assert not Buyer.objects.exists()


@pytest.mark.parametrize("body", [{}, {"is_personalised": "perhaps"}, {"is_personalised": None}, [], "x", None])
def test_an_opt_out_that_is_not_one_is_refused(body):
    client = APIClient()
    client.force_authenticate(UserFactory())
    assert client.patch("/api/v1/users/me/privacy", body).status_code == 400


def test_unauthenticated_requests_get_a_401():
    got = APIClient().get("/api/v1/users/me")
    assert got.status_code == 401
    assert got.json()["error"]["code"] == "not_authenticated"
