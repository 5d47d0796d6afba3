"""Demand for listings: events by age, and days on sale.

Events are weighted by age (half-life) and divided by the time that a listing was on sale, decayed in the same way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recommendations.engine.arrays import first_of_runs

SECONDS_A_DAY = 86_400.0
DEMAND_HALF_LIFE_DAYS = 3.0
DEMAND_LOOKBACK_DAYS = 14.0  # older events count less than a twentieth, and are not read


def decayed_counts(
    listing_rows: ArrayLike, age_days: ArrayLike, half_life_days: float, n_listings: int, weights: ArrayLike = 1.0
) -> NDArray[np.float64]:
    """Count the events of each listing with weights that halve after each half-life, shape (n_listings,).

    Args:
        listing_rows: Row of each event's listing, int, shape (n_events,).
        age_days: Age of each event, shape (n_events,); a negative age counts as 0.
        half_life_days: > 0.
        n_listings: Length of the result.
        weights: Weight of an event of age 0: one number or shape (n_events,).

    Raises:
        ValueError: If shapes disagree, a row is out of range, or the half-life is not positive.
    """
    rows, age = np.asarray(listing_rows, dtype=np.intp), np.asarray(age_days, dtype=np.float64)
    check_half_life(half_life_days)
    if rows.ndim != 1 or rows.shape != age.shape:
        raise ValueError(f"listing_rows {rows.shape} and age_days {age.shape} must be of one length")
    if rows.size and (rows.min() < 0 or rows.max() >= n_listings):
        raise ValueError(f"listing rows must lie between 0 and {n_listings - 1}")
    strength = np.broadcast_to(weights, rows.shape) * np.exp2(-np.maximum(age, 0.0) / half_life_days)
    return np.bincount(rows, strength, n_listings).astype(np.float64)


def demand_counts(
    listing_rows: ArrayLike,
    occurred_at: ArrayLike,
    weights: ArrayLike,
    as_of: float,
    n_rows: int,
    buyer_ids: ArrayLike,
) -> NDArray[np.float64]:
    """Count the buyers who asked about each listing before a time: decayed and weighted, shape (n_rows,).

    A buyer counts once for each listing, by the strongest event after decay.

    Args:
        listing_rows: Row of each event, int, shape (n_events,); negative for a listing that is not among the rows.
        occurred_at: Epoch seconds, shape (n_events,). Events at ``as_of`` or later do not count, nor those more than
            ``DEMAND_LOOKBACK_DAYS`` older.
        weights: Of the event's kind, shape (n_events,); only favourable ones (> 0) are demand.
        as_of: Epoch seconds.
        n_rows: Length of the result.
        buyer_ids: The buyer of each event, shape (n_events,).
    """
    rows, happened = np.asarray(listing_rows, dtype=np.intp), np.asarray(occurred_at, dtype=np.float64)
    strengths = np.broadcast_to(np.asarray(weights, dtype=np.float64), rows.shape)
    age = days_since(happened, as_of)
    counted = (rows >= 0) & (strengths > 0) & (age > 0) & (age <= DEMAND_LOOKBACK_DAYS)
    decayed = strengths[counted] * np.exp2(-age[counted] / DEMAND_HALF_LIFE_DAYS)
    buyers, rows = np.broadcast_to(np.asarray(buyer_ids), counted.shape)[counted], rows[counted]
    order = np.lexsort((-decayed, rows, buyers))
    strongest = order[first_of_runs(rows[order], buyers[order])]
    return np.bincount(rows[strongest], decayed[strongest], minlength=n_rows).astype(np.float64)


def average_rate(contacts: NDArray[np.float64], exposure: NDArray[np.float64]) -> float:
    """Return decayed contacts per effective day of all listings together; 0 without any."""
    days = float(exposure.sum())
    return float(contacts.sum()) / days if days > 0 else 0.0


def effective_days(listed_days: ArrayLike, half_life_days: float) -> NDArray[np.float64]:
    """Return days on sale, each decayed like the contacts of that day; nan and negative ones count as 0."""
    check_half_life(half_life_days)
    listed = np.maximum(np.nan_to_num(np.asarray(listed_days, dtype=np.float64), nan=0.0), 0.0)
    days: NDArray[np.float64] = half_life_days / np.log(2.0) * (1.0 - np.exp2(-listed / half_life_days))
    return days


def days_since(times: NDArray[np.float64], as_of: float) -> NDArray[np.float64]:
    """Return the days from each time to ``as_of``, both in epoch seconds; nan stays nan."""
    return (as_of - times) / SECONDS_A_DAY


def check_half_life(half_life_days: float) -> None:
    if not half_life_days > 0:
        raise ValueError(f"half_life_days must be positive, not {half_life_days}")
