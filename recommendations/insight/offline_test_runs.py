"""Trials of weights and rules as rows: started, carried out by a worker, stored; one cut short holds nothing."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import User
from recommendations.insight.offline_test import Trial, try_out
from recommendations.insight.previews import Way
from recommendations.models import EventKind, Placement, WeightTrial
from recommendations.serving.placements import VARIABLE_RULES, Rules, changed

SILENCE_OF_THE_DEAD = timedelta(minutes=5)  # no step takes a tenth of that


class TrialCancelled(Exception):
    """An operator cancelled the trial."""


# --- What is tried, as numbers ---------------------------------------------------------------------------------------
def numbers_of(way: Way) -> dict[str, Any]:
    """A way to make lists, complete and ready for JSON; ``way_of`` restores it."""
    kinds = EventKind.objects.in_bulk() if way.kinds is None else way.kinds
    return {
        "kinds": {slug: [kind.weight, kind.half_life_days] for slug, kind in sorted(kinds.items())},
        "rules": {name: getattr(way.rules.placement, name) for name in VARIABLE_RULES},
    }


def way_of(placement: Placement, numbers: Mapping[str, Any]) -> Way:
    """The reverse; kinds that are gone by now are left out, and new ones are as they are stored."""
    kinds = EventKind.objects.in_bulk()
    for slug, (weight, half_life_days) in numbers["kinds"].items():
        if slug in kinds:
            kinds[slug] = copy.copy(kinds[slug])
            kinds[slug].weight, kinds[slug].half_life_days = weight, half_life_days
    return Way(kinds, Rules(changed(placement, numbers["rules"])))


def digest_of(placement: Placement, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    told = json.dumps([placement.pk, before, after], sort_keys=True)
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


# --- The rows --------------------------------------------------------------------------------------------------------
def trial_of(before: Way, after: Way) -> WeightTrial | None:
    """The newest trial of exactly this, unless it was cancelled."""
    digest = digest_of(after.rules.placement, numbers_of(before), numbers_of(after))
    found = WeightTrial.objects.filter(digest=digest).exclude(status=WeightTrial.Status.CANCELLED)
    return found.order_by("-created_at").first()


def start_trial(before: Way, after: Way, *, started_by: User | None = None) -> WeightTrial:
    """A queued trial, for ``run_trial``."""
    placement = after.rules.placement
    numbers = numbers_of(before), numbers_of(after)
    return WeightTrial.objects.create(
        placement_id=placement.pk, before=numbers[0], after=numbers[1], digest=digest_of(placement, *numbers),
        started_by=started_by,
    )  # fmt: skip


def run_trial(*, trial_id: int) -> WeightTrial | None:
    """Carry out a queued trial; None when somebody else took it, or it was cancelled. Raises what went wrong.

    The process may be told to stop (SystemExit): then the trial is queued again, and whoever comes next begins anew.
    """
    if not claim(trial_id):
        return None
    row = WeightTrial.objects.select_related("placement").get(pk=trial_id)
    try:
        before, after = (way_of(row.placement, numbers) for numbers in (row.before, row.after))
        found = try_out(before, after, report=lambda share, step: note_progress(trial_id, share, step))
    except TrialCancelled:
        return None
    except SystemExit:
        unfinished(trial_id).update(status=WeightTrial.Status.QUEUED, progress=0, step="")
        raise
    except BaseException as error:
        unfinished(trial_id).update(
            status=WeightTrial.Status.FAILED, error=str(error) or type(error).__name__, finished_at=timezone.now()
        )
        raise
    unfinished(trial_id).update(
        status=WeightTrial.Status.DONE, result=told(found), progress=1, step="", error="", finished_at=timezone.now()
    )
    row.refresh_from_db()
    return row


def told(found: Trial | None) -> dict[str, Any]:
    """What came of a trial, ready for JSON."""
    if found is None:
        return {"moment": None, "n_buyers": 0, "n_known": 0, "figures": []}
    figures = [
        {"name": one.name, "before": one.before, "after": one.after, "verdict": one.verdict, **asdict(one.difference)}
        for one in found.figures
    ]
    return {
        "moment": found.moment.isoformat(), "n_buyers": found.n_buyers, "n_known": found.n_known, "figures": figures,
    }  # fmt: skip


def claim(trial_id: int) -> bool:
    """Take a queued trial, or one whose process has been silent for so long that it must have died."""
    now = timezone.now()
    free = WeightTrial.objects.filter(Q(status=WeightTrial.Status.QUEUED) | silent_since(now), pk=trial_id)
    return bool(free.update(status=WeightTrial.Status.RUNNING, started_at=now, heartbeat_at=now, progress=0))


def dead_trials() -> list[int]:
    """Trials whose process was killed before it could say so."""
    return list(WeightTrial.objects.filter(silent_since(timezone.now())).values_list("pk", flat=True))


def silent_since(now: datetime) -> Q:
    return Q(status=WeightTrial.Status.RUNNING, heartbeat_at__lt=now - SILENCE_OF_THE_DEAD)


def unfinished(trial_id: int) -> QuerySet[WeightTrial]:
    return WeightTrial.objects.filter(pk=trial_id, status=WeightTrial.Status.RUNNING)


def note_progress(trial_id: int, share: float, step: str) -> None:
    """Write down how far it is; raises TrialCancelled where nobody wants it any more."""
    if not unfinished(trial_id).update(progress=share, step=step[:120], heartbeat_at=timezone.now()):
        raise TrialCancelled("cancelled")
