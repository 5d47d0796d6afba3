"""Choices before a day, at several moments, to learn weights from and to try rankers out on.

The moments follow each other up to the day. How far they lie apart depends on what is known before the day alone, never
on how long the test is: what is chosen must serve a test of any length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.arrays import Floats
from recommendations.evaluation.item_events import ItemCatalogue, ItemEvents, ItemQuestion, ask
from recommendations.evaluation.item_terms import NEIGHBOURS, ItemRankerConfig, LearningData, Option
from recommendations.metrics import ranking as metrics

LONGEST_DAYS = 14.0  # of a window, unless too little happens in it
SHARE_OF_PAST = 1 / 10  # of what lies before the day, that a window takes at most
MOST_OF_PAST = 1 / 2  # what all windows may take together
ENOUGH_USERS = 150  # in all windows; with fewer, the windows are made longer
MOST_USERS = 600  # in all windows
POOL = 300  # alternatives of each user that weights are learned from
COLD_EVENTS = 5  # a user or an item with fewer events before the moment is cold
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
    """Consecutive windows that end at a day, oldest first, those without anybody to ask about left out.

    Args:
        events: Later ones may be among them; they are not looked at.
        catalogue: Of the items.
        day: End of the last window.
        config: Number of windows, and how is asked.
        length: Of each in days; None: as ``LONGEST_DAYS`` and ``SHARE_OF_PAST`` say, doubled while too few users do
            anything in them.
    """
    past = events.before(day)
    if len(past) < 2:
        return []
    span = day - float(past.days.min())
    gaps = np.diff(np.unique(past.days))
    shortest = float(gaps.min()) if len(gaps) else span  # times to the day only: no window of half a day
    days = length or max(min(LONGEST_DAYS, span * SHARE_OF_PAST), shortest)
    while True:
        n_moments = max(1, min(config.moments, int(span * MOST_OF_PAST / days)))
        asked = [_asked_in(past, catalogue, day - (n + 1) * days, day - n * days, config) for n in range(n_moments)]
        if length or sum(map(len, asked)) >= ENOUGH_USERS or 4 * days > span * MOST_OF_PAST:
            break
        days *= 2
    starts = [day - (n + 1) * days for n in range(n_moments)]
    found = [(start, one) for start, one in zip(starts, asked, strict=True) if len(one)]
    n_each = MOST_USERS // max(len(found), 1)
    rng = np.random.default_rng(config.seed)
    return [
        Window(LearningData(past, catalogue, start, config), one.take(np.sort(rng.permutation(len(one))[:n_each])))
        for start, one in reversed(found)
    ]


def _asked_in(
    past: ItemEvents, catalogue: ItemCatalogue, day: float, until: float, config: ItemRankerConfig
) -> ItemQuestion:
    return ask(past, catalogue, day, until, known_only=config.known_only, unseen_only=config.unseen_only)


@dataclass(frozen=True, eq=False)
class Table:
    """Terms of a pool of alternatives for each user, of one or more windows.

    A list is made of the top, so a pool holds what each term alone ranks highest, everything that was chosen, and
    others drawn at random; where there are few items it holds all of them.

    Attributes:
        names: The terms.
        features: Shape (n_users, n_pool, n_terms).
        items: Rows of the items, shape (n_users, n_pool).
        is_allowed: Which may be listed; false where a pool is filled up, shape (n_users, n_pool).
        is_chosen: Which were chosen, same shape.
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
    n_chosen: NDArray[np.intp]
    moments: NDArray[np.intp]
    segments: NDArray[np.intp]
    by_member: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.features)

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
    for at, row in enumerate(rows):
        n = len(row.items)
        features[at, :n], items[at, :n], is_chosen[at, :n], is_allowed[at, :n] = (
            row.features, row.items, row.is_chosen, True,
        )  # fmt: skip
    segments = np.concatenate([window.segments for window in windows])
    n_chosen = is_chosen.sum(axis=1)
    moments = np.array([row.moment for row in rows])
    by_member = {name: np.array([row.by_member[name] for row in rows]) for name in rows[0].by_member}
    return Table(names, features, items, is_allowed, is_chosen, n_chosen, moments, segments, by_member)


@dataclass(frozen=True, eq=False)
class _Row:
    """One user's pool."""

    features: NDArray[np.float32]
    items: NDArray[np.intp]
    is_chosen: NDArray[np.bool_]
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
            pool = _pool(rows, wanted, list(tops.values()), n_pool, rng)
            yield _Row(values[pool].astype(np.float32), pool, wanted[pool], moment, by_member)
        at += len(block)


def _pool(
    rows: NDArray[np.intp],
    wanted: NDArray[np.bool_],
    tops: Sequence[NDArray[np.intp]],
    n_pool: int,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    if len(rows) <= n_pool:
        return rows
    must = np.union1d(np.concatenate(tops), np.flatnonzero(wanted))
    n_more = max(n_pool - len(must), 0)
    return np.union1d(must, rng.choice(rows, n_more, replace=False))


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
