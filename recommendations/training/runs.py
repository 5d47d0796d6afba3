"""Train a ranker version beside the live one: dataset -> fit -> evaluate -> version -> promotion.

Nothing here touches what is live until the pointer moves. What arrives meanwhile is not lost: preferences of the new
space are computed from the whole log when first asked for, and listings without a vector are given one before and
after the promotion.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from numpy.typing import NDArray

from accounts.models import User
from catalog.models import Listing
from jobs.work import Attempt, perform
from recommendations.buyers.histories import choice_sets_of
from recommendations.buyers.point_in_time import weights_of, without_repeats
from recommendations.engine.archetypes import (
    CollaborativeConfig,
    CollaborativeModel,
    Feedback,
    fit_collaborative,
    fit_collaborative_in_parts,
)
from recommendations.engine.arrays import Flags
from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.draws import hashed
from recommendations.engine.encoder import Encoder, EncoderConfig, fit_encoder
from recommendations.engine.evidence import POSITION_SCALE
from recommendations.engine.parts import LocalParts, Parts
from recommendations.engine.prices import CarPrices, fit_car_prices
from recommendations.engine.ranker import Ranker, beside
from recommendations.engine.scoring import LinearScore
from recommendations.engine.similarity import STRENGTHS, Similarity, fit_similarity, learn_strengths
from recommendations.engine.taste import Prior, PriorConfig, fit_prior, fit_prior_in_parts
from recommendations.events.rows import EventRows
from recommendations.exceptions import RankerRefused, TrainingRefused
from recommendations.listings.embedding import embed_for_version
from recommendations.listings.index import read_changes, read_oldest_open_transaction
from recommendations.listings.rows import ListingRows, read_listings
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.listings.vectors import attach_partition, create_detached, ensure_index, fill_partition
from recommendations.models import VECTOR_DIMENSIONS, EventKind, RankerVersion, TrainingRun
from recommendations.models.artifacts import load_ranker, save_ranker
from recommendations.training.cluster import Executor, InProcess, executor
from recommendations.training.co_views import co_views_in
from recommendations.training.curves_gate import judge_curves
from recommendations.training.dataset import PartedEvents, read_parted
from recommendations.training.gate import FEWEST_BUYERS, Code, GateFigures, Verdict, decide
from recommendations.training.held_out import OURS, K, Tested, compare_with, held_out_lists, snapshot_of
from recommendations.training.score_weights import LearnedScores, TermConfig, learn_terms
from recommendations.training.versions import promote_ranker, retire_old_rankers, retire_ranker

logger = logging.getLogger(__name__)
Report = Callable[[float, str], None]  # fraction done from 0 to 1, and what is being done

FEWEST_EVENTS_TO_TEST_ON = 20
BUYERS_FOR_TEST = 150  # a prior for the test alone need not be the best there is: that would double the training
# Length of the factors against that of the content. At 0.5 their noise cost a simulated buyer with 20 events 1.4 points
# of 100 of the utility they could have had; where factors are informative, the prior weighs them accordingly.
FACTOR_NORM = 0.2
NO_TEST_FIGURES = GateFigures(np.empty(0), np.empty(0), 0.0, 0.0)
SECONDS_A_DAY = 86_400.0
WHERE_BETTER, OFF = "where better", "off"  # of curves of the terms
LOCK_OF_REQUESTS = 7_466_002  # among advisory locks: of asking for a training


@dataclass(frozen=True, kw_only=True)
class TrainingParameters:
    """What an operator may choose for one training.

    Attributes:
        history_days: Events older than this are not learned from.
        prior_buyers: The prior is learned from at most so many buyers, drawn from all who did anything.
        events_per_buyer: Of each of them, at most so many of the newest events.
        sampled_alternatives: Live listings, drawn evenly, beside each choice from a list that the buyer asked for.
        held_back_share: The newest share of the events is kept for weighing the terms of the score and for the gate.
        archetype_half_life_days: After this long an event counts half for factors and EASE. Long, for what buyers of
            Octavias also look at changes slowly; what one buyer wants fades by the half-lives of the kinds.
        seed: Makes a training repeatable.
        term_curves: Whether terms of the score get curves beside their weights: where these are better, or never.
    """

    history_days: int = 365
    prior_buyers: int = 400
    events_per_buyer: int = 40
    sampled_alternatives: int = 20
    held_back_share: float = 0.15
    archetype_half_life_days: float = 90.0
    seed: int = 0
    term_curves: str = WHERE_BETTER

    def __post_init__(self) -> None:
        for name in ("history_days", "prior_buyers", "events_per_buyer", "sampled_alternatives"):
            if getattr(self, name) < 1:
                raise TrainingRefused(f"{name} must be at least 1")
        if not 0 < self.archetype_half_life_days < math.inf:
            raise TrainingRefused("archetype_half_life_days must be a number above 0")
        if not 0 < self.held_back_share < 1:
            raise TrainingRefused("held_back_share must lie between 0 and 1")
        if self.term_curves not in (WHERE_BETTER, OFF):
            raise TrainingRefused(f"term_curves must be “{WHERE_BETTER}” or “{OFF}”")

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> TrainingParameters:
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(given) - known):
            raise TrainingRefused(f"unknown parameter {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return cls(**given)


def start_training(
    *, parameters: dict[str, Any] | None = None, promote: bool = True, started_by: User | None = None
) -> TrainingRun:
    """A queued run, to be handed to ``run_training``; raises TrainingRefused for parameters that make no sense.

    One that is asked for while the same training waits or runs is that training: two at once would learn the same thing
    and race for going live.
    """
    wanted = {"parameters": asdict(TrainingParameters.from_json(parameters or {})), "promote": promote}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_OF_REQUESTS])  # held until the new row is visible
        unfinished = TrainingRun.objects.unfinished().filter(**wanted).order_by("created_at").first()
        return unfinished or TrainingRun.objects.create(**wanted, started_by=started_by)


def run_training(*, run_id: int, report: Report | None = None) -> RankerVersion | None:
    """Carry out a queued run; None when another process has it, or it was cancelled. Raises what went wrong."""
    is_done = perform(TrainingRun, run_id, lambda attempt: carry_out(attempt, report))
    return TrainingRun.objects.select_related("version").get(pk=run_id).version if is_done else None


def carry_out(attempt: Attempt[TrainingRun], report: Report | None) -> None:
    """What follows the claim."""
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


def discard(version: RankerVersion) -> None:
    """Leave no half-trained version behind. One that went live before something failed stays: lists come from it."""
    if RankerVersion.objects.filter(pk=version.pk, status=RankerVersion.Status.LIVE).exists():
        return
    retire_ranker(version)
    RankerVersion.objects.filter(pk=version.pk).update(status=RankerVersion.Status.FAILED)


class RunReporter:
    """Writes progress into the run, where the admin shows it, and notices when it was cancelled."""

    def __init__(self, attempt: Attempt[TrainingRun], also: Report | None) -> None:
        self._attempt = attempt
        self._also = also
        self._log = attempt.job.log.splitlines()  # of an earlier attempt
        self._last_step = ""

    def note(self, line: str) -> None:
        """A line of the log."""
        self._log.append(f"{timezone.now():%H:%M:%S} {line}")

    def __call__(self, fraction: float, step: str) -> None:
        """How far it is; a step that goes on is one line of the log."""
        if step != self._last_step:
            self.note(step)
        self._last_step = step
        self._attempt.report(fraction, step, log="\n".join(self._log))
        if self._also:
            self._also(fraction, step)


@dataclass(frozen=True, eq=False)
class Material:
    """What a training learns from, read and encoded once for all that is fitted on it.

    Attributes:
        rows: Every listing there ever was but drafts; sold ones keep teaching.
        encoder: Fitted on them.
        content: Their content features, shape (n_listings, n_content).
        prices: What cars cost, by them.
        events: The log, in partitions.
    """

    rows: ListingRows
    encoder: Encoder
    content: NDArray[np.float32]
    prices: CarPrices
    events: PartedEvents

    @classmethod
    def of(cls, rows: ListingRows, encoder: Encoder, events: EventRows | PartedEvents) -> Self:
        parted = PartedEvents.of(events)
        return cls(rows, encoder, encoder.encode(rows.table), fit_car_prices(rows.table), parted)

    @property
    def as_of(self) -> datetime | None:
        """The moment of the newest event: what is learned as of it is the same whenever it is learned."""
        return datetime.fromtimestamp(self.events.counts.newest_at, UTC) if len(self.events) else None

    def before(self, cutoff: float) -> Self:
        """The same with the events before a moment (epoch seconds) alone."""
        return replace(self, events=self.events.before(cutoff))


def train(version: RankerVersion, parameters: TrainingParameters, report: Report, *, promote: bool) -> None:
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
    """All that is learned, with the listings it is about, and the gate's verdict; the figures go into the version."""
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
    """What each kind of event weighs and how fast it fades, to be kept: operators change them, and versions differ."""
    kinds = EventKind.objects.values_list("slug", "weight", "half_life_days")
    return {slug: {"weight": weight, "half_life_days": half_life} for slug, weight, half_life in kinds}


