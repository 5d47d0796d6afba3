import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from recommendations.evaluation.baselines import (
    ANY_PRICE,
    Als,
    Budget,
    Cosines,
    Ease,
    average_of_liked,
    budget_of,
    interest_matrix,
    newest_in_budget,
    popular,
    recently_popular,
)

# Alice bought bread and butter, Bob bread, butter and jam, Carol tea.
BASKETS = csr_array(np.array([[1.0, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 1]]))


def test_popularity_adds_up_the_weights_of_events():
    assert popular([2, 0, 2], [1.0, 3.0, 0.5], 4).tolist() == [3.0, 0.0, 1.5, 0.0]
    assert popular([2, 0, 2], 1.0, 4).tolist() == [1.0, 0.0, 2.0, 0.0]


def test_recent_popularity_halves_with_each_half_life():
    got = recently_popular([0, 0, 1], [0.0, 7.0, 14.0], 1.0, 3, half_life_days=7.0)
    assert got.tolist() == [1.5, 0.25, 0.0]


def test_nothing_is_popular_without_events():
    assert popular([], 1.0, 3).tolist() == [0, 0, 0]
    assert recently_popular([], [], 1.0, 3).tolist() == [0, 0, 0]


def test_a_budget_reaches_a_fifth_beyond_what_was_liked():
    assert budget_of([10_000.0, np.nan, 20_000.0]) == Budget(8_000.0, 24_000.0)


@pytest.mark.parametrize("prices", [[], [np.nan]])
def test_a_buyer_who_liked_no_priced_car_has_any_budget(prices):
    assert budget_of(prices) == ANY_PRICE


def test_the_newest_in_budget_come_first_then_the_newest_of_the_others():
    scores = newest_in_budget([1.0, 4.0, 3.0, 2.0], [9.0, 99.0, 9.0, np.nan], Budget(5.0, 10.0))
    assert np.argsort(-scores).tolist() == [2, 0, 1, 3]


def test_any_price_includes_the_unknown_one():
    assert np.argsort(-newest_in_budget([1.0, 2.0], [5.0, np.nan], ANY_PRICE)).tolist() == [1, 0]


def test_cars_listed_at_the_same_time_are_alike():
    assert newest_in_budget([3.0, 3.0], [1.0, 1.0], ANY_PRICE).tolist() == [1.0, 1.0]


def test_the_average_of_the_liked_points_between_them():
    vectors = np.array([[1.0, 1], [1, 0], [0, -1], [0, 0]])
    scores = average_of_liked(vectors, np.array([[2.0, 0], [0, 2]]), [1.0, 1.0])
    assert_allclose(scores, [1.0, 0.5**0.5, -(0.5**0.5), 0.0])


def test_strength_pulls_the_average():
    scores = average_of_liked(np.eye(2), np.eye(2), [3.0, 1.0])
    assert_allclose(scores, np.array([3.0, 1.0]) / 10**0.5)


def test_a_buyer_who_liked_nothing_has_no_average():
    assert average_of_liked(np.eye(2), np.zeros((0, 2)), []).tolist() == [0.0, 0.0]


def test_neighbours_are_near_by_the_cosine_of_who_wanted_them():
    cosines = Cosines.fit(BASKETS).scores(csr_array(np.eye(4)))
    # bread and butter share both their buyers; bread (2 buyers) and jam (1) share one
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = 1.0
    expected[0, 2] = expected[2, 0] = expected[1, 2] = expected[2, 1] = 1 / 2**0.5
    assert_allclose(cosines, expected)


def test_neighbours_are_those_of_all_similarities_formed():
    rng = np.random.default_rng(0)
    interest = rng.random((30, 17)) * (rng.random((30, 17)) > 0.7)
    interest[:, 3], interest[7, 4] = 0.0, 1.0
    lengths = np.maximum(np.linalg.norm(interest, axis=0), 1e-300)
    similarities = (interest / lengths).T @ (interest / lengths)
    np.fill_diagonal(similarities, 0.0)
    assert_allclose(Cosines.fit(csr_array(interest)).scores(csr_array(interest)), interest @ similarities, atol=1e-12)


def test_neighbours_score_what_goes_with_a_history():
    scores = Cosines.fit(BASKETS).scores(csr_array(np.array([[1.0, 0, 0, 0], [0, 0, 0, 0]])))
    assert_allclose(scores, [[0, 1, 1 / 2**0.5, 0], [0, 0, 0, 0]])


def test_what_only_its_own_buyer_wanted_has_no_neighbour_at_all():
    lonely = csr_array(np.diag([0.1, 0.3, 0.7]))
    assert Cosines.fit(lonely).scores(csr_array(np.eye(3))).tolist() == [[0.0] * 3] * 3


def test_ease_of_two_things_wanted_together():
    # X'X + lambda I = [[3, 2], [2, 3]]; its inverse is [[.6, -.4], [-.4, .6]]; weights are .4 / .6
    weights = Ease.fit(csr_array(np.ones((2, 2))), regularisation=1.0).weights
    assert_allclose(weights, [[0, 2 / 3], [2 / 3, 0]])


def test_ease_leaves_out_items_without_events():
    model = Ease.fit(csr_array(np.array([[1.0, 0, 1], [1, 0, 1]])), regularisation=1.0)
    assert_allclose(model.scores(csr_array(np.eye(3))), [[0, 0, 2 / 3], [0, 0, 0], [2 / 3, 0, 0]])


def test_ease_in_half_the_memory_scores_alike():
    interest = csr_array((np.random.default_rng(0).random((60, 40)) > 0.8).astype(float))
    small, large = (Ease.fit(interest, 5.0, dtype) for dtype in (np.float32, np.float64))
    assert small.weights.dtype == np.float32
    assert_allclose(small.scores(interest), large.scores(interest), atol=1e-4)


def test_neither_neighbours_nor_ease_need_a_buyer():
    no_buyers = csr_array((0, 3), dtype=float)
    for model in (Cosines.fit(no_buyers), Ease.fit(no_buyers)):
        assert model.scores(csr_array((2, 3), dtype=float)).tolist() == [[0.0] * 3] * 2


def test_factors_rank_what_like_minded_buyers_wanted_above_the_rest():
    model = Als.fit(BASKETS, n_factors=2, regularisation=0.1)
    alice = model.scores(np.array([0]))[0]
    assert alice[2] > alice[3] + 0.1


def test_factors_know_nothing_of_a_buyer_without_feedback():
    model = Als.fit(csr_array(np.array([[1.0, 1], [0, 0]])), n_factors=2)
    assert model.scores(np.array([1])).tolist() == [[0.0, 0.0]]


def test_interest_adds_up_repeats_and_saturates():
    got = interest_matrix([0, 0, 1], [1, 1, 0], [0.5, 0.5, 2.0], (2, 2)).toarray()
    assert_allclose(got, [[0, 1 - np.exp(-1)], [1 - np.exp(-2), 0]])
