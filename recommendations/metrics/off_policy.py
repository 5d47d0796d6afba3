"""Off-policy estimates: the reward of other lists, from served lists and their logged propensities.

Every position of every served list is one trial: an item was shown there with a known probability, and had a reward or
none. Another policy is estimated by the probability that it would show the same item there. Items that it would show
and the log never did cannot be estimated, so each estimate states how much of the log supports it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from recommendations.engine.arrays import Integers

FEWEST_EFFECTIVE = 100.0  # trials; below, an interval is wide and not to be trusted either
FEWEST_EFFECTIVE_SHARE = 0.01
SUPPORT_TOLERANCE = 0.1  # the mean weight is 1 where the log tried all that the target shows
IPS, SNIPS, DOUBLY_ROBUST = "IPS", "SNIPS", "doubly robust"


@dataclass(frozen=True, eq=False)
class Trials:
    """Positions of served lists; arrays of length n.

    Attributes:
        rewards: Reward of each, for example 1 where the item was opened.
        propensities: Logged probability of the item at this position, above 0 to 1.
        target: Probability that the other policy would show this item there, 0 to 1.
        buyer_ids: The buyer of the list: intervals are over buyers, whose trials depend on each other.
        predicted: Reward that a model predicts for the item there. Left out: 0.
        expected: Reward that the model predicts for the policy at that position, over all it may show there. Left out:
            0.

    Raises:
        ValueError: If lengths disagree, or a probability is out of range.
    """

    rewards: NDArray[np.float64]
    propensities: NDArray[np.float64]
    target: NDArray[np.float64]
    buyer_ids: NDArray[np.int64]
    predicted: NDArray[np.float64] = None  # type: ignore[assignment]
    expected: NDArray[np.float64] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        n = len(np.asarray(self.rewards))
        for name in ("rewards", "propensities", "target", "predicted", "expected"):
            given = getattr(self, name)
            values = np.zeros(n) if given is None else np.asarray(given, np.float64)
            if values.shape != (n,) or not np.isfinite(values).all():
                raise ValueError(f"{name} must be {n} finite numbers")
            object.__setattr__(self, name, values)
        object.__setattr__(self, "buyer_ids", np.asarray(self.buyer_ids))
        if self.buyer_ids.shape != (n,):
            raise ValueError(f"buyer_ids must have shape ({n},)")
        if not ((self.propensities > 0) & (self.propensities <= 1)).all():
            raise ValueError("propensities must lie above 0 and at most at 1")
        if not ((self.target >= 0) & (self.target <= 1)).all():
            raise ValueError("target must hold probabilities")

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def weights(self) -> NDArray[np.float64]:
        return self.target / self.propensities


@dataclass(frozen=True)
class Estimate:
    """The estimated reward of the policy per position.

    Attributes:
        name: Of the estimator.
        value: nan without trials.
        low, high: Ends of the 95% bootstrap interval over buyers.
        n: Number of trials.
        effective_n: Number of trials of the policy itself with the same information: ``(sum w)^2 / sum w^2``.
        mean_weight: 1 where the log has all that the policy shows; below, the share that it has.
        warnings: Reasons to doubt the value.
    """

    name: str
    value: float
    low: float
    high: float
    n: int
    effective_n: float
    mean_weight: float
    warnings: tuple[str, ...]


def estimates(trials: Trials, rng: np.random.Generator, n_draws: int = 1000) -> list[Estimate]:
    """Estimate by inverse propensity scoring, its self-normalised form, and the doubly robust estimator.

    Source: Horvitz and Thompson 1952; Swaminathan and Joachims 2015; Dudík, Langford and Li 2011. By position, as in
    the item-position model of Li et al. 2018: the reward of an item at a position is assumed not to depend on the rest
    of the list.
    """
    weights = trials.weights
    total, squares = weights.sum(), float(weights @ weights)
    effective_n = float(total**2 / squares) if squares else 0.0
    mean_weight = float(weights.mean()) if len(trials) else 0.0
    warnings = tuple(_warnings(len(trials), effective_n, mean_weight))
    one = np.ones(len(trials))
    parts = {
        IPS: (weights * trials.rewards, one),
        SNIPS: (weights * trials.rewards, weights),
        DOUBLY_ROBUST: (trials.expected + weights * (trials.rewards - trials.predicted), one),
    }
    return [
        Estimate(name, *_ratio_with_interval(gains, sizes, trials.buyer_ids, rng, n_draws), len(trials), effective_n,
                 mean_weight, warnings)
        for name, (gains, sizes) in parts.items()
    ]  # fmt: skip


def _warnings(n: int, effective_n: float, mean_weight: float) -> Iterator[str]:
    if not n:
        yield "No list with logged propensities was served."
        return
    if effective_n < max(FEWEST_EFFECTIVE, FEWEST_EFFECTIVE_SHARE * n):
        yield f"Only {effective_n:.0f} of {n} positions speak for this policy: the interval is not to be relied on."
    if mean_weight < 1 - SUPPORT_TOLERANCE:
        yield f"The log never tried {1 - mean_weight:.0%} of what this policy shows; that part counts as 0."
    if mean_weight > 1 + SUPPORT_TOLERANCE:
        yield f"The weights add up to {mean_weight:.2f} and not to 1: few rare items decide, or propensities are wrong."


def _ratio_with_interval(
    gains: NDArray[np.float64], sizes: NDArray[np.float64], buyer_ids: Integers, rng: np.random.Generator, n_draws: int
) -> tuple[float, float, float]:
    """Return the sum of gains over the sum of sizes, and the ends of its interval when whole buyers are drawn."""
    _, codes = np.unique(buyer_ids, return_inverse=True)
    by_buyer = np.bincount(codes, gains), np.bincount(codes, sizes)
    if not len(codes) or not by_buyer[1].sum():
        return np.nan, np.nan, np.nan
    value = float(by_buyer[0].sum() / by_buyer[1].sum())
    if len(by_buyer[0]) < 2:
        return value, value, value

    def ratio(some_gains: ArrayLike, some_sizes: ArrayLike, axis: int = -1) -> NDArray[np.float64]:
        total = np.sum(some_sizes, axis=axis)
        ratios: NDArray[np.float64] = np.divide(
            np.sum(some_gains, axis=axis), total, out=np.zeros_like(total), where=total > 0
        )
        return ratios

    drawn = stats.bootstrap(by_buyer, ratio, paired=True, n_resamples=n_draws, method="percentile", rng=rng,
                            batch=max(1, 2_000_000 // len(by_buyer[0])))  # fmt: skip
    return value, float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)
