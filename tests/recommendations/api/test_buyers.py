"""A marketplace's customers by its own ids; what is done for one of them never reaches another."""

from urllib.parse import quote

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Buyer
from accounts.services import buyer_for_external_id, buyer_for_user, buyer_for_visitor, create_api_key
from catalog.models import Seller
from recommendations.buyers.context import load_buyer_context
from recommendations.buyers.exclusions import dismissed_listings
from recommendations.models import BuyerSeller, Interaction, ShownAgain
from tests.factories import InteractionFactory, ListingFactory, SellerFactory, UserFactory
from tests.markets import trained_market
from tests.recommendations.api.conftest import client_with

pytestmark = pytest.mark.django_db
BUYERS = "/api/v1/buyers"
KEY = "the-browser-of-gus"
WHOLE = {
    "location": {"latitude": 53.8, "longitude": -1.55}, "country": "gb", "locale": "en-GB",
    "own_sellers": [{"seller_id": "77", "source": "garage"}, {"seller_id": "a/b"}], "is_personalised": False,
}  # fmt: skip
BLANK = {"location": None, "country": "", "locale": "", "own_sellers": [], "is_personalised": True}
ODD_IDS = ["42", "007", "a/b", "a b", "ä?#%", "…", "x" * 255, "me", "exports"]


@pytest.fixture
def shop(db):
    return client_with(x_api_key=create_api_key(name="s", scopes=["ingest"], created_by=None, source="shop")[1])


@pytest.fixture
def admin(db):
    return client_with(x_api_key=create_api_key(name="a", scopes=["admin"], created_by=None, source="shop")[1])


def path_to(external_id, *rest):
    return "/".join([BUYERS, quote(external_id, safe=""), *rest])


def said(answer):
    return {name: answer.json()[name] for name in BLANK}


@pytest.mark.parametrize("external_id", ODD_IDS)
def test_a_buyer_is_created_read_changed_and_replaced(shop, external_id):
    created = shop.put(path_to(external_id), WHOLE)
    assert created.status_code == 201, created.json()
    stored = WHOLE | {"country": "GB", "own_sellers": [{"seller_id": "77", "source": "garage"},
                                                       {"seller_id": "a/b", "source": "shop"}]}  # fmt: skip
    assert said(created) == said(shop.get(path_to(external_id))) == stored
    assert created.json()["external_id"] == Buyer.objects.get().external_id == external_id
    changed = shop.patch(path_to(external_id), {"country": "IE"})
    assert (changed.status_code, said(changed)) == (200, stored | {"country": "IE"})
    replaced = shop.put(path_to(external_id), {})
    assert (replaced.status_code, said(replaced)) == (200, BLANK | {"is_personalised": False})


