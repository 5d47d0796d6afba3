"""How long rows are kept, by kind, and the removal of older ones.

The settings KEEP_…_DAYS give the times; 0 keeps a kind for ever. A row that a kept row names is kept: a list with one
of its events, and an ended listing with an event or a list, since trainings read choices together with what was shown.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, Model, OuterRef, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from accounts.models import AuditEntry, Buyer
from catalog.models import ImportRun, Listing, PriceChange
from jobs.models import UNFINISHED, Job
from jobs.work import job_models
from recommendations.feed.log import VARIANT as FEED
from recommendations.listings.vectors import stored_versions
from recommendations.models import (
    CarAlert,
    Impression,
    Interaction,
    ListingVector,
    RankerVersion,
    ServedList,
    ShownAgain,
)
from recommendations.models.merchandising import MerchandisingRule
from recommendations.models.waiting import WaitingEvent
from recommendations.telemetry import ROWS_REMOVED
from recommendations.upkeep.demand import count_demand
from recommendations.upkeep.months import EVENTS, IMPRESSIONS, LISTS, drop_old_months
from web.postgres.months import Monthly

logger = logging.getLogger(__name__)

SECONDS_EACH = 240.0  # for one kind in one night; the next one goes on
OVERDUE = timedelta(days=3)  # beyond its days: the nightly removal does not run, or does not get through
ENDED = (Listing.Status.SOLD, Listing.Status.WITHDRAWN, Listing.Status.EXPIRED)
JOBS_KEPT = 20  # the newest of each origin and outcome, however old: feeds and pages compare with them


@dataclass(frozen=True)
class Kind:
    """Rows that are removed alike.

    Attributes:
        name: For metrics and the log.
        setting: The setting that says for how many days they are kept; 0 for ever.
        old: Those from before a moment that nothing kept needs.
        order: The column they are looked through by, the oldest first; it has an index.
        monthly: The table kept by month that they are in: whole months go at once.
        n_at_once: Rows of one transaction.
        remove: Deletes rows by their keys.
        beforehand: Notes what is to be kept of those from before a moment.
    """

    name: str
    setting: str
    old: Callable[[datetime], QuerySet[Any]]
    remove: Callable[[Sequence[Any]], None]
    order: str = "pk"
    monthly: Monthly | None = None
    n_at_once: int = 2000
    beforehand: Callable[[datetime], object] | None = None

    @property
    def days(self) -> int:
        return int(getattr(settings, self.setting))

    def overdue(self, now: datetime) -> bool:
        """Whether rows are still there that should have gone days ago."""
        return self.days > 0 and self.old(now - timedelta(days=self.days) - OVERDUE).exists()


def kinds() -> list[Kind]:
    """Every kind, in the order in which they are removed: what is named comes after what names it."""
    return [
        Kind(
            "events",
            "KEEP_EVENTS_DAYS",
            old_events,
            _deletes(Interaction),
            "received_at",
            EVENTS,
            beforehand=count_demand,
        ),
        Kind("lists", "KEEP_LISTS_DAYS", old_lists, _deletes(ServedList), "served_at", LISTS),
        Kind("impressions", "KEEP_IMPRESSIONS_DAYS", old_impressions, _deletes(Impression), "received_at", IMPRESSIONS),
        Kind("anonymous buyers", "KEEP_ANONYMOUS_BUYERS_DAYS", idle_guests, _deletes(Buyer), n_at_once=200),
        Kind("price changes", "KEEP_PRICE_CHANGES_DAYS", old_price_changes, _deletes(PriceChange), order="changed_at"),
        Kind("ended listings", "KEEP_ENDED_LISTINGS_DAYS", unnamed_listings, remove_listings, n_at_once=500),
        Kind("audit entries", "KEEP_AUDIT_DAYS", old_audit_entries, _deletes(AuditEntry)),
        *(
            Kind(f"jobs: {model._meta.verbose_name_plural}", "KEEP_JOBS_DAYS", _old_jobs(model), _deletes(model))
            for model in job_models()
        ),
    ]


def remove_old_rows(*, now: datetime, seconds_each: float = SECONDS_EACH) -> dict[str, int]:
    """Remove what is older than the settings allow; how many rows of each kind that is not kept for ever.

    In transactions of their own, so that it may be cut short at any time, and no lock is held for long.
    """
    removed = {}
    for kind in kinds():
        if not kind.days:
            continue
        before = now - timedelta(days=kind.days)
        if kind.beforehand:
            kind.beforehand(before)
        n_in_months = remove_months(kind, before)
        removed[kind.name] = n = n_in_months + _remove(kind, before, seconds_each)
        if n:
            logger.info("%s: %d rows removed that were older than %d days", kind.name, n, kind.days)
    return removed


def remove_months(kind: Kind, before: datetime) -> int:
    """Remove the months that are over and of which nothing is needed, each at once; how many rows they had."""
    n = drop_old_months(kind.monthly, before) if kind.monthly else 0
    ROWS_REMOVED.labels(kind.name).inc(n)
    return n


def count_old_rows(*, now: datetime) -> dict[str, int]:
    """How many ``remove_old_rows`` would remove now; those that are free only once others are gone are not counted."""
    return {kind.name: kind.old(now - timedelta(days=kind.days)).count() for kind in kinds() if kind.days}


def _remove(kind: Kind, before: datetime, seconds: float) -> int:
    n_removed, position, ends_at = 0, None, time.monotonic() + seconds
    while time.monotonic() < ends_at:
        n, n_found, position = _remove_batch(kind, before, position)
        n_removed += n
        ROWS_REMOVED.labels(kind.name).inc(n)
        if n_found < kind.n_at_once or n == 0:
            break
    return n_removed


def _remove_batch(kind: Kind, before: datetime, position: Any) -> tuple[int, int, Any]:
    """Removes the next rows from a position of ``kind.order`` on; how many, how many were found, and the last position.

    What lies before the position was looked at already: rows that have to stay are not looked through again and again.
    """
    with transaction.atomic():
        rows = kind.old(before)
        if position is not None:
            rows = rows.filter(**{f"{kind.order}__gte": position})
        locked = rows.order_by(kind.order).select_for_update(skip_locked=True, of=("self",))
        found = list(locked.values_list("pk", kind.order)[: kind.n_at_once])
        # Asked again once they are locked: an event may have named one of them in between.
        keys = list(kind.old(before).filter(pk__in=[key for key, _ in found]).values_list("pk", flat=True))
        kind.remove(keys)
    return len(keys), len(found), found[-1][1] if found else position


def _deletes(model: type[Model]) -> Callable[[Sequence[Any]], None]:
    def remove(keys: Sequence[Any]) -> None:
        model._default_manager.filter(pk__in=keys).delete()

    return remove


# --- What may go -----------------------------------------------------------------------------------------------------
def old_events(before: datetime) -> QuerySet[Interaction]:
    """By their arrival, which the sender cannot choose."""
    return Interaction.objects.filter(received_at__lt=before)


def old_impressions(before: datetime) -> QuerySet[Impression]:
    """By their arrival, as events. Choice sets and figures of their lists fall back on what was served."""
    return Impression.objects.filter(received_at__lt=before)


def old_lists(before: datetime) -> QuerySet[ServedList]:
    """Without those that an event came from: they are its choice set, and go after it."""
    return ServedList.objects.filter(
        ~Exists(Interaction.objects.filter(served_list=OuterRef("pk"))), served_at__lt=before
    )


def idle_guests(before: datetime) -> QuerySet[Buyer]:
    """Buyers who are known by a visitor key only, and neither did nor were shown anything since."""
    since = Interaction.objects.filter(Q(received_at__gte=before) | Q(occurred_at__gte=before), buyer=OuterRef("pk"))
    shown = ServedList.objects.filter(buyer=OuterRef("pk"), served_at__gte=before)
    waiting = WaitingEvent.objects.filter(buyer=OuterRef("pk"))
    merged = Buyer.objects.filter(merged_into=OuterRef("pk"))
    guests = Buyer.objects.filter(user=None, external_id=None, merged_into=None, created_at__lt=before)
    return guests.filter(~Exists(since), ~Exists(shown), ~Exists(waiting), ~Exists(merged))


def old_price_changes(before: datetime) -> QuerySet[PriceChange]:
    return PriceChange.objects.filter(changed_at__lt=before)


def unnamed_listings(before: datetime) -> QuerySet[Listing]:
    """Cars that ended, which no event, list or rule names. Items of the feed stay: they may be offered again."""
    acted_on = Interaction.objects.filter(listing=OuterRef("pk"))
    shown = ServedList.objects.filter(~Q(variant=FEED), listing_ids__contains=[OuterRef("pk")])
    in_rule = MerchandisingRule.listings.through.objects.filter(listing=OuterRef("pk"))
    ended = Listing.objects.cars().filter(status__in=ENDED, ended_at__lt=before)
    return ended.filter(~Exists(acted_on), ~Exists(shown), ~Exists(in_rule))


def remove_listings(keys: Sequence[int]) -> None:
    """With what hangs on them. Vectors are found by version and listing: there is no index by listing alone."""
    for version_id in stored_versions():
        ListingVector.objects.of(version_id).filter(listing_id__in=keys)._raw_delete("default")
    PriceChange.objects.filter(listing__in=keys).delete()
    ShownAgain.objects.filter(listing__in=keys).delete()
    CarAlert.objects.filter(listing__in=keys).delete()
    # The rest of the relations are those that ``unnamed_listings`` asks about, and a constraint of the database holds.
    Listing.objects.filter(pk__in=keys)._raw_delete("default")


def old_audit_entries(before: datetime) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(at__lt=before)


def _old_jobs(model: type[Job]) -> Callable[[datetime], QuerySet[Any]]:
    def old(before: datetime) -> QuerySet[Any]:
        return old_jobs(model, before)

    return old


def old_jobs(model: type[Job], before: datetime) -> QuerySet[Any]:
    """Finished ones, without the newest of each origin, those of usable versions and imports that can be undone."""
    fields = {field.name for field in model._meta.get_fields()}
    origin = [F(name) for name in ("source", "feed", "placement") if name in fields]
    number = Window(RowNumber(), partition_by=[*origin, F("status")], order_by=F("created_at").desc())
    manager: Any = model._default_manager
    newest = manager.annotate(number=number).filter(number__lte=JOBS_KEPT).values("pk")
    rows: QuerySet[Any] = manager.filter(created_at__lt=before).exclude(status__in=UNFINISHED).exclude(pk__in=newest)
    if "version" in fields:
        rows = rows.exclude(version__in=RankerVersion.objects.usable())
    return rows.filter(imported__isnull=True) if model is ImportRun else rows
