"""The terms of the score as numbers: any listings, at any moment, for one buyer.

A list served now, an evaluation of the past and the learning of the weights ask here, so they rank by one arithmetic::

    market = Market.at(listing_features, as_of, counts)  # counts as from ``demand_counts``
    buyer = BuyerFeatures(weights=mean[None], history=(codes, strengths), location=(51.5, -0.1))
    scored = score_rows(ranker, market, buyer, rows)     # scores, and what each term adds to them

Rows are positions in ``ListingFeatures``. Nothing here knows what may be shown: that is settled before.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recommendations.engine.arrays import Reals
from recommendations.engine.arrivals import draw_rates, group_rates, log_rate_ratio
from recommendations.engine.ranker import Ranker
from recommendations.engine.score_terms import (
    DEMAND_HALF_LIFE_DAYS,
    SCORE_TERMS,
    UTILITY,
    average_rate,
    effective_days,
)
from recommendations.engine.scoring import LinearScore

SECONDS_A_DAY = 86_400.0
DEMAND_LOOKBACK_DAYS = 14.0  # what is older counts less than a twentieth, and is not read

Terms = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class ListingFeatures:
    """What the terms need to know of each listing, for any buyer: one row each, all of length n.

    Attributes:
        vectors: In the space of the ranker, float32 or float64, shape (n, n_dims).
        archetypes: Codes, int, shape (n,).
        published_at, ended_at: Epoch seconds, shape (n,); nan where never published, inf while it lasts.
        deals: As from ``CarPrices.deals``, shape (n,); nan where unknown.
        latitude, longitude: Degrees, shape (n,); nan where unknown.
    """

    vectors: Reals
    archetypes: NDArray[np.integer]
    published_at: NDArray[np.float64]
    ended_at: NDArray[np.float64]
    deals: NDArray[np.float64]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, rows: NDArray[np.intp]) -> ListingFeatures:
        """The listings at these positions, in that order."""
        return ListingFeatures(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True, eq=False)
class Market:
    """The listings at one moment, and how much each is asked about. Made by ``Market.at``.

    Attributes:
        listing_features: The listings.
        as_of: Epoch seconds.
        demand_counts: Decayed events on each row before the moment, shape (n,).
        average: Of the listings that were live: decayed events per effective day.
    """

    listing_features: ListingFeatures
    as_of: float
    demand_counts: NDArray[np.float64]
    average: float

    @classmethod
    def at(cls, listing_features: ListingFeatures, as_of: float, demand_counts: ArrayLike) -> Market:
        """The market at a moment, in epoch seconds; ``demand_counts`` as from the function of that name, shape (n,).

        Raises:
            ValueError: If the counts are not one for each row.
        """
        counts = np.asarray(demand_counts, dtype=np.float64)
        if counts.shape != (len(listing_features),):
            raise ValueError(f"{counts.shape} demand counts do not go with {len(listing_features)} listings")
        is_live = (listing_features.published_at <= as_of) & (listing_features.ended_at > as_of)
        exposure = effective_days(_days(as_of, listing_features.published_at[is_live]), DEMAND_HALF_LIFE_DAYS)
        return cls(listing_features, as_of, counts, average_rate(counts[is_live], exposure))

    def listed_days(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Days since each of the rows was published, shape (n_rows,); nan where it never was."""
        return _days(self.as_of, self.listing_features.published_at[rows])

    def exposure(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Effective days that each of the rows has been on sale, shape (n_rows,)."""
        return effective_days(self.listed_days(rows), DEMAND_HALF_LIFE_DAYS)

    @cached_property
    def rates_by_archetype(self) -> NDArray[np.float64]:
        """Demand per effective day of the live listings of each archetype, shape (the highest code + 1,)."""
        live = np.flatnonzero(
            (self.listing_features.published_at <= self.as_of) & (self.listing_features.ended_at > self.as_of)
        )
        codes = self.listing_features.archetypes
        n_codes = int(codes.max(initial=-1)) + 1
        return group_rates(self.demand_counts[live], self.exposure(live), codes[live], n_codes)

    def draw_log_rates(self, rows: NDArray[np.intp], uniforms: ArrayLike) -> NDArray[np.float64]:
        """How much more than the average listing each row may be asked about, one draw; log of a ratio.

        ``uniforms`` are the chances, as for ``arrivals.draw_rates``, shape (n_rows,).
        """
        prior = self.rates_by_archetype[self.listing_features.archetypes[rows]]
        rates = draw_rates(self.demand_counts[rows], self.exposure(rows), prior, uniforms)
        return log_rate_ratio(rates, self.average)

    def terms(self, rows: NDArray[np.intp]) -> Terms:
        """The terms of some rows that are the same for every buyer, each of shape (n_rows,)."""
        return {term.name: term.of_market(self, rows) for term in SCORE_TERMS if term.of_market}


def demand_counts(
    listing_rows: ArrayLike,
    occurred_at: ArrayLike,
    weights: ArrayLike,
    as_of: float,
    n_rows: int,
    buyer_ids: ArrayLike,
) -> NDArray[np.float64]:
    """How many buyers asked about each listing before a moment: decayed and weighted, shape (n_rows,).

    A buyer counts once for each listing, by the strongest event after decay.

    Args:
        listing_rows: Row of each event, int, shape (n_events,); below 0, a listing that is not among the rows.
        occurred_at: Epoch seconds, shape (n_events,). Events of the moment or later do not count, nor those more than
            ``DEMAND_LOOKBACK_DAYS`` older.
        weights: Of the event's kind, shape (n_events,); only favourable ones (> 0) are demand.
        as_of: Epoch seconds.
        n_rows: Length of the answer.
        buyer_ids: Whose event each is, shape (n_events,).
    """
    rows, happened = np.asarray(listing_rows, dtype=np.intp), np.asarray(occurred_at, dtype=np.float64)
    strengths = np.broadcast_to(np.asarray(weights, dtype=np.float64), rows.shape)
    age = _days(as_of, happened)
    counted = (rows >= 0) & (strengths > 0) & (age > 0) & (age <= DEMAND_LOOKBACK_DAYS)
    decayed = strengths[counted] * np.exp2(-age[counted] / DEMAND_HALF_LIFE_DAYS)
    buyers, rows = np.broadcast_to(np.asarray(buyer_ids), counted.shape)[counted], rows[counted]
    order = np.lexsort((-decayed, rows, buyers))
    is_first = np.ones(len(order), bool)
    is_first[1:] = (rows[order][1:] != rows[order][:-1]) | (buyers[order][1:] != buyers[order][:-1])
    strongest = order[is_first]
    return np.bincount(rows[strongest], decayed[strongest], minlength=n_rows).astype(np.float64)


def empty_history() -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    return np.empty(0, np.int32), np.empty(0)


@dataclass(frozen=True, eq=False)
class BuyerFeatures:
    """The asking buyer, as far as the score reads them.

    Attributes:
        weights: Preference vectors, shape (n_tastes, n_dims): one, or several for a household.
        offsets: Added to the utility under each taste, shape (n_tastes,); left out: none. They make utilities under
            different tastes comparable (see ``interests``).
        history: Archetype codes of what they dealt with lately, and how strongly, newest first, same length.
        location: Latitude and longitude, where known.
        is_personal: False for a cold buyer, whose score weighs the terms differently.
        n_cars: How many cars they dealt with lately, at most as many as ``history`` is read from.
    """

    weights: NDArray[np.float64]
    offsets: NDArray[np.float64] = None  # type: ignore[assignment]
    history: tuple[NDArray[np.integer], NDArray[np.float64]] = field(default_factory=empty_history)
    location: tuple[float, float] | None = None
    is_personal: bool = True
    n_cars: int = 0

    def __post_init__(self) -> None:
        weights = np.atleast_2d(np.asarray(self.weights, dtype=np.float64))
        offsets = np.zeros(len(weights)) if self.offsets is None else np.asarray(self.offsets, dtype=np.float64)
        if offsets.shape != (len(weights),):
            raise ValueError(f"{offsets.shape} offsets do not go with {len(weights)} tastes")
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "offsets", offsets)

    def neighbour_scores(self, ranker: Ranker) -> NDArray[np.float32]:
        """Scores of all archetypes by the history (``CollaborativeModel.neighbour_scores``), worked out once."""
        known: tuple[Ranker, NDArray[np.float32]] | None = self.__dict__.get("_neighbours")
        if known is None or known[0] is not ranker:
            known = ranker, ranker.collaborative.neighbour_scores(*self.history)
            self.__dict__["_neighbours"] = known
        return known[1]

    def utilities(self, vectors: Reals) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Utility of listings under the taste that likes each best, and which taste that is; both of shape (n,)."""
        by_taste = np.asarray(vectors, dtype=np.float64) @ self.weights.T + self.offsets
        best = by_taste.argmax(axis=1)
        return by_taste[np.arange(len(by_taste)), best], best


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of listings, and what they are made of; all of length n.

    Attributes:
        scores: Higher is better: log odds against an average listing, up to a constant of the buyer.
        parts: What each term adds, shape (n, n_terms), in the order of ``names``; a row adds up to the score.
        names: Of the terms.
        tastes: Which taste of the household the utility is that of, int.
    """

    scores: NDArray[np.float64]
    parts: NDArray[np.float64]
    names: tuple[str, ...]
    tastes: NDArray[np.intp]

    def plus(self, name: str, values: NDArray[np.float64]) -> Scored:
        """The same with one more term, shape (n,), added to every score."""
        return replace(
            self,
            scores=self.scores + values,
            parts=np.column_stack([self.parts, values]),
            names=(*self.names, name),
        )


def buyer_terms(
    ranker: Ranker, listing_features: ListingFeatures, buyer_features: BuyerFeatures, rows: NDArray[np.intp]
) -> Terms:
    """The terms of some rows that differ from buyer to buyer, but for the utility; each of shape (n_rows,)."""
    return {
        term.name: term.of_buyer(ranker, listing_features, buyer_features, rows)
        for term in SCORE_TERMS
        if term.of_buyer
    }


def score_rows(
    ranker: Ranker, market: Market, buyer_features: BuyerFeatures, rows: ArrayLike, score: LinearScore | None = None
) -> Scored:
    """Score some rows for a buyer at the market's moment.

    Args:
        ranker: Whose space the listings are in.
        market: The listings and their demand at the moment.
        buyer_features: The buyer.
        rows: Rows of the listings, int, shape (n_rows,).
        score: Other weights than the ranker's own, e.g. with a placement's boosts.
    """
    at = np.asarray(rows, dtype=np.intp)
    used = score or ranker.score_for(is_personal=buyer_features.is_personal)
    utilities, tastes = buyer_features.utilities(market.listing_features.vectors[at])
    terms = {UTILITY: utilities, **buyer_terms(ranker, market.listing_features, buyer_features, at), **market.terms(at)}
    parts = used.breakdown(terms, buyer_features.n_cars)
    return Scored(parts.sum(axis=1), parts, used.names, tastes)


def _days(as_of: float, since: NDArray[np.float64]) -> NDArray[np.float64]:
    return (as_of - since) / SECONDS_A_DAY
