"""The modes of many conditional logit models at once, for ``taste``.

A *problem* is one buyer: weighted choices, and a Gaussian prior on the weights ``w``. Problems of one batch are padded
to a common shape and solved together, so that one buyer and ten thousand use the same code.

Log-likelihood of one event with weight ``v``, chosen ``c`` (McFadden 1974; each event raised to ``v``): ``v * (w . x_c
+ o_c - log sum_j exp(w . x_j + o_j))``, with offsets ``o`` that are known and mostly 0. Minus log posterior is the
negative sum of these, plus ``(w - m)' P (w - m) / 2`` with prior mean ``m`` and prior precision ``P``. It is strictly
convex and has one minimum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.engine import linalg
from recommendations.engine.arrays import Floats, Integers, Reals, Rows
from recommendations.engine.choice_sets import ChoiceSets

# Size of one padded batch, features and matrices: more would not fit the processor's caches.
BATCH_BYTES = 4 * 2**20


@dataclass(frozen=True)
class NewtonConfig:
    """When a search for the mode stops.

    Attributes:
        tolerance: The search stops after a step whose squared length, in posterior standard deviations, is below this.
            Newton roughly squares the error in each step, so the remaining error is far smaller.
        max_steps: The most Newton steps. Six are usual; a separable history needs about ten.
        max_halvings: How often a step is halved before it is rejected.
    """

    tolerance: float = 1e-6
    max_steps: int = 50
    max_halvings: int = 60

    def __post_init__(self) -> None:
        if not self.tolerance > 0:
            raise ValueError(f"tolerance must be positive, not {self.tolerance}")
        if self.max_steps < 1 or self.max_halvings < 1:
            raise ValueError("max_steps and max_halvings must be at least 1")


@dataclass(frozen=True, eq=False)
class Batch:
    """Padded problems.

    Attributes:
        differences: ``x_j - x_chosen``, negated for a dislike, 0 in padding; float32 or float64, shape (n_problems,
            n_events, n_alternatives, n_dims).
        mask: Log odds of each alternative against the chosen one without the preference (``ChoiceSets.log_odds``), -inf
            in padding, shape (n_problems, n_events, n_alternatives).
        weights: Strength of each event, 0 in padding, shape (n_problems, n_events).
    """

    differences: Reals
    mask: NDArray[np.float64]
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.differences)

    def take(self, rows: Rows) -> Batch:
        return Batch(self.differences[rows], self.mask[rows], self.weights[rows])

    def rows(self) -> Reals:
        """The alternatives of all events of a problem as rows: (n_problems, n_events * n_alternatives, n_dims)."""
        n_problems, n_events, n_alternatives, n_dims = self.differences.shape
        return self.differences.reshape(n_problems, n_events * n_alternatives, n_dims)


@dataclass(frozen=True, eq=False)
class Modes:
    """Solved problems.

    Attributes:
        mean: The mode, float64, shape (n_problems, n_dims).
        factor: Lower Cholesky factor of the precision there, the second derivative of minus log posterior, shape
            (n_problems, n_dims, n_dims).
        log_likelihood: Weighted log-likelihood of the choices at the mode, shape (n_problems,).
    """

    mean: NDArray[np.float64]
    factor: NDArray[np.float64]
    log_likelihood: NDArray[np.float64]


def stack(problems: Sequence[ChoiceSets]) -> Batch:
    """Pad problems into one batch; if there is only one problem, its events of weight 0 are left out."""
    if len(problems) == 1:
        return _single(problems[0])
    n_events = max(1, *(len(sets) for sets in problems))
    n_alternatives = max(1, *(sets.features.shape[1] for sets in problems))
    dtype = np.result_type(*{sets.features.dtype for sets in problems})
    shape = (len(problems), n_events, n_alternatives)
    differences = np.zeros((*shape, problems[0].n_dims), dtype=dtype)
    mask = np.full(shape, -np.inf)
    mask[:, :, 0] = 0.0  # padding events need one alternative, or their sum of exponentials would be 0
    weights = np.zeros(shape[:2])
    for row, sets in enumerate(problems):
        n, m = sets.features.shape[:2]
        differences[row, :n, :m] = sets.differences()
        mask[row, :n, :m] = sets.log_odds()
        weights[row, :n] = sets.weights
    return Batch(differences, mask, weights)


def _single(sets: ChoiceSets) -> Batch:
    if not sets.weights.all():
        sets = sets.take(sets.weights > 0)
    mask = sets.log_odds()
    return Batch(sets.differences()[None], mask[None], sets.weights[None])


def batches(problems: Sequence[ChoiceSets]) -> Iterator[tuple[NDArray[np.intp], Batch]]:
    """Group problems of similar size, to limit padding; yield the positions of the problems and their batch."""
    shapes = np.array([sets.features.shape[:2] for sets in problems]).reshape(-1, 2)
    order = np.lexsort((shapes[:, 1], shapes[:, 0]))  # by events, then by alternatives
    start = 0
    while start < len(order):
        rows = order[start : start + _n_fitting(shapes[order[start:]], problems[order[start]])]
        yield rows, stack([problems[row] for row in rows])
        start += len(rows)


def _n_fitting(shapes: Integers, first: ChoiceSets) -> int:
    """The number of leading problems that fit into ``BATCH_BYTES`` when padded; at least one."""
    n_events, n_alternatives = np.maximum.accumulate(shapes, axis=0).T
    each = n_events * n_alternatives * first.n_dims * first.features.itemsize + first.n_dims**2 * 8
    n_bytes = np.arange(1, len(shapes) + 1) * each
    return max(1, int(np.searchsorted(n_bytes, BATCH_BYTES, side="right")))


def choice_log_probabilities(
    batch: Batch, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the probability of each choice under weights of shape (n_problems, n_dims).

    The products are computed in the precision of the features, everything after them in float64.

    Returns:
        Log probability of the chosen alternative, without the event's weight, shape (n_problems, n_events); and the
        probability of every alternative, in the shape of ``batch.mask``.
    """
    utility = batch.rows() @ weights.astype(batch.differences.dtype)[:, :, None]
    relative = utility.reshape(batch.mask.shape) + batch.mask
    highest = relative.max(axis=-1, keepdims=True)
    odds = np.exp(relative - highest)
    total = odds.sum(axis=-1, keepdims=True)
    # The chosen alternative's own utility is 0 here, because features and offsets are differences from it.
    return -(highest + np.log(total))[:, :, 0], odds / total


