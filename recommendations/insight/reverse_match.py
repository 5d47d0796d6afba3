"""Which buyers a car suits best: its rank among all cars for sale, for each of the buyers who were active last.

The work is limited: some hundred buyers, by their stored preferences, against a sample of the stock. The score has the
terms utility, demand, freshness and deal; it lacks those that need a query for each buyer (archetypes of the history,
distance).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from accounts.models import Buyer
from catalog.models import Listing
from recommendations.buyers.exclusions import buyers_closed_to
from recommendations.buyers.posteriors import stored_interests
from recommendations.engine.features import Market
from recommendations.engine.score_terms import UTILITY
from recommendations.engine.terms import market_terms
from recommendations.listings.index import ListingIndex, borrow_index
from recommendations.listings.market_statistics import current_market_statistics
from recommendations.models import Interaction, Preference
from recommendations.serving.encodings import encodings_of
from recommendations.serving.explanations import listing_features_of

BUYERS = 300
EVENTS_READ = 5_000  # newest events, in which the buyers are looked for
SAMPLED_CARS = 5_000
FIRST = np.zeros(1, np.intp)  # the only row
BANDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)  # shares of the stock


@dataclass(frozen=True)
class Match:
    """The car for one buyer.

    Attributes:
        buyer: The buyer.
        share_better: Share of the cars for sale that suit them better, 0 to 1.
        rank: Estimated rank of the car among all cars for sale; 1 is the top.
        score: Score of the car for the buyer.
        last_event_at: Time of their newest event.
        did: Name of their strongest event on this car; "" for none.
    """

    buyer: Buyer
    share_better: float
    rank: int
    score: float
    last_event_at: datetime
    did: str

    @property
    def share_better_text(self) -> str:
        return f"{self.share_better:.1%}"


@dataclass(frozen=True)
class ReverseMatch:
    """The matches, best first, and the number of cars they were compared with."""

    matches: tuple[Match, ...]
    n_cars: int
    is_sampled: bool

    def bands(self) -> list[tuple[str, int]]:
        """Count the buyers for whom the car is in the best 1 %, between 1 % and 5 %, and so on."""
        shares = np.array([match.share_better for match in self.matches])
        edges = (-1.0, *BANDS)
        return [
            (f"{low:.0%}–{high:.0%}" if low > 0 else f"top {high:.0%}", int(((shares > low) & (shares <= high)).sum()))
            for low, high in zip(edges, BANDS, strict=False)
        ]


def matching_buyers(listing: Listing) -> ReverseMatch | None:
    """Find the buyers a car suits best; None without a live ranker or without any buyer with a preference."""
    active = active_buyers(BUYERS)
    with borrow_index() as listing_index:
        if listing_index is None:
            return None
        preferences = list(
            Preference.objects.filter(
                version_id=listing_index.version_id, buyer__in=active, buyer__is_personalised=True
            )
            .select_related("buyer__user")
            .defer("covariance")
        )
        if not preferences:
            return None
        sample = listing_index.live_sample(SAMPLED_CARS)
        stock, own = scores_of(listing_index, listing, preferences, sample)
        n_live = int(listing_index.column("is_live").sum())
    better = (stock > own[None]).mean(axis=0) if len(sample) else np.zeros(len(own))
    did = strongest_events(listing, [preference.buyer_id for preference in preferences])
    found = [
        Match(
            buyer=preference.buyer,
            share_better=float(share),
            rank=round(float(share) * n_live) + 1,
            score=float(score),
            last_event_at=active[preference.buyer_id],
            did=did.get(preference.buyer_id, ""),
        )
        for preference, share, score in zip(preferences, better, own, strict=True)
    ]
    return ReverseMatch(
        matches=tuple(sorted(found, key=lambda match: (match.share_better, -match.score))),
        n_cars=n_live,
        is_sampled=len(sample) < n_live,
    )


def active_buyers(n: int) -> dict[int, datetime]:
    """Return the buyers with the newest events, and the time of each one's newest."""
    newest = (
        Interaction.objects.of_people().order_by("-received_at").values_list("buyer_id", "occurred_at")[:EVENTS_READ]
    )
    last: dict[int, datetime] = {}
    for buyer_id, as_of in newest:
        if buyer_id in last:
            last[buyer_id] = max(last[buyer_id], as_of)
        elif len(last) < n:
            last[buyer_id] = as_of
    return last


def scores_of(
    listing_index: ListingIndex, listing: Listing, preferences: Sequence[Preference], sample: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scores of the sampled cars, shape (n_cars, n_buyers), and of the listing, shape (n_buyers,)."""
    ranker, market_statistics = listing_index.ranker, current_market_statistics()
    score = ranker.score_for(is_personal=True).without_curves()  # the curves depend on the buyer
    none, one = score.breakdown({UTILITY: [0.0, 1.0]}).sum(axis=1)
    market = listing_index.market(market_statistics.as_of, market_statistics.demand)
    listing_features = listing_features_of([listing], encodings_of([listing], ranker))
    own_demand = np.array([market_statistics.demand.get(listing.pk, 0.0)])
    own_market = Market(listing_features, market_statistics.as_of, own_demand, market.average)
    of_market = [
        score.breakdown(market_terms(some, rows)).sum(axis=1) for some, rows in ((market, sample), (own_market, FIRST))
    ]
    vectors = np.concatenate([listing_index.stock.vectors[sample], listing_features.vectors])
    utilities = np.column_stack([utility_of(preference, vectors) for preference in preferences])
    scores = (one - none) * utilities + np.concatenate(of_market)[:, None]
    return scores[:-1], scores[-1]


def utility_of(preference: Preference, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each car's utility under the interest that likes it best, shape (n_cars,)."""
    interests = stored_interests(preference).interests
    if not interests:
        return vectors @ np.asarray(preference.mean, np.float32)
    of_tastes = [
        vectors @ interest.taste.mean.astype(np.float32) + np.float32(interest.offset) for interest in interests
    ]
    best: NDArray[np.float32] = np.max(of_tastes, axis=0)
    return best


def strongest_events(listing: Listing, buyer_ids: Sequence[int]) -> dict[int, str]:
    """Return the name of the strongest event that each of the buyers has on a car."""
    events = Interaction.objects.filter(listing=listing, buyer__in=buyer_ids).order_by("kind__weight")
    return dict(events.values_list("buyer_id", "kind__name"))  # the strongest comes last and replaces the others


def without_exclusions(listing: Listing, matches: Sequence[Match]) -> list[Match]:
    """Leave out buyers who cannot get the car in a list: who hid it, sell it, or blocked its seller."""
    closed = buyers_closed_to(listing, [match.buyer.pk for match in matches])
    return [match for match in matches if match.buyer.pk not in closed]
