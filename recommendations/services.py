"""Writes with consequences: record what happened, refresh what was learned, move the pointer to a ranker."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Exists, Max, OuterRef, QuerySet, Subquery
from django.utils import timezone

from accounts.models import Buyer, User
from catalog.models import Listing
from recommendations import telemetry
from recommendations.artifacts import load_ranker
from recommendations.datasets import partition_of, read_listings, read_vectors, write_vectors
from recommendations.events import events_recorded, ranker_promoted
from recommendations.exceptions import EventProblem, EventsRefused, RankerRefused
from recommendations.models import (
    EventKind,
    Interaction,
    ListingVector,
    Preference,
    RankerVersion,
    SavedSearch,
    ServedList,
)
from recommendations.preferences import bring_up_to_date, current_preference
from recommendations.window import match_vectors

SEARCH = "search"  # the kind of event that may be about a query instead of a listing
CLOCK_SKEW = timedelta(minutes=5)  # how far ahead of ours a client's clock may be
EMBEDDING_BATCH = 20_000  # listings encoded at once, to bound memory
RENEWED_AT_MOST = 50_000  # buyers after a promotion; some minutes of one worker
RENEWED_AT_ONCE = 1_000  # between two looks at whether the version is still live
INDEX_LOCKS = 0x1DE << 44  # keeps our advisory locks apart from others


# --- Events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something a buyer did. Without an ``event_id`` it cannot be recognised when it is sent again."""

    kind: str
    event_id: str = ""
    listing_id: int | None = None
    query: dict | None = None
    occurred_at: datetime | None = None
    served_list_id: uuid.UUID | None = None
    position: int | None = None


@dataclass(frozen=True)
class Recorded:
    n_recorded: int
    n_repeated: int


def record_interactions(*, buyer: Buyer, events: Sequence[Event]) -> Recorded:
    """Append events of one buyer to the log, all or none; raises EventsRefused with every problem found."""
    return record_interactions_of_many(events_by_buyer=[(buyer, event) for event in events])


@transaction.atomic
def record_interactions_of_many(*, events_by_buyer: Sequence[tuple[Buyer, Event]]) -> Recorded:
    """Append events of any buyers to the log, all or none; an event id that is known already counts as repeated."""
    now = timezone.now()
    refuse_problems([event for _, event in events_by_buyer], now)
    rows = [as_interaction(buyer, event, now) for buyer, event in events_by_buyer]
    known = set(
        Interaction.objects.filter(event_id__in=[row.event_id for row in rows]).values_list("event_id", flat=True)
    )
    fresh = list({row.event_id: row for row in reversed(rows) if row.event_id not in known}.values())[::-1]
    # ignore_conflicts: another request may be writing the same events right now, and one of us must win quietly
    Interaction.objects.bulk_create(fresh, ignore_conflicts=True)
    if fresh:
        events_recorded.send(sender=Interaction, buyer_ids=sorted({row.buyer_id for row in fresh}))
    for kind, n in Counter(row.kind_id for row in fresh).items():
        telemetry.EVENTS.labels(kind).inc(n)
    telemetry.EVENTS_REPEATED.inc(len(rows) - len(fresh))
    return Recorded(n_recorded=len(fresh), n_repeated=len(rows) - len(fresh))


def as_interaction(buyer: Buyer, event: Event, now: datetime) -> Interaction:
    return Interaction(
        event_id=event.event_id or uuid.uuid4().hex,
        buyer=buyer,
        kind_id=event.kind,
        listing_id=event.listing_id,
        query=event.query,
        occurred_at=min(event.occurred_at or now, now),  # a clock that runs ahead must not make events of the future
        received_at=now,
        served_list_id=event.served_list_id,
        position=event.position,
    )


def refuse_problems(events: Sequence[Event], now: datetime) -> None:
    """Raise EventsRefused with everything that is wrong; cheap checks in memory, two queries for the rest."""
    kinds = set(EventKind.objects.values_list("slug", flat=True))
    listing_ids = {event.listing_id for event in events if event.listing_id is not None}
    known_ids = set(Listing.objects.filter(pk__in=listing_ids).values_list("pk", flat=True))
    problems = [
        EventProblem(index, field, reason)
        for index, event in enumerate(events)
        for field, reason in problems_of(event, kinds, known_ids, now)
    ]
    if problems:
        raise EventsRefused(problems)


