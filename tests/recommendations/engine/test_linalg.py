"""Positive definite matrices by hand, beside numpy's general routines, and where there is no answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recommendations.engine import linalg
from recommendations.engine.implicit_feedback import ease_weights

SINGULAR = np.array([[1.0, 0.0], [0.0, 0.0]])


def definite(n: int, seed: int) -> np.ndarray:
    half = np.random.default_rng(seed).normal(size=(n, n))
    return half @ half.T + np.eye(n)


@given(st.integers(1, 12), st.integers(0, 1000))
def test_solutions_and_inverses_are_those_of_numpy(n, seed):
    matrix, right = definite(n, seed), np.random.default_rng(seed).normal(size=n)
    factor = linalg.cholesky(matrix)
    np.testing.assert_allclose(linalg.solve(factor[None], right[None])[0], np.linalg.solve(matrix, right), atol=1e-8)
    expected = np.linalg.inv(matrix)
    for inverse in (linalg.inverse(matrix), linalg.large_inverse(matrix.copy())):
        np.testing.assert_allclose(inverse, expected, atol=1e-8)
        np.testing.assert_array_equal(inverse, inverse.T)


def test_a_factor_with_a_zero_on_its_diagonal_has_no_inverse():
    with pytest.raises(ValueError, match="not positive definite"):
        linalg.inverses(SINGULAR[None])


@pytest.mark.parametrize(
    ("factor", "right"), [(SINGULAR, [0.0, 1.0]), (np.eye(2), [np.nan, 0.0]), (np.eye(2), [np.inf, 0])]
)
def test_equations_without_a_finite_solution_are_refused(factor, right):
    with pytest.raises(ValueError, match="no finite solution"):
        linalg.solve(factor[None], np.array([right]))


@pytest.mark.parametrize("matrix", [-np.eye(3), SINGULAR, np.array([[1.0, 2.0], [2.0, 1.0]]), np.full((2, 2), np.nan)])
def test_a_large_matrix_that_is_not_positive_definite_has_no_inverse(matrix):
    with pytest.raises(ValueError, match="not positive definite"):
        linalg.large_inverse(matrix.copy())


@pytest.mark.parametrize("regularisation", [0.0, -1.0, np.nan])
def test_ease_needs_a_regularisation(regularisation):
    with pytest.raises(ValueError, match="must be positive"):
        ease_weights(csr_array(np.ones((2, 2))), regularisation)


@pytest.mark.parametrize("interest", [np.nan, np.inf, -np.inf])
def test_ease_refuses_an_interest_that_is_no_number(interest):
    with pytest.raises(ValueError, match="finite"):
        ease_weights(csr_array(np.array([[1.0, interest]])), 1.0)


def test_ease_whose_regularisation_drowns_in_rounding_is_refused_and_not_answered_with_noise():
    with pytest.raises(ValueError, match="not positive definite"):
        ease_weights(csr_array(np.full((1, 2), 1e10)), 1e-6)
