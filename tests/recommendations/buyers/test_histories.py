"""Many buyers' events as choices, compared with one event at a time done by hand."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from recommendations.buyers.histories import SHOWN_AT_MOST, choice_sets_of
from recommendations.events.rows import read_events, read_histories
from recommendations.listings.index import borrow_index
from recommendations.models import EventKind, Interaction, Placement, ServedList
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory, ServedListFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 1, 20, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3650)
N_SAMPLED = 7
BIAS = 0.4


@pytest.fixture
def market(market_of_module):
    return market_of_module


def event(buyer, listing=None, kind="view", days_ago=1.0, **fields) -> Interaction:
    return InteractionFactory(
        buyer=buyer, listing=listing, kind=EventKind.objects.get(slug=kind), occurred_at=NOW - timedelta(days=days_ago),
        **fields,
    )  # fmt: skip


def home() -> Placement:
    return Placement.objects.get(slug="home")


def a_bit_of_everything(market) -> None:
    """Two buyers: from a list and from none, from a list unknown, a search, a dislike, a car long gone or deleted."""
    alice, bob = BuyerFactory(), BuyerFactory()
    shown = [car.pk for car in (*market.skodas, *market.bmws, *market.skodas)]
    beside = ServedListFactory(listing_ids=shown, placement=home())
    event(alice, market.bmws[0], served_list=beside, days_ago=3)
    event(alice, market.bmws[1], days_ago=2, kind="favourite")
    event(alice, query={"makes": ["bmw"]}, kind="search")
    event(alice, query={"makes": ["unknown-make"]}, kind="search")
    asked_for = ServedListFactory(listing_ids=shown[3:6], placement=None)
    event(bob, market.skodas[4], served_list=asked_for, days_ago=2)
    event(bob, market.skodas[0], served_list_id=uuid.uuid4())
    event(bob, market.skodas[1], served_list=ServedListFactory(listing_ids=[market.bmws[0].pk]), kind="dislike")
    event(bob, ListingFactory(sold=True))
    event(bob, None)  # the car was deleted
    event(BuyerFactory(), None)  # a buyer of whom nothing is left


def by_hand(buyer_id: int, listing_index) -> list[tuple[float, bool, list[list[float]], list[float]]]:
    """Weight, direction, alternatives and offsets of each choice of a buyer on a listing: the slow obvious version."""
    choices = []
    events = Interaction.objects.filter(buyer_id=buyer_id, listing__isnull=False).select_related("kind")
    for one in events.order_by("occurred_at", "id"):
        served = ServedList.objects.filter(pk=one.served_list_id).first()
        shown = served.listing_ids[:SHOWN_AT_MOST] if served and one.listing_id in served.listing_ids else []
        others = [(position, key) for position, key in enumerate(shown, start=1) if key != one.listing_id]
        alternatives = [vector_of(one.listing_id, listing_index), *(vector_of(key, listing_index) for _, key in others)]
        positions = [shown.index(one.listing_id) + 1 if shown else 1, *(position for position, _ in others)]
        if not others:
            moments, seeds = np.array([one.occurred_at.timestamp()]), np.array([one.pk])
            drawn = listing_index.stock.samples_live(moments, N_SAMPLED + 1, seeds)[0].tolist()
            drawn = [row for row in drawn if row >= 0 and listing_index.stock.listing_ids[row] != one.listing_id][
                :N_SAMPLED
            ]
            alternatives += [listing_index.stock.vectors[row] for row in drawn]
            positions += [positions[0]] * len(drawn)
        age_days = max((NOW - one.occurred_at).total_seconds(), 0) / 86_400
        weight = abs(one.kind.weight) * 2 ** (-age_days / one.kind.half_life_days)
        offsets = (-BIAS * np.log2(positions)).tolist()
        choices.append((weight, one.kind.weight < 0, [vector.tolist() for vector in alternatives], offsets))
    return choices


def vector_of(listing_id: int, listing_index) -> np.ndarray:
    vectors, known = listing_index.vectors_of([listing_id])
    return vectors[0] if known[0] else listing_index.vectors_elsewhere([listing_id])[1][0]


def test_all_at_once_says_what_one_event_at_a_time_says(market):
    a_bit_of_everything(market)
    with borrow_index() as listing_index:
        listing_index.ranker = replace(listing_index.ranker, position_bias=BIAS)
        found = choice_sets_of(read_events(since=LONG_AGO), listing_index, NOW, N_SAMPLED)
        for buyer_id in Interaction.objects.order_by().values_list("buyer_id", flat=True).distinct():
            expected = by_hand(buyer_id, listing_index)
            assert (buyer_id in found) is bool(expected)
            for row, (weight, is_against, alternatives, offsets) in enumerate(expected):
                sets = found[buyer_id]
                assert sets.weights[row] == pytest.approx(weight)
                assert sets.reverse[row] == is_against
                assert sets.features[row][sets.available[row]].tolist() == alternatives
                np.testing.assert_allclose(sets.offsets[row][sets.available[row]], offsets, atol=1e-6)


def test_a_search_adds_a_choice_for_each_of_its_conditions(market):
    buyer = BuyerFactory()
    event(buyer, query={"makes": ["bmw"], "max_price": 20_000}, kind="search")
    event(buyer, query={"makes": ["unknown-make"]}, kind="search")
    with borrow_index() as listing_index:
        sets = choice_sets_of(read_events(since=LONG_AGO), listing_index, NOW, N_SAMPLED)[buyer.pk]
    assert sets.features.shape == (2, 1 + N_SAMPLED, listing_index.ranker.n_dims)
    assert not sets.offsets.any()


def test_reloads_of_a_page_and_of_a_search_are_one_occasion(market):
    once, often = BuyerFactory(), BuyerFactory()
    for buyer, n in ((once, 1), (often, 60)):
        for second in range(n):
            event(buyer, market.bmws[0], days_ago=1 - second / 86_400)
            event(buyer, query={"makes": ["bmw"]}, kind="search", days_ago=1 - second / 86_400)
    with borrow_index() as listing_index:
        found = choice_sets_of(read_events(since=LONG_AGO), listing_index, NOW, N_SAMPLED)
    assert len(found[once.pk]) == len(found[often.pk]) == 2
    np.testing.assert_allclose(found[once.pk].weights, found[often.pk].weights, rtol=1e-3)


def test_a_contact_from_the_page_of_a_car_comes_from_the_list_that_led_there(market):
    """Else it would be compared with a random sample of the stock, and our selection would count as a preference."""
    buyer = BuyerFactory()
    shown = ServedListFactory(listing_ids=[car.pk for car in market.bmws[:4]], placement=home())
    event(buyer, market.bmws[1], served_list=shown, days_ago=1)
    event(buyer, market.bmws[1], kind="contact", days_ago=0.9)
    event(buyer, market.bmws[2], kind="contact", days_ago=0.9)
    with borrow_index() as listing_index:
        sets = choice_sets_of(read_events(since=LONG_AGO), listing_index, NOW, N_SAMPLED)[buyer.pk]
    assert sets.available.sum(axis=1).tolist() == [4, 4, 1 + N_SAMPLED]


def test_a_list_that_was_filtered_is_asked_for_as_a_search_is(market):
    """Once for each session, also with the same search in it; and what it left out is not turned down."""
    shown = [car.pk for car in market.bmws[:4]]
    by_filter, by_both, by_search = BuyerFactory(), BuyerFactory(), BuyerFactory()
    for buyer in (by_filter, by_both):
        served = ServedListFactory(buyer=buyer, listing_ids=shown, placement=home(), filters={"makes": ["bmw"]})
        for number, car in enumerate(market.bmws[:2]):
            event(buyer, car, served_list=served, days_ago=1 - number / 86_400)
    for buyer in (by_both, by_search):
        event(buyer, query={"makes": ["bmw"]}, kind="search", days_ago=1)
    with borrow_index() as listing_index:
        found = choice_sets_of(read_events(since=LONG_AGO), listing_index, NOW, N_SAMPLED)
    for buyer in (by_filter, by_both):
        assert found[buyer.pk].available.sum(axis=1).tolist() == [4, 4, 1 + N_SAMPLED]
    [_, _, condition], [alone] = found[by_filter.pk].weights, found[by_search.pk].weights
    assert condition == pytest.approx(alone, rel=1e-3)


def test_a_car_opened_from_a_search_was_chosen_among_those_that_the_search_found(market):
    searcher, wanderer = BuyerFactory(), BuyerFactory()
    for buyer in (searcher, wanderer):
        event(buyer, query={"makes": ["bmw"]}, kind="search", days_ago=1)
        event(buyer, query={"makes": ["skoda"]}, kind="search", days_ago=1 - 1 / 86_400)
    opened = event(searcher, market.bmws[0], days_ago=1 - 2 / 86_400)
    event(wanderer, market.bmws[0], days_ago=0.5)  # in another session
    with borrow_index() as listing_index:
        found = choice_sets_of(read_events(since=LONG_AGO), listing_index, NOW, N_SAMPLED)
        of_bmws, _ = listing_index.vectors_of([car.pk for car in market.bmws if car.pk != opened.listing_id])

        def is_bmw(vector) -> bool:
            return bool((of_bmws == vector).all(axis=1).any())

        beside, of_stock = (found[buyer.pk].features[0, 1 : 1 + N_SAMPLED] for buyer in (searcher, wanderer))
        assert 0 < found[searcher.pk].available[0].sum() - 1 <= len(of_bmws)
        assert all(is_bmw(vector) for vector in beside[found[searcher.pk].available[0, 1 : 1 + N_SAMPLED]])
        assert not all(is_bmw(vector) for vector in of_stock)


def test_a_history_is_the_newest_events_of_each_buyer_oldest_first(market):
    alice, bob = BuyerFactory(), BuyerFactory()
    events = [event(alice, market.bmws[day], days_ago=day + 1) for day in range(5)]
    event(bob, market.skodas[0], kind="contact", days_ago=30)
    found = read_histories([alice.pk, bob.pk, 10**9], at_most=3)
    assert found.ids.tolist() == [bob.interactions.get().pk, events[2].pk, events[1].pk, events[0].pk]
    assert found.kinds.tolist() == ["contact", "view", "view", "view"]
    assert found.listing_ids[-1] == market.bmws[0].pk
    assert found.occurred_at[-1] == (NOW - timedelta(days=1)).timestamp()
    earlier = read_histories([alice.pk], at_most=2, before=NOW - timedelta(days=2, hours=12))
    assert earlier.ids.tolist() == [events[3].pk, events[2].pk]


def test_there_may_be_no_events_at_all(market):
    Interaction.objects.all().delete()
    events = read_events(since=LONG_AGO)
    assert len(events) == 0
    with borrow_index() as listing_index:
        assert choice_sets_of(events, listing_index, NOW, N_SAMPLED) == {}
