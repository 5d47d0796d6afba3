"""The site over a market in memory: it learns and serves by the functions of the real site.

A client records lists, events and searches (``memory_log``) and requests lists. ``training.learning`` learns a ranker
from the log, ``buyers.posteriors`` a buyer's preference, and ``serving.ranking`` makes the list. Storing, locking and
the last check of whether a car is still for sale need a database, and are left out; the market answers the check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from accounts.models import Buyer
from recommendations.buyers.context import HISTORY_LENGTH, BuyerContext, Opened, buyer_context_in
from recommendations.buyers.point_in_time import weights_of
from recommendations.buyers.posteriors import LogPosition, StalePreference, evidence_of, posteriors_of
from recommendations.buyers.wishes import EVENTS_READ, Asked, event_of
from recommendations.engine.demand import demand_counts
from recommendations.engine.encoder import EncoderConfig, fit_encoder
from recommendations.engine.ranker import Ranker
from recommendations.engine.stock import FOREVER
from recommendations.events.rows import EventRows
from recommendations.listings.index import ListingIndex
from recommendations.listings.market_statistics import STEP_SECONDS, MarketStatistics
from recommendations.listings.rows import OTHER_CATEGORIES, OTHER_NUMBERS, ListingRows
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.listings.utilities import KeptUtilities
from recommendations.models import SIMILAR_DIMENSIONS, Placement, Preference
from recommendations.models.arrays import as_objects
from recommendations.serving.placements import HOME
from recommendations.serving.ranking import build_ranking_context, rank_candidates
from recommendations.serving.requests import NO_FILTERS
from recommendations.serving.rules import Rules
from recommendations.serving.selection import POOL_GROWTH, SMALLEST_POOL
from recommendations.serving.sources import SOURCES, SavedSearchSource
from recommendations.simulation.market import STILL_FOR_SALE, Market
from recommendations.simulation.memory_log import KINDS, MemoryLog
from recommendations.training.held_out_test import learn_unstored
from recommendations.training.learning import Material
from recommendations.training.parameters import TrainingParameters

VERSION_ID = 0  # of the only ranker
NO_SAVED_SEARCHES = tuple(source for source in SOURCES if not isinstance(source, SavedSearchSource))


def ids_of(rows: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return listing ids of rows of a market."""
    return np.asarray(rows, np.int64) + 1


def listing_rows_of(market: Market, anchor: float) -> ListingRows:
    """Return a market as the rows the site reads; its times count back from ``anchor``, in epoch seconds."""
    n = len(market)
    names = [f"{make}/{model}" for make, model in zip(market.make_name, market.model_name, strict=True)]
    _, sellers = np.unique(market.seller_key.astype(str), return_inverse=True)
    is_unended = market.ended_s == STILL_FOR_SALE
    return ListingRows(
        listing_ids=ids_of(np.arange(n)),
        table=market.table,
        names=as_objects(names),
        is_live=is_unended,
        published_at=anchor - market.published_s.astype(np.float64),
        ended_at=np.where(is_unended, FOREVER, anchor - market.ended_s.astype(np.float64)),
        latitude=market.latitude.astype(np.float64),
        longitude=market.longitude.astype(np.float64),
        seller_ids=sellers.astype(np.int64) + 1,
        seller_user_ids=np.zeros(n, np.int64),
        promoted_until=np.full(n, np.nan),
        others={
            **{name: words_of(market, name) for name in OTHER_CATEGORIES},
            **{name: number_of(market, name) for name in OTHER_NUMBERS},
        },
    )


def words_of(market: Market, name: str) -> NDArray[np.object_]:
    """Return a text column of the listings, length n; empty strings where the market does not have it."""
    column = getattr(market, name, None)
    return as_objects([""] * len(market) if column is None else column.tolist())


def number_of(market: Market, name: str) -> NDArray[np.float64]:
    """Return a numeric column of the listings, length n; NaN where the market does not have it."""
    column = getattr(market, name, None)
    return np.full(len(market), np.nan) if column is None else column.astype(np.float64)


def learn_ranker(rows: ListingRows, events: EventRows, parameters: TrainingParameters, now: float) -> Ranker:
    """Train a first ranker on a log, as of ``now`` in epoch seconds."""
    encoder = fit_encoder(rows.table, EncoderConfig(n_dims=settings.CONTENT_DIMENSIONS))
    material = Material.of(rows, encoder, events)
    return learn_unstored(material, parameters, datetime.fromtimestamp(now, UTC)).ranker


