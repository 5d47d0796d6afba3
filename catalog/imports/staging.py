"""Store cleaned rows by the thousand: COPY into a staging table, then a few statements over all of it.

What a file does not say is never erased: an empty cell leaves what the catalogue knows. A listing's status moves only
where the file names one, with three exceptions: a listing that is expired, or ended because complete deliveries did
not have it, is for sale again when it is in the file again, and a draft that waited for its price goes live with it. A
listing that comes back keeps its time of publication.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction

from catalog.attributes import ADDRESSES, CATEGORIES, MOMENTS, NUMBERS, TEXTS, columns_of
from catalog.imports.listing_row import DIGEST_BYTES, ListingRow
from web.postgres.pooling import need_session

# ruff: noqa: S608 -- the statements are put together from this module's own column names, never from a file's
# Columns of a listing that a row may change, by what "the row does not say" looks like.
SQL_TYPES = {
    "count": "integer", "large count": "integer", "month": "integer", "fraction": "double precision",
    "money": "numeric",
}  # fmt: skip
_NULLABLE = {
    "year": "integer",
    **{number.column: SQL_TYPES[number.kind] for number in NUMBERS},
    **dict.fromkeys(columns_of(MOMENTS), "timestamptz"),
    "latitude": "double precision",
    "longitude": "double precision",
}
_TEXTS = ("title", "description", *columns_of(CATEGORIES), *columns_of(TEXTS), "photo_url", "url", "place")
_LISTS = ("tags", *columns_of(ADDRESSES))
_STAGED = {
    "row_number": "integer",
    "key": "uuid",
    "content": "uuid",
    "external_id": "text",
    "fingerprint": "text",
    "make": "text",
    "make_slug": "text",
    "model": "text",
    "model_slug": "text",
    "built_title": "text",
    **dict.fromkeys(_LISTS, "varchar[]"),
    "price": "numeric",
    "currency": "text",
    "status": "text",
    "seller_key": "text",
    "seller_name": "text",
    "seller_kind": "text",
    "seller_keys": "text[]",
    "has_seller_id": "boolean",
    "vin": "text",
    **_NULLABLE,
    **dict.fromkeys(_TEXTS, "text"),
}
_FOUND = {"make_id": "bigint", "model_id": "bigint", "seller_id": "bigint", "listing_id": "bigint"}


def _definitions(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())


_CREATE = f"""
CREATE TEMP TABLE import_row ({_definitions(_STAGED | _FOUND)});
CREATE TEMP TABLE import_seen (key uuid PRIMARY KEY, content uuid NOT NULL);
CREATE TEMP TABLE import_car (external_id text PRIMARY KEY, content uuid NOT NULL);
"""
_DROP = "DROP TABLE IF EXISTS pg_temp.import_row, pg_temp.import_seen, pg_temp.import_car"

# Rows that an earlier batch brought already leave the staging table; the others are remembered.
_TAKE_REPEATS = """
DELETE FROM import_row r USING import_seen s WHERE s.key = r.key
RETURNING r.row_number, r.content <> s.content
"""
_REMEMBER = "INSERT INTO import_seen SELECT key, content FROM import_row"
# Rows with other keys may be one car all the same: one names its dealer and another does not, or two names are one
# dealer's. That is known once dealers are; the first row is kept, of this batch and of those before.
_TAKE_DOUBLES = """
DELETE FROM import_row r USING (
    SELECT DISTINCT ON (external_id) external_id, content, row_number FROM (
        SELECT external_id, content, NULL::integer AS row_number FROM import_car
        WHERE external_id IN (SELECT external_id FROM import_row)
        UNION ALL
        SELECT external_id, content, row_number FROM import_row WHERE external_id IS NOT NULL
    ) known
    ORDER BY external_id, row_number NULLS FIRST
) kept
WHERE r.external_id = kept.external_id AND r.row_number IS DISTINCT FROM kept.row_number
RETURNING r.row_number, r.content <> kept.content
"""
_REMEMBER_CARS = """
INSERT INTO import_car SELECT external_id, content FROM import_row WHERE external_id IS NOT NULL
"""

_ADD_MAKES = """
INSERT INTO catalog_make (name, slug)
SELECT DISTINCT ON (make_slug) make, make_slug FROM import_row r
WHERE make_slug <> '' AND NOT EXISTS (SELECT FROM catalog_make m WHERE m.slug = r.make_slug)
ORDER BY make_slug, row_number
ON CONFLICT (slug) DO NOTHING
"""
_ADD_MODELS = """
INSERT INTO catalog_carmodel (make_id, name, slug)
SELECT DISTINCT ON (m.id, model_slug) m.id, model, model_slug
FROM import_row r JOIN catalog_make m ON m.slug = r.make_slug
WHERE model_slug <> ''
  AND NOT EXISTS (SELECT FROM catalog_carmodel c WHERE c.make_id = m.id AND c.slug = r.model_slug)
