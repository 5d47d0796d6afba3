"""Pools of alternatives for users who chose, with the terms of each: the data that weights are learned and tested on.

An expensive term (EASE of a window) is computed once for all options: a table has the columns of every option, and
where there is an item file, a second table is filled at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.arrays import Floats
from recommendations.evaluation.baselines import OfActive
from recommendations.evaluation.item_events import COLD_EVENTS
from recommendations.evaluation.item_lists import best_of
from recommendations.evaluation.item_terms import (
    ADAPTING,
    BASE_REGULARISATION,
    EASE,
    NEIGHBOURS,
    OF_OPTIONS,
    Option,
    mean_affinity,
)
from recommendations.evaluation.item_validation import Window
from recommendations.metrics import ranking as metrics

FEWEST_LATELY, NEWEST_USERS = 5, 20  # by which what changed lately is judged, in one or more of the newest windows
USERS_TO_HALF = 100  # newer ones, after which a user counts half in a choice
POOL = 500  # alternatives of each user that weights are learned from


@dataclass(frozen=True, eq=False)
class Table:
    """Terms of a pool of alternatives for each user, of one or more windows.

    A pool holds the items that each term ranks highest, all chosen ones, and others drawn at random; with few items it
    holds all of them. The drawn ones have a weight for those not drawn; otherwise items that a term ranks high would be
    over-represented, and seem to be avoided by users.

    Attributes:
        names: The terms.
        features: Shape (n_users, n_pool, n_terms).
        items: Rows of the items, shape (n_users, n_pool).
        is_allowed: Which may be listed; false in padding, shape (n_users, n_pool).
        is_chosen: Which were chosen, same shape.
        offsets: Logarithm of the number of items each stands for, same shape.
        n_chosen: Of each user, shape (n_users,).
        moments: Number of each user's window, shape (n_users,).
        segments: Of each user, shape (n_users,).
        by_member: NDCG of each term alone, shape (n_users,) each.
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

    def of(self, option: Option) -> Table:
        """Return the table with the columns of one option, under the names of its terms."""
        name_of = {column: name for name, column in option.columns.items()}
        others = [column for column in self.names if column.startswith(OF_OPTIONS) and column not in name_of]
        kept = [at for at, column in enumerate(self.names) if column not in others]
        names = tuple(name_of.get(self.names[at], self.names[at]) for at in kept)
        return replace(self, names=names, features=self.features[..., kept])

    @cached_property
    def newest(self) -> tuple[NDArray[np.bool_], ...]:
        """Return the users of the newest window, of the newest two and so on, until there are enough; shape
        (n_users,) each."""
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
        """Return the weight of each user in the choice of an option, 0 to 1, shape (n_users,)."""
        n_newer = np.array([np.count_nonzero(self.moments > moment) for moment in self.moments])
        weights: Floats = np.exp2(-n_newer / max(USERS_TO_HALF, len(self) / 2))
        return weights

    def ndcg(self, scores: Floats, k: int) -> Floats:
        """Return NDCG of each user's list by scores of the pool, shape (n_users,)."""
        allowed = np.where(self.is_allowed, scores, -np.inf)
        k = min(k, allowed.shape[1])
        order = np.lexsort((self.items, -allowed), axis=1)[:, :k]
        hits = np.take_along_axis(self.is_chosen & self.is_allowed, order, axis=1)
        return metrics.ndcg_at_k(metrics.Hits(hits, self.n_chosen), k)


def tables_of(
    windows: Sequence[Window], options: Sequence[Option], views: Sequence[tuple[str, ...]], n_pool: int = POOL
) -> list[Table]:
    """Return tables of all windows with the columns of several options, one for each view: the names of its terms.

    The pool of a view is drawn independently of other views, so that a term of one view changes nothing in another.
    """
    rows: list[list[_Row]] = [[] for _ in views]
    for moment, window in enumerate(windows):
        for of_user in _rows_of(window, moment, options, views, n_pool):
            for own, row in zip(rows, of_user, strict=True):
                own.append(row)
        window.learning_data.release_models()
    segments = np.concatenate([window.segments for window in windows])
    return [_table(_columns(names, options), own, segments) for names, own in zip(views, rows, strict=True)]


