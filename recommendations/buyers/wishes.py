"""What a buyer asked for outright, field by field, and how much of a list it still decides.

A preference learns from answers and searches as from events, but a few words cannot outweigh what is known of all
buyers together. So a stated wish also holds as a share of each list: of the first places, so many satisfy it while the
stock allows. What the buyer does to the contrary wears it down, until the preference decides alone, and if all of it
is for one other value of the same field, that value has a share in its place.

A search is less than that: buyers look around, with other filters each time. It decides while little else is known of
the buyer, and the more cars they had opened before it the less it does, because the preference has learned from the
search and from the cars alike. What they open afterwards takes from it only where it contradicts it. Within the session
of the search two thirds are left: it is what the buyer looks for at the moment. A condition that one search after the
other has is meant: it holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from accounts.models import Buyer
from catalog.attributes import RANGES
from catalog.filters import ListingFilters
from recommendations.buyers.questionnaire import wishes_in
from recommendations.buyers.searches import FILTERS_OF_FIELD
from recommendations.buyers.sessions import SESSION_SECONDS, sessions_of
from recommendations.listings.columns import CATEGORIES
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.models import SavedSearch

# Share of the places of a list that a wish decides while nothing contradicts it.
ANSWERED, SAVED, SEARCHED, IMPLIED = 0.9, 0.7, 0.6, 0.5
SEARCHES_COUNT_FOR = timedelta(days=30)
EVENTS_READ = 60  # the newest of a buyer
CARS_COUNTED = 12  # of the newest events: what a buyer did long ago contradicts nothing that holds today
BEARS = 1.0  # evidence to the contrary, in cars opened, that takes nothing from a wish yet
WORN_AT = 6.0  # so much leaves nothing of it
SEARCH_ENDS_AT = 3.0  # cars opened before: of a buyer who was known by so many, a search decides nothing by itself
FRESH = timedelta(seconds=SESSION_SECONDS)  # after a search: the buyer is still looking for it
FRESH_SEARCH = 2 / 3  # of its share, which a search keeps for so long, however well the buyer was known
MEANT_IN = 3  # searches in a row, on as many occasions, that have a condition: then it is meant
REVEALED = 0.75  # share of the places of what a buyer opened in place of what they asked for
ALIKE_AT_LEAST = 0.7  # of the cars opened, for one value to stand in place of another
# What a wish may be about: the fields of the encoder, and numbers that no preference learns from, such as seats.
FILTERS_OF_WISH = FILTERS_OF_FIELD | {number.name: number.filters for number in RANGES}
NUMBER_OF_FIELD = {"age": "year", "price": "price", **{number.name: number.column for number in RANGES}}


@dataclass(frozen=True)
class Wish:
    """One field that a buyer spoke of.

    Attributes:
        field: As ``FILTERS_OF_WISH`` calls it: "fuel", "price", "seats", …
        filters: What satisfies it.
        share: Of the places of a list, how many it decides, above 0 and at most 1.
    """

    field: str
    filters: ListingFilters
    share: float


class LoggedEvent(NamedTuple):
    """An event as far as wishes need to know; ``listing_id`` is None for a search."""

    listing_id: int | None
    weight: float
    occurred_at: datetime
    query: dict[str, Any] | None


class Statement(NamedTuple):
    """Some conditions that were stated together.

    Attributes:
        query: The conditions.
        share: Of the places, while nothing contradicts them.
        since: When; None where that is not known.
        is_passing: Whether cars that were opened before take some of it too, and not only those opened since that
            contradict it.
    """

    query: Mapping[str, Any]
    share: float
    since: datetime | None
    is_passing: bool = False


class Asked(NamedTuple):
    """What a buyer asked for and did beside the questionnaire.

    Attributes:
        events: The newest of every kind, at most ``EVENTS_READ``, the newest first.
        saved: Query of the newest saved search, whatever was stored; None where there is none.
        saved_at: When that was.
        now: The moment all of it is as of.
    """

    events: tuple[LoggedEvent, ...]
    saved: object
    saved_at: datetime | None
    now: datetime


def wishes_of(buyer: Buyer, snapshot: ListingSnapshot, asked: Asked) -> tuple[Wish, ...]:
    """What the buyer asked for and has not contradicted since, at most one wish for each field, the strongest.

    The answers of the questionnaire have no date and count as if always given.
    """
    strongest: dict[str, Wish] = {}
    for statement in statements_of(buyer, asked):
        later = [event for event in asked.events if statement.since is None or event.occurred_at > statement.since]
        earlier = asked.events[len(later) :]
        lasting = share_lasting(earlier, snapshot) if statement.is_passing else 1.0
        if statement.is_passing and statement.since and asked.now - statement.since < FRESH:
            lasting = max(lasting, FRESH_SEARCH)
        for field, filters in fields_of(statement.query):
            left = what_is_left(field, filters, later, snapshot)
            wishes = [Wish(field, filters, statement.share * left * lasting)]
            if left < 1 and (instead := opened_instead(field, filters, later, snapshot)):
                wishes.append(Wish(field, instead, REVEALED * (1 - left)))
            for wish in wishes:
                if wish.share > 0 and (field not in strongest or wish.share > strongest[field].share):
                    strongest[field] = wish
    return tuple(strongest.values())


def statements_of(buyer: Buyer, asked: Asked) -> Iterator[Statement]:
    """The questionnaire, the newest saved search, and the newest search of the last weeks."""
    answers = buyer.questionnaire
    all_wishes = wishes_in(answers)
    yield Statement({name: value for name, value in all_wishes.items() if name in answers}, ANSWERED, None)
    yield Statement({name: value for name, value in all_wishes.items() if name not in answers}, IMPLIED, None)
    if isinstance(asked.saved, Mapping):
        yield Statement(asked.saved, SAVED, asked.saved_at)
    searched = next((event for event in asked.events if event.query), None)
    if searched and searched.query and asked.now - searched.occurred_at < SEARCHES_COUNT_FOR:
        yield Statement(meant_in(asked.events), SEARCHED, searched.occurred_at)
        yield Statement(searched.query, SEARCHED, searched.occurred_at, is_passing=True)


def meant_in(events: Sequence[LoggedEvent]) -> dict[str, Any]:
    """The conditions that each of the last ``MEANT_IN`` searches had with the same values, one search an occasion.

    None where there were fewer occasions; ``events`` are the newest first.
    """
    moments = np.array([event.occurred_at.timestamp() for event in events])
    occasions: dict[int, LoggedEvent] = {}  # by session, which may go on for hours: the newest search of it
    for session, event in zip(sessions_of(np.zeros(len(events), np.int64), moments).tolist(), events, strict=True):
        if event.query:
            occasions.setdefault(session, event)
    if len(occasions) < MEANT_IN:
        return {}
    newest, *earlier = ([*fields_of(event.query or {})] for event in list(occasions.values())[:MEANT_IN])
    parts = [filters.as_query() for field, filters in newest if all((field, filters) in one for one in earlier)]
    return {name: value for part in parts for name, value in part.items()}


def read_asked(buyer: Buyer, before: datetime | None = None) -> Asked:
    """What a buyer asked for and did until now, or before a moment; the twin of what ``state`` reads."""
    events = buyer.interactions.order_by("-occurred_at", "-id")
    if before:
        events = events.filter(occurred_at__lt=before)
    found = events.values_list("listing_id", "kind__weight", "occurred_at", "query")[:EVENTS_READ]
    now = before or timezone.now()
    searches = SavedSearch.objects.filter(buyer=buyer, created_at__lte=now).order_by("-created_at")
    saved, saved_at = searches.values_list("query", "created_at").first() or (None, None)
    return Asked(tuple(event_of(*row) for row in found), saved, saved_at, now)


def event_of(listing_id: int | None, weight: float, occurred_at: datetime, query: object) -> LoggedEvent:
    """An event as wishes read it; what was stored as a search and is no mapping asks for nothing."""
    return LoggedEvent(listing_id, float(weight), occurred_at, dict(query) if isinstance(query, Mapping) else None)


def fields_of(query: Mapping[str, Any]) -> Iterator[tuple[str, ListingFilters]]:
    """Each field that a query speaks of, with its own conditions alone; words and places are in no field."""
    asked = ListingFilters.from_query(dict(query)).as_query()
    for field, names in FILTERS_OF_WISH.items():
        if part := {name: asked[name] for name in names if name in asked}:
            yield field, ListingFilters.from_query(part)


def what_is_left(
    field: str, filters: ListingFilters, events: Sequence[LoggedEvent], snapshot: ListingSnapshot
) -> float:
    """How much of a wish is left after some events, newest first: 1 where they agree with it, down to 0.

    A car counts once, by its newest event, and by no more than one look: ten looks at petrol cars leave nothing of a
    wish for electric ones. A dislike of what was wished for contradicts it as well, and so does a search for others.
    """
    rows, weights = newest_cars(events, snapshot)
    is_met, is_known = snapshot.columns.matching(filters, rows), is_known_of(field, rows, snapshot)
    # opened and met speaks for the wish; opened and not met, or met and disliked, against it
    against = np.where(is_met, -weights, np.maximum(weights, 0.0))[is_known].sum()
    searches = {str(event.query): event.query for event in events if event.query}.values()
    against += sum(contradicts(asked, field, filters) for asked in searches)
    return float(np.clip((WORN_AT - against) / (WORN_AT - BEARS), 0.0, 1.0))


def share_lasting(events: Sequence[LoggedEvent], snapshot: ListingSnapshot) -> float:
    """How much a search decides beside the preference: 1 where it had learned from no car before, down to 0."""
    _, weights = newest_cars(events, snapshot)
    return float(max(0.0, 1.0 - np.maximum(weights, 0.0).sum() / SEARCH_ENDS_AT))


def opened_instead(
    field: str, filters: ListingFilters, events: Sequence[LoggedEvent], snapshot: ListingSnapshot
) -> ListingFilters | None:
    """The one other value of a field that nearly all cars opened have; None where there is none, or for numbers."""
    name = FILTERS_OF_WISH[field][0]
    if name not in CATEGORIES:
        return None
    rows, weights = newest_cars(events, snapshot)
    codes = snapshot.columns.codes(CATEGORIES[name])[rows[weights > 0]]
    codes = codes[codes > 0]
    if not len(codes):
        return None
    usual = int(np.bincount(codes).argmax())
    value = snapshot.columns.levels(CATEGORIES[name])[usual]
    if (codes == usual).mean() < ALIKE_AT_LEAST or value in getattr(filters, name):
        return None
    return ListingFilters.from_query({name: [value]})


def newest_cars(
    events: Sequence[LoggedEvent], snapshot: ListingSnapshot
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Rows of the cars that the newest events are about, each once, and the weights of those events, -1 to 1."""
    cars = {event.listing_id: event for event in reversed(events) if event.listing_id is not None and event.weight}
    newest = sorted(cars.values(), key=lambda event: event.occurred_at, reverse=True)[:CARS_COUNTED]
    rows = snapshot.stock.rows_of(np.array([event.listing_id for event in newest], np.int64))
    weights = np.clip(np.array([event.weight for event in newest], np.float64), -1.0, 1.0)
    return rows[rows >= 0], weights[rows >= 0]