def log_likelihood(batch: Batch, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted log-likelihood of each problem, shape (n_problems,), and the choice probabilities."""
    log_chosen, probabilities = choice_log_probabilities(batch, weights)
    return (batch.weights * log_chosen).sum(axis=1), probabilities


def derivatives(batch: Batch, probabilities: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gradient (n_problems, n_dims) and curvature (n_problems, n_dims, n_dims) of minus log-likelihood.

    Per event, with p the probabilities and x the differences: gradient ``sum_j p_j x_j = x_mean``, curvature
    ``sum_j p_j x_j x_j' - x_mean x_mean'``, both times the event's weight.
    """
    dtype = batch.differences.dtype
    means = (probabilities.astype(dtype)[:, :, None, :] @ batch.differences)[:, :, 0, :]
    gradient = (batch.weights[:, None, :] @ means)[:, 0, :]
    strength = np.sqrt(batch.weights[:, :, None] * probabilities).astype(dtype)
    rows = (strength[..., None] * batch.differences).reshape(batch.rows().shape)
    means *= np.sqrt(batch.weights).astype(dtype)[:, :, None]
    curvature = rows.transpose(0, 2, 1) @ rows - means.transpose(0, 2, 1) @ means
    return gradient, curvature.astype(np.float64)


def find_modes(
    batch: Batch,
    prior_mean: NDArray[np.float64],
    prior_precision: NDArray[np.float64],
    start: NDArray[np.float64],
    config: NewtonConfig,
) -> Modes:
    """Find the mode of every problem of a batch by Newton's method with backtracking.

    Plain Newton diverges on separable choices, because its steps overshoot where the logistic function is flat. A step
    must therefore lower minus log posterior by a share of the decrease that the gradient predicts, or it is halved
    (Armijo's rule).

    Args:
        batch: The choices.
        prior_mean, prior_precision: The prior of all problems, (n_dims,) and (n_dims, n_dims).
        start: First guess, shape (n_problems, n_dims); it affects the time, not the result.
        config: When the search stops.
    """
    search = _Search(batch, prior_mean, prior_precision, start.copy(), config)
    for _ in range(config.max_steps):
        search.step()
        if not search.is_moving.any():
            break
    search.finish()
    return Modes(search.weights, search.factor, search.log_likelihood)


class _Search:
    """The state of one ``find_modes``; problems that have converged are not moved any more."""

    def __init__(
        self,
        batch: Batch,
        prior_mean: NDArray[np.float64],
        prior_precision: NDArray[np.float64],
        start: NDArray[np.float64],
        config: NewtonConfig,
    ) -> None:
        self.batch, self.prior_mean, self.prior_precision, self.config = batch, prior_mean, prior_precision, config
        self.weights = start
        self.is_moving = np.ones(len(batch), dtype=bool)
        self.factor = np.empty((len(batch), *prior_precision.shape))
        self.log_likelihood, self.probabilities = log_likelihood(batch, start)

    def step(self) -> None:
        """Make one Newton step of each problem that has not converged; a problem whose step is tiny takes it and has
        converged."""
        rows = np.flatnonzero(self.is_moving)
        batch = self._part(rows)
        pull = (self.weights[rows] - self.prior_mean) @ self.prior_precision
        gradient, curvature = derivatives(batch, self.probabilities[rows])
        factor = linalg.factors(curvature + self.prior_precision)
        gradient = gradient + pull
        direction = -linalg.solve(factor, gradient)
        self.factor[rows] = factor
        promise = -(gradient * direction).sum(axis=1)  # squared length of the step in posterior deviations
        has_moved = self._line_search(rows, batch, direction, promise)
        self.is_moving[rows] = has_moved & (promise > self.config.tolerance)

    def finish(self) -> None:
        """Compute the curvature at the end of each search that stopped before it converged."""
        rows = np.flatnonzero(self.is_moving)
        if rows.size:
            _, curvature = derivatives(self._part(rows), self.probabilities[rows])
            self.factor[rows] = linalg.factors(curvature + self.prior_precision)

    def _part(self, rows: Rows) -> Batch:
        # Copying a part costs about as much as a step over it saves, unless it is small.
        return self.batch if rows.size == len(self.batch) else self.batch.take(rows)

    def _cost(self, weights: NDArray[np.float64], log_likelihood: NDArray[np.float64]) -> NDArray[np.float64]:
        from_prior = weights - self.prior_mean
        cost: NDArray[np.float64] = (
            0.5 * ((from_prior @ self.prior_precision) * from_prior).sum(axis=1) - log_likelihood
        )
        return cost

    def _line_search(self, rows: Rows, batch: Batch, direction: Floats, promise: Floats) -> NDArray[np.bool_]:
        """Halve each problem's step until it lowers the cost enough, and return which problems moved."""
        before = self._cost(self.weights[rows], self.log_likelihood[rows])
        slack = 1e-6 * (1.0 + np.abs(before))  # float32 features leave the cost uncertain by about this much
        length = np.ones(len(rows))
        for _ in range(self.config.max_halvings):
            weights = self.weights[rows] + length[:, None] * direction
            found, probabilities = log_likelihood(batch, weights)
            too_far = self._cost(weights, found) > before - 1e-4 * length * promise + slack
            if not too_far.any():
                break
            length = np.where(too_far, length / 2, length)
        moved = ~too_far
        self.weights[rows[moved]] = weights[moved]
        self.log_likelihood[rows[moved]] = found[moved]
        self.probabilities[rows[moved]] = probabilities[moved]
        return moved
