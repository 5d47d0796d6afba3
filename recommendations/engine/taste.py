"""A buyer's taste: what we believe about the weights of their utility, learned from their choices.

The model is a hierarchical conditional logit. A buyer's utility for a listing is ``w . x``; their weights ``w`` are
drawn from a population, ``N(mean, covariance)`` (``fit_prior``); each choice among alternatives moves the belief about
them (``posterior``, ``update``, ``posterior_batch``). The belief's mean is the preference vector, its covariance the
doubt that exploration draws from (``draw``).

Newton's method alone diverges on separable histories, so steps backtrack (see ``logit``). A list that was already
relevant says little about the region a buyer shops in: that is learned from what they searched for, field by field.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import xlogy

from recommendations.engine import linalg, logit
from recommendations.engine.arrays import Reals, Rows
from recommendations.engine.choice_sets import ChoiceSets, event_weights
from recommendations.engine.logit import NewtonConfig
from recommendations.engine.parts import Each, LocalParts, Parts, first, second

__all__ = [
    "ChoiceSets",
    "NewtonConfig",
    "Prior",
    "PriorConfig",
    "Taste",
    "draw",
    "event_weights",
    "fit_prior",
    "fit_prior_in_parts",
    "pack_covariance",
    "posterior",
    "posterior_batch",
    "tastes",
    "unpack_covariance",
]

DEFAULT_NEWTON = NewtonConfig()
Report = Callable[[float], None]  # share that is done, 0 to 1


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A belief about weights: mean (n_dims,) and covariance (n_dims, n_dims), both float64.

    Raises:
        ValueError: If the shapes disagree, a number is not finite, or the covariance is not symmetric.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def __post_init__(self) -> None:
        mean = np.asarray(self.mean, dtype=np.float64)
        covariance = np.asarray(self.covariance, dtype=np.float64)
        if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
            raise ValueError(f"a mean of shape {mean.shape} does not go with a covariance of shape {covariance.shape}")
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise ValueError("mean and covariance must be finite")
        if np.abs(covariance - covariance.T).max(initial=0.0) > 1e-4 * np.abs(covariance).max(initial=0.0):
            raise ValueError("the covariance must be symmetric")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "covariance", covariance)

    @property
    def n_dims(self) -> int:
        return len(self.mean)


class Prior(Gaussian):
    """How weights are spread over the population: where a buyer starts before their first event."""


class Taste(Gaussian):
    """What we believe about one buyer's weights. Its mean is the preference vector: score = mean . x, high is good."""


def posterior(
    sets: ChoiceSets, prior: Prior, start: Taste | None = None, config: NewtonConfig = DEFAULT_NEWTON
) -> Taste:
    """Learn one buyer's taste from all their choices: exact up to the Gaussian (Laplace) approximation.

    Args:
        sets: The buyer's choices.
        prior: The population.
        start: The buyer's last known taste, to search from: the answer is the same, it is found in fewer steps.
        config: When to stop the search.

    Returns:
        The taste; all finite, covariance symmetric and positive definite. The prior's own numbers when no event
        carries weight.

    Raises:
        ValueError: If the sets, the prior and the start disagree on n_dims, or the prior's covariance is not positive
            definite.

    Source: conditional logit (McFadden 1974) under a Gaussian population (Train 2009, ch. 6 and 12), with a Laplace
    approximation (MacKay 2003, ch. 27) in place of Train's Gibbs sampling, which would take seconds per buyer.
    """
    _check_dimensions([sets], prior, start)
    if not sets.weights.any():
        return Taste(prior.mean, prior.covariance)
    first = (prior if start is None else start).mean
    modes = logit.find_modes(logit.stack([sets]), prior.mean, linalg.inverse(prior.covariance), first[None], config)
    return Taste(modes.mean[0], linalg.inverses(modes.factor)[0])


