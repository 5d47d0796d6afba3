"""The held-out test of a training: learn from the older events, test on the newer ones, ask the gate for a verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.arrays import Flags
from recommendations.engine.demand import SECONDS_A_DAY
from recommendations.engine.draws import hashed
from recommendations.engine.parts import LocalParts, Parts
from recommendations.engine.scoring import LinearScore
from recommendations.engine.taste import Prior
from recommendations.events.rows import EventRows
from recommendations.exceptions import RankerRefused
from recommendations.listings.rows import ListingRows
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.models import RankerVersion
from recommendations.models.artifacts import load_ranker
from recommendations.training.curves_gate import judge_curves
from recommendations.training.dataset import PartedEvents
from recommendations.training.gate import FEWEST_BUYERS, Code, GateFigures, Verdict, decide
from recommendations.training.held_out import OURS, K, Tested, compare_with, held_out_lists, snapshot_of
from recommendations.training.learning import Material, Report, Steps, learn
from recommendations.training.parameters import WHERE_BETTER, TrainingParameters
from recommendations.training.quantiles import quantile
from recommendations.training.score_weights import LearnedScores, TermConfig, learn_terms

FEWEST_EVENTS_TO_TEST_ON = 20
BUYERS_FOR_TEST = 150  # a prior for the test alone need not be the best there is: that would double the training
NO_TEST_FIGURES = GateFigures(np.empty(0), np.empty(0), 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class HeldOutTest:
    """The result of learning from the older events alone and testing on the newer ones.

    Attributes:
        metrics: For ``RankerVersion.metrics``; empty where there were too few events to test on.
        scores: Learned weights of the score's terms.
        verdict: Of the gate.
        population: The prior learned from the older events, from which the search for the final one starts; None where
            there were too few events.
    """

    metrics: dict[str, Any]
    scores: LearnedScores
    verdict: Verdict
    population: Prior | None


def run_held_out_test(material: Material, parameters: TrainingParameters, report: Report) -> HeldOutTest:
    """Learn from the events before a cutoff; of the events after it, those of half the buyers fit the weights of the
    terms and those of the other half test the result.

    Nothing is tested on the events it was learned from; nor is the live version, where the cutoff can lie after the
    events that it was trained on.
    """
    live, events = RankerVersion.objects.live(), material.events
    if len(events) < FEWEST_EVENTS_TO_TEST_ON:
        a_priori = LearnedScores(LinearScore.default(), LinearScore.default_for_cold_buyers(), 0)
        return HeldOutTest({}, a_priori, decide(NO_TEST_FIGURES if live else None), None)
    is_tested = testers_among(events, parameters)
    cutoff = cutoff_of_test(events, is_tested, live, parameters.held_back_share)
    snapshot, scores = learn_before_cutoff(material, is_tested, cutoff, parameters, report)
    report(0.44, "evaluating")
    asked = PartedEvents(events.parts.anew(before_or_where, cutoff, is_tested))
    tested = held_out_lists(snapshot, asked, cutoff, seed=parameters.seed)
    if scores.has_curves:
        report(0.47, "holding the curves of the terms against their weights")
        tested, scores = judge_curves(snapshot, scores, tested, asked, seed=parameters.seed)
    report(0.50, "comparing with the live version")
    verdict = verdict_on(tested, live, material.rows, asked, seed=parameters.seed)
    curves = {"known": scores.known_curves.to_json(), "cold": scores.cold_curves.to_json()}
    return HeldOutTest({**tested.metrics(), "term_curves": curves}, scores, verdict, snapshot.ranker.prior)


def learn_before_cutoff(
    material: Material, is_tested: Parts[Flags], cutoff: float, parameters: TrainingParameters, report: Report
) -> tuple[ListingSnapshot, LearnedScores]:
    """Learn from the events before the cutoff, and the weights of the terms from later events of the other buyers."""
    events, earlier_data = material.events, material.before(cutoff)
    fewer = replace(parameters, prior_buyers=min(parameters.prior_buyers, BUYERS_FOR_TEST))
    steps = Steps(report, 0.18, 0.38, f"the {len(earlier_data.events)} events before the held-out ones")
    snapshot = learn(earlier_data, fewer, datetime.fromtimestamp(cutoff, UTC), steps)
    report(0.38, "weighing the terms of the score")
    weighed_on = PartedEvents(events.parts.anew(before_or_where, cutoff, is_tested.map(np.logical_not)))
    config = TermConfig(seed=parameters.seed, learns_curves=parameters.term_curves == WHERE_BETTER)
    scores = learn_terms(snapshot, weighed_on, cutoff, config)
    snapshot.ranker = snapshot.ranker.with_scores(scores.known, scores.cold)
    return snapshot, scores


def before_or_where(events: EventRows, cutoff: float, is_wanted: Flags) -> EventRows:
    return events.take((events.occurred_at < cutoff) | is_wanted)


def learn_unstored(
    material: Material,
    parameters: TrainingParameters,
    now: datetime,
    report: Report = lambda fraction, step: None,
) -> ListingSnapshot:
    """Learn from a log as a first training does, without test, gate and storing; for simulations."""
    if len(material.events) < FEWEST_EVENTS_TO_TEST_ON:
        return learn(material, parameters, now)
    is_tested = testers_among(material.events, parameters)
    cutoff = cutoff_of_test(material.events, is_tested, None, parameters.held_back_share)
    earlier, scores = learn_before_cutoff(material, is_tested, cutoff, parameters, report)
    steps = Steps(report, 0.6, 1.0, f"all {len(material.events)} events")
    snapshot = learn(material, parameters, material.as_of or now, steps, earlier.ranker.prior)
    snapshot.ranker = snapshot.ranker.with_scores(scores.known, scores.cold)
    return snapshot


def testers_among(events: PartedEvents, parameters: TrainingParameters) -> Parts[Flags]:
    """Whether each event is of a buyer to test on: every second buyer, or all where few were active lately."""
    n_late = events.gathered(buyers_since, start_of_newest_share(events, parameters.held_back_share))
    if len(n_late) < 2 * FEWEST_BUYERS:
        return events.parts.map(all_of)
    return events.parts.map(every_second, parameters.seed)


def buyers_since(events: EventRows, cutoff: float) -> NDArray[np.int64]:
    """Ids of the buyers with events at the cutoff or after it; sorted."""
    return np.unique(events.buyer_ids[events.occurred_at >= cutoff])


def all_of(events: EventRows) -> Flags:
    return np.ones(len(events), bool)


def every_second(events: EventRows, seed: int) -> Flags:
    """Whether each event is of a buyer in one half, drawn by buyer id and seed."""
    is_every_second: Flags = hashed(events.buyer_ids, seed) % np.uint64(2) == 1
    return is_every_second


def start_of_newest_share(events: EventRows | PartedEvents, share: float) -> float:
    """When the newest share of the activity begins, in epoch seconds; each buyer counts once a day.

    Counted by events, a burst from one client would put the whole test into its few minutes.
    """
    return quantile(PartedEvents.of(events).parts.map(firsts_of_days), 1 - share)


def firsts_of_days(events: EventRows) -> NDArray[np.float64]:
    """When each buyer first did something on each of their days, sorted; events are oldest first."""
    buyers, rows = np.unique(events.buyer_ids, return_inverse=True)
    days = np.floor(events.occurred_at / SECONDS_A_DAY).astype(np.int64)
    _, first = np.unique(days * max(len(buyers), 1) + rows, return_index=True)
    return np.sort(events.occurred_at[first])


def cutoff_of_test(
    events: EventRows | PartedEvents,
    is_tested: Flags | Parts[Flags],
    live: RankerVersion | None,
    held_back_share: float,
) -> float:
    """When the held-out events begin, in epoch seconds.

    They begin right after the last event that the live version learned from, if that leaves enough buyers to test on:
    then neither version has learned from any of them. Otherwise they are the newest share.
    """
    events = PartedEvents.of(events)
    usual = start_of_newest_share(events, held_back_share)
    if live is None:
        return usual
    known = float(events.gathered(newest_up_to, live.last_interaction_id).max())
    flags = LocalParts([is_tested]) if isinstance(is_tested, np.ndarray) else is_tested
    n_since = len(events.gathered(testers_after, known, flags))
    return max(usual, float(np.nextafter(known, np.inf))) if n_since >= FEWEST_BUYERS else usual


def newest_up_to(events: EventRows, last_id: int) -> NDArray[np.float64]:
    """The time of the newest event up to an id, as an array of one."""
    return np.array([events.occurred_at[events.ids <= last_id].max(initial=-np.inf)])


def testers_after(events: EventRows, cutoff: float, is_tested: Flags) -> NDArray[np.int64]:
    """Ids of the buyers to test on with events after the cutoff; sorted."""
    return np.unique(events.buyer_ids[is_tested & (events.occurred_at > cutoff)])


def verdict_on(
    tested: Tested, live: RankerVersion | None, rows: ListingRows, events: PartedEvents, *, seed: int
) -> Verdict:
    """The gate's verdict, from the live and the reference version on the same events."""
    if live is None:
        return decide(None)
    try:
        of_live = snapshot_of(load_ranker(live.pk), rows)
    except RankerRefused as refusal:
        return Verdict(True, f"There is nothing to compare with: {refusal}.", {}, Code.FIRST)
    recorded = live.metrics.get("rankers", {}).get(OURS, {})
    reference = reference_snapshot(live, rows)
    figures = compare_with(
        of_live,
        tested,
        events,
        live.last_interaction_id,
        reference=reference,
        live_recorded=recorded.get(f"ndcg@{K}"),
        live_recorded_coverage=recorded.get(f"coverage@{K}"),
    )
    return decide(figures, seed=seed)


def reference_snapshot(live: RankerVersion, rows: ListingRows) -> ListingSnapshot | None:
    """A snapshot by the reference version; None where there is none, it is live, or its artifact cannot be read."""
    reference = RankerVersion.objects.usable().filter(is_reference=True).exclude(pk=live.pk).first()
    try:
        return snapshot_of(load_ranker(reference.pk), rows) if reference else None
    except RankerRefused:
        return None
