"""What each source proposes, what the shares of a placement make of it, and what becomes of it in a list."""

from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.buyers.context import load_buyer_context
from recommendations.buyers.refresh import refresh_preferences
from recommendations.listings.index import borrow_index
from recommendations.listings.market_statistics import forget_market_statistics
from recommendations.models import EventKind, Placement, SavedSearch
from recommendations.serving.lists import ListRequest, recommend
from recommendations.serving.placements import rules_of
from recommendations.serving.ranking import (
    RankRequest,
    build_ranking_context,
    focus_on_stock,
    gather,
    policy_for,
    rank,
    sources_for,
)
from recommendations.serving.rules import Rules
from recommendations.serving.sources import SOURCES
from tests.factories import BuyerFactory, InteractionFactory, PlacementFactory, PriceChangeFactory
from tests.markets import crossed_market, remove_market, view

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]


@pytest.fixture
def market(market_of_module):
    return market_of_module


@pytest.fixture
def fan(market):
    """A buyer who likes BMWs."""
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:4])
    return buyer


def proposed(name: str, buyer=None, n: int = 10, **rules) -> list[int]:
    """Ids that one source proposes, under rules that differ from the usual ones."""
    (source,) = [source for source in SOURCES if source.name == name]
    buyer_context = load_buyer_context(buyer)
    with borrow_index() as listing_index:
        context = build_ranking_context(
            listing_index, buyer_context, Rules(Placement(**rules)), ListingFilters(), "hybrid", ()
        )
        return source.propose(buyer_context, context, n).tolist()


def published(days_ago: float, *cars) -> None:
    moment = timezone.now() - timedelta(days=days_ago)
    Listing.objects.filter(pk__in=[car.pk for car in cars]).update(published_at=moment)


def contacted(car, times: int, days_ago: float = 0.1) -> None:
    for _ in range(times):
        InteractionFactory(
            listing=car,
            kind=EventKind.objects.get(slug="contact"),
            occurred_at=timezone.now() - timedelta(days=days_ago),
            buyer=BuyerFactory(external=True),
        )
    forget_market_statistics()


def only(**shares: float) -> dict[str, float]:
    """Shares with every source switched off but these."""
    return {**{source.name: 0.0 for source in SOURCES}, **shares}


def ids(cars) -> set[int]:
    return {car.pk for car in cars}


# --- One by one ------------------------------------------------------------------------------------------------------
def test_taste_proposes_what_suits(market, fan):
    assert set(proposed("taste", fan)) <= ids(market.bmws)


def test_neighbours_are_of_the_archetypes_that_go_with_the_history(market, fan):
    assert set(proposed("neighbours", fan)) <= ids(market.bmws)
    assert proposed("neighbours", None) == []


def test_a_trend_is_a_rate_and_not_a_number(market):
    """Three calls in two days are a trend beside four in three hundred, and one on the first day is none yet."""
    slow, quick, first = market.skodas[:3]
    published(300, *market.skodas, *market.bmws)
    published(2, quick)
    published(0.05, first)
    contacted(slow, 4, days_ago=1)
    contacted(quick, 3, days_ago=1)
    contacted(first, 1, days_ago=0.02)
    assert proposed("trending")[0] == quick.pk
    assert set(proposed("trending")) == {slow.pk, quick.pk, first.pk}


def test_where_no_seller_is_contacted_any_event_makes_a_trend(market):
    InteractionFactory(listing=market.skodas[3], occurred_at=timezone.now() - timedelta(hours=2))
    forget_market_statistics()
    assert proposed("trending")[0] == market.skodas[3].pk


def test_fresh_stock_is_new_and_suits(market, fan):
    published(1, *market.bmws[5:8], *market.skodas[5:8])
    assert set(proposed("fresh", fan)) == ids(market.bmws[5:8])


def test_a_saved_search_brings_what_it_finds(market, fan):
    SavedSearch.objects.create(buyer=fan, name="a cheap one", query={"max_price": 5_300})
    SavedSearch.objects.create(buyer=fan, name="an expensive one", query={"min_price": 36_600})
    expected = ids(market.skodas[:4]) | ids(market.bmws[14:])
    assert set(proposed("saved search", fan)) == expected
    assert set(proposed("saved search", fan, n=2)) & ids(market.bmws[14:])  # of each in turn
    assert proposed("saved search", None) == []


