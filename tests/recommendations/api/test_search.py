import pytest
from rest_framework.test import APIClient

from recommendations.models import Interaction
from tests.factories import CarModelFactory, ListingFactory, MakeFactory, SellerFactory

pytestmark = pytest.mark.django_db
SEARCH = "/api/v1/cars/search"


def found(client, **question):
    got = client.get(SEARCH, question)
    assert got.status_code == 200, got.json()
    return [car["id"] for car in got.json()["listings"]]


def problems(client, **question):
    got = client.get(SEARCH, question)
    assert got.status_code == 400, got.json()
    return got.json()["error"]["fields"]


def a_car(make="Skoda", model="Octavia", **fields):
    return ListingFactory(car_model=CarModelFactory(make=MakeFactory(name=make), name=model), **fields).pk


def test_a_card_shows_what_a_buyer_wants_to_know(as_alice):
    listing = ListingFactory(title="Skoda Octavia Combi", currency="GBP")
    got = as_alice.get(SEARCH).json()
    assert (got["count"], got["next"], got["previous"]) == (1, None, None)
    assert got["listings"] == [
        {"id": listing.pk, "external_id": listing.external_id, "listing_source": "", "source": "", "url": "",
         "brand": "Skoda", "model": "Octavia", "name": "Skoda Octavia Combi",
         "selling_price": 12000.0, "currency": "GBP", "year": 2019, "km_driven": 60000, "fuel": "petrol",
         "gearbox": "manual", "body": "hatchback", "drive": "", "colour": "", "power_kw": 85, "engine_l": 1.4,
         "seller_type": "dealer", "place": "", "photo_url": "", "published_at": "2026-01-01T12:00:00Z",
         "condition": "", "damage": "", "market_price": None}
    ]  # fmt: skip


def test_a_car_of_which_little_is_known_is_shown_all_the_same(as_alice):
    listing = ListingFactory(bare=True)
    card = as_alice.get(SEARCH).json()["listings"][0]
    assert (card["id"], card["brand"], card["selling_price"], card["seller_type"]) == (listing.pk, "", None, "")


@pytest.mark.parametrize("status", ["draft", "reserved", "sold", "withdrawn", "expired"])
def test_only_cars_for_sale_are_found(as_alice, status):
    ListingFactory(**{status: True})
    assert found(as_alice) == []


@pytest.mark.parametrize(
    "question",
    [{"brand": "skoda"}, {"brand": "SKODA"}, {"brand": "Škoda"}, {"brand": "audi,skoda"}, {"brand": ["audi", "skoda"]},
     {"model": "octavia"}, {"model": "Octavia"}, {"brand": "skoda", "model": "octavia"}, {"fuel": "Diesel"},
     {"fuel": "petrol,diesel"}, {"body": "estate"}, {"gearbox": "Automatic"}, {"drive": "All-wheel drive"},
     {"colour": "Blue"}, {"seller_type": "private"}, {"seller_type": "Individual"}, {"tag": "towbar"},
     {"tag": ["towbar", "one owner"]}, {"q": "combi"}, {"q": "towbar -broken"}, {"min_year": 2020, "max_year": 2020},
     {"min_price": 9999.5, "max_price": "10000"}, {"min_mileage": 40_000, "max_mileage": 40_000},
     {"min_power": 110, "max_power": 110}, {"year": 2020}, {"seats": 7}, {"min_seats": 6, "max_seats": 7},
     {"doors": 5, "seats": 7}, {"min_doors": 5}, {"lat": 50.1, "lon": 14.4, "radius_km": 1},
     {"brand": ""}, {"brand": ["", "skoda"]},
     {"brand": "skoda", "fuel": "diesel", "max_price": 10_000, "lat": 50, "lon": 14.4, "radius_km": 20, "q": "combi"}],
)  # fmt: skip
def test_every_filter_lets_the_right_car_through(as_alice, question):
    right = a_car(
        title="Octavia Combi with towbar", fuel="diesel", body="estate", gearbox="automatic", drive="all",
        colour="blue", seller=SellerFactory(kind="private"), tags=["towbar", "one owner"], year=2020, price=10_000,
        mileage_km=40_000, power_kw=110, latitude=50.1, longitude=14.4, seats=7, doors=5,
    )  # fmt: skip
    assert found(as_alice, **question) == [right]


