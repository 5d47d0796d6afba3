"""Rows that offer no car, by their category, their title or who makes it."""

import pytest

from catalog.imports.refusals import no_car_by_category, no_car_by_make, no_car_by_title


@pytest.mark.parametrize(
    "category",
    ["Motorrad", "LKW über 7,5 t", "Cars > Parts", "Wohnwagen", "Motorcycles - Sport", "Ersatzteile für PKW"],
)
def test_a_category_of_something_else_is_no_car(category):
    assert no_car_by_category(category)


@pytest.mark.parametrize("category", ["PKW", "Quad Cab", "Grand Caravan", "Wohnmobil", "Used cars", "Roller blind", ""])
def test_a_category_of_cars_may_begin_alike(category):
    assert no_car_by_category(category) == ""


@pytest.mark.parametrize("title", [
    "Yamaha MT-07 ABS 2018", "Kawasaki Ninja 650", "2019 Harley-Davidson Sportster", "Honda CB500F", "BMW R 1250 GS",
    "BMW S1000RR", "Suzuki GSX-R 750", "Swift Challenger 4 berth caravan 2016", "Tolles Motorrad mit ABS",
    "BMW 320d M Sport alloy wheels x4 19 inch", "Set of 4 alloy wheels for Audi A4", "Audi A4 Felgen Satz",
])  # fmt: skip
def test_a_title_of_something_else_is_no_car(title):
    assert no_car_by_title(title)


@pytest.mark.parametrize("title", [
    "VW Golf 1.4 TSI alloy wheels", "Ford Transit caravan tow bar", "Dodge Grand Caravan SXT", "Grand Caravan 2010",
    "Honda S2000", "BMW 320d", "BMW M3", "Suzuki Swift", "Honda CR-V 2.0", "Peugeot 308 4x4 look", "BMW Z4 roadster",
])  # fmt: skip
def test_a_title_of_a_car_is_one(title):
    assert no_car_by_title(title) == ""


def test_a_maker_of_no_cars_makes_none():
    assert all(map(no_car_by_make, ["Harley-Davidson", "YAMAHA"]))
    assert not any(map(no_car_by_make, ["", "Honda", "Suzuki", "BMW", "KTM", "Triumph", "Peugeot", "Piaggio"]))
