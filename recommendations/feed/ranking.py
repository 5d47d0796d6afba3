"""One person's next list of items: what they would like best of what they have not seen, and a few unknown ones.

The score of an item is a sum of logits: how it is liked by everybody, how much more or less this person likes its
genres than was to be expected, and what the items they liked and disliked say about it. Nothing of it is fitted for the
person in advance: what they said a moment ago counts in the next list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recommendations.engine.arrays import Floats, Floats32, Rows
from recommendations.feed.model import FeedModel, log_ratio, tag_scales

LEARNED, TOP, UNSEEN, RANDOM, AGAIN = "learned", "top", "unseen", "random", "again"
LOOKED_AT = 1024  # items among which the least shown is looked for: as good as all of them, and cheaper
LEAST_COUNT = 0.05  # likes or misses that always remain, where one process saw the like and another the show
NOISE_LENGTHS = 4  # of the store of noise, in lists of all items


@dataclass(frozen=True)
class FeedRules:
    """What a list is made of.

    Attributes:
        length: Items of a list.
        unseen_share: Share of the places for the least shown items.
        new_user_unseen_share: The same for a person nothing is known of.
        random_share: Share of the places for items drawn blindly.
        top_n: The best so many are looked at for variety.
        diversity: Logits lost by an item whose genres are all in the list already.
        thompson: Width of the draw of an item's like rate; 0 takes what is known, 1 all that may be.
        enough_shown: An item shown so often needs no place of its own any more; without genres as often as it takes
            to expect a like, where that is less.
        tag_strength: Expected likes it takes to believe what a genre is worth to a person.
        tag_weight, neighbour_weight: Of the two personal parts of the score.
        miss_weight: Of what was shown and not liked, beside a like, by the pairs; 0 leaves it out.
        dislike: Missed likes that a dislike is as bad as, where dislikes are rare.
        newest: Likes, dislikes and misses that count, the newest of each.
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
class Person:
    """What one person was shown and said, as rows of items.

    Attributes:
        shown: Oldest first; what was shown again is there again.
        liked, disliked: Oldest first, none in both.
    """

    shown: Rows
    liked: Rows
    disliked: Rows


@dataclass(frozen=True, eq=False)
class FeedList:
    """Items in the order to be shown, with where each came from and its score; arrays of one length."""

    rows: Rows
    sources: list[str]
    scores: Floats32


class Table:
    """A sparse matrix for a few rows at a time; scipy's own way to them costs more than the work itself."""

    def __init__(self, matrix: csr_array) -> None:
        self._starts, self._columns, self._values = matrix.indptr, matrix.indices, matrix.data.astype(np.float32)
        self.n_columns = matrix.shape[1]

    def cells(self, rows: Rows) -> tuple[Rows, Floats, Floats32]:
        """Every cell of some rows: which of the rows it is in, its column and its value, all of one length."""
        starts = self._starts[rows]
        lengths = self._starts[rows + 1] - starts
        of = np.repeat(np.arange(len(rows)), lengths)
        at = np.arange(len(of)) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
        return of, self._columns[at], self._values[at]

    def sums(self, rows: Rows, weights: Floats | None = None) -> NDArray[np.float64]:
        """Weighted sum of some rows, shape (n_columns,)."""
        of, columns, values = self.cells(rows)
        weighted = values if weights is None else weights[of] * values
        return np.bincount(columns, weighted, self.n_columns).astype(np.float64, copy=False)

    def dense(self, rows: Rows) -> Floats32:
        """Some rows, without the columns that are empty in all of them."""
        of, columns, values = self.cells(rows)
        used, at = np.unique(columns, return_inverse=True)
        found = np.zeros((len(rows), len(used)), np.float32)
        found[of, at] = values
        return found


