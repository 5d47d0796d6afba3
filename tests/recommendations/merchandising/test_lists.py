"""What merchandising rules do to lists, through the index in memory and through pgvector alike."""

from collections.abc import Iterator
from datetime import timedelta
from math import log

import pytest
from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.engine.reasons import operator_breakdown
from recommendations.listings.index import borrow_index, drop_index
from recommendations.merchandising.changes import record_change, state_of, undo_last
from recommendations.merchandising.rules import forget_rules
from recommendations.models import MerchandisingRule, Placement, RankerVersion, ServedList
from recommendations.serving.lists import ListRequest, recommend
from recommendations.serving.recommended import RecommendedList
from recommendations.serving.similar import similar_listings
from tests.factories import BuyerFactory, ListingFactory, PlacementFactory, SellerFactory
from tests.markets import Market, view

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]


@pytest.fixture
def market(market_of_module) -> Market:
    Placement.objects.update(max_per_model=0, max_per_seller=0, exploration_positions=0, fresh_share=0, diversity=0)
    return market_of_module


@pytest.fixture
def fan(market):
    """A buyer who wants BMWs."""
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:4])
    return buyer


def answers(settings, request: ListRequest) -> Iterator[RecommendedList]:
    """The list by the index in memory, and by pgvector, where memory holds a sample of the stock."""
    for limit in (settings.WINDOW_MAX_LISTINGS, 10):
        settings.WINDOW_MAX_LISTINGS = limit
        drop_index()
        with borrow_index() as listing_index:
            assert listing_index.is_complete == (limit > 10)
        yield recommend(request)
    settings.WINDOW_MAX_LISTINGS = 500_000
    drop_index()


def rule(action: str, *, sellers=(), listings=(), placements=(), **fields) -> MerchandisingRule:
    """A rule that is on."""
    row = MerchandisingRule.objects.create(
        name=fields.pop("name", f"{action} {MerchandisingRule.objects.count()}"),
        action=action,
        is_active=True,
        **fields,
    )
    row.sellers.set(sellers)
    row.listings.set(listings)
    row.placements.set(placements)
    return row


def ids(answer) -> list[int]:
    return [item.listing.pk for item in answer.items]


def makes(answer) -> list[str]:
    return [item.listing.make.slug for item in answer.items]


def test_every_kind_of_target_is_hidden_and_the_list_stays_as_long(market, fan, settings):
    dealer = SellerFactory()
    Listing.objects.filter(pk__in=[car.pk for car in market.bmws[:3]]).update(seller=dealer)
    Listing.objects.filter(pk=market.bmws[4].pk).update(tags=["auction"])
    hidden = {*(car.pk for car in market.bmws[:3]), market.bmws[4].pk, market.bmws[5].pk}
    hidden |= set(Listing.objects.filter(price__gte=36_000).values_list("pk", flat=True))
    rule("hide", sellers=[dealer])
    rule("hide", target={"tags": ["auction"]})
    rule("hide", listings=[market.bmws[5]])
    rule("hide", target={"makes": ["bmw"], "min_price": 36_000})
    for answer in answers(settings, ListRequest(buyer=fan, k=8)):
        assert len(answer.items) == 8
        assert not set(ids(answer)) & hidden
    everything = recommend(ListRequest(buyer=fan, k=40))
    assert set(ids(everything)) == set(Listing.objects.values_list("pk", flat=True)) - hidden


def test_rules_hold_before_any_ranker_is_live(market):
    RankerVersion.objects.update(status="retired")
    newest = recommend(ListRequest(buyer=None, k=3)).items[0].listing
    rule("hide", listings=[newest])
    rule("pin", position=2, listings=[market.skodas[0]], is_promoted=True)
    answer = recommend(ListRequest(buyer=None, k=3))
    assert newest.pk not in ids(answer)
    assert [item.listing.pk == market.skodas[0].pk for item in answer.items] == [False, True, False]
    assert [item.is_promoted for item in answer.items] == [False, True, False]


def test_similar_cars_leave_out_what_is_hidden_everywhere_alone(market):
    everywhere, somewhere = market.bmws[1], market.bmws[2]
    rule("hide", listings=[everywhere])
    rule("hide", listings=[somewhere], placements=[Placement.objects.get(slug="home")])
    found = {item.listing.pk for item in similar_listings(market.bmws[0], k=14)}
    assert everywhere.pk not in found
    assert somewhere.pk in found


