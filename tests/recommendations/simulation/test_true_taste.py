import json

import numpy as np
import pytest

from recommendations.engine.table import ListingTable
from recommendations.simulation.true_taste import (
    TYPICAL,
    CodedTable,
    TrueTaste,
    oracle_share,
    utility,
)


def cars(*rows):
    return ListingTable.from_rows(
        [TYPICAL | {"make": "skoda", "model": "octavia", "body": "estate"} | row for row in rows]
    )


def test_a_typical_car_at_the_budget_is_worth_nothing_but_its_mileage():
    taste = TrueTaste(too_dear=3.0, too_cheap=1.0, per_year=1.0, power=1.0, thirst=1.0)
    np.testing.assert_allclose(utility(taste, cars({})), [0.0], atol=1e-12)


def test_too_expensive_costs_utility_by_another_slope_than_too_cheap():
    taste = TrueTaste(budget=10_000, too_dear=4.0, too_cheap=1.0)
    got = utility(taste, cars({"price": 10_000 * np.e}, {"price": 10_000}, {"price": 10_000 / np.e}))
    np.testing.assert_allclose(got, [-4.0, 0.0, -1.0])


def test_each_number_counts_on_its_own_scale():
    taste = TrueTaste(per_year=0.5, wear=2.0, power=3.0, thirst=0.25)
    younger = {"year": 2020, "mileage_km": 0}
    stronger = {"mileage_km": 0, "power_kw": 100 * np.e}
    thirstier = {"mileage_km": 10_000 * (np.e - 1), "consumption_l_100km": 8.0}
    np.testing.assert_allclose(utility(taste, cars(younger, stronger, thirstier)), [1.0, 3.0, -2.5])


def test_levels_add_up_and_a_level_that_is_not_named_is_worth_nothing():
    taste = TrueTaste(levels={"make": {"skoda": 1.0, "never-seen": 9.0}, "model": {"skoda/octavia": 0.5}})
    np.testing.assert_allclose(utility(taste, cars({}, {"model": "fabia"}, {"make": "bmw"})), [1.5, 1.0, 0.0])


def test_a_model_is_liked_within_its_make_only():
    taste = TrueTaste(levels={"model": {"mazda/3": 1.0}})
    got = utility(taste, cars({"make": "mazda", "model": "3"}, {"make": "tesla", "model": "3"}))
    np.testing.assert_allclose(got, [1.0, 0.0])


def test_a_pair_counts_only_where_both_are_there():
    taste = TrueTaste(pairs=(("body", "estate", "gearbox", "automatic", 2.0),))
    got = utility(taste, cars({"gearbox": "automatic"}, {"gearbox": "manual"}, {"gearbox": "automatic", "body": "suv"}))
    np.testing.assert_allclose(got, [2.0, 0.0, 0.0])


def test_a_multi_interest_buyer_values_a_car_by_its_better_use():
    taste = TrueTaste(levels={"body": {"estate": 1.0}}, second_car=TrueTaste(levels={"body": {"hatchback": 3.0}}))
    np.testing.assert_allclose(utility(taste, cars({}, {"body": "hatchback"}, {"body": "van"})), [1.0, 3.0, 0.0])


def test_a_taste_passes_from_the_former_to_the_present_one():
    taste = TrueTaste(
        levels={"body": {"estate": 2.0}}, former=TrueTaste(levels={"body": {"estate": -2.0}}), drift_days=20
    )
    got = [utility(taste, cars({}), days_ago)[0] for days_ago in (0, 10, 20, 100)]
    np.testing.assert_allclose(got, [2.0, 0.0, -2.0, -2.0])


def test_unknown_numbers_count_as_typical_ones_and_unknown_words_for_nothing():
    taste = TrueTaste(too_dear=3.0, per_year=1.0, wear=1.0, power=1.0, thirst=1.0, levels={"fuel": {"petrol": 1.0}})
    unknown = ListingTable.from_rows([{}])
    np.testing.assert_allclose(utility(taste, unknown), utility(taste, cars({})))


def test_no_cars_have_no_utilities():
    assert utility(TrueTaste(), ListingTable.from_rows([])).shape == (0,)


def test_part_of_a_coded_table_is_worth_what_the_part_is_worth():
    table = cars({}, {"make": "bmw", "price": 30_000}, {"body": "suv"})
    taste = TrueTaste(levels={"make": {"bmw": 1.0}, "body": {"suv": 2.0}}, too_dear=1.0)
    rows = np.array([2, 1, 1])
    np.testing.assert_allclose(utility(taste, CodedTable(table).take(rows)), utility(taste, table.take(rows)))


def test_a_taste_survives_json():
    taste = TrueTaste(
        kind="two_cars", levels={"make": {"bmw": 0.25}}, budget=9_000, too_dear=3.0,
        pairs=(("body", "suv", "fuel", "diesel", -0.5),), second_car=TrueTaste(budget=4_000),
        former=TrueTaste(per_year=0.2), drift_days=30,
    )  # fmt: skip
    stored = json.loads(json.dumps(taste.to_json() | {"market": "seed-1"}))
    assert TrueTaste.from_json(stored) == taste


def test_a_stronger_taste_orders_cars_alike():
    taste = TrueTaste(levels={"make": {"bmw": 0.5}}, per_year=0.1, budget=8_000, too_dear=2.0, too_cheap=1.0)
    table = cars({}, {"make": "bmw"}, {"price": 20_000}, {"year": 2024})
    np.testing.assert_allclose(utility(taste.scaled(2.0), table), 2 * utility(taste, table))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"budget": 0}, "budget"), ({"levels": {"smell": {}}}, "smell"), ({"former": TrueTaste()}, "drift_days")],
)
def test_a_taste_that_makes_no_sense_is_refused_by_name(wrong, named):
    with pytest.raises(ValueError, match=named):
        TrueTaste(**wrong)


UTILITIES = np.array([4.0, 1.0, 0.0, -1.0, -4.0])  # mean 0


def test_the_share_of_an_oracles_utility_by_hand():
    assert oracle_share(UTILITIES, np.array([1, 2]), oracle_k=2) == pytest.approx(1 / 5)


def test_the_oracles_list_has_all_of_it_and_the_worst_list_less_than_nothing():
    assert oracle_share(UTILITIES, np.array([1, 0]), oracle_k=2) == 1.0
    assert oracle_share(UTILITIES, np.array([3, 4]), oracle_k=2) == -1.0


def test_the_share_does_not_depend_on_where_utility_has_its_zero():
    rows = np.array([0, 3])
    assert oracle_share(UTILITIES + 100, rows, 2) == pytest.approx(oracle_share(UTILITIES, rows, 2))


def test_an_empty_place_is_worth_as_much_as_chance():
    assert oracle_share(UTILITIES, np.array([0]), oracle_k=2) == pytest.approx(4 / 5)


def test_where_all_cars_are_alike_every_list_is_perfect():
    assert oracle_share(np.ones(5), np.array([3])) == 1.0
    assert np.isnan(oracle_share(np.zeros(0), np.zeros(0, int)))


def test_a_list_that_repeats_a_car_or_is_too_long_is_refused():
    with pytest.raises(ValueError, match="repeat"):
        oracle_share(UTILITIES, np.array([0, 0]), 2)
    with pytest.raises(ValueError, match="3"):
        oracle_share(UTILITIES, np.array([0, 1, 2]), 2)
