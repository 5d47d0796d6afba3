import numpy as np

from recommendations.buyers.sessions import SESSION_SECONDS, one_per_occasion, saturated, sessions_of

MINUTE = 60.0


def test_half_an_hour_of_silence_ends_a_session_and_buyers_have_their_own():
    buyers = np.array([1, 1, 2, 1, 1])
    moments = np.array([0.0, SESSION_SECONDS, 10.0, 2 * SESSION_SECONDS, 3 * SESSION_SECONDS + 1])
    one, two, other, three, later = sessions_of(buyers, moments)
    assert one == two == three, "each within half an hour of the last"
    assert len({one, other, later}) == 3


def test_sixty_reloads_are_one_look_and_a_contact_counts_before_the_views():
    moments = np.arange(62) * MINUTE / 10
    cars = np.r_[np.full(61, 7), 8]
    strengths = np.r_[np.ones(30), 6.0, np.ones(30), 1.0]
    assert np.flatnonzero(one_per_occasion(np.ones(62, int), cars, moments, strengths)).tolist() == [30, 61]


def test_of_equals_the_first_counts_and_a_dislike_by_its_size():
    buyers, cars = np.ones(4, int), np.array([7, 7, 8, 8])
    counts = one_per_occasion(buyers, cars, np.array([5.0, 3.0, 1.0, 2.0]), np.array([1.0, 1.0, 1.0, -3.0]))
    assert counts.tolist() == [False, True, False, True]


def test_all_that_is_known_about_one_car_counts_at_most_twice_the_strongest():
    many = saturated(np.ones(50, int), np.full(50, 7), np.ones(50))
    assert many.max() == 1.0
    assert 1.99 < many.sum() < 2.0
    weights = saturated(np.array([1, 1, 1, 2]), np.array([7, 7, 8, 7]), np.array([1.0, 4.0, 2.0, 3.0]))
    assert weights.tolist() == [0.5, 4.0, 2.0, 3.0], "the strongest in full, another car and another buyer apart"


def test_nothing_is_no_occasion():
    none = np.empty(0, int)
    assert len(sessions_of(none, np.empty(0))) == 0
    assert len(one_per_occasion(none, none, np.empty(0), np.empty(0))) == 0
    assert len(saturated(none, none, np.empty(0))) == 0
