"""The asking prices of a car over time, and the price that the market model expects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from catalog.models import Listing
from recommendations.listings.index import borrow_index
from recommendations.listings.rows import exchange_rates, table_of

CHANGES_AT_MOST = 200


@dataclass(frozen=True)
class PriceHistory:
    """Prices in the listing's own currency.

    Attributes:
        steps: Time of each change and the price from then on, oldest first; empty where no price is known.
        typical: Price that the live ranker's price model expects; None without comparable cars.
    """

    steps: tuple[tuple[datetime, float], ...]
    typical: float | None


def price_history_of(listing: Listing) -> PriceHistory:
    changes = list(listing.price_changes.order_by("-changed_at")[:CHANGES_AT_MOST])[::-1]
    began = listing.published_at or listing.created_at
    first = changes[0].old_price if changes else listing.price
    steps = [] if first is None else [(began, float(first))]
    steps += [(max(change.changed_at, began), float(change.new_price)) for change in changes]
    return PriceHistory(tuple(steps), typical_price(listing))


def typical_price(listing: Listing) -> float | None:
    with borrow_index() as listing_index:
        if listing_index is None:
            return None
        expected = float(listing_index.ranker.prices.expect(table_of([listing]))[0])
    rate = float(exchange_rates([listing.currency])[0])
    return expected / rate if np.isfinite(expected) and np.isfinite(rate) and rate > 0 else None
