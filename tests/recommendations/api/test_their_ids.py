"""A marketplace stores none of our ids: each route that takes a car takes its own id, and each answer gives it back."""

import pytest

from accounts.services import create_api_key
from catalog.models import Listing
from recommendations.buyers.privacy import personal_data_of
from recommendations.models import Interaction
from tests.factories import InteractionFactory, ListingFactory
from tests.markets import trained_market
from tests.recommendations.api.conftest import client_with

pytestmark = pytest.mark.django_db
URL = "https://shop.example/cars/7"
ODD_IDS = ["7", "007", " 7", "a/b", "ä?&=#%", "x" * 255]
BY_ID = {"detail": "/api/v1/cars/detail/{}", "similar": "/api/v1/cars/{}/similar"}
BY_NAME = {"detail": "/api/v1/cars/detail", "similar": "/api/v1/cars/similar"}


def key_of(source=""):
    scopes = ["read", "ingest"]
    return client_with(x_api_key=create_api_key(name="k", scopes=scopes, created_by=None, source=source)[1])


@pytest.fixture
def shop(db):
    return key_of("shop")


@pytest.mark.parametrize("external_id", ODD_IDS)
@pytest.mark.parametrize("route", BY_NAME)
def test_a_car_is_found_by_the_id_of_its_source(shop, route, external_id):
    car = ListingFactory(source="shop", external_id=external_id)
    ListingFactory(source="api", external_id=external_id)
    by_id = shop.get(BY_ID[route].format(car.pk)).json()
    for question in ({}, {"source": "shop"}):
        got = shop.get(BY_NAME[route], {"external_id": external_id, **question})
        assert (got.status_code, got.json()) == (200, by_id)
    assert shop.get(BY_NAME[route], {"listing_id": car.pk}).json() == by_id


@pytest.mark.parametrize("route", BY_NAME)
@pytest.mark.parametrize(
    ("question", "status"),
    [({}, 400), ({"external_id": ""}, 400), ({"external_id": "x" * 256}, 400), ({"external_id": "a\0"}, 400),
     ({"listing_id": "x"}, 400), ({"listing_id": 0}, 400), ({"listing_id": 1, "external_id": "7"}, 400),
     ({"external_id": "7", "source": "items"}, 400), ({"external_id": "unknown"}, 404),
     ({"external_id": "7", "source": "elsewhere"}, 404), ({"listing_id": 999_999_999}, 404)],
)  # fmt: skip
def test_a_car_that_is_named_wrongly_or_is_unknown_is_refused(shop, as_alice, route, question, status):
    ListingFactory(source="shop", external_id="7")
    assert shop.get(BY_NAME[route], question).status_code == status
    assert as_alice.get(BY_NAME[route], question).status_code == status


@pytest.mark.parametrize("caller", ["as_alice", "as_gus", "as_garage"])
def test_without_a_source_of_its_own_a_caller_means_that_of_the_site(request, caller, settings):
    settings.LISTING_SOURCE = "site"
    car = ListingFactory(source="site", external_id="7")
    ListingFactory(source="shop", external_id="7")
    assert request.getfixturevalue(caller).get(BY_NAME["detail"], {"external_id": "7"}).json()["id"] == car.pk


def test_a_draft_is_found_by_no_id(shop):
    ListingFactory(source="shop", external_id="7", draft=True)
    assert shop.get(BY_NAME["detail"], {"external_id": "7"}).status_code == 404


def test_each_answer_that_holds_a_car_says_whose_it_is(shop, settings):
    settings.WINDOW_STALENESS_SECONDS = 0
    trained_market(10)
    Listing.objects.update(source="shop", url=URL)
    car = Listing.objects.first()
    cars = {
        "search": shop.get("/api/v1/cars/search").json()["listings"],
        "detail": [shop.get(BY_ID["detail"].format(car.pk)).json()],
        "similar": shop.get(BY_ID["similar"].format(car.pk)).json()["similar"],
        "recommended": shop.get("/api/v1/cars/recommendations?buyer=42").json()["recommended"],
        "changed": [shop.patch(f"/api/v1/listings/{car.pk}", {"status": "sold"}).json()],
    }
    for route, shown in cars.items():
        assert shown, route
        for each in shown:
            stored = Listing.objects.get(pk=each["id"])
            said = (each["external_id"], each["listing_source"], each["url"])
            assert said == (stored.external_id, "shop", URL), route
            assert each["source"] == "shop" or route in ("similar", "recommended")


# --- Events ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("external_id", ODD_IDS)
@pytest.mark.parametrize("wrap", [lambda event: event, lambda event: {"events": [event]}])
def test_an_event_names_its_car_by_the_id_of_its_source(shop, external_id, wrap):
    car = ListingFactory(source="shop", external_id=external_id)
    ListingFactory(source="api", external_id=external_id)
    got = shop.post("/api/v1/events", wrap({"kind": "like", "buyer": "42", "external_id": external_id}))
    assert got.status_code == 201, got.json()
    assert Interaction.objects.get().listing == car


