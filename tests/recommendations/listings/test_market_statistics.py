from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from recommendations.engine.demand import demand_counts
from recommendations.listings.market_statistics import read_market_statistics
from recommendations.models import EventKind
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory, PriceChangeFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def happened(listing, kind: str, days_ago: float, buyer=None) -> None:
    InteractionFactory(
        listing=listing,
        kind=EventKind.objects.get(slug=kind),
        occurred_at=NOW - timedelta(days=days_ago),
        buyer=buyer or BuyerFactory(external=True),
    )


@pytest.fixture
def listing():
    return ListingFactory()


def test_demand_counts_by_kind_and_halves_every_three_days(listing):
    happened(listing, "view", 0)
    happened(listing, "contact", 3)
    happened(listing, "view", 15)
    happened(listing, "dislike", 1)
    happened(ListingFactory(), "view", -1)
    market_statistics = read_market_statistics(int(NOW.timestamp()))
    assert market_statistics.demand == {listing.pk: pytest.approx(1 + 2 * 0.5)}
    assert market_statistics.contacts == {listing.pk: pytest.approx(0.5)}


def test_other_weights_may_be_supposed(listing):
    happened(listing, "view", 0)
    happened(listing, "contact", 0)
    kinds = EventKind.objects.in_bulk()
    kinds["view"].weight, kinds["contact"].weight = 5, -1
    market_statistics = read_market_statistics(int(NOW.timestamp()), kinds)
    assert market_statistics.demand == {listing.pk: pytest.approx(5)}
    assert market_statistics.contacts == {}
    assert read_market_statistics(int(NOW.timestamp()), {}).demand == {}


def test_demand_is_what_the_engine_counts(listing):
    for kind, days_ago in (("view", 0.5), ("contact", 2), ("favourite", 13), ("hide", 1)):
        happened(listing, kind, days_ago)
    counts = demand_counts(
        [0] * 4,
        [NOW.timestamp() - days * 86_400 for days in (0.5, 2, 13, 1)],
        [1, 2, 1.5, -0.5],
        NOW.timestamp(),
        1,
        np.arange(4),
    )
    np.testing.assert_allclose(read_market_statistics(int(NOW.timestamp())).demand[listing.pk], counts[0])


def test_a_buyer_who_calls_twice_is_one_lead(listing):
    buyer = BuyerFactory()
    happened(listing, "contact", 1, buyer)
    happened(listing, "contact", 2, buyer)
    happened(listing, "contact", 2)
    happened(listing, "view", 2)
    assert read_market_statistics(int(NOW.timestamp())).leads == {listing.pk: 2}


def test_the_last_change_decides_whether_a_price_fell(listing):
    risen = ListingFactory()
    old = ListingFactory()
    PriceChangeFactory(listing=listing, old_price=13_000, new_price=12_000, changed_at=NOW - timedelta(days=2))
    PriceChangeFactory(listing=risen, old_price=13_000, new_price=12_000, changed_at=NOW - timedelta(days=3))
    PriceChangeFactory(listing=risen, old_price=12_000, new_price=12_500, changed_at=NOW - timedelta(days=1))
    PriceChangeFactory(listing=old, changed_at=NOW - timedelta(days=8))
    assert read_market_statistics(int(NOW.timestamp())).price_drops == {listing.pk: 1_000}


def test_what_happened_to_one_advertisement_of_a_car_counts_for_the_others():
    old, relisted, elsewhere = (
        ListingFactory(source=source, external_id=None, fingerprint="one car", status=status, ended_at=ended)
        for source, status, ended in (("a", "sold", NOW - timedelta(days=2)), ("b", "live", None), ("c", "live", None))
    )
    nameless = [ListingFactory(source=source, fingerprint="") for source in ("a", "b")]
    caller = BuyerFactory()
    happened(old, "contact", 3, caller)
    happened(relisted, "contact", 0, caller)
    happened(relisted, "contact", 0)
    happened(nameless[0], "contact", 0)
    market_statistics = read_market_statistics(int(NOW.timestamp()))
    for listing in (old, relisted, elsewhere):
        assert market_statistics.contacts[listing.pk] == pytest.approx(1 + 1), "the one who called twice counts once"
        assert market_statistics.demand[listing.pk] == pytest.approx(2 * (1 + 1))
        assert market_statistics.leads[listing.pk] == 2
    assert market_statistics.leads[nameless[0].pk] == 1
    assert nameless[1].pk not in market_statistics.demand


def test_prices_fall_in_the_currency_of_the_market(listing, settings):
    settings.EXCHANGE_RATES = {"EUR": 0.8}
    rupees = ListingFactory(currency="INR")
    change = {"old_price": 13_000, "new_price": 12_000, "changed_at": NOW - timedelta(days=2)}
    PriceChangeFactory(listing=listing, currency="EUR", **change)
    PriceChangeFactory(listing=rupees, currency="INR", **change)
    assert read_market_statistics(int(NOW.timestamp())).price_drops == {listing.pk: pytest.approx(800)}
