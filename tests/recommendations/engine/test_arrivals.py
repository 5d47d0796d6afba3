import numpy as np

from recommendations.engine.arrivals import draw_rates, group_rates, log_rate_ratio


def test_the_rate_of_a_small_group_leans_on_the_average():
    # 12 events in 120 days on average; group 0 has had 10 in 20 days, group 1 2 in 100, group 2 nothing at all
    got = group_rates([10, 2], [20, 100], groups=[0, 1], n_groups=3, strength_days=10)
    np.testing.assert_allclose(got, [(10 + 1) / 30, (2 + 1) / 110, 0.1])


def test_draws_are_spread_around_what_was_seen():
    """After 3 events in 13 days, with a prior of 0.5 a day worth 7 days: gamma with shape 6.5 and rate 20."""
    chance = np.random.default_rng(0).random(20_000)
    draws = draw_rates(np.full(20_000, 3.0), np.full(20_000, 13.0), np.full(20_000, 0.5), chance, prior_days=7)
    np.testing.assert_allclose(draws.mean(), 6.5 / 20, rtol=0.02)
    np.testing.assert_allclose(draws.var(), 6.5 / 20**2, rtol=0.05)


def test_the_less_is_known_the_wider_the_draws():
    chance = np.random.default_rng(0).random(5_000)
    new = draw_rates(np.zeros(5_000), np.zeros(5_000), np.full(5_000, 0.5), chance)
    old = draw_rates(np.full(5_000, 20.0), np.full(5_000, 40.0), np.full(5_000, 0.5), chance)
    assert new.std() > 2 * old.std()


def test_where_nothing_ever_happens_nothing_is_expected():
    rates = group_rates([0, 0], [5, 5], [0, 1], 2)
    assert rates.tolist() == [0, 0]
    assert draw_rates([0, 0], [1, 1], rates, [0.5, 1.0]).tolist() == [0, 0]
    assert log_rate_ratio([0, 0], average=0.0).tolist() == [0, 0]
    assert group_rates([], [], np.empty(0, int), 2).tolist() == [0, 0]


def test_ratios_are_given_as_logarithms_and_have_a_floor():
    np.testing.assert_allclose(log_rate_ratio([2.0, 0.0], average=1.0, smallest=0.1), np.log([2.0, 0.1]))


def test_a_draw_depends_on_its_own_chance_alone():
    both = draw_rates([1, 2], [3, 4], [0.5, 0.6], [0.3, 0.9])
    assert draw_rates([2], [4], [0.6], [0.9]).tolist() == both[1:].tolist()
    assert np.isfinite(draw_rates([1, 1], [1, 1], [0.5, 0.5], [0.0, 1.0])).all()
