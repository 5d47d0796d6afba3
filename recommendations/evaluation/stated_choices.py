"""Is the taste model any good at real people's choices? A harness for stated-choice (conjoint) data.

People who were asked, several times each, which of a few cars they would take: learn from each person's first tasks,
predict their last ones, and stand beside simpler ways. Everything that must be decided (squares of the attributes, how
firmly the population is held) is decided by cross-validation within the first tasks; the test tasks are looked at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.arrays import Flags, Integers, Reals
from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.population import PriorConfig, fit_prior
from recommendations.engine.taste import Prior, posterior, posterior_batch
from recommendations.metrics import ranking as metrics

AVERAGE, POOLED, PERSONAL, HIERARCHICAL = "average of chosen", "one logit for all", "one logit each", "hierarchical"


@dataclass(frozen=True, eq=False)
class ChoiceTable:
    """Stated choices in long form: one row per alternative.

    Attributes:
        persons: Who was asked, any sortable type, shape (n_rows,).
        tasks: Which question, any sortable type; a person's tasks are taken in sorted order, shape (n_rows,).
        chosen: True for the alternative taken, shape (n_rows,); exactly one per person and task.
        values: Attributes of the alternatives, finite, shape (n_rows, n_columns).
        columns: Their names.

    Raises:
        ValueError: If lengths disagree, a value is not finite, a task has fewer than two alternatives, or not exactly
            one of them is chosen. Names the person and the task.
    """

    persons: Integers
    tasks: Integers
    chosen: NDArray[np.bool_]
    values: NDArray[np.float64]
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        arrays = {"persons": np.asarray(self.persons), "tasks": np.asarray(self.tasks)}
        arrays |= {"chosen": np.asarray(self.chosen, dtype=bool), "values": np.asarray(self.values, dtype=np.float64)}
        for name, array in arrays.items():
            object.__setattr__(self, name, array)
        n_rows = len(self.persons)
        if n_rows == 0:
            raise ValueError("there are no choices")
        if self.values.shape != (n_rows, len(self.columns)):
            raise ValueError(f"values must have shape ({n_rows}, {len(self.columns)}), not {self.values.shape}")
        if not (self.persons.shape == self.tasks.shape == self.chosen.shape == (n_rows,)):
            raise ValueError("persons, tasks and chosen must be of one length")
        if not np.isfinite(self.values).all():
            raise ValueError("attributes must be finite")
        self._check_tasks()

    def _check_tasks(self) -> None:
        set_of_row, first_rows = self.sets()
        n_rows, n_chosen = np.bincount(set_of_row), np.bincount(set_of_row, self.chosen)
        for is_wrong, complaint in (
            (n_chosen != 1, "{} alternatives are chosen instead of one"),
            (n_rows < 2, "there is only one alternative"),
        ):
            if is_wrong.any():
                number = int(is_wrong.argmax())
                row = first_rows[number]
                said = complaint.format(int(n_chosen[number]))
                raise ValueError(f"person {self.persons[row]}, task {self.tasks[row]}: {said}")

    def sets(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Number of the choice set of each row, sorted by person, then task; and a row of each set."""
        _, person = np.unique(self.persons, return_inverse=True)
        _, task = np.unique(self.tasks, return_inverse=True)
        pair = person * (task.max() + 1) + task
        _, first_rows, set_of_row = np.unique(pair, return_index=True, return_inverse=True)
        return set_of_row, first_rows


@dataclass(frozen=True)
class ChoiceConfig:
    """Which tasks are held out, and which models are compared.

    Attributes:
        n_test: Last tasks of each person to predict. People with no more than that are left out.
        n_folds: Parts of the learning tasks for cross-validation, >= 2.
        squares: Whether to try the squares of attributes with more than two values: "about this size" beside "the
            larger the better".
        covariance_strengths: What to try for ``PriorConfig.covariance_strength``.
        variances: What to try for the spread of weights of a single person's own logit.
        seed: Of the bootstrap.
    """

    n_test: int = 3
    n_folds: int = 4
    squares: tuple[bool, ...] = (False, True)
    covariance_strengths: tuple[float, ...] = (0.1, 0.5, 2.0)
    variances: tuple[float, ...] = (0.03, 0.3, 3.0)
    seed: int = 0
    prior: PriorConfig = field(default_factory=lambda: PriorConfig(tolerance=0.005, max_iterations=60))

    def __post_init__(self) -> None:
        if self.n_test < 1 or self.n_folds < 2:
            raise ValueError("n_test must be at least 1 and n_folds at least 2")
        if not (self.squares and self.covariance_strengths and self.variances):
            raise ValueError("there must be something to try of each option")


