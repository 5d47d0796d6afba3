"""Names for the types of arrays, and runs of equal rows in sorted arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Reals = NDArray[np.floating[Any]]  # in single or double precision, and arithmetic stays in it
Ids = NDArray[np.int64]  # database keys
Rows = NDArray[np.intp]  # positions in another array
Integers = NDArray[np.integer[Any]]  # ids, positions, codes or counts
Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]
Texts = NDArray[np.object_]
Array = NDArray[Any]  # of a type that its name or column decides


def first_of_runs(*columns: Array) -> Flags:
    """Mark the first row of each run of equal rows, shape (n,); ``columns`` are at least one, of length n."""
    is_first = np.ones(len(columns[0]), bool)
    is_first[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return is_first


def rank_in_runs(is_first: Flags) -> Rows:
    """Return the position of each row in its run, from 0, shape (n,); ``is_first`` as from ``first_of_runs``."""
    starts = np.flatnonzero(is_first)
    return np.arange(len(is_first)) - np.repeat(starts, np.diff(np.r_[starts, len(is_first)]))
