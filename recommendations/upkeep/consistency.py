"""Check that stored rows agree with each other, where no database constraint ensures it.

Each check counts wrong rows, and names the remedy. ``manage.py check_data`` runs them, and so does beat every night;
the last findings are cached for the metrics.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.core.cache import cache
from django.db.models import Exists, F, Max, OuterRef
from django.utils import timezone

from catalog.models import Listing
from catalog.querysets import ITEMS
from recommendations.listings.vectors import stored_versions
from recommendations.models import Interaction, ListingVector, Preference, RankerVersion, ServedList

RESULT = "consistency"  # in the cache
SETTLED = timedelta(minutes=10)  # younger rows may still be waiting for a worker, or for the list they came from
LATELY = timedelta(days=30)  # of the log, which is looked through no further back


@dataclass(frozen=True)
class Check:
    """A condition on all rows.

    Attributes:
        name: For metrics.
        wrong: What is wrong with the rows, to follow a number: “… listings have no vector”.
        remedy: What repairs it, or what to do.
        count: Number of wrong rows.
    """

    name: str
    wrong: str
    remedy: str
    count: Callable[[], int]


def listings_without_vector() -> int:
    version = RankerVersion.objects.live()
    if version is None:
        return 0
    vectors = ListingVector.objects.of(version).filter(listing_id=OuterRef("pk"))
    settled = Listing.objects.available().cars().filter(updated_at__lt=timezone.now() - SETTLED)
    return settled.exclude(Exists(vectors)).count()


def vectors_without_listing() -> int:
    usable = ListingVector.objects.filter(version__in=RankerVersion.objects.usable())
    return usable.exclude(Exists(Listing.objects.filter(pk=OuterRef("listing_id")))).count()


def vectors_of_forgotten_versions() -> int:
    """Count tables whose version is retired, failed or gone; a version in training has a table already."""
    kept = RankerVersion.objects.exclude(status__in=[RankerVersion.Status.RETIRED, RankerVersion.Status.FAILED])
    return len(stored_versions() - set(kept.values_list("pk", flat=True)))


def broken_artifacts() -> int:
    """Count usable versions whose fitted arrays are missing or differ from those that were stored."""
    return sum(not is_whole(version) for version in RankerVersion.objects.usable().select_related("artifact"))


def is_whole(version: RankerVersion) -> bool:
    artifact = getattr(version, "artifact", None)
    return artifact is not None and hashlib.sha256(bytes(artifact.content)).hexdigest() == artifact.sha256


def preferences_ahead_of_log() -> int:
    """Count preferences that include missing events: the log was restored from an older copy than they were."""
    newest = Interaction.objects.aggregate(newest=Max("id"))["newest"] or 0
    return Preference.objects.filter(last_interaction_id__gt=newest).count()


def histories_left_with_guests() -> int:
    return Interaction.objects.filter(
        buyer__merged_into__isnull=False, received_at__lt=timezone.now() - SETTLED
    ).count()


def events_without_their_list() -> int:
    now = timezone.now()
    lately = Interaction.objects.filter(received_at__range=(now - LATELY, now - SETTLED), served_list_id__isnull=False)
    return lately.exclude(Exists(ServedList.objects.filter(pk=OuterRef("served_list_id")))).count()


def models_of_another_make() -> int:
    return Listing.objects.exclude(car_model=None).exclude(car_model__make=F("make")).count()


def items_without_id() -> int:
    return Listing.objects.filter(source=ITEMS, external_id=None).count()


CHECKS = [
    Check(
        "listings_without_vector",
        "live listings have no vector, so no list can hold them",
        "The task “Embed missing listings” makes them each minute; if they stay, its log says why.",
        listings_without_vector,
    ),
    Check(
        "vectors_without_listing",
        "vectors belong to no listing",
        "They are on no list, and go with their version.",
        vectors_without_listing,
    ),
    Check(
        "vectors_of_forgotten_versions",
        "tables of vectors belong to no usable version",
        "They only take room: the next training drops them, or DROP TABLE.",
        vectors_of_forgotten_versions,
    ),
    Check(
        "broken_artifacts",
        "usable versions have no artifact, or a damaged one",
        "Roll back or retrain; do not promote them.",
        broken_artifacts,
    ),
    Check(
        "preferences_ahead_of_log",
        "preferences know events that are not in the log",
        "The log comes from an older copy than they do: delete them, and they are made anew.",
        preferences_ahead_of_log,
    ),
    Check(
        "histories_left_with_guests",
        "events still belong to guests who have since become another buyer",
        "The task “Refresh stale preferences” moves them; if they stay, its log says why.",
        histories_left_with_guests,
    ),
    Check(
        "events_without_their_list",
        "events of the last 30 days name a list that was never written down",
        "Few: a client's mistake, or a process that was killed. Many: look for “served list” in the log.",
        events_without_their_list,
    ),
    Check(
        "models_of_another_make",
        "listings have a model of another make",
        "Correct them in the admin.",
        models_of_another_make,
    ),
    Check(
        "items_without_id", "items of the feed have no id", "Withdraw them; they can never be named.", items_without_id
    ),
]


def check_data() -> dict[str, int]:
    """Return the number of rows that each check finds, by name; cached for ``last_findings``."""
    found = {check.name: check.count() for check in CHECKS}
    cache.set(RESULT, found, timeout=None)
    return found


def last_findings() -> dict[str, int]:
    """Return the cached findings; empty before the first check, and where the cache does not answer."""
    return cache.get(RESULT) or {}
