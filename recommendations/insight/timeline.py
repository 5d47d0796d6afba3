"""A buyer's events with the weight that each has today, and the present status of each car."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.utils import timezone

from accounts.models import Buyer
from catalog.models import Listing
from recommendations.engine.choice_sets import event_weights
from recommendations.engine.demand import SECONDS_A_DAY
from recommendations.models import EventKind, Interaction

SHOWN_AT_MOST = 60


@dataclass(frozen=True)
class PastEvent:
    """One event of a buyer.

    Attributes:
        event: Its row, with kind and listing.
        weight: Its weight after decay by half-life; below 0 for a choice against the car.
        fate: Status of the car: "" while it is for sale, "removed" where its row is gone.
    """

    event: Interaction
    weight: float
    fate: str


def timeline_of(
    buyer: Buyer, before: datetime | None = None, kinds: Mapping[str, EventKind] | None = None
) -> list[PastEvent]:
    """Return the newest events of a buyer, newest first; one query."""
    events = buyer.interactions.select_related("kind", "listing__make", "listing__car_model__make")
    events = events.defer("listing__search_text", "listing__description")
    if before:
        events = events.filter(occurred_at__lt=before)
    now = before or timezone.now()
    newest = list(events.order_by("-occurred_at", "-id")[:SHOWN_AT_MOST])
    kind_of_each = [(kinds or {}).get(event.kind_id, event.kind) for event in newest]
    weights, is_against = event_weights(
        [kind.weight for kind in kind_of_each],
        [(now - event.occurred_at).total_seconds() / SECONDS_A_DAY for event in newest],
        [kind.half_life_days for kind in kind_of_each],
    )
    signed = np.where(is_against, -weights, weights).tolist()
    return [PastEvent(event, weight, fate(event)) for event, weight in zip(newest, signed, strict=True)]


def fate(event: Interaction) -> str:
    if event.listing is None:
        return "" if event.query else "removed"
    return "" if event.listing.status == Listing.Status.LIVE else event.listing.get_status_display().lower()
