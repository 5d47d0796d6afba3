"""Learn from events over archetypes, by two classic models of implicit feedback.

Factors, by alternating least squares, are the collaborative part of a listing's vector; EASE scores archetypes from a
history of archetypes.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, diags_array, vstack

from recommendations.engine.archetypes import (
    EVERYTHING,
    Archetypes,
    CollaborativeConfig,
    Kinds,
    fit_archetypes_to,
    listing_kinds,
)
from recommendations.engine.arrays import Array, Codes, Floats, Integers
from recommendations.engine.implicit_feedback import (
    als_factors_in_parts,
    ease_weights_in_parts,
    presence,
    saturated,
    scaled_rows,
    strongest,
)
from recommendations.engine.parts import LocalParts, Parts
from recommendations.engine.stored import known_fields
from recommendations.engine.table import ListingTable

ARCHETYPES_AT_ONCE = 512  # of whose neighbours the strongest are looked for; with 4,000 archetypes 16 MB
ROWS_AT_ONCE = 16_384  # listings worked on together in double precision; with 128 dimensions 16 MB


@dataclass(frozen=True, eq=False)
class CollaborativeModel:
    """Factors and neighbours of archetypes. Made by ``fit_collaborative`` or ``from_arrays``.

    Attributes:
        archetypes: Which there are.
        factors: Learned from events, float64, shape (n_archetypes, n_factors), on the scale of the vectors.
        trust: Share of an archetype's factors that is learned rather than guessed, 0 to 1, shape (n_archetypes,).
        guess: Content features and a 1 -> guessed factors, shape (n_content + 1, n_factors).
        neighbours: Interest in one archetype (row) -> score of another (column), sparse.
    """

    archetypes: Archetypes
    factors: Floats
    trust: Floats
    guess: Floats
    neighbours: csr_array

    @property
    def n_factors(self) -> int:
        return int(self.factors.shape[1])

    def listing_factors(self, table: ListingTable, content: NDArray[np.floating]) -> NDArray[np.float32]:
        """The collaborative part of the vectors of listings, float32, shape (n, n_factors), always finite.

        Half learned and half guessed where ``config.support`` buyers know the archetype, all guessed where none does.
        Cars of one archetype differ by the guess alone. All zeros when there were no events to learn from.

        Args:
            table: Listings.
            content: Their content features, shape (n, n_content), from the encoder the model was fitted with.

        Raises:
            ValueError: If the content is not of that shape.
        """
        if content.shape != (len(table), len(self.guess) - 1):
            raise ValueError(f"content must be of shape {(len(table), len(self.guess) - 1)}, not {content.shape}")
        return self.factors_of(self.archetypes.assign(table), content)

    def factors_of(self, codes: Codes, content: NDArray[np.floating]) -> NDArray[np.float32]:
        """``listing_factors`` of listings whose archetypes are known already."""
        factors = np.empty((len(codes), self.n_factors), np.float32)
        for rows in _some_at_once(len(codes)):
            factors[rows] = _blended(self.trust, self.factors, self.guess, codes[rows], content[rows])
        return factors

    def neighbour_scores(self, history_codes: ArrayLike, history_weights: ArrayLike) -> NDArray[np.float32]:
        """Scores of all archetypes for a buyer with this history; higher is better, 0 is neutral.

        Args:
            history_codes: Archetypes of what the buyer did something about, shape (n,), repeated as they come.
            history_weights: Strength of each after decay, shape (n,); negative for dislikes.

        Returns:
            float32, shape (n_archetypes,); zeros for an empty history.

        Raises:
            ValueError: If codes and weights differ in length, a code is no archetype, or a weight is not finite.
        """
        codes, weights = np.asarray(history_codes, np.int64), np.asarray(history_weights, np.float64)
        if codes.shape != weights.shape or codes.ndim != 1:
            raise ValueError(f"{codes.shape} codes do not go with {weights.shape} weights")
        if not np.isfinite(weights).all():
            raise ValueError("a weight of the history is not finite")
        if len(codes) and not 0 <= codes.min() <= codes.max() < len(self.archetypes):
            raise ValueError(f"history holds a code that is none of {len(self.archetypes)} archetypes")
        known, rows = np.unique(codes, return_inverse=True)
        history = np.bincount(rows, weights, minlength=len(known)).astype(np.float64)
        scores: NDArray[np.float32] = (saturated(history) @ self.neighbours[known]).astype(np.float32)
        return scores

    def to_arrays(self) -> dict[str, Array]:
        """Everything, as arrays that ``np.savez`` stores without pickle."""
        return {
            "archetypes": np.frombuffer(json.dumps(asdict(self.archetypes)).encode(), np.uint8),
            "factors": self.factors,
            "trust": self.trust,
            "guess": self.guess,
            "neighbours.weights": self.neighbours.data,
            "neighbours.columns": self.neighbours.indices,
            "neighbours.ends": self.neighbours.indptr,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> CollaborativeModel:
        """The reverse of ``to_arrays``; options that are unknown are ignored."""
        spec = known_fields(Archetypes, json.loads(arrays["archetypes"].tobytes()))
        archetypes = Archetypes(tuple(map(tuple, spec.pop("keys"))), **spec)
        sparse = tuple(arrays[f"neighbours.{part}"] for part in ("weights", "columns", "ends"))
        neighbours = csr_array(sparse, shape=(len(archetypes), len(archetypes)))
        return cls(archetypes, arrays["factors"], arrays["trust"], arrays["guess"], neighbours)


def fit_collaborative(
    table: ListingTable,
    content: NDArray[np.floating],
    buyer_rows: ArrayLike,
    listing_rows: ArrayLike,
    weights: ArrayLike,
    n_buyers: int,
    config: CollaborativeConfig | None = None,
) -> CollaborativeModel:
    """Learn archetypes, their factors and their neighbours from a catalogue and what buyers did with it.

    Args:
        table: Every listing events may be about, sold ones included.
        content: Their content features, shape (n_listings, n_content).
        buyer_rows, listing_rows: Who did something about what, positions, shape (n_events,) each.
        weights: Strength of each event after decay, shape (n_events,); negative for dislikes. No events are fine.
        n_buyers: More than any buyer row.
        config: The defaults when None.

    Returns:
        The same model for the same arguments, up to the rounding of the linear algebra.

    Raises:
        ValueError: If the event arrays differ in length, point outside, or hold a weight that is not finite.
    """
    buyers, listings = np.asarray(buyer_rows, np.int64), np.asarray(listing_rows, np.int64)
    strengths = np.asarray(weights, np.float64)
    _check_events(buyers, listings, strengths, n_buyers, len(table), len(content))
    feedback = LocalParts([Feedback(buyers, listings, strengths, n_buyers)])
    return fit_collaborative_in_parts(table, content, feedback, config)


@dataclass(frozen=True, eq=False)
class Feedback:
    """Events of some buyers: arrays of length n_events, like the arguments of ``fit_collaborative``."""

    buyer_rows: NDArray[np.int64]
    listing_rows: NDArray[np.int64]
    weights: Floats
    n_buyers: int


def fit_collaborative_in_parts(
    table: ListingTable,
    content: NDArray[np.floating],
    feedback: Parts[Feedback],
    config: CollaborativeConfig | None = None,
) -> CollaborativeModel:
    """``fit_collaborative`` of buyers in partitions: what each says of listings and archetypes is added up.

    Args:
        feedback: Of the buyers of each partition, who are in no other; their rows count from 0 in each.
    """
    config = config or CollaborativeConfig()
    by_listing: Floats = feedback.total_of(_strength_of_listings, operator.add, len(table))
    kinds = listing_kinds(table, config.generation_years, config.price_step)
    archetypes = fit_archetypes_to(kinds, config, by_listing)
    codes = archetypes.assign_kinds(kinds)
    there = feedback.share(codes)
    cells = feedback.map(_cells_of, there, len(archetypes))
    factors, trust, guess = _fit_factors(cells, codes, len(archetypes), content, config)
    repeated, known = feedback.total_of(_repeated_and_known, operator.add, there, len(archetypes))
    repeat_rates = repeated / (known + config.support)
    spread = _spread(kinds, archetypes, by_listing)
    neighbours = _fit_neighbours(cells, repeat_rates, spread, config)
    return CollaborativeModel(archetypes, factors, trust, guess, neighbours)


def _strength_of_listings(feedback: Feedback, n_listings: int) -> Floats:
    return np.bincount(feedback.listing_rows, np.abs(feedback.weights), minlength=n_listings).astype(np.float64)


def _cells_of(feedback: Feedback, codes: Codes, n_archetypes: int) -> csr_array:
    """Buyers by archetypes; what repeats is added up."""
    rows, columns = feedback.buyer_rows, codes[feedback.listing_rows]
    cells = csr_array((feedback.weights, (rows, columns)), shape=(feedback.n_buyers, n_archetypes))
    cells.eliminate_zeros()
    return cells


def _n_buyers_of(cells: csr_array) -> NDArray[np.int64]:
    """How many buyers each archetype has."""
    counts: NDArray[np.int64] = np.bincount(cells.indices, minlength=cells.shape[1]).astype(np.int64)
    return counts


def _check_events(
    buyers: Integers, listings: Integers, weights: Floats, n_buyers: int, n_listings: int, n_content: int
) -> None:
    if not buyers.shape == listings.shape == weights.shape or buyers.ndim != 1:
        raise ValueError(f"{buyers.shape} buyers, {listings.shape} listings and {weights.shape} weights do not match")
    if n_content != n_listings:
        raise ValueError(f"content of {n_content} listings does not go with {n_listings} listings")
    for name, rows, n in (("buyer", buyers, n_buyers), ("listing", listings, n_listings)):
        if len(rows) and not 0 <= rows.min() <= rows.max() < n:
            raise ValueError(f"{name}_rows points outside the {n} there are")
    if not np.isfinite(weights).all():
        raise ValueError("an event's weight is not finite")


def _fit_factors(
    cells: Parts[csr_array],
    codes: Codes,
    n_archetypes: int,
    content: NDArray[np.floating],
    config: CollaborativeConfig,
) -> tuple[Floats, Floats, Floats]:
    """Factors, trust and guess of ``CollaborativeModel``, centred and scaled to go beside the content features."""
    n_buyers_of: NDArray[np.int64] = cells.total_of(_n_buyers_of, operator.add)
    n_pairs = int(n_buyers_of.sum())
    if not len(content) or not n_pairs:
        nothing = np.zeros((n_archetypes, config.n_factors))
        return nothing, np.zeros(n_archetypes), np.zeros((content.shape[1] + 1, config.n_factors))
    _, learned = als_factors_in_parts(
        cells, config.n_factors, config.n_iterations, config.confidence, config.regularisation, config.seed
    )
    trust = n_buyers_of / (n_buyers_of + config.support)
    guess = _ridge(_mean_rows(content, codes, n_archetypes), learned, n_buyers_of.astype(np.float64), config.support)
    blended = [
        partial(_blended, trust, learned, guess, codes[rows], content[rows]) for rows in _some_at_once(len(codes))
    ]
    middle = sum((block().sum(axis=0) for block in blended), np.zeros(config.n_factors)) / len(codes)
    centred = (block() - middle for block in blended)
    spread = sum((block.T @ block for block in centred), np.zeros((config.n_factors,) * 2)) / len(codes)
    rotation = _rotation(spread, _typical_length(content), n_pairs, config)
    guess[-1] -= middle
    return (learned - middle) @ rotation, trust, guess @ rotation


def _some_at_once(n: int, at_once: int = ROWS_AT_ONCE) -> list[slice]:
    """All of n rows, some at a time: in double precision all listings would take more memory than they do elsewhere."""
    return [slice(start, start + at_once) for start in range(0, n, at_once)]


def _blended(trust: Floats, factors: Floats, guess: Floats, codes: Codes, content: NDArray[np.floating]) -> Floats:
    """Factors of listings: those of their archetype as far as these are trusted, else guessed; (n, n_factors)."""
    trusted = trust[codes][:, None]
    blended: Floats = trusted * factors[codes]
    blended += (1 - trusted) * (content.astype(np.float64) @ guess[:-1] + guess[-1])
    return blended


def _typical_length(content: NDArray[np.floating]) -> float:
    """Root of the mean squared length of the rows."""
    squares = (float(np.square(content[rows], dtype=np.float64).sum()) for rows in _some_at_once(len(content)))
    return math.sqrt(sum(squares) / len(content))


def _mean_rows(rows: NDArray[np.floating], codes: Codes, n_codes: int) -> Floats:
    """Mean of the rows of each code; zeros for a code without rows."""
    sums, counts = np.zeros((n_codes, rows.shape[1])), np.bincount(codes, minlength=n_codes)
    for some in _some_at_once(len(codes)):
        n = len(codes[some])
        membership = csr_array((np.ones(n), (codes[some], np.arange(n))), shape=(n_codes, n))
        sums += membership @ rows[some].astype(np.float64)
    means: Floats = sums / np.maximum(counts, 1)[:, None]
    return means


def _ridge(inputs: Floats, outputs: Floats, weights: Floats, regularisation: float) -> Floats:
    """Weighted ridge regression with a free intercept; coefficients, the intercept last."""
    with_one = np.column_stack([inputs, np.ones(len(inputs))])
    penalty = np.diag([*np.full(inputs.shape[1], regularisation), 1e-9])
    coefficients: Floats = scipy.linalg.solve(
        with_one.T @ (weights[:, None] * with_one) + penalty, with_one.T @ (weights[:, None] * outputs)
    )
    return coefficients


def _rotation(spread: Floats, content_norm: float, n_pairs: int, config: CollaborativeConfig) -> Floats:
    """Turns factors to their main axes, which makes them comparable between fits, and gives them their length.

    ``spread`` is their covariance over the listings, shape (n_factors, n_factors).
    """
    variances, axes = scipy.linalg.eigh(spread)
    total = np.maximum(variances, 0).sum()
    if total < 1e-12:
        return np.zeros_like(axes)
    axes = axes[:, ::-1]
    axes *= np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0))
    believed = n_pairs / (n_pairs + config.trusted_pairs)
    rotation: Floats = axes * (config.relative_norm * (content_norm or 1.0) * np.sqrt(believed / total))
    return rotation


def _fit_neighbours(
    cells: Parts[csr_array], repeat_rates: Floats, spread: csr_array, config: CollaborativeConfig
) -> csr_array:
    """EASE over the archetypes that have events, on a diagonal of its own, spread over the coarse ones.

    EASE puts zeros on its diagonal, as a thing is not bought twice. An archetype is not a thing: a buyer who
    has opened one Octavia opens the next, at the rate that the events show.
    """
    weights = np.zeros((len(repeat_rates), len(repeat_rates)))
    active = np.flatnonzero(cells.total_of(_n_buyers_of, operator.add))
    if len(active):
        interest = cells.map(_interest_in, active)
        weights[np.ix_(active, active)] = ease_weights_in_parts(interest, config.ease_regularisation)
    np.fill_diagonal(weights, repeat_rates)
    weights = spread @ weights
    spread_rows = ((spread @ weights[rows].T).T for rows in _some_at_once(len(weights), ARCHETYPES_AT_ONCE))
    return vstack([strongest(rows, config.n_neighbours) for rows in spread_rows], format="csr")


def _interest_in(cells: csr_array, archetypes: Integers) -> csr_array:
    return presence(cells)[:, archetypes]


def _repeated_and_known(feedback: Feedback, codes: Codes, n_archetypes: int) -> NDArray[np.int64]:
    """How many buyers liked several listings of each archetype, and how many liked any; shape (2, n_archetypes)."""
    liked, shape = feedback.weights > 0, (feedback.n_buyers, n_archetypes)
    cells = feedback.weights[liked], (feedback.buyer_rows[liked], feedback.listing_rows[liked])
    pairs = csr_array(cells, shape=(feedback.n_buyers, len(codes)))  # each once
    by_archetype = csr_array((np.ones(pairs.nnz), codes[pairs.indices], pairs.indptr), shape=shape)
    by_archetype.sum_duplicates()
    n_listings = by_archetype.tocsc()
    n_buyers = np.diff(n_listings.indptr)
    repeated = np.add.reduceat(np.append(n_listings.data > 1, False), n_listings.indptr[:-1]) * (n_buyers > 0)
    return np.stack([repeated, n_buyers]).astype(np.int64)


def _spread(kinds: Kinds, archetypes: Archetypes, events_by_listing: Floats) -> csr_array:
    """What each archetype stands for: itself, or, a coarse one, the finer ones that took its listings; (n, n).

    A car of a new model belongs to "skoda estates at 12,000", which few events are about, as all known estates have
    archetypes of their own. Its neighbours are those of theirs, by how many events each has. Rows sum to one.
    """
    n = len(archetypes)
    wholes, parts, events = [], [], []
    for keys, weight in zip(kinds.keys, kinds.totals(events_by_listing), strict=True):
        if weight:
            for whole in archetypes.codes_of({*keys[1:], EVERYTHING}):
                wholes.append(whole)
                parts.append(archetypes.codes_of((*keys, EVERYTHING))[0])
                events.append(weight)
    coarse = csr_array((np.array(events, float), (wholes, parts)), shape=(n, n))
    alone = np.diff(coarse.indptr) == 0
    return (scaled_rows(coarse) + diags_array(alone.astype(float))).tocsr()
