"""Cars whose price is far from the live ranker's expectation: a check of the stock's quality."""

from __future__ import annotations

import math

import numpy as np

from catalog.models import Listing
from recommendations.exceptions import RankerRefused
from recommendations.listings.rows import ListingRows, read_listings
from recommendations.models import RankerVersion
from recommendations.models.artifacts import load_ranker

ROWS_AT_ONCE = 20_000  # columns of so many listings are in memory together


def oddly_priced(factor: float) -> list[int] | None:
    """Return live listings that cost ``factor`` times more, or less, than expected; None without a ranker.

    Listings with an implausible price or mileage (``are_plausible``) are included. Other cars without a price, or
    without comparable ones, are not.
    """
    version = RankerVersion.objects.live()
    try:
        prices = load_ranker(version.pk).prices if version else None
    except RankerRefused:
        return None
    if prices is None or not prices.groups:
        return None
    found: list[int] = []
    after = 0
    while rows := read_after(after):
        with np.errstate(divide="ignore"):
            ratio = np.log(rows.table.price / prices.expect(rows.table))  # nan where the price is unknown
        is_odd = (np.nan_to_num(np.abs(ratio)) > math.log(factor)) | ~prices.are_plausible(rows.table)
        found += rows.listing_ids[is_odd].tolist()
        after = int(rows.listing_ids[-1])
    return found


def read_after(listing_id: int) -> ListingRows:
    """Return the next live cars by id; empty after the last."""
    cars = Listing.objects.available().cars().filter(pk__gt=listing_id)
    last = cars.order_by("pk").values_list("pk", flat=True)[ROWS_AT_ONCE - 1 : ROWS_AT_ONCE].first()
    return read_listings(cars if last is None else cars.filter(pk__lte=last))
