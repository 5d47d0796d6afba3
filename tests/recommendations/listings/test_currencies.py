"""Money of several currencies is compared in the market's, alike in memory and in SQL."""

from decimal import Decimal
from itertools import pairwise, product

import numpy as np
import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.quality import CHECK_BY_KEY
from recommendations.listings.columns import ListingColumns
from recommendations.listings.rows import read_listings, table_of
from tests.factories import ListingFactory

pytestmark = pytest.mark.django_db

RATES = {"EUR": 0.86, "USD": 0.79, "JPY": 0.0052, "KWD": 2.43}
CURRENCIES = ("GBP", *RATES, "INR", "XYZ")
AMOUNTS = [
    Decimal(text) for text in ("0.01", "1", "85.3", "9000", "9050", "9100", "12500.55", "1200000", "99999999.99")
]


@pytest.fixture
def market(settings):
    settings.MARKET_CURRENCY, settings.EXCHANGE_RATES = "GBP", RATES
    return {
        ListingFactory(price=price, currency=currency).pk: worth(price, currency)
        for price, currency in product(AMOUNTS, CURRENCIES)
    }


def worth(price: Decimal, currency: str) -> float | None:
    rate = {"GBP": 1.0, **RATES}.get(currency)
    return None if rate is None else float(price) * rate


def in_sql(filters: ListingFilters) -> set[int]:
    return set(Listing.objects.matching(filters).values_list("pk", flat=True))


def in_memory(filters: ListingFilters) -> set[int]:
    rows = read_listings(Listing.objects.all())
    columns = ListingColumns()
    columns.put(np.arange(len(rows)), rows)
    return set(rows.listing_ids[columns.matching(filters)].tolist())


BOUND = st.one_of(
    st.none(),
    st.floats(0, 2e8, allow_nan=False),
    # exactly the worth of a listing: the bound itself is inside the range
    st.builds(worth, st.sampled_from(AMOUNTS), st.sampled_from(("GBP", *RATES))),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(low=BOUND, high=BOUND)
def test_a_price_range_means_the_same_in_memory_in_sql_and_by_hand(market, low, high):
    filters = ListingFilters(min_price=low, max_price=high)
    by_hand = {
        pk
        for pk, value in market.items()
        if (low is None and high is None)
        or (value is not None and (low is None or value >= low) and (high is None or value <= high))
    }
    assert in_sql(filters) == in_memory(filters) == by_hand


def test_a_search_orders_by_what_prices_are_worth_and_the_unknown_comes_last(market, client):
    for ordering, sign in (("price", 1), ("-price", -1)):
        got = client.get(
            "/api/v1/cars/search", {"ordering": ordering, "page_size": 100}, headers={"X-Visitor-Key": "v" * 24}
        ).json()["listings"]
        values = [market[car["id"]] for car in got]
        known = [value for value in values if value is not None]
        assert len(got) == len(market)
        assert all(sign * a <= sign * b for a, b in pairwise(known))
        assert values[len(known) :] == [None] * (len(values) - len(known))


def test_the_price_that_a_score_reads_is_the_one_that_filters_compare(market):
    listings = list(Listing.objects.order_by("pk"))
    expected = np.array([np.nan if market[each.pk] is None else market[each.pk] for each in listings])
    np.testing.assert_array_equal(table_of(listings).price, expected)
    np.testing.assert_array_equal(read_listings(Listing.objects.all()).number("price"), expected)


@pytest.mark.parametrize("rates", [{}, {"EUR": 0.86}, RATES])
def test_data_quality_names_the_prices_of_unknown_worth(settings, rates):
    settings.EXCHANGE_RATES = rates
    listings = [ListingFactory(currency=currency) for currency in CURRENCIES]
    ListingFactory(currency="INR", price=None)
    check = CHECK_BY_KEY["no_exchange_rate"]
    found = set(Listing.objects.filter(check.condition(timezone.now())))
    assert found == {listing for listing in listings if listing.currency not in {"GBP", *rates}}
    assert not found & set(Listing.objects.matching(ListingFilters(min_price=0)))