def is_known_of(field: str, rows: NDArray[np.intp], snapshot: ListingSnapshot) -> NDArray[np.bool_]:
    """Whether the listings say anything of a field at all."""
    if field in NUMBER_OF_FIELD:
        return ~np.isnan(snapshot.columns.numbers(NUMBER_OF_FIELD[field])[rows])
    if field == "tags":
        return np.ones(len(rows), bool)
    return snapshot.columns.codes(CATEGORIES[FILTERS_OF_WISH[field][0]])[rows] > 0


def contradicts(query: Mapping[str, Any], field: str, filters: ListingFilters) -> bool:
    """Whether a search asks for other values of a field than those that satisfy a wish."""
    wished = filters.as_query()
    for other_field, other in fields_of(query):
        if other_field == field:
            asked = other.as_query()
            return any(is_apart(asked, wished, name) for name in FILTERS_OF_WISH[field])
    return False


def is_apart(asked: Mapping[str, Any], wished: Mapping[str, Any], name: str) -> bool:
    """Whether two queries have nothing in common by one of their names."""
    if name.startswith("min_"):
        return name in asked and asked[name] > wished.get(f"max_{name[4:]}", np.inf)
    if name.startswith("max_"):
        return name in asked and asked[name] < wished.get(f"min_{name[4:]}", -np.inf)
    return name in asked and name in wished and not set(asked[name]) & set(wished[name])
