from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from catalog.models import Listing
from recommendations.engine.score_terms import DISTANCE, UTILITY
from recommendations.engine.scoring import LinearScore
from recommendations.events.rows import read_events
from recommendations.listings.rows import read_listings
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.models.artifacts import load_ranker
from recommendations.training.score_weights import LearnedScores, TermConfig, learn_terms
from tests.factories import BuyerFactory, InteractionFactory, ServedListFactory
from tests.markets import view

pytestmark = pytest.mark.django_db

SHOWN = 6


@pytest.fixture
def market(market_of_module):
    return market_of_module


def learned(market, moment, **config) -> LearnedScores:
    rows = read_listings(Listing.objects.exclude(status="draft"))
    snapshot = ListingSnapshot(load_ranker(market.version.pk))
    snapshot.put(rows, snapshot.ranker.vectors(rows.table))
    events = read_events(since=timezone.now() - timedelta(days=365))
    return learn_terms(snapshot, events, moment.timestamp(), TermConfig(**config))


def spread_out(cars) -> None:
    """The first car stands where the buyers live, each further one a degree to the north."""
    for north, car in enumerate(cars):
        Listing.objects.filter(pk=car.pk).update(latitude=50 + north, longitude=10)


def choose_the_nearest(buyer, cars, n: int) -> None:
    """The buyer is shown some neighbouring cars, in any order, and takes the one that stands furthest south."""
    for number in range(n):
        start = number % (len(cars) - SHOWN)
        shown = np.random.default_rng(number).permutation([car.pk for car in cars[start : start + SHOWN]]).tolist()
        served = ServedListFactory(buyer=buyer, listing_ids=shown, served_at=timezone.now())
        InteractionFactory(buyer=buyer, listing=cars[start], served_list=served, occurred_at=timezone.now())


def test_without_later_choices_the_a_priori_weights_stay(market):
    got = learned(market, timezone.now() + timedelta(days=1))
    assert got.n_choices == 0
    np.testing.assert_array_equal(got.known.weights, LinearScore.default().weights)
    np.testing.assert_array_equal(got.cold.weights, LinearScore.default_for_cold_buyers().weights)


def test_what_decides_is_given_weight_for_known_and_for_cold_buyers(market):
    cars = [market.bmws[row] for row in np.random.default_rng(0).permutation(len(market.bmws))]
    spread_out(cars)
    buyers = [BuyerFactory(latitude=50, longitude=10) for _ in range(3)]
    for buyer in buyers:
        view(buyer, *market.bmws[:2])
    moment = timezone.now()
    for buyer in buyers:
        choose_the_nearest(buyer, cars, 30)
    got = learned(market, moment, tests_per_buyer=30)
    assert got.n_choices == 90
    for score in got.known, got.cold:
        weight = dict(zip(score.names, score.weights, strict=True))
        assert weight[DISTANCE] > 2 * weight[UTILITY]
        assert min(score.weights) >= 0
        assert np.isfinite(score.weights).all()


def test_what_was_never_shown_was_not_turned_down(market):
    """All lists show Skodas alone, so that a Skoda was opened says nothing about Skodas."""
    buyer = BuyerFactory(latitude=50, longitude=10)
    view(buyer, *market.skodas[:3])
    moment = timezone.now()
    spread_out(market.skodas)
    choose_the_nearest(buyer, market.skodas, 20)
    with_lists = learned(market, moment, tests_per_buyer=20)
    assert with_lists.known.deviations[with_lists.known.names.index(UTILITY)] < 1.0


def test_it_is_the_same_twice(market):
    moment = timezone.now()
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:6])
    one, other = learned(market, moment), learned(market, moment)
    assert one.n_choices == 6
    np.testing.assert_array_equal(one.known.weights, other.known.weights)
    np.testing.assert_array_equal(one.cold.weights, other.cold.weights)
