"""What likes and shows say about items, by hand arithmetic and by slow and obvious counting."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from recommendations.feed.model import FeedConfig, FeedEvents, fit_feed, log_ratio, tag_scales

NO_TAGS = csr_array((4, 0))


def events(shown=(), said=(), n_users=10, n_items=4) -> FeedEvents:
    """``shown`` are pairs of user and item, ``said`` triples with a sign, oldest first."""
    shown, said = np.array(list(shown), np.intp).reshape(-1, 2), np.array(list(said), np.intp).reshape(-1, 3)
    return FeedEvents(shown[:, 0], shown[:, 1], said[:, 0], said[:, 1], said[:, 2].astype(np.int8), n_users, n_items)


def rates_of(model) -> np.ndarray:
    return 1 / (1 + np.exp(-model.means))


def test_without_events_every_item_has_the_base_rate_and_no_neighbours():
    model = fit_feed(events(), NO_TAGS, FeedConfig(base_rate=0.2))
    np.testing.assert_allclose(rates_of(model), 0.2, rtol=1e-5)
    assert model.neighbours.nnz == 0
    assert model.n_likes == 0


def test_without_items_nothing_is_known_of_none():
    model = fit_feed(events(n_items=0), csr_array((0, 0)))
    assert model.means.shape == model.deviations.shape == (0,)


def test_a_rate_is_likes_per_show_drawn_to_the_average():
    # 8 shows, 4 likes, base 2 of 20: the average is (4 + 2) / (8 + 20) = 3/14, worth 15 shows before more is known
    shown = [(user, item) for user in range(2) for item in range(4)]
    said = [(user, item, 1) for user in range(2) for item in range(2)]
    model = fit_feed(events(shown, said), NO_TAGS, FeedConfig(base_rate=0.1, base_strength=20))
    prior = 15 * 3 / 14
    np.testing.assert_allclose(rates_of(model)[:2], (prior + 2) / 17, rtol=1e-5)
    np.testing.assert_allclose(rates_of(model)[2:], prior / 17, rtol=1e-5)


def test_what_was_shown_more_often_is_known_better():
    model = fit_feed(events([(user, 0) for user in range(10)]), NO_TAGS)
    assert model.deviations[0] < model.deviations[1]
    assert model.means[0] < model.means[1], "ten shows without a like"
    assert model.n_shown.tolist() == [10, 0, 0, 0]


def test_shown_or_liked_twice_counts_once():
    once = fit_feed(events([(0, 0)], [(0, 0, 1)]), NO_TAGS)
    twice = fit_feed(events([(0, 0)] * 2, [(0, 0, 1)] * 2), NO_TAGS)
    np.testing.assert_array_equal(once.means, twice.means)


def test_what_was_said_last_counts():
    liked, disliked = events(said=[(0, 0, -1), (0, 0, 1)]).actions()
    assert (liked.nnz, disliked.nnz) == (1, 0)
    liked, disliked = events(said=[(0, 0, 1), (0, 0, -1)]).actions()
    assert (liked.nnz, disliked.nnz) == (0, 1)


def test_likes_of_items_that_were_never_shown_here_raise_what_is_expected_of_them():
    model = fit_feed(events(said=[(user, 0, 1) for user in range(5)]), NO_TAGS)
    assert model.means[0] > model.means[1]
    assert rates_of(model)[0] < 0.6, "it is unknown how many did not like it"


def test_of_two_items_that_very_many_like_by_themselves_the_more_liked_stays_ahead():
    said = [(user, 0, 1) for user in range(900)] + [(user, 1, 1) for user in range(600)]
    model = fit_feed(events(said=said, n_users=900), NO_TAGS)
    assert model.means[0] > model.means[1] > model.means[2]


def test_an_unknown_item_is_expected_to_be_as_its_genre():
    tags = csr_array(np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]]))
    shown = [(user, item) for user in range(10) for item in (0, 2)]
    model = fit_feed(events(shown, [(user, 0, 1) for user in range(8)]), tags)
    assert model.means[1] > model.means[3]


def test_a_neighbour_is_liked_more_by_those_who_like_the_one_than_its_rate_says():
    # Two groups of users see everything and like their own two items: a like of 0 doubles the odds of 1
    shown = [(user, item) for user in range(10) for item in range(4)]
    said = [(user, item, 1) for user in range(10) for item in ((0, 1) if user < 5 else (2, 3))]
    model = fit_feed(events(shown, said), NO_TAGS, FeedConfig(pair_strength=1.0))
    rate = rates_of(model)[1]
    found = model.neighbours.toarray()
    np.testing.assert_allclose(found[0, 1], np.log((5 + 1) / (5 * rate + 1)), rtol=1e-5)
    np.testing.assert_allclose(found[0, 2], np.log((0 + 1) / (5 * rate + 1)), rtol=1e-5)
    np.testing.assert_array_equal(found.diagonal(), 0)


def test_not_having_been_shown_an_item_says_nothing_against_it():
    shown = [(user, item) for user in range(6) for item in (0, 1)]  # items 2 and 3 were shown to other people
    shown += [(user, item) for user in range(6, 10) for item in (2, 3)]
    said = [(user, item, 1) for user in range(6) for item in (0, 1)]
    said += [(user, item, 1) for user in range(6, 10) for item in (2, 3)]
    found = fit_feed(events(shown, said), NO_TAGS).neighbours.toarray()
    assert found[0, 2] == found[2, 0] == 0


def test_only_the_strongest_neighbours_are_kept():
    rng = np.random.default_rng(1)
    shown = [(user, item) for user in range(40) for item in range(12)]
    said = [(user, int(item), 1) for user in range(40) for item in rng.permutation(12)[:5]]
    every, few = (
        fit_feed(events(shown, said, 40, 12), csr_array((12, 0)), FeedConfig(n_neighbours=n)).neighbours.toarray()
        for n in (12, 3)
    )
    for row in range(12):
        kept = np.flatnonzero(few[row])
        assert len(kept) == 3
        assert np.abs(every[row][kept]).min() >= np.sort(np.abs(every[row]))[-3] - 1e-6


def test_a_dislike_says_little_where_users_dislike_all_they_do_not_like():
    shown = [(user, item) for user in range(10) for item in range(4)]
    rarely = fit_feed(events(shown, [(0, 0, -1)]), NO_TAGS)
    always = fit_feed(events(shown, [(user, item, -1) for user, item in shown]), NO_TAGS)
    assert rarely.dislike_surprise == pytest.approx(1 - 2 / 60)
    assert always.dislike_surprise == pytest.approx(1 - 41 / 60)


def test_a_dislike_of_items_never_shown_says_less_the_larger_the_share_of_dislikes_is():
    seldom = fit_feed(
        events(said=[(user, item, 1 if item else -1) for user in range(10) for item in range(4)]), NO_TAGS
    )
    often = fit_feed(
        events(said=[(user, item, 1 if item > 1 else -1) for user in range(10) for item in range(4)]), NO_TAGS
    )
    assert seldom.dislike_surprise == pytest.approx(1 - 11 / 60)
    assert often.dislike_surprise == pytest.approx(1 - 21 / 60)


def test_a_ratio_of_nothing_to_nothing_says_nothing():
    assert log_ratio(np.zeros(1), np.zeros(1), 0.5) == 0
    assert log_ratio(np.array([3.0]), np.array([1.0]), 1.0) == pytest.approx(np.log(2))


def test_an_item_with_four_genres_is_divided_by_two_and_one_without_by_one():
    tags = csr_array(np.array([[1.0, 1, 1, 1], [0, 0, 0, 0]]))
    np.testing.assert_array_equal(tag_scales(tags), [0.5, 1.0])


@pytest.mark.parametrize("wrong", [{"base_rate": 0}, {"pair_strength": -1}, {"n_neighbours": 0}])
def test_a_configuration_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError):  # noqa: PT011 (whichever)
        FeedConfig(**wrong)
