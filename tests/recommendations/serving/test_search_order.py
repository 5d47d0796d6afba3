"""The order of a search for a buyer, held against scores that are worked out listing by listing and anew each time."""

import numpy as np
import pytest

from catalog.models import Listing
from recommendations.buyers.context import load_buyer_context
from recommendations.events.recording import Event, record_interactions
from recommendations.listings.index import borrow_index
from recommendations.listings.market_statistics import current_market_statistics
from recommendations.models import Placement
from recommendations.serving.placements import HOME, rules_of
from recommendations.serving.ranking import snapshot_with
from recommendations.serving.scorer import Scorer
from recommendations.serving.search_order import best_first, scores_for
from tests.factories import BuyerFactory, ListingFactory
from tests.markets import trained_market, view

pytestmark = pytest.mark.django_db


@pytest.fixture
def market(settings):
    settings.WINDOW_STALENESS_SECONDS = 0
    return trained_market(8)


def slow_scores(ids, buyer):
    """Of each listing by itself, by all that is read and computed for it alone."""
    scores = {}
    for key in ids:
        context = load_buyer_context(buyer)
        with borrow_index() as listing_index:
            snapshot = snapshot_with(listing_index, np.array([key], np.int64))
            scorer = Scorer.of(listing_index, context, rules_of(HOME, buyer), current_market_statistics())
            row = snapshot.stock.rows_of(np.array([key], np.int64))
            if (row >= 0).all():
                scores[key] = scorer.score_listings(snapshot.listing_features.take(row), [key]).scores[0]
    return scores


def assert_like_the_slow_way(ids, buyer):
    slow = slow_scores(ids, buyer)
    fast = scores_for(ids, buyer)
    assert fast.keys() == slow.keys()
    np.testing.assert_allclose([fast[key] for key in ids if key in fast], [slow[key] for key in ids if key in slow],
                               rtol=0, atol=1e-12)  # fmt: skip
    expected = sorted(ids, key=lambda key: -fast.get(key, float("-inf")))
    for _ in range(2):  # the second time from what was kept
        assert best_first(np.array(ids, np.int64), buyer).tolist() == expected


def test_an_order_is_that_of_scores_worked_out_one_by_one_after_every_change(market, settings):
    buyer, ids = BuyerFactory(), list(Listing.objects.order_by("?").values_list("pk", flat=True))
    assert_like_the_slow_way(ids, buyer)
    view(buyer, *market.skodas[:3])
    assert_like_the_slow_way(ids, buyer)
    record_interactions(buyer=buyer, events=[Event(kind="search", query={"makes": ["bmw"]})])
    assert_like_the_slow_way(ids, buyer)
    Listing.objects.filter(pk=ids[0]).update(price=1_234)
    assert_like_the_slow_way(ids, buyer)
    Placement.objects.update_or_create(slug=HOME, defaults={"name": "Home", "boosts": {"deal": 4.0}})
    assert_like_the_slow_way(ids, buyer)
    assert_like_the_slow_way(ids, None)


def test_a_car_that_the_index_does_not_hold_yet_has_its_place_in_the_order(market, settings):
    ids = list(Listing.objects.values_list("pk", flat=True))
    assert_like_the_slow_way(ids, None)
    settings.WINDOW_STALENESS_SECONDS = 10_000
    new = ListingFactory(make=market.skodas[0].make, price=9_000)
    with borrow_index() as listing_index:
        assert not (listing_index.stock.rows_of(np.array([new.pk])) >= 0).any()
    assert_like_the_slow_way([*ids[:5], new.pk, *ids[5:]], BuyerFactory())
    assert_like_the_slow_way([new.pk], None)


def test_before_the_first_training_the_order_stays(db):
    ids = np.array([3, 1, 2], np.int64)
    assert best_first(ids, None).tolist() == [3, 1, 2]
    assert best_first(ids[:0], None).tolist() == []
