"""Everything known about a person can be exported, and is erased with the account."""

import pytest
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts.models import Buyer, User
from accounts.services import buyer_for_user, buyer_for_visitor, create_api_key, merge_guest
from catalog.models import Listing, Seller
from recommendations.events.recording import Event, record_interactions
from recommendations.models import Interaction, Preference, SavedSearch, ServedList
from recommendations.serving.lists import ListRequest, recommend
from tests.factories import ListingFactory, SellerFactory, UserFactory
from tests.markets import trained_market, view

pytestmark = pytest.mark.django_db
ME = "/api/v1/users/me"
EXPORT = f"{ME}/export"
GUS = {"X-Visitor-Key": "the-browser-of-gus"}


@pytest.fixture
def alice(settings):
    settings.SERVED_LIST_THREAD = False
    return UserFactory(email="alice@example.com")


@pytest.fixture
def alice_history(alice):
    """Alice looked around as a guest, logged in, searched, and was shown a list."""
    market = trained_market(4)
    buyer = buyer_for_user(alice)
    guest = buyer_for_visitor("the-browser-of-alice")
    view(guest, market.bmws[0])
    merge_guest(guest=guest, into=buyer)
    record_interactions(buyer=buyer, events=[Event(kind="search", query={"makes": ["bmw"]})])
    SavedSearch.objects.create(buyer=buyer, name="BMWs", query={"makes": ["bmw"]})
    recommend(ListRequest(buyer=buyer, k=3))
    return buyer


def logged_in(user):
    client = APIClient()
    tokens = client.post("/api/v1/token", {"email": user.email, "password": "password"}, format="json").json()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access']}")
    return client


def test_an_export_holds_everything(alice, alice_history):
    answer = logged_in(alice).get(EXPORT)
    assert answer.status_code == 200
    assert "attachment" in answer["Content-Disposition"]
    exported = answer.json()
    assert exported["account"]["email"] == "alice@example.com"
    assert [known["visitor_key"] for known in exported["known_as"]] == [None, "the-browser-of-alice"]
    assert [event["kind"] for event in exported["events"]] == ["view", "search"]
    assert exported["events"][1]["query"] == {"makes": ["bmw"]}
    assert len(exported["lists"][0]["listing_ids"]) == 3
    assert exported["saved_searches"][0]["name"] == "BMWs"
    assert len(exported["preferences"][0]["vector"]) == 128
    assert exported["preferences"][0]["wishes"]


def test_an_export_holds_no_data_of_another_person(alice, alice_history):
    exported = logged_in(UserFactory()).get(EXPORT).json()
    assert not exported["events"]
    assert not exported["lists"]
    assert "alice" not in str(exported)


def test_an_erased_account_leaves_nothing(alice, alice_history):
    client = logged_in(alice)
    others = Interaction.objects.exclude(buyer=alice_history).count()
    assert client.delete(ME).status_code == 204
    assert not User.objects.filter(email="alice@example.com").exists()
    assert not Buyer.objects.filter(visitor_key="the-browser-of-alice").exists()
    for model in (Interaction, ServedList, SavedSearch, Preference):
        assert not model.objects.filter(buyer_id=alice_history.pk).exists(), model
    assert not OutstandingToken.objects.exists()
    assert Interaction.objects.count() == others
    assert client.get(ME).status_code == 401, "the token belongs to no account now"


def test_a_private_seller_who_leaves_sells_nothing_any_more(alice):
    private = SellerFactory(user=alice, kind="private", name="Alice", place="Leeds")
    firm = SellerFactory(user=alice, kind="dealer", name="Alice Cars Ltd")
    on_sale, sold, its = (
        ListingFactory(seller=private),
        ListingFactory(seller=private, sold=True),
        ListingFactory(seller=firm),
    )
    assert logged_in(alice).get(EXPORT).json()["sellers"][0]["listings"][0]["id"] == on_sale.pk
    logged_in(alice).delete(ME)
    assert {listing.pk: listing.status for listing in Listing.objects.all()} == {
        on_sale.pk: "withdrawn",
        sold.pk: "sold",
        its.pk: "live",
    }
    assert not Seller.objects.filter(name="Alice").exists()
    assert Seller.objects.get(pk=firm.pk).user is None


def test_a_visitor_key_is_no_account_to_ask_about_or_to_end():
    client = APIClient(headers=GUS)
    view(buyer_for_visitor(GUS["X-Visitor-Key"]), ListingFactory())
    assert client.get(EXPORT).status_code == client.delete(ME).status_code == 403
    assert Interaction.objects.count() == 1


def test_a_client_system_acts_for_a_buyer_it_names_with_the_right_key():
    _, admin = create_api_key(name="shop", scopes=["admin"], created_by=None)
    _, reader = create_api_key(name="reader", scopes=["read", "ingest"], created_by=None)
    client, weak = APIClient(headers={"X-Api-Key": admin}), APIClient(headers={"X-Api-Key": reader})
    client.get(f"{EXPORT}?buyer=customer-7")
    assert weak.get(f"{EXPORT}?buyer=customer-7").status_code == 403
    assert weak.delete(f"{ME}?buyer=customer-7").status_code == 403
    assert client.delete(ME).json()["error"]["fields"] == {"buyer": ["Required with an API key."]}
    assert client.delete(f"{ME}?buyer=customer-7").status_code == 204
    assert not Buyer.objects.filter(external_id="customer-7").exists()


def test_no_one_exports_or_erases_for_another_person(alice):
    buyer_for_user(UserFactory(email="carol@example.com"))
    client = logged_in(alice)
    assert client.delete(f"{ME}?buyer=carol@example.com").status_code == 403
    assert client.get(f"{EXPORT}?buyer=customer-7").status_code == 403
    assert APIClient().delete(ME).status_code == 401
    assert APIClient().get(EXPORT).status_code == 401


def test_an_operator_is_not_erased_by_one_request():
    operator = UserFactory(operator=True)
    assert logged_in(operator).delete(ME).status_code == 409
    assert User.objects.filter(pk=operator.pk).exists()
