"""Many buyers' events as choices, compared with one event at a time done by hand."""

import uuid
from datetime import UTC, datetime, timedelta
from itertools import combinations

import numpy as np
import pytest

from catalog.filters import ListingFilters
from recommendations.buyers import histories
from recommendations.buyers.histories import SHOWN_AT_MOST, choice_sets_of, searched
from recommendations.events.rows import read_events, read_histories
from recommendations.listings.window import borrow_window
from recommendations.models import EventKind, Interaction, ServedList
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory, ServedListFactory
from tests.worlds import trained_market

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 1, 20, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3650)
N_SAMPLED = 7


@pytest.fixture
def market():
    return trained_market()


def event(buyer, listing=None, kind="view", days_ago=1.0, **fields) -> Interaction:
    return InteractionFactory(
        buyer=buyer, listing=listing, kind=EventKind.objects.get(slug=kind), occurred_at=NOW - timedelta(days=days_ago),
        **fields,
    )  # fmt: skip


def a_bit_of_everything(market) -> None:
    """Two buyers: from a list and from none, from a list unknown, a search, a dislike, a car long gone or deleted."""
    alice, bob = BuyerFactory(), BuyerFactory()
    shown = [car.pk for car in (*market.skodas, *market.bmws, *market.skodas)]
    beside = ServedListFactory(listing_ids=shown)
    event(alice, market.bmws[0], served_list=beside, days_ago=3)
    event(alice, market.bmws[1], days_ago=2, kind="favourite")
    event(alice, query={"makes": ["bmw"]}, kind="search")
    event(alice, query={"makes": ["nobody"]}, kind="search")
    event(bob, market.skodas[0], served_list_id=uuid.uuid4())
    event(bob, market.skodas[1], served_list=ServedListFactory(listing_ids=[market.bmws[0].pk]), kind="dislike")
    event(bob, ListingFactory(sold=True))
    event(bob, None)  # the car was deleted
    event(BuyerFactory(), None)  # a buyer of whom nothing is left


def by_hand(buyer_id: int, window) -> list[tuple[float, bool, list[list[float]]]]:
    """Weight, direction and alternatives of each event of a buyer, oldest first: the slow obvious version."""
    told = []
    for one in Interaction.objects.filter(buyer_id=buyer_id).select_related("kind").order_by("occurred_at", "id"):
        chosen = vector_of(one.listing_id, window) if one.listing_id else searched(one.query, window, one.pk)
        if chosen is None:
            continue
        served = ServedList.objects.filter(pk=one.served_list_id).first()
        shown = served.listing_ids[:SHOWN_AT_MOST] if served and one.listing_id in served.listing_ids else []
        drawn = window.stock.sample_live(one.occurred_at.timestamp(), N_SAMPLED + 1, one.pk)
        drawn = [row for row in drawn if window.stock.listing_ids[row] != one.listing_id][:N_SAMPLED]
        alternatives = [chosen, *(vector_of(key, window) for key in shown if key != one.listing_id)]
        alternatives += [window.stock.vectors[row] for row in drawn]
        age_days = max((NOW - one.occurred_at).total_seconds(), 0) / 86_400
        weight = abs(one.kind.weight) * 2 ** (-age_days / one.kind.half_life_days)
        told.append((weight, one.kind.weight < 0, [vector.tolist() for vector in alternatives]))
    return told


def vector_of(listing_id: int, window) -> np.ndarray:
    vectors, known = window.vectors_of([listing_id])
    return vectors[0] if known[0] else window.vectors_elsewhere([listing_id])[1][0]


def test_all_at_once_says_what_one_event_at_a_time_says(market):
    a_bit_of_everything(market)
    with borrow_window() as window:
        found = choice_sets_of(read_events(since=LONG_AGO), window, NOW, N_SAMPLED)
        for buyer_id in Interaction.objects.order_by().values_list("buyer_id", flat=True).distinct():
            expected = by_hand(buyer_id, window)
            assert (buyer_id in found) is bool(expected)
            for row, (weight, is_against, alternatives) in enumerate(expected):
                sets = found[buyer_id]
                assert sets.weights[row] == pytest.approx(weight)
                assert sets.reverse[row] == is_against
                assert sets.features[row][sets.available[row]].tolist() == alternatives


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


@pytest.mark.parametrize("n_found", [0, 4, 6, 15, 30])
def test_a_search_stands_for_cars_it_finds_however_many(market, monkeypatch, n_found):
    """Of thirty cars twelve are looked through first; four found there are enough, fewer are not, and all are none."""
    monkeypatch.setattr(histories, "SEARCHED_AMONG", 12)
    monkeypatch.setattr(histories, "SEARCH_RESULTS_AVERAGED", 4)
    prices = sorted(float(car.price) for car in (*market.skodas, *market.bmws))
    query = {"max_price": prices[n_found - 1] if n_found else 1}
    with borrow_window() as window:
        vector = searched(query, window, seed=1)
        matching = window.stock.vectors[window.allowed(ListingFilters.from_query(query))]
        assert (vector is None) is (n_found in (0, 30))
        if vector is not None:
            fours = (matching[list(rows)].mean(axis=0) for rows in combinations(range(n_found), 4))
            assert any(np.allclose(vector, mean, atol=1e-5) for mean in fours)


def test_there_may_be_no_events_at_all(market):
    Interaction.objects.all().delete()
    events = read_events(since=LONG_AGO)
    assert len(events) == 0
    with borrow_window() as window:
        assert choice_sets_of(events, window, NOW, N_SAMPLED) == {}