def test_a_price_drop_is_proposed_to_whom_the_car_suits(market, fan):
    lately = timezone.now() - timedelta(days=2)
    for car in (market.bmws[7], market.skodas[7]):
        PriceChangeFactory(listing=car, old_price=car.price + 500, new_price=car.price, changed_at=lately)
    forget_market_statistics()
    assert proposed("price drop", fan) == [market.bmws[7].pk]


def test_exploration_is_for_those_whose_taste_we_have_begun_to_know(market, fan):
    assert len(proposed("exploration", fan)) == 10
    assert proposed("exploration", None) == []
    assert proposed("exploration", fan, exploration_positions=0) == []


def test_new_arrivals_are_new_and_suit_and_what_their_like_were_asked_about_counts(market, fan):
    """Half of the new BMWs stand beside older ones of their archetype that many buyers ask about."""
    published(2, *market.bmws[10:])
    found = proposed("new arrivals", fan)
    assert set(found) <= ids(market.bmws[10:])
    assert len(found) >= 3
    assert proposed("new arrivals", fan, fresh_share=0) == []


def test_a_new_arrival_draws_its_own_chance_whatever_becomes_of_the_others(market, fan):
    published(2, *market.bmws[8:])
    before = proposed("new arrivals", fan)
    gone = before[1]
    Listing.objects.filter(pk=gone).update(status="reserved")
    assert proposed("new arrivals", fan) == [key for key in before if key != gone]


def test_promoted_cars_are_proposed_while_the_promotion_lasts_and_there_are_positions_for_them(market):
    Listing.objects.filter(pk=market.skodas[0].pk).update(promoted_until=timezone.now() + timedelta(days=1))
    Listing.objects.filter(pk=market.skodas[1].pk).update(promoted_until=timezone.now() - timedelta(days=1))
    assert proposed("promoted", promoted_share=0.2) == [market.skodas[0].pk]
    assert proposed("promoted") == []


# --- Together --------------------------------------------------------------------------------------------------------
def pool(buyer, n: int, **rules) -> dict[int, str]:
    buyer_context = load_buyer_context(buyer)
    with borrow_index() as listing_index:
        context = build_ranking_context(
            listing_index, buyer_context, Rules(Placement(**rules)), ListingFilters(), "hybrid", ()
        )
        return gather(sources_for("hybrid"), buyer_context, context, n)


def test_shares_divide_the_pool_and_a_source_that_is_off_brings_nothing(market, fan):
    published(1, *market.bmws[4:])
    counts = np.unique(list(pool(fan, 8, sources=only(taste=0.5, fresh=0.5)).values()), return_counts=True)
    assert dict(zip(*counts, strict=True)) == {"taste": 4, "fresh": 4}
    assert set(pool(fan, 8, sources=only(fresh=1.0)).values()) == {"fresh"}


def test_where_sources_have_too_little_to_say_the_taste_fills_up(market, fan):
    published(1, *market.bmws[4:6])
    found = pool(fan, 10, sources=only(fresh=1.0))
    assert len(found) == 10
    assert {key for key, source in found.items() if source == "fresh"} == ids(market.bmws[4:6])


def test_k_asked_is_k_answered_whatever_the_shares(market, fan):
    Placement.objects.update(sources=only(trending=1.0))
    assert len(recommend(ListRequest(buyer=fan, k=30)).items) == 30


def test_a_source_plays_no_part_in_the_score(market, fan):
    """The same car scores the same, whichever source proposed it: the pool is calibrated, the order is of one score."""
    scores = []
    for shares in ({}, only(trending=1.0), only(taste=0.2, fresh=0.8)):
        Placement.objects.update(sources=shares)
        ranked = rank(
            RankRequest(
                filters=ListingFilters(), switch="hybrid", buyer_context=load_buyer_context(fan),
                rules=rules_of("home", fan), k=5, n=200,
            )
        )  # fmt: skip
        scores.append({candidate.listing_id: candidate.score for candidate in ranked.candidates})
    assert scores[0] == pytest.approx(scores[1], abs=1e-9)
    assert scores[0] == pytest.approx(scores[2], abs=1e-9)


