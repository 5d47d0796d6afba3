"""Where candidates come from: one small class each.

A source looks at the stock from one side and proposes listings; ranking decides later what becomes of them. All
sources see the same shopper and the same rows: live, matching the filters, and not excluded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from catalog.filters import ListingFilters
from recommendations.engine.ranker import SourceSwitch
from recommendations.engine.taste import draw
from recommendations.retrieval import retriever_for
from recommendations.shoppers import Shopper
from recommendations.window import Window

SECONDS_A_DAY = 86_400.0
FRESH_DAYS = 3.0


@dataclass(frozen=True, eq=False)
class Shelf:
    """What may be shown at all, and what sources need to know about it.

    Attributes:
        window: The stock in memory; a sample of it where the whole would not fit.
        filters, exclude: What every candidate must satisfy, and listing ids to leave out.
        allowed: The same as a mask over the rows of the window.
        demand: Recent demand by listing id; absent means none.
        now: Epoch seconds.
        rng: For whoever draws.
    """

    window: Window
    filters: ListingFilters
    exclude: Collection[int]
    allowed: NDArray[np.bool_]
    demand: Mapping[int, float]
    now: float
    rng: np.random.Generator

    def best(self, weights: NDArray[np.float64], n: int) -> NDArray[np.int64]:
        """The n best of the whole stock: from memory where all of it is there, else from the database."""
        if self.window.is_complete:
            return self.window.top(weights, n, self.allowed)[0]
        return retriever_for(self.window).best(weights, n, self.filters, self.exclude)[0]


class Source(Protocol):
    name: str

    def propose(self, shopper: Shopper, shelf: Shelf, n: int) -> NDArray[np.int64]:
        """Up to n listing ids, the most promising first; empty where this source has nothing to say."""
        ...


class TasteSource:
    """The cars with the highest utility for this buyer."""

    def __init__(self, switch: SourceSwitch = "hybrid") -> None:
        self._switch = switch
        self.name: str = "taste" if switch == "hybrid" else switch

    def propose(self, shopper: Shopper, shelf: Shelf, n: int) -> NDArray[np.int64]:
        weights = shelf.window.ranker.switched(shopper.weights, self._switch)
        return shelf.best(weights, n)


class NeighbourSource:
    """Cars of the archetypes that buyers of the last cars seen also looked at (EASE), the best of each first."""

    name = "neighbours"

    def propose(self, shopper: Shopper, shelf: Shelf, n: int) -> NDArray[np.int64]:
        codes, strengths = shopper.history
        if not len(codes):
            return np.empty(0, np.int64)
        scores = shelf.window.ranker.collaborative.neighbour_scores(codes, strengths)
        best = np.argsort(-scores, kind="stable")[: max(n // 4, 5)]
        wanted = shelf.allowed & np.isin(shelf.window.archetypes, best[scores[best] > 0])
        return shelf.window.top(shopper.weights, n, wanted)[0]


class TrendingSource:
    """Cars that many buyers act on right now."""

    name = "trending"

    def propose(self, shopper: Shopper, shelf: Shelf, n: int) -> NDArray[np.int64]:
        if not shelf.demand:
            return np.empty(0, np.int64)
        wanted = np.fromiter(shelf.demand.keys(), np.int64, len(shelf.demand))
        strengths = np.fromiter(shelf.demand.values(), np.float64, len(shelf.demand))
        rows = shelf.window.stock.rows_of(wanted)
        known = rows >= 0
        known[known] = shelf.allowed[rows[known]]
        order = np.lexsort((wanted[known], -strengths[known]))[:n]
        return wanted[known][order]


class FreshSource:
    """Cars that came in during the last days, the best for this buyer first."""

    name = "fresh"

    def propose(self, shopper: Shopper, shelf: Shelf, n: int) -> NDArray[np.int64]:
        is_fresh = shelf.window.column("published_at") > shelf.now - FRESH_DAYS * SECONDS_A_DAY
        return shelf.window.top(shopper.weights, n, shelf.allowed & is_fresh)[0]


class ExplorationSource:
    """Cars that would be the best if the taste were a little different: one Thompson draw from the belief."""

    name = "exploration"

    def propose(self, shopper: Shopper, shelf: Shelf, n: int) -> NDArray[np.int64]:
        imagined = draw(shopper.taste, shelf.rng)[0]
        return shelf.best(imagined, n)
