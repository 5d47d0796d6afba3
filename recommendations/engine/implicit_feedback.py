"""Two models of implicit feedback over a sparse matrix of buyers by things: factors (iALS) and weights (EASE).

Things are archetypes here, a few thousand, which is what makes exact solutions in plain numpy a matter of seconds.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, diags_array

from recommendations.engine import linalg
from recommendations.engine.arrays import Array, Floats, Rows

ROWS_AT_ONCE = 4_096  # of normal equations; with 32 factors some 35 MB


def presence(feedback: csr_array) -> csr_array:
    """Feedback as a degree of interest between -1 and 1: a first event says most, a tenth little more.

    The same curve is used on what EASE learns from and on the history it is asked about.
    """
    return with_data(feedback, saturated(feedback.data))


def with_data(matrix: csr_array, data: Array) -> csr_array:
    """The same cells with other values."""
    return csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def saturated(weights: Floats) -> Floats:
    return np.sign(weights) * -np.expm1(-np.abs(weights))


def als_factors(
    feedback: csr_array,
    n_factors: int,
    n_iterations: int,
    confidence: float,
    regularisation: float,
    seed: int,
    dtype: type[np.floating] = np.float32,
) -> tuple[Floats, Floats]:
    """Factors of buyers and things whose products tell liked from not liked.

    Alternating least squares: with preference ``p = 1`` where feedback is positive, else 0, and confidence
    ``c = 1 + alpha * log(1 + |feedback|)``, each side in turn minimises
    ``sum c (p - x y)^2 + lambda (|x|^2 + |y|^2)`` exactly over all cells, the empty ones included.

    Args:
        feedback: Shape (n_buyers, n_things). A negative cell is a confident "not liked".
        n_factors, n_iterations, confidence, regularisation: As in ``CollaborativeConfig``.
        seed: Of the start.
        dtype: Single precision takes half the time and is enough: the systems are well conditioned by lambda.

    Returns:
        Factors of buyers (n_buyers, n_factors) and of things (n_things, n_factors); zeros for what has no feedback.

    Source: Hu, Koren and Volinsky 2008, "Collaborative Filtering for Implicit Feedback Datasets", equations 3 to 5 and
    the logarithmic confidence of their equation 6 (with epsilon 1).
    """
    strength = feedback.data.astype(dtype)
    surplus = with_data(feedback, dtype(confidence) * np.log1p(np.abs(strength)))  # c - 1
    wanted = with_data(feedback, (1 + surplus.data) * (strength > 0))  # c p
    surplus_of_things, wanted_of_things = surplus.T.tocsr(), wanted.T.tocsr()
    seen = np.diff(surplus_of_things.indptr) > 0
    start = np.random.default_rng(seed).normal(0, n_factors**-0.5, (feedback.shape[1], n_factors))
    things = (start * seen[:, None]).astype(dtype)
    buyers = np.zeros((feedback.shape[0], n_factors), dtype)
    for _ in range(n_iterations):
        buyers = _solve_side(surplus, wanted, things, regularisation)
        things = _solve_side(surplus_of_things, wanted_of_things, buyers, regularisation)
    return buyers, things


def _solve_side(surplus: csr_array, wanted: csr_array, other: Floats, regularisation: float) -> Floats:
    """The best factors of one side given those of the other: one small linear system per row, many at a time.

    The sums of outer products over a row's cells are one sparse product with the flattened outer products of the other
    side, of which the upper triangle will do.
    """
    n_factors = other.shape[1]
    upper = np.triu_indices(n_factors)
    cell = np.empty((n_factors, n_factors), np.intp)  # of a square -> its place in the triangle
    cell[upper] = cell.T[upper] = np.arange(len(upper[0]))
    everywhere = other.T @ other + regularisation * np.eye(n_factors, dtype=other.dtype)
    right = wanted @ other
    solved: Floats = np.empty_like(right)
    # worked out once where they are few, else anew for each part of the rows, to bound the memory
    products = _products(other, upper) if len(other) <= ROWS_AT_ONCE else None
    for start in range(0, surplus.shape[0], ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        sums = _outer_sums(surplus[rows], other, upper) if products is None else surplus[rows] @ products
        left = sums.take(cell, axis=1) + everywhere
        solved[rows] = np.linalg.solve(left, right[rows][..., None])[..., 0]
    return solved


def _outer_sums(surplus: csr_array, other: Floats, upper: tuple[Rows, Rows]) -> Floats:
    """Upper triangle of the weighted sum of outer products, per row; shape (n_rows, n_factors (n_factors + 1) / 2)."""
    sums = np.zeros((surplus.shape[0], len(upper[0])), other.dtype)
    for start in range(0, surplus.shape[1], ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        sums += surplus[:, part] @ _products(other[part], upper)
    return sums


def _products(other: Floats, upper: tuple[Rows, Rows]) -> Floats:
    """Upper triangle of the outer product of each row with itself; in C order, or scipy would copy it once more."""
    return other.take(upper[0], axis=1) * other.take(upper[1], axis=1)


def ease_weights(interest: csr_array, regularisation: float) -> Floats:
    """How much interest in one thing says about interest in another.

    The linear regression of every column on all others with a zero diagonal, in closed form:
    ``B = I - P / diag(P)`` with ``P = (X'X + lambda I)^-1``.

    Args:
        interest: Shape (n_buyers, n_things), between -1 and 1.
        regularisation: Above 0; about how many shared buyers it takes to be believed.

    Returns:
        Weights, shape (n_things, n_things); ``interest @ weights`` are scores. Zero where there is no interest.

    Raises:
        ValueError: If the regularisation is not positive, or an interest is not finite.

    Source: Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data", equation 8.
    """
    if not regularisation > 0:
        raise ValueError(f"the regularisation of EASE must be positive, not {regularisation}")
    if not np.isfinite(interest.data).all():
        raise ValueError("every interest must be a finite number")
    gram = (interest.T @ interest).toarray()
    gram[np.diag_indices_from(gram)] += regularisation
    inverse = linalg.large_inverse(gram)
    weights = inverse / -inverse.diagonal()
    np.fill_diagonal(weights, 0.0)
    return weights


def strongest(weights: Floats, n: int) -> csr_array:
    """The ``n`` weights of largest size in each row, the others dropped."""
    n_columns = weights.shape[1]
    if n >= n_columns:
        return csr_array(weights)
    columns = np.sort(np.argpartition(-np.abs(weights), n - 1, axis=1)[:, :n], axis=1)
    kept = np.take_along_axis(weights, columns, axis=1)
    ends = np.arange(len(weights) + 1) * n
    return csr_array((kept.ravel(), columns.ravel(), ends), shape=weights.shape)


def scaled_rows(matrix: csr_array) -> csr_array:
    """Rows that sum to one; rows without anything stay empty. Entries are not negative."""
    totals = np.asarray(matrix.sum(axis=1)).ravel()
    return (diags_array(np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)) @ matrix).tocsr()
