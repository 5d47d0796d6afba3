"""Adapting demand: popularity at several half-lives, mixed by how well each predicted earlier visits.

Demand may be stable for months or change within a day, and no half-life fits both. So every popularity predicts the
visits of the past from the events before them, and is weighted by the likelihood of these visits: after a change the
short half-lives take over within some twenty visits; without changes the long ones dominate.

Each half-life takes part six times: as counts of events, of users (so that heavy users do not dominate), and of users
like those to predict, new or known; each with the next longer half-life as its prior, or without.

At a change, half of the weight that is redistributed goes to restarts: counts of users since that time only, with a
uniform prior. Longer half-lives keep old demand, and the shortest one forgets new events. The uniform prior has two
strengths, since with few events it predicts best, and a newer restart would seem better only because it has fewer
events.

A part of the first count of every item is reserved for unseen items: the more of these there were, the more are to
come; without it one unseen item would outweigh ten well-predicted visits.

Two weighted sums of the popularities also take part, with weights learned online: part of the demand may be for new
items, part for lasting ones.

Source: mixture of experts with a fixed share (Herbster and Warmuth 1998, "Tracking the best expert"); the sums by
online expectation maximisation (Cappé and Moulines 2009); the reserved part by absolute discounting (Ney, Essen and
Kneser 1994).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.arrays import Floats
from recommendations.evaluation.item_events import ItemCatalogue, ItemEvents

SHORTEST_SHARE = 1 / 200  # of the past, that the newest window takes
LONGEST_SHARE, LONGEST_DAYS = 1 / 10, 14.0  # of the past, and days, that a window takes at most
N_GROWING = 60  # windows from the shortest to the longest
FIRST_SHARE = 1 / 4  # of the past, that is only learned from
BACK_OFF = 5.0  # events of what stands in for the unknown that a popularity begins with
DISCOUNT = 0.5  # of the first count of each item, left for items not seen yet: the more of these, the more are to come
UNIFORM = 0.5  # events on every item, that the longest begins with
CHANGES = 1.0  # expected in all of the past
ANEW = 0.5  # of the weight that changes hands, which goes to popularities that know nothing from before
FIRMNESS = np.array([5.0, 50.0])  # events of chance alone that restarts begin with
N_RESTARTS = 2 * len(FIRMNESS)  # that begin at each moment: of people, and of those like those asked about
MOST_MOMENTS = 12  # of older restarts that are remembered
VISITS_TO_LEARN = np.array([30.0, 300.0])  # what a sum of popularities, each for a part of the demand, is made of
MOST_VISITS = 100.0  # that a window counts as: visits of one time are alike
ENOUGH_VISITS = 50.0  # of users like those asked about, with fewer, everybody's are predicted
N_COUNTS = 3  # events, people, people like those asked about
PARTS = 10  # of the past, in each of which every user counts the same


@dataclass(frozen=True, eq=False)
class AdaptingDemand:
    """The prediction of the mixture.

    Attributes:
        log_shares: Logarithm of each item's share of the demand, finite, shape (n_items,).
        half_life_days: Typical half-life, by what is counted; at most the length of the past.
    """

    log_shares: Floats
    half_life_days: float


def adapting_demand(
    events: ItemEvents,
    catalogue: ItemCatalogue,
    day: float,
    half_lives_days: Sequence[float],
    is_alike: NDArray[np.bool_],
    *,
    unseen_only: bool,
) -> AdaptingDemand:
    """Return the demand just before a day.

    Args:
        events: All before the day.
        catalogue: Of the items, which were not available at all times.
        day: Cutoff.
        half_lives_days: Of the popularities; an infinite one is added.
        is_alike: Events of users who then were like those to predict, shape (n_events,). Their visits are predicted, if
            there are enough.
        unseen_only: Predict only items that a user had not had before.
    """
    order = np.argsort(events.days, kind="stable")
    past, is_alike = events.take(order), is_alike[order]
    if not len(past):
        return AdaptingDemand(np.zeros(events.n_items), np.inf)
    half_lives = np.array([np.inf, *sorted(half_lives_days, reverse=True)])
    counts, visits = _Counts(past, half_lives, is_alike), _Visits.of(past, day)
    restarts = _Restarts(past, counts.days_of_same_pair, is_alike)
    is_target = _is_to_predict(counts, visits, is_alike, unseen_only=unseen_only)
    n_visits = max(visits.weights[is_target].sum(), 1.0)
    experts = _Experts.at_first(len(half_lives), float(n_visits))
    for begin, end in pairwise(_edges(float(past.days[0]), day)):
        is_live = catalogue.is_live(begin)
        asked = np.flatnonzero(is_target & (visits.days >= begin) & (visits.days < end) & is_live[past.items])
        visited = np.bincount(past.items[asked], visits.weights[asked], events.n_items)
        if visited.any():
            items = np.flatnonzero(visited)  # each once, however many millions of events a window has
            shares = _shares(counts.before(begin), is_live, items), restarts.shares(begin, is_live, items)
            experts.learn(*shares, visited[items].astype(np.float64))
            restarts.begin(end, experts.forget_least(MOST_MOMENTS))
    is_live, items, weights = catalogue.is_live(day), np.arange(events.n_items), experts.weights()
    shares = _shares(counts.before(day), is_live, items), restarts.shares(day, is_live, items)
    memories = np.concatenate([np.tile(half_lives, 2 * N_COUNTS), restarts.half_lives(day)])
    typical = np.exp2(weights @ np.log2(np.clip(memories, 1e-9, day - past.days[0] + 1e-9)))
    return AdaptingDemand(np.log(weights[: len(shares[0])] @ shares[0] + weights[len(shares[0]) :] @ shares[1]),
                          float(typical))  # fmt: skip


@dataclass
class _Experts:
    """Popularities, blends of them with several learning rates, and restarts, with their weights.

    Attributes:
        blends: Shares of the popularities in each blend, shape (n_blends, n_members).
        log_weights: Of the popularities, then of the blends, then of the restarts, shape (n_experts,).
        n_visits: Weight of all visits to learn from.
    """

    blends: Floats
    log_weights: Floats
    n_visits: float

    @classmethod
    def at_first(cls, n_half_lives: int, n_visits: float) -> _Experts:
        n_members = 2 * N_COUNTS * n_half_lives
        n_experts = n_members + len(VISITS_TO_LEARN)
        blends = np.full((len(VISITS_TO_LEARN), n_members), 1.0 / n_members)
        return cls(blends, np.full(n_experts, -np.log(n_experts)), n_visits)

    @property
    def n_lasting(self) -> int:
        """Number of popularities and blends."""
        return sum(self.blends.shape)

    def learn(self, shares: Floats, restarted: Floats, visited: Floats) -> None:
        """Update the weights by the visits of one time, and redistribute a part; new restarts are appended.

        Args:
            shares: Of items, by popularities, shape (n_members, n).
            restarted: The same by restarts, shape (n_restarts, n).
            visited: Visits of the items, shape (n,).
        """
        n = visited.sum()
        blended = self.blends @ shares
        predicted = np.concatenate([shares, blended, restarted])
        self.log_weights += np.log(predicted) @ visited * min(1.0, MOST_VISITS / n)
        self.log_weights -= np.logaddexp.reduce(self.log_weights)
        change = -np.expm1(-CHANGES * n / self.n_visits)
        stay, lasting = np.log1p(-change) + self.log_weights, self.n_lasting
        stay[:lasting] = np.logaddexp(stay[:lasting], np.log(change * (1 - ANEW) / lasting))
        self.log_weights = np.append(stay, np.full(N_RESTARTS, np.log(change * ANEW / N_RESTARTS)))
        due = self.blends * ((visited / blended) @ shares.T) / n
        self.blends += (1 - np.exp(-n / VISITS_TO_LEARN))[:, None] * (due - self.blends)

    def forget_least(self, n: int) -> NDArray[np.bool_]:
        """Drop the restarts of least weight, except those of n times and the newest; returns which old times are
        kept."""
        of_moments = self.log_weights[self.n_lasting :].reshape(-1, N_RESTARTS)[:-1]
        is_kept = np.ones(len(of_moments), bool)
        is_kept[np.argsort(-np.logaddexp.reduce(of_moments, axis=1), kind="stable")[n:]] = False
        is_remembered = np.concatenate([np.ones(self.n_lasting, bool), np.repeat(np.append(is_kept, True), N_RESTARTS)])
        self.log_weights = self.log_weights[is_remembered]
        self.log_weights -= np.logaddexp.reduce(self.log_weights)
        return is_kept

    def weights(self) -> Floats:
        """Return the weights of popularities and restarts, with those of blends divided among their members; they
        sum to 1."""
        weights, n_members = np.exp(self.log_weights), self.blends.shape[1]
        of_blends = weights[n_members : self.n_lasting] @ self.blends
        return np.append(weights[:n_members] + of_blends, weights[self.n_lasting :])


class _Restarts:
    """Users who had each item since some times: the demand if all of it changed then. Days must be requested in
    order."""

    def __init__(self, events: ItemEvents, days_of_same_pair: Floats, is_alike: NDArray[np.bool_]) -> None:
        """``events`` are in order of time."""
        self._events, self._days_of_same_pair, self._is_alike = events, days_of_same_pair, is_alike
        # of all people and of those like those asked about
        self._counts, self._since, self._n = np.zeros((0, 2, events.n_items)), np.zeros(0), 0

    def begin(self, day: float, is_kept: NDArray[np.bool_]) -> None:
        """Add a restart at one more time, and drop those not kept."""
        self._count_until(day)
        self._counts = np.concatenate([self._counts[is_kept], np.zeros((1, 2, self._events.n_items))])
        self._since = np.append(self._since[is_kept], day)

    def _count_until(self, day: float) -> None:
        n = int(np.searchsorted(self._events.days, day, side="left"))
        fresh = slice(self._n, n)
        items, before, is_alike = self._events.items[fresh], self._days_of_same_pair[fresh], self._is_alike[fresh]
        for counts, since in zip(self._counts, self._since, strict=True):
            is_first = before < since
            for own, is_counted in zip(counts, (is_first, is_first & is_alike), strict=True):
                np.add.at(own, items[is_counted], 1.0)
        self._n = n

    def shares(self, day: float, is_live: NDArray[np.bool_], items: NDArray[np.intp]) -> Floats:
        """Return the share of each of some items in the demand for available ones, shape (n_moments * N_RESTARTS,
        n_of_items); > 0."""
        self._count_until(day)
        known = _Known.of(self._counts, is_live, items)
        each = [known.shares(1.0 / known.n_live, firmness) for firmness in FIRMNESS]
        return np.concatenate(each, axis=1).reshape(-1, len(items))

    def half_lives(self, day: float) -> Floats:
        """Return half-lives of popularities of equal length, shape (n_moments * N_RESTARTS,): about 0.7 of the time
        since."""
        return np.repeat(np.log(2) * (day - self._since), N_RESTARTS)


def _is_to_predict(
    counts: _Counts, visits: _Visits, is_alike: NDArray[np.bool_], *, unseen_only: bool
) -> NDArray[np.bool_]:
    """Mark the events to predict, shape (n_events,): those of users like those to predict, if there are enough."""
    is_target = np.isinf(counts.days_of_same_pair) if unseen_only else np.ones(len(is_alike), bool)
    is_enough = visits.weights[is_target & is_alike].sum() >= ENOUGH_VISITS
    return is_target & is_alike if is_enough else is_target


def _edges(first: float, day: float) -> list[float]:
    """Return the ends of consecutive windows up to a day, oldest first: the newest are short, earlier ones longer."""
    span = day - first
    shortest, longest = span * SHORTEST_SHARE, min(span * LONGEST_SHARE, LONGEST_DAYS)
    lengths = np.geomspace(shortest, max(longest, shortest), N_GROWING)
    back = np.concatenate([[0.0], np.cumsum(lengths), np.arange(lengths.sum(), span, longest)[1:]])
    edges: list[float] = (day - back[back <= span * (1 - FIRST_SHARE)])[::-1].tolist()
    return edges


@dataclass(frozen=True, eq=False)
class _Visits:
    """Events grouped into visits: events of one user on one day happen together.

    Attributes:
        days: Day of the first event of each event's visit, shape (n_events,).
        weights: Weight of each event, in visits; in each part of the past every user has the same total.
    """

    days: Floats
    weights: Floats

    @classmethod
    def of(cls, events: ItemEvents, day: float) -> _Visits:
        visit = _groups(events.users, np.floor(events.days))
        first = np.full(visit.max() + 1, np.inf)
        np.minimum.at(first, visit, events.days)
        length = max(day - float(events.days.min()), 1e-9) / PARTS
        part = _groups(events.users, np.floor((day - events.days) / length))
        weights = 1.0 / np.bincount(part)[part]
        return cls(first[visit], weights * len(first) / weights.sum())


def _groups(users: NDArray[np.intp], times: Floats) -> NDArray[np.intp]:
    """Number each pair of a user and a time; shape as given."""
    numbers: NDArray[np.intp] = np.unique(np.column_stack([users, times]), axis=0, return_inverse=True)[1].ravel()
    return numbers


def ordinals(events: ItemEvents) -> NDArray[np.intp]:
    """Return how many events each event's user had before it, shape (n_events,)."""
    order = np.lexsort((events.days, events.users))
    users = events.users[order]
    found = np.empty(len(events), np.intp)
    found[order] = np.arange(len(events)) - np.searchsorted(users, users, side="left")
    return found


