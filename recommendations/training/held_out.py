"""Offline test at a cutoff: rank for each buyer what was live then, and compare with what they acted on afterwards.

The candidates are the listings live at the cutoff, and the relevant ones those that a buyer acted on for the first time
after it; listings published later could not have been recommended and do not count. This is the quick test within a
training; the full evaluation, with every baseline, is in ``evaluation``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommendations.buyers.point_in_time import buyer_features_at, demand_at, weights_of
from recommendations.engine.features import BuyerFeatures, Market
from recommendations.engine.ranker import Ranker
from recommendations.engine.score_terms import UTILITY
from recommendations.engine.terms import market_terms, score_rows
from recommendations.events.rows import EventRows
from recommendations.listings.rows import ListingRows
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.metrics import ranking as metrics
from recommendations.training.dataset import PartedEvents
from recommendations.training.gate import GateFigures
from recommendations.training.held_out_case import (
    TEST_BUYERS,
    HeldOut,
    buyers_with_relevant,
    case_of,
    drawn,
    joined_cases,
    without_candidates,
)
from recommendations.training.segments import segments_of
from recommendations.training.shown_choices import Scores, ShownChoices

K = 20
DEMAND_HALF_LIFE_SECONDS = 7 * 86_400.0
SHORTLIST = 3_000
UTILITIES_AT_ONCE = 2**21  # 8 MB
ROWS_AT_ONCE = 16_384  # of vectors; with 128 dimensions 8 MB
OURS, TASTE, POPULARITY = "forecourt", "taste", "popularity"


@dataclass(frozen=True, eq=False)
class Tested:
    """The lists of a version's score, of its utility alone and of popularity, and the pairs that the score wins.

    Attributes:
        case: The test case.
        lists: By ranker, positions among the candidates, shape (n_buyers, K).
        won: Share of pairs won among each buyer's choices, shape (n_buyers,); nan for a buyer without choices.
    """

    case: HeldOut
    lists: dict[str, NDArray[np.intp]]
    won: NDArray[np.float64]

    def metrics(self) -> dict[str, Any]:
        """Recall, NDCG and coverage at 20 of each ranker; empty where there are no buyers."""
        if not len(self.case):
            return {}
        return {
            "k": K,
            "moment": datetime.fromtimestamp(self.case.cutoff, UTC).isoformat(),
            "n_buyers": len(self.case),
            "n_candidates": len(self.case.candidate_rows),
            "rankers": {name: measured(rows, self.case) for name, rows in self.lists.items()},
        }


@dataclass(frozen=True, eq=False)
class Answers:
    """One ranker's lists, shape (n_buyers, K), and its share of pairs won, shape (n_buyers,)."""

    lists: NDArray[np.intp]
    won: NDArray[np.float64]

    @classmethod
    def join(cls, answers: Sequence[Answers]) -> Answers:
        """Concatenate those of the buyers of several partitions."""
        return cls(np.concatenate([each.lists for each in answers]), np.concatenate([each.won for each in answers]))


def held_out_lists(
    snapshot: ListingSnapshot, events: EventRows | PartedEvents, cutoff: float, *, seed: int = 0
) -> Tested:
    """Make the lists of the score, of utility alone and of popularity, for buyers with events after a cutoff.

    Args:
        snapshot: Fitted on the events before the cutoff only.
        events: The whole log.
        cutoff: Epoch seconds.
        seed: Of the sample of buyers.
    """
    events = PartedEvents.of(events)
    there, ever = events.parts.share(snapshot), float("inf")
    buyers = drawn(events.gathered(buyers_with_relevant, there, cutoff, ever), TEST_BUYERS, seed)
    cases = events.parts.map(case_of, there, cutoff, ever, buyers)
    demand = events.parts.share(events.total(demand_at, there, cutoff))
    popularity = events.parts.share(events.total(popularity_at, there, cutoff))
    answers = events.parts.map(answers_in, cases, there, demand, popularity).collect()
    case = joined_cases(cases.map(without_candidates).collect(), snapshot)
    by_ranker = {name: Answers.join([each[name] for each in answers]) for name in answers[0]}
    return Tested(case, {name: each.lists for name, each in by_ranker.items()}, by_ranker[OURS].won)


def answers_in(
    events: EventRows,
    case: HeldOut,
    snapshot: ListingSnapshot,
    demand: NDArray[np.float64],
    popularity: NDArray[np.float64],
) -> dict[str, Answers]:
    """The results of each ranker for the buyers of a partition; pairs won are computed for the score alone."""
    buyer_features = buyer_features_at(snapshot, events, case.buyer_ids, case.cutoff)
    not_asked = np.full(len(case), np.nan)
    return {
        OURS: answers_of(snapshot, events, case, demand, buyer_features),
        TASTE: Answers(taste_lists(snapshot, case, buyer_features), not_asked),
        POPULARITY: Answers(lists_by_popularity(popularity, case), not_asked),
    }


