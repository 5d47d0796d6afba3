"""Why a car is where it is: the terms of its score, and what a reason may mention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from django.utils import timezone

from catalog.models import Listing
from recommendations.datasets import table_of
from recommendations.demand import recent_demand
from recommendations.engine.ranker import SourceSwitch
from recommendations.engine.reasons import DEMAND
from recommendations.ranking import demand_term
from recommendations.shoppers import Shopper
from recommendations.window import borrow_window

SECONDS_A_DAY = 86_400.0
FACTS = ("body", "fuel", "gearbox", "drive", "colour", "year", "currency", "mileage_km", "power_kw", "engine_l", "tags")


def terms_of(listings: Sequence[Listing], shopper: Shopper, switch: SourceSwitch) -> list[dict[str, float]]:
    """What each feature adds to the score of each listing; the values of one listing add up to its score."""
    if not listings:
        return []
    weights = shopper.ranker.switched(shopper.weights, switch)
    parts = shopper.ranker.breakdown(weights, table_of(listings))
    demand = demand_term([listing.pk for listing in listings], shopper, recent_demand())
    values = np.column_stack([parts.values, demand])
    return [dict(zip((*parts.names, DEMAND), row.tolist(), strict=True)) for row in values]


def facts_of(listing: Listing, shopper: Shopper | None) -> dict[str, Any]:
    """What a card shows, and what a reason may mention."""
    published = listing.published_at
    return {
        "make": listing.make.name if listing.make else "",
        "model": listing.car_model.name if listing.car_model else "",
        "seller_kind": listing.seller.kind if listing.seller else "",
        "price": float(listing.price) if listing.price is not None else None,
        "days_on_sale": (timezone.now() - published).total_seconds() / SECONDS_A_DAY if published else None,
        "is_opened_make": bool(shopper and listing.make_id in shopper.opened_make_ids),
        **{name: getattr(listing, name) for name in FACTS},
    }


def typical_listing() -> dict[str, float]:
    with borrow_window() as window:
        return window.typical() if window else {}
