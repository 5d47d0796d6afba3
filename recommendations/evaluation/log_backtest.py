"""A backtest on the site's own log: what would have been recommended at a moment, against what buyers did then.

Our ranker is learned anew from what was known at the moment: listings published and events that had happened before it.
Its weights are learned inside that past, from the last part of it. Or, when a version is named, that version is asked
as it is stored; it may have learned from the very events it is tested on, and the outcome says how many. Other stored
versions may be asked the same beside it, so that they can be compared buyer by buyer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from django.conf import settings
from django.utils import timezone
from numpy.typing import NDArray

from catalog.models import Listing
from catalog.units import money
from recommendations.buyers.point_in_time import market_at
from recommendations.engine.demand import SECONDS_A_DAY
from recommendations.engine.encoder import EncoderConfig, fit_encoder
from recommendations.engine.terms import score_rows
from recommendations.evaluation.log_baselines import History, Scores, baselines, buyer_features_in
from recommendations.evaluation.outcome import KS, OURS, Outcome, PredictedChoices, Report, no_report
from recommendations.evaluation.rolling import joined, windows
from recommendations.events.rows import EventRows, read_events
from recommendations.exceptions import EvaluationRefused
from recommendations.listings.rows import ListingRows, read_listings
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.metrics.figures import PAIRS_WON, Question, measure
from recommendations.models import RankerVersion
from recommendations.models.artifacts import load_ranker
from recommendations.training.held_out import snapshot_of
from recommendations.training.held_out_case import HeldOut, held_out_after
from recommendations.training.learning import Material, Steps, learn
from recommendations.training.parameters import TrainingParameters
from recommendations.training.score_weights import TermConfig, learn_terms
from recommendations.training.shown_choices import ShownChoices

COLD_EVENTS = 3  # a buyer with fewer events before the moment is cold; a listing with none is
LEARNED_FROM_SHARE = 0.15  # last part of the past from which the weights of the terms are learned
PRICE_BANDS = 3


DESCRIPTIONS = {
    OURS: "what serving ranks by: taste, archetypes, demand, freshness, deal and distance in one learned score",
    "taste": "the buyer's utility alone",
    "popular": "favourable events since ever, by weight",
    "recently popular": "the same, halved every 7 days",
    "newest in budget": "latest published, within the prices of what the buyer liked",
    "average of liked": "cosine with the mean of the liked cars",
    "item-kNN": "cosine between the buyers of two cars",
    "EASE": "EASE over archetypes, the newer car first",
    "ALS": "32 factors over archetypes, the newer car first",
    "ALS of listings": "32 factors over single listings",
}


@dataclass(frozen=True)
class LogParameters:
    """What an operator may choose.

    Attributes:
        version: Ask this stored version rather than one learned anew.
        beside: Other stored versions that are asked the same.
        with_baselines: Whether rankers that are none of ours are asked too.
        test_from: First moment of the test, ISO 8601; None: so that ``test_share`` of the events come after it.
        test_share: See above.
        test_days: Length of the test; None: to the last event.
        moments: The test is divided into so many windows, each tested on what was learned before it (``rolling``).
        history_days: Events older than this are not learned from.
        max_buyers: At most so many buyers are asked about, drawn at random.
        ks: Lengths of the lists.
        seed: Of everything drawn.

    Raises:
        EvaluationRefused: If they make no sense.
    """

    version: int | None = None
    beside: tuple[int, ...] = ()
    with_baselines: bool = True
    test_from: str | None = None
    test_share: float = 0.15
    test_days: float | None = None
    moments: int = 1
    history_days: int = 365
    max_buyers: int = 500
    ks: tuple[int, ...] = KS
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "ks", tuple(self.ks))
        object.__setattr__(self, "beside", tuple(self.beside))
        if len({self.version, *self.beside}) <= len(self.beside):
            raise EvaluationRefused("a version is compared with others than itself, each once")
        if not 0 < self.test_share < 1:
            raise EvaluationRefused("test_share must lie between 0 and 1")
        if min(self.history_days, self.max_buyers, self.moments, *self.ks) < 1:
            raise EvaluationRefused("history_days, max_buyers, moments and ks must be at least 1")
        if self.test_days is not None and self.test_days <= 0:
            raise EvaluationRefused("test_days must be positive")
        if self.test_from is not None:
            cutoff_of(self.test_from)

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> LogParameters:
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(given) - known):
            raise EvaluationRefused(f"unknown parameter {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "ks": list(self.ks), "beside": list(self.beside)}


def cutoff_of(text: str) -> float:
    """Epoch seconds of a moment in ISO 8601, UTC where it says nothing else."""
    try:
        cutoff = datetime.fromisoformat(text)
    except ValueError as problem:
        raise EvaluationRefused(f"“{text}” is no date in ISO 8601, like 2026-10-01") from problem
    return cutoff.replace(tzinfo=cutoff.tzinfo or UTC).timestamp()


def backtest_log(parameters: LogParameters, report: Report = no_report) -> Outcome:
    """Learn from what was known at a moment, and find what buyers did after it. Raises EvaluationRefused if there is
    nothing to learn from or to test on, or the version cannot be asked."""
    report(0.02, "reading listings and events")
    events = read_events(since=timezone.now() - timedelta(days=parameters.history_days))
    begin = log_cutoff(events, parameters)
    until = np.inf if parameters.test_days is None else begin + parameters.test_days * SECONDS_A_DAY
    if parameters.moments == 1:
        return backtest_at(events, begin, begin, until, parameters, report)
    end = min(until, float(np.nextafter(events.occurred_at.max(), np.inf)))
    outcomes: list[Outcome] = []
    for number, (cutoff, window_end) in enumerate(windows(begin, end, parameters.moments)):

        def of_window(fraction: float, step: str, number: int = number) -> None:
            report((number + fraction) / parameters.moments, f"moment {number + 1}: {step}")

        with suppress(NothingToFind):  # a window in which nothing new was acted on asks nothing
            outcomes.append(backtest_at(events, begin, cutoff, window_end, parameters, of_window))
    if not outcomes:
        raise NothingToFind(f"no buyer acted on a car after {format_time(begin)} that was for sale then")
    return joined(outcomes)


class NothingToFind(EvaluationRefused):
    """No buyer did anything in a test that a list could have predicted."""


def backtest_at(
    events: EventRows, begin: float, cutoff: float, until: float, parameters: LogParameters, report: Report
) -> Outcome:
    """One moment's test, on what happened up to another.

    What a stored version had learned from is counted from ``begin``, the first moment of the whole test: a version that
    was trained between two moments knew the events of the first.
    """
    rows = read_listings(Listing.objects.exclude(status=Listing.Status.DRAFT))
    rows = rows.take(np.flatnonzero(rows.published_at <= cutoff))  # what came later could not be known, nor listed
    if not len(rows):
        raise EvaluationRefused(f"no listing was published before {format_time(cutoff)}")
    notes: list[str] = []
    if parameters.version is None:
        snapshot = learned_anew(rows, events.before(cutoff), cutoff, parameters, report)
    else:
        version = stored_version(parameters.version)
        snapshot = snapshot_of(load_ranker(version.pk), rows)
        notes.append(leak_note(version, events, begin))
    others = {name_of(number): stored_version(number) for number in parameters.beside}
    notes += [leak_note(one, events, begin) for one in others.values()]
    case = held_out_after(snapshot, events, cutoff, until=until, seed=parameters.seed, max_buyers=parameters.max_buyers)
    if not len(case):
        raise NothingToFind(f"no buyer acted on a car after {format_time(cutoff)} that was for sale then")
    outcome = measured(snapshot, rows, events, case, parameters, notes, report, others)
    stored = {OURS: stored_version(parameters.version), **others} if parameters.version else others
    known = {name: share_known(one, events, begin) for name, one in stored.items()}
    return replace(outcome, summary={**outcome.summary, "known": known})


def name_of(version_id: int) -> str:
    """The name of a stored version that is compared to the new ranker."""
    return f"v{version_id}"


def log_cutoff(events: EventRows, parameters: LogParameters) -> float:
    """Epoch seconds at which the test begins."""
    if not len(events):
        raise EvaluationRefused("there are no events to learn from")
    if parameters.test_from is not None:
        cutoff = cutoff_of(parameters.test_from)
    else:
        cutoff = float(np.quantile(events.occurred_at, 1 - parameters.test_share))
    if not (events.occurred_at < cutoff).any():
        raise EvaluationRefused(f"no event lies before {format_time(cutoff)}, so there is nothing to learn from")
    return cutoff


def format_time(cutoff: float) -> str:
    return f"{datetime.fromtimestamp(cutoff, UTC):%Y-%m-%d %H:%M}"


def stored_version(number: int) -> RankerVersion:
    version = RankerVersion.objects.filter(pk=number).first()
    if version is None or version.status not in (RankerVersion.Status.LIVE, RankerVersion.Status.READY):
        state = version.get_status_display().lower() if version else "unknown"
        raise EvaluationRefused(f"v{number} is {state}; only a version that is live or ready can be asked")
    return version


def share_known(version: RankerVersion, events: EventRows, cutoff: float) -> float:
    """Which part of the events after a moment a version had learned from."""
    later = events.take(events.occurred_at >= cutoff)
    return float(np.mean(later.ids <= version.last_interaction_id)) if len(later) else 0.0


def leak_note(version: RankerVersion, events: EventRows, cutoff: float) -> str:
    share = share_known(version, events, cutoff)
    if share == 0:
        return f"{version} was trained before the test began: it knew none of the tested events."
    return (
        f"{version} had learned from {share:.0%} of the events after the moment, and from listings published since: "
        f"its figures are too good to be compared with those of the baselines."
    )


def learned_anew(
    rows: ListingRows, events: EventRows, cutoff: float, parameters: LogParameters, report: Report
) -> ListingSnapshot:
    """Our ranker as a training at the moment would have made it; rows and events are those before it."""
    training = TrainingParameters(history_days=parameters.history_days, seed=parameters.seed)
    encoder = fit_encoder(rows.table, EncoderConfig(n_dims=settings.CONTENT_DIMENSIONS))
    material = Material.of(rows, encoder, events)
    earlier = float(np.quantile(events.occurred_at, 1 - LEARNED_FROM_SHARE))
    earlier_data = material.before(earlier)
    steps = Steps(report, 0.05, 0.3, f"the first {len(earlier_data.events)} events")
    before = learn(earlier_data, training, datetime.fromtimestamp(earlier, UTC), steps)
    report(0.3, "weighing the terms of the score")
    scores = learn_terms(before, events, earlier, TermConfig(seed=parameters.seed))
    steps = Steps(report, 0.35, 0.6, f"all {len(events)} events before the test")
    snapshot = learn(material, training, datetime.fromtimestamp(cutoff, UTC), steps, before.ranker.prior)
    snapshot.ranker = snapshot.ranker.with_scores(scores.known, scores.cold)
    return snapshot


def measured(
    snapshot: ListingSnapshot,
    rows: ListingRows,
    events: EventRows,
    case: HeldOut,
    parameters: LogParameters,
    notes: list[str],
    report: Report,
    others: Mapping[str, RankerVersion],
) -> Outcome:
    """Lists of every ranker, and their figures; ``others`` are stored versions by name."""
    earlier_data = events.before(case.cutoff)
    ours = our_scores(snapshot, earlier_data, case)
    rankers = {OURS: ours, **{name: scores_of(version, rows, earlier_data, case) for name, version in others.items()}}
    if parameters.with_baselines:
        rankers |= baselines(snapshot, earlier_data, case, parameters.seed)
    k, lists = max(parameters.ks), {}
    for number, (name, scores) in enumerate(rankers.items()):
        report(0.6 + 0.3 * number / len(rankers), f"lists of {name}")
        best = [case.best(scores(buyer), buyer, k) for buyer in range(len(case))]
        lists[name] = np.array(best, np.intp).reshape(len(case), k)
    report(0.92, "measuring")
    rng = np.random.default_rng(parameters.seed)
    shown = ShownChoices.after(snapshot, events, case)
    more = {name: {(PAIRS_WON, 0): pairs_won_by(scores, shown)} for name, scores in rankers.items()}
    figures = measure(question_of(snapshot, earlier_data, case), lists, OURS, parameters.ks, rng, more=more)
    return Outcome(
        source="log",
        moment=datetime.fromtimestamp(case.cutoff, UTC),
        n_events=len(case.event_ids),
        n_buyers=len(case),
        n_candidates=len(case.candidate_rows),
        figures=tuple(figures),
        summary={
            "rankers": {name: description_of(name, others) for name in rankers},
            "notes": [*notes, *usual_notes(case, parameters)],
            "calibration": calibration_of(ours, case, rng),
            "learned": {"weights": weights_in(snapshot)},
            "parameters": parameters.to_json(),
        },
    )


def pairs_won_by(scores: Scores, shown: ShownChoices) -> NDArray[np.float64]:
    """Mean share of pairs won by each buyer's choices, shape (n_buyers,); nan for one without any."""

    def of_buyer(buyer: int) -> Callable[[NDArray[np.intp]], NDArray[np.floating]]:
        own = scores(buyer)
        return lambda candidates: own[candidates]

    return shown.won(of_buyer)


