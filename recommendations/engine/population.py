"""The distribution of preferences over many buyers: the prior, fitted by empirical Bayes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recommendations.engine import linalg
from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.logit import NewtonConfig
from recommendations.engine.parts import Each, LocalParts, Parts, first, second
from recommendations.engine.taste import Prior, check_dimensions, log_evidences, modes_of_many

Report = Callable[[float], None]  # share that is done, 0 to 1


@dataclass(frozen=True)
class PriorConfig:
    """Settings of the fit of the prior.

    Attributes:
        max_buyers: The most buyers to fit to, drawn at random: a sample of this size determines the distribution well.
        max_iterations: The most rounds of the fit. Each round takes about two Newton steps per buyer.
        tolerance: The fit stops after a round that changes standard deviations by less than this share, and the mean by
            less than this many standard deviations (root mean square over all directions).
        mean_strength: Number of pseudo-buyers whose weights are 0; they stabilise the mean if there are few buyers.
        covariance_strength: Number of pseudo-buyers per dimension that differ equally in all directions; they stabilise
            the covariance if there are few buyers.
        default_variance: Variance of each weight if there are no buyers.
        seed: Seed of the random sample.
        newton: When each buyer's search stops. It is coarser than for the buyer's own preference: the next round
            continues the search.
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
# "nearly everybody alike" to "anything goes", in equal steps of the logarithm: the single-variance populations between
# which the one that EM starts from is looked for.
SPREADS = (0.05, 0.25, 1.25, 6.25, 31.25, 156.25)
# The variance from which EM starts, as a multiple of the one with the highest evidence: Laplace's approximation
# underestimates the latter (see ``fit_prior``), and too small a variance costs lists more than too large a one.
WIDER = 2.0
# A few buyers whose choices any strong taste explains would be explained by any spread.
WIDEST = 40.0
# One number is known well from so many buyers.
START_BUYERS = 40


def fit_prior(buyers: Sequence[ChoiceSets], n_dims: int, config: PriorConfig | None = None) -> Prior:
    """Fit the distribution of preferences to many buyers by empirical Bayes.

    The fit starts from a distribution with one variance in all directions, ``WIDER`` than the one with the highest
    evidence; with few buyers, the covariance is also shrunk towards it. The result is deterministic. Laplace's
    approximation underestimates the spread if buyers have few choices each (by a third of the variance at ten choices
    among four), which gives the population more influence. Correcting the modes for skewness removes this bias in
    simulation, but real stated choices were predicted less well, so the correction is left out.

    Args:
        buyers: One ``ChoiceSets`` each. Buyers without an event of positive weight are ignored.
        n_dims: Width of the features; needed if no buyer is left.
        config: See ``PriorConfig``.

    Returns:
        The prior: mean 0 and ``default_variance`` in every direction if there are no buyers, or if the alternatives of
            every set are equal.

    Raises:
        ValueError: If a buyer's features do not have n_dims.

    Source: empirical Bayes for random coefficients (Train 2009, ch. 12) with a Laplace E-step. EM's own M-step needs a
    hundred rounds if single buyers give little information, so the same fixed point is reached faster: the mean by a
    Newton step on the evidence (ECME; Liu and Rubin 1994), the covariance by the matrix form of MacKay's rule (1992). A
    normal-inverse-Wishart hyperprior stabilises both (Gelman et al. 2013, sec. 3.6).
    """
    return fit_prior_in_parts(LocalParts([buyers]), n_dims, config)


