"""Choices before a day, at several moments, to learn weights from and to try rankers out on.

The windows follow each other up to the day. How long they are depends on what is known before the day alone, never on
how long the test is: what is chosen must serve a test of any length. The newest is as short as it takes to see enough
users, so that what changed lately shows; those before it are longer, so that the choice does not rest on one day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.arrays import Floats
from recommendations.evaluation.item_events import COLD_EVENTS, ItemCatalogue, ItemEvents, ItemQuestion, ask
from recommendations.evaluation.item_terms import NEIGHBOURS, ItemRankerConfig, LearningData, Option
from recommendations.metrics import ranking as metrics

LONGEST_DAYS = 14.0  # of a window
SHARE_OF_PAST = 1 / 10  # of what lies before the day, that a window takes at most
SHARE_OF_USERS = 1 / 20  # of all before the day, that the newest window waits for
FEWEST_USERS, MOST_USERS = 6, 200  # between which that number lies, and the most that are asked about in a window
ENOUGH_USERS = 150  # in all windows; with fewer, there are more windows, up to MOST_WINDOWS
MOST_WINDOWS = 12
FEWEST_LATELY, NEWEST_USERS = 5, 20  # by which what changed lately is judged, in one or more of the newest windows
USERS_TO_HALF = 100  # newer ones, after which a user counts half in a choice
POOL = 1000  # alternatives of each user that weights are learned from
NONE, FEW, KNOWN = 0, 1, 2  # segments of users by their events before the moment: none, below COLD_EVENTS, more
SEGMENTS = ("users without events", "users with few events", "known users")


def segments_of(n_events: NDArray[np.intp]) -> NDArray[np.intp]:
    """Segment of users by their number of events, shape as given."""
    return np.where(n_events == 0, NONE, np.where(n_events < COLD_EVENTS, FEW, KNOWN))


@dataclass(frozen=True, eq=False)
class Window:
    """What was known at a moment, and what some users went for in the time after it."""

    learning_data: LearningData
    asked: ItemQuestion

    @property
    def segments(self) -> NDArray[np.intp]:
        return segments_of(self.learning_data.n_events_of_users[self.asked.user_rows])


def windows_before(
    events: ItemEvents, catalogue: ItemCatalogue, day: float, config: ItemRankerConfig, length: float | None = None
) -> list[Window]:
    """Consecutive windows that end at a day, oldest first, those without a user to ask about left out.

    Args:
        events: Later ones may be among them; they are not looked at.
        catalogue: Of the items.
        day: End of the last window.
        config: Number of windows, and how is asked.
        length: Of each in days; None: as ``lengths_before`` says.
    """
    past = events.before(day)
    if len(past) < 2:
        return []
    found = _windows(past, catalogue, day, config, np.full(config.moments, length) if length
                     else lengths_before(past, day, config.moments))  # fmt: skip
    if not length and sum(len(window.asked) for window in found) < ENOUGH_USERS:
        more = lengths_before(past, day, max(config.moments, MOST_WINDOWS))
        found = _windows(past, catalogue, day, config, more) or found
    return found


def _windows(
    past: ItemEvents, catalogue: ItemCatalogue, day: float, config: ItemRankerConfig, lengths: Floats
) -> list[Window]:
    rng = np.random.default_rng(config.seed)
    found, until = [], day
    for days in lengths:
        start = until - float(days)
        if start <= past.days.min() + (day - past.days.min()) / 4:  # too little lies before
            break
        asked = ask(past, catalogue, start, until, known_only=config.known_only, unseen_only=config.unseen_only)
        if len(asked):
            sample = np.sort(rng.permutation(len(asked))[:MOST_USERS])
            found.append(Window(LearningData(past, catalogue, start, config), asked.take(sample)))
        until = start
    return found[::-1]


def lengths_before(past: ItemEvents, day: float, n: int) -> Floats:
    """Days of n windows, newest first: from the time it takes to see enough users, in equal ratios, to the longest.

    Of many windows, the newest are of equal length: of a change in what users want, they begin soon after it.

    Args:
        past: At least one event, all before the day.
        day: End of the newest window.
        n: How many, at least 1.
    """
    span = day - float(past.days.min())
    longest = min(LONGEST_DAYS, span * SHARE_OF_PAST)
    latest = np.full(past.n_users, -np.inf)
    np.maximum.at(latest, past.users, past.days)
    latest = np.sort(latest[np.isfinite(latest)])[::-1]
    n_users = int(np.clip(len(latest) * SHARE_OF_USERS, min(FEWEST_USERS, len(latest)), MOST_USERS))
    shortest = day - float(latest[n_users - 1])
    growing = np.geomspace(shortest, max(longest, shortest), n - n // 4)
    return np.concatenate([np.full(n // 4, shortest), growing])


@dataclass(frozen=True, eq=False)
class Table:
    """Terms of a pool of alternatives for each user, of one or more windows.

    A list is made of the top, so a pool holds what each term alone ranks highest, everything that was chosen, and
    others drawn at random; where there are few items it holds all of them. Those drawn stand for those that were not,
    or else what a term ranks high would be over-represented and learned as something users avoid.

    Attributes:
        names: The terms.
        features: Shape (n_users, n_pool, n_terms).
        items: Rows of the items, shape (n_users, n_pool).
        is_allowed: Which may be listed; false where a pool is filled up, shape (n_users, n_pool).
        is_chosen: Which were chosen, same shape.
        offsets: Logarithm of how many items each stands for, same shape.
        n_chosen: Of each user, shape (n_users,).
        moments: Number of each user's window, shape (n_users,).
        segments: Of each user, shape (n_users,).
        by_member: NDCG of each member alone, shape (n_users,) each.
    """

    names: tuple[str, ...]
    features: NDArray[np.float32]
    items: NDArray[np.intp]
    is_allowed: NDArray[np.bool_]
    is_chosen: NDArray[np.bool_]
    offsets: NDArray[np.float32]
    n_chosen: NDArray[np.intp]
    moments: NDArray[np.intp]
    segments: NDArray[np.intp]
    by_member: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def newest(self) -> tuple[NDArray[np.bool_], ...]:
        """Users of the newest window, of the newest two and so on, until they are enough; shape (n_users,) each."""
        found: list[NDArray[np.bool_]] = []
        for moment in np.unique(self.moments)[::-1]:
            is_since = self.moments >= moment
            if np.count_nonzero(is_since) >= FEWEST_LATELY:
                found.append(is_since)
            if np.count_nonzero(is_since) >= NEWEST_USERS:
                break
        return tuple(found)

    @property
    def recency(self) -> Floats:
        """What each user counts in a choice, 0 to 1, shape (n_users,)."""
        n_newer = np.array([np.count_nonzero(self.moments > moment) for moment in self.moments])
        weights: Floats = np.exp2(-n_newer / max(USERS_TO_HALF, len(self) / 2))
        return weights

    def ndcg(self, scores: Floats, k: int) -> Floats:
        """Of each user's list by some scores of the pool, shape (n_users,)."""
        allowed = np.where(self.is_allowed, scores, -np.inf)
        k = min(k, allowed.shape[1])
        order = np.lexsort((self.items, -allowed), axis=1)[:, :k]
        hits = np.take_along_axis(self.is_chosen & self.is_allowed, order, axis=1)
        return metrics.ndcg_at_k(metrics.Hits(hits, self.n_chosen), k)


