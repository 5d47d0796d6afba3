"""What is known of items from what people were shown and what they said of it: how often liked, and liked with what.

Everything here is one comparison, of likes that were observed with likes that were to be expected:

    log((observed + c) / (expected + c))

where ``c`` says how many expected likes it takes before the comparison is believed. Applied to a genre it is how a
person, or everybody, likes that genre; applied to pairs of items it is how much a like of one speaks for the other.
A person is not expected to like what they were never shown, so an item is not held unpopular for not having been seen.

Items and users are rows here (positions in arrays).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

from recommendations.engine.arrays import Floats, Rows

WEIGHT_RANGE = (2.0, 60.0)  # shows that the prior of an item's like rate may be worth
USUAL_WEIGHT = 15.0  # the same, before there is data
FEWEST_SHOWN = 3  # shows of an item before its rate says anything about how much rates vary
ORGANIC_RANGE = 4.0  # logits that likes by people who were not shown an item may move its prior


@dataclass(frozen=True)
class FeedConfig:
    """How much is believed, and when.

    Attributes:
        base_rate: Like rate before anything is known, and
        base_strength: how many shows it is worth.
        tag_strength: Expected likes it takes to believe what a genre is worth to everybody.
        pair_strength: Expected likes it takes to believe that two items go together.
        n_neighbours: Neighbours kept of each item, at least.
        n_pairs: So many pairs are kept in all where there are few items: each of them has more neighbours.
        most_items: Neighbours are looked for among so many items, the ones most liked.
        fewest_likes: Likes it takes for an item to be a neighbour.
    """

    base_rate: float = 0.1
    base_strength: float = 20.0
    tag_strength: float = 20.0
    pair_strength: float = 2.0
    n_neighbours: int = 60
    n_pairs: int = 0
    most_items: int = 4_000
    fewest_likes: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.base_rate < 1:
            raise ValueError("the base rate lies between 0 and 1")
        if min(self.base_strength, self.tag_strength, self.pair_strength) <= 0:
            raise ValueError("strengths must be positive")
        if self.n_neighbours < 1 or self.most_items < 1:
            raise ValueError("there must be room for neighbours")


@dataclass(frozen=True, eq=False)
class FeedEvents:
    """What people were shown and what they said, as pairs of rows; a pair may be there more than once.

    Attributes:
        shown_users, shown_items: Who was shown what, int, shape (n_shown,).
        users, items, signs: Who said what, oldest first, shape (n_actions,); signs are 1 for a like, -1 for a dislike.
        n_users, n_items: How many there are.
    """

    shown_users: Rows
    shown_items: Rows
    users: Rows
    items: Rows
    signs: NDArray[np.int8]
    n_users: int
    n_items: int

    def shown(self) -> csr_array:
        """1 where a person was shown an item, shape (n_users, n_items)."""
        return _pairs(self.shown_users, self.shown_items, (self.n_users, self.n_items))

    def actions(self) -> tuple[csr_array, csr_array]:
        """1 where a person likes, and where a person dislikes, an item: what was said last is what counts."""
        key = (self.users * self.n_items + self.items)[::-1]
        _, newest = np.unique(key, return_index=True)
        users, items, signs = (values[::-1][newest] for values in (self.users, self.items, self.signs))
        shape = (self.n_users, self.n_items)
        likes, dislikes = (_pairs(users[signs == sign], items[signs == sign], shape) for sign in (1, -1))
        return likes, dislikes


@dataclass(frozen=True, eq=False)
class FeedModel:
    """What the events say about the items.

    Attributes:
        n_shown: People who were shown each item, shape (n_items,).
        means: Log-odds that a person likes it, shape (n_items,).
        deviations: How unsure that is, in logits, same shape.
        neighbours: Log of how many times likelier a like of the column's item becomes when the row's is liked; shape
            (n_items, n_items), nothing stored where nothing is known.
        dislike_surprise: How much a dislike says beyond a missing like, 0 to 1: little where people dislike whatever
            they do not like, or half of what they come to; all where hardly any person ever does.
        n_likes: Likes it was fitted on.
    """

    n_shown: NDArray[np.float32]
    means: NDArray[np.float32]
    deviations: NDArray[np.float32]
    neighbours: csr_array
    dislike_surprise: float
    n_likes: int


def fit_feed(events: FeedEvents, tags: csr_array, config: FeedConfig | None = None) -> FeedModel:
    """Count, compare, smooth.

    Args:
        events: All there are.
        tags: 1 where an item has a genre, shape (n_items, n_tags).
        config: The defaults when None.

    Returns:
        The model. Without events, every item has the base rate and no neighbours.
    """
    config = config or FeedConfig()
    shown, (likes, dislikes) = events.shown(), events.actions()
    seen_likes, seen_dislikes = shown.multiply(likes).tocsr(), shown.multiply(dislikes).tocsr()
    n_shown, n_liked, n_likes = (_column_sums(matrix) for matrix in (shown, seen_likes, likes))
    priors, weight = _priors(n_shown, n_liked, n_likes - n_liked, tags, config)
    for_it, against = weight * priors + n_liked, weight * (1 - priors) + n_shown - n_liked
    means = np.log(for_it / against)
    return FeedModel(
        n_shown=n_shown.astype(np.float32),
        means=means.astype(np.float32),
        deviations=np.sqrt(1 / for_it + 1 / against).astype(np.float32),
        neighbours=_neighbours(likes, shown, for_it / (for_it + against), n_likes - n_liked, config, bool(tags.nnz)),
        dislike_surprise=_surprise_of_dislikes(
            n_missed=shown.nnz - seen_likes.nnz,
            n_organic_likes=likes.nnz - seen_likes.nnz,
            n_dislikes=dislikes.nnz,
            n_organic_dislikes=dislikes.nnz - seen_dislikes.nnz,
        ),
        n_likes=likes.nnz,
    )


def _surprise_of_dislikes(n_missed: int, n_organic_likes: int, n_dislikes: int, n_organic_dislikes: int) -> float:
    """One minus the share of dislikes among what could have been one.

    Of what was shown that is all that was not liked. Of what people came to by themselves it is all they spoke of: who
    rates films has seen them, and disliking every other one says little about the films beside it.
    """
    return 1 - (n_dislikes + 1) / (n_missed + n_organic_likes + n_organic_dislikes + 20)


def log_ratio(observed: Floats, expected: Floats, strength: float) -> Floats:
    """How far what was observed exceeds what was to be expected, in logits; 0 where nothing was expected or seen."""
    return np.log((observed + strength) / (expected + strength))


def tag_scales(tags: csr_array) -> Floats:
    """What an item's genres are divided by, so that one with many is not more extreme for it; shape (n_items,)."""
    scales: Floats = 1.0 / np.sqrt(np.maximum(np.diff(tags.indptr), 1.0))
    return scales