def test_events_of_several_sources_come_in_one_request(shop):
    ours, theirs = ListingFactory(source="shop", external_id="7"), ListingFactory(source="dealer", external_id="7")
    events = [{"external_id": "7"}, {"external_id": "7", "source": "dealer"}, {"listing_id": ours.pk}]
    shop.post("/api/v1/events", {"events": [{"kind": "view", "buyer": "42", **event} for event in events]})
    assert list(Interaction.objects.order_by("pk").values_list("listing", flat=True)) == [ours.pk, theirs.pk, ours.pk]


@pytest.mark.parametrize(
    ("named", "field"),
    [({"external_id": "7", "listing_id": 1}, "external_id"), ({"external_id": "x" * 256}, "external_id"),
     ({"external_id": 5.5}, None), ({"external_id": {}}, "external_id"), ({"external_id": "7", "source": ""}, "source"),
     ({"external_id": "7", "source": "items"}, "source"), ({"external_id": None}, "listing_id")],
)  # fmt: skip
def test_an_event_that_names_its_car_wrongly_is_refused(shop, named, field):
    ListingFactory(source="shop", external_id="7")
    right = {"kind": "view", "buyer": "42", "external_id": "7"}
    got = shop.post("/api/v1/events", [right, {"kind": "view", "buyer": "42", **named}])
    assert got.status_code == 400
    assert not field or f"events[1].{field}" in got.json()["error"]["fields"]
    assert not Interaction.objects.exists()


@pytest.mark.parametrize("wrap", [lambda events: events, lambda events: {"events": events}])
@pytest.mark.parametrize(
    ("named", "field"),
    [({"external_id": "7", "listing_id": 1}, "external_id"), ({"external_id": "7", "source": "items"}, "source"),
     ({"external_id": "x" * 256}, "external_id"), ({"external_id": "8", "buyer": None}, "buyer")],
)  # fmt: skip
def test_a_wrong_reference_is_a_problem_of_its_event_alone(shop, named, field, wrap):
    car = ListingFactory(source="shop", external_id="7")
    right = {"kind": "view", "buyer": "42", "external_id": "7"}
    events = [right, right | {"buyer": "43"} | named, right | {"event_id": "last"}]
    assert f"events[1].{field}" in shop.post("/api/v1/events", wrap(events)).json()["error"]["fields"]
    assert not Interaction.objects.exists()
    got = shop.post("/api/v1/events?partial=true", wrap(events))
    assert (got.status_code, got.json()["recorded"]) == (201, 2)
    assert [event["status"] for event in got.json()["events"]] == ["recorded", "refused", "recorded"]
    assert [list(event["fields"]) for event in got.json()["events"]] == [[], [field], []]
    assert set(Interaction.objects.values_list("listing", "buyer__external_id")) == {(car.pk, "42")}


def test_all_that_is_wrong_with_an_event_is_named(shop):
    got = shop.post("/api/v1/events?partial=true", [{"kind": "view", "external_id": "x" * 256, "position": 0}])
    assert (got.status_code, got.json()["events"][0]["fields"].keys()) == (200, {"position", "external_id"})


def test_an_event_sent_again_by_the_other_id_is_a_repeat(shop):
    car = ListingFactory(source="shop", external_id="7")
    event = {"kind": "view", "buyer": "42", "event_id": "e-1"}
    for named in ({"external_id": "7"}, {"listing_id": car.pk}, {"external_id": "7", "source": "shop"}):
        got = shop.post("/api/v1/events", event | named)
        assert got.status_code == 201
    assert got.json()["repeated"] == 1
    assert Interaction.objects.count() == 1


# --- Stock -----------------------------------------------------------------------------------------------------------
def test_a_change_of_listings_that_do_not_exist_is_a_404_and_changes_nothing(shop):
    car = ListingFactory(source="shop", external_id="7")
    listings = [{"external_id": "7", "price": 5}, {"external_id": "8", "status": "sold"}]
    got = shop.patch("/api/v1/listings", {"listings": listings})
    assert (got.status_code, got.json()["error"]["code"]) == (404, "not_found")
    assert list(got.json()["error"]["fields"]) == ["listings[1].external_id"]
    assert Listing.objects.get() == car
    assert Listing.objects.get().price == car.price


def test_listings_are_stored_under_the_source_of_the_key(shop):
    got = shop.post("/api/v1/listings", [{"external_id": "7", "brand": "VW", "price": 5, "url": URL}])
    assert got.json()["listings"][0]["source"] == "shop"
    assert Listing.objects.values_list("source", "external_id", "url").get() == ("shop", "7", URL)


def test_no_listing_can_be_stored_among_the_items_of_the_feed(shop):
    got = shop.post("/api/v1/listings", {"source": "items", "listings": [{"external_id": "7", "brand": "VW"}]})
    assert list(got.json()["error"]["fields"]) == ["source"]


def test_the_export_of_a_buyer_names_cars_by_the_ids_of_their_source(as_alice, alice):
    InteractionFactory(buyer=alice, listing=ListingFactory(source="shop", external_id="7", url=URL))
    event = personal_data_of([alice])["events"][0]
    assert (event["external_id"], event["source"], event["url"]) == ("7", "shop", URL)
