"""Symmetric positive definite matrices, one or a stack of them: factor, solve, invert.

Straight to LAPACK's Cholesky routines. At 128 dimensions numpy's general ``inv`` and ``solve`` cost four times as much,
and their threads get in each other's way when several processes share few cores (``inv``: 0.4 ms on one thread, over
100 ms on two busy cores).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from recommendations.engine.arrays import Floats, Reals

# Shares of the largest element added to the diagonal, one after the other, when rounding has made a matrix indefinite.
MENDING_SHARES = (0.0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-5)


def cholesky(matrix: Reals) -> NDArray[np.float64]:
    """Lower factor of a positive definite matrix (n, n); where rounding has spoiled it, of a close one that has one.

    Raises:
        ValueError: If the matrix is further from positive definite than rounding explains.
    """
    factor: Floats
    for share in MENDING_SHARES:
        mended = matrix + np.diag(np.full(len(matrix), share * np.abs(matrix).max())) if share else matrix
        factor, fault = lapack.dpotrf(mended.T, lower=1, clean=1)  # symmetric, but in LAPACK's memory order
        if fault == 0:
            return factor
    raise ValueError("the covariance is not positive definite")


def factors(matrices: Reals) -> NDArray[np.float64]:
    """``cholesky`` of each matrix of a stack, shape (n_matrices, n, n). Raises as it does."""
    result = np.swapaxes(np.empty(matrices.shape), 1, 2)  # each in LAPACK's memory order, so that nothing is turned
    for row, matrix in enumerate(matrices):
        result[row] = cholesky(matrix)
    return result


def solve(factors: NDArray[np.float64], right: Reals) -> NDArray[np.float64]:
    """``x`` with ``L @ L.T @ x = right`` for each pair, shapes (n_matrices, n, n) and (n_matrices, n).

    Raises:
        ValueError: If a number is not finite, or LAPACK refuses an argument.
    """
    result = np.empty(right.shape)
    for row, factor in enumerate(factors):
        result[row], fault = lapack.dpotrs(factor, right[row], lower=1)
        _check(fault, "dpotrs")
    if not np.isfinite(result).all():  # dpotrs does not look for a zero on the diagonal
        raise ValueError("the equations have no finite solution")
    return result


def inverse(matrix: Reals) -> NDArray[np.float64]:
    """Inverse of one matrix, exactly symmetric. Raises as ``cholesky``."""
    inverted: NDArray[np.float64] = inverses(cholesky(matrix)[None])[0]
    return inverted


def inverses(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of each ``L @ L.T``, exactly symmetric, shape (n_matrices, n, n).

    Raises:
        ValueError: If a factor has a zero on its diagonal.
    """
    result = np.empty(factors.shape)
    for row, factor in enumerate(factors):
        lower = _inverse_of_factor(factor)
        result[row] = lower + np.tril(lower, -1).T
    return result


def large_inverse(matrix: NDArray[np.floating]) -> NDArray[np.floating]:
    """Inverse of one large positive definite matrix, which is overwritten; exactly symmetric, in C's memory order.

    Half the work and memory of a general inverse: the factor and then the inverse take the place of the matrix. In the
    precision of the matrix, float32 or float64.

    Raises:
        ValueError: If the matrix is not positive definite, or not finite. Nothing is added to its diagonal: the
            caller regularises it.
    """
    if not all(np.isfinite(row).all() for row in matrix):  # LAPACK lets nan pass
        raise ValueError("the matrix is not positive definite: it is not finite")
    factorise, invert = lapack.get_lapack_funcs(("potrf", "potri"), (matrix,))
    factor, fault = factorise(matrix.T, lower=1, clean=1, overwrite_a=1)  # symmetric, see above
    _check(fault, "potrf")
    inverted, fault = invert(factor, lower=1, overwrite_c=1)
    _check(fault, "potri")
    for row in range(len(inverted)):
        inverted[row, row + 1 :] = inverted[row + 1 :, row]
    return np.ascontiguousarray(inverted.T)


def _inverse_of_factor(factor: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lower triangle of the inverse of ``L @ L.T``; the upper one stays 0."""
    lower: Floats
    lower, fault = lapack.dpotri(factor, lower=1)
    _check(fault, "dpotri")
    return lower


def _check(fault: int, routine: str) -> None:
    """Raise for what a routine of LAPACK reports: 0 is well, below an argument, above where the matrix fails it."""
    if fault < 0:
        raise ValueError(f"LAPACK's {routine} refuses its argument {-fault}")
    if fault > 0:
        raise ValueError(f"the matrix is not positive definite: {routine} stops at row {fault}")


def log_determinants(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log determinant of each ``L @ L.T``, shape (n_matrices,)."""
    logarithms: NDArray[np.float64] = 2 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    return logarithms


def power(matrix: Reals, exponent: float) -> NDArray[np.float64]:
    """A power of one matrix by its eigenvalues; those that rounding made negative count as tiny."""
    values, vectors = np.linalg.eigh(matrix)
    values = np.maximum(values, values[-1] * 1e-12)
    powered: NDArray[np.float64] = (vectors * values**exponent) @ vectors.T
    return powered
