"""The best k listings for some weights, under filters, from memory or from the database.

The listing index answers from memory, exactly. pgvector answers where the stock is larger than the index may be:
exactly over the filtered rows when they are few, through the HNSW index when they are many. Both must give the same
answer; a test compares them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

import numpy as np
from django.conf import settings
from django.db.models import QuerySet
from numpy.typing import NDArray
from pgvector import Vector
from psycopg import sql

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.listings.index import ListingIndex
from recommendations.listings.vectors import partition_of
from web.postgres.pooling import cursor_with_settings
from web.replicas import read_beside, reading_connection

OVER_FETCH = 3  # the index is approximate and its iterative scan only roughly ordered: fetch more, sort, cut

# How far a row v is from what is asked, by an operator that the index of its column knows; null where it has no vector.
SCORE = sql.SQL("(v.vector <#> %s)")  # the negative inner product
LIKENESS = sql.SQL("(v.likeness <-> %s)")

Found = tuple[NDArray[np.int64], NDArray[np.float64]]


class Retriever(Protocol):
    """A source of the best listings for some weights, and of the listings most similar to a car."""

    def best(
        self,
        weights: NDArray[np.floating],
        k: int,
        filters: ListingFilters | None = None,
        exclude: Collection[int] = (),
    ) -> Found:
        """Ids and scores of the k live listings with the highest ``weights · vector``, best first, ties by id."""
        ...

    def nearest(
        self,
        vector: NDArray[np.floating],
        k: int,
        filters: ListingFilters | None = None,
        exclude: Collection[int] = (),
    ) -> Found:
        """Ids and distances of the k live listings most similar to a car, nearest first, ties by id.

        ``vector`` is the vector of the car among similar cars, from ``Ranker.similarity``.
        """
        ...


def retriever_for(listing_index: ListingIndex) -> Retriever:
    """Return the listing index if it holds the whole stock, otherwise the database."""
    return listing_index if listing_index.is_complete else PgvectorRetriever(listing_index.version_id)


class PgvectorRetriever:
    """The retriever that reads the stored vectors in the database."""

    def __init__(self, version_id: int) -> None:
        self._version_id = version_id

    def best(
        self,
        weights: NDArray[np.floating],
        k: int,
        filters: ListingFilters | None = None,
        exclude: Collection[int] = (),
    ) -> Found:
        return self.best_among(weights, k, allowed_by(filters, exclude))

    def nearest(
        self,
        vector: NDArray[np.floating],
        k: int,
        filters: ListingFilters | None = None,
        exclude: Collection[int] = (),
    ) -> Found:
        """Ids and distances of the k most similar listings.

        Listings without a stored similarity vector are not found: those of an earlier release, until a beat job fills
        the column.
        """
        allowed = allowed_by(filters, exclude)

        def find() -> Found:
            way = self._exact if is_few(allowed) else self._approximate
            return way(LIKENESS, vector, k, allowed)

        return read_beside("candidates", find)

    def best_among(self, weights: NDArray[np.floating], k: int, allowed: QuerySet[Listing]) -> Found:
        """Return the k best listings of a queryset: exactly if they are few, otherwise through the index.

        A replica may answer. The caller reads the rows of these listings from the primary, which decides what is
        listed.
        """

        def find() -> Found:
            return self.exact(weights, k, allowed) if is_few(allowed) else self.approximate(weights, k, allowed)

        return read_beside("candidates", find)

    def exact(self, weights: NDArray[np.floating], k: int, allowed: QuerySet[Listing]) -> Found:
        """Compare every allowed row: fast for some thousands of rows, and exact for any number."""
        ids, distances = self._exact(SCORE, weights, k, allowed)
        return ids, -distances

    def approximate(self, weights: NDArray[np.floating], k: int, allowed: QuerySet[Listing]) -> Found:
        """Search the HNSW index for more rows than asked for; the filters apply inside the iterative scan."""
        ids, distances = self._approximate(SCORE, weights, k, allowed)
        return ids, -distances

    def _exact(self, distance: sql.SQL, asked: NDArray[np.floating], k: int, allowed: QuerySet[Listing]) -> Found:
        query = sql.SQL(
            "WITH allowed (id) AS MATERIALIZED ({allowed}), measured AS (SELECT v.listing_id, {distance} AS distance "
            "FROM {vectors} v JOIN allowed ON allowed.id = v.listing_id) SELECT listing_id, distance FROM measured "
            "WHERE distance IS NOT NULL ORDER BY distance, listing_id LIMIT %s"
        )
        chosen, parameters = allowed.order_by().values("pk").query.sql_with_params()
        return self._run(query, distance, chosen, [*parameters, as_vector(asked), k])

    def _approximate(self, distance: sql.SQL, asked: NDArray[np.floating], k: int, allowed: QuerySet[Listing]) -> Found:
        query = sql.SQL(
            "SELECT listing_id, distance FROM (SELECT v.listing_id, {distance} AS distance FROM {vectors} v "
            "WHERE v.listing_id IN ({allowed}) ORDER BY {distance} LIMIT %s"
            ") nearest WHERE distance IS NOT NULL ORDER BY distance, listing_id LIMIT %s"
        )
        chosen, parameters = allowed.order_by().values("pk").query.sql_with_params()
        vector = as_vector(asked)
        return self._run(query, distance, chosen, [vector, *parameters, vector, k * OVER_FETCH, k])

    def _run(self, query: sql.SQL, distance: sql.SQL, allowed: str, parameters: list[Any]) -> Found:
        vectors = sql.Identifier(partition_of(self._version_id))
        with cursor_with_settings(reading_connection()) as cursor:
            cursor.execute(query.format(distance=distance, allowed=sql.SQL(allowed), vectors=vectors), parameters)
            rows = cursor.fetchall()
        return np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.float64)


def allowed_by(filters: ListingFilters | None, exclude: Collection[int]) -> QuerySet[Listing]:
    """The live listings that satisfy the filters, without the excluded ones."""
    allowed = Listing.objects.available().matching(filters or ListingFilters())
    return allowed.exclude(pk__in=list(exclude)) if exclude else allowed


def is_few(allowed: QuerySet[Listing]) -> bool:
    """Whether there are few enough listings to compare each of them."""
    return allowed.order_by()[: settings.EXACT_SCAN_MAX_ROWS + 1].count() <= settings.EXACT_SCAN_MAX_ROWS


def as_vector(weights: NDArray[np.floating]) -> str:
    return Vector(np.asarray(weights, np.float32)).to_text()
