"""One car, however often advertised: the key that its advertisements share, whatever way they came in."""

from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.services import create_api_key
from catalog.imports.options import ImportOptions
from catalog.imports.store import import_listings
from catalog.models import Listing
from tests.factories import CarModelFactory, ListingFactory

pytestmark = pytest.mark.django_db

VIN = "WVWZZZ1KZAW000001"


def key_of(**fields: Any) -> str:
    listing = ListingFactory(**fields)
    listing.refresh_from_db()
    return listing.car_key


def imported(folder: Path, header: str, row: str, *, source: str) -> None:
    path = folder / f"{source}.csv"
    path.write_text(f"{header}\n{row}\n")
    import_listings(path=path, options=ImportOptions(source=source, distance_unit="km"))


def test_a_vin_goes_before_everything_else():
    assert key_of(vin=VIN, mileage_km=37_441) == key_of(vin=VIN, source="other", price=1_000, mileage_km=40_000)
    assert key_of(vin=VIN) != key_of(vin=VIN[:-1] + "2")


def sent_by(source: str, listing: dict[str, Any]) -> Any:
    client = APIClient()
    key = create_api_key(name="a garage", scopes=["ingest"], created_by=None, source=source)[1]
    client.credentials(HTTP_X_API_KEY=key)
    return client.post("/api/v1/listings", {"listings": [listing]})


@pytest.mark.parametrize("written", [VIN, VIN.lower(), "WVW ZZZ-1KZ AW000001"])
def test_a_vin_that_a_client_system_sends_names_the_car(written):
    for source in ("a", "b"):
        sent = sent_by(source, {"external_id": "1", "price": 9_000, "vin": written})
        assert sent.status_code == 200, sent.json()
    assert set(Listing.objects.values_list("vin", "car_key")) == {(VIN, f"v{VIN}")}


def test_what_is_no_vin_is_refused_and_a_short_one_names_no_car():
    assert sent_by("a", {"external_id": "1", "price": 9_000, "vin": "I" * 17}).status_code == 400
    assert not Listing.objects.exists()
    assert key_of(vin="12345", mileage_km=60_000) == ""


def test_word_for_word_the_same_is_one_car():
    assert key_of(external_id=None, fingerprint="a" * 32, source="one") == key_of(
        external_id=None, fingerprint="a" * 32, source="two"
    )


@pytest.mark.parametrize(
    "changed", [{"price": 9_000}, {"source": "elsewhere"}, {"title": "Bargain!"}, {"colour": "red"}]
)
def test_an_odometer_names_a_car_whatever_else_is_said_of_it(changed):
    model = CarModelFactory()
    assert key_of(car_model=model, mileage_km=37_441) == key_of(car_model=model, mileage_km=37_441, **changed) != ""


@pytest.mark.parametrize("way", ["a file with ids", "a client system", "another file without ids"])
def test_a_car_of_a_file_without_ids_is_the_same_whatever_way_it_comes_in_again(tmp_path, way):
    row = "Skoda,Octavia,2016,9000,diesel,manual,37441"
    header = "make,model,year,price,fuel,gearbox,mileage"
    imported(tmp_path, header, row, source="one")
    if way == "a file with ids":
        imported(tmp_path, f"id,{header}", f"7,{row}", source="two")
    elif way == "another file without ids":
        imported(tmp_path, f"{header},colour", f"{row},red".replace("9000", "8500"), source="two")
    else:
        car = {"external_id": "7", "brand": "Skoda", "model": "Octavia", "year": 2016, "price": 8_500, "fuel": "diesel",
               "gearbox": "manual", "mileage_km": 37_441}  # fmt: skip
        sent = sent_by("two", car)
        assert sent.status_code == 200, sent.json()
    keys = list(Listing.objects.values_list("car_key", flat=True))
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert keys[0].startswith("o")


@pytest.mark.parametrize(
    "changed", [{"mileage_km": 37_442}, {"year": 2018}, {"fuel": "diesel"}, {"gearbox": "automatic"}]
)
def test_what_a_car_cannot_change_shows_two_apart(changed):
    model = CarModelFactory()
    assert key_of(car_model=model, mileage_km=37_441) != key_of(car_model=model, **{"mileage_km": 37_441, **changed})


@pytest.mark.parametrize("mileage_km", [None, 0, 15, 60_000, 96_561])  # the last is 60,000 miles
def test_a_reading_that_many_cars_may_have_names_none(mileage_km):
    assert key_of(mileage_km=mileage_km) == ""


def test_a_bare_listing_is_a_car_of_its_own():
    assert key_of(bare=True) == ""
    assert Listing.objects.get().car_key == ""
