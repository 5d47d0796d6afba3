"""Events as choices in a vector space: what a buyer's log says, before any arithmetic.

The same for one buyer who was active a moment ago and for the thousands a training learns from.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.filters import ListingFilters
from recommendations.buyers.questionnaire import wishes_in
from recommendations.engine.choice_sets import ChoiceSets, event_weights
from recommendations.engine.evidence import NOBODY, Choices, build_choice_sets
from recommendations.events.rows import EventRows, read_queries, read_shown_beside
from recommendations.listings.space import ListingSpace
from recommendations.models import EventKind

SEARCH_RESULTS_AVERAGED = 30  # a search stands for the mean of that many of the cars it found
SEARCHED_AMONG = 4_000  # live cars; a search that finds enough of these is not put to all the others
QUESTIONNAIRE_WEIGHT = 4.0  # in views; it does not decay, later events outweigh it
SHOWN_AT_MOST = 30  # of a served list, as far down as a buyer plausibly looks
SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True)
class Supposed:
    """What is assumed of events beyond what the database says of them; nothing where lists are served.

    Attributes:
        kinds: Slug -> kind, in place of the stored ones; None: those that are stored.
        queries: What searches asked for that are in no log, by event id.
    """

    kinds: Mapping[str, EventKind] | None = None
    queries: Mapping[int, dict[str, Any]] = field(default_factory=dict)

    def kinds_by_slug(self) -> Mapping[str, EventKind]:
        return EventKind.objects.in_bulk() if self.kinds is None else self.kinds


NOTHING_SUPPOSED = Supposed()


def choice_sets_of(
    events: EventRows,
    space: ListingSpace,
    now: datetime,
    n_sampled: int,
    answers: Sequence[Choices] = (),
    supposed: Supposed = NOTHING_SUPPOSED,
) -> dict[int, ChoiceSets]:
    """Choice sets of every buyer of some events, by buyer id; buyers whose events tell nothing are absent.

    Args:
        events: Of any buyers.
        space: Where listings have their vectors.
        now: Events count by their age at this moment.
        n_sampled: Random live listings beside each choice.
        answers: What buyers told besides, as from ``choices_of_answers``.
        supposed: What is assumed of the events.
    """
    told = choices_of(events, space, now, supposed)
    return build_choice_sets(Choices.concatenate([told, *answers]), space.stock, n_sampled)


def choices_of(events: EventRows, space: ListingSpace, now: datetime, supposed: Supposed = NOTHING_SUPPOSED) -> Choices:
    """What events say, as vectors and decayed weights; those that say nothing are left out."""
    kinds = supposed.kinds_by_slug()
    events = events.take(np.array([kinds[kind].weight != 0 for kind in events.kinds], bool))
    weights, reverse = event_weights(
        [kinds[kind].weight for kind in events.kinds],
        (now.timestamp() - events.occurred_at) / SECONDS_A_DAY,
        [kinds[kind].half_life_days for kind in events.kinds],
    )
    has_listing = events.listing_ids > 0
    listed_events, beside = read_shown_beside(events.ids[has_listing], SHOWN_AT_MOST)
    wanted = np.unique(np.concatenate([events.listing_ids[has_listing], beside]))
    vectors = Vectors(space, wanted)
    found, rows_of_searches = searched_by(events.take(~has_listing), space, supposed)
    chosen = vectors.rows_of(events.listing_ids)
    chosen[~has_listing] = np.where(rows_of_searches >= 0, rows_of_searches + len(vectors), NOBODY)
    choices = Choices(
        vectors=np.concatenate([vectors.features, found]),
        chosen=chosen,
        shown=padded_lists(events.ids, listed_events, vectors.rows_of(beside)),
        weights=weights,
        reverse=reverse,
        moments=events.occurred_at,
        seeds=events.ids,
        listing_ids=events.listing_ids,
        buyer_ids=events.buyer_ids,
    )
    return choices.take(chosen != NOBODY)


def padded_lists(
    event_ids: NDArray[np.int64], listed_events: NDArray[np.int64], rows: NDArray[np.intp]
) -> NDArray[np.intp]:
    """The rows that belong to each event, from the left, shape (n_events, the most there are); rows below 0 go.

    ``listed_events`` names the event of each row and is sorted.
    """
    listed_events, rows = listed_events[rows >= 0], rows[rows >= 0]
    starts = np.searchsorted(listed_events, event_ids)
    counts = np.searchsorted(listed_events, event_ids, side="right") - starts
    places = np.arange(counts.max(initial=0))
    lists = np.full((len(event_ids), len(places)), NOBODY, np.intp)
    is_there = places < counts[:, None]
    lists[is_there] = rows[(starts[:, None] + places)[is_there]]
    return lists


def searched_by(
    events: EventRows, space: ListingSpace, supposed: Supposed = NOTHING_SUPPOSED
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """What searches stand for: vectors (n_found, n_dims), and for each event its row among them, -1 for none."""
    queries = {**read_queries(events.ids), **supposed.queries}
    found: list[NDArray[np.float32]] = []
    rows = np.full(len(events), NOBODY, np.intp)
    for at, event_id in enumerate(events.ids.tolist()):
        vector = searched(queries.get(event_id), space, event_id)
        if vector is not None:
            rows[at] = len(found)
            found.append(vector)
    return np.array(found, np.float32).reshape(len(found), space.ranker.n_dims), rows


def searched(query: dict | None, space: ListingSpace, seed: int) -> NDArray[np.float32] | None:
    """A search stands for the mean of a sample of the live cars it finds; None when it finds none, or all."""
    if not query:
        return None
    found = found_by(ListingFilters.from_query(query), space)
    if not len(found) or len(found) == int(space.column("is_live").sum()):
        return None
    rows = np.random.default_rng(seed).choice(found, min(SEARCH_RESULTS_AVERAGED, len(found)), replace=False)
    return space.stock.vectors[rows].mean(axis=0)


def found_by(filters: ListingFilters, space: ListingSpace) -> NDArray[np.intp]:
    """Rows of the live cars that match; of a search that finds many, enough of them from an even sample of the stock.

    A training meets thousands of searches, and looking through the whole stock for each would take most of its time.
    """
    if not asks_for_text(filters):
        some = space.live_sample(SEARCHED_AMONG)
        found = some[space.columns.matching(filters, some)]
        if SEARCH_RESULTS_AVERAGED <= len(found) < len(some):
            return found
    return np.flatnonzero(space.allowed(filters))


def asks_for_text(filters: ListingFilters | None) -> bool:
    """Whether a search, or one it goes on from, is for words, which only the database finds."""
    return filters is not None and (bool(filters.text) or asks_for_text(filters.also))


def choices_of_answers(buyer_id: int, answers: dict, now: datetime, space: ListingSpace) -> Choices:
    """A questionnaire, each answer as a search of its own: who wants an estate and a diesel says two things."""
    answered = ListingFilters.from_query(wishes_in(answers)).as_query()
    budget = {name: value for name, value in answered.items() if name in ("min_price", "max_price")}
    parts = [{name: value} for name, value in answered.items() if name not in budget] + ([budget] if budget else [])
    found = [searched(query, space, number) for number, query in enumerate(parts)]
    told = [number for number, vector in enumerate(found) if vector is not None]
    n = len(told)
    return Choices(
        vectors=np.array([found[number] for number in told], np.float32).reshape(n, space.ranker.n_dims),
        chosen=np.arange(n),
        shown=np.empty((n, 0), np.intp),
        weights=np.full(n, QUESTIONNAIRE_WEIGHT),
        reverse=np.zeros(n, bool),
        moments=np.full(n, now.timestamp()),
        seeds=buyer_id * 100 + np.array(told, np.int64),
        listing_ids=np.zeros(n, np.int64),
        buyer_ids=np.full(n, buyer_id),
    )


class Vectors:
    """Vectors of some listings by id; whatever the space does not hold, it is asked to find elsewhere.

    Attributes:
        listing_ids: Of those that were found, sorted.
        features: Theirs, float32, shape (n_found, n_dims).
    """

    def __init__(self, space: ListingSpace, listing_ids: Collection[int] | NDArray[np.int64]) -> None:
        wanted = np.unique(np.fromiter(listing_ids, np.int64, len(listing_ids)))
        features, known = space.vectors_of(wanted)
        self.listing_ids, self.features = wanted[known], features[known]
        if not known.all():
            elsewhere_ids, elsewhere = space.vectors_elsewhere(wanted[~known].tolist())
            all_ids = np.concatenate([self.listing_ids, elsewhere_ids])
            order = np.argsort(all_ids)
            self.listing_ids = all_ids[order]
            self.features = np.concatenate([self.features, elsewhere])[order]

    def __len__(self) -> int:
        return len(self.listing_ids)

    def rows_of(self, listing_ids: NDArray[np.int64]) -> NDArray[np.intp]:
        """Row of each listing in ``features``, -1 for a deleted one."""
        if not len(self):
            return np.full(len(listing_ids), -1, np.intp)
        at = np.minimum(np.searchsorted(self.listing_ids, listing_ids), len(self) - 1)
        return np.where(self.listing_ids[at] == listing_ids, at, -1)

    def matrix(self, listing_ids: Sequence[int]) -> NDArray[np.float32]:
        """Shape (n, n_dims), one row for each listing; zero for a deleted one."""
        rows = self.rows_of(np.array(listing_ids, np.int64))
        matrix = np.zeros((len(rows), self.features.shape[1]), np.float32)
        matrix[rows >= 0] = self.features[rows[rows >= 0]]
        return matrix
