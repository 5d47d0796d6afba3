"""Buyers' logs -> stored preferences; and on the reading side, noticing that a log is ahead.

A preference knows how far into the buyer's log it has read. Every reader compares, which costs one indexed
query, and brings it up to date when it is behind: a worker usually did so before, but no reader depends on that.

One buyer or thousands run through the same ``recompute``. It searches for the mode from the last known taste, which is
as exact as from scratch and finds it in fewer steps. To update the belief by the new events alone would be faster
still; it is not done, because old events would never fade, a changed weight or a merged guest would go unnoticed, and
small errors would add up (3.5% of the mean's length after fifty events).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Count, Max
from django.utils import timezone
from numpy.typing import NDArray

from accounts.models import Buyer
from jobs.isolation import each_that_works
from recommendations.buyers.histories import NO_ASSUMPTIONS, Assumptions, choice_sets_of, choices_of_answers
from recommendations.buyers.interests import InterestSet, update_interests
from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.taste import Prior, Taste, pack_covariance, posterior_batch, unpack_covariance
from recommendations.events.rows import EventRows, read_histories
from recommendations.listings.index import ListingIndex, borrow_index
from recommendations.models import EventKind, Interaction, Preference
from recommendations.telemetry import EVENT_TO_PREFERENCE_SECONDS, REFRESH_SECONDS, REFRESHES
from web.postgres.pooling import keeps_session
from web.postgres.prepared import preparing_cursor, sized
from web.replicas import on_primary

TURN_SECONDS = 0.25  # to wait for another process's computation, which takes a tenth of that
LOCK_SPACE = 0x7A57E << 40  # keeps our advisory locks apart from others
REPORTED_AT_ONCE = timedelta(minutes=1)  # an event reported later waited at its sender, not here
EVENTS_AT_ONCE = 4_000  # of a batch of buyers; each takes some 25 kB while it is worked on
RULES = 4  # of what an event says; another number makes every stored preference stale
BUYERS_AT_ONCE = 250  # of a batch; each holds a lock, of which the server has some thousands


@dataclass(frozen=True)
class LogPosition:
    """How far a reader has read: the newest event id and the number of events."""

    last_interaction_id: int
    n_interactions: int

    @classmethod
    def of(cls, buyer_id: int) -> LogPosition:
        return cls(*Interaction.objects.filter(buyer_id=buyer_id).log_position())

    @classmethod
    def of_many(cls, buyer_ids: Sequence[int]) -> dict[int, LogPosition]:
        """By buyer id; one query."""
        logs = Interaction.objects.filter(buyer__in=buyer_ids).order_by().values("buyer")
        found = logs.annotate(last=Max("id"), n=Count("id")).values_list("buyer", "last", "n")
        by_buyer = {buyer_id: cls(last, n) for buyer_id, last, n in found}
        return {buyer_id: by_buyer.get(buyer_id, cls(0, 0)) for buyer_id in buyer_ids}


@dataclass(frozen=True)
class Behind:
    """A buyer whose preference has to be computed.

    Attributes:
        buyer: Who.
        position: Of the log, read before the events are: the row may know more than it claims, never less.
        basis: Digest of everything else the preference rests on.
        previous: The preference so far, if there is one in this space.
    """

    buyer: Buyer
    position: LogPosition
    basis: str
    previous: Preference | None


@on_primary()  # a preference that a replica's log made would claim to know more than it does
def current_preference(buyer: Buyer, *, by: str = "read") -> Preference | None:
    """The buyer's preference in the live space, brought up to date; None for a buyer of whom nothing is known.

    None also before the first ranker is live: there is no space to have a preference in.
    """
    with borrow_index() as listing_index:
        if listing_index is None:
            return None
        version_id = listing_index.version_id
    found = stored_or_behind(buyer, version_id)
    return brought_up_to_date(found, version_id, by=by) if isinstance(found, Behind) else found


@on_primary()
def brought_up_to_date(
    behind: Behind, version_id: int, *, by: str = "read", kinds: Sequence[EventKind] | None = None
) -> Preference | None:
    """The preference of a buyer whose stored one is behind; ``kinds`` are all there are, where they were read along."""
    found: Behind | Preference | None = behind
    with taking_turns(behind.buyer.pk) as had_to_wait:
        if had_to_wait:  # another process was at it, and may have finished
            found, kinds = stored_or_behind(behind.buyer, version_id), None
        return next(iter(recompute_each([found], by=by, kinds=kinds)), None) if isinstance(found, Behind) else found


def stored_or_behind(buyer: Buyer, version_id: int) -> Preference | Behind | None:
    """The stored preference, if it is up to date; what it lacks, if not; None for a buyer of whom nothing is known."""
    basis = digest_of_basis(EventKind.objects.all(), buyer.questionnaire)
    position = LogPosition.of(buyer.pk)
    stored = Preference.objects.filter(buyer=buyer, version_id=version_id).first()
    if stored and is_current(stored, position, basis):
        return stored
    if not position.n_interactions and not buyer.questionnaire:
        return None
    return Behind(buyer, position, basis, stored)


@on_primary()
def preference_in_space(buyer: Buyer, listing_index: ListingIndex) -> Preference | None:
    """As ``current_preference``, in the space of a version that is not live; no worker prepares these.

    Two who ask at once compute the same.
    """
    if not buyer.is_personalised:
        return None
    found = stored_or_behind(buyer, listing_index.version_id)
    if not isinstance(found, Behind):
        return found
    now = timezone.now()
    behind = [found]
    events = read_histories([buyer.pk], settings.EVENTS_PER_BUYER)
    preferences = learned(behind, evidence_of(behind, events, listing_index, now), now, is_hurried=True)
    store(preferences)
    return preferences[0]


@on_primary()
def bring_up_to_date(buyers: Sequence[Buyer], *, by: str) -> int:
    """Compute the preferences that are behind among those of many buyers, side by side; returns how many.

    A buyer whom another process is computing right now is left to that process.
    """
    with borrow_index() as listing_index:
        if listing_index is None:
            return 0
        version_id = listing_index.version_id
    n_computed = 0
    for batch in batches_of(buyers, LogPosition.of_many([buyer.pk for buyer in buyers])):
        with taking_turns_of_many([buyer.pk for buyer in batch]) as mine:
            behind = behind_among([buyer for buyer in batch if buyer.pk in mine], version_id)
            n_computed += len(recompute_each(behind, by=by))
    return n_computed


def batches_of(buyers: Sequence[Buyer], positions: dict[int, LogPosition]) -> Iterator[list[Buyer]]:
    """The buyers in their order, cut so that no batch has too many buyers or events."""
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


def behind_among(buyers: Sequence[Buyer], version_id: int) -> list[Behind]:
    """Those of the buyers whose preference is missing or out of date, and about whom anything is known."""
    kinds = list(EventKind.objects.all())
    positions = LogPosition.of_many([buyer.pk for buyer in buyers])
    of_version = Preference.objects.filter(version_id=version_id, buyer__in=buyers).defer("covariance")
    stored = {preference.buyer_id: preference for preference in of_version}
    behind = []
    for buyer in buyers:
        position, previous = positions[buyer.pk], stored.get(buyer.pk)
        basis = digest_of_basis(kinds, buyer.questionnaire)
        is_known = position.n_interactions or buyer.questionnaire
        if is_known and not (previous and is_current(previous, position, basis)):
            behind.append(Behind(buyer, position, basis, previous))
    return behind


@contextmanager
def taking_turns(buyer_id: int) -> Iterator[bool]:
    """Let one at a time compute a buyer's preference, and tell whether it took waiting.

    A worker and a reader often notice the same event at the same moment. This saves the second of them the work; it
    protects nothing, so a process that waits for too long goes on all the same, and none waits behind PgBouncer, where
    a lock would stay with a session that others get.
    """
    if not keeps_session():
        yield False
        return
    deadline = time.monotonic() + TURN_SECONDS
    had_to_wait = False
    with connection.cursor() as cursor:
        while not (is_mine := try_lock(cursor, buyer_id)) and time.monotonic() < deadline:
            had_to_wait = True
            time.sleep(TURN_SECONDS / 50)
        try:
            yield had_to_wait
        finally:
            if is_mine:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK_SPACE + buyer_id])


@contextmanager
def taking_turns_of_many(buyer_ids: Sequence[int]) -> Iterator[set[int]]:
    """The same for many buyers at once: those of them whose turn is ours. It never waits, so there is no deadlock."""
    if not keeps_session():
        yield set(buyer_ids)
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, pg_try_advisory_lock(%s + id) FROM unnest(%s::bigint[]) AS id",
                       [LOCK_SPACE, list(buyer_ids)])  # fmt: skip
        mine = {buyer_id for buyer_id, is_mine in cursor.fetchall() if is_mine}
        try:
            yield mine
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s + id) FROM unnest(%s::bigint[]) AS id",
                           [LOCK_SPACE, sorted(mine)])  # fmt: skip


def try_lock(cursor: CursorWrapper, buyer_id: int) -> bool:
    cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_SPACE + buyer_id])
    is_locked: bool = cursor.fetchone()[0]
    return is_locked


def is_current(preference: Preference, position: LogPosition, basis: str) -> bool:
    """Whether nothing has happened since: no event, no change of weights or answers, and not too much time."""
    return (
        preference.last_interaction_id == position.last_interaction_id
        and preference.n_interactions == position.n_interactions
        and preference.basis == basis
        and timezone.now() - preference.computed_at < timedelta(hours=settings.PREFERENCE_MAX_AGE_HOURS)
    )


def digest_of_basis(kinds: Iterable[EventKind], questionnaire: dict[str, Any]) -> str:
    """Of everything but the log that a preference rests on; another digest makes it stale."""
    basis = {
        "kinds": sorted((kind.slug, kind.weight, kind.half_life_days) for kind in kinds),
        "questionnaire": questionnaire,
        "settings": [settings.CHOICE_SET_SAMPLE, settings.EVENTS_PER_BUYER],
        "rules": RULES,
    }
    return hashlib.blake2b(json.dumps(basis, sort_keys=True).encode(), digest_size=16).hexdigest()


def recompute_each(behind: Sequence[Behind], *, by: str, kinds: Sequence[EventKind] | None = None) -> list[Preference]:
    """As ``recompute``; a buyer whose log cannot be computed on does not keep the others from theirs.

    Such a buyer gets the preference of the population, until the next event or for PREFERENCE_MAX_AGE_HOURS: so the
    reads go on too, and the batch does not come back to it every time.
    """
    return each_that_works(
        behind,
        lambda some: recompute(some, by=by, kinds=kinds),
        batch="preferences",
        on_fault=lambda one, _: store_population(one),
    )


def store_population(one: Behind) -> list[Preference]:
    """Store what is believed of a buyer of whom nothing is known; none before the first ranker is live."""
    with borrow_index() as listing_index:
        if listing_index is None:
            return []
        live = listing_index.stock.vectors[listing_index.live_sample()]
        nothing = Evidence(listing_index.version_id, listing_index.ranker.prior, {}, live)
    preferences = learned([replace(one, previous=None)], nothing, timezone.now(), is_hurried=True)
    store(preferences)
    return preferences


def recompute(behind: Sequence[Behind], *, by: str, kinds: Sequence[EventKind] | None = None) -> list[Preference]:
    """Compute posteriors from the newest events and store them, unless newer ones were stored meanwhile.

    Returns the preferences in the order of the buyers; none before the first ranker is live. ``kinds`` are those that
    the digests of their basis were made of, where the caller has them.
    """
    started = time.perf_counter()
    now = timezone.now()
    known = EventKind.objects.all() if kinds is None else kinds
    assumptions = Assumptions({kind.slug: kind for kind in known})
    events = read_histories([each.buyer.pk for each in behind], settings.EVENTS_PER_BUYER, kinds=assumptions.kinds)
    with borrow_index() as listing_index:
        if listing_index is None or not behind:
            return []
        evidence = evidence_of(behind, events, listing_index, now, assumptions)
    preferences = learned(behind, evidence, now, is_hurried=by == "read" or len(behind) > 1)
    store(preferences)
    REFRESHES.labels(by).inc(len(behind))
    for _ in behind:
        REFRESH_SECONDS.observe((time.perf_counter() - started) / len(behind))
    observe_lag(behind, preferences[0].version_id)
    return preferences


@dataclass(frozen=True, eq=False)
class Evidence:
    """What buyers' events say, in the space of one version: all that is needed of the window.

    Attributes:
        version_id: Whose space it is.
        prior: The population.
        sets: By buyer id; those whose events tell nothing are absent.
        live: Vectors of a sample of the stock, shape (n, n_dims).
    """

    version_id: int
    prior: Prior
    sets: Mapping[int, ChoiceSets]
    live: NDArray[np.float32]


def evidence_of(
    behind: Sequence[Behind],
    events: EventRows,
    listing_index: ListingIndex,
    now: datetime,
    assumptions: Assumptions = NO_ASSUMPTIONS,
) -> Evidence:
    """Events and answers of some buyers as choices, counting by their age at a moment."""
    buyers = [each.buyer for each in behind]
    answers = [choices_of_answers(buyer.pk, buyer.questionnaire, now, listing_index) for buyer in buyers]
    sets = choice_sets_of(events, listing_index, now, settings.CHOICE_SET_SAMPLE, answers, assumptions)
    return Evidence(
        listing_index.version_id,
        listing_index.ranker.prior,
        sets,
        listing_index.stock.vectors[listing_index.live_sample()],
    )


def learned(behind: Sequence[Behind], evidence: Evidence, now: datetime, *, is_hurried: bool) -> list[Preference]:
    """The posteriors of some buyers as rows that are not stored yet, in their order.

    ``is_hurried``: a caller waits; how many tastes a household has is only asked when that is overdue.
    """
    prior, version_id = evidence.prior, evidence.version_id
    nothing = ChoiceSets.empty(prior.n_dims)
    start = np.array([start_of(each.previous, version_id, prior.mean) for each in behind])
    sets = [evidence.sets.get(each.buyer.pk, nothing) for each in behind]
    tastes = posterior_batch(sets, prior, start=start)
    return [
        Preference(
            buyer=each.buyer,
            version_id=version_id,
            mean=taste.mean.astype(np.float32),
            covariance=pack_covariance(taste.covariance),
            tastes=update_interests(
                own,
                prior,
                evidence.live,
                previous_interests(each.previous, version_id),
                each.position.n_interactions,
                is_hurried=is_hurried,
            ).pack(),
            last_interaction_id=each.position.last_interaction_id,
            n_interactions=each.position.n_interactions,
            basis=each.basis,
            computed_at=now,
        )
        for each, own, taste in zip(behind, sets, tastes, strict=True)
    ]


def start_of(previous: Preference | None, version_id: int, otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where to look for the mode first: where it was last, if that was in this space."""
    if previous is None or previous.version_id != version_id:
        return otherwise
    return np.asarray(previous.mean, np.float64)


