"""Rows taken of parallel columns are rows of every one of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from recommendations.engine.columns import Columns


@dataclass(frozen=True, eq=False)
class Inner(Columns):
    numbers: Any


@dataclass(frozen=True, eq=False)
class Outer(Columns):
    SHARED = ("table",)

    ids: Any
    inner: Inner
    by_name: dict[str, Any]
    sparse: csr_array
    table: Any


@pytest.fixture
def outer() -> Outer:
    ids = np.arange(4)
    return Outer(ids, Inner(10 * ids), {"flags": ids > 1}, csr_array(np.eye(4)), np.array([7, 8]))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (np.array([3, 0, 3]), [3, 0, 3]),
        (np.array([True, False, True, False]), [0, 2]),
        (slice(1, 3), [1, 2]),
        (np.array([], np.intp), []),
    ],
    ids=["positions", "mask", "slice", "none"],
)
def test_rows_are_taken_of_every_column_but_shared_ones(at, expected, outer):
    taken = outer.take(at)
    assert taken.ids.tolist() == expected
    assert taken.inner.numbers.tolist() == [10 * each for each in expected]
    assert taken.by_name["flags"].tolist() == [each > 1 for each in expected]
    assert taken.sparse.toarray().tolist() == np.eye(4)[expected].tolist()
    assert taken.table is outer.table
    assert outer.ids.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("at", [np.array([4]), np.array([True])], ids=["position", "mask"])
def test_a_row_that_there_is_not_is_refused(at, outer):
    with pytest.raises(IndexError):
        outer.take(at)
