"""Two models of implicit feedback over a sparse matrix of buyers by things: factors (iALS) and weights (EASE).

Things are archetypes here, a few thousand, which is what makes exact solutions in plain numpy a matter of seconds.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, diags_array

from recommendations.engine import linalg
from recommendations.engine.arrays import Array, Floats, Rows
from recommendations.engine.parts import LocalParts, Parts

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
    buyers, things = als_factors_in_parts(
        LocalParts([feedback]), n_factors, n_iterations, confidence, regularisation, seed, dtype
    )
    return buyers.collect()[0], things


def als_factors_in_parts(
    feedback: Parts[csr_array],
    n_factors: int,
    n_iterations: int,
    confidence: float,
    regularisation: float,
    seed: int,
    dtype: type[np.floating] = np.float32,
) -> tuple[Parts[Floats], Floats]:
    """``als_factors`` of buyers in partitions, each with all things as its columns: theirs stay where they are.

    In each round the buyers of a partition are solved from the things, and the normal equations of the things are added
    up over the partitions. Those of one partition are solved some at a time, which bounds the memory for many things.
    """
    cells = feedback.map(_cells, confidence, dtype)
    n_seen: Array = cells.map(_n_cells_of_things).total(operator.add)
    things = np.random.default_rng(seed).normal(0, n_factors**-0.5, (len(n_seen), n_factors))
    things = (things * (n_seen > 0)[:, None]).astype(dtype)
    buyers = feedback.map(_nothing, n_factors, dtype)
    for _ in range(n_iterations):
        buyers = cells.map(_solve_buyers, things, regularisation)
        if len(cells) == 1:
            [things] = cells.map(_solve_things, buyers, regularisation).collect()
        else:
            equations = cells.map(_equations_of_things, buyers).total(_Equations.plus)
            things = equations.solved(regularisation)
    return buyers, things


@dataclass(frozen=True, eq=False)
class _Cells:
    """What ``als_factors`` reads of some buyers, row by row from either side."""

    surplus: csr_array  # c - 1
    wanted: csr_array  # c p
    surplus_of_things: csr_array
    wanted_of_things: csr_array


def _cells(feedback: csr_array, confidence: float, dtype: type[np.floating]) -> _Cells:
    strength = feedback.data.astype(dtype)
    surplus = with_data(feedback, dtype(confidence) * np.log1p(np.abs(strength)))
    wanted = with_data(feedback, (1 + surplus.data) * (strength > 0))
    return _Cells(surplus, wanted, surplus.T.tocsr(), wanted.T.tocsr())


def _n_cells_of_things(cells: _Cells) -> Array:
    counts: Array = np.diff(cells.surplus_of_things.indptr)
    return counts


def _nothing(feedback: csr_array, n_factors: int, dtype: type[np.floating]) -> Floats:
    return np.zeros((feedback.shape[0], n_factors), dtype)


def _solve_buyers(cells: _Cells, things: Floats, regularisation: float) -> Floats:
    return _solve_side(cells.surplus, cells.wanted, things, regularisation)


def _solve_things(cells: _Cells, buyers: Floats, regularisation: float) -> Floats:
    return _solve_side(cells.surplus_of_things, cells.wanted_of_things, buyers, regularisation)


def _equations_of_things(cells: _Cells, buyers: Floats) -> _Equations:
    sums = _outer_sums(cells.surplus_of_things, buyers, np.triu_indices(buyers.shape[1]))
    return _Equations(sums, cells.wanted_of_things @ buyers, buyers.T @ buyers)


@dataclass(frozen=True, eq=False)
class _Equations:
    """Normal equations of each row of one side, without the regularisation.

    Attributes:
        sums: Upper triangles of the weighted sums of outer products, shape (n_rows, n_factors (n_factors + 1) / 2).
        right: Right sides, shape (n_rows, n_factors).
        everywhere: What all rows have on their left side, shape (n_factors, n_factors).
    """

    sums: Floats
    right: Floats
    everywhere: Floats

    def plus(self, other: _Equations) -> _Equations:
        return _Equations(self.sums + other.sums, self.right + other.right, self.everywhere + other.everywhere)

    def solved(self, regularisation: float) -> Floats:
        n_factors = self.right.shape[1]
        cell = _cell_of_triangle(n_factors)
        everywhere = self.everywhere + regularisation * np.eye(n_factors, dtype=self.everywhere.dtype)
        solved: Floats = np.empty_like(self.right)
        for start in range(0, len(self.right), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            left = self.sums[rows].take(cell, axis=1) + everywhere
            solved[rows] = np.linalg.solve(left, self.right[rows][..., None])[..., 0]
        return solved


def _solve_side(surplus: csr_array, wanted: csr_array, other: Floats, regularisation: float) -> Floats:
    """The best factors of one side given those of the other: one small linear system per row, many at a time.

    The sums of outer products over a row's cells are one sparse product with the flattened outer products of the other
    side, of which the upper triangle will do.
    """
    upper, right, everywhere = np.triu_indices(other.shape[1]), wanted @ other, other.T @ other
    solved: Floats = np.empty_like(right)
    # worked out once where they are few, else anew for each part of the rows, to bound the memory
    products = _products(other, upper) if len(other) <= ROWS_AT_ONCE else None
    for start in range(0, surplus.shape[0], ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        sums = _outer_sums(surplus[rows], other, upper) if products is None else surplus[rows] @ products
        solved[rows] = _Equations(sums, right[rows], everywhere).solved(regularisation)
    return solved


def _cell_of_triangle(n: int) -> Rows:
    """Of a square -> its place in the flattened upper triangle, shape (n, n)."""
    upper = np.triu_indices(n)
    cell = np.empty((n, n), np.intp)
    cell[upper] = cell.T[upper] = np.arange(len(upper[0]))
    return cell


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
    return ease_weights_in_parts(LocalParts([interest]), regularisation)


def ease_weights_in_parts(interest: Parts[csr_array], regularisation: float) -> Floats:
    """``ease_weights`` of buyers in partitions: what each says of pairs of things is added up."""
    if not regularisation > 0:
        raise ValueError(f"the regularisation of EASE must be positive, not {regularisation}")
    gram = interest.map(_gram).total(operator.add).toarray()
    gram[np.diag_indices_from(gram)] += regularisation
    inverse = linalg.large_inverse(gram)
    weights = inverse / -inverse.diagonal()
    np.fill_diagonal(weights, 0.0)
    return weights


def _gram(interest: csr_array) -> csr_array:
    if not np.isfinite(interest.data).all():
        raise ValueError("every interest must be a finite number")
    return interest.T @ interest


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
