"""Two models of implicit feedback over a sparse matrix of buyers by things: factors (iALS) and weights (EASE).

Things are archetypes here, a few thousand, which is what makes exact solutions in plain numpy a matter of seconds.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.sparse import csr_array, diags_array

from recommendations.engine import linalg
from recommendations.engine.arrays import Array, Floats, Integers, Rows
from recommendations.engine.parts import LocalParts, Parts

ROWS_AT_ONCE = 1_024  # of normal equations; with 32 factors 8 MB
CELLS_AT_ONCE = 16_384  # whose factors are gathered together; with 32 factors 4 MB
THINGS_AT_ONCE = 512  # rows of a Gram matrix; with 4,000 columns 24 MB
BYTES_AT_ONCE = 2**22  # of gathered factors, so that they stay in the processor's cache


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
    feedback: csr_array, n_factors: int, n_iterations: int, confidence: float, regularisation: float, seed: int
) -> tuple[Floats, Floats]:
    """Factors of buyers and things whose products tell liked from not liked.

    Alternating least squares: with preference ``p = 1`` where feedback is positive, else 0, and confidence
    ``c = 1 + alpha * log(1 + |feedback|)``, each side in turn minimises
    ``sum c (p - x y)^2 + lambda (|x|^2 + |y|^2)`` exactly over all cells, the empty ones included.

    Args:
        feedback: Shape (n_buyers, n_things). A negative cell is a confident "not liked".
        n_factors, n_iterations, confidence, regularisation: As in ``CollaborativeConfig``.
        seed: Of the start.

    Returns:
        Factors of buyers (n_buyers, n_factors) and of things (n_things, n_factors); zeros for what has no feedback.

    Source: Hu, Koren and Volinsky 2008, "Collaborative Filtering for Implicit Feedback Datasets", equations 3 to 5 and
    the logarithmic confidence of their equation 6 (with epsilon 1).
    """
    buyers, things = als_factors_in_parts(
        LocalParts([feedback]), n_factors, n_iterations, confidence, regularisation, seed
    )
    return buyers.collect()[0], things


def als_factors_in_parts(
    feedback: Parts[csr_array],
    n_factors: int,
    n_iterations: int,
    confidence: float,
    regularisation: float,
    seed: int,
) -> tuple[Parts[Floats], Floats]:
    """``als_factors`` of buyers in partitions, each with all things as its columns: theirs stay where they are.

    In each round the buyers of a partition are solved from the things, and the normal equations of the things are added
    up over the partitions. Those of one partition are solved some at a time, which bounds the memory for many things.
    """
    cells = feedback.map(_cells, confidence)
    n_seen: Array = cells.total_of(_n_cells_of_things, operator.add)
    things = np.random.default_rng(seed).normal(0, n_factors**-0.5, (len(n_seen), n_factors))
    things *= (n_seen > 0)[:, None]
    buyers = feedback.map(_nothing, n_factors)
    for _ in range(n_iterations):
        buyers = cells.map(_solve_buyers, cells.share(things), regularisation)
        if len(cells) == 1:
            [things] = cells.map(_solve_things, buyers, regularisation).collect()
        else:
            equations: _Equations = cells.total_of(_equations_of_things, _Equations.plus, buyers)
            things = equations.solved(regularisation)
    return buyers, things


@dataclass(frozen=True, eq=False)
class _Side:
    """What ``als_factors`` reads of one side, row by row; ``ends`` and ``columns`` as those of a sparse matrix.

    Attributes:
        ends: Where the cells of each row end, a 0 before the first, shape (n_rows + 1,).
        columns: Row of the other side, of each cell.
        surplus: c - 1 of each cell, >= 0.
        wanted: c p of each cell.
        n_columns: Rows of the other side.
    """

    ends: NDArray[np.integer[Any]]
    columns: NDArray[np.integer[Any]]
    surplus: Floats
    wanted: Floats
    n_columns: int

    def __len__(self) -> int:
        return len(self.ends) - 1

    @property
    def n_cells(self) -> Integers:
        return np.diff(self.ends)

    def take(self, rows: Rows) -> _Side:
        n_cells = self.n_cells[rows]
        ends = np.r_[0, np.cumsum(n_cells)]
        at = np.repeat(self.ends[rows] - ends[:-1], n_cells) + np.arange(ends[-1])
        return _Side(ends, self.columns[at], self.surplus[at], self.wanted[at], self.n_columns)

    def right_sides(self, other: Floats) -> Floats:
        """The sum of c p y over the cells of each row, shape (n_rows, n_factors)."""
        wanted = csr_array((self.wanted, self.columns, self.ends), shape=(len(self), self.n_columns))
        sums: Floats = wanted @ other
        return sums


@dataclass(frozen=True, eq=False)
class _Cells:
    """The feedback of some buyers, from either side."""

    buyers: _Side
    things: _Side


def _cells(feedback: csr_array, confidence: float) -> _Cells:
    of_things = feedback.T.tocsr()
    return _Cells(_side(feedback, confidence), _side(of_things, confidence))


def _side(feedback: csr_array, confidence: float) -> _Side:
    surplus = confidence * np.log1p(np.abs(feedback.data))
    wanted = (1 + surplus) * (feedback.data > 0)
    return _Side(feedback.indptr, feedback.indices, surplus, wanted, feedback.shape[1])


def _n_cells_of_things(cells: _Cells) -> Array:
    return cells.things.n_cells


def _nothing(feedback: csr_array, n_factors: int) -> Floats:
    return np.zeros((feedback.shape[0], n_factors))


def _solve_buyers(cells: _Cells, things: Floats, regularisation: float) -> Floats:
    return _solve_side(cells.buyers, things, regularisation)


def _solve_things(cells: _Cells, buyers: Floats, regularisation: float) -> Floats:
    return _solve_side(cells.things, buyers, regularisation)


def _equations_of_things(cells: _Cells, buyers: Floats) -> _Equations:
    return _Equations(_outer_sums(cells.things, buyers), cells.things.right_sides(buyers), buyers.T @ buyers)


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
        everywhere = self.everywhere + regularisation * np.eye(n_factors)
        solved: Floats = np.empty_like(self.right)
        for start in range(0, len(self.right), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            left = self.sums[rows].take(cell, axis=1) + everywhere
            solved[rows] = np.linalg.solve(left, self.right[rows][..., None])[..., 0]
        return solved


def _solve_side(side: _Side, other: Floats, regularisation: float) -> Floats:
    """The best factors of one side given those of the other: one small linear system per row, many at a time.

    A row with no more cells than there are factors, as most buyers are, has a system as large as its cells are many
    (``_solve_few``); the others have one as large as the factors.
    """
    everywhere, n_cells = other.T @ other, side.n_cells
    solved: Floats = np.zeros((len(side), other.shape[1]))
    few = np.flatnonzero((n_cells > 0) & (n_cells <= other.shape[1]))
    if len(few):
        solved[few] = _solve_few(side, few, other, everywhere, regularisation)
    many = np.flatnonzero(n_cells > other.shape[1])
    for start in range(0, len(many), ROWS_AT_ONCE):
        rows = many[start : start + ROWS_AT_ONCE]
        some = side.take(rows)
        equations = _Equations(_outer_sums(some, other), some.right_sides(other), everywhere)
        solved[rows] = equations.solved(regularisation)
    return solved


def _solve_few(side: _Side, rows: Rows, other: Floats, everywhere: Floats, regularisation: float) -> Floats:
    """The factors of rows with few cells each, from systems of as many equations, shape (n_rows, n_factors).

    With ``E = Y'Y + lambda I = L L'``, which all rows have in common, and ``Z = Y L^-T``, a row with the cells J wants
    ``L'x = (I + Z_J' S Z_J)^-1 Z_J' w``, which is ``Z_J' (I + S Z_J Z_J')^-1 w`` (Woodbury): as exact, and at eight
    cells and 32 factors a fraction of the work.
    """
    root = linalg.cholesky(everywhere + regularisation * np.eye(other.shape[1]))
    whitened = np.ascontiguousarray(solve_triangular(root, other.T, lower=True).T)
    n_cells = side.n_cells[rows]
    turned: Floats = np.empty((len(rows), other.shape[1]))
    for at in _alike(n_cells, other.shape[1] * other.itemsize):
        n = int(n_cells[at[0]])
        cells = side.ends[rows[at]][:, None] + np.arange(n)
        factors = whitened[side.columns[cells]]
        left = factors @ factors.transpose(0, 2, 1)
        left *= side.surplus[cells][..., None]
        left[:, np.arange(n), np.arange(n)] += 1.0
        shares = np.linalg.solve(left, side.wanted[cells][..., None])
        turned[at] = (factors.transpose(0, 2, 1) @ shares)[..., 0]
    solved: Floats = solve_triangular(root, turned.T, lower=True, trans="T").T
    return solved


def _alike(counts: Integers, bytes_each: int) -> Iterator[Rows]:
    """Positions of equal counts, some at a time: as many as ``BYTES_AT_ONCE`` holds, at least one."""
    order = np.argsort(counts, kind="stable")
    firsts = np.flatnonzero(np.diff(counts[order], prepend=0))
    for same in np.split(order, firsts[1:]):
        step = max(1, BYTES_AT_ONCE // (int(counts[same[0]]) * bytes_each))
        yield from (same[start : start + step] for start in range(0, len(same), step))


def _cell_of_triangle(n: int) -> Rows:
    """The index of each element of a square in its flattened upper triangle, shape (n, n)."""
    upper = np.triu_indices(n)
    cell = np.empty((n, n), np.intp)
    cell[upper] = cell.T[upper] = np.arange(len(upper[0]))
    return cell


def _outer_sums(side: _Side, other: Floats) -> Floats:
    """Upper triangle of the weighted sum of outer products, per row; shape (n_rows, n_factors (n_factors + 1) / 2).

    A product of matrices for each row, over cells gathered many rows at a time: three times as fast as the product of
    the sparse matrix with the outer products of the other side, though it forms the lower triangle as well.
    """
    n_factors = other.shape[1]
    upper = np.ravel_multi_index(np.triu_indices(n_factors), (n_factors, n_factors))
    sums: Floats = np.empty((len(side), len(upper)))
    for start in range(0, len(side), ROWS_AT_ONCE):
        ends = side.ends[start : start + ROWS_AT_ONCE + 1]
        squares = np.zeros((len(ends) - 1, n_factors, n_factors))
        for begin in range(int(ends[0]), int(ends[-1]), CELLS_AT_ONCE):
            _add_outer_sums(squares, side, ends, slice(begin, min(begin + CELLS_AT_ONCE, int(ends[-1]))), other)
        sums[start : start + ROWS_AT_ONCE] = squares.reshape(len(squares), -1).take(upper, axis=1)
    return sums


def _add_outer_sums(squares: Floats, side: _Side, ends: Integers, cells: slice, other: Floats) -> None:
    """Adds what some cells say to the sums of their rows, whose cells end at ``ends``."""
    weighted = other[side.columns[cells]]
    weighted *= np.sqrt(side.surplus[cells])[:, None]
    first, last = np.searchsorted(ends, [cells.start, cells.stop - 1], side="right") - 1
    bounds = ends[first : last + 2].clip(cells.start, cells.stop) - cells.start
    for square, (begin, end) in zip(squares[first : last + 1], pairwise(bounds.tolist()), strict=True):
        if begin < end:
            part = weighted[begin:end]
            square += part.T @ part


def ease_weights(
    interest: csr_array, regularisation: float, dtype: type[np.float64] | type[np.float32] = np.float64
) -> NDArray[np.floating]:
    """How much interest in one thing says about interest in another.

    The linear regression of every column on all others with a zero diagonal, in closed form:
    ``B = I - P / diag(P)`` with ``P = (X'X + lambda I)^-1``.

    Args:
        interest: Shape (n_buyers, n_things), between -1 and 1.
        regularisation: Above 0; about how many shared buyers it takes to be believed.
        dtype: Of the arithmetic and of the weights; float32 takes half of the memory and time.

    Returns:
        Weights, shape (n_things, n_things); ``interest @ weights`` are scores. Zero where there is no interest.

    Raises:
        ValueError: If the regularisation is not positive, or an interest is not finite.

    Source: Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data", equation 8.
    """
    return ease_weights_in_parts(LocalParts([interest]), regularisation, dtype)


def ease_weights_in_parts(
    interest: Parts[csr_array], regularisation: float, dtype: type[np.float64] | type[np.float32] = np.float64
) -> NDArray[np.floating]:
    """``ease_weights`` of buyers in partitions: what each says of pairs of things is added up, some things at a time,
    which bounds the memory of what is added."""
    if not regularisation > 0:
        raise ValueError(f"the regularisation of EASE must be positive, not {regularisation}")
    n_things = int(interest.total_of(_n_things, max))
    weights: NDArray[np.floating] = np.empty((n_things, n_things), dtype)
    for start in range(0, n_things, THINGS_AT_ONCE):
        some = slice(start, start + THINGS_AT_ONCE)
        weights[some] = interest.total_of(_gram, operator.add, some).toarray()
    weights[np.diag_indices_from(weights)] += regularisation
    weights = linalg.large_inverse(weights)
    weights /= -weights.diagonal().copy()
    np.fill_diagonal(weights, 0.0)
    return weights


def _n_things(interest: csr_array) -> int:
    return int(interest.shape[1])


def _gram(interest: csr_array, things: slice) -> csr_array:
    """Rows of the Gram matrix."""
    if not np.isfinite(interest.data).all():
        raise ValueError("every interest must be a finite number")
    return (interest[:, things].T @ interest).tocsr()


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
