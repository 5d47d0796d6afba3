"""A backtest on other people's events: our ranker for items beside the usual ones, on a global split in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.demand import SECONDS_A_DAY
from recommendations.engine.scoring import LinearScore
from recommendations.evaluation.event_files import EventFile, FileRefused, ItemFile
from recommendations.evaluation.item_events import COLD_EVENTS, ItemCatalogue, ItemEvents, ItemQuestion, ask
from recommendations.evaluation.item_lists import Scores, best_items, lists_of, parts_of, rows_wanted
from recommendations.evaluation.item_ranker import ItemRanker, fit_item_ranker
from recommendations.evaluation.item_terms import (
    BUDGET,
    CONTENT,
    EASE,
    FACTORS,
    HAD,
    KNN,
    POPULAR,
    ItemRankerConfig,
    LearningData,
    demand_name,
)
from recommendations.evaluation.item_validation import SEGMENTS
from recommendations.evaluation.outcome import KS, OURS, Outcome, PredictedChoices, Report, no_report
from recommendations.evaluation.rolling import joined, windows
from recommendations.metrics.figures import Question, measure
from recommendations.metrics.splits import cutoff_of_last_share

MOMENTS_TRIED = (1, 2, 4, 8)  # where their number is not given
REACHED_SHARE = 0.5  # of the rows of a test, about items that could be had at its moment: with fewer, more moments

RECENT = "recently popular"
DESCRIPTIONS = {
    OURS: "all others, EASE on a decayed history and a demand that adapts in one learned score, or the best of them",
    POPULAR: "users who ever had the item",
    RECENT: "events, halved every 7 days",
    BUDGET: "latest listed, within the prices the user went for",
    CONTENT: "cosine with the mean of what the user had",
    KNN: "cosine between the users of two items",
    EASE: "EASE with a regularisation of 200, on all of the history",
    FACTORS: "64 factors by alternating least squares",
    HAD: "times that the user had the item; then events on it, halved every 14 days",
}


def description_of(name: str) -> str:
    return DESCRIPTIONS.get(name) or f"events, halved every {name.removeprefix(RECENT).strip(', ')}"


@dataclass(frozen=True)
class FileParameters:
    """How a file is divided and asked about.

    Attributes:
        test_from: First day of the test, days since 1970; None: so that ``test_share`` of the events come after it.
        test_days: Length of the test; None: to the last event.
        test_share: See above.
        validation_days: Length of each window before the test from which our ranker learns its weights; None: by what
            lies before the test, however long that is.
        moments: The test is divided into so many windows, each tested on what was learned before it (``rolling``);
            None: as few of ``MOMENTS_TRIED`` as reach ``REACHED_SHARE`` of the rows, or the most of them.
        known_only: Ask only about users, and list only items, with an event before the test.
        unseen_only: Neither list nor ask for what a user had before.
        max_users: At most so many users are asked about, drawn at random; 0 for all.
        ks: Lengths of the lists.
        seed: Of everything drawn.

    Raises:
        FileRefused: If they make no sense.
    """

    test_from: float | None = None
    test_days: float | None = None
    test_share: float = 0.15
    validation_days: float | None = None
    moments: int | None = None
    known_only: bool = False
    unseen_only: bool = False
    max_users: int = 0
    ks: tuple[int, ...] = KS
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1:
            raise FileRefused("the share of the test must lie between 0 and 1")
        if not self.ks or min(self.ks) < 1:
            raise FileRefused("lists must have a length of at least 1")
        if self.validation_days is not None and self.validation_days <= 0:
            raise FileRefused("the validation part must have a length")
        if self.test_days is not None and self.test_days <= 0:
            raise FileRefused("the test must have a length")
        if self.moments is not None and self.moments < 1:
            raise FileRefused("there must be at least one moment")

    def to_json(self) -> dict[str, Any]:
        """The parameters as JSON values, with the first day as a date."""
        test_from = None if self.test_from is None else format_day(self.test_from)
        return {**asdict(self), "test_from": test_from, "ks": list(self.ks)}


def backtest_file(
    file: EventFile, items: ItemFile | None, parameters: FileParameters, report: Report = no_report
) -> Outcome:
    """Learn from what happened before a moment, and find what happened after it.

    Args:
        file: The events; when there are items, ``items.file``.
        items: What is known of the items.
        parameters: See ``FileParameters``.
        report: Is called with the progress.

    Raises:
        FileRefused: If nothing lies before or after the moment, or no user is left to ask about.
    """
    events = file.events
    catalogue = items.catalogue if items else ItemCatalogue.from_events(events)
    day, until = bounds(events, parameters)
    config = ItemRankerConfig(
        known_only=parameters.known_only, unseen_only=parameters.unseen_only, seed=parameters.seed
    )
    parts = windows_of_test(events, catalogue, day, until, parameters)
    if not any(len(one.asked) for one in parts):
        raise FileRefused("no user is left to ask about: none in the test has anything to find")
    report(0.05, f"fitting our ranker on {len(events.before(day))} events")
    ours = fit_item_ranker(events, catalogue, day, parameters.validation_days, config)
    outcomes = []
    asked_parts = [one for one in parts if len(one.asked)]
    for number, part in enumerate(asked_parts):

        def of_window(fraction: float, step: str, number: int = number) -> None:
            report(0.5 + 0.5 * (number + fraction) / len(asked_parts), step)

        at_moment = ours if part.day == day else ours.as_of(events, part.day)
        outcomes.append(backtest_at(file, at_moment, part, parameters, of_window))
        at_moment.learning_data.release_models()
    outcome = joined(outcomes) if len(outcomes) > 1 else outcomes[0]
    return replace(outcome, summary={**outcome.summary, "notes": notes_on(file, parameters, parts)})


@dataclass(frozen=True, eq=False)
class AskedWindow:
    """A part of the test: what is asked at its moment, and what became of the rows of the file in it.

    Attributes:
        day: Its moment.
        asked: The question.
        n_rows: Rows of the file in it.
        n_counted: Rows about something that is asked for.
        n_unreached: Rows about an item that could not be had, or was not known, at the moment.
        n_unheard_of: These, and rows about an item without an event before the moment and whose beginning no file says:
            it may well be newer.
    """

    day: float
    asked: ItemQuestion
    n_rows: int
    n_counted: int
    n_unreached: int
    n_unheard_of: int


def windows_of_test(
    events: ItemEvents, catalogue: ItemCatalogue, day: float, until: float, parameters: FileParameters
) -> list[AskedWindow]:
    """The test in as many windows as were asked for, or as it takes to reach most of its rows.

    An item file that does not say since when items can be had does not change their number.
    """
    end = min(until, float(np.nextafter(events.days.max(), np.inf)))
    tried = MOMENTS_TRIED if parameters.moments is None else (parameters.moments,)
    parts: list[AskedWindow] = []
    for n in tried:
        parts = [_window_of(events, catalogue, begin, stop, parameters) for begin, stop in windows(day, end, n)]
        if sum(one.n_unheard_of for one in parts) <= (1 - REACHED_SHARE) * sum(one.n_rows for one in parts):
            break
    return parts


def _window_of(
    events: ItemEvents, catalogue: ItemCatalogue, day: float, until: float, parameters: FileParameters
) -> AskedWindow:
    asked = ask(events, catalogue, day, until, known_only=parameters.known_only, unseen_only=parameters.unseen_only)
    asked = sampled(asked, parameters)
    later = events.between(day, until)
    is_there = asked.candidates & (
        np.isfinite(catalogue.listed_days) | (np.bincount(events.before(day).items, minlength=events.n_items) > 0)
    )
    place = np.full(events.n_users, -1)
    place[asked.user_rows] = np.arange(len(asked))
    of_asked = later.take(place[later.users] >= 0)
    counted = asked.relevant[place[of_asked.users], of_asked.items].sum() if len(of_asked) else 0
    n_unreached, n_unheard_of = (int(np.count_nonzero(~each[later.items])) for each in (asked.candidates, is_there))
    return AskedWindow(day, asked, len(later), int(counted), n_unreached, n_unheard_of)


def backtest_at(
    file: EventFile, ours: ItemRanker, part: AskedWindow, parameters: FileParameters, report: Report
) -> Outcome:
    """One window of the test, by rankers fitted before it."""
    learning_data, asked = ours.learning_data, part.asked
    others, k = baselines(learning_data), max(parameters.ks)
    report(0.0, f"lists of {OURS}")
    own_lists, calibration = own_lists_of(ours, asked, k, np.random.default_rng(parameters.seed))
    lists = {OURS: own_lists}
    for number, (name, scores) in enumerate(others.items(), start=1):
        report(0.8 * number / (1 + len(others)), f"lists of {name}")
        lists[name] = lists_of(scores, asked, k)
    report(0.8, "measuring")
    rng = np.random.default_rng(parameters.seed)
    figures = measure(question_of(asked, learning_data), lists, OURS, parameters.ks, rng)
    return Outcome(
        source=file.name,
        moment=datetime.fromtimestamp(part.day * SECONDS_A_DAY, UTC),
        n_events=part.n_counted,
        n_buyers=len(asked),
        n_candidates=int(asked.candidates.sum()),
        figures=tuple(figures),
        summary={
            "rankers": {name: description_of(name) for name in lists},
            "calibration": calibration,
            "learned": learned_by(ours),
            "parameters": parameters.to_json(),
        },
    )


def bounds(events: ItemEvents, parameters: FileParameters) -> tuple[float, float]:
    """First day of the test and its end. Raises FileRefused when there is nothing on one side."""
    day = parameters.test_from
    if day is None:
        day = float(cutoff_of_last_share(events.days, parameters.test_share))  # type: ignore[arg-type]
    until = np.inf if parameters.test_days is None else day + parameters.test_days
    if not (events.days < day).any():
        raise FileRefused(f"no event lies before {format_day(day)}, so there is nothing to learn from")
    if not ((events.days >= day) & (events.days < until)).any():
        raise FileRefused(f"no event lies in the test, which begins at {format_day(day)}")
    return day, until


def format_day(day: float) -> str:
    return f"{datetime.fromtimestamp(day * SECONDS_A_DAY, UTC):%Y-%m-%d %H:%M}"


def sampled(asked: ItemQuestion, parameters: FileParameters) -> ItemQuestion:
    if not parameters.max_users or len(asked) <= parameters.max_users:
        return asked
    drawn = np.random.default_rng(parameters.seed).permutation(len(asked))[: parameters.max_users]
    return asked.take(np.sort(drawn))


def baselines(learning_data: LearningData) -> dict[str, Scores]:
    """Every baseline that the files allow, as functions of user rows."""
    recent = {demand_name(days): RECENT if days == 7 else f"{RECENT}, {days:g} days"
              for days in learning_data.config.demand_half_lives_days}  # fmt: skip
    return {recent.get(name, name): partial(learning_data.member_scores, name) for name in learning_data.baselines}


def question_of(asked: ItemQuestion, learning_data: LearningData) -> Question:
    """The inputs of the figures, with cold users and items as slices."""
    content = learning_data.catalogue.content
    features = content if content is not None and content.shape[1] else learning_data.factors.things
    n_events_of_users = learning_data.n_events_of_users[asked.user_rows]
    return Question(
        relevant=rows_wanted(asked),
        candidates=asked.candidates,
        n_events=learning_data.n_events,
        features=features,
        buyer_slices={"cold buyer": n_events_of_users < COLD_EVENTS, "known buyer": n_events_of_users >= COLD_EVENTS},
        thing_slices={
            "cold item": learning_data.n_events < COLD_EVENTS,
            "known item": learning_data.n_events >= COLD_EVENTS,
        },
    )


def own_lists_of(
    ours: ItemRanker, asked: ItemQuestion, k: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], dict[str, Any]]:
    """Our lists, as ``lists_of``, and the calibration of the same scores."""
    choices = PredictedChoices(rng)
    blocks = [np.empty((0, min(k, len(asked.candidates))), np.intp)]
    for part in parts_of(asked):
        scores, allowed = ours.scores(part.user_rows), part.allowed()
        blocks.append(best_items(scores, part, k))
        for own, wanted, may_be in zip(scores, rows_wanted(part), allowed, strict=True):
            choices.add(own, wanted.tolist(), np.flatnonzero(may_be))
    return np.concatenate(blocks), choices.summary()


def learned_by(ours: ItemRanker) -> dict[str, Any]:
    """The chosen options and weights, and what validation said, as JSON."""
    weights = {f"weights of {name}": _weights_in(score)
               for name, score in zip(SEGMENTS, ours.scores_by_segment, strict=True)}  # fmt: skip
    return {
        "options": ours.option._asdict(),
        **weights,
        "tried": {segment: dict(values) for segment, values in ours.tried.items()},
        "validated": [{**option._asdict(), "ndcg": round(value, 4)} for option, value in ours.validated.items()],
    }


def _weights_in(score: LinearScore) -> dict[str, float]:
    return {name: round(float(weight), 3) for name, weight in zip(score.names, score.weights, strict=True)}


def notes_on(file: EventFile, parameters: FileParameters, parts: Sequence[AskedWindow]) -> list[str]:
    """The notes that a reader needs to compare figures."""
    notes = [f"{n:,} rows {reason} were left out." for reason, n in file.left_out.items()]
    n_rows, n_counted = sum(one.n_rows for one in parts), sum(one.n_counted for one in parts)
    n_unreached = sum(one.n_unreached for one in parts)
    notes.append(f"{n_counted:,} of the {n_rows:,} rows in the test are asked for.")
    if n_unreached:
        notes.append(
            f"{n_unreached:,} of them are about items that could not be listed at the moment, most of them without an "
            "event before it; more moments reach more of these."
        )
    if n_unheard_of := sum(one.n_unheard_of for one in parts) - n_unreached:
        notes.append(
            f"{n_unheard_of:,} of them are about items without an event before the moment, and of which the item file "
            "does not say since when they can be had (--listed-at): they are listed as if they always could."
        )
    if len(parts) > 1:
        notes.append(f"The test is divided into {len(parts)} windows, each asked of what was known at its beginning.")
    if parameters.known_only:
        notes.append("Only users and items with an event before the test are asked about.")
    if parameters.unseen_only:
        notes.append("What a user had before is neither listed nor asked for.")
    if parameters.max_users and any(len(one.asked) == parameters.max_users for one in parts):
        notes.append(f"At most {parameters.max_users:,} users were asked about at a moment, drawn at random.")
    notes.append("Options and weights were chosen on windows before the test, never on the test.")
    return notes
