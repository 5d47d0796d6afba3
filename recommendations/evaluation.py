"""How well a space would have served the buyers of a moment: learned before it, tested on what they did after.

The candidates are the listings live at the moment, the answers the listings the buyer then acted on; a listing that was
published later could not have been recommended and is not asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommendations.datasets import EventRows
from recommendations.engine import metrics
from recommendations.engine.taste import posterior_batch
from recommendations.histories import choice_sets_of
from recommendations.models import EventKind
from recommendations.space import ListingSpace

K = 20
TEST_BUYERS = 500
EVENTS_PER_BUYER = 40
SAMPLED_ALTERNATIVES = 20
DEMAND_HALF_LIFE_SECONDS = 7 * 86_400.0


@dataclass(frozen=True, eq=False)
class HeldBack:
    """One moment's question to every ranker.

    Attributes:
        buyer_ids: Who is asked about, shape (n_buyers,).
        candidate_rows: Rows of the space that were live at the moment, shape (n_candidates,).
        relevant: Whether each candidate was acted on later, bool, shape (n_buyers, n_candidates).
    """

    buyer_ids: NDArray[np.int64]
    candidate_rows: NDArray[np.intp]
    relevant: NDArray[np.bool_]


def evaluate_space(space: ListingSpace, events: EventRows, moment: float, *, seed: int = 0) -> dict[str, Any]:
    """Recall, NDCG and coverage at 20 of the learned taste, next to popularity; empty when there is nothing to test on.

    Args:
        space: Fitted on events before the moment alone.
        events: The whole log.
        moment: Epoch seconds.
    """
    weight_by_kind = {kind.slug: kind.weight for kind in EventKind.objects.all()}
    favourable = events.take(np.array([weight_by_kind.get(kind, 0.0) > 0 for kind in events.kinds], bool))
    case = held_back_after(space, favourable.take(favourable.occurred_at >= moment), moment, seed)
    if not len(case.buyer_ids):
        return {}
    scores = {
        "taste": taste_scores(space, events.before(moment), case, moment),
        "popularity": popularity_scores(space, favourable.before(moment), case, moment),
    }
    return {
        "k": K,
        "moment": datetime.fromtimestamp(moment, UTC).isoformat(),
        "n_buyers": len(case.buyer_ids),
        "n_candidates": len(case.candidate_rows),
        "rankers": {name: measured(values, case) for name, values in scores.items()},
    }


def held_back_after(space: ListingSpace, later: EventRows, moment: float, seed: int) -> HeldBack:
    every_row = np.arange(len(space))
    candidate_rows = every_row[space.stock.was_live(every_row, moment)]
    column_of_row = np.full(len(space), -1)
    column_of_row[candidate_rows] = np.arange(len(candidate_rows))
    rows = space.stock.rows_of(later.listing_ids)
    columns = np.where(rows >= 0, column_of_row[np.maximum(rows, 0)], -1) if len(space) else np.full(len(later), -1)
    acted = later.take(columns >= 0)
    buyers = np.unique(acted.buyer_ids)
    buyers = np.sort(np.random.default_rng(seed).permutation(buyers)[:TEST_BUYERS])
    asked = np.isin(acted.buyer_ids, buyers)
    relevant = np.zeros((len(buyers), len(candidate_rows)), bool)
    relevant[np.searchsorted(buyers, acted.buyer_ids[asked]), columns[columns >= 0][asked]] = True
    return HeldBack(buyers, candidate_rows, relevant)


def taste_scores(space: ListingSpace, earlier: EventRows, case: HeldBack, moment: float) -> NDArray[np.float32]:
    """Utility of each candidate for each buyer as believed at the moment, shape (n_buyers, n_candidates)."""
    history = earlier.of_buyers(case.buyer_ids).newest_per_buyer(EVENTS_PER_BUYER)
    sets = choice_sets_of(history, space, datetime.fromtimestamp(moment, UTC), SAMPLED_ALTERNATIVES)
    known = [buyer_id for buyer_id in case.buyer_ids.tolist() if buyer_id in sets]
    tastes = posterior_batch([sets[buyer_id] for buyer_id in known], space.ranker.prior)
    mean_by_buyer = {buyer_id: taste.mean for buyer_id, taste in zip(known, tastes, strict=True)}
    weights = np.array([mean_by_buyer.get(key, space.ranker.prior.mean) for key in case.buyer_ids.tolist()], np.float32)
    return weights @ space.stock.vectors[case.candidate_rows].T


def popularity_scores(space: ListingSpace, earlier: EventRows, case: HeldBack, moment: float) -> NDArray[np.float32]:
    """Decayed number of events on each candidate, the same for every buyer."""
    rows = space.stock.rows_of(earlier.listing_ids)
    known = rows >= 0
    decay = np.exp2(-(moment - earlier.occurred_at[known]) / DEMAND_HALF_LIFE_SECONDS)
    demand = np.bincount(rows[known], decay, minlength=len(space))[case.candidate_rows]
    return np.tile(demand.astype(np.float32), (len(case.buyer_ids), 1))


def measured(scores: NDArray[np.float32], case: HeldBack) -> dict[str, float]:
    """The figures of one ranker, means over the buyers; ties go to the first candidate."""
    lists = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    hits = metrics.find_hits(lists, [np.flatnonzero(row) for row in case.relevant])
    return {
        f"recall@{K}": metrics.mean_over_users(metrics.recall_at_k(hits, K)),
        f"ndcg@{K}": metrics.mean_over_users(metrics.ndcg_at_k(hits, K)),
        f"coverage@{K}": metrics.catalogue_coverage(lists, scores.shape[1], K),
    }
