"""One person's next list, from models made by hand."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from recommendations.feed.model import FeedModel
from recommendations.feed.ranking import (
    AGAIN,
    LEARNED,
    RANDOM,
    TOP,
    UNSEEN,
    FeedRules,
    ItemScorer,
    Table,
    UserHistory,
    group_equal_rows,
)

PLAIN = {"thompson": 0.0, "unseen_share": 0.0, "new_user_unseen_share": 0.0, "diversity": 0.0}
NEW = UserHistory(*[np.zeros(0, np.intp)] * 3)


def rows(*values: int) -> np.ndarray:
    return np.array(values, np.intp)


def person(shown=(), liked=(), disliked=()) -> UserHistory:
    return UserHistory(rows(*shown), rows(*liked), rows(*disliked))


def scorer(means, tags=None, neighbours=None, n_shown=None, live=None, n_likes=1, deviations=0.5) -> ItemScorer:
    n = len(means)
    model = FeedModel(
        n_shown=np.array(n_shown if n_shown is not None else [100] * n, np.float32),
        means=np.array(means, np.float32),
        deviations=np.full(n, deviations, np.float32),
        neighbours=csr_array(np.zeros((n, n)) if neighbours is None else np.array(neighbours, float)),
        dislike_surprise=1.0,
        n_likes=n_likes,
    )
    given = csr_array((n, 0)) if tags is None else csr_array(np.array(tags, float))
    return ItemScorer(model, given, np.ones(n, bool) if live is None else np.array(live, bool))


def listed(of: ItemScorer, who: UserHistory = NEW, **rules):
    return of.make_list(who, FeedRules(**{**PLAIN, **rules}), np.random.default_rng(0))


def test_a_new_user_gets_the_items_liked_best_in_order():
    found = listed(scorer([0.1, 0.5, 0.3, 0.4]), length=3)
    assert found.rows.tolist() == [1, 3, 2]
    assert found.sources == [TOP] * 3
    np.testing.assert_allclose(found.scores, [0.5, 0.4, 0.3])


def test_before_the_first_like_a_list_is_random_and_says_so():
    found = listed(scorer([0.0] * 8, n_likes=0), length=3)
    assert found.sources == [RANDOM] * 3
    liked = scorer([0.0] * 8, n_likes=0)
    liked.note_liked(rows(5))
    found = listed(liked, length=3)
    assert found.rows[0] == 5
    assert found.sources == [TOP] * 3


def test_neighbours_of_what_was_liked_rise_and_those_of_what_was_disliked_sink():
    neighbours = np.zeros((5, 5))
    neighbours[0, 1], neighbours[0, 2] = 2.0, -2.0
    items = scorer([0.0] * 5, neighbours=neighbours)
    assert listed(items, person(liked=[0]), length=4).rows.tolist()[0] == 1
    assert listed(items, person(liked=[0]), length=4).rows.tolist()[-1] == 2
    assert listed(items, person(liked=[0]), length=4).sources == [LEARNED] * 4
    assert listed(items, person(disliked=[0]), length=4).rows.tolist()[-1] == 1, "what a like would have raised"
    assert listed(items, person(disliked=[0]), length=4).rows.tolist()[:3] == [2, 3, 4]


def test_the_strength_of_a_neighbour_by_hand():
    neighbours = np.zeros((3, 3))
    neighbours[0, 2] = 0.8
    found = listed(scorer([0.0] * 3, neighbours=neighbours), person(liked=[0, 1]), length=1, neighbour_weight=0.5)
    np.testing.assert_allclose(found.scores, 0.5 * 0.8 / np.sqrt(2), rtol=1e-6)


def test_what_was_shown_and_not_liked_speaks_against_its_like_by_hand():
    # an item liked by one in three: odds of 1/2, squared, times the weight of the pairs, over the root of two misses
    neighbours = np.zeros((5, 5))
    neighbours[0, 3], neighbours[0, 4], neighbours[2, 4] = 0.8, -0.4, 9.0
    items = scorer([np.log(0.5)] * 5, neighbours=neighbours)
    found = listed(items, person(shown=[0, 1, 2], liked=[2]), length=2, miss_weight=1.0, neighbour_weight=2.0)
    by_likes = np.array([2.0 * 9.0, 0.0])
    by_misses = 2.0 * 0.25 / np.sqrt(2) * np.array([0.4, -0.8])
    assert found.rows.tolist() == [4, 3]
    np.testing.assert_allclose(found.scores, np.log(0.5) + by_likes + by_misses, rtol=1e-5)


def test_a_miss_of_an_item_that_hardly_anybody_likes_says_nearly_nothing():
    neighbours = np.zeros((3, 3))
    neighbours[0, 2] = 1.0
    found = listed(scorer([-4.0] * 3, neighbours=neighbours), person(shown=[0]), length=2, miss_weight=1.0)
    np.testing.assert_allclose(found.scores, -4.0, atol=1e-3)


def test_without_genres_a_like_that_was_to_be_expected_is_enough_to_have_been_shown():
    # liked by half of the people: two shows are enough where five would be
    found = listed(scorer([0.0] * 20, n_shown=[2] * 20), length=10, new_user_unseen_share=0.5, enough_shown=5)
    assert found.sources == [TOP] * 10
    found = listed(scorer([0.0] * 20, n_shown=[1] * 20), length=10, new_user_unseen_share=0.5, enough_shown=5)
    assert found.sources == [TOP] * 5 + [UNSEEN] * 5


def test_genres_of_what_was_liked_rise_by_hand():
    # one like of genre 0, of an item all users like in half of the cases: (1 + 0.5) / (0.5 + 0.5)
    tags = [[1, 0], [1, 0], [0, 1], [1, 1]]
    found = listed(scorer([0.0] * 4, tags), person(liked=[0]), length=3, tag_strength=0.5, tag_weight=1.0)
    assert found.rows.tolist() == [1, 3, 2]
    np.testing.assert_allclose(found.scores, [np.log(1.5), np.log(1.5) / np.sqrt(2), 0], rtol=1e-5, atol=1e-6)


def test_genres_that_were_shown_and_not_liked_sink_and_disliked_ones_more():
    tags = [[1, 0], [1, 0], [0, 1], [0, 1]]
    shown = listed(scorer([0.0] * 4, tags), person(shown=[0]), length=3)
    assert shown.rows.tolist()[-1] == 1
    disliked = listed(scorer([0.0] * 4, tags), person(shown=[0], disliked=[0]), length=3)
    assert disliked.scores[-1] < shown.scores[-1]


def test_nothing_that_was_seen_comes_back_while_there_is_anything_else():
    found = listed(scorer([0.9, 0.8, 0.1, 0.2]), person(shown=[0], disliked=[1]), length=2)
    assert found.rows.tolist() == [3, 2]


def test_then_it_comes_back_longest_ago_first_and_the_disliked_last():
    found = listed(scorer([0.0] * 5), person(shown=[3, 0, 4, 0], disliked=[3]), length=5)
    assert set(found.rows.tolist()[:2]) == {1, 2}
    assert found.rows.tolist()[2:] == [4, 0, 3]
    assert found.sources[2:] == [AGAIN] * 3


def test_items_that_are_not_live_are_on_no_list_not_even_again():
    found = listed(scorer([0.9, 0.1, 0.2], live=[0, 1, 1]), person(shown=[0, 1]), length=3)
    assert found.rows.tolist() == [2, 1]


@pytest.mark.parametrize("n_items", [0, 1, 9, 10, 11, 30, 3000])
@pytest.mark.parametrize("share", [0.0, 0.15, 1.0])
def test_a_list_is_as_long_as_can_be_and_never_holds_anything_twice(n_items, share):
    items = scorer([0.0] * n_items, n_shown=[0] * n_items)
    who = person(shown=list(range(n_items))[:5])
    rules = FeedRules(unseen_share=share, new_user_unseen_share=share, random_share=share)
    for seed in range(5):
        found = items.make_list(who, rules, np.random.default_rng(seed), spare=3)
        assert len(found.rows) == len(set(found.rows.tolist())) == min(n_items, 13)
        assert len(found.sources) == len(found.scores) == len(found.rows)


def test_a_share_of_the_places_goes_to_the_least_shown():
    n_shown = [50] * 40 + [1, 0, 2]
    found = listed(scorer([1.0] * 40 + [0.0] * 3, n_shown=n_shown), length=10, new_user_unseen_share=0.2)
    assert [row for row, source in zip(found.rows, found.sources, strict=True) if source == UNSEEN] == [41, 40]
    assert found.sources == [TOP] * 8 + [UNSEEN] * 2


def test_an_item_that_was_shown_enough_needs_no_place_of_its_own():
    found = listed(scorer([0.0] * 20, n_shown=[7] * 20), length=10, new_user_unseen_share=0.5, enough_shown=7)
    assert found.sources == [TOP] * 10


def test_the_least_shown_are_the_first_of_all_in_order():
    rng = np.random.default_rng(3)
    for n in (1, 2, 5, 40):
        n_shown, scores = rng.integers(0, 4, 30), rng.integers(0, 6, 30).astype(np.float32)
        items, free = scorer([0.0] * 30, tags=np.ones((30, 1)), n_shown=n_shown), rng.random(30) < 0.8
        drawn = items._drawn(free, 30, np.random.default_rng(n))
        drawn = drawn[n_shown[drawn] < 3]
        expected = drawn[np.lexsort((-scores[drawn], n_shown[drawn]))][:n]
        found = items._least_shown(scores, free, n, FeedRules(enough_shown=3), np.random.default_rng(n))
        np.testing.assert_array_equal(found, expected)


def test_a_scorer_that_is_given_another_model_is_as_one_made_with_it():
    rng, tags = np.random.default_rng(0), np.random.default_rng(1).random((50, 6)) < 0.3
    first, second = (rng.normal(-2, 1, 50) for _ in range(2))
    neighbours = rng.normal(0, 1, (50, 50))
    used = scorer(first, tags=tags, deviations=0.4)
    used.note_liked(rows(3, 4))
    new = scorer(second, tags=tags, neighbours=neighbours)
    who, rules = person(shown=[1, 2, 3], liked=[2], disliked=[7]), FeedRules()
    expected = new.make_list(who, rules, np.random.default_rng(5), spare=3)
    found = used.with_model(new.model).make_list(who, rules, np.random.default_rng(5), spare=3)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert used.model.means.tolist() == np.float32(first).tolist(), "who holds the former one goes on with it"


def test_what_is_shown_meanwhile_is_not_among_the_least_shown():
    items = scorer([0.0] * 12, n_shown=[0] * 12)
    items.note_shown(np.arange(11))
    found = listed(items, length=1, new_user_unseen_share=1.0)
    assert found.rows.tolist() == [11]


def test_a_fraction_of_a_place_is_right_on_average():
    items = scorer([1.0] * 40, n_shown=[0] * 40)
    rules = FeedRules(**{**PLAIN, "new_user_unseen_share": 0.15})
    rng = np.random.default_rng(0)
    n = [items.make_list(NEW, rules, rng).sources.count(UNSEEN) for _ in range(300)]
    assert set(n) == {1, 2}
    assert np.mean(n) == pytest.approx(1.5, abs=0.1)


def test_variety_costs_an_item_whose_genres_are_in_the_list_already():
    tags = [[1, 0]] * 12 + [[0, 1]] * 12
    items = scorer([0.02] * 12 + [0.0] * 12, tags)
    assert set(listed(items, length=4).rows.tolist()) <= set(range(12))
    assert len({row // 12 for row in listed(items, length=4, diversity=0.5).rows.tolist()}) == 2


def test_likes_between_two_fits_move_the_rate_by_as_much_as_they_say():
    # log-odds 0 with deviation 0.5 stand for 8 likes and 8 misses
    items = scorer([0.0, 0.0])
    items.note_shown(rows(0))
    items.note_liked(rows(0))
    found = listed(items, length=2)
    assert found.rows.tolist() == [0, 1]
    np.testing.assert_allclose(found.scores, [np.log(9 / 8), 0], rtol=1e-4, atol=1e-5)


def test_a_wider_draw_tries_more_items():
    n_tried = []
    for thompson in (0.0, 2.0):
        items, rng = scorer(np.linspace(0, 0.5, 200)), np.random.default_rng(0)
        rules = FeedRules(**{**PLAIN, "thompson": thompson})
        n_tried.append(len({row for _ in range(30) for row in items.make_list(NEW, rules, rng).rows.tolist()}))
    assert n_tried[0] == 10
    assert n_tried[1] > 50


def test_rows_alike_are_of_one_kind():
    rows = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 1], [1, 1, 0], [0, 0, 0]], float)
    first_rows, kinds = group_equal_rows(csr_array(rows), np.random.default_rng(0))
    assert sorted(first_rows) == [0, 1, 3]
    np.testing.assert_array_equal(rows[first_rows][kinds], rows)


@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (0, 3)])
def test_without_items_or_genres_there_is_nothing_to_tell_apart(shape):
    first_rows, kinds = group_equal_rows(csr_array(shape), np.random.default_rng(0))
    assert len(kinds) == shape[0]
    assert len(first_rows) == min(shape[0], 1)


def test_a_table_sums_as_a_matrix_does():
    matrix = csr_array(np.array([[0, 2.0, 0], [1, 0, 3], [0, 0, 0]]))
    table = Table(matrix)
    np.testing.assert_array_equal(table.sums(rows(0, 1, 1)), [2, 2, 6])
    np.testing.assert_array_equal(table.sums(rows(0, 1), np.array([10.0, 1.0])), [1, 20, 3])
    np.testing.assert_array_equal(table.sums(rows()), [0, 0, 0])
    np.testing.assert_array_equal(table.dense(rows(2, 0)), [[0], [2]])


@pytest.mark.parametrize("wrong", [{"length": 0}, {"unseen_share": 1.5}, {"random_share": -0.1}])
def test_rules_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError):  # noqa: PT011 (whichever)
        FeedRules(**wrong)
