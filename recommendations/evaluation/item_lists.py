"""Scores of items -> lists of the best that each user may be shown, a few users at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.arrays import Floats
from recommendations.evaluation.item_events import ItemQuestion
from recommendations.metrics import ranking as metrics

CELLS_AT_ONCE = 1_000_000  # users times items scored at a time: 8 MB

Scores = Callable[[NDArray[np.intp]], NDArray[np.float64]]  # user rows -> (n_rows, n_items)


def lists_of(scores: Scores, asked: ItemQuestion, k: int) -> NDArray[np.intp]:
    """The k best of each user, a few users at a time."""
    blocks = [np.empty((0, min(k, len(asked.candidates))), np.intp)]
    blocks += [best_items(scores(part.user_rows), part, k) for part in parts_of(asked)]
    return np.concatenate(blocks)


def parts_of(asked: ItemQuestion) -> Iterator[ItemQuestion]:
    """The question about a few users at a time."""
    n_at_once = max(1, CELLS_AT_ONCE // max(len(asked.candidates), 1))
    for start in range(0, len(asked), n_at_once):
        yield asked.take(np.arange(start, min(start + n_at_once, len(asked))))


def rows_wanted(asked: ItemQuestion) -> list[NDArray[np.intp]]:
    return np.split(asked.relevant.indices, asked.relevant.indptr[1:-1])


def best_items(scores: Floats, question: ItemQuestion, k: int) -> NDArray[np.intp]:
    """The k best allowed items of each user, best first, -1 where there are no more; ties go to the lower row."""
    allowed = question.allowed()
    best = np.full((len(scores), min(k, allowed.shape[1])), metrics.PADDING, np.intp)
    for row, (own, may_be) in enumerate(zip(scores, allowed, strict=True)):
        rows = np.flatnonzero(may_be)
        top = rows[best_of(own[rows], k)] if len(rows) else rows
        best[row, : len(top)] = top
    return best


def best_of(scores: Floats, k: int) -> NDArray[np.intp]:
    """Positions of the k highest scores, best first; ties go to the lower position."""
    if k < len(scores):
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        above, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
        positions = np.concatenate([above, equal[: k - len(above)]])
    else:
        positions = np.arange(len(scores))
    return positions[np.lexsort((positions, -scores[positions]))]
