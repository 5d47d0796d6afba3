"""Promotion and rollback of a ranker version, with messages and audit log entries."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest

from console import auditing
from recommendations.admin.jobs import author
from recommendations.exceptions import RankerRefused
from recommendations.models import RankerVersion
from recommendations.training.versions import promote_ranker, rollback_ranker


def promote(request: HttpRequest, version: RankerVersion, note: str) -> bool:
    """Promote the version. Returns whether it is live; a refusal becomes a message."""
    return move(request, "promoted", note, lambda: promote_ranker(version=version, note=note, by=author(request)))


def roll_back(request: HttpRequest, note: str) -> bool:
    """Roll back to the previous version. Returns whether it is live; a refusal becomes a message."""
    return move(request, "rolled back", note, lambda: rollback_ranker(note=note, by=author(request)))


def move(request: HttpRequest, action: str, note: str, change: Callable[[], RankerVersion]) -> bool:
    try:
        with transaction.atomic():
            before = RankerVersion.objects.live()
            version = change()
            auditing.record(
                by=request.user,
                action=action,
                target=version,
                before={"live": before},
                after={"live": version, "passed the gate": version.gate.get("passed")},
                note=note,
            )
    except RankerRefused as refusal:
        messages.error(request, f"Nothing was changed: {str(refusal).rstrip('.')}.")
        return False
    messages.success(request, f"{version} is live." if before is None else f"{version} is live; {before} stays ready.")
    return True


def may_promote(request: HttpRequest) -> bool:
    """Whether the user may promote: it needs the change permission, though the pages are read-only."""
    return bool(request.user.has_perm("recommendations.change_rankerversion"))
