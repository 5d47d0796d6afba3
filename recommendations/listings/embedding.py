"""Store the vectors of listings in every usable vector space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from django.db import transaction

from catalog.models import Listing
from jobs.isolation import each_that_works
from recommendations import telemetry
from recommendations.listings.listing_index import match_vectors
from recommendations.listings.rows import read_listings
from recommendations.listings.vectors import ensure_index, read_similar, read_vectors, write_vectors
from recommendations.models import (
    ListingVector,
    RankerVersion,
)
from recommendations.models.artifacts import load_ranker

EMBEDDING_BATCH = 20_000  # listings encoded at once, to bound memory


def embed_listings(listing_ids: Sequence[int]) -> int:
    """Compute and store vectors of listings in every usable space where they are missing or outdated; returns how
    many."""
    n_written = 0
    for version in RankerVersion.objects.usable():
        for start in range(0, len(listing_ids), EMBEDDING_BATCH):
            n_written += embed_for_version(version, list(listing_ids[start : start + EMBEDDING_BATCH]))
    return n_written


def embed_missing_listings() -> int:
    """Compute and store vectors of live listings that lack one, or both; returns how many were written.

    Rows of an earlier release have no vector for similar cars. It also creates the index of a version whose training
    was stopped before that.
    """
    n_written = 0
    for version in RankerVersion.objects.usable():
        ensure_index(version.pk, wait=False)
        stored = ListingVector.objects.of(version).filter(likeness__isnull=False).values("listing_id")
        missing = Listing.objects.available().cars().exclude(pk__in=stored)
        ids = missing.order_by("pk").values_list("pk", flat=True)[:EMBEDDING_BATCH]
        n_written += embed_for_version(version, list(ids))
    return n_written


def embed_for_version(version: RankerVersion, listing_ids: Sequence[int]) -> int:
    """Store the vectors of some listings in one space; a listing that cannot be encoded does not stop the others."""
    return len(each_that_works(listing_ids, lambda ids: embed_together(version, list(ids)), batch="embeddings"))


def embed_together(version: RankerVersion, listing_ids: list[int]) -> list[int]:
    """Store vectors of listings; returns the ids of those that were written."""
    rows = read_listings(Listing.objects.filter(pk__in=listing_ids))
    _, is_current = match_vectors(rows, *read_vectors(version, listing_ids))
    has_similar = np.isin(rows.listing_ids, read_similar(version.pk, listing_ids)[0])
    outdated = np.flatnonzero(~(is_current & has_similar))
    if len(outdated):
        table, ranker = rows.table.take(outdated), load_ranker(version.pk)
        similar = ranker.similarity.vectors(table)
        vectors = ranker.vectors(table)
        with transaction.atomic():
            write_vectors(version, rows.listing_ids[outdated], vectors, table.digests(), similar)
        telemetry.VECTORS_WRITTEN.inc(len(outdated))
    return [int(listing_id) for listing_id in rows.listing_ids[outdated]]