def previous_interests(previous: Preference | None, version_id: int) -> InterestSet | None:
    """The tastes of a household as they were last known in this space."""
    return stored_interests(previous) if previous and previous.version_id == version_id else None


def store(preferences: Sequence[Preference]) -> None:
    """Insert or replace; a row that has read further into the log stays.

    Rows go in by buyer, so that two writers who meet wait for each other and never for ever.
    """
    as_vector = Preference._meta.get_field("mean").get_db_prep_value
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO recommendations_preference (buyer_id, version_id, mean, covariance, tastes, profile, "
            "last_interaction_id, n_interactions, basis, computed_at) "
            "VALUES (%s, %s, %s, %s, %s, '{}', %s, %s, %s, %s) "
            "ON CONFLICT (buyer_id, version_id) DO UPDATE SET mean = excluded.mean, covariance = excluded.covariance, "
            "tastes = excluded.tastes, "
            "last_interaction_id = excluded.last_interaction_id, n_interactions = excluded.n_interactions, "
            "basis = excluded.basis, computed_at = excluded.computed_at "
            "WHERE recommendations_preference.last_interaction_id <= excluded.last_interaction_id",
            [
                (
                    preference.buyer_id,
                    preference.version_id,
                    as_vector(preference.mean, connection),
                    bytes(preference.covariance),
                    bytes(preference.tastes),
                    preference.last_interaction_id,
                    preference.n_interactions,
                    preference.basis,
                    preference.computed_at,
                )
                for preference in sorted(preferences, key=lambda preference: preference.buyer_id)
            ],
        )


