"""The test case of an offline test at a cutoff: which buyers to rank for, the candidates, and the relevant ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recommendations.buyers.point_in_time import weights_of
from recommendations.events.rows import EventRows
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.metrics import ranking as metrics

TEST_BUYERS = 800  # so many that equal versions are mostly seen to be equal, see the gate


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The test case that every ranker gets: buyers, candidates, and which of them are relevant.

    Attributes:
        cutoff: Epoch seconds.
        buyer_ids: The buyers to rank for, shape (n_buyers,), ascending.
        candidate_rows: Rows of the snapshot that were live at the cutoff, shape (n_candidates,).
        relevant: For each buyer, positions among the candidates that they acted on after the cutoff and not before;
            never empty.
        seen: For each buyer, positions that they had acted on before, which are not listed.
        event_ids: Of the held-out events.
    """

    cutoff: float
    buyer_ids: NDArray[np.int64]
    candidate_rows: NDArray[np.intp]
    relevant: list[NDArray[np.intp]]
    seen: list[NDArray[np.intp]]
    event_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.buyer_ids)

    def of(self, at: NDArray[np.intp]) -> HeldOut:
        """The case with some of the buyers; ``event_ids`` stay those of all."""
        return replace(
            self,
            buyer_ids=self.buyer_ids[at],
            relevant=[self.relevant[buyer] for buyer in at.tolist()],
            seen=[self.seen[buyer] for buyer in at.tolist()],
        )

    def best(self, scores: NDArray[np.floating], buyer: int, k: int) -> NDArray[np.intp]:
        """Positions of the k best candidates for a buyer, PADDING where there are fewer; ties by position."""
        allowed = scores.astype(np.float64)
        allowed[self.seen[buyer]] = -np.inf
        # all that are at least as good as the k-th, so that a tie is settled by position and not by chance
        least = np.partition(allowed, -k)[-k] if len(allowed) > k else -np.inf
        good = np.flatnonzero((allowed >= least) & np.isfinite(allowed))
        order = good[np.argsort(-allowed[good], kind="stable")][:k]
        best = np.full(k, metrics.PADDING, np.intp)
        best[: len(order)] = order
        return best


def held_out_after(
    snapshot: ListingSnapshot, events: EventRows, cutoff: float, *, until: float = np.inf, seed: int = 0,
    max_buyers: int = TEST_BUYERS,
) -> HeldOut:  # fmt: skip
    """The test case at a cutoff, of at most ``max_buyers`` random buyers with relevant candidates."""
    buyers = drawn(buyers_with_relevant(events, snapshot, cutoff, until), max_buyers, seed)
    return case_of(events, snapshot, cutoff, until, buyers)


def drawn(buyer_ids: NDArray[np.int64], n: int, seed: int) -> NDArray[np.int64]:
    """At most n of some buyers (sorted), drawn at random; sorted."""
    return np.sort(np.random.default_rng(seed).permutation(buyer_ids)[:n])


def buyers_with_relevant(
    events: EventRows, snapshot: ListingSnapshot, cutoff: float, until: float
) -> NDArray[np.int64]:
    """Ids of buyers who acted after the cutoff on a candidate that they had not acted on before; sorted."""
    return np.unique(events.buyer_ids[_Pairs.of(events, snapshot, cutoff, until).is_later])


def case_of(
    events: EventRows, snapshot: ListingSnapshot, cutoff: float, until: float, buyers: NDArray[np.int64]
) -> HeldOut:
    """The test case of those of some buyers (sorted) who have events in a partition."""
    found = _Pairs.of(events, snapshot, cutoff, until)
    is_asked = np.isin(events.buyer_ids, buyers)
    is_later, is_earlier = found.is_later & is_asked, found.is_earlier & is_asked
    buyers = np.unique(events.buyer_ids[is_later])
    return HeldOut(
        cutoff=cutoff,
        buyer_ids=buyers,
        candidate_rows=found.candidate_rows,
        relevant=_by_buyer(buyers, np.unique(found.pairs[is_later]), found.width),
        seen=_by_buyer(buyers, np.unique(found.pairs[is_earlier]), found.width),
        event_ids=events.ids[is_later],
    )


def without_candidates(case: HeldOut) -> HeldOut:
    """The case without its candidates, which are the same in every partition."""
    return replace(case, candidate_rows=np.empty(0, np.intp))


def joined_cases(cases: Sequence[HeldOut], snapshot: ListingSnapshot) -> HeldOut:
    """The cases of several partitions as one."""
    return HeldOut(
        cutoff=cases[0].cutoff,
        buyer_ids=np.concatenate([case.buyer_ids for case in cases]),
        candidate_rows=live_rows(snapshot, cases[0].cutoff),
        relevant=[positions for case in cases for positions in case.relevant],
        seen=[positions for case in cases for positions in case.seen],
        event_ids=np.concatenate([case.event_ids for case in cases]),
    )


def live_rows(snapshot: ListingSnapshot, at: float) -> NDArray[np.intp]:
    every_row = np.arange(len(snapshot))
    return every_row[snapshot.stock.was_live(every_row, at)]


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Each event as a pair of buyer and candidate in one number, and which count before and after the cutoff.

    ``is_later`` marks those after it on a candidate that the buyer had not acted on before.
    """

    candidate_rows: NDArray[np.intp]
    width: int
    pairs: NDArray[np.int64]
    is_later: NDArray[np.bool_]
    is_earlier: NDArray[np.bool_]

    @classmethod
    def of(cls, events: EventRows, snapshot: ListingSnapshot, cutoff: float, until: float) -> _Pairs:
        candidate_rows = live_rows(snapshot, cutoff)
        position_of_row = np.full(len(snapshot) + 1, -1)  # one more for what has no row, whose row is -1
        position_of_row[candidate_rows] = np.arange(len(candidate_rows))
        positions = position_of_row[snapshot.stock.rows_of(events.listing_ids)]
        is_counted = (weights_of(events) > 0) & (positions >= 0)
        is_later = is_counted & (events.occurred_at >= cutoff) & (events.occurred_at < until)
        is_earlier = is_counted & (events.occurred_at < cutoff)
        width = max(len(candidate_rows), 1)
        pairs = events.buyer_ids * width + positions
        is_later &= ~np.isin(pairs, pairs[is_earlier])
        return cls(candidate_rows, width, pairs, is_later, is_earlier)


def _by_buyer(buyers: NDArray[np.int64], pairs: NDArray[np.int64], width: int) -> list[NDArray[np.intp]]:
    """Positions of each buyer, from sorted pairs of buyer and position as one number."""
    ends = np.searchsorted(pairs, (buyers + 1) * width)
    starts = np.searchsorted(pairs, buyers * width)
    return [pairs[start:end] % width for start, end in zip(starts, ends, strict=True)]
