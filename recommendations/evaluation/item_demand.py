"""Demand that adapts: popularity at several half-lives, mixed by how well each foretold the visits before a day.

What is wanted may last for months or change over night, and no half-life is right for both. Here every popularity
foretells the visits of the past, each from what came before it, and counts by how likely it made them: after a change
the short ones take over within some twenty visits, and where nothing changes the long ones rule.

Each half-life takes part six times. As counts of events; of people, which a heavy user does not move; and of people
who were like those who are asked about, new or known. And with the next longer one for what it knows nothing of, or
without: after a change, what was wanted before says nothing.

When something changes, half of the weight that changes hands goes to the shortest half-lives of people, with nothing
behind them: they begin anew, where the others would be believed for days.

Two sums of them take part too, learned on the way: half of the demand may be for what is new, half for what lasts.

Source: mixture of experts with a fixed share (Herbster and Warmuth 1998, "Tracking the best expert"); the sums by
online expectation maximisation (Cappé and Moulines 2009).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.arrays import Floats
from recommendations.evaluation.item_events import ItemCatalogue, ItemEvents

SHORTEST_SHARE = 1 / 200  # of the past, that the newest window takes
LONGEST_SHARE, LONGEST_DAYS = 1 / 10, 14.0  # of the past, and days, that a window takes at most
N_GROWING = 60  # windows from the shortest to the longest
FIRST_SHARE = 1 / 4  # of the past, that is only learned from
BACK_OFF = 5.0  # events of what stands in for the unknown that a popularity begins with
UNIFORM = 0.5  # events on every item, that the longest begins with
CHANGES = 1.0  # expected in all of the past
ANEW = 0.5  # of the weight that changes hands, which goes to popularities that know least from before
N_ANEW = 2  # the shortest half-lives, of people: of a change, a heavy user would make them believe
VISITS_TO_LEARN = np.array([30.0, 300.0])  # what a sum of popularities, each for a part of the demand, is made of
MOST_VISITS = 100.0  # that a window counts as: visits of one time are alike
ENOUGH_VISITS = 50.0  # of users like those asked about, with fewer, everybody's are foretold
N_COUNTS = 3  # events, people, people like those asked about
PARTS = 10  # of the past, in each of which every user counts the same


@dataclass(frozen=True, eq=False)
class AdaptingDemand:
    """What the mixture says.

    Attributes:
        log_shares: Logarithm of each item's share in the demand, finite, shape (n_items,).
        half_life_days: Typical of the popularities, by what they count; at most as long as the past.
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
    """The demand just before a day.

    Args:
        events: All before the day.
        catalogue: Of the items: what could not be had at a time was left out by no user.
        day: As of when.
        half_lives_days: Of the popularities; one that never fades is added.
        is_alike: Events of users who then were like those asked about, shape (n_events,). These are what is foretold,
            where they are enough.
        unseen_only: Only what a user had not had before is foretold.
    """
    order = np.argsort(events.days, kind="stable")
    past, is_alike = events.take(order), is_alike[order]
    half_lives = np.array([np.inf, *sorted(half_lives_days, reverse=True)])
    if not len(past):
        return AdaptingDemand(np.zeros(events.n_items), np.inf)
    counts, visits = _Counts(past, half_lives, is_alike), _Visits.of(past, day)
    is_target = _foretold(counts, visits, is_alike, unseen_only=unseen_only)
    n_visits = max(visits.weights[is_target].sum(), 1.0)
    experts = _Experts.at_first(len(half_lives), float(n_visits))
    for begin, end in pairwise(_edges(float(past.days[0]), day)):
        is_live = catalogue.is_live(begin)
        asked = np.flatnonzero(is_target & (visits.days >= begin) & (visits.days < end) & is_live[past.items])
        visited = np.bincount(past.items[asked], visits.weights[asked], events.n_items)
        if visited.any():
            items = np.flatnonzero(visited)  # each once, however many millions of events a window has
            experts.learn(_shares(counts.before(begin), is_live, items), visited[items].astype(np.float64))
    shares = _shares(counts.before(day), catalogue.is_live(day), np.arange(events.n_items))
    weights = experts.weights_of_members()
    typical = np.exp2(weights @ np.tile(np.log2(np.minimum(half_lives, day - past.days[0] + 1e-9)), 2 * N_COUNTS))
    return AdaptingDemand(np.log(weights @ shares), float(typical))


