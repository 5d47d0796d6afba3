"""Cars like one car: whatever became of it, whatever is asked of them, and never the car itself."""

import numpy as np
import pytest
from django.utils import timezone

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.listings.embedding import embed_missing_listings
from recommendations.listings.index import borrow_index, drop_index
from recommendations.listings.retrieval import PgvectorRetriever
from recommendations.listings.rows import read_listings, table_of
from recommendations.listings.vectors import SIMILAR_INDEX, ensure_index, has_index
from recommendations.models import ListingVector
from tests.factories import ListingFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def market(market_of_module, settings):
    settings.WINDOW_STALENESS_SECONDS = 0
    return market_of_module


def similar_to(client, listing, **question) -> list[dict]:
    answer = client.get(f"/api/v1/cars/{listing.pk}/similar", question)
    assert answer.status_code == 200, answer.content
    return answer.json()["similar"]


@pytest.mark.parametrize("status", ["live", "reserved", "sold", "withdrawn", "expired"])
def test_whatever_became_of_a_car_its_like_are_shown(as_alice, market, status):
    car = market.bmws[7]
    Listing.objects.filter(pk=car.pk).update(status=status, ended_at=None if status == "live" else timezone.now())
    found = similar_to(as_alice, car, k=5)
    assert [one["brand"] for one in found] == ["BMW"] * 5
    assert car.pk not in {one["id"] for one in found}
    assert [one["position"] for one in found] == [1, 2, 3, 4, 5]


def test_the_nearest_in_price_come_first_among_cars_that_are_otherwise_alike(as_alice, market):
    found = similar_to(as_alice, market.bmws[7], k=4)
    assert {one["id"] for one in found} == {market.bmws[number].pk for number in (5, 6, 8, 9)}


def test_a_car_sold_long_ago_still_has_its_like(as_alice, market):
    car = market.bmws[7]
    Listing.objects.filter(pk=car.pk).update(
        status="sold", ended_at="2020-01-01T00:00Z", published_at="2019-01-01T00:00Z"
    )
    assert [one["brand"] for one in similar_to(as_alice, car, k=5)] == ["BMW"] * 5


@pytest.mark.parametrize("listing_id", [999_999_999, "nonsense"])
def test_a_car_that_is_unknown_is_not_found(as_alice, market, listing_id):
    assert as_alice.get(f"/api/v1/cars/{listing_id}/similar").status_code == 404


def test_a_draft_is_not_found_and_is_never_shown(as_alice, market):
    draft = ListingFactory(draft=True, car_model=market.bmws[0].car_model)
    assert as_alice.get(f"/api/v1/cars/{draft.pk}/similar").status_code == 404
    assert draft.pk not in {one["id"] for one in similar_to(as_alice, market.bmws[0], k=29)}


def test_filters_hold_for_similar_cars(as_alice, market):
    found = similar_to(as_alice, market.bmws[7], k=20, max_price=31_000, fuel="diesel")
    assert {one["id"] for one in found} == {car.pk for car in market.bmws if car.price <= 31_000}
    assert {one["brand"] for one in similar_to(as_alice, market.bmws[7], k=3, brand="skoda")} == {"Skoda"}
    assert as_alice.get(f"/api/v1/cars/{market.bmws[7].pk}/similar", {"fuel": "steam"}).status_code == 400


@pytest.mark.parametrize("k", [1, 29, 100])
def test_k_asked_is_k_answered_when_there_are_as_many(as_alice, market, k):
    assert len(similar_to(as_alice, market.bmws[0], k=k)) == min(k, 29)


def test_other_advertisements_of_the_same_car_are_not_similar_cars(as_alice, market):
    car = market.bmws[7]
    Listing.objects.filter(pk=car.pk).update(fingerprint="same-car")
    again = ListingFactory(
        car_model=car.car_model, price=car.price, mileage_km=car.mileage_km, year=car.year, body="saloon",
        fuel="diesel", gearbox="automatic", power_kw=180, fingerprint="same-car", source="elsewhere",
    )  # fmt: skip
    assert not {car.pk, again.pk} & {one["id"] for one in similar_to(as_alice, car, k=30)}
    assert again.pk not in {one["id"] for one in similar_to(as_alice, again, k=30)}
    seen = [one["id"] for one in similar_to(as_alice, market.bmws[6], k=28)]
    assert len({car.pk, again.pk} & set(seen)) == 1  # each car once