def test_a_pinned_car_stands_at_its_rank_whatever_it_scores(market, fan, settings):
    pin = rule("pin", position=3, listings=[market.skodas[14]])
    for answer in answers(settings, ListRequest(buyer=fan, k=6)):
        assert ids(answer)[2] == market.skodas[14].pk
        assert len(set(ids(answer))) == 6
        assert (answer.items[2].source, answer.items[2].rule_id) == ("pinned", pin.pk)
        assert sum(answer.items[2].terms.values()) == pytest.approx(answer.items[2].score)


def test_pinned_cars_stand_where_they_do_for_certain_and_the_others_by_chance(market, fan):
    Placement.objects.update(exploration_positions=4)
    rule("pin", position=2, n_pinned=3, target={"makes": ["skoda"]})
    below = []
    for _ in range(5):  # another draw with each event
        view(fan, market.bmws[5])
        answer = recommend(ListRequest(buyer=fan, k=10))
        assert [item.source for item in answer.items[1:4]] == ["pinned"] * 3
        served = ServedList.objects.get(pk=answer.id)
        assert served.propensities[1:4] == [1.0] * 3
        assert all(0 < propensity <= 1 for propensity in served.propensities)
        below += served.propensities[4:]
    assert min(below) < 1  # all draws of one list may agree, those of five do not


def test_a_pin_takes_the_cars_of_its_target_that_suit_best(market, fan):
    rule("pin", position=2, n_pinned=2, target={"makes": ["skoda"]})
    answer = recommend(ListRequest(buyer=fan, k=6))
    assert makes(answer) == ["bmw", "skoda", "skoda", "bmw", "bmw", "bmw"]
    assert answer.items[1].score >= answer.items[2].score
    assert answer.items[1].score == max(
        item.score for item in recommend(ListRequest(buyer=fan, k=30)).items if item.listing.make.slug == "skoda"
    )


def test_pins_of_one_rank_go_by_priority_then_by_age_and_none_leaves_the_list(market, fan):
    older = rule("pin", position=1, listings=[market.skodas[0]], priority=50)
    rule("pin", position=1, listings=[market.skodas[1]], priority=50)
    first = rule("pin", position=1, listings=[market.skodas[2]], priority=10)
    rule("pin", position=9, listings=[market.skodas[3]])
    answer = recommend(ListRequest(buyer=fan, k=4))
    assert ids(answer)[:3] == [market.skodas[number].pk for number in (2, 0, 1)]
    assert [item.rule_id for item in answer.items][:2] == [first.pk, older.pk]
    assert market.skodas[3].pk not in ids(answer)


def test_hiding_beats_pinning_and_so_do_a_sale_a_dismissal_and_a_filter(market, fan):
    rule("pin", position=1, listings=[market.skodas[0]])
    view(fan, market.skodas[1], kind="hide")
    rule("pin", position=1, listings=[market.skodas[1]])
    Listing.objects.filter(pk=market.skodas[2].pk).update(status="reserved")
    rule("pin", position=1, listings=[market.skodas[2]])
    rule("hide", listings=[market.skodas[0]])
    assert not {car.pk for car in market.skodas[:3]} & set(ids(recommend(ListRequest(buyer=fan, k=30))))
    rule("pin", position=1, listings=[market.skodas[3]])
    only_bmws = recommend(ListRequest(buyer=fan, k=5, filters=ListingFilters(makes=("bmw",))))
    assert makes(only_bmws) == ["bmw"] * 5


@pytest.mark.parametrize(("action", "strength", "change"), [("boost", 20, log(1.2)), ("bury", 20, log(0.8))])
def test_a_boost_changes_the_odds_by_its_strength_and_the_explanation_says_so(market, fan, action, strength, change):
    before = {item.listing.pk: item.score for item in recommend(ListRequest(buyer=fan, k=30)).items}
    rule(action, name="Skodas", strength=strength, target={"makes": ["skoda"]})
    for item in recommend(ListRequest(buyer=fan, k=30)).items:
        by = change if item.listing.make.slug == "skoda" else 0.0
        assert item.score - before[item.listing.pk] == pytest.approx(by, abs=1e-9)
        verb = "Boosted" if action == "boost" else "Buried"
        lines = dict(operator_breakdown(item.terms, item.score))
        assert lines.get(f"{verb} by rule “Skodas”", 0.0) == pytest.approx(by)
        assert sum(lines.values()) == pytest.approx(item.score)


