"""Events as choices in a vector space: what a buyer's log says, before any arithmetic.

The same for one buyer who was active a moment ago and for the thousands a training learns from.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from catalog.filters import ListingFilters
from recommendations.datasets import EventRows
from recommendations.engine.choice_sets import ChoiceSets, event_weights
from recommendations.engine.evidence import Choice, build_choice_sets
from recommendations.models import EventKind, Interaction, ServedList
from recommendations.questionnaire import wishes_in
from recommendations.space import ListingSpace

SEARCH_RESULTS_AVERAGED = 30  # a search stands for the mean of that many of the cars it found
QUESTIONNAIRE_WEIGHT = 4.0  # in views; it does not decay, later events outweigh it
SHOWN_AT_MOST = 30  # of a served list, as far down as a buyer plausibly looks
SECONDS_A_DAY = 86_400.0


def choices_of(
    events: Sequence[Interaction],
    shown: Mapping[uuid.UUID, ServedList],
    kinds: Mapping[str, EventKind],
    now: datetime,
    space: ListingSpace,
) -> list[Choice]:
    """What the events of one buyer say, as vectors and decayed weights; events that say nothing are left out."""
    told = [event for event in events if kinds[event.kind_id].weight]
    if not told:
        return []
    weights, reverse = event_weights(
        [kinds[event.kind_id].weight for event in told],
        [(now - event.occurred_at).total_seconds() / SECONDS_A_DAY for event in told],
        [kinds[event.kind_id].half_life_days for event in told],
    )
    lists = {event.pk: shown_beside(event, shown) for event in told}
    wanted = {event.listing_id for event in told if event.listing_id}
    vectors = Vectors(space, wanted.union(*lists.values()))
    choices = []
    for event, weight, is_against in zip(told, weights, reverse, strict=True):
        chosen = vectors.one(event.listing_id) if event.listing_id else searched(event.query, space, event.pk)
        if chosen is not None:
            choices.append(
                Choice(
                    chosen=chosen,
                    shown=vectors.many(lists[event.pk]),
                    weight=float(weight),
                    reverse=bool(is_against),
                    moment=event.occurred_at.timestamp(),
                    seed=event.pk,
                    listing_id=event.listing_id or 0,
                )
            )
    return choices


def choice_sets_of(events: EventRows, space: ListingSpace, now: datetime, n_sampled: int) -> dict[int, ChoiceSets]:
    """Choice sets of every buyer of some events, by buyer id; buyers whose events tell nothing are absent."""
    kinds = EventKind.objects.in_bulk()
    by_buyer: dict[int, list[Interaction]] = {}
    for event in Interaction.objects.filter(pk__in=events.ids.tolist()).order_by("-occurred_at", "-id"):
        by_buyer.setdefault(event.buyer_id, []).append(event)
    sets = {}
    for buyer_id, history in by_buyer.items():
        shown = ServedList.objects.in_bulk({event.served_list_id for event in history if event.served_list_id})
        built = build_choice_sets(choices_of(history, shown, kinds, now, space), space.stock, n_sampled)
        if len(built):
            sets[buyer_id] = built
    return sets


def shown_beside(event: Interaction, shown: Mapping[uuid.UUID, ServedList]) -> list[int]:
    """The other cars of the list the event came from, as far down as the buyer plausibly looked."""
    served = shown.get(event.served_list_id) if event.served_list_id else None
    if served is None or event.listing_id not in served.listing_ids:
        return []
    return [listing_id for listing_id in served.listing_ids[:SHOWN_AT_MOST] if listing_id != event.listing_id]


def searched(query: dict | None, space: ListingSpace, seed: int) -> NDArray[np.float32] | None:
    """A search stands for the mean of a sample of the live cars it finds; None when it finds none, or all."""
    if not query:
        return None
    allowed = space.allowed(ListingFilters.from_query(query))
    n_found = int(allowed.sum())
    if not n_found or n_found == int(space.column("is_live").sum()):
        return None
    rows = np.flatnonzero(allowed)
    rows = np.random.default_rng(seed).permutation(rows)[:SEARCH_RESULTS_AVERAGED]
    return space.stock.vectors[rows].mean(axis=0)


def choices_of_answers(answers: dict, now: datetime, space: ListingSpace, seed: int) -> list[Choice]:
    """A questionnaire, each answer as a search of its own: who wants an estate and a diesel says two things."""
    answered = ListingFilters.from_query(wishes_in(answers)).as_query()
    budget = {name: value for name, value in answered.items() if name in ("min_price", "max_price")}
    parts = [{name: value} for name, value in answered.items() if name not in budget] + ([budget] if budget else [])
    choices = []
    for number, query in enumerate(parts):
        chosen = searched(query, space, number)
        if chosen is not None:
            shown = np.empty((0, len(chosen)), np.float32)
            choices.append(
                Choice(chosen, shown, QUESTIONNAIRE_WEIGHT, False, now.timestamp(), seed=seed * 100 + number)
            )
    return choices


class Vectors:
    """Vectors of some listings by id; whatever the space does not hold, it is asked to find elsewhere."""

    def __init__(self, space: ListingSpace, listing_ids: set[int]) -> None:
        self._n_dims = space.ranker.n_dims
        wanted = np.array(sorted(listing_ids), np.int64)
        vectors, known = space.vectors_of(wanted)
        self._by_listing_id = dict(zip(wanted[known].tolist(), vectors[known], strict=True))
        if not known.all():
            found_ids, found = space.vectors_elsewhere(wanted[~known].tolist())
            self._by_listing_id.update(zip(found_ids.tolist(), found, strict=True))

    def one(self, listing_id: int) -> NDArray[np.float32] | None:
        return self._by_listing_id.get(listing_id)

    def matrix(self, listing_ids: Sequence[int]) -> NDArray[np.float32]:
        """Shape (n, n_dims), one row for each listing; zero for a deleted one."""
        nothing = np.zeros(self._n_dims, np.float32)
        rows = [self._by_listing_id.get(key, nothing) for key in listing_ids]
        return np.array(rows, np.float32).reshape(len(rows), self._n_dims)

    def many(self, listing_ids: Sequence[int]) -> NDArray[np.float32]:
        """Shape (n, n_dims); deleted listings are left out."""
        found = [self._by_listing_id[key] for key in listing_ids if key in self._by_listing_id]
        return np.array(found, np.float32).reshape(len(found), self._n_dims)
