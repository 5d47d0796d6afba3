"""A search is answered from memory; what it says is compared with the database, for any filters, words and order."""

import itertools
import random
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.row_filters import left_to_sql, satisfies
from catalog.search.facets import facets_of
from catalog.search.parameters import SET_PARAMETERS
from recommendations.api.search_pages import ordering_by
from recommendations.listings.index import borrow_index, drop_index
from recommendations.serving.rows import rows_for_sale
from recommendations.serving.stock_search import StockSearch
from recommendations.training.runs import run_training, start_training
from tests.factories import PUBLISHED_AT, CarModelFactory, ListingFactory, MakeFactory, SellerFactory

pytestmark = pytest.mark.django_db
ORDERINGS = ("newest", "price", "-price", "year", "-year", "mileage", "-mileage")
TITLES = ("red estate with towbar", "blue hatchback", "estate, sat nav", "")
SEARCH = "/api/v1/cars/search"


@pytest.fixture(autouse=True)
def _rates(settings):
    settings.EXCHANGE_RATES = {"EUR": 0.86}


@pytest.fixture(scope="module")
def stock_of_module(django_db_setup, django_db_blocker):
    """Cars of all kinds, many alike, so that orders have ties, unknown values and currencies of unknown worth.

    A ranker that has seen no events is live: its training takes no time, and what it learned decides no search.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        rng = random.Random(1)
        sellers = [SellerFactory(kind=kind) for kind in ("dealer", "private")]
        models = [CarModelFactory(make=MakeFactory(name=make), name=name) for make, name in CARS]
        cars = [ListingFactory(**drawn_car(rng, sellers, models)) for _ in range(60)]
        cars.append(ListingFactory(bare=True))
        assert run_training(run_id=start_training().pk).status == "live"
        yield cars
        transaction.set_rollback(True)


@pytest.fixture
def stock(stock_of_module):
    return stock_of_module


CARS = [("Skoda", "Octavia"), ("Skoda", "Fabia"), ("BMW", "3 Series"), ("VW", "Fabia")]


def drawn_car(rng, sellers, models):
    return {
        "car_model": rng.choice(models), "seller": rng.choice([*sellers, None]), "title": rng.choice(TITLES),
        "price": rng.choice([None, 5_000, 5_000, 6_500, Decimal("9999.99")]),
        "currency": rng.choice(["GBP", "GBP", "EUR", "CHF"]),
        "year": rng.choice([None, 2015, 2018, 2020]), "mileage_km": rng.choice([None, 10_000, 60_000]),
        "fuel": rng.choice(["petrol", "diesel", ""]), "colour": rng.choice(["red", "blue", ""]),
        "tags": rng.choice([[], ["towbar"], ["towbar", "sunroof"]]), "seats": rng.choice([None, 5, 7]),
        **rng.choice([{}, {"latitude": 51.5, "longitude": -0.1}, {"latitude": 52.0, "longitude": 0.3}]),
        "published_at": PUBLISHED_AT + timedelta(days=rng.randrange(5), microseconds=rng.randrange(2)),
        "status": rng.choice(["live", "live", "live", "reserved"]),
    }  # fmt: skip


def drawn_filters(rng, depth: int = 0) -> ListingFilters:
    circle = {"latitude": 51.5, "longitude": -0.1, "radius_km": rng.choice([0.0, 30.0, 500.0])}
    choices = [
        {"makes": rng.choice([("skoda",), ("bmw", "vw"), ("unknown",)])}, {"models": ("fabia",)},
        {"fuels": ("petrol",)}, {"colours": ("red", "blue")}, {"seller_kinds": ("dealer",)},
        {"tags": ("towbar",)}, {"tags": ("towbar", "sunroof")}, {"min_price": 4_300.0}, {"max_price": 5_000.0},
        {"min_price": 5_000.0, "max_price": 8_600.0}, {"min_year": 2018}, {"max_mileage_km": 60_000},
        {"min_seats": 6}, {"text": rng.choice(["estate", '"sat nav" OR blue', "estate -towbar", "navi", "nothing"])},
        circle,
    ]  # fmt: skip
    asked = {}
    for choice in rng.sample(choices, rng.randrange(4)):
        asked |= choice
    if depth == 0 and rng.random() < 0.3:
        asked["also"] = drawn_filters(rng, 1) or None
    if depth == 0 and rng.random() < 0.2:
        asked["hidden"] = (drawn_filters(rng, 1),)
    return ListingFilters(**asked)


def by_database(filters, ordering):
    listings = Listing.objects.available().cars().matching(filters).order_by(*ordering_by(ordering))
    return list(listings.values_list("pk", flat=True))


def assert_equal_to_the_database(seed, n=8):
    rng = random.Random(seed)
    search = StockSearch.now()
    assert search is not None
    for number in range(n):
        filters, ordering = drawn_filters(rng), rng.choice(ORDERINGS)
        assert search.found(filters, ordering).tolist() == by_database(filters, ordering), (filters, ordering)
        if number % 4 == 0:  # a query per field
            assert search.facets(filters) == facets_of(filters), filters


def change_some(cars, rng):
    for car in rng.sample(cars, 6):
        Listing.objects.filter(pk=car.pk).update(
            price=rng.choice([None, 4_000, 6_500]), status=rng.choice(["live", "reserved"]),
            title=rng.choice(TITLES), year=rng.choice([2017, None]), published_at=PUBLISHED_AT,
        )  # fmt: skip
    Listing.objects.filter(pk=cars[0].pk).delete()


def catch_up(settings):
    """Let the index take in what this test's transaction wrote, and look no more."""
    settings.WINDOW_STALENESS_SECONDS = 0
    for _ in range(2):  # loaded, and in step
        with borrow_index():
            pass
    settings.WINDOW_STALENESS_SECONDS = 10_000


