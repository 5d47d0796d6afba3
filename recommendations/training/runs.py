"""Train a ranker version beside the live one: read, learn, test, store, promote.

The live version is not touched until the promotion. What arrives during a training is not lost: preferences under the
new version are computed from the whole log at their first read, and new listings get their vectors before and after the
promotion.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from catalog.models import Listing
from jobs.work import Attempt, perform
from recommendations.engine.demand import SECONDS_A_DAY
from recommendations.listings.embedding import embed_for_version
from recommendations.listings.listing_index import read_changes, read_oldest_open_transaction
from recommendations.listings.rows import ListingRows
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.listings.vectors import attach_partition, create_detached, ensure_index, fill_partition
from recommendations.models import EventKind, RankerVersion, TrainingRun
from recommendations.models.artifacts import save_ranker
from recommendations.training.cluster import Executor, executor
from recommendations.training.gate import Verdict
from recommendations.training.held_out_test import run_held_out_test
from recommendations.training.learning import Report, Steps, learn, learn_similarity, read_material
from recommendations.training.parameters import TrainingParameters
from recommendations.training.versions import promote_ranker, retire_old_rankers, retire_ranker

logger = logging.getLogger(__name__)
LOCK_OF_REQUESTS = 7_466_002  # among advisory locks: of asking for a training


def start_training(
    *, parameters: dict[str, Any] | None = None, promote: bool = True, started_by: User | None = None
) -> TrainingRun:
    """Create a queued run for ``run_training``; raises TrainingRefused for invalid parameters.

    While the same training is queued or running, that run is returned: two at once would learn the same and race to be
    promoted.
    """
    wanted = {"parameters": asdict(TrainingParameters.from_json(parameters or {})), "promote": promote}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_OF_REQUESTS])  # held until the new row is visible
        unfinished = TrainingRun.objects.unfinished().filter(**wanted).order_by("created_at").first()
        return unfinished or TrainingRun.objects.create(**wanted, started_by=started_by)


def run_training(*, run_id: int, report: Report | None = None) -> RankerVersion | None:
    """Work on a queued run; returns its version, or None when another process has it or it was cancelled.

    Raises whatever failed.
    """
    is_done = perform(TrainingRun, run_id, lambda attempt: carry_out(attempt, report))
    return TrainingRun.objects.select_related("version").get(pk=run_id).version if is_done else None


def carry_out(attempt: Attempt[TrainingRun], report: Report | None) -> None:
    """Train a version for a run that this process has claimed, and mark the run done."""
    run = attempt.job
    if run.version and run.version.status == RankerVersion.Status.TRAINING:
        discard(run.version)  # what a process that died left behind
    version = RankerVersion.objects.create()
    attempt.write(version=version)
    reporter = RunReporter(attempt, report)
    if run.log:
        reporter.note("the process that worked on it was stopped; begun anew")
    try:
        train(version, TrainingParameters.from_json(run.parameters), reporter, promote=run.promote)
    except BaseException:
        discard(version)
        raise
    try:
        finish(version, reporter)
    finally:  # the version stands, whatever became of what makes its searches faster; to cancel it is too late
        now, held = timezone.now(), TrainingRun.objects.filter(pk=run.pk, attempt=attempt.number)
        held.update(status=TrainingRun.Status.DONE, progress=1, error="", finished_at=now, heartbeat_at=now)


def train(version: RankerVersion, parameters: TrainingParameters, report: Report, *, promote: bool) -> None:
    """Learn, test and store a version, and promote it if wanted and if the gate passes it."""
    seen_until = read_oldest_open_transaction()
    with executor() as where:
        snapshot, rows, verdict = learn_and_test(version, parameters, report, where)
    report(0.80, "storing vectors")
    store_version(version, snapshot, rows)
    del snapshot, rows  # the index wants the memory
    version.status = RankerVersion.Status.READY
    is_index_urgent = Listing.objects.available().count() > settings.WINDOW_MAX_LISTINGS
    if is_index_urgent:  # lists will come from it
        report(0.85, "building the index")
        ensure_index(version.pk)
    version.save()
    catch_up(version, seen_until)
    if promote:
        report(0.90, go_live_or_not(version, verdict))
        catch_up(version, seen_until)


def learn_and_test(
    version: RankerVersion, parameters: TrainingParameters, report: Report, where: Executor
) -> tuple[ListingSnapshot, ListingRows, Verdict]:
    """Learn and test; returns the snapshot, its listings and the verdict, and puts the figures into ``version``."""
    now = timezone.now()
    material = read_material(parameters, now, report, where)
    version.n_listings, version.n_interactions = len(material.rows), len(material.events)
    version.n_buyers, version.last_interaction_id = material.events.counts.n_buyers, material.events.counts.last_id
    held_out_test = run_held_out_test(material, parameters, report)
    version.metrics, version.gate = (
        {**held_out_test.metrics, "event_kinds": kinds_now()},
        held_out_test.verdict.to_json(),
    )
    steps = Steps(report, 0.6, 0.8, f"all {len(material.events)} events")
    snapshot = learn(material, parameters, material.as_of or now, steps, held_out_test.population)
    snapshot.ranker = snapshot.ranker.with_scores(held_out_test.scores.known, held_out_test.scores.cold)
    report(0.79, "learning which cars are alike")
    snapshot.ranker = replace(snapshot.ranker, fitted_similarity=learn_similarity(material, snapshot))
    return snapshot, material.rows, held_out_test.verdict


def kinds_now() -> dict[str, dict[str, float]]:
    """Weight and half-life of each event kind now; stored with the version, since operators may change them later."""
    kinds = EventKind.objects.values_list("slug", "weight", "half_life_days")
    return {slug: {"weight": weight, "half_life_days": half_life} for slug, weight, half_life in kinds}


@transaction.atomic
def store_version(version: RankerVersion, snapshot: ListingSnapshot, rows: ListingRows) -> None:
    """Store the ranker, and the vectors of the listings that an index holds; others are encoded when needed.

    Lists are served meanwhile: the table of the new vectors is filled first and attached as a partition then.
    """
    create_detached(version.pk)
    save_ranker(snapshot.ranker, version)
    ended_lately = timezone.now().timestamp() - settings.WINDOW_LOOKBACK_DAYS * SECONDS_A_DAY
    kept = np.flatnonzero(rows.ended_at >= ended_lately)
    table = rows.table.take(kept)
    similar = snapshot.ranker.similarity.vectors(table)
    fill_partition(version.pk, rows.listing_ids[kept], snapshot.stock.vectors[kept], table.digests(), similar)
    attach_partition(version.pk)


def catch_up(version: RankerVersion, since_transaction: int) -> None:
    """Store vectors of listings that were published or changed since the training began, by the change log."""
    changed = {listing_id for _, _, listing_id in read_changes(since_transaction)}
    ids = list(Listing.objects.available().filter(pk__in=changed).order_by("id").values_list("id", flat=True))
    embed_for_version(version, ids)


def go_live_or_not(version: RankerVersion, verdict: Verdict) -> str:
    """Promote a version that passed the gate; one that did not stays ready, for an operator to look at."""
    if verdict.passed:
        promote_ranker(version=version, note="promoted after training")
        version.refresh_from_db()
        return f"promoted: {verdict.reason}"
    version.note = f"not promoted: {verdict.reason}"
    version.save(update_fields=["note"])
    return version.note


def finish(version: RankerVersion, report: Report) -> None:
    """Build the pgvector index, where requests did not need it yet, and retire old versions.

    A failure here does not fail the run: a beat job builds the index later, and the next training retires the versions.
    """
    try:
        report(0.92, f"{version} is {version.get_status_display().lower()}; building the index")
        ensure_index(version.pk)
        report(1.0, "the index is there")
    except Exception:
        logger.exception("the index of %s was left for later", version)
    try:
        retire_old_rankers()
    except Exception:
        logger.exception("old versions were left for the next training to retire")


def discard(version: RankerVersion) -> None:
    """Remove a version whose training failed, unless it was promoted before: then lists are served from it."""
    if RankerVersion.objects.filter(pk=version.pk, status=RankerVersion.Status.LIVE).exists():
        return
    retire_ranker(version)
    RankerVersion.objects.filter(pk=version.pk).update(status=RankerVersion.Status.FAILED)


class RunReporter:
    """Writes progress into the run, where the admin shows it; raises when the run was cancelled."""

    def __init__(self, attempt: Attempt[TrainingRun], also: Report | None) -> None:
        self._attempt = attempt
        self._also = also
        self._log = attempt.job.log.splitlines()  # of an earlier attempt
        self._last_step = ""

    def note(self, line: str) -> None:
        """A line of the log."""
        self._log.append(f"{timezone.localtime():%H:%M:%S %Z} {line}")

    def __call__(self, fraction: float, step: str) -> None:
        """Report the fraction done and the current step; a new step adds a line to the log."""
        if step != self._last_step:
            self.note(step)
        self._last_step = step
        self._attempt.report(fraction, step, log="\n".join(self._log))
        if self._also:
            self._also(fraction, step)
