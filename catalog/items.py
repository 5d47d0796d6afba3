"""Items: listings that a client system knows by an id and perhaps some genres, and by nothing else.

They live among the listings, under a source of their own, so that whatever holds for a listing (it may be withdrawn,
its changes are noted) holds for them. An item that a user acted on before it was added is a draft until it is.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

from django.db import connection, models, transaction
from django.utils import timezone

from catalog.models import Listing
from catalog.querysets import ITEMS

WRITTEN_HERE = ("source", "external_id", "title", "tags", "status", "published_at", "created_at", "updated_at")

INSERT = """
    INSERT INTO catalog_listing AS stored
        (source, external_id, title, tags, status, published_at, created_at, updated_at, {columns})
    SELECT %(source)s, item, item, ARRAY(SELECT jsonb_array_elements_text(genres::jsonb)),
        %(status)s, %(published_at)s, %(now)s, %(now)s, {values}
    FROM unnest(%(items)s::text[], %(genres)s::text[]) AS given (item, genres)
    ON CONFLICT (source, external_id) DO UPDATE SET
        status = CASE stored.status WHEN 'draft' THEN excluded.status ELSE stored.status END,
        published_at = coalesce(stored.published_at, excluded.published_at),
        updated_at = excluded.updated_at
        {set_tags}
    WHERE (stored.status = 'draft' AND excluded.status <> 'draft') {or_other_tags}
"""


@transaction.atomic
def add_items(genres_by_item: Mapping[str, Collection[str] | None]) -> int:
    """Put items on offer; returns how many are new or changed. Safe to repeat, and as fast for many as for one.

    An item that is there stays as it is, but for its genres where some are given (None gives none); one that was taken
    off by an operator stays away.
    """
    described = {item: genres for item, genres in genres_by_item.items() if genres is not None}
    bare = [item for item in genres_by_item if item not in described]
    n_described = _store(described, Listing.Status.LIVE, with_genres=True)
    return n_described + _store(dict.fromkeys(bare, ()), Listing.Status.LIVE)


def store_items(items: Iterable[str]) -> None:
    """Keep ids that were not added yet, as drafts, so that what was said of them can be kept."""
    _store(dict.fromkeys(items, ()), Listing.Status.DRAFT)


def _store(genres_by_item: Mapping[str, Collection[str]], status: str, with_genres: bool = False) -> int:
    """Rows go in by id, so that two calls who meet wait for each other and never for ever."""
    if not genres_by_item:
        return 0
    now, items = timezone.now(), sorted(genres_by_item)
    defaults = other_columns()
    statement = INSERT.format(
        columns=", ".join(defaults),
        values=", ".join(f"%({column})s" for column in defaults),
        set_tags=", tags = excluded.tags" if with_genres else "",
        or_other_tags="OR stored.tags <> excluded.tags" if with_genres else "",
    )
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            {
                **defaults,
                "source": ITEMS,
                "status": status,
                "published_at": now if status == Listing.Status.LIVE else None,
                "now": now,
                "items": items,
                "genres": [json.dumps(list(dict.fromkeys(genres_by_item[item]))) for item in items],
            },
        )
        n_stored: int = cursor.rowcount
        return n_stored


@lru_cache(maxsize=1)
def other_columns() -> dict[str, Any]:
    """Every other column of a listing with its default, as the database stores it."""
    fields = [
        field
        for field in Listing._meta.concrete_fields
        if not (field.primary_key or isinstance(field, models.GeneratedField) or field.name in WRITTEN_HERE)
    ]
    return {str(field.column): field.get_db_prep_save(field.get_default(), connection) for field in fields}
