"""How often each item is liked, and how much a like of one item speaks for another.

Both compare observed likes with expected ones:

    log((observed + c) / (expected + c))

where ``c`` is the number of expected likes it takes before the comparison is believed. For a genre it gives how much
one user, or all users, like that genre; for a pair of items it gives how much a like of one speaks for the other. A
user is not expected to like an item that they were never shown, so an item is not held unpopular because few have seen
it.

Items and users are rows here (positions in arrays).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

from recommendations.engine.arrays import Floats, Rows, first_of_runs, rank_in_runs

WEIGHT_RANGE = (2.0, 60.0)  # range of the number of shows that the prior of a like rate is worth
USUAL_WEIGHT = 15.0  # that number before there is data
FEWEST_SHOWN = 3  # shows of an item whose rate is used to estimate how much rates vary
ORGANIC_RANGE = 4.0  # logits by which likes of users who were not shown an item may move its prior


@dataclass(frozen=True)
class FeedConfig:
    """How strongly a fit believes its priors, and how many neighbours it keeps.

    Attributes:
        base_rate: Like rate of an item before there is data.
        base_strength: How many shows ``base_rate`` is worth.
        tag_strength: Expected likes it takes to believe how much all users like a genre.
        pair_strength: Expected likes it takes to believe that two items go together.
        n_neighbours: Smallest number of neighbours that is kept of each item.
        n_pairs: Number of pairs that is kept in all; with few items, each has more than ``n_neighbours`` neighbours.
        most_items: Neighbours are looked for among the most liked items, up to this number.
        fewest_likes: Likes that an item needs to be a neighbour.
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
    """What users were shown, liked and disliked, as pairs of rows; a pair may occur more than once.

    Attributes:
        shown_users, shown_items: The user and the item of each show, int, shape (n_shown,).
        users, items: The user and the item of each action, oldest first, int, shape (n_actions,).
        signs: 1 for a like, -1 for a dislike, shape (n_actions,).
        n_users, n_items: Numbers of users and items.
    """

    shown_users: Rows
    shown_items: Rows
    users: Rows
    items: Rows
    signs: NDArray[np.int8]
    n_users: int
    n_items: int

    def shown(self) -> csr_array:
        """Return 1 where a user was shown an item, shape (n_users, n_items)."""
        return _pairs(self.shown_users, self.shown_items, (self.n_users, self.n_items))

    def actions(self) -> tuple[csr_array, csr_array]:
        """Return the likes and the dislikes, each 1 where a user's last action on an item is one; shape (n_users,
        n_items)."""
        key = (self.users * self.n_items + self.items)[::-1]
        _, newest = np.unique(key, return_index=True)
        users, items, signs = (values[::-1][newest] for values in (self.users, self.items, self.signs))
        shape = (self.n_users, self.n_items)
        likes, dislikes = (_pairs(users[signs == sign], items[signs == sign], shape) for sign in (1, -1))
        return likes, dislikes


@dataclass(frozen=True, eq=False)
class FeedModel:
    """A fit over the items.

    Attributes:
        n_shown: Users who were shown each item, shape (n_items,).
        means: Log-odds that a user likes it, shape (n_items,).
        deviations: Standard deviation of ``means``, in logits, same shape.
        neighbours: Log of the factor by which a like of the row's item raises the odds of the column's; shape (n_items,
            n_items), nothing stored where it is not known.
        dislike_surprise: How much a dislike says beyond a missing like, 0 to 1: little where users dislike most items
            that they do not like, 1 where dislikes are very rare.
        n_likes: Likes it was fitted on.
    """

    n_shown: NDArray[np.float32]
    means: NDArray[np.float32]
    deviations: NDArray[np.float32]
    neighbours: csr_array
    dislike_surprise: float
    n_likes: int


def fit_feed(events: FeedEvents, tags: csr_array, config: FeedConfig | None = None) -> FeedModel:
    """Fit like rates and neighbours.

    Args:
        events: All events.
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
    """Return one minus the share of dislikes among the occasions for one.

    Of the items shown, the occasions are all that were not liked. Of the items that users found by themselves, they are
    all items with an action: users who rate films have seen them, and if they dislike every second one, a dislike says
    little about other films.
    """
    return 1 - (n_dislikes + 1) / (n_missed + n_organic_likes + n_organic_dislikes + 20)


def log_ratio(observed: Floats, expected: Floats, strength: float) -> Floats:
    """Return by how much observed counts exceed expected ones, in logits; 0 where both are 0."""
    return np.log((observed + strength) / (expected + strength))


def tag_scales(tags: csr_array) -> Floats:
    """Return the factor for the genres of each item, so that items with many genres get no larger sums; shape
    (n_items,)."""
    scales: Floats = 1.0 / np.sqrt(np.maximum(np.diff(tags.indptr), 1.0))
    return scales


def _priors(
    n_shown: Floats, n_liked: Floats, n_organic: Floats, tags: csr_array, config: FeedConfig
) -> tuple[Floats, float]:
    """Return the prior like rate of each item, shape (n_items,), and the number of shows it is worth.

    It follows from the item's genres and from likes of users who were never shown it.
    """
    rate = (n_liked.sum() + config.base_strength * config.base_rate) / (n_shown.sum() + config.base_strength)
    of_tags = log_ratio(tags.T @ n_liked, rate * (tags.T @ n_shown), config.tag_strength * rate)
    usual = n_organic.mean() if len(n_organic) else 0.0
    # tanh rather than clip keeps the order of two items with very many such likes
    organic = ORGANIC_RANGE * np.tanh(np.log((n_organic + 1) / (usual + 1)) / ORGANIC_RANGE)
    logits = np.log(rate / (1 - rate)) + tag_scales(tags) * (tags @ of_tags) + organic
    priors = 1 / (1 + np.exp(-logits))
    return priors, _prior_weight(n_shown, n_liked, priors)


def _prior_weight(n_shown: Floats, n_liked: Floats, priors: Floats) -> float:
    """Return how many shows the prior is worth: many where rates differ little beyond chance (method of moments)."""
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
    """Return for the most liked items how much a like of one speaks for each other; the strongest few of each.

    The expected likes of the other item, among users who like the one, are: by its like rate among those who were shown
    it, and by its share of all users among those who found it themselves.

    Without genres, the expected number is at most that of independent likes. The better the lists are, the more an item
    is shown only to users who like similar ones, so its rate becomes the rate of those users; compared with that rate
    alone, a like would say nothing.
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
    """Return the positions of the ``n`` allowed values of largest magnitude in each row."""
    at = np.flatnonzero(allowed)
    at = at[np.lexsort((-np.abs(values[at]), rows[at]))]
    strongest: Rows = at[rank_in_runs(first_of_runs(rows[at])) < n]
    return strongest


def _pairs(users: Rows, items: Rows, shape: tuple[int, int]) -> csr_array:
    matrix = csr_array((np.ones(len(users)), (users, items)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def _column_sums(matrix: csr_array) -> Floats:
    return np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.float64)
