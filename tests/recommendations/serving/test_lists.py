import pytest
from django.utils import timezone

from catalog.filters import ListingFilters
from catalog.items import add_items
from catalog.models import Listing
from recommendations.models import MerchandisingRule, Placement, ServedList
from recommendations.serving.lists import ListRequest, recommend
from recommendations.serving.similar import similar_listings
from tests.factories import BuyerFactory, ListingFactory, ServedListFactory
from tests.markets import make_market, view

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]


@pytest.fixture
def market(market_of_module):
    return market_of_module


def ids(answer) -> list[int]:
    return [item.listing.pk for item in answer.items]


def test_before_any_training_the_newest_cars_are_shown():
    market = make_market(3)
    newest = ListingFactory(published_at="2026-03-01T00:00Z")
    answer = recommend(ListRequest(buyer=None, k=4))
    assert ids(answer)[0] == newest.pk
    assert len(answer.items) == 4
    assert answer.version_id is None
    assert set(ids(answer)) <= {car.pk for car in (*market.skodas, *market.bmws, newest)}


def test_items_of_the_feed_are_no_cars_to_show_before_any_training():
    car = ListingFactory()
    add_items({"film": ["drama"], "book": None})
    rule = MerchandisingRule.objects.create(name="first", action="pin", position=1, is_active=True)
    for is_active in (True, False):
        rule.is_active = is_active
        rule.save()
        assert ids(recommend(ListRequest(buyer=None, k=4))) == [car.pk]


def test_an_empty_catalogue_gives_an_empty_list():
    assert recommend(ListRequest(buyer=None)).items == []


def test_who_looks_at_one_kind_is_shown_that_kind(market):
    Placement.objects.update(max_per_model=0, max_per_seller=0, exploration_positions=0, diversity=0)
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:4])
    makes = [item.listing.make.slug for item in recommend(ListRequest(buyer=buyer, k=10)).items]
    assert makes.count("bmw") >= 9


@pytest.mark.parametrize("explored", [0, 4])
def test_every_served_list_keeps_the_propensity_of_every_car(market, explored):
    Placement.objects.update(exploration_positions=explored, fresh_share=0)
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:4])
    for who in (buyer, None):
        answer = recommend(ListRequest(buyer=who, k=10))
        served = ServedList.objects.get(pk=answer.id)
        assert len(served.propensities) == len(served.listing_ids) == 10
        assert all(0 < propensity <= 1 for propensity in served.propensities)
        is_certain = not explored or who is None
        assert (min(served.propensities) == 1) == is_certain, "cold buyers and budgets of 0 leave nothing to chance"


@pytest.mark.parametrize("explored", [0, 4])
@pytest.mark.parametrize("why", ["sold", "another advertisement"])
@pytest.mark.parametrize("at", [0, 3, 9])
def test_below_a_car_that_was_passed_over_no_propensity_is_made_up(market, settings, explored, why, at):
    Placement.objects.update(exploration_positions=explored, fresh_share=0)
    moved = at if why == "sold" else max(at, 1)
    for _ in range(20):  # one list in a hundred is the same in all draws of its exploration, and so is certain
        buyer = BuyerFactory()
        view(buyer, *market.bmws[:4])
        first = recommend(ListRequest(buyer=buyer, k=10))
        before = ServedList.objects.get(pk=first.id).propensities
        is_certain = min(before[moved:]) == 1
        if is_certain == (not explored) or at == 9:
            break
    settings.WINDOW_STALENESS_SECONDS = 3600
    if why == "sold":
        Listing.objects.filter(pk=ids(first)[at]).update(status="sold", ended_at=timezone.now())
    else:
        twin = ids(first)[at - 1] if at else ids(first)[1]
        Listing.objects.filter(pk__in=[ids(first)[at], twin]).update(vin="WVWZZZ1JZXW000001")
    answer = recommend(ListRequest(buyer=buyer, k=10))
    assert ids(answer)[:moved] == ids(first)[:moved]
    assert ids(answer)[moved:9] == ids(first)[moved + 1 :]
    after = ServedList.objects.get(pk=answer.id).propensities
    assert after[:moved] == before[:moved]
    assert after[moved:] == [1.0 if is_certain else None] * (10 - moved)
    assert is_certain == (not explored) or at == 9


def test_what_is_drawn_later_for_the_same_list_has_no_propensity(market):
    Placement.objects.update(exploration_positions=4, fresh_share=0, times_shown_at_most=2)
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:4])
    often = [car.pk for car in (*market.bmws, *market.skodas[:5])]
    ServedListFactory.create_batch(2, buyer=buyer, listing_ids=often, served_at=timezone.now())
    served = ServedList.objects.get(pk=recommend(ListRequest(buyer=buyer, k=30)).id)
    assert set(served.listing_ids[10:]) == set(often)
    assert all(0 < propensity <= 1 for propensity in served.propensities[:10])
    assert served.propensities[10:] == [None] * 20


def test_the_rules_of_the_placement_hold_where_the_stock_allows(market):
    Placement.objects.update(max_per_model=4, max_per_seller=0, exploration_positions=0)
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:4])
    makes = [item.listing.make.slug for item in recommend(ListRequest(buyer=buyer, k=8)).items]
    assert makes.count("bmw") == makes.count("skoda") == 4
    assert makes[0] == "bmw"
    only_bmws = recommend(ListRequest(buyer=buyer, k=8, filters=ListingFilters(makes=("bmw",))))
    assert len(only_bmws.items) == 8


