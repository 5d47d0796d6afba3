"""One statement reads what many queries read; the many are the slow twins it is compared with, after every change."""

from datetime import timedelta

import numpy as np
import pytest
from cachetools import LRUCache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.translation import override

from accounts.models import Buyer
from catalog.models import Listing, Seller
from recommendations.buyers import relations
from recommendations.buyers.context import load_buyer_context
from recommendations.buyers.exclusions import dismissed_listings, frequency_capped_listings
from recommendations.models import EventKind, Experiment, Interaction, Placement, Preference, SavedSearch, ServedList
from recommendations.serving import reading
from recommendations.serving.evidence import evidence_of
from recommendations.serving.lists import ListRequest, recommend
from recommendations.serving.placements import rules_of
from recommendations.serving.reading import read_for_list
from tests.factories import BuyerFactory, ListingFactory, ServedListFactory, UserFactory
from tests.markets import trained_market, view

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _always_in_step(settings):
    settings.WINDOW_STALENESS_SECONDS = 0


@pytest.fixture
def market():
    return trained_market(8)


@pytest.fixture
def buyer(market):
    buyer = BuyerFactory(external=True)
    view(buyer, *market.skodas[:3])
    return buyer


def again(buyer: Buyer) -> Buyer:
    """As the next request finds them."""
    return Buyer.objects.get(pk=buyer.pk)


