"""The life of an experiment: its start, its readings, its end, and the end of what harms. Beat calls ``watch``."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from math import isfinite

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from console import auditing
from recommendations.evaluation.experiment_log import Reading, read_experiment
from recommendations.evaluation.experiment_report import Harm, harms_in, plan_of
from recommendations.listings.other_versions import HELD_AT_MOST
from recommendations.metrics.experiments import LEAST_BUYERS
from recommendations.models import Experiment, RankerVersion
from recommendations.serving.rule_checks import refuse_mode, refuse_variants

logger = logging.getLogger(__name__)

Status = Experiment.Status
FRESH_FOR = timedelta(days=1)  # a reading of what buyers did before the start
LONGEST_AFTER = timedelta(days=40)  # beyond the most days of a buyer
MOST_PLANNED = 2_000_000_000  # of the column


def watch(now: datetime | None = None) -> None:
    """Start what is due, read what runs, stop what harms and what is over; one experiment's trouble stops no other.

    Of one that was stopped, the buyers' days go on, so it is read until the last of them are over.
    """
    now = now or timezone.now()
    lately = Q(status=Status.STOPPED, stopped_at__gt=now - LONGEST_AFTER)
    for experiment in Experiment.objects.filter(Q(status__in=(Status.SCHEDULED, Status.RUNNING)) | lately):
        try:
            watch_one(experiment, now)
        except Exception:
            logger.exception("could not look after experiment %s", experiment.pk)


def watch_one(experiment: Experiment, now: datetime) -> None:
    if experiment.status == Status.SCHEDULED:
        if experiment.starts_at and experiment.starts_at <= now:
            start_scheduled(experiment, now)
        return
    if experiment.status == Status.STOPPED and not is_going_on(experiment, now):
        return
    if experiment.status == Status.RUNNING and (gone := versions_gone(experiment)):
        stop(experiment, reason=f"The ranker version {gone[0]} that a variant names cannot answer any more.", at=now)
    measure(experiment, now)
    if experiment.status == Status.STOPPED:
        return
    if experiment.stops_harmful:
        stop_harmful(experiment, now)
    if experiment.ends_at and experiment.ends_at <= now and experiment.status == Status.RUNNING:
        stop(experiment, reason="its end was reached", at=experiment.ends_at)


def versions_gone(experiment: Experiment) -> list[str]:
    """Versions that variants name and that have no vectors any more."""
    usable = set(RankerVersion.objects.usable().filter(pk__in=experiment.version_ids).values_list("pk", flat=True))
    return [f"v{key}" for key in sorted(experiment.version_ids - usable)]


def versions_named(experiment: Experiment) -> set[int]:
    """Versions that variants would name if it ran, those of other experiments included."""
    running = Experiment.objects.filter(status=Status.RUNNING).exclude(pk=experiment.pk)
    return set().union(experiment.version_ids, *(one.version_ids for one in running))


def refuse_start(experiment: Experiment) -> None:
    """Raise ValidationError where its variants could not be served."""
    refuse_variants(experiment.variants, experiment.placement)
    refuse_mode(experiment.mode, experiment.variants)
    refuse_memory(experiment)


def refuse_memory(experiment: Experiment) -> None:
    """Raise ValidationError where more versions could come to serve lists than a process can hold.

    The live one counts where it is named: once another is live, it is held beside that one.
    """
    if len(versions_named(experiment)) > HELD_AT_MOST:
        raise ValidationError(
            f"With the experiments that run, variants would name more than {HELD_AT_MOST} ranker versions, which would "
            "have to be held in memory beside a live one. Stop one of those, or name fewer versions."
        )


def is_going_on(experiment: Experiment, now: datetime) -> bool:
    """Whether days of its buyers that count were not over when it was read last."""
    ends = (experiment.stopped_at or now) + timedelta(days=experiment.outcome_days + 2)
    return experiment.measured_at is None or experiment.measured_at < ends


def measure(experiment: Experiment, now: datetime) -> None:
    """Read the log, and keep what it says."""
    reading = read_experiment(experiment, now)
    experiment.measured, experiment.measured_at = reading.as_json(), now
    experiment.save(update_fields=["measured", "measured_at"])


def measure_by_id(experiment_id: int) -> None:
    """What “Measure now” hands to a worker; free where the experiment is gone."""
    if experiment := Experiment.objects.filter(pk=experiment_id).first():
        measure(experiment, timezone.now())


def plan_start(experiment: Experiment, now: datetime) -> None:
    """Note the start, and for how many buyers intervals are made, by what the placement's buyers did before.

    The number must not depend on what comes of the experiment, so it is never changed again.
    """
    experiment.started_at, experiment.status = None, Status.RUNNING
    known = Reading.of(experiment)
    is_fresh = known is not None and now - known.read_at < FRESH_FOR
    reading = known if known and is_fresh else read_experiment(experiment, now)
    buyers = plan_of(experiment, reading).buyers
    experiment.planned_buyers = int(min(max(buyers, 2 * LEAST_BUYERS), MOST_PLANNED)) if isfinite(buyers) else None
    experiment.started_at = now
    experiment.measured, experiment.measured_at = {}, None


def start_scheduled(experiment: Experiment, now: datetime) -> None:
    try:
        refuse_start(experiment)
        with transaction.atomic():
            plan_start(experiment, now)
            experiment.save()
            auditing.record(by=None, action="started", target=experiment, note="As scheduled")
    except ValidationError as refused:
        logger.warning("experiment %s is due, and cannot start: %s", experiment.slug, " ".join(refused.messages))
    except IntegrityError:  # another runs there: this one waits until it has stopped
        logger.warning("experiment %s is due, and another runs on its placement", experiment.slug)


def stop_harmful(experiment: Experiment, now: datetime) -> None:
    """Take the arms that do harm out of it; where only the control is left, the experiment ends."""
    if (reading := Reading.of(experiment)) is None:
        return
    harms: dict[str, Harm] = {}
    for harm in harms_in(experiment, reading):
        if harm.arm not in experiment.stopped_arms:
            harms.setdefault(harm.arm, harm)
    for harm in harms.values():
        stop_arm(experiment, harm, now)
    if harms and not set(experiment.other_arms) - set(experiment.stopped_arms):
        last = list(harms.values())[-1]
        stop(experiment, reason=f"“{last.arm}” had {last.sentence}.", at=now)


@transaction.atomic
def stop_arm(experiment: Experiment, harm: Harm, now: datetime) -> None:
    """Its buyers get the usual lists from the next one on."""
    experiment.stopped_arms = {**experiment.stopped_arms, harm.arm: {"at": now.isoformat(), "why": harm.sentence}}
    experiment.save(update_fields=["stopped_arms"])
    auditing.record(
        by=None, action="stopped", target=experiment, after={"variant": harm.arm}, note=f"Guardrail: {harm.sentence}"
    )


@transaction.atomic
def stop(experiment: Experiment, *, reason: str, at: datetime, by: User | None = None) -> None:
    experiment.status, experiment.stopped_at, experiment.stop_reason = Status.STOPPED, at, reason[:300]
    experiment.save(update_fields=["status", "stopped_at", "stop_reason"])
    auditing.record(by=by, action="stopped", target=experiment, note=reason)
