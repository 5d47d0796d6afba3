"""Build a list from scored candidates: diversity, caps, stated wishes, exploration and promoted listings.

Which candidates may be shown at all (sold, own, dismissed) is decided before. A rule that leaves too few listings is
relaxed, so that a list has k items whenever there are k candidates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recommendations.engine.arrays import Array, Ids, Reals
from recommendations.engine.columns import Columns

BEYOND_CAPS = 1_000_000  # one unmet wish outweighs every overstepped cap
WISH_POWER = 3  # of a wish's share, which it counts by where not all can be met: two weaker ones do not outweigh one
WISH_UNITS = 1_000  # of the whole numbers that wishes are counted in
PRICE_BAND_STEP = 1.35  # ratio of the ends of a band, for what a buyer is set on
# Share from which wishes are sought in one car: of answers and saved searches. Conditions of a search have their shares
# each by itself, since buyers search one way and choose another: together they cost 2% of an oracle's utility at first
TOGETHER_AT_LEAST = 0.65
EXPLORATION_DRAWS = 16  # of a preference, of which each place that explores takes one: what it can tell apart is 1/16


class Kind(IntEnum):
    """The purpose for which a position of a list is reserved."""

    RANKED = 0
    EXPLORED = 1
    PROMOTED = 2
    FRESH = 3


class Why(IntEnum):
    """The reason why a listing has its position in a list."""

    SCORE = 0
    VARIETY = 1
    WISH = 2
    CAP = 3


@dataclass(frozen=True)
class ListPolicy:
    """The rules of one list; the parameters of a placement.

    Attributes:
        k: Length of the list.
        diversity: 0 ranks by score only, 1 by dissimilarity only (MMR's 1 - lambda).
        max_per_model, max_per_seller: Largest number of listings of one model or seller; 0 for no cap.
        exploration_share: Share of the positions reserved for exploration, 0 to 1; not the first, unless all are.
        promoted_share: Share of the positions that promoted listings may take, 0 to 1, likewise.
        fresh_share: Share of the positions reserved for listings too new to have demand data, likewise.
        group_caps: Largest number of listings of each group of ``Pool.groups``, >= 0.
        taste_shares: Share of each interest of a buyer with several: no interest gets much more of the list, from the
            top down, than its share. Left out: one interest.
        wish_shares: Share of each stated wish, 0 to 1: from the top down, at least this share of the positions goes to
            listings that satisfy it, and from ``TOGETHER_AT_LEAST`` on to listings that satisfy all wishes of at least
            its share, while there are any. Wishes come before caps; only positions of promoted listings are exempt.
    """

    k: int = 20
    diversity: float = 0.15
    max_per_model: int = 6
    max_per_seller: int = 8
    exploration_share: float = 0.1
    promoted_share: float = 0.0
    fresh_share: float = 0.0
    group_caps: tuple[int, ...] = ()
    taste_shares: tuple[float, ...] = ()
    wish_shares: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if min(self.k, self.max_per_model, self.max_per_seller, *self.group_caps) < 0:
            raise ValueError("k and the caps must not be negative")
        for name in ("diversity", "exploration_share", "promoted_share", "fresh_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, not {getattr(self, name):g}")
        if self.exploration_share + self.promoted_share + self.fresh_share > 1 + 1e-9:
            raise ValueError("exploration, promotion and fresh listings together must take no more than the whole list")

    @property
    def n_draws(self) -> int:
        """Number of posterior draws for exploration; 1 where no position explores, since a pool has at least one."""
        return EXPLORATION_DRAWS if self.exploration_share * self.k else 1

    def for_focus(self, focus: float) -> ListPolicy:
        """Return the policy for a buyer of this focus, 0 to 1.

        Diversity is scaled from 1.5 times (focus 0) down to half (focus 1). Exploration is not scaled, because its
        budget is what the operator has set.
        """
        return replace(self, diversity=min(self.diversity * (1.5 - focus), 1.0))


@dataclass(frozen=True, eq=False)
class Pool(Columns):
    """Candidates of one list, in any order; all arrays of length n.

    Attributes:
        scores: Higher is better, finite.
        features: Listing vectors for similarity, shape (n, n_dims); zeros are similar to nothing.
        models, sellers: Codes for the caps, int; negative codes are unknown and never capped. Left out: no caps.
        exploration_scores: Scores under posterior draws (Thompson) of listings to explore, nan for others; shape (n,)
            for one draw, or (n, n_draws): positions that explore use the draws in turn. Left out: no exploration.
        is_promoted: Listings that a seller paid for. Left out: none.
        fresh_scores: Scores of listings too new to have demand data, under one draw of their demand; nan for others.
            Left out: none.
        wishes: Which of the buyer's wishes each listing satisfies, shape (n, n_wishes). Left out: no wishes.
        groups: Which groups each listing is in, for ``ListPolicy.group_caps``, shape (n, n_groups). Left out: none.
        tastes: Which interest of the buyer each listing suits, int; negative for none. Left out: none.

    Raises:
        ValueError: If lengths disagree or a score or feature is not finite.
    """

    scores: NDArray[np.float64]
    features: Reals
    models: Ids = None  # type: ignore[assignment]
    sellers: Ids = None  # type: ignore[assignment]
    exploration_scores: NDArray[np.float64] = None  # type: ignore[assignment]
    is_promoted: NDArray[np.bool_] = None  # type: ignore[assignment]
    fresh_scores: NDArray[np.float64] = None  # type: ignore[assignment]
    groups: NDArray[np.bool_] = None  # type: ignore[assignment]
    tastes: Ids = None  # type: ignore[assignment]
    wishes: NDArray[np.bool_] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        n = len(np.asarray(self.scores))
        defaults: dict[str, tuple[object, type]] = {
            "scores": (0.0, np.float64),
            "models": (-1, np.int64),
            "sellers": (-1, np.int64),
            "exploration_scores": (np.nan, np.float64),
            "is_promoted": (False, np.bool_),
            "fresh_scores": (np.nan, np.float64),
            "tastes": (-1, np.int64),
        }
        for name, (default, dtype) in defaults.items():
            given = getattr(self, name)
            values: Array = np.full(n, default, dtype) if given is None else np.asarray(given, dtype=dtype)
            is_drawn_often = name == "exploration_scores" and values.ndim == 2 and values.shape[1] > 0
            if values.shape[: 1 if is_drawn_often else None] != (n,):
                raise ValueError(f"{name} must have shape ({n},), not {values.shape}")
            object.__setattr__(self, name, values)
        wishes = np.empty((n, 0), bool) if self.wishes is None else np.asarray(self.wishes, bool)
        if wishes.ndim != 2 or len(wishes) != n:
            raise ValueError(f"wishes must have shape ({n}, n_wishes), not {wishes.shape}")
        object.__setattr__(self, "wishes", wishes)
        groups = np.zeros((n, 0), np.bool_) if self.groups is None else np.asarray(self.groups, np.bool_)
        if groups.ndim != 2 or len(groups) != n:
            raise ValueError(f"groups must have shape ({n}, n_groups), not {groups.shape}")
        object.__setattr__(self, "groups", groups)
        features = np.asarray(self.features)
        if features.ndim != 2 or len(features) != n:
            raise ValueError(f"features must have shape ({n}, n_dims), not {features.shape}")
        object.__setattr__(self, "features", features)
        if not (np.isfinite(self.scores).all() and np.isfinite(features).all()):
            raise ValueError("scores and features must be finite")
        for name in ("exploration", "fresh"):
            if np.isinf(getattr(self, f"{name}_scores")).any():
                raise ValueError(f"{name} scores must be finite, or nan for listings not to explore")

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def draws(self) -> NDArray[np.float64]:
        """Scores for exploration, shape (n_draws, n)."""
        return np.atleast_2d(self.exploration_scores.T)


@dataclass(frozen=True, eq=False)
class Selection:
    """The list; arrays of its length.

    Attributes:
        rows: Rows of the pool, best first.
        kinds: What each position is reserved for, a ``Kind``.
        propensities: Probability of each listing at its position, given the pool, the listings above it, and which
            positions are reserved for promoted and fresh listings: over whether the position explores, and over the
            draws. Above 0; 1 for certain.
        reasons: Why no free candidate with a higher score is at the position, a ``Why``: it is too similar to those
            above, it does not satisfy a stated wish, or it would exceed a cap or the share of an interest. SCORE where
            there is no such candidate.
    """

    rows: NDArray[np.intp]
    kinds: NDArray[np.int8]
    propensities: NDArray[np.float64]
    reasons: NDArray[np.int8]


def build_list(pool: Pool, policy: ListPolicy, rng: np.random.Generator) -> Selection:
    """Choose and order ``min(policy.k, len(pool))`` listings.

    Each position gets the best remaining candidate by Maximal Marginal Relevance, ``(1 - diversity) * relevance -
    diversity * similarity``: relevance is the score scaled to 0 to 1 over the pool, similarity the largest cosine with
    a listing above. Listings over a cap follow when no others are left, those that exceed it least first. Positions
    reserved for exploration, fresh or promoted listings go to the best of those, or to the ranking when there are none.
    Each position that explores uses a draw of its own: a choice from a list is informative only if its cars differ, and
    cars that are best under the same draw differ little.

    Args:
        pool: The candidates.
        policy: The rules.
        rng: Decides which positions are reserved and which explore; the same generator state gives the same list.

    Source: MMR (Carbonell and Goldstein 1998), greedy; ties go to the lower row. One draw for each position: Thompson
    sampling with several plays at a time (Komiyama, Honda and Nakagawa 2015 use one draw for all).
    """
    n = min(policy.k, len(pool))
    units = _units(pool.features)
    wishes = _Wishes(pool, policy)
    plan = _planned(n, policy, rng)
    relevance = {kind: _worth((1.0 - policy.diversity) * _scaled(s)) for kind, s in _scores_by_kind(pool).items()}
    draw_of_position = rng.integers(len(relevance[Kind.EXPLORED]), size=n).tolist()
    likeness, scores = np.full(len(pool), -np.inf), pool.scores.copy()
    rows, kinds, propensities = np.zeros(n, dtype=np.intp), np.zeros(n, dtype=np.int8), np.ones(n)
    reasons = np.zeros(n, dtype=np.int8)
    for position, wanted in enumerate(plan.kinds):
        bound, free = wishes.least_overstepping()
        held_against = policy.diversity * likeness if position and policy.diversity else 0.0
        best = {
            kind: _best_rows(relevance[kind] - held_against, free if kind == Kind.PROMOTED else bound)
            for kind in Kind
            if kind in (Kind.RANKED, wanted) or (kind == Kind.EXPLORED and plan.chances[position])
        }
        draw = draw_of_position[position] if wanted == Kind.EXPLORED else 0
        kind = wanted if best[wanted][draw] >= 0 else Kind.RANKED
        row = best[kind][draw if kind == Kind.EXPLORED else 0]
        rows[position], kinds[position] = row, kind
        reasons[position] = _why(row, scores, bound, free)
        if plan.chances[position]:
            propensities[position] = _propensity(row, best, float(plan.chances[position]))
        wishes.add(row)
        scores[row] = -np.inf
        np.maximum(likeness, units @ units[row], out=likeness)
    return Selection(rows, kinds, propensities, reasons)


def _why(row: int, scores: NDArray[np.float64], bound: NDArray[np.bool_], free: NDArray[np.bool_]) -> Why:
    """Return why a row was taken instead of the free one with the highest score (others have -inf); see
    ``Selection.reasons``."""
    best = int(scores.argmax())
    if scores[row] >= scores[best]:
        return Why.SCORE
    if bound[best]:
        return Why.VARIETY
    return Why.WISH if free[best] else Why.CAP


def _best_rows(values: NDArray[np.float64], allowed: NDArray[np.bool_]) -> list[int]:
    """Return the best allowed row under each draw, ties to the lower one; -1 where a draw has no candidate.

    ``values`` are -inf for rows without a score, shape (n_draws, n).
    """
    values = np.where(allowed, values, -np.inf)
    best, highest = values.argmax(axis=1).tolist(), values.max(axis=1).tolist()
    return [row if value > -np.inf else -1 for row, value in zip(best, highest, strict=True)]


def _propensity(row: int, best: Mapping[Kind, Sequence[int]], chance: float) -> float:
    """Return the probability of a row at a position that explores with a probability ``chance``, given each draw's
    best row."""
    ranked = best[Kind.RANKED][0]
    explored = [ranked if drawn < 0 else drawn for drawn in best[Kind.EXPLORED]]
    return chance * (explored.count(row) / len(explored)) + (1.0 - chance) * (row == ranked)


class _Wishes:
    """The rows that are still free, and how far each would exceed the caps."""

    def __init__(self, pool: Pool, policy: ListPolicy) -> None:
        self.is_free = np.ones(len(pool), dtype=bool)
        self.oversteps = np.zeros(len(pool), dtype=np.int64)
        capped = ((pool.models, policy.max_per_model), (pool.sellers, policy.max_per_seller))
        self.groups: list[tuple[Ids, int]] = [(codes, cap) for codes, cap in capped if cap]
        if pool.groups.shape[1] != len(policy.group_caps):
            raise ValueError(f"{pool.groups.shape[1]} groups need as many caps, not {len(policy.group_caps)}")
        for at, cap in enumerate(policy.group_caps):
            self.groups.append((np.where(pool.groups[:, at], 0, -1), cap))
            self.oversteps[pool.groups[:, at] & (cap == 0)] += 1  # full before the first car is placed
        self.n_placed_by_code: list[Counter[int]] = [Counter() for _ in self.groups]
        self.tastes, self.taste_shares = pool.tastes, np.array(policy.taste_shares)
        self.n_of_taste = np.zeros(len(self.taste_shares), dtype=np.int64)
        self.wishes, self.wish_shares = pool.wishes, np.array(policy.wish_shares)
        self.wish_weights = weights_of_wishes(policy.wish_shares)
        self.n_met, self.n_placed = np.zeros(len(self.wish_shares), dtype=np.int64), 0
        self.levels = np.unique(self.wish_shares[self.wish_shares >= TOGETHER_AT_LEAST])
        self.are_together = self.wish_shares >= self.levels[:, None]  # the wishes of each level, and the stronger ones
        together = [self.wishes[:, these].all(axis=1) for these in self.are_together]
        self.meets_together = np.array(together, bool).reshape(len(self.levels), len(pool))
        self.n_met_together = np.zeros(len(self.levels), dtype=np.int64)
        if self.wishes.shape[1] != len(self.wish_shares):
            raise ValueError(f"{self.wishes.shape[1]} wishes do not go with {len(self.wish_shares)} shares")
        if len(self.taste_shares) and (self.tastes >= len(self.taste_shares)).any():
            raise ValueError(f"a listing suits a taste that is none of {len(self.taste_shares)}")

    def least_overstepping(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return the rows that the wishes, then the caps, allow; and the rows that the caps alone allow.

        They are valid until the next row is added.
        """
        oversteps = self.oversteps
        if len(self.taste_shares) > 1:
            ahead = np.append(self._ahead(), False)  # the last is for listings of no particular taste
            oversteps = oversteps + ahead[np.maximum(self.tastes, -1)]
        by_caps = self._least(oversteps)
        is_behind = self._behind()
        if not is_behind.any():
            return by_caps, by_caps
        unmet = ~self.wishes[:, is_behind] @ self.wish_weights[is_behind]
        return self._least(oversteps + unmet * BEYOND_CAPS), by_caps

    def _behind(self) -> NDArray[np.bool_]:
        """Mark the wishes that the next position has to satisfy for their shares to hold.

        A share holds for each wish, and if it is large for those of at least its share in one car, as long as there are
        such cars: of answers that name three brands, estates and a budget, it is estates of these brands within it.
        """
        is_behind: NDArray[np.bool_] = self.n_met < self._due(self.wish_shares)
        for level in np.flatnonzero(self.n_met_together < self._due(self.levels)).tolist():
            if (self.meets_together[level] & self.is_free).any():
                is_behind |= self.are_together[level]
        return is_behind

    def _due(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        due: NDArray[np.float64] = shares * (self.n_placed + 1) - 1e-9
        return due

    def _least(self, oversteps: NDArray[np.int64]) -> NDArray[np.bool_]:
        free = np.where(self.is_free, oversteps, np.iinfo(np.int64).max)
        is_least: NDArray[np.bool_] = free == free.min()
        return is_least

    def _ahead(self) -> NDArray[np.bool_]:
        """Mark the interests that would have a position more than their share of the list, the next position
        included."""
        n = self.n_of_taste.sum() + 1
        is_ahead: NDArray[np.bool_] = self.n_of_taste > np.ceil(self.taste_shares * n)
        return is_ahead

    def add(self, row: int) -> None:
        self.is_free[row] = False
        self.n_placed += 1
        self.n_met += self.wishes[row]
        self.n_met_together += self.meets_together[:, row]
        if len(self.taste_shares) and self.tastes[row] >= 0:
            self.n_of_taste[self.tastes[row]] += 1
        for (codes, cap), n_placed in zip(self.groups, self.n_placed_by_code, strict=True):
            code = int(codes[row])
            if code >= 0:
                n_placed[code] += 1
                if n_placed[code] >= cap:
                    self.oversteps[codes == code] += 1  # of a cap of 0, once more with each car


def weights_of_wishes(shares: Sequence[float]) -> NDArray[np.int64]:
    """Return the weight of each wish where not all can be satisfied, whole numbers from 1, shape (n_wishes,).

    A wish that a buyer stated outweighs one that follows from it: "for the city" implies a body, and hardly any car may
    have that body and the stated brand and fuel as well.
    """
    weights: NDArray[np.int64] = np.maximum(np.rint(WISH_UNITS * np.array(shares) ** WISH_POWER), 1).astype(np.int64)
    return weights


@dataclass(frozen=True, eq=False)
class _Plan:
    """What each position of a list is reserved for; arrays of shape (n_positions,).

    Attributes:
        kinds: ``Kind.RANKED`` for positions that are not reserved.
        chances: Probability that the position explores, given those reserved for promoted and fresh listings.
    """

    kinds: list[Kind]
    chances: NDArray[np.float64]


def _planned(n: int, policy: ListPolicy, rng: np.random.Generator) -> _Plan:
    """Distribute reserved positions at random; the first position is ranked, unless every position is reserved.

    Promoted and fresh listings get a fixed number of positions; a fraction is rounded at random, with the right
    average. Each other position explores with its own probability, independently, so propensities are exact and the
    budget is right on average.
    """
    shares = np.array([policy.promoted_share, policy.fresh_share]) * n
    n_promoted, n_fresh = np.floor(shares + rng.random(2)).astype(int).tolist()
    is_all_kept = policy.exploration_share + policy.promoted_share + policy.fresh_share >= 1 - 1e-9
    first = 0 if is_all_kept else 1
    kinds = [Kind.RANKED] * n
    kept = [Kind.PROMOTED] * n_promoted + [Kind.FRESH] * n_fresh
    for position, kind in zip(rng.permutation(np.arange(first, n)), kept, strict=False):
        kinds[position] = kind
    is_left = np.array([kind == Kind.RANKED for kind in kinds], bool)
    is_left[:first] = False
    chance = min(policy.exploration_share * n / max(int(is_left.sum()), 1), 1.0)
    chances = np.where(is_left, 1.0 if is_all_kept and policy.exploration_share else chance, 0.0)
    explores = rng.random(n) < chances
    return _Plan([Kind.EXPLORED if explores[at] else kind for at, kind in enumerate(kinds)], chances)


def _scores_by_kind(pool: Pool) -> dict[Kind, NDArray[np.float64]]:
    """Return the scores for each kind of position, shape (n_draws, n); one draw except for exploration; nan: not
    eligible."""
    return {
        Kind.RANKED: pool.scores[None],
        Kind.EXPLORED: pool.draws,
        Kind.PROMOTED: np.where(pool.is_promoted, pool.scores, np.nan)[None],
        Kind.FRESH: pool.fresh_scores[None],
    }


def _scaled(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale each draw to 0 to 1 over the rows with a score in it; nan for others. Shape (n_draws, n)."""
    is_candidate = ~np.isnan(draws)
    low = draws.min(axis=1, keepdims=True, initial=np.inf, where=is_candidate)
    high = draws.max(axis=1, keepdims=True, initial=-np.inf, where=is_candidate)
    scaled: NDArray[np.float64] = (draws - low) / np.where(high > low, high - low, 1.0)
    return scaled


def _worth(relevance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace nan by -inf: rows without a score of a kind get none of its positions."""
    return np.where(np.isnan(relevance), -np.inf, relevance)


def _units(features: Reals) -> Reals:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    units: Reals = np.divide(features, lengths, out=np.zeros(features.shape, features.dtype), where=lengths > 0)
    return units


def congestion_term(n_leads: ArrayLike, free_leads: float, strength: float) -> NDArray[np.float64]:
    """Return the penalty for listings with more interested buyers than their seller can answer; <= 0, shape (n,).

    A further buyer of a car with thirty leads is unlikely to get it.

    Args:
        n_leads: Open leads of each listing, >= 0, shape (n,).
        free_leads: Number of leads without a penalty, > 0.
        strength: Score lost with each doubling beyond, >= 0.
    """
    if not (free_leads > 0 and strength >= 0):
        raise ValueError("free_leads must be positive and strength not negative")
    congestion = np.log2(np.maximum(np.asarray(n_leads, dtype=np.float64) / free_leads, 1.0))
    return 0.0 - strength * congestion


# The buyer's focus


def focus_of(utilities: ArrayLike, fields: Sequence[ArrayLike]) -> float:
    """Return how decided a buyer is on single values of the fields, from 0 (on none) to 1 (on one of each field).

    The buyer's choice probabilities over the live stock give the shares of makes, bodies and price bands that they
    would choose. Focus is the share of the stock's own entropy that these have lost, averaged over the fields: a buyer
    who chooses among makes as they occur has focus 0.

    Args:
        utilities: Of a sample of the live stock under the buyer's preference vector, finite, shape (n_listings,).
        fields: Codes of each listing by field (make, body, price band …), int, each of shape (n_listings,); negative
            codes are unknown and left out. A field with one value in the whole stock is left out.

    Returns:
        The focus; 0 when there is no stock or no field in which it varies.

    Raises:
        ValueError: If lengths disagree or a utility is not finite.
    """
    utility = np.asarray(utilities, dtype=np.float64)
    if utility.ndim != 1 or not np.isfinite(utility).all():
        raise ValueError("utilities must be finite, shape (n_listings,)")
    odds = np.exp(utility - utility.max(initial=-np.inf)) if utility.size else utility
    lost = []
    for codes in (np.asarray(field, dtype=np.int64) for field in fields):
        if codes.shape != utility.shape:
            raise ValueError(f"a field of shape {codes.shape} does not go with {utility.shape} utilities")
        is_known = codes >= 0
        of_stock = _entropy(codes[is_known], np.ones(int(is_known.sum())))
        if of_stock > 0:
            lost.append(1.0 - _entropy(codes[is_known], odds[is_known]) / of_stock)
    return float(np.clip(np.mean(lost), 0.0, 1.0)) if lost else 0.0


def price_bands(prices: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the band of each price on a fixed grid, a field for ``focus_of``; -1 where it is unknown."""
    bands = np.full(len(prices), -1)
    bands[prices > 0] = np.log(np.maximum(prices[prices > 0], 1.0)) // np.log(PRICE_BAND_STEP)
    return bands


def _entropy(codes: NDArray[np.int64], weights: NDArray[np.float64]) -> float:
    """Return the entropy of the codes, weighted by listing, in nats."""
    shares = np.bincount(codes, weights) if codes.size else np.zeros(1)
    shares = shares[shares > 0] / max(shares.sum(), np.finfo(float).tiny)
    return float(-(shares * np.log(shares)).sum())
