"""Segments of the buyers of an offline test, so that the gate sees a loss that a mean over all buyers would hide."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from recommendations.buyers.point_in_time import weights_of
from recommendations.engine.arrays import Flags
from recommendations.events.rows import EventRows
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.training.dataset import PartedEvents
from recommendations.training.held_out_case import HeldOut

COLD, KNOWN = "cold buyers", "known buyers"
CATEGORIES = ("fuel", "body", "gearbox", "make", "seller_kind")
MOST_VALUES = 4  # of a category: those that most buyers chose
PRICE_BANDS = ("cheapest", "middle", "dearest")  # thirds of the candidates


def segments_of(snapshot: ListingSnapshot, case: HeldOut, events: PartedEvents) -> dict[str, Flags]:
    """Which buyers of a test belong to each segment: by what was known of them, and by the cars that they chose after
    the cutoff; shape (n_buyers,) each. A buyer who chose a diesel and an electric car belongs to both."""
    if not len(case):
        return {}
    is_known = np.isin(case.buyer_ids, events.gathered(buyers_before, case.cutoff))
    return {KNOWN: is_known, COLD: ~is_known} | dict(_by_chosen_cars(snapshot, case))


def buyers_before(events: EventRows, cutoff: float) -> NDArray[np.int64]:
    """Ids of the buyers who acted on a car before the cutoff; sorted."""
    is_counted = (events.listing_ids > 0) & (weights_of(events) > 0) & (events.occurred_at < cutoff)
    return np.unique(events.buyer_ids[is_counted])


def _by_chosen_cars(snapshot: ListingSnapshot, case: HeldOut) -> Iterator[tuple[str, Flags]]:
    buyers = np.repeat(np.arange(len(case)), [len(own) for own in case.relevant])
    rows = case.candidate_rows[np.concatenate(case.relevant)]

    def flags(of_pairs: Flags) -> Flags:
        return np.bincount(buyers[of_pairs], minlength=len(case)) > 0

    table = snapshot.columns.table(rows)
    for name in CATEGORIES:
        values = getattr(table, name)
        found = {str(value): flags(values == value) for value in set(values.tolist()) if value}
        common = sorted(found, key=lambda value: (-np.count_nonzero(found[value]), value))
        yield from ((f"{name} {value}", found[value]) for value in common[:MOST_VALUES])
    is_priced = np.isfinite(table.price)
    if is_priced.any():
        ends = np.nanquantile(snapshot.columns.numbers("price")[case.candidate_rows], [1 / 3, 2 / 3])
        for at, name in enumerate(PRICE_BANDS):
            yield f"the {name} third", flags(is_priced & (np.searchsorted(ends, table.price) == at))
