"""Lists show a car once however often it is advertised, and what a buyer hid stays hidden when it is relisted."""

from typing import Any

import pytest

from catalog.models import Listing
from recommendations.listings.market_statistics import forget_market_statistics
from tests.factories import ListingFactory
from tests.markets import trained_market

pytestmark = pytest.mark.django_db


@pytest.fixture
def market(settings):
    settings.WINDOW_STALENESS_SECONDS = 0
    market = trained_market()
    for at, car in enumerate(market.bmws):
        Listing.objects.filter(pk=car.pk).update(mileage_km=15_001 + 3 * at)
        car.refresh_from_db()
    return market


def advertised_again(car: Listing, **fields: Any) -> Listing:
    """The same car from another seller, at another price."""
    reported = {
        name: getattr(car, name) for name in ("car_model", "mileage_km", "year", "body", "fuel", "gearbox", "power_kw")
    }
    return ListingFactory(**reported | {"price": car.price - 500, "source": "elsewhere"} | fields)


def listed(client, path: str, key: str, **question: Any) -> list[int]:
    answer = client.get(path, question)
    assert answer.status_code == 200, answer.content
    return [one["id"] for one in answer.json()[key]]


def test_a_list_shows_each_car_once_and_is_as_long_as_there_are_cars(as_alice, market):
    twins = {car.pk: {car.pk, *(advertised_again(car).pk for _ in range(2))} for car in market.bmws[:5]}
    forget_market_statistics()
    found = listed(as_alice, "/api/v1/cars/recommendations", "recommended", k=100)
    assert len(found) == 30
    assert all(len(ids & set(found)) == 1 for ids in twins.values())
    few = listed(as_alice, "/api/v1/cars/recommendations", "recommended", k=20)
    assert len(few) == 20
    assert all(len(ids & set(few)) <= 1 for ids in twins.values())


def test_similar_cars_show_each_car_once_and_never_the_car_itself(as_alice, market):
    itself = advertised_again(market.bmws[7])
    twin = advertised_again(market.bmws[6])
    found = listed(as_alice, f"/api/v1/cars/{market.bmws[7].pk}/similar", "similar", k=100)
    assert len(found) == 29
    assert not {itself.pk, market.bmws[7].pk} & set(found)
    assert len({twin.pk, market.bmws[6].pk} & set(found)) == 1


def test_a_car_that_was_hidden_stays_hidden_when_it_is_relisted(as_alice, market):
    car = market.bmws[3]
    sent = as_alice.post("/api/v1/events", {"kind": "hide", "listing_id": car.pk})
    assert sent.status_code in (200, 201), sent.content
    Listing.objects.filter(pk=car.pk).update(status="withdrawn", ended_at="2026-03-01T00:00Z")
    again = advertised_again(car)
    found = listed(as_alice, "/api/v1/cars/recommendations", "recommended", k=100)
    assert len(found) == 29
    assert not {car.pk, again.pk} & set(found)
