"""Read stored preferences, and bring them up to date where the buyer's log is ahead.

A preference stores how far into the buyer's log it has read. Every reader compares that with the log, which costs one
indexed query, and computes the preference anew when it is stale (``posteriors``). A worker has usually done so before,
but no reader depends on that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts.models import Buyer
from recommendations.buyers.locks import lock_buyer, lock_buyers
from recommendations.buyers.posteriors import (
    LogPosition,
    StalePreference,
    evidence_of,
    posteriors_of,
    recompute_each,
    store_preferences,
)
from recommendations.events.rows import read_histories
from recommendations.listings.index import ListingIndex, borrow_index
from recommendations.models import EventKind, Preference
from web.postgres.prepared import preparing_cursor, sized
from web.replicas import on_primary

EVENTS_AT_ONCE = 4_000  # of a batch of buyers; each takes some 25 kB while it is worked on
RULES = 4  # of what an event says; another number makes every stored preference stale
BUYERS_AT_ONCE = 250  # of a batch; each holds a lock, of which the server has some thousands

KINDS_AS_JSON = """
SELECT coalesce(json_agg(json_build_array(slug, weight, half_life_days, is_contact, is_dismissal) ORDER BY slug),
    '[]')::text AS content FROM recommendations_eventkind"""

# ruff: noqa: S608 -- put together from constants
STORED = f"""
SELECT ({KINDS_AS_JSON}), log.last, log.n, p.id, p.last_interaction_id, p.n_interactions, p.basis, p.computed_at, true,
    vector_send(p.mean), p.covariance, p.tastes
FROM (SELECT coalesce(max(id), 0) AS last, count(id) AS n FROM recommendations_interaction
    WHERE buyer_id = %(buyer)s) AS log
LEFT JOIN recommendations_preference p ON p.buyer_id = %(buyer)s AND p.version_id = %(version)s"""


@on_primary()  # a preference that a replica's log made would claim to know more than it does
def current_preference(buyer: Buyer, *, by: str = "read") -> Preference | None:
    """The buyer's preference under the live version, up to date.

    None for a buyer without events and answers, and before the first version is live.
    """
    with borrow_index() as listing_index:
        if listing_index is None:
            return None
        version_id = listing_index.version_id
    found = stored_or_stale(buyer, version_id)
    return updated_preference(found, version_id, by=by) if isinstance(found, StalePreference) else found


@on_primary()
def updated_preference(
    stale: StalePreference, version_id: int, *, by: str = "read", kinds: Sequence[EventKind] | None = None
) -> Preference | None:
    """Compute and store a stale preference; ``kinds`` are all event kinds, where the caller has read them."""
    found: StalePreference | Preference | None = stale
    with lock_buyer(stale.buyer.pk) as had_to_wait:
        if had_to_wait:  # another process was computing it, and may have finished
            found, kinds = stored_or_stale(stale.buyer, version_id), None
        if not isinstance(found, StalePreference):
            return found
        return next(iter(recompute_each([found], by=by, kinds=kinds)), None)


def stored_or_stale(buyer: Buyer, version_id: int) -> Preference | StalePreference | None:
    """The stored preference where it is up to date, else what is needed to compute it; None for an unknown buyer.

    One statement, since a worker asks after each event, and mostly in vain where a read was faster.
    """
    with preparing_cursor(connection) as cursor:
        cursor.execute(STORED, sized({"buyer": buyer.pk, "version": version_id}))
        kinds, last, n, *row = cursor.fetchone()
    basis, position = digest_of_basis(kinds_in(kinds), buyer.questionnaire), LogPosition(last, n)
    stored = stored_preference(buyer, version_id, tuple(row), None)
    if stored and is_current(stored, position, basis):
        return stored
    if not position.n_interactions and not buyer.questionnaire:
        return None
    return StalePreference(buyer, position, basis, stored)


def stored_preference(
    buyer: Buyer, version_id: int, row: tuple[Any, ...], kept: Preference | None
) -> Preference | None:
    """The stored preference: the cached one where the database says that it has not changed."""
    key, last, n, basis, computed_at, is_another, mean, covariance, tastes = row
    if key is None:
        return None
    if not is_another:
        return kept
    return Preference(
        id=key,
        buyer=buyer,
        version_id=version_id,
        mean=np.frombuffer(mean, ">f4", offset=4).astype(np.float32),  # after two numbers of two bytes each
        covariance=covariance,
        tastes=tastes,
        last_interaction_id=last,
        n_interactions=n,
        basis=basis,
        computed_at=computed_at,
    )


@lru_cache(maxsize=4)
def kinds_in(content: str) -> tuple[EventKind, ...]:
    """The event kinds of a reading, from JSON."""
    names = ("slug", "weight", "half_life_days", "is_contact", "is_dismissal")
    return tuple(EventKind(**kind_fields(dict(zip(names, values, strict=True)))) for values in json.loads(content))


def kind_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of the model's types: JSON writes 1.0 as 1."""
    return {name: EventKind._meta.get_field(name).to_python(value) for name, value in values.items()}  # type: ignore[union-attr]


