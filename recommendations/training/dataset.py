"""The events that a training learns from, in partitions of whole buyers.

What is asked of all events is asked of each partition, wherever it is kept (``cluster``), and put together here. A
partition holds the buyers of a range of ids, so that what is put together in order is sorted by buyer.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.parts import LocalParts, Parts
from recommendations.events.rows import EventRows, count_events, read_events, read_events_of
from recommendations.training.cluster import Executor, InProcess


@dataclass(frozen=True)
class Counts:
    """What is known of some events: how many, of how many buyers, the last id (0: none) and the newest moment."""

    n_events: int
    n_buyers: int
    last_id: int
    newest_at: float

    def plus(self, other: Counts) -> Counts:
        """Of the events of other buyers too."""
        return Counts(
            self.n_events + other.n_events,
            self.n_buyers + other.n_buyers,
            max(self.last_id, other.last_id),
            max(self.newest_at, other.newest_at),
        )


@dataclass(frozen=True, eq=False)
class PartedEvents:
    """Events in partitions of whole buyers, each oldest first; partitions in the order of the buyers' ids."""

    parts: Parts[EventRows]

    @classmethod
    def of(cls, events: EventRows | PartedEvents) -> PartedEvents:
        """Events of this process as one partition."""
        return events if isinstance(events, PartedEvents) else cls(LocalParts([events]))

    def __len__(self) -> int:
        return self.counts.n_events

    @cached_property
    def counts(self) -> Counts:
        return self.parts.total_of(counts_of, Counts.plus)

    @cached_property
    def buyer_ids(self) -> NDArray[np.int64]:
        """Everybody who did something, sorted."""
        return self.gathered(buyers_in)

    def before(self, moment: float) -> PartedEvents:
        """Those before a moment (epoch seconds)."""
        return PartedEvents(self.parts.anew(EventRows.before, moment))

    def total(self, count: Callable[..., NDArray[Any]], *beside: Any) -> NDArray[Any]:
        """What ``count(events, *beside)`` finds in each partition, added up."""
        return self.parts.total_of(count, operator.add, *beside)

    def gathered(self, find: Callable[..., NDArray[Any]], *beside: Any) -> NDArray[Any]:
        """What ``find(events, *beside)`` finds in each partition, one after the other."""
        return np.concatenate(self.parts.map(find, *beside).collect())


def read_parted(where: Executor, since: datetime, events_per_partition: int) -> PartedEvents:
    """The log since a moment; on a cluster, each partition is read by the worker that keeps it.

    The partitions depend on the log and ``events_per_partition`` alone, not on where they are kept.
    """
    if isinstance(where, InProcess):
        events = read_events(since)
        return PartedEvents(where.parts(divided(events, n_partitions(len(events), events_per_partition))))
    buyers, counts, last_id = count_events(since)
    if not len(buyers):
        return PartedEvents.of(read_events(since))
    firsts = first_buyers(buyers, counts, n_partitions(int(counts.sum()), events_per_partition)).tolist()
    ranges = list(zip(firsts, [*firsts[1:], int(buyers[-1]) + 1], strict=True))
    return PartedEvents(where.parts(ranges).map(read_partition, since, last_id))


def read_partition(buyer_ids: tuple[int, int], since: datetime, last_id: int) -> EventRows:
    """The events of the buyers from one id up to, but without, another."""
    return read_events_of(since, *buyer_ids, last_id)


def n_partitions(n_events: int, events_per_partition: int) -> int:
    return max(1, -(-n_events // events_per_partition))


def counts_of(events: EventRows) -> Counts:
    return Counts(len(events), events.n_buyers, events.last_id, float(events.occurred_at.max(initial=-np.inf)))


def buyers_in(events: EventRows) -> NDArray[np.int64]:
    return np.unique(events.buyer_ids)


def divided(events: EventRows, n_parts: int) -> list[EventRows]:
    """Events in partitions of whole buyers, of about as many events each; fewer where there are fewer buyers."""
    if n_parts == 1:
        return [events]
    buyers, counts = np.unique(events.buyer_ids, return_counts=True)
    firsts = first_buyers(buyers, counts, n_parts)
    number = np.searchsorted(firsts, events.buyer_ids, side="right") - 1
    order = np.argsort(number, kind="stable")
    ends = np.searchsorted(number[order], np.arange(1, len(firsts)))
    return [events.take(at) for at in np.split(order, ends)]


def first_buyers(buyers: NDArray[np.int64], counts: NDArray[np.int64], n_parts: int) -> NDArray[np.int64]:
    """The id with which each partition begins, from buyers (sorted ids) and how many events each has; ascending."""
    before = np.cumsum(counts) - counts
    wanted = np.arange(n_parts) * counts.sum() / n_parts
    places = np.unique(np.searchsorted(before, wanted).clip(max=len(buyers) - 1))
    firsts: NDArray[np.int64] = buyers[places]
    return firsts


def widened(values: NDArray[Any], width: int, fill: float) -> NDArray[Any]:
    """Rows of the same length, filled up on the right."""
    return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=fill)
