"""Deliver what waits in the outbox: signed, in order, with retries, and with a dead letter where those run out.

One worker at a time delivers to an endpoint, so that a slow one keeps no second worker busy. An attempt is counted
before it is made: a worker that dies with it repeats it later, and a message may arrive twice, never not at all.

An endpoint that does not answer at all is paused, for longer each time. Such an attempt counts for everything that was
due then, so that what waits behind it runs out of attempts no later than it would have by itself.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from django.conf import settings
from django.db import transaction
from django.db.models import F, Min, Q, QuerySet
from django.utils import timezone

from jobs.queue import enqueue, enqueue_on_commit
from web.posting import Answer, NoAnswer, PostRefused, post
from web.seals import seal, unseal
from webhooks.models import Delivery, Endpoint, Message
from webhooks.signing import new_secret, signed_headers
from webhooks.telemetry import DELIVERIES, POST_SECONDS

logger = logging.getLogger(__name__)

FIRST_WAIT_SECONDS, WAIT_FACTOR = 5.0, 3.0  # 5 s, 15 s, 45 s … and no longer than
LONGEST_WAIT_SECONDS = 6 * 3600.0
LONGEST_PAUSE_SECONDS = 300.0  # of an endpoint that does not answer; new events find out no later that it is back
JITTER = 0.25  # of a wait, either way: what failed together is not tried again together
LONGEST_RETRY_AFTER = timedelta(hours=1)  # that an endpoint may ask for
RUN_SECONDS = 20.0  # of one task; what is left is handed to another one
LEASE = timedelta(seconds=90)  # longer than a task and the longest exchange
GONE = 410
OVERLAP = timedelta(hours=24)  # in which the secret before signs too
USER_AGENT = "Forecourt-Webhooks"

Status = Delivery.Status


def wait_before(attempt: int) -> timedelta:
    """How long after attempt number ``attempt`` (from 1) the next one is made."""
    seconds = min(FIRST_WAIT_SECONDS * WAIT_FACTOR ** (attempt - 1), LONGEST_WAIT_SECONDS)
    return timedelta(seconds=seconds * random.uniform(1 - JITTER, 1 + JITTER))


# --- One endpoint ----------------------------------------------------------------------------------------------------
def deliver_to(endpoint_id: int) -> int:
    """Deliver what is due at an endpoint, until nothing is or the time of one task is over; how many were delivered.

    Another worker that has the endpoint goes on with it, and looks once more after it let go: what was written
    meanwhile is delivered by one of the two.
    """
    until, n_delivered = time.monotonic() + RUN_SECONDS, 0
    while is_due(endpoint_id) and time.monotonic() < until:
        lease = _claim(endpoint_id)
        if lease is None:
            return n_delivered
        try:
            n_delivered += _deliver_until(until, endpoint_id)
        finally:
            Endpoint.objects.filter(pk=endpoint_id, busy_until=lease).update(busy_until=None)
    if is_due(endpoint_id):
        enqueue("webhooks.deliver", endpoint_id)
    return n_delivered


def deliver_due() -> int:
    """Enqueue the delivery to each endpoint where something is due: retries, and what a lost task left; how many."""
    waiting = due(timezone.now()).order_by("endpoint").values_list("endpoint", flat=True).distinct()
    return sum(enqueue("webhooks.deliver", endpoint_id) for endpoint_id in waiting)


def is_any_due() -> bool:
    """Whether a delivery may be tried now, at any endpoint."""
    return due(timezone.now()).exists()


def due(now: datetime) -> QuerySet[Delivery]:
    """Deliveries that may be tried now, at endpoints that may be asked."""
    endpoints = Endpoint.objects.filter(Q(paused_until=None) | Q(paused_until__lte=now), is_enabled=True)
    return Delivery.objects.filter(status=Status.WAITING, next_attempt_at__lte=now, endpoint__in=endpoints)


def is_due(endpoint_id: int) -> bool:
    return due(timezone.now()).filter(endpoint=endpoint_id).exists()


def _claim(endpoint_id: int) -> datetime | None:
    """Until when the endpoint is ours; None where another worker has it."""
    now = timezone.now()
    free = Endpoint.objects.filter(Q(busy_until=None) | Q(busy_until__lt=now), pk=endpoint_id)
    return now + LEASE if free.update(busy_until=now + LEASE) else None


def _deliver_until(until: float, endpoint_id: int) -> int:
    n_delivered = 0
    while time.monotonic() < until:
        waiting = due(timezone.now()).filter(endpoint=endpoint_id).select_related("message", "endpoint")
        delivery = waiting.order_by("pk").first()
        if delivery is None or not _count_attempt(delivery):
            break
        n_delivered += attempt(delivery)
    return n_delivered


def _count_attempt(delivery: Delivery) -> bool:
    """Whether it is still ours to try; its next time is set at once, should this process die."""
    now, before = timezone.now(), delivery.attempts
    delivery.attempts, delivery.last_attempt_at = before + 1, now
    delivery.next_attempt_at = now + wait_before(before + 1)
    ours = Delivery.objects.filter(pk=delivery.pk, status=Status.WAITING, attempts=before)
    return bool(ours.update(attempts=before + 1, last_attempt_at=now, next_attempt_at=delivery.next_attempt_at))


# --- One attempt -----------------------------------------------------------------------------------------------------
def attempt(delivery: Delivery) -> bool:
    """Send a message whose attempt is counted, and note what came of it; whether it was delivered."""
    began = time.monotonic()
    try:
        answer = _send(delivery.message, delivery.endpoint)
    except (PostRefused, NoAnswer) as problem:
        POST_SECONDS.observe(time.monotonic() - began)
        _note_failure(delivery, None, str(problem))
        _pause(delivery.endpoint, str(problem))
        return False
    POST_SECONDS.observe(time.monotonic() - began)
    _resume(delivery.endpoint)
    if 200 <= answer.status < 300:
        _note_delivered(delivery, answer)
        return True
    if answer.status == GONE:
        _end(delivery.endpoint)
    _note_failure(delivery, answer.status, _said(answer), wished_at=wished_time(answer, timezone.now()))
    return False


def _send(message: Message, endpoint: Endpoint) -> Answer:
    headers = signed_headers(
        secrets_in_use=secrets_of(endpoint, timezone.now()),
        message_id=message.pk,
        timestamp=int(time.time()),
        body=message.body,
    )
    return post(
        endpoint.url,
        message.body.encode(),
        {"Content-Type": "application/json; charset=utf-8", "User-Agent": USER_AGENT, **headers},
        seconds=settings.WEBHOOK_TIMEOUT_SECONDS,
        allow_private=settings.WEBHOOK_PRIVATE_ADDRESSES,
        setting="WEBHOOK_PRIVATE_ADDRESSES",
    )


def wished_time(answer: Answer, now: datetime) -> datetime | None:
    """When the endpoint wants to be asked again (``Retry-After``), within bounds; None where it does not say."""
    wish = answer.retry_after.strip()
    if not wish:
        return None
    try:
        at = now + timedelta(seconds=int(wish)) if wish.isdecimal() else parsedate_to_datetime(wish)
        return min(max(at, now), now + LONGEST_RETRY_AFTER)
    except (ValueError, TypeError, OverflowError):  # no date, one without a zone, or one beyond all calendars
        return None


def _said(answer: Answer) -> str:
    if 300 <= answer.status < 400:
        return f"It answered {answer.status}. Redirects are not followed."
    said = " ".join(answer.text.replace("\0", " ").split())
    return f"It answered {answer.status}{': ' if said else '.'}{said}"[:300]


def _note_delivered(delivery: Delivery, answer: Answer) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(
        status=Status.DELIVERED, delivered_at=timezone.now(), last_status=answer.status, last_error=""
    )
    DELIVERIES.labels("delivered").inc()


def _note_failure(delivery: Delivery, status: int | None, said: str, wished_at: datetime | None = None) -> None:
    is_dead = delivery.attempts >= settings.WEBHOOK_ATTEMPTS or status == GONE
    next_at = max(delivery.next_attempt_at, wished_at or delivery.next_attempt_at)
    Delivery.objects.filter(pk=delivery.pk, status=Status.WAITING).update(
        status=Status.DEAD if is_dead else Status.WAITING,
        next_attempt_at=next_at,
        last_status=status,
        last_error=said[:300],
    )
    DELIVERIES.labels("dead" if is_dead else "failed").inc()
    logger.warning("webhook %s: attempt %d failed: %s", delivery, delivery.attempts, said)


# --- An endpoint that does not answer, or wants no more --------------------------------------------------------------
@transaction.atomic
def _pause(endpoint: Endpoint, said: str) -> None:
    now = timezone.now()
    endpoint.failures += 1
    pause = min(wait_before(endpoint.failures), timedelta(seconds=LONGEST_PAUSE_SECONDS))
    Endpoint.objects.filter(pk=endpoint.pk).update(failures=F("failures") + 1, paused_until=now + pause)
    behind = Delivery.objects.filter(endpoint=endpoint, status=Status.WAITING, next_attempt_at__lte=now)
    most = settings.WEBHOOK_ATTEMPTS
    n_dead = behind.filter(attempts__gte=most - 1).update(
        status=Status.DEAD, attempts=F("attempts") + 1, last_attempt_at=now, last_status=None, last_error=said[:300]
    )
    for attempts in reversed(range(most - 1)):  # from the top down, or a row would be counted twice
        behind.filter(attempts=attempts).update(
            attempts=attempts + 1, last_attempt_at=now, next_attempt_at=now + wait_before(attempts + 1),
            last_status=None, last_error=said[:300],
        )  # fmt: skip
    DELIVERIES.labels("dead").inc(n_dead)


def _resume(endpoint: Endpoint) -> None:
    if endpoint.failures or endpoint.paused_until:
        Endpoint.objects.filter(pk=endpoint.pk).update(failures=0, paused_until=None)


def _end(endpoint: Endpoint) -> None:
    """It answered that it is gone for good: nothing more is sent until an operator switches it on again."""
    Endpoint.objects.filter(pk=endpoint.pk).update(is_enabled=False, ended_because="It answered 410 (Gone).")


# --- What operators do -----------------------------------------------------------------------------------------------
@transaction.atomic
def replay(delivery: Delivery) -> None:
    """Try a dead letter, or what waits, again from the start and at once; what was delivered, once more."""
    delivery.status, delivery.attempts, delivery.next_attempt_at = Status.WAITING, 0, timezone.now()
    delivery.save(update_fields=["status", "attempts", "next_attempt_at"])
    Endpoint.objects.filter(pk=delivery.endpoint_id).update(failures=0, paused_until=None)
    enqueue_on_commit("webhooks.deliver", delivery.endpoint_id)


def give_secret(endpoint: Endpoint, secret: str = "") -> str:
    """Set the secret of an endpoint (a new one where none is given) and return it.

    The previous one signs too for ``OVERLAP``, so that a receiver can change over without losing a message.
    """
    secret = secret or new_secret()
    if former := unseal(endpoint.sealed_secret):
        endpoint.sealed_former_secret, endpoint.former_until = seal(former), timezone.now() + OVERLAP
    endpoint.sealed_secret = seal(secret)
    return secret


def secrets_of(endpoint: Endpoint, now: datetime) -> list[str]:
    """Those that sign now, the newest first. Raises PostRefused where none can be read: nothing goes out unsigned."""
    sealed = [endpoint.sealed_secret]
    if endpoint.former_until and endpoint.former_until > now:
        sealed.append(endpoint.sealed_former_secret)
    found = [secret for secret in map(unseal, sealed) if secret]
    if not found:
        raise PostRefused("Its secret cannot be read: was SECRET_KEY changed? Give it a new one.")
    return found


# --- What is kept, and how it stands ---------------------------------------------------------------------------------
def sweep(now: datetime) -> int:
    """Remove messages after WEBHOOK_DAYS_KEPT, whatever became of them; how many."""
    old = Message.objects.filter(created_at__lt=now - timedelta(days=settings.WEBHOOK_DAYS_KEPT))
    _, by_model = old.delete()
    return by_model.get(Message._meta.label, 0)


@dataclass(frozen=True)
class OutboxState:
    """``oldest_seconds``: how long the oldest message that waits for an endpoint that is switched on has waited."""

    n_waiting: int
    n_dead: int
    oldest_seconds: float


def outbox_state(now: datetime) -> OutboxState:
    waiting = Delivery.objects.filter(status=Status.WAITING, endpoint__is_enabled=True)
    oldest = waiting.aggregate(at=Min("message__created_at"))["at"]
    return OutboxState(
        n_waiting=waiting.count(),
        n_dead=Delivery.objects.filter(status=Status.DEAD).count(),
        oldest_seconds=max((now - oldest).total_seconds(), 0.0) if oldest else 0.0,
    )