ORDER BY m.id, model_slug, row_number
ON CONFLICT (make_id, slug) DO NOTHING
"""
# A dealer whom no id of this source names may be known from another one: by name and place, telephone, VAT id or
# domain. Branches have one domain and VAT id: these count only where places do not differ. In a source its ids decide.
_FIND_SELLERS = """
INSERT INTO catalog_sellerkey (key, seller_id)
SELECT DISTINCT ON (r.seller_key) r.seller_key, s.id
FROM import_row r
CROSS JOIN LATERAL unnest(r.seller_keys) WITH ORDINALITY AS same (key, number)
JOIN catalog_sellerkey k ON k.key = same.key
JOIN catalog_seller s ON s.id = k.seller_id
WHERE r.seller_key <> ''
  AND NOT EXISTS (SELECT FROM catalog_seller o WHERE o.external_id = r.seller_key)
  AND NOT EXISTS (SELECT FROM catalog_sellerkey o WHERE o.key = r.seller_key)
  AND (starts_with(same.key, '=place/') OR starts_with(same.key, '=phone/') OR s.place = '' OR r.place = ''
       OR lower(s.place) = lower(r.place))
  AND NOT (r.has_seller_id AND (
      starts_with(coalesce(s.external_id, ''), %(source)s || '/')
      OR EXISTS (SELECT FROM catalog_sellerkey o WHERE o.seller_id = s.id AND starts_with(o.key, %(source)s || '/'))
  ))
ORDER BY r.seller_key, same.number, s.id
ON CONFLICT (key) DO NOTHING
"""
_KEEP_SELLER_KEYS = """
INSERT INTO catalog_sellerkey (key, seller_id)
SELECT DISTINCT ON (same.key) same.key, s.id
FROM (SELECT DISTINCT seller_id, seller_keys FROM import_row WHERE seller_key <> '') r
CROSS JOIN LATERAL unnest(r.seller_keys) AS same (key)
JOIN catalog_seller s ON s.id = r.seller_id
WHERE s.kind = 'dealer' AND NOT EXISTS (SELECT FROM catalog_sellerkey o WHERE o.key = same.key)
ORDER BY same.key, s.id
ON CONFLICT (key) DO NOTHING
"""
_ADD_SELLERS = """
INSERT INTO catalog_seller AS known (external_id, name, kind, place)
SELECT DISTINCT ON (seller_key) seller_key, seller_name, coalesce(nullif(seller_kind, ''), 'dealer'), place
FROM import_row r WHERE seller_key <> '' AND NOT EXISTS (SELECT FROM catalog_sellerkey k WHERE k.key = r.seller_key)
ORDER BY seller_key, row_number
ON CONFLICT (external_id) DO UPDATE SET name = excluded.name, kind = excluded.kind
WHERE (known.name, known.kind) IS DISTINCT FROM (excluded.name, excluded.kind)
"""
# What an import adds is noted, so that undoing takes it away again: a wrong key would join two dealers for ever. A row
# that was only updated has a previous version.
_NOTE_ADDED = """
WITH made AS ({add} RETURNING id, xmax = 0 AS is_new)
INSERT INTO catalog_importedname (run_id, kind, name_id) SELECT %(run)s, '{kind}', id FROM made WHERE is_new
"""
_RESOLVE = """
UPDATE import_row r SET
    make_id = (SELECT m.id FROM catalog_make m WHERE m.slug = r.make_slug),
    model_id = (
        SELECT c.id FROM catalog_carmodel c JOIN catalog_make m ON m.id = c.make_id
        WHERE m.slug = r.make_slug AND c.slug = r.model_slug
    ),
    seller_id = coalesce(
        %(seller)s::bigint,
        (SELECT s.id FROM catalog_seller s WHERE s.external_id = r.seller_key AND r.seller_key <> ''),
        (SELECT k.seller_id FROM catalog_sellerkey k WHERE k.key = r.seller_key AND r.seller_key <> '')
    ),
    listing_id = CASE WHEN r.external_id IS NOT NULL
        THEN (SELECT l.id FROM catalog_listing l WHERE l.source = %(source)s AND l.external_id = r.external_id)
        ELSE (
            SELECT l.id FROM catalog_listing l
            WHERE l.source = %(source)s AND l.fingerprint = r.fingerprint
              AND l.external_id IS NULL AND NOT (l.fingerprint = '')
        )
    END
