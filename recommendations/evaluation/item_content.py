"""Features of items from whatever columns a file has: categories, numbers, texts.

Each column becomes a block of unit length, so that columns weigh alike, and an item's cosine with another is the mean
over the columns both have: 1 for the same category; for numbers, the cosine of how far apart the two are in the ranking
(1 at one place, 0 with half of all items between, -1 from the one end to the other); for texts, shared words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import csr_array, diags_array, hstack
from scipy.stats import rankdata
from sklearn.feature_extraction.text import TfidfVectorizer

from recommendations.engine.arrays import Floats

MOST_CATEGORIES = 200  # more different values than this are texts
MOST_WORDS = 512
SEPARATOR = "|"  # of several values in one cell


def content_features(columns: Mapping[str, Sequence[str]], n_items: int) -> csr_array:
    """Features of unit length, sparse, shape (n_items, n_dims); 0 throughout for an item whose cells are all empty.

    Args:
        columns: Cells of each column, one per item, as text; empty for unknown. A column counts as numbers where every
            filled cell is one, as categories where it has at most ``MOST_CATEGORIES`` different values (several in one
            cell are divided by ``|``), as texts otherwise.
        n_items: Length of each column.

    Raises:
        ValueError: If a column is of another length.
    """
    for name, cells in columns.items():
        if len(cells) != n_items:
            raise ValueError(f"column {name} has {len(cells)} cells for {n_items} items")
    blocks = [_unit(block_of(cells)) for cells in columns.values() if any(cells)]
    if not blocks:
        return csr_array((n_items, 0), dtype=np.float32)
    return _unit(csr_array(hstack(blocks, format="csr", dtype=np.float32)))


def block_of(cells: Sequence[str]) -> csr_array:
    """One column's features, not yet of unit length, shape (n_items, n_dims of the column)."""
    numbers = numbers_in(cells)
    if numbers is not None:
        return csr_array(scaled_ranks(numbers))
    values_of = {cell: {part.strip() for part in cell.split(SEPARATOR) if part.strip()} for cell in set(cells)}
    names = sorted(set().union(*values_of.values()))
    if len(names) > MOST_CATEGORIES:
        return words_of(cells)
    column_of = {name: column for column, name in enumerate(names)}
    columns = [sorted(column_of[value] for value in values_of[cell]) for cell in cells]
    ends = np.concatenate([[0], np.cumsum([len(row) for row in columns])])
    indices = np.array([column for row in columns for column in row], np.int32)
    return csr_array((np.ones(len(indices), np.float32), indices, ends), shape=(len(cells), len(names)))


def numbers_in(cells: Sequence[str]) -> Floats | None:
    """The cells as numbers, nan for an empty one; None when a filled one is no finite number."""
    try:
        numbers = np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        return None
    return None if np.isinf(numbers).any() else numbers


def scaled_ranks(numbers: Floats) -> Floats:
    """A point on a half circle by the place in the ranking, shape (n_items, 2); 0, 0 for nan. Equals share a place."""
    known = ~np.isnan(numbers)
    block = np.zeros((len(numbers), 2))
    angle = np.pi * (rankdata(numbers[known]) - 0.5) / max(known.sum(), 1)
    block[known] = np.column_stack([np.cos(angle), np.sin(angle)])
    return block


def words_of(cells: Sequence[str]) -> csr_array:
    """Words weighed by rarity (tf-idf), the ``MOST_WORDS`` commonest, shape (n_items, at most that)."""
    try:
        words = TfidfVectorizer(max_features=MOST_WORDS, sublinear_tf=True, dtype=np.float32).fit_transform(cells)
    except ValueError:  # no cell holds a word
        return csr_array((len(cells), 0), dtype=np.float32)
    return csr_array(words)


def _unit(rows: csr_array) -> csr_array:
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 1e-12)
    return csr_array(diags_array(scale) @ rows)
