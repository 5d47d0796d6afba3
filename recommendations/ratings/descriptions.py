"""Features of items from their titles: groups of genres and of years.

Most items have few ratings, and then features that they share with others say more. Each group has its own priors
(gibbs.py), so a group without information does no harm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse

from recommendations.ratings.features import partner_weight
from recommendations.ratings.files import Title
from recommendations.ratings.titles import year_of

YEARS_ALIKE = 5  # that share a feature
FEWEST_ALIKE = 10  # items, below which a word says less of them than their own ids do


def descriptions_of(items: Sequence[str], titles: Mapping[str, Title]) -> tuple[sparse.csr_matrix, ...]:
    """Return genres with 1 / sqrt(n) on each of an item's n, and its period of ``YEARS_ALIKE`` years, where titles have
    any.

    A value that fewer than ``FEWEST_ALIKE`` items share, or all of them, is no feature.

    Args:
        items: Ids, in the order of the rows.
        titles: By item id; an item without one has a row of zeros.

    Returns:
        One matrix a group, shape (n_items, number of different genres or periods); none for a group that is empty.
    """
    known = [titles.get(item) for item in items]
    genres = [set(title.genres) if title else set() for title in known]
    years = [year_of(title.name)[1] if title else "" for title in known]
    stretches = [{str(int(year) // YEARS_ALIKE)} if year else set() for year in years]
    return tuple(group for group in map(_group, (genres, stretches)) if group.shape[1])


def _group(words: Sequence[set[str]]) -> sparse.csr_matrix:
    """Return a matrix with sorted words as columns, so that the same titles give the same features."""
    shared = Counter(word for each in words for word in each)
    wanted = sorted(word for word, n_items in shared.items() if FEWEST_ALIKE <= n_items < len(words))
    columns = {word: column for column, word in enumerate(wanted)}
    places = [sorted(columns[word] for word in each if word in columns) for each in words]
    n_words = np.array([len(each) for each in places], dtype=np.int64)
    weights = np.repeat(partner_weight(n_words), n_words)
    flat = np.array([column for each in places for column in each], dtype=np.int64)
    return sparse.csr_matrix((weights, flat, np.append(0, np.cumsum(n_words))), shape=(len(words), len(columns)))
