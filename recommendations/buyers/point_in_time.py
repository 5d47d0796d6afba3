"""The state of buyers and of the market at a time in the past, in the form in which serving uses the current one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from recommendations.buyers.context import HISTORY_DECAY, HISTORY_LENGTH
from recommendations.buyers.histories import choice_sets_of, longest_dwell
from recommendations.buyers.sessions import one_per_occasion
from recommendations.engine.arrays import first_of_runs
from recommendations.engine.demand import demand_counts
from recommendations.engine.features import BuyerFeatures, Market
from recommendations.engine.logit import NewtonConfig
from recommendations.engine.taste import posterior_batch
from recommendations.events.rows import EventRows
from recommendations.listings.snapshot import ListingSnapshot

EVENTS_PER_BUYER = 40
SAMPLED_ALTERNATIVES = 20
COARSE_NEWTON = NewtonConfig(tolerance=1e-3)  # what remains after such a step is far below what a list could show


def weights_of(events: EventRows) -> NDArray[np.float64]:
    """Return the weight of each event's kind, shape (n_events,): negative for a dislike, 0 for a removed kind."""
    kinds = events.log.kinds()
    return np.array([kinds[kind].weight if kind in kinds else 0.0 for kind in events.kinds], np.float64)


def without_repeats(events: EventRows) -> EventRows:
    """Keep one event on a car in each session, the strongest, so that a reloaded page takes the place of no other
    event among the newest ones. Searches are kept."""
    subjects = np.where(events.listing_ids > 0, events.listing_ids, -events.ids)
    dwell_seconds = longest_dwell(events, subjects)  # which another event than the first may have said
    counts = one_per_occasion(events.buyer_ids, subjects, events.occurred_at, weights_of(events))
    return replace(events, dwell_seconds=dwell_seconds).take(counts)


def market_at(snapshot: ListingSnapshot, events: EventRows, as_of: float) -> Market:
    """Return the market with its demand before a time; later events are ignored."""
    return Market.at(snapshot.listing_features, as_of, demand_at(events, snapshot, as_of))


def demand_at(events: EventRows, snapshot: ListingSnapshot, as_of: float) -> NDArray[np.float64]:
    """Return the demand for each row before a time, shape (n_rows,); demand of disjoint sets of buyers adds up."""
    rows = snapshot.stock.rows_of(events.listing_ids)
    return demand_counts(rows, events.occurred_at, weights_of(events), as_of, len(snapshot), events.buyer_ids)


def buyer_features_at(
    snapshot: ListingSnapshot,
    events: EventRows,
    buyer_ids: NDArray[np.int64],
    as_of: float,
    events_per_buyer: int = EVENTS_PER_BUYER,
) -> dict[int, BuyerFeatures]:
    """Return the features of each buyer as of a time, by buyer id; a cold buyer has the population's preference.

    Each buyer has a single interest here, because finding several takes ten times as long as all the rest.

    Args:
        snapshot: The listings and their vectors.
        events: The log; later events are ignored.
        buyer_ids: Shape (n_buyers,).
        as_of: Epoch seconds.
        events_per_buyer: Number of newest events that a preference is computed from. Serving uses more (the setting
            ``EVENTS_PER_BUYER``), for which a training's test has no time.
    """
    earlier = events.before(as_of).of_buyers(buyer_ids)
    sets = choice_sets_of(
        without_repeats(earlier).newest_per_buyer(events_per_buyer),
        snapshot,
        datetime.fromtimestamp(as_of, UTC),
        SAMPLED_ALTERNATIVES,
    )
    tastes = dict(zip(sets, posterior_batch(list(sets.values()), snapshot.ranker.prior, COARSE_NEWTON), strict=True))
    histories, locations = histories_in(snapshot, earlier), events.log.locations(buyer_ids.tolist())
    nothing = np.empty(0, np.int32), np.empty(0)
    return {
        buyer_id: BuyerFeatures(
            tastes[buyer_id].mean if buyer_id in tastes else snapshot.ranker.prior.mean,
            history=histories.get(buyer_id, nothing),
            location=locations.get(buyer_id),
            is_personal=buyer_id in tastes,
            n_cars=len(histories.get(buyer_id, nothing)[0]),
        )
        for buyer_id in buyer_ids.tolist()
    }


def histories_in(
    snapshot: ListingSnapshot, events: EventRows
) -> dict[int, tuple[NDArray[np.int32], NDArray[np.float64]]]:
    """Return archetypes of the cars each buyer acted on lately, newest first, and their strengths, as ``context``
    does."""
    rows, weights = snapshot.stock.rows_of(events.listing_ids), weights_of(events)
    used = np.flatnonzero((weights > 0) & (rows >= 0))[::-1]
    # each car once, where it was opened last, by the strongest event
    by_car = used[np.lexsort((-used, rows[used], events.buyer_ids[used]))]
    firsts = np.flatnonzero(first_of_runs(events.buyer_ids[by_car], rows[by_car]))
    cars = by_car[firsts]
    if len(cars):
        weights[cars] = np.maximum.reduceat(weights[by_car], firsts)
    used = np.sort(cars)[::-1]
    order = used[np.argsort(events.buyer_ids[used], kind="stable")]
    starts = np.flatnonzero(np.diff(events.buyer_ids[order], prepend=-1))
    return {
        int(events.buyer_ids[at[0]]): (snapshot.archetypes[rows[at]], weights[at] * HISTORY_DECAY ** np.arange(len(at)))
        for at in (part[:HISTORY_LENGTH] for part in np.split(order, starts[1:]))
        if len(at)
    }
