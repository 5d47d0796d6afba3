"""Which listings are of the same car, cached while the stock changes.

The database is asked for a listing the first time; after that, each update of the listing index reports which of the
changed listings are of another car than before, or were removed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from threading import Lock

from django.db import connection

LISTINGS_KEPT = 100_000  # of one process, some 460 bytes each; beyond, all are asked for again

Row = tuple[int, str, list[int]]  # a listing, the key of its car, and all listings of that car where it has a key

# ruff: noqa: S608 -- put together from constants


def listings_of_car(key: str) -> str:
    """Return SQL for the ids of all listings of one car, by the column with its key; none where the key is empty.

    ``OFFSET 0`` makes the planner look up cars one by one: without statistics of the keys, after a migration added
    their column, it expects hundreds of listings of each car and reads the whole table instead.
    """
    return f"SELECT twin.id FROM catalog_listing twin WHERE twin.car_key = {key} AND NOT (twin.car_key = '') OFFSET 0"


SAME_CARS = f"""
SELECT l.id, l.car_key, ARRAY({listings_of_car("l.car_key")}) AS twins
FROM catalog_listing l WHERE l.id = ANY(%(listings)s)"""


class Car:
    """One car. Two are equal only if they are the same object."""

    __slots__ = ("key", "listing_ids")

    def __init__(self, key: str, listing_ids: frozenset[int]) -> None:
        self.key, self.listing_ids = key, listing_ids


class KeptCars:
    """The cars of one index; safe to use from several threads.

    Attributes:
        generation: Increases when a known listing turns out to be of another car, or of none.
        n_noted: How often listings were reported as changed.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._cars: dict[int, Car | None] = {}  # None: there is no such listing
        self._by_key: dict[str, Car] = {}
        self.generation = self.n_noted = 0

    def __len__(self) -> int:
        return len(self._cars)

    def note(self, listing_ids: Collection[int], key_by_listing_id: Mapping[int, str]) -> None:
        """Report changed listings with the keys of their cars, without those of removed listings."""
        with self._lock:
            self.n_noted += 1
            for listing_id in listing_ids:
                key = key_by_listing_id.get(listing_id)
                car = self._by_key.get(key) if key else None
                if listing_id not in self._cars:
                    if car is not None:
                        self._move(listing_id, car)
                    continue
                known = self._cars[listing_id]
                if (known.key if known else None) != key:
                    self._move(listing_id, car)
                    if car is None and key is not None:  # a car that is not known: the next question asks for it
                        del self._cars[listing_id]

    def forget(self) -> None:
        """Report changed listings whose cars were not read: results read meanwhile may be older."""
        with self._lock:
            self.n_noted += 1
            self._forget()

    def learn(self, asked: Iterable[int], rows: Iterable[Row], n_noted: int | None = None) -> bool:
        """Store the database's result for some listings; returns False where others were reported since, and stores
        nothing.

        Args:
            asked: The listings. Those without a row do not exist.
            rows: The result.
            n_noted: Its value before the query; None to store in any case.
        """
        with self._lock:
            if n_noted not in (None, self.n_noted):
                return False
            if len(self._cars) > LISTINGS_KEPT:
                self._forget()
            missing = set(asked)
            for listing_id, key, twins in rows:
                missing.discard(listing_id)
                self._learn(listing_id, key, frozenset(twins or [listing_id]))
            for listing_id in missing:
                if listing_id not in self._cars or self._cars[listing_id] is not None:
                    self._move(listing_id, None)
        return True

    def count(self, n_by_listing_id: Mapping[int, int]) -> tuple[int, dict[Car, int], set[int]]:
        """Sum counts of listings by car.

        Returns:
            The generation; the sums, without listings that do not exist; and the listings that are not known.
        """
        sums: dict[Car, int] = {}
        unknown = set()
        with self._lock:
            for listing_id, n in n_by_listing_id.items():
                if listing_id not in self._cars:
                    unknown.add(listing_id)
                elif (car := self._cars[listing_id]) is not None:
                    sums[car] = sums.get(car, 0) + n
            return self.generation, sums, unknown

    def _forget(self) -> None:
        if self._cars:
            self._cars, self._by_key = {}, {}
            self.generation += 1

    def _learn(self, listing_id: int, key: str, twins: frozenset[int]) -> None:
        known = self._cars.get(listing_id)
        car = self._by_key.get(key) if key else known if known and not known.key else None
        if car is None:
            car = Car(key, twins)
            if key:
                self._by_key[key] = car
        for twin in car.listing_ids - twins:
            self._move(twin, None)
            del self._cars[twin]  # it may advertise another car now
        for twin in twins:
            if self._cars.get(twin) is not car:
                self._move(twin, car)

    def _move(self, listing_id: int, car: Car | None) -> None:
        """Assign a listing to a car, or to none; called with the lock held."""
        if listing_id in self._cars:
            self.generation += 1
            before = self._cars[listing_id]
            if before is not None:
                before.listing_ids -= {listing_id}
        if car is not None:
            car.listing_ids |= {listing_id}
        self._cars[listing_id] = car


def keys_of(listing_ids: Collection[int]) -> dict[int, str]:
    """Return the current keys of the cars of listings, from the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, car_key FROM catalog_listing WHERE id = ANY(%s)", [list(listing_ids)])
        return dict(cursor.fetchall())


def learn_cars(cars: KeptCars, listing_ids: Collection[int]) -> None:
    """Read which cars listings advertise; again, up to three times, if they may have changed before that was kept."""
    asked = list(listing_ids)
    for left in (2, 1, 0):
        n_noted = cars.n_noted
        with connection.cursor() as cursor:
            cursor.execute(SAME_CARS, {"listings": asked})
            rows = cursor.fetchall()
        if cars.learn(asked, rows, n_noted if left else None):
            return