def problems_of(event: Event, kinds: set[str], known_ids: set[int], now: datetime) -> list[tuple[str, str]]:
    """What is wrong with one event, as pairs of field and reason."""
    problems = []
    if event.kind not in kinds:
        problems.append(("kind", f"unknown kind “{event.kind}”; known are {', '.join(sorted(kinds))}"))
    if event.listing_id is not None and event.listing_id not in known_ids:
        problems.append(("listing_id", f"there is no listing {event.listing_id}"))
    if event.listing_id is None and not (event.kind == SEARCH and event.query):
        problems.append(("listing_id", "an event needs a listing; only a search may have a query instead"))
    if event.occurred_at and event.occurred_at > now + CLOCK_SKEW:
        problems.append(("occurred_at", f"{event.occurred_at.isoformat()} lies in the future"))
    if event.position is not None and not 1 <= event.position <= 32_767:
        problems.append(("position", "must be between 1, the top of the list, and 32767"))
    if len(event.event_id) > 64:
        problems.append(("event_id", "has more than 64 characters"))
    return problems


@transaction.atomic
def take_over_history(*, guest: Buyer, into: Buyer) -> None:
    """Give a guest's log to the buyer the guest turned out to be; what was learned of the guest is learned anew."""
    for rows in (Interaction.objects, ServedList.objects, SavedSearch.objects):
        rows.filter(buyer=guest).update(buyer=into)
    Preference.objects.filter(buyer=guest).delete()


# --- Preferences -----------------------------------------------------------------------------------------------------


def refresh_preferences(*, buyer_id: int, by: str = "worker") -> Preference | None:
    """Bring one buyer's preference up to date; safe to run twice or at the same time, and free when it is."""
    buyer = Buyer.objects.filter(pk=buyer_id).first()
    return current_preference(buyer, by=by) if buyer else None


def save_questionnaire(*, buyer: Buyer, answers: dict) -> None:
    """Keep what a buyer told us; the preference that rests on older answers becomes stale by that alone."""
    buyer.questionnaire = answers
    buyer.save(update_fields=["questionnaire"])
    events_recorded.send(sender=Buyer, buyer_ids=[buyer.pk])


def refresh_stale_preferences(*, active_within: timedelta = timedelta(days=30), at_most: int = 500) -> int:
    """Bring preferences of recently active buyers up to date where the log is ahead; returns how many."""
    for guest in Buyer.objects.filter(merged_into__isnull=False, interactions__isnull=False).distinct():
        if guest.merged_into:  # events that were under way when the guest logged in
            take_over_history(guest=guest, into=guest.merged_into)
    version = RankerVersion.objects.live()
    if version is None:
        return 0
    stale = buyers_behind_the_log(version, since=timezone.now() - active_within)[:at_most]
    return bring_up_to_date(list(stale), by="beat")


def renew_preferences(*, version_id: int, active_within: timedelta = timedelta(days=30)) -> int:
    """Make the preferences of recently active buyers in a space that went live, the latest first; returns how many.

    Ends early when another version goes live meanwhile. Whoever comes by before their turn is served by the read.
    """
    version = RankerVersion.objects.get(pk=version_id)
    behind = list(buyers_behind_the_log(version, since=timezone.now() - active_within)[:RENEWED_AT_MOST])
    n_made = 0
    for start in range(0, len(behind), RENEWED_AT_ONCE):
        if RankerVersion.objects.live() != version:
            break
        n_made += bring_up_to_date(behind[start : start + RENEWED_AT_ONCE], by="worker")
    return n_made