def our_scores(snapshot: ListingSnapshot, earlier_data: EventRows, case: HeldOut) -> Scores:
    """The arithmetic of serving, with buyers and market as they were."""
    market, buyer_features = (
        market_at(snapshot, earlier_data, case.cutoff),
        buyer_features_in(snapshot, earlier_data, case),
    )
    buyers = case.buyer_ids.tolist()
    return lambda buyer: score_rows(snapshot.ranker, market, buyer_features[buyers[buyer]], case.candidate_rows).scores


def scores_of(version: RankerVersion, rows: ListingRows, earlier_data: EventRows, case: HeldOut) -> Scores:
    """The same by another stored version, whose space has the same listings in the same rows."""
    return our_scores(snapshot_of(load_ranker(version.pk), rows), earlier_data, case)


def description_of(name: str, others: Mapping[str, RankerVersion]) -> str:
    return f"the same as {OURS}, by {name} as it is stored" if name in others else DESCRIPTIONS[name]


def question_of(snapshot: ListingSnapshot, earlier_data: EventRows, case: HeldOut) -> Question:
    """The data of candidates and buyers for the figures, with the slices."""
    history = History.of(snapshot, earlier_data, case)
    n_events = np.bincount(history.rows, minlength=len(snapshot))[case.candidate_rows]
    n_of_buyers = np.array([len(history.liked_by(buyer)) for buyer in range(len(case))])
    return Question(
        relevant=case.relevant,
        candidates=np.ones(len(case.candidate_rows), bool),
        n_events=n_events,
        features=snapshot.stock.vectors[case.candidate_rows],
        groups=snapshot.archetypes[case.candidate_rows],
        buyer_slices={"cold buyer": n_of_buyers < COLD_EVENTS, "known buyer": n_of_buyers >= COLD_EVENTS},
        thing_slices={
            "cold listing": n_events == 0,
            "known listing": n_events > 0,
            **price_bands(snapshot.columns.numbers("price")[case.candidate_rows]),
            **seller_types(snapshot, case.candidate_rows),
        },
    )


