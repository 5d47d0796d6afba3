"""Choices of cars that a buyer opened from search results, where the served list is not known.

The search's conditions are evidence of their own, field by field (``searches``). The opened car was chosen among the
search results; compared with the whole stock it would repeat that evidence, and add attributes that the results share
(price, age) but the buyer did not choose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from catalog.filters import ListingFilters
from recommendations.buyers.searches import SEARCHED_AMONG
from recommendations.buyers.sessions import sessions_of
from recommendations.events.rows import EventRows, ShownBeside
from recommendations.listings.snapshot import ListingSnapshot

Searches = dict[int, ListingFilters]


def searches_that_found(
    events: EventRows, queries: Mapping[int, Mapping[str, Any] | None], snapshot: ListingSnapshot
) -> Searches:
    """Return by event id the newest earlier search of the session that finds the event's car.

    Text conditions are ignored, since the texts of that time are not known. ``events`` are all of some buyers, oldest
    first.
    """
    sessions = sessions_of(events.buyer_ids, events.occurred_at)
    order = np.argsort(sessions, kind="stable")
    ids, sessions, rows = events.ids[order], sessions[order], snapshot.stock.rows_of(events.listing_ids[order])
    ends = np.searchsorted(sessions, sessions, side="right")
    found: Searches = {}
    for at in np.flatnonzero(events.listing_ids[order] == 0).tolist():
        later = np.arange(at + 1, ends[at])
        later = later[rows[later] >= 0]
        # most searches are the last event of their session, and to read a query takes longer than to see that
        if len(later) and (asked := replace(ListingFilters.from_query(queries.get(int(ids[at]))), text="")):
            is_met = snapshot.columns.matching(asked, rows[later])
            found |= dict.fromkeys(ids[later[is_met]].tolist(), asked)
    return found


def others_found(events: EventRows, searches: Searches, snapshot: ListingSnapshot, n: int) -> ShownBeside:
    """Return up to ``n`` other cars that each search would have found, as alternatives to the event's car.

    They are drawn uniformly from those for sale then, at the position of the chosen car, since their order is not
    known. The stock is filtered once for each search rather than for each car: many cars are opened from one search,
    and readers of the index wait while a preference is computed.
    """
    stock, parts = snapshot.stock, [(np.empty(0, np.int64), np.empty(0, np.int64))]
    moments = stock.settled(events.occurred_at)
    openings: dict[ListingFilters, list[int]] = {}
    for at in np.flatnonzero(np.isin(events.ids, list(searches))).tolist():
        openings.setdefault(searches[int(events.ids[at])], []).append(at)
    for asked, ats in openings.items():
        meeting = np.flatnonzero(snapshot.columns.matching(asked))
        for at in ats:
            event_id = int(events.ids[at])
            rows = stock.shuffled_live_among(meeting, float(moments[at]), event_id, n + 1, SEARCHED_AMONG)
            others = stock.listing_ids[rows]
            others = others[others != events.listing_ids[at]][:n]
            parts.append((np.full(len(others), event_id), others))
    event_ids, listing_ids = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    ones = np.ones(len(event_ids), np.int64)
    return ShownBeside.joined([ShownBeside(event_ids, listing_ids, ones, ones, np.zeros(len(event_ids), bool))])