class ItemScorer:
    """A fitted model over the items there are, ready for many lists."""

    def __init__(self, model: FeedModel, tags: csr_array, is_live: NDArray[np.bool_], seed: int = 0) -> None:
        """``tags`` is 1 where an item has a genre; ``is_live`` marks which items may be shown."""
        rng = np.random.default_rng(seed)
        self.model, self.is_live = model, is_live
        self.n_items, self._has_tags = len(is_live), tags.nnz > 0
        self._tags, self._neighbours = Table(tags), Table(model.neighbours)
        scaled_tags = tags.multiply(tag_scales(tags)[:, None]).astype(np.float32).tocsr()
        # many items have the same genres, which then need to be weighed once
        first_rows, self._genres_of = alike(tags, rng)
        self._genres = scaled_tags[first_rows]
        self._rates = 1 / (1 + np.exp(-model.means.astype(np.float64)))
        self._shows_for_a_like = 1 / float(self._rates.mean()) if self.n_items else np.inf
        # these three move with what is shown and liked between two fits
        self._n_shown, self._means, self._deviations = (
            each.copy() for each in (model.n_shown, model.means, model.deviations)
        )
        self._n_likes = model.n_likes
        self._noise = rng.standard_normal(NOISE_LENGTHS * max(self.n_items, 1), np.float32)
        self._shuffled = rng.permutation(self.n_items)

    def make_list(self, person: Person, rules: FeedRules, rng: np.random.Generator, spare: int = 0) -> FeedList:
        """The next list, and ``spare`` more in case an item turns out to be gone; all different, best first.

        Returns:
            As many as asked for whenever there are so many live items: what was seen comes back when nothing else is
            left, longest ago first, and what was disliked at the very end.
        """
        tried = self._tried_by(person)
        scores = self._scores(person, np.flatnonzero(tried), rules, rng)
        free = self.is_live & ~tried
        is_known = len(person.liked) > 0 or len(person.disliked) > 0
        main = LEARNED if is_known else TOP if self._n_likes else RANDOM
        share = rules.unseen_share if is_known else rules.new_user_unseen_share
        n_unseen = _rounded(rules.length * share, rng)
        n_random = min(_rounded(rules.length * rules.random_share, rng), rules.length - n_unseen)
        pool = _best(scores, free, max(rules.top_n, rules.length + spare))
        best = self._varied(pool, scores, rules.length - n_unseen - n_random, rules.diversity)
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
        parts.append((AGAIN, self._again(person, max(n_short, 0))))
        listed = np.concatenate([rows for _, rows in parts])
        return FeedList(listed, [source for source, rows in parts for _ in rows], scores[listed])

    def scores(self, person: Person, rules: FeedRules, rng: np.random.Generator) -> Floats32:
        """Of every item, shape (n_items,), as a list is made by them; also of those the person has met."""
        return self._scores(person, np.flatnonzero(self._tried_by(person)), rules, rng)

    def note_shown(self, rows: Rows) -> None:
        """Count what was shown since the model was fitted: a like that is missing until it comes."""
        self._n_shown[rows] += 1
        self._count(rows, 0, 1)

    def note_liked(self, rows: Rows) -> None:
        """Count likes since the model was fitted, so that what people like is found within moments, not fits."""
        self._count(rows, 1, -1)
        self._n_likes += len(rows)

    def _count(self, rows: Rows, likes: int, misses: int) -> None:
        """Likes and misses that the log-odds and their uncertainty stand for, and so many more."""
        odds, variance = np.exp(self._means[rows]), self._deviations[rows] ** 2
        liked = np.maximum((1 + odds) / variance + likes, LEAST_COUNT)
        missed = np.maximum((1 + odds) / (odds * variance) + misses, LEAST_COUNT)
        self._means[rows], self._deviations[rows] = np.log(liked / missed), np.sqrt(1 / liked + 1 / missed)

    def _tried_by(self, person: Person) -> NDArray[np.bool_]:
        tried = np.zeros(self.n_items, bool)
        for rows in (person.shown, person.liked, person.disliked):
            tried[rows] = True
        return tried

    def _scores(self, person: Person, tried: Rows, rules: FeedRules, rng: np.random.Generator) -> Floats32:
        """Of every item, shape (n_items,): one draw of how it is liked by everybody, and what speaks for the person."""
        start = int(rng.integers(0, len(self._noise) - self.n_items + 1))
        scores = self._noise[start : start + self.n_items] * self._deviations
        scores *= np.float32(rules.thompson)
        scores += self._means
        if len(tried) and self._has_tags:
            scores += self._by_tags(person, tried, rules)
        for rows, weight in ((person.liked, 1.0), (person.disliked, -self.model.dislike_surprise)):
            if len(rows):
                self._add_neighbours(scores, rows[-rules.newest :], rules.neighbour_weight * weight)
        if rules.miss_weight:
            self._add_misses(scores, person, rules)
        return scores

    def _by_tags(self, person: Person, tried: Rows, rules: FeedRules) -> Floats32:
        """How much more than others this person likes the genres of each item."""
        observed = self._tags.sums(person.liked)
        missed = rules.dislike * self.model.dislike_surprise
        expected = self._tags.sums(tried, self._rates[tried]) + missed * self._tags.sums(person.disliked)
        ratios = rules.tag_weight * log_ratio(observed, expected, rules.tag_strength)
        by_item: Floats32 = (self._genres @ ratios.astype(np.float32))[self._genres_of]
        return by_item

    def _add_neighbours(self, scores: Floats32, rows: Rows, weight: float) -> None:
        """What some items say about the others; many that say the same do not add up in full.

        A dislike only speaks against what a like would have spoken for.
        """
        _, columns, values = self._neighbours.cells(rows)
        if len(columns):
            said = values if weight > 0 else np.maximum(values, 0.0)
            scores += (weight / np.sqrt(len(rows)) * np.bincount(columns, said, self.n_items)).astype(np.float32)

    def _add_misses(self, scores: Floats32, person: Person, rules: FeedRules) -> None:
        """What the items say that were shown and not liked: against what goes with them, for what does not.

        If a like becomes ``exp(v)`` times likelier, its absence becomes ``1 - odds * (exp(v) - 1)`` times so, about
        ``exp(-odds * v)``: a missing like says much of an item that most people like, and nearly nothing of a rare one.
        The odds are squared, since where likes are rare misses are many and pairs are few: their noise would add up.
        """
        missed = person.shown[~np.isin(person.shown, person.liked)][-rules.newest :]
        if len(missed):
            odds = np.minimum(self._rates[missed] / (1 - self._rates[missed]), 1.0)
            weight = rules.miss_weight * rules.neighbour_weight / np.sqrt(len(missed))
            scores -= (weight * self._neighbours.sums(missed, odds**2)).astype(np.float32)

    def _varied(self, pool: Rows, scores: Floats32, n: int, diversity: float) -> Rows:
        """The best ``n`` of a pool, each losing by the share of its genres that the items before it have."""
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
        """Of items drawn blindly the least shown, among them the best; none that has been shown enough."""
        if not n:
            return np.zeros(0, np.intp)
        enough = rules.enough_shown if self._has_tags else min(rules.enough_shown, self._shows_for_a_like)
        looked_at = self._drawn(free, LOOKED_AT, rng)
        looked_at = looked_at[self._n_shown[looked_at] < enough]
        n_shown = self._n_shown[looked_at]
        return looked_at[np.lexsort((-scores[looked_at], n_shown))[:n]]

    def _drawn(self, free: NDArray[np.bool_], n: int, rng: np.random.Generator) -> Rows:
        """At most ``n`` different free items, drawn blindly: the next ones of a shuffled order from somewhere on."""
        if not n or not self.n_items:
            return np.zeros(0, np.intp)
        start = int(rng.integers(self.n_items))
        after = self._shuffled[start : start + 2 * n]
        found = after[free[after]][:n]
        if len(found) < n:
            order = np.roll(self._shuffled, -start)
            found = order[free[order]][:n]
        return found

    def _again(self, person: Person, n: int) -> Rows:
        """What the person has seen before, longest ago first, then what they disliked."""
        if not n:
            return np.zeros(0, np.intp)
        last_position = {int(row): position for position, row in enumerate([*person.liked, *person.shown])}
        disliked = set(person.disliked.tolist())
        known = [row for row in {*last_position, *disliked} if self.is_live[row]]
        known.sort(key=lambda row: (row in disliked, last_position.get(row, -1), row))
        return np.asarray(known[:n], np.intp)


def alike(tags: csr_array, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """The first row of each kind, and which kind each row is: rows of a kind have the same columns and values.

    Distinguished by a random sum of their columns, which two kinds share with a probability of about 1e-16.
    """
    sums = tags @ rng.random(tags.shape[1])
    _, first_rows, kinds = np.unique(sums, return_index=True, return_inverse=True)
    return first_rows, kinds


def _rounded(number: float, rng: np.random.Generator) -> int:
    """A whole number that is right on average."""
    return int(number + rng.random()) if number % 1 else int(number)


def _best(scores: Floats32, free: NDArray[np.bool_], n: int) -> Rows:
    """The best ``n`` free items, best first."""
    masked = np.where(free, scores, np.float32(-np.inf))
    n = min(n, len(masked))
    at = np.argpartition(masked, len(masked) - n)[len(masked) - n :] if 0 < n < len(masked) else np.arange(len(masked))
    at = at[np.isfinite(masked[at])]
    return at[np.argsort(-masked[at], kind="stable")]