def observe_lag(behind: Sequence[Behind], version_id: int) -> None:
    """How long the newest event of each buyer waited for the preference that knows it."""
    known = {each.previous.last_interaction_id for each in behind if each.previous}
    newest = {each.position.last_interaction_id for each in behind} - known
    now = timezone.now()
    for received_at in waited_for_the_loop(newest, version_id):
        EVENT_TO_PREFERENCE_SECONDS.observe(max((now - received_at).total_seconds(), 0.0))


WAITED = """
SELECT i.received_at FROM recommendations_interaction i
JOIN recommendations_rankerversion v ON v.id = %(version)s AND i.received_at >= coalesce(v.promoted_at, v.created_at)
WHERE i.id = ANY(%(events)s) AND i.received_at <= i.occurred_at + %(at_once)s
AND NOT EXISTS (SELECT FROM recommendations_preference p
    WHERE p.buyer_id = i.buyer_id AND p.version_id <> v.id AND p.last_interaction_id >= i.id)
AND NOT EXISTS (SELECT FROM recommendations_preference p JOIN accounts_buyer b ON b.id = p.buyer_id
    WHERE b.merged_into_id = i.buyer_id AND p.last_interaction_id >= i.id)"""


def waited_for_the_loop(event_ids: Iterable[int], version_id: int) -> list[datetime]:
    """When those of the events arrived whose wait for a preference says how quick the loop is, in no order.

    An event that another preference knew already, of another version or of the guest the buyer was before they logged
    in, waits for nothing. One that arrived before the version went live waited for the version; one that was reported
    long after it happened (seeded, imported, sent late) waited elsewhere.
    """
    if not (events := list(event_ids)):
        return []
    parameters = {"events": events, "version": version_id, "at_once": REPORTED_AT_ONCE}
    with preparing_cursor(connection) as cursor:
        cursor.execute(WAITED, sized(parameters))
        return [received_at for (received_at,) in cursor.fetchall()]


def taste_of(preference: Preference) -> Taste:
    """The posterior of a stored preference: mean (d,), covariance (d, d).

    What the database gives is the shortest decimal of each float32: as such, and not as a float64, it is the number
    that was stored, so that a list is the same to the last digit before and after.
    """
    mean = np.asarray(preference.mean, np.float32).astype(np.float64)
    return Taste(mean, unpack_covariance(bytes(preference.covariance), len(mean)))


def stored_interests(preference: Preference) -> InterestSet:
    """The several tastes of a stored preference, if it has several."""
    return InterestSet.unpack(bytes(preference.tastes), len(preference.mean))
