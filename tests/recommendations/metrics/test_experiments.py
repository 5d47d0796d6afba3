"""Confidence sequences of experiments: simulated experiments that are looked at every day, and numbers by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommendations.metrics.experiments import (
    ALPHA,
    LEAST_BUYERS,
    RATIO_ALPHA,
    Comparison,
    Moments,
    best_rho_squared,
    boundary,
    buyers_needed,
    compare,
    compare_pairs,
    explained,
    holm,
    pairs_needed,
    ratio_p,
)

RUNS = 300
POWER = 0.8  # share of experiments that the planned number of buyers promises to suffice for, at least
CHANCE = 2.0 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)  # two standard errors of a share of the runs


def simulated(rng: np.random.Generator, n_days: int, per_day: int, rate: float, lift: float = 0.0) -> Moments:
    """Sums from the first day on, shape (RUNS, n_days), of counts of buyers who differ, partly as they did before."""
    liveliness = rng.standard_gamma(1.5, (RUNS, n_days, per_day)) / 1.5
    before = np.log1p(rng.poisson(3.0 * liveliness))
    return Moments.of(rng.poisson(rate * (1.0 + lift) * liveliness), before).along_days()


def looked_at_each_day(n_days: int, per_day: int, rate: float, lift: float) -> Comparison:
    rng = np.random.default_rng(7)
    control, arm = (simulated(rng, n_days, per_day, rate, one) for one in (0.0, lift))
    return compare(control, arm, planned=2.0 * n_days * per_day)


def ever_found(comparison: Comparison) -> float:
    """Share of the experiments in which an interval ever left 0 out."""
    return float(((comparison.low > 0) | (comparison.high < 0)).any(axis=-1).mean())


@pytest.mark.parametrize(("rate", "n_days", "per_day"), [(2.0, 60, 20), (0.15, 28, 40), (0.02, 14, 100)])
def test_arms_without_a_difference_are_found_to_differ_in_at_most_the_stated_share(rate, n_days, per_day):
    assert ever_found(looked_at_each_day(n_days, per_day, rate, 0.0)) <= ALPHA + CHANCE


def test_intervals_for_one_look_would_not_hold_that():
    daily = looked_at_each_day(60, 20, 2.0, 0.0)
    usual = (daily.high - daily.low) / 2 / boundary(daily.n, best_rho_squared(2.0 * 60 * 20)) * 1.96
    assert (np.abs(daily.difference) > usual).any(axis=-1).mean() > 3 * ALPHA


@pytest.mark.parametrize("rate", [2.0, 0.8])
def test_a_lift_of_a_tenth_is_found_within_the_promised_buyers(rate):
    liveliness = np.random.default_rng(3).standard_gamma(1.5, 20_000) / 1.5
    rng = np.random.default_rng(5)
    past = Moments.of(rng.poisson(rate * liveliness), np.log1p(rng.poisson(3.0 * liveliness)))
    variance = float(past.variance) * (1.0 - explained(past))
    needed = buyers_needed(mean=float(past.mean), variance=variance, lift=0.1, shares=(0.5, 0.5))
    found = looked_at_each_day(5, math.ceil(needed / 10), rate, 0.1)
    assert (found.low > 0).any(axis=-1).mean() >= POWER
    assert not (found.high < 0).any()


def test_what_buyers_did_before_makes_the_interval_narrower():
    adjusted = looked_at_each_day(1, 1000, 2.0, 0.0)
    rng = np.random.default_rng(7)
    control, arm = (simulated(rng, 1, 1000, 2.0) for _ in range(2))
    plain = compare(without_past(control), without_past(arm), planned=2000.0)
    assert adjusted.saved.mean() > 0.2
    np.testing.assert_allclose(plain.saved, 0.0, atol=1e-12)
    assert (adjusted.high - adjusted.low < plain.high - plain.low).all()


def without_past(moments: Moments) -> Moments:
    nothing = np.zeros_like(moments.n)
    return Moments(moments.n, moments.y, moments.yy, nothing, nothing, nothing)


def test_an_interval_by_hand():
    # 200 buyers of 100 zeros and 100 ones each side but for 20: means .5 and .6, variances 50/199 and 48/199
    control, arm = Moments.of(np.repeat([0, 1], 100)), Moments.of(np.repeat([0, 1], [80, 120]))
    found = compare(control, arm, planned=400.0)
    rho_squared = (5.99146 + math.log(6.99146)) / 400
    error = math.sqrt((50 + 48) / 199 / 200)
    half = error * math.sqrt(
        2 * (400 * rho_squared + 1) / (400 * rho_squared) * math.log(math.sqrt(400 * rho_squared + 1) / 0.05)
    )
    np.testing.assert_allclose([found.difference, found.low, found.high], [0.1, 0.1 - half, 0.1 + half], atol=1e-5)
    np.testing.assert_allclose(found.relative(found.difference), 0.2)


@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=6),
    st.lists(st.integers(0, 9), min_size=2, max_size=6),
    st.floats(1, 1e6),
)
@settings(max_examples=50, deadline=None)
def test_the_p_value_is_below_alpha_where_the_interval_leaves_out_0(ones, others, planned):
    found = compare(Moments.of(ones * LEAST_BUYERS), Moments.of(others * LEAST_BUYERS), planned=planned)
    leaves_out = bool(found.low > 0 or found.high < 0)
    assert (found.p < ALPHA) == leaves_out or math.isclose(found.p, ALPHA, rel_tol=1e-6)
    assert 0 <= found.p <= 1
    assert 0 <= found.saved <= 1


@pytest.mark.parametrize("arm", [[], [1.0], [0.0] * 500, [1.0] * (LEAST_BUYERS - 1)], ids=len)
def test_few_buyers_or_none_that_differ_say_nothing(arm):
    found = compare(Moments.of([0.0] * 500), Moments.of(arm), planned=1000.0)
    assert (found.low, found.high, found.p) == (-math.inf, math.inf, 1.0)
    assert np.isfinite(found.difference)
    assert math.isnan(found.relative(found.difference))


def test_sums_of_two_groups_add_up_to_those_of_both():
    rng = np.random.default_rng(1)
    y, x = rng.poisson(2.0, 90), rng.normal(size=90)
    parts = Moments.total([Moments.of(y[:40], x[:40]), Moments.of(y[40:], x[40:])])
    whole = Moments.of(y, x)
    for name in ("n", "y", "yy", "x", "xx", "xy"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name))
    np.testing.assert_allclose([whole.mean, whole.variance], [y.mean(), y.var(ddof=1)])
    np.testing.assert_allclose(explained(whole), np.corrcoef(x, y)[0, 1] ** 2)


@pytest.mark.parametrize(
    ("change", "factor"), [({"lift": 0.2}, 0.276), ({"variance": 8.0}, 2.0), ({"shares": (0.1, 0.9)}, 2.567)]
)
def test_a_larger_lift_takes_fewer_buyers_and_uneven_shares_take_more(change, factor):
    # the variances of both arms, the other one's times 1.1 or 1.2 squared, by their shares, over the lift squared
    usual = {"mean": 2.0, "variance": 4.0, "lift": 0.1, "shares": (0.5, 0.5)}
    assert buyers_needed(**{**usual, **change}) / buyers_needed(**usual) == pytest.approx(factor, rel=0.01)


@pytest.mark.parametrize("change", [{"mean": 0.0}, {"variance": 0.0}, {"lift": 0.0}, {"shares": (1.0, 0.0)}])
def test_where_nothing_is_known_no_number_of_buyers_is_promised(change):
    usual = {"mean": 2.0, "variance": 4.0, "lift": 0.1, "shares": (0.5, 0.5)}
    assert buyers_needed(**{**usual, **change}) == math.inf


# --- Sample ratios ---------------------------------------------------------------------------------------------------
def daily_counts(shares: list[float], n_days: int, per_day: int) -> np.ndarray:
    daily = np.random.default_rng(2).multinomial(per_day, shares, (2000, n_days))
    return daily.cumsum(axis=1)


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.1, 0.9], [0.2, 0.3, 0.5]])
def test_ratios_that_are_right_are_doubted_in_at_most_the_stated_share(shares):
    p = ratio_p(daily_counts(shares, 60, 100), shares)
    assert (p < RATIO_ALPHA).any(axis=-1).mean() <= RATIO_ALPHA


def test_ratios_that_are_wrong_are_found():
    p = ratio_p(daily_counts([0.46, 0.54], 60, 100), [1, 1])
    assert (p < RATIO_ALPHA).any(axis=-1).mean() > 0.99
    assert ratio_p([0, 0], [1, 1]) == 1.0


# --- Several questions -----------------------------------------------------------------------------------------------
def test_several_questions_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])
    assert holm([]).shape == (0,)


# --- Two that make each list together ---------------------------------------------------------------------------------
def together(rng: np.random.Generator, n_days: int, per_day: int, rate: float, lift: float = 0.0) -> Comparison:
    """Buyers who differ go for cars of both sides of their lists; the other's cars are liked so much more."""
    liveliness = rng.standard_gamma(0.5, (RUNS, n_days, per_day)) / 0.5
    control, other = (rng.poisson(rate / 2 * (1.0 + one) * liveliness) for one in (0.0, lift))
    sums = (Moments.of(each).along_days() for each in (control, other - control))
    return compare_pairs(*sums, planned=float(n_days * per_day))


