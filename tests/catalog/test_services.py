from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models.signals import post_save
from django.utils import timezone

from catalog.exceptions import ListingNotReady, PriceRefused, StatusRefused
from catalog.models import Listing, PriceChange
from catalog.services import (
    change_price,
    expire_listings,
    mark_sold,
    publish_listing,
    relist_listing,
    reserve_listing,
    withdraw_listing,
)
from tests.factories import PUBLISHED_AT, ListingFactory

pytestmark = pytest.mark.django_db

STEPS = {
    publish_listing: ({"draft"}, "live"),
    reserve_listing: ({"live"}, "reserved"),
    mark_sold: ({"live", "reserved", "withdrawn", "expired"}, "sold"),
    withdraw_listing: ({"draft", "live", "reserved"}, "withdrawn"),
    relist_listing: ({"reserved", "sold", "withdrawn", "expired"}, "live"),
}


def listing_in(status):
    return ListingFactory(**({} if status == "live" else {status: True}))


@pytest.mark.parametrize("status", Listing.Status.values)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_each_step_leads_on_from_some_statuses_and_is_refused_from_the_others(step, status):
    listing = listing_in(status)
    allowed, target = STEPS[step]
    if status in allowed:
        step(listing=listing)
        listing.refresh_from_db()
        assert listing.status == target
        assert (listing.ended_at is not None) is (target in ("sold", "withdrawn"))
    else:
        with pytest.raises(StatusRefused, match=Listing.Status(status).label.lower()):
            step(listing=listing)
        listing.refresh_from_db()
        assert listing.status == status


def test_a_draft_goes_live_now():
    listing = publish_listing(listing=ListingFactory(draft=True))
    assert timezone.now() - listing.published_at < timedelta(minutes=1)


@pytest.mark.parametrize("step", [publish_listing, relist_listing])
def test_nothing_goes_on_sale_without_a_name_and_a_price(step):
    state = {"status": "draft", "published_at": None} if step is publish_listing else {"withdrawn": True}
    listing = ListingFactory(bare=True, **state)
    with pytest.raises(ListingNotReady, match="without make or title and price") as refusal:
        step(listing=listing)
    assert refusal.value.missing == ("make or title", "price")
    listing.refresh_from_db()
    assert listing.status != "live"


def test_a_title_is_name_enough():
    listing = ListingFactory(draft=True, car_model=None, make=None, title="Kit car")
    assert publish_listing(listing=listing).is_available


@pytest.mark.parametrize("state", ["reserved", "sold"])
def test_a_reservation_or_a_sale_that_falls_through_keeps_its_publication_time(state):
    listing = relist_listing(listing=ListingFactory(**{state: True}))
    assert (listing.published_at, listing.ended_at, listing.is_available) == (PUBLISHED_AT, None, True)


def test_a_sale_that_is_taken_back_leaves_the_listing_as_it_was():
    before = ListingFactory()
    relist_listing(listing=mark_sold(listing=Listing.objects.get(pk=before.pk)))
    after = Listing.objects.get(pk=before.pk)
    assert (after.status, after.published_at, after.ended_at) == (before.status, before.published_at, None)


def test_a_car_that_comes_back_is_news():
    listing = relist_listing(listing=ListingFactory(expired=True))
    assert listing.published_at > PUBLISHED_AT
    assert listing.ended_at is None


def test_of_two_buyers_who_reserve_at_once_the_second_is_refused():
    first = ListingFactory()
    second = Listing.objects.get(pk=first.pk)
    reserve_listing(listing=first)
    with pytest.raises(StatusRefused, match="A listing that is reserved cannot be reserved"):
        reserve_listing(listing=second)


def test_a_step_saves_only_what_it_changed():
    stale = ListingFactory()
    Listing.objects.filter(pk=stale.pk).update(price=1)
    mark_sold(listing=stale)
    stale.refresh_from_db()
    assert stale.price == 1


def test_a_step_is_announced_by_a_saved_row():
    saved = []

    def listen(sender, instance, **kwargs):
        saved.append(instance.status)

    post_save.connect(listen, sender=Listing)
    try:
        mark_sold(listing=ListingFactory())
    finally:
        post_save.disconnect(listen, sender=Listing)
    assert saved[-1] == "sold"


def test_a_new_price_is_noted_beside_the_old():
    listing = ListingFactory(price=12_000)
    change = change_price(listing=listing, price="11499.99")
    listing.refresh_from_db()
    assert listing.price == Decimal("11499.99")
    assert (change.old_price, change.new_price, change.currency) == (12_000, Decimal("11499.99"), "GBP")


def test_a_first_price_or_the_same_one_is_no_step():
    assert change_price(listing=ListingFactory(price=None), price=5) is None
    assert change_price(listing=ListingFactory(price=5), price=5) is None
    assert not PriceChange.objects.exists()


@pytest.mark.parametrize("price", [0, -1, "NaN", "a lot", float("inf"), 10**11])
def test_what_is_no_price_is_refused(price):
    listing = ListingFactory(price=12_000)
    with pytest.raises(PriceRefused):
        change_price(listing=listing, price=price)
    listing.refresh_from_db()
    assert listing.price == 12_000


def test_listings_expire_after_their_lifetime_and_not_before(settings):
    settings.LISTING_LIFETIME_DAYS = 90
    now = PUBLISHED_AT + timedelta(days=90)
    old, young = ListingFactory(published_at=PUBLISHED_AT - timedelta(seconds=1)), ListingFactory()
    sold = ListingFactory(sold=True, published_at=PUBLISHED_AT - timedelta(days=300))
    assert expire_listings(now) == 1
    for listing in (old, young, sold):
        listing.refresh_from_db()
    assert (old.status, old.ended_at) == ("expired", now)
    assert (young.status, sold.status) == ("live", "sold")
    assert expire_listings(now) == 0
