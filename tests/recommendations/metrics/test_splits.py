import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendations.metrics.splits import live_at, moment_before_last_share, split_at, split_last_n


def test_everything_before_the_moment_is_known_and_the_moment_itself_is_tested():
    split = split_at([3, 1, 2, 4], moment=3)
    assert split.train.tolist() == [1, 2]
    assert split.test.tolist() == [0, 3]


def test_a_test_with_an_end_leaves_out_what_comes_later():
    assert split_at([1, 2, 3, 4], moment=2, until=4).test.tolist() == [1, 2]
    with pytest.raises(ValueError, match="before it begins"):
        split_at([1], moment=2, until=2)


def test_dates_work_like_numbers():
    days = np.array(["2026-01-01", "2026-02-01"], dtype="datetime64[s]")
    assert split_at(days, np.datetime64("2026-01-15")).test.tolist() == [1]


@pytest.mark.parametrize("times", [[1.0, np.nan], np.array(["2026-01-01", "NaT"], dtype="datetime64[D]"), ["soon"]])
def test_an_event_without_a_time_is_refused(times):
    with pytest.raises(ValueError, match="every event needs a time"):
        split_at(times, moment=0)


def test_the_moment_leaves_about_the_asked_share_to_test():
    assert moment_before_last_share([5, 1, 4, 2, 3], test_share=0.4) == 4
    assert moment_before_last_share([7], test_share=0.5) == 7
    with pytest.raises(ValueError, match="no events"):
        moment_before_last_share([], test_share=0.5)
    with pytest.raises(ValueError, match="test_share"):
        moment_before_last_share([1], test_share=1)


def test_each_users_last_events_are_held_back():
    users, times = ["a", "b", "a", "a", "b"], [1, 5, 3, 2, 4]
    split = split_last_n(users, times, n_test=1)
    assert split.test.tolist() == [1, 2]  # b at 5, a at 3
    assert split.train.tolist() == [0, 3, 4]


def test_a_user_with_too_few_events_is_only_trained_on():
    assert split_last_n(["a", "b", "b"], [1, 1, 2], n_test=1).test.tolist() == [2]


def test_events_of_one_moment_count_in_the_order_given():
    assert split_last_n([1, 1, 1], [0, 0, 0], n_test=1).test.tolist() == [2]


def test_dividing_nothing_gives_nothing():
    assert split_last_n([], [], n_test=1).train.tolist() == []
    assert split_at([], moment=1).test.tolist() == []


@given(events=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=40), n_test=st.integers(1, 3))
def test_no_event_is_lost_none_is_in_both_parts_and_the_test_comes_last(events, n_test):
    users = np.array([user for user, _ in events], dtype=int)
    times = np.array([time for _, time in events], dtype=int)
    split = split_last_n(users, times, n_test)
    assert sorted([*split.train, *split.test]) == list(range(len(events)))
    for user in np.unique(users[split.test]):
        mine = split.test[users[split.test] == user]
        assert len(mine) == n_test
        assert times[mine].min() >= times[split.train][users[split.train] == user].max()


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="one length"):
        split_last_n([1], [1, 2], n_test=1)
    with pytest.raises(ValueError, match="n_test"):
        split_last_n([1], [1], n_test=0)
    with pytest.raises(ValueError, match="one length"):
        live_at([1], [1, 2], moment=1)


def test_only_listings_that_were_there_at_the_moment_are_candidates():
    listed, ended = [1.0, 1.0, 5.0, 1.0], [np.nan, 3.0, np.nan, 4.0]
    assert live_at(listed, ended, moment=3).tolist() == [True, False, False, True]


def test_listings_still_there_have_no_end_date():
    listed = np.array(["2026-01-01"], dtype="datetime64[D]")
    assert live_at(listed, np.array(["NaT"], dtype="datetime64[D]"), np.datetime64("2026-03-01")).tolist() == [True]