@dataclass
class _Experts:
    """Members, and blends of them that learn at several speeds; how much each is believed.

    Attributes:
        blends: Shares of the members in each blend, shape (n_blends, n_members).
        log_weights: Of the members, then of the blends, shape (n_members + n_blends,).
        after_change: Shares of the weight that changes hands when demand changes, in the same order.
        n_visits: Weight of all visits that will be learned from.
    """

    blends: Floats
    log_weights: Floats
    after_change: Floats
    n_visits: float

    @classmethod
    def at_first(cls, n_half_lives: int, n_visits: float) -> _Experts:
        n_members = 2 * N_COUNTS * n_half_lives
        n_experts = n_members + len(VISITS_TO_LEARN)
        return cls(
            np.full((len(VISITS_TO_LEARN), n_members), 1.0 / n_members),
            np.full(n_experts, -np.log(n_experts)),
            _shares_after_change(n_half_lives, n_experts),
            n_visits,
        )

    def learn(self, shares: Floats, visited: Floats) -> None:
        """Learn from the visits of one time: of members the shares of items, shape (n_members, n), and their visits."""
        n = visited.sum()
        blended = self.blends @ shares
        self.log_weights += np.log(np.concatenate([shares, blended])) @ visited * min(1.0, MOST_VISITS / n)
        self.log_weights -= np.logaddexp.reduce(self.log_weights)
        change = -np.expm1(-CHANGES * n / self.n_visits)
        self.log_weights = np.logaddexp(
            np.log1p(-change) + self.log_weights, np.log(change * self.after_change)
        )  # fmt: skip
        due = self.blends * ((visited / blended) @ shares.T) / n
        self.blends += (1 - np.exp(-n / VISITS_TO_LEARN))[:, None] * (due - self.blends)

    def weights_of_members(self) -> Floats:
        weights, n_members = np.exp(self.log_weights), self.blends.shape[1]
        return weights[:n_members] + weights[n_members:] @ self.blends


def _shares_after_change(n_half_lives: int, n_experts: int) -> Floats:
    """Of the weight that changes hands when demand changes, what each expert gets, shape (n_experts,); sums to 1."""
    begins_anew = np.zeros((2, N_COUNTS, n_half_lives))
    begins_anew[0, 1:, -N_ANEW:] = 1.0  # alone, and not backed by longer ones; of people, and not of events
    shares = np.full(n_experts, (1 - ANEW) / n_experts)
    shares[: begins_anew.size] += ANEW * begins_anew.ravel() / begins_anew.sum()
    return shares


def _foretold(counts: _Counts, visits: _Visits, is_alike: NDArray[np.bool_], *, unseen_only: bool) -> NDArray[np.bool_]:
    """Which events are foretold, shape (n_events,): those of users like those asked about, where they are enough."""
    is_target = np.isinf(counts.days_of_same_pair) if unseen_only else np.ones(len(is_alike), bool)
    is_enough = visits.weights[is_target & is_alike].sum() >= ENOUGH_VISITS
    return is_target & is_alike if is_enough else is_target


def _edges(first: float, day: float) -> list[float]:
    """Ends of consecutive windows up to a day, oldest first: the newest are short, those before ever longer."""
    span = day - first
    shortest, longest = span * SHORTEST_SHARE, min(span * LONGEST_SHARE, LONGEST_DAYS)
    lengths = np.geomspace(shortest, max(longest, shortest), N_GROWING)
    back = np.concatenate([[0.0], np.cumsum(lengths), np.arange(lengths.sum(), span, longest)[1:]])
    edges: list[float] = (day - back[back <= span * (1 - FIRST_SHARE)])[::-1].tolist()
    return edges


@dataclass(frozen=True, eq=False)
class _Visits:
    """Events as what is foretold: those of one user on one day happen at once.

    Attributes:
        days: Of the first event of each one's visit, shape (n_events,).
        weights: What each event counts, in visits; in each part of the past every user counts the same.
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
    """A number for each pair of a user and a time, shape as given."""
    numbers: NDArray[np.intp] = np.unique(np.column_stack([users, times]), axis=0, return_inverse=True)[1].ravel()
    return numbers


def ordinals(events: ItemEvents) -> NDArray[np.intp]:
    """How many events each one's user had before it, shape (n_events,)."""
    order = np.lexsort((events.days, events.users))
    users = events.users[order]
    found = np.empty(len(events), np.intp)
    found[order] = np.arange(len(events)) - np.searchsorted(users, users, side="left")
    return found


class _Counts:
    """Events on each item, and people who had it, each counting half after a half-life; moments are asked in order."""

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
        """Shape (N_COUNTS, n_half_lives, n_items), valid until the next question."""
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
    """Of the demand for what can be had, by each member for some items, shape (n_members, n_of_items); above 0."""
    totals = counts @ is_live.astype(np.float64)
    n_live = max(int(is_live.sum()), 1)
    of_items = counts[..., items]
    alone = (of_items + BACK_OFF / n_live) / (totals + BACK_OFF)[..., None]
    backed = np.empty_like(of_items)
    prior, firmness = np.full((len(counts), len(items)), 1.0 / n_live), UNIFORM * n_live
    for row in range(counts.shape[1]):
        backed[:, row] = (of_items[:, row] + firmness * prior) / (totals[:, row] + firmness)[:, None]
        prior, firmness = backed[:, row], BACK_OFF
    return np.concatenate([alone, backed]).reshape(-1, len(items))
