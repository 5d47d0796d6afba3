"""Compute buyers' preferences from their events, and store them.

One buyer or thousands go through the same ``recompute``. It searches for the mode from the last known preference, which
is as exact as a search from scratch and takes fewer steps. Updating by the new events alone would be faster still, but
old events would never fade, a changed weight or a merged guest would go unnoticed, and small errors would add up (3.5%
of the mean's length after fifty events).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Max
from django.utils import timezone
from numpy.typing import NDArray

from accounts.models import Buyer
from jobs.isolation import each_that_works
from recommendations.buyers.histories import NO_ASSUMPTIONS, Assumptions, choice_sets_of, choices_of_answers
from recommendations.buyers.interests import InterestSet, update_interests
from recommendations.buyers.lag import observe_lag
from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.taste import Prior, Taste, pack_covariance, posterior_batch, unpack_covariance
from recommendations.events.rows import EventRows, read_histories
from recommendations.listings.index import ListingIndex, borrow_index
from recommendations.models import EventKind, Interaction, Preference
from recommendations.telemetry import REFRESH_SECONDS, REFRESHES


@dataclass(frozen=True)
class LogPosition:
    """A position in a buyer's log: the newest event id, and the number of events."""

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
class StalePreference:
    """What is needed to compute a preference that is missing or behind the log.

    Attributes:
        buyer: Whose preference it is.
        position: Of the log, read before the events are, so that the stored row never claims events it has not read.
        basis: Digest of everything else that the preference depends on.
        previous: The stored preference under this version, if there is one.
    """

    buyer: Buyer
    position: LogPosition
    basis: str
    previous: Preference | None


def recompute_each(
    stale: Sequence[StalePreference], *, by: str, kinds: Sequence[EventKind] | None = None
) -> list[Preference]:
    """As ``recompute``, where a failure for one buyer does not affect the others.

    A buyer whose preference cannot be computed gets the population's, until the next event or for
    PREFERENCE_MAX_AGE_HOURS, so that reads work and no batch retries it every time.
    """
    return each_that_works(
        stale,
        lambda some: recompute(some, by=by, kinds=kinds),
        batch="preferences",
        on_fault=lambda one, _: store_population(one),
    )


def store_population(one: StalePreference) -> list[Preference]:
    """Store the population's preference for a buyer; [] before the first version is live."""
    with borrow_index() as listing_index:
        if listing_index is None:
            return []
        live = listing_index.stock.vectors[listing_index.live_sample()]
        nothing = Evidence(listing_index.version_id, listing_index.ranker.prior, {}, live)
    preferences = posteriors_of([replace(one, previous=None)], nothing, timezone.now(), is_hurried=True)
    store_preferences(preferences)
    return preferences


def recompute(
    stale: Sequence[StalePreference], *, by: str, kinds: Sequence[EventKind] | None = None
) -> list[Preference]:
    """Compute preferences from the newest events and store them, unless newer ones were stored meanwhile.

    Returns the preferences in the order of the buyers; [] before the first version is live. ``kinds`` are the event
    kinds that ``basis`` is a digest of, where the caller has read them.
    """
    started = time.perf_counter()
    now = timezone.now()
    known = EventKind.objects.all() if kinds is None else kinds
    assumptions = Assumptions({kind.slug: kind for kind in known})
    events = read_histories([each.buyer.pk for each in stale], settings.EVENTS_PER_BUYER, kinds=assumptions.kinds)
    with borrow_index() as listing_index:
        if listing_index is None or not stale:
            return []
        evidence = evidence_of(stale, events, listing_index, now, assumptions)
    preferences = posteriors_of(stale, evidence, now, is_hurried=by == "read" or len(stale) > 1)
    store_preferences(preferences)
    REFRESHES.labels(by).inc(len(stale))
    for _ in stale:
        REFRESH_SECONDS.observe((time.perf_counter() - started) / len(stale))
    seen_before = {each.previous.last_interaction_id for each in stale if each.previous}
    observe_lag({each.position.last_interaction_id for each in stale} - seen_before, preferences[0].version_id)
    return preferences


@dataclass(frozen=True, eq=False)
class Evidence:
    """What preferences are computed from, under one version; the listing index is not needed any more.

    Attributes:
        version_id: Of the ranker version.
        prior: The population's preference.
        sets: Choice sets by buyer id; buyers whose events say nothing are absent.
        live: Vectors of a sample of the live listings, shape (n, n_dims).
    """

    version_id: int
    prior: Prior
    sets: Mapping[int, ChoiceSets]
    live: NDArray[np.float32]


def evidence_of(
    stale: Sequence[StalePreference],
    events: EventRows,
    listing_index: ListingIndex,
    now: datetime,
    assumptions: Assumptions = NO_ASSUMPTIONS,
) -> Evidence:
    """The events and answers of some buyers as choice sets, weighted by their age at ``now``."""
    buyers = [each.buyer for each in stale]
    answers = [choices_of_answers(buyer.pk, buyer.questionnaire, now, listing_index) for buyer in buyers]
    sets = choice_sets_of(events, listing_index, now, settings.CHOICE_SET_SAMPLE, answers, assumptions)
    return Evidence(
        listing_index.version_id,
        listing_index.ranker.prior,
        sets,
        listing_index.stock.vectors[listing_index.live_sample()],
    )


def posteriors_of(
    stale: Sequence[StalePreference], evidence: Evidence, now: datetime, *, is_hurried: bool
) -> list[Preference]:
    """The preferences of some buyers as unstored rows, in their order.

    ``is_hurried``: a request waits, so the number of a buyer's interests is looked for only when that is overdue.
    """
    prior, version_id = evidence.prior, evidence.version_id
    nothing = ChoiceSets.empty(prior.n_dims)
    start = np.array([start_of(each.previous, version_id, prior.mean) for each in stale])
    sets = [evidence.sets.get(each.buyer.pk, nothing) for each in stale]
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
        for each, own, taste in zip(stale, sets, tastes, strict=True)
    ]


def start_of(previous: Preference | None, version_id: int, otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    """The start of the search for the mode: the previous mean, if it belongs to this version."""
    if previous is None or previous.version_id != version_id:
        return otherwise
    return np.asarray(previous.mean, np.float64)


def previous_interests(previous: Preference | None, version_id: int) -> InterestSet | None:
    """The buyer's interests as last stored, if they are of this version."""
    return stored_interests(previous) if previous and previous.version_id == version_id else None


def store_preferences(preferences: Sequence[Preference]) -> None:
    """Insert or replace preferences; a stored row that has read further into the log stays.

    Rows are written in the order of buyer ids, so that two writers cannot deadlock.
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


def taste_of(preference: Preference) -> Taste:
    """The posterior of a stored preference: mean (d,), covariance (d, d).

    What the database gives is the shortest decimal of each float32: as such, and not as a float64, it is the number
    that was stored, so that a list is the same to the last digit before and after.
    """
    mean = np.asarray(preference.mean, np.float32).astype(np.float64)
    return Taste(mean, unpack_covariance(bytes(preference.covariance), len(mean)))


def stored_interests(preference: Preference) -> InterestSet:
    """The interests of a stored preference; empty where it has one alone."""
    return InterestSet.unpack(bytes(preference.tastes), len(preference.mean))
