"""A car dealer believes the demo market: no car that never was, and prices and mileages as in real adverts."""

import csv
from collections import defaultdict

import numpy as np
import pytest

from recommendations.simulation import adverts
from recommendations.simulation.adverts import SPELLED, CarText
from recommendations.simulation.car_specs import ADVERTS_UNTIL, DATA, read_models, read_specs
from recommendations.simulation.market import BLOCK, _Factory, build_market
from recommendations.simulation.price_levels import AGES, read_known, read_levels
from recommendations.simulation.trims import BADGES, OF_MAKE, OF_MODEL

ANCHOR = 2026
SPECS, LEVELS = read_specs(), read_levels()
LISTED_AS = {(row["make"], row["model"]): row["listed_as"] for row in read_models()}
MARKET = build_market(3 * BLOCK, seed=3, anchor_year=ANCHOR)
TABLE = MARKET.table
IS_ELECTRIC = SPECS.fuel == "electric"


def advertised() -> dict[tuple[str, str], set[tuple[str, float]]]:
    """(make, model) in the adverts' spelling -> fuel and litres of the engines that were sold in it."""
    found = defaultdict(set)
    with open(DATA / "uk_engines.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[row["make"], row["model"]].add((row["fuel"], float(row["litres"])))
    return found


def offered(make: str, model: str, year: int, **what: str | float) -> bool:
    rows = (SPECS.make == make) & (SPECS.model == model) & (SPECS.first_year <= year) & (year <= SPECS.last_year)
    for name, value in what.items():
        rows &= getattr(SPECS, name) == value
    return bool(rows.any())


@pytest.mark.parametrize(
    ("make", "model", "year", "what"),
    [
        ("Honda", "Pilot", 2021, {}), ("Volvo", "S80", 2017, {}), ("Volvo", "S80", 2015, {"fuel": "plugin_hybrid"}),
        ("Jaguar", "XJ", 2020, {}), ("Jaguar", "XJ", 2018, {"fuel": "electric"}), ("Pontiac", "Vibe", 2008, {}),
        ("Volkswagen", "Golf", 2010, {"fuel": "plugin_hybrid"}), ("Volkswagen", "Golf", 2017, {"body": "convertible"}),
        ("Volkswagen", "ID.3", 2019, {}), ("Ford", "Fiesta", 2024, {}), ("Ford", "Focus", 2015, {"fuel": "electric"}),
        ("Tesla", "Model 3", 2018, {}), ("Tesla", "Model 3", 2022, {"fuel": "petrol"}), ("Audi", "A2", 2012, {}),
        ("Mazda", "MX-5", 2020, {"fuel": "diesel"}), ("Toyota", "Aygo", 2012, {"fuel": "hybrid"}),
        ("Nissan", "Leaf", 2015, {"fuel": "hybrid"}), ("Nissan", "Leaf", 2010, {}), ("Skoda", "Enyaq", 2020, {}),
        ("Land Rover", "Range Rover Evoque", 2020, {"body": "convertible"}), ("Renault", "5", 2020, {}),
        ("BMW", "3 Series", 2012, {"body": "coupe"}), ("MINI", "Hatch", 2016, {"fuel": "electric"}),
        ("Peugeot", "208", 2015, {"fuel": "electric"}), ("Hyundai", "Tucson", 2016, {"fuel": "hybrid"}),
        # engines that ended with their generation
        ("Vauxhall", "Corsa", 2024, {"engine_l": 1.4}), ("Vauxhall", "Astra", 2024, {"engine_l": 1.0}),
        ("Volkswagen", "Tiguan", 2022, {"engine_l": 1.4, "fuel": "petrol"}),
        ("Toyota", "C-HR", 2022, {"engine_l": 1.2}),
        ("Skoda", "Octavia", 2026, {"fuel": "plugin_hybrid"}), ("BMW", "3 Series", 2022, {"engine_l": 1.5}),
        ("Toyota", "Yaris", 2022, {"fuel": "petrol"}), ("Mercedes-Benz", "A Class", 2018, {"engine_l": 4.0}),
        ("BMW", "1 Series", 2021, {"engine_l": 3.0}), ("Volkswagen", "Golf", 2022, {"engine_l": 1.4, "fuel": "petrol"}),
        # wheels that such an engine never drove
        ("BMW", "2 Series", 2019, {"drive": "front"}), ("BMW", "1 Series", 2021, {"drive": "rear"}),
        ("BMW", "X1", 2023, {"engine_l": 1.5, "fuel": "petrol", "drive": "all"}),
        ("Tesla", "Model 3", 2022, {"battery_kwh": 60.0, "drive": "all"}),
        ("Audi", "Q2", 2022, {"engine_l": 2.0, "fuel": "petrol", "drive": "front"}),
        ("Hyundai", "Ioniq 5", 2022, {"battery_kwh": 58.0, "drive": "all"}),
        ("Audi", "A6", 2024, {"fuel": "plugin_hybrid", "drive": "front"}),
        ("Toyota", "RAV4", 2024, {"fuel": "plugin_hybrid", "drive": "front"}),
        ("Kia", "Sportage", 2018, {"engine_l": 1.6, "fuel": "petrol", "drive": "all"}),
        # gearboxes that it never had
        ("Renault", "Clio", 2005, {"fuel": "diesel", "gearbox": "automatic"}),
        ("Fiat", "500", 2022, {"engine_l": 1.0, "gearbox": "semi_automatic"}),
        ("Renault", "Captur", 2017, {"engine_l": 0.9, "gearbox": "semi_automatic"}),
        ("Kia", "Picanto", 2006, {"gearbox": "automatic"}),
        ("Ford", "Focus", 2018, {"engine_l": 2.0, "fuel": "petrol", "gearbox": "automatic"}),
    ],
)  # fmt: skip
def test_no_car_that_never_was(make, model, year, what):
    assert not offered(make, model, year, **what)


@pytest.mark.parametrize(
    ("make", "model", "year", "what"),
    [
        ("Volkswagen", "Golf", 2017, {"fuel": "diesel"}), ("Volkswagen", "Golf", 2018, {"body": "estate"}),
        ("Toyota", "Yaris", 2018, {"fuel": "hybrid"}), ("Nissan", "Leaf", 2019, {"fuel": "electric"}),
        ("Land Rover", "Range Rover Evoque", 2017, {"body": "convertible"}), ("Ford", "Fiesta", 2022, {}),
        ("BMW", "3 Series", 2018, {"fuel": "plugin_hybrid"}), ("Tesla", "Model Y", 2024, {}),
        ("Volvo", "S80", 2014, {"fuel": "diesel"}), ("Jaguar", "XJ", 2016, {"fuel": "diesel"}),
        ("Vauxhall", "Corsa", 2024, {"engine_l": 1.2}), ("Vauxhall", "Astra", 2024, {"engine_l": 1.2}),
        ("Volkswagen", "Golf", 2023, {"engine_l": 1.5}), ("Volkswagen", "Tiguan", 2025, {"fuel": "plugin_hybrid"}),
        ("BMW", "1 Series", 2021, {"drive": "front"}), ("BMW", "2 Series Active Tourer", 2018, {"body": "mpv"}),
        ("BMW", "X1", 2019, {"drive": "all"}), ("Audi", "A4", 2018, {"drive": "all"}),
        ("Tesla", "Model 3", 2022, {"battery_kwh": 75.0, "drive": "all"}),
        ("Toyota", "Corolla", 2022, {"fuel": "hybrid"}),
    ],
)  # fmt: skip
def test_the_cars_that_were(make, model, year, what):
    assert offered(make, model, year, **what)


def test_every_engine_of_a_model_that_the_adverts_know_is_theirs_while_they_last():
    known = advertised()
    for row in np.flatnonzero(SPECS.first_year <= ADVERTS_UNTIL):
        make, model = SPECS.make[row], SPECS.model[row]
        engines = known.get((make, LISTED_AS[make, model]))
        if engines and SPECS.fuel[row] != "electric":
            by_hand = SPECS.first_year[row] >= ADVERTS_UNTIL - 1  # what had just come out
            fuels = {"plugin_hybrid": ("plugin_hybrid", "hybrid")}.get(SPECS.fuel[row], (SPECS.fuel[row],))  # one word
            seen = any((fuel, SPECS.engine_l[row]) in engines for fuel in fuels)
            assert by_hand or seen, (make, model, SPECS.fuel[row], SPECS.engine_l[row])


def test_no_variant_is_older_or_younger_than_its_model():
    years = {
        (row["make"], row["model"]): (int(row["first_year"]), int(row["last_year"] or 9999)) for row in read_models()
    }
    for make, model, first, last in zip(SPECS.make, SPECS.model, SPECS.first_year, SPECS.last_year, strict=True):
        assert years[make, model][0] <= first <= last <= years[make, model][1], (make, model)


def test_every_model_is_sold_in_some_year():
    assert set(zip(SPECS.make, SPECS.model, strict=True)) == set(LISTED_AS)


def test_electric_cars_and_no_others_have_a_battery_and_a_range_that_fits_it():
    np.testing.assert_array_equal(~np.isnan(SPECS.battery_kwh), IS_ELECTRIC)
    np.testing.assert_array_equal(np.isnan(SPECS.engine_l), IS_ELECTRIC)
    per_kwh = SPECS.range_miles[IS_ELECTRIC] / SPECS.battery_kwh[IS_ELECTRIC]
    assert ((per_kwh > 2.4) & (per_kwh < 5.6)).all()
    assert (SPECS.gearbox[IS_ELECTRIC] == "automatic").all()


def test_power_fits_the_engine():
    per_litre = SPECS.power_kw[~IS_ELECTRIC] / SPECS.engine_l[~IS_ELECTRIC]
    is_plugged_in = SPECS.fuel[~IS_ELECTRIC] == "plugin_hybrid"
    assert ((per_litre > 25) & (per_litre < 130))[~is_plugged_in].all()


def test_every_car_of_the_market_is_a_variant_sold_in_its_year():
    variants = set(zip(SPECS.make, SPECS.model, SPECS.body, SPECS.fuel, SPECS.gearbox, SPECS.drive, strict=True))
    for row in range(len(MARKET)):
        make, model, year = MARKET.make_name[row], MARKET.model_name[row], int(TABLE.year[row])
        what = (TABLE.body[row], TABLE.fuel[row], TABLE.gearbox[row], TABLE.drive[row])
        assert (make, model, *what) in variants
        assert offered(make, model, year, body=what[0], fuel=what[1]), (make, model, year, what)


def test_the_price_of_a_model_at_an_age_is_that_of_the_adverts():
    """Within 10 %, for every model and age of which both have enough cars to say."""
    known = read_known(DATA / "uk_prices.csv")
    factory = _Factory(ANCHOR, 90)
    cars = [factory._cars(np.random.default_rng(seed), 20_000) for seed in range(2)]
    spec, year, price = (np.concatenate([part[name] for part in cars]) for name in ("spec", "year", "price"))
    row = factory.level_row[spec] * AGES + np.minimum(ANCHOR - year, AGES - 1)
    compared = 0
    for key in np.flatnonzero(np.bincount(row) >= 50):
        make, model = LEVELS.models[key // AGES]
        real = known.get((make, LISTED_AS[make, model]), {}).get(int(key % AGES))
        if real:
            compared += 1
            assert np.median(price[row == key]) == pytest.approx(real[0], rel=0.1), (make, model, key % AGES)
    assert compared > 80


def test_prices_and_mileages_of_every_model_go_one_way_with_age():
    rises = np.diff(np.log(LEVELS.price)) > 0.1
    assert rises.sum() <= 1  # adverts of one age may be of a better generation: the V Class of three years
    assert (LEVELS.price[:, 12] < 0.5 * LEVELS.price[:, 1]).all()
    assert (LEVELS.km[:, 10] > 3 * LEVELS.km[:, 1]).all()
    assert LEVELS.km.max() < 450_000
    assert (LEVELS.price > 500).all()


def test_a_trim_is_one_of_its_model_and_year():
    for make, model in set(zip(SPECS.make, SPECS.model, strict=True)):
        trims = OF_MODEL.get((make, model), OF_MAKE.get(make, ()))
        years = {trim.name: (trim.first_year, trim.last_year) for trim in trims}
        for year in (2004, 2015, 2026):
            for draw in np.linspace(0, 0.999, 12):
                name = adverts.trim_of(CarText(make, model, "hatchback", "petrol", year, 1.4, 60, np.nan, np.nan), draw)
                assert not name or years[name][0] <= year <= years[name][1], (make, model, name, year)


def test_the_tables_of_trims_name_makes_and_models_that_exist():
    assert set(OF_MAKE) <= set(SPECS.make)
    assert set(OF_MODEL) | set(BADGES) <= set(LISTED_AS)


@pytest.mark.parametrize(
    ("car", "title"),
    [
        (("Ford", "Fiesta", "hatchback", "petrol", 2019, 1.5, 147), "Ford Fiesta 1.5 EcoBoost ST"),
        (("Volkswagen", "Golf", "hatchback", "petrol", 2019, 2.0, 180), "Volkswagen Golf 2.0 TSI GTI"),
        (("Volkswagen", "Golf", "estate", "petrol", 2019, 2.0, 180), "Volkswagen Golf 2.0 TSI S"),  # no GTI was one
        (("Skoda", "Octavia", "estate", "petrol", 2019, 2.0, 180), "Skoda Octavia 2.0 TSI vRS"),
        (("Volkswagen", "Golf", "hatchback", "diesel", 2019, 2.0, 110), "Volkswagen Golf 2.0 TDI S"),
        (("BMW", "3 Series", "saloon", "diesel", 2018, 2.0, 140), "BMW 3 Series 320d SE"),
        (("BMW", "X1", "suv", "petrol", 2018, 1.5, 100), "BMW X1 sDrive18i SE"),
        (("Mercedes-Benz", "C Class", "saloon", "diesel", 2017, 2.1, 125), "Mercedes-Benz C Class C 220 d SE"),
        (("Mercedes-Benz", "C Class", "saloon", "diesel", 2012, 2.1, 125), "Mercedes-Benz C Class C 220 CDI SE"),
        (("Fiat", "500", "hatchback", "petrol", 2014, 0.9, 63), "Fiat 500 0.9 TwinAir Pop"),
        (("Fiat", "500X", "suv", "petrol", 2016, 1.4, 103), "Fiat 500X 1.4 MultiAir Pop"),
        (("Ford", "Kuga", "suv", "diesel", 2021, 2.0, 110), "Ford Kuga 2.0 EcoBlue Titanium"),
        (("Toyota", "Yaris", "hatchback", "hybrid", 2021, 1.5, 74), "Toyota Yaris 1.5 Hybrid Icon"),
    ],
)  # fmt: skip
def test_a_title_is_what_a_dealer_would_write(car, title):
    text = CarText(*car, np.nan, np.nan)
    assert adverts.title_of(text, adverts.trim_of(text, 0.0)) == title


def test_few_owners_in_the_first_years_and_tax_by_year_and_carbon_dioxide():
    age = ANCHOR - TABLE.year
    assert (MARKET.owner_count - 1 <= (age + 1) // 2).all()
    assert set(MARKET.annual_tax[TABLE.year >= 2017]) == {195.0}
    older = TABLE.year < 2017
    assert set(MARKET.annual_tax[older & (TABLE.fuel == "electric")]) <= {20.0}
    assert len(set(MARKET.annual_tax[older])) > 5


def test_words_say_what_the_columns_say():
    for row in range(0, len(MARKET), 7):
        description, year = MARKET.description[row], int(TABLE.year[row])
        assert f"Registered in {year}, " in description
        assert ("kWh battery" in description) == (TABLE.fuel[row] == "electric")
        assert all(SPELLED.get(tag, tag) in description for tag in TABLE.tags[row])
        assert ("one owner" in TABLE.tags[row]) <= (MARKET.owner_count[row] == 1)
        assert ("new mot" in TABLE.tags[row]) <= (ANCHOR - year >= 3)
        assert ("apple carplay" in TABLE.tags[row]) <= (year >= 2016)
        assert TABLE.title[row].startswith(f"{MARKET.make_name[row]} {MARKET.model_name[row]}")


def test_doors_and_seats_are_those_of_the_car():
    rows = {name: MARKET.model_name == name for name in ("Fiesta", "MX-5", "Galaxy", "Golf", "Zafira")}
    assert adverts.doors_of("CC", "coupe") == 4
    assert {int(seats) for seats in MARKET.seats[rows["MX-5"]]} <= {2}
    assert {int(seats) for seats in MARKET.seats[rows["Galaxy"] | rows["Zafira"]]} == {7}
    assert {int(doors) for doors in MARKET.doors[rows["Golf"] & (TABLE.body != "convertible")]} == {5}