def test_the_nearest_are_those_of_the_smallest_distance_in_memory_and_in_the_database(market, settings):
    """Also through the index's way, and under filters and exclusions."""
    rows = read_listings(Listing.objects.all())
    with borrow_index() as listing_index:
        vectors = listing_index.ranker.similarity.vectors(rows.table).astype(np.float64)
        in_database = PgvectorRetriever(listing_index.version_id)
        for at, filters, excluded in (
            (0, ListingFilters(), ()),
            (20, ListingFilters(), rows.listing_ids[[20, 21]].tolist()),
            (7, ListingFilters(max_price=31_000, fuels=("diesel",)), ()),
        ):
            allowed = ~np.isin(rows.listing_ids, excluded)
            allowed &= (rows.table.price <= (filters.max_price or np.inf)) & (
                np.isin(rows.table.fuel, filters.fuels) if filters.fuels else True
            )
            obvious = np.where(allowed, np.linalg.norm(vectors - vectors[at], axis=1), np.inf)
            order = np.lexsort((rows.listing_ids, obvious))[: min(5, allowed.sum())]
            settings.EXACT_SCAN_MAX_ROWS = 20_000
            answers = [listing_index.nearest(vectors[at], 5, filters, excluded)]
            answers.append(in_database.nearest(vectors[at], 5, filters, excluded))
            settings.EXACT_SCAN_MAX_ROWS = 0
            answers.append(in_database.nearest(vectors[at], 5, filters, excluded))
            for ids, distances in answers:
                assert ids.tolist() == rows.listing_ids[order].tolist()
                np.testing.assert_allclose(distances, obvious[order], atol=1e-5)
        assert listing_index.nearest(vectors[0], 5, ListingFilters(max_price=1))[0].tolist() == []
        assert listing_index.nearest(vectors[0], 0)[0].tolist() == []


def test_stock_beyond_a_listing_index_has_similar_cars_too(as_alice, market, settings):
    expected = [one["id"] for one in similar_to(as_alice, market.bmws[7], k=6)]
    settings.WINDOW_MAX_LISTINGS = 5
    drop_index()
    assert [one["id"] for one in similar_to(as_alice, market.bmws[7], k=6)] == expected
    assert ensure_index(market.version.pk)
    assert has_index(market.version.pk, SIMILAR_INDEX)
    assert [one["id"] for one in similar_to(as_alice, market.bmws[7], k=6)] == expected
    drop_index()


def test_rows_of_an_earlier_release_are_placed_by_the_beat_job_and_serve_meanwhile(as_alice, market):
    expected = [one["id"] for one in similar_to(as_alice, market.bmws[7], k=6)]
    ListingVector.objects.update(likeness=None)
    drop_index()
    assert [one["id"] for one in similar_to(as_alice, market.bmws[7], k=6)] == expected
    assert embed_missing_listings() == 30
    assert embed_missing_listings() == 0
    with borrow_index() as listing_index:
        vector = listing_index.ranker.similarity.vectors(table_of([market.bmws[7]]))[0]
        in_database = PgvectorRetriever(listing_index.version_id).nearest(vector, 6, exclude=[market.bmws[7].pk])
    assert in_database[0].tolist() == expected


def test_a_car_alike_at_half_the_price_is_nearer_than_another_kind_at_the_same(as_alice, market):
    car = market.bmws[7]
    cheaper = ListingFactory(
        car_model=car.car_model, price=car.price / 2, mileage_km=car.mileage_km, year=car.year, body="saloon",
        fuel="diesel", gearbox="automatic", power_kw=180,
    )  # fmt: skip
    as_expensive = ListingFactory(car_model=market.skodas[0].car_model, price=car.price, mileage_km=90_000, year=2014)
    ids = [one["id"] for one in similar_to(as_alice, car, k=31)]
    assert ids.index(cheaper.pk) < ids.index(as_expensive.pk)


def test_similar_cars_cost_the_same_few_queries_however_many(as_alice, market, settings, django_assert_max_num_queries):
    settings.WINDOW_STALENESS_SECONDS = 60
    similar_to(as_alice, market.bmws[7])
    # four for the cars, two for who asks and what they hid, and three for the record, which a thread writes elsewhere
    with django_assert_max_num_queries(9):
        similar_to(as_alice, market.bmws[7], k=20)
