"""Our ranker for items that are only known by who went for them: a shop's articles, say.

The same idea as for cars: a short linear score whose weights are learned by a conditional logit from what users did
next. Its terms are logarithms, so that the score is a product: how much a user's history speaks for an item (EASE on a
decayed history, factors), times how much the item is asked for lately, against before.

Everything that has to be decided is decided on a validation part inside the past: models are fitted before it, weights
and options learned from it; then the models are fitted once more on all of the past.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.sparse import csr_array

from recommendations.engine.arrays import Floats
from recommendations.engine.scoring import LinearScore
from recommendations.evaluation.baselines import Als, Neighbours, interest_matrix
from recommendations.evaluation.item_events import ItemCatalogue, ItemEvents, ItemQuestion, ask
from recommendations.metrics import ranking as metrics

EASE, FACTORS, CONTENT, AGAIN = "neighbours", "factors", "content", "again"
USERS_AT_ONCE = 64
LEARNING_CELLS = 24_000_000  # users times items times terms that weights are learned from: 100 MB
FEWEST_VALIDATED = 10  # users without whom options are not chosen but taken as they come


@dataclass(frozen=True)
class ItemRankerConfig:
    """What is tried, and what is settled.

    Attributes:
        regularisations: Of EASE, to choose from.
        history_half_lives_days: After how long an event in a user's history counts half, to choose from.
        shortlists: How many of each user's best items weights are learned to tell apart, to choose from.
        demand_half_lives_days: One term of recent demand each. Together they tell a trend: asked for in the last days,
            against the last months.
        n_factors, n_iterations, confidence, factor_regularisation: Of the factors (``implicit_feedback.als_factors``).
        floor: Added to a user's affinities before the logarithm, as a share of their mean: 0.2 says that an item the
            history knows nothing of is still a fifth as likely as the average one.
        most_items: EASE takes a square matrix of the items; of more than so many, the most popular.
        known_only, unseen_only: The question, as in ``item_events.ask``.
        k: Length of the lists that options are chosen by (NDCG).
        strength: Precision of the Gaussian around weights of 0, in users.
        seed: Of the factors' start and the samples.
    """

    regularisations: tuple[float, ...] = (200.0, 1000.0)
    history_half_lives_days: tuple[float, ...] = (60.0, 365.0)
    shortlists: tuple[int, ...] = (50, 300)
    demand_half_lives_days: tuple[float, ...] = (3.0, 14.0, 60.0)
    n_factors: int = 64
    n_iterations: int = 8
    confidence: float = 5.0
    factor_regularisation: float = 30.0
    floor: float = 0.2
    most_items: int = 6_000
    known_only: bool = True
    unseen_only: bool = True
    k: int = 10
    strength: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        half_lives = (*self.history_half_lives_days, *self.demand_half_lives_days)
        if not (self.regularisations and self.history_half_lives_days and self.shortlists):
            raise ValueError("there must be something to choose from")
        if min(*self.regularisations, *half_lives, self.floor, self.strength) <= 0:
            raise ValueError("regularisations, half-lives, floor and strength must be positive")
        if min(self.k, self.n_factors, self.most_items, *self.shortlists) < 1:
            raise ValueError("k, n_factors, most_items and shortlists must be at least 1")


class Option(NamedTuple):
    """One of the things to choose from."""

    regularisation: float
    history_half_life_days: float
    shortlist: int


@dataclass(frozen=True, eq=False)
class ItemRanker:
    """Fitted as of a day. Made by ``fit_item_ranker``.

    Attributes:
        learning_data: What it was fitted on.
        option: The chosen one.
        score: The linear score of the terms.
        validated: NDCG of each option on validation users that it was not learned from; empty when there were too few.
    """

    learning_data: LearningData
    option: Option
    score: LinearScore
    validated: Mapping[Option, float]

    def scores(self, user_rows: NDArray[np.intp]) -> Floats:
        """Of every item for some users, shape (n_rows, n_items); higher is better, always finite."""
        blocks = [np.empty((0, self.learning_data.events.n_items))]
        blocks += [self.score.score(_flat(terms)).reshape(-1, self.learning_data.events.n_items)
                   for terms in self.learning_data.terms(user_rows, self.option)]  # fmt: skip
        return np.concatenate(blocks)


class LearningData:
    """What is known just before a day, and the models of it; each is fitted when first asked for."""

    def __init__(self, events: ItemEvents, catalogue: ItemCatalogue, day: float, config: ItemRankerConfig) -> None:
        """``events`` may include later ones; they are not looked at."""
        self.events = events.before(day)
        self.catalogue, self.day, self.config = catalogue, day, config
        self._neighbours: dict[float, Neighbours] = {}

    @cached_property
    def n_events(self) -> NDArray[np.intp]:
        """Of each item, shape (n_items,)."""
        return np.bincount(self.events.items, minlength=self.events.n_items)

    @cached_property
    def pairs(self) -> csr_array:
        return self.events.pairs()

    @cached_property
    def factors(self) -> Als:
        config = self.config
        return Als.fit(
            self.pairs,
            config.n_factors,
            config.n_iterations,
            config.confidence,
            config.factor_regularisation,
            config.seed,
        )

    @cached_property
    def demand(self) -> dict[str, Floats]:
        """Log of the decayed number of events on each item, by half-life; nan for an item without any."""
        terms = {}
        for half_life in self.config.demand_half_lives_days:
            counts = np.bincount(self.events.items, self.events.decayed(self.day, half_life), self.events.n_items)
            terms[f"demand {half_life:g} days"] = np.where(self.n_events > 0, np.log(counts + 0.1), np.nan)
        return terms

    def neighbours(self, regularisation: float) -> Neighbours:
        if regularisation not in self._neighbours:
            self._neighbours[regularisation] = Neighbours.ease(self._best_known(), regularisation)
        return self._neighbours[regularisation]

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
        strengths = self.events.decayed(self.day, half_life_days)
        return interest_matrix(self.events.users, self.events.items, strengths, self.pairs.shape)

    @property
    def term_names(self) -> tuple[str, ...]:
        """Of the terms, in the order of the score."""
        content = (CONTENT,) if self.catalogue.content is not None else ()
        again = () if self.config.unseen_only else (AGAIN,)
        return (EASE, FACTORS, *self.demand, *content, *again)

    def terms(self, user_rows: NDArray[np.intp], option: Option) -> Iterator[dict[str, Floats]]:
        """Every term of every item, for a few users at a time, each of shape (n, n_items); nan where unknown."""
        neighbours, histories = self.neighbours(option.regularisation), self.histories(option.history_half_life_days)
        for start in range(0, len(user_rows), USERS_AT_ONCE):
            rows = user_rows[start : start + USERS_AT_ONCE]
            yield self._terms_of(rows, histories[rows], neighbours)

    def _terms_of(self, rows: NDArray[np.intp], histories: csr_array, neighbours: Neighbours) -> dict[str, Floats]:
        is_known = self.n_events > 0
        known: dict[str, Callable[[], Floats]] = {
            EASE: lambda: log_affinity(neighbours.scores(histories), is_known, self.config.floor),
            FACTORS: lambda: log_affinity(self.factors.scores(rows), is_known, self.config.floor),
            CONTENT: lambda: self._likeness(histories),
            AGAIN: lambda: np.log1p(histories.toarray()),
        }
        demand = {name: np.tile(values, (len(rows), 1)) for name, values in self.demand.items()}
        return {name: demand[name] if name in demand else known[name]() for name in self.term_names}

    def _likeness(self, histories: csr_array) -> Floats:
        """Cosine of each item's content with that of the history, 0 without either."""
        content = self.catalogue.content
        if content is None:
            return np.zeros(histories.shape)
        profile = histories @ content
        lengths = np.linalg.norm(profile, axis=1, keepdims=True)
        likeness: Floats = np.divide(profile, lengths, out=np.zeros_like(profile), where=lengths > 0) @ content.T
        return likeness


