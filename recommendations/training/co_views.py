"""Which car a buyer opened after another one, among those shown beside it: what "similar" can be learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.buyers.histories import SHOWN_AT_MOST, padded_lists
from recommendations.buyers.point_in_time import weights_of
from recommendations.buyers.sessions import one_per_occasion, sessions_of
from recommendations.engine.choice_sets import position_offsets
from recommendations.engine.evidence import PADDING
from recommendations.engine.parts import Each
from recommendations.engine.similarity import LEARNED, CoViews, field_gaps
from recommendations.engine.table import ListingTable
from recommendations.events.rows import EventRows
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.training.dataset import PartedEvents, widened

CO_VIEWS_AT_MOST = 5_000  # the newest; more would cost time and hardly move the weights


def co_views_in(events: EventRows | PartedEvents, snapshot: ListingSnapshot, table: ListingTable) -> CoViews:
    """Pairs of cars that were opened one after the other in a session, the second from a list.

    The alternatives are what the list showed beside the second car, with the learned bias of the positions, so that
    what we chose to show is not taken for what belongs together.

    Args:
        events: Of any buyers, oldest first.
        snapshot: In which every listing of the table has the row of that number.
        table: Every listing.
    """
    events = PartedEvents.of(events)
    pairs = events.parts.map(pairs_in)
    newest = newest_of(pairs.map(times_of).collect(), CO_VIEWS_AT_MOST)
    found = pairs.map(followed_in, events.parts.share(snapshot), Each(newest)).collect()
    width = max(part.alternatives.shape[1] for part in found)
    anchors = np.concatenate([part.anchors for part in found])
    alternatives, places = (
        np.concatenate([widened(getattr(part, name), width, fill) for part in found])
        for name, fill in (("alternatives", PADDING), ("places", 1))
    )
    if not len(anchors):
        n_fields = len(LEARNED) + 1
        return CoViews(np.empty((0, 1, n_fields)), np.empty((0, 1), bool), np.empty((0, 1)))
    available = alternatives != PADDING
    known = np.where(available, alternatives, alternatives[:, :1])
    anchor = np.broadcast_to(anchors[:, None], known.shape)
    gaps = field_gaps(snapshot.ranker.encoder, table, anchor, known)
    return CoViews(gaps, available, position_offsets(places, snapshot.ranker.position_bias))


@dataclass(frozen=True, eq=False)
class Pairs:
    """Events that followed another one of the same session, by their time; and the listings of those, same length."""

    later: EventRows
    listings_before: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Followed:
    """Cars that were opened after another one, with what the list of the second one showed.

    Attributes:
        anchors: Row of the car opened before, shape (n,).
        alternatives: Rows, the one that was opened first, ``PADDING`` after the last, shape (n, n_alternatives).
        places: In the list, 1 at the top, and in padding; same shape.
    """

    anchors: NDArray[np.intp]
    alternatives: NDArray[np.intp]
    places: NDArray[np.int64]


def pairs_in(events: EventRows) -> Pairs:
    """The newest pairs of a partition, as many as could be used altogether."""
    seen = events.take((events.listing_ids > 0) & (weights_of(events) > 0))
    first = one_per_occasion(seen.buyer_ids, seen.listing_ids, seen.occurred_at, np.ones(len(seen)))
    seen = seen.take(first)
    before, after = consecutive(seen)
    return Pairs(seen.take(after[-CO_VIEWS_AT_MOST:]), seen.listing_ids[before[-CO_VIEWS_AT_MOST:]])


def times_of(pairs: Pairs) -> NDArray[np.float64]:
    return pairs.later.occurred_at


def newest_of(times: Sequence[NDArray[np.float64]], n: int) -> list[int]:
    """How many of the last in each part belong to the newest n of all; equal ones by the order of the parts."""
    parts = np.repeat(np.arange(len(times)), [len(each) for each in times])
    newest = np.argsort(np.concatenate(times), kind="stable")[-n:]
    return [int(count) for count in np.bincount(parts[newest], minlength=len(times))]


def followed_in(pairs: Pairs, snapshot: ListingSnapshot, newest: int) -> Followed:
    """The newest pairs of a partition whose second car came from a list that is known."""
    at = np.arange(len(pairs.later))[len(pairs.later) - newest :]
    later, anchors = pairs.later.take(at), pairs.listings_before[at]
    order = np.argsort(later.ids)
    later, anchors = later.take(order), anchors[order]
    beside = later.shown_beside(SHOWN_AT_MOST)
    rows = snapshot.stock.rows_of(beside.listing_ids)
    shown = padded_lists(later.ids, beside.event_ids, rows)
    positions = padded_lists(later.ids, beside.event_ids, rows, beside.positions, fill=1)
    anchor_rows, chosen_rows = snapshot.stock.rows_of(anchors), snapshot.stock.rows_of(later.listing_ids)
    usable = np.flatnonzero((anchor_rows >= 0) & (chosen_rows >= 0) & (shown != PADDING).any(axis=1))
    first = np.searchsorted(beside.event_ids, later.ids[usable])
    return Followed(
        anchors=anchor_rows[usable],
        alternatives=np.column_stack([chosen_rows[usable], shown[usable]]),
        places=np.column_stack([beside.chosen_positions[first], positions[usable]]),
    )


def consecutive(events: EventRows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Positions of events that followed another one of the same session, and of those; by the time of the second."""
    sessions = sessions_of(events.buyer_ids, events.occurred_at)
    order = np.lexsort((events.occurred_at, sessions))
    follows = np.flatnonzero(sessions[order][1:] == sessions[order][:-1])
    before, after = order[follows], order[follows + 1]
    by_time = np.argsort(events.occurred_at[after], kind="stable")
    return before[by_time], after[by_time]
