"""A cache of the items of lists: a list with the same listings for the same reasons is explained once.

Scores, terms, market prices and reasons depend on the buyer, the rules, the market statistics, the live ranker, the
exchange rates and the rows. Items are made anew where any of these is another object or value, or where the age of a
car falls into another class of wording, so nothing has to be invalidated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from cachetools import LRUCache
from django.conf import settings
from django.utils.translation import get_language

from catalog.currencies import exchange_rates
from catalog.models import Listing
from recommendations.engine.ranker import Ranker
from recommendations.engine.reason import age_class
from recommendations.listings.market_statistics import MarketStatistics
from recommendations.serving.explanations import days_on_sale
from recommendations.serving.ranking import Candidate
from recommendations.serving.scorer import Scorer

LISTS_KEPT = 500  # of one process; some 60 kB each

T = TypeVar("T")
Chosen = Sequence[tuple[Candidate, Listing]]


@dataclass(frozen=True, eq=False)
class Basis:
    """The inputs of a list's items, except the buyer and the rules."""

    market_statistics: MarketStatistics
    live: Ranker | None
    typical: Mapping[str, float]
    rates: Mapping[str, float]
    listings: tuple[Listing, ...]
    sources: tuple[tuple[str, int, str], ...]
    propensities: tuple[float | None, ...]
    ages: tuple[int, ...]

    @classmethod
    def of(cls, chosen: Chosen, scorer: Scorer, live: Ranker | None, typical: Mapping[str, float]) -> Basis:
        return cls(
            scorer.market_statistics,
            live,
            typical,
            exchange_rates(),
            tuple(listing for _, listing in chosen),
            tuple((candidate.source, candidate.rule_id, candidate.placed_by) for candidate, _ in chosen),
            tuple(candidate.propensity for candidate, _ in chosen),
            tuple(age_class(days_on_sale(listing)) for _, listing in chosen),
        )

    def gives_the_same_as(self, other: Basis) -> bool:
        """Whether the items would be the same. ``rows`` returns the same object while a listing has not changed."""
        return (
            self.market_statistics is other.market_statistics
            and self.live is other.live
            and (self.sources, self.propensities, self.ages) == (other.sources, other.propensities, other.ages)
            and all(one is another for one, another in zip(self.listings, other.listings, strict=True))
            and (self.typical, self.rates) == (other.typical, other.rates)
        )


class KeptLists(Generic[T]):
    """The newest items by buyer, rules, request and language; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: LRUCache[Any, tuple[Basis, list[T]]] = LRUCache(LISTS_KEPT)

    def get_or_make(
        self,
        chosen: Chosen,
        scorer: Scorer | None,
        live: Ranker | None,
        typical: Mapping[str, float],
        make: Callable[[], list[T]],
    ) -> list[T]:
        """The items of a list: the cached ones where they would be the same."""
        if scorer is None or not settings.LIST_CACHE_SECONDS:
            return make()
        basis = Basis.of(chosen, scorer, live, typical)
        location, language = scorer.buyer_features.location, get_language()
        # the context is the same object while nothing that is known of the buyer has changed (``reading``)
        key = (scorer.buyer_context, scorer.digest, scorer.switch, location, language, len(chosen))
        with self._lock:
            kept = self._kept.get(key)
        if kept and kept[0].gives_the_same_as(basis):
            return kept[1]
        items = make()
        with self._lock:
            self._kept[key] = basis, items
        return items
