"""Listings that others chose, put into the order that suits a buyer: of a search, or of ids that a client sends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accounts.models import Buyer
from recommendations.buyers.context import buyer_context_in, load_buyer_context, preference_of
from recommendations.listings.index import borrow_index
from recommendations.listings.market_statistics import current_market_statistics
from recommendations.serving.placements import HOME, rules_of
from recommendations.serving.ranking import snapshot_with
from recommendations.serving.scorer import Scorer


def scores_for(listing_ids: Sequence[int], buyer: Buyer | None) -> dict[int, float]:
    """Listing id -> score, higher is better, of the listings the ranker knows; {} before the first training."""
    return score_for(listing_ids, buyer)[0]


def score_for(listing_ids: Sequence[int], buyer: Buyer | None) -> tuple[dict[int, float], Scorer | None]:
    """The same, and how they were scored.

    The score is that of a list at the default placement: all its terms, without the rules that mix a list.
    """
    buyer_context = load_buyer_context(buyer)
    with borrow_index() as listing_index:
        if listing_index is None or not listing_ids:
            return {}, None
        if buyer_context is None or buyer_context.version_id != listing_index.version_id:
            buyer_context = buyer_context_in(listing_index, buyer, preference_of(buyer))
        ids = np.array(list(dict.fromkeys(listing_ids)), np.int64)
        snapshot = snapshot_with(listing_index, ids)
        ids = ids[snapshot.stock.rows_of(ids) >= 0]
        if not len(ids):
            return {}, None
        scorer = Scorer.of(listing_index, buyer_context, rules_of(HOME, buyer), current_market_statistics())
        scored = scorer.score_listings(snapshot.listing_features.take(snapshot.stock.rows_of(ids)), ids.tolist())
        return dict(zip(ids.tolist(), scored.scores.tolist(), strict=True)), scorer


def best_first(listing_ids: Sequence[int], buyer: Buyer | None) -> list[int]:
    """The same ids, the best for the buyer first; those without a score last, in the order they came."""
    scores = scores_for(listing_ids, buyer)
    return sorted(listing_ids, key=lambda key: -scores.get(key, float("-inf")))
