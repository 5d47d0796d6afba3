"""The Python clients, sync and async, against the application: every method asks what it says."""

import pytest

from accounts.services import create_api_key
from catalog.models import Listing
from forecourt import Conflict, Forbidden, Invalid, NotAuthenticated, NotFound, core
from recommendations.models import Interaction, ServedList
from tests.factories import BuyerFactory, ListingFactory
from tests.markets import view

pytestmark = pytest.mark.django_db
CAR = {"brand": "Skoda", "model": "Octavia", "price": 12500, "year": 2019, "fuel": "petrol", "body": "estate"}
ANY_TEXT = ["A-1017", "7", "a/b", "a b", "ä€", "50%", "%2F", "?x=1", "a#b", "a&b=c", "+44", '"', "..hidden", "A;1"]


@pytest.fixture
def market(market_of_module, db):
    return market_of_module


# --- The stock -------------------------------------------------------------------------------------------------------
def test_a_listing_comes_in_changes_and_leaves(forecourt):
    made = forecourt.listings.upsert(external_id="A-1", title="Tidy", **CAR)
    assert (made["source"], made["result"]) == ("shop", "created")
    assert forecourt.listings.upsert(external_id="A-1", price=11_900)["result"] == "updated"
    assert forecourt.listings.patch(external_id="A-1", year=None, mileage_km=60_000)["result"] == "updated"
    car = forecourt.listings.get(external_id="A-1")
    assert (car["id"], car["selling_price"], car["km_driven"], car["year"]) == (made["id"], 11_900, 60_000, None)
    assert forecourt.listings.replace("A-1", brand="Skoda", price=11_000)["result"] == "updated"
    assert forecourt.listings.get(listing_id=made["id"])["km_driven"] is None
    assert forecourt.listings.change(external_id="A-1", status="sold")["status"] == "sold"
    with pytest.raises(Conflict, match="reserved"):
        forecourt.listings.change(listing_id=made["id"], status="reserved")
    forecourt.listings.upsert(external_id="A-2", **CAR)
    forecourt.listings.delete(external_id="A-2")
    assert [car["status"] for car in forecourt.listings.iterate()] == ["sold", "withdrawn"]


@pytest.mark.parametrize("external_id", ANY_TEXT)
def test_an_id_of_any_letters_names_its_car_and_its_buyer(forecourt, external_id):
    forecourt.listings.upsert(external_id=external_id, **CAR)
    assert forecourt.listings.get(external_id=external_id)["external_id"] == external_id
    forecourt.buyers.put(external_id, country="GB")
    assert forecourt.buyers.get(external_id)["external_id"] == external_id


def test_a_bulk_of_any_length_names_what_is_wrong_by_its_place_in_all_of_it(forecourt, monkeypatch):
    monkeypatch.setattr(core.chunks, "__defaults__", (3,))
    monkeypatch.setattr(core, "AT_ONCE", 3)
    cars = [{"external_id": f"B-{i}", **CAR, **({"year": 3000} if i in (1, 5) else {})} for i in range(8)]
    stored = forecourt.listings.bulk(each for each in cars)
    assert (stored["created"], len(stored["listings"])) == (6, 6)
    assert [(each["index"], each["external_id"]) for each in stored["refused"]] == [(1, "B-1"), (5, "B-5")]
    assert list(stored["refused"][0]["fields"]) == ["year"]
    with pytest.raises(Invalid) as refusal:
        forecourt.listings.bulk(cars, partial=False)
    assert list(refusal.value.fields) == ["listings[1].year"]
    assert [car["external_id"] for car in forecourt.listings.iterate(page_size=4)] == [
        f"B-{i}" for i in (0, 2, 3, 4, 6, 7)
    ]
    assert list(forecourt.listings.iterate(source="other")) == []


def test_a_complete_set_withdraws_what_it_does_not_name(forecourt):
    forecourt.listings.bulk([{"external_id": f"C-{i}", **CAR} for i in range(10)])
    assert forecourt.listings.complete([f"C-{i}" for i in range(8)]) == {"kept": 8, "withdrawn": 2, "unknown": []}
    with pytest.raises(Conflict):
        forecourt.listings.complete(["C-0"])
    assert forecourt.listings.complete(["C-0"], confirm=True)["withdrawn"] == 7
    assert sum(car["status"] == "live" for car in forecourt.listings.iterate()) == 1


# --- Lists -----------------------------------------------------------------------------------------------------------
def test_a_list_goes_on_page_after_page_and_its_events_are_attributed(forecourt, market):
    view(BuyerFactory(user=None, external_id="42"), *market.bmws[:4])
    pages = list(forecourt.lists.pages(buyer="42", k=7, min_year=2000))
    shown = [car["id"] for page in pages for car in page["recommended"]]
    assert len(pages) > 2
    assert sorted(shown) == sorted(Listing.objects.values_list("pk", flat=True))
    second = pages[1]
    assert second["after"] == pages[0]["list_id"]
    car = second["recommended"][2]
    forecourt.events.add("like", buyer="42", listing_id=car["id"], list_id=second["list_id"], position=car["position"])
    forecourt.events.flush()
    liked = Interaction.objects.get(kind__slug="like")
    assert (str(liked.served_list_id), liked.position, liked.attribution) == (second["list_id"], 3, "checked")