def buyers_behind_the_log(version: RankerVersion, since: datetime) -> QuerySet[Buyer]:
    """Buyers with events about cars since a moment, and no preference in a space that has seen all of their log.

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


# --- Listing vectors -------------------------------------------------------------------------------------------------


def embed_listings(listing_ids: Sequence[int]) -> int:
    """Make the vectors of listings in every usable space where they are missing or out of date; returns how many."""
    n_written = 0
    for version in RankerVersion.objects.usable():
        for start in range(0, len(listing_ids), EMBEDDING_BATCH):
            n_written += embed_in_space(version, list(listing_ids[start : start + EMBEDDING_BATCH]))
    return n_written


def embed_missing_listings(*, at_most: int = EMBEDDING_BATCH) -> int:
    """Make vectors for live listings that have none, or an outdated one; returns how many were written.

    And the index of a version whose training was stopped before it was made.
    """
    n_written = 0
    for version in RankerVersion.objects.usable():
        ensure_index(version.pk, wait=False)
        stored = ListingVector.objects.of(version).values("listing_id")
        missing = Listing.objects.available().cars().exclude(pk__in=stored)
        n_written += embed_in_space(version, list(missing.order_by("pk").values_list("pk", flat=True)[:at_most]))
    return n_written


def embed_in_space(version: RankerVersion, listing_ids: list[int]) -> int:
    rows = read_listings(Listing.objects.filter(pk__in=listing_ids))
    _, is_current = match_vectors(rows, *read_vectors(version, listing_ids))
    outdated = np.flatnonzero(~is_current)
    if len(outdated):
        table = rows.table.take(outdated)
        write_vectors(version, rows.listing_ids[outdated], load_ranker(version.pk).vectors(table), table.digests())
        telemetry.VECTORS_WRITTEN.inc(len(outdated))
    return len(outdated)


# --- Ranker versions -------------------------------------------------------------------------------------------------


@transaction.atomic
def promote_ranker(*, version: RankerVersion, note: str = "", by: User | None = None) -> RankerVersion:
    """Put a version live; the one before stays ready to be rolled back to.

    Every process follows at its next look, at most ``settings.WINDOW_STALENESS_SECONDS`` later.

    Raises:
        RankerRefused: If the version is live already or not ready; or if it did not pass the gate and no note says
            why it should go live all the same.
    """
    live = RankerVersion.objects.select_for_update().filter(status=RankerVersion.Status.LIVE).first()
    if live == version:
        raise RankerRefused(f"{version} is live already")
    version = RankerVersion.objects.select_for_update().get(pk=version.pk)
    if version.status != RankerVersion.Status.READY:
        raise RankerRefused(
            f"{version} is {version.get_status_display().lower()}; only a ready version can be promoted"
        )
    if version.failed_gate and not note.strip():
        raise RankerRefused(
            f"{version} did not pass the gate, so it takes a note that says why it should go live all the same. "
            f"The gate said: {version.gate.get('reason', 'nothing')}"
        )
    if live:
        live.status = RankerVersion.Status.READY
        live.save(update_fields=["status"])
    version.status, version.promoted_at, version.promoted_by = RankerVersion.Status.LIVE, timezone.now(), by
    version.note = note.strip() or version.note
    version.save(update_fields=["status", "promoted_at", "promoted_by", "note"])
    ranker_promoted.send(sender=RankerVersion, version_id=version.pk)
    return version


def rollback_ranker(*, note: str = "", by: User | None = None) -> RankerVersion:
    """Put the newest version that is older than the live one, and has been live, back; RankerRefused without one."""
    live = RankerVersion.objects.live()
    earlier = RankerVersion.objects.filter(status=RankerVersion.Status.READY, promoted_at__isnull=False)
    before = earlier.filter(pk__lt=live.pk).first() if live else earlier.first()
    if before is None:
        raise RankerRefused("there is no earlier version to go back to")
    return promote_ranker(version=before, note=note.strip() or f"rolled back to, from {live}", by=by)


def retire_old_rankers(*, keep: int | None = None) -> list[RankerVersion]:
    """Drop the vectors of versions beyond the newest few; the live one and the one to roll back to always stay."""
    keep = settings.RANKER_VERSIONS_KEPT if keep is None else keep
    usable = list(RankerVersion.objects.usable().order_by("-id"))
    live = [version for version in usable if version.status == RankerVersion.Status.LIVE]
    way_back = [version for version in usable if version.promoted_at and version not in live][:1]
    others = [version for version in usable if version not in (*live, *way_back)]
    retired = others[max(keep - len(live) - len(way_back), 0) :]
    for version in retired:
        retire_ranker(version)
    return retired


@transaction.atomic
def retire_ranker(version: RankerVersion) -> None:
    """Forget a version's vectors, preferences and artifact; its row and figures stay for the record."""
    version.status, version.retired_at = RankerVersion.Status.RETIRED, timezone.now()
    version.save(update_fields=["status", "retired_at"])
    drop_partition(version.pk)
    Preference.objects.filter(version=version).delete()
    if hasattr(version, "artifact"):
        version.artifact.delete()


def create_partition(version_id: int) -> None:
    """The table for one version's vectors; its index is built after they are loaded, which is much faster."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {partition_of(version_id)} PARTITION OF recommendations_listingvector FOR VALUES IN (%s)",
            [version_id],
        )


def ensure_index(version_id: int, *, wait: bool = True) -> bool:
    """Make the HNSW index of a version's vectors unless it exists; returns whether it does by now.

    Two who come at once would build it twice, so one waits for the other, or, with ``wait`` false, leaves it to them.
    """
    lock = "pg_advisory_lock" if wait else "pg_try_advisory_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {lock}(%s)", [INDEX_LOCKS + version_id])
        if cursor.fetchone()[0] is False:
            return False
        try:
            if not has_index(version_id):
                index_partition(version_id)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [INDEX_LOCKS + version_id])
    return True


def has_index(version_id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"{partition_of(version_id)}_hnsw"])
        return cursor.fetchone()[0]


def index_partition(version_id: int) -> None:
    """HNSW over inner products. ef_construction 200: clustered catalogues need it, and it costs build time alone."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE INDEX {partition_of(version_id)}_hnsw ON {partition_of(version_id)} "
            "USING hnsw (vector vector_ip_ops) WITH (m = 16, ef_construction = 200)"
        )


def drop_partition(version_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {partition_of(version_id)}")
