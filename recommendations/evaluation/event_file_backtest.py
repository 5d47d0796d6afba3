"""A backtest on other people's events: our ranker for items beside the usual ones, on a global split in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommendations.evaluation.baselines import (
    ANY_PRICE,
    Als,
    Neighbours,
    average_of_liked,
    budget_of,
    newest_in_budget,
    recently_popular,
)
from recommendations.evaluation.event_files import EventFile, FileRefused, ItemFile
from recommendations.evaluation.item_events import ItemCatalogue, ItemEvents, ItemQuestion, ask
from recommendations.evaluation.item_ranker import (
    ItemRanker,
    ItemRankerConfig,
    LearningData,
    best_items,
    fit_item_ranker,
)
from recommendations.evaluation.outcome import KS, OURS, Outcome, PredictedChoices, Report, no_report
from recommendations.metrics.figures import Question, measure
from recommendations.metrics.splits import cutoff_of_last_share

SECONDS_A_DAY = 86_400.0
USERS_AT_ONCE = 256
COLD_EVENTS = 5  # a user or an item with fewer events before the moment is cold

Scores = Callable[[NDArray[np.intp]], NDArray[np.float64]]  # user rows -> (n_rows, n_items)

DESCRIPTIONS = {
    OURS: "EASE on a decayed history, factors and recent demand in one learned score",
    "popular": "users who ever had the item",
    "recently popular": "events, halved every 7 days",
    "newest in budget": "latest listed, within the prices the user went for",
    "average of liked": "cosine with the mean of what the user had",
    "item-kNN": "cosine between the users of two items",
    "EASE": "EASE with a regularisation of 200, on all of the history",
    "ALS": "64 factors by alternating least squares",
}


@dataclass(frozen=True)
class FileParameters:
    """How a file is divided and asked about.

    Attributes:
        test_from: First day of the test, days since 1970; None: so that ``test_share`` of the events come after it.
        test_days: Length of the test; None: to the last event.
        test_share: See above.
        validation_days: Length of the part before the test from which our ranker learns its weights; None: as long as
            the test.
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

    def to_json(self) -> dict[str, Any]:
        """As JSON, with the first day as a date."""
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
    asked = ask(events, catalogue, day, until, known_only=parameters.known_only, unseen_only=parameters.unseen_only)
    asked = sampled(asked, parameters)
    config = ItemRankerConfig(
        known_only=parameters.known_only, unseen_only=parameters.unseen_only, seed=parameters.seed
    )
    report(0.05, f"fitting our ranker on {len(events.before(day))} events")
    validation_days = parameters.validation_days or min(until, float(events.days.max())) - day
    ours = fit_item_ranker(events, catalogue, day, max(validation_days, 1.0), config)
    report(0.5, "fitting the baselines")
    rankers = {OURS: ours.scores, **baselines(ours.learning_data, items)}
    lists = {}
    for number, (name, scores) in enumerate(rankers.items()):
        report(0.6 + 0.3 * number / len(rankers), f"lists of {name}")
        lists[name] = lists_of(scores, asked, max(parameters.ks))
    report(0.9, "measuring")
    rng = np.random.default_rng(parameters.seed)
    figures = measure(question_of(asked, ours.learning_data, catalogue), lists, OURS, parameters.ks, rng)
    return Outcome(
        source=file.name,
        moment=datetime.fromtimestamp(day * SECONDS_A_DAY, UTC),
        n_events=len(events.between(day, until)),
        n_buyers=len(asked),
        n_candidates=int(asked.candidates.sum()),
        figures=tuple(figures),
        summary={
            "rankers": {name: DESCRIPTIONS[name] for name in rankers},
            "notes": notes_on(file, parameters, asked),
            "calibration": calibration_of(ours, asked, rng),
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
    if not len(asked):
        raise FileRefused("no user is left to ask about: none in the test has anything to find")
    if not parameters.max_users or len(asked) <= parameters.max_users:
        return asked
    drawn = np.random.default_rng(parameters.seed).permutation(len(asked))[: parameters.max_users]
    return asked.take(np.sort(drawn))


def baselines(learning_data: LearningData, items: ItemFile | None) -> dict[str, Scores]:
    """Every baseline that the files allow, as functions of user rows."""
    events, pairs = learning_data.events, learning_data.pairs
    age = learning_data.day - events.days
    knn, ease = (
        Neighbours.knn(pairs),
        learning_data.neighbours(200.0) if 200.0 in learning_data.config.regularisations else None,
    )
    lately = recently_popular(events.items, age, events.weights, events.n_items)
    users = np.asarray(pairs.sum(axis=0)).ravel()
    ease = ease or Neighbours.ease(pairs)
    factors: Als = learning_data.factors
    found: dict[str, Scores] = {
        "popular": lambda rows: np.tile(users, (len(rows), 1)),
        "recently popular": lambda rows: np.tile(lately, (len(rows), 1)),
        "item-kNN": lambda rows: knn.scores(pairs[rows]),
        "EASE": lambda rows: ease.scores(pairs[rows]),
        "ALS": factors.scores,
    }
    if items and items.catalogue.content is not None:
        found["average of liked"] = lambda rows: _averages(learning_data, items, rows)
    if items and np.isfinite(items.catalogue.listed_days).any() and not np.isnan(items.prices).all():
        found["newest in budget"] = lambda rows: _newest(learning_data, items, rows)
    return found


def _averages(learning_data: LearningData, items: ItemFile, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    content = items.catalogue.content
    if content is None:
        return np.zeros((len(rows), learning_data.events.n_items))
    return np.stack([average_of_liked(content, content[own.indices], own.data) for own in _each(learning_data, rows)])


def _newest(learning_data: LearningData, items: ItemFile, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    listed = items.catalogue.listed_days
    since = np.where(np.isfinite(listed), listed, listed[np.isfinite(listed)].min())
    budgets = [budget_of(items.prices[own.indices]) if own.nnz else ANY_PRICE for own in _each(learning_data, rows)]
    return np.stack([newest_in_budget(since, items.prices, budget) for budget in budgets])


def _each(learning_data: LearningData, rows: NDArray[np.intp]) -> list[Any]:
    return [learning_data.pairs[[row]] for row in rows.tolist()]


def lists_of(scores: Scores, asked: ItemQuestion, k: int) -> NDArray[np.intp]:
    """The k best of each user, a few users at a time."""
    blocks = [np.empty((0, min(k, len(asked.candidates))), np.intp)]
    for start in range(0, len(asked), USERS_AT_ONCE):
        part = asked.take(np.arange(start, min(start + USERS_AT_ONCE, len(asked))))
        blocks.append(best_items(scores(part.user_rows), part, k))
    return np.concatenate(blocks)


def question_of(asked: ItemQuestion, learning_data: LearningData, catalogue: ItemCatalogue) -> Question:
    """What the figures need to know, with cold users and items as slices."""
    content = catalogue.content
    features = content if content is not None and content.shape[1] else learning_data.factors.things
    n_events_of_users = np.bincount(learning_data.events.users, minlength=learning_data.events.n_users)[asked.user_rows]
    return Question(
        relevant=relevant_rows(asked),
        candidates=asked.candidates,
        n_events=learning_data.n_events,
        features=features,
        buyer_slices={"cold buyer": n_events_of_users < COLD_EVENTS, "known buyer": n_events_of_users >= COLD_EVENTS},
        thing_slices={
            "cold item": learning_data.n_events < COLD_EVENTS,
            "known item": learning_data.n_events >= COLD_EVENTS,
        },
    )


def relevant_rows(asked: ItemQuestion) -> list[NDArray[np.intp]]:
    return np.split(asked.relevant.indices, asked.relevant.indptr[1:-1])


def calibration_of(ours: ItemRanker, asked: ItemQuestion, rng: np.random.Generator) -> dict[str, Any]:
    choices = PredictedChoices(rng)
    wanted = relevant_rows(asked)
    for start in range(0, len(asked), USERS_AT_ONCE):
        part = asked.take(np.arange(start, min(start + USERS_AT_ONCE, len(asked))))
        scores, allowed = ours.scores(part.user_rows), part.allowed()
        for number in range(len(part)):
            choices.add(scores[number], wanted[start + number].tolist(), np.flatnonzero(allowed[number]))
    return choices.summary()


def learned_by(ours: ItemRanker) -> dict[str, Any]:
    """The chosen options and weights, and what validation said, as JSON."""
    return {
        "options": ours.option._asdict(),
        "weights": {
            name: round(float(weight), 3) for name, weight in zip(ours.score.names, ours.score.weights, strict=True)
        },
        "validated": [{**option._asdict(), "ndcg": round(value, 4)} for option, value in ours.validated.items()],
    }


def notes_on(file: EventFile, parameters: FileParameters, asked: ItemQuestion) -> list[str]:
    """What a reader must know to compare figures."""
    notes = [f"{n:,} rows {reason} were left out." for reason, n in file.left_out.items()]
    if parameters.known_only:
        notes.append("Only users and items with an event before the test are asked about.")
    if parameters.unseen_only:
        notes.append("What a user had before is neither listed nor asked for.")
    if parameters.max_users and len(asked) == parameters.max_users:
        notes.append(f"At most {parameters.max_users:,} users were asked about, drawn at random.")
    notes.append("Options and weights were chosen on the last part before the test, never on the test.")
    return notes
