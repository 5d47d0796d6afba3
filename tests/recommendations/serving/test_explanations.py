"""The lines of an explanation add up to the score, for every buyer and all rules; and the score is the list's."""

from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.buyers.context import load_buyer_context
from recommendations.buyers.refresh import refresh_preferences
from recommendations.engine.ranker import Ranker
from recommendations.engine.reasons import BASE, UTILITY_CURVE, operator_breakdown
from recommendations.engine.score_terms import ARCHETYPE, DEAL, DEMAND, DISTANCE, FRESHNESS
from recommendations.listings.embedding import embed_listings
from recommendations.listings.index import borrow_index
from recommendations.listings.market_statistics import forget_market_statistics
from recommendations.models import EventKind, Placement
from recommendations.serving.lists import ListRequest, recommend
from recommendations.serving.placements import rules_of
from recommendations.serving.ranking import RankRequest, rank
from recommendations.serving.scorer import CONGESTION
from tests.factories import BuyerFactory, InteractionFactory
from tests.markets import crossed_market, trained_market, view
from tests.recommendations.engine.test_boosting import random_score

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]

EVERYTHING = {"utility": 1.3, "archetype": 0.7, "demand": 0.4, "freshness": 2.0, "deal": 1.5, "distance": 0.9}


@pytest.fixture
def market():
    """Some cars are new, in demand, congested, near, or have no location or price."""
    market = trained_market()
    yesterday = timezone.now() - timedelta(days=1)
    for north, car in enumerate(market.bmws[:6]):
        Listing.objects.filter(pk=car.pk).update(latitude=50 + north, longitude=10, published_at=yesterday)
    Listing.objects.filter(pk=market.skodas[0].pk).update(price=None)
    hour_ago = timezone.now() - timedelta(hours=1)
    for _ in range(5):
        InteractionFactory(listing=market.bmws[0], kind=EventKind.objects.get(slug="contact"), occurred_at=hour_ago,
                           buyer=BuyerFactory(external=True))  # fmt: skip
    forget_market_statistics()
    return market


def assert_adds_up(request: ListRequest) -> None:
    """Lines and score of every car, and the scores that the ranking saw."""
    answer = recommend(request)
    assert len(answer.items) == request.k
    for item in answer.items:
        np.testing.assert_allclose(sum(item.terms.values()), item.score, atol=1e-6)
        lines = operator_breakdown(item.terms, item.score)
        assert "Not accounted for" not in dict(lines)
        np.testing.assert_allclose(sum(value for _, value in lines), item.score, atol=1e-6)
    rules = rules_of(request.placement, request.buyer)
    ranked = rank(
        RankRequest(
            filters=request.filters, switch=request.source, buyer_context=load_buyer_context(request.buyer),
            rules=rules, k=30, n=200,
        )
    )  # fmt: skip
    seen = {candidate.listing_id: candidate.score for candidate in ranked.candidates}
    for item in answer.items:
        np.testing.assert_allclose(seen[item.listing.pk], item.score, atol=1e-6)


@pytest.mark.parametrize("source", ["hybrid", "content", "collaborative"])
@pytest.mark.parametrize("boosts", [{}, EVERYTHING, {"utility": 0}], ids=["learned", "boosted", "no taste"])
@pytest.mark.parametrize("who", ["stranger", "known", "near", "opted out"])
def test_the_lines_add_up_for_every_buyer(market, who, source, boosts):
    Placement.objects.update(boosts=boosts, free_leads=2, saturation_strength=0.7)
    buyer = {
        "stranger": lambda: None,
        "known": BuyerFactory,
        "near": lambda: BuyerFactory(latitude=50, longitude=10),
        "opted out": lambda: BuyerFactory(is_personalised=False, latitude=50, longitude=10),
    }[who]()
    if buyer:
        view(buyer, *market.bmws[:4])
    assert_adds_up(ListRequest(buyer=buyer, k=20, source=source))


