"""Stated wishes of a buyer, by field, and the share of each list that they decide.

A preference learns from answers and searches as from events, but a few statements cannot outweigh the population's
prior. So a stated wish also holds as a share of each list: of the first positions, so many satisfy it while the stock
allows. Contrary events reduce the share to 0; if nearly all of them are for one other value of the same field, that
value gets a share instead.

A search is weaker evidence, since buyers search with changing filters. The more cars they had opened before it, the
less it decides, because the preference has learned from the search and the cars. Cars opened afterwards reduce it only
if they contradict it. Within the session of the search it keeps two thirds. A condition that several searches in a row
have counts in full.
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
    """One field that a buyer stated a wish about.

    Attributes:
        field: As ``FILTERS_OF_WISH`` names it: "fuel", "price", "seats", …
        filters: Filters that satisfy it.
        share: Share of the positions of a list that it decides, above 0 and at most 1.
    """

    field: str
    filters: ListingFilters
    share: float


class LoggedEvent(NamedTuple):
    """An event as wishes read it; ``listing_id`` is None for a search."""

    listing_id: int | None
    weight: float
    occurred_at: datetime
    query: dict[str, Any] | None


class Statement(NamedTuple):
    """Conditions that were stated together.

    Attributes:
        query: The conditions.
        share: Of the positions, while nothing contradicts them.
        since: Time of the statement; None where it is not known.
        is_passing: Whether cars opened before the statement reduce it too, rather than only later ones that contradict
            it.
    """

    query: Mapping[str, Any]
    share: float
    since: datetime | None
    is_passing: bool = False


class Asked(NamedTuple):
    """A buyer's statements and events, besides the questionnaire.

    Attributes:
        events: The newest of every kind, at most ``EVENTS_READ``, newest first.
        saved: Query of the newest saved search, as stored; None where there is none.
        saved_at: Time of that search.
        now: The time as of which wishes are computed.
    """

    events: tuple[LoggedEvent, ...]
    saved: object
    saved_at: datetime | None
    now: datetime


def wishes_of(buyer: Buyer, snapshot: ListingSnapshot, asked: Asked) -> tuple[Wish, ...]:
    """Return the wishes that the buyer has not contradicted, at most one for each field, the strongest.

    Answers of the questionnaire have no date and count as if always given.
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
    """Yield the questionnaire, the newest saved search, and the newest search of the last weeks."""
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
    """Return the conditions that the last ``MEANT_IN`` searches on different occasions had with the same values.

    None of them where there were fewer occasions; ``events`` are newest first.
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
    """Read a buyer's statements and events until now, or before a time; the twin of what ``state`` reads."""
    events = buyer.interactions.order_by("-occurred_at", "-id")
    if before:
        events = events.filter(occurred_at__lt=before)
    found = events.values_list("listing_id", "kind__weight", "occurred_at", "query")[:EVENTS_READ]
    now = before or timezone.now()
    searches = SavedSearch.objects.filter(buyer=buyer, created_at__lte=now).order_by("-created_at")
    saved, saved_at = searches.values_list("query", "created_at").first() or (None, None)
    return Asked(tuple(event_of(*row) for row in found), saved, saved_at, now)


def event_of(listing_id: int | None, weight: float, occurred_at: datetime, query: object) -> LoggedEvent:
    """Return an event as wishes read it; a stored search that is no mapping has no conditions."""
    return LoggedEvent(listing_id, float(weight), occurred_at, dict(query) if isinstance(query, Mapping) else None)


def fields_of(query: Mapping[str, Any]) -> Iterator[tuple[str, ListingFilters]]:
    """Yield each field of a query with its own conditions; texts and locations belong to no field."""
    asked = ListingFilters.from_query(dict(query)).as_query()
    for field, names in FILTERS_OF_WISH.items():
        if part := {name: asked[name] for name in names if name in asked}:
            yield field, ListingFilters.from_query(part)


def what_is_left(
    field: str, filters: ListingFilters, events: Sequence[LoggedEvent], snapshot: ListingSnapshot
) -> float:
    """Return the remaining part of a wish after some events, newest first: from 1 where they agree with it, to 0.

    A car counts once, by its newest event, with a weight of at most a view: ten views of petrol cars leave nothing of a
    wish for electric ones. A dislike of a matching car contradicts it as well, and so does a search for other values.
    """
    rows, weights = newest_cars(events, snapshot)
    is_met, is_known = snapshot.columns.matching(filters, rows), is_known_of(field, rows, snapshot)
    # opened and met speaks for the wish; opened and not met, or met and disliked, against it
    against = np.where(is_met, -weights, np.maximum(weights, 0.0))[is_known].sum()
    searches = {str(event.query): event.query for event in events if event.query}.values()
    against += sum(contradicts(asked, field, filters) for asked in searches)
    return float(np.clip((WORN_AT - against) / (WORN_AT - BEARS), 0.0, 1.0))


def share_lasting(events: Sequence[LoggedEvent], snapshot: ListingSnapshot) -> float:
    """Return how much a search decides beside the preference: 1 if no car was opened before it, down to 0."""
    _, weights = newest_cars(events, snapshot)
    return float(max(0.0, 1.0 - np.maximum(weights, 0.0).sum() / SEARCH_ENDS_AT))


def opened_instead(
    field: str, filters: ListingFilters, events: Sequence[LoggedEvent], snapshot: ListingSnapshot
) -> ListingFilters | None:
    """Return the one other value of a field that nearly all opened cars have; None where there is none, or for
    numbers."""
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
    """Return rows of the cars of the newest events, each once, and the weights of those events, -1 to 1."""
    cars = {event.listing_id: event for event in reversed(events) if event.listing_id is not None and event.weight}
    newest = sorted(cars.values(), key=lambda event: event.occurred_at, reverse=True)[:CARS_COUNTED]
    rows = snapshot.stock.rows_of(np.array([event.listing_id for event in newest], np.int64))
    weights = np.clip(np.array([event.weight for event in newest], np.float64), -1.0, 1.0)
    return rows[rows >= 0], weights[rows >= 0]


def is_known_of(field: str, rows: NDArray[np.intp], snapshot: ListingSnapshot) -> NDArray[np.bool_]:
    """Whether the listings have a value of a field."""
    if field in NUMBER_OF_FIELD:
        return ~np.isnan(snapshot.columns.numbers(NUMBER_OF_FIELD[field])[rows])
    if field == "tags":
        return np.ones(len(rows), bool)
    return snapshot.columns.codes(CATEGORIES[FILTERS_OF_WISH[field][0]])[rows] > 0


def contradicts(query: Mapping[str, Any], field: str, filters: ListingFilters) -> bool:
    """Whether a search has other values of a field than those that satisfy a wish."""
    wished = filters.as_query()
    for other_field, other in fields_of(query):
        if other_field == field:
            asked = other.as_query()
            return any(is_apart(asked, wished, name) for name in FILTERS_OF_WISH[field])
    return False


def is_apart(asked: Mapping[str, Any], wished: Mapping[str, Any], name: str) -> bool:
    """Whether two queries have no value in common under a name."""
    if name.startswith("min_"):
        return name in asked and asked[name] > wished.get(f"max_{name[4:]}", np.inf)
    if name.startswith("max_"):
        return name in asked and asked[name] < wished.get(f"min_{name[4:]}", -np.inf)
    return name in asked and name in wished and not set(asked[name]) & set(wished[name])
