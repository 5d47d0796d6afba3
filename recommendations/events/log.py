"""An event as it is sent, and as the row of the log that it becomes."""

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
    """Something a buyer did. Without an ``event_id`` it cannot be recognised when it is sent again.

    ``waits_for`` is the source and id of a car that no listing has yet, in place of ``listing_id``. An impression has
    ``seen_positions`` of its list, ``seen_ids`` of listings, or both, in place of one car and one position.
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


def as_row(buyer: Buyer, event: Event, now: datetime, key: ApiKey | None = None) -> Row:
    """The row of an event, not yet stored: of the log, of those that wait for their listing, or of impressions."""
    sender = f"{OF_KEYS}{key.pk}" if key else buyer_as_sender(buyer.pk)
    event_id, digest = event.event_id or uuid.uuid4().hex, content_digest(event, buyer.pk if key else 0)
    if event.kind == IMPRESSION:
        return as_impression(buyer, event, now, event_id, sender, digest)
    if event.waits_for is None:
        return as_interaction(buyer, event, now, event_id, sender, digest)
    source, external_id = event.waits_for
    return WaitingEvent(
        event_id=event_id,
        sender=sender,
        content_digest=digest,
        buyer=buyer,
        kind_id=event.kind,
        source=source,
        external_id=external_id,
        query=event.query,
        occurred_at=event.occurred_at,
        received_at=now,
        served_list_id=event.served_list_id,
        position=event.position,
        dwell_seconds=event.dwell_seconds,
        value=event.value,
    )


def as_impression(buyer: Buyer, event: Event, now: datetime, event_id: str, sender: str, digest: int) -> Impression:
    return Impression(
        event_id=event_id,
        sender=sender,
        content_digest=digest,
        buyer=buyer,
        served_list_id=event.served_list_id,
        positions=sorted(set(event.seen_positions)),
        listing_ids=sorted(set(event.seen_ids)),
        occurred_at=min(event.occurred_at or now, now),
        received_at=now,
    )


def as_interaction(buyer: Buyer, event: Event, now: datetime, event_id: str, sender: str, digest: int) -> Interaction:
    return Interaction(
        event_id=event_id,
        sender=sender,
        content_digest=digest,
        buyer=buyer,
        kind_id=event.kind,
        listing_id=event.listing_id,
        query=event.query,
        occurred_at=min(event.occurred_at or now, now),  # a clock that runs ahead must not make events of the future
        received_at=now,
        served_list_id=event.served_list_id,
        position=event.position,
        dwell_seconds=event.dwell_seconds,
        value=event.value,
    )


def content_digest(event: Event, buyer_id: int) -> int:
    """A number for everything an event says but its id, signed 64 bits, never 0; ``buyer_id`` where the sender has
    several."""
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
    """Count what was written to the log, and let those know who follow it."""
    if rows:
        events_recorded.send(sender=Interaction, buyer_ids=sorted({row.buyer_id for row in rows}))
    count_wrong(rows)
    for kind, n in Counter(row.kind_id for row in rows).items():
        telemetry.EVENTS.labels(kind).inc(n)