@pytest.mark.parametrize(
    ("body", "field"),
    [({"location": {"latitude": 91, "longitude": 0}}, "location.latitude"), ({"location": 5}, "location"),
     ({"location": {"latitude": 1}}, "location.longitude"), ({"country": "GBR"}, "country"),
     ({"locale": "en_GB"}, "locale"), ({"own_sellers": "x"}, "own_sellers"),
     ({"own_sellers": [{"source": "x"}]}, "own_sellers[0].seller_id"), ({"is_personalised": "no"}, "is_personalised"),
     ({"own_sellers": [{"seller_id": "7"}] * 101}, "own_sellers")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_and_makes_no_buyer(shop, body, field):
    got = shop.put(path_to("42"), body)
    assert got.status_code == 400
    assert field in got.json()["error"]["fields"]
    assert not Buyer.objects.exists()


@pytest.mark.parametrize(
    ("method", "rest", "body"),
    [("get", (), None), ("patch", (), {"country": "GB"}), ("delete", (), None), ("get", ("export",), None),
     ("get", ("blocked-sellers",), None), ("get", ("hidden-cars",), None),
     ("delete", ("blocked-sellers?seller_id=7",), None), ("delete", ("hidden-cars?external_id=7",), None),
     ("post", ("merge",), {"visitor_key": KEY}), ("post", ("merge",), {"external_id": "43"}),
     ("post", ("hidden-cars",), {"external_id": "nothing"})],
)  # fmt: skip
def test_what_is_unknown_is_a_404_and_makes_no_buyer(admin, method, rest, body):
    ListingFactory(source="shop", external_id="7")
    assert getattr(admin, method)(path_to("42", *rest), body).status_code == 404
    assert not Buyer.objects.exists()


def test_only_a_key_with_the_right_scope_may(as_alice, as_gus, as_reader, shop):
    buyer_for_external_id("42")
    for client in (as_alice, as_gus, as_reader):
        for method, rest in [("get", ()), ("put", ()), ("patch", ()), ("get", ("hidden-cars",)), ("post", ("merge",))]:
            assert getattr(client, method)(path_to("42", *rest)).status_code == 403
    for method, rest in [("delete", ()), ("get", ("export",))]:
        assert getattr(shop, method)(path_to("42", *rest)).status_code == 403


def test_the_location_counts_in_the_distance_of_lists_until_it_is_forgotten(shop):
    trained_market()
    shop.put(path_to("42"), {"location": WHOLE["location"]})
    assert load_buyer_context(buyer_for_external_id("42")).buyer_features().location == (53.8, -1.55)
    shop.patch(path_to("42"), {"location": None})
    assert load_buyer_context(buyer_for_external_id("42")).buyer_features().location is None


def test_the_profile_is_readable_with_its_confidence(shop, settings):
    settings.WINDOW_STALENESS_SECONDS = 0
    market = trained_market(20)
    buyer = buyer_for_external_id("42")
    assert shop.get(path_to("42")).json()["profile"] is None
    for car in market.bmws[:10]:
        InteractionFactory(buyer=buyer, listing=car, occurred_at=timezone.now())
    profile = shop.get(path_to("42")).json()["profile"]
    assert profile["n_events"] == 10
    assert 0 < profile["confidence"] < 1
    assert {"field", "wanted", "unwanted", "strength"} == profile["wishes"][0].keys()
    assert shop.patch(path_to("42"), {"is_personalised": False}).json()["profile"] is None


# --- Merging ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("named", [{"visitor_key": KEY}, {"external_id": "old"}])
def test_all_of_another_becomes_the_buyer_s(shop, named):
    other = buyer_for_visitor(KEY) if "visitor_key" in named else buyer_for_external_id("old")
    Buyer.objects.filter(pk=other.pk).update(country="GB", is_personalised=False)
    into, carol = buyer_for_external_id("42"), buyer_for_external_id("carol")
    car = InteractionFactory(buyer=other, kind_id="hide").listing
    BuyerSeller.objects.bulk_create(
        [BuyerSeller(buyer=buyer, relation="blocked", seller_external_id="shop/7") for buyer in (other, into)]
    )
    ShownAgain.objects.create(buyer=other, listing=ListingFactory())
    for _ in range(2):
        got = shop.post(path_to("42", "merge"), named)
        assert got.status_code == 200, got.json()
    assert (got.json()["n_events"], got.json()["country"], got.json()["is_personalised"]) == (1, "GB", False)
    assert dismissed_listings(into) == {car.pk}
    assert [BuyerSeller.objects.get().buyer, ShownAgain.objects.get().buyer] == [into, into]
    assert not dismissed_listings(carol)
    if "external_id" in named:
        assert got.json()["merged_external_ids"] == ["old"]
        assert shop.get(path_to("old")).json()["external_id"] == "42"
        body = {"kind": "view", "buyer": "old", "listing_id": car.pk}
        shop.post("/api/v1/events", body)
        assert Interaction.objects.filter(buyer=into).count() == 2
    else:
        assert buyer_for_visitor(KEY) not in (other, into)


def test_a_key_that_was_spent_brings_its_next_guest_too(shop):
    for n_events in (1, 2):
        InteractionFactory(buyer=buyer_for_visitor(KEY))
        assert shop.post(path_to("42", "merge"), {"visitor_key": KEY}).json()["n_events"] == n_events


def test_what_is_another_person_s_cannot_be_merged(shop):
    with_account = buyer_for_user(UserFactory())
    Buyer.objects.filter(pk=with_account.pk).update(external_id="account")
    buyer_for_external_id("taken")
    shop.post(path_to("carol", "merge"), {"external_id": "taken"})
    for named in ("account", "taken", "42"):
        buyer_for_external_id("42")
        assert shop.post(path_to("42", "merge"), {"external_id": named}).status_code == 409
    for body in ({}, {"visitor_key": "short"}, {"visitor_key": KEY, "external_id": "43"}, {"external_id": ""}):
        assert shop.post(path_to("42", "merge"), body).status_code == 400


# --- Sellers and cars ------------------------------------------------------------------------------------------------
def cars_of(seller_external_id, n=1):
    seller = Seller.objects.filter(external_id=seller_external_id).first() or SellerFactory(
        external_id=seller_external_id
    )
    return {ListingFactory(seller=seller).pk for _ in range(n)}


def test_a_blocked_seller_is_left_out_until_unblocked(shop):
    alice, carol = buyer_for_external_id("42"), buyer_for_external_id("carol")
    got = shop.post(path_to("42", "blocked-sellers"), {"seller_id": "7"})
    assert got.json() == {"sellers": [{"seller_id": "7", "source": "shop"}]}
    cars = cars_of("shop/7", 2)  # the seller comes later
    cars_of("garage/7")
    assert dismissed_listings(alice) == cars
    assert not dismissed_listings(carol)
    assert shop.delete(path_to("42", "blocked-sellers?seller_id=7")).status_code == 204
    assert shop.delete(path_to("42", "blocked-sellers?seller_id=7")).status_code == 404
    assert not dismissed_listings(alice)
    assert shop.get(path_to("42", "blocked-sellers")).json() == {"sellers": []}


def test_a_buyer_is_shown_no_car_of_their_own(shop):
    cars = cars_of("shop/77")
    shop.put(path_to("42"), {"own_sellers": [{"seller_id": "77"}]})
    assert dismissed_listings(Buyer.objects.get()) == cars
    shop.patch(path_to("42"), {"own_sellers": []})
    assert not dismissed_listings(Buyer.objects.get())


@pytest.mark.parametrize("kind", ["hide", "dislike", "by the route"])
def test_a_hidden_car_is_listed_and_comes_back_with_all_its_advertisements(shop, kind):
    car = ListingFactory(source="shop", external_id="7", fingerprint="f")
    twin = ListingFactory(source="garage", external_id="7", fingerprint="f")
    alice, carol = buyer_for_external_id("42"), buyer_for_external_id("carol")
    for _ in range(2):
        if kind == "by the route":
            assert shop.post(path_to("42", "hidden-cars"), {"external_id": "7"}).status_code == 200
        else:
            InteractionFactory(buyer=alice, kind_id=kind, listing=car)
        assert [(car["external_id"], car["source"]) for car in
                shop.get(path_to("42", "hidden-cars")).json()["cars"]] == [("7", "shop")]  # fmt: skip
        assert (dismissed_listings(alice), dismissed_listings(carol)) == ({car.pk, twin.pk}, set())
        assert shop.delete(path_to("42", f"hidden-cars?listing_id={twin.pk}")).status_code == 204
        assert (dismissed_listings(alice), shop.get(path_to("42", "hidden-cars")).json()["cars"]) == (set(), [])
    assert Interaction.objects.count() == 2


# --- Leaving ---------------------------------------------------------------------------------------------------------
def test_a_buyer_is_exported_and_erased_with_all_that_was_merged_in(admin):
    buyer_for_external_id("old")
    admin.put(path_to("42"), WHOLE)
    admin.post(path_to("42", "merge"), {"external_id": "old"})
    admin.post(path_to("42", "hidden-cars"), {"listing_id": ListingFactory().pk})
    carol = InteractionFactory(buyer=buyer_for_external_id("carol")).buyer
    exported = admin.get(path_to("old", "export")).json()
    assert [known["external_id"] for known in exported["known_as"]] == ["42", "old"]
    assert exported["known_as"][0]["country"] == "GB"
    assert {seller["seller"] for seller in exported["sellers_of_own_or_blocked"]} == {"garage/77", "shop/a/b"}
    assert len(exported["events"]) == 1
    assert admin.delete(path_to("42")).status_code == 204
    assert list(Buyer.objects.all()) == [carol]
    assert [row.buyer for row in Interaction.objects.all()] == [carol]
    assert not BuyerSeller.objects.exists()
    assert "42" not in str(list(AuditEntry.objects.filter(action="erased").values_list("object_name", "note")))
