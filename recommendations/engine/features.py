"""The inputs of the score as arrays: the listings, the market at one time, and the buyer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recommendations.engine.arrays import Reals
from recommendations.engine.arrivals import draw_rates, group_rates, log_rate_ratio
from recommendations.engine.collaborative import CollaborativeModel
from recommendations.engine.columns import Columns
from recommendations.engine.demand import DEMAND_HALF_LIFE_DAYS, average_rate, days_since, effective_days


@dataclass(frozen=True, eq=False)
class ListingFeatures(Columns):
    """Listings as the score reads them: one row each, all of length n.

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


@dataclass(frozen=True, eq=False)
class Market:
    """The listings at one time and the demand for each. Made by ``Market.at``.

    Attributes:
        listing_features: The listings.
        as_of: Epoch seconds.
        demand_counts: Decayed events on each row before ``as_of``, shape (n,).
        average: Decayed events per effective day, over the listings that were live.
    """

    listing_features: ListingFeatures
    as_of: float
    demand_counts: NDArray[np.float64]
    average: float

    @classmethod
    def at(cls, listing_features: ListingFeatures, as_of: float, demand_counts: ArrayLike) -> Market:
        """Return the market at a time in epoch seconds; ``demand_counts`` as from the function of that name, shape
        (n,).

        Raises:
            ValueError: If the counts are not one for each row.
        """
        counts = np.asarray(demand_counts, dtype=np.float64)
        if counts.shape != (len(listing_features),):
            raise ValueError(f"{counts.shape} demand counts do not go with {len(listing_features)} listings")
        is_live = (listing_features.published_at <= as_of) & (listing_features.ended_at > as_of)
        exposure = effective_days(days_since(listing_features.published_at[is_live], as_of), DEMAND_HALF_LIFE_DAYS)
        return cls(listing_features, as_of, counts, average_rate(counts[is_live], exposure))

    def listed_days(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Days since each of the rows was published, shape (n_rows,); nan where it never was."""
        return days_since(self.listing_features.published_at[rows], self.as_of)

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
        """Draw the demand of each row relative to the average listing, log of a ratio, shape (n_rows,).

        ``uniforms`` are random numbers, as for ``arrivals.draw_rates``, shape (n_rows,).
        """
        prior = self.rates_by_archetype[self.listing_features.archetypes[rows]]
        rates = draw_rates(self.demand_counts[rows], self.exposure(rows), prior, uniforms)
        return log_rate_ratio(rates, self.average)


def empty_history() -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    return np.empty(0, np.int32), np.empty(0)


@dataclass(frozen=True, eq=False)
class BuyerFeatures:
    """The buyer as the score reads them.

    Attributes:
        weights: Preference vectors, shape (n_interests, n_dims): one, or several for a buyer with several interests.
        offsets: Added to the utility under each interest, shape (n_interests,); left out: none. They make utilities
            under different interests comparable (see ``interests``).
        history: Archetype codes of the cars they acted on lately, and the strengths, newest first, of one length.
        location: Latitude and longitude, where known.
        is_personal: False for a cold buyer, whose score weighs the terms differently.
        n_cars: Number of cars they acted on lately, at most as many as ``history`` is read from.
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

    def neighbour_scores(self, collaborative: CollaborativeModel) -> NDArray[np.float32]:
        """Return ``collaborative.neighbour_scores`` of the history, shape (n_archetypes,); computed once."""
        known: tuple[CollaborativeModel, NDArray[np.float32]] | None = self.__dict__.get("_neighbours")
        if known is None or known[0] is not collaborative:
            known = collaborative, collaborative.neighbour_scores(*self.history)
            self.__dict__["_neighbours"] = known
        return known[1]

    def utilities(self, vectors: Reals) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Return each listing's utility under the interest that likes it best, and which interest that is; both of
        shape (n,)."""
        by_taste = np.asarray(vectors, dtype=np.float64) @ self.weights.T + self.offsets
        best = by_taste.argmax(axis=1)
        return by_taste[np.arange(len(by_taste)), best], best