# --- In a list -------------------------------------------------------------------------------------------------------
def plain(**rules) -> None:
    """The placement without any rule but these."""
    off = {"diversity": 0, "max_per_model": 0, "max_per_seller": 0, "exploration_positions": 0, "fresh_share": 0}
    Placement.objects.update(**{**off, "free_leads": 0, "follows_intent": False, **rules})


def test_a_promoted_car_takes_a_place_that_is_kept_for_it_and_says_so(market, fan):
    plain(promoted_share=0.2)
    Listing.objects.filter(pk=market.skodas[3].pk).update(promoted_until=timezone.now() + timedelta(days=1))
    items = recommend(ListRequest(buyer=fan, k=10)).items
    (promoted,) = [item for item in items if item.source == "promoted"]
    assert promoted.listing == market.skodas[3]
    assert promoted.reason.startswith("Promoted by its seller")
    assert items[0].source != "promoted"
    plain(promoted_share=0)
    assert market.skodas[3] not in [item.listing for item in recommend(ListRequest(buyer=fan, k=10)).items]


def test_places_for_new_cars_go_to_new_cars(market, fan):
    plain(fresh_share=0.4)
    published(2, *market.bmws[11:])
    items = recommend(ListRequest(buyer=fan, k=5)).items
    arrivals = [item.listing for item in items if item.source == "new arrivals"]
    assert len(arrivals) == 2
    assert ids(arrivals) <= ids(market.bmws[11:])


def test_a_car_with_more_leads_than_its_seller_can_answer_steps_back(market, fan):
    plain()
    best = recommend(ListRequest(buyer=fan, k=10)).items[0].listing
    contacted(best, 12, days_ago=1)
    plain(boosts={"demand": 0})
    assert recommend(ListRequest(buyer=fan, k=10)).items[0].listing == best
    plain(boosts={"demand": 0}, free_leads=3, saturation_strength=9)
    assert recommend(ListRequest(buyer=fan, k=10)).items[0].listing != best


def test_a_boost_reorders_the_list(market, fan):
    plain(boosts={"utility": 0, "freshness": 1.0})
    published(1, market.skodas[9])
    assert recommend(ListRequest(buyer=fan, k=5)).items[0].listing == market.skodas[9]


def test_a_buyer_with_a_certain_preference_gets_less_diversity(market, fan):
    def diversity(buyer, **rules) -> float:
        buyer_context = load_buyer_context(buyer)
        with borrow_index() as listing_index:
            context = build_ranking_context(
                listing_index, buyer_context, Rules(Placement(**rules)), ListingFilters(), "hybrid", ()
            )
            return policy_for(context, 10).diversity

    for _ in range(6):
        view(fan, *market.bmws, kind="contact")
    looking = BuyerFactory()
    view(looking, market.bmws[0], market.skodas[0])
    assert diversity(fan) < diversity(looking) <= 0.05 * 1.5
    assert diversity(fan, follows_intent=False) == 0.05
    assert diversity(None) == 0.05


def test_lists_explore_as_much_as_the_placement_says_however_many_events_there_are(market):
    def exploring(n_events, **rules) -> float:
        buyer = BuyerFactory()
        for number in range(n_events):
            view(buyer, market.bmws[number % 3])
        buyer_context = load_buyer_context(buyer)
        with borrow_index() as listing_index:
            context = build_ranking_context(
                listing_index, buyer_context, Rules(Placement(**rules)), ListingFilters(), "hybrid", ()
            )
            return policy_for(context, 10).exploration_share

    for n_events in (0, 4, 8, 13, 20):
        assert exploring(n_events) == exploring(n_events, follows_intent=False) == 0.1, "one position of ten"
        assert exploring(n_events, exploration_positions=0) == 0


def test_only_cars_in_places_kept_for_exploration_are_said_to_be_a_little_different(market):
    """Exploration often proposes cars that the score would have chosen anyway, and their own points explain them."""
    PlacementFactory(slug="exploring", sources={"taste": 0.1, "exploration": 1}, exploration_positions=2)
    fans = [BuyerFactory() for _ in range(12)]  # one list in eight has no position that explores
    for fan in fans:
        view(fan, *market.bmws[:4])
    items = [item for fan in fans for item in recommend(ListRequest(buyer=fan, k=10, placement="exploring")).items]
    said = {item.placed_by for item in items if "little different" in item.reason}
    assert said == {"exploration"}
    assert {item.placed_by for item in items if item.source == "exploration"} > said, "some stand by their score"


