"""Who would want this car: where it stands among all cars for sale, for each of the buyers who were active last.

Bounded work: some hundreds of buyers, by their stored preferences, against the stock or an even sample of it. The score
is that of lists without what it costs a query per buyer to know (archetypes of the history, distance): utility, demand,
freshness and deal.
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
from recommendations.engine.score_terms import UTILITY
from recommendations.engine.terms import Market
from recommendations.listings.index import ListingIndex, borrow_index
from recommendations.listings.market_statistics import current_market_statistics
from recommendations.models import Interaction, Preference
from recommendations.serving.encodings import encodings_of
from recommendations.serving.explanations import listing_features_of

BUYERS = 300
EVENTS_READ = 5_000  # of the newest, to find that many buyers among
SAMPLED_CARS = 5_000
FIRST = np.zeros(1, np.intp)  # the only row
BANDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)  # shares of the stock


@dataclass(frozen=True)
class Match:
    """One buyer.

    Attributes:
        buyer: Who.
        share_better: Of the cars for sale that suit the buyer better, 0 to 1.
        rank: About where the car would stand among all of them by score; 1 is the top.
        score: Of the car for the buyer.
        last_event_at: When they were last active.
        did: The strongest thing they did with this car; "" for nothing.
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
    """The buyers who were asked about, those who want the car most first; and out of how many cars."""

    matches: tuple[Match, ...]
    n_cars: int
    is_sampled: bool

    def bands(self) -> list[tuple[str, int]]:
        """How many buyers hold the car among the best 1 %, from there to 5 %, and so on."""
        shares = np.array([match.share_better for match in self.matches])
        edges = (-1.0, *BANDS)
        return [
            (f"{low:.0%}–{high:.0%}" if low > 0 else f"top {high:.0%}", int(((shares > low) & (shares <= high)).sum()))
            for low, high in zip(edges, BANDS, strict=False)
        ]


def matching_buyers(listing: Listing, n_buyers: int = BUYERS) -> ReverseMatch | None:
    """The reverse of a list; None before a ranker is live, or where no buyer is known yet."""
    active = active_buyers(n_buyers)
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
    did = done_with(listing, [preference.buyer_id for preference in preferences])
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
    """The buyers whose events came in last, with the moment of the newest."""
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
    """Scores of the sampled cars, shape (n_cars, n_buyers), and of the listing, shape (n_buyers,)."""
    ranker, market_statistics = listing_index.ranker, current_market_statistics()
    score = ranker.score_for(is_personal=True).without_curves()  # a curve differs from buyer to buyer
    none, one = score.breakdown({UTILITY: [0.0, 1.0]}).sum(axis=1)
    market = listing_index.market(market_statistics.as_of, market_statistics.demand)
    listing_features = listing_features_of([listing], encodings_of([listing], ranker))
    own_demand = np.array([market_statistics.demand.get(listing.pk, 0.0)])
    own_market = Market(listing_features, market_statistics.as_of, own_demand, market.average)
    of_market = [
        score.breakdown(some.terms(rows)).sum(axis=1) for some, rows in ((market, sample), (own_market, FIRST))
    ]
    vectors = np.concatenate([listing_index.stock.vectors[sample], listing_features.vectors])
    utilities = np.column_stack([utility_of(preference, vectors) for preference in preferences])
    scores = (one - none) * utilities + np.concatenate(of_market)[:, None]
    return scores[:-1], scores[-1]


def utility_of(preference: Preference, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Under the taste of the household that likes each car best, shape (n,)."""
    interests = stored_interests(preference).interests
    if not interests:
        return vectors @ np.asarray(preference.mean, np.float32)
    of_tastes = [
        vectors @ interest.taste.mean.astype(np.float32) + np.float32(interest.offset) for interest in interests
    ]
    best: NDArray[np.float32] = np.max(of_tastes, axis=0)
    return best


def done_with(listing: Listing, buyer_ids: Sequence[int]) -> dict[int, str]:
    """The strongest thing each of the buyers did with a car, in words."""
    events = Interaction.objects.filter(listing=listing, buyer__in=buyer_ids).order_by("kind__weight")
    return dict(events.values_list("buyer_id", "kind__name"))  # the strongest comes last, and stays


def welcoming(listing: Listing, matches: Sequence[Match]) -> list[Match]:
    """Without the buyers in whose lists the car has no place: hidden, their own, or of a seller they blocked."""
    closed = buyers_closed_to(listing, [match.buyer.pk for match in matches])
    return [match for match in matches if match.buyer.pk not in closed]