def assert_like_the_twins(buyer: Buyer, placement: str = "home") -> None:
    buyer = again(buyer)
    reading = read_for_list(placement, buyer)
    rules, slow = rules_of(placement, buyer), load_buyer_context(buyer)
    assert (reading.rules.placement.pk, reading.rules.variant) == (rules.placement.pk, rules.variant)
    for field in Placement._meta.fields:
        got, expected = (getattr(each.placement, field.attname) for each in (reading.rules, rules))
        assert (got, type(got)) == (expected, type(expected))
    assert reading.dismissed == dismissed_listings(buyer)
    assert reading.frequency_capped == frequency_capped_listings(buyer, rules.placement.times_shown_at_most)
    fast = reading.buyer_context
    for name in ("version_id", "is_personal", "n_events", "location", "wishes"):
        assert getattr(fast, name) == getattr(slow, name), name
    for one, other in zip(fast.history, slow.history, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(fast.interests, slow.interests, strict=True):
        assert (one.share, one.offset) == (other.share, other.offset)
        np.testing.assert_array_equal(one.taste.mean, other.taste.mean)
        np.testing.assert_array_equal(one.taste.covariance, other.taste.covariance)
    assert evidence_of(fast) == evidence_of(slow)
    newest = SavedSearch.objects.filter(buyer=buyer).values_list("query", flat=True)[:3]
    assert list(fast.read.searches) == list(newest)


def shown(buyer: Buyer, car: Listing, times: int) -> None:
    lists = [
        ServedList(buyer=buyer, served_at=timezone.now(), listing_ids=[car.pk], scores=[0.0], sources=["taste"])
        for _ in range(times)
    ]
    ServedList.objects.bulk_create(lists)


CHANGES = {
    "a view": lambda market, buyer: view(buyer, market.bmws[0]),
    "a like": lambda market, buyer: view(buyer, market.bmws[1], kind="like"),
    "a dismissal": lambda market, buyer: view(buyer, market.skodas[4], kind="dislike"),
    "a dismissed car that is advertised again": lambda market, buyer: (
        Listing.objects.filter(pk=market.skodas[5].pk).update(fingerprint="one car"),
        view(buyer, market.skodas[5], kind="dislike"),
        ListingFactory(fingerprint="one car"),
    ),
    "a search": lambda market, buyer: Interaction.objects.create(
        buyer=buyer, kind_id="search", event_id="s", occurred_at=timezone.now(),
        query={"makes": ["bmw"], "max_price": 31_000.5},
    ),
    "an older event that comes late": lambda market, buyer: Interaction.objects.create(
        buyer=buyer, kind_id="view", event_id="late", listing=market.bmws[2],
        occurred_at=timezone.now() - timedelta(days=3),
    ),
    "another weight": lambda market, buyer: EventKind.objects.filter(slug="view").update(weight=1.25),
    "a kind that dismisses": lambda market, buyer: EventKind.objects.filter(slug="view").update(is_dismissal=True),
    "answers": lambda market, buyer: Buyer.objects.filter(pk=buyer.pk).update(questionnaire={"max_price": 9000}),
    "an opt-out": lambda market, buyer: Buyer.objects.filter(pk=buyer.pk).update(is_personalised=False),
    "a place": lambda market, buyer: Buyer.objects.filter(pk=buyer.pk).update(latitude=51.5, longitude=-0.1),
    "a saved search": lambda market, buyer: SavedSearch.objects.create(buyer=buyer, query={"makes": ["bmw"]}),
    "a car that changed its make": lambda market, buyer: Listing.objects.filter(pk=market.skodas[0].pk).update(
        make=market.bmws[0].make, car_model=market.bmws[0].car_model, body="estate"
    ),
    "a car of their own": lambda market, buyer: (
        Buyer.objects.filter(pk=buyer.pk).update(user=(user := UserFactory())),
        Seller.objects.filter(pk=market.skodas[0].seller_id).update(user=user),
        Listing.objects.filter(pk=market.skodas[7].pk).update(mileage_km=1),
    ),
    "an account": lambda market, buyer: Seller.objects.filter(pk=market.skodas[1].seller_id).update(
        user=buyer.user or UserFactory()
    ),
    "a blocked seller": lambda market, buyer: (
        Seller.objects.filter(pk=market.skodas[3].seller_id).update(external_id="dealers/7"),
        relations.add_seller(buyer=buyer, relation="blocked", seller="dealers/7"),
    ),
    "a seller of their own in place of the blocked one": lambda market, buyer: (
        Seller.objects.filter(pk=market.skodas[6].seller_id).update(external_id="dealers/8"),
        relations.remove_seller(buyer=buyer, relation="blocked", seller="dealers/7"),
        relations.add_seller(buyer=buyer, relation="own", seller="dealers/8"),
    ),
    "a car shown again": lambda market, buyer: relations.show_listing_again(buyer=buyer, listing=market.skodas[4]),
    "a car hidden, shown, hidden and shown again": lambda market, buyer: (
        relations.hide_listing(buyer=buyer, listing=market.skodas[4]),
        relations.show_listing_again(buyer=buyer, listing=market.skodas[4]),
        relations.hide_listing(buyer=buyer, listing=market.skodas[4]),
        relations.show_listing_again(buyer=buyer, listing=market.skodas[4]),
    ),
    "shown often": lambda market, buyer: shown(buyer, market.skodas[6], 41),
    "a car shown often that is advertised again": lambda market, buyer: (
        Listing.objects.filter(pk=market.skodas[6].pk).update(fingerprint="another car"),
        ListingFactory(fingerprint="another car"),
    ),
    "another cap": lambda market, buyer: (
        Placement.objects.filter(slug="home").update(times_shown_at_most=3),
        shown(buyer, market.skodas[6], 3),
    ),
    "other rules": lambda market, buyer: Placement.objects.filter(slug="home").update(
        diversity=1, boosts={"freshness": 0.5}, filters={"makes": ["skoda"]}
    ),
    "an experiment": lambda market, buyer: Experiment.objects.create(
        slug="trial", placement=Placement.objects.get(slug="home"), status="running",
        variants={"a": {"share": 1.0, "overrides": {"times_shown_at_most": 2}}, "b": {"share": 0.5}},
    ),
    "a holdout": lambda market, buyer: Experiment.objects.filter(slug="trial").update(holdout=50),
    "no holdout, and an arm that was stopped": lambda market, buyer: Experiment.objects.filter(slug="trial").update(
        holdout=0, stopped_arms={"a": {"at": "2026-01-01T00:00:00+00:00", "why": ""}}
    ),
    "a preference that was lost": lambda market, buyer: Preference.objects.filter(buyer=buyer).delete(),
    "a preference that was made again": lambda market, buyer: (
        Preference.objects.filter(buyer=buyer).delete(),
        load_buyer_context(buyer),
    ),
}  # fmt: skip


def test_one_statement_finds_what_the_separate_queries_find_after_every_change(market, buyer):
    for _ in range(2):  # read, and kept
        assert_like_the_twins(buyer)
    for name, change in CHANGES.items():
        change(market, again(buyer))
        for _ in range(2):
            try:
                assert_like_the_twins(buyer)
            except AssertionError as error:
                raise AssertionError(f"after {name}") from error


def test_a_buyer_of_whom_nothing_is_known_and_a_placement_that_does_not_exist(market):
    assert_like_the_twins(BuyerFactory(external=True), "nowhere")


def test_a_list_that_rests_on_what_was_kept_is_the_one_made_from_nothing(market, buyer, settings):
    def answer() -> list[tuple]:
        found = recommend(ListRequest(buyer=again(buyer), k=10)).items
        return [(item.listing.pk, item.score, item.source, item.reason, item.terms) for item in found]

    answer()
    for name, change in CHANGES.items():
        ServedList.objects.filter(buyer=buyer).delete()  # so many lists of one test are not a car shown too often
        change(market, again(buyer))
        for language in ("en", "de"):
            with override(language):
                kept = answer()
                settings.LIST_CACHE_SECONDS = 0
                assert answer() == kept, f"after {name}, in {language}"
                settings.LIST_CACHE_SECONDS = 60


@pytest.mark.parametrize("times_shown_at_most", [0, 3, 40])
def test_a_reading_costs_one_statement_and_sends_the_long_parts_once(market, buyer, settings, times_shown_at_most):
    settings.WINDOW_STALENESS_SECONDS = 60
    Placement.objects.filter(slug="home").update(times_shown_at_most=times_shown_at_most)
    buyer = again(buyer)
    read_for_list("home", buyer)  # computes the preference
    read_for_list("home", buyer)
    with CaptureQueriesContext(connection) as captured:
        first = read_for_list("home", buyer)
        second = read_for_list("home", buyer)
    assert len(captured) == 2
    assert first.buyer_context is second.buyer_context


def test_who_asks_for_lists_all_the_time_takes_the_room_of_many_buyers(buyer, monkeypatch):
    """Such as what watches the site; what would take the room of all is read anew each time, and is the same."""
    others = [BuyerFactory(external=True) for _ in range(3)]
    monkeypatch.setattr(reading, "LISTS_AS_LARGE", 2)
    monkeypatch.setattr(reading, "_kept", LRUCache(4, getsizeof=reading.size_of))
    monkeypatch.setattr(reading, "BUYERS_KEPT", 4)
    for one in (buyer, *others):
        assert_like_the_twins(one)
    assert len(reading._kept) == 4
    listing_ids = list(Listing.objects.values_list("pk", flat=True)[:3])
    for n_lists, is_kept in ((4, True), (6, True), (8, False), (9, False)):
        while ServedList.objects.filter(buyer=buyer).count() < n_lists:
            ServedListFactory(buyer=buyer, listing_ids=listing_ids, served_at=timezone.now() - timedelta(minutes=1))
        assert_like_the_twins(buyer)
        assert (buyer.pk in reading._kept) is is_kept
        assert len(reading._kept) <= 4