"""
# Ids are used again: another car under a known id is another listing. Its VIN says so; where one is not known, two of
# three that differ do: the name (make or model), the year, an odometer that went back, or far ahead. One alone is a
# correction, or the time.
_IS_OTHER_NAME = (
    "(r.make_id <> l.make_id OR r.make_id IS NOT DISTINCT FROM l.make_id AND r.model_id <> l.car_model_id) IS TRUE"
)
_IS_OTHER_YEAR = "(r.year <> l.year) IS TRUE"
_IS_OTHER_ODOMETER = "(r.mileage_km < l.mileage_km - 1000 OR r.mileage_km > l.mileage_km + 20000) IS TRUE"
_IS_OTHER_CAR = f"""
r.external_id IS NOT NULL AND CASE
    WHEN length(r.vin) = 17 AND length(l.vin) = 17 THEN r.vin <> l.vin
    ELSE ({_IS_OTHER_NAME})::integer + ({_IS_OTHER_YEAR})::integer + ({_IS_OTHER_ODOMETER})::integer >= 2
END
"""
_NOTE_REPLACED = f"""
INSERT INTO catalog_importedlisting (run_id, listing_id, row_number, is_new, before, stored_at, outcome)
SELECT %(run)s, l.id, r.row_number, false, to_jsonb(old), now(), ''
FROM import_row r JOIN catalog_listing l ON l.id = r.listing_id
CROSS JOIN LATERAL (SELECT l.external_id, NULL::text AS description, {{kept}}) old
WHERE {_IS_OTHER_CAR}
"""
# The car that had the id before ends and gives it up; its events stay with it.
_REPLACE = f"""
WITH replaced AS (
    UPDATE catalog_listing l SET
        external_id = NULL, updated_at = now(), missed_runs = 0, ended_at = coalesce(l.ended_at, now()),
        status = CASE WHEN l.status IN ('draft', 'live', 'reserved') THEN 'withdrawn' ELSE l.status END
    FROM import_row r WHERE l.id = r.listing_id AND {_IS_OTHER_CAR}
    RETURNING l.id
)
UPDATE import_row r SET listing_id = NULL FROM replaced WHERE r.listing_id = replaced.id
"""
_TOGETHER = """left(
    CASE WHEN {0}.seller_key = '' THEN {0}.seller_id::text ELSE substr({0}.seller_key, length(%(source)s) + 2) END
    || '/' || {0}.external_id, 255
)"""
# Two dealers may use one number. Where the car that is known under an id is another dealer's, and is not plainly this
# one, the row is known by its dealer and the number together, now and whenever it comes again.
_SEPARATE = f"""
UPDATE import_row r SET external_id = found.together
FROM (
    SELECT o.row_number, o.external_id, o.seller_id,
        first_value(o.seller_id) OVER (PARTITION BY o.external_id ORDER BY o.row_number) AS first_seller_id,
        min(o.seller_id) OVER (PARTITION BY o.external_id) <> max(o.seller_id) OVER (PARTITION BY o.external_id)
            AS is_shared,
        {_TOGETHER.format("o")} AS together
    FROM import_row o WHERE o.external_id IS NOT NULL AND o.seller_id IS NOT NULL
) found
LEFT JOIN catalog_listing own ON own.source = %(source)s AND own.external_id = found.together
LEFT JOIN catalog_listing l ON l.source = %(source)s AND l.external_id = found.external_id
WHERE r.row_number = found.row_number AND (
    own.id IS NOT NULL OR l.seller_id IS NULL AND found.first_seller_id <> found.seller_id
    OR l.seller_id <> found.seller_id AND (found.is_shared OR l.last_seen_at >= %(seen)s OR CASE
        WHEN length(r.vin) = 17 AND length(l.vin) = 17 THEN r.vin <> l.vin
        ELSE {_IS_OTHER_NAME} OR {_IS_OTHER_YEAR} OR {_IS_OTHER_ODOMETER}
    END)
)
"""
# The listings that rows would be merged into, without staging them. A number that dealers share is the row's own one's.
_FIND_LISTINGS = f"""
WITH given AS (
    SELECT g.*, coalesce(
        %(seller)s::bigint,
        (SELECT s.id FROM catalog_seller s WHERE s.external_id = g.seller_key AND g.seller_key <> ''),
        (SELECT k.seller_id FROM catalog_sellerkey k WHERE k.key = g.seller_key AND g.seller_key <> '')
    ) AS seller_id
    FROM unnest(%(numbers)s::integer[], %(external_ids)s::text[], %(seller_keys)s::text[], %(fingerprints)s::text[])
        WITH ORDINALITY AS g (number, external_id, seller_key, fingerprint, place)
)
SELECT DISTINCT ON (number) number, id FROM (
    SELECT g.number, g.place, 0 AS step, l.id
    FROM given g JOIN catalog_listing l ON l.source = %(source)s AND l.external_id = {_TOGETHER.format("g")}
    WHERE g.external_id <> ''
    UNION ALL
    SELECT g.number, g.place, 1, l.id
    FROM given g JOIN catalog_listing l ON l.source = %(source)s AND l.external_id = g.external_id
    WHERE g.external_id <> ''
      AND (l.seller_id IS NULL OR l.seller_id = g.seller_id OR g.seller_id IS NULL AND g.seller_key = '')
    UNION ALL
    SELECT g.number, g.place, 2, l.id
    FROM given g JOIN catalog_listing l ON l.source = %(source)s AND l.fingerprint = g.fingerprint
    WHERE g.external_id = '' AND l.external_id IS NULL AND NOT (l.fingerprint = '')
) found
ORDER BY number, place, step
"""
_HAS_SELLERS = """
SELECT EXISTS (SELECT FROM import_row r WHERE %(seller)s::bigint IS NOT NULL OR r.seller_key <> '')
"""
_COUNT = "SELECT count(*), count(*) FILTER (WHERE listing_id IS NULL) FROM import_row"

# Always in the order of the ids, so that two writers never wait for each other crosswise.
_LOCK = """
SELECT id FROM catalog_listing WHERE id IN (SELECT listing_id FROM import_row) ORDER BY id FOR UPDATE
"""

_ENDED = "('sold', 'withdrawn', 'expired')"
_STATUS = """CASE
    WHEN r.status = 'live' AND coalesce(r.price, l.price) IS NULL THEN l.status
    WHEN r.status <> '' THEN r.status
    WHEN l.status = 'expired' OR l.status IN ('withdrawn', 'sold') AND l.missed_runs > 0
        THEN CASE WHEN coalesce(r.price, l.price) IS NULL THEN 'draft' ELSE 'live' END
    WHEN l.status = 'draft' AND l.price IS NULL AND r.price IS NOT NULL THEN 'live'
    ELSE l.status