def test_any_search_says_in_memory_what_the_database_says(stock):
    assert_equal_to_the_database(1, n=40)


@pytest.mark.parametrize("is_in_step", [True, False])
def test_it_does_while_cars_change_whether_the_index_has_seen_it_or_not(stock, settings, is_in_step):
    settings.WINDOW_STALENESS_SECONDS = 0 if is_in_step else 10_000
    assert_equal_to_the_database(2)  # so that orders and words are kept
    rng = random.Random(3)
    for seed in range(3):
        change_some(stock[seed * 15 : seed * 15 + 15], rng)
        ListingFactory(title="estate", price=5_000)
        assert_equal_to_the_database(10 + seed)
    settings.WINDOW_STALENESS_SECONDS = 0  # and once it has caught up
    assert_equal_to_the_database(20)


def test_a_car_that_the_index_could_not_take_in_is_found(stock, monkeypatch):
    def fail(*_):
        raise ValueError("no vector of this car can be made")

    with borrow_index() as listing_index:
        pass
    odd = ListingFactory(title="odd one", price=4_999)
    monkeypatch.setattr(type(listing_index.ranker), "vectors", fail)
    for _ in range(2):
        drop_index()
        assert_equal_to_the_database(4, n=5)
        assert odd.pk in StockSearch.now().found(ListingFilters(text="odd"), "price")


def test_the_database_answers_where_memory_cannot(stock, settings, monkeypatch):
    monkeypatch.setattr("recommendations.serving.stock_search.ASKED_AT_MOST", 5)
    catch_up(settings)
    assert StockSearch.now() is not None
    Listing.objects.filter(pk__in=[car.pk for car in stock[:6]]).update(price=1)
    assert StockSearch.now() is None
    settings.WINDOW_STALENESS_SECONDS, settings.WINDOW_MAX_LISTINGS = 0, 10
    drop_index()
    assert StockSearch.now() is None


QUESTIONS = [
    {}, {"brand": "skoda", "max_price": 9000}, {"q": "estate"}, {"q": "skoda estate"}, {"q": "skoda nonesuch"},
    {"literal": "true", "q": "estate -towbar"}, {"ordering": "recommended"}, {"ordering": "recommended", "page": 2},
    {"ordering": "-price", "page": 3}, {"ordering": "mileage", "fuel": "petrol", "facets": "true"}, {"page": 1000},
    {"lat": 51.5, "lon": -0.1, "radius_km": 40, "facets": "true"},
]  # fmt: skip


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_an_answer_is_the_same_byte_for_byte_from_memory_and_from_the_database(stock, as_alice, monkeypatch, question):
    asked = {"page_size": 7, **question}
    from_memory = as_alice.get(SEARCH, asked)
    said = as_alice.get(SEARCH, asked, headers={"accept": "application/json; indent=2"})
    monkeypatch.setattr(StockSearch, "now", lambda: None)
    assert from_memory.content == as_alice.get(SEARCH, asked).content
    assert from_memory.json() == said.json()


def test_a_car_that_is_sold_while_its_page_is_made_is_not_on_it(stock, as_alice, monkeypatch):
    ids = StockSearch.now().found(ListingFilters(), "newest").tolist()

    def sell_one_and_read(listing_ids, filters):
        monkeypatch.undo()
        Listing.objects.filter(pk=ids[0]).update(status="reserved")
        return rows_for_sale(listing_ids, filters)

    monkeypatch.setattr("recommendations.api.search_pages.rows_for_sale", sell_one_and_read)
    got = as_alice.get(SEARCH, {"page_size": 5}).json()
    assert [car["id"] for car in got["listings"]] == ids[1:6]


def test_pages_cost_the_same_few_statements_however_deep(stock, as_alice, settings):
    settings.WINDOW_STALENESS_SECONDS = 10_000
    questions = [
        {"page_size": 5, "page": page, "ordering": order} for page, order in itertools.product((1, 8), ORDERINGS)
    ]
    as_alice.get(SEARCH, questions[0])
    for question in [*questions, {"brand": "skoda", "min_price": 5_100, "page": 2, "facets": "true"}]:
        with CaptureQueriesContext(connection) as captured:
            as_alice.get(SEARCH, question)
        statements = [each["sql"] for each in captured]
        # what changed lately, what of it is not in memory, the rows; and of that, the values of each field
        assert len(statements) <= 3 + len(SET_PARAMETERS) * ("facets" in question), statements


@pytest.mark.parametrize("seed", range(3))
def test_a_row_that_was_read_satisfies_what_the_database_says_it_does(stock, seed):
    rng = random.Random(seed)
    cars = list(Listing.objects.with_card_data())
    for _ in range(20):
        filters = drawn_filters(rng)
        left = set(Listing.objects.matching(left_to_sql(filters)).values_list("pk", flat=True))
        found = {car.pk for car in cars if car.pk in left and satisfies(car, filters)}
        assert found == set(Listing.objects.matching(filters).values_list("pk", flat=True)), filters
