"""The probe from end to end: an event of our own, followed through log, queue and worker to its effect.

A made-up buyer does something, and a look some seconds later shows whether the preference knew of it, and how soon. The
buyer lives for these seconds only. What they did lies long in the past, before anything that is trained, counted or
called demand, so that nothing else is affected by it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.core.cache import cache
from django.utils import timezone

from accounts.models import Buyer
from recommendations.models import Interaction, Preference, RankerVersion

GOAL_SECONDS = 5  # from the event to the preference
NAME = "forecourt-probe-"  # what external ids of made-up buyers begin with
ABANDONED_AFTER = timedelta(minutes=1)
LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)
RESULT = "probe"  # in the cache


@dataclass(frozen=True)
class Probe:
    """How the last one ended: when, in epoch seconds, and how long the effect took; None where it did not come."""

    ended_at: float
    seconds: float | None


def send_probe() -> int | None:
    """Let a made-up buyer do something; returns their key, or None where nothing could come of it: without a ranker.

    Removes those that were never looked at, because the process that should have is gone.
    """
    abandoned = Buyer.objects.filter(external_id__startswith=NAME, created_at__lt=timezone.now() - ABANDONED_AFTER)
    abandoned.delete()
    if RankerVersion.objects.live() is None:
        return None
    buyer = Buyer.objects.create(external_id=f"{NAME}{uuid.uuid4()}")
    Interaction.objects.create(
        event_id=uuid.uuid4().hex, buyer=buyer, kind_id="search", query={"max_price": 1.0}, occurred_at=LONG_AGO
    )
    return buyer.pk


def look_at_probe(buyer_id: int) -> Probe | None:
    """See whether the event arrived, keep the result for ``last_probe``, and remove what was made up.

    None when there is no such buyer: it was read before. One whose event did not arrive is left to the next sweep,
    so that a late worker does not fail because the buyer is gone.
    """
    event = Interaction.objects.filter(buyer=buyer_id).first()
    if event is None:
        return None
    known = Preference.objects.filter(buyer=buyer_id, last_interaction_id__gte=event.pk).order_by("computed_at").first()
    seconds = (known.computed_at - event.received_at).total_seconds() if known else None
    probe = Probe(timezone.now().timestamp(), seconds)
    cache.set(RESULT, (probe.ended_at, probe.seconds), timeout=None)
    if known:
        Buyer.objects.filter(pk=buyer_id).delete()
    return probe


def last_probe() -> Probe | None:
    """None before the first one, and where the cache does not answer."""
    found = cache.get(RESULT)
    return Probe(*found) if found else None
