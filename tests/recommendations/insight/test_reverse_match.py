from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.models import Listing
from recommendations.buyers.refresh import refresh_preferences
from recommendations.insight.reverse_match import active_buyers, matching_buyers
from recommendations.listings.index import borrow_index
from recommendations.models import Interaction
from tests.factories import BuyerFactory, InteractionFactory
from tests.markets import view

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]


@pytest.fixture
def market(market_of_module):
    return market_of_module


def learned(*cars, **fields):
    buyer = BuyerFactory(**fields)
    view(buyer, *cars)
    refresh_preferences(buyer_id=buyer.pk)
    return buyer


def test_who_looks_at_its_like_wants_it_most(market):
    skoda_fan, bmw_fan = learned(*market.skodas[:5]), learned(*market.bmws[:5])
    found = matching_buyers(market.bmws[7])
    assert [match.buyer for match in found.matches] == [bmw_fan, skoda_fan]
    first, last = found.matches
    assert first.share_better < 0.5 <= last.share_better
    assert (found.n_cars, found.is_sampled) == (30, False)
    assert sum(n for _, n in found.bands()) == 2


def test_its_place_is_the_one_it_has_among_all_cars_by_that_score(market):
    fan = learned(*market.bmws[:5])
    ranks = sorted(matching_buyers(car).matches[0].rank for car in (*market.skodas, *market.bmws))
    assert matching_buyers(market.bmws[0]).matches[0].buyer == fan
    assert ranks[0] == 1
    assert ranks[-1] <= 30
    assert len(set(ranks)) > 20  # cars that are exactly alike may share one


def test_a_sold_car_can_be_asked_about_too(market):
    learned(*market.bmws[:5])
    Listing.objects.filter(pk=market.bmws[0].pk).update(status="sold", ended_at=timezone.now())
    assert matching_buyers(Listing.objects.get(pk=market.bmws[0].pk)).n_cars == 29


def test_what_a_buyer_did_with_it_is_the_strongest_event(market):
    fan = learned(*market.bmws[:5])
    view(fan, market.bmws[0], kind="contact")
    view(fan, market.bmws[0])
    assert matching_buyers(market.bmws[0]).matches[0].did == "Contacted the seller"
    assert matching_buyers(market.bmws[9]).matches[0].did == ""


def test_who_opted_out_or_has_no_preference_is_not_asked(market):
    learned(*market.bmws[:5], is_personalised=False)
    view(BuyerFactory(), market.bmws[0])
    assert matching_buyers(market.bmws[0]) is None


def test_the_work_is_bounded_by_the_buyers_who_were_active_last(market):
    Interaction.objects.all().delete()
    now = timezone.now()
    events = [
        InteractionFactory(listing=market.bmws[0], received_at=now - timedelta(days=day), occurred_at=now)
        for day in range(4)
    ]
    assert list(active_buyers(2)) == [event.buyer_id for event in events[:2]]


def test_a_large_stock_is_sampled_evenly(market, monkeypatch):
    monkeypatch.setattr("recommendations.insight.reverse_match.SAMPLED_CARS", 10)
    learned(*market.bmws[:5])
    found = matching_buyers(market.bmws[7])
    with borrow_index() as listing_index:
        assert len(listing_index.live_sample(10)) < 30
    assert found.is_sampled
    assert 1 <= found.matches[0].rank <= 31


def test_before_any_ranker_no_buyer_can_be_asked():
    assert matching_buyers(InteractionFactory().listing) is None