class _Counts:
    """Decayed events on each item, and users who had it, for each half-life; times must be requested in order."""

    def __init__(self, events: ItemEvents, half_lives: Floats, is_alike: NDArray[np.bool_]) -> None:
        """``events`` are in order of time, at least one."""
        self._events, self._half_lives, self._is_alike = events, half_lives, is_alike
        self._counts = np.zeros((N_COUNTS, len(half_lives), events.n_items))
        self._n, self._day = 0, float(events.days[0])
        order = np.lexsort((np.arange(len(events)), events.items, events.users))
        users, items = events.users[order], events.items[order]
        again = np.flatnonzero((users[1:] == users[:-1]) & (items[1:] == items[:-1]))
        self.days_of_same_pair = np.full(len(events), -np.inf)  # when the user had the item the time before
        self.days_of_same_pair[order[again + 1]] = events.days[order[again]]

    def before(self, day: float) -> Floats:
        """Return counts before a day, shape (N_COUNTS, n_half_lives, n_items), valid until the next call."""
        n = int(np.searchsorted(self._events.days, day, side="left"))
        fresh = slice(self._n, n)
        items, before = self._events.items[fresh], self.days_of_same_pair[fresh]
        is_again = np.isfinite(before)
        ages, ages_before = day - self._events.days[fresh], day - before[is_again]
        for row, half_life in enumerate(self._half_lives):
            self._counts[:, row] *= np.exp2(-(day - self._day) / half_life)
            strengths = np.exp2(-ages / half_life)
            by_items = np.bincount(items, strengths * self._events.weights[fresh], self._events.n_items)
            self._counts[0, row] += by_items
            strengths[is_again] -= np.exp2(-ages_before / half_life)
            self._counts[1, row] += np.bincount(items, strengths, self._events.n_items)
            self._counts[2, row] += np.bincount(items, strengths * self._is_alike[fresh], self._events.n_items)
        np.maximum(self._counts, 0.0, out=self._counts)
        self._n, self._day = n, day
        return self._counts


