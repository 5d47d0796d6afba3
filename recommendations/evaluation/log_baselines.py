"""The baselines of a backtest on the log: popular, recent, similar to liked cars, and collaborative models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from recommendations.buyers.point_in_time import buyer_features_at, weights_of
from recommendations.engine.demand import SECONDS_A_DAY
from recommendations.engine.features import BuyerFeatures
from recommendations.evaluation.baselines import (
    ANY_PRICE,
    Als,
    Cosines,
    Ease,
    average_of_liked,
    budget_of,
    interest_matrix,
    newest_in_budget,
    popular,
    recently_popular,
)
from recommendations.events.rows import EventRows
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.training.held_out_case import HeldOut

Scores = Callable[[int], NDArray[np.floating]]  # position of a buyer -> scores of the candidates, (n_candidates,)


def buyer_features_in(snapshot: ListingSnapshot, earlier_data: EventRows, case: HeldOut) -> dict[int, BuyerFeatures]:
    """From as many events of each buyer as serving reads."""
    return buyer_features_at(snapshot, earlier_data, case.buyer_ids, case.cutoff, settings.EVENTS_PER_BUYER)


def baselines(snapshot: ListingSnapshot, earlier_data: EventRows, case: HeldOut, seed: int) -> dict[str, Scores]:
    """The scores of each baseline, learned from the events before the cutoff."""
    history = History.of(snapshot, earlier_data, case)
    demand = history.demand()
    vectors = snapshot.stock.vectors[case.candidate_rows]
    buyer_features = buyer_features_in(snapshot, earlier_data, case)
    buyers = case.buyer_ids.tolist()
    ever = popular(history.rows, history.weights, len(snapshot))[case.candidate_rows]
    return {
        "taste": lambda buyer: buyer_features[buyers[buyer]].utilities(vectors)[0],
        "popular": lambda buyer: ever,
        "recently popular": lambda buyer: demand,
        "newest in budget": lambda buyer: history.newest_for(buyer),
        "average of liked": lambda buyer: history.like_the_average(buyer, vectors),
        **history.collaborative(seed),
    }


@dataclass(frozen=True, eq=False)
class History:
    """Favourable events on listings before the cutoff, as the baselines need them.

    Attributes:
        snapshot, case: What is asked, where.
        rows: Row of each event's listing, shape (n_events,).
        buyer_rows: Position of its buyer among ``buyer_ids``, same shape.
        weights, age_days: Of each event.
        buyer_ids: Everybody with an event or asked about, ascending.
    """

    snapshot: ListingSnapshot
    case: HeldOut
    rows: NDArray[np.intp]
    buyer_rows: NDArray[np.intp]
    weights: NDArray[np.float64]
    age_days: NDArray[np.float64]
    buyer_ids: NDArray[np.int64]

    @classmethod
    def of(cls, snapshot: ListingSnapshot, earlier_data: EventRows, case: HeldOut) -> History:
        rows, weights = snapshot.stock.rows_of(earlier_data.listing_ids), weights_of(earlier_data)
        used = (rows >= 0) & (weights > 0)
        buyer_ids = np.union1d(earlier_data.buyer_ids[used], case.buyer_ids)
        return cls(
            snapshot,
            case,
            rows[used],
            np.searchsorted(buyer_ids, earlier_data.buyer_ids[used]),
            weights[used],
            (case.cutoff - earlier_data.occurred_at[used]) / SECONDS_A_DAY,
            buyer_ids,
        )

    def demand(self) -> NDArray[np.float64]:
        return recently_popular(self.rows, self.age_days, self.weights, len(self.snapshot))[self.case.candidate_rows]

    def liked_by(self, buyer: int) -> NDArray[np.intp]:
        """Positions of the events of a buyer asked about."""
        return np.flatnonzero(self.buyer_rows == np.searchsorted(self.buyer_ids, self.case.buyer_ids[buyer]))

    def newest_for(self, buyer: int) -> NDArray[np.float64]:
        prices, published = self.snapshot.columns.numbers("price"), self.snapshot.stock.published_at
        budget = budget_of(prices[self.rows[self.liked_by(buyer)]])
        at = self.case.candidate_rows
        return newest_in_budget(published[at], prices[at], budget)

    def like_the_average(self, buyer: int, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        liked = self.liked_by(buyer)
        return average_of_liked(vectors, self.snapshot.stock.vectors[self.rows[liked]], self.weights[liked])

    def collaborative(self, seed: int) -> dict[str, Scores]:
        """Item-kNN and ALS over listings; EASE and ALS over archetypes, of whose cars the newer ones go first."""
        candidates = self.case.candidate_rows
        asked = np.searchsorted(self.buyer_ids, self.case.buyer_ids)
        n_buyers, codes = len(self.buyer_ids), self.snapshot.archetypes
        listings = interest_matrix(self.buyer_rows, self.rows, self.weights, (n_buyers, len(self.snapshot)))
        shape = (n_buyers, int(codes.max(initial=0)) + 1)
        archetypes = interest_matrix(self.buyer_rows, codes[self.rows], self.weights, shape)
        published = self.snapshot.stock.published_at[candidates]
        newer = newest_in_budget(published, np.zeros(len(candidates)), ANY_PRICE)
        knn, ease = Cosines.fit(listings), Ease.fit(archetypes)
        by_archetype, by_listing = Als.fit(archetypes, seed=seed), Als.fit(listings, seed=seed)
        own = codes[candidates]

        def with_newer_first(scores: NDArray[np.float64]) -> NDArray[np.float64]:
            return scores[own] + 1e-9 * (np.ptp(scores) or 1.0) * newer

        return {
            "item-kNN": lambda buyer: knn.scores(listings[asked[[buyer]]])[0, candidates],
            "EASE": lambda buyer: with_newer_first(ease.scores(archetypes[asked[[buyer]]])[0]),
            "ALS": lambda buyer: with_newer_first(by_archetype.scores(asked[[buyer]])[0]),
            "ALS of listings": lambda buyer: by_listing.scores(asked[[buyer]])[0, candidates],
        }
