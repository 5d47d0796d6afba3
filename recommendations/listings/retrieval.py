"""The best k listings for some weights, under filters: one question with two answers that must agree.

The window answers from memory, exactly. pgvector answers where the stock is larger than a window may be: exactly
over the filtered rows when they are few, through the HNSW index when they are many. A test holds them together.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np
from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from numpy.typing import NDArray
from pgvector import Vector
from psycopg import sql

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.listings.index import ListingIndex
from recommendations.listings.vectors import partition_of

OVER_FETCH = 3  # the index is approximate and its iterative scan only roughly ordered: fetch more, sort, cut

Found = tuple[NDArray[np.int64], NDArray[np.float64]]


class Retriever(Protocol):
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
        """Ids and distances of the k live listings most like a car, nearest first, ties by id.

        ``vector`` is the car's, as ``Ranker.similarity`` makes it.
        """
        ...


def retriever_for(listing_index: ListingIndex) -> Retriever:
    """The window where it holds the whole stock, else the database."""
    return listing_index if listing_index.is_complete else PgvectorRetriever(listing_index.version_id)


class PgvectorRetriever:
    """Answers from the store of record."""

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
        """As ``best``; listings of an earlier release that no job has placed among similar cars yet are not found."""
        allowed = allowed_by(filters, exclude)
        if is_few(allowed):
            query = sql.SQL(
                "WITH allowed (id) AS MATERIALIZED ({allowed}) SELECT v.listing_id, v.likeness <-> %s AS distance "
                "FROM {vectors} v JOIN allowed ON allowed.id = v.listing_id WHERE v.likeness IS NOT NULL "
                "ORDER BY distance, v.listing_id LIMIT %s"
            )
            chosen, parameters = allowed.order_by().values("pk").query.sql_with_params()
            return self._run(query, chosen, [*parameters, as_vector(vector), k])
        query = sql.SQL(
            "SELECT listing_id, distance FROM (SELECT v.listing_id, v.likeness <-> %s AS distance FROM {vectors} v "
            "WHERE v.listing_id IN ({allowed}) AND v.likeness IS NOT NULL ORDER BY v.likeness <-> %s LIMIT %s"
            ") nearest ORDER BY distance, listing_id LIMIT %s"
        )
        chosen, parameters = allowed.order_by().values("pk").query.sql_with_params()
        asked = as_vector(vector)
        return self._run(query, chosen, [asked, *parameters, asked, k * OVER_FETCH, k])

    def best_among(self, weights: NDArray[np.floating], k: int, allowed: QuerySet[Listing]) -> Found:
        """The k best of a queryset, the way that suits how many there are."""
        return self.exact(weights, k, allowed) if is_few(allowed) else self.approximate(weights, k, allowed)

    def exact(self, weights: NDArray[np.floating], k: int, allowed: QuerySet[Listing]) -> Found:
        """Every allowed row compared; cheap for some thousands of rows, and right for any number."""
        query = sql.SQL(
            "WITH allowed (id) AS MATERIALIZED ({allowed}) SELECT v.listing_id, -(v.vector <#> %s) AS score "
            "FROM {vectors} v JOIN allowed ON allowed.id = v.listing_id ORDER BY score DESC, v.listing_id LIMIT %s"
        )
        chosen, parameters = allowed.order_by().values("pk").query.sql_with_params()
        return self._run(query, chosen, [*parameters, as_vector(weights), k])

    def approximate(self, weights: NDArray[np.floating], k: int, allowed: QuerySet[Listing]) -> Found:
        """Through the HNSW index, over-fetching; the filters apply inside the iterative scan."""
        query = sql.SQL(
            "SELECT listing_id, score FROM (SELECT v.listing_id, -(v.vector <#> %s) AS score FROM {vectors} v "
            "WHERE v.listing_id IN ({allowed}) ORDER BY v.vector <#> %s LIMIT %s"
            ") nearest ORDER BY score DESC, listing_id LIMIT %s"
        )
        chosen, parameters = allowed.order_by().values("pk").query.sql_with_params()
        vector = as_vector(weights)
        return self._run(query, chosen, [vector, *parameters, vector, k * OVER_FETCH, k])

    def _run(self, query: sql.SQL, allowed: str, parameters: list) -> Found:
        vectors = sql.Identifier(partition_of(self._version_id))
        with connection.cursor() as cursor:
            cursor.execute(query.format(allowed=sql.SQL(allowed), vectors=vectors), parameters)
            rows = cursor.fetchall()
        return np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.float64)


def allowed_by(filters: ListingFilters | None, exclude: Collection[int]) -> QuerySet[Listing]:
    """What may be found at all."""
    allowed = Listing.objects.available().matching(filters or ListingFilters())
    return allowed.exclude(pk__in=list(exclude)) if exclude else allowed


def is_few(allowed: QuerySet[Listing]) -> bool:
    """Whether comparing every one of them is cheap enough."""
    return allowed.order_by()[: settings.EXACT_SCAN_MAX_ROWS + 1].count() <= settings.EXACT_SCAN_MAX_ROWS


def as_vector(weights: NDArray[np.floating]) -> str:
    return Vector(np.asarray(weights, np.float32)).to_text()
