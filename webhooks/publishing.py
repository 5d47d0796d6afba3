"""Write events into the outbox, in the transaction of what happened, and enqueue their delivery after it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.utils import timezone

from jobs.queue import enqueue_on_commit
from webhooks.kinds import TEST
from webhooks.models import Delivery, Endpoint, Message, new_message_id

ROWS_PER_STATEMENT = 1_000


@dataclass(frozen=True, kw_only=True)
class Event:
    """What happened: its kind, its data as JSON has it, when, and the buyer (database key) whom it concerns."""

    kind: str
    data: Mapping[str, Any]
    at: datetime = field(default_factory=timezone.now)
    about_buyer: int | None = None


def is_wanted(kind: str) -> bool:
    """Whether an endpoint would get such an event now."""
    return Endpoint.objects.filter(is_enabled=True, events__contains=[kind]).exists()


def wanted_kinds() -> set[str]:
    """What all endpoints together ask for now."""
    return {
        kind for kinds in Endpoint.objects.filter(is_enabled=True).values_list("events", flat=True) for kind in kinds
    }


@transaction.atomic
def publish(events: Iterable[Event]) -> list[Message]:
    """Write each event for every endpoint that asks for its kind; what none asks for is not written.

    Call it in the transaction of what happened: then both are committed, or neither.
    """
    endpoints = list(Endpoint.objects.filter(is_enabled=True).only("pk", "events"))
    takers = [(message_of(event), [each for each in endpoints if event.kind in each.events]) for event in events]
    takers = [(message, wanting) for message, wanting in takers if wanting]
    messages = Message.objects.bulk_create([message for message, _ in takers], ROWS_PER_STATEMENT)
    _address(takers)
    return messages


def publish_to(endpoint: Endpoint, event: Event) -> Message:
    """Write one event for one endpoint, whether it asks for its kind or not."""
    message = message_of(event)
    with transaction.atomic():
        message.save(force_insert=True)
        _address([(message, [endpoint])])
    return message


def publish_test(endpoint: Endpoint) -> Message:
    """An event by which an operator sees whether an endpoint is reached, and verifies what is signed."""
    return publish_to(endpoint, Event(kind=TEST, data={"endpoint": endpoint.name}))


def message_of(event: Event) -> Message:
    """The body is made once: what is signed and sent is the same text at each attempt."""
    message_id = new_message_id()
    content = {"id": message_id, "type": event.kind, "timestamp": event.at.isoformat(), "data": event.data}
    body = json.dumps(content, cls=DjangoJSONEncoder, ensure_ascii=False, separators=(",", ":"))
    return Message(id=message_id, kind=event.kind, body=body, about_buyer=event.about_buyer)


def _address(takers: Collection[tuple[Message, Collection[Endpoint]]]) -> None:
    deliveries = [Delivery(message=message, endpoint=each) for message, wanting in takers for each in wanting]
    Delivery.objects.bulk_create(deliveries, ROWS_PER_STATEMENT)
    for endpoint_id in sorted({delivery.endpoint_id for delivery in deliveries}):
        enqueue_on_commit("webhooks.deliver", endpoint_id)


def forget_buyers(buyer_ids: Collection[int]) -> int:
    """Remove what is about buyers who are erased, delivered or not; how many messages."""
    _, by_model = Message.objects.filter(about_buyer__in=buyer_ids).delete()
    return by_model.get(Message._meta.label, 0)


def reassign_buyer(buyer_id: int, into: int) -> None:
    """Two buyers are one person from now on."""
    Message.objects.filter(about_buyer=buyer_id).update(about_buyer=into)
