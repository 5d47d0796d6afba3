"""Compare the arms of an experiment, by intervals that are valid on every day.

A usual interval is valid for one planned look. With daily looks, and a stop at the first interval without 0, a third of
all experiments without an effect would show one. The intervals here are valid at all times together: however often they
are looked at, at most ``alpha`` of experiments without a difference ever show one.

Each buyer counts once, with their outcome within a fixed time of entering, so that buyers are independent draws in
order of their entry. All functions take sums, and arrays of them: of many days, or of many simulated experiments.

Sources: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences" (2021; Annals of Statistics 2024), theorem 2.2 and section 3 on experiments; Deng, Xu, Kohavi and Walker,
"Improving the sensitivity of online controlled experiments by utilizing pre-experiment data" (2013), known as CUPED;
Lindon and Malek, "Anytime-valid inference for multinomial count data" (2022), for the check of sample ratios.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import gammaln

ALPHA = 0.05  # of all comparisons of one experiment together
AIMED_POWER = 0.85  # of the planned number of buyers; above the promised .8, since variances are estimates
RATIO_ALPHA = 0.01  # stricter: a ratio that is wrong ends the experiment
RATIO_CONCENTRATION = 500.0  # the ratios that are looked for deviate by some hundredths
LEAST_BUYERS = 100  # of each arm: the intervals are asymptotic, so the first buyers are not judged

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over buyers, arrays of one shape: their number, an outcome y, and a measure x of what they did before.

    Sums of two groups of buyers add up to those of both.
    """

    n: Numbers
    y: Numbers
    yy: Numbers
    x: Numbers
    xx: Numbers
    xy: Numbers

    def __add__(self, other: Moments) -> Moments:
        return Moments(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @classmethod
    def of(cls, y: ArrayLike, x: ArrayLike | None = None) -> Moments:
        """Return sums over the last axis; without ``x`` nothing is known of the time before."""
        outcome = np.asarray(y, np.float64)
        before = np.zeros_like(outcome) if x is None else np.asarray(x, np.float64)
        n = np.full(outcome.shape[:-1], outcome.shape[-1], np.float64)
        return cls(
            n, outcome.sum(-1), (outcome**2).sum(-1), before.sum(-1), (before**2).sum(-1), (before * outcome).sum(-1)
        )

    @classmethod
    def total(cls, parts: Sequence[Moments]) -> Moments:
        return reduce(add, parts, cls(*(np.zeros(()) for _ in fields(cls))))

    def along_days(self) -> Moments:
        """Return cumulative sums over days, the last axis."""
        return Moments(*(np.cumsum(getattr(self, field.name), axis=-1) for field in fields(self)))

    @property
    def mean(self) -> Numbers:
        return _ratio(self.y, self.n)

    @property
    def variance(self) -> Numbers:
        """Of one buyer's outcome; 0 with fewer than two buyers."""
        return np.maximum(_ratio(self.yy - self.y * self.mean, self.n - 1), 0.0)

    @property
    def within(self) -> tuple[Numbers, Numbers]:
        """Sums of squares of x, and of products of x and y, around the means of the group."""
        return self.xx - _ratio(self.x**2, self.n), self.xy - _ratio(self.x * self.y, self.n)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Difference of an arm and the control per buyer; arrays of the shape of the sums.

    Attributes:
        n: Buyers of both arms.
        control: Outcome per buyer of the control.
        difference: Of the arm minus the control, adjusted for what the buyers did before.
        low, high: The interval that is valid on every day; infinite before there are ``LEAST_BUYERS`` in each arm.
        p: The always-valid p-value: the smallest alpha whose interval excludes 0; 1 before.
        saved: Share of the variance that the adjustment removed, 0 to 1.
    """

    n: Numbers
    control: Numbers
    difference: Numbers
    low: Numbers
    high: Numbers
    p: Numbers
    saved: Numbers

    def relative(self, values: Numbers) -> Numbers:
        """Return values relative to the control's outcome; nan where that is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.control > 0, values / np.where(self.control > 0, self.control, 1.0), np.nan)


def compare(control: Moments, arm: Moments, *, planned: float, alpha: float = ALPHA) -> Comparison:
    """Compare two arms by an asymptotic confidence sequence, adjusted by CUPED.

    The half-width is ``se * sqrt(2 (n r + 1) / (n r) * log(sqrt(n r + 1) / alpha))`` with ``r`` the square of rho, and
    ``se`` the standard error of the difference, which is that of the influence function of an experiment with known
    shares (their section 3). The difference from there: the adjustment is linear and without sample splitting, as one
    coefficient is estimated from at least 200 buyers.

    Args:
        control, arm: Sums over buyers whose time is over.
        planned: Buyers of both arms for which the interval is made narrowest; it must not depend on the outcomes.
        alpha: Chance, at most, of ever leaving out the true difference.
    """
    n = control.n + arm.n
    (xx_control, xy_control), (xx_arm, xy_arm) = control.within, arm.within
    slope = _ratio(xy_control + xy_arm, xx_control + xx_arm)
    difference = arm.mean - control.mean - slope * (_ratio(arm.x, arm.n) - _ratio(control.x, control.n))
    raw = _ratio(control.variance, control.n) + _ratio(arm.variance, arm.n)
    squared_error = _error(control, slope) + _error(arm, slope)
    saved = np.clip(1.0 - _ratio(squared_error, raw), 0.0, 1.0) * (raw > 0)
    has_enough = np.minimum(control.n, arm.n) >= LEAST_BUYERS
    return _judged(n, control.mean, difference, squared_error, saved, has_enough, planned, alpha)


def compare_pairs(control: Moments, difference: Moments, *, planned: float, alpha: float = ALPHA) -> Comparison:
    """Compare two variants that were interleaved: each buyer had both, and is compared with themselves.

    A buyer's activity cancels in the difference, so far fewer buyers suffice.

    Args:
        control: Each buyer's outcome from cars that the control chose.
        difference: Their outcome from the other variant's cars, minus that.
        planned: Buyers for which the interval is made narrowest; it must not depend on the outcomes.
        alpha: As of ``compare``.
    """
    n = difference.n
    squared_error = _ratio(difference.variance, n)
    has_enough = n >= LEAST_BUYERS
    return _judged(n, control.mean, difference.mean, squared_error, np.zeros_like(n), has_enough, planned, alpha)


def _judged(
    n: Numbers,
    control: Numbers,
    difference: Numbers,
    squared_error: Numbers,
    saved: Numbers,
    has_enough: NDArray[np.bool_],
    planned: float,
    alpha: float,
) -> Comparison:
    """Return the confidence sequence around a difference; infinite where there are too few buyers."""
    is_judged = has_enough & (squared_error > 0)
    rho_squared = best_rho_squared(planned, alpha)
    half = np.where(is_judged, np.sqrt(squared_error) * boundary(n, rho_squared, alpha), np.inf)
    p = np.where(is_judged, always_valid_p(_ratio(difference**2, squared_error), n, rho_squared), 1.0)
    return Comparison(n, control, difference, difference - half, difference + half, p, saved)


def _error(arm: Moments, slope: Numbers) -> Numbers:
    """Return the square of the standard error of an adjusted mean."""
    xx, xy = arm.within
    squares = np.maximum(arm.yy - arm.y * arm.mean - 2 * slope * xy + slope**2 * xx, 0.0)
    return _ratio(squares, np.maximum(arm.n - 1, 0) * arm.n)


def best_rho_squared(n: float, alpha: float = ALPHA) -> float:
    """Return the tuning whose interval is narrowest at ``n`` buyers (their section 2.3)."""
    logs = -2.0 * np.log(alpha)
    return float((logs + np.log(logs + 1.0)) / max(n, 1.0))


def boundary(n: ArrayLike, rho_squared: float, alpha: float = ALPHA) -> Numbers:
    """Return how many standard errors an estimate of ``n`` buyers may deviate from the truth, at all times together."""
    spread = np.maximum(np.asarray(n, np.float64), 1.0) * rho_squared
    bounds: Numbers = np.sqrt(2.0 * (spread + 1.0) / spread * (0.5 * np.log1p(spread) - np.log(alpha)))
    return bounds


def always_valid_p(squared_z: ArrayLike, n: ArrayLike, rho_squared: float) -> Numbers:
    """Return the alpha at which the interval of an estimate so many squared standard errors from 0 ends at 0."""
    spread = np.maximum(np.asarray(n, np.float64), 1.0) * rho_squared
    exponent = 0.5 * np.log1p(spread) - np.asarray(squared_z) / 2.0 * spread / (spread + 1.0)
    return np.exp(np.minimum(exponent, 0.0))


# --- Before the start ------------------------------------------------------------------------------------------------
def buyers_needed(
    *,
    mean: float,
    variance: float,
    lift: float,
    shares: tuple[float, float],
    alpha: float = ALPHA,
) -> float:
    """Return how many buyers of two arms together it takes to find a lift, tested on any day; inf where none would do.

    Args:
        mean, variance: Of one buyer's current outcome, after the adjustment.
        lift: The lift to find, as a share of the mean, above 0.
        shares: Of the control and of the arm, of the buyers of these two.
        alpha: As of ``compare``.
    """
    if mean <= 0 or variance <= 0 or lift <= 0 or min(shares) <= 0:
        return float("inf")
    whole = sum(shares)  # what grows by a share spreads by as much
    at_best = float(boundary(1.0, best_rho_squared(1.0, alpha), alpha))  # the same for every n it is tuned to
    per_buyer = variance * whole / shares[0] + variance * (1.0 + lift) ** 2 * whole / shares[1]
    return float(per_buyer * ((at_best + stats.norm.ppf(AIMED_POWER)) / (lift * mean)) ** 2)


def pairs_needed(*, mean: float, variance: float, lift: float) -> float:
    """Return how many buyers it takes to find a lift where two variants are interleaved; inf where none would do.

    Args:
        mean: Mean outcome of a buyer from the control's cars.
        variance: Of the difference between the variants, by buyer.
        lift: As of ``buyers_needed``.
    """
    if mean <= 0 or variance <= 0 or lift <= 0:
        return float("inf")
    at_best = float(boundary(1.0, best_rho_squared(1.0, ALPHA), ALPHA))
    return float(variance * ((at_best + stats.norm.ppf(AIMED_POWER)) / (lift * mean)) ** 2)


def explained(moments: Moments) -> float:
    """Return the share of the variance of an outcome that is explained by what buyers did before, 0 to 1."""
    xx, xy = moments.within
    whole = moments.yy - moments.y * moments.mean
    return float(np.clip(_ratio(xy**2, xx * whole), 0.0, 1.0))


# --- Whether the arms are what they should be -------------------------------------------------------------------------
def ratio_p(counts: ArrayLike, shares: ArrayLike) -> Numbers:
    """Return the always-valid p-value of "buyers entered the arms in these shares"; small where something is broken.

    It is one over a Bayes factor: of shares drawn around the true ones, against the true ones. Computed after each
    buyer, it falls below alpha in at most alpha of correct experiments.

    Args:
        counts: Buyers of each arm, shape (..., n_arms).
        shares: Intended shares, shape (n_arms,); they need not add up to one.
    """
    seen = np.asarray(counts, np.float64)
    expected = np.asarray(shares, np.float64) / np.sum(shares)
    prior = RATIO_CONCENTRATION * expected
    of_counts = (gammaln(prior + seen) - gammaln(prior)).sum(-1) - (
        gammaln(RATIO_CONCENTRATION + seen.sum(-1)) - gammaln(RATIO_CONCENTRATION)
    )
    p_values: Numbers = np.exp(np.minimum((seen * np.log(expected)).sum(-1) - of_counts, 0.0))
    return p_values


def holm(p_values: ArrayLike) -> Numbers:
    """Adjust p-values of several tests: the chance of any false alarm stays below alpha (Holm 1979)."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def _ratio(above: ArrayLike, below: ArrayLike) -> Numbers:
    """Return a quotient, 0 where the divisor is not above 0."""
    divisor = np.asarray(below, np.float64)
    return np.where(divisor > 0, np.asarray(above, np.float64) / np.where(divisor > 0, divisor, 1.0), 0.0)