@pytest.mark.parametrize(
    "question",
    [{"brand": "audi"}, {"model": "fabia"}, {"fuel": "diesel"}, {"body": "suv"}, {"gearbox": "automatic"},
     {"drive": "all"}, {"colour": "red"}, {"seller_type": "private"}, {"tag": "towbar"}, {"q": "combi"},
     {"min_year": 2020}, {"max_year": 2018}, {"min_price": 12_000.01}, {"max_price": 11_999.99},
     {"year": 2020}, {"seats": 7}, {"max_seats": 4}, {"doors": 3}, {"min_doors": 6},
     {"min_mileage": 60_001}, {"max_mileage": 59_999}, {"min_power": 86}, {"max_power": 84},
     {"lat": 50.1, "lon": 14.4, "radius_km": 1}, {"brand": "no such brand"}, {"q": "!!!"}],
)  # fmt: skip
def test_every_filter_keeps_the_wrong_car_out(as_alice, question):
    a_car(body="hatchback", seats=5, doors=5)
    assert found(as_alice, **question) == []


@pytest.mark.parametrize("text", ['"', "'", "a & | ! b", ":*", "(", "\\", "%", "<script>", "🚗", "Ж" * 200, "or", "-"])
def test_any_text_can_be_searched_for(as_alice, text):
    assert found(as_alice, q=text) == []


@pytest.mark.parametrize(
    ("ordering", "expected"),
    [
        ("price", "cheap costly unpriced"),
        ("-price", "costly cheap unpriced"),
        ("newest", "unpriced costly cheap"),
    ],
)
def test_cars_come_in_the_order_asked_for_and_the_unknown_last(as_alice, ordering, expected):
    cars = {"cheap": a_car(price=1), "costly": a_car(price=2), "unpriced": a_car(price=None)}
    assert found(as_alice, ordering=ordering) == [cars[name] for name in expected.split()]


@pytest.mark.parametrize(
    ("ordering", "alias"),
    [("price", "selling_price"), ("-price", "-selling_price"), ("-mileage", "-km_driven"), ("newest", "-published_at")],
)
def test_cars_are_also_ordered_by_the_names_that_answers_have(as_alice, ordering, alias):
    for price, mileage in [(3, 1), (1, 3), (2, 2)]:
        ListingFactory(price=price, mileage_km=mileage)
    assert found(as_alice, ordering=alias) == found(as_alice, ordering=ordering)


def test_the_refusal_of_an_unknown_order_names_the_known_ones(as_alice):
    [[reason]] = problems(as_alice, ordering="cheapest").values()
    assert reason.startswith("“cheapest” is unknown; known are newest, price, -price")


