import numpy as np
import pytest

from recommendations.engine.prices import CarPrices, fit_car_prices
from recommendations.engine.table import ListingTable


def cars(make: str, model: str, prices: list[float], **fields) -> list[dict]:
    return [{"make": make, "model": model, "price": price, **fields} for price in prices]


def table(*rows: list[dict]) -> ListingTable:
    return ListingTable.from_rows([row for some in rows for row in some])


def test_a_car_below_what_its_like_cost_is_a_deal():
    market = table(cars("skoda", "octavia", [10_000.0] * 200), cars("bmw", "3-series", [30_000.0] * 200))
    prices = fit_car_prices(market)
    asked = table(cars("skoda", "octavia", [10_000, 8_000]), cars("bmw", "3-series", [33_000]))
    np.testing.assert_allclose(prices.expect(asked), [10_000, 10_000, 30_000], rtol=0.02)
    np.testing.assert_allclose(prices.deals(asked), np.log([1, 10 / 8, 30 / 33]), atol=0.02)


def test_an_older_car_is_expected_to_be_cheaper():
    market = table(
        *(cars("skoda", "octavia", [20_000 * 0.9**age], year=2020 - age) for age in range(10) for _ in range(20))
    )
    expected = fit_car_prices(market).expect(table(cars("skoda", "octavia", [1.0], year=2017)))
    np.testing.assert_allclose(expected, [20_000 * 0.9**3], rtol=0.01)


def test_a_model_with_few_cars_leans_on_its_make_and_a_single_car_on_none():
    market = table(
        cars("porsche", "911", [80_000.0] * 300), cars("porsche", "boxster", [40_000.0] * 5),
        cars("fiat", "panda", [4_000.0] * 300), cars("spyker", "c8", [200_000.0] * 2),
    )  # fmt: skip
    asked = table(*(cars(make, model, [1.0]) for make, model in
                    [("porsche", "boxster"), ("porsche", "cayenne"), ("spyker", "c8"), ("", "")]))  # fmt: skip
    boxster, cayenne, spyker, unknown = fit_car_prices(market).expect(asked)
    assert 40_000 < boxster < 60_000
    assert 70_000 < cayenne < 80_000
    assert np.isnan(spyker)
    assert np.isnan(unknown)


@pytest.mark.parametrize("market", [table(), table(cars("skoda", "octavia", [np.nan, 0, 5_000]))])
def test_without_cars_to_compare_no_price_is_expected(market):
    assert np.isnan(fit_car_prices(market).expect(table(cars("skoda", "octavia", [5_000])))).all()
    assert np.isnan(CarPrices.nothing().deals(table(cars("skoda", "octavia", [5_000])))).all()


@pytest.mark.parametrize("damage", ["repaired", "damaged", "written_off"])
def test_a_damaged_car_is_no_deal_has_no_market_price_and_teaches_none(damage):
    sound = cars("skoda", "octavia", [10_000.0 + 10 * at for at in range(200)])
    wrecks = cars("skoda", "octavia", [4_000.0] * 100, damage=damage)
    prices = fit_car_prices(table(sound, wrecks))
    asked = table(
        cars("skoda", "octavia", [7_000.0], damage="none"), cars("skoda", "octavia", [7_000.0], damage=damage)
    )
    np.testing.assert_allclose(prices.expect(asked), 11_000, rtol=0.1)
    assert np.isnan(prices.deals(asked)).tolist() == [False, True]
    known, unknown = prices.appraise(asked)
    assert known.label == "good"
    assert unknown is None


def test_prices_survive_storage():
    prices = fit_car_prices(table(cars("skoda", "octavia", [10_000.0] * 9, year=2015, mileage_km=50_000)))
    again = CarPrices.from_arrays(prices.to_arrays())
    asked = table(cars("skoda", "octavia", [9_000], year=2014), cars("seat", "leon", [9_000]))
    np.testing.assert_array_equal(again.deals(asked), prices.deals(asked))
    nothing = CarPrices.from_arrays(CarPrices.nothing().to_arrays())
    assert np.isnan(nothing.deals(asked)).all()


# --- Ranges, market prices, and prices out of all reason