def finish(version: RankerVersion, report: Report) -> None:
    """The index of the vectors, where lists come from memory and no request has to wait for it; and old versions go.

    A failure, a cancelled run or a worker that stops costs that alone: a beat job makes the index later, and the next
    training retires what this one could not.
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


def read_material(
    parameters: TrainingParameters, now: datetime, report: Report, where: Executor | None = None
) -> Material:
    report(0.02, "reading listings")
    rows = read_listings(Listing.objects.cars().exclude(status=Listing.Status.DRAFT))
    if not len(rows):
        raise TrainingRefused("there are no listings to learn from: import some, or seed a demo market")
    report(0.06, f"fitting the encoder on {len(rows)} listings")
    encoder = fit_encoder(rows.table, EncoderConfig(n_dims=settings.CONTENT_DIMENSIONS))
    report(0.14, "reading events")
    since = now - timedelta(days=parameters.history_days)
    events = read_parted(where or InProcess(), since, settings.TRAINING_EVENTS_PER_PARTITION)
    return Material.of(rows, encoder, events)


def go_live_or_not(version: RankerVersion, verdict: Verdict) -> str:
    """Promote a version that passed the gate; one that did not stays ready, for an operator to look at."""
    if verdict.passed:
        promote_ranker(version=version, note="promoted after training")
        version.refresh_from_db()
        return f"promoted: {verdict.reason}"
    version.note = f"not promoted: {verdict.reason}"
    version.save(update_fields=["note"])
    return version.note


# --- Testing on held-out events --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class HeldOutTest:
    """What learning from the older events alone, and testing on the newer ones, has shown.

    Attributes:
        metrics: For ``RankerVersion.metrics``; empty where there was too little to test on.
        scores: Weights of the terms of the score.
        verdict: Of the gate.
        population: As learned from the older events, from where the search for the final one sets out; None where
            there was no trial.
    """

    metrics: dict[str, Any]
    scores: LearnedScores
    verdict: Verdict
    population: Prior | None


def run_held_out_test(material: Material, parameters: TrainingParameters, report: Report) -> HeldOutTest:
    """Learn from before a moment; of what buyers did after it, half of them weigh the terms and half test the result.

    So nothing is tested on what it was made of, and the live version, where it can be, on no more than the new one.
    """
    live, events = RankerVersion.objects.live(), material.events
    if len(events) < FEWEST_EVENTS_TO_TEST_ON:
        a_priori = LearnedScores(LinearScore.default(), LinearScore.default_for_cold_buyers(), 0)
        return HeldOutTest({}, a_priori, decide(NO_TEST_FIGURES if live else None), None)
    is_tested = testers_among(events, parameters)
    cutoff = cutoff_of_test(events, is_tested, live, parameters.held_back_share)
    snapshot, scores = learn_trial(material, is_tested, cutoff, parameters, report)
    report(0.44, "evaluating")
    asked = PartedEvents(events.parts.map(before_or_where, cutoff, is_tested))
    tested = held_out_lists(snapshot, asked, cutoff, seed=parameters.seed)
    if scores.has_curves:
        report(0.47, "holding the curves of the terms against their weights")
        tested, scores = judge_curves(snapshot, scores, tested, asked, seed=parameters.seed)
    report(0.50, "comparing with the live version")
    verdict = verdict_on(tested, live, material.rows, asked, seed=parameters.seed)
    curves = {"known": scores.known_curves.to_json(), "cold": scores.cold_curves.to_json()}
    return HeldOutTest({**tested.metrics(), "term_curves": curves}, scores, verdict, snapshot.ranker.prior)


def learn_trial(
    material: Material, is_tested: Parts[Flags], cutoff: float, parameters: TrainingParameters, report: Report
) -> tuple[ListingSnapshot, LearnedScores]:
    """What is learned from before a moment, its terms weighed by what buyers who do not test it did afterwards."""
    events, earlier_data = material.events, material.before(cutoff)
    fewer = replace(parameters, prior_buyers=min(parameters.prior_buyers, BUYERS_FOR_TEST))
    steps = Steps(report, 0.18, 0.38, f"the {len(earlier_data.events)} events before the held-out ones")
    snapshot = learn(earlier_data, fewer, datetime.fromtimestamp(cutoff, UTC), steps)
    report(0.38, "weighing the terms of the score")
    weighed_on = PartedEvents(events.parts.map(before_or_where, cutoff, is_tested.map(np.logical_not)))
    config = TermConfig(seed=parameters.seed, learns_curves=parameters.term_curves == WHERE_BETTER)
    scores = learn_terms(snapshot, weighed_on, cutoff, config)
    snapshot.ranker = snapshot.ranker.with_scores(scores.known, scores.cold)
    return snapshot, scores


def before_or_where(events: EventRows, moment: float, is_wanted: Flags) -> EventRows:
    return events.take((events.occurred_at < moment) | is_wanted)


def learn_unstored(
    material: Material,
    parameters: TrainingParameters,
    now: datetime,
    report: Report = lambda fraction, step: None,
) -> ListingSnapshot:
    """What a first training learns from a log, without the test, the gate and the storing: for simulations."""
    if len(material.events) < FEWEST_EVENTS_TO_TEST_ON:
        return learn(material, parameters, now)
    is_tested = testers_among(material.events, parameters)
    cutoff = cutoff_of_test(material.events, is_tested, None, parameters.held_back_share)
    trial, scores = learn_trial(material, is_tested, cutoff, parameters, report)
    steps = Steps(report, 0.6, 1.0, f"all {len(material.events)} events")
    snapshot = learn(material, parameters, material.as_of or now, steps, trial.ranker.prior)
    snapshot.ranker = snapshot.ranker.with_scores(scores.known, scores.cold)
    return snapshot


def testers_among(events: PartedEvents, parameters: TrainingParameters) -> Parts[Flags]:
    """Whose events test the trial: every second buyer's; where few did anything of late, everybody's."""
    n_late = events.gathered(buyers_since, newest_share_begins(events, parameters.held_back_share))
    if len(n_late) < 2 * FEWEST_BUYERS:
        return events.parts.map(all_of)
    return events.parts.map(every_second, parameters.seed)


def buyers_since(events: EventRows, moment: float) -> NDArray[np.int64]:
    """Who did something at a moment or after it; sorted."""
    return np.unique(events.buyer_ids[events.occurred_at >= moment])


def all_of(events: EventRows) -> Flags:
    return np.ones(len(events), bool)


def every_second(events: EventRows, seed: int) -> Flags:
    """Whether each event is one of a certain half of all buyers."""
    is_every_second: Flags = hashed(events.buyer_ids, seed) % np.uint64(2) == 1
    return is_every_second


def newest_share_begins(events: EventRows | PartedEvents, share: float) -> float:
    """When the newest share of what happened begins, in epoch seconds, each buyer counting once a day.

    By single events, a burst from one client would move the test to its own few minutes.
    """
    return float(np.quantile(PartedEvents.of(events).gathered(firsts_of_days), 1 - share))


def firsts_of_days(events: EventRows) -> NDArray[np.float64]:
    """When each buyer first did something on each of their days."""
    days = np.floor(events.occurred_at / SECONDS_A_DAY)
    _, first = np.unique(np.column_stack([events.buyer_ids, days]), axis=0, return_index=True)
    return events.occurred_at[first]


def cutoff_of_test(
    events: EventRows | PartedEvents,
    is_tested: Flags | Parts[Flags],
    live: RankerVersion | None,
    held_back_share: float,
) -> float:
    """When the held-out events begin, in epoch seconds.

    Right after the last event that the live version learned from, if that leaves enough buyers to test on: then both
    have learned from all that came before, and neither from what comes after. Otherwise at the newest share.
    """
    events = PartedEvents.of(events)
    usual = newest_share_begins(events, held_back_share)
    if live is None:
        return usual
    known = float(events.gathered(newest_up_to, live.last_interaction_id).max())
    flags = LocalParts([is_tested]) if isinstance(is_tested, np.ndarray) else is_tested
    n_since = len(events.gathered(testers_after, known, flags))
    return max(usual, float(np.nextafter(known, np.inf))) if n_since >= FEWEST_BUYERS else usual


def newest_up_to(events: EventRows, last_id: int) -> NDArray[np.float64]:
    """The moment of the newest event up to an id, as an array of one."""
    return np.array([events.occurred_at[events.ids <= last_id].max(initial=-np.inf)])


def testers_after(events: EventRows, moment: float, is_tested: Flags) -> NDArray[np.int64]:
    """Who did something after a moment, of those who test the trial; sorted."""
    return np.unique(events.buyer_ids[is_tested & (events.occurred_at > moment)])


def verdict_on(
    tested: Tested, live: RankerVersion | None, rows: ListingRows, events: PartedEvents, *, seed: int
) -> Verdict:
    """The gate's verdict on what was tried out, against the live and the reference version on the same events."""
    if live is None:
        return decide(None)
    try:
        of_live = snapshot_of(load_ranker(live.pk), rows)
    except RankerRefused as refusal:
        return Verdict(True, f"There is nothing to compare with: {refusal}.", {}, Code.FIRST)
    recorded = live.metrics.get("rankers", {}).get(OURS, {}).get(f"ndcg@{K}")
    reference = reference_snapshot(live, rows)
    figures = compare_with(
        of_live, tested, events, live.last_interaction_id, reference=reference, live_recorded=recorded
    )
    return decide(figures, seed=seed)


