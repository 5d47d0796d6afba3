"""One buyer's log -> the stored preference; and on the reading side, noticing that the log is ahead.

A preference knows how far into the buyer's log it has read. Whoever needs it compares, which costs one indexed
query, and brings it up to date when it is behind: a worker usually did so before, but nobody depends on that.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from accounts.models import Buyer
from recommendations.engine.evidence import build_choice_sets
from recommendations.engine.taste import Taste, pack_covariance, posterior, unpack_covariance
from recommendations.histories import choices_of, choices_of_answers
from recommendations.models import EventKind, Interaction, Preference, ServedList
from recommendations.telemetry import EVENT_TO_PREFERENCE_SECONDS, REFRESH_SECONDS, REFRESHES
from recommendations.window import borrow_window

TURN_SECONDS = 0.25  # to wait for somebody else's computation, which takes a tenth of that
LOCK_SPACE = 0x7A57E << 40  # keeps our advisory locks apart from others


@dataclass(frozen=True)
class LogPosition:
    """How far a reader has read: the newest event id and the number of events."""

    last_interaction_id: int
    n_interactions: int

    @classmethod
    def of(cls, buyer_id: int) -> LogPosition:
        return cls(*Interaction.objects.filter(buyer_id=buyer_id).log_position())


def current_preference(buyer: Buyer, *, by: str = "read") -> Preference | None:
    """The buyer's preference in the live space, brought up to date; None for somebody nobody knows anything of.

    None also before the first ranker is live: there is no space to have a preference in.
    """
    with borrow_window() as window:
        if window is None:
            return None
        version_id = window.version_id
    kinds = EventKind.objects.in_bulk()
    basis = digest_of_basis(kinds.values(), buyer.questionnaire)
    position = LogPosition.of(buyer.pk)
    stored = Preference.objects.filter(buyer=buyer, version_id=version_id).first()
    if stored and is_current(stored, position, basis):
        return stored
    if not position.n_interactions and not buyer.questionnaire:
        return None
    with taking_turns(buyer.pk) as had_to_wait:
        if had_to_wait:  # somebody else was at it, and may have done it
            stored = Preference.objects.filter(buyer=buyer, version_id=version_id).first()
            position = LogPosition.of(buyer.pk)
            if stored and is_current(stored, position, basis):
                return stored
        return recompute(buyer, kinds, basis, position, previous=stored, by=by)


@contextmanager
def taking_turns(buyer_id: int) -> Iterator[bool]:
    """Let one at a time compute a buyer's preference, and tell whether it took waiting.

    A worker and a reader often notice the same event at the same moment. This saves the second of them the work; it
    protects nothing, so whoever waits for too long goes on all the same.
    """
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


def try_lock(cursor: CursorWrapper, buyer_id: int) -> bool:
    cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_SPACE + buyer_id])
    return cursor.fetchone()[0]


def is_current(preference: Preference, position: LogPosition, basis: str) -> bool:
    """Whether nothing has happened since: no event, no change of weights or answers, and not too much time."""
    return (
        preference.last_interaction_id == position.last_interaction_id
        and preference.n_interactions == position.n_interactions
        and preference.basis == basis
        and timezone.now() - preference.computed_at < timedelta(hours=settings.PREFERENCE_MAX_AGE_HOURS)
    )


def digest_of_basis(kinds: Iterable[EventKind], questionnaire: dict) -> str:
    """Of everything but the log that a preference rests on; another digest makes it stale."""
    basis = {
        "kinds": sorted((kind.slug, kind.weight, kind.half_life_days) for kind in kinds),
        "questionnaire": questionnaire,
        "settings": [settings.CHOICE_SET_SAMPLE, settings.EVENTS_PER_BUYER],
    }
    return hashlib.blake2b(json.dumps(basis, sort_keys=True).encode(), digest_size=16).hexdigest()


def recompute(
    buyer: Buyer,
    kinds: dict[str, EventKind],
    basis: str,
    position: LogPosition,
    *,
    previous: Preference | None,
    by: str,
) -> Preference | None:
    """Compute the posterior from the newest events and store it, unless somebody stored a newer one meanwhile.

    The position was read before the events are, so the row may know more than it claims, never less.
    """
    started = time.perf_counter()
    now = timezone.now()
    events = list(Interaction.objects.filter(buyer=buyer).order_by("-occurred_at", "-id")[: settings.EVENTS_PER_BUYER])
    shown = ServedList.objects.in_bulk({event.served_list_id for event in events if event.served_list_id})
    with borrow_window() as window:
        if window is None:
            return None
        choices = choices_of(events, shown, kinds, now, window)
        choices += choices_of_answers(buyer.questionnaire, now, window, seed=buyer.pk)
        sets = build_choice_sets(choices, window.stock, settings.CHOICE_SET_SAMPLE)
        version_id, prior = window.version_id, window.ranker.prior
    start = taste_of(previous) if previous and previous.version_id == version_id else None
    taste = posterior(sets, prior, start)
    preference = Preference(
        buyer=buyer,
        version_id=version_id,
        mean=taste.mean.astype(np.float32),
        covariance=pack_covariance(taste.covariance),
        last_interaction_id=position.last_interaction_id,
        n_interactions=position.n_interactions,
        basis=basis,
        computed_at=now,
    )
    store(preference)
    REFRESHES.labels(by).inc()
    REFRESH_SECONDS.observe(time.perf_counter() - started)
    observe_lag(events, previous)
    return preference


def store(preference: Preference) -> None:
    """Insert or replace; a row that has read further into the log stays."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO recommendations_preference (buyer_id, version_id, mean, covariance, profile, "
            "last_interaction_id, n_interactions, basis, computed_at) VALUES (%s, %s, %s, %s, '{}', %s, %s, %s, %s) "
            "ON CONFLICT (buyer_id, version_id) DO UPDATE SET mean = excluded.mean, covariance = excluded.covariance, "
            "last_interaction_id = excluded.last_interaction_id, n_interactions = excluded.n_interactions, "
            "basis = excluded.basis, computed_at = excluded.computed_at "
            "WHERE recommendations_preference.last_interaction_id <= excluded.last_interaction_id",
            [
                preference.buyer_id,
                preference.version_id,
                preference._meta.get_field("mean").get_db_prep_value(preference.mean, connection),
                bytes(preference.covariance),
                preference.last_interaction_id,
                preference.n_interactions,
                preference.basis,
                preference.computed_at,
            ],
        )


def observe_lag(events: list[Interaction], previous: Preference | None) -> None:
    """How long the newest event waited for the preference that knows it."""
    if not events:
        return
    newest = max(events, key=lambda event: event.pk)
    if previous is None or newest.pk > previous.last_interaction_id:
        EVENT_TO_PREFERENCE_SECONDS.observe(max((timezone.now() - newest.received_at).total_seconds(), 0.0))


def taste_of(preference: Preference) -> Taste:
    """The posterior of a stored preference: mean (d,), covariance (d, d)."""
    mean = np.asarray(preference.mean, np.float64)
    return Taste(mean, unpack_covariance(bytes(preference.covariance), len(mean)))
