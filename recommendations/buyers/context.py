"""The context of a buyer: their preference, history and stated wishes, as ranking needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from accounts.models import Buyer
from recommendations.buyers.interests import Interest
from recommendations.buyers.posteriors import stored_interests, taste_of
from recommendations.buyers.preferences import current_preference
from recommendations.buyers.wishes import Asked, LoggedEvent, Wish, read_asked, wishes_of
from recommendations.engine.features import BuyerFeatures
from recommendations.engine.ranker import Ranker, SourceSwitch
from recommendations.engine.taste import Taste
from recommendations.listings.index import ListingIndex, borrow_index
from recommendations.models import EventKind, Preference

HISTORY_LENGTH = 30  # cars
OPENED_READ = 300  # the newest favourable events of a buyer, in which those cars are found
HISTORY_DECAY = 0.9  # each earlier car counts so much less


class BuyerReading(Protocol):
    """The data of a buyer that sources and reasons read besides the context; ``state.BuyerState`` provides it."""

    @property
    def searches(self) -> Sequence[object]:
        """Queries of the newest saved searches, whatever was stored."""

    @property
    def events(self) -> Sequence[tuple[Any, ...]]:
        """The newest favourable events, with the fields of their listings."""

    @property
    def newest(self) -> Sequence[LoggedEvent]:
        """The newest events of every kind, the newest first, as wishes read them."""

    @property
    def saved_at(self) -> datetime | None:
        """When the newest saved search was saved."""


@dataclass(frozen=True, eq=False)
class BuyerContext:
    """A buyer as ranking needs them, under one version.

    Attributes:
        buyer: None for a cold buyer.
        version_id: Of the ranker version.
        ranker: Of that version.
        interests: The buyer's preferences, one or several, the largest share first; the population's for a cold buyer.
        is_personal: Whether the buyer has a preference of their own.
        n_events: The number of events that the preference was computed from.
        history: Archetype codes of the buyer's last cars, int32, and their strengths, float64, of the same length.
        opened_ids: Listings of those cars, the newest first.
        read: What else was read of the buyer in the same statement; None: it is read when needed.
        wishes: Stated wishes that later events have not contradicted.
    """

    buyer: Buyer | None
    version_id: int
    ranker: Ranker
    interests: tuple[Interest, ...]
    is_personal: bool
    n_events: int
    history: tuple[NDArray[np.int32], NDArray[np.float64]]
    opened_ids: tuple[int, ...] = ()
    read: BuyerReading | None = None
    wishes: tuple[Wish, ...] = ()

    @property
    def location(self) -> tuple[float, float] | None:
        """Latitude and longitude of the buyer; None where not known, or where they opted out."""
        if self.buyer is None or not self.buyer.is_personalised:
            return None
        if self.buyer.latitude is None or self.buyer.longitude is None:
            return None
        return self.buyer.latitude, self.buyer.longitude

    def buyer_features(
        self, switch: SourceSwitch = "hybrid", location: tuple[float, float] | None = None
    ) -> BuyerFeatures:
        """The buyer as the score needs them; ``location`` replaces their own where the filters name one."""
        return BuyerFeatures(
            weights=np.array([self.ranker.switched(interest.taste.mean, switch) for interest in self.interests]),
            offsets=np.array([interest.offset for interest in self.interests]),
            history=self.history,
            location=location or self.location,
            is_personal=self.is_personal,
            n_cars=len(self.opened_ids),  # not of ``history``: an index may lack cars that a training's stock has
        )


def load_buyer_context(buyer: Buyer | None) -> BuyerContext | None:
    """The buyer's context under the live version; None before any version is live."""
    preference = preference_of(buyer)  # before the index is borrowed: others may use it while this is computed
    with borrow_index() as listing_index:
        if listing_index is None:
            return None
        if preference and preference.version_id != listing_index.version_id:  # a promotion came in between
            preference = preference_of(buyer)
        return buyer_context_in(listing_index, buyer, preference)


