"""Weigh the events of a buyer by occasion instead of by request.

A reloaded page is no new evidence, and a car that was opened on ten days is wanted more than once, but not ten times as
much.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.arrays import first_of_runs, rank_in_runs

SESSION_SECONDS = 1_800.0  # without an event end a session
FURTHER_OCCASION = 0.5  # each counts so much of the one before: all that is known about one car is at most twice one


def sessions_of(buyer_ids: NDArray[np.int64], occurred_at: NDArray[np.float64]) -> NDArray[np.intp]:
    """Number the session of each event, shape (n_events,): events of one buyer with gaps of at most half an hour."""
    order = np.lexsort((occurred_at, buyer_ids))
    buyers, moments = buyer_ids[order], occurred_at[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = (buyers[1:] != buyers[:-1]) | (moments[1:] - moments[:-1] > SESSION_SECONDS)
    sessions = np.empty(len(order), np.intp)
    sessions[order] = np.cumsum(is_first)
    return sessions


def one_per_occasion(
    buyer_ids: NDArray[np.int64],
    subjects: NDArray[np.int64],
    occurred_at: NDArray[np.float64],
    strengths: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Mark the events that count: the strongest of one buyer's events on one subject in one session; of equals the
    first.

    Args:
        buyer_ids, occurred_at: Of each event, shape (n_events,); epoch seconds.
        subjects: Subject of each event: the listing, or a number of its own for each search.
        strengths: Weight of the event's kind; its absolute value is compared.
    """
    sessions = sessions_of(buyer_ids, occurred_at)
    order = np.lexsort((occurred_at, -np.abs(strengths), subjects, sessions))
    counts = np.zeros(len(order), bool)
    counts[order[first_of_runs(sessions[order], subjects[order])]] = True
    return counts


def dwell_by_occasion(
    buyer_ids: NDArray[np.int64],
    subjects: NDArray[np.int64],
    occurred_at: NDArray[np.float64],
    dwell_seconds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the longest dwell time of each event's occasion; nan where none is known.

    A page is often recorded when it is opened, and again, with the time, when it is left: the first record must not
    count as a view of unknown length.

    Args:
        buyer_ids, subjects, occurred_at: As in ``one_per_occasion``.
        dwell_seconds: Of each event, nan where it is not known, shape (n_events,).
    """
    if not len(dwell_seconds) or np.isnan(dwell_seconds).all():
        return dwell_seconds
    sessions = sessions_of(buyer_ids, occurred_at)
    _, occasions = np.unique(np.column_stack([sessions, subjects]), axis=0, return_inverse=True)
    longest = np.full(occasions.max() + 1, -1.0)
    np.maximum.at(longest, occasions.ravel(), np.nan_to_num(dwell_seconds, nan=-1.0))
    found = longest[occasions.ravel()]
    return np.where(found < 0, np.nan, found)


def saturated(
    buyer_ids: NDArray[np.int64], subjects: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return weights with which several occasions of one buyer on one subject count at most twice the strongest of
    them.

    Args:
        buyer_ids, subjects: As in ``one_per_occasion``.
        weights: Of each event after decay, >= 0, shape (n_events,).
    """
    order = np.lexsort((-weights, subjects, buyer_ids))
    rank = rank_in_runs(first_of_runs(buyer_ids[order], subjects[order]))
    counted = np.empty(len(order))
    counted[order] = weights[order] * FURTHER_OCCASION**rank
    return counted
