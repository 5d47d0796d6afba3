"""What every ranker and every baseline promises, whatever it is made of."""

from functools import cache

import numpy as np
import pytest

from recommendations.evaluation.event_file_backtest import baselines
from recommendations.evaluation.item_terms import LearningData
from tests.recommendations.ranker_contract import (
    BASELINES,
    DAY,
    GROUP_OF_ITEM,
    GROUP_OF_PERSON,
    N_ITEMS,
    N_PEOPLE,
    RANKINGS,
    Ranking,
    item_file,
    liked_by,
    small_config,
)

N_LEFT = N_ITEMS - 5  # each person has liked five
SEED = 3


@cache
def fitted(name: str) -> Ranking:
    return RANKINGS[name].fitted(SEED)


@pytest.fixture(params=RANKINGS)
def name(request) -> str:
    return request.param


@pytest.fixture
def ranking(name) -> Ranking:
    return fitted(name)


@pytest.fixture(params=[name for name, kind in RANKINGS.items() if kind.is_stored])
def stored(request) -> Ranking:
    return fitted(request.param)


@pytest.fixture(params=[name for name, kind in RANKINGS.items() if kind.is_personal])
def personal(request) -> Ranking:
    return fitted(request.param)


ALL_BUYERS = list(range(N_PEOPLE))


def lists(ranking: Ranking, k: int = N_LEFT) -> list[list[int]]:
    return [ranking.listed(person, k) for person in ALL_BUYERS]


def test_every_baseline_of_an_event_file_is_asked():
    file = item_file()
    assert set(BASELINES) == set(baselines(LearningData(file.file.events, file.catalogue, DAY, small_config(0))))


def test_fitted_again_on_the_same_with_the_same_seed_it_is_the_same(name, ranking):
    again = RANKINGS[name].fitted(SEED)
    np.testing.assert_array_equal(again.scores(ALL_BUYERS), ranking.scores(ALL_BUYERS))
    assert lists(again) == lists(ranking)


def test_saved_and_loaded_it_is_the_same(stored, tmp_path):
    again = stored.reloaded(tmp_path)
    np.testing.assert_array_equal(again.scores(ALL_BUYERS), stored.scores(ALL_BUYERS))
    assert lists(again) == lists(stored)


def test_many_at_once_are_scored_as_each_alone(ranking):
    together = ranking.scores(ALL_BUYERS)
    alone = np.concatenate([ranking.scores([person]) for person in ALL_BUYERS])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)
    backwards = ranking.scores(ALL_BUYERS[::-1])[::-1]
    np.testing.assert_allclose(together, backwards, rtol=1e-5, atol=1e-5)


def test_scores_are_finite_and_of_every_item(ranking):
    scores = ranking.scores(ALL_BUYERS)
    assert scores.shape == (N_PEOPLE, N_ITEMS)
    assert np.isfinite(scores).all()


def test_what_is_excluded_stays_out(ranking):
    for person in ALL_BUYERS:
        for k in (1, N_LEFT, N_ITEMS, 3 * N_ITEMS):
            assert not set(ranking.listed(person, k)) & set(liked_by(person).tolist())


@pytest.mark.parametrize("k", [1, 2, 5, N_LEFT - 1, N_LEFT, N_LEFT + 1, 3 * N_ITEMS])
def test_k_asked_is_k_answered_whenever_k_exist(ranking, k):
    for person in ALL_BUYERS:
        listed = ranking.listed(person, k)
        assert len(listed) == min(k, N_LEFT)
        assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_a_shorter_list_is_the_beginning_of_a_longer_one(ranking, k):
    assert [each[:k] for each in lists(ranking)] == lists(ranking, k)


def test_asking_twice_gives_the_same_list(ranking):
    assert lists(ranking) == lists(ranking)


def test_the_three_items_of_the_own_group_that_are_left_come_first(personal):
    wins = [np.mean(GROUP_OF_ITEM[personal.listed(person, 3)] == GROUP_OF_PERSON[person]) for person in ALL_BUYERS]
    assert np.mean(wins) > 0.9