END"""
_MERGED = {
    "make_id": "coalesce(r.make_id, l.make_id)",
    "car_model_id": "CASE WHEN r.make_id <> l.make_id THEN r.model_id ELSE coalesce(r.model_id, l.car_model_id) END",
    "seller_id": "coalesce(r.seller_id, l.seller_id)",
    "price": "coalesce(round(r.price, 2), l.price)",
    "currency": "CASE WHEN r.price IS NULL THEN l.currency ELSE r.currency END",
    **{name: f"CASE WHEN cardinality(r.{name}) = 0 THEN l.{name} ELSE r.{name} END" for name in _LISTS},
    "status": _STATUS,
    # what one photo was known of before there were several says nothing new
    "photos": """CASE
        WHEN cardinality(r.photos) = 0 OR cardinality(l.photos) = 0 AND r.photos = ARRAY[l.photo_url] THEN l.photos
        ELSE r.photos
    END""",
    **{name: f"coalesce(r.{name}, l.{name})" for name in _NULLABLE},
    **{name: f"coalesce(nullif(r.{name}, ''), l.{name})" for name in _TEXTS},
}
# A title that was made of the names is made again of new ones; a file that gives no title of its own means no other.
_MERGED["title"] = f"""CASE
    WHEN r.title <> '' THEN r.title
    WHEN l.title = '' OR ({_IS_OTHER_NAME}) AND r.built_title <> '' THEN r.built_title
    ELSE l.title
