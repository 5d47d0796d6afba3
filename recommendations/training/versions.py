"""Promote, roll back and retire ranker versions."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from recommendations.events.signals import ranker_promoted
from recommendations.exceptions import RankerRefused
from recommendations.listings.vectors import drop_partition, stored_versions
from recommendations.models import Experiment, Preference, RankerVersion


@transaction.atomic
def promote_ranker(*, version: RankerVersion, note: str = "", by: User | None = None) -> RankerVersion:
    """Make a ready version the live one; the one before stays ready for a rollback.

    Every process serves it within ``settings.WINDOW_STALENESS_SECONDS`` of its next request.

    Raises:
        RankerRefused: If the version is live already or not ready, or did not pass the gate and there is no note.
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
    if by is not None or becomes_reference(version):
        make_reference(version)
    ranker_promoted.send(sender=RankerVersion, version_id=version.pk)
    return version


def becomes_reference(version: RankerVersion) -> bool:
    """Whether a version becomes the reference: there is none, or this one was significantly better."""
    is_first = not RankerVersion.objects.usable().filter(is_reference=True).exists()
    return is_first or version.gate.get("figures", {}).get("reference_low", 0.0) > 0


def make_reference(version: RankerVersion) -> None:
    """Make a version the reference that later versions are compared with."""
    RankerVersion.objects.filter(is_reference=True).update(is_reference=False)
    RankerVersion.objects.filter(pk=version.pk).update(is_reference=True)
    version.is_reference = True


def rollback_ranker(*, note: str = "", by: User | None = None) -> RankerVersion:
    """Promote the newest version that is older than the live one and was live before; RankerRefused without one."""
    live = RankerVersion.objects.live()
    earlier = RankerVersion.objects.filter(status=RankerVersion.Status.READY, promoted_at__isnull=False)
    before = earlier.filter(pk__lt=live.pk).first() if live else earlier.first()
    if before is None:
        raise RankerRefused("there is no earlier version to go back to")
    return promote_ranker(version=before, note=note.strip() or f"rolled back to, from {live}", by=by)


def retire_old_rankers(*, keep: int | None = None) -> list[RankerVersion]:
    """Retire versions beyond the newest few; returns them.

    The live version, the reference, the one to roll back to, and those named by experiments always stay.
    """
    keep = settings.RANKER_VERSIONS_KEPT if keep is None else keep
    usable = list(RankerVersion.objects.usable().order_by("-id"))
    live = [version for version in usable if version.status == RankerVersion.Status.LIVE]
    way_back = [version for version in usable if version.promoted_at and version not in live][:1]
    named = set().union(*(experiment.version_ids for experiment in Experiment.objects.exclude(status="stopped")))
    others = [
        version
        for version in usable
        if version not in (*live, *way_back) and not version.is_reference and version.pk not in named
    ]
    retired = others[max(keep - len(live) - len(way_back), 0) :]
    for version in retired:
        retire_ranker(version)
    drop_leftover_vectors()
    return retired


def retire_ranker(version: RankerVersion) -> None:
    """Delete a version's vectors, preferences and artifact; its row and figures stay.

    The vectors are dropped last and outside the transaction, so that no list waits for its locks. If the process ends
    before that, ``check_data`` and ``doctor`` report the table, and the next training drops it.
    """
    with transaction.atomic():
        version.status, version.retired_at = RankerVersion.Status.RETIRED, timezone.now()
        version.save(update_fields=["status", "retired_at"])
        Preference.objects.filter(version=version).delete()
        if hasattr(version, "artifact"):
            version.artifact.delete()
    drop_partition(version.pk)


def drop_leftover_vectors() -> None:
    """Drop the vectors of retired and failed versions that a process left when it ended."""
    statuses = RankerVersion.Status
    gone = RankerVersion.objects.filter(status__in=[statuses.RETIRED, statuses.FAILED], pk__in=stored_versions())
    for version_id in gone.values_list("pk", flat=True):
        drop_partition(version_id)
