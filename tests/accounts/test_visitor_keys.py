"""A visitor key stands for its own guest, and never for an account."""

import pytest
from rest_framework.test import APIClient

from accounts.models import Buyer
from accounts.services import buyer_for_user, buyer_for_visitor, merge_guest
from recommendations.models import Interaction
from tests.factories import ApiKeyFactory, BuyerFactory, InteractionFactory, ListingFactory, UserFactory

pytestmark = pytest.mark.django_db
KEY = "the-browser-of-alice"
ACCOUNT_ROUTES = [
    ("get", "/api/v1/users/me"), ("delete", "/api/v1/users/me"), ("get", "/api/v1/users/me/export"),
    ("get", "/api/v1/users/me/privacy"), ("patch", "/api/v1/users/me/privacy"),
]  # fmt: skip
READS = [
    "/api/v1/cars/search", "/api/v1/cars/recommendations", "/api/v1/users/me/preferences", "/api/v1/cars/1/similar",
    "/api/v1/users/me/privacy", "/api/v1/users/me/export", "/api/v1/users/me",
]  # fmt: skip


@pytest.fixture
def alice():
    return UserFactory(email="alice@example.com")


@pytest.fixture
def browser():
    return APIClient(headers={"X-Visitor-Key": KEY})


def log_in(browser):
    return browser.post("/api/v1/token", {"email": "alice@example.com", "password": "password"}).json()


def look(browser, listing):
    return browser.post("/api/v1/events", {"kind": "view", "listing_id": listing.pk})


@pytest.mark.parametrize(("method", "path"), ACCOUNT_ROUTES)
def test_a_key_that_was_merged_opens_no_account_route(method, path, alice, browser):
    look(browser, ListingFactory())
    log_in(browser)
    assert getattr(browser, method)(path, {"is_personalised": False}).status_code == 403
    buyer = Buyer.objects.get(user=alice)
    assert buyer.is_personalised


def test_a_merged_key_that_goes_on_sending_gets_a_fresh_guest(alice, browser):
    before, after = ListingFactory(), ListingFactory()
    look(browser, before)
    log_in(browser)
    look(browser, after)
    look(browser, after)
    account = buyer_for_user(alice)
    assert [event.listing for event in Interaction.objects.filter(buyer=account)] == [before]
    fresh = buyer_for_visitor(KEY)
    assert fresh != account
    assert fresh.merged_into is None
    assert {event.listing for event in Interaction.objects.filter(buyer=fresh)} == {after}


def test_the_next_login_brings_the_fresh_guest_along_too(alice, browser):
    for _ in range(3):
        look(browser, ListingFactory())
        log_in(browser)
    assert Interaction.objects.filter(buyer=buyer_for_user(alice)).count() == 3
    assert Buyer.objects.filter(visitor_key=KEY).count() == 3


def test_logging_out_spends_the_key(alice, browser):
    tokens = log_in(browser)
    look(browser, ListingFactory())
    guest = buyer_for_visitor(KEY)
    assert browser.post("/api/v1/token/revoke", {"refresh": tokens["refresh"]}).status_code == 204
    assert buyer_for_visitor(KEY) != guest


def test_rows_merged_by_an_older_release_are_no_account_either(alice):
    account = buyer_for_user(alice)
    BuyerFactory(guest=True, visitor_key=KEY, merged_into=account)  # without spent_at
    assert buyer_for_visitor(KEY) not in (account, *account.merged_from.all())


def test_a_merge_that_is_repeated_changes_nothing(alice):
    guest, into = buyer_for_visitor(KEY), buyer_for_user(alice)
    merge_guest(guest=guest, into=into)
    spent_at = Buyer.objects.get(pk=guest.pk).spent_at
    merge_guest(guest=guest, into=into)
    assert Buyer.objects.get(pk=guest.pk).spent_at == spent_at is not None


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("caller", ["visitor", "user", "key"])
def test_reading_makes_no_buyer(caller, path, alice):
    ListingFactory(pk=1)
    ApiKeyFactory(secret="fc_admin", scopes=["admin"])
    client = {"visitor": APIClient(headers={"X-Visitor-Key": KEY}), "user": APIClient(),
              "key": APIClient(headers={"X-Api-Key": "fc_admin"})}[caller]  # fmt: skip
    if caller == "user":
        client.force_authenticate(alice)
    client.get(path, {"buyer": "never-seen"} if caller == "key" and "similar" not in path else {})
    assert not Buyer.objects.exists()


def test_who_was_erased_is_not_made_again_by_asking():
    ApiKeyFactory(secret="fc_admin", scopes=["admin"])
    marketplace = APIClient(headers={"X-Api-Key": "fc_admin"})
    InteractionFactory(buyer=BuyerFactory(external=True, external_id="customer-42"))
    me = "/api/v1/users/me"
    opted_out = marketplace.patch(f"{me}/privacy?buyer=customer-42", {"is_personalised": False})
    assert opted_out.json() == {"is_personalised": False}
    assert len(marketplace.get(f"{me}/export?buyer=customer-42").json()["events"]) == 1
    assert [marketplace.delete(f"{me}?buyer=customer-42").status_code for _ in range(2)] == [204, 204]
    assert marketplace.get(f"{me}/export?buyer=customer-42").status_code == 404
    for path in READS:
        marketplace.get(path, {"buyer": "customer-42"})
    assert not Buyer.objects.exists()
    assert not Interaction.objects.exists()


@pytest.mark.parametrize("path", [*READS, "/api/v1/", "/api/v1/events"])
def test_no_cache_keeps_an_answer_of_the_api(path, browser):
    answer = browser.get(path)
    assert answer["Cache-Control"] == "private, no-store"
    assert {"Authorization", "X-Api-Key", "X-Visitor-Key", "Cookie"} <= set(answer["Vary"].split(", "))