class MemoryIndex(ListingIndex):
    """The listing index over every listing of a market, without a database."""

    def __init__(self, ranker: Ranker, rows: ListingRows, version_id: int = VERSION_ID) -> None:
        ListingSnapshot.__init__(self, ranker)
        self.version_id = version_id
        self.is_complete = True
        self._similar = np.empty((0, SIMILAR_DIMENSIONS), np.float32)
        self._utilities = KeptUtilities()
        self.put(rows, ranker.vectors(rows.table))

    def vectors_elsewhere(self, listing_ids: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        return ListingSnapshot.vectors_elsewhere(self, listing_ids)


@dataclass(eq=False)
class SimulatedSite:
    """A live ranker over a market, and the log that its clients write.

    Attributes:
        index: Every listing.
        log: Lists and events.
        placement: Whose rules the lists follow.
    """

    index: MemoryIndex
    log: MemoryLog
    placement: Placement = field(default_factory=lambda: Placement(slug=HOME))
    _known: dict[int, Preference] = field(default_factory=dict)

    def recommend(self, buyer_ids: Sequence[int], k: int, now: float) -> list[list[int]]:
        """Return at most k listing ids for each buyer, as of ``now`` in epoch seconds."""
        index = self.index.as_of(now)
        self.update_preferences(buyer_ids, index, now)
        statistics = self.market_statistics(now)
        moment = datetime.fromtimestamp(now, UTC)
        contexts = [self.context_of(buyer_id, index, moment) for buyer_id in buyer_ids]
        return [self._list_for(context, index, statistics, k) for context in contexts]

    def update_preferences(self, buyer_ids: Sequence[int], index: ListingIndex, now: float) -> None:
        """Compute the preference of every buyer with events, as a worker does after each event."""
        behind = [
            StalePreference(buyer_of(key), LogPosition(events.last_id, len(events)), "", self._known.get(key))
            for key in buyer_ids
            if len(events := self.log.events([key]))
            and (key not in self._known or self._known[key].last_interaction_id < events.last_id)
        ]
        if behind:
            events = self.log.events([each.buyer.pk for each in behind], settings.EVENTS_PER_BUYER)
            moment = datetime.fromtimestamp(now, UTC)
            found = posteriors_of(behind, evidence_of(behind, events, index, moment), moment, is_hurried=False)
            self._known |= {each.buyer.pk: preference for each, preference in zip(behind, found, strict=True)}

    def context_of(self, buyer_id: int, index: ListingIndex, moment: datetime) -> BuyerContext:
        preference, opened = self._known.get(buyer_id), self.opened_by(buyer_id)
        return buyer_context_in(index, buyer_of(buyer_id), preference, opened, asked=self.asked_by(buyer_id, moment))

    def asked_by(self, buyer_id: int, moment: datetime) -> Asked:
        """Return the buyer's searches and filters until a time, as ``wishes.read_asked`` does; they save no
        searches."""
        events = self.log.events([buyer_id], EVENTS_READ)
        queries, weights = self.log.queries(events.ids), weights_of(events).tolist()
        rows = zip(events.listing_ids.tolist(), weights, events.occurred_at.tolist(), events.ids.tolist(), strict=True)
        found = [
            event_of(listing_id or None, weight, datetime.fromtimestamp(at, UTC), queries.get(event_id))
            for listing_id, weight, at, event_id in rows
        ]
        return Asked(tuple(reversed(found)), None, None, moment)

    def opened_by(self, buyer_id: int) -> list[Opened]:
        """Return cars the buyer acted on favourably, newest first."""
        events = self.log.events([buyer_id])
        liked = events.take((events.listing_ids > 0) & (weights_of(events) > 0))
        pairs = zip(liked.listing_ids.tolist(), weights_of(liked).tolist(), strict=True)
        return [Opened(listing_id, weight) for listing_id, weight in reversed(list(pairs)[-HISTORY_LENGTH:])]

    def market_statistics(self, now: float) -> MarketStatistics:
        """Return demand, contacts and leads as of the last full ten minutes; price drops are not known."""
        as_of = int(now) - int(now) % STEP_SECONDS
        events = self.log.events()
        is_contact = np.array([KINDS[kind].is_contact for kind in events.kinds], bool)
        return MarketStatistics(
            as_of=as_of,
            demand=self._counts(events, weights_of(events), as_of),
            contacts=self._counts(events, is_contact.astype(np.float64), as_of),
            leads={},
            price_drops={},
        )

    def _counts(self, events: EventRows, weights: NDArray[np.float64], as_of: int) -> dict[int, float]:
        rows = self.index.stock.rows_of(events.listing_ids)
        counts = demand_counts(rows, events.occurred_at, weights, as_of, len(self.index), events.buyer_ids)
        asked = np.flatnonzero(counts)
        return dict(zip(self.index.stock.listing_ids[asked].tolist(), counts[asked].tolist(), strict=True))

    def _list_for(
        self, buyer_context: BuyerContext, index: ListingIndex, statistics: MarketStatistics, k: int
    ) -> list[int]:
        context = build_ranking_context(
            index, buyer_context, Rules(self.placement), NO_FILTERS, "hybrid", (), statistics
        )
        n = max(POOL_GROWTH * k, SMALLEST_POOL)
        ranked = rank_candidates(context, k, n, NO_SAVED_SEARCHES)
        return [candidate.listing_id for candidate in ranked.candidates[:k]]


def buyer_of(buyer_id: int) -> Buyer:
    """Return an unsaved buyer with an id and nothing else."""
    return Buyer(pk=buyer_id, external_id=f"simulated-{buyer_id}")