def _priors(
    n_shown: Floats, n_liked: Floats, n_organic: Floats, tags: csr_array, config: FeedConfig
) -> tuple[Floats, float]:
    """What one would expect of each item's like rate without having shown it, and how many shows that is worth.

    Its genres speak for it, and so do likes of people who were never shown it here.
    """
    rate = (n_liked.sum() + config.base_strength * config.base_rate) / (n_shown.sum() + config.base_strength)
    of_tags = log_ratio(tags.T @ n_liked, rate * (tags.T @ n_shown), config.tag_strength * rate)
    usual = n_organic.mean() if len(n_organic) else 0.0
    # bent, not cut: of two items that very many like by themselves, the one that more like stays ahead
    organic = ORGANIC_RANGE * np.tanh(np.log((n_organic + 1) / (usual + 1)) / ORGANIC_RANGE)
    logits = np.log(rate / (1 - rate)) + tag_scales(tags) * (tags @ of_tags) + organic
    priors = 1 / (1 + np.exp(-logits))
    return priors, _prior_weight(n_shown, n_liked, priors)


def _prior_weight(n_shown: Floats, n_liked: Floats, priors: Floats) -> float:
    """How many shows the prior is worth: many where items differ little beyond chance (method of moments)."""
    known = n_shown >= FEWEST_SHOWN
    if not known.any():
        return USUAL_WEIGHT
    n, rates, expected = n_shown[known], n_liked[known] / n_shown[known], priors[known]
    spread = (n * (rates - expected) ** 2 - expected * (1 - expected)).sum() / np.maximum(n - 1, 1).sum()
    between = max(spread, 1e-9)
    return float(np.clip((expected * (1 - expected)).mean() / between - 1, *WEIGHT_RANGE))