def _columns(names: Sequence[str], options: Sequence[Option]) -> tuple[str, ...]:
    """Return the columns of a table: each name once, or once for each option where they differ."""
    found = (one.columns.get(name, name) for name in names for one in options)
    return tuple(dict.fromkeys(found))


def _table(names: tuple[str, ...], rows: Sequence[_Row], segments: NDArray[np.intp]) -> Table:
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


class _WindowTerms:
    """Terms that are computed once for all users of a window.

    Attributes:
        learning_data: Of the window.
        values: Terms that are the same for all users, or for all cold and all known users.
    """

    def __init__(self, window: Window, options: Sequence[Option], names: Sequence[str]) -> None:
        self.learning_data, self._candidates = window.learning_data, np.flatnonzero(window.asked.candidates)
        self.values: dict[tuple[str, bool], Floats] = {}
        for is_known, adapting in zip((False, True), self.learning_data.adapting, strict=True):
            same_for_all = self.learning_data.same_for_all | {ADAPTING: adapting.log_shares}
            self.values |= {(name, is_known): same_for_all[name] for name in names if name in same_for_all}
        self._best: dict[tuple[str, bool], NDArray[np.intp]] = {}
        self._by_ease = self._scored_by_ease(window.asked.user_rows, options, names)

    def _scored_by_ease(
        self, rows: NDArray[np.intp], options: Sequence[Option], names: Sequence[str]
    ) -> dict[str, OfActive]:
        """Column -> scores of all users; one model at a time, for their memory."""
        data, columns = self.learning_data, []
        if EASE in names:
            columns.append((BASE_REGULARISATION, EASE, data.pairs[rows]))
        if NEIGHBOURS in names:
            columns += [(one.regularisation, one.columns[NEIGHBOURS], data.histories(one.history_half_life_days)[rows])
                        for one in options]  # fmt: skip
        found: dict[str, OfActive] = {}
        for regularisation in sorted({one[0] for one in columns}):
            ease = data.ease(regularisation)
            found |= {name: ease.of_active(own) for each, name, own in columns if each == regularisation}
            data.release_models()
            del ease
        return found

    def __contains__(self, column: str) -> bool:
        return (column, False) in self.values

    def best(self, column: str, is_known: bool) -> NDArray[np.intp]:
        """Return rows of the candidates, best first; ties go to the lower row."""
        if (column, is_known) not in self._best:
            values = self.values[column, is_known][self._candidates]
            self._best[column, is_known] = self._candidates[np.argsort(-values, kind="stable")]
        return self._best[column, is_known]

    def of_users(self, at: slice, rows: NDArray[np.intp], name: str, column: str, option: Option) -> Floats:
        """What a term that differs by user ranks by, shape (n_rows, n_items).

        Args:
            at: Position of the users among all of the window.
            rows: Of them.
            name, column: Of the term, and of its column by an option.
            option: See there.
        """
        if column in self._by_ease:
            return self._by_ease[column].spread(at)
        found: Floats = self.learning_data.raw_terms(rows, option, [name])[name]
        return found


