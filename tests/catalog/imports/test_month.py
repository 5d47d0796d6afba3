"""Nightly complete files of a source with two dealers who share numbers: cars go and come, files change their names."""

import pytest

from catalog.imports.options import ImportOptions
from catalog.imports.store import import_listings
from catalog.models import Listing, Seller

pytestmark = pytest.mark.django_db
HEADER = "stock no,make,model,year,price,mileage,dealer id,dealer,town"
NORTH, SOUTH = ("1", "North Cars", "Leeds"), ("2", "South Cars", "York")
CARS = 10  # of each dealer, with the same numbers


def row(dealer, number, price=8000):
    model, year = ("Focus", 2015) if dealer == NORTH else ("Fiesta", 2017)
    return f"{number},Ford,{model},{year},{price},{10_001 * (number + 1) + int(dealer[0])},{','.join(dealer)}"


@pytest.fixture
def night(tmp_path):
    """Import the file of a night that lacks some cars: (dealer, number)."""

    def night(day, *, gone=(), rows=None, prices=None, **options):
        every = [(dealer, number) for number in range(CARS) for dealer in (NORTH, SOUTH)]
        lines = [
            row(*car, **({"price": prices[car]} if car in (prices or {}) else {})) for car in every if car not in gone
        ]
        path = tmp_path / f"stock-2026-11-{day:02}.csv"
        path.write_text("\n".join([HEADER, *lines[:rows]]) + "\n")
        asked = {"source": "north", "distance_unit": "mi", "complete": "source"} | options
        return import_listings(path=path, options=ImportOptions(**asked))

    return night


def on_offer():
    return Listing.objects.filter(status="live").count()


def car_of(dealer, number):
    return Listing.objects.get(seller__name=dealer[1], external_id__in=[str(number), f"{dealer[0]}/{number}"])


@pytest.mark.parametrize("complete", ["source", "sellers"])
def test_counts_withdrawals_the_brake_and_comebacks_are_right_night_after_night(night, complete):
    asked = {"complete": complete}
    assert night(1, **asked).listings_created == 2 * CARS
    published_at = car_of(NORTH, 3).published_at
    assert {seller.listings.count() for seller in Seller.objects.all()} == {CARS}

    run = night(2, gone=[(NORTH, 3), (SOUTH, 5)], **asked)  # the file has another name each night
    assert (run.listings_unchanged, run.listings_missing, run.listings_ended) == (18, 2, 2)
    assert (car_of(NORTH, 3).status, car_of(SOUTH, 3).status, car_of(SOUTH, 5).status) == (
        "withdrawn",
        "live",
        "withdrawn",
    )

    run = night(3, rows=2, **asked)  # a broken export
    assert (run.absence, run.listings_ended, on_offer()) == ("waiting", 0, 18)
    run = night(4, gone=[(SOUTH, 5)], prices={(NORTH, 3): 7500}, **asked)
    assert (run.absence, run.listings_updated, run.listings_missing, on_offer()) == ("counted", 1, 0, 19)
    back = car_of(NORTH, 3)
    assert (back.status, back.published_at, back.price) == ("live", published_at, 7500)

    for day in range(5, 8):  # a car a night
        night(day, gone=[(SOUTH, 5), *((SOUTH, number) for number in range(6, day + 2))], **asked)
    assert on_offer() == 19 - 3
    assert (Listing.objects.count(), Seller.objects.count()) == (2 * CARS, 2)
    assert car_of(NORTH, 6).status == "live"
