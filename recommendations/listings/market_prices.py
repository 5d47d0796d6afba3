"""Market prices of cars by the live ranker, in each listing's own currency."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cachetools import LRUCache

from catalog.currencies import exchange_rates
from catalog.models import Listing
from recommendations.engine.prices import CarPrices, Label, MarketPrice
from recommendations.listings.index import borrow_index
from recommendations.listings.rows import table_of


@dataclass(frozen=True)
class ListingMarketPrice:
    """The range of the middle 80 % of prices of such cars, and where the asking price lies; in ``currency``."""

    label: Label
    low: float
    median: float
    high: float
    currency: str


Basis = tuple[CarPrices, Mapping[str, float]]  # what prices were learned, and the rates


class Kept(NamedTuple):
    """The cached market price of a listing row (``serving.rows``); another row object may have another price."""

    listing: Listing
    basis: Basis
    price: ListingMarketPrice | None


PRICES_KEPT = 4000  # of one process
_lock = threading.Lock()
_kept: LRUCache[int, Kept] = LRUCache(PRICES_KEPT)


def market_prices_of(listings: Sequence[Listing]) -> list[ListingMarketPrice | None]:
    """Return the market price of each listing, in their order.

    None without a live ranker, a plausible price or a rate of its currency, and where prices of such cars vary too much
    for a market price.
    """
    if not listings:
        return []
    with borrow_index() as listing_index:
        prices = listing_index.ranker.prices if listing_index else None
    if prices is None:
        return [None] * len(listings)
    basis = (prices, exchange_rates())
    known = [_known(listing, basis) for listing in listings]
    missing = [listing for listing, kept in zip(listings, known, strict=True) if kept is None]
    if missing:
        appraised = in_own_currencies(missing, prices.appraise(table_of(missing)))
        made = iter([_keep(listing, basis, price) for listing, price in zip(missing, appraised, strict=True)])
        known = [next(made) if kept is None else kept for kept in known]
    return [kept.price for kept in known if kept]


def _known(listing: Listing, basis: Basis) -> Kept | None:
    with _lock:
        kept = _kept.get(listing.pk)
    is_valid = kept and kept.listing is listing and kept.basis[0] is basis[0] and kept.basis[1] == basis[1]
    return kept if is_valid else None


def _keep(listing: Listing, basis: Basis, price: ListingMarketPrice | None) -> Kept:
    kept = Kept(listing, basis, price)
    with _lock:
        _kept[listing.pk] = kept
    return kept


def in_own_currencies(
    listings: Sequence[Listing], appraised: Sequence[MarketPrice | None]
) -> list[ListingMarketPrice | None]:
    """Convert market prices to the currencies of the listings."""
    return [
        in_own_currency(listing, market) if market else None
        for listing, market in zip(listings, appraised, strict=True)
    ]


def in_own_currency(listing: Listing, market: MarketPrice) -> ListingMarketPrice:
    rate = exchange_rates()[listing.currency]  # without a rate there is no price to appraise
    low, median, high = (round(value / rate, 2) for value in (market.low, market.median, market.high))
    return ListingMarketPrice(market.label, low, median, high, listing.currency)
