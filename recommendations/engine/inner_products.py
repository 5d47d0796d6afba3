"""The listings with the highest inner product with a vector: exact, and the same for one question as for many.

A matrix product in single precision finds who may be among the best; those few are scored again in double precision,
each by the same sequence of operations. So neither the size of a batch nor the libraries' choice of kernel shows in an
answer, and two equal cars have equal scores wherever their rows lie.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SINGLE_ROUNDING = 2.0**-24  # relative, of one operation in float32
PRODUCTS_AT_ONCE = 4_000_000  # 16 MB; what a block of questions may take
ROWS_RESCORED_AT_ONCE = 65_536

Best = tuple[NDArray[np.intp], NDArray[np.float64]]


def largest_length(vectors: NDArray[np.float32]) -> float:
    """Length of the longest vector, rounded up; 0 without any."""
    return float(np.sqrt(np.einsum("ij,ij->i", vectors, vectors).max(initial=0.0))) * 1.001


def questions_at_once(n_listings: int) -> int:
    """How many questions make up one block."""
    return max(1, PRODUCTS_AT_ONCE // max(n_listings, 1))


def approximate_products(vectors: NDArray[np.float32], questions: NDArray[np.float64]) -> NDArray[np.float32]:
    """Products of every question, scaled to a largest coordinate of 1, with every listing: (n_questions, n_listings).

    Scaling keeps numbers that single precision could not hold in range and changes no order.
    """
    scaled = (questions / _sizes(questions)[:, None]).astype(np.float32)
    if len(scaled) == 1:  # a matrix times a vector, which is faster than a matrix times a thin matrix
        products: NDArray[np.float32] = (vectors @ scaled[0])[None]
        return products
    return scaled @ vectors.T


def best_products(
    vectors: NDArray[np.float32],
    listing_ids: NDArray[np.int64],
    rows: NDArray[np.intp],
    question: NDArray[np.float64],
    k: int,
    approximate: NDArray[np.float32] | None = None,
    longest: float | None = None,
) -> Best:
    """The k of some rows with the highest ``question · vector``, best first; ties go to the lower id.

    Args:
        vectors: Finite, shape (n_listings, n_dims).
        listing_ids: Shape (n_listings,).
        rows: Who may be answered, shape (n_rows,).
        question: Finite, shape (n_dims,).
        k: At most so many; fewer where fewer rows are given.
        approximate: Of this question with all listings, shape (n_listings,); see ``approximate_products``. Left out:
            made here.
        longest: ``largest_length(vectors)``, or more. Left out: measured here.

    Returns:
        Rows and scores in float64. A score is infinite or nan where the product is beyond float64.
    """
    if k <= 0 or not len(rows):
        return np.empty(0, np.intp), np.empty(0)
    if len(rows) > k:
        if approximate is None:
            approximate = approximate_products(vectors, question[None])[0]
        products = approximate[rows]
        at_least = np.partition(products, len(rows) - k)[len(rows) - k]
        rows = rows[products >= at_least - _rounding(vectors, longest)]
    scores = np.concatenate(list(_scores(vectors, rows, question)))
    order = np.lexsort((listing_ids[rows], -scores))[:k]
    return rows[order], scores[order]


def _rounding(vectors: NDArray[np.float32], longest: float | None) -> float:
    """How far the difference of two approximate products can be from the true one at most.

    Each of ``n_dims`` products and sums rounds once, and so does each number of the question, which is no longer than
    the root of ``n_dims``, because scaling left no coordinate above 1.
    """
    n_dims = vectors.shape[1]
    length = largest_length(vectors) if longest is None else longest
    return float(2.0 * (n_dims + 2) * SINGLE_ROUNDING * length * n_dims**0.5)


def _scores(
    vectors: NDArray[np.float32], rows: NDArray[np.intp], question: NDArray[np.float64]
) -> Iterator[NDArray[np.float64]]:
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(rows), ROWS_RESCORED_AT_ONCE):
            some = vectors[rows[start : start + ROWS_RESCORED_AT_ONCE]].astype(np.float64)
            yield (some * question).sum(axis=1)


def _sizes(questions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest coordinate of each question, 1 where all are 0."""
    sizes = np.abs(questions).max(axis=1, initial=0.0)
    return np.where(sizes > 0, sizes, 1.0)
