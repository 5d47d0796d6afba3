from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from accounts.models import Buyer
from catalog.models import Listing
from recommendations.buyers.point_in_time import buyer_features_at, market_at
from recommendations.engine.ranker import Ranker
from recommendations.events.rows import read_events
from recommendations.listings.rows import read_listings
from recommendations.models.artifacts import load_ranker
from recommendations.training import held_out as evaluation
from recommendations.training.held_out import (
    compare_with,
    held_out_lists,
    lists_by_popularity,
    lists_in_market,
    popularity_at,
    snapshot_of,
)
from recommendations.training.held_out_case import HeldOut, held_out_after
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory, ServedListFactory
from tests.markets import view

pytestmark = pytest.mark.django_db


@pytest.fixture
def market(market_of_module):
    return market_of_module


def the_rows():
    return read_listings(Listing.objects.exclude(status="draft"))


def the_snapshot(market, ranker: Ranker | None = None):
    return snapshot_of(ranker or load_ranker(market.version.pk), the_rows())


def the_log():
    return read_events(since=timezone.now() - timedelta(days=365))


def asked(market, cutoff, **options):
    snapshot = the_snapshot(market)
    return snapshot, held_out_after(snapshot, the_log(), cutoff.timestamp(), **options)


def ids_of(snapshot, case, positions):
    return snapshot.stock.listing_ids[case.candidate_rows[positions]].tolist()


def test_buyers_are_asked_for_what_they_acted_on_later_and_not_before(market):
    buyer = BuyerFactory(external=True)
    view(buyer, *market.bmws[:2])
    cutoff = timezone.now()
    view(buyer, market.bmws[1], market.bmws[5])
    view(buyer, market.skodas[0], kind="dislike")
    snapshot, case = asked(market, cutoff)
    assert case.buyer_ids.tolist() == [buyer.pk]
    assert ids_of(snapshot, case, case.relevant[0]) == [market.bmws[5].pk]
    assert sorted(ids_of(snapshot, case, case.seen[0])) == [market.bmws[0].pk, market.bmws[1].pk]
    assert len(case.event_ids) == 1


def test_only_listings_live_at_the_cutoff_are_candidates(market):
    cutoff = timezone.now()
    newcomer = ListingFactory(published_at=cutoff + timedelta(seconds=1))
    Listing.objects.filter(pk=market.bmws[0].pk).update(status="sold", ended_at=cutoff - timedelta(days=1))
    view(BuyerFactory(external=True), newcomer, market.bmws[1])
    snapshot, case = asked(market, cutoff)
    candidates = ids_of(snapshot, case, np.arange(len(case.candidate_rows)))
    assert newcomer.pk not in candidates
    assert market.bmws[0].pk not in candidates
    assert len(candidates) == 29
    assert ids_of(snapshot, case, case.relevant[0]) == [market.bmws[1].pk]


def test_no_more_buyers_than_wanted_are_asked_and_the_same_ones_again(market):
    cutoff = timezone.now()
    for start in range(6):
        view(BuyerFactory(external=True), market.bmws[start])
    first, again = (asked(market, cutoff, max_buyers=3, seed=5)[1] for _ in range(2))
    assert len(first) == 3
    assert first.buyer_ids.tolist() == again.buyer_ids.tolist()
    assert len(first.event_ids) == 3


def test_the_test_may_end(market):
    cutoff = timezone.now()
    InteractionFactory(listing=market.bmws[0], occurred_at=cutoff + timedelta(days=2))
    assert len(asked(market, cutoff, until=cutoff.timestamp() + 86_400)[1]) == 0
    assert len(asked(market, cutoff, until=cutoff.timestamp() + 3 * 86_400)[1]) == 1


def our_lists(snapshot, case, k):
    buyer_features = buyer_features_at(snapshot, the_log(), case.buyer_ids, case.cutoff)
    return lists_in_market(snapshot, market_at(snapshot, the_log(), case.cutoff), case, buyer_features, k)


