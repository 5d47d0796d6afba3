"""What is drawn of a preference follows from its mean and covariance by arithmetic that can be checked."""

import numpy as np
import pytest

from recommendations.buyers.context import load_buyer_context
from recommendations.buyers.interests import Interest
from recommendations.buyers.posteriors import taste_of
from recommendations.buyers.refresh import refresh_preferences
from recommendations.insight.tastes import SURE, contrasts, deviations, portrait, portraits_of
from recommendations.models.artifacts import load_ranker
from tests.factories import BuyerFactory
from tests.markets import crossed_market, remove_market, start_from_the_same_ids, view

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]


@pytest.fixture
def market(market_of_module):
    return market_of_module


def portrait_of(buyer):
    preference = refresh_preferences(buyer_id=buyer.pk)
    ranker = load_ranker(preference.version_id)
    return ranker, taste_of(preference), portrait(ranker, Interest(1.0, 0.0, taste_of(preference)))


def test_a_curve_is_the_encoders_own_against_its_average(market):
    fan = BuyerFactory()
    view(fan, *market.bmws[:6])
    ranker, taste, drawn = portrait_of(fan)
    (price,) = (curve for curve in drawn.curves if curve.field == "price")
    own = ranker.encoder.curve(taste.mean[: ranker.n_content], "price", price.grid)
    np.testing.assert_allclose(price.utility, own - own.mean(), atol=1e-9)
    assert (price.low <= price.utility).all()
    assert (price.high >= price.utility).all()


def test_a_buyer_who_opens_expensive_cars_is_drawn_as_less_price_sensitive(market):
    slopes = []
    for cars in (market.bmws[:5], market.bmws[-5:]):
        buyer = BuyerFactory()
        view(buyer, *cars)
        slopes.append(gain(portrait_of(buyer)[2], 30_000, 37_000))
    assert slopes[0] < slopes[1]


def gain(drawn, low: float, high: float) -> float:
    """How much more utility the higher price has."""
    price = drawn.curves[0]
    return float(np.diff(np.interp([low, high], price.grid, price.utility))[0])


def test_the_band_holds_what_the_belief_allows():
    rows, covariance = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), np.array([[4.0, 1.0], [1.0, 9.0]])
    # variances by hand: 4; 4 * 9; 4 + 9 + 2 * 1
    np.testing.assert_allclose(deviations(rows, covariance), np.sqrt([4, 36, 15]))
    np.testing.assert_allclose(contrasts(rows).mean(axis=0), 0, atol=1e-12)
    assert pytest.approx(1.96) == SURE


def test_what_a_buyer_likes_more_than_others_do_stands_first(market):
    fan = BuyerFactory()
    for _ in range(3):
        view(fan, *market.bmws)
    _, _, drawn = portrait_of(fan)
    makes = drawn.leanings["make"]
    assert [one.level for one in makes] == ["BMW", "Skoda"]
    assert makes[0].more > 0 > makes[1].more
    assert makes[0].low < makes[0].more < makes[0].high


def test_events_raise_certainty_and_nothing_is_known_of_a_cold_buyer(market):
    ranker = load_ranker(market.version.pk)
    cold = portrait(ranker, load_buyer_context(None).interests[0])
    assert {round(one.share, 9) for one in cold.certainties} == {0.0}
    assert not any(one.is_sure for some in cold.leanings.values() for one in some)
    fan = BuyerFactory()
    view(fan, *market.bmws[:6])
    _, _, drawn = portrait_of(fan)
    shares = [one.share for one in drawn.certainties]
    assert shares == sorted(shares, reverse=True)
    assert 0 < shares[0] <= 1


def test_a_multi_interest_buyer_has_a_portrait_for_each_interest():
    remove_market()
    start_from_the_same_ids()
    cars = crossed_market()
    family = BuyerFactory()
    view(family, *cars["cheap Skoda"], *cars["expensive BMW"])
    refresh_preferences(buyer_id=family.pk)
    buyer_context = load_buyer_context(family)
    drawn = portraits_of(buyer_context.ranker, buyer_context.interests)
    assert len(drawn) == 2
    assert sum(one.share for one in drawn) == pytest.approx(1.0)
    prefers_expensive = [gain(one, 5_000, 32_000) > 0 for one in drawn]
    assert sorted(prefers_expensive) == [False, True]
