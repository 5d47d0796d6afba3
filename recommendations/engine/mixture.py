"""Whether one buyer has one taste or several, and which choice belongs to which: a mixture of tastes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import xlogy

from recommendations.engine import linalg, logit
from recommendations.engine.arrays import Rows
from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.logit import NewtonConfig
from recommendations.engine.taste import DEFAULT_NEWTON, Prior, Taste, check_dimensions, log_evidences


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


def tastes(sets: ChoiceSets, prior: Prior, max_tastes: int = 3) -> list[tuple[float, Taste]]:
    """Return one interest, or up to ``max_tastes`` where several explain a buyer's events clearly better.

    A buyer who looks for a van and for a roadster would be offered their average by a single preference. Events are
    assigned to interests softly, each a posterior of its own under the same prior. A further interest is used only if
    the evidence grows by ``MixtureConfig.margin``.

    Args:
        sets: The buyer's choices.
        prior: The population.
        max_tastes: Largest number of interests, >= 1.

    Returns:
        Share of the event weight and preference of each interest, largest share first; the shares sum to 1. A single
        ``(1.0, prior)`` when no event carries weight.

    Raises:
        ValueError: As ``posterior``; also when max_tastes is below 1.

    Source: a latent-class version of the mixed logit (Train 2009, ch. 14) fitted by variational EM with a Laplace step;
    the bound on the evidence (Bishop 2006, sec. 10.1) less half the logarithm of the weight for each free share (BIC;
    Schwarz 1978) decides on the number.
    """
    if max_tastes < 1:
        raise ValueError(f"max_tastes must be at least 1, not {max_tastes}")
    check_dimensions([sets], prior)
    config = MixtureConfig()
    if not sets.weights.any():
        return [(1.0, Taste(prior.mean, prior.covariance))]
    mixture = _InterestMixture(logit.stack([sets]), prior, config, DEFAULT_NEWTON)
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
    """A buyer's events assigned to interests: (n_tastes,), (n_tastes, n_dims), (n_tastes, n_dims, n_dims), nats."""

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
        self.prior_precision = prior.precision

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
        evidence = log_evidences(
            self.prior, modes.mean, linalg.log_determinants(modes.factor), modes.log_likelihood
        ).sum()
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