def reference_snapshot(live: RankerVersion, rows: ListingRows) -> ListingSnapshot | None:
    """The reference version's space; None where there is none, it is live itself, or its artifact cannot be read."""
    reference = RankerVersion.objects.usable().filter(is_reference=True).exclude(pk=live.pk).first()
    try:
        return snapshot_of(load_ranker(reference.pk), rows) if reference else None
    except RankerRefused:
        return None


# --- Learning --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Steps:
    """Part of a training's progress: between which fractions, and what is learned from."""

    report: Report
    first: float
    last: float
    material: str

    def __call__(self, share: float, step: str) -> None:
        self.report(self.first + share * (self.last - self.first), f"{step} of {self.material}")


def learn(
    material: Material,
    parameters: TrainingParameters,
    now: datetime,
    report: Report = lambda fraction, step: None,
    population: Prior | None = None,
) -> ListingSnapshot:
    """Fit what depends on events, as of a moment, and place every listing in the space that results."""
    rows = material.rows
    report(0.0, "learning the archetypes")
    collaborative = fit_factors(material, parameters, now)
    vectors = beside(material.content, collaborative.listing_factors(rows.table, material.content), VECTOR_DIMENSIONS)
    at = np.flatnonzero((rows.published_at <= now.timestamp()) & (rows.ended_at > now.timestamp()))
    ranker = Ranker(
        encoder=material.encoder,
        collaborative=collaborative,
        prior=fit_prior([], VECTOR_DIMENSIONS),
        baseline=(vectors[at] if len(at) else vectors).mean(axis=0),
        n_dims=VECTOR_DIMENSIONS,
        prices=material.prices,
    )
    snapshot = ListingSnapshot(ranker)
    snapshot.put(rows, vectors)
    report(0.5, "learning the population")
    prior, position_bias = learn_prior(
        snapshot, material.events, parameters, now, population,
        lambda share: report(0.5 + 0.5 * share, "learning the population"),
    )  # fmt: skip
    snapshot.ranker = ranker.with_population(prior, position_bias)
    return snapshot