def test_the_shortlist_leaves_out_nothing_that_would_be_listed(market, monkeypatch):
    for cars in (market.bmws, market.skodas):
        buyer = BuyerFactory(external=True)
        view(buyer, *cars[:3])
    cutoff = timezone.now()
    for buyer in Buyer.objects.order_by("-pk")[:2]:
        view(buyer, market.bmws[9], market.skodas[9])
    snapshot, case = asked(market, cutoff)
    whole = our_lists(snapshot, case, 5)
    monkeypatch.setattr(evaluation, "SHORTLIST", 20)
    np.testing.assert_array_equal(our_lists(snapshot, case, 5), whole)


@pytest.mark.parametrize("k", [1, 3, 4, 9])
def test_the_best_are_those_of_a_full_sort_ties_by_position(k):
    scores = np.array([0.5, 2.0, 0.5, -np.inf, 2.0, 0.5, 1.0])
    case = HeldOut(0.0, np.array([1]), np.arange(7), [np.array([0])], [np.array([6])], np.array([1]))
    expected = [1, 4, 0, 2, 5]  # the fourth is not allowed, the last was seen
    assert case.best(scores, 0, k).tolist() == (expected + [-1] * 9)[:k]


def test_each_buyer_is_shown_their_kind_and_nothing_they_had(market):
    alice, bob = BuyerFactory(external=True), BuyerFactory(external=True)
    view(alice, *market.bmws[:3])
    view(bob, *market.skodas[:3])
    cutoff = timezone.now()
    view(alice, market.bmws[9])
    view(bob, market.skodas[9])
    snapshot, case = asked(market, cutoff)
    lists = our_lists(snapshot, case, 10)
    shown = [set(ids_of(snapshot, case, row)) for row in lists]
    assert shown[0] <= {car.pk for car in market.bmws[3:]}
    assert shown[1] <= {car.pk for car in market.skodas[3:]}


def test_lists_are_filled_up_where_there_is_nothing_more_to_show(market):
    buyer = BuyerFactory(external=True)
    view(buyer, *market.bmws[:3])
    cutoff = timezone.now()
    view(buyer, market.bmws[9])
    snapshot, case = asked(market, cutoff)
    lists = our_lists(snapshot, case, 40)
    assert lists.shape == (1, 40)
    assert (lists[0] == -1).sum() == 13  # 30 cars, three of which the buyer had


def test_popularity_looks_at_nothing_after_the_cutoff(market):
    cutoff = timezone.now()
    popular = market.skodas[14]
    for _ in range(30):
        InteractionFactory(listing=popular, occurred_at=cutoff + timedelta(minutes=1))
    view(BuyerFactory(external=True), market.bmws[9])
    snapshot, case = asked(market, cutoff)
    first = ids_of(snapshot, case, lists_by_popularity(popularity_at(the_log(), snapshot, case.cutoff), case)[:, 0])
    assert popular.pk not in first


def test_a_space_is_reported_beside_popularity(market):
    cutoff = timezone.now()
    for start in range(4):
        buyer = BuyerFactory(external=True)
        view(buyer, *market.bmws[start : start + 3])
    view(buyer, market.bmws[9])
    metrics = held_out_lists(the_snapshot(market), the_log(), cutoff.timestamp()).metrics()
    assert set(metrics["rankers"]) == {"forecourt", "taste", "popularity"}
    assert metrics["n_buyers"] == 4
    assert metrics["n_candidates"] == 30
    assert all(0 <= value <= 1 for figures in metrics["rankers"].values() for value in figures.values())


def test_nothing_is_reported_where_no_buyer_did_anything(market):
    assert held_out_lists(the_snapshot(market), the_log(), timezone.now().timestamp() + 60).metrics() == {}


def the_other_way_round(ranker: Ranker) -> Ranker:
    """A ranker that likes whatever the population does not."""
    return replace(ranker, score=ranker.score.with_weights(dict.fromkeys(ranker.score.names, -1.0)))


