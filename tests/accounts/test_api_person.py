"""Everything known about a person can be exported, and is erased with the account."""

import pytest
from django.db.models import CASCADE
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts.models import Buyer, ErasedId, User
from accounts.services import buyer_for_user, buyer_for_visitor, create_api_key, merge_guest
from catalog.models import Listing, Seller
from recommendations.events.recording import Event, record_interactions
from recommendations.models import (
    AlertMessage,
    AlertSettings,
    BotMark,
    BuyerSeller,
    CarAlert,
    Impression,
    Interaction,
    Preference,
    SavedSearch,
    ServedList,
    ShownAgain,
    SimulatedTaste,
    WaitingEvent,
)
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


HANGS_ON_A_BUYER = {  # model -> its name in the file
    Buyer: "known_as", Interaction: "events", ServedList: "lists", SavedSearch: "saved_searches",
    BuyerSeller: "sellers_of_own_or_blocked", ShownAgain: "cars_shown_again", Preference: "preferences",
    WaitingEvent: "events_that_wait_for_their_listing", AlertSettings: "alert_settings", CarAlert: "alerts",
    AlertMessage: "alert_messages", BotMark: "bot_marks",
    Impression: "impressions",
}  # fmt: skip


def test_every_kind_of_row_that_hangs_on_a_buyer_is_exported_and_goes_with_the_buyer(alice, alice_history):
    relations = {relation.related_model: relation for relation in Buyer._meta.related_objects}
    assert set(relations) == {*HANGS_ON_A_BUYER, SimulatedTaste}  # which is of a made-up buyer
    assert all(relation.on_delete is CASCADE for relation in relations.values())
    assert {*HANGS_ON_A_BUYER.values(), "account"} <= set(logged_in(alice).get(EXPORT).json())


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


# --- Buyers whom a client system knows -------------------------------------------------------------------------------
SEVEN = "customer-7"


@pytest.fixture
def shop(db):
    """A client system that may do everything, and a car to ask for."""
    trained_market(4)
    return APIClient(headers={"X-Api-Key": create_api_key(name="shop", scopes=["admin"], created_by=None)[1]})


def ways_to_ask(listing_id: int) -> list[str]:
    ways = ["cars/recommendations", "cars/search?brand=bmw", f"cars/detail/{listing_id}", "users/me/privacy",
            "users/me/preferences", "users/me/export"]  # fmt: skip
    return [f"/api/v1/{way}{'&' if '?' in way else '?'}buyer={SEVEN}" for way in ways] + [f"/recs/{SEVEN}"]


def test_a_client_system_exports_erases_and_opts_out_the_buyers_it_names(shop):
    car = Listing.objects.cars().first()
    shop.post("/api/v1/events", {"kind": "view", "listing_id": car.pk, "buyer": SEVEN}, format="json")
    assert [event["kind"] for event in shop.get(f"{EXPORT}?buyer={SEVEN}").json()["events"]] == ["view"]
    assert shop.get(f"/api/v1/cars/recommendations?buyer={SEVEN}").json()["is_personalised"] is True
    opted_out = shop.patch(f"{ME}/privacy?buyer={SEVEN}", {"is_personalised": False}, format="json")
    assert opted_out.json() == {"is_personalised": False}
    assert shop.get(f"/api/v1/cars/recommendations?buyer={SEVEN}").json()["is_personalised"] is False
    assert shop.delete(f"{ME}?buyer={SEVEN}").status_code == 204
    assert not Buyer.objects.filter(external_id=SEVEN).exists()
    assert shop.get(f"{EXPORT}?buyer={SEVEN}").status_code == 404


def test_asking_for_a_buyer_who_was_erased_does_not_make_that_buyer_again(shop, settings):
    settings.DEMO_MODE = True
    car = Listing.objects.cars().first()
    shop.post("/add_items", {"item_ids": ["a", "b"]}, format="json")
    shop.post("/api/v1/events", {"kind": "view", "listing_id": car.pk, "buyer": SEVEN}, format="json")
    shop.get(f"/recs/{SEVEN}")
    for _ in range(2):
        assert shop.delete(f"{ME}?buyer={SEVEN}").status_code == 204
        for way in ways_to_ask(car.pk):
            assert shop.get(way).status_code in (200, 404), way
            assert not Buyer.objects.filter(external_id=SEVEN).exists(), way
            assert SEVEN not in str(list(ServedList.objects.values())), way
    assert APIClient().get(f"/recs/{SEVEN}").json()["item_ids"]
    assert not Buyer.objects.filter(external_id=SEVEN).exists()
    shop.post("/api/v1/events", {"kind": "view", "listing_id": car.pk, "buyer": SEVEN}, format="json")
    assert Buyer.objects.get(external_id=SEVEN).interactions.count() == 1
    shop.get(f"/recs/{SEVEN}")
    assert Buyer.objects.get(external_id=SEVEN).served_lists.exists()


def test_an_erased_id_is_kept_as_a_digest_only(shop):
    shop.patch(f"{ME}/privacy?buyer={SEVEN}", {"is_personalised": False}, format="json")
    shop.delete(f"{ME}?buyer={SEVEN}")
    erased = ErasedId.objects.get()
    assert erased.digest == ErasedId.digest_of(SEVEN) != ErasedId.digest_of("customer-8")
    assert SEVEN not in erased.digest


@pytest.mark.parametrize("way", ["users/me/privacy", "users/me/preferences", "cars/recommendations", "users/me/export"])
def test_reading_makes_no_buyer_of_any_kind(way, shop, alice):
    user = APIClient()
    user.force_authenticate(alice)
    for client, query in ((shop, "?buyer=customer-9"), (user, ""), (APIClient(headers=GUS), "")):
        n_buyers = Buyer.objects.count()
        client.get(f"/api/v1/{way}{query}")
        assert Buyer.objects.count() == n_buyers
