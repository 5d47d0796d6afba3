"""Which car a buyer opened after another one, among those shown beside it: what "similar" can be learned from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recommendations.buyers.histories import SHOWN_AT_MOST, padded_lists
from recommendations.buyers.point_in_time import weights_of
from recommendations.buyers.sessions import one_per_occasion, sessions_of
from recommendations.engine.choice_sets import position_offsets
from recommendations.engine.evidence import PADDING
from recommendations.engine.similarity import LEARNED, CoViews, field_gaps
from recommendations.engine.table import ListingTable
from recommendations.events.rows import EventRows
from recommendations.listings.snapshot import ListingSnapshot

CO_VIEWS_AT_MOST = 5_000  # the newest; more would cost time and hardly move the weights


def co_views_in(events: EventRows, snapshot: ListingSnapshot, table: ListingTable) -> CoViews:
    """Pairs of cars that were opened one after the other in a session, the second from a list.

    The alternatives are what the list showed beside the second car, with the learned bias of the positions, so that
    what we chose to show is not taken for what belongs together.

    Args:
        events: Of any buyers, oldest first.
        snapshot: In which every listing of the table has the row of that number.
        table: Every listing.
    """
    seen = events.take((events.listing_ids > 0) & (weights_of(events) > 0))
    first = one_per_occasion(seen.buyer_ids, seen.listing_ids, seen.occurred_at, np.ones(len(seen)))
    seen = seen.take(first)
    before, after = consecutive(seen)
    before, after = before[-CO_VIEWS_AT_MOST:], after[-CO_VIEWS_AT_MOST:]
    later = seen.take(after)
    order = np.argsort(later.ids)
    later, anchors = later.take(order), seen.listing_ids[before][order]
    beside = later.shown_beside(SHOWN_AT_MOST)
    shown = padded_lists(later.ids, beside.event_ids, snapshot.stock.rows_of(beside.listing_ids))
    rows = snapshot.stock.rows_of(beside.listing_ids)
    positions = padded_lists(later.ids, beside.event_ids, rows, beside.positions, fill=1)
    anchor_rows, chosen_rows = snapshot.stock.rows_of(anchors), snapshot.stock.rows_of(later.listing_ids)
    usable = np.flatnonzero((anchor_rows >= 0) & (chosen_rows >= 0) & (shown != PADDING).any(axis=1))
    if not len(usable):
        n_fields = len(LEARNED) + 1
        return CoViews(np.empty((0, 1, n_fields)), np.empty((0, 1), bool), np.empty((0, 1)))
    at = np.searchsorted(beside.event_ids, later.ids[usable])
    alternatives = np.column_stack([chosen_rows[usable], shown[usable]])
    places = np.column_stack([beside.chosen_positions[at], positions[usable]])
    available = alternatives != PADDING
    known = np.where(available, alternatives, chosen_rows[usable][:, None])
    anchor = np.broadcast_to(anchor_rows[usable][:, None], known.shape)
    gaps = field_gaps(snapshot.ranker.encoder, table, anchor, known)
    return CoViews(gaps, available, position_offsets(places, snapshot.ranker.position_bias))


def consecutive(events: EventRows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Positions of events that followed another one of the same session, and of those; by the time of the second."""
    sessions = sessions_of(events.buyer_ids, events.occurred_at)
    order = np.lexsort((events.occurred_at, sessions))
    follows = np.flatnonzero(sessions[order][1:] == sessions[order][:-1])
    before, after = order[follows], order[follows + 1]
    by_time = np.argsort(events.occurred_at[after], kind="stable")
    return before[by_time], after[by_time]