def posterior_batch(
    buyers: Sequence[ChoiceSets],
    prior: Prior,
    config: NewtonConfig = DEFAULT_NEWTON,
    start: NDArray[np.float64] | None = None,
) -> list[Taste]:
    """``posterior`` of many buyers, in their order: side by side, in batches that fit the processor's caches.

    Faster than one by one for short histories (1.7 times for one event at 128 dimensions); from twenty events on the
    arithmetic outweighs what the batch saves.

    ``start`` holds weights to search from, shape (n_buyers, n_dims), such as the means of the last known tastes; the
    answer does not depend on them. Empty input gives an empty list. Raises as ``posterior``.
    """
    _check_dimensions(buyers, prior)
    tastes = [Taste(prior.mean, prior.covariance)] * len(buyers)
    if start is None:
        start = np.tile(prior.mean, (len(buyers), 1))
    elif start.shape != (len(buyers), prior.n_dims):
        raise ValueError(f"a start of shape {start.shape} does not go with {len(buyers)} buyers")
    for rows, modes in _modes(buyers, prior, start, config):
        covariances = linalg.inverses(modes.factor)
        for row, mean, covariance in zip(rows, modes.mean, covariances, strict=True):
            tastes[row] = Taste(mean, covariance)
    return tastes


def draw(taste: Gaussian, rng: np.random.Generator, n: int = 1) -> NDArray[np.float64]:
    """Weights a buyer may well have, for Thompson sampling: shape (n, n_dims), from the Cholesky factor."""
    factor = linalg.cholesky(taste.covariance)
    return taste.mean + rng.standard_normal((n, taste.n_dims)) @ factor.T


def pack_covariance(covariance: Reals) -> bytes:
    """Lower triangle, row by row, little-endian float32: 33 kB at 128 dimensions.

    Raises:
        ValueError: If it is not a square matrix of finite numbers.
    """
    covariance = np.asarray(covariance)
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1] or not np.isfinite(covariance).all():
        raise ValueError("a covariance is a square matrix of finite numbers")
    return covariance[np.tril_indices(len(covariance))].astype("<f4").tobytes()


def unpack_covariance(content: bytes, n_dims: int) -> NDArray[np.float64]:
    """The matrix that ``pack_covariance`` stored, float64, symmetric and positive definite.

    Rounding to float32 can leave a nearly singular matrix slightly indefinite; then its diagonal is raised by the
    smallest amount that mends it.

    Raises:
        ValueError: If the content does not hold n_dims * (n_dims + 1) / 2 finite numbers.
    """
    numbers = np.frombuffer(bytes(content), dtype="<f4") if len(content) % 4 == 0 else np.zeros(0)
    if len(numbers) != n_dims * (n_dims + 1) // 2:
        raise ValueError(f"{len(content)} bytes are not the lower triangle of a {n_dims} x {n_dims} matrix")
    if not np.isfinite(numbers).all():
        raise ValueError("the stored covariance is not finite")
    lower = np.zeros((n_dims, n_dims))
    lower[np.tril_indices(n_dims)] = numbers
    covariance = lower + np.tril(lower, -1).T
    factor = linalg.cholesky(covariance)
    mended = np.einsum("ij,ij->i", factor, factor)  # the diagonal of factor @ factor.T
    covariance[np.diag_indices(n_dims)] = np.maximum(covariance.diagonal(), mended)
    return covariance


# The population


