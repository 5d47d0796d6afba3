"""One person's next list of items: what she would like best of what she has not seen, and a few nobody knows yet.

The score of an item is a sum of logits: how it is liked by everybody, how much more or less this person likes its
genres than was to be expected, and what the items she liked and disliked say about it. Nothing of it is fitted for the
person in advance: what she said a moment ago counts in the next list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recommendations.engine.feed_model import FeedModel, log_ratio, tag_scales

Floats32 = NDArray[np.float32]
Rows = NDArray[np.intp]

LEARNED, TOP, UNSEEN, RANDOM, AGAIN = "learned", "top", "unseen", "random", "again"
LOOKED_AT = 512  # items among which the least shown is looked for: as good as all of them, and cheaper
NOISE_LENGTHS = 4  # of the store of noise, in lists of all items


@dataclass(frozen=True)
class FeedRules:
    """What a list is made of.

    Attributes:
        length: Items of a list.
        unseen_share: Share of the places for the least shown items.
        new_user_unseen_share: The same for somebody nothing is known of.
        random_share: Share of the places for items drawn blindly.
        top_n: The best so many are looked at for variety.
        diversity: Logits lost by an item whose genres are all in the list already.
        thompson: Width of the draw of an item's like rate; 0 takes what is known, 1 all that may be.
        enough_shown: An item shown so often needs no place of its own any more.
        tag_strength: Expected likes it takes to believe what a genre is worth to a person.
        tag_weight, neighbour_weight: Of the two personal parts of the score.
        dislike: Missed likes that a dislike is as bad as, where dislikes are rare.
        newest: Likes and dislikes that count, the newest of each.
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