def test_several_placements_an_order_and_similar_cars(forecourt, market):
    lists = forecourt.lists.placements([{"k": 3}, {"k": 3, "brand": "bmw"}], buyer="42", exclude=[market.bmws[0].pk])
    shown = [car["id"] for each in lists for car in each["recommended"]]
    assert len(shown) == len(set(shown)) == 6
    assert market.bmws[0].pk not in shown
    ranked = forecourt.lists.rank(listing_ids=shown, external_ids=["no such car"], buyer="42")
    assert {car["id"] for car in ranked["ranked"]} == set(shown)
    assert [(each["external_id"], each["reason"]) for each in ranked["left_out"]] == [("no such car", "unknown")]
    similar = forecourt.lists.similar(listing_id=shown[0], k=4, buyer="42")
    assert len(similar["similar"]) == 4
    assert ServedList.objects.filter(pk=similar["list_id"]).exists()
    assert forecourt.lists.car(listing_id=shown[0], buyer="42", list_id=similar["list_id"])["id"] == shown[0]
    assert Interaction.objects.filter(buyer__external_id="42", kind__slug="view").count() == 1


def test_a_car_is_named_in_one_way(forecourt):
    for named in ({}, {"external_id": "A", "listing_id": 1}):
        for ask in (forecourt.listings.get, forecourt.lists.car, forecourt.lists.similar):
            with pytest.raises(ValueError, match="Name the car"):
                list(ask(**named))


# --- Search ----------------------------------------------------------------------------------------------------------
def test_a_search_goes_on_until_all_is_seen(forecourt):
    cars = [ListingFactory(price=1_000 + i) for i in range(7)]
    found = forecourt.search.iterate(ordering="price", page_size=3, max_price=1_005, fuel=["petrol", "diesel"])
    assert [car["id"] for car in found] == [car.pk for car in cars[:6]]
    page = forecourt.search.cars(q="under 1003", facets=True)
    assert (page["count"], page["understood"][0]["field"]) == (4, "max_price")
    make = cars[0].make.name
    assert forecourt.search.complete(make[:-1])[0]["value"]


# --- Saved searches and buyers ---------------------------------------------------------------------------------------
def test_a_search_is_saved_changed_and_removed(forecourt):
    saved = forecourt.saved_searches.save(buyer="42", name="Estate", query={"body": "estate", "max_price": 15_000})
    assert forecourt.saved_searches.all(buyer="42") == [saved]
    changed = forecourt.saved_searches.change(saved["id"], buyer="42", alerts=False)
    assert changed == forecourt.saved_searches.get(saved["id"], buyer="42") == {**saved, "alerts": False}
    settings = forecourt.saved_searches.change_alerts(buyer="42", frequency="daily", quiet_from=22, quiet_until=7)
    assert settings == forecourt.saved_searches.alerts(buyer="42")
    assert settings["frequency"] == "daily"
    forecourt.saved_searches.delete(saved["id"], buyer="42")
    with pytest.raises(NotFound):
        forecourt.saved_searches.delete(saved["id"], buyer="42")


def test_a_buyer_is_described_merged_protected_and_forgotten(forecourt):
    car = ListingFactory(external_id="A-1", source="shop")
    with pytest.raises(NotFound):
        forecourt.buyers.get("42")
    forecourt.buyers.put("42", location={"latitude": 53.8, "longitude": -1.55}, country="GB")
    assert forecourt.buyers.patch("42", locale="en-GB")["country"] == "GB"
    assert forecourt.buyers.answer("42", budget_max=15_000, fuels=["petrol"])["fuels"] == ["petrol"]
    assert forecourt.buyers.block_seller("42", seller_id="7") == [{"seller_id": "7", "source": "shop"}]
    assert len(forecourt.buyers.blocked_sellers("42")) == 1
    forecourt.buyers.unblock_seller("42", seller_id="7")
    assert forecourt.buyers.blocked_sellers("42") == []
    assert [each["id"] for each in forecourt.buyers.hide_car("42", external_id="A-1")] == [car.pk]
    assert len(forecourt.buyers.hidden_cars("42")) == 1
    forecourt.buyers.show_car("42", external_id="A-1")
    assert forecourt.buyers.hidden_cars("42") == []
    forecourt.events.send([{"kind": "view", "buyer": "43", "external_id": "A-1"}])
    assert "43" in forecourt.buyers.merge("42", external_id="43")["merged_external_ids"]
    assert forecourt.buyers.export("42")
    forecourt.buyers.erase("42")
    with pytest.raises(NotFound):
        forecourt.buyers.get("42")


def test_buyers_of_a_car_are_named_to_keys_that_may_know(forecourt):
    assert forecourt.listings.buyers(ListingFactory().pk, k=3) == []


# --- What is wrong ---------------------------------------------------------------------------------------------------
def test_each_refusal_is_an_error_of_its_own_with_the_code_and_fields_of_the_api(forecourt, connect):
    reader = connect(api_key=create_api_key(name="a reader", scopes=["read"], created_by=None)[1])
    for kind, status, code, ask in [
        (NotAuthenticated, 401, "not_authenticated", lambda: connect(api_key="no key").search.cars()),
        (Forbidden, 403, "forbidden", lambda: reader.listings.upsert(external_id="A", **CAR)),
        (NotFound, 404, "not_found", lambda: forecourt.listings.get(external_id="A")),
        (NotFound, 404, "not_found", lambda: forecourt.listings.patch(external_id="A", price=1)),
        (Invalid, 400, "invalid", lambda: forecourt.search.cars(min_year="new")),
    ]:
        with pytest.raises(kind) as refusal:
            ask()
        assert (refusal.value.status, refusal.value.code) == (status, code)
        assert refusal.value.message
        assert refusal.value.request_id
    assert list(refusal.value.fields) == ["min_year"]


def test_errors_are_in_the_language_that_was_asked_for(connect, key):
    with pytest.raises(NotFound) as german:
        connect(api_key=key, language="de-AT").listings.get(external_id="A")
    with pytest.raises(NotFound) as english:
        connect(api_key=key).listings.get(external_id="A")
    assert german.value.message != english.value.message