def _neighbours(
    likes: csr_array, shown: csr_array, rates: Floats, n_organic: Floats, config: FeedConfig, has_genres: bool
) -> csr_array:
    """Of the items liked most: how much a like of one speaks for each other, the strongest few of each.

    Expected are, of those who like the one, as many likes of the other as its rate says for those who were shown it,
    and as its share of all people says for those who came to it by themselves.

    Without genres it is no more than if all who like anything liked it alike. The better the lists are, the more
    an item is shown only to those who like its like, so that its rate becomes theirs: held against that rate alone, a
    like would say nothing any more.
    """
    n_items = likes.shape[1]
    counts = _column_sums(likes)
    kept = np.flatnonzero(counts >= config.fewest_likes)
    kept = np.sort(kept[np.argsort(-counts[kept], kind="stable")[: config.most_items]])
    if not len(kept):
        return csr_array((n_items, n_items), dtype=np.float32)
    liked, seen = likes[:, kept].tocsr(), shown[:, kept].tocsr()
    together = (liked.T @ liked).tocoo()
    chance = (liked.T @ (seen @ diags_array(rates[kept]))).tocoo()
    organic = counts[kept][together.row] * (n_organic[kept] / likes.shape[0])[together.col]
    size = len(kept)
    key = np.concatenate([together.row * size + together.col, chance.row * size + chance.col])
    cells, at = np.unique(key, return_inverse=True)
    observed = np.bincount(at[: together.nnz], together.data, len(cells)).astype(np.float64)
    expected = np.bincount(at, np.concatenate([organic, chance.data]), len(cells)).astype(np.float64)
    rows, columns = np.divmod(cells, size)
    if not has_genres:
        n_users = max(int(np.count_nonzero(np.diff(likes.indptr))), 1)
        expected = np.minimum(expected, counts[kept][rows] * counts[kept][columns] / n_users)
    ratios = log_ratio(observed, expected, config.pair_strength)
    strong = _strongest(rows, ratios, rows != columns, max(config.n_neighbours, config.n_pairs // size))
    return csr_array(
        (ratios[strong].astype(np.float32), (kept[rows[strong]], kept[columns[strong]])), shape=(n_items, n_items)
    )


def _strongest(rows: Rows, values: Floats, allowed: NDArray[np.bool_], n: int) -> Rows:
    """Positions of the ``n`` allowed values of largest size in each row."""
    at = np.flatnonzero(allowed)
    at = at[np.lexsort((-np.abs(values[at]), rows[at]))]
    starts = np.r_[0, np.flatnonzero(np.diff(rows[at])) + 1] if len(at) else np.zeros(0, np.intp)
    lengths = np.diff(np.r_[starts, len(at)])
    rank = np.arange(len(at)) - np.repeat(starts, lengths)
    strongest: Rows = at[rank < n]
    return strongest


def _pairs(users: Rows, items: Rows, shape: tuple[int, int]) -> csr_array:
    matrix = csr_array((np.ones(len(users)), (users, items)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def _column_sums(matrix: csr_array) -> Floats:
    return np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.float64)
