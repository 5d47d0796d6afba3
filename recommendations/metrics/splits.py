"""Train and test, divided by time, so that no model is judged on a past it has already seen the future of.

Times are plain numbers (days, seconds, or a datetime64 array); the functions only compare them. What comes back are row
positions into the event arrays, in their order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Split:
    """Event rows to learn from and event rows to test on, int, ascending; no row is in both."""

    train: NDArray[np.intp]
    test: NDArray[np.intp]


def split_at(times: ArrayLike, moment: object, until: object | None = None) -> Split:
    """Everything before a moment is known, what follows is to be predicted: the split a live system lives with.

    Args:
        times: When each event happened, shape (n_events,).
        moment: First moment of the test, same type as the times. An event exactly then is tested.
        until: End of the test, exclusive; later events are in neither part. Left out: no end.

    Raises:
        ValueError: If the end is not after the moment, or a time is not comparable (nan, NaT).
    """
    happened = _times(times)
    is_late = happened >= moment
    if until is None:
        return Split(np.flatnonzero(~is_late), np.flatnonzero(is_late))
    if not until > moment:  # type: ignore[operator]
        raise ValueError(f"the test would end ({until}) before it begins ({moment})")
    return Split(np.flatnonzero(~is_late), np.flatnonzero(is_late & (happened < until)))


def moment_before_last_share(times: ArrayLike, test_share: float) -> object:
    """The moment after which about this share of the events happened: for ``split_at``.

    Raises:
        ValueError: If there are no events or the share is not between 0 and 1.
    """
    happened = np.sort(_times(times))
    if not 0 < test_share < 1:
        raise ValueError(f"test_share must lie between 0 and 1, not {test_share}")
    if happened.size == 0:
        raise ValueError("no events to divide")
    n_train = min(int(np.ceil(len(happened) * (1 - test_share))), len(happened) - 1)
    return happened[n_train]


def split_last_n(users: ArrayLike, times: ArrayLike, n_test: int) -> Split:
    """Test on each user's last n events, learn from her earlier ones.

    Kinder than ``split_at``: other users' later events are in training, so use it where people do not influence each
    other (stated choices), or to compare with published figures. Users with n events or fewer are trained on only.
    Events of one moment count in the order given.

    Args:
        users: Whose event, any sortable type, shape (n_events,).
        times: When, shape (n_events,).
        n_test: Events to hold back per user, >= 1.

    Raises:
        ValueError: If the shapes disagree, n_test is below 1, or a time is not comparable.
    """
    owners, happened = np.asarray(users), _times(times)
    if owners.shape != happened.shape:
        raise ValueError(f"users {owners.shape} and times {happened.shape} must be of one length")
    if n_test < 1:
        raise ValueError(f"n_test must be at least 1, not {n_test}")
    _, owner, n_events = np.unique(owners, return_inverse=True, return_counts=True)
    order = np.lexsort((np.arange(len(owner)), happened, owner))
    end = np.cumsum(n_events)[owner[order]]
    is_last = (end - np.arange(len(order)) <= n_test) & (n_events[owner[order]] > n_test)
    is_test = np.zeros(len(order), dtype=bool)
    is_test[order] = is_last
    return Split(np.flatnonzero(~is_test), np.flatnonzero(is_test))


def live_at(listed_at: ArrayLike, ended_at: ArrayLike, moment: object) -> NDArray[np.bool_]:
    """Which listings could have been recommended at a moment: the only fair candidates of a test, shape (n_listings,).

    Args:
        listed_at: When each listing appeared.
        ended_at: When it was sold or withdrawn; nan or NaT while it is still there. A listing that ended at the very
            moment is gone.
        moment: Same type as the times.

    Raises:
        ValueError: If the shapes disagree or a listing's start is unknown.
    """
    began, ended = _times(listed_at), np.asarray(ended_at)
    if began.shape != ended.shape:
        raise ValueError(f"listed_at {began.shape} and ended_at {ended.shape} must be of one length")
    is_over = ended <= moment  # False for nan and NaT
    return np.asarray((began <= moment) & ~is_over)


def _times(times: ArrayLike) -> NDArray:
    happened = np.asarray(times)
    if happened.ndim != 1:
        raise ValueError(f"times must have shape (n_events,), not {happened.shape}")
    if happened.size and np.isnat(happened).any() if happened.dtype.kind in "mM" else not _all_numbers(happened):
        raise ValueError("every event needs a time")
    return happened


def _all_numbers(values: NDArray) -> bool:
    return values.size == 0 or (np.issubdtype(values.dtype, np.number) and not np.isnan(values).any())
