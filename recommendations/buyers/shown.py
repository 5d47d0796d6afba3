"""Count how often each car was shown to a buyer lately; counts are cached between two of their lists.

A served list never changes, so its cars are counted once: the database sends the lists that the caller has not seen,
and a digest of the times of all that count. If the digest differs from that of the cached ones (lists were removed,
moved with a merged buyer, or written late), all are read again. Lists of which the buyer saw a part are few, and are
counted by the database each time. ``listings.cars`` knows which listings are one car.
``exclusions.frequency_capped_listings`` is the slow twin; a test compares the two.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, NamedTuple

from django.db import connection

from recommendations.buyers.exclusions import FREQUENCY_CAP_DAYS
from recommendations.listings.cars import SAME_CARS, Car, KeptCars, learn_cars
from recommendations.models.impressions import is_seen, sends_impressions
from web.postgres.prepared import preparing_cursor, sized

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LATE = 2_000_000  # microseconds after which a list is written, almost always; later ones are found by the digest
NO_IDS = array("q")

# ruff: noqa: S608 -- put together from constants
# Two rows may share an id: a list of similar cars that is shown again on the same day has the one that it had.
KEY = "uuid_hash_extended(served.id, timestamptz_hash_extended(served.served_at, 0))"
MOMENT = "timestamptz_hash_extended(served.served_at, 0)"
DIGEST = f"json_build_array(count(*), coalesce(bit_xor({MOMENT}), 0))"
LATELY = "served.buyer_id = %(buyer)s AND served.served_at > %(since)s AND served.served_at <= %(until)s"
BY_WHAT_WAS_SEEN = f"""
{sends_impressions("%(buyer)s")} AND EXISTS (SELECT FROM recommendations_placement counted
    WHERE counted.id = served.placement_id AND counted.impressions_since <= served.served_at)"""

# The digest, lists that are new to the caller, numbers of seen cars of the other lists, and the cars of the new ones.
# The digest looks at each list. Of a buyer who sends no impressions the index alone has what it asks for, so that the
# lists, a kB each, are not read.
SHOWN = f"""
WITH fresh AS MATERIALIZED (
    SELECT {KEY} AS key, {MOMENT} AS moment, served.served_at, served.listing_ids
    FROM recommendations_servedlist served WHERE {LATELY} AND served.served_at > %(newer_than)s
        AND {KEY} <> ALL(%(known)s::bigint[]) AND NOT ({BY_WHAT_WAS_SEEN})),
seen AS (
    SELECT car.listing_id, count(*) AS n FROM recommendations_servedlist served
    CROSS JOIN LATERAL unnest(served.listing_ids) WITH ORDINALITY AS car (listing_id, position)
    WHERE {LATELY} AND {BY_WHAT_WAS_SEEN} AND {is_seen("served", "car.position", "car.listing_id")}
    GROUP BY car.listing_id),
