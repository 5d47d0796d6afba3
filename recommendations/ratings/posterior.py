"""Estimates from the stored draws: of a new person with a few ratings, of pairs, and the similarity of items.

A draw fixes all parameters of the items. The unknowns of one person are their linear weight and factors z = (w, v), and
their ratings are linear in them (features.py):

    rating_i - w0 - b_i - c - s . q_i  =  w + v . (s + q_i) + noise

with s and c the vector and bias of the items they rated. Under the draw's prior N(mu, diag(1 / lambda)) and its noise
precision alpha the posterior of z is therefore Gaussian, with

    precision  A = diag(lambda) + alpha F'F        mean  m = A^-1 (lambda mu + alpha F'y)

where the rows of F are (1, s + q_i) and y is the left side. The Gibbs sampler draws from the same conditional, so a new
person gets the same estimates as one of the training. Averaging the means over draws instead of sampling from them
(Rao-Blackwell) loses no accuracy and is deterministic.

Rows are positions among the items; inside this module all values are in standard units (gibbs.Standard).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from recommendations.engine.arrays import Array, Integers, Reals
from recommendations.ratings.features import partner_weight
from recommendations.ratings.gibbs import ITEM_IDS, PERSON_IDS, Draw

RATINGS_AT_ONCE = 256  # of one person; bounds the memory of a fold-in


@dataclass(frozen=True, eq=False)
class KeptDraws:
    """The item side of a chain, float32 where it grows with the items, which have one contiguous row each.

    The last item row is for any item without ratings: the mean of the prior.

    Attributes:
        intercepts, noise_precisions: w0 and alpha, shape (n_draws,).
        prior_means, prior_precisions: Of a person's z, shape (n_draws, 1 + n_factors).
        item_biases: b, shape (n_items + 1, n_draws).
        item_vectors: q, shape (n_items + 1, n_draws, n_factors).
        met_linear: w of the item as a partner, shape (n_items, n_draws).
        met_factors: v of the same, shape (n_items, n_draws, n_factors).
        people_covariances: C, of the vectors p over all people, shape (n_draws, n_factors, n_factors).
        item_spreads: sqrt(q' C q), how much people differ about an item, shape (n_items, n_draws).
    """

    intercepts: Reals
    noise_precisions: Reals
    prior_means: Reals
    prior_precisions: Reals
    item_biases: Reals
    item_vectors: Reals
    met_linear: Reals
    met_factors: Reals
    people_covariances: Reals
    item_spreads: Reals

    @property
    def n_items(self) -> int:
        return len(self.met_linear)

    @property
    def n_draws(self) -> int:
        return len(self.intercepts)

    @property
    def noise_std(self) -> float:
        """How far ratings scatter around what the model knows, on average over draws."""
        return float(np.sqrt((1.0 / self.noise_precisions).mean()))

    def to_arrays(self) -> dict[str, Array]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> KeptDraws:
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})


class DrawKeeper:
    """Stores the item side of a chain's draws, every ``stride``-th after ``burn_in``."""

    def __init__(self, n_items: int, *, n_factors: int, n_draws: int, burn_in: int, n_kept: int) -> None:
        self.burn_in = burn_in
        self.stride = -(-(n_draws - burn_in) // n_kept)
        n_slots = -(-(n_draws - burn_in) // self.stride)
        self.numbers: list[int] = []
        self._small: list[dict[str, Array]] = []
        self._item_biases = np.empty((n_items + 1, n_slots), np.float32)
        self._item_vectors = np.empty((n_items + 1, n_slots, n_factors), np.float32)
        self._met_linear = np.empty((n_items, n_slots), np.float32)
        self._met_factors = np.empty((n_items, n_slots, n_factors), np.float32)
        self._item_spreads = np.empty((n_items, n_slots), np.float32)

    def take(self, number: int, draw: Draw) -> None:
        """Store a draw if it is one of those to keep; numbers start at 1 and come in order."""
        if number <= self.burn_in or (number - self.burn_in - 1) % self.stride:
            return
        slot, prior, unseen = len(self.numbers), draw.prior(PERSON_IDS), draw.prior(ITEM_IDS)
        biases, vectors = draw.items()
        covariance = np.atleast_2d(np.cov(draw.people()[1], rowvar=False, bias=True))
        self._item_biases[:-1, slot], self._item_vectors[:-1, slot] = biases, vectors
        self._item_biases[-1, slot], self._item_vectors[-1, slot] = unseen.mean[0], unseen.mean[1:]
        self._met_linear[:, slot], self._met_factors[:, slot] = draw.items_met()
        self._item_spreads[:, slot] = np.sqrt(np.einsum("ik,kl,il->i", vectors, covariance, vectors, optimize=True))
        self._small.append(
            {
                "intercepts": np.array(draw.intercept),
                "noise_precisions": np.array(draw.noise_precision),
                "prior_means": prior.mean,
                "prior_precisions": prior.precision,
                "people_covariances": covariance,
            }
        )
        self.numbers.append(number)

    def kept(self, up_to: int) -> KeptDraws:
        """Return the draws stored until the chain was ``up_to`` long, at least one."""
        n = max(1, sum(number <= up_to for number in self.numbers))
        return KeptDraws(
            **{name: np.stack([small[name] for small in self._small[:n]]) for name in self._small[0]},
            item_biases=np.ascontiguousarray(self._item_biases[:, :n]),
            item_vectors=np.ascontiguousarray(self._item_vectors[:, :n]),
            met_linear=np.ascontiguousarray(self._met_linear[:, :n]),
            met_factors=np.ascontiguousarray(self._met_factors[:, :n]),
            item_spreads=np.ascontiguousarray(self._item_spreads[:, :n]),
        )


@dataclass(frozen=True, eq=False)
class Belief:
    """The posterior of one person's weights under each draw.

    Attributes:
        means: m, shape (n_draws, 1 + n_factors).
        precisions: A, shape (n_draws, 1 + n_factors, 1 + n_factors).
        met_vectors: s, shape (n_draws, n_factors); zero when the person rated nothing.
        met_biases: c, shape (n_draws,).
    """

    means: Reals
    precisions: Reals
    met_vectors: Reals
    met_biases: Reals


def fold_in(draws: KeptDraws, item_rows: Integers, ratings: Reals) -> Belief:
    """Compute the posterior of one person's weights, for all draws together.

    Args:
        draws: Of the items.
        item_rows: The rated items, each once, below n_items, shape (n_ratings,). Without any, the result is the prior.
        ratings: In standard units, shape (n_ratings,).
    """
    met_vectors, met_biases = _met(draws, item_rows)
    n_weights = draws.prior_means.shape[1]
    precisions = np.eye(n_weights) * draws.prior_precisions[:, None, :]
    pull = draws.prior_precisions * draws.prior_means
    for start in range(0, len(item_rows), RATINGS_AT_ONCE):
        part = slice(start, start + RATINGS_AT_ONCE)
        rows, stars = item_rows[part], ratings[part]
        design = _design(draws, met_vectors, rows)
        weighted = draws.noise_precisions[:, None, None] * design.swapaxes(1, 2)
        precisions += weighted @ design
        pull += (weighted @ (stars - _known(draws, met_vectors, met_biases, rows))[:, :, None])[:, :, 0]
    means = np.linalg.solve(precisions, pull[:, :, None])[:, :, 0]
    return Belief(means, precisions, met_vectors, met_biases)


def _known(draws: KeptDraws, met_vectors: Reals, met_biases: Reals, item_rows: Integers) -> Reals:
    """Return w0 + b_i + c + s . q_i: a rating without its person's own weights, shape (n_draws, n_rows)."""
    products = np.einsum("idk,dk->di", draws.item_vectors[item_rows], met_vectors)
    known: Reals = (draws.intercepts + met_biases)[:, None] + draws.item_biases[item_rows].T + products
    return known


def _met(draws: KeptDraws, item_rows: Integers) -> tuple[Reals, Reals]:
    """Return (s, c): shapes (n_draws, n_factors) and (n_draws,)."""
    weight = partner_weight(np.array(len(item_rows)))
    factors = draws.met_factors[item_rows].astype(np.float64)
    vectors = weight * factors.sum(axis=0)
    own_lengths = weight**2 * np.einsum("idk,idk->d", factors, factors)
    linear = weight * draws.met_linear[item_rows].astype(np.float64).sum(axis=0)
    return vectors, linear + (np.einsum("dk,dk->d", vectors, vectors) - own_lengths) / 2


def _design(draws: KeptDraws, met_vectors: Reals, item_rows: Integers) -> Reals:
    """Return F of every draw, shape (n_draws, n_rows, 1 + n_factors)."""
    vectors = draws.item_vectors[item_rows].swapaxes(0, 1).astype(np.float64)
    design = np.ones((*vectors.shape[:2], vectors.shape[2] + 1))
    design[:, :, 1:] = vectors + met_vectors[:, None, :]
    return design


def estimates(draws: KeptDraws, belief: Belief, item_rows: Integers | slice = slice(None)) -> Reals:
    """Estimate the person's ratings of items, averaged over draws, in standard units, shape (n_rows,).

    By default of every item, and of one without ratings as the last. It is one product of a matrix and a vector, since
    an item's vectors of all draws are contiguous.
    """
    weights, factors = belief.means[:, 0], belief.means[:, 1:]
    alone = draws.intercepts + weights + belief.met_biases + np.einsum("dk,dk->d", factors, belief.met_vectors)
    directions = ((factors + belief.met_vectors) / draws.n_draws).astype(np.float32)
    vectors = draws.item_vectors[item_rows]
    products = vectors.reshape(len(vectors), -1) @ directions.ravel()
    estimated: Reals = alone.mean() + draws.item_biases[item_rows].mean(axis=1) + products
    return estimated


def uncertainties(draws: KeptDraws, belief: Belief, item_rows: Integers, *, with_noise: bool = False) -> Reals:
    """Standard deviations of the estimates of items, in standard units, shape (n_rows,).

    By the law of total variance: the mean over draws of the variance within each, f'A^-1 f, plus the variance between
    their means. ``with_noise`` adds the scatter of a single rating around it, which no further rating would reduce.
    """
    design = _design(draws, belief.met_vectors, item_rows)
    within = np.einsum("drk,dkr->rd", design, np.linalg.solve(belief.precisions, design.swapaxes(1, 2)))
    means = (
        _known(draws, belief.met_vectors, belief.met_biases, item_rows) + (design @ belief.means[:, :, None])[:, :, 0]
    )
    noise = draws.noise_std**2 if with_noise else 0.0
    deviations: Reals = np.sqrt(within.mean(axis=1) + means.var(axis=0) + noise)
    return deviations


def similarities(draws: KeptDraws, item_row: int) -> Reals:
    """Return the similarity of each item and this one, -1 to 1, shape (n_items,).

    It is the correlation, over the people of the training, of their estimates of the two items, apart from the items'
    biases: q_i' C q_j / sqrt(q_i' C q_i * q_j' C q_j), with C the covariance of people's vectors. It does not depend on
    the axes of a draw, so it can be averaged over draws; for an item with few ratings the draws disagree, and its
    correlations shrink.
    """
    directions = np.einsum("dkl,dl->dk", draws.people_covariances, draws.item_vectors[item_row])
    products = np.einsum("idk,dk->id", draws.item_vectors[: draws.n_items], directions.astype(np.float32))
    spreads = draws.item_spreads * draws.item_spreads[item_row]
    cosines: Reals = (products / np.maximum(spreads, np.finfo(np.float32).tiny)).mean(axis=1)
    return cosines