def fit_prior_in_parts(
    buyers: Parts[Sequence[ChoiceSets]],
    n_dims: int,
    config: PriorConfig | None = None,
    start: Prior | None = None,
    report: Report = lambda share: None,
) -> Prior:
    """Run ``fit_prior`` on partitions of buyers; the choices are not moved, and each round adds up sums over the
    partitions.

    With one partition the result equals that of ``fit_prior``. With several it differs by rounding only, except for the
    sample if there are more than ``max_buyers``, and for the few buyers from which the start is estimated.

    Args:
        start: A prior fitted before to mostly the same buyers. Its mean and its mean variance replace the search for a
            start.
        report: Called before each round with the share that is done, 0 to 1. It may raise to stop the fit.
    """
    config = config or PriorConfig()
    if n_dims < 1:
        raise ValueError(f"n_dims must be at least 1, not {n_dims}")
    prior = Prior(np.zeros(n_dims), np.eye(n_dims) * config.default_variance)
    check_dimensions([], prior, start)
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
    """The state of one fit: the sample of buyers and the last mode of each."""

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
        """Return the distribution with one variance in all directions from which the fit starts.

        Its variance is ``WIDER`` times the one with the highest evidence, which is the maximum of a parabola through
        the best of ``SPREADS`` and its neighbours. The best of ``SPREADS`` itself changes by the factor between two of
        them if a little more evidence favours the next, and the spread learned from some hundred buyers with it.
        """
        prior = Prior(np.zeros(self.n_dims), np.eye(self.n_dims))
        evidences: list[float] = []
        for spread in SPREADS:
            prior = self._of_single_variance(prior, spread / contrast)
            evidences.append(self._moments(prior).evidence)
            if evidences[-1] < max(evidences):
                break
        spread = min(WIDER * highest_between(SPREADS, evidences), WIDEST)
        return self._of_single_variance(prior, spread / contrast)

    def _of_single_variance(self, near: Prior, variance: float) -> Prior:
        """Return the distribution with this variance; the search of its mean starts from that of a similar one."""
        prior = Prior(near.mean, np.eye(self.n_dims) * variance)
        for _ in range(2):
            prior = Prior(self._mean(prior, self._moments(prior)), prior.covariance)
        return prior

    def _moments(self, prior: Prior) -> _Moments:
        """The E-step: sums over the buyers' posteriors under this prior, without keeping each covariance."""
        found = self.sample.map(_modes_and_moments, self.modes, self.sample.share(prior), self.config.newton)
        self.modes = found.map(first)
        moments: _Moments = found.map(second).total(_Moments.plus)
        return moments

    def _mean(self, prior: Prior, moments: _Moments) -> NDArray[np.float64]:
        """A Newton step on the evidence: ``sum_b (I - C_b P) step = sum_b (m_b - mean)``, with the pseudo-buyers at
        0."""
        n = self.n_buyers + self.config.mean_strength
        unexplained = n * np.eye(self.n_dims) - moments.covariance @ prior.precision
        pull = moments.centre - self.config.mean_strength * prior.mean
        return prior.mean + np.linalg.solve(unexplained, pull)

    def _covariance(self, prior: Prior, moments: _Moments, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """One step of the covariance towards its fixed point.

        In units of the old covariance (``L L'``), M is the mean of ``(m_b - mean)(m_b - mean)'`` and G the mean of ``I
        - C_b``, the gain in certainty. EM has its fixed point at M = G and moves by their difference, which is small
        where G is small. MacKay's rule for one dimension multiplies the variance by M / G instead. Its matrix form
        multiplies ``L`` by the symmetric R that solves ``R G R = M``, so the result stays positive definite. The
        weights of a pseudo-buyer are known exactly: it adds the target to M and 1 to G.
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
    check_dimensions(buyers, prior)
    return np.flatnonzero([sets.weights.any() for sets in buyers])


def _taken(buyers: Sequence[ChoiceSets], positions: NDArray[np.intp]) -> list[ChoiceSets]:
    return [buyers[position] for position in positions.tolist()]


def _first_modes(sample: list[ChoiceSets], guess: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.tile(guess, (len(sample), 1))


def _modes_and_moments(
    sample: list[ChoiceSets], modes: NDArray[np.float64], prior: Prior, config: NewtonConfig
) -> tuple[NDArray[np.float64], _Moments]:
    """The mode of each buyer under a prior, searched from the last mode, and the sums over the buyers."""
    modes, n_dims = modes.copy(), prior.n_dims
    centre, spread, covariance = np.zeros(n_dims), np.zeros((n_dims,) * 2), np.zeros((n_dims,) * 2)
    evidence = 0.0
    for rows, found in modes_of_many(sample, prior, modes, config):
        modes[rows] = found.mean
        from_prior = found.mean - prior.mean
        centre += from_prior.sum(axis=0)
        spread += from_prior.T @ from_prior
        covariance += linalg.inverses(found.factor).sum(axis=0)
        evidence += float(
            log_evidences(prior, found.mean, linalg.log_determinants(found.factor), found.log_likelihood).sum()
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


def highest_between(spreads: Sequence[float], heights: Sequence[float]) -> float:
    """Where a parabola through the highest point and its neighbours is highest, over the logarithm of the spreads.

    The spreads are in equal steps of the logarithm, positive, and at least as many as the heights. A highest point at
    either end is the answer itself.
    """
    at = int(np.argmax(heights))
    if at in (0, len(heights) - 1):
        return spreads[at]
    before, top, after = (heights[at + step] for step in (-1, 0, 1))
    steps = 0.5 * (before - after) / min(before - 2 * top + after, -np.finfo(float).tiny)
    return float(spreads[at] * (spreads[at + 1] / spreads[at]) ** steps)


def _sample(informative: Sequence[NDArray[np.intp]], config: PriorConfig) -> Sequence[NDArray[np.intp]]:
    """Draw at most ``max_buyers`` in total from the positions in each partition."""
    counts = [len(positions) for positions in informative]
    if sum(counts) <= config.max_buyers:
        return informative
    drawn = np.random.default_rng(config.seed).choice(sum(counts), config.max_buyers, replace=False)
    places = _split(np.sort(drawn), counts)
    return [positions[at] for positions, at in zip(informative, places, strict=True)]


def _split(places: NDArray[np.intp], counts: list[int]) -> list[NDArray[np.intp]]:
    """Convert sorted positions in the whole to positions in each partition."""
    ends = np.cumsum(counts)
    parts = np.split(places, np.searchsorted(places, ends[:-1]))
    return [part - (end - count) for part, end, count in zip(parts, ends, counts, strict=True)]


def _mean_square_difference(sample: Parts[list[ChoiceSets]]) -> float:
    """Mean squared length of the difference between an alternative and the chosen one; 0 if all are equal."""
    total, n = sample.map(_square_differences).total(operator.add)
    return float(total / n) if n else 0.0