def test_every_item_says_why_in_terms_that_add_up(market):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:4])
    for item in recommend(ListRequest(buyer=buyer, k=10)).items:
        assert item.reason.endswith(".")
        assert sum(item.terms.values()) == pytest.approx(item.score, abs=1e-9)


def test_the_next_list_differs_without_any_worker(market):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:3])
    before = ids(recommend(ListRequest(buyer=buyer, k=10)))
    view(buyer, *market.skodas[:8], kind="contact")
    assert ids(recommend(ListRequest(buyer=buyer, k=10))) != before


def test_who_asks_twice_gets_the_same_list_whatever_others_do_meanwhile(market):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:3])
    before = ids(recommend(ListRequest(buyer=buyer, k=10)))
    view(BuyerFactory(), *market.skodas, kind="contact")
    assert ids(recommend(ListRequest(buyer=buyer, k=10))) == before


@pytest.mark.parametrize("k", [1, 20, 30])
def test_k_asked_is_k_answered(market, k):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:2])
    answer = recommend(ListRequest(buyer=buyer, k=k))
    assert len(set(ids(answer))) == k
    assert [item.position for item in answer.items] == list(range(1, k + 1))


def test_more_than_there_are_gives_all_there_are(market):
    assert len(recommend(ListRequest(buyer=None, k=200)).items) == 30


def test_what_is_sold_is_gone_though_the_listing_index_still_holds_it(market, settings):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:4])
    first = ids(recommend(ListRequest(buyer=buyer, k=5)))
    settings.WINDOW_STALENESS_SECONDS = 3600  # memory stays behind on purpose
    Listing.objects.filter(pk__in=first[:3]).update(status="reserved")
    after = ids(recommend(ListRequest(buyer=buyer, k=5)))
    assert not set(first[:3]) & set(after)
    assert len(after) == 5


def test_a_price_that_left_the_filter_is_gone_though_the_listing_index_still_holds_it(market, settings):
    filters = ListingFilters(max_price=31_000, makes=("bmw",))
    cheap = ids(recommend(ListRequest(buyer=None, filters=filters)))
    settings.WINDOW_STALENESS_SECONDS = 3600
    Listing.objects.filter(pk=cheap[0]).update(price=40_000)
    assert set(ids(recommend(ListRequest(buyer=None, filters=filters)))) == set(cheap[1:])


def test_filters_hold_for_every_item(market):
    answer = recommend(ListRequest(buyer=None, k=10, filters=ListingFilters(fuels=("diesel",))))
    assert len(answer.items) == 10
    assert {item.listing.fuel for item in answer.items} == {"diesel"}


def test_dismissed_and_own_cars_are_left_out(market):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:3])
    view(buyer, market.bmws[5], kind="hide")
    seller = market.skodas[0].seller
    own = ListingFactory(seller__user=buyer.user, car_model=market.bmws[0].car_model)
    answer = ids(recommend(ListRequest(buyer=buyer, k=40)))
    assert market.bmws[5].pk not in answer
    assert own.pk not in answer
    assert own.pk in ids(recommend(ListRequest(buyer=None, k=40)))
    assert seller.user is None


def test_what_was_shown_often_steps_back_but_comes_back_when_nothing_else_is_left(market):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:3])
    often = Placement.objects.get(slug="home").times_shown_at_most
    shown = ids(recommend(ListRequest(buyer=buyer, k=10)))
    for _ in range(often):
        ServedListFactory(
            buyer=buyer, listing_ids=shown, scores=[0.0] * 10, sources=["taste"] * 10, served_at=timezone.now()
        )
    assert not set(ids(recommend(ListRequest(buyer=buyer, k=20)))) & set(shown)
    everything = ids(recommend(ListRequest(buyer=buyer, k=30)))
    assert set(everything[20:]) == set(shown)


def test_each_pipeline_can_be_seen_alone(market):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:3])
    for source in ("content", "collaborative"):
        answer = recommend(ListRequest(buyer=buyer, k=5, source=source))
        assert {item.source for item in answer.items} == {source}


def test_an_opted_out_buyer_gets_the_list_of_a_cold_buyer(market):
    buyer = BuyerFactory(is_personalised=False)
    view(buyer, *market.bmws[:4])
    answer = recommend(ListRequest(buyer=buyer, k=10))
    assert not answer.is_personalised
    assert ids(answer) == ids(recommend(ListRequest(buyer=None, k=10)))


def test_what_was_shown_is_recorded_with_sources_scores_and_version(market):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:3])
    answer = recommend(ListRequest(buyer=buyer, k=5, filters=ListingFilters(makes=("bmw",))))
    served = ServedList.objects.get(pk=answer.id)
    assert served.listing_ids == ids(answer)
    assert served.scores == [item.score for item in answer.items]
    assert served.sources == [item.source for item in answer.items]
    assert served.version_id == market.version.pk
    assert served.filters == {"makes": ["bmw"]}


def test_cars_like_one_that_was_just_sold_are_of_its_kind(market):
    sold = market.bmws[2]
    Listing.objects.filter(pk=sold.pk).update(status="sold", ended_at=timezone.now())
    similar = similar_listings(sold, k=5)
    assert [item.listing.make.slug for item in similar] == ["bmw"] * 5
    assert sold.pk not in [item.listing.pk for item in similar]
    assert [item.score for item in similar] == sorted((item.score for item in similar), reverse=True)