def learn_similarity(material: Material, snapshot: ListingSnapshot) -> Similarity:
    """Which cars are alike: standardised attributes, weighed by what buyers opened next where that suffices."""
    strengths = learn_strengths(co_views_in(material.events, snapshot, material.rows.table), STRENGTHS)
    return fit_similarity(material.rows.table, strengths)


def fit_factors(material: Material, parameters: TrainingParameters, now: datetime) -> CollaborativeModel:
    """The collaborative part, from every favourable event on a listing, weighed by its kind and its age."""
    rows, parts = material.rows, material.events.parts
    feedback = parts.map(
        feedback_in, parts.share(rows.listing_ids), now.timestamp(), parameters.archetype_half_life_days
    )
    config = CollaborativeConfig(
        n_factors=settings.COLLABORATIVE_DIMENSIONS, relative_norm=FACTOR_NORM, seed=parameters.seed
    )
    if isinstance(feedback, LocalParts) and len(feedback) == 1:
        [only] = feedback.values
        return fit_collaborative(
            rows.table, material.content, only.buyer_rows, only.listing_rows, only.weights, only.n_buyers, config
        )
    return fit_collaborative_in_parts(rows.table, material.content, feedback, config)


def feedback_in(events: EventRows, listing_ids: NDArray[np.int64], now: float, half_life_days: float) -> Feedback:
    """What the buyers of a partition did to listings (sorted ids), as of a moment in epoch seconds."""
    weights = weights_of(events)
    listing_rows = positions_of(events.listing_ids, listing_ids)
    is_counted = (weights > 0) & (listing_rows >= 0)
    age_days = np.maximum(now - events.occurred_at[is_counted], 0.0) / SECONDS_A_DAY
    buyers, buyer_rows = np.unique(events.buyer_ids[is_counted], return_inverse=True)
    faded = weights[is_counted] * np.exp2(-age_days / half_life_days)
    return Feedback(buyer_rows, listing_rows[is_counted].astype(np.int64), faded, len(buyers))


