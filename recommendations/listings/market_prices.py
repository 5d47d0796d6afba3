"""What cars like these cost on the market, by the live ranker, in each listing's own currency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from catalog.currencies import exchange_rates
from catalog.models import Listing
from recommendations.engine.prices import Label, MarketPrice
from recommendations.listings.index import borrow_index
from recommendations.listings.rows import table_of


@dataclass(frozen=True)
class ListingMarketPrice:
    """The range that holds the middle 80 % of prices of such cars, and where the asked price lies; in ``currency``."""

    label: Label
    low: float
    median: float
    high: float
    currency: str


def market_prices_of(listings: Sequence[Listing]) -> list[ListingMarketPrice | None]:
    """The market price of each listing, in their order.

    None without a live ranker, a plausible price or a rate of its currency, and where such cars' prices spread so
    widely that a market price would say nothing.
    """
    if not listings:
        return []
    with borrow_index() as listing_index:
        prices = listing_index.ranker.prices if listing_index else None
    if prices is None:
        return [None] * len(listings)
    appraised = prices.appraise(table_of(listings))
    return in_own_currencies(listings, appraised)


def in_own_currencies(
    listings: Sequence[Listing], appraised: Sequence[MarketPrice | None]
) -> list[ListingMarketPrice | None]:
    """Market prices in the currencies of the listings."""
    return [
        in_own_currency(listing, market) if market else None
        for listing, market in zip(listings, appraised, strict=True)
    ]


def in_own_currency(listing: Listing, market: MarketPrice) -> ListingMarketPrice:
    rate = exchange_rates()[listing.currency]  # without a rate there is no price to appraise
    low, median, high = (round(value / rate, 2) for value in (market.low, market.median, market.high))
    return ListingMarketPrice(market.label, low, median, high, listing.currency)