@on_primary()
def preference_in_space(buyer: Buyer, listing_index: ListingIndex) -> Preference | None:
    """As ``current_preference``, under a version that is not live. No worker prepares these.

    Two requests at the same time both compute it, with the same result.
    """
    if not buyer.is_personalised:
        return None
    found = stored_or_stale(buyer, listing_index.version_id)
    if not isinstance(found, StalePreference):
        return found
    now = timezone.now()
    stale = [found]
    events = read_histories([buyer.pk], settings.EVENTS_PER_BUYER)
    preferences = posteriors_of(stale, evidence_of(stale, events, listing_index, now), now, is_hurried=True)
    store_preferences(preferences)
    return preferences[0]


@on_primary()
def update_preferences(buyers: Sequence[Buyer], *, by: str) -> int:
    """Compute the stale preferences of many buyers in batches; returns how many.

    A buyer whom another process is computing right now is left to that process.
    """
    with borrow_index() as listing_index:
        if listing_index is None:
            return 0
        version_id = listing_index.version_id
    n_computed = 0
    for batch in batches_of(buyers, LogPosition.of_many([buyer.pk for buyer in buyers])):
        with lock_buyers([buyer.pk for buyer in batch]) as mine:
            stale = stale_among([buyer for buyer in batch if buyer.pk in mine], version_id)
            n_computed += len(recompute_each(stale, by=by))
    return n_computed


def batches_of(buyers: Sequence[Buyer], positions: dict[int, LogPosition]) -> Iterator[list[Buyer]]:
    """The buyers in their order, in batches of limited numbers of buyers and events."""
    batch: list[Buyer] = []
    n_events = 0
    for buyer in buyers:
        n_own = min(positions[buyer.pk].n_interactions, settings.EVENTS_PER_BUYER)
        if batch and (n_events + n_own > EVENTS_AT_ONCE or len(batch) == BUYERS_AT_ONCE):
            yield batch
            batch, n_events = [], 0
        batch.append(buyer)
        n_events += n_own
    if batch:
        yield batch


def stale_among(buyers: Sequence[Buyer], version_id: int) -> list[StalePreference]:
    """The buyers with events or answers whose preference is missing or stale."""
    kinds = list(EventKind.objects.all())
    positions = LogPosition.of_many([buyer.pk for buyer in buyers])
    of_version = Preference.objects.filter(version_id=version_id, buyer__in=buyers).defer("covariance")
    stored = {preference.buyer_id: preference for preference in of_version}
    stale = []
    for buyer in buyers:
        position, previous = positions[buyer.pk], stored.get(buyer.pk)
        basis = digest_of_basis(kinds, buyer.questionnaire)
        is_known = position.n_interactions or buyer.questionnaire
        if is_known and not (previous and is_current(previous, position, basis)):
            stale.append(StalePreference(buyer, position, basis, previous))
    return stale


def is_current(preference: Preference, position: LogPosition, basis: str) -> bool:
    """Whether a preference is up to date: no event or change of its basis since, and not too old."""
    return (
        preference.last_interaction_id == position.last_interaction_id
        and preference.n_interactions == position.n_interactions
        and preference.basis == basis
        and timezone.now() - preference.computed_at < timedelta(hours=settings.PREFERENCE_MAX_AGE_HOURS)
    )


def digest_of_basis(kinds: Iterable[EventKind], questionnaire: dict[str, Any]) -> str:
    """A digest of everything but the log that a preference depends on; when it changes, the preference is stale."""
    basis = {
        "kinds": sorted((kind.slug, kind.weight, kind.half_life_days) for kind in kinds),
        "questionnaire": questionnaire,
        "settings": [settings.CHOICE_SET_SAMPLE, settings.EVENTS_PER_BUYER],
        "rules": RULES,
    }
    return hashlib.blake2b(json.dumps(basis, sort_keys=True).encode(), digest_size=16).hexdigest()
