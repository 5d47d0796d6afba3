"""Compute the terms and the score of any listings, at any time, for one buyer.

Serving, evaluation and training all call these functions, so they rank by the same arithmetic::

    market = Market.at(listing_features, as_of, counts)  # counts as from ``demand_counts``
    buyer = BuyerFeatures(weights=mean[None], history=(codes, strengths), location=(51.5, -0.1))
    scored = score_rows(ranker, market, buyer, rows)     # scores, and what each term adds to them

Rows are positions in ``ListingFeatures``. Which cars may be shown is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recommendations.engine.features import BuyerFeatures, ListingFeatures, Market
from recommendations.engine.ranker import Ranker
from recommendations.engine.score_terms import SCORE_TERMS, UTILITY
from recommendations.engine.scoring import LinearScore

Terms = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of listings and their terms; all of length n.

    Attributes:
        scores: Higher is better: log odds against an average listing, up to a constant of the buyer.
        parts: What each term adds, shape (n, n_terms), in the order of ``names``; a row adds up to the score.
        names: Of the terms.
        tastes: Index of the interest with the highest utility, int.
    """

    scores: NDArray[np.float64]
    parts: NDArray[np.float64]
    names: tuple[str, ...]
    tastes: NDArray[np.intp]

    def plus(self, name: str, values: NDArray[np.float64]) -> Scored:
        """Return the scores with a further term, shape (n,)."""
        return replace(
            self,
            scores=self.scores + values,
            parts=np.column_stack([self.parts, values]),
            names=(*self.names, name),
        )


def market_terms(market: Market, rows: NDArray[np.intp]) -> Terms:
    """Return the terms of some rows that are the same for every buyer, each of shape (n_rows,)."""
    return {term.name: term.of_market(market, rows) for term in SCORE_TERMS if term.of_market}


def buyer_terms(
    ranker: Ranker, listing_features: ListingFeatures, buyer_features: BuyerFeatures, rows: NDArray[np.intp]
) -> Terms:
    """Return the terms of some rows that depend on the buyer, except the utility; each of shape (n_rows,)."""
    return {
        term.name: term.of_buyer(ranker, listing_features, buyer_features, rows)
        for term in SCORE_TERMS
        if term.of_buyer
    }


def score_rows(
    ranker: Ranker, market: Market, buyer_features: BuyerFeatures, rows: ArrayLike, score: LinearScore | None = None
) -> Scored:
    """Score some rows for a buyer at the market's time.

    Args:
        ranker: The ranker whose space the listings are in.
        market: The listings and their demand.
        buyer_features: The buyer.
        rows: Rows of the listings, int, shape (n_rows,).
        score: Other weights than the ranker's own, e.g. with a placement's boosts.
    """
    at = np.asarray(rows, dtype=np.intp)
    used = score or ranker.score_for(is_personal=buyer_features.is_personal)
    utilities, tastes = buyer_features.utilities(market.listing_features.vectors[at])
    terms = {
        UTILITY: utilities,
        **buyer_terms(ranker, market.listing_features, buyer_features, at),
        **market_terms(market, at),
    }
    parts = used.breakdown(terms, buyer_features.n_cars)
    return Scored(parts.sum(axis=1), parts, used.names, tastes)
