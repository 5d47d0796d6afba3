"""Symmetric positive definite matrices, one or a stack of them: factor, solve, invert.

Straight to LAPACK's Cholesky routines. At 128 dimensions numpy's general ``inv`` and ``solve`` cost four times as much,
and their threads get in each other's way when several processes share few cores (``inv``: 0.4 ms on one thread, over
100 ms on two busy cores).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

# Shares of the largest element added to the diagonal, one after the other, when rounding has made a matrix indefinite.
MENDING_SHARES = (0.0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-5)


def cholesky(matrix: NDArray) -> NDArray[np.float64]:
    """Lower factor of a positive definite matrix (n, n); where rounding has spoiled it, of a close one that has one.

    Raises:
        ValueError: If the matrix is further from positive definite than rounding explains.
    """
    for share in MENDING_SHARES:
        mended = matrix + np.diag(np.full(len(matrix), share * np.abs(matrix).max())) if share else matrix
        factor, fault = lapack.dpotrf(mended.T, lower=1, clean=1)  # symmetric, but in LAPACK's memory order
        if fault == 0:
            return factor
    raise ValueError("the covariance is not positive definite")


def factors(matrices: NDArray) -> NDArray[np.float64]:
    """``cholesky`` of each matrix of a stack, shape (n_matrices, n, n). Raises as it does."""
    result = np.swapaxes(np.empty(matrices.shape), 1, 2)  # each in LAPACK's memory order, so that nothing is turned
    for row, matrix in enumerate(matrices):
        result[row] = cholesky(matrix)
    return result


def solve(factors: NDArray[np.float64], right: NDArray) -> NDArray[np.float64]:
    """``x`` with ``L @ L.T @ x = right`` for each pair, shapes (n_matrices, n, n) and (n_matrices, n)."""
    result = np.empty(right.shape)
    for row, factor in enumerate(factors):
        result[row], _ = lapack.dpotrs(factor, right[row], lower=1)
    return result


def inverse(matrix: NDArray) -> NDArray[np.float64]:
    """Inverse of one matrix, exactly symmetric. Raises as ``cholesky``."""
    return inverses(cholesky(matrix)[None])[0]


def inverses(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of each ``L @ L.T``, exactly symmetric, shape (n_matrices, n, n)."""
    result = np.empty(factors.shape)
    for row, factor in enumerate(factors):
        lower, _ = lapack.dpotri(factor, lower=1)  # fills the lower triangle; the upper one stays 0
        result[row] = lower + np.tril(lower, -1).T
    return result


def log_determinants(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log determinant of each ``L @ L.T``, shape (n_matrices,)."""
    return 2 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)


def power(matrix: NDArray, exponent: float) -> NDArray[np.float64]:
    """A power of one matrix by its eigenvalues; those that rounding made negative count as tiny."""
    values, vectors = np.linalg.eigh(matrix)
    values = np.maximum(values, values[-1] * 1e-12)
    return (vectors * values**exponent) @ vectors.T
