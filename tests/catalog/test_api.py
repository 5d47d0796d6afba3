"""A garage imports its stock with its key; no other caller may."""

import pytest
from rest_framework.test import APIClient

from accounts.services import create_api_key
from catalog.models import Listing, PriceChange, Seller
from tests.factories import ListingFactory, UserFactory

pytestmark = pytest.mark.django_db
LISTINGS = "/api/v1/listings"
CAR = {
    "external_id": "A-1", "brand": "VW", "model": "golf", "title": "Golf, one owner", "year": 2019, "price": "9500.00",
    "mileage_km": 60_000, "fuel": "diesel", "gearbox": "manual", "body": "hatchback", "colour": "Blue",
    "tags": ["towbar"], "latitude": 53.8, "longitude": -1.5, "seller_name": "Aire Valley", "seller_type": "private",
}  # fmt: skip


def client_with_scopes(*scopes):
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=create_api_key(name="a garage", scopes=scopes, created_by=None)[1])
    return client


@pytest.fixture
def garage(db):
    return client_with_scopes("ingest")


def sent(client, *listings, **more):
    got = client.post(LISTINGS, {"listings": list(listings), **more})
    assert got.status_code == 200, got.json()
    return got.json()


def refused(client, body):
    before = Listing.objects.count()
    got = client.post(LISTINGS, body)
    assert got.status_code == 400, got.json()
    assert Listing.objects.count() == before
    return got.json()["error"]["fields"]


def test_a_listing_that_is_sent_is_for_sale(garage):
    answer = sent(garage, CAR)
    listing = Listing.objects.get()
    assert answer == {"created": 1, "updated": 0, "unchanged": 0,
                      "listings": [{"external_id": "A-1", "source": "api", "id": listing.pk, "result": "created",
                                    "notes": {}}],
                      "refused": []}  # fmt: skip
    assert (listing.source, listing.status, listing.name) == ("api", "live", "Golf, one owner")
    assert (str(listing.car_model), listing.colour, listing.tags) == ("Volkswagen Golf", "blue", ["towbar"])
    assert (listing.price, listing.currency, listing.seller.kind) == (9500, "GBP", "private")


def test_a_list_by_itself_is_understood_too(garage):
    assert garage.post(LISTINGS, [CAR]).json()["created"] == 1


def test_sending_it_again_changes_nothing(garage):
    sent(garage, CAR)
    assert sent(garage, CAR)["unchanged"] == 1
    assert Listing.objects.count() == Seller.objects.count() == 1


def test_what_is_left_out_stays_and_a_new_price_is_noted(garage):
    sent(garage, CAR)
    got = garage.patch(LISTINGS, {"listings": [{"external_id": "A-1", "price": 9000}]})
    assert got.json()["updated"] == 1
    listing = Listing.objects.get()
    assert (listing.price, listing.year, listing.title) == (9000, 2019, "Golf, one owner")
    assert PriceChange.objects.get().old_price == 9500


def test_the_same_id_of_two_sources_is_two_cars(garage):
    sent(garage, CAR, source="north")
    sent(garage, CAR, source="south")
    assert Listing.objects.count() == 2


def test_a_listing_that_cannot_be_sold_yet_is_kept_as_a_draft(garage):
    sent(garage, {"external_id": "A-1", "brand": "VW"})
    assert Listing.objects.get().status == "draft"
    sent(garage, {"external_id": "A-1", "price": 5000})
    assert Listing.objects.get().status == "live"


@pytest.mark.parametrize(("brand", "model"), [("VW", "golf"), ("VW", "Gollf"), ("Morgan Cars", "Plus Four")])
def test_a_thousand_listings_cost_as_many_queries_as_one(garage, brand, model, django_assert_max_num_queries):
    cars = [CAR | {"external_id": f"A-{n}", "brand": brand, "model": model} for n in range(1000)]
    with django_assert_max_num_queries(45):
        answer = sent(garage, *cars)
    assert answer["created"] == 1000
    assert [listing["external_id"] for listing in answer["listings"]] == [car["external_id"] for car in cars]


@pytest.mark.parametrize("is_partial", [False, True])
def test_a_model_that_may_be_a_typing_error_or_a_new_one_is_taken_with_a_note(garage, is_partial):
    got = garage.post(f"{LISTINGS}?partial={is_partial}", [CAR | {"model": "Gollf"}]).json()
    assert got["listings"][0]["notes"] == {"model": "“Gollf” is not known; did you mean Golf?"}
    assert str(Listing.objects.get().car_model) == "Volkswagen Gollf"


@pytest.mark.parametrize(
    ("change", "field"),
    [({"external_id": ""}, "external_id"), ({"external_id": None}, "external_id"),
     ({"external_id": "x" * 256}, "external_id"), ({"year": 1066}, "year"), ({"year": "x"}, "year"),
     ({"year": True}, "year"), ({"price": 0}, "price"), ({"price": -1}, "price"), ({"price": "much"}, "price"),
     ({"price": 10**400}, "price"), ({"price": "NaN"}, "price"), ({"currency": "shells"}, "currency"),
     ({"mileage_km": -1}, "mileage_km"), ({"mileage_km": 10**12}, "mileage_km"), ({"fuel": "steam"}, "fuel"),
     ({"status": "expired"}, "status"), ({"tags": "towbar"}, "tags"), ({"tags": [1, {}]}, "tags[1]"),
     ({"latitude": 91}, "latitude"), ({"longitude": None}, "latitude"), ({"engine_l": "inf"}, "engine_l"),
     ({"photo_url": "javascript:alert(1)"}, "photo_url"), ({"url": "x" * 256}, "url"),
     ({"seller_id": "7", "seller_name": ""}, "seller_name"), ({"brand": "Vauxhal"}, "brand"),
     ({"brand": "", "make": "Toyta"}, "make")],
)  # fmt: skip
def test_one_wrong_listing_is_named_and_nothing_is_stored(garage, change, field):
    fields = refused(garage, {"listings": [CAR | {"external_id": "A-2"}, CAR | change]})
    assert any(path.startswith(f"listings[1].{field}") for path in fields), fields