def test_a_boosted_car_that_no_source_proposes_comes_up_and_a_buried_one_makes_room(market, fan, settings, monkeypatch):
    monkeypatch.setattr("recommendations.serving.selection.SMALLEST_POOL", 4)
    Placement.objects.update(sources=dict.fromkeys(("trending", "fresh", "new arrivals", "price drop"), 0))
    boost = rule("boost", strength=1000, listings=[market.skodas[0]])
    MerchandisingRule.objects.filter(pk=boost.pk).update(strength=1000)
    for _ in range(3):  # as strong as it takes
        rule("boost", strength=1000, listings=[market.skodas[0]])
    for answer in answers(settings, ListRequest(buyer=fan, k=1)):
        assert ids(answer) == [market.skodas[0].pk]
    MerchandisingRule.objects.all().update(is_active=False)
    for number in range(4):
        rule("bury", name=f"away {number}", strength=99, target={"makes": ["bmw"]})
    for answer in answers(settings, ListRequest(buyer=fan, k=2)):
        assert makes(answer) == ["skoda", "skoda"]


def test_boosts_and_buries_of_one_car_multiply(market, fan):
    before = {item.listing.pk: item.score for item in recommend(ListRequest(buyer=fan, k=30)).items}
    rule("boost", strength=100, target={"makes": ["bmw"]})
    rule("bury", strength=50, target={"fuels": ["diesel"]})
    for item in recommend(ListRequest(buyer=fan, k=30)).items:
        assert item.score == pytest.approx(before[item.listing.pk], abs=1e-9)


@pytest.mark.parametrize(("share", "n"), [(50, 4), (30, 2), (0, 0)])
def test_a_share_is_capped_pins_included_as_long_as_there_are_others(market, fan, settings, share, n):
    rule("cap", share=share, target={"makes": ["bmw"]})
    for answer in answers(settings, ListRequest(buyer=fan, k=8)):
        assert makes(answer).count("bmw") == n
        assert len(answer.items) == 8
    assert makes(recommend(ListRequest(buyer=fan, k=30))).count("bmw") == 15
    rule("pin", position=1, n_pinned=2, target={"makes": ["bmw"]})
    assert makes(recommend(ListRequest(buyer=fan, k=8))).count("bmw") == max(n, 2)


def test_a_cap_holds_when_cars_were_sold_a_moment_ago(market, fan, settings):
    rule("cap", share=25, target={"makes": ["bmw"]})
    first = recommend(ListRequest(buyer=fan, k=8))
    settings.WINDOW_STALENESS_SECONDS = 3600
    sold = [item.listing.pk for item in first.items if item.listing.make.slug == "skoda"][:3]
    Listing.objects.filter(pk__in=sold).update(status="reserved")
    after = recommend(ListRequest(buyer=fan, k=8))
    assert makes(after).count("bmw") == 2
    assert len(after.items) == 8


def test_a_rule_holds_where_when_and_for_whom_it_says(market, fan):
    other, now = PlacementFactory(slug="other", name="Other"), timezone.now()
    bmw = market.bmws[0]
    hour = timezone.localtime(now).replace(microsecond=0)
    elsewhere = {
        "placement": {"placements": [other]},
        "not yet": {"starts_at": now + timedelta(minutes=5)},
        "over": {"ends_at": now - timedelta(minutes=5)},
        "another time of day": {
            "from_time": (hour + timedelta(hours=2)).time(), "until_time": (hour + timedelta(hours=4)).time(),
        },
        "new visitors": {"audience": "cold"},
        "another interest": {"audience": "interested", "interest": {"makes": ["skoda"]}},
        "off": {},
    }  # fmt: skip
    for name, fields in elsewhere.items():
        row = rule("pin", name=name, position=1, listings=[market.skodas[0]], **fields)
        if name == "off":
            row.is_active = False
            row.save()
        assert ids(recommend(ListRequest(buyer=fan, k=3)))[0] != market.skodas[0].pk, name
        row.is_active = False
        row.save()
    here = {
        "placement": {"placements": [other, Placement.objects.get(slug="home")]},
        "within": {"starts_at": now - timedelta(days=1), "ends_at": now + timedelta(days=1)},
        "over midnight": {
            "from_time": (hour - timedelta(hours=1)).time(), "until_time": (hour - timedelta(hours=2)).time(),
        },
        "interest": {"audience": "interested", "interest": {"makes": ["bmw"], "min_price": 1}},
    }  # fmt: skip
    for name, fields in here.items():
        row = rule("pin", name=f"{name} too", position=1, listings=[market.skodas[0]], **fields)
        assert ids(recommend(ListRequest(buyer=fan, k=3)))[0] == market.skodas[0].pk, name
        row.is_active = False
        row.save()
    rule("pin", name="cold", position=1, listings=[bmw], audience="cold")
    assert ids(recommend(ListRequest(buyer=None, k=3)))[0] == bmw.pk