END"""
_CHANGES = f"""
CREATE TEMP TABLE import_change ON COMMIT DROP AS
SELECT * FROM (
    SELECT l.id, r.row_number, l.price AS old_price, l.currency AS old_currency, l.status AS old_status,
        ({", ".join(f"l.{name}" for name in _MERGED)}) IS DISTINCT FROM ({", ".join(_MERGED.values())}) AS is_changed,
        {", ".join(f"{value} AS {name}" for name, value in _MERGED.items())}
    FROM import_row r JOIN catalog_listing l ON l.id = r.listing_id
) merged WHERE is_changed
"""
_DROP_CHANGES = "DROP TABLE IF EXISTS pg_temp.import_change"
_NOTE_PRICES = """
INSERT INTO catalog_pricechange (listing_id, old_price, new_price, currency, changed_at)
SELECT id, old_price, price, currency, now() FROM import_change
WHERE old_price IS NOT NULL AND price <> old_price AND currency = old_currency
"""
# What undoing needs. A description is kept only where it changes, since it may be longer than all the rest.
KEPT = [
    *(name for name in _MERGED if name != "description"),
    "published_at",
    "ended_at",
    "updated_at",
    "last_seen_at",
    "missed_runs",
]
RESTORED = (*KEPT, "description")  # by ``undo``
NEVER_NULL = (*_TEXTS, *_LISTS)
_NOTE_CHANGED = f"""
INSERT INTO catalog_importedlisting (run_id, listing_id, row_number, is_new, before, stored_at, outcome)
SELECT %(run)s, l.id, c.row_number, false, to_jsonb(old), now(), ''
FROM import_change c JOIN catalog_listing l ON l.id = c.id
CROSS JOIN LATERAL (
    SELECT {", ".join(f"l.{name}" for name in KEPT)},
        CASE WHEN l.description <> c.description THEN l.description END AS description
) old
"""
# When buyers could first see a car is when its source put it online, where it says so and that is plausible; a known
# listing follows once its source says it, or says another time, and only to an earlier one: no advert is fresh again.
POSTED_AT_MOST_DAYS = 730
_IS_PLAUSIBLY_POSTED = f"{{0}}.posted_at BETWEEN now() - interval '{POSTED_AT_MOST_DAYS} days' AND now()"
_UPDATE = f"""
UPDATE catalog_listing l SET
    {", ".join(f"{name} = c.{name}" for name in _MERGED)},
    published_at = CASE
        WHEN c.status = 'draft' THEN l.published_at
        WHEN c.posted_at IS DISTINCT FROM l.posted_at AND {_IS_PLAUSIBLY_POSTED.format("c")}
            THEN least(l.published_at, c.posted_at)
        ELSE coalesce(l.published_at, now())
    END,
    ended_at = CASE
        WHEN c.status NOT IN {_ENDED} THEN NULL
        WHEN c.status = c.old_status THEN l.ended_at
        ELSE now()
    END,
    updated_at = now(), last_seen_at = greatest(l.last_seen_at, %(seen)s), missed_runs = 0
