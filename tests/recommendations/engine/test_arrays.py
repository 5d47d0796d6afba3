import numpy as np
import pytest

from recommendations.engine.arrays import first_of_runs, rank_in_runs


def test_runs_by_hand():
    one, other = np.array([1, 1, 2, 2, 2, 3]), np.array([5, 5, 5, 6, 6, 6])
    assert first_of_runs(one).tolist() == [True, False, True, False, False, True]
    assert first_of_runs(one, other).tolist() == [True, False, True, True, False, True]
    assert rank_in_runs(first_of_runs(one)).tolist() == [0, 1, 0, 1, 2, 0]


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_without_rows_there_are_no_runs(dtype):
    nothing = np.zeros(0, dtype)
    assert first_of_runs(nothing, nothing).tolist() == []
    assert rank_in_runs(first_of_runs(nothing)).tolist() == []
