"""A file whose rows are known by other ids or fingerprints than before, by a later release or a new column."""

from dataclasses import replace

import pytest

from catalog.imports.reading import ImportOptions
from catalog.imports.rows import RowReader
from catalog.imports.store import import_listings
from catalog.models import Listing
from tests.catalog.imports.test_store import counts

pytestmark = pytest.mark.django_db

CARS = """make,model,year,price,mileage,fuel,colour,gearbox
Ford,Focus,2015,8000,61234,Petrol,Scarlet Ember Tintcoat,Manual
VW,Golf,2016,9000,50000,Diesel,blue,Manual
VW,Golf,2016,9000,50000,Diesel,red,Manual
Kia,Rio,2025,15000,10,Petrol,,
Kia,Rio,2025,15000,10,Petrol,,Automatic
BMW,X5,2019,,41000,,green,
"""


@pytest.fixture
def bring_in(tmp_path):
    def bring_in(table, **options):
        (tmp_path / "cars.csv").write_text(table, encoding="utf-8")
        given = {"source": "shop", "distance_unit": "km", "complete": "source"} | options
        return import_listings(path=tmp_path / "cars.csv", options=ImportOptions(**given))

    return bring_in


def as_an_earlier_release(monkeypatch, **said):
    """Read as a release that knew less: fields of each row as that had them, by functions of the row."""
    read = RowReader.read

    def before(self, cells):
        reading = read(self, cells)
        return reading and replace(
            reading, row=reading.row and replace(reading.row, **{name: of(reading.row) for name, of in said.items()})
        )

    monkeypatch.setattr(RowReader, "read", before)


KINDS = {
    "a colour as it was written": {"colour": lambda row: row.manufacturer_colour.casefold() or row.colour},
    "no place, gearbox and fuel": {"gearbox": lambda row: "", "fuel": lambda row: ""},
    "a model that was part of the trim": {
        "model": lambda row: "",
        "model_slug": lambda row: "",
        "title": lambda row: "",
    },
    "another model in the same words": {
        "model_slug": lambda row: row.model_slug.replace("focus", "fiesta"),
        "model": lambda row: row.model.replace("Focus", "Fiesta"),
    },
    "no year": {"year": lambda row: None if row.price else row.year},
    "another currency": {"currency": lambda row: "EUR"},
    "no price": {"price": lambda row: None, "currency": lambda row: ""},
    "tags and a heading of another kind": {"tags": lambda row: ("abs",), "built_title": lambda row: row.make},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_release_that_reads_more_knows_the_cars_of_a_file_without_ids(bring_in, monkeypatch, kind):
    with monkeypatch.context() as patch:
        as_an_earlier_release(patch, **KINDS[kind])
        bring_in(CARS)
    before = {**dict(Listing.objects.values_list("pk", "mileage_km"))}
    run = bring_in(CARS)
    # of cars that the earlier reading did not distinguish at all, one was stored
    assert run.listings_created == 6 - len(before)
    assert len(before) >= 5
    assert Listing.objects.filter(missed_runs=0).count() == 6
    assert not Listing.objects.filter(status="withdrawn").exists()
    assert {**dict(Listing.objects.filter(pk__in=before).values_list("pk", "mileage_km"))} == before
    assert counts(bring_in(CARS)) == (6, 0, 0, 6, 0, 0)


def test_a_column_of_ids_that_is_new_names_the_cars_that_are_known(bring_in):
    bring_in(CARS)
    known = set(Listing.objects.values_list("pk", flat=True))
    lines = CARS.splitlines()
    with_ids = "\n".join(["id," + lines[0], *(f"N{number},{line}" for number, line in enumerate(lines[1:]))])
    run = bring_in(with_ids)
    assert (run.listings_created, set(Listing.objects.values_list("pk", flat=True))) == (0, known)
    assert set(Listing.objects.values_list("external_id", "fingerprint")) == {(f"N{n}", "") for n in range(6)}
    assert counts(bring_in(with_ids)) == (6, 0, 0, 6, 0, 0)


def test_a_number_of_the_stock_follows_a_vin(bring_in):
    table = "vin,make,model,year,price,mileage\nWVWZZZ3CZKE000001,VW,Passat,2019,18000,60111\n"
    bring_in(table)
    bring_in("stock number," + table.replace("\nW", "\n4711,W"))
    assert list(Listing.objects.values_list("external_id", "vin", "status")) == [("4711", "WVWZZZ3CZKE000001", "live")]


@pytest.mark.parametrize(
    "change",
    [("9000,50000,Diesel,red", "9000,50000,Diesel,white"), ("8000,61234", "7900,61234"), ("8000,61234", "8000,61300")],
)
def test_another_colour_price_or_odometer_is_another_car(bring_in, change):
    bring_in(CARS)
    assert bring_in(CARS.replace(*change)).listings_created == 1


def test_a_car_that_this_delivery_has_had_is_no_other_rows(bring_in):
    bring_in(CARS)
    more = CARS + "Ford,Focus,2015,8000,61234,Petrol,,Manual\n"
    run = bring_in(more)
    assert (run.listings_created, Listing.objects.count()) == (1, 7)
