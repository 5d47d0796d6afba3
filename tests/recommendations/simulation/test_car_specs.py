import numpy as np
import pytest

from catalog.imports.names import slug_of
from catalog.models import Listing
from recommendations.simulation.car_specs import fuel_trend, read_specs

SPECS = read_specs()


def test_every_word_of_the_tables_is_one_the_catalogue_knows():
    assert set(SPECS.body) <= set(Listing.Body.values)
    assert set(SPECS.fuel) <= set(Listing.Fuel.values)
    assert set(SPECS.gearbox) <= set(Listing.Gearbox.values)
    assert set(SPECS.drive) <= set(Listing.Drive.values)


def test_every_variant_has_a_price_a_power_and_a_time():
    assert (SPECS.price_new > 5_000).all()
    assert (SPECS.power_kw > 25).all()
    assert (SPECS.first_year <= SPECS.last_year).all()
    assert (SPECS.supply > 0).all()


def test_only_electric_cars_lack_an_engine_size():
    np.testing.assert_array_equal(np.isnan(SPECS.engine_l), SPECS.fuel == "electric")


def test_a_make_has_one_spelling():
    makes = set(SPECS.make)
    assert len({slug_of(make) for make in makes}) == len(makes)
    assert {"Skoda", "Volkswagen", "Subaru"} <= makes


@pytest.mark.parametrize("year", [2003, 2015, 2026, 2040])
def test_the_supply_of_any_year_is_a_share_of_what_was_on_sale_then(year):
    supply = SPECS.supply_in(year)
    assert supply.sum() == pytest.approx(1)
    assert not supply[(SPECS.first_year > year) | (SPECS.last_year < year)].any()


def test_diesel_gives_way_to_electric_over_the_years():
    early, late = fuel_trend(2012), fuel_trend(2024)
    assert late["diesel"] < 0.3 * early["diesel"]
    assert late["electric"] > 5 * early["electric"]
    assert late["hybrid"] > early["hybrid"]
