"""A log of events, lists and searches in memory, with the interface of the site's log."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommendations.events.rows import EventRows, ShownBeside
from recommendations.models import EventKind
from recommendations.models.arrays import as_objects

# As a new installation has them; a test compares.
KINDS: Mapping[str, EventKind] = {
    slug: EventKind(slug=slug, weight=weight, half_life_days=half_life_days, is_contact=slug == "contact")
    for slug, weight, half_life_days in (
        ("contact", 2.0, 60.0),
        ("favourite", 1.5, 45.0),
        ("view", 1.0, 30.0),
        ("search", 1.0, 21.0),
        ("dislike", -1.5, 60.0),
    )
}
NO_LIST = -1


class MemoryLog:
    """Events in the order in which they were recorded; ids count from ``first_id``. Events on cars name their list."""

    def __init__(self, first_id: int = 1) -> None:
        self.first_id = first_id
        self._lists: list[NDArray[np.int64]] = []  # listing ids in the order shown
        self._list_of: list[int] = []  # of each event
        self._queries: dict[int, dict[str, Any]] = {}
        self._rows: list[tuple[int, int, str, float]] = []  # buyer, listing, kind, epoch seconds
        self._events_of: dict[int, list[int]] = {}  # positions, by buyer

    def __len__(self) -> int:
        return len(self._list_of)

    def record_list(self, listing_ids: Sequence[int] | NDArray[np.int64]) -> int:
        """Record a list that was shown; returns its number, by which events name it."""
        self._lists.append(np.array(listing_ids, np.int64))
        return len(self._lists) - 1

    def record_event(self, buyer_id: int, kind: str, occurred_at: float, listing_id: int, of_list: int) -> None:
        """Record an event on a car of a list, at a time in epoch seconds."""
        self._record(buyer_id, kind, occurred_at, listing_id, of_list)

    def record_search(self, buyer_id: int, occurred_at: float, query: Mapping[str, Any]) -> None:
        """Record a search, in the words of ``ListingFilters.as_query``."""
        self._queries[self.first_id + len(self)] = dict(query)
        self._record(buyer_id, "search", occurred_at, 0, NO_LIST)

    def _record(self, buyer_id: int, kind: str, occurred_at: float, listing_id: int, of_list: int) -> None:
        self._events_of.setdefault(buyer_id, []).append(len(self))
        self._rows.append((buyer_id, listing_id, kind, occurred_at))
        self._list_of.append(of_list)

    def events(self, buyer_ids: Collection[int] | None = None, newest: int | None = None) -> EventRows:
        """Return every event, or the newest of each of some buyers; oldest first."""
        if buyer_ids is None:
            at = np.arange(len(self))
        else:
            parts = [self._events_of.get(key, [])[-(newest or len(self) or 1) :] for key in buyer_ids]
            at = np.array([position for part in parts for position in part], np.intp)
        found = [self._rows[position] for position in at.tolist()]
        rows = EventRows(
            ids=at + self.first_id,
            buyer_ids=np.array([buyer_id for buyer_id, _, _, _ in found], np.int64),
            listing_ids=np.array([listing_id for _, listing_id, _, _ in found], np.int64),
            kinds=as_objects([kind for _, _, kind, _ in found]),
            occurred_at=np.array([occurred_at for _, _, _, occurred_at in found], np.float64),
            log=self,
        )
        return rows.take(np.lexsort((rows.ids, rows.occurred_at)))

    # --- the protocol ``EventLog``

    def kinds(self) -> Mapping[str, EventKind]:
        return KINDS

    def queries(self, event_ids: NDArray[np.int64]) -> dict[int, dict[str, Any] | None]:
        return {key: self._queries[key] for key in event_ids.tolist() if key in self._queries}

    def locations(self, buyer_ids: Collection[int]) -> dict[int, tuple[float, float]]:
        """Return no locations: the simulated clients do not send them."""
        return {}

    def filters_of_lists(self, event_ids: NDArray[np.int64]) -> dict[int, dict[str, Any]]:
        """Return no filters: the simulated clients filter by searches only."""
        return {}

    def shown_beside(self, event_ids: NDArray[np.int64], at_most: int) -> ShownBeside:
        parts: list[tuple[NDArray[np.int64], ...]] = []
        for event_id in np.sort(event_ids).tolist():
            if self._list_of[event_id - self.first_id] != NO_LIST:
                parts.append(self._beside(event_id, at_most))
        columns = [np.concatenate([np.empty(0, np.int64), *column]) for column in zip(*parts, strict=True)]
        of_event, listing_ids, positions, chosen = columns or [np.empty(0, np.int64)] * 4
        return ShownBeside(of_event, listing_ids, positions, chosen, np.zeros(len(of_event), bool))

    def _beside(self, event_id: int, at_most: int) -> tuple[NDArray[np.int64], ...]:
        """Return the columns of ``ShownBeside`` for one event, except the last."""
        event = event_id - self.first_id
        shown, listing_id = self._lists[self._list_of[event]], self._rows[event][1]
        stood_at = np.flatnonzero(shown == listing_id)
        ids = shown[:at_most]
        at = np.flatnonzero(ids != listing_id) if len(stood_at) else np.empty(0, np.intp)
        chosen = int(stood_at[0]) + 1 if len(stood_at) else 0
        return (
            np.full(len(at), event_id),
            ids[at],
            at + 1,
            np.full(len(at), chosen),
        )