def positions_of(listing_ids: NDArray[np.int64], sorted_ids: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where each id stands in a sorted array; -1 where it does not."""
    at = np.minimum(np.searchsorted(sorted_ids, listing_ids), max(len(sorted_ids) - 1, 0))
    return np.where(sorted_ids[at] == listing_ids, at, -1)


def learn_prior(
    snapshot: ListingSnapshot,
    events: PartedEvents,
    parameters: TrainingParameters,
    now: datetime,
    start: Prior | None = None,
    report: Callable[[float], None] = lambda share: None,
) -> tuple[Prior, float]:
    """The population's preferences, by EM over a sample of all buyers, and the position bias of the lists.

    The position is one more feature of whatever stood in a list, so the same EM finds how much lower positions lose;
    what remains is preference. A prior of the busiest buyers alone would not be that of the buyers who come.
    """
    sample = np.random.default_rng(parameters.seed).permutation(events.buyer_ids)[: parameters.prior_buyers]
    here = events.parts.share(snapshot)
    sets = events.parts.map(choices_of_sample, np.sort(sample), here, parameters, now)
    n_dims = VECTOR_DIMENSIONS
    begin = None if start is None else with_position(start, snapshot.ranker.position_bias)
    both = fit_prior_in_parts(sets, n_dims + 1, PriorConfig(seed=parameters.seed), begin, report)
    prior = Prior(both.mean[:n_dims], both.covariance[:n_dims, :n_dims])
    return prior, max(0.0, -float(both.mean[n_dims]) * POSITION_SCALE)


def choices_of_sample(
    events: EventRows,
    sample: NDArray[np.int64],
    snapshot: ListingSnapshot,
    parameters: TrainingParameters,
    now: datetime,
) -> list[ChoiceSets]:
    """What those buyers of a partition who are in the sample chose, by their ids."""
    newest = without_repeats(events.of_buyers(sample)).newest_per_buyer(parameters.events_per_buyer)
    found = choice_sets_of(newest, snapshot, now, parameters.sampled_alternatives, learns_position=True)
    # a stronger event says more of its buyer, but not that buyers differ more: that is what the prior is about
    return [each.reweighted(np.minimum(each.weights, 1.0)) for each in found.values()]


def with_position(prior: Prior, position_bias: float) -> Prior:
    """A population with the effect of the position as its last weight, for where a search for one begins."""
    n_dims = prior.n_dims
    covariance = np.eye(n_dims + 1) * prior.covariance.diagonal().mean()
    covariance[:n_dims, :n_dims] = prior.covariance
    return Prior(np.r_[prior.mean, -position_bias / POSITION_SCALE], covariance)


@transaction.atomic
def store_version(version: RankerVersion, snapshot: ListingSnapshot, rows: ListingRows) -> None:
    """The ranker, and the vectors of what windows remember; of other listings they are made when asked for.

    Lists go on being read meanwhile: the table of the new vectors becomes part of the whole when it is filled.
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
    """Vectors for what was published or changed since a training began, as the log of changes has it."""
    changed = {listing_id for _, _, listing_id in read_changes(since_transaction)}
    ids = list(Listing.objects.available().filter(pk__in=changed).order_by("id").values_list("id", flat=True))
    embed_for_version(version, ids)