def test_the_lines_add_up_for_a_multi_interest_buyer():
    cars = crossed_market()
    buyer = BuyerFactory()
    view(buyer, *cars["cheap Skoda"], *cars["expensive BMW"])
    refresh_preferences(buyer_id=buyer.pk)
    assert len(load_buyer_context(buyer).interests) == 2
    assert_adds_up(ListRequest(buyer=buyer, k=20))


def test_the_lines_add_up_where_the_stock_is_larger_than_the_listing_index(market, settings):
    settings.WINDOW_MAX_LISTINGS = 10
    embed_listings(list(Listing.objects.values_list("pk", flat=True)))  # as a worker does after a change of price
    Placement.objects.update(boosts=EVERYTHING)
    buyer = BuyerFactory(latitude=50, longitude=10)
    view(buyer, *market.bmws[:4])
    with borrow_index() as listing_index:
        assert not listing_index.is_complete
    assert_adds_up(ListRequest(buyer=buyer, k=20))


@pytest.mark.parametrize("most_listings", [None, 10], ids=["index", "pgvector"])
def test_the_lines_of_a_random_score_with_curves_add_up(market, settings, monkeypatch, most_listings):
    settings.WINDOW_MAX_LISTINGS = most_listings or settings.WINDOW_MAX_LISTINGS
    embed_listings(list(Listing.objects.values_list("pk", flat=True)))
    score = random_score(5)
    monkeypatch.setattr(Ranker, "score_for", lambda ranker, *, is_personal: score)
    Placement.objects.update(boosts={})
    buyer = BuyerFactory(latitude=50, longitude=10)
    view(buyer, *market.bmws[:4])
    request = ListRequest(buyer=buyer, k=20)
    assert_adds_up(request)
    assert any(item.terms[UTILITY_CURVE] for item in recommend(request).items)
    assert load_buyer_context(buyer).buyer_features().n_cars == 4


def test_every_term_has_its_line(market):
    Placement.objects.update(boosts=EVERYTHING, free_leads=2, saturation_strength=1.0)
    buyer = BuyerFactory(latitude=50, longitude=10)
    view(buyer, *market.bmws[1:4])
    terms = {item.listing.pk: item.terms for item in recommend(ListRequest(buyer=buyer, k=30)).items}
    crowded, plain = terms[market.bmws[0].pk], terms[market.skodas[5].pk]
    np.testing.assert_allclose(crowded[CONGESTION], -np.log2(5 / 2))
    assert plain[CONGESTION] == 0
    assert crowded[DEMAND] > plain[DEMAND]
    assert crowded[FRESHNESS] > plain[FRESHNESS]
    assert crowded[DISTANCE] > terms[market.bmws[5].pk][DISTANCE]
    assert plain[DISTANCE] == 0  # it has no place, which neither helps nor hurts
    assert crowded[ARCHETYPE] > plain[ARCHETYPE]
    assert {DEAL, BASE, "price", "make", "similar buyers"} <= crowded.keys()


def test_a_pipeline_alone_reads_its_own_terms_alone(market):
    Placement.objects.update(boosts={})
    buyer = BuyerFactory(latitude=50, longitude=10)
    view(buyer, *market.bmws[:4])
    content = recommend(ListRequest(buyer=buyer, k=30, source="content")).items
    collaborative = recommend(ListRequest(buyer=buyer, k=30, source="collaborative")).items
    assert {(item.terms[DEMAND], item.terms[ARCHETYPE], item.terms["similar buyers"]) for item in content} == {
        (0, 0, 0)
    }
    assert {(item.terms[DISTANCE], item.terms[DEAL], item.terms["price"]) for item in collaborative} == {(0, 0, 0)}


def test_a_request_with_a_location_gets_the_distance_from_there(market):
    Placement.objects.update(boosts={"distance": 5.0})
    buyer = BuyerFactory(latitude=55, longitude=10)
    view(buyer, *market.bmws[:4])
    there = ListingFilters(latitude=50, longitude=10, radius_km=1_000)
    nearest = recommend(ListRequest(buyer=buyer, k=6, filters=there)).items[0]
    assert nearest.listing == market.bmws[0]
    home = recommend(ListRequest(buyer=buyer, k=6)).items[0]
    assert home.listing == market.bmws[5]
