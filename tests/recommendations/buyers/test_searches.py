"""A condition of a search informs its own field only."""

from datetime import UTC, datetime

import numpy as np
import pytest

from catalog.filters import ListingFilters
from recommendations.buyers import searches
from recommendations.buyers.searches import (
    FILTERS_OF_FIELD,
    Search,
    StockOfSearch,
    conditions_of,
    conditions_of_searches,
    drawn_for,
    kept_drawn,
    text_of,
)
from recommendations.listings.index import borrow_index
from tests.markets import trained_market

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 1, 20, tzinfo=UTC).timestamp()


@pytest.fixture
def listing_index():
    trained_market()
    with borrow_index() as listing_index:
        yield listing_index


def test_every_filter_is_about_a_field_or_is_known_to_be_about_none():
    asked = {name for names in FILTERS_OF_FIELD.values() for name in names}
    ranges = {f"{bound}_{name}" for bound in ("min", "max") for name in ("seats", "doors", "first_registration")}
    about_none = {"text", "latitude", "longitude", "radius_km", "vat_kinds", *ranges}
    assert ListingFilters.names() - asked == about_none


def test_a_search_for_one_make_says_nothing_of_prices_and_ages(listing_index):
    [condition] = conditions_of({"makes": ["bmw"]}, listing_index, NOW, seed=1, n_unmet=10)
    encoder, difference = listing_index.ranker.encoder, condition.met - condition.unmet.mean(axis=0)
    makes, vectors = encoder.level_vectors("make")
    is_bmw = [name == "bmw" for name in makes]
    expected = vectors[is_bmw][0] - vectors[[name == "skoda" for name in makes]][0]
    np.testing.assert_allclose(difference[: encoder.n_dims], expected, atol=1e-5)
    assert len(condition.unmet) == 10


def test_each_condition_is_a_choice_of_its_own_and_a_range_is_one(listing_index):
    query = {"makes": ["bmw"], "min_price": 1_000, "max_price": 20_000, "text": "leather", "fuels": ["diesel"]}
    assert len(list(conditions_of(query, listing_index, NOW, seed=1, n_unmet=10))) == 3


@pytest.mark.parametrize(
    "query", [None, {}, {"makes": ["unknown-make"]}, {"min_price": 1}, {"text": "x"}, {"unknown": 3}]
)
def test_what_no_car_or_every_car_meets_says_nothing(listing_index, query):
    assert list(conditions_of(query, listing_index, NOW, seed=1, n_unmet=10)) == []


@pytest.mark.parametrize("n_met", [1, 4, 6, 15, 29])
def test_few_matches_are_looked_for_in_the_whole_stock(listing_index, monkeypatch, n_met):
    monkeypatch.setattr(searches, "SEARCHED_AMONG", 12)
    monkeypatch.setattr(searches, "MATCHES_AVERAGED", 4)
    prices = np.sort(listing_index.columns.numbers("price"))
    filters = ListingFilters(max_price=float(prices[n_met - 1]))
    met, unmet = StockOfSearch(listing_index, NOW, seed=1).divided_by(filters, n_unmet=3)
    assert len(met) == min(n_met, 4)
    assert 1 <= len(unmet) <= 3
    assert listing_index.columns.matching(filters, met).all()
    assert not listing_index.columns.matching(filters, unmet).any()


def test_many_searches_say_what_each_says_by_itself(listing_index, monkeypatch):
    monkeypatch.setattr(searches, "SEARCHES_AT_ONCE", 4)
    queries = [
        {"makes": ["bmw"]}, None, {"min_price": 1_000, "max_price": 20_000, "fuels": ["diesel"]}, {"makes": ["none"]},
        {"makes": ["skoda", "bmw"]}, {"makes": ["bmw"]},
    ]  # fmt: skip
    asked = [Search(query, NOW, seed=7 + at) for at, query in enumerate(queries)]
    together = conditions_of_searches(asked, listing_index, 10)
    listing_index.searches.clear()  # what was kept of them
    alone = [(at, each) for at, search in enumerate(asked) for each in conditions_of(
        search.query, listing_index, search.moment, search.seed, 10
    )]  # fmt: skip
    assert [at for at, _ in together] == [at for at, _ in alone]
    assert len(together) > len(queries) // 2
    for (_, got), (_, expected) in zip(together, alone, strict=True):
        np.testing.assert_array_equal(got.met, expected.met)
        np.testing.assert_array_equal(got.unmet, expected.unmet)


def test_what_was_drawn_for_a_search_is_kept_until_a_car_changes(listing_index):
    def drawn() -> list:
        return kept_drawn(search, listing_index, 10)

    search = Search({"makes": ["bmw"]}, NOW, seed=3)
    before = drawn()
    assert drawn() is before
    met = before[0].met
    listing_index.forget(listing_index.stock.listing_ids[met[:2]].tolist())
    [now], [expected] = drawn(), drawn_for(search, listing_index, 10)
    np.testing.assert_array_equal(now.met, expected.met)
    np.testing.assert_array_equal(now.rows, expected.rows)
    assert not set(met[:2].tolist()) & set(now.met.tolist())


@pytest.mark.parametrize("field", FILTERS_OF_FIELD)
def test_what_a_field_makes_of_cars_is_the_same_from_what_is_kept_of_them(listing_index, field):
    encoder = listing_index.ranker.encoder
    rows = np.arange(0, len(listing_index), 3)
    mixture = encoder.field_mixture(listing_index.columns.table(rows), field)
    if mixture is None:
        assert field == "tags"
        return
    got = encoder.mixed_apart(field, *mixture)
    np.testing.assert_array_equal(got, listing_index.parts_apart(field, rows))
    for at, row in enumerate(rows.tolist()):
        np.testing.assert_array_equal(got[at], listing_index.parts_apart(field, np.array([row]))[0])


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"makes": ["bmw", "vw"]}, {"makes": ["vw", "bmw"]}, True),
        ({"min_price": 1_000, "max_price": 9_000}, {"max_price": 9_000, "min_price": 1_000}, True),
        ({"makes": ["bmw"]}, {"makes": ["vw"]}, False),
        ({"makes": ["bmw"]}, {"makes": ["bmw", "vw"]}, False),
    ],
)
def test_names_are_the_same_in_whichever_order_they_were_given(one, other, is_same):
    assert (text_of(one) == text_of(other)) is is_same
