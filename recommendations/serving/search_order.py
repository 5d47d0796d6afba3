"""Listings that others chose, put into the order that suits a buyer: of a search, or of ids that a client sends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accounts.models import Buyer
from recommendations.buyers.context import buyer_context_in, preference_of
from recommendations.listings.index import ListingIndex, borrow_index
from recommendations.listings.market_statistics import current_market_statistics
from recommendations.serving.list_cache import LifetimeCache
from recommendations.serving.placements import HOME
from recommendations.serving.ranking import snapshot_with
from recommendations.serving.reading import Reading, read_for_list
from recommendations.serving.scorer import Scorer

ORDERS_KEPT = 100  # of a process; each takes up to 80 kB
ORDERS: LifetimeCache[NDArray[np.int64]] = LifetimeCache(ORDERS_KEPT)


def scores_for(listing_ids: Sequence[int], buyer: Buyer | None) -> dict[int, float]:
    """Listing id -> score, higher is better, of the listings the ranker knows; {} before the first training."""
    return score_for(listing_ids, buyer)[0]


def score_for(listing_ids: Sequence[int], buyer: Buyer | None) -> tuple[dict[int, float], Scorer | None]:
    """The same, and how they were scored.

    The score is that of a list at the default placement: all its terms, without the rules that mix a list.
    """
    if not listing_ids:
        return {}, None
    reading = read_for_list(HOME, buyer)
    with borrow_index() as listing_index:
        if listing_index is None:
            return {}, None
        ids = np.array(list(dict.fromkeys(listing_ids)), np.int64)
        scorer = scorer_in(listing_index, reading, buyer)
        scores = scores_in(listing_index, ids, scorer)
        known = {key: score for key, score in zip(ids.tolist(), scores.tolist(), strict=True) if not np.isnan(score)}
        return known, scorer if known else None


def best_first(listing_ids: NDArray[np.int64], buyer: Buyer | None) -> NDArray[np.int64]:
    """The same ids, each of which is there once, the best for the buyer first; those without a score last, in the order
    they came.

    The next page of a search asks for the same order, so the last ones are kept while nothing that they follow from has
    changed.
    """
    if not len(listing_ids):
        return listing_ids
    reading = read_for_list(HOME, buyer)
    with borrow_index() as listing_index:
        if listing_index is None:
            return listing_ids
        scorer = scorer_in(listing_index, reading, buyer)
        key = ((listing_index.state, scorer.market_statistics.as_of), scorer.digest, listing_ids.tobytes())
        in_order = ORDERS.get(key)
        if in_order is None:
            scores = scores_in(listing_index, listing_ids, scorer)
            in_order = listing_ids[np.argsort(-scores, kind="stable")]  # what is not a number comes last
            ORDERS.keep(key, in_order)
        return in_order


def scorer_in(listing_index: ListingIndex, reading: Reading, buyer: Buyer | None) -> Scorer:
    """How an index scores for a buyer at the default placement."""
    buyer_context = reading.buyer_context
    if buyer_context is None or buyer_context.version_id != listing_index.version_id:  # a promotion came in between
        buyer_context = buyer_context_in(listing_index, buyer, preference_of(buyer))
    return Scorer.of(listing_index, buyer_context, reading.rules, current_market_statistics())


def scores_in(listing_index: ListingIndex, listing_ids: NDArray[np.int64], scorer: Scorer) -> NDArray[np.float64]:
    """Scores of listings, each of which is there once, shape (n,); nan of those that the ranker does not know."""
    statistics, rows = scorer.market_statistics, listing_index.stock.rows_of(listing_ids)
    scores, is_known = np.full(len(rows), np.nan), rows >= 0
    if is_known.any():
        market = listing_index.market(statistics.as_of, statistics.demand)
        scores[is_known] = scorer.score_rows_of(market, rows[is_known], listing_ids[is_known].tolist()).scores
    if not is_known.all():  # listed a moment ago, or the index is a sample of the stock
        missing = np.flatnonzero(~is_known)
        snapshot = snapshot_with(listing_index, listing_ids[missing])
        rows = snapshot.stock.rows_of(listing_ids[missing])
        found, rows = missing[rows >= 0], rows[rows >= 0]
        if len(found):
            features = snapshot.listing_features.take(rows)
            scores[found] = scorer.score_listings(features, listing_ids[found].tolist()).scores
    return scores