FROM import_change c WHERE c.id = l.id
RETURNING l.id
"""
_NEW_STATUS = """CASE
    WHEN r.status IN ('', 'live') AND (r.price IS NULL OR r.title || r.built_title = '') THEN 'draft'
    WHEN r.status = '' THEN 'live'
    ELSE r.status
END"""
_INSERT = f"""
INSERT INTO catalog_listing (
    source, external_id, fingerprint, vin, make_id, car_model_id, seller_id, price, currency, {", ".join(_LISTS)},
    {", ".join(_NULLABLE)}, {", ".join(_TEXTS)}, status, published_at, ended_at, created_at, updated_at, last_seen_at
)
SELECT %(source)s, external_id, fingerprint, vin, make_id, model_id, seller_id, price,
    coalesce(nullif(currency, ''), %(currency)s), {", ".join(_LISTS)},
    {", ".join(_NULLABLE)}, coalesce(nullif(title, ''), built_title), {", ".join(_TEXTS[1:])},
    new_status,
    CASE
        WHEN new_status = 'draft' THEN NULL
        WHEN {_IS_PLAUSIBLY_POSTED.format("fresh")} THEN posted_at
        ELSE now()
    END,
    CASE WHEN new_status IN {_ENDED} THEN now() END,
    now(), now(), %(seen)s
FROM (SELECT r.*, {_NEW_STATUS} AS new_status FROM import_row r WHERE listing_id IS NULL) AS fresh
ORDER BY row_number
ON CONFLICT DO NOTHING
RETURNING id, external_id, fingerprint
"""
# An undone import leaves it: which car it is does not depend on what is said of it.
_NAME_CARS = """
UPDATE catalog_listing l SET vin = r.vin FROM import_row r
WHERE r.listing_id = l.id AND r.vin <> '' AND l.vin <> r.vin
"""
_IDENTITY = "coalesce({0}.external_id, '') || chr(31) || {0}.fingerprint"  # one of them is always empty
_INSERT_AND_NOTE = f"""
WITH stored AS ({_INSERT}), noted AS (
    INSERT INTO catalog_importedlisting (run_id, listing_id, row_number, is_new, stored_at, outcome)
    SELECT %(run)s, s.id, r.row_number, true, now(), ''
    FROM stored s JOIN import_row r ON {_IDENTITY.format("r")} = {_IDENTITY.format("s")}
)
SELECT id, external_id, fingerprint FROM stored
"""
# Listings that the file says nothing new about were seen all the same. That is no change: neither their time of change
# nor the change log notes it (migration 0010), and with them no index of listings reads them again.
_SEE = """
UPDATE catalog_listing l SET last_seen_at = %(seen)s, missed_runs = 0 FROM import_row r
WHERE l.id = r.listing_id AND (l.last_seen_at IS NULL OR l.last_seen_at < %(seen)s)
"""
# A car that ended by its absence keeps the mark of that, by which it comes back once its row can be merged.
_SEE_WAITING = f"""
UPDATE catalog_listing l SET
    last_seen_at = %(seen)s, missed_runs = CASE WHEN l.status IN {_ENDED} THEN l.missed_runs ELSE 0 END
