"""Each reason why a car is missing, met once."""

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.insight import dropped as reason
from recommendations.insight.what_if import WhatIf, answer
from recommendations.models import Placement
from tests.factories import BuyerFactory, ServedListFactory
from tests.markets import view

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]
PLAIN = {
    "diversity": 0, "max_per_model": 0, "max_per_seller": 0, "exploration_positions": 0, "fresh_share": 0,
    "follows_intent": False,
}  # fmt: skip


@pytest.fixture
def market(market_of_module):
    Placement.objects.filter(slug="home").update(**PLAIN)
    return market_of_module


@pytest.fixture
def fan(market):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:4])
    return buyer


def reasons(buyer, **asked) -> dict[int, str]:
    return {one.listing_id: one.reason for one in answer(WhatIf(buyer=buyer, k=5, **asked), with_dropped=True).dropped}


def first(buyer) -> Listing:
    return answer(WhatIf(buyer=buyer, k=5)).recommended.items[0].listing


def test_a_list_by_score_alone_leaves_nothing_out(fan):
    found = answer(WhatIf(buyer=fan, k=5), with_dropped=True)
    assert found.dropped == ()
    assert [found.ranks[item.listing.pk] for item in found.recommended.items] == [1, 2, 3, 4, 5]


def test_a_car_that_was_sold_is_reported_with_the_rank_it_would_have_had(fan):
    best = first(fan)
    Listing.objects.filter(pk=best.pk).update(status="sold", ended_at=timezone.now())
    (missing,) = answer(WhatIf(buyer=fan, k=5), with_dropped=True).dropped
    assert (missing.listing_id, missing.reason, missing.rank) == (best.pk, reason.NOT_FOR_SALE, 1)


def test_a_dismissed_car(fan, market):
    best = first(fan)
    view(fan, best, kind="hide")
    view(fan, *market.bmws[:4])
    assert reasons(fan).get(best.pk) == reason.DISMISSED


def test_a_car_that_the_buyer_sells(fan):
    best = first(fan)
    best.seller.user = fan.user
    best.seller.save()
    Listing.objects.exclude(pk=best.pk).update(seller=None)
    assert reasons(fan) == {best.pk: reason.OWN}


def test_a_car_that_was_shown_often(fan):
    best = first(fan)
    Placement.objects.update(times_shown_at_most=2)
    for _ in range(2):
        ServedListFactory(buyer=fan, served_at=timezone.now(), listing_ids=[best.pk], scores=[0], sources=["taste"])
    assert reasons(fan) == {best.pk: reason.FREQUENCY_CAP}


def test_a_filter_is_reported_by_its_name_and_by_its_owner(fan):
    best = first(fan)
    max_price = float(best.price) - 1
    found = answer(WhatIf(buyer=fan, k=5, filters=ListingFilters(max_price=max_price)), with_dropped=True)
    assert {one.listing_id: (one.reason, one.detail) for one in found.dropped}[best.pk] == (
        reason.ASKED_FILTER,
        "max price",
    )
    Placement.objects.update(filters={"max_price": max_price})
    assert reasons(fan)[best.pk] == reason.PLACEMENT_FILTER


def test_a_cap_is_reported(fan):
    Placement.objects.update(max_per_model=3)
    assert set(reasons(fan).values()) == {reason.MODEL_CAP}
    Placement.objects.update(max_per_model=0, max_per_seller=3)
    Listing.objects.filter(make__slug="skoda").update(seller=None)
    assert set(reasons(fan).values()) == {reason.SELLER_CAP}


def test_diversity_is_reported_with_the_car_it_is_too_similar_to(fan):
    Placement.objects.update(diversity=0.9)
    found = answer(WhatIf(buyer=fan, k=5), with_dropped=True).dropped
    assert {one.reason for one in found} == {reason.DIVERSITY}
    assert "similar to the car at position" in found[0].detail


def test_positions_that_were_reserved_are_reported(fan, market):
    Placement.objects.update(promoted_share=0.4)
    promoted = [car.pk for car in market.skodas]
    Listing.objects.filter(pk__in=promoted).update(promoted_until=timezone.now() + timedelta(days=9))
    found = answer(WhatIf(buyer=fan, k=5), with_dropped=True)
    assert sum(item.source == "promoted" for item in found.recommended.items) == 2
    assert [one.reason for one in found.dropped[:2]] == [reason.KEPT_POSITIONS] * 2
    assert sorted(one.rank for one in found.dropped[:2]) == [4, 5]


def test_a_common_reason_does_not_displace_the_others(fan, market, monkeypatch):
    monkeypatch.setattr(reason, "SHOWN_PER_REASON", 2)
    best = first(fan)
    Listing.objects.filter(pk=best.pk).update(status="sold", ended_at=timezone.now())
    found = answer(WhatIf(buyer=fan, k=5, filters=ListingFilters(makes=("skoda",))), with_dropped=True)
    assert [one.reason for one in found.dropped] == [reason.NOT_FOR_SALE, reason.ASKED_FILTER, reason.ASKED_FILTER]
    assert found.reasons == {reason.NOT_FOR_SALE: 1, reason.ASKED_FILTER: 14}
