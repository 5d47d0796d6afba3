import dataclasses

import numpy as np
import pytest
from django.utils import timezone
from psycopg import sql

from catalog.models import Listing
from recommendations.listings.rows import read_listings, table_of
from recommendations.listings.vectors import read_similar, read_vectors, write_vectors
from recommendations.models import arrays
from recommendations.models.arrays import read_columns
from tests.factories import ListingFactory, MakeFactory, RankerVersionFactory
from tests.vector_tables import create_partition

pytestmark = pytest.mark.django_db


def test_a_listing_has_the_same_name_as_a_row_and_in_an_array():
    ListingFactory(title="A fine car")
    ListingFactory(title="")
    ListingFactory(title="", car_model=None, make=MakeFactory(name="Lada"))
    ListingFactory(bare=True)
    by_id = {listing.pk: listing.name for listing in Listing.objects.select_related("make", "car_model__make")}
    rows = read_listings(Listing.objects.all())
    assert dict(zip(rows.listing_ids.tolist(), rows.names.tolist(), strict=True)) == by_id


def test_listings_packed_by_the_database_are_those_read_row_by_row(monkeypatch, settings):
    settings.EXCHANGE_RATES = {"EUR": 0.87}
    monkeypatch.setattr(arrays, "ROWS_IN_ONE", 2)
    ListingFactory(bare=True)
    ListingFactory(title='one\x1ftwo, “three” {\\"4\\"}', tags=["a b", 'c"d', "e,f", ""], price="9999999999.99")
    ListingFactory(currency="EUR", price="1234.56", latitude=51.5, longitude=-0.1, status="reserved")
    ListingFactory(currency="XXX", price="1.00", tags=[], ended_at=timezone.now(), status="sold")
    ListingFactory(promoted_until=timezone.now(), published_at=None, seller=None, status="draft")
    rows = read_listings(Listing.objects.all())
    listings = list(Listing.objects.with_card_data().order_by("id"))
    assert rows.listing_ids.tolist() == [listing.pk for listing in listings]
    expected = table_of(listings)
    for field in dataclasses.fields(expected):
        got, said = getattr(rows.table, field.name), getattr(expected, field.name)
        assert got.dtype == said.dtype
        np.testing.assert_array_equal(got, said)
    assert rows.table.digests().tolist() == expected.digests().tolist()
    assert rows.is_live.tolist() == [listing.status == "live" for listing in listings]
    assert rows.seller_ids.tolist() == [listing.seller_id or 0 for listing in listings]
    for name, missing in (("published_at", np.nan), ("ended_at", np.inf), ("promoted_until", np.nan)):
        moments = [getattr(listing, name) for listing in listings]
        np.testing.assert_allclose(
            getattr(rows, name), [moment.timestamp() if moment else missing for moment in moments], rtol=1e-15
        )
    for name in ("latitude", "longitude"):
        np.testing.assert_array_equal(
            getattr(rows, name), np.array([getattr(listing, name) for listing in listings], float)
        )


@pytest.mark.parametrize("ids", [[], [-1]])
def test_no_listings_are_columns_of_length_nought(ids):
    rows = read_listings(Listing.objects.filter(pk__in=ids))
    assert (len(rows), rows.listing_ids.dtype, rows.table.price.dtype) == (0, np.int64, np.float64)


def test_columns_come_as_they_are_however_many_rows_share_a_value(monkeypatch):
    monkeypatch.setattr(arrays, "ROWS_IN_ONE", 7)
    query = sql.SQL("SELECT n::bigint - 10, n / 3.0::float8 FROM generate_series(1, 40) AS n")
    whole, fractions = read_columns(query, np.int64, np.float64)
    order = np.argsort(whole)
    assert whole[order].tolist() == list(range(-9, 31))
    np.testing.assert_array_equal(fractions[order], np.arange(1, 41) / 3.0)
    assert (whole.dtype, fractions.dtype) == (np.int64, np.float64)


def test_a_query_without_rows_has_empty_columns():
    ids, numbers = read_columns(sql.SQL("SELECT 1::bigint, 1::float8 WHERE false"), np.int64, np.float64)
    assert ids.shape == numbers.shape == (0,)


def test_vectors_are_read_as_they_were_written():
    version = RankerVersionFactory()
    create_partition(version.pk)
    vectors = np.random.default_rng(1).standard_normal((3, 128)).astype(np.float32)
    write_vectors(version, np.array([30, 10, 20]), vectors, np.array([3, -1, 2]))
    ids, found, digests = read_vectors(version)
    order = np.argsort(ids)
    assert (ids[order].tolist(), digests[order].tolist()) == ([10, 20, 30], [-1, 2, 3])
    np.testing.assert_array_equal(found[order], vectors[[1, 2, 0]])
    assert read_vectors(version, [20, 40])[0].tolist() == [20]
    assert read_vectors(version, [])[1].shape == (0, 128)


def test_where_listings_lie_among_similar_cars_is_stored_beside_them_and_may_be_missing():
    version = RankerVersionFactory()
    create_partition(version.pk)
    ids, digests = np.array([30, 10, 20]), np.array([3, -1, 2])
    vectors = np.zeros((3, 128), np.float32)
    similar = np.random.default_rng(1).standard_normal((3, 64)).astype(np.float32)
    write_vectors(version, ids, vectors, digests)  # as an earlier release left them
    assert read_similar(version.pk)[1].shape == (0, 64)
    write_vectors(version, ids, vectors, digests, similar)
    found_ids, found = read_similar(version.pk)
    assert found_ids.tolist() == [10, 20, 30]
    np.testing.assert_array_equal(found, similar[[1, 2, 0]])
    assert read_similar(version.pk, [20, 40])[0].tolist() == [20]