def log_affinity(affinities: Floats, is_known: NDArray[np.bool_], floor: float) -> Floats:
    """Logarithm of what speaks for each item, over what speaks for the user's average item; shape as given.

    Args:
        affinities: Shape (n_users, n_items); what is below 0 speaks as little as 0.
        is_known: Items that affinities can be computed for, shape (n_items,); the others are nan.
        floor: Added to the ratio, > 0.

    Returns:
        log(floor) to whatever; 0 throughout for a user without any affinity.
    """
    positive = np.maximum(affinities, 0.0)
    mean = positive.mean(axis=1, keepdims=True) if positive.shape[1] else np.zeros((len(positive), 1))
    ratio = np.divide(positive, mean, out=np.full_like(positive, 1.0 - floor), where=mean > 0)
    return np.where(is_known, np.log(np.maximum(ratio + floor, floor)), np.nan)


def fit_item_ranker(
    events: ItemEvents,
    catalogue: ItemCatalogue,
    day: float,
    validation_days: float,
    config: ItemRankerConfig | None = None,
) -> ItemRanker:
    """Learn from what happened before a day.

    Args:
        events: Later ones may be among them; they are not looked at.
        catalogue: Of the items.
        day: As of when.
        validation_days: Length of the last part of the past from which weights and options are learned: best about as
            long as the time one wants to foretell, since what matters the next day is not what matters in a month.
        config: The defaults when None.

    Returns:
        The ranker. Without anything to validate on, its terms weigh alike and the first option is taken.
    """
    config = config or ItemRankerConfig()
    options = [
        Option(*each) for each in product(config.regularisations, config.history_half_lives_days, config.shortlists)
    ]
    learning_data = events.before(day)
    earlier = LearningData(learning_data, catalogue, day - validation_days, config)
    asked = ask(
        learning_data, catalogue, earlier.day, day, known_only=config.known_only, unseen_only=config.unseen_only
    )
    asked = asked.take(_sampled(len(asked), events.n_items, len(config.demand_half_lives_days) + 4, config.seed))
    validated = validate(earlier, asked, options) if len(asked) >= FEWEST_VALIDATED else {}
    chosen = max(validated, key=lambda option: validated[option]) if validated else options[0]
    score = learn_weights(earlier, table_of(earlier, asked.user_rows, chosen), asked, chosen.shortlist)
    return ItemRanker(LearningData(learning_data, catalogue, day, config), chosen, score, validated)


