"""How much a listing will be asked about that is too new to have data.

Its rate of demand starts where its like is: cars of the same make, model, generation and price band. What happened so
far moves it, the more the longer it has stood. One draw from the belief decides who is tried (Thompson sampling): a
car of which little is known is sometimes believed to be wanted much, and then gets its chance to show it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincinv

from recommendations.engine.demand import average_rate

PRIOR_DAYS = 7.0  # a group's rate is believed as if that many days of it had been seen
GROUP_DAYS = 70.0  # and the average rate, for a group, as if that many had


def group_rates(
    counts: ArrayLike, exposure: ArrayLike, groups: ArrayLike, n_groups: int, strength_days: float = GROUP_DAYS
) -> NDArray[np.float64]:
    """Rate of demand of each group of listings, shape (n_groups,): a thin group's is pulled to the average.

    Args:
        counts: Decayed events of each listing, >= 0, shape (n,).
        exposure: Effective days each was on sale, >= 0, shape (n,).
        groups: Group of each, int, shape (n,).
        n_groups: Length of the answer.
        strength_days: So many days at the average rate are added to each group, > 0.
    """
    counts, exposure = np.asarray(counts, dtype=np.float64), np.asarray(exposure, dtype=np.float64)
    average = average_rate(counts, exposure)
    events, days = np.bincount(groups, counts, n_groups), np.bincount(groups, exposure, n_groups)
    return (events + strength_days * average) / (days + strength_days)


def draw_rates(
    counts: ArrayLike,
    exposure: ArrayLike,
    prior_rates: ArrayLike,
    uniforms: ArrayLike,
    prior_days: float = PRIOR_DAYS,
) -> NDArray[np.float64]:
    """A rate that each listing may well have, events per day, shape (n,).

    Events are Poisson with a rate that is gamma distributed: a priori with mean ``prior_rates``, as if ``prior_days``
    had been seen. Decayed events and days stand in for whole ones. 0 where the prior rate is 0 and nothing happened.

    Args:
        counts, exposure: As for ``group_rates``, shape (n,).
        prior_rates: Of each listing's group, >= 0, shape (n,).
        uniforms: Chance, as a number from 0 to 1 for each listing, shape (n,): a draw is that quantile of the belief.
            So a listing's draw can be made its own, and need not move when another listing is sold.
        prior_days: > 0.

    Source: Thompson (1933); the conjugate gamma-Poisson pair (Gelman et al. 2013, sec. 2.6).
    """
    shape = np.asarray(prior_rates, dtype=np.float64) * prior_days + np.asarray(counts, dtype=np.float64)
    days = prior_days + np.asarray(exposure, dtype=np.float64)
    quantiles = np.clip(np.asarray(uniforms, dtype=np.float64), 1e-9, 1 - 1e-9)
    return np.where(shape > 0, gammaincinv(np.maximum(shape, 1e-3), quantiles), 0.0) / days


def log_rate_ratio(rates: ArrayLike, average: float, smallest: float = 0.05) -> NDArray[np.float64]:
    """Log of each rate over the average, at least that of ``smallest``; 0 for all when the average is 0."""
    values = np.asarray(rates, dtype=np.float64)
    if not average > 0:
        return np.zeros(values.shape)
    return np.log(np.maximum(values / average, smallest))