@pytest.mark.parametrize("ordering", ["newest", "price", "-price", "year", "-year", "mileage", "-mileage"])
def test_pages_neither_repeat_nor_skip_a_car_when_all_are_alike(as_alice, ordering):
    cars = {a_car() for _ in range(5)}
    pages = [found(as_alice, ordering=ordering, page=page, page_size=2) for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert {car for page in pages for car in page} == cars


def test_pages_lead_to_each_other_and_keep_the_question(as_alice):
    for _ in range(3):
        a_car()
    first = as_alice.get(SEARCH, {"brand": "skoda", "page_size": 1}).json()
    second = as_alice.get(first["next"]).json()
    third = as_alice.get(second["next"]).json()
    assert (first["count"], first["previous"], third["next"]) == (3, None, None)
    assert "brand=skoda" in first["next"]
    assert as_alice.get(second["previous"]).json() == first
    assert third["previous"] == first["next"]


@pytest.mark.parametrize(
    ("question", "field"),
    [({"min_year": "abc"}, "min_year"), ({"min_year": "NaN"}, "min_year"), ({"max_year": "2015.5"}, "max_year"),
     ({"min_year": "1" + "0" * 400}, "min_year"), ({"min_price": "nan"}, "min_price"),
     ({"max_price": "inf"}, "max_price"), ({"max_price": "1" + "0" * 400}, "max_price"),
     ({"min_price": "-1"}, "min_price"), ({"min_price": "1e400"}, "min_price"),
     ({"min_year": 2020, "max_year": 2019}, "min_year"), ({"min_price": 2, "max_price": 1}, "min_price"),
     ({"min_mileage": 2, "max_mileage": 1}, "min_mileage"), ({"min_power": 2, "max_power": 1}, "min_power"),
     ({"min_seats": 6, "max_seats": 5}, "min_seats"), ({"seats": "x"}, "seats"), ({"doors": -1}, "doors"),
     ({"year": 2019, "min_year": 2020}, "min_year"), ({"doors": 1.5}, "doors"),
     ({"page": 0}, "page"), ({"page": "-1"}, "page"), ({"page": "x"}, "page"), ({"page": 10**30}, "page"),
     ({"page_size": 0}, "page_size"), ({"page_size": 101}, "page_size"), ({"ordering": "foo"}, "ordering"),
     ({"ordering": "id"}, "ordering"), ({"ordering": ""}, "ordering"), ({"min_year": ""}, "min_year"),
     ({"lat": ""}, "lat"), ({"fuel": "steam"}, "fuel"), ({"body": "tank"}, "body"), ({"q": "a\0b"}, "q"),
     ({"brand": "a\0b"}, "brand"), ({"colour": "\0"}, "colour"), ({"q": "x" * 201}, "q"),
     ({"brand": "x" * 10_000}, "brand"), ({"tag": [str(n) for n in range(51)]}, "tag"),
     ({"lat": 91, "lon": 0, "radius_km": 1}, "lat"), ({"lat": "nan", "lon": 0, "radius_km": 1}, "lat"),
     ({"lat": 50}, "lon"), ({"radius_km": 5}, "lat"), ({"lat": 50, "lon": 14, "radius_km": -1}, "radius_km")],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused_by_the_name_of_the_field(as_alice, question, field):
    assert field in problems(as_alice, **question)
    assert not Interaction.objects.exists()


def test_everything_that_is_wrong_is_named_at_once(as_alice):
    assert problems(as_alice, min_year="x", page=0, fuel="steam").keys() == {"min_year", "page", "fuel"}


def test_a_search_is_an_event_with_its_query(as_alice, alice):
    as_alice.get(SEARCH, {"brand": "Škoda", "max_price": 9000, "page_size": 5})
    event = Interaction.objects.get()
    assert (event.buyer, event.kind_id, event.listing_id) == (alice, "search", None)
    assert event.query == {"makes": ["skoda"], "max_price": 9000.0}


def test_turning_a_page_or_asking_for_nothing_is_no_event(as_alice):
    as_alice.get(SEARCH, {"brand": "skoda", "page": 2})
    as_alice.get(SEARCH)
    as_alice.get(SEARCH, {"ordering": "price", "page_size": 50})
    as_alice.head(SEARCH, {"brand": "skoda"})
    assert not Interaction.objects.exists()


def test_a_guest_leaves_events_too(as_gus):
    as_gus.get(SEARCH, {"brand": "skoda"})
    assert Interaction.objects.get().buyer.visitor_key == "the-browser-of-gus"


def test_a_client_system_leaves_events_for_the_buyer_it_names_and_none_otherwise(as_garage):
    as_garage.get(SEARCH, {"brand": "skoda"})
    assert not Interaction.objects.exists()
    as_garage.get(SEARCH, {"brand": "skoda", "buyer": "007"})
    assert Interaction.objects.get().buyer.external_id == "007"


def test_a_key_that_may_only_read_leaves_no_events(as_reader):
    ListingFactory()
    assert len(found(as_reader, brand="skoda", buyer="007")) == 1
    assert not Interaction.objects.exists()


def test_carol_may_not_search_in_the_name_of_alice(as_carol, alice):
    alice.external_id = "alice"
    alice.save()
    for name in ("alice", str(alice.pk)):
        assert as_carol.get(SEARCH, {"brand": "skoda", "buyer": name}).status_code == 403
    assert not Interaction.objects.exists()


def test_unauthenticated_requests_are_refused(db):
    assert APIClient().get(SEARCH).status_code == 401


def test_a_page_costs_the_same_few_queries_however_many_cars_are_on_it(as_alice, settings, django_assert_num_queries):
    settings.WINDOW_STALENESS_SECONDS = 60  # whether there is a new ranker is asked by time, not by page
    for _ in range(2):
        a_car()
    as_alice.get(SEARCH)  # whatever is cached from now on
    with django_assert_num_queries(2):  # the number of all, the page
        as_alice.get(SEARCH)
    for _ in range(10):
        a_car(model="Fabia", seller=SellerFactory())
    with django_assert_num_queries(2):
        as_alice.get(SEARCH)
