"""Typed words become filters, say so, and can be undone; the rest is looked for in the texts."""

import pytest

from recommendations.models import Interaction
from tests.factories import CarModelFactory, ListingFactory, MakeFactory

pytestmark = pytest.mark.django_db
SEARCH, COMPLETIONS = "/api/v1/cars/search", "/api/v1/cars/completions"


@pytest.fixture(autouse=True)
def fresh_words(settings):
    settings.SEARCH_LEXICON_SECONDS = 0


def a_car(make="Skoda", model="Octavia", **fields):
    return ListingFactory(car_model=CarModelFactory(make=MakeFactory(name=make), name=model), **fields).pk


@pytest.fixture
def stock(db):
    """One car of each kind, by a name of its own."""
    return {
        "octavia": a_car(title="Skoda Octavia 2.0 SE", body="estate", fuel="diesel", price=14_000, seats=5, year=2018,
                         tags=["tow bar"], colour="grey", place="Leeds", latitude=53.8, longitude=-1.55),
        "fabia": a_car("Skoda", "Fabia", title="Skoda Fabia", price=6_000, seats=5, year=2015, colour="blue"),
        "mx5": a_car("Mazda", "MX-5", title="Mazda MX-5", body="convertible", colour="red", seats=2, price=12_000),
        "zafira": a_car("Vauxhall", "Zafira", title="Vauxhall Zafira", body="mpv", seats=7, doors=5, price=7_500,
                        gearbox="automatic", year=2020, mileage_km=120_000),
        "golf": a_car("Volkswagen", "Golf", title="Volkswagen Golf GTI", description="With a panoramic roof.",
                      price=21_000, year=2021, place="London", latitude=51.5, longitude=-0.12, mileage_km=20_000),
    }  # fmt: skip


def asked(client, q, **more):
    got = client.get(SEARCH, {"q": q, **more})
    assert got.status_code == 200, got.json()
    return got.json()


@pytest.mark.parametrize(
    ("query", "found"),
    [("octavia estate diesel", "octavia"), ("red convertible", "mx5"), ("7 seater", "zafira"),
     ("skdoa", "octavia fabia"),
     ("family car under 15000", "octavia zafira"), ("kombi diesel bis 15.000 euro", "octavia"),
     ("automatik ab 2019", "zafira"), ("near Leeds", "octavia"), ("golf gti", "golf"), ("estate tow bar", "octavia"),
     ("panoramic roof", "golf"), ("less than 20,000 miles", "golf"), ("skoda 2.0", "octavia"),
     ("unicorn", ""), ("green mx5", ""), ("skoda or mazda", "octavia fabia mx5"), ("rotes Cabrio", "mx5"),
     ("2020 or newer", "zafira golf"), ("cars for sale in London", "golf"), ("not estate skoda", "fabia"),
     ("AHK", "octavia"), ("kombi mit Anhängerkupplung", "octavia"), ("panoramic sunroof", "golf"),
     ("Panoramadach", "golf"), ("skoda no tow bar", "fabia"), ("not skoda", "mx5 zafira golf"),
     ("family estate", "octavia")],
)  # fmt: skip
def test_words_find_what_they_mean(as_alice, stock, query, found):
    answer = asked(as_alice, query)
    assert {car["id"] for car in answer["listings"]} == {stock[name] for name in found.split()}


def test_the_answer_says_what_was_understood_and_each_value_is_one_of_its_parameter(as_alice, stock):
    answer = asked(as_alice, "estate under 15k near leeds tow bar")
    assert answer["understood"] == [
        {"text": "estate", "field": "body", "value": "estate"},
        {"text": "under 15k", "field": "max_price", "value": 15000},
        {"text": "near leeds", "field": "near", "value": "Leeds"},
    ]
    assert (answer["rest"], answer["is_rest_found"]) == ("tow bar", True)
    by_parameters = as_alice.get(SEARCH, {one["field"]: one["value"] for one in answer["understood"]}).json()
    assert [car["id"] for car in by_parameters["listings"]] == [stock["octavia"]]


def test_what_was_understood_can_be_undone(as_alice, stock):
    literal = asked(as_alice, "skoda estate", literal=True)
    assert (literal["understood"], literal["rest"], literal["listings"]) == ([], "skoda estate", [])
    undone = asked(as_alice, "skoda estate", not_understood="body")
    assert [one["field"] for one in undone["understood"]] == ["brand"]
    assert (undone["rest"], undone["is_rest_found"], undone["count"]) == ("estate", False, 2)
    by_word = asked(as_alice, "skoda estate", not_understood="skoda")
    assert ([one["field"] for one in by_word["understood"]], by_word["rest"]) == (["body"], "skoda")


