from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommendations.engine.policy import (
    Kind,
    ListPolicy,
    Pool,
    build_list,
    congestion_term,
    focus_of,
    price_bands,
    weights_of_wishes,
)

BY_SCORE_ALONE = ListPolicy(k=3, diversity=0, max_per_model=0, max_per_seller=0, exploration_share=0)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def unlike(n):
    """Features of listings that have nothing in common."""
    return np.eye(n)


def random_pool(seed=0, n=40):
    rng = np.random.default_rng(seed)
    explored = np.where(rng.random(n) < 0.3, rng.normal(size=n), np.nan)
    return Pool(
        scores=rng.normal(size=n),
        features=rng.normal(size=(n, 6)),
        models=rng.integers(-1, 5, n),
        sellers=rng.integers(-1, 4, n),
        exploration_scores=explored,
        is_promoted=rng.random(n) < 0.2,
    )


def test_without_wishes_the_list_is_the_ranking(rng):
    got = build_list(Pool([0.1, 0.9, 0.5, 0.7], unlike(4)), BY_SCORE_ALONE, rng)
    assert got.rows.tolist() == [1, 3, 2]
    assert got.kinds.tolist() == [Kind.RANKED] * 3


def test_ties_go_to_the_lower_row(rng):
    assert build_list(Pool([1.0, 1.0, 1.0], unlike(3)), BY_SCORE_ALONE, rng).rows.tolist() == [0, 1, 2]