@dataclass(frozen=True)
class Result:
    """How one way of predicting did on the test tasks.

    Attributes:
        accuracy: Share of tasks whose choice was predicted: mean over people of each one's share.
        low, high: 95 % bootstrap interval over people.
        log_loss: Mean of minus log probability of the choice, in nats; nan for a way that gives no probabilities.
        calibration_error: See ``metrics.ranking.Calibration``; nan likewise.
    """

    name: str
    accuracy: float
    low: float
    high: float
    log_loss: float
    calibration_error: float


@dataclass(frozen=True)
class Evaluation:
    """The answer: ``results`` from the simplest way to ours, what was tried on, and what cross-validation chose."""

    results: tuple[Result, ...]
    n_people: int
    n_left_out: int
    n_learning_tasks: int
    n_test_tasks: int
    n_features: int
    chance: float
    chosen_options: Mapping[str, object]
    gain: metrics.Comparison  # hierarchical over the best of the others


@dataclass(frozen=True, eq=False)
class _People:
    """Everybody's tasks as arrays: features (n_sets, n_alternatives, n_dims), and whose and which task each set is."""

    sets: ChoiceSets
    person: NDArray[np.intp]
    is_test: NDArray[np.bool_]
    fold: NDArray[np.intp]

    @property
    def n_people(self) -> int:
        return int(self.person.max()) + 1

    def each(self, is_used: NDArray[np.bool_]) -> list[ChoiceSets]:
        """One ``ChoiceSets`` per person, of the sets in use."""
        return [self.sets.take(np.flatnonzero(is_used & (self.person == one))) for one in range(self.n_people)]


def evaluate_choices(table: ChoiceTable, config: ChoiceConfig | None = None) -> Evaluation:
    """Learn from first tasks, predict last ones, by four ways.

    The average of the chosen alternatives' features (scored by dot product, as a list of likes would be), one
    conditional logit for everybody, one for each person alone, and the hierarchical model. Features are standardised
    over the learning tasks; attributes that never differ within a task say nothing and are left out.

    Raises:
        ValueError: If no person has more than n_test tasks, too few learning tasks remain for cross-validation, or no
            attribute varies.
    """
    config = config or ChoiceConfig()
    squares, strength = _choose_hierarchical(table, config)
    people = _people(table, squares, config)
    variance = _choose_variance(people, config)
    learning, test = people.each(~people.is_test), people.each(people.is_test)
    prior_config = replace(config.prior, covariance_strength=strength)
    weights = dict(_all_ways(learning, variance, prior_config))
    outcomes = {name: _predict(test, rows, name != AVERAGE) for name, rows in weights.items()}
    results = tuple(_result(name, outcome, config) for name, outcome in outcomes.items())
    best_other = max(results[:-1], key=lambda result: result.accuracy).name
    rng = np.random.default_rng(config.seed)
    return Evaluation(
        results=results,
        n_people=people.n_people,
        n_left_out=len(np.unique(table.persons)) - people.n_people,
        n_learning_tasks=int((~people.is_test).sum()),
        n_test_tasks=int(people.is_test.sum()),
        n_features=people.sets.n_dims,
        chance=float(np.mean(1.0 / people.sets.available[people.is_test].sum(axis=1))),
        chosen_options={"squares": squares, "covariance_strength": strength, "personal_variance": variance},
        gain=metrics.compare(outcomes[HIERARCHICAL].accuracy, outcomes[best_other].accuracy, rng),
    )


