"""Metrics of recommended lists: one value per user, and their mean.

A list is a row of listing rows (positions in the catalogue's arrays, never database keys), best first. Lists shorter
than the longest are padded with -1. A user without relevant listings has no recall: their value is nan and
``mean_over_users`` omits them. Every value is between 0 and 1, higher is better, unless a docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.sparse import csr_array, diags_array, issparse

PADDING = -1
POPULARITY_POWER = 0.5  # of its events, by which a listing is taken to be seen more easily
# Draws times users held at once by the bootstrap, so that a million users need no more memory than a thousand.
BOOTSTRAP_CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class Hits:
    """The positions of each list that hold a relevant listing.

    Attributes:
        at: True for a hit, shape (n_users, length).
        n_relevant: Number of relevant listings, int, shape (n_users,).
    """

    at: NDArray[np.bool_]
    n_relevant: NDArray[np.intp]

    @property
    def is_counted(self) -> NDArray[np.bool_]:
        """Users with relevant listings, shape (n_users,)."""
        return self.n_relevant > 0


def find_hits(recommended: ArrayLike, relevant: Sequence[ArrayLike]) -> Hits:
    """Compare lists with relevant listings.

    Args:
        recommended: Listing rows, best first, -1 as padding, int, shape (n_users, length).
        relevant: For each user the relevant listing rows, in any order; repeats count once.

    Raises:
        ValueError: If the two disagree on n_users, a list holds a listing twice, or a row is below -1.
    """
    lists = _as_lists(recommended)
    if len(relevant) != len(lists):
        raise ValueError(f"{len(lists)} lists do not go with {len(relevant)} users' relevant listings")
    wanted = [np.unique(np.asarray(rows, dtype=np.intp)) for rows in relevant]
    n_relevant = np.array([len(rows) for rows in wanted], dtype=np.intp)
    n_rows = 1 + max(lists.max(initial=0), *(rows.max(initial=0) for rows in wanted), 0)
    # A pair of user and listing as one number, so that one look-up serves all users.
    users = np.arange(len(lists), dtype=np.int64) * n_rows
    pairs = np.concatenate([rows + start for rows, start in zip(wanted, users, strict=True)] or [np.zeros(0, np.int64)])
    at = np.isin(lists + users[:, None], pairs) & (lists != PADDING)
    return Hits(at, n_relevant)


def recall_at_k(hits: Hits, k: int) -> NDArray[np.float64]:
    """Share of a user's relevant listings that are among the first k, shape (n_users,); nan without relevant ones."""
    return _per_user(hits, hits.at[:, : _ranks(k)].sum(axis=1) / np.maximum(hits.n_relevant, 1))


def precision_at_k(hits: Hits, k: int) -> NDArray[np.float64]:
    """Share of hits among the first k positions, empty positions counting as misses, shape (n_users,)."""
    return _per_user(hits, hits.at[:, : _ranks(k)].sum(axis=1) / k)


def hit_rate_at_k(hits: Hits, k: int) -> NDArray[np.float64]:
    """1 when at least one of the first k is relevant, else 0, shape (n_users,)."""
    return _per_user(hits, hits.at[:, : _ranks(k)].any(axis=1).astype(np.float64))


def reciprocal_rank_at_k(hits: Hits, k: int) -> NDArray[np.float64]:
    """1 / position of the first hit, 0 when there is none among the first k, shape (n_users,). Its mean is the MRR."""
    at = hits.at[:, : _ranks(k)]
    if at.shape[1] == 0:
        return _per_user(hits, np.zeros(len(at)))
    return _per_user(hits, np.where(at.any(axis=1), 1.0 / (at.argmax(axis=1) + 1), 0.0))


def ndcg_at_k(hits: Hits, k: int) -> NDArray[np.float64]:
    """Discounted gain of the first k over that of the best possible list of k, shape (n_users,).

    Gains are 0 or 1, discounted by log2(position + 1) (Järvelin and Kekäläinen 2002). The best list has all its hits in
    front: as many as there are relevant listings, at most k.
    """
    at = hits.at[:, : _ranks(k)]
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(hits.n_relevant, k)]
    return _per_user(hits, (at @ discounts[: at.shape[1]]) / np.where(best > 0, best, 1.0))


