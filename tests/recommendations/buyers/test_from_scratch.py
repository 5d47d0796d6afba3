"""A stored preference equals one computed from scratch later, whatever has become of the stock meanwhile."""

from datetime import timedelta

import numpy as np
import pytest
from django.db import connection, transaction
from django.utils import timezone

from catalog.imports.options import ImportOptions
from catalog.imports.store import import_listings
from catalog.models import Listing
from catalog.services import mark_sold
from recommendations.buyers.preferences import current_preference
from recommendations.events.recording import Event, record_interactions
from recommendations.listings.index import borrow_index, drop_index
from recommendations.models import Preference
from tests.factories import BuyerFactory, ListingFactory

pytestmark = pytest.mark.django_db

N_CARS = 120  # enough for alternatives to be drawn by id
CLOSE = 1e-4  # of a preference's length: what fades within a test is below


@pytest.fixture
def cars(market_of_module):
    kinds = [(1_000 * number, 10_000 * number, 2005 + number) for number in range(1, 16)]
    more = [
        ListingFactory(price=price, mileage_km=mileage_km, year=year)
        for price, mileage_km, year in kinds
        for _ in range(N_CARS // len(kinds) - 2)
    ]
    return [*market_of_module.skodas, *market_of_module.bmws, *more]


@pytest.fixture
def bring_in(tmp_path):
    """Import so many cars whose ids need another bit; what is stored is stamped with the begin of the transaction."""

    def bring_in(n: int, source: str) -> None:
        newest = Listing.objects.order_by("pk").last().pk
        with connection.cursor() as cursor:
            cursor.execute("SELECT setval('catalog_listing_id_seq', %s)", [(1 << newest.bit_length()) - n // 2])
        path = tmp_path / f"{source}.csv"
        rows = [f"{number},BMW,320d,2015,{9_000 + 90 * number},{9_000 + 500 * number}" for number in range(n)]
        path.write_text("\n".join(["id,make,model,year,price,mileage", *rows]))
        run = import_listings(path=path, options=ImportOptions(source=source, distance_unit="km"))
        assert run.listings_created == n
        first, last = Listing.objects.filter(source=source).order_by("pk").values_list("pk", flat=True)[:: n - 1]
        assert last.bit_length() == first.bit_length() + 1

    return bring_in


def act(cars, *, hours_ago: float = 0.0):
    """A new buyer views some cars and searches; returns them once their preference is stored."""
    buyer, moment = BuyerFactory(), timezone.now() - timedelta(hours=hours_ago)
    events = [Event(kind="view", listing_id=car.pk, occurred_at=moment) for car in cars]
    query = {"max_price": 9_000, "makes": ["skoda"]}
    record_interactions(buyer=buyer, events=[*events, Event(kind="search", query=query, occurred_at=moment)])
    assert current_preference(buyer).n_interactions == len(cars) + 1
    return buyer


def distance_from_scratch(buyer) -> float:
    """How far the stored preference is from one that a process computes which has just started, as a share."""
    stored = Preference.objects.get(buyer=buyer)
    with transaction.atomic():
        stored.delete()
        drop_index()
        anew = np.asarray(current_preference(buyer).mean)
        transaction.set_rollback(True)
    return float(np.linalg.norm(np.asarray(stored.mean) - anew) / np.linalg.norm(anew))


def test_an_import_changes_no_preference_that_is_stored(cars, bring_in):
    before = act(cars[:5])
    bring_in(40, "first")
    late, new = act(cars[5:9], hours_ago=3), act(cars[9:12])  # of events before the import, and after it
    bring_in(40, "second")
    assert [distance_from_scratch(buyer) < CLOSE for buyer in (before, late, new)] == [True] * 3


def test_sales_change_no_preference_that_is_stored_not_even_by_a_clock_that_was_set_back(cars):
    buyer = act(cars[:5])
    for car in cars[20:60]:
        mark_sold(listing=car)
    assert distance_from_scratch(buyer) < CLOSE
    Listing.objects.filter(pk__in=[car.pk for car in cars[20:60]]).update(ended_at=timezone.now() - timedelta(hours=1))
    assert distance_from_scratch(buyer) < CLOSE


def test_a_deleted_car_moves_a_preference_as_far_in_every_process(cars):
    """It is no alternative any more. A process that saw it go draws as one does that has just started."""
    buyer = act(cars[:5])
    Listing.objects.filter(pk__in=[car.pk for car in cars[40:]]).delete()
    with borrow_index() as listing_index:
        listing_index.sync()
    Preference.objects.filter(buyer=buyer).delete()
    current_preference(buyer)
    assert distance_from_scratch(buyer) < CLOSE