class _UserTerms:
    """Terms of a few users of a window, each for all items; logarithms are computed for the items of a pool only."""

    def __init__(
        self,
        of_window: _WindowTerms,
        at: slice,
        rows: NDArray[np.intp],
        options: Sequence[Option],
        names: Sequence[str],
    ) -> None:
        self._of_window, data = of_window, of_window.learning_data
        self._is_known = data.n_events_of_users[rows] >= COLD_EVENTS
        self._names = {option.columns.get(name, name): (name, option) for option in options for name in names
                       if name not in of_window}  # fmt: skip
        self._raw = {
            column: of_window.of_users(at, rows, name, column, option) for column, (name, option) in self._names.items()
        }
        self._means = {column: mean_affinity(values) for column, values in self._raw.items()}
        self._tops: dict[tuple[str, int], NDArray[np.intp]] = {}

    def top(self, column: str, at: int, may_be: NDArray[np.bool_], n: int) -> NDArray[np.intp]:
        """The n best of a user's allowed items, best first; ties go to the lower row. ``n`` is always the same."""
        if (column, at) not in self._tops:
            self._tops[column, at] = self._found_top(column, at, may_be, n)
        return self._tops[column, at]

    def _found_top(self, column: str, at: int, may_be: NDArray[np.bool_], n: int) -> NDArray[np.intp]:
        if column in self._of_window:
            best = self._of_window.best(column, bool(self._is_known[at]))
            first = best[: n + len(best) - np.count_nonzero(may_be)]  # of which at most so many are not allowed
            return first[may_be[first]][:n]
        values = self._raw[column][at]
        rows = np.flatnonzero(may_be & (values > 0))
        if len(rows) < n:  # of most items, a history says nothing
            rows = np.flatnonzero(may_be)
        return rows[best_of(values[rows], n)]

    def of_items(self, column: str, at: int, items: NDArray[np.intp]) -> Floats:
        """Return a column of some items of a user, shape (n_of_items,)."""
        if column in self._of_window:
            return self._of_window.values[column, bool(self._is_known[at])][items]
        values, means = self._raw[column][at : at + 1, items], self._means[column][at : at + 1]
        shaped: Floats = self._of_window.learning_data.shaped(self._names[column][0], values, means)[0]
        return shaped


@dataclass(frozen=True, eq=False)
class _View:
    """How the pools of one table are drawn."""

    columns: tuple[str, ...]
    members: tuple[str, ...]
    moment: int
    k: int
    n_pool: int
    rng: np.random.Generator

    def row(self, terms: _UserTerms, at: int, may_be: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> _Row:
        ranked = [*self.members, *(column for column in self.columns if column.startswith(NEIGHBOURS))]
        tops = {column: terms.top(column, at, may_be, 2 * self.k) for column in ranked}
        by_member = {name: _ndcg_of(wanted, tops[name], self.k) for name in self.members}
        pool, offsets = _pool(np.flatnonzero(may_be), wanted, list(tops.values()), self.n_pool, self.rng)
        features = np.stack([terms.of_items(column, at, pool).astype(np.float32) for column in self.columns], axis=-1)
        return _Row(features, pool, wanted[pool], offsets, self.moment, by_member)


def _rows_of(
    window: Window, moment: int, options: Sequence[Option], views: Sequence[tuple[str, ...]], n_pool: int
) -> Iterator[list[_Row]]:
    """Yield for each user a row of each view."""
    data, asked = window.learning_data, window.asked
    everything = tuple(dict.fromkeys(name for names in views for name in names))
    drawn = [
        _View(
            _columns(names, options), tuple(name for name in data.members if name in names), moment, data.config.k,
            n_pool, np.random.default_rng((data.config.seed, moment)),
        )
        for names in views
    ]  # fmt: skip
    of_window = _WindowTerms(window, options, everything)
    for start, stop in data.parts(len(asked)):
        part = asked.take(np.arange(start, stop))
        terms = _UserTerms(of_window, slice(start, stop), part.user_rows, options, everything)
        for at, (may_be, wanted) in enumerate(zip(part.allowed(), part.relevant.toarray() > 0, strict=True)):
            yield [view.row(terms, at, may_be, wanted) for view in drawn]


def _pool(
    rows: NDArray[np.intp],
    wanted: NDArray[np.bool_],
    tops: Sequence[NDArray[np.intp]],
    n_pool: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return sorted rows of a pool, and the logarithm of the number of items each stands for."""
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