# What is popular is found by any list, and was shown more often. Each thing to find counts by what it takes to find it.


def debiased_recall_at_k(
    recommended: ArrayLike, relevant: Sequence[ArrayLike], n_events: ArrayLike, k: int
) -> NDArray[np.float64]:
    """Recall in which each relevant listing is weighted by the inverse of its exposure, shape (n_users,).

    Exposure is not known; it is assumed to grow with the root of a listing's events, plus one. nan without relevant
    ones.

    Source: self-normalised inverse propensities of Yang et al. 2018, with their power of popularity at 1/2.
    """
    gains, of_relevant = _debiased_gains(recommended, relevant, n_events, k)
    total = np.array([own.sum() for own in of_relevant])
    return _nan_where(total == 0, gains.sum(axis=1) / np.where(total > 0, total, 1.0))


def debiased_ndcg_at_k(
    recommended: ArrayLike, relevant: Sequence[ArrayLike], n_events: ArrayLike, k: int
) -> NDArray[np.float64]:
    """NDCG with the gains of ``debiased_recall_at_k``: the best list has the largest gains in front, (n_users,)."""
    gains, of_relevant = _debiased_gains(recommended, relevant, n_events, k)
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    best = np.array([np.sort(own)[::-1][:k] @ discounts[: min(len(own), k)] for own in of_relevant])
    return _nan_where(best == 0, (gains @ discounts[: gains.shape[1]]) / np.where(best > 0, best, 1.0))


def _debiased_gains(
    recommended: ArrayLike, relevant: Sequence[ArrayLike], n_events: ArrayLike, k: int
) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Return the gain of each of the first k positions, shape (n_users, at most k), and that of each relevant
    listing."""
    lists = _as_lists(recommended)
    hits = find_hits(lists, relevant).at[:, : _ranks(k)]
    worth = (np.asarray(n_events, dtype=np.float64) + 1.0) ** -POPULARITY_POWER
    gains = np.where(hits, worth[np.maximum(lists[:, :k], 0)], 0.0)
    return gains, [worth[np.unique(np.asarray(rows, dtype=np.intp))] for rows in relevant]


def mean_over_users(values: ArrayLike) -> float:
    """Mean of the users that have a value; 0 when no user has one."""
    per_user = np.asarray(values, dtype=np.float64)
    present = per_user[~np.isnan(per_user)]
    return float(present.mean()) if present.size else 0.0


# What the lists are like, apart from whether they hit


def catalogue_coverage(recommended: ArrayLike, n_listings: int, k: int) -> float:
    """Share of the catalogue that appears among the first k of at least one list. 0 for an empty catalogue.

    Raises:
        ValueError: If a list holds a row beyond the catalogue.
    """
    shown = _as_lists(recommended)[:, : _ranks(k)]
    if shown.max(initial=PADDING) >= n_listings:
        raise ValueError(f"row {shown.max()} is not in a catalogue of {n_listings} listings")
    return len(np.unique(shown[shown != PADDING])) / n_listings if n_listings else 0.0


def exposure_gini(recommended: ArrayLike, candidates: ArrayLike, k: int) -> float:
    """Gini coefficient of the candidates' exposure in the first k of all lists: 0 if even, near 1 if few have all of
    it.

    A position exposes by 1 / log2(position + 1). 0 without candidates or lists.

    Args:
        recommended: Lists.
        candidates: Which listings could be listed, bool, shape (n_listings,).
    """
    is_candidate = np.asarray(candidates, dtype=bool)
    return gini(exposures(recommended, len(is_candidate), k).sum(axis=0)[is_candidate])


def exposures(recommended: ArrayLike, n_listings: int, k: int) -> csr_array:
    """Return the exposure of each listing in each user's first k, shape (n_users, n_listings)."""
    shown = _as_lists(recommended)[:, : _ranks(k)]
    users, positions = np.nonzero(shown != PADDING)
    exposed = 1.0 / np.log2(positions + 2.0)
    return csr_array((exposed, (users, shown[users, positions])), shape=(len(shown), n_listings))


