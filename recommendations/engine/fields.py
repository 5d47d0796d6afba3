"""How one field of a listing is read: as a mixture of a few states.

A category is wholly in one state (its level); a number lies between two knots and is partly in each; words and tags
are in as many states as there are of them. The encoder gives every state a row of numbers and knows no other
difference between fields.

Each kind of field also says what utility buyers may draw from it, as *features* of its states: a prior of independent
standard normal weights on them is the prior over utility functions. They are centred, so that an average listing of
the catalogue has none, and what the catalogue never showed (an unknown price where all had one) is neutral.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from zlib import crc32

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from catalog.attributes import BY_NAME, CATEGORY_FEATURES, NUMBER_FEATURES, Number
from recommendations.engine.arrays import Floats
from recommendations.engine.table import ListingTable

Positions = NDArray[np.int32]

OTHER = "(other)"
UNKNOWN = ""
WORD = re.compile(r"[^\W_]+(?:\.\d+)?")  # "1.6" is one word
RANGE = (0.001, 0.999)  # quantiles between which knots lie: beyond are typing errors and collectors' cars
LARGEST = 1e15  # beyond every number a car can have; sums of larger ones could overflow
MOST_TAGS = 8


@dataclass(frozen=True)
class CategoryField:
    """One value out of a vocabulary. States: one per level, then ``(other)``, then unknown."""

    name: str
    levels: tuple[str, ...]

    @classmethod
    def fit(cls, name: str, table: ListingTable, min_count: int, max_levels: int) -> CategoryField:
        """The commonest levels, each seen at least ``min_count`` times; ties go by name."""
        counts = Counter(category_values(name, table))
        del counts[UNKNOWN]
        ranked = sorted(counts.items(), key=lambda level_and_count: (-level_and_count[1], level_and_count[0]))
        return cls(name, tuple(level for level, count in ranked[:max_levels] if count >= min_count))

    @property
    def n_states(self) -> int:
        return len(self.levels) + 2

    @cached_property
    def _state_by_level(self) -> dict[str, int]:
        return {level: state for state, level in enumerate((*self.levels, OTHER, UNKNOWN))}

    def mixture(self, table: ListingTable, reference_year: int) -> tuple[Positions, Floats]:
        """The state of each row and its share, which is all of it: two arrays of shape (n, 1)."""
        state_by_level, other = self._state_by_level, len(self.levels)
        states = [state_by_level.get(value, other) for value in category_values(self.name, table)]
        return np.array(states, np.int32)[:, None], np.ones((len(states), 1))

    def features(self, mean_shares: Floats, smoothness: float) -> Floats:
        """Every level is liked or disliked for itself; shape (n_states, n_states)."""
        return (np.eye(self.n_states) - mean_shares) * (mean_shares > 0)[:, None]


@dataclass(frozen=True)
class NumberField:
    """A number on a scale of knots. States: one per knot, then unknown.

    Beyond the last knot it counts as the last knot, so a typing error of a price is an expensive car.

    Attributes:
        name: One of ``NUMBERS``.
        knots: Ascending, at least two, on the transformed scale (a logarithm, mostly).
        spread: Standard deviation on that scale, by quantiles so that outliers do not count; above 0.
    """

    name: str
    knots: tuple[float, ...]
    spread: float

    @classmethod
    def fit(cls, name: str, table: ListingTable, reference_year: int, n_knots: int) -> NumberField:
        """Knots half-way between evenly spaced ones and quantiles: dense where cars are, without gaps elsewhere."""
        values = NUMBERS[name].read(table, reference_year)
        values = np.clip(values[~np.isnan(values)], -LARGEST, LARGEST)
        if not len(values):
            return cls(name, (0.0, 1.0), 1.0)
        lowest, tenth, ninetieth, highest = np.quantile(values, [RANGE[0], 0.1, 0.9, RANGE[1]])
        even = np.linspace(lowest, highest, n_knots)
        knots = np.unique((even + np.quantile(values, np.linspace(*RANGE, n_knots))) / 2)
        if knots[-1] - knots[0] < 1e-9:
            return cls(name, (float(lowest), float(lowest) + 1.0), 1.0)
        # 2.563 deviations in a normal distribution; the other bound keeps a few odd cars from dwarfing all the rest
        spread = max((ninetieth - tenth) / 2.563, (highest - lowest) / 8)
        return cls(name, tuple(knots.tolist()), float(spread))

    @property
    def n_states(self) -> int:
        return len(self.knots) + 1

    def mixture(self, table: ListingTable, reference_year: int) -> tuple[Positions, Floats]:
        """The two knots around each row and the share of each: two arrays of shape (n, 2)."""
        return self.between_knots(NUMBERS[self.name].read(table, reference_year))

    @cached_property
    def _knots(self) -> Floats:
        return np.array(self.knots)

    def between_knots(self, values: Floats) -> tuple[Positions, Floats]:
        """The same for values on the transformed scale; nan is wholly in the unknown state."""
        knots, unknown = self._knots, np.isnan(values)
        values = np.clip(np.where(unknown, knots[0], values), knots[0], knots[-1])
        left = np.clip(knots.searchsorted(values, side="right") - 1, 0, len(knots) - 2)
        share = (values - knots[left]) / (knots[left + 1] - knots[left])
        states = np.stack([left, left + 1], axis=1)
        shares = np.stack([1 - share, share], axis=1)
        states[unknown], shares[unknown] = len(knots), (1.0, 0.0)
        return states.astype(np.int32), shares

    def features(self, mean_shares: Floats, smoothness: float) -> Floats:
        """Utility is a straight line plus a smooth curve: a Gaussian process with a linear and a squared exponential
        covariance (Rasmussen and Williams 2006, chapter 4), joined by straight lines between the knots. So "the
        cheaper the better" and "about 20,000" are both likely, a zigzag is not. What is unknown has a utility of its
        own. Shape (n_states, n_knots + 1).
        """
        known, p_unknown = mean_shares[:-1], mean_shares[-1]
        if not known.sum():
            return np.zeros((self.n_states, self.n_states))
        scaled = self._knots / self.spread
        scaled -= np.average(scaled, weights=known)
        curve = np.exp(-0.5 * ((scaled[:, None] - scaled) / smoothness) ** 2)
        variance, directions = scipy.linalg.eigh(curve + np.outer(scaled, scaled))
        root = directions * np.sqrt(np.maximum(variance, 0))
        root -= np.average(root, axis=0, weights=known)
        features: Floats = scipy.linalg.block_diag(root, [[float(p_unknown > 0)]])
        features[:, -1] -= p_unknown * (p_unknown > 0)
        return features


@dataclass(frozen=True)
class TextField:
    """Words of the title, or tags, hashed. States: the buckets, then one that every row with a text is wholly in.

    The sign of a word comes from its hash too, so that words sharing a bucket cancel on average rather than add up
    (Weinberger et al. 2009). The words of a title share one unit of length. Tags count in full, for a tow bar is worth
    the same beside heated seats, until there are more than ``MOST_TAGS``.
    """

    name: str
    n_buckets: int

    @property
    def n_states(self) -> int:
        return self.n_buckets + 1

    @property
    def room(self) -> int:
        """How many words count in full before they have to share."""
        return MOST_TAGS if self.name == "tags" else 1

    def words(self, table: ListingTable) -> list[list[str]]:
        if self.name == "tags":
            return [sorted({tag.casefold() for tag in tags}) for tags in table.tags]
        return [WORD.findall(title.casefold()) for title in table.title]

    def mixture(self, table: ListingTable) -> tuple[Positions, Floats, NDArray[np.int64]]:
        """States and shares of all rows, one after the other, and how many each row has, shape (n,).

        No title is a gap in the advert, and such a row is in no state; no tags is a fact about the car.
        """
        bucket_by_word: dict[str, tuple[int, float]] = {}
        states: list[int] = []
        shares: list[float] = []
        all_words = self.words(table)
        for words in all_words:
            length = min(self.room / max(len(words), 1), 1.0) ** 0.5
            for word in words:
                bucket = bucket_by_word.get(word)
                if bucket is None:
                    bucket = bucket_by_word[word] = self.bucket(word)
                states.append(bucket[0])
                shares.append(bucket[1] * length)
            if words or self.name == "tags":
                states.append(self.n_buckets)
                shares.append(1.0)
        counts = [len(words) + (1 if words or self.name == "tags" else 0) for words in all_words]
        return np.array(states, np.int32), np.array(shares, np.float64), np.array(counts, np.int64)

    def bucket(self, word: str) -> tuple[int, float]:
        """Bucket and sign of a word, the same on every machine."""
        hashed = crc32(word.encode())
        return (hashed >> 1) % self.n_buckets, 1.0 if hashed & 1 else -1.0

    def features(self, mean_shares: Floats, smoothness: float) -> Floats:
        """Every bucket is liked or disliked for itself, shape (n_states, n_buckets); no title at all is neutral."""
        p_text = mean_shares[-1]
        features: Floats = np.eye(self.n_states, self.n_buckets) * (p_text > 0)
        features[-1] = -mean_shares[:-1] / p_text if p_text else 0.0
        return features


Field = CategoryField | NumberField | TextField


@dataclass(frozen=True)
class NumberScale:
    """The column of a number, and the scale on which equal steps have equal meaning."""

    column: Callable[[ListingTable, int], Floats]
    transform: Callable[[Floats], Floats]

    def read(self, table: ListingTable, reference_year: int) -> Floats:
        return self.transform(self.column(table, reference_year))


def _logarithm(values: Floats) -> Floats:
    """nan where there is none: a price, power or engine of 0 is a form that was not filled in."""
    with np.errstate(invalid="ignore"):
        return np.log(np.where((values > 0) & (values < np.inf), values, np.nan))


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)


def _scale_of(number: Number) -> NumberScale:
    """A number of a listing that counts as it stands, or by its logarithm."""

    def logarithm(values: Floats) -> Floats:
        return _logarithm(np.where(values >= 0, values, np.nan) + number.offset)

    transform = _finite if number.scale == "linear" else logarithm
    return NumberScale(lambda table, year: getattr(table, number.column), transform)


NUMBERS = {
    "price": NumberScale(lambda table, year: table.price, _logarithm),
    "age": NumberScale(lambda table, year: year - table.year, _finite),
    **{number.name: _scale_of(number) for number in NUMBER_FEATURES},
}
CATEGORIES = ("make", "model", *(category.name for category in CATEGORY_FEATURES), "seller")
TEXTS = ("title", "tags")
FIELD_NAMES = (*NUMBERS, *CATEGORIES, *TEXTS)


def category_values(name: str, table: ListingTable) -> Iterable[str]:
    """A category of each row. A model carries its make: "skoda|octavia", for a Golf is not everybody's Golf."""
    if name == "model":
        return [f"{make}|{model}" if model else UNKNOWN for make, model in zip(table.make, table.model, strict=True)]
    return table.seller_kind if name == "seller" else getattr(table, BY_NAME[name].column if name in BY_NAME else name)
