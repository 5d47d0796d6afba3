"""The obvious baselines: simple rankers to stand beside ours, each a few lines of numpy.

A *thing* is a listing, an archetype or a shop's article. Every function scores things, higher is better, and leaves it
to the caller which of them may be shown. None of them draws at random but ``Als``, whose start has a seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, diags_array

from recommendations.engine.arrays import Reals
from recommendations.engine.demand import decayed_counts
from recommendations.engine.implicit_feedback import als_factors, ease_weights, presence

ROUNDING = 1e-9  # of a sum of cosines

# The same for everybody


def popular(thing_rows: ArrayLike, weights: ArrayLike, n_things: int) -> NDArray[np.float64]:
    """Events on each thing, weighted, shape (n_things,): what most people go for, since ever.

    Args:
        thing_rows: What each event was about, int, shape (n_events,).
        weights: What an event counts: one number or shape (n_events,).
        n_things: Length of the answer.
    """
    rows = np.asarray(thing_rows, dtype=np.intp)
    strengths = np.broadcast_to(np.asarray(weights, dtype=np.float64), rows.shape)
    return np.bincount(rows, strengths, n_things).astype(np.float64)


def recently_popular(
    thing_rows: ArrayLike, age_days: ArrayLike, weights: ArrayLike, n_things: int, half_life_days: float = 7.0
) -> NDArray[np.float64]:
    """The same with each event counting half after a half-life, shape (n_things,)."""
    return decayed_counts(thing_rows, age_days, half_life_days, n_things, weights)


# From a buyer's own cars


class Budget(NamedTuple):
    """Ends of a price range, both within it."""

    low: float
    high: float


ANY_PRICE = Budget(-np.inf, np.inf)


def budget_of(prices: ArrayLike, slack: float = 0.2) -> Budget:
    """From a fifth below the cheapest car a buyer liked to a fifth above the dearest; ``ANY_PRICE`` for no prices."""
    known = np.asarray(prices, dtype=np.float64)
    known = known[~np.isnan(known)]
    if not known.size:
        return ANY_PRICE
    return Budget(float(known.min()) * (1 - slack), float(known.max()) * (1 + slack))


def newest_in_budget(listed_at: ArrayLike, prices: ArrayLike, budget: Budget) -> NDArray[np.float64]:
    """What a search form sorted by date shows: in the budget, newest first; then the others, newest first.

    Args:
        listed_at: When each thing was listed, any unit, finite, shape (n_things,).
        prices: Shape (n_things,); nan is out of any budget but ``ANY_PRICE``.
        budget: As from ``budget_of``.

    Returns:
        Scores from 0 to 2, shape (n_things,): those in the budget from 1 upwards.
    """
    listed, asked = np.asarray(listed_at, dtype=np.float64), np.asarray(prices, dtype=np.float64)
    fits = (asked >= budget.low) & (asked <= budget.high) | (budget == ANY_PRICE)
    if not listed.size:
        return np.zeros(0)
    span = np.ptp(listed) or 1.0
    # divided by a little more than the span, so that the newest outside stays below the oldest inside
    scores: NDArray[np.float64] = fits + (listed - listed.min()) / (span * (1 + 1e-9))
    return scores


def average_of_liked(vectors: Reals, liked: Reals, strengths: ArrayLike) -> NDArray[np.float64]:
    """Cosine of each thing with the mean of what a buyer liked, shape (n_things,): the usual "similar cars" list.

    Args:
        vectors: Of the things, shape (n_things, n_dims).
        liked: Vectors of what the user liked, shape (n_liked, n_dims). Without any, every score is 0.
        strengths: Of each, >= 0, shape (n_liked,).
    """
    if not len(liked):
        return np.zeros(len(vectors))
    mean = np.asarray(strengths, dtype=np.float64) @ np.asarray(liked, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(mean)
    products = np.asarray(vectors, dtype=np.float64) @ mean
    cosines: NDArray[np.float64] = np.divide(products, lengths, out=np.zeros(len(vectors)), where=lengths > 0)
    return cosines


# From everybody's


@dataclass(frozen=True, eq=False)
class Cosines:
    """Item-kNN with all neighbours: cosine between the columns of who wanted what.

    The similarities between things are never formed: a history is multiplied by both sides of their product.

    Attributes:
        units: Buyers by things, columns of unit length or empty, shape (n_buyers, n_things).
        things: The same turned, shape (n_things, n_buyers).

    Source: Sarwar et al. 2001, "Item-based collaborative filtering", section 3.1.1.
    """

    units: csr_array
    things: csr_array

    @classmethod
    def fit(cls, interest: csr_array) -> Self:
        """``interest`` has shape (n_buyers, n_things), not negative."""
        lengths = np.sqrt(np.asarray((interest * interest).sum(axis=0)).ravel())
        scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        units = csr_array(interest @ diags_array(scale))
        return cls(units, csr_array(units.T))

    def scores(self, histories: csr_array) -> NDArray[np.float64]:
        """Score every thing for each history (n_histories, n_things), same shape; an empty history gets 0."""
        alike = np.asarray((histories @ self.things).todense(), np.float64)  # of each history with each buyer
        scores: NDArray[np.float64] = np.ascontiguousarray((self.things @ alike.T).T)
        rows, own = histories.nonzero()
        # a thing is no neighbour of itself; what rounding leaves of its cosine of 1 is nothing
        rest = scores[rows, own] - histories[rows, own] * (np.diff(self.things.indptr)[own] > 0)
        scores[rows, own] = np.where(np.abs(rest) < ROUNDING, 0.0, rest)
        return scores


@dataclass(frozen=True, eq=False)
class OfActive:
    """Scores of the things that take part; those of all others are 0.

    Attributes:
        scores: Shape (n_histories, n_active).
        active: Rows of these things, shape (n_active,).
        n_things: How many there are.
    """

    scores: NDArray[np.floating]
    active: NDArray[np.intp]
    n_things: int

    def spread(self, at: slice = slice(None)) -> NDArray[np.float64]:
        """Score every thing for some of the histories, shape (n, n_things)."""
        scores = self.scores[at]
        spread = np.zeros((len(scores), self.n_things))
        spread[:, self.active] = scores
        return spread


@dataclass(frozen=True, eq=False)
class Ease:
    """Scores by EASE: see ``implicit_feedback.ease_weights``.

    Attributes:
        weights: What interest in the row's thing adds to the column's, shape (n_active, n_active).
        active: Rows of the things that take part, those with any interest, shape (n_active,).
        n_things: How many there are.
    """

    weights: NDArray[np.floating]
    active: NDArray[np.intp]
    n_things: int

    @classmethod
    def fit(
        cls,
        interest: csr_array,
        regularisation: float = 200.0,
        dtype: type[np.float64] | type[np.float32] = np.float64,
    ) -> Self:
        """``interest`` has shape (n_buyers, n_things); the others are those of ``ease_weights``."""
        active = np.flatnonzero(np.diff(interest.tocsc().indptr))
        if not len(active):
            return cls(np.zeros((0, 0), dtype), active, interest.shape[1])
        return cls(ease_weights(interest[:, active], regularisation, dtype), active, interest.shape[1])

    def scores(self, histories: csr_array) -> NDArray[np.float64]:
        """Score every thing for each history (n_histories, n_things), same shape; an empty history gets 0."""
        return self.of_active(histories).spread()

    def of_active(self, histories: csr_array) -> OfActive:
        """The same without the things that take no part."""
        # in the type of the weights, which would be copied whole otherwise
        own = csr_array(histories[:, self.active], dtype=self.weights.dtype)
        return OfActive(own @ self.weights, self.active, self.n_things)


@dataclass(frozen=True, eq=False)
class Als:
    """Factors of buyers and things by alternating least squares (see ``implicit_feedback.als_factors``)."""

    buyers: NDArray[np.floating]
    things: NDArray[np.floating]

    @classmethod
    def fit(
        cls,
        feedback: csr_array,
        n_factors: int = 32,
        n_iterations: int = 10,
        confidence: float = 5.0,
        regularisation: float = 10.0,
        seed: int = 0,
    ) -> Self:
        """``feedback`` has shape (n_buyers, n_things); the other arguments are those of ``als_factors``."""
        return cls(*als_factors(feedback, n_factors, n_iterations, confidence, regularisation, seed))

    def scores(self, buyer_rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Score every thing for some of the buyers, shape (n_rows, n_things); a buyer without feedback gets 0."""
        return np.asarray(self.buyers[buyer_rows] @ self.things.T, np.float64)


def interest_matrix(
    buyer_rows: ArrayLike, thing_rows: ArrayLike, weights: ArrayLike, shape: tuple[int, int]
) -> csr_array:
    """Events as degrees of interest between 0 and 1, repeats added up first; shape (n_buyers, n_things).

    Args:
        buyer_rows, thing_rows: Who and what, int, shape (n_events,).
        weights: Strength of each event, after decay where wanted, > 0, shape (n_events,).
        shape: Of the answer.
    """
    strengths = np.asarray(weights, dtype=np.float64)
    return presence(csr_array((strengths, (np.asarray(buyer_rows), np.asarray(thing_rows))), shape=shape))
