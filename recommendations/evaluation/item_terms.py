"""The terms of an item score: models of the events before a day, each as one number per user and item.

Every baseline is among the terms, in a form that ranks as the baseline does, so that a score of several terms can
always reduce to the best of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recommendations.engine.arrays import Floats
from recommendations.evaluation.baselines import (
    ANY_PRICE,
    Als,
    Cosines,
    Ease,
    budget_of,
    interest_matrix,
    newest_in_budget,
)
from recommendations.evaluation.item_demand import AdaptingDemand, adapting_demand, ordinals
from recommendations.evaluation.item_events import COLD_EVENTS, ItemCatalogue, ItemEvents

Model = TypeVar("Model")

POPULAR, KNN, EASE, FACTORS = "popular", "item-kNN", "EASE", "ALS"
NEIGHBOURS, AGAIN, NEW, ADAPTING = "neighbours", "again", "new", "adapting demand"
CONTENT, BUDGET = "average of liked", "newest in budget"
HAD = "had most often"  # where an item may be had again
OF_OPTIONS = (NEIGHBOURS, AGAIN)  # which differ by option
AFFINITIES = (KNN, EASE, FACTORS, NEIGHBOURS)  # whose logarithm is the term
OF_HISTORIES = (KNN, EASE, FACTORS, HAD, CONTENT, BUDGET)  # which say nothing of a user without a history
ALONE = (HAD,)  # which are used alone or not at all: ``AGAIN`` says the same in the sum, and decays
BASE_REGULARISATION = 200.0  # of the baseline EASE
REST_HALF_LIFE_DAYS = 14.0
CELLS_AT_ONCE = 200_000  # users times items that terms are computed for at a time: 1.6 MB each
USERS_AT_ONCE = 64


@dataclass(frozen=True)
class ItemRankerConfig:
    """What is tried, and what is settled.

    Attributes:
        regularisations: Of EASE on a decayed history, to choose from.
        history_half_lives_days: After how long an event in a user's history counts half, to choose from.
        shortlists: How many of each user's best items weights are learned to tell apart, to choose from.
        demand_half_lives_days: One term of recent demand each. Together they tell a trend: asked for in the last days,
            against the last months.
        n_factors, n_iterations, confidence, factor_regularisation: Of the factors (``implicit_feedback.als_factors``).
        floor: Added to a user's affinities before the logarithm, as a share of their mean: 0.2 says that an item the
            history knows nothing of is still a fifth as likely as the average one.
        most_items: EASE takes a square matrix of the items; of more than so many, the most popular. 4,000 take 64 MB.
        known_only, unseen_only: The question, as in ``item_events.ask``.
        k: Length of the lists that options are chosen by (NDCG).
        strength: Precision of the Gaussian around the adapting demand alone, in users.
        moments: How many times before the day the choice is tried out.
        seed: Of the factors' start and the samples.
    """

    regularisations: tuple[float, ...] = (200.0, 1000.0)
    history_half_lives_days: tuple[float, ...] = (60.0, 365.0)
    shortlists: tuple[int, ...] = (100,)
    demand_half_lives_days: tuple[float, ...] = (0.25, 1.0, 3.0, 7.0, 14.0, 30.0, 90.0)
    n_factors: int = 64
    n_iterations: int = 8
    confidence: float = 5.0
    factor_regularisation: float = 30.0
    floor: float = 0.2
    most_items: int = 4_000
    known_only: bool = True
    unseen_only: bool = True
    k: int = 10
    strength: float = 1.0
    moments: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        half_lives = (*self.history_half_lives_days, *self.demand_half_lives_days)
        if not (self.regularisations and self.history_half_lives_days and self.shortlists):
            raise ValueError("there must be something to choose from")
        if min(*self.regularisations, *half_lives, self.floor, self.strength) <= 0:
            raise ValueError("regularisations, half-lives, floor and strength must be positive")
        if min(self.k, self.n_factors, self.most_items, self.moments, *self.shortlists) < 1:
            raise ValueError("k, n_factors, most_items, moments and shortlists must be at least 1")


class Option(NamedTuple):
    """One of the things to choose from."""

    regularisation: float
    history_half_life_days: float
    shortlist: int

    @property
    def columns(self) -> dict[str, str]:
        """Terms that differ by option -> what they are called in a table of several options."""
        by_history = f"{self.history_half_life_days:g} days"
        return {NEIGHBOURS: f"{NEIGHBOURS} {self.regularisation:g}, {by_history}", AGAIN: f"{AGAIN} {by_history}"}


def demand_name(half_life_days: float) -> str:
    return f"demand {half_life_days:g} days"


class LearningData:
    """The events before a day, and the models fitted to them; each is fitted when first read."""

    def __init__(self, events: ItemEvents, catalogue: ItemCatalogue, day: float, config: ItemRankerConfig) -> None:
        """``events`` may include later ones; they are not looked at."""
        self.events = events.before(day)
        self.catalogue, self.day, self.config = catalogue, day, config
        self._models: dict[str, Any] = {}

    @cached_property
    def n_events(self) -> NDArray[np.intp]:
        """Of each item, shape (n_items,)."""
        return np.bincount(self.events.items, minlength=self.events.n_items)

    @cached_property
    def n_events_of_users(self) -> NDArray[np.intp]:
        return np.bincount(self.events.users, minlength=self.events.n_users)

    @cached_property
    def pairs(self) -> csr_array:
        return self.events.pairs()

    def release_models(self) -> None:
        """Forget the models of histories, which take most of the memory; they are fitted anew when asked for again."""
        self._models.clear()

    def _model(self, name: str, fit: Callable[[], Model]) -> Model:
        if name not in self._models:
            self._models[name] = fit()
        found: Model = self._models[name]
        return found

    @property
    def knn(self) -> Cosines:
        return self._model(KNN, lambda: Cosines.fit(self.pairs))

    @property
    def factors(self) -> Als:
        config = self.config
        return self._model(
            FACTORS,
            lambda: Als.fit(
                self.pairs,
                config.n_factors,
                config.n_iterations,
                config.confidence,
                config.factor_regularisation,
                config.seed,
            ),
        )

    def demand(self, half_life_days: float) -> Floats:
        """Decayed number of events on each item, shape (n_items,)."""
        strengths = self.events.decayed(self.day, half_life_days)
        return np.bincount(self.events.items, strengths, self.events.n_items).astype(np.float64)

    @cached_property
    def same_for_all(self) -> dict[str, Floats]:
        """The terms that do not depend on the user, each of shape (n_items,)."""
        terms = {POPULAR: np.log(np.asarray(self.pairs.sum(axis=0)).ravel() + 0.1)}
        for half_life in self.config.demand_half_lives_days:
            counts = self.demand(half_life)
            floor = 0.03 * counts.mean() + 1e-300
            # the second part keeps the order of what was hardly asked for within a short half-life
            terms[demand_name(half_life)] = np.log(counts + floor) + 1e-4 * np.log(counts + 1e-300)
        return terms | {NEW: (self.n_events == 0).astype(np.float64)}

    @cached_property
    def adapting(self) -> tuple[AdaptingDemand, AdaptingDemand]:
        """Adapting demand of cold users and of known ones."""
        is_of_cold = ordinals(self.events) < COLD_EVENTS
        half_lives, unseen_only = self.config.demand_half_lives_days, self.config.unseen_only
        of_cold, of_known = (
            adapting_demand(self.events, self.catalogue, self.day, half_lives, is_alike, unseen_only=unseen_only)
            for is_alike in (is_of_cold, ~is_of_cold)
        )
        return of_cold, of_known

    def ease(self, regularisation: float) -> Ease:
        return self._model(f"{EASE} {regularisation}", lambda: Ease.fit(self._best_known(), regularisation, np.float32))

    def _best_known(self) -> csr_array:
        """The pairs, without those of all but the most popular items."""
        if np.count_nonzero(self.n_events) <= self.config.most_items:
            return self.pairs
        kept = np.zeros(self.events.n_items)
        kept[np.argsort(-self.n_events, kind="stable")[: self.config.most_items]] = 1.0
        pairs = csr_array(self.pairs.multiply(kept))
        pairs.eliminate_zeros()
        return pairs

    def histories(self, half_life_days: float) -> csr_array:
        """The decayed weight of each user's items; shape (n_users, n_items)."""

        def made() -> csr_array:
            strengths = self.events.decayed(self.day, half_life_days)
            return interest_matrix(self.events.users, self.events.items, strengths, self.pairs.shape)

        return self._model(f"histories {half_life_days}", made)

    @property
    def _had(self) -> csr_array:
        """How often each user had each item, shape (n_users, n_items); of equals, what they had last is ahead."""
        ages = self.day - self.events.days
        newness = 1.0 - ages / max(float(ages.max(initial=0.0)), 1e-9)
        return self._model(HAD, lambda: self.events.matrix(1.0 + 1e-3 * newness))

    @cached_property
    def _rest(self) -> Floats:
        """What decides among items that a user never had: recent demand, below 1e-4; shape (n_items,)."""
        demand = self.demand(REST_HALF_LIFE_DAYS)
        return 1e-4 * demand / max(float(demand.sum()), 1e-300)

    def term_names(self, *, with_item_files: bool = True) -> tuple[str, ...]:
        """Of the terms, in the order of the score."""
        again = () if self.config.unseen_only else (AGAIN, HAD)
        names = (NEIGHBOURS, EASE, FACTORS, KNN, ADAPTING, *self.same_for_all, *again)
        return (*names, *self.item_file_terms) if with_item_files else names

    @property
    def item_file_terms(self) -> tuple[str, ...]:
        """Those that only an item file allows."""
        content, prices = self.catalogue.content, self.catalogue.prices
        has_content = content is not None and content.shape[1] > 0
        has_budget = prices is not None and not np.isnan(prices).all() and np.isfinite(self.catalogue.listed_days).any()
        return tuple(name for name, has in ((CONTENT, has_content), (BUDGET, has_budget)) if has)

    @property
    def members(self) -> tuple[str, ...]:
        """Terms that make a ranker alone."""
        return (ADAPTING, *self.baselines)

    @property
    def baselines(self) -> tuple[str, ...]:
        """Members that others have too."""
        demand = map(demand_name, self.config.demand_half_lives_days)
        had = () if self.config.unseen_only else (HAD,)
        return (POPULAR, *demand, KNN, EASE, FACTORS, *had, *self.item_file_terms)

    def member_scores(self, name: str, rows: NDArray[np.intp]) -> Floats:
        """Of a member alone, as a baseline has them: shape (n_rows, n_items), 0 throughout without a history."""
        if name in self.same_for_all:
            return np.tile(self.same_for_all[name], (len(rows), 1))
        by_name: dict[str, Callable[[], Floats]] = {
            ADAPTING: lambda: np.stack([one.log_shares for one in self.adapting])[
                (self.n_events_of_users[rows] >= COLD_EVENTS).astype(np.intp)
            ],
            KNN: lambda: self.knn.scores(self.pairs[rows]),
            EASE: lambda: self.ease(BASE_REGULARISATION).scores(self.pairs[rows]),
            FACTORS: lambda: self.factors.scores(rows),
            HAD: lambda: self._had[rows].toarray() + self._rest,
            CONTENT: lambda: self._likeness(self.pairs[rows]),
            BUDGET: lambda: self._newest(self.pairs[rows]),
        }
        return by_name[name]()

    def terms(
        self, user_rows: NDArray[np.intp], option: Option, names: Sequence[str] | None = None
    ) -> Iterator[dict[str, Floats]]:
        """Terms of every item, for a few users at a time, each of shape (n, n_items) and finite.

        Args:
            user_rows: Of whom.
            option: Of the neighbours.
            names: Which; all when None.
        """
        names = self.term_names() if names is None else names
        for start, stop in self.parts(len(user_rows)):
            raw = self.raw_terms(user_rows[start:stop], option, names)
            yield {name: self.shaped(name, values, mean_affinity(values)) for name, values in raw.items()}

    def parts(self, n_users: int) -> Iterator[tuple[int, int]]:
        """Ends of some users at a time, so that their terms take little memory."""
        n_at_once = max(1, min(USERS_AT_ONCE, CELLS_AT_ONCE // max(self.events.n_items, 1)))
        return ((start, min(start + n_at_once, n_users)) for start in range(0, n_users, n_at_once))

    def raw_terms(self, rows: NDArray[np.intp], option: Option, names: Sequence[str]) -> dict[str, Floats]:
        """Of every item for a few users: what each term ranks by, before ``shaped``; shape (n_rows, n_items) each."""
        own = self.histories(option.history_half_life_days)[rows] if set(OF_OPTIONS) & set(names) else None
        found: dict[str, Floats] = {}
        for name in names:
            if name == NEIGHBOURS and own is not None:
                found[name] = self.ease(option.regularisation).scores(own)
            elif name == AGAIN and own is not None:
                found[name] = own.toarray()
            else:
                found[name] = self.member_scores(name, rows)
        return found

    def shaped(self, name: str, raw: Floats, means: Floats) -> Floats:
        """A term from what it ranks by, for any items; ``means`` as from ``mean_affinity``, shape (n_rows, 1)."""
        if name in AFFINITIES:
            return log_affinity(raw, self.config.floor, means)
        shaped: Floats = np.log1p(raw) if name in (AGAIN, HAD) else raw
        return shaped

    def _likeness(self, histories: csr_array) -> Floats:
        """Cosine of each item's content with that of the history, 0 without either."""
        content = self.catalogue.content
        if content is None:
            return np.zeros(histories.shape)
        profiles = (histories @ content).toarray()
        lengths = np.linalg.norm(profiles, axis=1, keepdims=True)
        units = np.divide(profiles, lengths, out=np.zeros_like(profiles), where=lengths > 1e-12)
        return np.asarray((content @ units.T).T, np.float64)

    def _newest(self, histories: csr_array) -> Floats:
        listed, prices = self.catalogue.listed_days, self.catalogue.prices
        if prices is None:
            return np.zeros(histories.shape)
        since = np.where(np.isfinite(listed), listed, listed[np.isfinite(listed)].min())
        each = [histories[[row]].indices for row in range(histories.shape[0])]
        budgets = [budget_of(prices[own]) if len(own) else ANY_PRICE for own in each]
        return np.stack([newest_in_budget(since, prices, budget) for budget in budgets])


def log_affinity(affinities: Floats, floor: float, means: Floats | None = None) -> Floats:
    """Logarithm of what speaks for each item, over what speaks for the user's average item; shape as given.

    Args:
        affinities: Shape (n_users, n_items); what is below 0 speaks hardly less than 0, but keeps its order.
        floor: Added to the ratio, > 0.
        means: Of all items, as from ``mean_affinity``; of those given when None.

    Returns:
        About log(floor) to whatever; 0 throughout for a user without any affinity.
    """
    means = mean_affinity(affinities) if means is None else means
    ratio = np.divide(affinities, means, out=np.full_like(affinities, 1.0 - floor), where=means > 0)
    return np.log(np.maximum(ratio, 0.0) + floor) + 1e-4 * np.maximum(np.minimum(ratio, 0.0), -1e4)


def mean_affinity(affinities: Floats) -> Floats:
    """What speaks for each user's average item, shape (n_users, 1)."""
    if not affinities.shape[1]:
        return np.zeros((len(affinities), 1))
    means: Floats = np.maximum(affinities, 0.0).mean(axis=1, keepdims=True)
    return means
