"""Small event files of different kinds: ours is not clearly behind its best baseline, and a useless item file is 0."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from benchmarks.event_kinds import SIZES, compared, file_of
from recommendations.evaluation.item_ranker import fit_item_ranker
from recommendations.evaluation.item_terms import CONTENT, ItemRankerConfig
from recommendations.evaluation.item_validation import windows_before

QUICK = ItemRankerConfig(
    regularisations=(200.0,), history_half_lives_days=(365.0,), n_factors=4, n_iterations=2, known_only=False,
    unseen_only=False,
)  # fmt: skip


@pytest.mark.parametrize(
    "kind", ["news", "two tastes", "sudden drift", "new users", "one heavy user", "one odd heavy user", "whole days"]
)
def test_ours_is_not_clearly_behind_any_baseline(kind):
    rows = list(compared(*file_of(kind, SIZES["small"], seed=4), QUICK, max_users=60))
    assert rows
    assert [str(row) for row in rows if row.is_surely_worse] == []


def test_new_users_are_shown_what_new_users_go_for():
    rows = {row.users: row for row in compared(*file_of("other new users", SIZES["small"], seed=0), QUICK, 60)}
    assert rows["cold"].lead.is_better


def test_an_item_file_of_noise_changes_nothing():
    events, catalogue = file_of("two tastes", SIZES["small"], seed=4)
    noise = np.random.default_rng(0).normal(size=(events.n_items, 6))
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    rankers = [
        fit_item_ranker(events, one, 50.0, None, QUICK)
        for one in (catalogue, replace(catalogue, content=csr_array(noise)))
    ]
    rows = np.arange(events.n_users)
    assert (rankers[0].scores(rows) == rankers[1].scores(rows)).all()
    assert all(CONTENT not in score.names for score in rankers[1].scores_by_segment)


def test_windows_before_a_day_do_not_look_past_it():
    events, catalogue = file_of("two tastes", SIZES["small"], seed=4)
    found = [windows_before(one, catalogue, 50.0, QUICK) for one in (events, events.before(50.0))]
    days = [[window.learning_data.day for window in windows] for windows in found]
    assert days[0] == days[1]
    assert max(days[0]) < 50.0
    assert len(days[0]) > 1