def a_market(n: int = 3000, seed: int = 0) -> ListingTable:
    """Cars whose price falls with age and mileage and is spread by a tenth, in two models."""
    rng = np.random.default_rng(seed)
    age, km = rng.integers(0, 15, n), rng.uniform(2_000, 200_000, n)
    is_bmw = rng.random(n) < 0.4
    price = np.where(is_bmw, 40_000, 20_000) * 0.9**age * (1 - km / 500_000) * np.exp(rng.normal(0, 0.1, n))
    rows = zip(is_bmw.tolist(), (2024 - age).tolist(), km.tolist(), price.tolist(), strict=True)
    return ListingTable.from_rows(
        {"make": "bmw" if bmw else "skoda", "model": "x3" if bmw else "octavia", "year": year, "mileage_km": km,
         "price": price, "fuel": "diesel"} for bmw, year, km, price in rows
    )  # fmt: skip


@pytest.fixture(scope="module")
def market_prices() -> CarPrices:
    return fit_car_prices(a_market())


def test_the_range_holds_four_unseen_cars_in_five(market_prices):
    unseen = a_market(4000, seed=1)
    low, median, high = market_prices.ranges(unseen).T
    assert ((low <= median) & (median <= high)).all()
    assert np.mean((low <= unseen.price) & (unseen.price <= high)) == pytest.approx(0.8, abs=0.04)
    assert np.median(np.abs(median / unseen.price - 1)) < 0.08  # the spread itself has a median of .067


def test_a_market_price_is_good_below_the_range_and_high_above(market_prices):
    asked = a_market(500, seed=2)
    for market, price, (low, _, high) in zip(
        market_prices.appraise(asked), asked.price, market_prices.ranges(asked), strict=True
    ):
        assert market is not None
        assert (market.label == "good") == (price < low)
        assert (market.label == "high") == (price > high)


CAR = {"make": "skoda", "model": "octavia", "year": 2016, "mileage_km": 90_000, "fuel": "diesel"}


@pytest.mark.parametrize("odd", [
    {"price": 0.01}, {"price": 1}, {"price": 123}, {"price": 111_111}, {"price": 12_345_678}, {"price": 120_000_000},
    {"price": 7_000, "mileage_km": 0}, {"price": 7_000, "mileage_km": 10}, {"price": 7_000, "mileage_km": 9_999_999},
    {"price": 1, "make": "spyker", "model": "c8"}, {"price": 120_000_000, "make": ""},
])  # fmt: skip
def test_a_price_or_mileage_out_of_all_reason_is_no_deal_and_has_no_market_price(market_prices, odd):
    asked = table([{**CAR, **odd}])
    assert not market_prices.are_plausible(asked)[0]
    assert np.isnan(market_prices.deals(asked)[0])
    assert market_prices.appraise(asked) == [None]


@pytest.mark.parametrize("fine", [
    {"price": 7_000}, {"price": 4_000}, {"price": 14_000}, {"price": None}, {"price": 7_000, "mileage_km": None},
    {"price": 20_000, "year": 2024, "mileage_km": 0}, {"price": 200_000, "make": "spyker", "model": "c8"},
])  # fmt: skip
def test_a_bargain_a_new_car_and_the_unknown_are_plausible(market_prices, fine):
    assert market_prices.are_plausible(table([{**CAR, **fine}]))[0]


def test_prices_out_of_all_reason_teach_nothing(market_prices):
    odd = table(*(cars("skoda", "octavia", [price] * 60, year=2016, mileage_km=90_000) for price in (1, 12_345_678)))
    taught = fit_car_prices(ListingTable.concatenate([a_market(), odd]))
    asked = table([CAR])
    np.testing.assert_allclose(taught.expect(asked), market_prices.expect(asked), rtol=0.03)


def test_a_zero_mileage_does_not_make_an_old_car_expensive(market_prices):
    known, zero = market_prices.expect(table([{**CAR, "mileage_km": None}, {**CAR, "mileage_km": 0}]))
    assert zero == known


def test_boosted_prices_survive_storage_and_what_was_stored_before_them_still_serves(market_prices):
    asked = a_market(200, seed=3)
    arrays = market_prices.to_arrays()
    again = CarPrices.from_arrays(arrays)
    np.testing.assert_array_equal(again.ranges(asked), market_prices.ranges(asked))
    assert again.appraise(asked) == market_prices.appraise(asked)
    before = {name: array for name, array in arrays.items() if name == "groups" or name.startswith("model.")}
    old = CarPrices.from_arrays(before)
    assert np.isfinite(old.deals(asked)).all()
    assert old.appraise(asked) == [None] * 200
    assert not old.are_plausible(table([{**CAR, "price": 1}]))[0]
