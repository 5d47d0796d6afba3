import pytest
from prometheus_client import REGISTRY

from catalog.services import mark_sold
from recommendations.models import Placement
from recommendations.serving.list_cache import LifetimeCache
from recommendations.serving.lists import ListRequest, recommend
from tests.factories import BuyerFactory, ListingFactory
from tests.markets import trained_market, view


def count(result: str) -> float:
    return REGISTRY.get_sample_value("forecourt_list_cache_total", {"result": result}) or 0.0


@pytest.fixture
def asked_again(db, settings):
    """A market, a buyer who has just been answered, and a way to ask again: hits, misses, and the ids."""
    settings.WINDOW_STALENESS_SECONDS = 0
    market, buyer = trained_market(6), BuyerFactory()
    view(buyer, market.skodas[0])

    def ask(**question):
        hits, misses = count("hit"), count("miss")
        answer = recommend(ListRequest(buyer=buyer, k=5, **question))
        return count("hit") - hits, count("miss") - misses, [item.listing.pk for item in answer.items]

    ask()
    return market, buyer, ask


def test_the_same_question_is_a_hit_with_the_same_answer(asked_again):
    _, _, ask = asked_again
    first, second = ask(), ask()
    assert first[:2] == second[:2] == (1, 0)
    assert first[2] == second[2]


def test_an_answer_from_the_cache_explains_itself_as_any_other(asked_again, settings):
    _, buyer, _ = asked_again
    kept = recommend(ListRequest(buyer=buyer, k=5))
    settings.LIST_CACHE_SECONDS = 0
    fresh = recommend(ListRequest(buyer=buyer, k=5))
    for one, other in zip(kept.items, fresh.items, strict=True):
        assert (one.listing.pk, one.score, one.reason, one.terms) == (
            other.listing.pk, other.score, other.reason, other.terms,
        )  # fmt: skip


@pytest.mark.parametrize("question", [{"source": "content"}, {"placement": "elsewhere"}])
def test_another_question_is_a_miss(asked_again, question):
    _, _, ask = asked_again
    Placement.objects.create(slug="elsewhere", diversity=0.9)
    assert ask(**question)[:2] == (0, 1)


def test_an_event_makes_another_list(asked_again):
    market, buyer, ask = asked_again
    view(buyer, market.bmws[0])
    assert ask()[:2] == (0, 1)


def test_a_new_car_is_not_kept_waiting(asked_again):
    _, _, ask = asked_again
    ListingFactory()
    assert ask()[:2] == (0, 1)


def test_a_sold_car_is_gone_from_a_list_that_was_kept(asked_again, settings):
    market, _, ask = asked_again
    best = ask()[2][0]
    settings.WINDOW_STALENESS_SECONDS = 60  # the window has not noticed
    mark_sold(listing=next(car for car in (*market.skodas, *market.bmws) if car.pk == best))
    hits, _, ids = ask()
    assert hits == 1
    assert best not in ids
    assert len(ids) == 5


def test_an_edited_placement_counts_at_once(asked_again):
    _, _, ask = asked_again
    Placement.objects.filter(slug="home").update(diversity=0.7)
    assert ask()[:2] == (0, 1)


def test_without_a_lifetime_nothing_is_kept(asked_again, settings):
    _, _, ask = asked_again
    settings.LIST_CACHE_SECONDS = 0
    assert ask()[:2] == (0, 1)


def test_entries_grow_old(settings):
    settings.LIST_CACHE_SECONDS = 10
    now = 100.0
    cache = LifetimeCache[str](timer=lambda: now)
    cache.keep("question", "answer")
    now = 109.0
    assert cache.get("question") == "answer"
    now = 111.0
    assert cache.get("question") is None


def test_the_longest_unasked_entry_goes_first(settings):
    settings.LIST_CACHE_SECONDS = 60
    cache = LifetimeCache[int](at_most=2)
    cache.keep("a", 1)
    cache.keep("b", 2)
    cache.get("a")
    cache.keep("c", 3)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]