def _all_ways(
    learning: list[ChoiceSets], variance: float, prior_config: PriorConfig
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Each way's weights, one row per person."""
    n_dims = learning[0].n_dims
    yield AVERAGE, np.stack([_chosen_features(sets).mean(axis=0) for sets in learning])
    all_people = _joined(learning)
    pooled = posterior(all_people, Prior(np.zeros(n_dims), np.eye(n_dims) * 10.0))
    yield POOLED, np.tile(pooled.mean, (len(learning), 1))
    yield PERSONAL, _means(learning, Prior(np.zeros(n_dims), np.eye(n_dims) * variance))
    yield HIERARCHICAL, _means(learning, fit_prior(learning, n_dims, prior_config))


def _means(people: list[ChoiceSets], prior: Prior) -> NDArray[np.float64]:
    return np.stack([taste.mean for taste in posterior_batch(people, prior)])


def _chosen_features(sets: ChoiceSets) -> Reals:
    return sets.features[np.arange(len(sets)), sets.chosen]


def _joined(people: list[ChoiceSets]) -> ChoiceSets:
    return ChoiceSets(
        np.concatenate([sets.features for sets in people]),
        np.concatenate([sets.chosen for sets in people]),
        available=np.concatenate([sets.available for sets in people]),
    )


# Arrays


def _people(table: ChoiceTable, squares: bool, config: ChoiceConfig) -> _People:
    """Those with enough tasks, which of these are tested, and the standardised features of all of them."""
    set_of_row, first_rows = table.sets()
    _, person = np.unique(table.persons[first_rows], return_inverse=True)
    n_tasks = np.bincount(person)
    number = np.arange(len(person)) - (np.cumsum(n_tasks) - n_tasks)[person]  # 0 for a person's first task
    is_kept = n_tasks[person] > config.n_test
    learns = is_kept & (number < n_tasks[person] - config.n_test)
    if not is_kept.any():
        raise ValueError(f"no person has more than {config.n_test} tasks, so there is nothing to learn from")
    if number[learns].max() < 1:
        raise ValueError("cross-validation needs a person with two tasks beside the held-out ones")
    features = _features(table.values, learns[set_of_row], squares)
    features = features[:, _differs_within_sets(features, set_of_row, learns)]
    _, kept_person = np.unique(person[is_kept], return_inverse=True)
    return _People(
        sets=_padded(table.chosen, set_of_row, features).take(is_kept),
        person=kept_person,
        is_test=~learns[is_kept],
        fold=(number % config.n_folds)[is_kept],
    )


def _features(values: NDArray[np.float64], is_learning: NDArray[np.bool_], squares: bool) -> NDArray[np.float64]:
    """Attributes, and the squares of graded ones when asked, standardised over the learning rows."""
    features = _standardised(values, is_learning)
    if not squares:
        return features
    is_graded = [len(np.unique(column)) > 2 for column in values.T]
    return np.column_stack([features, _standardised(features[:, is_graded] ** 2, is_learning)])


def _standardised(values: NDArray[np.float64], is_learning: NDArray[np.bool_]) -> NDArray[np.float64]:
    known = values[is_learning]
    deviations = known.std(axis=0)
    standardised: NDArray[np.float64] = (values - known.mean(axis=0)) / np.where(deviations > 1e-9, deviations, 1.0)
    return standardised


def _differs_within_sets(
    features: NDArray[np.float64], set_of_row: NDArray[np.intp], learns: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Columns that tell the alternatives of some learning task apart; a person's age, say, does not."""
    sums = np.column_stack([np.bincount(set_of_row, column) for column in features.T])
    within = features - (sums / np.bincount(set_of_row)[:, None])[set_of_row]
    differs: Flags = np.abs(within[learns[set_of_row]]).max(axis=0) > 1e-9
    if not differs.any():
        raise ValueError("no attribute differs between the alternatives of a task")
    return differs


def _padded(chosen: NDArray[np.bool_], set_of_row: NDArray[np.intp], features: NDArray[np.float64]) -> ChoiceSets:
    order = np.argsort(set_of_row, kind="stable")
    n_rows = np.bincount(set_of_row)
    slot = np.arange(len(order)) - (np.cumsum(n_rows) - n_rows)[set_of_row[order]]
    shape = (len(n_rows), int(n_rows.max()))
    padded, is_chosen = np.zeros((*shape, features.shape[1])), np.zeros(shape, dtype=bool)
    available = np.zeros(shape, dtype=bool)
    padded[set_of_row[order], slot] = features[order]
    is_chosen[set_of_row[order], slot] = chosen[order]
    available[set_of_row[order], slot] = True
    return ChoiceSets(padded, is_chosen.argmax(axis=1), available=available)


# Choosing by cross-validation


def _choose_hierarchical(table: ChoiceTable, config: ChoiceConfig) -> tuple[bool, float]:
    """Squares and the strength of the shrinkage: whatever makes the folds' choices likeliest."""
    losses = {}
    for squares in config.squares:
        people = _people(table, squares, config)
        for strength in config.covariance_strengths:
            prior_config = replace(config.prior, covariance_strength=strength)
            losses[squares, strength] = _cross_validated(people, config, _Hierarchical(prior_config))
    return min(losses, key=lambda options: losses[options])


def _choose_variance(people: _People, config: ChoiceConfig) -> float:
    return min(config.variances, key=lambda variance: _cross_validated(people, config, _Personal(variance)))


@dataclass(frozen=True)
class _Hierarchical:
    config: PriorConfig

    def prior(self, learning: list[ChoiceSets]) -> Prior:
        return fit_prior(learning, learning[0].n_dims, self.config)


@dataclass(frozen=True)
class _Personal:
    variance: float

    def prior(self, learning: list[ChoiceSets]) -> Prior:
        return Prior(np.zeros(learning[0].n_dims), np.eye(learning[0].n_dims) * self.variance)


def _cross_validated(people: _People, config: ChoiceConfig, way: _Hierarchical | _Personal) -> float:
    """Log loss over the learning tasks, each predicted from the other folds."""
    losses = []
    for fold in range(config.n_folds):
        learning = people.each(~people.is_test & (people.fold != fold))
        held_out = people.each(~people.is_test & (people.fold == fold))
        losses.append(_predict(held_out, _means(learning, way.prior(learning)), True).log_losses)
    return float(np.concatenate(losses).mean())


# Predicting


@dataclass(frozen=True, eq=False)
class _Outcome:
    """Per person the accuracy; per task the loss of its choice; per alternative its probability and whether it won."""

    accuracy: NDArray[np.float64]
    log_losses: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    is_chosen: NDArray[np.bool_]


def _predict(people: list[ChoiceSets], weights: NDArray[np.float64], has_probabilities: bool) -> _Outcome:
    accuracy, losses, probabilities, is_chosen = [], [], [], []
    for sets, own in zip(people, weights, strict=True):
        utility = np.where(sets.available, sets.features @ own, -np.inf)
        accuracy.append(np.mean(utility.argmax(axis=1) == sets.chosen) if len(sets) else np.nan)
        odds = np.exp(utility - utility.max(axis=1, keepdims=True))
        shares = odds / odds.sum(axis=1, keepdims=True)
        taken = np.arange(sets.features.shape[1]) == sets.chosen[:, None]
        losses.append(-np.log(np.maximum(shares[taken], 1e-12)))
        probabilities.append(shares[sets.available])
        is_chosen.append(taken[sets.available])
    unknown = np.nan if not has_probabilities else 1.0
    return _Outcome(
        np.array(accuracy),
        np.concatenate(losses) * unknown,
        np.concatenate(probabilities) * unknown,
        np.concatenate(is_chosen),
    )


def _result(name: str, outcome: _Outcome, config: ChoiceConfig) -> Result:
    rng = np.random.default_rng(config.seed)
    spread = metrics.compare(outcome.accuracy, np.zeros_like(outcome.accuracy), rng)
    is_probability = not np.isnan(outcome.probabilities).any()
    error = metrics.calibration(outcome.probabilities, outcome.is_chosen).error if is_probability else np.nan
    return Result(
        name=name,
        accuracy=spread.difference,
        low=spread.low,
        high=spread.high,
        log_loss=float(outcome.log_losses.mean()),
        calibration_error=float(error),
    )