def test_diversity_prefers_a_different_car_to_a_copy_of_the_first(rng):
    # relevance 1, 0.9 and 0; the second is a copy of the first
    pool = Pool([1.0, 0.9, 0.0], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    policy = ListPolicy(k=3, diversity=0.5, exploration_share=0)
    # 0.5 * 0.9 - 0.5 * 1 = -0.05 against 0.5 * 0 - 0 = 0
    assert build_list(pool, policy, rng).rows.tolist() == [0, 2, 1]


def slow_mmr(pool, k, diversity):
    """Maximal marginal relevance as the paper writes it."""
    relevance = (pool.scores - pool.scores.min()) / (pool.scores.max() - pool.scores.min())
    units = pool.features / np.linalg.norm(pool.features, axis=1, keepdims=True)
    chosen = []
    while len(chosen) < k:
        best = max(
            (row for row in range(len(pool)) if row not in chosen),
            key=lambda row: (
                (1 - diversity) * relevance[row]
                - diversity * max((units[row] @ units[other] for other in chosen), default=0)
            ),
        )
        chosen.append(best)
    return chosen


@pytest.mark.parametrize("diversity", [0.0, 0.15, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_fast_way_is_the_slow_way(seed, diversity):
    rng = np.random.default_rng(seed)
    pool = Pool(rng.normal(size=50), rng.normal(size=(50, 8)))
    policy = ListPolicy(k=12, diversity=diversity, max_per_model=0, max_per_seller=0, exploration_share=0)
    assert build_list(pool, policy, rng).rows.tolist() == slow_mmr(pool, 12, diversity)


# Caps


def test_a_model_over_its_cap_makes_room_for_others(rng):
    pool = Pool([5.0, 4.0, 3.0, 2.0], unlike(4), models=[7, 7, 7, 8])
    policy = ListPolicy(k=3, diversity=0, max_per_model=2, exploration_share=0)
    assert build_list(pool, policy, rng).rows.tolist() == [0, 1, 3]


def test_a_seller_over_the_cap_makes_room_for_others(rng):
    pool = Pool([5.0, 4.0, 3.0], unlike(3), sellers=[1, 1, 2])
    policy = ListPolicy(k=2, diversity=0, max_per_seller=1, exploration_share=0)
    assert build_list(pool, policy, rng).rows.tolist() == [0, 2]


def test_caps_give_way_rather_than_leave_places_empty(rng):
    pool = Pool([5.0, 4.0, 3.0, 2.0], unlike(4), models=[7, 7, 7, 8])
    policy = ListPolicy(k=4, diversity=0, max_per_model=1, exploration_share=0)
    assert build_list(pool, policy, rng).rows.tolist() == [0, 3, 1, 2]


def test_when_caps_give_way_the_least_overstepping_goes_first(rng):
    # one of each may stand; after rows 0 and 4 the second of model 8 goes before the third of model 7
    pool = Pool([9.0, 8.0, 7.0, 1.0, 2.0], unlike(5), models=[7, 7, 7, 8, 8])
    policy = ListPolicy(k=5, diversity=0, max_per_model=1, exploration_share=0)
    assert build_list(pool, policy, rng).rows.tolist() == [0, 4, 1, 3, 2]


def test_listings_of_unknown_model_are_not_capped(rng):
    pool = Pool([5.0, 4.0, 3.0], unlike(3), models=[-1, -1, 7])
    policy = ListPolicy(k=2, diversity=0, max_per_model=1, exploration_share=0)
    assert build_list(pool, policy, rng).rows.tolist() == [0, 1]


# Exploration and promotion


def test_a_share_of_the_places_explores_but_never_the_first():
    explored = np.array([np.nan] * 10 + [1.0, 2.0, 3.0])
    pool = Pool(np.r_[np.arange(10.0, 0.0, -1.0), [-5.0, -5.0, -5.0]], unlike(13), exploration_scores=explored)
    policy = ListPolicy(k=10, diversity=0, exploration_share=0.2)
    n_explored = []
    for seed in range(400):
        got = build_list(pool, policy, np.random.default_rng(seed))
        explored_rows = got.rows[got.kinds == Kind.EXPLORED].tolist()
        assert explored_rows[:3] == [12, 11, 10][: len(explored_rows)]
        assert got.kinds[0] == Kind.RANKED
        n_explored.append(len(explored_rows))
    assert np.mean(n_explored) == pytest.approx(2, abs=0.2), "as many as the budget says, on average"


def test_a_share_below_one_place_comes_true_on_average():
    pool = Pool(np.arange(20.0), unlike(20), exploration_scores=np.arange(20.0))
    policy = ListPolicy(k=5, diversity=0, exploration_share=0.1)
    n = [(build_list(pool, policy, np.random.default_rng(seed)).kinds == Kind.EXPLORED).sum() for seed in range(400)]
    assert np.mean(n) == pytest.approx(0.5, abs=0.1)


def test_places_without_anything_to_explore_go_back_to_the_ranking(rng):
    policy = ListPolicy(k=3, diversity=0, exploration_share=1)
    got = build_list(Pool([3.0, 2.0, 1.0], unlike(3)), policy, rng)
    assert got.rows.tolist() == [0, 1, 2]
    assert got.kinds.tolist() == [Kind.RANKED] * 3


def test_a_list_of_nothing_but_exploration_follows_the_drawn_scores(rng):
    pool = Pool([3.0, 2.0, 1.0], unlike(3), exploration_scores=[0.0, 1.0, 2.0])
    policy = ListPolicy(k=3, diversity=0, exploration_share=1)
    assert build_list(pool, policy, rng).rows.tolist() == [2, 1, 0]


def test_each_place_that_explores_goes_by_a_draw_of_its_own():
    # one draw likes rows 3, 2 and 1 best, the other row 0, then 3 and 2
    draws = np.array([[0.0, 9.0], [1.0, 0.0], [2.0, 1.0], [3.0, 2.0]])
    pool = Pool([0.0] * 4, unlike(4), exploration_scores=draws)
    policy = ListPolicy(k=3, diversity=0, exploration_share=1)
    lists = {tuple(build_list(pool, policy, np.random.default_rng(seed)).rows.tolist()) for seed in range(80)}
    assert lists == {(3, 2, 1), (3, 2, 0), (3, 0, 2), (0, 3, 2)}


def test_one_draw_in_a_column_is_one_draw(rng):
    pool = random_pool()
    column = replace(pool, exploration_scores=pool.exploration_scores[:, None])
    policy = ListPolicy(k=12, exploration_share=0.5)
    lists = [build_list(one, policy, np.random.default_rng(4)).rows.tolist() for one in (pool, column)]
    assert lists[0] == lists[1]


def test_promoted_listings_take_their_share_and_no_more(rng):
    pool = Pool(np.arange(20.0, 0.0, -1.0), unlike(20), is_promoted=np.arange(20) >= 15)
    policy = ListPolicy(k=10, diversity=0, exploration_share=0, promoted_share=0.2)
    got = build_list(pool, policy, rng)
    assert got.rows[got.kinds == Kind.PROMOTED].tolist() == [15, 16]


# Always


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 500),
    n=st.integers(0, 30),
    k=st.integers(0, 35),
    diversity=st.floats(0, 1),
    cap=st.integers(0, 3),
    share=st.floats(0, 0.5),
)
def test_k_asked_is_k_answered_each_once_and_the_same_each_time(seed, n, k, diversity, cap, share):
    pool = random_pool(seed, n)
    policy = ListPolicy(k, diversity, cap, cap, exploration_share=share, promoted_share=share)
    one, two = (build_list(pool, policy, np.random.default_rng(seed)) for _ in range(2))
    assert len(one.rows) == len(set(one.rows.tolist())) == min(n, k)
    np.testing.assert_array_equal(one.rows, two.rows)
    np.testing.assert_array_equal(one.kinds, two.kinds)


def test_degenerate_pools_are_answered(rng):
    same = Pool(np.zeros(5), np.ones((5, 3)))
    assert build_list(same, ListPolicy(k=3), rng).rows.tolist() == [0, 1, 2]
    assert build_list(Pool([], np.zeros((0, 3))), ListPolicy(k=3), rng).rows.tolist() == []
    assert build_list(Pool([1.0], np.zeros((1, 3))), ListPolicy(k=3), rng).rows.tolist() == [0]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"scores": [np.nan, 1.0]}, "must be finite"),
        ({"features": [[np.inf], [1.0]]}, "must be finite"),
        ({"features": [1.0, 2.0]}, "features must have shape"),
        ({"models": [1]}, "models must have shape"),
        ({"exploration_scores": [np.inf, 1.0]}, "exploration scores must be finite"),
        ({"exploration_scores": np.zeros((2, 0))}, "exploration_scores must have shape"),
        ({"exploration_scores": np.zeros((3, 2))}, "exploration_scores must have shape"),
    ],
)
def test_a_pool_refuses_nonsense(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        Pool(**{"scores": [1.0, 2.0], "features": [[1.0], [2.0]]} | changes)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [({"k": -1}, "k and the caps"), ({"diversity": 2}, "diversity must lie"), ({"exploration_share": 1.0,
      "promoted_share": 0.1}, "together")],
)  # fmt: skip
def test_a_policy_refuses_nonsense(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        ListPolicy(**changes)


# Saturation and focus


def test_a_buyer_without_preference_has_no_focus():
    got = focus_of(np.zeros(4), [[0, 0, 1, 1]])
    assert got == 0.0


def test_a_buyer_who_wants_one_make_is_focused():
    got = focus_of([20.0, 20.0, 0.0, 0.0], [[0, 0, 1, 1]])
    assert got == pytest.approx(1, abs=1e-6)


def test_focus_by_hand():
    # shares 0.8 and 0.2 of two makes that are equally frequent; bodies as they come
    got = focus_of(np.log([4.0, 4.0, 1.0, 1.0]), [[0, 0, 1, 1], [0, 1, 0, 1]])
    entropy = -(0.8 * np.log(0.8) + 0.2 * np.log(0.2)) / np.log(2)
    assert got == pytest.approx((1 - entropy) / 2)


def test_fields_that_cannot_tell_are_left_out():
    assert focus_of([5.0, 0.0], [[3, 3], [-1, -1]]) == 0.0
    assert focus_of([], [[]]) == 0.0
    assert focus_of([1.0], []) == 0.0


def test_focus_refuses_arrays_that_disagree():
    with pytest.raises(ValueError, match="does not go with"):
        focus_of([1.0, 2.0], [[1]])
    with pytest.raises(ValueError, match="must be finite"):
        focus_of([np.nan], [[1]])


def test_focus_narrows_the_list():
    policy = ListPolicy(diversity=0.2, exploration_share=0.1)
    assert policy.for_focus(0.0).diversity == pytest.approx(0.3)
    assert policy.for_focus(1.0).diversity == pytest.approx(0.1)
    for focus in (0.0, 1.0):
        assert policy.for_focus(focus).exploration_share == 0.1, "a budget is a budget"
    assert ListPolicy(diversity=0.9).for_focus(0.0).diversity == 1.0


def test_a_list_that_explores_has_draws_to_choose_from():
    assert ListPolicy(k=20, exploration_share=0.06).n_draws == ListPolicy(exploration_share=1.0).n_draws > 10
    assert ListPolicy(k=20, exploration_share=0.0).n_draws == 1


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_logged_propensities_are_how_often_an_item_stands_there_below_the_same_others(share):
    rng, n_lists = np.random.default_rng(5), 3_000
    pool = Pool(rng.normal(size=6), rng.normal(size=(6, 3)), exploration_scores=rng.normal(size=(6, 4)))
    policy = ListPolicy(k=3, diversity=0.2, exploration_share=share)
    seen, logged = Counter(), {}
    for seed in range(n_lists):
        got = build_list(pool, policy, np.random.default_rng(seed))
        rows = tuple(got.rows.tolist())
        for position, propensity in enumerate(got.propensities.tolist()):
            seen[rows[:position], "above"] += 1
            seen[rows[: position + 1]] += 1
            logged[rows[: position + 1]] = propensity
    for rows, propensity in logged.items():
        n = seen[rows[:-1], "above"]
        error = 4.5 * (propensity * (1 - propensity) / n) ** 0.5
        assert seen[rows] / n == pytest.approx(propensity, abs=max(error, 1e-9))


def test_what_is_kept_for_promoted_and_fresh_listings_is_certain_there(rng):
    fresh = np.where(np.arange(8) == 5, 1.0, np.nan)
    pool = Pool(np.arange(8.0), unlike(8), fresh_scores=fresh, is_promoted=np.arange(8) == 2)
    got = build_list(pool, ListPolicy(k=8, exploration_share=0, promoted_share=0.2, fresh_share=0.2), rng)
    assert got.propensities.tolist() == [1.0] * 8


def test_a_list_without_chance_is_certain(rng):
    assert build_list(random_pool(), ListPolicy(k=8, exploration_share=0), rng).propensities.tolist() == [1.0] * 8


def test_price_bands_are_a_fixed_grid_of_ratios():
    # log(1) / log(1.35) = 0; log(1.36) and log(1.8) over log(1.35) are 1.02 and 1.96
    assert price_bands(np.array([1.0, 1.36, 1.8, 1.9, 0.0, np.nan])).tolist() == [0, 1, 1, 2, -1, -1]


# Fresh listings, and multi-interest


def test_places_for_fresh_listings_go_to_the_most_promising_of_them():
    fresh = np.full(20, np.nan)
    fresh[[15, 17]] = [1.0, 2.0]
    policy = ListPolicy(k=10, diversity=0, max_per_model=0, max_per_seller=0, exploration_share=0, fresh_share=0.2)
    got = build_list(Pool(-np.arange(20.0), unlike(20), fresh_scores=fresh), policy, np.random.default_rng(3))
    assert got.rows[got.kinds == Kind.FRESH].tolist() == [17, 15]
    assert got.kinds[0] == Kind.RANKED


def test_without_fresh_listings_their_places_go_back_to_the_ranking(rng):
    policy = ListPolicy(k=3, diversity=0, exploration_share=0, fresh_share=0.5)
    assert build_list(Pool([3.0, 2.0, 1.0], unlike(3)), policy, rng).rows.tolist() == [0, 1, 2]


def test_exploration_promotion_and_fresh_listings_share_one_list():
    with pytest.raises(ValueError, match="no more than the whole list"):
        ListPolicy(exploration_share=0.5, promoted_share=0.3, fresh_share=0.3)


def test_no_single_interest_takes_the_whole_list(rng):
    """The first interest has all the best scores; the second has a share of one third."""
    pool = Pool(-np.arange(30.0), unlike(30), tastes=[0] * 20 + [1] * 10)
    policy = ListPolicy(
        k=12, diversity=0, max_per_model=0, max_per_seller=0, exploration_share=0, taste_shares=(2 / 3, 1 / 3)
    )
    tastes = pool.tastes[build_list(pool, policy, rng).rows]
    for n in range(1, 13):  # from the top down, never more than a place beyond the share
        assert (tastes[:n] == 0).sum() <= np.ceil(2 / 3 * n) + 1
    assert (tastes == 1).sum() >= 3


def test_a_taste_with_no_cars_left_makes_room_for_the_other(rng):
    pool = Pool(-np.arange(6.0), unlike(6), tastes=[0, 0, 0, 0, 0, 1])
    policy = ListPolicy(
        k=6, diversity=0, max_per_model=0, max_per_seller=0, exploration_share=0, taste_shares=(0.5, 0.5)
    )
    assert sorted(build_list(pool, policy, rng).rows.tolist()) == list(range(6))


def test_a_pool_can_be_put_in_another_order():
    pool = random_pool()
    turned = pool.take(np.arange(len(pool))[::-1])
    np.testing.assert_array_equal(turned.scores, pool.scores[::-1])
    np.testing.assert_array_equal(turned.features, pool.features[::-1])
    np.testing.assert_array_equal(turned.is_promoted, pool.is_promoted[::-1])


def test_listings_of_no_particular_taste_are_free(rng):
    pool = Pool([3.0, 2.0, 1.0], unlike(3), tastes=[-1, -1, 0])
    policy = ListPolicy(k=3, diversity=0, exploration_share=0, taste_shares=(0.5, 0.5))
    assert build_list(pool, policy, rng).rows.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="none of 2"):
        build_list(Pool([1.0], unlike(1), tastes=[2]), policy, rng)


