"""A client reads and changes its stock by its own ids, in the words that files use."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.services import create_api_key
from catalog.api.serializers import CUT_AT
from catalog.imports.ingest import EMPTY
from catalog.models import Listing, ListingChange
from catalog.services import expire_listings
from tests.factories import ListingFactory
from tests.recommendations.api.conftest import client_with

pytestmark = pytest.mark.django_db
LISTINGS = "/api/v1/listings"


@pytest.fixture
def shop(db):
    return client_with(x_api_key=create_api_key(name="s", scopes=["ingest"], created_by=None, source="shop")[1])


@pytest.mark.parametrize("external_id", ["7", "007", "a/b", "ä?&#%", "x" * 255])
def test_a_listing_is_read_changed_and_withdrawn_by_the_id_of_its_source(shop, external_id):
    car, other = (ListingFactory(source=source, external_id=external_id) for source in ("shop", "api"))
    path = f"{LISTINGS}/by-external-id/{quote(external_id, safe='')}"
    assert shop.get(path).json() == shop.get(f"{LISTINGS}/{car.pk}").json()
    assert shop.get(f"{path}?source=api").json()["id"] == other.pk
    assert shop.patch(path, {"price": "11000"}).json()["selling_price"] == 11000.0
    for _ in range(2):
        assert shop.delete(path).status_code == 204
        assert shop.get(path).json()["status"] == "withdrawn"
    assert Listing.objects.get(pk=other.pk).status == "live"


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_an_id_that_is_not_known_is_a_404(shop, method):
    ListingFactory(source="api", external_id="7")
    body = {"status": "sold"} if method == "patch" else None
    assert getattr(shop, method)(f"{LISTINGS}/by-external-id/7", body).status_code == 404


@pytest.mark.parametrize("page_size", [1, 2, 3, 5])
def test_the_stock_of_a_source_is_listed_page_by_page_without_repeats(shop, page_size):
    cars = [ListingFactory(source="shop", draft=n == 1).pk for n in range(5)]
    ListingFactory(source="api")
    url, found = f"{LISTINGS}?page_size={page_size}", []
    while url:
        page = shop.get(url).json()
        assert 0 < len(page["listings"]) <= page_size
        found += [car["id"] for car in page["listings"]]
        url = page["next"]
    assert found == cars
    assert [car["id"] for car in shop.get(f"{LISTINGS}?status=draft").json()["listings"]] == [cars[1]]


@pytest.mark.parametrize("question", ["page_size=0", "page_size=1001", "cursor=x", "status=gone-fishing", "source="])
def test_a_question_that_makes_no_sense_is_refused(shop, question):
    assert shop.get(f"{LISTINGS}?{question}").status_code == 400


@pytest.mark.parametrize(
    ("field", "word", "value"),
    [("fuel", "Petrol", "petrol"), ("fuel", "Benzin", "petrol"), ("drive", "FWD", "front"),
     ("gearbox", "Automatik", "automatic"), ("body", "Kombi", "estate"), ("status", "available", "live"),
     ("status", "Sold", "sold"), ("mileage_km", "10,000 miles", 16093), ("mileage_km", "60000", 60000),
     ("mileage_km", "150.000 km", 150000), ("currency", "€", "EUR"), ("currency", "eur", "EUR")],
)  # fmt: skip
def test_the_words_of_files_are_read(shop, field, word, value):
    car = {"external_id": "7", "brand": "VW", "model": "Golf", "price": 9000, field: word}
    got = shop.post(LISTINGS, [car])
    assert got.status_code == 200, got.json()
    assert getattr(Listing.objects.get(), field) == value


FULL = {
    "external_id": "7", "brand": "VW", "model": "Golf", "title": "A Golf", "description": "Two keys.",
    "tags": ["tow bar"],
    "year": 2019, "price": "9000.00", "mileage_km": 60_000, "fuel": "petrol", "gearbox": "manual", "body": "estate",
    "drive": "front", "colour": "red", "power_kw": 81, "engine_l": 1.4, "consumption_l_100km": 5.1, "doors": 5,
    "seats": 5,
    "owner_count": 2, "annual_tax": "190.00", "photo_url": "https://a.example/1.jpg", "first_registration": "2019-03",
    "condition": "used", "damage": "none", "posted_at": "2026-01-02T03:04:05Z", "url": "https://a.example/7",
    "place": "Leeds", "latitude": 53.8, "longitude": -1.5,
    "manufacturer_colour": "Tornado Red", "vat": "reclaimable",
}  # fmt: skip


@pytest.fixture
def golf(shop):
    assert shop.post(LISTINGS, [FULL]).status_code == 200
    return Listing.objects.get()


@pytest.mark.parametrize("method", ["post", "patch"])
@pytest.mark.parametrize("name", [name for name in EMPTY if name not in ("latitude", "longitude")])
def test_null_clears_a_field_and_leaves_the_others(shop, golf, method, name):
    got = getattr(shop, method)(LISTINGS, [{"external_id": "7", "brand": "VW", "model": "Golf", name: None}]).json()
    assert (got["updated"], got["listings"][0]["result"]) == (1, "updated")
    now = Listing.objects.get()
    assert getattr(now, name) == ("Volkswagen Golf" if name == "title" else EMPTY[name])
    cleared = {"photos", "photo_url"} if name in ("photos", "photo_url") else {name}
    others = [other for other in EMPTY if other not in cleared]
    assert {other: getattr(now, other) for other in others} == {other: getattr(golf, other) for other in others}
    again = getattr(shop, method)(LISTINGS, [{"external_id": "7", name: None}]).json()
    assert again["unchanged"] == 1 or name == "title"


def test_a_place_on_earth_is_cleared_as_a_whole(shop, golf):
    assert shop.patch(LISTINGS, [{"external_id": "7", "latitude": None}]).status_code == 400
    assert shop.patch(LISTINGS, [{"external_id": "7", "latitude": None, "longitude": None}]).status_code == 200
    assert Listing.objects.get().latitude is None


def test_clearing_takes_no_statement_for_each_listing(shop):
    """Exports of other systems have null wherever nothing is known, in a few combinations."""

    def n_statements(n_listings):
        known = [{**FULL, "external_id": str(n)} for n in range(n_listings)]
        assert shop.post(LISTINGS, known).status_code == 200
        nulls = [{"colour": None, "doors": None}, {"seats": None, "tags": None}]
        emptied = [{"external_id": str(n), **nulls[n % 2]} for n in range(n_listings)]
        with CaptureQueriesContext(connection) as asked:
            assert shop.post(LISTINGS, emptied).json()["updated"] == n_listings
        return len(asked)

    assert n_statements(4) == n_statements(20)
    assert set(Listing.objects.values_list("colour", "seats")) == {("", 5), ("red", None)}


def test_put_creates_a_listing_and_replaces_it(shop):
    path = f"{LISTINGS}/by-external-id/a%2Fb"
    made = shop.put(path, {**FULL, "external_id": "a/b"}).json()["listings"][0]
    assert (made["external_id"], made["source"], made["result"]) == ("a/b", "shop", "created")
    again = shop.put(path, {"brand": "VW", "model": "Golf", "price": "9000.00", "year": 2020}).json()["listings"][0]
    assert (again["id"], again["result"]) == (made["id"], "updated")
    now = Listing.objects.get()
    assert (now.year, now.status, now.title, now.tags, now.seats, now.place) == (
        2020,
        "live",
        "Volkswagen Golf",
        [],
        None,
        "",
    )
    assert shop.put(path, {"brand": "VW", "model": "Golf", "year": 2020}).json()["unchanged"] == 1
    assert shop.put(path, {"external_id": "c", "brand": "VW"}).status_code == 400
    assert shop.put(f"{path}?source=other", {"brand": "VW"}).json()["listings"][0]["source"] == "other"


def test_partial_stores_what_is_right_and_names_what_is_wrong(shop):
    sent = [{"external_id": "1", "brand": "VW", "price": 1000}, {"external_id": "2", "year": 1066}, "x",
            {"external_id": "1", "brand": "VW"}, {"external_id": "3", "brand": "VW", "colr": "red"}]  # fmt: skip
    got = shop.post(f"{LISTINGS}?partial=true", sent).json()
    assert [(each["external_id"], each["result"]) for each in got["listings"]] == [("1", "created")]
    assert [(each["index"], each["external_id"]) for each in got["refused"]] == [(1, "2"), (2, ""), (3, "1"), (4, "3")]
    assert list(got["refused"][0]["fields"]) == ["year"]
    assert shop.post(LISTINGS, sent).status_code == 400
    assert Listing.objects.count() == 1


@pytest.mark.parametrize("name", CUT_AT)
def test_a_text_that_is_too_long_is_cut_with_a_note(shop, name):
    got = shop.post(LISTINGS, [{"external_id": "7", "brand": "VW", "price": 9, name: "x" * (CUT_AT[name] + 1)}])
    assert got.status_code == 200, got.json()
    assert got.json()["listings"][0]["notes"] == {name: f"was cut at {CUT_AT[name]} letters"}
    fits = shop.post(LISTINGS, [{"external_id": "8", "brand": "VW", "price": 9, name: "x" * CUT_AT[name]}]).json()
    assert fits["listings"][0]["notes"] == {}


def test_what_a_complete_set_does_not_name_leaves_the_market(shop):
    for n in range(12):
        ListingFactory(source="shop", external_id=str(n), **({"sold": True} if n == 11 else {}))
    other = ListingFactory(source="api", external_id="0")
    kept = [str(n) for n in range(9)]
    got = shop.post(f"{LISTINGS}/complete", {"external_ids": [*kept, "new"]}).json()
    assert got == {"kept": 9, "withdrawn": 2, "unknown": ["new"]}
    assert set(Listing.objects.filter(status="withdrawn").values_list("external_id", flat=True)) == {"9", "10"}
    assert Listing.objects.get(pk=other.pk).status == "live"
    assert Listing.objects.get(external_id="11").status == "sold"


def test_what_a_complete_set_names_was_seen_and_that_is_no_change_of_it(shop, settings):
    settings.LISTING_LIFETIME_DAYS = 90
    now = timezone.now()
    long_ago = {"source": "shop", "published_at": now - timedelta(days=100), "last_seen_at": now - timedelta(days=95)}
    for external_id, status in (("1", "live"), ("2", "live"), ("3", "reserved")):
        ListingFactory(**long_ago, external_id=external_id, status=status, missed_runs=2)
    before = list(Listing.objects.order_by("pk").values_list("updated_at", flat=True))
    ListingChange.objects.all().delete()
    assert shop.post(f"{LISTINGS}/complete", {"external_ids": ["1", "2", "3"]}).json()["kept"] == 3
    assert not ListingChange.objects.exists()
    assert list(Listing.objects.order_by("pk").values_list("updated_at", "missed_runs")) == [(at, 0) for at in before]
    assert expire_listings(now + timedelta(days=89)) == 0
    assert expire_listings(now + timedelta(days=91)) == 2


def test_what_a_complete_set_withdrew_is_for_sale_again_when_it_is_brought_in_again(shop):
    cars = [{"external_id": str(n), "brand": "VW", "price": 9000} for n in range(3)]
    shop.post(LISTINGS, cars)
    assert shop.post(f"{LISTINGS}/complete", {"external_ids": ["0"]}).json()["withdrawn"] == 2
    assert shop.patch(f"{LISTINGS}/by-external-id/2", {"status": "sold"}).status_code == 200
    assert shop.post(LISTINGS, cars).json()["updated"] == 1
    assert list(Listing.objects.order_by("external_id").values_list("status", flat=True)) == ["live", "live", "sold"]


def test_a_complete_set_does_not_empty_a_shop_unless_that_is_confirmed(shop):
    for n in range(12):
        ListingFactory(source="shop", external_id=str(n))
    for ids in ([], [str(n) for n in range(6)]):
        assert shop.post(f"{LISTINGS}/complete", {"external_ids": ids}).status_code == 409
    assert Listing.objects.filter(status="live").count() == 12
    got = shop.post(f"{LISTINGS}/complete", {"external_ids": [], "confirm": True}).json()
    assert got == {"kept": 0, "withdrawn": 12, "unknown": []}


def test_the_complete_set_of_a_seller_leaves_the_other_sellers(shop):
    for n, seller in enumerate(["a", "a", "b"]):
        shop.post(
            LISTINGS, [{"external_id": str(n), "brand": "VW", "price": 9, "seller_id": seller, "seller_name": seller}]
        )
    got = shop.post(f"{LISTINGS}/complete", {"seller_id": "a", "external_ids": ["0"]}).json()
    assert got == {"kept": 1, "withdrawn": 1, "unknown": []}
    assert list(Listing.objects.order_by("pk").values_list("status", flat=True)) == ["live", "withdrawn", "live"]
