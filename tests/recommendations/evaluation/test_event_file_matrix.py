"""Small event files of different kinds: ours is not clearly behind its best baseline, and a useless item file is 0."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from recommendations.evaluation.event_file_backtest import FileParameters, backtest_file
from recommendations.evaluation.event_files import EventFile
from recommendations.evaluation.item_events import ItemCatalogue, ItemEvents
from recommendations.evaluation.item_ranker import fit_item_ranker
from recommendations.evaluation.item_terms import CONTENT, ItemRankerConfig
from recommendations.evaluation.item_validation import windows_before
from recommendations.evaluation.outcome import OURS

N_USERS, N_ITEMS, N_EVENTS = 60, 40, 700
QUICK = ItemRankerConfig(
    regularisations=(200.0,), history_half_lives_days=(365.0,), n_factors=4, n_iterations=2, known_only=False,
    unseen_only=False,
)  # fmt: skip


def events_of(kind: str) -> ItemEvents:
    rng = np.random.default_rng(4)
    users, days = rng.integers(N_USERS, size=N_EVENTS), np.sort(rng.uniform(0, 60, N_EVENTS))
    ranks = np.minimum(rng.geometric(0.12, N_EVENTS) - 1, N_ITEMS - 1)
    if kind == "news":  # what is popular changes every third day
        items = (ranks // 4 + (days // 3).astype(int) * 2) % N_ITEMS
    elif kind == "groups":
        items = ranks // 2 * 2 + users % 2
    elif kind == "sudden drift":
        items = np.where(days > 48, (ranks + 17) % N_ITEMS, ranks)
    elif kind == "one heavy user":
        users, items = np.where(rng.random(N_EVENTS) < 0.5, 0, users), ranks
    elif kind == "new users":
        users, items = np.arange(N_EVENTS) // 2 % 400, ranks
    else:  # times to the day
        days, items = np.floor(days), ranks
    return ItemEvents(users, items % N_ITEMS, days, np.ones(N_EVENTS), 400, N_ITEMS)


@pytest.mark.parametrize("kind", ["news", "groups", "sudden drift", "new users", "ties", "one heavy user"])
def test_ours_is_not_clearly_behind_any_baseline(kind):
    events = events_of(kind)
    names = (np.arange(400).astype(str), np.arange(N_ITEMS).astype(str))
    parameters = FileParameters(test_from=50.0, moments=1, max_users=40, ks=(10,))
    outcome = backtest_file(EventFile(kind, events, *names, {}), None, parameters)
    figures = {(one.ranker, one.slice, one.metric): one for one in outcome.figures}
    for part in ("known buyer", "cold buyer"):
        if figures[OURS, part, "ndcg"].n < 10:  # the interval of a few users is no interval
            continue
        others = [name for name in outcome.summary["rankers"] if name != OURS]
        best = max(others, key=lambda name: figures[name, part, "ndcg"].value)
        assert figures[best, part, "lead in ndcg"].high >= 0


def test_an_item_file_of_noise_changes_nothing():
    events = events_of("groups")
    bare = ItemCatalogue(np.full(N_ITEMS, -np.inf), np.full(N_ITEMS, np.inf))
    noise = np.random.default_rng(0).normal(size=(N_ITEMS, 6))
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    rankers = [
        fit_item_ranker(events, one, 50.0, None, QUICK) for one in (bare, replace(bare, content=csr_array(noise)))
    ]
    rows = np.arange(N_USERS)
    assert (rankers[0].scores(rows) == rankers[1].scores(rows)).all()
    assert all(CONTENT not in score.names for score in rankers[1].scores_by_segment)


def test_windows_before_a_day_do_not_look_past_it():
    events = events_of("groups")
    catalogue = ItemCatalogue.from_events(events)
    found = [windows_before(one, catalogue, 50.0, QUICK) for one in (events, events.before(50.0))]
    days = [[window.learning_data.day for window in windows] for windows in found]
    assert days[0] == days[1]
    assert max(days[0]) < 50.0
    assert len(days[0]) > 1
