from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from catalog.models import Listing
from recommendations.buyers.context import load_buyer_context
from recommendations.buyers.point_in_time import buyer_features_at, market_at
from recommendations.events.rows import read_events
from recommendations.listings.market_statistics import current_market_statistics
from recommendations.listings.rows import read_listings
from recommendations.models.artifacts import load_ranker
from recommendations.training.held_out import snapshot_of
from tests.factories import BuyerFactory, InteractionFactory
from tests.markets import view

pytestmark = pytest.mark.django_db


@pytest.fixture
def market(market_of_module):
    return market_of_module


def the_snapshot(market):
    return snapshot_of(load_ranker(market.version.pk), read_listings(Listing.objects.exclude(status="draft")))


def the_log():
    return read_events(since=timezone.now() - timedelta(days=365))


def known_of(buyer, market, moment):
    return buyer_features_at(the_snapshot(market), the_log(), np.array([buyer.pk]), moment.timestamp())[buyer.pk]


def test_what_is_known_of_a_buyer_now_is_what_serving_knows(market):
    buyer = BuyerFactory(external=True, latitude=50, longitude=10)
    view(buyer, *market.bmws[:3])
    view(buyer, market.skodas[0], kind="favourite")
    served, buyer_features = (
        load_buyer_context(buyer).buyer_features(),
        known_of(buyer, market, timezone.now() + timedelta(seconds=1)),
    )
    np.testing.assert_allclose(buyer_features.weights, served.weights, atol=0.02)  # the sample beside a choice differs
    np.testing.assert_array_equal(buyer_features.history[0], served.history[0])
    np.testing.assert_allclose(buyer_features.history[1], served.history[1])
    assert buyer_features.is_personal
    assert buyer_features.location == served.location


def test_later_events_are_not_known_yet(market):
    buyer = BuyerFactory(external=True)
    view(buyer, *market.bmws[:3])
    between = timezone.now()
    before = known_of(buyer, market, between)
    view(buyer, *market.skodas[:3])
    after = known_of(buyer, market, between)
    np.testing.assert_array_equal(before.weights, after.weights)
    np.testing.assert_array_equal(before.history[0], after.history[0])


def test_a_cold_buyer_is_the_population(market):
    buyer_features = known_of(BuyerFactory(external=True), market, timezone.now())
    np.testing.assert_array_equal(buyer_features.weights[0], the_snapshot(market).ranker.prior.mean)
    assert not buyer_features.is_personal
    assert len(buyer_features.history[0]) == 0


def test_a_disliked_car_is_no_history(market):
    buyer = BuyerFactory(external=True)
    view(buyer, market.bmws[0], kind="dislike")
    assert len(known_of(buyer, market, timezone.now() + timedelta(seconds=1)).history[0]) == 0


def test_demand_as_of_a_time_counts_what_came_before_it(market):
    moment = timezone.now() - timedelta(days=5)
    InteractionFactory(listing=market.bmws[0], occurred_at=moment - timedelta(days=3))
    InteractionFactory(listing=market.bmws[1], occurred_at=moment + timedelta(days=1))
    snapshot = the_snapshot(market)
    then = market_at(snapshot, the_log(), moment.timestamp())
    rows = snapshot.stock.rows_of(np.array([market.bmws[0].pk, market.bmws[1].pk]))
    np.testing.assert_allclose(then.demand_counts[rows], [0.5, 0.0], atol=1e-6)  # one half-life of three days


def test_demand_now_is_what_serving_counts(market):
    snapshot = the_snapshot(market)
    now = market_at(snapshot, the_log(), timezone.now().timestamp())
    served = current_market_statistics().demand
    rows = snapshot.stock.rows_of(np.array(list(served)))
    np.testing.assert_allclose(now.demand_counts[rows], list(served.values()), rtol=1e-3)
