from datetime import timedelta

import pytest
from django.utils import timezone

from recommendations.buyers.exclusions import (
    FREQUENCY_CAP_DAYS,
    dismissed_listings,
    frequency_capped_listings,
    left_out_beside,
    same_cars,
)
from tests.factories import BuyerFactory, ListingFactory, SellerFactory, ServedListFactory
from tests.markets import view

pytestmark = pytest.mark.django_db


def advertised(source: str, fingerprint: str = "one car", **fields):
    return ListingFactory(source=source, external_id=None, fingerprint=fingerprint, **fields)


def shown_to(buyer, *listings, days_ago: float = 1.0) -> None:
    served_at = timezone.now() - timedelta(days=days_ago)
    ServedListFactory(buyer=buyer, listing_ids=[listing.pk for listing in listings], served_at=served_at)


def test_a_dismissed_car_stays_away_when_it_is_relisted():
    alice, bob = BuyerFactory.create_batch(2)
    old, another = advertised("a", sold=True), advertised("a", "another car")
    view(alice, old, kind="dislike")
    relisted = advertised("b")
    assert dismissed_listings(alice) == {old.pk, relisted.pk}
    assert dismissed_listings(bob) == set()
    assert another.pk not in dismissed_listings(alice)


def test_cars_without_a_fingerprint_are_cars_of_their_own():
    buyer = BuyerFactory()
    one, other = ListingFactory.create_batch(2)
    view(buyer, one, kind="hide")
    shown_to(buyer, one, other)
    shown_to(buyer, one)
    assert dismissed_listings(buyer) == {one.pk}
    assert frequency_capped_listings(buyer, 2) == {one.pk}


def test_a_favourable_event_dismisses_nothing():
    buyer, car = BuyerFactory(), advertised("a")
    view(buyer, car)
    assert dismissed_listings(buyer) == set()


def test_ones_own_cars_are_dismissed_while_they_are_for_sale():
    buyer = BuyerFactory()
    seller = SellerFactory(user=buyer.user)
    mine = ListingFactory(seller=seller)
    ListingFactory(seller=seller, sold=True)
    assert dismissed_listings(buyer) == {mine.pk}


def test_how_often_a_car_was_shown_is_counted_over_all_its_advertisements():
    buyer = BuyerFactory()
    old, relisted, unseen = advertised("a", sold=True), advertised("b"), advertised("c")
    fresh = ListingFactory()
    shown_to(buyer, old, fresh)
    shown_to(buyer, relisted)
    assert frequency_capped_listings(buyer, 3) == set()
    shown_to(buyer, relisted)
    assert frequency_capped_listings(buyer, 3) == {old.pk, relisted.pk, unseen.pk}


def test_what_was_shown_long_ago_or_to_others_does_not_count_for_the_frequency_cap():
    buyer, car = BuyerFactory(), ListingFactory()
    shown_to(buyer, car, days_ago=FREQUENCY_CAP_DAYS + 1)
    shown_to(BuyerFactory(), car)
    assert frequency_capped_listings(buyer, 1) == set()


def test_as_of_a_past_time_only_what_was_before_it_counts():
    buyer, car = BuyerFactory(), ListingFactory()
    view(buyer, car, kind="dislike")
    shown_to(buyer, car, days_ago=1)
    earlier, long_before = timezone.now() - timedelta(hours=12), timezone.now() - timedelta(days=2)
    assert (dismissed_listings(buyer, earlier), frequency_capped_listings(buyer, 1, earlier)) == (set(), {car.pk})
    assert frequency_capped_listings(buyer, 1, long_before) == set()
    assert dismissed_listings(buyer, timezone.now() + timedelta(minutes=1)) == {car.pk}


def test_every_advertisement_of_a_car_is_the_same_car():
    one, twin, other, loner = advertised("a"), advertised("b"), advertised("c", "another car"), ListingFactory()
    assert same_cars([one.pk]) == {one.pk, twin.pk}
    assert same_cars([other.pk, loner.pk]) == {other.pk, loner.pk}
    assert same_cars([]) == set()


def test_beside_a_car_neither_the_car_nor_what_the_buyer_dismissed_may_stand():
    buyer = BuyerFactory()
    one, twin, disliked, loner = advertised("a"), advertised("b"), advertised("c", "another car"), ListingFactory()
    view(buyer, disliked, kind="dislike")
    for listing in (one, loner, disliked):
        assert left_out_beside(listing, buyer) == same_cars([listing.pk]) | dismissed_listings(buyer)
        assert left_out_beside(listing, None) == same_cars([listing.pk])
    assert twin.pk in left_out_beside(one, None)
