"""Train and test, divided by time, so that no model is judged on a past it has already seen the future of.

Times are plain numbers (days, seconds, or a datetime64 array); the functions only compare them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from recommendations.engine.arrays import Array


def cutoff_of_last_share(times: ArrayLike, test_share: float) -> object:
    """The moment after which about this share of the events happened.

    What is earlier is to be learned from, what is not is to be tested on.

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


def _times(times: ArrayLike) -> Array:
    happened = np.asarray(times)
    if happened.ndim != 1:
        raise ValueError(f"times must have shape (n_events,), not {happened.shape}")
    if happened.size and np.isnat(happened).any() if happened.dtype.kind in "mM" else not _all_numbers(happened):
        raise ValueError("every event needs a time")
    return happened


def _all_numbers(values: Array) -> bool:
    return values.size == 0 or (np.issubdtype(values.dtype, np.number) and not np.isnan(values).any())