def gini(amounts: ArrayLike) -> float:
    """Gini coefficient of amounts >= 0, shape (n,): 0 where all are equal, (n - 1) / n where one has all."""
    ordered = np.sort(np.asarray(amounts, dtype=np.float64))
    n, total = len(ordered), ordered.sum()
    if not total:
        return 0.0
    return float(2 * (np.arange(1, n + 1) @ ordered) / (n * total) - (n + 1) / n)


def novelty(recommended: ArrayLike, n_events: ArrayLike, k: int) -> NDArray[np.float64]:
    """Mean of -log2 of each listing's share of all events, over the first k, in bits, (n_users,).

    ``n_events`` counts events per listing in training, shape (n_listings,). Each count is raised by 1, so that a
    listing without events has a finite value. nan for an empty list. Can exceed 1.

    Source: mean self-information (Zhou et al. 2010), with add-one smoothing.
    """
    shown = _as_lists(recommended)[:, : _ranks(k)]
    counts = np.asarray(n_events, dtype=np.float64) + 1.0
    surprise = -np.log2(counts / counts.sum())
    is_listing = shown != PADDING
    total = np.where(is_listing, surprise[shown], 0.0).sum(axis=1)
    return _nan_where(is_listing.sum(axis=1) == 0, total / np.maximum(is_listing.sum(axis=1), 1))


def intra_list_diversity(recommended: ArrayLike, features: ArrayLike, k: int) -> NDArray[np.float64]:
    """Mean of 1 - cosine over all pairs of the first k, 0 to 2, shape (n_users,).

    ``features`` are listing vectors, dense or sparse, shape (n_listings, n_dims); a listing without features (all 0)
    has cosine 0 with all others. nan for a list of fewer than two.

    Source: Ziegler et al. 2005. Instead of all pairs: the cosines of unit vectors sum up to the squared length of their
    sum.
    """
    shown = _as_lists(recommended)[:, : _ranks(k)]
    users, places = np.nonzero(shown != PADDING)
    listed, rows = np.unique(shown[users, places], return_inverse=True)
    given: Any = features if issparse(features) else csr_array(np.asarray(features, np.float64))
    vectors = given[listed]
    squares = np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()
    units = diags_array(np.divide(1.0, np.sqrt(squares), out=np.zeros_like(squares), where=squares > 0)) @ vectors
    is_on = csr_array((np.ones(len(users)), (users, rows)), shape=(len(shown), len(listed)))
    totals = is_on @ units
    lengths = np.asarray(totals.multiply(totals).sum(axis=1)).ravel() - is_on @ (squares > 0).astype(np.float64)
    n = np.bincount(users, minlength=len(shown))
    return np.where(n > 1, 1.0 - lengths / np.maximum(n * (n - 1), 1), np.nan)


# Probabilities


@dataclass(frozen=True, eq=False)
class Calibration:
    """Predicted probabilities and observed frequencies: one entry per bin that holds a prediction.

    Attributes:
        predicted: Mean predicted probability in each bin.
        observed: Share of events that happened.
        n: Number of predictions.
        error: Expected calibration error: mean of |predicted - observed|, weighted by n; 0 is perfect.
    """

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    n: NDArray[np.intp]
    error: float


