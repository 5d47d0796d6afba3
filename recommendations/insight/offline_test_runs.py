"""Jobs of offline tests: queue, run in a worker, store the result. A test that was cut short stores nothing."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from accounts.models import User
from jobs.work import Attempt, perform
from recommendations.insight.offline_test import OfflineTest, compare_setups
from recommendations.insight.previews import ListSetup
from recommendations.models import EventKind, Placement, WeightTrial
from recommendations.serving.placements import VARIABLE_RULES, changed
from recommendations.serving.rules import Rules


# --- Setups as JSON --------------------------------------------------------------------------------------------------
def numbers_of(setup: ListSetup) -> dict[str, Any]:
    """Return a setup as JSON values, complete; ``setup_of`` is the inverse."""
    kinds = EventKind.objects.in_bulk() if setup.kinds is None else setup.kinds
    return {
        "kinds": {slug: [kind.weight, kind.half_life_days] for slug, kind in sorted(kinds.items())},
        "rules": {name: getattr(setup.rules.placement, name) for name in VARIABLE_RULES},
    }


def setup_of(placement: Placement, numbers: Mapping[str, Any]) -> ListSetup:
    """Restore a setup; kinds that were removed since are left out, and new ones have their stored weight."""
    kinds = EventKind.objects.in_bulk()
    for slug, (weight, half_life_days) in numbers["kinds"].items():
        if slug in kinds:
            kinds[slug] = copy.copy(kinds[slug])
            kinds[slug].weight, kinds[slug].half_life_days = weight, half_life_days
    return ListSetup(kinds, Rules(changed(placement, numbers["rules"])))


def digest_of(placement: Placement, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    content = json.dumps([placement.pk, before, after], sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


# --- Jobs ------------------------------------------------------------------------------------------------------------
def find_offline_test(before: ListSetup, after: ListSetup) -> WeightTrial | None:
    """Return the newest offline test of the same two setups that was not cancelled."""
    digest = digest_of(after.rules.placement, numbers_of(before), numbers_of(after))
    found = WeightTrial.objects.filter(digest=digest).exclude(status=WeightTrial.Status.CANCELLED)
    return found.order_by("-created_at").first()


def start_offline_test(before: ListSetup, after: ListSetup, *, started_by: User | None = None) -> WeightTrial:
    """Queue an offline test, for ``run_offline_test``."""
    placement = after.rules.placement
    numbers = numbers_of(before), numbers_of(after)
    return WeightTrial.objects.create(
        placement_id=placement.pk, before=numbers[0], after=numbers[1], digest=digest_of(placement, *numbers),
        started_by=started_by,
    )  # fmt: skip


def run_offline_test(*, offline_test_id: int) -> WeightTrial | None:
    """Run a queued test; None if another process has claimed it, or it was cancelled. Errors are raised."""

    def work(attempt: Attempt[WeightTrial]) -> None:
        before, after = (
            setup_of(attempt.job.placement, numbers) for numbers in (attempt.job.before, attempt.job.after)
        )
        attempt.finish(result=result_of(compare_setups(before, after, report=attempt.report)))

    return WeightTrial.objects.get(pk=offline_test_id) if perform(WeightTrial, offline_test_id, work) else None


def result_of(found: OfflineTest | None) -> dict[str, Any]:
    """Return the result of an offline test as JSON values."""
    if found is None:
        return {"moment": None, "n_buyers": 0, "n_known": 0, "figures": []}
    figures = [
        {"name": one.name, "before": one.before, "after": one.after, "verdict": one.verdict, **asdict(one.difference)}
        for one in found.figures
    ]
    return {
        "moment": found.cutoff.isoformat(), "n_buyers": found.n_buyers, "n_known": found.n_known, "figures": figures,
    }  # fmt: skip
