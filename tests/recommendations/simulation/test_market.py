from dataclasses import fields

import numpy as np
import pytest

from recommendations.simulation.market import (
    BLOCK,
    DAY,
    EXPIRED,
    LIVE,
    RESERVED,
    STILL_FOR_SALE,
    build_market,
    driven_at_most,
    read_towns,
    rounded_price,
    used_price,
)

MARKET = build_market(2 * BLOCK, seed=7, anchor_year=2026)
TABLE = MARKET.table


def correlation(x, y):
    known = ~np.isnan(x) & ~np.isnan(y)
    return np.corrcoef(x[known], y[known])[0, 1]


def one_price(*, mileage_km, level=8_000.0, usual_km=60_000.0):
    return used_price(*(np.array([value], float) for value in (level, mileage_km, usual_km)))[0]


def test_a_car_with_the_usual_mileage_is_worth_what_its_model_is_at_its_age():
    assert one_price(mileage_km=60_000) == 8_000


def test_ten_thousand_kilometres_more_than_usual_cost_three_per_cent():
    assert one_price(mileage_km=70_000) == pytest.approx(8_000 * np.exp(-0.03))


def test_no_mileage_takes_more_than_a_fifth():
    assert one_price(mileage_km=900_000) == pytest.approx(8_000 * np.exp(-0.24))


def test_no_car_for_sale_has_been_driven_round_the_world_ten_times():
    np.testing.assert_array_equal(
        driven_at_most(np.array([0.2, 90_000.4, 190_000, 2e6])), [10, 90_000, 184_000, 310_000]
    )
    assert np.nanmax(TABLE.mileage_km) <= 310_000


def test_prices_are_written_as_dealers_write_them():
    got = rounded_price(np.array([12.0, 1_234.0, 8_999.0, 12_601.0]))
    np.testing.assert_array_equal(got, [250, 1_250, 8_995, 12_495])


def test_prices_fall_with_age_and_mileage():
    log_price = np.log(TABLE.price)
    assert correlation(log_price, TABLE.year) > 0.5
    assert correlation(log_price, TABLE.mileage_km) < -0.4


def test_within_one_model_the_younger_car_is_more_expensive():
    golfs = TABLE.model == "golf"
    assert golfs.sum() > 20
    assert correlation(np.log(TABLE.price[golfs]), TABLE.year[golfs]) > 0.7


def test_the_stock_is_british_money_cars_and_places():
    assert 8_000 < np.median(TABLE.price) < 20_000
    assert np.median(MARKET.latitude) == pytest.approx(52.5, abs=1)
    assert set(MARKET.place) <= set(read_towns().name)
    assert (TABLE.make == "skoda").sum() > 30


def test_a_few_models_are_common_and_most_are_rare():
    counts = np.sort(np.unique(TABLE.make + "/" + TABLE.model, return_counts=True)[1])[::-1]
    assert counts[:20].sum() > 0.25 * len(MARKET)
    assert (counts <= 3).mean() > 0.4


def test_five_sixths_of_a_block_are_live():
    assert (MARKET.status == LIVE).sum() == 2 * 830
    assert (MARKET.status == RESERVED).sum() == 2 * 10


def test_only_what_has_ended_has_an_end_after_its_publication():
    is_for_sale = np.isin(MARKET.status, (LIVE, RESERVED))
    np.testing.assert_array_equal(MARKET.ended_s == STILL_FOR_SALE, is_for_sale)
    assert (MARKET.published_s > MARKET.ended_s).all()


def test_nothing_is_on_sale_for_longer_than_a_listing_lives():
    on_sale_s = MARKET.published_s - np.maximum(MARKET.ended_s, 0)
    assert on_sale_s.max() <= 90 * DAY
    assert (on_sale_s[MARKET.status == EXPIRED] == 90 * DAY).all()


def test_the_stock_turns_over():
    rows = np.arange(len(MARKET))
    then, now = MARKET.is_on_sale(rows, 30 * DAY), MARKET.is_on_sale(rows, 1)
    assert (then & ~now).sum() > 50
    assert (now & ~then).sum() > 500


def test_what_is_sought_after_sells_sooner():
    market = build_market(6 * BLOCK, seed=7, anchor_year=2026)  # few of a block are sold
    is_sold = market.status == "sold"
    days = (market.published_s - market.ended_s)[is_sold] / DAY
    hot = market.appeal[is_sold] > 0.5
    assert np.median(days[hot]) < 0.7 * np.median(days[~hot])


def test_reduced_cars_became_cheaper_while_they_were_on_sale():
    is_reduced = MARKET.reduced_s > 0
    assert 0.1 < is_reduced.mean() < 0.3
    assert (MARKET.first_price > TABLE.price)[is_reduced].all()
    assert (MARKET.first_price == TABLE.price)[~is_reduced].all()
    assert (MARKET.reduced_s < MARKET.published_s)[is_reduced].all()
    assert (MARKET.reduced_s >= MARKET.ended_s)[is_reduced].all()


def test_a_seed_gives_the_same_cars_at_any_size():
    larger, smaller = MARKET, build_market(1_200, seed=7, anchor_year=2026)
    for field in fields(smaller):
        if field.name != "table":
            np.testing.assert_array_equal(getattr(smaller, field.name), getattr(larger, field.name)[:1_200])
    np.testing.assert_array_equal(smaller.table.digests(), larger.table.digests()[:1_200])


@pytest.mark.parametrize("lifetime_days", [1, 10, 1_000])
def test_a_market_is_full_however_soon_listings_expire(lifetime_days):
    market = build_market(BLOCK, seed=7, anchor_year=2026, lifetime_days=lifetime_days)
    assert len(market) == BLOCK
    assert (market.status == LIVE).sum() > 600
    assert (market.published_s - np.maximum(market.ended_s, 0)).max() <= lifetime_days * DAY


def test_another_seed_gives_other_cars():
    other = build_market(100, seed=8, anchor_year=2026)
    assert (other.table.digests() != TABLE.digests()[:100]).all()


def test_a_dealer_has_many_cars_at_one_place_and_a_private_seller_one():
    keys, first, counts = np.unique(MARKET.seller_key.astype(str), return_index=True, return_counts=True)
    is_private = TABLE.seller_kind[first] == "private"
    assert (counts[is_private] == 1).all()
    assert counts[~is_private].mean() > 20
    for key in keys[~is_private][:5]:
        assert len(np.unique(MARKET.latitude[MARKET.seller_key == key])) == 1


def test_a_market_may_be_empty_but_not_less():
    assert len(build_market(0, seed=1, anchor_year=2026)) == 0
    with pytest.raises(ValueError, match="-1 listings"):
        build_market(-1, seed=1, anchor_year=2026)
