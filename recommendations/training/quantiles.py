"""Quantiles of numbers in partitions, which stay where they are."""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.parts import Parts

FEW = 100_000  # numbers that may as well be gathered
N_BOUNDS = 1_024  # asked about together


def quantile(numbers: Parts[NDArray[np.float64]], share: float) -> float:
    """What ``np.quantile`` answers for all numbers together, to the last bit.

    Where they are many, how many lie below some bounds says between which two the answer does, and then between which
    of finer ones, until few numbers are left to be gathered.

    Args:
        numbers: Sorted in each partition, finite; at least one altogether.
        share: From 0 to 1.
    """
    n = int(numbers.total_of(len, operator.add))
    place = share * (n - 1)
    wanted = int(np.floor(place))  # this one, counted from 0, and the next are what is interpolated between
    ends = numbers.map(ends_of).collect()
    first, last = min(each[0] for each in ends), max(each[1] for each in ends)
    low, high, n_below, n_within = -np.inf, np.inf, 0, n
    while n_within > FEW and first < last:
        bounds = np.unique(np.linspace(first, last, N_BOUNDS))
        counts = np.r_[numbers.total_of(counts_below, operator.add, bounds), n]
        at = int(np.searchsorted(counts, wanted, side="right")) - 1  # the last bound that the first is not below
        after = int(np.searchsorted(counts, wanted + 1, side="right"))  # and the first that the second is below
        low, high = float(bounds[at]), float(np.r_[bounds, np.inf][min(after, len(bounds))])
        n_before, n_below, n_within = n_within, int(counts[at]), int(counts[min(after, len(bounds))] - counts[at])
        first, last = low, min(high, last)
        if n_within == n_before:
            break  # so many are equal that no bound parts them
    left = np.sort(np.concatenate(numbers.map(between, low, high).collect()))
    some = left[wanted - n_below : wanted - n_below + 2]
    return float(np.quantile(some, place - wanted if len(some) == 2 else 0.0))


def ends_of(numbers: NDArray[np.float64]) -> tuple[float, float]:
    return (float(numbers[0]), float(numbers[-1])) if len(numbers) else (np.inf, -np.inf)


def counts_below(numbers: NDArray[np.float64], bounds: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many numbers are below each bound."""
    return np.searchsorted(numbers, bounds, side="left").astype(np.int64)


def between(numbers: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """The numbers from one up to, but without, another."""
    return numbers[slice(*np.searchsorted(numbers, [low, high], side="left"))]