def answers_of(
    snapshot: ListingSnapshot,
    events: EventRows,
    case: HeldOut,
    demand: NDArray[np.float64],
    buyer_features: Mapping[int, BuyerFeatures],
) -> Answers:
    """The lists that a snapshot's score makes for each buyer, and the share of pairs it wins in their choices."""
    market = Market.at(snapshot.listing_features, case.cutoff, demand)

    def scores_of(buyer: int) -> Scores:
        features = buyer_features[int(case.buyer_ids[buyer])]
        return lambda some: score_rows(snapshot.ranker, market, features, case.candidate_rows[some]).scores

    won = ShownChoices.after(snapshot, events, case).won(scores_of)
    return Answers(lists_in_market(snapshot, market, case, buyer_features), won)


def compare_with(
    live: ListingSnapshot,
    tested: Tested,
    events: EventRows | PartedEvents,
    live_last_id: int,
    *,
    reference: ListingSnapshot | None = None,
    live_recorded: float | None = None,
    live_recorded_coverage: float | None = None,
) -> GateFigures:
    """Test stored versions on the case that a new version was tested on, for ``gate.decide``.

    Args:
        live: A snapshot by the live version (see ``snapshot_of``), of the same listings in the same order.
        tested: The new version's results.
        events: The whole log.
        live_last_id: Newest event the live version learned from.
        reference: A snapshot by the reference version; None where there is none, or it is the live one.
        live_recorded, live_recorded_coverage: NDCG and coverage of the live version at its own training.
    """
    case = tested.case
    ours, of_live = tested.lists[OURS], other_answers(live, tested, events)
    of_reference = None if reference is None else other_answers(reference, tested, events)
    n = len(case.candidate_rows)
    return GateFigures(
        new=ndcg_of(ours, case),
        live=ndcg_of(of_live.lists, case),
        new_coverage=metrics.catalogue_coverage(ours, n, K),
        live_coverage=metrics.catalogue_coverage(of_live.lists, n, K),
        seen_by_live=float(np.mean(case.event_ids <= live_last_id)) if len(case) else 0.0,
        live_recorded=live_recorded,
        live_recorded_coverage=live_recorded_coverage,
        popularity=ndcg_of(tested.lists[POPULARITY], case),
        reference=None if of_reference is None else ndcg_of(of_reference.lists, case),
        new_won=tested.won,
        live_won=of_live.won,
        reference_won=None if of_reference is None else of_reference.won,
        segments=segments_of(live, case, PartedEvents.of(events)),
        k=K,
    )


def other_answers(snapshot: ListingSnapshot, tested: Tested, events: EventRows | PartedEvents) -> Answers:
    """The results of another version on a test's case."""
    events = PartedEvents.of(events)
    there, case = events.parts.share(snapshot), events.parts.share(tested.case)
    demand = events.parts.share(events.total(demand_at, there, tested.case.cutoff))
    return Answers.join(events.parts.map(other_answers_in, case, there, demand).collect())


def other_answers_in(
    events: EventRows, case: HeldOut, snapshot: ListingSnapshot, demand: NDArray[np.float64]
) -> Answers:
    """The same for the buyers of a case who are in a partition."""
    case = case.of(np.flatnonzero(np.isin(case.buyer_ids, events.buyer_ids)))
    buyer_features = buyer_features_at(snapshot, events, case.buyer_ids, case.cutoff)
    return answers_of(snapshot, events, case, demand, buyer_features)


def ndcg_of(lists: NDArray[np.intp], case: HeldOut) -> NDArray[np.float64]:
    """NDCG@K of each buyer, shape (n_buyers,)."""
    return metrics.ndcg_at_k(metrics.find_hits(lists, case.relevant), K)


def snapshot_of(ranker: Ranker, rows: ListingRows) -> ListingSnapshot:
    """A snapshot of all listings under a stored ranker, to compare a version with."""
    snapshot = ListingSnapshot(ranker)
    snapshot.put(rows, ranker.vectors(rows.table))
    return snapshot


