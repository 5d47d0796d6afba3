"""Exposure of sellers: counted by day, and asked for over any days."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.dashboard.period import Period
from recommendations.insight.dealers import ORDERS, DealerQuery, by_placement, dealers, n_unseen, totals, trend
from recommendations.insight.seller_days import beginning, count_exposure, days_to_count, needs_counting
from recommendations.models import CountedDay, EventKind, Placement, SellerDay, ServedList
from tests.factories import InteractionFactory, ListingFactory, PlacementFactory, SellerFactory, ServedListFactory

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
TODAY = NOW.date()
ALL = Period(date(2026, 3, 1), TODAY)


@pytest.fixture
def market(db):
    """Two sellers with two cars and one; a list a day for three days, the last at no placement."""
    big, small = SellerFactory(name="Big"), SellerFactory(name="Small")
    unseen, gone = SellerFactory(name="Unseen"), SellerFactory(name="Gone")
    cars = [ListingFactory(seller=seller) for seller in (big, big, small)]
    ListingFactory(seller=unseen)
    ListingFactory(seller=gone, sold=True)
    home = PlacementFactory()
    lists = [
        ServedListFactory(
            served_at=NOW - timedelta(days=days), placement=place, listing_ids=[car.pk for car in shown]
        )
        for days, place, shown in ((2, home, cars), (1, home, cars[:2]), (0, None, cars[:1]))
    ]  # fmt: skip
    for kind, served, car in (
        ("view", lists[0], cars[0]), ("view", lists[0], cars[0]), ("contact", lists[0], cars[0]),
        ("view", lists[0], cars[2]), ("hide", lists[1], cars[1]), ("view", lists[1], cars[2]),  # not in that list
    ):  # fmt: skip
        InteractionFactory(
            kind=EventKind.objects.get(slug=kind), served_list=served, listing=car, buyer=served.buyer, occurred_at=NOW
        )
    ServedListFactory(served_at=NOW, variant="feed", listing_ids=[cars[0].pk])
    return {"big": big, "small": small, "unseen": unseen, "gone": gone, "cars": cars, "lists": lists}


def counts(**given) -> list[tuple]:
    return list(
        SellerDay.objects.filter(**given).order_by("day", "seller__name").values_list(
            "seller__name", "shown", "clicked", "contacted"
        )
    )  # fmt: skip


# --- Counting --------------------------------------------------------------------------------------------------------
def test_a_car_of_a_list_counts_once_on_the_day_of_the_list(market):
    assert count_exposure(NOW) == 3
    assert counts() == [("Big", 2, 1, 1), ("Small", 1, 1, 0), ("Big", 2, 0, 0), ("Big", 1, 0, 0)]
    assert counts(placement=None) == [("Big", 1, 0, 0)]


def test_counting_again_changes_nothing_and_later_clicks_are_added(market):
    for _ in range(2):
        count_exposure(NOW)
    assert SellerDay.objects.count() == 4
    InteractionFactory(served_list=market["lists"][1], listing=market["cars"][1], occurred_at=NOW)
    count_exposure(NOW + timedelta(hours=21))
    assert counts(day=TODAY - timedelta(days=1)) == [("Big", 2, 1, 0)]


def test_days_that_are_over_for_good_stay_though_their_lists_are_gone(market):
    count_exposure(NOW)
    later = NOW + timedelta(days=40)
    count_exposure(later)
    ServedList.objects.all().delete()
    ServedListFactory(served_at=later)
    count_exposure(later + timedelta(days=1))
    assert SellerDay.objects.count() == 4


@pytest.mark.parametrize(
    ("age_days", "counted_hours_ago", "is_needed"),
    [
        (0, None, True), (0, 0.1, True), (1, 1, False), (1, 13, True), (5, 1, False), (5, 21, True), (20, 21, False),
        (20, None, True), (20, 24 * 14, True),
    ],
)  # fmt: skip
def test_a_day_is_counted_again_while_buyers_act_on_its_lists(age_days, counted_hours_ago, is_needed):
    counted_at = None if counted_hours_ago is None else NOW - timedelta(hours=counted_hours_ago)
    assert needs_counting(TODAY - timedelta(days=age_days), counted_at, NOW) is is_needed


def test_without_lists_there_is_nothing_to_count(db):
    assert list(days_to_count(NOW)) == []
    assert count_exposure(NOW) == 0


def test_a_run_that_takes_long_leaves_the_rest_to_the_next(market, monkeypatch):
    monkeypatch.setattr("recommendations.insight.seller_days.SECONDS_AT_MOST", -1)
    assert count_exposure(NOW) == 0
    monkeypatch.undo()
    assert count_exposure(NOW) == 3
    assert CountedDay.objects.count() == 3


# --- Asking ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def counted(market):
    count_exposure(NOW)
    return market


def test_exposure_stands_beside_the_share_of_the_stock(counted):
    answer = dealers(DealerQuery(ALL))
    found, n = answer.dealers, answer.n
    by_name = {one.name: one for one in found}
    assert (n, list(by_name)) == (3, ["Big", "Small", "Unseen"])
    big, small, unseen = by_name.values()
    assert (big.rates.shown, big.rates.clicked, big.rates.contacted) == (5, 1, 1)
    assert (big.exposure_share, small.exposure_share, unseen.exposure_share) == pytest.approx((5 / 6, 1 / 6, 0))
    assert (big.stock_share, small.stock_share) == pytest.approx((0.5, 0.25))
    assert (big.ratio, unseen.ratio) == pytest.approx((5 / 3, 0))
    assert (big.n_live, big.car_days) == (2, pytest.approx(40))


def test_days_and_placements_are_chosen(counted):
    yesterday = TODAY - timedelta(days=1)
    first, *_ = dealers(DealerQuery(Period(yesterday, yesterday))).dealers
    assert first.rates.shown == 2
    home = Placement.objects.get(slug="home").pk
    assert {one.name: one.rates.shown for one in dealers(DealerQuery(ALL, home)).dealers} == {
        "Big": 4,
        "Small": 1,
        "Unseen": 0,
    }
    assert {one.name: one.rates.shown for one in dealers(DealerQuery(ALL, 0)).dealers} == {
        "Big": 1,
        "Small": 0,
        "Unseen": 0,
    }


def test_sellers_without_exposure_are_those_with_cars_that_no_list_showed(counted):
    assert [one.name for one in dealers(DealerQuery(ALL, is_unseen=True)).dealers] == ["Unseen"]
    assert n_unseen(DealerQuery(ALL)) == dealers(DealerQuery(ALL), limit=1).n_unseen == 1
    past = Period(date(2026, 1, 1), date(2026, 1, 31))  # before any list; the sold car was for sale
    assert {one.name for one in dealers(DealerQuery(past, is_unseen=True)).dealers} == {
        "Big",
        "Small",
        "Unseen",
        "Gone",
    }


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_has_all_sellers_once_over_pages(counted, order):
    pages = [dealers(DealerQuery(ALL, order=order), limit=1, offset=n).dealers for n in range(4)]
    assert sorted(one.name for page in pages for one in page) == ["Big", "Small", "Unseen"]


def test_placements_and_days_add_up_to_the_whole(counted):
    assert sum(rates.shown for rates in totals(ALL).values()) == 6
    assert {name: rates.shown for name, rates in totals(ALL).items()} == {"Home page": 5, "": 1}
    assert {day: rates.shown for day, rates in trend(ALL).items()} == {
        TODAY - timedelta(days=2): 3, TODAY - timedelta(days=1): 2, TODAY: 1,
    }  # fmt: skip
    rows = list(by_placement(ALL))
    assert [(name, place, shown) for _, name, _, place, shown, *_ in rows] == [
        ("Big", "", 1), ("Big", "Home page", 4), ("Small", "Home page", 1),
    ]  # fmt: skip
    assert [row[1] for row in by_placement(ALL, counted["small"].pk)] == ["Small"]


def test_no_days_have_no_figures(counted):
    future = Period(date(2099, 1, 1), date(2099, 1, 2))
    assert (totals(future), trend(future), list(by_placement(future))) == ({}, {}, [])


@given(st.dates(date(1970, 1, 1), date(2200, 1, 1)), st.integers(1, 3660))
@settings(max_examples=25, deadline=None)
def test_the_days_before_are_as_many_and_end_where_these_begin(first, n_days):
    period = Period(first, first + timedelta(days=n_days - 1))
    assert period.n_days == period.before.n_days == n_days
    assert period.before.last + timedelta(days=1) == period.first
    assert beginning(period.first).date() == period.first