def test_the_congestion_penalty_grows_with_each_doubling_beyond_the_lead_cap():
    assert congestion_term([0, 10, 20, 40, 80], free_leads=20, strength=0.5).tolist() == [0, 0, 0, -0.5, -1.0]


@pytest.mark.parametrize("seed", range(12))
def test_weaker_wishes_cost_a_stronger_one_no_places(seed):
    """Two things said outright that few cars have together, and three that only follow from something else."""
    rng = np.random.default_rng(seed)
    n, k = 300, 20
    wishes = rng.random((n, 5)) < [0.3, 0.3, 0.5, 0.5, 0.5]
    both = np.flatnonzero(wishes[:, 0] & wishes[:, 1])
    wishes[both[:k], :2] = True
    wishes[both[k:], 0] = False  # so many have both as the list has places
    wishes[both[:k], 2:] = False  # and none of them anything else
    pool = Pool(rng.normal(size=n), rng.normal(size=(n, 6)), wishes=wishes)
    got = build_list(pool, ListPolicy(k=k, wish_shares=(0.9, 0.9, 0.5, 0.5, 0.5)), rng)
    assert len(both) >= k
    assert (wishes[got.rows, :2].sum(axis=0) >= 18).all()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("share", [0.7, 0.9])
def test_wishes_that_were_stated_together_are_satisfied_by_the_same_cars(share, seed):
    """Answers with three brands, a body and a budget: their share of the list goes to cars with all of them."""
    rng = np.random.default_rng(seed)
    n, k = 300, 20
    wishes = rng.random((n, 4)) < rng.uniform(0.2, 0.8, 4)
    wishes[rng.permutation(n)[:k]] = True
    pool = Pool(rng.normal(size=n), rng.normal(size=(n, 6)), wishes=wishes)
    policy = ListPolicy(k=k, max_per_model=0, exploration_share=0, wish_shares=(share,) * 4)
    met = wishes[build_list(pool, policy, rng).rows]
    for length in range(1, k + 1):  # from the top down
        assert met[:length].all(axis=1).sum() >= share * length - 1e-9


def test_a_wish_that_is_worn_out_gains_nothing_from_one_that_holds(rng):
    """The second wish has a share of a tenth: cars for the first one need not satisfy it beyond that."""
    wishes = np.array([[True, False]] * 20 + [[True, True]] * 20)
    pool = Pool(-np.arange(40.0), unlike(40), wishes=wishes)
    policy = ListPolicy(k=20, diversity=0, max_per_model=0, exploration_share=0, wish_shares=(0.9, 0.1))
    assert wishes[build_list(pool, policy, rng).rows].sum(axis=0).tolist() == [20, 2]


def test_wishes_of_one_strength_count_alike_and_none_counts_for_nothing():
    assert weights_of_wishes([0.9, 0.9, 0.5, 0.01]).tolist() == [729, 729, 125, 1]