def table_of(windows: Sequence[Window], option: Option, names: tuple[str, ...], n_pool: int = POOL) -> Table:
    """One table of all windows."""
    rows = [row for moment, window in enumerate(windows) for row in _rows_of(window, moment, option, names, n_pool)]
    width = max(len(row.items) for row in rows)
    features = np.zeros((len(rows), width, len(names)), np.float32)
    items = np.zeros((len(rows), width), np.intp)
    is_allowed, is_chosen = np.zeros((2, len(rows), width), bool)
    offsets = np.zeros((len(rows), width), np.float32)
    for at, row in enumerate(rows):
        n = len(row.items)
        features[at, :n], items[at, :n], is_chosen[at, :n], offsets[at, :n], is_allowed[at, :n] = (
            row.features, row.items, row.is_chosen, row.offsets, True,
        )  # fmt: skip
    segments = np.concatenate([window.segments for window in windows])
    n_chosen = is_chosen.sum(axis=1)
    moments = np.array([row.moment for row in rows])
    by_member = {name: np.array([row.by_member[name] for row in rows]) for name in rows[0].by_member}
    return Table(names, features, items, is_allowed, is_chosen, offsets, n_chosen, moments, segments, by_member)


@dataclass(frozen=True, eq=False)
class _Row:
    """One user's pool."""

    features: NDArray[np.float32]
    items: NDArray[np.intp]
    is_chosen: NDArray[np.bool_]
    offsets: NDArray[np.float32]
    moment: int
    by_member: dict[str, float]


