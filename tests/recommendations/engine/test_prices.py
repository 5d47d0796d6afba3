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


def test_a_thin_model_leans_on_its_make_and_a_lonely_car_on_nobody():
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


def test_prices_survive_storage():
    prices = fit_car_prices(table(cars("skoda", "octavia", [10_000.0] * 9, year=2015, mileage_km=50_000)))
    again = CarPrices.from_arrays(prices.to_arrays())
    asked = table(cars("skoda", "octavia", [9_000], year=2014), cars("seat", "leon", [9_000]))
    np.testing.assert_array_equal(again.deals(asked), prices.deals(asked))
    nothing = CarPrices.from_arrays(CarPrices.nothing().to_arrays())
    assert np.isnan(nothing.deals(asked)).all()