@pytest.mark.parametrize("body", [[], {}, {"listings": []}, {"listings": {}}, {"listings": "x"}, "x", 5, [5], [[]]])
def test_a_body_that_holds_no_listings_is_refused(garage, body):
    refused(garage, body)


def test_an_id_that_occurs_twice_and_a_request_that_is_too_long_are_refused(garage):
    assert "listings[1].external_id" in refused(garage, [CAR, CAR])
    assert "listings" in refused(garage, [CAR | {"external_id": str(n)} for n in range(1001)])


@pytest.mark.parametrize(
    ("trait", "status"),
    [({}, "sold"), ({}, "reserved"), ({}, "withdrawn"), ({"reserved": True}, "live"), ({"sold": True}, "live"),
     ({"draft": True}, "live"), ({"withdrawn": True}, "sold"), ({}, "live")],
)  # fmt: skip
def test_a_listing_moves_to_another_status(garage, trait, status):
    listing = ListingFactory(**trait)
    got = garage.patch(f"{LISTINGS}/{listing.pk}", {"status": status})
    assert (got.status_code, got.json()["status"]) == (200, status)
    assert Listing.objects.get().status == status


def test_a_price_can_be_changed_and_is_noted(garage):
    listing = ListingFactory()
    assert garage.patch(f"{LISTINGS}/{listing.pk}", {"price": "11000"}).json()["selling_price"] == 11000.0
    assert PriceChange.objects.get().new_price == 11000


@pytest.mark.parametrize(
    ("trait", "change"),
    [({"draft": True}, {"status": "sold"}), ({"sold": True}, {"status": "reserved"}), ({}, {"status": "draft"}),
     ({"draft": True, "price": None}, {"status": "live"}), ({"sold": True}, {"price": 5, "status": "reserved"})],
)  # fmt: skip
def test_a_step_that_leads_nowhere_is_a_conflict_and_changes_nothing(garage, trait, change):
    listing = ListingFactory(**trait)
    got = garage.patch(f"{LISTINGS}/{listing.pk}", change)
    assert (got.status_code, got.json()["error"]["code"]) == (409, "conflict")
    stored = Listing.objects.get()
    assert (stored.status, stored.price) == (listing.status, listing.price)


@pytest.mark.parametrize("change", [{}, {"status": "expired"}, {"status": ""}, {"price": 0}, {"price": None}, [], "x"])
def test_a_change_that_makes_no_sense_is_refused(garage, change):
    assert garage.patch(f"{LISTINGS}/{ListingFactory().pk}", change).status_code == 400


@pytest.mark.parametrize("listing_id", ["0", "999999999999999999", "9" * 30, "x"])
def test_a_listing_that_does_not_exist_is_a_404(garage, listing_id):
    assert garage.patch(f"{LISTINGS}/{listing_id}", {"status": "sold"}).status_code == 404


def test_only_a_key_with_the_right_scope_may_touch_the_stock(db):
    listing = ListingFactory()
    as_user = APIClient()
    as_user.force_authenticate(UserFactory())
    as_guest = APIClient()
    as_guest.credentials(HTTP_X_VISITOR_KEY="the-browser-of-gus")
    for client, status in [(as_user, 403), (as_guest, 403), (client_with_scopes("read"), 403), (APIClient(), 401)]:
        assert client.post(LISTINGS, [CAR]).status_code == status
        assert client.patch(f"{LISTINGS}/{listing.pk}", {"status": "sold"}).status_code == status
    assert client_with_scopes("admin").patch(f"{LISTINGS}/{listing.pk}", {"status": "sold"}).status_code == 200


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({"colour": "Tornado Red"}, ("red", "Tornado Red")),
        ({"colour": "Rot"}, ("red", "")),
        ({"manufacturer_colour": "Alpinweiß"}, ("white", "Alpinweiß")),
        ({"colour": "grey", "manufacturer_colour": "Moonstone"}, ("grey", "Moonstone")),
        ({"colour": "Moonstone"}, ("", "Moonstone")),
        ({"colour": None, "manufacturer_colour": "Alpinweiß"}, ("white", "Alpinweiß")),
    ],
)
def test_a_client_sends_a_plain_colour_or_the_manufacturers_name_for_it(garage, sent, stored):
    car = {"external_id": "1", "brand": "VW", "model": "Golf", "price": 9000, **sent}
    assert garage.post("/api/v1/listings", {"source": "garage", "listings": [car]}, format="json").status_code == 200
    listing = Listing.objects.get()
    assert (listing.colour, listing.manufacturer_colour) == stored
