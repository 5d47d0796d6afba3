"""Choices that buyers made from lists they were shown, which a ranker has to predict.

A ranker that puts the chosen listing above those shown beside it predicts preference and not exposure, since only what
was shown could be chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.buyers.histories import SHOWN_AT_MOST
from recommendations.events.rows import EventRows
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.metrics.figures import pairs_won
from recommendations.training.held_out_case import HeldOut

Scores = Callable[[NDArray[np.intp]], NDArray[np.floating]]  # positions among candidates -> their scores


@dataclass(frozen=True)
class ShownChoices:
    """For each buyer of a test case: each chosen candidate and those shown beside it, as positions."""

    of_buyers: list[list[tuple[int, NDArray[np.intp]]]]

    @classmethod
    def after(cls, snapshot: ListingSnapshot, events: EventRows, case: HeldOut) -> ShownChoices:
        """From the held-out events of a case, as far as their lists hold candidates."""
        tested = events.take(np.isin(events.ids, case.event_ids) & np.isin(events.buyer_ids, case.buyer_ids))
        position_of_row = np.full(len(snapshot) + 1, -1)  # one more for what has no row, whose row is -1
        position_of_row[case.candidate_rows] = np.arange(len(case.candidate_rows))
        beside = tested.shown_beside(SHOWN_AT_MOST)
        others = position_of_row[snapshot.stock.rows_of(beside.listing_ids)]
        listed_events, others = beside.event_ids[others >= 0], others[others >= 0]
        chosen = position_of_row[snapshot.stock.rows_of(tested.listing_ids)]
        of_buyers: list[list[tuple[int, NDArray[np.intp]]]] = [[] for _ in range(len(case))]
        for event_id, buyer_id, position in zip(tested.ids, tested.buyer_ids, chosen.tolist(), strict=True):
            start, end = np.searchsorted(listed_events, [event_id, event_id + 1])
            if end > start:
                of_buyers[np.searchsorted(case.buyer_ids, buyer_id)].append((position, others[start:end]))
        return cls(of_buyers)

    def won(self, scores_of: Callable[[int], Scores]) -> NDArray[np.float64]:
        """Mean share of pairs won in each buyer's choices, shape (n_buyers,); nan for one without any.

        Args:
            scores_of: From a buyer's position among those of the question.
        """
        won = np.full(len(self.of_buyers), np.nan)
        for buyer, choices in enumerate(self.of_buyers):
            if choices:
                asked = np.unique(np.concatenate([np.append(others, chosen) for chosen, others in choices]))
                scores = scores_of(buyer)(asked)
                places = [np.searchsorted(asked, np.append(others, chosen)) for chosen, others in choices]
                won[buyer] = np.mean([pairs_won(scores, int(at[-1]), at[:-1]) for at in places])
        return won
