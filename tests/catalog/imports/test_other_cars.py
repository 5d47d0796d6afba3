"""Ids that are used again: another car under a known id is another listing, a correction is not."""

import pytest

from catalog.imports.ingest import store_rows
from catalog.imports.listing_row import ListingRow
from catalog.imports.options import ImportOptions
from catalog.imports.store import import_listings
from catalog.imports.undo import queue_undo, run_undo
from catalog.models import Listing, PriceChange

pytestmark = pytest.mark.django_db
BEFORE = {"make": "Ford", "model": "Focus", "year": "2015", "price": "8000", "mileage": "60000"}
OTHER_CARS = [
    {"make": "BMW", "model": "X5", "year": "2019", "price": "30000", "mileage": "20000"},
    {"model": "Fiesta", "year": "2018"},
    {"model": "Fiesta", "mileage": "15000"},
    {"year": "2019", "mileage": "9000", "price": "15000"},
    {"make": "BMW", "model": "X5", "mileage": "90000"},
]
SAME_CAR = [
    {"price": "7500"}, {"model": "Fiesta"}, {"make": "Opel", "model": "Astra"}, {"year": "2016"}, {"mileage": "45000"},
    {"mileage": "61500", "year": "2016"}, {"mileage": "60500", "model": "Fiesta", "year": ""},
    {"mileage": "", "year": "2018"},
]  # fmt: skip


@pytest.fixture
def deliver(tmp_path):
    def deliver(car):
        path = tmp_path / "cars.csv"
        car = {"id": "1"} | BEFORE | car
        path.write_text("\n".join([",".join(car), ",".join(car.values())]) + "\n")
        return import_listings(path=path, options=ImportOptions(source="shop", distance_unit="km"))

    return deliver


@pytest.mark.parametrize("car", OTHER_CARS)
def test_another_car_under_a_known_id_is_another_listing(deliver, car):
    deliver({})
    old = Listing.objects.get()
    run = deliver(car)
    assert (run.listings_created, run.listings_updated) == (1, 0)
    new = Listing.objects.get(external_id="1")
    old.refresh_from_db()
    assert (old.status, old.external_id, old.title, old.price) == ("withdrawn", None, "Ford Focus", 8000)
    assert (new.status, str(new.mileage_km), new.title) == (
        "live", car.get("mileage", "60000"), f"{car.get('make', 'Ford')} {car.get('model', 'Focus')}",
    )  # fmt: skip
    assert not PriceChange.objects.exists()
    assert deliver(car).listings_unchanged == 1


@pytest.mark.parametrize("car", SAME_CAR)
def test_a_correction_is_the_same_listing_with_its_title_made_anew(deliver, car):
    deliver({})
    run = deliver(car)
    assert (run.listings_created, run.listings_updated) == (0, 1)
    assert Listing.objects.get().title == f"{car.get('make', 'Ford')} {car.get('model', 'Focus')}"


@pytest.mark.parametrize("car", [*OTHER_CARS[:2], {"price": "7000"}])
@pytest.mark.parametrize("is_other", [True, False])
def test_a_vin_that_is_known_decides(deliver, car, is_other):
    vin = "WF05XXGCC5FA12345"
    deliver({"vin": vin})
    run = deliver(car | {"vin": vin.replace("5FA", "8FA") if is_other else vin})
    assert (run.listings_created, run.listings_updated) == ((1, 0) if is_other else (0, 1))


def test_a_sold_car_stays_sold_when_its_id_goes_to_another(deliver):
    deliver({})
    deliver({"status": "sold"})
    deliver(OTHER_CARS[0] | {"status": "available"})
    assert list(Listing.objects.order_by("pk").values_list("status", flat=True)) == ["sold", "live"]


def test_undoing_gives_the_id_back(deliver):
    deliver({})
    run = deliver(OTHER_CARS[0])
    run_undo(undo_id=queue_undo(run=run).pk)
    car = Listing.objects.get()
    assert (car.external_id, car.status, car.title) == ("1", "live", "Ford Focus")


def test_a_client_system_that_uses_an_id_again_makes_another_listing():
    plain = {"external_id": "1", "make": "Ford", "make_slug": "ford", "built_title": "Ford"}
    store_rows(source="api", rows=[ListingRow(**plain, year=2015, mileage_km=60_000)])
    stored = store_rows(source="api", rows=[ListingRow(**plain, year=2020, mileage_km=8_000)])
    assert (stored.n_created, stored.n_updated) == (1, 0)
    assert Listing.objects.get(external_id="1").pk == stored.listing_id_by_external_id["1"]
