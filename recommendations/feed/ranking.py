"""The list of one user: the items they probably like best among those not seen yet, and a few that few users were
shown.

The score of an item is a sum of logits: how much all users like it, how much more or less than expected this user likes
its genres, and what its neighbours among their likes and dislikes say. No part is fitted for a user in advance, so an
action counts in the next list.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recommendations.engine.arrays import Floats, Floats32, Rows
from recommendations.feed.model import FeedModel, log_ratio, tag_scales

LEARNED, TOP, UNSEEN, RANDOM, AGAIN = "learned", "top", "unseen", "random", "again"
UNSEEN_POOL = 1024  # items drawn at random, among which the least shown are looked for; cheaper than all items
LEAST_COUNT = 0.05  # smallest count: one process may count a like and another one its show
NOISE_LENGTHS = 4  # length of the stored noise, as a multiple of the number of items


@dataclass(frozen=True)
class FeedRules:
    """Composition and weights of a list.

    Attributes:
        length: Number of items.
        unseen_share: Share of the list for the least shown items.
        new_user_unseen_share: The same for a user without likes and dislikes.
        random_share: Share of the list for items drawn at random.
        top_n: Number of best items among which diversity is looked for.
        diversity: Logits taken off an item whose genres are all in the list already.
        thompson: Width of the draw of an item's like rate, as a multiple of its deviation; 0 takes the mean.
        enough_shown: Shows after which an item no longer counts as little shown; without genres at most the number of
            shows for one expected like.
        tag_strength: Expected likes it takes to believe how much a user likes a genre.
        tag_weight, neighbour_weight: Weights of the two personal parts of the score.
        miss_weight: Weight of items shown and not liked, relative to likes, in the neighbours' part; 0 ignores them.
        dislike: Number of missing likes that a dislike is worth where dislikes are rare.
        newest: Number of newest likes, dislikes and misses that count, of each.
    """

    length: int = 10
    unseen_share: float = 0.1
    new_user_unseen_share: float = 0.1
    random_share: float = 0.0
    top_n: int = 60
    diversity: float = 0.3
    thompson: float = 0.3
    enough_shown: int = 5
    tag_strength: float = 0.5
    tag_weight: float = 1.0
    neighbour_weight: float = 0.5
    miss_weight: float = 0.0
    dislike: float = 0.5
    newest: int = 50

    def __post_init__(self) -> None:
        shares = (self.unseen_share, self.new_user_unseen_share, self.random_share)
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError("shares lie between 0 and 1")
        if self.length < 1 or self.top_n < 1 or self.newest < 1:
            raise ValueError("length, top_n and newest must be at least 1")


@dataclass(frozen=True, eq=False)
class UserHistory:
    """What one user was shown, liked and disliked, as rows of items.

    Attributes:
        shown: Oldest first; an item shown twice is there twice.
        liked, disliked: Oldest first; no item is in both.
    """

    shown: Rows
    liked: Rows
    disliked: Rows


@dataclass(frozen=True, eq=False)
class FeedList:
    """Items in the order to be shown, with their candidate sources and scores; of one length."""

    rows: Rows
    sources: list[str]
    scores: Floats32


class Table:
    """A sparse matrix of which few rows are read at a time, with less overhead than scipy's indexing."""

    def __init__(self, matrix: csr_array) -> None:
        self._starts, self._columns, self._values = matrix.indptr, matrix.indices, matrix.data.astype(np.float32)
        self.n_columns = matrix.shape[1]

    def cells(self, rows: Rows) -> tuple[Rows, Floats, Floats32]:
        """Return all cells of some rows as three arrays of one length: position in ``rows``, column, value."""
        starts = self._starts[rows]
        lengths = self._starts[rows + 1] - starts
        of = np.repeat(np.arange(len(rows)), lengths)
        at = np.arange(len(of)) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
        return of, self._columns[at], self._values[at]

    def sums(self, rows: Rows, weights: Floats | None = None) -> NDArray[np.float64]:
        """Return the weighted sum of some rows, shape (n_columns,)."""
        of, columns, values = self.cells(rows)
        weighted = values if weights is None else weights[of] * values
        return np.bincount(columns, weighted, self.n_columns).astype(np.float64, copy=False)

    def dense(self, rows: Rows) -> Floats32:
        """Return some rows as a dense matrix, without the columns that are empty in all of them."""
        of, columns, values = self.cells(rows)
        used, at = np.unique(columns, return_inverse=True)
        found = np.zeros((len(rows), len(used)), np.float32)
        found[of, at] = values
        return found