def test_versions_are_compared_on_the_same_buyers(market):
    buyers = [BuyerFactory(external=True) for _ in range(8)]
    for start, buyer in enumerate(buyers):
        view(buyer, *market.bmws[start : start + 3])
    cutoff = timezone.now()
    last_id = the_log().last_id
    for buyer in buyers:
        view(buyer, market.bmws[12])
    snapshot, opposite = the_snapshot(market), the_snapshot(market, the_other_way_round(the_snapshot(market).ranker))
    tested = held_out_lists(snapshot, the_log(), cutoff.timestamp())
    same = compare_with(the_snapshot(market), tested, the_log(), last_id, reference=opposite, live_recorded=0.5)
    np.testing.assert_array_equal(same.new, same.live)
    assert same.new_coverage == same.live_coverage > 0
    assert (same.seen_by_live, same.live_recorded) == (0, 0.5)
    assert same.reference.mean() < same.live.mean()
    assert len(same.popularity) == len(same.new) == 8


def test_a_comparison_knows_what_was_known_of_buyers_and_what_they_went_for(market):
    known, cold, both = (BuyerFactory(external=True) for _ in range(3))
    view(known, *market.bmws[:3])
    view(both, market.skodas[1])
    cutoff = timezone.now()
    last_id = the_log().last_id
    view(known, market.bmws[12])
    view(cold, market.skodas[0])
    view(both, market.bmws[11], market.skodas[2])
    tested = held_out_lists(the_snapshot(market), the_log(), cutoff.timestamp())
    segments = compare_with(the_snapshot(market), tested, the_log(), last_id).segments
    of_buyers = {
        name: set(tested.case.buyer_ids[own].tolist())
        for name, own in segments.items()
        if name.endswith("buyers") or name.startswith("make")
    }
    assert of_buyers == {
        "known buyers": {known.pk, both.pk}, "cold buyers": {cold.pk},
        "make bmw": {known.pk, both.pk}, "make skoda": {cold.pk, both.pk},
    }  # fmt: skip
    assert np.any([segments[f"the {band} third"] for band in ("cheapest", "middle", "dearest")], axis=0).all()


def test_versions_are_asked_for_the_choices_among_what_was_shown(market):
    buyers = [BuyerFactory(external=True) for _ in range(3)]
    for buyer in buyers:
        view(buyer, *market.bmws[:4])
    cutoff = timezone.now()
    beside = [car.pk for car in market.skodas[:5]]
    for buyer in buyers[:2]:  # the third opens a car that no list showed
        shown = ServedListFactory(buyer=buyer, listing_ids=[*beside, market.bmws[12].pk], served_at=cutoff)
        InteractionFactory(buyer=buyer, listing=market.bmws[12], served_list=shown, occurred_at=timezone.now())
    view(buyers[2], market.bmws[12])
    snapshot, opposite = the_snapshot(market), the_snapshot(market, the_other_way_round(the_snapshot(market).ranker))
    figures = compare_with(opposite, held_out_lists(snapshot, the_log(), cutoff.timestamp()), the_log(), 0)
    np.testing.assert_array_equal(figures.new_won, [1.0, 1.0, np.nan])
    np.testing.assert_array_equal(figures.live_won, [0.0, 0.0, np.nan])
    assert figures.reference_won is None


def test_what_the_live_version_knew_of_the_test_is_said(market):
    cutoff = timezone.now()
    for start in range(6):
        view(BuyerFactory(external=True), market.bmws[start])
    known = the_log().last_id
    for start in range(5):
        view(BuyerFactory(external=True), market.bmws[start])
    snapshot = the_snapshot(market)
    tested = held_out_lists(snapshot, the_log(), cutoff.timestamp())
    assert compare_with(snapshot, tested, the_log(), known).seen_by_live == pytest.approx(6 / 11)
