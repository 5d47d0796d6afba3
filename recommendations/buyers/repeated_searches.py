"""How much the searches of one buyer count when they ask for the same again."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from recommendations.buyers.searches import NUMBER_FIELDS

# All in new searches, and not in views, since operators set how much a search counts.
NAME_COUNTS = 2.0  # a make, body or other name that a buyer asked for, once or often
NAMES_COUNT = 6.0  # all names of one field, at most: who asks for everything is set on nothing
RANGES_COUNT = 3.0  # all ranges of one number, at most


def limited(
    buyer_ids: NDArray[np.int64],
    asked_of: Sequence[tuple[str, str]],
    weights: NDArray[np.float64],
    new_weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Weigh the conditions of searches so that a buyer who repeats them says the same, not more.

    A make that is searched for says that the buyer is set on it, which a single search says in full and ten of them
    hardly better; it counts ``NAME_COUNTS`` searches of the age of the newest. The ranges of a price differ from search
    to search and narrow down what suits; they add up to ``RANGES_COUNT``.

    Args:
        buyer_ids: Of each condition, shape (n,).
        asked_of: Field of each condition, and what was asked of it.
        weights: Of its search, >= 0, shape (n,).
        new_weights: What the search would count if it were made now, > 0, shape (n,).

    Returns:
        The weights of the conditions, shape (n,).
    """
    if not len(weights):
        return weights
    buyers = buyer_ids.tolist()
    fields = numbered([(buyer, field) for buyer, (field, _) in zip(buyers, asked_of, strict=True)])
    names = numbered(list(zip(buyers, asked_of, strict=True)))
    is_number = np.array([field in NUMBER_FIELDS for field, _ in asked_of], bool)
    freshness = weights / new_weights
    newest = np.zeros(len(names))
    np.maximum.at(newest, names, freshness)
    together = np.maximum(np.bincount(names, freshness), np.finfo(float).tiny)[names]
    counted = np.where(is_number, freshness, freshness * NAME_COUNTS * newest[names] / together)
    most = np.where(is_number, RANGES_COUNT, NAMES_COUNT)
    limited_weights: NDArray[np.float64] = (
        new_weights * counted * most / np.maximum(np.bincount(fields, counted)[fields], most)
    )
    return limited_weights


def numbered(keys: Sequence[Hashable]) -> NDArray[np.intp]:
    """A number for each key, from 0, that equal keys share."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.intp)
