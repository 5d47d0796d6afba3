"""Turn a sent event into the row that records it."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from accounts.models import ApiKey, Buyer
from catalog.querysets import ListingReference
from recommendations import telemetry
from recommendations.events.attribution import count_wrong
from recommendations.events.signals import events_recorded
from recommendations.models import Impression, Interaction, WaitingEvent

OF_KEYS = "key:"  # how the sender begins where a client system sent it
OF_BUYERS = "buyer:"
SEARCH = "search"  # the kind of event that may be about a query instead of a listing
IMPRESSION = "impression"  # the kind of event that is about what was seen, of a list or of several cars

Row = Interaction | WaitingEvent | Impression


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something a buyer did. Without an ``event_id``, a repeat of it cannot be recognised.

    ``waits_for`` replaces ``listing_id`` where no listing has the source and external id yet. An impression has
    ``seen_positions`` of its list, ``seen_ids`` of listings, or both, in place of one listing and one position.
    """

    kind: str
    event_id: str = ""
    listing_id: int | None = None
    waits_for: ListingReference | None = None
    query: dict[str, Any] | None = None
    occurred_at: datetime | None = None
    served_list_id: uuid.UUID | None = None
    position: int | None = None
    dwell_seconds: float | None = None
    value: Decimal | None = None
    seen_positions: Sequence[int] = ()
    seen_ids: Sequence[int] = ()


def buyer_as_sender(buyer_id: int) -> str:
    return f"{OF_BUYERS}{buyer_id}"


def sender_of(buyer: Buyer, key: ApiKey | None) -> str:
    """Who sent an event of a buyer: the API key, or else the buyer."""
    return f"{OF_KEYS}{key.pk}" if key else buyer_as_sender(buyer.pk)


def as_row(buyer: Buyer, event: Event, now: datetime, sender: str) -> Row:
    """The unstored row of an event: an Interaction, an Impression, or a WaitingEvent while its listing is unknown."""
    if event.kind == IMPRESSION:
        return Impression(
            **_sent(buyer, event, now, sender),
            positions=sorted(set(event.seen_positions)),
            listing_ids=sorted(set(event.seen_ids)),
            occurred_at=occurred_by(event, now),
        )
    if event.waits_for is None:
        return as_interaction(buyer, event, now, sender)
    source, external_id = event.waits_for
    return WaitingEvent(
        **_sent(buyer, event, now, sender),
        **_done(event),
        source=source,
        external_id=external_id,
        occurred_at=event.occurred_at,
    )


def as_interaction(buyer: Buyer, event: Event, now: datetime, sender: str) -> Interaction:
    return Interaction(
        **_sent(buyer, event, now, sender),
        **_done(event),
        listing_id=event.listing_id,
        occurred_at=occurred_by(event, now),
    )


def _sent(buyer: Buyer, event: Event, now: datetime, sender: str) -> dict[str, Any]:
    """The fields that all rows have."""
    return {
        "event_id": event.event_id or uuid.uuid4().hex,
        "sender": sender,
        "content_digest": content_digest(event, buyer.pk if sender.startswith(OF_KEYS) else 0),
        "buyer": buyer,
        "received_at": now,
        "served_list_id": event.served_list_id,
    }


def _done(event: Event) -> dict[str, Any]:
    """The fields of what was done, which impressions lack."""
    names = ("query", "position", "dwell_seconds", "value")
    return {"kind_id": event.kind, **{name: getattr(event, name) for name in names}}


def occurred_by(event: Event, now: datetime) -> datetime:
    """When an event occurred: now where that is not known, or where a client's clock runs ahead."""
    return min(event.occurred_at or now, now)


def content_digest(event: Event, buyer_id: int) -> int:
    """A digest of everything in an event but its id: signed 64 bits, never 0.

    ``buyer_id`` is 0 where the sender is the buyer.
    """
    said: dict[str, Any] = {
        "buyer": buyer_id,
        "kind": event.kind,
        "listing": event.listing_id,
        "query": event.query,
        "occurred_at": event.occurred_at and event.occurred_at.timestamp(),
        "list": event.served_list_id and str(event.served_list_id),
        "position": event.position,
    }
    if event.waits_for:
        said["waits_for"] = event.waits_for
    # Only where they are said: what was recorded before there were such fields keeps its digest.
    if event.dwell_seconds is not None:
        said["dwell"] = event.dwell_seconds
    if event.value is not None:
        said["value"] = str(event.value.normalize())
    if event.kind == IMPRESSION:
        said["seen"] = [sorted(set(event.seen_positions)), sorted(set(event.seen_ids))]
    digest = hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True) or 1


def in_short(row: Row) -> str:
    """The content of an event on one line."""
    said = _seen_in(row) if isinstance(row, Impression) else _done_in(row)
    said |= {
        "occurred_at": row.occurred_at and row.occurred_at.astimezone(UTC).isoformat(timespec="seconds"),
        "list_id": row.served_list_id and str(row.served_list_id),
        "buyer": row.buyer.external_id,
    }
    return json.dumps({name: value for name, value in said.items() if value is not None}, ensure_ascii=False)


def _seen_in(row: Impression) -> dict[str, Any]:
    return {"kind": IMPRESSION, "positions": row.positions or None, "listing_ids": row.listing_ids or None}


def _done_in(row: Interaction | WaitingEvent) -> dict[str, Any]:
    car = (
        {"external_id": row.external_id, "source": row.source}
        if isinstance(row, WaitingEvent)
        else {"listing_id": row.listing_id}
    )
    return {
        "kind": row.kind_id,
        **car,
        "query": row.query,
        "position": row.position,
        "dwell_seconds": row.dwell_seconds,
        "value": None if row.value is None else str(row.value),
    }


def announce(rows: Sequence[Interaction]) -> None:
    """Count the rows written to the log, and send ``events_recorded``."""
    if rows:
        events_recorded.send(sender=Interaction, buyer_ids=sorted({row.buyer_id for row in rows}))
    count_wrong(rows)
    for kind, n in Counter(row.kind_id for row in rows).items():
        telemetry.EVENTS.labels(kind).inc(n)
