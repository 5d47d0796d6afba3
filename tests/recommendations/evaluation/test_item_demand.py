import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose

from benchmarks.event_kinds import SIZES, TEST_FROM, file_of
from recommendations.evaluation.item_demand import adapting_demand, ordinals
from recommendations.evaluation.item_events import ItemCatalogue, ItemEvents

HALF_LIVES = (1.0, 7.0, 30.0)


def events_of(users, items, days, n_items=10):
    users, items, days = np.asarray(users, np.intp), np.asarray(items, np.intp), np.asarray(days, np.float64)
    return ItemEvents(users, items, days, np.ones(len(users)), 1 + max(users, default=0), n_items)


def demand_of(events, day=60.0, is_alike=None):
    always = ItemCatalogue(np.full(events.n_items, -np.inf), np.full(events.n_items, np.inf))
    alike = np.ones(len(events), bool) if is_alike is None else is_alike
    return adapting_demand(events, always, day, HALF_LIVES, alike, unseen_only=False)


def changing(day_of_change, n=600, seed=0):
    """Ten events a day, half of them on item 0 and the others on any; from a day on, half of them on item 1."""
    rng = np.random.default_rng(seed)
    days = np.sort(rng.uniform(0, 60, n))
    items = np.where(rng.random(n) < 0.5, (days >= day_of_change).astype(int), rng.integers(2, 10, n))
    return events_of(np.arange(n) % 100, items, days)


def test_without_events_all_items_are_alike():
    assert demand_of(events_of([], [], [])).log_shares.tolist() == [0.0] * 10


def test_shares_of_the_demand_sum_to_one():
    assert_allclose(np.exp(demand_of(changing(99.0)).log_shares).sum(), 1.0)


def test_what_is_wanted_for_long_is_predicted_by_long_half_lives():
    demand = demand_of(changing(99.0))
    assert demand.log_shares.argmax() == 0
    assert demand.half_life_days > 15


def test_two_days_after_a_change_the_new_is_first():
    demand = demand_of(changing(58.0))
    assert demand.log_shares.argmax() == 1
    assert demand.half_life_days < 4


def share_of_the_test(scores, events):
    """Of the events of the test, those on the ten items that are scored highest."""
    is_test = events.days >= TEST_FROM
    return np.isin(events.items[is_test], np.argsort(-scores, kind="stable")[:10]).mean()


@pytest.mark.parametrize("kind", ["sudden drift", "tastes that drift"])
def test_two_days_after_everything_changed_it_is_hardly_behind_the_best_half_life(kind):
    behind = []
    for seed in range(8):
        events, catalogue = file_of(kind, SIZES["small"], seed)
        past = events.before(TEST_FROM)
        found = adapting_demand(past, catalogue, TEST_FROM, HALF_LIVES, np.ones(len(past), bool), unseen_only=False)
        ages = TEST_FROM - past.days
        others = [np.bincount(past.items, np.exp2(-ages / days), past.n_items) for days in HALF_LIVES]
        best = max(share_of_the_test(scores, events) for scores in others)
        behind.append(best - share_of_the_test(found.log_shares, events))
    assert np.mean(behind) < 0.06


def test_the_memory_does_not_grow_with_the_events_of_a_window_times_the_half_lives():
    n = 200_000  # nearly all of them at one time
    days = np.concatenate([np.linspace(0, 59, 1_000), np.full(n - 1_000, 59.5)])
    events = events_of(np.arange(n) % 1000, np.arange(n) % 7, days)
    tracemalloc.start()
    demand_of(events)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6  # some columns of the events; by 24 popularities, one takes 38 MB


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_the_order_of_the_rows_does_not_matter(order):
    events = changing(58.0)
    got = demand_of(events.take(np.arange(len(events))[order])).log_shares
    assert_allclose(got, demand_of(events).log_shares, atol=1e-9)


def test_a_user_with_half_of_the_events_does_not_move_it():
    events = changing(99.0)
    heavy = events_of(np.full(600, 100), np.full(600, 9), np.linspace(0, 59.9, 600))
    both = events_of(*(np.concatenate([getattr(one, name) for one in (events, heavy)]) for name in ("users", "items",
                     "days")))  # fmt: skip
    assert demand_of(both).log_shares.argmax() == 0


def test_new_users_have_a_demand_of_their_own():
    rng = np.random.default_rng(1)
    is_new = np.arange(600) % 2 == 0
    users = np.where(is_new, 50 + np.arange(600), np.arange(600) % 10)
    items = np.where(rng.random(600) < 0.5, np.where(is_new, 2, 3), rng.integers(10, size=600))
    events = events_of(users, items, np.sort(rng.uniform(0, 60, 600)))
    alike = ordinals(events) < 5
    assert [demand_of(events, is_alike=one).log_shares.argmax() for one in (alike, ~alike)] == [2, 3]


def test_ordinals_count_what_a_user_had_before():
    assert ordinals(events_of([0, 1, 0, 0], [0, 0, 0, 0], [3.0, 1.0, 1.0, 2.0])).tolist() == [2, 0, 0, 1]


def test_half_for_what_lasts_and_half_for_what_is_new_is_a_sum_of_both():
    rng = np.random.default_rng(2)
    days = np.sort(rng.uniform(0, 60, 3000))
    lasting, new = rng.integers(40, size=3000), 40 + (days // 3).astype(int)
    events = events_of(np.arange(3000) % 300, np.where(rng.random(3000) < 0.5, lasting, new), days, n_items=61)
    shares = np.exp(demand_of(events).log_shares)
    assert shares.argmax() == 59  # of the last three days
    assert 0.3 < shares[:40].sum() < 0.7


def test_what_cannot_be_had_does_not_count_against_the_rest():
    events = changing(99.0)
    ended = np.full(10, np.inf)
    ended[0] = 30.0
    catalogue = ItemCatalogue(np.full(10, -np.inf), ended)
    late = events.take((events.days < 30) | (events.items != 0))
    got = adapting_demand(late, catalogue, 60.0, HALF_LIVES, np.ones(len(late), bool), unseen_only=False)
    assert_allclose(np.exp(got.log_shares)[2:].sum(), 1.0, atol=0.05)


def test_a_day_after_a_change_among_many_items_what_has_come_since_is_listed():
    behind = []
    for seed in range(3):
        events, catalogue = file_of("latest drift", SIZES["middle"], seed)
        past = events.before(TEST_FROM)
        found = adapting_demand(past, catalogue, TEST_FROM, HALF_LIVES, np.ones(len(past), bool), unseen_only=False)
        ages = TEST_FROM - past.days
        others = [np.bincount(past.items, np.exp2(-ages / days), past.n_items) for days in (0.25, *HALF_LIVES)]
        best = max(share_of_the_test(scores, events) for scores in others)
        behind.append(best - share_of_the_test(found.log_shares, events))
    assert np.mean(behind) < 0.01
