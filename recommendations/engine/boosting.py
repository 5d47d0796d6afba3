"""Learning the curves of terms: gradient boosting beyond the weights of a score, one term to a tree.

Each tree splits on one term and on the band of the buyer, and is fitted to the gradient of the conditional
log-likelihood of the choices, in which the weights and the position stand as they were learned. A buyer's band is the
same for every car of a list, so that differences within a list come from the term alone, and the sum of the trees of
a term is its curve: an additive model (``term_curves``).

A choice is conditional on what was shown, so how likely a car was to be shown cancels; what is left of the display is
the position, whose effect is learned along with the curves and then left out.

Source: Newton boosting (Friedman 2001; Chen and Guestrin 2016, eq. 5) of an additive model with pairs of features (Lou
et al. 2013).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.tree import DecisionTreeRegressor

from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.score_terms import TERMS
from recommendations.engine.scoring import LinearScore, ScoreConfig, as_sets, most_likely
from recommendations.engine.term_curves import TermCurves

Values = NDArray[np.float64]

LEAST_GAIN = 1e-9  # log-likelihood of all choices that a tree adds at least: less is rounding


@dataclass(frozen=True)
class BoostingConfig:
    """How the curves are learned.

    Attributes:
        n_steps: Of a curve, at most; they begin at quantiles of the term.
        band_edges: Cars a buyer dealt with at which each band but the first begins; empty: one band.
        most_leaves: Of a tree.
        learning_rate: Share of each tree that is added, 0 to 1.
        most_trees: At most so many.
        patience: Trees without a gain on the buyers that are left out, after which no more are grown.
        ridge: Added to the curvature of each leaf: what holds it at 0. > 0.
        left_out: Share of the buyers that say how many trees there should be, 0 to 1.
        n_folds: In which the whole procedure is tested, >= 2.
        seed: Of the division of the buyers.
    """

    n_steps: int = 16
    band_edges: tuple[float, ...] = (2.0, 5.0, 12.0)
    most_leaves: int = 4
    learning_rate: float = 0.15
    most_trees: int = 150
    patience: int = 15
    ridge: float = 5.0
    left_out: float = 0.25
    n_folds: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_steps < 2 or self.most_leaves < 2 or self.n_folds < 2:
            raise ValueError("n_steps, most_leaves and n_folds must be at least 2")
        if not (0 < self.learning_rate <= 1 and 0 < self.left_out < 1 and self.ridge > 0):
            raise ValueError("learning_rate must lie above 0 up to 1, left_out between 0 and 1, and ridge above 0")


@dataclass(frozen=True, eq=False)
class BoostingData:
    """Choices to learn from; n of them, of up to m alternatives.

    Attributes:
        terms: Values by name, each of shape (n, m), nan for unknown.
        chosen: Which alternative was chosen, shape (n,).
        buyer_ids: Who chose, shape (n,).
        n_cars: How many cars they had dealt with, shape (n,).
        available: What was offered, shape (n, m).
        positions: In the list that was shown, from 1, nan where unknown, shape (n, m).
    """

    terms: Mapping[str, Values]
    chosen: NDArray[np.intp]
    buyer_ids: NDArray[np.int64]
    n_cars: Values
    available: NDArray[np.bool_]
    positions: Values

    def __len__(self) -> int:
        return len(self.chosen)

    @cached_property
    def table(self) -> Values:
        """Shape (n, m, n_terms); nan too where nothing was offered."""
        absent = np.full(self.available.shape, np.nan)
        columns = [np.where(self.available, self.terms.get(name, absent), np.nan) for name in TERMS]
        return np.stack(columns, axis=-1)

    @cached_property
    def sets(self) -> ChoiceSets:
        return as_sets(self.terms, self.chosen, self.available, self.positions)[0]

    def groups(self, n: int, seed: int) -> NDArray[np.intp]:
        """The choices divided by buyers at random into so many groups, shape (n,)."""
        buyers, codes = np.unique(self.buyer_ids, return_inverse=True)
        return (np.random.default_rng(seed).permutation(len(buyers)) % n)[codes]


def learn_curves(
    data: BoostingData, score: LinearScore, score_config: ScoreConfig, config: BoostingConfig
) -> LinearScore:
    """A score with curves beyond its weights, which stay as they are; without, where no tree helps.

    Args:
        data: The choices that the weights were learned from.
        score: Learned from them.
        score_config: How. A term that is switched off may have a curve all the same: what neither more nor less of it
            explains, its middle may.
        config: See ``BoostingConfig``.
    """
    weights = most_likely(data.sets, score_config)
    everything = np.ones(len(data), bool)
    return replace(score, curves=_boosted(data, weights, everything, config).curves)


def cross_fitted(data: BoostingData, score_config: ScoreConfig, config: BoostingConfig) -> tuple[Values, Values]:
    """Log-likelihood of each choice under the weights with curves, and under the weights alone, shape (n,) each.

    Each choice is predicted with weights, curves and a number of trees that are learned from choices of other buyers.
    The weight of the position, which lists leave out, is learned with the same number of steps for both.
    """
    folds = data.groups(config.n_folds, config.seed)
    with_curves, alone = np.zeros(len(data)), np.zeros(len(data))
    for fold in range(config.n_folds):
        is_tested = folds == fold
        weights = most_likely(data.sets.take(~is_tested), score_config)
        with_curves[is_tested], alone[is_tested] = _boosted(data, weights, ~is_tested, config).fits(
            _Lists.of(data, is_tested), weights
        )
    return with_curves, alone


def _boosted(
    data: BoostingData,
    weights: Values,
    is_used: NDArray[np.bool_],
    config: BoostingConfig,
) -> _Boosted:
    """Learn curves from some of the choices; without curves if no tree helps."""
    n_groups = max(2, round(1 / config.left_out))
    is_left_out = data.groups(n_groups, config.seed + 1) == 0
    judged = _Lists.of(data, is_used & is_left_out)
    pair = _Pair.start(_Lists.of(data, is_used & ~is_left_out), weights, config)
    best, n_best, n_trees = 0.0, 0, 0
    while n_trees < config.most_trees and n_trees - n_best < config.patience and pair.add_tree():
        n_trees += 1
        with_curves, alone = pair.boosted.fits(judged, weights)
        gain = float((with_curves - alone).sum())
        if gain > best:
            best, n_best = gain, n_trees
    if not n_best:
        return _Boosted(None, float(weights[-1]), float(weights[-1]))
    whole = _Pair.start(_Lists.of(data, is_used), weights, config)
    for _ in range(n_best):
        whole.add_tree()
    return whole.boosted


@dataclass(frozen=True, eq=False)
class _Boosted:
    """Curves, and the weight of the position: beside them, and of as many steps without them."""

    curves: TermCurves | None
    position_weight: float
    position_weight_alone: float

    def fits(self, lists: _Lists, weights: Values) -> tuple[Values, Values]:
        """Log-likelihood of each choice by the weights with curves, and by the weights alone, shape (n,) each."""
        logits, alone = (
            lists.linear(np.r_[weights[:-1], of_position])
            for of_position in (self.position_weight, self.position_weight_alone)
        )
        if self.curves is not None:
            logits = logits + self.curves.added(lists.table, lists.n_cars[:, None]).sum(axis=-1)
        return lists.fit(logits), lists.fit(alone)


@dataclass(frozen=True, eq=False)
class _Lists:
    """Some of the choices, as boosting reads them: values, standardised features, and what was offered and chosen."""

    table: Values
    features: Values
    available: NDArray[np.bool_]
    chosen: NDArray[np.intp]
    n_cars: Values

    @classmethod
    def of(cls, data: BoostingData, is_used: NDArray[np.bool_]) -> _Lists:
        return cls(
            data.table[is_used],
            np.asarray(data.sets.features[is_used], np.float64),
            data.available[is_used],
            data.chosen[is_used],
            data.n_cars[is_used],
        )

    def linear(self, weights: Values) -> Values:
        """The utility of each alternative by the weights of the terms and the position, shape (n, m)."""
        return self.features @ weights

    def fit(self, logits: Values) -> Values:
        """Log-likelihood of each choice, shape (n,)."""
        masked = np.where(self.available, logits, -np.inf)
        log_likelihoods: Values = masked[np.arange(len(masked)), self.chosen] - logsumexp(masked, axis=1)
        return log_likelihoods

    def probabilities(self, logits: Values) -> Values:
        masked = np.where(self.available, logits, -np.inf)
        odds = np.exp(masked - masked.max(axis=1, keepdims=True))
        shares: Values = odds / odds.sum(axis=1, keepdims=True)
        return shares


@dataclass(eq=False)
class _Grown:
    """A boosted score that grows tree by tree.

    Attributes:
        lists: What it is fitted to.
        curves: The sum of the trees so far.
        logits: Of each alternative so far, shape (n, m).
        position_weight: Of the standardised logarithm of the position.
        cells: Of each known value of each alternative, as one number of term, band and step; and -1.
        counts: Values in each cell, shape (n_terms, n_bands, n_steps).
        config: See ``BoostingConfig``.
    """

    lists: _Lists
    curves: TermCurves
    logits: Values
    position_weight: float
    cells: NDArray[np.intp]
    counts: Values
    config: BoostingConfig
    is_chosen: Values = field(init=False)

    def __post_init__(self) -> None:
        self.is_chosen = np.zeros(self.logits.shape)
        self.is_chosen[np.arange(len(self.logits)), self.lists.chosen] = 1.0

    @classmethod
    def start(cls, lists: _Lists, weights: Values, config: BoostingConfig) -> _Grown:
        n_bands, n_steps = len(config.band_edges) + 1, config.n_steps
        edges = np.array([_quantiles(lists.table[..., term], n_steps) for term in range(len(TERMS))])
        curves = TermCurves(np.array(config.band_edges), edges, np.zeros((len(TERMS), n_bands, n_steps)))
        bands = curves.bands(lists.n_cars)[:, None]
        cells = np.full(lists.table.shape, -1, np.intp)
        for term, starts in enumerate(edges):
            steps = np.searchsorted(starts, lists.table[..., term], side="right")
            is_known = ~np.isnan(lists.table[..., term])
            cells[..., term] = np.where(is_known, (term * n_bands + bands) * n_steps + steps, -1)
        counts = np.bincount(cells[cells >= 0], minlength=curves.values.size).astype(np.float64)
        return cls(
            lists, curves, lists.linear(weights), float(weights[-1]), cells, counts.reshape(curves.values.shape), config
        )

    def add_tree(self) -> bool:
        """Grow one more tree, on the term that gains most by it; False where no term gains."""
        if not len(self.logits):
            return False
        self.move_position()
        probabilities = self.lists.probabilities(self.logits)
        gradients = self._by_cell(self.is_chosen - probabilities)
        curvatures = self._by_cell(probabilities * (1.0 - probabilities))
        trees = [self._tree(gradients[term], curvatures[term], term) for term in range(len(TERMS))]
        gain, term, step = max(trees, key=lambda tree: tree[0])
        if not gain > LEAST_GAIN:
            return False
        values = self.curves.values.copy()
        values[term] += step
        self.curves = replace(self.curves, values=values)
        cells = self.cells[..., term]
        within = cells - term * step.size
        self.logits = self.logits + np.where(cells >= 0, step.ravel()[np.maximum(within, 0)], 0.0)
        return True

    def _by_cell(self, values: Values) -> Values:
        """Sums over the alternatives of each cell, shape of ``counts``."""
        is_known = self.cells >= 0
        of_each = np.broadcast_to(values[..., None], self.cells.shape)[is_known]
        sums = np.bincount(self.cells[is_known], of_each, minlength=self.counts.size).astype(np.float64)
        return sums.reshape(self.counts.shape)

    def _tree(self, gradients: Values, curvatures: Values, term: int) -> tuple[float, int, Values]:
        """The gain of a tree on one term, the term, and what it adds by band and step, around an average of 0.

        The gain is that of what is added. What a whole band has in common moves no choice, and is not added.
        """
        n_bands, n_steps = gradients.shape
        grid = np.column_stack([each.ravel() for each in np.mgrid[:n_bands, :n_steps]])
        is_used = curvatures.ravel() > 0
        if np.count_nonzero(is_used) < 2:
            return 0.0, term, np.zeros(gradients.shape)
        gradient, curvature = gradients.ravel()[is_used], curvatures.ravel()[is_used]
        tree = DecisionTreeRegressor(max_leaf_nodes=self.config.most_leaves, random_state=self.config.seed)
        tree.fit(grid[is_used], gradient / curvature, sample_weight=curvature)
        leaves = tree.apply(grid)
        total = np.bincount(leaves[is_used], gradient, minlength=tree.tree_.node_count)
        held = np.bincount(leaves[is_used], curvature, minlength=tree.tree_.node_count) + self.config.ridge
        step = (self.config.learning_rate * (total / held)[leaves]).reshape(gradients.shape)
        centred = self._centred(step, term)
        gain = float((gradients * centred - 0.5 * curvatures * centred**2).sum())
        return gain, term, centred

    def _centred(self, step: Values, term: int) -> Values:
        """Less its average in each band, so that a value that is unknown stands for the average; exactly 0 where a
        band has one value only."""
        counts = self.counts[term]
        n = counts.sum(axis=1, keepdims=True)
        means = np.divide((counts * step).sum(axis=1, keepdims=True), n, out=np.zeros_like(n), where=n > 0)
        lowest = np.where(counts > 0, step, np.inf).min(axis=1, keepdims=True)
        highest = np.where(counts > 0, step, -np.inf).max(axis=1, keepdims=True)
        centred: Values = step - np.where(lowest == highest, lowest, means)
        return centred

    def move_position(self) -> None:
        """One Newton step of the weight of the position, which lists may have in common with a curve."""
        positions, probabilities = self.lists.features[..., -1], self.lists.probabilities(self.logits)
        means = (probabilities * positions).sum(axis=1)
        slope = float((positions * (self.is_chosen - probabilities)).sum())
        curvature = float((probabilities * positions**2).sum() - (means**2).sum())
        step = slope / (curvature + self.config.ridge)
        self.position_weight += step
        self.logits = self.logits + step * positions


@dataclass(frozen=True, eq=False)
class _Pair:
    """A boosted score, and one whose position moves alike but that grows no trees: what trees gain, lists keep."""

    grown: _Grown
    alone: _Grown

    @classmethod
    def start(cls, lists: _Lists, weights: Values, config: BoostingConfig) -> _Pair:
        grown = _Grown.start(lists, weights, config)
        return cls(grown, replace(grown))

    @property
    def boosted(self) -> _Boosted:
        return _Boosted(self.grown.curves, self.grown.position_weight, self.alone.position_weight)

    def add_tree(self) -> bool:
        """As ``_Grown.add_tree``."""
        if not self.grown.add_tree():
            return False
        self.alone.move_position()
        return True


def _quantiles(values: Values, n_steps: int) -> Values:
    """Lower bounds of a term's steps, shape (n_steps - 1,): quantiles of its known values, then inf."""
    known, edges = values[~np.isnan(values)], np.full(n_steps - 1, np.inf)
    if len(known):
        found = np.unique(np.quantile(known, np.arange(1, n_steps) / n_steps))
        found = found[found > known.min()]
        edges[: len(found)] = found
    return edges