def calibration(probabilities: ArrayLike, came_true: ArrayLike, n_bins: int = 10) -> Calibration:
    """Reliability in bins of equal width over 0 to 1 (Naeini et al. 2015). No predictions: no bins, error 0.

    Args:
        probabilities: Predictions, 0 to 1, shape (n,).
        came_true: What happened, bool, shape (n,).
        n_bins: Number of bins, >= 1.

    Raises:
        ValueError: If the shapes disagree or a probability is not within 0 to 1.
    """
    predictions, outcomes = np.asarray(probabilities, dtype=np.float64), np.asarray(came_true, dtype=bool)
    if predictions.ndim != 1 or predictions.shape != outcomes.shape:
        raise ValueError(f"probabilities {predictions.shape} and outcomes {outcomes.shape} must be of one length")
    if not ((predictions >= 0) & (predictions <= 1)).all():
        raise ValueError("probabilities must lie between 0 and 1")
    if n_bins < 1:
        raise ValueError(f"n_bins must be at least 1, not {n_bins}")
    bins = np.minimum((predictions * n_bins).astype(np.intp), n_bins - 1)
    n = np.bincount(bins, minlength=n_bins)
    used = n > 0
    predicted = np.bincount(bins, predictions, n_bins)[used] / n[used]
    observed = np.bincount(bins, outcomes, n_bins)[used] / n[used]
    error = float((np.abs(predicted - observed) * n[used]).sum() / max(n.sum(), 1))
    return Calibration(predicted, observed, n[used], error)


# Is the difference real?


@dataclass(frozen=True)
class Comparison:
    """Mean difference between two rankers over the same users, with a bootstrap interval.

    Attributes:
        difference: Mean of first - second; above 0 the first is better.
        low, high: Ends of the confidence interval.
        n_users: Users that had a value under both.
    """

    difference: float
    low: float
    high: float
    n_users: int

    @property
    def is_worse(self) -> bool:
        """Whether the first is significantly worse: the whole interval lies below 0."""
        return self.high < 0

    @property
    def is_better(self) -> bool:
        return self.low > 0


def compare(
    first: ArrayLike, second: ArrayLike, rng: np.random.Generator, n_draws: int = 2000, confidence: float = 0.95
) -> Comparison:
    """Paired bootstrap: draw users with replacement, and compute the mean difference of each draw.

    Values are paired, because users differ far more from each other than two rankers differ for one user.

    Args:
        first, second: One value per user under either ranker, shape (n_users,). A user with nan in either is left out.
        rng: Source of the draws; the same generator state gives the same interval.
        n_draws: Resamples.
        confidence: Of the interval, between 0 and 1.

    Returns:
        The comparison; with no users all zeros, with one an interval of no width.

    Raises:
        ValueError: If the shapes disagree, n_draws is below 1 or confidence is not within 0 to 1.

    Source: percentile bootstrap (Efron and Tibshirani 1993, ch. 13).
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 1 or one.shape != other.shape:
        raise ValueError(f"values of shapes {one.shape} and {other.shape} are not pairs")
    if n_draws < 1 or not 0 < confidence < 1:
        raise ValueError("n_draws must be at least 1 and confidence between 0 and 1")
    differences = one - other
    differences = differences[~np.isnan(differences)]
    if differences.size == 0:
        return Comparison(0.0, 0.0, 0.0, 0)
    mean = float(differences.mean())
    if len(differences) == 1:
        return Comparison(mean, mean, mean, 1)
    drawn = stats.bootstrap(
        (differences,), np.mean, n_resamples=n_draws, confidence_level=confidence, method="percentile", rng=rng,
        batch=max(1, BOOTSTRAP_CELLS // len(differences)),
    ).confidence_interval  # fmt: skip
    return Comparison(mean, float(drawn.low), float(drawn.high), len(differences))


def _as_lists(recommended: ArrayLike) -> NDArray[np.int64]:
    lists = np.asarray(recommended)
    if lists.ndim != 2 or not (lists.size == 0 or np.issubdtype(lists.dtype, np.integer)):
        raise ValueError("recommended must hold listing rows, shape (n_users, length)")
    lists = lists.astype(np.int64)
    if lists.min(initial=0) < PADDING:
        raise ValueError(f"listing rows start at 0 and padding is {PADDING}, but a list holds {lists.min()}")
    ordered = np.sort(lists, axis=1)
    if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != PADDING)).any():
        raise ValueError("a list holds a listing twice")
    return lists


def _ranks(k: int) -> int:
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    return k


def _per_user(hits: Hits, values: ArrayLike) -> NDArray[np.float64]:
    return _nan_where(~hits.is_counted, values)


def _nan_where(is_missing: NDArray[np.bool_], values: ArrayLike) -> NDArray[np.float64]:
    return np.where(is_missing, np.nan, values)
