"""The end-to-end probe: an event of our own, followed through log, queue and worker to the preference.

A probe buyer causes an event, and some seconds later a second step checks whether the preference includes it, and after
what time. The buyer exists for these seconds only. The event is dated long ago, so that no training, count or demand
includes it.
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
    """The result of the last probe: its time, in epoch seconds, and the seconds to the effect; None where there was
    none."""

    ended_at: float
    seconds: float | None


def send_probe() -> int | None:
    """Create a probe buyer with an event; returns their key, or None without a live ranker.

    Removes probe buyers that were never checked, because their process ended.
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
    """Check whether the event arrived, cache the result for ``last_probe``, and remove the probe buyer.

    None when there is no such buyer: it was checked before. A buyer whose event did not arrive is removed by the next
    sweep, so that a late worker does not fail.
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
    """Return the cached result; None before the first one, and where the cache does not answer."""
    found = cache.get(RESULT)
    return Probe(*found) if found else None
