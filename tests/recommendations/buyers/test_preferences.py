from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone

from recommendations.buyers import preferences
from recommendations.buyers.locks import LOCK_SPACE
from recommendations.buyers.posteriors import LogPosition, store_preferences, taste_of
from recommendations.buyers.preferences import current_preference, update_preferences
from recommendations.buyers.questionnaire import save_questionnaire
from recommendations.buyers.refresh import refresh_preferences, refresh_stale_preferences
from recommendations.events.recording import Event, record_interactions
from recommendations.listings.index import borrow_index
from recommendations.models import EventKind, Interaction, Preference
from tests.factories import BuyerFactory, InteractionFactory
from tests.markets import view

pytestmark = pytest.mark.django_db


@pytest.fixture
def market(market_of_module):
    return market_of_module


def utility_gap(buyer, market) -> float:
    """Mean utility of the BMWs minus that of the Skodas, by the buyer's preference."""
    preference = current_preference(buyer)
    with borrow_index() as listing_index:
        skodas, _ = listing_index.vectors_of([car.pk for car in market.skodas])
        bmws, _ = listing_index.vectors_of([car.pk for car in market.bmws])
    return float((bmws.mean(axis=0) - skodas.mean(axis=0)) @ np.asarray(preference.mean))


def test_without_a_ranker_there_is_no_preference():
    assert current_preference(InteractionFactory().buyer) is None


def test_without_events_there_is_no_preference(market):
    assert current_preference(BuyerFactory()) is None
    assert not Preference.objects.filter(buyer__interactions=None).exists()


def test_a_view_moves_the_preference_towards_what_was_seen(market):
    fan_of_bmw, fan_of_skoda = BuyerFactory(), BuyerFactory()
    view(fan_of_bmw, *market.bmws[:3])
    view(fan_of_skoda, *market.skodas[:3])
    assert utility_gap(fan_of_bmw, market) > 0 > utility_gap(fan_of_skoda, market)


def test_a_dislike_moves_it_away(market):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:2])
    before = utility_gap(buyer, market)
    view(buyer, *market.bmws[2:5], kind="dislike")
    assert utility_gap(buyer, market) < before


def test_a_search_counts_as_a_choice_of_what_it_found(market):
    buyer = BuyerFactory()
    record_interactions(buyer=buyer, events=[Event(kind="search", query={"makes": ["bmw"]})])
    assert utility_gap(buyer, market) > 0


def test_a_search_that_finds_everything_or_nothing_says_nothing(market):
    buyer = BuyerFactory()
    events = [Event(kind="search", query={"max_price": 1e9}), Event(kind="search", query={"makes": ["unknown-make"]})]
    record_interactions(buyer=buyer, events=events)
    prior = taste_of(current_preference(BuyerFactory(questionnaire={"makes": ["unknown-make"]})))
    np.testing.assert_allclose(taste_of(current_preference(buyer)).mean, prior.mean, atol=1e-6)


def test_answers_give_a_starting_preference_and_new_answers_another(market):
    buyer = BuyerFactory()
    save_questionnaire(buyer=buyer, answers={"makes": ["bmw"]})
    assert utility_gap(buyer, market) > 0
    save_questionnaire(buyer=buyer, answers={"makes": ["skoda"]})
    assert utility_gap(buyer, market) < 0


def test_a_preference_that_knows_the_whole_log_is_not_computed_again(market):
    buyer = BuyerFactory()
    view(buyer, market.bmws[0])
    first = current_preference(buyer)
    assert current_preference(buyer).computed_at == first.computed_at


def test_an_event_that_becomes_visible_late_with_a_low_id_is_noticed(market):
    buyer = BuyerFactory()
    late = InteractionFactory(buyer=BuyerFactory(), listing=market.bmws[0])
    view(buyer, market.skodas[0])
    current_preference(buyer)
    Interaction.objects.filter(pk=late.pk).update(buyer=buyer)  # stands for a commit that came after a higher id's
    assert current_preference(buyer).n_interactions == 2


def test_a_changed_weight_makes_every_preference_stale(market):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:3])
    strong = utility_gap(buyer, market)
    EventKind.objects.filter(slug="view").update(weight=0.1)
    assert 0 < utility_gap(buyer, market) < strong


def test_an_old_preference_is_computed_anew_because_events_fade(market, settings):
    buyer = BuyerFactory()
    view(buyer, market.bmws[0])
    current_preference(buyer)
    old = timezone.now() - timedelta(hours=settings.PREFERENCE_MAX_AGE_HOURS + 1)
    Preference.objects.filter(buyer=buyer).update(computed_at=old)
    assert current_preference(buyer).computed_at > old