class ItemScorer:
    """A fitted model over the items there are, ready for many lists."""

    def __init__(self, model: FeedModel, tags: csr_array, is_live: NDArray[np.bool_], seed: int = 0) -> None:
        """``tags`` is 1 where an item has a genre; ``is_live`` tells which items may be shown."""
        self.model, self.is_live = model, is_live
        scaled = tags.multiply(tag_scales(tags)[:, None]).astype(np.float32)
        self.tags, self.scaled_tags = tags.astype(np.float32).tocsr(), scaled.tocsr()
        self._n_tags = np.diff(tags.indptr).astype(np.float32)
        self.rates = 1 / (1 + np.exp(-model.means.astype(np.float64)))
        self.n_shown = model.n_shown.copy()  # grows with what is shown between two fits
        self._noise = np.random.default_rng(seed).standard_normal(NOISE_LENGTHS * max(len(is_live), 1), np.float32)

    @property
    def n_items(self) -> int:
        return len(self.is_live)

    def scores(self, person: Person, rules: FeedRules, rng: np.random.Generator) -> Floats32:
        """Of every item, shape (n_items,): one draw of how it is liked by everybody, and what speaks for the person."""
        start = int(rng.integers(0, len(self._noise) - self.n_items + 1))
        noise = self._noise[start : start + self.n_items]
        scores = self.model.means + np.float32(rules.thompson) * self.model.deviations * noise
        if len(person.shown) or len(person.liked) or len(person.disliked):
            scores += np.float32(rules.tag_weight) * self._by_tags(person, rules)
            scores += np.float32(rules.neighbour_weight) * self._by_neighbours(person, rules)
        return scores

    def _by_tags(self, person: Person, rules: FeedRules) -> Floats32:
        """How much more than others this person likes the genres of each item."""
        disliked = person.disliked
        tried = np.unique(np.concatenate([person.shown, person.liked, disliked]))
        expected = self.rates[tried] @ self.tags[tried]
        if len(disliked):
            expected = expected + rules.dislike * self.model.dislike_surprise * self.tags[disliked].sum(axis=0)
        observed = self.tags[person.liked].sum(axis=0) if len(person.liked) else np.zeros_like(expected)
        return self.scaled_tags @ log_ratio(observed, expected, rules.tag_strength).astype(np.float32)

    def _by_neighbours(self, person: Person, rules: FeedRules) -> Floats32:
        """What the items liked and disliked say about the others; many that say the same do not add up in full."""
        total = np.zeros(self.n_items, np.float32)
        for rows, sign in ((person.liked, 1.0), (person.disliked, -self.model.dislike_surprise)):
            newest = rows[-rules.newest :]
            said = self.model.neighbours[newest] if len(newest) else None
            if said is not None and said.nnz:
                values = said.data if sign > 0 else np.maximum(said.data, 0.0)
                scale = sign / np.sqrt(len(newest))
                total += (scale * np.bincount(said.indices, values, self.n_items)).astype(np.float32)
        return total

    def make_list(self, person: Person, rules: FeedRules, rng: np.random.Generator, spare: int = 0) -> FeedList:
        """The next list, and ``spare`` more in case an item turns out to be gone; all different, best first.

        Returns:
            As many as asked for whenever there are so many live items: what was seen comes back when nothing else is
            left, longest ago first, and what was disliked at the very end.
        """
        scores = self.scores(person, rules, rng)
        free = self.is_live.copy()
        for rows in (person.shown, person.liked, person.disliked):
            free[rows] = False
        is_known = len(person.liked) > 0 or len(person.disliked) > 0
        main = LEARNED if is_known else TOP if self.model.n_likes else RANDOM
        share = rules.unseen_share if is_known else rules.new_user_unseen_share
        n_unseen, n_random = (_rounded(rules.length * each, rng) for each in (share, rules.random_share))
        pool = _best(scores, free, max(rules.top_n, rules.length + spare))
        best = self._varied(pool, scores, max(rules.length - n_unseen - n_random, 0), rules.diversity)
        free[best] = False
        unseen = self._least_shown(scores, free, n_unseen, rules, rng)
        free[unseen] = False
        drawn = _drawn(free, n_random, rng)
        free[drawn] = False
        rest = pool[free[pool]]
        n_missing = max(rules.length - len(best) - len(unseen) - len(drawn), 0)
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

    def note_shown(self, rows: Rows) -> None:
        """Count what was shown since the model was fitted, so that the least shown change with every list."""
        self.n_shown[rows] += 1

    def _varied(self, pool: Rows, scores: Floats32, n: int, diversity: float) -> Rows:
        """The best ``n`` of a pool, each losing by the share of its genres that the items before it have."""
        if diversity <= 0 or n >= len(pool) or not self.tags.nnz:
            return pool[:n]
        tags, values = self.tags[pool], scores[pool].astype(np.float64)
        shared = (tags @ tags.T).toarray() / np.maximum(self._n_tags[pool], 1)[:, None]
        chosen, worst = [], np.zeros(len(pool))
        for _ in range(n):
            at = int(np.argmax(values - diversity * worst))
            chosen.append(at)
            values[at] = -np.inf
            worst += shared[:, at] / n
        return pool[chosen]

    def _least_shown(
        self, scores: Floats32, free: NDArray[np.bool_], n: int, rules: FeedRules, rng: np.random.Generator
    ) -> Rows:
        """Of items drawn blindly the least shown, among them the best; none that has been shown enough."""
        looked_at = _drawn(free, LOOKED_AT, rng) if n else np.zeros(0, np.intp)
        looked_at = looked_at[self.n_shown[looked_at] < rules.enough_shown]
        return looked_at[np.lexsort((-scores[looked_at], self.n_shown[looked_at]))[:n]]

    def _again(self, person: Person, n: int) -> Rows:
        """What the person has seen before, longest ago first, then what she disliked."""
        last_place = {int(row): place for place, row in enumerate([*person.liked, *person.shown])}
        disliked = set(person.disliked.tolist())
        known = [row for row in {*last_place, *disliked} if self.is_live[row]]
        known.sort(key=lambda row: (row in disliked, last_place.get(row, -1), row))
        return np.asarray(known[:n], np.intp)


def _rounded(number: float, rng: np.random.Generator) -> int:
    """A whole number that is right on average."""
    return int(number + rng.random()) if number % 1 else int(number)


def _best(scores: Floats32, free: NDArray[np.bool_], n: int) -> Rows:
    """The best ``n`` free items, best first."""
    masked = np.where(free, scores, -np.inf)
    n = min(n, len(masked))
    at = np.argpartition(-masked, n - 1)[:n] if 0 < n < len(masked) else np.arange(len(masked))
    at = at[np.isfinite(masked[at])]
    return at[np.argsort(-masked[at], kind="stable")]


def _drawn(free: NDArray[np.bool_], n: int, rng: np.random.Generator) -> Rows:
    """At most ``n`` different free items, drawn blindly."""
    if not n or not len(free):
        return np.zeros(0, np.intp)
    at = np.unique(rng.integers(0, len(free), 2 * n)) if len(free) > 4 * n else np.arange(len(free))
    at = at[free[at]]
    if len(at) < n and len(free) > 4 * n:
        at = np.flatnonzero(free)
    return rng.permutation(at)[:n]