@dataclass(frozen=True)
class PriorConfig:
    """How the population is learned.

    Attributes:
        max_buyers: Learn from at most so many, drawn at random: the population is known well long before everyone is
            read.
        max_iterations: Rounds of learning at most. Each costs about two Newton steps per buyer.
        tolerance: Stop when a round changes standard deviations by less than this share, and the mean by less than
            this many of them (root mean square over all directions).
        mean_strength: Number of pretended buyers whose weights are 0: holds the mean when buyers are few.
        covariance_strength: Number of pretended buyers, per dimension, who differ equally in all directions: holds the
            covariance when buyers are few.
        default_variance: Of each weight when there are no buyers at all.
        seed: Of the sample.
        newton: When to stop each search. Coarser than for a buyer's own sake: the next round searches on.
    """

    max_buyers: int = 1000
    max_iterations: int = 30
    tolerance: float = 0.01
    mean_strength: float = 1.0
    covariance_strength: float = 0.5
    default_variance: float = 1.0
    seed: int = 0
    newton: NewtonConfig = field(default_factory=lambda: NewtonConfig(tolerance=1e-3))

    def __post_init__(self) -> None:
        if self.max_buyers < 1 or self.max_iterations < 1:
            raise ValueError("max_buyers and max_iterations must be at least 1")
        for name in ("tolerance", "mean_strength", "covariance_strength", "default_variance"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")


# How far utilities of the alternatives of one set may spread between buyers (as a variance, in logits²), from
# "nearly everybody alike" to "anything goes": the single-variance populations that EM may start from.
SPREADS = (0.05, 0.3, 1.5, 8.0, 40.0)
# One number is known well from so many buyers.
START_BUYERS = 40


def fit_prior(
    buyers: Sequence[ChoiceSets],
    n_dims: int,
    config: PriorConfig | None = None,
    start: Prior | None = None,
    report: Report = lambda share: None,
) -> Prior:
    """Learn from many buyers how tastes are spread: empirical Bayes.

    Starts from the single-variance population with the highest evidence, which is also what the covariance is shrunk
    towards while buyers are few. Deterministic. Laplace's approximation makes the spread somewhat small when buyers
    have few choices each (a third of the variance at ten choices among four), which errs on the side of the
    population; correcting the modes for skewness undoes that in simulation, but made real stated choices less
    predictable, so it is left out.

    Args:
        buyers: One ``ChoiceSets`` each. Buyers without a weighty event are ignored.
        n_dims: Of the features; needed when no buyer is left.
        config: See ``PriorConfig``.
        start: A population learned before from much the same buyers, which saves the search for a first one: its mean
            and its mean variance stand for what that would find.
        report: Called before each round with the share that is done at least, 0 to 1. It may raise to stop the fit.

    Returns:
        The prior. Mean 0 and ``default_variance`` in every direction without buyers, or when no set offers a
        difference to learn from.

    Raises:
        ValueError: If a buyer's features do not have n_dims.

    Source: empirical Bayes for random coefficients (Train 2009, ch. 12) with a Laplace E-step. EM's own M-step needs
    a hundred rounds where single buyers say little, so the same fixed point is approached faster: the mean by a Newton
    step on the evidence (ECME; Liu and Rubin 1994), the covariance by the matrix form of MacKay's rule (1992). A
    normal-inverse-Wishart hyperprior holds both (Gelman et al. 2013, sec. 3.6).
    """
    return fit_prior_in_parts(LocalParts([buyers]), n_dims, config, start, report)


def fit_prior_in_parts(
    buyers: Parts[Sequence[ChoiceSets]],
    n_dims: int,
    config: PriorConfig | None = None,
    start: Prior | None = None,
    report: Report = lambda share: None,
) -> Prior:
    """``fit_prior`` of buyers in partitions, whose choices stay where they are: each round adds up what they say.

    With one partition it is ``fit_prior``. How buyers are divided moves the result by rounding alone, but for the
    sample when there are more than ``max_buyers``, and for the few that a start is looked for with.
    """
    config = config or PriorConfig()
    if n_dims < 1:
        raise ValueError(f"n_dims must be at least 1, not {n_dims}")
    prior = Prior(np.zeros(n_dims), np.eye(n_dims) * config.default_variance)
    _check_dimensions([], prior, start)
    chosen = _sample(buyers.map(_informative, prior).collect(), config)
    sample = buyers.map(_taken, Each(chosen))
    contrast = _mean_square_difference(sample)
    if contrast < 1e-9:  # nothing to choose between
        return prior
    n_buyers = sum(map(len, chosen))
    if start is None:
        places = _split(np.arange(0, n_buyers, -(-n_buyers // START_BUYERS)), [len(part) for part in chosen])
        few = [sets for part in sample.map(_taken, Each(places)).collect() for sets in part]
        start = _Population(LocalParts([few]), len(few), np.zeros(n_dims), config).best_single_variance(contrast)
    else:
        start = Prior(start.mean, np.eye(n_dims) * start.covariance.diagonal().mean())
    return _Population(sample, n_buyers, start.mean, config).fit(start, report)


class _Population:
    """One fit: the sample, where each buyer's mode was last found, and the rounds."""

    def __init__(
        self, sample: Parts[list[ChoiceSets]], n_buyers: int, guess: NDArray[np.float64], config: PriorConfig
    ) -> None:
        self.sample, self.n_buyers, self.n_dims, self.config = sample, n_buyers, len(guess), config
        self.modes = sample.map(_first_modes, guess)

    def fit(self, start: Prior, report: Report) -> Prior:
        prior = start
        for number in range(self.config.max_iterations):
            report(number / self.config.max_iterations)
            moments = self._moments(prior)
            before, prior = prior, Prior(self._mean(prior, moments), self._covariance(prior, moments, start.covariance))
            if _change(before, prior) < self.config.tolerance:
                break
        return prior

    def best_single_variance(self, contrast: float) -> Prior:
        """Of the populations with one variance for all directions, the one that explains the choices best."""
        best, highest = Prior(np.zeros(self.n_dims), np.eye(self.n_dims)), -np.inf
        for spread in SPREADS:
            prior = Prior(best.mean, np.eye(self.n_dims) * spread / contrast)
            for _ in range(2):  # the mean of the last spread is nearly right
                prior = Prior(self._mean(prior, self._moments(prior)), prior.covariance)
            evidence = self._moments(prior).evidence
            if evidence < highest:
                break
            best, highest = prior, evidence
        return best

    def _moments(self, prior: Prior) -> _Moments:
        """E-step: everybody's posterior under this prior, summed up without keeping the covariances."""
        found = self.sample.map(_modes_and_moments, self.modes, prior, self.config.newton)
        self.modes = found.map(first)
        moments: _Moments = found.map(second).total(_Moments.plus)
        return moments

    def _mean(self, prior: Prior, moments: _Moments) -> NDArray[np.float64]:
        """Newton on the evidence: ``sum_b (I - C_b P) step = sum_b (m_b - mean)``, plus the pretended buyers at 0."""
        n = self.n_buyers + self.config.mean_strength
        unexplained = n * np.eye(self.n_dims) - moments.covariance @ linalg.inverse(prior.covariance)
        pull = moments.centre - self.config.mean_strength * prior.mean
        return prior.mean + np.linalg.solve(unexplained, pull)

    def _covariance(self, prior: Prior, moments: _Moments, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """The covariance under which what buyers deviate is what their choices can tell.

        In units of the old one (``L L'``): M is the mean of ``(m_b - mean)(m_b - mean)'``, G that of
        ``I - C_b``, the certainty gained. EM stands still when M = G, and moves by their difference; where G is small
        that is hardly at all. MacKay's rule for one dimension multiplies the variance by M / G instead. Its matrix
        form multiplies ``L`` by the symmetric R that solves ``R G R = M``, which keeps the result positive definite.
        A pretended buyer is known exactly: it adds the target to M and 1 to G.
        """
        n_pretended = self.config.covariance_strength * self.n_dims
        root = linalg.cholesky(prior.covariance)
        shrink = np.linalg.inv(root) / np.sqrt(self.n_buyers + n_pretended)
        deviation = shrink @ (moments.spread + n_pretended * target) @ shrink.T
        certainty = np.eye(self.n_dims) - shrink @ moments.covariance @ shrink.T
        half = linalg.power(certainty, 0.5)
        inverse_half = linalg.power(certainty, -0.5)
        root = root @ inverse_half @ linalg.power(half @ deviation @ half, 0.5) @ inverse_half
        return root @ root.T


def _change(before: Prior, after: Prior) -> float:
    """The larger of two changes, per direction: of the standard deviations as a share, of the mean in their units."""
    to_units = np.linalg.inv(linalg.cholesky(before.covariance))
    variances = np.linalg.eigvalsh(to_units @ after.covariance @ to_units.T)
    deviations = 0.5 * np.log(np.maximum(variances, np.finfo(float).tiny))
    moved = to_units @ (after.mean - before.mean)
    return float(np.sqrt(max(np.mean(deviations**2), np.mean(moved**2))))


@dataclass(frozen=True, eq=False)
class _Moments:
    """Sums over buyers: of mode - prior mean, of its outer product, of the covariances, of the log evidence."""

    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    covariance: NDArray[np.float64]
    evidence: float

    def plus(self, other: _Moments) -> _Moments:
        return _Moments(
            self.centre + other.centre,
            self.spread + other.spread,
            self.covariance + other.covariance,
            self.evidence + other.evidence,
        )


# What is worked out of one partition. These functions may run in other processes, which find them by name.


def _informative(buyers: Sequence[ChoiceSets], prior: Prior) -> NDArray[np.intp]:
    """Positions of the buyers with a weighty event; raises for features of another width."""
    _check_dimensions(buyers, prior)
    return np.flatnonzero([sets.weights.any() for sets in buyers])


def _taken(buyers: Sequence[ChoiceSets], positions: NDArray[np.intp]) -> list[ChoiceSets]:
    return [buyers[position] for position in positions.tolist()]


def _first_modes(sample: list[ChoiceSets], guess: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.tile(guess, (len(sample), 1))


def _modes_and_moments(
    sample: list[ChoiceSets], modes: NDArray[np.float64], prior: Prior, config: NewtonConfig
) -> tuple[NDArray[np.float64], _Moments]:
    """Each buyer's mode under a prior, searched for from the last one; and the sums over them."""
    modes, n_dims = modes.copy(), prior.n_dims
    centre, spread, covariance = np.zeros(n_dims), np.zeros((n_dims,) * 2), np.zeros((n_dims,) * 2)
    evidence = 0.0
    for rows, found in _modes(sample, prior, modes, config):
        modes[rows] = found.mean
        from_prior = found.mean - prior.mean
        centre += from_prior.sum(axis=0)
        spread += from_prior.T @ from_prior
        covariance += linalg.inverses(found.factor).sum(axis=0)
        evidence += float(
            _evidence(prior, found.mean, linalg.log_determinants(found.factor), found.log_likelihood).sum()
        )
    return modes, _Moments(centre, spread, covariance, evidence)


def _square_differences(sample: Sequence[ChoiceSets]) -> NDArray[np.float64]:
    """Sum of the squared lengths of the differences between alternatives and the chosen one, and their number."""
    total, n = 0.0, 0
    for sets in sample:
        differences = sets.differences()
        total += float(np.einsum("ead,ead->", differences, differences, dtype=np.float64))
        n += int(sets.available.sum()) - len(sets)
    return np.array([total, n])


# What is worked out of all of them


def _sample(informative: Sequence[NDArray[np.intp]], config: PriorConfig) -> Sequence[NDArray[np.intp]]:
    """Of the positions in each partition, at most ``max_buyers`` altogether."""
    counts = [len(positions) for positions in informative]
    if sum(counts) <= config.max_buyers:
        return informative
    drawn = np.random.default_rng(config.seed).choice(sum(counts), config.max_buyers, replace=False)
    places = _split(np.sort(drawn), counts)
    return [positions[at] for positions, at in zip(informative, places, strict=True)]


def _split(places: NDArray[np.intp], counts: list[int]) -> list[NDArray[np.intp]]:
    """Sorted places in the whole as places in each partition."""
    ends = np.cumsum(counts)
    parts = np.split(places, np.searchsorted(places, ends[:-1]))
    return [part - (end - count) for part, end, count in zip(parts, ends, counts, strict=True)]


def _mean_square_difference(sample: Parts[list[ChoiceSets]]) -> float:
    """Mean squared length of the difference between an alternative and the chosen one; 0 when all are alike."""
    total, n = sample.map(_square_differences).total(operator.add)
    return float(total / n) if n else 0.0


# Several tastes in one household


@dataclass(frozen=True)
class MixtureConfig:
    """When a buyer counts as several.

    Attributes:
        margin: Evidence each further taste has to bring, in nats; 3 is "strong" (Kass and Raftery 1995).
        min_weight: Event weight each taste needs at least to be distinguished from chance.
        max_rounds: Rounds of EM at most, per number of tastes.
    """

    margin: float = 3.0
    min_weight: float = 5.0
    max_rounds: int = 20

    def __post_init__(self) -> None:
        if not (self.margin >= 0 and self.min_weight > 0 and self.max_rounds >= 1):
            raise ValueError("margin must not be negative, min_weight and max_rounds must be positive")


def tastes(
    sets: ChoiceSets,
    prior: Prior,
    max_tastes: int = 3,
    config: MixtureConfig | None = None,
    newton: NewtonConfig = DEFAULT_NEWTON,
) -> list[tuple[float, Taste]]:
    """One taste, or up to ``max_tastes`` where a buyer's events are clearly explained better by several.

    Someone looks for a van and for a roadster in the same weeks; one taste would offer them the average. Events are
    divided among tastes softly, each a posterior of its own under the same prior. One more taste is believed only
    when the evidence grows by ``config.margin``; when in doubt, one.

    Args:
        sets: The buyer's choices.
        prior: The population.
        max_tastes: At most so many, >= 1.
        config: When several are believed.
        newton: When to stop each search.

    Returns:
        Share of the event weight and taste, largest share first; the shares sum to 1. A single ``(1.0, prior)`` when no
        event carries weight.

    Raises:
        ValueError: As ``posterior``; also when max_tastes is below 1.

    Source: a latent-class version of the mixed logit (Train 2009, ch. 14) fitted by variational EM with a Laplace
    step; the bound on the evidence (Bishop 2006, sec. 10.1) less half the logarithm of the weight for each free share
    (BIC; Schwarz 1978) decides on the number.
    """
    if max_tastes < 1:
        raise ValueError(f"max_tastes must be at least 1, not {max_tastes}")
    _check_dimensions([sets], prior)
    config = config or MixtureConfig()
    if not sets.weights.any():
        return [(1.0, Taste(prior.mean, prior.covariance))]
    mixture = _InterestMixture(logit.stack([sets]), prior, config, newton)
    best = mixture.divide(1)
    for n_tastes in range(2, max_tastes + 1):
        if mixture.total < n_tastes * config.min_weight:
            break
        division = mixture.divide(n_tastes)
        too_thin = min(division.shares) * mixture.total < config.min_weight
        if too_thin or division.evidence < best.evidence + config.margin:
            break
        best = division
    covariances = linalg.inverses(best.factors)
    order = np.argsort(-best.shares, kind="stable")
    return [(float(best.shares[row]), Taste(best.means[row], covariances[row])) for row in order]


@dataclass(frozen=True, eq=False)
class _Division:
    """A household's events divided among tastes: (n_tastes,), (n_tastes, n_dims), (n_tastes, n_dims, n_dims), nats."""

    shares: NDArray[np.float64]
    means: NDArray[np.float64]
    factors: NDArray[np.float64]
    evidence: float


class _InterestMixture:
    """One buyer's events and the ways to divide them."""

    def __init__(self, batch: logit.Batch, prior: Prior, config: MixtureConfig, newton: NewtonConfig) -> None:
        self.batch, self.prior, self.config, self.newton = batch, prior, config, newton
        # While events still move between tastes, exact modes would be wasted.
        self.coarse = replace(newton, tolerance=max(newton.tolerance, 1e-3))
        self.weights = batch.weights[0]
        self.total = float(self.weights.sum())
        self.prior_precision = linalg.inverse(prior.covariance)

    def divide(self, n_tastes: int) -> _Division:
        belonging = self._first_grouping(n_tastes)
        means = np.tile(self.prior.mean, (n_tastes, 1))
        division = self._learn(belonging, means)
        for _ in range(self.config.max_rounds if n_tastes > 1 else 0):
            before = division.evidence
            belonging = self._belonging(division)
            division = self._learn(belonging, division.means)
            if division.evidence < before + 0.05:  # nats; far below the margin that decides
                break
        return division

    def _first_grouping(self, n_tastes: int) -> NDArray[np.float64]:
        """Events grouped by what spoke for the chosen car, in units of the prior; shape (n_tastes, n_events)."""
        n_events = len(self.weights)
        if n_tastes == 1:
            return np.ones((1, n_events))
        offered = np.isfinite(self.batch.mask[0])[..., None]
        preferred = -self.batch.differences[0].sum(axis=1, dtype=np.float64) / offered.sum(axis=1)
        directions = preferred @ linalg.cholesky(self.prior.covariance)
        groups = _group(directions, n_tastes)
        # Not quite certain, so that the first round can still move an event.
        belonging = np.full((n_tastes, n_events), 0.1 / n_tastes)
        belonging[groups, np.arange(n_events)] += 0.9
        return belonging

    def _learn(self, belonging: NDArray[np.float64], start: NDArray[np.float64]) -> _Division:
        """M-step: every taste from its part of each event; all of them side by side over the same features."""
        n_tastes = len(belonging)
        weights = belonging * self.weights
        batch = logit.Batch(
            np.broadcast_to(self.batch.differences[0], (n_tastes, *self.batch.differences.shape[1:])),
            np.broadcast_to(self.batch.mask[0], (n_tastes, *self.batch.mask.shape[1:])),
            weights,
        )
        newton = self.coarse if n_tastes > 1 else self.newton
        modes = logit.find_modes(batch, self.prior.mean, self.prior_precision, start, newton)
        shares = weights.sum(axis=1) / self.total
        evidence = _evidence(self.prior, modes.mean, linalg.log_determinants(modes.factor), modes.log_likelihood).sum()
        evidence += (xlogy(belonging, shares[:, None]) - xlogy(belonging, belonging)).sum()
        evidence -= 0.5 * (n_tastes - 1) * np.log(max(self.total, 1.0))
        return _Division(shares, modes.mean, modes.factor, float(evidence))

    def _belonging(self, division: _Division) -> NDArray[np.float64]:
        """E-step: how likely each event came from each taste."""
        n_tastes = len(division.shares)
        log_chosen = np.concatenate(
            [logit.choice_log_probabilities(self.batch, division.means[[row]])[0] for row in range(n_tastes)]
        )
        log_odds = np.log(np.maximum(division.shares, 1e-12))[:, None] + self.weights * log_chosen
        odds = np.exp(log_odds - log_odds.max(axis=0))
        belonging: NDArray[np.float64] = odds / odds.sum(axis=0)
        return belonging


def _group(points: NDArray[np.float64], n_groups: int) -> NDArray[np.intp]:
    """k-means from centres far apart, so that it needs no luck: group of each point. A group may stay empty."""
    centres = points[[cdist(points, points.mean(axis=0)[None]).argmax()]]
    while len(centres) < n_groups:
        centres = np.vstack([centres, points[cdist(points, centres).min(axis=1).argmax()]])
    groups: Rows = cdist(points, centres).argmin(axis=1)
    for _ in range(10):
        for group in np.unique(groups):
            centres[group] = points[groups == group].mean(axis=0)
        groups = cdist(points, centres).argmin(axis=1)
    return groups


# Shared arithmetic


def _modes(
    buyers: Sequence[ChoiceSets], prior: Prior, start: NDArray[np.float64], config: NewtonConfig
) -> Iterator[tuple[NDArray[np.intp], logit.Modes]]:
    """Modes batch by batch, with the positions of the buyers in it; buyers without a weighty event are left out."""
    informative = [row for row, sets in enumerate(buyers) if sets.weights.any()]
    precision = linalg.inverse(prior.covariance)
    for positions, batch in logit.batches([buyers[row] for row in informative]):
        rows = np.array(informative, dtype=np.intp)[positions]
        yield rows, logit.find_modes(batch, prior.mean, precision, start[rows], config)


def _evidence(
    prior: Prior, mean: NDArray[np.float64], certainty: NDArray[np.float64], log_likelihood: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log evidence of several buyers: fit, minus distance from the prior, minus what was gained in certainty.

    ``certainty`` is the log determinant of each posterior's precision, shape (n_buyers,).
    """
    from_prior = mean - prior.mean
    distance = ((from_prior @ linalg.inverse(prior.covariance)) * from_prior).sum(axis=1)
    doubt = linalg.log_determinants(linalg.cholesky(prior.covariance)[None])
    evidence: NDArray[np.float64] = log_likelihood - 0.5 * (distance + doubt + certainty)
    return evidence


def _check_dimensions(buyers: Sequence[ChoiceSets], prior: Gaussian, start: Gaussian | None = None) -> None:
    if start is not None and start.n_dims != prior.n_dims:
        raise ValueError(f"a start of {start.n_dims} dimensions does not go with a prior of {prior.n_dims}")
    for row, sets in enumerate(buyers):
        if sets.n_dims != prior.n_dims:
            raise ValueError(f"features of buyer {row} have {sets.n_dims} dimensions, the prior has {prior.n_dims}")