def preference_of(buyer: Buyer | None) -> Preference | None:
    """The buyer's current preference; None for a cold buyer, and for one who opted out."""
    return current_preference(buyer) if buyer and buyer.is_personalised else None


def buyer_context_in(
    listing_index: ListingIndex,
    buyer: Buyer | None,
    preference: Preference | None,
    opened: Sequence[Opened] | None = None,
    read: BuyerReading | None = None,
    moment: datetime | None = None,
    asked: Asked | None = None,
) -> BuyerContext:
    """The context of a buyer under the version of an index.

    Args:
        listing_index: Of that version.
        buyer: None for a cold buyer.
        preference: Under that version; None where there is none.
        opened: The cars they dealt with lately, in place of those that the log has.
        read: What was read of the buyer already.
        moment: Stated wishes are as of then, in place of now.
        asked: What the wishes are made of, where it is known.
    """
    recent = recently_opened(buyer) if opened is None and buyer and buyer.is_personalised else opened or []
    rows = listing_index.stock.rows_of(np.array([event.listing_id for event in recent], np.int64))
    strengths = np.array([event.weight for event in recent]) * HISTORY_DECAY ** np.arange(len(recent))
    return BuyerContext(
        buyer=buyer,
        version_id=listing_index.version_id,
        ranker=listing_index.ranker,
        interests=interests_of(preference, listing_index.ranker),
        is_personal=preference is not None,
        n_events=preference.n_interactions if preference else 0,
        history=(listing_index.archetypes[rows[rows >= 0]], strengths[rows >= 0]),
        opened_ids=tuple(event.listing_id for event in recent),
        read=read,
        wishes=wishes_of(buyer, listing_index, asked or asked_by(buyer, moment, read))
        if buyer and buyer.is_personalised
        else (),
    )


def asked_by(buyer: Buyer, moment: datetime | None, read: BuyerReading | None) -> Asked:
    """Build a buyer's context from data that is already read, or from the database."""
    if read is None:
        return read_asked(buyer, moment)
    return Asked(tuple(read.newest), next(iter(read.searches), None), read.saved_at, timezone.now())


def interests_of(preference: Preference | None, ranker: Ranker) -> tuple[Interest, ...]:
    """The interests of a buyer: those stored, or one with the whole preference."""
    if preference is None:
        return (Interest(1.0, 0.0, Taste(ranker.prior.mean, ranker.prior.covariance)),)
    return stored_interests(preference).interests or (Interest(1.0, 0.0, taste_of(preference)),)


class Opened(NamedTuple):
    """A car that a buyer acted on, and the weight of their strongest event on it."""

    listing_id: int
    weight: float


def recently_opened(
    buyer: Buyer, before: datetime | None = None, kinds: Mapping[str, EventKind] | None = None
) -> list[Opened]:
    """The cars of the buyer's last favourable events, or of the last ones before a moment; newest first.

    ``kinds`` replace the stored event kinds, by slug.
    """
    events = buyer.interactions.filter(listing__isnull=False).order_by("-occurred_at", "-id")
    if before:
        events = events.filter(occurred_at__lt=before)
    if kinds is None:
        events = events.filter(kind__weight__gt=0)
        rows = events.values_list("listing_id", "kind__weight")
        return one_per_car([Opened(*row) for row in rows[:OPENED_READ]])
    events = events.filter(kind__in=[slug for slug, kind in kinds.items() if kind.weight > 0])
    found = events.values_list("listing_id", "kind_id")[:OPENED_READ]
    return one_per_car([Opened(listing_id, kinds[slug].weight) for listing_id, slug in found])


def one_per_car(events: Iterable[Opened]) -> list[Opened]:
    """Each car of some events (newest first) once, with the strongest weight; the newest HISTORY_LENGTH cars.

    So a page that is reloaded does not displace cars that were opened before it.
    """
    cars: dict[int, Opened] = {}
    for event in events:
        known = cars.get(event.listing_id)
        cars[event.listing_id] = event if known is None else known._replace(weight=max(known.weight, event.weight))
    return list(cars.values())[:HISTORY_LENGTH]