def test_paid_cars_are_labelled_and_say_so_and_others_are_not(market, fan):
    rule("pin", position=2, listings=[market.skodas[0]], is_promoted=True)
    rule("pin", position=3, listings=[market.skodas[1]])
    rule("boost", strength=10, listings=[market.bmws[0]], is_promoted=True)
    answer = recommend(ListRequest(buyer=fan, k=30))
    labelled = {item.listing.pk for item in answer.items if item.is_promoted}
    assert labelled == {market.skodas[0].pk, market.bmws[0].pk}
    assert all(("Promoted" in item.reason) == item.is_promoted for item in answer.items)


def test_the_record_of_a_list_says_which_rules_touched_what(market, fan):
    pin = rule("pin", position=2, listings=[market.skodas[0]], is_promoted=True)
    boost = rule("boost", strength=5, target={"makes": ["bmw"]})
    hide = rule("hide", listings=[market.bmws[3]])
    recommend(ListRequest(buyer=fan, k=4))
    record = ServedList.objects.get(buyer=fan).merchandising
    assert record["applied"] == {str(hide.pk): [], str(pin.pk): [2], str(boost.pk): [1, 3, 4]}
    assert (record["held_out"], record["promoted"]) == ({}, [2])


def test_buyers_who_are_held_out_go_without_and_their_record_says_what_they_saw(market):
    row = rule("boost", strength=5, target={"makes": ["bmw"]}, holdout=50)
    with_it = without = 0
    for _ in range(12):
        recommend(ListRequest(buyer=BuyerFactory(external=True), k=6))
    for served in ServedList.objects.all():
        is_on, is_held_out = (
            str(row.pk) in served.merchandising["applied"],
            str(row.pk) in served.merchandising["held_out"],
        )
        assert is_on != is_held_out
        with_it, without = with_it + is_on, without + is_held_out
    assert with_it
    assert without
    recommend(ListRequest(buyer=None, k=6))  # no buyer, no arm
    assert str(row.pk) in ServedList.objects.get(buyer=None).merchandising["applied"]


def test_a_change_is_followed_by_the_next_list_though_lists_are_cached(market, fan):
    before = ids(recommend(ListRequest(buyer=fan, k=5)))
    row = rule("hide", listings=Listing.objects.filter(pk=before[0]))
    assert before[0] not in ids(recommend(ListRequest(buyer=fan, k=5)))
    row.is_active = False
    row.save()
    assert ids(recommend(ListRequest(buyer=fan, k=5))) == before


@pytest.mark.parametrize("action", ["hide", "pin", "cap", "boost"])
@pytest.mark.parametrize("named", ["sellers", "listings"])
@pytest.mark.parametrize("target", [{}, {"makes": ["bmw"]}])
def test_a_rule_whose_cars_are_gone_is_about_no_others(market, fan, action, named, target):
    """Hiding a car that was removed since hid every car of the site; undoing a change of the rule did it again."""
    gone = SellerFactory() if named == "sellers" else ListingFactory()
    numbers = {"position": 1} if action == "pin" else {"share": 0} if action == "cap" else {"strength": 300}
    row = rule(action, target=target, **{named: [gone]}, **({} if action == "hide" else numbers))
    before = state_of(row)
    row.note = "Changed."
    row.save()
    record_change(row, before, None)
    MerchandisingRule.objects.update(is_active=False)
    usual = recommend(ListRequest(buyer=fan, k=8))
    MerchandisingRule.objects.update(is_active=True)
    gone.delete()
    forget_rules()
    for _ in range(2):
        answer = recommend(ListRequest(buyer=fan, k=8))
        assert ids(answer) == ids(usual)
        assert {item.placed_by for item in answer.items} == {item.placed_by for item in usual.items}
        if row.changes.filter(is_undone=False).exists():
            undo_last(row)
            forget_rules()


def test_a_rule_that_names_no_cars_is_not_followed(market, fan):
    rule("hide")
    assert len(recommend(ListRequest(buyer=fan, k=8)).items) == 8


def test_a_placement_that_a_rule_names_cannot_be_removed_or_the_rule_would_be_for_all_lists(market):
    placement = PlacementFactory(slug="beside")
    row = rule("hide", target={"makes": ["bmw"]}, placements=[placement])
    with pytest.raises(ProtectedError), transaction.atomic():
        placement.delete()
    before = state_of(row)
    row.placements.set([Placement.objects.get(slug="home")])
    record_change(row, before, None)
    placement.delete()
    undo_last(row)
    row.refresh_from_db()
    assert not row.is_active
