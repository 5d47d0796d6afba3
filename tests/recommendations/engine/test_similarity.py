"""Cars that people find alike lie close: hand-made catalogues whose right order is known."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from recommendations.engine.encoder import EncoderConfig, fit_encoder
from recommendations.engine.similarity import (
    FEWEST_CO_VIEWS,
    LEARNED,
    SIMILARITY_DIMENSIONS,
    STRENGTHS,
    CoViews,
    Similarity,
    field_gaps,
    fit_similarity,
    learn_strengths,
)
from recommendations.engine.table import ListingTable


def catalogue(n: int = 400, seed: int = 1) -> ListingTable:
    """Cars whose price follows from class, age and mileage, and differs by a fifth either way for no reason."""
    rng = np.random.default_rng(seed)
    models = [("skoda", "fabia", "hatchback", 60, 1.0), ("skoda", "superb", "estate", 140, 2.0),
              ("bmw", "3 series", "saloon", 140, 2.2), ("bmw", "1 series", "hatchback", 100, 1.6)]  # fmt: skip
    rows = []
    for _ in range(n):
        make, model, body, power, level = models[rng.integers(len(models))]
        age, fuel = int(rng.integers(0, 15)), str(rng.choice(["petrol", "diesel"]))
        mileage = 12_000 * age * rng.uniform(0.5, 1.5) + 1_000
        price = 15_000 * level * 0.88**age * (1 - mileage / 500_000) * rng.uniform(0.8, 1.25)
        rows.append({"make": make, "model": model, "body": body, "fuel": fuel, "gearbox": "manual", "year": 2024 - age,
                     "mileage_km": mileage, "power_kw": power, "price": price})  # fmt: skip
    return ListingTable.from_rows(rows)


def distances(similarity: Similarity, table: ListingTable, row: int) -> NDArray[np.float64]:
    vectors = similarity.vectors(table).astype(np.float64)
    return np.linalg.norm(vectors - vectors[row], axis=1)


TABLE = catalogue()
FITTED = fit_similarity(TABLE)


def test_vectors_are_finite_of_the_width_asked_for_and_the_same_alone_or_in_a_batch():
    vectors = FITTED.vectors(TABLE)
    assert vectors.shape == (400, SIMILARITY_DIMENSIONS)
    assert np.isfinite(vectors).all()
    np.testing.assert_array_equal(FITTED.vectors(TABLE.take([7])), vectors[[7]])


def test_price_is_a_hundredth_of_what_cars_differ_in():
    """It was about half of it where cars lay by what buyers may want."""
    moved = FITTED.vectors(dataclasses.replace(TABLE, price=np.random.default_rng(2).permutation(TABLE.price)))
    vectors = FITTED.vectors(TABLE)
    assert 0 < np.square(moved - vectors).sum() < 0.02 * 2 * np.square(vectors - vectors.mean(axis=0)).sum()


def test_neighbours_cost_about_the_same_though_the_price_is_not_looked_at():
    fitted = fit_similarity(TABLE, {**STRENGTHS, "price": 0.0})
    blind = dataclasses.replace(TABLE, price=np.full(len(TABLE), np.nan))
    np.testing.assert_array_equal(fitted.vectors(blind), fitted.vectors(TABLE))
    errors = []
    for row in range(100):
        nearest = np.argsort(distances(fitted, TABLE, row))[1:11]
        errors.append(abs(TABLE.price[nearest].mean() / TABLE.price[row] - 1))
    assert np.median(errors) < 0.15  # no attribute explains a fifth either way; the price of any other car: .6


def test_a_bargain_lies_beside_the_same_car_at_its_price_and_far_from_another_car_at_the_bargains():
    row = {"make": "skoda", "model": "superb", "body": "estate", "fuel": "diesel", "gearbox": "manual", "year": 2020,
           "mileage_km": 50_000, "power_kw": 140, "price": 18_000}  # fmt: skip
    other = row | {"model": "fabia", "body": "hatchback", "power_kw": 60, "price": 9_000}
    three = ListingTable.from_rows([row, row | {"price": 9_000}, other])
    apart = distances(FITTED, three, 1)
    assert apart[0] < 0.2 * apart[2]


@pytest.mark.parametrize("field", ["body", "fuel", "power_kw", "year", "mileage_km"])
def test_each_attribute_alone_makes_a_difference_and_one_that_is_unknown_a_moderate_one(field):
    row = {"make": "skoda", "model": "superb", "body": "estate", "fuel": "diesel", "gearbox": "manual", "year": 2020,
           "mileage_km": 30_000, "power_kw": 140, "price": 18_000}  # fmt: skip
    another = {"body": "hatchback", "fuel": "petrol", "power_kw": 60, "year": 2009, "mileage_km": 190_000}
    three = ListingTable.from_rows([row, row | {field: another[field]}, row | {field: None}])
    apart = distances(FITTED, three, 0)
    assert apart[1] > 0.5
    assert apart[2] < apart[1]


def test_a_catalogue_without_rows_or_prices_is_no_error():
    assert not FITTED.vectors(TABLE.take([])).size
    assert not fit_similarity(TABLE.take([])).vectors(TABLE).any()
    unpriced = fit_similarity(dataclasses.replace(TABLE, price=np.full(len(TABLE), np.nan)))
    assert np.isfinite(unpriced.vectors(TABLE)).all()


def test_a_placeholder_price_moves_nothing_but_its_own_listing():
    odd = TABLE.price.copy()
    odd[0] = 1.0
    moved = fit_similarity(dataclasses.replace(TABLE, price=odd))
    assert np.abs(distances(moved, TABLE, 5) - distances(FITTED, TABLE, 5)).max() < 0.5


def test_a_version_of_an_earlier_release_compares_its_own_content_with_little_of_the_price():
    encoder = fit_encoder(TABLE, EncoderConfig(n_dims=96))
    similarity = Similarity.of_encoder(encoder)
    assert similarity.vectors(TABLE).shape == (400, SIMILARITY_DIMENSIONS)
    moved = dataclasses.replace(TABLE, price=np.random.default_rng(2).permutation(TABLE.price))
    share = np.square(similarity.vectors(moved) - similarity.vectors(TABLE)).sum()
    assert share < 0.02 * np.square(encoder.encode(moved) - encoder.encode(TABLE)).sum()


# --- Weights out of co-views -----------------------------------------------------------------------------------------


def made_up_co_views(n: int, true_weights: dict[str, float], price: float, seed: int = 3) -> CoViews:
    """Buyers who open what is alike by weights of their own, out of eight random cars in a list."""
    rng = np.random.default_rng(seed)
    encoder = fit_encoder(TABLE)
    anchors = np.broadcast_to(rng.integers(len(TABLE), size=(n, 1)), (n, 8))
    gaps = field_gaps(encoder, TABLE, anchors, rng.integers(len(TABLE), size=(n, 8)))
    weights = np.array([true_weights.get(name, 0.0) for name in LEARNED] + [price])
    logits = -(gaps @ weights) + rng.gumbel(size=(n, 8))
    chosen = logits.argmax(axis=1)
    order = np.argsort(np.arange(8) != chosen[:, None], axis=1, kind="stable")  # the chosen one first
    return CoViews(np.take_along_axis(gaps, order[..., None], axis=1), np.ones((n, 8), bool), np.zeros((n, 8)))


def test_what_buyers_open_next_moves_the_weights():
    learned = learn_strengths(made_up_co_views(3_000, {"body": 2.0, "power": 0.05, "age": 0.2, "fuel": 2.0}, 0.0))
    assert learned["fuel"] / learned["power"] > 1.5 * STRENGTHS["fuel"] / STRENGTHS["power"]
    assert learned["price"] == STRENGTHS["price"]


def test_a_budget_is_not_taken_for_likeness():
    by_price = learn_strengths(made_up_co_views(3_000, {"fuel": 1.0, "body": 1.0}, 3.0))
    assert by_price["price"] == STRENGTHS["price"]
    assert by_price["age"] < 1.2 * STRENGTHS["age"]


def test_too_few_co_views_leave_the_weights():
    assert learn_strengths(made_up_co_views(FEWEST_CO_VIEWS - 1, {"fuel": 5.0}, 0.0)) == dict(STRENGTHS)


def test_gaps_are_nothing_where_a_value_is_unknown():
    row = {"make": "skoda", "model": "fabia", "body": "estate", "year": 2020}
    table = ListingTable.from_rows([row, row | {"body": "", "year": None}, row | {"body": "suv", "year": 2010}])
    gaps = field_gaps(fit_encoder(TABLE), table, np.array([0, 0]), np.array([1, 2]))
    assert not gaps[0].any()
    assert gaps[1, LEARNED.index("body")] == 1
    assert gaps[1, LEARNED.index("age")] > 1