class ItemScorer:
    """A fitted model over the items, ready to make lists."""

    def __init__(self, model: FeedModel, tags: csr_array, is_live: NDArray[np.bool_], seed: int = 0) -> None:
        """Prepare arrays. ``tags`` is 1 where an item has a genre; ``is_live`` marks the items that may be listed."""
        rng = np.random.default_rng(seed)
        self.is_live, self._tags = is_live, Table(tags)
        self.n_items, self._has_tags = len(is_live), tags.nnz > 0
        scaled_tags = tags.multiply(tag_scales(tags)[:, None]).astype(np.float32).tocsr()
        # many items have the same genres, whose score is then computed once
        first_rows, self._genres_of = group_equal_rows(tags, rng)
        self._genres = scaled_tags[first_rows]
        self._noise = rng.standard_normal(NOISE_LENGTHS * max(self.n_items, 1), np.float32)
        self._shuffled = rng.permutation(self.n_items)
        self._use(model)

    def with_model(self, model: FeedModel) -> ItemScorer:
        """Return a scorer of the same items by another model; it shares what depends on the items alone."""
        scorer = copy(self)
        scorer._use(model)
        return scorer

    def _use(self, model: FeedModel) -> None:
        self.model, self._neighbours = model, Table(model.neighbours)
        self._rates = 1 / (1 + np.exp(-model.means.astype(np.float64)))
        self._shows_for_a_like = 1 / float(self._rates.mean()) if self.n_items else np.inf
        # shows and likes after the fit change these three
        self._n_shown, self._means, self._deviations = (
            each.copy() for each in (model.n_shown, model.means, model.deviations)
        )
        self._n_likes = model.n_likes

    def make_list(self, history: UserHistory, rules: FeedRules, rng: np.random.Generator, spare: int = 0) -> FeedList:
        """Return a user's next list and ``spare`` further items, in case some are no longer live; all different, best
        first.

        Returns:
            As many items as asked for whenever there are as many live ones. If all new items are used up, items seen
            before follow, longest ago first, and then disliked ones.
        """
        tried = self._has_met(history)
        scores = self._scores(history, np.flatnonzero(tried), rules, rng)
        free = self.is_live & ~tried
        is_known = len(history.liked) > 0 or len(history.disliked) > 0
        main = LEARNED if is_known else TOP if self._n_likes else RANDOM
        share = rules.unseen_share if is_known else rules.new_user_unseen_share
        n_unseen = _rounded(rules.length * share, rng)
        n_random = min(_rounded(rules.length * rules.random_share, rng), rules.length - n_unseen)
        pool = _best(scores, free, max(rules.top_n, rules.length + spare))
        best = self._diversified(pool, scores, rules.length - n_unseen - n_random, rules.diversity)
        free[best] = False
        unseen = self._least_shown(scores, free, n_unseen, rules, rng)
        free[unseen] = False
        drawn = self._drawn(free, n_random, rng)
        free[drawn] = False
        rest = pool[free[pool]]
        n_missing = rules.length - len(best) - len(unseen) - len(drawn)
        parts = [
            (main, best),
            (main, rest[:n_missing]),
            (UNSEEN, unseen),
            (RANDOM, drawn),
            (main, rest[n_missing : n_missing + spare]),
        ]
        n_short = rules.length + spare - sum(len(rows) for _, rows in parts)
        parts.append((AGAIN, self._again(history, max(n_short, 0))))
        listed = np.concatenate([rows for _, rows in parts])
        return FeedList(listed, [source for source, rows in parts for _ in rows], scores[listed])

    def scores(self, history: UserHistory, rules: FeedRules, rng: np.random.Generator) -> Floats32:
        """Return the score of every item, shape (n_items,), also of those the user has met."""
        return self._scores(history, np.flatnonzero(self._has_met(history)), rules, rng)

    def note_shown(self, rows: Rows) -> None:
        """Count shows since the fit; each is a missing like until the like comes."""
        self._n_shown[rows] += 1
        self._count(rows, 0, 1)

    def note_liked(self, rows: Rows) -> None:
        """Count likes since the fit, so that popular new items rise before the next fit."""
        self._count(rows, 1, -1)
        self._n_likes += len(rows)

    def _count(self, rows: Rows, likes: int, misses: int) -> None:
        """Add likes and misses to the counts that ``means`` and ``deviations`` stand for."""
        odds, variance = np.exp(self._means[rows]), self._deviations[rows] ** 2
        liked = np.maximum((1 + odds) / variance + likes, LEAST_COUNT)
        missed = np.maximum((1 + odds) / (odds * variance) + misses, LEAST_COUNT)
        self._means[rows], self._deviations[rows] = np.log(liked / missed), np.sqrt(1 / liked + 1 / missed)

    def _has_met(self, history: UserHistory) -> NDArray[np.bool_]:
        tried = np.zeros(self.n_items, bool)
        for rows in (history.shown, history.liked, history.disliked):
            tried[rows] = True
        return tried

    def _scores(self, history: UserHistory, tried: Rows, rules: FeedRules, rng: np.random.Generator) -> Floats32:
        """Return the score of every item, shape (n_items,): a draw of its like rate, plus the personal parts."""
        start = int(rng.integers(0, len(self._noise) - self.n_items + 1))
        scores = self._noise[start : start + self.n_items] * self._deviations
        scores *= np.float32(rules.thompson)
        scores += self._means
        if len(tried) and self._has_tags:
            scores += self._by_tags(history, tried, rules)
        for rows, weight in ((history.liked, 1.0), (history.disliked, -self.model.dislike_surprise)):
            if len(rows):
                self._add_neighbours(scores, rows[-rules.newest :], rules.neighbour_weight * weight)
        if rules.miss_weight:
            self._add_misses(scores, history, rules)
        return scores

    def _by_tags(self, history: UserHistory, tried: Rows, rules: FeedRules) -> Floats32:
        """Return by how much this user likes the genres of each item more than others do, shape (n_items,)."""
        observed = self._tags.sums(history.liked)
        missed = rules.dislike * self.model.dislike_surprise
        expected = self._tags.sums(tried, self._rates[tried]) + missed * self._tags.sums(history.disliked)
        ratios = rules.tag_weight * log_ratio(observed, expected, rules.tag_strength)
        by_item: Floats32 = (self._genres @ ratios.astype(np.float32))[self._genres_of]
        return by_item

    def _add_neighbours(self, scores: Floats32, rows: Rows, weight: float) -> None:
        """Add what some items say about their neighbours; n items count as the square root of n.

        A dislike lowers only items that a like would have raised.
        """
        _, columns, values = self._neighbours.cells(rows)
        if len(columns):
            said = values if weight > 0 else np.maximum(values, 0.0)
            scores += (weight / np.sqrt(len(rows)) * np.bincount(columns, said, self.n_items)).astype(np.float32)

    def _add_misses(self, scores: Floats32, history: UserHistory, rules: FeedRules) -> None:
        """Subtract what items say that were shown and not liked.

        If a like becomes ``exp(v)`` times likelier, its absence becomes ``1 - odds * (exp(v) - 1)`` times as likely,
        about ``exp(-odds * v)``: a missing like says much of an item that most users like, and nearly nothing of a rare
        one. The odds are squared, because where likes are rare there are many misses and few pairs, and their noise
        would add up.
        """
        missed = history.shown[~np.isin(history.shown, history.liked)][-rules.newest :]
        if len(missed):
            odds = np.minimum(self._rates[missed] / (1 - self._rates[missed]), 1.0)
            weight = rules.miss_weight * rules.neighbour_weight / np.sqrt(len(missed))
            scores -= (weight * self._neighbours.sums(missed, odds**2)).astype(np.float32)

    def _diversified(self, pool: Rows, scores: Floats32, n: int, diversity: float) -> Rows:
        """Return the best ``n`` of a pool; each item loses score by the share of its genres that earlier ones have."""
        if diversity <= 0 or n >= len(pool) or not self._has_tags:
            return pool[:n]
        tags, values = self._tags.dense(pool), scores[pool]
        shared = (tags @ tags.T) * (diversity / n / np.maximum(tags.sum(axis=1), 1))[:, None]
        chosen = []
        for _ in range(n):
            at = int(values.argmax())
            chosen.append(at)
            values -= shared[:, at]
            values[at] = -np.inf
        return pool[chosen]

    def _least_shown(
        self, scores: Floats32, free: NDArray[np.bool_], n: int, rules: FeedRules, rng: np.random.Generator
    ) -> Rows:
        """Return the least shown of some items drawn at random, the best first among equals; none that was shown
        enough."""
        if not n:
            return np.zeros(0, np.intp)
        enough = rules.enough_shown if self._has_tags else min(rules.enough_shown, self._shows_for_a_like)
        looked_at = self._drawn(free, UNSEEN_POOL, rng)
        n_shown = self._n_shown[looked_at]
        is_possible = n_shown < enough
        if len(looked_at) > n:  # items that are shown more than the n least shown need not be sorted
            is_possible &= n_shown <= np.partition(n_shown, n - 1)[n - 1]
        looked_at, n_shown = looked_at[is_possible], n_shown[is_possible]
        return looked_at[np.lexsort((-scores[looked_at], n_shown))[:n]]

    def _drawn(self, free: NDArray[np.bool_], n: int, rng: np.random.Generator) -> Rows:
        """Return at most ``n`` different free items: the next ones of a shuffled order after a random start."""
        if not n or not self.n_items:
            return np.zeros(0, np.intp)
        start = int(rng.integers(self.n_items))
        after = self._shuffled[start : start + 2 * n]
        found = after[free[after]][:n]
        if len(found) < n:
            order = np.roll(self._shuffled, -start)
            found = order[free[order]][:n]
        return found

    def _again(self, history: UserHistory, n: int) -> Rows:
        """Return items that the user has seen before, longest ago first, then those they disliked."""
        if not n:
            return np.zeros(0, np.intp)
        last_position = {int(row): position for position, row in enumerate([*history.liked, *history.shown])}
        disliked = set(history.disliked.tolist())
        known = [row for row in {*last_position, *disliked} if self.is_live[row]]
        known.sort(key=lambda row: (row in disliked, last_position.get(row, -1), row))
        return np.asarray(known[:n], np.intp)


def group_equal_rows(tags: csr_array, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Return the first row of each group of equal rows, and the group of each row.

    Rows are compared by a random weighted sum of their columns, which is equal for two different rows with a
    probability of about 1e-16.
    """
    sums = tags @ rng.random(tags.shape[1])
    _, first_rows, kinds = np.unique(sums, return_index=True, return_inverse=True)
    return first_rows, kinds


def _rounded(number: float, rng: np.random.Generator) -> int:
    """Round up or down at random, with the right average."""
    return int(number + rng.random()) if number % 1 else int(number)


def _best(scores: Floats32, free: NDArray[np.bool_], n: int) -> Rows:
    """Return the ``n`` free items with the highest scores, best first."""
    masked = np.where(free, scores, np.float32(-np.inf))
    n = min(n, len(masked))
    at = np.argpartition(masked, len(masked) - n)[len(masked) - n :] if 0 < n < len(masked) else np.arange(len(masked))
    at = at[np.isfinite(masked[at])]
    return at[np.argsort(-masked[at], kind="stable")]