def test_each_draw_samples_another_preference_around_the_mean(market, fan):
    with borrow_index() as listing_index:
        context = build_ranking_context(
            listing_index, load_buyer_context(fan), Rules(Placement()), ListingFilters(), "hybrid", ()
        )
        listing_features, ids = listing_index.listing_features, listing_index.stock.listing_ids.tolist()
        scored = context.scorer.score_listings(listing_features, ids)
        sampled_scores = context.scorer.thompson_scores(scored, listing_features, np.random.default_rng(0), 400)
    assert sampled_scores.shape == (len(ids), 400)
    assert (sampled_scores.std(axis=1) > 0).all()
    errors = np.abs(sampled_scores.mean(axis=1) - scored.scores) / (sampled_scores.std(axis=1) / 20)
    assert errors.max() < 5  # standard errors of a mean of 400


def test_focus_is_none_without_a_stock(market, fan):
    Listing.objects.update(status="reserved")
    buyer_context = load_buyer_context(fan)
    with borrow_index() as listing_index:
        context = build_ranking_context(
            listing_index, buyer_context, Rules(Placement()), ListingFilters(), "hybrid", ()
        )
        assert focus_on_stock(context) == 0.0
    assert recommend(ListRequest(buyer=fan)).items == []


def test_a_multi_interest_buyer_is_shown_the_cars_of_each_interest():
    """Cheap Skodas and expensive BMWs: one preference for both would prefer a cheap BMW."""
    remove_market()
    cars = crossed_market()
    plain()
    buyer = BuyerFactory()
    for one, other in zip(cars["cheap Skoda"], cars["expensive BMW"], strict=True):
        view(buyer, one, other)
    refresh_preferences(buyer_id=buyer.pk)
    kind_of = {car.pk: kind for kind, some in cars.items() for car in some}
    kinds = [kind_of[item.listing.pk] for item in recommend(ListRequest(buyer=buyer, k=10)).items]
    assert set(kinds) == {"cheap Skoda", "expensive BMW"}
    assert 4 <= kinds.count("expensive BMW") <= 6


def test_multi_interest_is_kept_when_a_reader_notices_the_next_event_first():
    remove_market()
    cars = crossed_market()
    buyer = BuyerFactory()
    for one, other in zip(cars["cheap Skoda"], cars["expensive BMW"], strict=True):
        view(buyer, one, other)
    refresh_preferences(buyer_id=buyer.pk)
    view(buyer, cars["expensive BMW"][0])  # again within the session: the same occasion
    tastes = load_buyer_context(buyer).interests
    assert len(tastes) == 2
    assert tastes[0].share == pytest.approx(12 / 24, abs=0.02)


def test_nothing_moves_within_ten_minutes_but_by_the_buyers_own_doing(market, fan):
    """New cars, promoted cars, demand and exploration and all."""
    Placement.objects.update(fresh_share=0.2, promoted_share=0.1, exploration_positions=2)
    published(2, *market.bmws[8:])
    Listing.objects.filter(pk=market.skodas[3].pk).update(promoted_until=timezone.now() + timedelta(days=1))
    before = [(item.listing.pk, item.score) for item in recommend(ListRequest(buyer=fan, k=15)).items]
    contacted_by_others = [BuyerFactory(external=True) for _ in range(3)]
    for other in contacted_by_others:
        view(other, *market.bmws, kind="contact")
    assert [(item.listing.pk, item.score) for item in recommend(ListRequest(buyer=fan, k=15)).items] == before


def test_the_age_of_a_listing_is_rounded_to_full_ten_minutes(market, fan):
    buyer_context = load_buyer_context(fan)
    with borrow_index() as listing_index:
        context = build_ranking_context(
            listing_index, buyer_context, rules_of("home", fan), ListingFilters(), "hybrid", ()
        )
        assert context.market_statistics.as_of % 600 == 0
        moment = timezone.now().timestamp()
        assert 0 <= moment - context.market_statistics.as_of <= 600
        assert context.is_younger(10_000).all()
        assert not context.is_younger(1).any()
