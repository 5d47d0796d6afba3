"""The lab answers by the arithmetic that serves, and leaves no trace."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.buyers.refresh import refresh_preferences
from recommendations.events.served_lists import writer
from recommendations.exceptions import RankerRefused
from recommendations.insight.what_if import HypotheticalEvent, Move, WhatIf, answer, market_statistics_of, moves
from recommendations.listings.market_statistics import current_market_statistics, forget_market_statistics
from recommendations.models import EventKind, Interaction, Placement, Preference, RankerVersion
from recommendations.serving.lists import ListRequest, recommend
from recommendations.serving.recommended import RecommendedList
from recommendations.serving.rules import Rules
from recommendations.training.runs import run_training, start_training
from tests.factories import BuyerFactory
from tests.markets import crossed_market, remove_market, view

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]


@pytest.fixture
def market(market_of_module):
    return market_of_module


@pytest.fixture
def fan(market):
    """A buyer who looks at BMWs."""
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:4])
    return buyer


def ids(made: RecommendedList) -> list[int]:
    return [item.listing.pk for item in made.items]


def contents(made: RecommendedList) -> list[tuple]:
    """Everything a list says of its cars."""
    return [(i.listing.pk, i.position, i.score, i.source, i.reason, i.terms) for i in made.items]


def everything_stored() -> dict[str, str | None]:
    """A digest of the rows of every table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
        digests = {}
        for table in tables:
            cursor.execute(f'SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{table}" t')  # noqa: S608
            digests[table] = cursor.fetchone()[0]
    return digests


def test_without_switches_the_list_is_the_one_that_is_served(fan):
    refresh_preferences(buyer_id=fan.pk)
    assert contents(answer(WhatIf(buyer=fan)).recommended) == contents(recommend(ListRequest(buyer=fan)))


def test_it_is_the_same_where_no_worker_has_seen_the_newest_events(fan):
    hypothetical = answer(WhatIf(buyer=fan)).recommended
    assert not Preference.objects.filter(buyer=fan).exists()
    served = recommend(ListRequest(buyer=fan))  # which stores what it learned, slightly later
    assert ids(hypothetical) == ids(served)
    assert [item.score for item in hypothetical.items] == pytest.approx([item.score for item in served.items], abs=1e-4)


def test_the_lines_of_every_score_add_up_to_it(fan):
    for item in answer(WhatIf(buyer=fan)).recommended.items:
        assert sum(item.terms.values()) == pytest.approx(item.score, abs=1e-6)


@pytest.mark.parametrize(
    "asked",
    [
        {"k": 5},
        {"filters": ListingFilters(makes=("skoda",))},
        {"source": "content"},
        {"source": "collaborative"},
        {"placement": "elsewhere"},
    ],
)
def test_with_the_switches_of_the_api_too(fan, asked):
    refresh_preferences(buyer_id=fan.pk)
    Placement.objects.create(slug="elsewhere", name="Elsewhere", k=7, diversity=0.4, max_per_model=3)
    assert contents(answer(WhatIf(buyer=fan, **asked)).recommended) == contents(
        recommend(ListRequest(buyer=fan, **asked))
    )


def test_multi_interest_and_cold_buyers_get_the_served_list_too():
    cars = crossed_market()
    family = BuyerFactory()
    view(family, *cars["cheap Skoda"], *cars["expensive BMW"])
    refresh_preferences(buyer_id=family.pk)
    found = answer(WhatIf(buyer=family))
    assert len(found.buyer_context.interests) == 2
    assert contents(found.recommended) == contents(recommend(ListRequest(buyer=family)))
    opted_out = BuyerFactory(is_personalised=False)
    assert contents(answer(WhatIf(buyer=opted_out)).recommended) == contents(recommend(ListRequest(buyer=opted_out)))


def test_a_hypothetical_event_moves_the_list_and_is_stored_nowhere(market, fan):
    before = everything_stored()
    usual = answer(WhatIf(buyer=fan), with_dropped=True).recommended
    events = tuple(HypotheticalEvent(kind="contact", listing_id=car.pk) for car in market.skodas[:8])
    moved = answer(WhatIf(buyer=fan, events=events), with_dropped=True)
    assert ids(moved.recommended) != ids(usual)
    assert moved.recommended.n_events == 4 + 8
    assert n_of_make(moved.recommended, "skoda") > n_of_make(usual, "skoda")
    writer.flush()  # served lists are written off the hot path
    assert everything_stored() == before
    assert not Preference.objects.filter(buyer=fan).exists()
    assert Interaction.objects.filter(buyer=fan).count() == 4


def n_of_make(made: RecommendedList, slug: str) -> int:
    return sum(item.listing.make.slug == slug for item in made.items[:10])


def test_a_hypothetical_search_counts_as_one(market, fan):
    query = {"makes": ["skoda"], "max_price": 6_000}
    searches = tuple(HypotheticalEvent(kind="search", query=query) for _ in range(4))
    usual, moved = (answer(WhatIf(buyer=fan, events=events)) for events in ((), searches))
    assert utility_of_skodas(moved) > utility_of_skodas(usual)


def utility_of_skodas(found) -> float:
    return max(item.score for item in found.recommended.items if item.listing.make.slug == "skoda")