WHERE l.id IN (
    SELECT id FROM catalog_listing
    WHERE id = ANY(%(ids)s) AND (last_seen_at IS NULL OR last_seen_at < %(seen)s)
    ORDER BY id FOR UPDATE
)
"""
ATTEMPTS = 3  # another process may add a listing between our look and our insert


class Identity(NamedTuple):
    """What a row says of which listing is its own: ``external_id`` is '' for one that has only a fingerprint."""

    external_id: str
    seller_key: str
    fingerprint: str


@dataclass(frozen=True)
class StagedRow:
    """A row on its way in. ``key`` distinguishes cars of one source, ``content`` what is said about them."""

    number: int
    row: ListingRow
    key: str
    content: str
    fingerprint: str  # '' where the row has an id of its own
    seller_key: str
    seller_keys: tuple[str, ...] = ()  # what a dealer is known by in other sources

    @property
    def identity(self) -> Identity:
        return Identity(self.row.external_id or "", self.seller_key, self.fingerprint)


@dataclass
class BatchResult:
    """What became of a batch; ``repeated`` pairs numbers of rows for cars of earlier rows with whether they differ."""

    created_ids: list[int] = field(default_factory=list)
    updated_ids: list[int] = field(default_factory=list)
    n_unchanged: int = 0
    repeated: list[tuple[int, bool]] = field(default_factory=list)

    @classmethod
    def sum(cls, results: Sequence[BatchResult]) -> BatchResult:
        return cls(
            created_ids=[listing_id for result in results for listing_id in result.created_ids],
            updated_ids=[listing_id for result in results for listing_id in result.updated_ids],
            n_unchanged=sum(result.n_unchanged for result in results),
        )


def key_of(external_id: str) -> str:
    """An id of any length as the fixed-length key that rows are compared by."""
    return hashlib.blake2b(f"id\x1f{external_id}".encode(), digest_size=DIGEST_BYTES).hexdigest()


@contextmanager
def staging_tables() -> Iterator[None]:
    """The temporary tables of one import, on this connection; behind PgBouncer, in one transaction."""
    if not connection.in_atomic_block:
        need_session("an import")
    with connection.cursor() as cursor:
        cursor.execute(_DROP)
        cursor.execute(_CREATE)
    try:
        yield
    finally:
        if connection.is_usable() and not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute(_DROP)


def stage(rows: Sequence[StagedRow]) -> list[tuple[int, bool]]:
    """Copy a batch into the staging table; rows that repeat an earlier batch are taken out and returned.

    Within the batch keys must already be unique.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE import_row")
        with cursor.copy(f"COPY import_row ({', '.join(_STAGED)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(_cells(row))
        cursor.execute(_TAKE_REPEATS)
        repeated: list[tuple[int, bool]] = cursor.fetchall()
        cursor.execute(_REMEMBER)
        cursor.execute("ANALYZE import_row")
    return repeated


def _cells(staged: StagedRow) -> list[Any]:
    row = staged.row
    own = {
        "row_number": staged.number,
        "key": staged.key,
        "content": staged.content,
        "fingerprint": staged.fingerprint,
        "seller_key": staged.seller_key,
        "seller_keys": list(staged.seller_keys),
        "has_seller_id": bool(row.seller_id),
        **{name: list(getattr(row, name)) for name in _LISTS},
    }
    return [own[name] if name in own else getattr(row, name) for name in _STAGED]


@contextmanager
def unnoted(cursor: Any) -> Iterator[None]:
    """What is written to listings inside is no change that readers of the change log need to know of."""
    cursor.execute("SET LOCAL forecourt.unnoted = 'on'")
    yield
    cursor.execute("SET LOCAL forecourt.unnoted = 'off'")


def merge(
    *, source: str, currency: str, seen_at: datetime, run_id: int | None = None, seller_id: int | None = None,
    are_ids_shared: bool = False,
) -> BatchResult:  # fmt: skip
    """Bring the staged rows into the catalogue. Call it in a transaction; rolling back undoes all of it.

    Their listings were last seen at ``seen_at``, which is one time for all rows of a delivery. With
    ``seller_id`` all of them are of that seller. Where ``are_ids_shared``, two sellers may use one number.

    With a run, what is done to each listing is noted as an ``ImportedListing`` of it, so that it can be undone.
    """
    result = BatchResult()
    with connection.cursor() as cursor:
        _add_names(cursor, source, run_id)
        given = {"source": source, "seller": seller_id, "seen": seen_at, "run": run_id}
        _settle_sellers(cursor, given, are_ids_shared=are_ids_shared)
        cursor.execute(_TAKE_DOUBLES)
        result.repeated = cursor.fetchall()
        cursor.execute(_REMEMBER_CARS)
        for _ in range(ATTEMPTS):
            cursor.execute(_RESOLVE, given)
            result.updated_ids += _update_known(cursor, seen_at, run_id)
            cursor.execute(_NAME_CARS)
            cursor.execute(_COUNT)
            n_rows, n_unknown = cursor.fetchone()
            insert = _INSERT if run_id is None else _INSERT_AND_NOTE
            cursor.execute(insert, {"source": source, "currency": currency, "run": run_id, "seen": seen_at})
            created = [listing_id for listing_id, *_ in cursor.fetchall()]
            result.created_ids += created
            if len(created) == n_unknown:
                break
        with unnoted(cursor):
            cursor.execute(_SEE, {"seen": seen_at})
    result.n_unchanged = n_rows - len(result.created_ids) - len(result.updated_ids)
    return result


def _add_names(cursor: Any, source: str, run_id: int | None) -> None:
    """Makes, models, sellers and keys of sellers that the catalogue does not have yet."""
    given = {"source": source, "run": run_id}
    for kind, add in (("key", _FIND_SELLERS), ("make", _ADD_MAKES), ("model", _ADD_MODELS), ("seller", _ADD_SELLERS)):
        _add(cursor, kind, add, given)


def _add(cursor: Any, kind: str, add: str, given: dict[str, Any]) -> None:
    """Add names of one kind; with a run, each that is new is noted as an ``ImportedName`` of it."""
    cursor.execute(add if given["run"] is None else _NOTE_ADDED.format(add=add, kind=kind), given)


def _settle_sellers(cursor: Any, given: dict[str, Any], *, are_ids_shared: bool) -> None:
    """Whose cars the rows are, and by which ids they are known where two dealers use one number."""
    cursor.execute(_HAS_SELLERS, given)
    if cursor.fetchone()[0]:
        cursor.execute(_RESOLVE, given)
        _add(cursor, "key", _KEEP_SELLER_KEYS, given)
        if are_ids_shared:
            cursor.execute(_SEPARATE, given)


def find_listings(
    *, source: str, identities: Sequence[tuple[int, Identity]], seller_id: int | None = None
) -> dict[int, int]:
    """Number of a row -> the listing that is known by its identity; of several identities of a number the first.

    With ``seller_id`` all of them are of that seller, as in ``merge``.
    """
    given: dict[str, Any] = {
        "source": source,
        "seller": seller_id,
        "numbers": [number for number, _ in identities],
        "external_ids": [identity.external_id for _, identity in identities],
        "seller_keys": [identity.seller_key for _, identity in identities],
        "fingerprints": [identity.fingerprint for _, identity in identities],
    }
    with connection.cursor() as cursor:
        cursor.execute(_FIND_LISTINGS, given)
        return dict(cursor.fetchall())


def see(*, source: str, identities: Sequence[Identity], seen_at: datetime, seller_id: int | None = None) -> None:
    """Listings whose rows wait are in the file all the same."""
    found = find_listings(source=source, identities=list(enumerate(identities)), seller_id=seller_id)
    with transaction.atomic(), connection.cursor() as cursor, unnoted(cursor):
        cursor.execute(_SEE_WAITING, {"ids": list(found.values()), "seen": seen_at})


def _update_known(cursor: Any, seen_at: datetime, run_id: int | None) -> list[int]:
    """Update the listings that are known already and say something else now; returns their ids."""
    cursor.execute(_LOCK)
    if run_id is not None:
        cursor.execute(_NOTE_REPLACED.format(kept=", ".join(f"l.{name}" for name in KEPT)), {"run": run_id})
    cursor.execute(_REPLACE)
    cursor.execute(_DROP_CHANGES)
    cursor.execute(_CHANGES)
    cursor.execute(_NOTE_PRICES)
    if run_id is not None:
        cursor.execute(_NOTE_CHANGED, {"run": run_id})
    cursor.execute(_UPDATE, {"seen": seen_at})
    return [listing_id for (listing_id,) in cursor.fetchall()]