def _rows_of(window: Window, moment: int, option: Option, names: tuple[str, ...], n_pool: int) -> Iterator[_Row]:
    learning_data, asked = window.learning_data, window.asked
    rng = np.random.default_rng((learning_data.config.seed, moment))
    members = [name for name in learning_data.members if name in names]
    ranked = [name for name in (*members, NEIGHBOURS) if name in names]
    n_top = max(n_pool // (2 * len(ranked)), 2 * learning_data.config.k)
    at = 0
    for terms in learning_data.terms(asked.user_rows, option, names):
        block = np.stack(list(terms.values()), axis=-1)
        part = asked.take(np.arange(at, at + len(block)))
        allowed, chosen = part.allowed(), part.relevant.toarray() > 0
        for values, may_be, wanted in zip(block, allowed, chosen, strict=True):
            rows = np.flatnonzero(may_be)
            tops = {name: rows[best_of(values[rows, names.index(name)], n_top)] for name in ranked}
            by_member = {name: _ndcg_of(wanted, tops[name], learning_data.config.k) for name in members}
            pool, offsets = _pool(rows, wanted, list(tops.values()), n_pool, rng)
            yield _Row(values[pool].astype(np.float32), pool, wanted[pool], offsets, moment, by_member)
        at += len(block)


def _pool(
    rows: NDArray[np.intp],
    wanted: NDArray[np.bool_],
    tops: Sequence[NDArray[np.intp]],
    n_pool: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Rows of a pool, ascending, and the logarithm of how many items each stands for."""
    if len(rows) <= n_pool:
        return rows, np.zeros(len(rows), np.float32)
    must = np.union1d(np.concatenate(tops), np.flatnonzero(wanted))
    others = np.setdiff1d(rows, must, assume_unique=True)
    drawn = rng.choice(others, min(max(n_pool - len(must), 1), len(others)), replace=False)
    pool = np.concatenate([must, drawn])
    offsets = np.zeros(len(pool), np.float32)
    offsets[len(must) :] = np.log(len(others) / max(len(drawn), 1))
    order = np.argsort(pool)
    return pool[order], offsets[order]


def _ndcg_of(wanted: NDArray[np.bool_], top: NDArray[np.intp], k: int) -> float:
    hits = metrics.Hits(wanted[top[None, :k]], np.array([np.count_nonzero(wanted)], np.intp))
    return float(metrics.ndcg_at_k(hits, k)[0])


def best_of(scores: Floats, k: int) -> NDArray[np.intp]:
    """Positions of the k highest scores, best first; ties go to the lower position."""
    if k < len(scores):
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        above, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
        positions = np.concatenate([above, equal[: k - len(above)]])
    else:
        positions = np.arange(len(scores))
    return positions[np.lexsort((positions, -scores[positions]))]