def test_a_car_that_is_dismissed_in_thought_is_gone_from_the_list_in_thought(fan):
    first = ids(answer(WhatIf(buyer=fan)).recommended)[0]
    without = answer(WhatIf(buyer=fan, events=(HypotheticalEvent(kind="dislike", listing_id=first),)))
    assert first not in ids(without.recommended)
    assert ids(answer(WhatIf(buyer=fan)).recommended)[0] == first


def test_in_the_past_neither_later_events_nor_later_cars_are_known(market, fan):
    tuesday = timezone.now() - timedelta(days=3)
    sold, new = market.bmws[5], market.bmws[6]
    Listing.objects.filter(pk=sold.pk).update(status="sold", ended_at=tuesday + timedelta(days=1))
    Listing.objects.filter(pk=new.pk).update(published_at=tuesday + timedelta(days=1))
    then = answer(WhatIf(buyer=fan, as_of=tuesday, k=30))
    assert sold.pk in ids(then.recommended)
    assert new.pk not in ids(then.recommended)
    assert then.recommended.n_events == 0
    assert not then.recommended.is_personalised
    now = answer(WhatIf(buyer=fan, k=30))
    assert sold.pk not in ids(now.recommended)
    assert new.pk in ids(now.recommended)


def test_in_the_past_the_events_before_it_count(market, fan):
    long_ago = timezone.now() - timedelta(days=10)
    Interaction.objects.filter(buyer=fan).update(occurred_at=long_ago)
    view(fan, *market.skodas[:6], kind="contact")
    then = answer(WhatIf(buyer=fan, as_of=timezone.now() - timedelta(days=3), k=10))
    assert then.recommended.n_events == 4
    assert n_of_make(then.recommended, "bmw") > n_of_make(answer(WhatIf(buyer=fan, k=10)).recommended, "bmw")


def test_another_version_answers_in_its_own_space(market, fan):
    other = run_training(run_id=start_training(parameters={"prior_buyers": 20, "seed": 5}, promote=False).pk)
    assert RankerVersion.objects.get(pk=other.pk).status == "ready"
    found = answer(WhatIf(buyer=fan, version_id=other.pk))
    assert found.recommended.version_id == other.pk
    assert len(found.recommended.items) == len(answer(WhatIf(buyer=fan)).recommended.items)


def test_a_version_without_vectors_is_refused_by_name(fan):
    retired = RankerVersion.objects.create(status="retired")
    with pytest.raises(RankerRefused, match=f"v{retired.pk} is neither live nor ready"):
        answer(WhatIf(buyer=fan, version_id=retired.pk))


def test_before_any_training_there_is_nothing_to_ask():
    remove_market()
    with pytest.raises(RankerRefused, match="no ranker version is live"):
        answer(WhatIf(buyer=BuyerFactory()))


def test_other_weights_of_events_are_tried_without_storing_them(market):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:4])
    view(buyer, *market.skodas[:4], kind="compare")
    stored = everything_stored()
    kinds = EventKind.objects.in_bulk()
    kinds["compare"].weight = 0.0
    kinds["view"].weight = 5.0
    usual, weighed = answer(WhatIf(buyer=buyer, k=10)), answer(WhatIf(buyer=buyer, k=10, kinds=kinds))
    assert n_of_make(weighed.recommended, "bmw") > n_of_make(usual.recommended, "bmw")
    assert everything_stored() == stored


def test_the_market_is_read_again_only_for_other_weights(market, fan):
    kinds = EventKind.objects.in_bulk()
    kinds["view"].half_life_days = 5.0
    Interaction.objects.update(occurred_at=timezone.now() - timedelta(hours=1))  # before the ten minutes of now began
    forget_market_statistics()
    current = current_market_statistics()
    assert market_statistics_of(WhatIf(buyer=fan, kinds=kinds)) is current
    kinds["view"].weight = 3.0
    assert market_statistics_of(WhatIf(buyer=fan, kinds=kinds)).demand != current.demand


def test_other_weights_do_what_they_would_do_once_stored(market, fan):
    kinds = EventKind.objects.in_bulk()
    kinds["view"].weight, kinds["view"].half_life_days = 3.0, 5.0
    tried = answer(WhatIf(buyer=fan, kinds=kinds)).recommended
    EventKind.objects.filter(slug="view").update(weight=3.0, half_life_days=5.0)
    kept = recommend(ListRequest(buyer=fan))
    assert ids(tried) == ids(kept)
    assert [item.score for item in tried.items] == pytest.approx([item.score for item in kept.items], abs=1e-2)


def test_other_rules_of_a_placement_are_tried_without_storing_them(market, fan):
    rules = Rules(Placement(slug="home", k=6, max_per_model=2, diversity=0.0, exploration_positions=0))
    tried = answer(WhatIf(buyer=fan, rules=rules)).recommended
    assert len(tried.items) == 6
    assert n_of_make(answer(WhatIf(buyer=fan, k=6)).recommended, "bmw") > n_of_make(tried, "bmw")


def test_moves_tell_who_rose_fell_came_and_left(market, fan):
    usual = answer(WhatIf(buyer=fan, k=3)).recommended
    one, two, three = usual.items
    moved = RecommendedList(usual.id, [at(two, 1), at(one, 2)], usual.version_id, True, 4)
    assert moves(usual, moved) == [
        Move(two.listing, 2, 1),
        Move(one.listing, 1, 2),
        Move(three.listing, 3, None),
    ]
    assert [move.by for move in moves(usual, moved)] == [1, -1, None]


def at(item, position: int):
    return type(item)(**{**vars(item), "position": position})