cars AS ({SAME_CARS.replace("ANY(%(listings)s)", "ANY(ARRAY(SELECT unnest(listing_ids) FROM fresh))")})
SELECT json_build_array(
    CASE WHEN {sends_impressions("%(buyer)s")}
        THEN (SELECT {DIGEST} FROM recommendations_servedlist served WHERE {LATELY} AND NOT ({BY_WHAT_WAS_SEEN}))
        ELSE (SELECT {DIGEST} FROM recommendations_servedlist served WHERE {LATELY}) END,
    (SELECT coalesce(json_agg(json_build_array(
        key, moment, (extract(epoch FROM served_at) * 1000000)::bigint, listing_ids)), '[]') FROM fresh),
    (SELECT coalesce(json_object_agg(listing_id, n), '{{}}') FROM seen),
    (SELECT coalesce(json_agg(json_build_array(id, car_key, twins)), '[]') FROM cars))::text"""


class List(NamedTuple):
    """A list that counts.

    Attributes:
        key: Hash of its id and of when it was served.
        moment: Hash of when it was served.
        served_at: Microseconds since the epoch.
        listing_ids: int64.
    """

    key: int
    moment: int
    served_at: int
    listing_ids: array[int]


@dataclass(frozen=True, eq=False)
class Lists:
    """The lists of the last days that count by what was served.

    Attributes:
        by_key: All of them.
        digest: Of the times they were served.
        oldest, newest: Time of the first and of the last of them, in microseconds; 0 where there is none.
        recent: Those so recent that others, served earlier, may not be written yet.
    """

    by_key: Mapping[int, List]
    digest: int = 0
    oldest: int = 0
    newest: int = 0
    recent: tuple[List, ...] = ()

    def older_than(self, moment: int) -> list[List]:
        """Return those that were served at that microsecond or earlier."""
        return [each for each in self.by_key.values() if each.served_at <= moment] if self.oldest <= moment else []

    def with_changes(self, added: Sequence[List], dropped: Sequence[List]) -> Lists:
        by_key, digest = dict(self.by_key), self.digest
        for each in dropped:
            del by_key[each.key]
            digest ^= each.moment
        for each in added:
            by_key[each.key] = each
            digest ^= each.moment
        if not by_key:
            return NO_LISTS
        looked_at = by_key.values() if dropped or not self.by_key else [*added, List(0, 0, self.oldest, NO_IDS)]
        oldest = min(each.served_at for each in looked_at)
        newest = max([self.newest, *(each.served_at for each in added)])
        recent = tuple(each for each in (*self.recent, *added) if each.served_at > newest - LATE and each.key in by_key)
        return Lists(by_key, digest, oldest, newest, recent)

    def are(self, n: int, digest: int) -> bool:
        return (len(self.by_key), self.digest) == (n, digest)


NO_LISTS = Lists({})


@dataclass(frozen=True, eq=False)
class Shown:
    """The cars a buyer was shown in the last days, as of one reading.

    Attributes:
        lists: Those that count by what was served.
        seen: For all other lists, how often each listing was seen.
        cars: Maps listings to cars.
        generation: The generation of ``cars`` for which ``n_by_car`` is valid.
        n_by_car: How often each car was in ``lists``.
    """

    lists: Lists
    seen: Mapping[int, int]
    cars: KeptCars
    generation: int
    n_by_car: Mapping[Car, int]

    def listings_shown(self, times: int) -> frozenset[int]:
        """Return all listings of the cars that were shown at least ``times`` times."""
        n_by_car = self.n_by_car
        if self.seen:
            n_by_car = added_up(n_by_car, count_cars(self.seen, self.cars)[1])
        return frozenset(chain.from_iterable(car.listing_ids for car, n in n_by_car.items() if n >= times))


def parameters_of(buyer_id: int, now: datetime, kept: Shown | None) -> dict[str, Any]:
    """Return parameters of ``SHOWN``, given an earlier reading."""
    since = now - timedelta(days=FREQUENCY_CAP_DAYS)
    lists = kept.lists if kept else NO_LISTS
    return {
        "buyer": buyer_id,
        "since": since,
        "until": now,
        "newer_than": max(since, EPOCH + (lists.newest - LATE) * MICROSECOND),
        "known": [each.key for each in lists.recent],
    }


def shown_in(content: str, parameters: Mapping[str, Any], kept: Shown | None, cars: KeptCars, n_noted: int) -> Shown:
    """Combine the result of ``SHOWN`` with an earlier reading.

    Args:
        content: The result.
        parameters: Its parameters.
        kept: The earlier reading.
        cars: Of the index that the caller holds.
        n_noted: Of ``cars``, before the query.
    """
    (n, digest), fresh, seen, rows = json.loads(content)
    added = [List(key, moment, served_at, array("q", ids)) for key, moment, served_at, ids in fresh]
    cars.learn(set(chain.from_iterable(each.listing_ids for each in added)), rows, n_noted)
    before = kept.lists if kept else NO_LISTS
    oldest = (parameters["since"] - EPOCH) // MICROSECOND
    dropped = before.older_than(oldest)
    lists = before.with_changes(added, dropped)
    if kept and not lists.are(n, digest):  # some were removed or moved, or written late
        return read_shown(parameters["buyer"], parameters["until"], cars)
    seen = {int(listing_id): times for listing_id, times in seen.items()}
    if kept and kept.cars is cars:
        changes = Counter(chain.from_iterable(each.listing_ids for each in added))
        changes.subtract(chain.from_iterable(each.listing_ids for each in dropped))
        generation, n_changed = count_cars(changes, cars)
        if generation == kept.generation:
            return Shown(lists, seen, cars, generation, added_up(kept.n_by_car, n_changed))
    n_by_listing_id = Counter(chain.from_iterable(each.listing_ids for each in lists.by_key.values()))
    return Shown(lists, seen, cars, *count_cars(n_by_listing_id, cars))


def count_cars(n_by_listing_id: Mapping[int, int], cars: KeptCars) -> tuple[int, dict[Car, int]]:
    """Sum counts of listings by car; returns the generation of ``cars`` for which they are valid. Reads unknown
    cars."""
    while True:
        generation, sums, unknown = cars.count(n_by_listing_id)
        if not unknown:
            return generation, sums
        learn_cars(cars, unknown)


def added_up(n_by_car: Mapping[Car, int], changes: Mapping[Car, int]) -> dict[Car, int]:
    """Add the counts; cars with a count of 0 are left out."""
    together = dict(n_by_car)
    for car, n in changes.items():
        together[car] = together.get(car, 0) + n
        if not together[car]:
            del together[car]
    return together


def read_shown(buyer_id: int, now: datetime, cars: KeptCars, kept: Shown | None = None) -> Shown:
    """Read what a buyer was shown in the days before a time; one statement, unless the cached reading is outdated."""
    parameters, n_noted = parameters_of(buyer_id, now, kept), cars.n_noted
    with preparing_cursor(connection) as cursor:
        cursor.execute(SHOWN, sized(parameters))
        content: str = cursor.fetchone()[0]
    return shown_in(content, parameters, kept, cars, n_noted)