def price_bands(prices: NDArray[np.float64]) -> dict[str, NDArray[np.bool_]]:
    """Candidates by price, in parts of about one size; cars without a price are in none."""
    known = prices[~np.isnan(prices)]
    if not known.size:
        return {}
    ends = np.unique(np.quantile(known, np.arange(1, PRICE_BANDS) / PRICE_BANDS).round(-2))
    edges = [-np.inf, *ends.tolist(), np.inf]
    return {_band_name(low, high): (prices >= low) & (prices < high) for low, high in pairwise(edges)}


def _band_name(low: float, high: float) -> str:
    if np.isinf(low) and np.isinf(high):
        return "any price"
    if np.isinf(low):
        return f"price below {money(high)}"
    return f"price from {money(low)}" + ("" if np.isinf(high) else f" to {money(high)}")


def seller_types(snapshot: ListingSnapshot, rows: NDArray[np.intp]) -> dict[str, NDArray[np.bool_]]:
    codes, levels = snapshot.columns.codes("seller_kind")[rows], snapshot.columns.levels("seller_kind")
    return {f"seller: {levels[code]}": codes == code for code in np.unique(codes).tolist() if levels[code]}


def usual_notes(case: HeldOut, parameters: LogParameters) -> list[str]:
    notes = [
        "Asked for and listed are cars that were for sale at the moment and that the buyer had not acted on before.",
        "Buyers find what they are shown, so lists are judged by what the site showed then; pairs won are not.",
        "Each buyer has one interest here. Nothing of a placement (caps, diversity, exploration) is applied.",
    ]
    if len(case) == parameters.max_buyers:
        notes.append(f"At most {parameters.max_buyers:,} buyers were asked about, drawn at random.")
    return notes


def weights_in(snapshot: ListingSnapshot) -> dict[str, dict[str, float]]:
    """The weight of each term, for buyers with history and for cold buyers."""
    scores = {"known buyers": snapshot.ranker.score, "cold buyers": snapshot.ranker.cold_score}
    return {
        buyers: {name: round(float(weight), 3) for name, weight in zip(score.names, score.weights, strict=True)}
        for buyers, score in scores.items()
    }


def calibration_of(ours: Scores, case: HeldOut, rng: np.random.Generator) -> dict[str, Any]:
    choices = PredictedChoices(rng)
    everything = np.arange(len(case.candidate_rows))
    for buyer in range(len(case)):
        choices.add(ours(buyer), case.relevant[buyer].tolist(), np.setdiff1d(everything, case.seen[buyer]))
    return choices.summary()
