"""The events that a training learns from, in partitions of whole buyers.

A computation over all events runs on each partition, in this process or on a cluster (``cluster``), and the results are
combined here. A partition holds the buyers of a range of ids, so results combined in order are sorted by buyer.
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
    """Counts of some events: events, buyers, the last event id (0: none), the newest time (epoch seconds)."""

    n_events: int
    n_buyers: int
    last_id: int
    newest_at: float

    def plus(self, other: Counts) -> Counts:
        """The counts together with those of events of other buyers."""
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
        """Ids of all buyers with events, sorted."""
        return self.gathered(buyers_in)

    def before(self, cutoff: float) -> PartedEvents:
        """The events before a time (epoch seconds)."""
        return PartedEvents(self.parts.anew(EventRows.before, cutoff))

    def total(self, count: Callable[..., NDArray[Any]], *beside: Any) -> NDArray[Any]:
        """The sum of ``count(events, *beside)`` over the partitions."""
        return self.parts.total_of(count, operator.add, *beside)

    def gathered(self, find: Callable[..., NDArray[Any]], *beside: Any) -> NDArray[Any]:
        """The results of ``find(events, *beside)`` of each partition, concatenated."""
        return np.concatenate(self.parts.map(find, *beside).collect())


def read_parted(where: Executor, since: datetime, events_per_partition: int) -> PartedEvents:
    """Read the events since a time; on a cluster, each worker reads the partitions it holds.

    The partitions are a function of the log and ``events_per_partition``, the same in this process and on a cluster.
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
    """The events of the buyers with ids from the first up to, but excluding, the second."""
    return read_events_of(since, *buyer_ids, last_id)


def n_partitions(n_events: int, events_per_partition: int) -> int:
    return max(1, -(-n_events // events_per_partition))


def counts_of(events: EventRows) -> Counts:
    return Counts(len(events), events.n_buyers, events.last_id, float(events.occurred_at.max(initial=-np.inf)))


def buyers_in(events: EventRows) -> NDArray[np.int64]:
    return np.unique(events.buyer_ids)


def divided(events: EventRows, n_parts: int) -> list[EventRows]:
    """Divide events into partitions of whole buyers and about equal size; fewer where there are fewer buyers."""
    if n_parts == 1:
        return [events]
    buyers, counts = np.unique(events.buyer_ids, return_counts=True)
    firsts = first_buyers(buyers, counts, n_parts)
    number = np.searchsorted(firsts, events.buyer_ids, side="right") - 1
    order = np.argsort(number, kind="stable")
    ends = np.searchsorted(number[order], np.arange(1, len(firsts)))
    return [events.take(at) for at in np.split(order, ends)]


def first_buyers(buyers: NDArray[np.int64], counts: NDArray[np.int64], n_parts: int) -> NDArray[np.int64]:
    """The first buyer id of each partition, ascending, from sorted buyer ids and their numbers of events."""
    before = np.cumsum(counts) - counts
    wanted = np.arange(n_parts) * counts.sum() / n_parts
    places = np.unique(np.searchsorted(before, wanted).clip(max=len(buyers) - 1))
    firsts: NDArray[np.int64] = buyers[places]
    return firsts


def widened(values: NDArray[Any], width: int, fill: float) -> NDArray[Any]:
    """Rows of the same length, filled up on the right."""
    return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=fill)