@pytest.mark.parametrize(("rate", "n_days", "per_day"), [(2.0, 60, 10), (0.15, 28, 40)])
def test_rankers_alike_are_found_to_differ_in_at_most_the_stated_share(rate, n_days, per_day):
    assert ever_found(together(np.random.default_rng(7), n_days, per_day, rate)) <= ALPHA + CHANCE


def test_a_better_ranker_is_found_within_the_promise_and_with_a_fraction_of_the_buyers_of_a_split():
    rng, rate = np.random.default_rng(11), 2.0
    past = Moments.of(rng.poisson(rate * rng.standard_gamma(0.5, 20_000) / 0.5))
    promised = pairs_needed(mean=rate / 2, variance=rate, lift=0.1)
    split = buyers_needed(mean=float(past.mean), variance=float(past.variance), lift=0.1, shares=(0.5, 0.5))
    assert promised < split / 4
    found = together(rng, 5, math.ceil(promised / 5), rate, 0.1)
    assert (found.low > 0).any(axis=-1).mean() >= POWER
    assert not (found.high < 0).any()
    liveliness = rng.standard_gamma(0.5, (RUNS, 5, math.ceil(promised / 10))) / 0.5
    sums = [Moments.of(rng.poisson(rate * (1.0 + one) * liveliness)).along_days() for one in (0.0, 0.1)]
    assert ever_found(compare(*sums, planned=promised)) < POWER / 2  # a split of the same buyers


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=6), st.floats(1, 1e6))
@settings(max_examples=50, deadline=None)
def test_the_p_value_of_a_pair_is_below_alpha_where_the_interval_leaves_out_0(differences, planned):
    found = compare_pairs(Moments.of([1.0] * len(differences) * LEAST_BUYERS), Moments.of(differences * LEAST_BUYERS),
                          planned=planned)  # fmt: skip
    leaves_out = bool(found.low > 0 or found.high < 0)
    assert (found.p < ALPHA) == leaves_out or math.isclose(found.p, ALPHA, rel_tol=1e-6)


def test_few_buyers_with_both_say_nothing():
    found = compare_pairs(Moments.of([1.0] * 99), Moments.of([1.0, 0.0, 1.0] * 33), planned=100.0)
    assert (found.low, found.p) == (-math.inf, 1.0)
    assert pairs_needed(mean=0.0, variance=1.0, lift=0.1) == math.inf