def test_a_writer_who_read_less_of_the_log_does_not_overwrite_one_who_read_more(market):
    buyer = BuyerFactory()
    view(buyer, market.bmws[0])
    slow = current_preference(buyer)
    view(buyer, market.skodas[0])
    fast = current_preference(buyer)
    store_preferences([slow])
    assert Preference.objects.get(buyer=buyer).last_interaction_id == fast.last_interaction_id


def test_only_the_buyer_who_acted_has_a_stale_preference(market):
    alice, bob = BuyerFactory(), BuyerFactory()
    view(alice, market.bmws[0])
    view(bob, market.bmws[0])
    bobs = current_preference(bob)
    view(alice, market.skodas[0])
    current_preference(alice)
    assert current_preference(bob).computed_at == bobs.computed_at


def test_the_beat_job_repairs_what_was_not_read(market):
    refresh_stale_preferences()
    buyer = BuyerFactory()
    view(buyer, market.bmws[0])
    assert refresh_stale_preferences() == 1
    assert Preference.objects.get(buyer=buyer, version=market.version).n_interactions == 1
    assert refresh_stale_preferences() == 0


def test_refreshing_a_buyer_who_is_gone_is_no_error(market):
    assert refresh_preferences(buyer_id=10**9) is None


def test_many_buyers_side_by_side_get_what_each_would_get_alone(market):
    buyers = [BuyerFactory(questionnaire={"makes": ["bmw"]} if number == 2 else {}) for number in range(4)]
    for number, buyer in enumerate(buyers[:3]):
        view(buyer, *market.bmws[number : 2 * number + 1], *market.skodas[:number])
    assert update_preferences(buyers, by="beat") == 3  # of the last one nothing is known
    together = {row.buyer_id: row for row in Preference.objects.filter(buyer__in=buyers)}
    Preference.objects.all().delete()
    for buyer in buyers[:3]:
        alone = current_preference(buyer)
        np.testing.assert_allclose(together[buyer.pk].mean, alone.mean, atol=1e-5)
        np.testing.assert_allclose(
            taste_of(together[buyer.pk]).covariance, taste_of(alone).covariance, rtol=1e-4, atol=1e-6
        )
        assert together[buyer.pk].last_interaction_id == alone.last_interaction_id
        assert together[buyer.pk].n_interactions == alone.n_interactions


def test_a_batch_is_cut_by_buyers_and_by_events(market, monkeypatch):
    monkeypatch.setattr(preferences, "EVENTS_AT_ONCE", 5)
    monkeypatch.setattr(preferences, "BUYERS_AT_ONCE", 2)
    buyers = BuyerFactory.create_batch(5)
    view(buyers[0], *market.bmws[:9])  # more than a batch holds: alone in one
    view(buyers[1], *market.bmws[:3])
    positions = LogPosition.of_many([buyer.pk for buyer in buyers])
    cut = [[buyers.index(buyer) for buyer in batch] for batch in preferences.batches_of(buyers, positions)]
    assert cut == [[0], [1, 2], [3, 4]]
    assert update_preferences(buyers, by="beat") == 2


def test_nothing_is_computed_twice_and_a_fresh_batch_is_free(market):
    buyers = BuyerFactory.create_batch(2)
    for buyer in buyers:
        view(buyer, market.bmws[0])
    first = current_preference(buyers[0])
    assert update_preferences(buyers, by="beat") == 1
    assert Preference.objects.get(buyer=buyers[0]).computed_at == first.computed_at
    assert update_preferences(buyers, by="beat") == 0


def test_a_buyer_whom_another_process_is_computing_is_left_to_it(market):
    mine, theirs = BuyerFactory.create_batch(2)
    for buyer in (mine, theirs):
        view(buyer, market.bmws[0])
    with another_connection() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK_SPACE + theirs.pk])
        assert update_preferences([mine, theirs], by="beat") == 1
    assert Preference.objects.filter(buyer__in=[mine, theirs]).get().buyer == mine
    assert update_preferences([mine, theirs], by="beat") == 1  # and the lock was given back


@contextmanager
def another_connection():
    """The session of another process, as far as locks are concerned."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            yield cursor
            cursor.execute("SELECT pg_advisory_unlock_all()")  # closing only hands the session back to the pool
    finally:
        other.close()
