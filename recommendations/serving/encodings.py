"""What a ranker makes of the rows of chosen listings, kept while nothing about a row has changed.

Lists under other filters, and lists of other buyers, show many of the same cars. What depends on the buyer is worked
out for each list (``explanations``).
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray
from scipy.sparse import csr_array

from catalog.currencies import exchange_rates
from catalog.models import Listing
from recommendations.engine.prices import MarketPrice
from recommendations.engine.ranker import Encoded, Ranker
from recommendations.listings.rows import table_of
from recommendations.serving.rows import ROWS_KEPT

KEPT_AT_MOST = ROWS_KEPT  # some 2 kB each; what is kept of a listing holds while its row is


class Kept(NamedTuple):
    """One listing, and what it was worked out from: another object of these (``rows``), and it may be another.

    The ranker is not held: one that was replaced goes, though listings are kept that were last shown under it.
    """

    listing: Listing
    ranker: weakref.ref[Ranker]
    rates: dict[str, float]
    states: NDArray[np.int32]
    shares: NDArray[np.float64]
    vector: NDArray[np.float32]
    archetype: int
    deal: float
    market_price: MarketPrice | None


@dataclass(frozen=True, eq=False)
class Encodings:
    """Listings in order.

    Attributes:
        encoded: As the ranker reads them.
        deals: As ``CarPrices.deals``, shape (n,).
        market_prices: As ``CarPrices.appraise``, in the market's currency.
    """

    encoded: Encoded
    deals: NDArray[np.float64]
    market_prices: list[MarketPrice | None]


_lock = threading.Lock()
_kept: LRUCache[int, Kept] = LRUCache(KEPT_AT_MOST)


def encodings_of(listings: Sequence[Listing], ranker: Ranker) -> Encodings:
    """The encodings of at least one listing; those that are not kept are computed together."""
    rates = dict(exchange_rates())
    with _lock:
        known = [_kept.get(listing.pk) for listing in listings]
    found = [
        kept if kept and kept.listing is listing and kept.ranker() is ranker and kept.rates == rates else None
        for listing, kept in zip(listings, known, strict=True)
    ]
    missing = [listing for listing, kept in zip(listings, found, strict=True) if kept is None]
    made = iter(worked_out(missing, ranker, rates) if missing else ())
    return joined([kept or next(made) for kept in found], ranker)


def worked_out(listings: Sequence[Listing], ranker: Ranker, rates: dict[str, float]) -> list[Kept]:
    table = table_of(listings)
    encoded = ranker.encode(table)
    ranges = ranker.prices.ranges(table)  # the most expensive part, once for all that rests on it
    deals, prices = ranker.prices.deals(table, ranges), ranker.prices.appraise(table, ranges)
    mixture, of_ranker = encoded.mixture, weakref.ref(ranker)
    made = []
    for row, listing in enumerate(listings):
        part = slice(mixture.indptr[row], mixture.indptr[row + 1])
        states, shares = mixture.indices[part].copy(), mixture.data[part].copy()  # a view would keep all of them
        vector, archetype = encoded.vectors[row].copy(), int(encoded.archetypes[row])
        made.append(Kept(listing, of_ranker, rates, states, shares, vector, archetype, float(deals[row]), prices[row]))
    with _lock:
        _kept.update({kept.listing.pk: kept for kept in made})
    return made


def joined(kept: Sequence[Kept], ranker: Ranker) -> Encodings:
    ends = np.cumsum([0, *(len(each.states) for each in kept)])
    shares, states = np.concatenate([each.shares for each in kept]), np.concatenate([each.states for each in kept])
    mixture = csr_array((shares, states, ends), shape=(len(kept), len(ranker.encoder.states)))
    return Encodings(
        Encoded(
            mixture, np.stack([each.vector for each in kept]), np.array([each.archetype for each in kept], np.int32)
        ),
        np.array([each.deal for each in kept]),
        [each.market_price for each in kept],
    )