def test_words_that_no_car_has_give_way_to_what_was_understood(as_alice, stock):
    answer = asked(as_alice, "octavia unicorn")
    assert ([car["id"] for car in answer["listings"]], answer["is_rest_found"]) == ([stock["octavia"]], False)


def test_parameters_hold_beside_the_words(as_alice, stock):
    assert asked(as_alice, "skoda", body="estate")["count"] == 1
    assert asked(as_alice, "skoda", brand="mazda")["count"] == 0
    assert asked(as_alice, "skoda", max_price=10_000)["count"] == 1
    assert asked(as_alice, "near London", near="Leeds", radius_km=5)["count"] == 0


def test_an_order_in_words_holds_unless_another_is_asked_for(as_alice, stock):
    prices = [car["selling_price"] for car in asked(as_alice, "cheap skoda")["listings"]]
    assert prices == sorted(prices)
    prices = [car["selling_price"] for car in asked(as_alice, "cheap skoda", ordering="-price")["listings"]]
    assert prices == sorted(prices, reverse=True)


def test_a_typed_search_is_an_event_with_the_filters_it_means(as_alice, alice, stock):
    asked(as_alice, "skoda estate under 15k")
    event = Interaction.objects.get(buyer=alice)
    assert event.query == {"makes": ["skoda"], "bodies": ["estate"], "max_price": 15000}


def test_equipment_is_searched_for(as_alice, stock):
    assert [car["id"] for car in asked(as_alice, '"tow bar"')["listings"]] == [stock["octavia"]]


def test_facets_count_the_values_of_each_field_without_its_own_filter(as_alice, stock):
    facets = asked(as_alice, "skoda", facets=True)["facets"]
    assert facets["brand"][0] == {"value": "skoda", "count": 2}
    assert len(facets["brand"]) == 4
    assert {one["value"]: one["count"] for one in facets["model"]} == {"fabia": 1, "octavia": 1}
    assert asked(as_alice, "skoda")["facets"] is None


@pytest.mark.parametrize(
    ("typed", "first"),
    [("sko", "Skoda"), ("red oct", "red Octavia"), ("skoda f", "skoda Fabia"), ("conv", "convertible"), ("mx", "MX-5"),
     ("skodaa", "Skoda")],
)  # fmt: skip
def test_what_is_being_typed_is_completed(as_alice, stock, typed, first):
    assert as_alice.get(COMPLETIONS, {"q": typed}).json()["completions"][0]["text"] == first


@pytest.mark.parametrize("q", ["xyzzy", " ", "'", "🚗", "(" * 200])
def test_there_may_be_nothing_to_complete(as_alice, stock, q):
    got = as_alice.get(COMPLETIONS, {"q": q})
    assert got.status_code in (200, 400)


def test_pages_in_the_recommended_order_neither_repeat_nor_skip_a_car(as_alice, stock):
    pages = [asked(as_alice, "", ordering="recommended", page=page, page_size=2)["listings"] for page in (1, 2, 3, 4)]
    assert sorted(car["id"] for page in pages for car in page) == sorted(stock.values())


@pytest.mark.parametrize(
    ("question", "field"),
    [({"near": "Nowhere at all"}, "near"), ({"near": "Leeds", "lat": 1, "lon": 1, "radius_km": 1}, "near"),
     ({"literal": "perhaps"}, "literal"), ({"near": "\0"}, "near"), ({"facets": "x"}, "facets")],
)  # fmt: skip
def test_questions_that_make_no_sense_are_refused(as_alice, question, field):
    got = as_alice.get(SEARCH, question)
    assert got.status_code == 400
    assert field in got.json()["error"]["fields"]


ODD_TEXTS = [
    "\ufffd",
    "a" * 200,
    "<" * 200,
    "%00",
    "²³ km",
    "٣ doors",
    "1e999",
    "0 " * 99,
    '"unbalanced',
    "&|!:*",
    "\\",
]


@pytest.mark.parametrize("text", ODD_TEXTS)
@pytest.mark.parametrize("parameter", ["q", "near", "not_understood"])
def test_no_text_is_an_error_of_ours(as_alice, stock, parameter, text):
    assert as_alice.get(SEARCH, {"q": "skoda", parameter: text}).status_code in (200, 400)