def _shares(counts: Floats, is_live: NDArray[np.bool_], items: NDArray[np.intp]) -> Floats:
    """Return the share of each of some items in the demand for available ones, shape (n_members, n_of_items); > 0."""
    known = _Known.of(counts, is_live, items)
    backed = np.empty_like(known.counted)
    prior, firmness = np.full((len(counts), len(items)), 1.0 / known.n_live), UNIFORM * known.n_live
    for row in range(counts.shape[1]):
        backed[:, row] = known.shares(prior, firmness, np.s_[:, row])
        prior, firmness = backed[:, row], BACK_OFF
    return np.concatenate([known.shares(1.0 / known.n_live, BACK_OFF), backed]).reshape(-1, len(items))


@dataclass(frozen=True, eq=False)
class _Known:
    """Counts of items, with a part of each item's first count reserved for unseen items.

    Attributes:
        counted: Counts of some items after the discount, shape (..., n_of_items).
        totals: Of all available items, before the discount, shape (...).
        discounts: Sum of the discounts, same shape.
        n_live: Number of available items, at least 1.
    """

    counted: Floats
    totals: Floats
    discounts: Floats
    n_live: int

    @classmethod
    def of(cls, counts: Floats, is_live: NDArray[np.bool_], items: NDArray[np.intp]) -> _Known:
        live, of_items = is_live.astype(np.float64), counts[..., items]
        taken = DISCOUNT * np.minimum(counts, 1.0)
        return cls(of_items - taken[..., items], counts @ live, taken @ live, max(int(is_live.sum()), 1))

    def shares(self, prior: Floats | float, firmness: float, at: Any = ...) -> Floats:
        """Return shares of the items; the reserved part is divided by a prior, which counts as ``firmness`` more."""
        totals, discounts = self.totals[at][..., None], self.discounts[at][..., None]
        shares: Floats = (self.counted[at] + (firmness + discounts) * prior) / (totals + firmness)
        return shares