def lists_in_market(
    snapshot: ListingSnapshot, market: Market, case: HeldOut, buyer_features: Mapping[int, BuyerFeatures], k: int = K
) -> NDArray[np.intp]:
    """The k best of each buyer by the score that serving uses, positions among the candidates, shape (n_buyers, k).

    Scored are the ``SHORTLIST`` candidates with the highest sum of utility and market terms, as serving scores what its
    sources propose and not the whole stock. ``market`` and ``buyer_features`` are as of the cutoff, see
    ``point_in_time.buyer_features_at``.
    """
    known, cold = (_rough_score(snapshot, market, case, is_personal=is_personal) for is_personal in (True, False))
    lists = []
    for number, (features, utilities) in enumerate(_rough_utilities(snapshot, buyer_features, case)):
        worth, of_market = known if features.is_personal else cold
        short = case.best(worth * utilities + of_market, number, SHORTLIST)
        short = np.sort(short[short != metrics.PADDING])
        scores = np.full(len(utilities), -np.inf)
        scores[short] = score_rows(snapshot.ranker, market, features, case.candidate_rows[short]).scores
        lists.append(case.best(scores, number, k))
    return _lists(lists, k)


def _rough_score(
    snapshot: ListingSnapshot, market: Market, case: HeldOut, *, is_personal: bool
) -> tuple[float, NDArray[np.float64]]:
    """The weight of utility in the score, and the sum of the market terms of each candidate, shape (n_candidates,).

    Without the curves: this only picks the candidates to score.
    """
    score = snapshot.ranker.score_for(is_personal=is_personal).without_curves()
    none, one = score.breakdown({UTILITY: [0.0, 1.0]}).sum(axis=1)
    return one - none, score.breakdown(market_terms(market, case.candidate_rows)).sum(axis=1)


def taste_lists(
    snapshot: ListingSnapshot, case: HeldOut, buyer_features: Mapping[int, BuyerFeatures]
) -> NDArray[np.intp]:
    """Return the K best of each buyer by utility alone, to compare the whole score with."""
    utilities = _rough_utilities(snapshot, buyer_features, case)
    return _lists([case.best(values, number, K) for number, (_, values) in enumerate(utilities)], K)


def _rough_utilities(
    snapshot: ListingSnapshot, buyer_features: Mapping[int, BuyerFeatures], case: HeldOut
) -> Iterator[tuple[BuyerFeatures, NDArray[np.float32]]]:
    """Each buyer of the case, with the utility of every candidate in single precision, some buyers at a time."""
    rows, at_once = case.candidate_rows, max(1, UTILITIES_AT_ONCE // max(len(case.candidate_rows), 1))
    for start in range(0, len(case), at_once):
        some = [buyer_features[buyer_id] for buyer_id in case.buyer_ids[start : start + at_once].tolist()]
        weights = np.array(
            [features.weights[0] for features in some], np.float32
        )  # interests of the past are not known
        utilities = np.empty((len(some), len(rows)), np.float32)
        for begin in range(0, len(rows), ROWS_AT_ONCE):  # a worker of a cluster has no room for all of the vectors
            part = slice(begin, begin + ROWS_AT_ONCE)
            np.matmul(weights, snapshot.stock.vectors[rows[part]].T, out=utilities[:, part])
        yield from zip(some, utilities, strict=True)


def popularity_at(events: EventRows, snapshot: ListingSnapshot, cutoff: float) -> NDArray[np.float64]:
    """The decayed number of events on each row before the cutoff."""
    rows = snapshot.stock.rows_of(events.listing_ids)
    counted = (rows >= 0) & (weights_of(events) > 0) & (events.occurred_at < cutoff)
    decay = np.exp2(-(cutoff - events.occurred_at[counted]) / DEMAND_HALF_LIFE_SECONDS)
    return np.bincount(rows[counted], decay, minlength=len(snapshot)).astype(np.float64)


def lists_by_popularity(popularity: NDArray[np.float64], case: HeldOut) -> NDArray[np.intp]:
    """Return the K best by the decayed number of events, for each buyer without the cars they had seen."""
    demand = popularity[case.candidate_rows]
    return _lists([case.best(demand, number, K) for number in range(len(case))], K)


def _lists(rows: list[NDArray[np.intp]], k: int) -> NDArray[np.intp]:
    return np.array(rows, np.intp).reshape(len(rows), k)


def measured(lists: NDArray[np.intp], case: HeldOut) -> dict[str, float]:
    """The figures of one ranker, means over the buyers."""
    hits = metrics.find_hits(lists, case.relevant)
    return {
        f"recall@{K}": metrics.mean_over_users(metrics.recall_at_k(hits, K)),
        f"ndcg@{K}": metrics.mean_over_users(metrics.ndcg_at_k(hits, K)),
        f"coverage@{K}": metrics.catalogue_coverage(lists, len(case.candidate_rows), K),
    }
