"""Refresh stored preferences in the background: one buyer's, stale ones, and many after a promotion."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Count, Exists, Max, OuterRef, QuerySet, Subquery
from django.utils import timezone

from accounts.models import Buyer
from recommendations.buyers.preferences import current_preference, update_preferences
from recommendations.events.bots import look_at_buyer
from recommendations.events.merging import take_over_history
from recommendations.models import Interaction, Preference, RankerVersion

ACTIVE_WITHIN = timedelta(days=30)  # buyers without an event since get their preference when they ask for a list
REFRESHED_AT_MOST = 500  # stale preferences of one beat run
RENEWED_AT_MOST = 50_000  # buyers after a promotion; some minutes of one worker
RENEWED_AT_ONCE = 1_000  # buyers between two checks of whether the version is still live


def refresh_preferences(*, buyer_id: int) -> Preference | None:
    """Bring one buyer's preference up to date, if it is not. Safe to run twice, or twice at once."""
    buyer = Buyer.objects.filter(pk=buyer_id).first()
    if buyer is None:
        return None
    look_at_buyer(buyer)
    return current_preference(buyer, by="worker")


def refresh_stale_preferences() -> int:
    """Bring preferences of recently active buyers up to date where the log is ahead; returns how many."""
    for guest in Buyer.objects.filter(merged_into__isnull=False, interactions__isnull=False).distinct():
        if guest.merged_into:  # events that arrived while the guest logged in
            take_over_history(guest=guest, into=guest.merged_into)
    version = RankerVersion.objects.live()
    if version is None:
        return 0
    stale = buyers_behind_the_log(version, since=timezone.now() - ACTIVE_WITHIN)[:REFRESHED_AT_MOST]
    return update_preferences(list(stale), by="beat")


def renew_preferences(*, version_id: int) -> int:
    """Compute the preferences of recently active buyers under a version that went live; returns how many.

    The buyers who acted last come first. Ends early when another version goes live. A buyer who asks for a list before
    their turn gets theirs computed by that read.
    """
    version = RankerVersion.objects.get(pk=version_id)
    behind = list(buyers_behind_the_log(version, since=timezone.now() - ACTIVE_WITHIN)[:RENEWED_AT_MOST])
    n_made = 0
    for start in range(0, len(behind), RENEWED_AT_ONCE):
        if RankerVersion.objects.live() != version:
            break
        n_made += update_preferences(behind[start : start + RENEWED_AT_ONCE], by="worker")
    return n_made


def buyers_behind_the_log(version: RankerVersion, since: datetime) -> QuerySet[Buyer]:
    """Buyers with events about cars since a moment whose preference under a version lacks events of their log.

    Those who acted last come first.
    """
    log = Interaction.objects.filter(buyer=OuterRef("pk")).order_by().values("buyer")
    lately = Interaction.objects.about_cars().filter(buyer=OuterRef("pk"), received_at__gte=since)
    known = Preference.objects.filter(buyer=OuterRef("pk"), version=version)
    return (
        Buyer.objects.filter(Exists(lately))
        .annotate(
            log_last=Subquery(log.annotate(last=Max("id")).values("last")),
            log_n=Subquery(log.annotate(n=Count("id")).values("n")),
        )
        .exclude(Exists(known.filter(last_interaction_id=OuterRef("log_last"), n_interactions=OuterRef("log_n"))))
        .order_by("-log_last")
    )