def _sampled(n_users: int, n_items: int, n_terms: int, seed: int) -> NDArray[np.intp]:
    """Positions of the users to learn from: all, or as many as memory allows."""
    n = max(LEARNING_CELLS // max(n_items * n_terms, 1), FEWEST_VALIDATED)
    return np.sort(np.random.default_rng(seed).permutation(n_users)[:n])


def validate(learning_data: LearningData, asked: ItemQuestion, options: list[Option]) -> dict[Option, float]:
    """NDCG of each option: weights learned from one half of the users, tested on the other, and the reverse."""
    is_even = np.arange(len(asked)) % 2 == 0
    found = {}
    for _, alike in groupby(options, lambda option: option[:2]):  # which share a table of terms
        same = list(alike)
        table = table_of(learning_data, asked.user_rows, same[0])
        for option in same:
            halves = [_ndcg(learning_data, table, asked, learns, option.shortlist) for learns in (is_even, ~is_even)]
            found[option] = float(np.mean(halves))
    return found


def _ndcg(
    learning_data: LearningData,
    table: NDArray[np.float32],
    asked: ItemQuestion,
    learns: NDArray[np.bool_],
    shortlist: int,
) -> float:
    score = learn_weights(learning_data, table[learns], asked.take(learns), shortlist)
    test = asked.take(~learns)
    terms = dict(zip(learning_data.term_names, np.moveaxis(table[~learns], -1, 0), strict=True))
    scores = score.score(_flat(terms)).reshape(len(test), -1)
    hits = metrics.find_hits(
        best_items(scores, test, learning_data.config.k), np.split(test.relevant.indices, test.relevant.indptr[1:-1])
    )
    return metrics.mean_over_users(metrics.ndcg_at_k(hits, learning_data.config.k))


def table_of(learning_data: LearningData, user_rows: NDArray[np.intp], option: Option) -> NDArray[np.float32]:
    """Every term of every item for some users, shape (n_rows, n_items, n_terms); nan where unknown."""
    blocks = [np.empty((0, learning_data.events.n_items, len(learning_data.term_names)), np.float32)]
    for terms in learning_data.terms(user_rows, option):
        blocks.append(np.stack(list(terms.values()), axis=-1).astype(np.float32))
    return np.concatenate(blocks)


def best_items(scores: Floats, question: ItemQuestion, k: int) -> NDArray[np.intp]:
    """The k best allowed items of each user, best first, -1 where there are no more; ties go to the lower row."""
    allowed = np.where(question.allowed(), scores, -np.inf)
    k = min(k, allowed.shape[1])
    best = np.argsort(-allowed, axis=1, kind="stable")[:, :k]
    return np.where(np.isfinite(np.take_along_axis(allowed, best, axis=1)), best, metrics.PADDING)


def learn_weights(
    learning_data: LearningData, table: NDArray[np.float32], asked: ItemQuestion, shortlist: int
) -> LinearScore:
    """Weights of the terms by conditional logit: each user chose what they went for out of what they could have had.

    Learned twice: first out of all items, then out of each user's best by the first weights. Most choices are of the
    long tail, and weights that explain these best need not be those that tell the top apart, which a list is made of.
    Every user counts once, however much they went for.

    Args:
        learning_data: The models, fitted before the choices.
        table: Their terms, as from ``table_of``, of the users asked about.
        asked: The choices.
        shortlist: How many items the second time is about, for each user.

    Returns:
        The score; with no user asked about, weights of 1 on terms as they come.

    Source: conditional logit (McFadden 1974), a Gaussian around 0, solved by L-BFGS. That the weights may be learned
    from a part of the alternatives is its independence of irrelevant alternatives.
    """
    names = learning_data.term_names
    if not len(asked):
        return LinearScore(names, np.ones(len(names)), np.zeros(len(names)), np.ones(len(names)))
    allowed, chosen = asked.allowed(), asked.relevant.toarray().astype(np.float32)
    means, deviations = _scales(table[allowed].astype(np.float64))
    features = np.asarray(np.nan_to_num((table - means) / deviations), np.float32)
    weights = most_likely(features, allowed, chosen, learning_data.config.strength)
    best = _best(np.where(allowed, features @ weights.astype(np.float32), -np.inf), shortlist)
    weights = most_likely(
        np.take_along_axis(features, best[..., None], axis=1),
        np.take_along_axis(allowed, best, axis=1),
        np.take_along_axis(chosen, best, axis=1),
        learning_data.config.strength,
    )
    return LinearScore(names, weights, means, deviations)


def _best(scores: NDArray[np.floating], n: int) -> NDArray[np.intp]:
    """Columns of the n highest scores of each row, in no order."""
    n = min(n, scores.shape[1])
    return np.argpartition(-scores, n - 1, axis=1)[:, :n]


def _scales(values: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column's known values, 0 and 1 for a column without variation."""
    is_known = ~np.isnan(values)
    n = np.maximum(is_known.sum(axis=0), 1)
    means = np.where(is_known, values, 0.0).sum(axis=0) / n
    deviations = np.sqrt(np.square(np.where(is_known, values - means, 0.0)).sum(axis=0) / n)
    return means, np.where(deviations > 1e-9, deviations, 1.0)


def most_likely(
    features: NDArray[np.float32], allowed: NDArray[np.bool_], chosen: NDArray[np.float32], strength: float
) -> Floats:
    """Weights that make the users' choices likeliest, shape (n_terms,); 0 where no user chose anything.

    Args:
        features: Standardised terms, shape (n_users, n_items, n_terms).
        allowed: The alternatives of each user, shape (n_users, n_items).
        chosen: 1 where the user chose, else 0, same shape; all among the allowed. Users without a choice are left out.
        strength: Precision of the Gaussian around 0.
    """
    has_choice = chosen.any(axis=1)
    features, allowed, chosen = features[has_choice], allowed[has_choice], chosen[has_choice]
    shares = chosen / chosen.sum(axis=1, keepdims=True)
    n_terms = features.shape[2]
    rows = features.reshape(-1, n_terms)

    def cost(weights: Floats) -> tuple[float, Floats]:
        utility = np.where(allowed, (rows @ weights.astype(np.float32)).reshape(allowed.shape), -np.inf)
        utility -= utility.max(axis=1, keepdims=True, initial=-np.finfo(np.float32).max)
        odds = np.exp(utility)
        total = odds.sum(axis=1, keepdims=True)
        fit = (shares * np.where(allowed, utility - np.log(total), 0.0)).sum(dtype=np.float64)
        gradient = (odds / total - shares).ravel() @ rows
        return (
            float(0.5 * strength * weights @ weights - fit),
            strength * weights + gradient.astype(np.float64),
        )

    weights: Floats = optimize.minimize(cost, np.zeros(n_terms), jac=True, method="L-BFGS-B").x
    return weights


def _flat(terms: Mapping[str, Floats]) -> dict[str, Floats]:
    return {name: values.ravel() for name, values in terms.items()}
