"""The SQL that merges staged rows into listings, and the columns it writes."""

from __future__ import annotations

from catalog.attributes import ADDRESSES, CATEGORIES, MOMENTS, NUMBERS, TEXTS, columns_of

# ruff: noqa: S608 -- the statements are put together from this module's own column names, never from a file's
# Columns of a listing that a row may change, by their value for "not given".
SQL_TYPES = {
    "count": "integer", "large count": "integer", "month": "integer", "fraction": "double precision",
    "money": "numeric",
}  # fmt: skip
NULLABLE = {
    "year": "integer",
    **{number.column: SQL_TYPES[number.kind] for number in NUMBERS},
    **dict.fromkeys(columns_of(MOMENTS), "timestamptz"),
    "latitude": "double precision",
    "longitude": "double precision",
}
TEXT_COLUMNS = ("title", "description", *columns_of(CATEGORIES), *columns_of(TEXTS), "photo_url", "url", "place")
LIST_COLUMNS = ("tags", *columns_of(ADDRESSES))
STAGED = {
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
    **dict.fromkeys(LIST_COLUMNS, "varchar[]"),
    "price": "numeric",
    "currency": "text",
    "status": "text",
    "seller_key": "text",
    "seller_name": "text",
    "seller_kind": "text",
    "seller_keys": "text[]",
    "has_seller_id": "boolean",
    "vin": "text",
    **NULLABLE,
    **dict.fromkeys(TEXT_COLUMNS, "text"),
}
FOUND = {"make_id": "bigint", "model_id": "bigint", "seller_id": "bigint", "listing_id": "bigint"}


def _definitions(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())


CREATE = f"""
CREATE TEMP TABLE import_row ({_definitions(STAGED | FOUND)});
CREATE TEMP TABLE import_seen (key uuid PRIMARY KEY, content uuid NOT NULL);
CREATE TEMP TABLE import_car (external_id text PRIMARY KEY, content uuid NOT NULL);
"""
DROP = "DROP TABLE IF EXISTS pg_temp.import_row, pg_temp.import_seen, pg_temp.import_car"
# Rows of an earlier batch leave the staging table; the keys of the others are kept for later batches.
TAKE_REPEATS = """
DELETE FROM import_row r USING import_seen s WHERE s.key = r.key
RETURNING r.row_number, r.content <> s.content
"""
REMEMBER = "INSERT INTO import_seen SELECT key, content FROM import_row"
# Rows with different keys may be of one car: one names its dealer and the other does not, or two names are of one
# dealer. Once dealers are known, the first row is kept, of this batch and the ones before.
TAKE_DOUBLES = """
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
REMEMBER_CARS = """
INSERT INTO import_car SELECT external_id, content FROM import_row WHERE external_id IS NOT NULL
"""
ADD_MAKES = """
INSERT INTO catalog_make (name, slug)
SELECT DISTINCT ON (make_slug) make, make_slug FROM import_row r
WHERE make_slug <> '' AND NOT EXISTS (SELECT FROM catalog_make m WHERE m.slug = r.make_slug)
ORDER BY make_slug, row_number
ON CONFLICT (slug) DO NOTHING
"""
ADD_MODELS = """
INSERT INTO catalog_carmodel (make_id, name, slug)
SELECT DISTINCT ON (m.id, model_slug) m.id, model, model_slug
FROM import_row r JOIN catalog_make m ON m.slug = r.make_slug
WHERE model_slug <> ''
  AND NOT EXISTS (SELECT FROM catalog_carmodel c WHERE c.make_id = m.id AND c.slug = r.model_slug)
ORDER BY m.id, model_slug, row_number
ON CONFLICT (make_id, slug) DO NOTHING
"""
BY_NAME = "'^[^/]*[^/0-9-][^/]*/[^/]*$'"  # a seller's key within a source, made of name and town
# A dealer without an id of this source may be known from another one: by name and town, telephone, VAT id or domain.
# Branches share domain and VAT id, so these count only where towns do not differ. Within a source its ids decide: a
# dealer with an id is no other dealer, and of several new ids only one can be that of a dealer who had none yet.
FIND_SELLERS = f"""
INSERT INTO catalog_sellerkey (key, seller_id)
SELECT seller_key, seller_id FROM (
    SELECT found.*, row_number() OVER (PARTITION BY seller_id, has_seller_id ORDER BY row_number) AS number FROM (
        SELECT DISTINCT ON (r.seller_key) r.seller_key, s.id AS seller_id, r.has_seller_id, r.row_number
        FROM import_row r
        CROSS JOIN LATERAL unnest(r.seller_keys) WITH ORDINALITY AS same (key, number)
        JOIN catalog_sellerkey k ON k.key = same.key
        JOIN catalog_seller s ON s.id = k.seller_id
        WHERE r.seller_key <> ''
          AND NOT EXISTS (SELECT FROM catalog_seller o WHERE o.external_id = r.seller_key)
          AND NOT EXISTS (SELECT FROM catalog_sellerkey o WHERE o.key = r.seller_key)
          AND (starts_with(same.key, '=place/') OR starts_with(same.key, '=phone/') OR s.place = '' OR r.place = ''
               OR lower(s.place) = lower(r.place))
          AND NOT (r.has_seller_id AND EXISTS (
              SELECT FROM (
                  SELECT s.external_id AS key UNION ALL SELECT o.key FROM catalog_sellerkey o WHERE o.seller_id = s.id
              ) own
              WHERE starts_with(own.key, %(source)s || '/') AND substr(own.key, length(%(source)s) + 2) !~ {BY_NAME}
          ))
        ORDER BY r.seller_key, same.number, s.id
    ) found
) known
WHERE NOT has_seller_id OR number = 1
ON CONFLICT (key) DO NOTHING
"""
KEEP_SELLER_KEYS = """
INSERT INTO catalog_sellerkey (key, seller_id)
SELECT DISTINCT ON (same.key) same.key, s.id
FROM (SELECT DISTINCT seller_id, seller_keys FROM import_row WHERE seller_key <> '') r
CROSS JOIN LATERAL unnest(r.seller_keys) AS same (key)
JOIN catalog_seller s ON s.id = r.seller_id
WHERE s.kind = 'dealer' AND NOT EXISTS (SELECT FROM catalog_sellerkey o WHERE o.key = same.key)
ORDER BY same.key, s.id
ON CONFLICT (key) DO NOTHING
"""
ADD_SELLERS = """
INSERT INTO catalog_seller AS known (external_id, name, kind, place)
SELECT DISTINCT ON (seller_key) seller_key, seller_name, coalesce(nullif(seller_kind, ''), 'dealer'), place
FROM import_row r WHERE seller_key <> '' AND NOT EXISTS (SELECT FROM catalog_sellerkey k WHERE k.key = r.seller_key)
ORDER BY seller_key, row_number
ON CONFLICT (external_id) DO UPDATE SET name = excluded.name, kind = excluded.kind
WHERE (known.name, known.kind) IS DISTINCT FROM (excluded.name, excluded.kind)
"""
# Additions are recorded, so that a rollback removes them: a wrong key would join two dealers for good. A row that was
# only updated has a previous version.
NOTE_ADDED = """
WITH made AS ({add} RETURNING id, xmax = 0 AS is_new)
INSERT INTO catalog_importedname (run_id, kind, name_id) SELECT %(run)s, '{kind}', id FROM made WHERE is_new
"""
RESOLVE = """
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
# Ids are reused: another car under a known id is another listing. It is another car if the VIN differs; where a VIN is
# unknown, if two of three differ: the name (make or model), the year, an odometer that went back or far ahead. A single
# difference is a correction.
IS_OTHER_NAME = (
    "(r.make_id <> l.make_id OR r.make_id IS NOT DISTINCT FROM l.make_id AND r.model_id <> l.car_model_id) IS TRUE"
)
IS_OTHER_YEAR = "(r.year <> l.year) IS TRUE"
IS_OTHER_ODOMETER = "(r.mileage_km < l.mileage_km - 1000 OR r.mileage_km > l.mileage_km + 20000) IS TRUE"
IS_OTHER_CAR = f"""
r.external_id IS NOT NULL AND CASE
    WHEN length(r.vin) = 17 AND length(l.vin) = 17 THEN r.vin <> l.vin
    ELSE ({IS_OTHER_NAME})::integer + ({IS_OTHER_YEAR})::integer + ({IS_OTHER_ODOMETER})::integer >= 2
END
"""
NOTE_REPLACED = f"""
INSERT INTO catalog_importedlisting (run_id, listing_id, row_number, is_new, before, stored_at, outcome)
SELECT %(run)s, l.id, r.row_number, false, to_jsonb(old), now(), ''
FROM import_row r JOIN catalog_listing l ON l.id = r.listing_id
CROSS JOIN LATERAL (SELECT l.external_id, NULL::text AS description, {{kept}}) old
WHERE {IS_OTHER_CAR}
"""
# The listing that had the id before ends and loses the id; its events stay with it.
REPLACE = f"""
WITH replaced AS (
    UPDATE catalog_listing l SET
        external_id = NULL, updated_at = now(), missed_runs = 0, ended_at = coalesce(l.ended_at, now()),
        status = CASE WHEN l.status IN ('draft', 'live', 'reserved') THEN 'withdrawn' ELSE l.status END
    FROM import_row r WHERE l.id = r.listing_id AND {IS_OTHER_CAR}
    RETURNING l.id
)
UPDATE import_row r SET listing_id = NULL FROM replaced WHERE r.listing_id = replaced.id
"""
TOGETHER = """left(
    CASE WHEN {0}.seller_key = '' THEN {0}.seller_id::text ELSE substr({0}.seller_key, length(%(source)s) + 2) END
    || '/' || {0}.external_id, 255
)"""
# LIMIT 1 makes each row use the index: for a source that is new to the statistics the planner expects hardly any
# listings, and would read all of them for each row.
BY_ID = """
SELECT l.id, l.external_id, l.seller_id, l.vin, l.make_id, l.car_model_id, l.year, l.mileage_km, l.last_seen_at
FROM catalog_listing l WHERE l.source = %(source)s AND l.external_id = {0}.external_id LIMIT 1
"""
# Listings of a source whose identity is a dealer and a number together; one file names the dealer by an id, another
# by a name.
OF_DEALER = f"""
SELECT l.id, l.external_id FROM (
    SELECT {{0}}.together AS external_id
    UNION ALL
    SELECT left(substr(known.key, length(%(source)s) + 2) || '/' || {{0}}.external_id, 255)
    FROM (
        SELECT s.external_id AS key FROM catalog_seller s WHERE s.id = {{0}}.seller_id
        UNION ALL
        SELECT k.key FROM catalog_sellerkey k WHERE k.seller_id = {{0}}.seller_id
    ) known
    WHERE starts_with(known.key, %(source)s || '/')
) named
CROSS JOIN LATERAL ({BY_ID.format("named")}) l
ORDER BY l.external_id <> {{0}}.together, l.id LIMIT 1
"""
# Two dealers may use the same number. Where the car with the id is another dealer's, and is not clearly the same car,
# the identity of the row is its dealer and the number together, now and in further files.
SEPARATE = f"""
UPDATE import_row r SET external_id = coalesce(own.external_id, found.together)
FROM (
    SELECT o.row_number, o.external_id, o.seller_id,
        first_value(o.seller_id) OVER (PARTITION BY o.external_id ORDER BY o.row_number) AS first_seller_id,
        min(o.seller_id) OVER (PARTITION BY o.external_id) <> max(o.seller_id) OVER (PARTITION BY o.external_id)
            AS is_shared,
        {TOGETHER.format("o")} AS together
    FROM import_row o WHERE o.external_id IS NOT NULL AND o.seller_id IS NOT NULL
) found
LEFT JOIN LATERAL ({OF_DEALER.format("found")}) own ON true
LEFT JOIN LATERAL ({BY_ID.format("found")}) l ON true
WHERE r.row_number = found.row_number AND (
    own.id IS NOT NULL OR l.seller_id IS NULL AND found.first_seller_id <> found.seller_id
    OR l.seller_id <> found.seller_id AND (found.is_shared OR l.last_seen_at >= %(seen)s OR CASE
        WHEN length(r.vin) = 17 AND length(l.vin) = 17 THEN r.vin <> l.vin
        ELSE {IS_OTHER_NAME} OR {IS_OTHER_YEAR} OR {IS_OTHER_ODOMETER}
    END)
)
"""
# The listings that rows would be merged into, without staging them. Of a number shared by dealers, the row's own.
FIND_LISTINGS = f"""
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
    FROM (SELECT given.*, {TOGETHER.format("given")} AS together FROM given WHERE external_id <> '') g
    CROSS JOIN LATERAL ({OF_DEALER.format("g")}) l
    UNION ALL
    SELECT g.number, g.place, 1, l.id
    FROM given g CROSS JOIN LATERAL ({BY_ID.format("g")}) l
    WHERE g.external_id <> ''
      AND (l.seller_id IS NULL OR l.seller_id = g.seller_id OR g.seller_id IS NULL AND g.seller_key = '')
    UNION ALL
    SELECT g.number, g.place, 2, l.id
    FROM given g JOIN catalog_listing l ON l.source = %(source)s AND l.fingerprint = g.fingerprint
    WHERE g.external_id = '' AND l.external_id IS NULL AND NOT (l.fingerprint = '')
) found
ORDER BY number, place, step
"""
HAS_SELLERS = """
SELECT EXISTS (SELECT FROM import_row r WHERE %(seller)s::bigint IS NOT NULL OR r.seller_key <> '')
"""
COUNT = "SELECT count(*), count(*) FILTER (WHERE listing_id IS NULL) FROM import_row"
# Always in the order of the ids, so that two writers never deadlock.
LOCK = """
SELECT id FROM catalog_listing WHERE id IN (SELECT listing_id FROM import_row) ORDER BY id FOR UPDATE
"""
ENDED = "('sold', 'withdrawn', 'expired')"
STATUS = """CASE
    WHEN r.status = 'live' AND coalesce(r.price, l.price) IS NULL THEN l.status
    WHEN r.status <> '' THEN r.status
    WHEN l.status = 'expired' OR l.status IN ('withdrawn', 'sold') AND l.missed_runs > 0
        THEN CASE WHEN coalesce(r.price, l.price) IS NULL THEN 'draft' ELSE 'live' END
    WHEN l.status = 'draft' AND l.price IS NULL AND r.price IS NOT NULL THEN 'live'
    ELSE l.status
END"""
MERGED = {
    "make_id": "coalesce(r.make_id, l.make_id)",
    "car_model_id": "CASE WHEN r.make_id <> l.make_id THEN r.model_id ELSE coalesce(r.model_id, l.car_model_id) END",
    "seller_id": "coalesce(r.seller_id, l.seller_id)",
    "price": "coalesce(round(r.price, 2), l.price)",
    "currency": "CASE WHEN r.price IS NULL THEN l.currency ELSE r.currency END",
    **{name: f"CASE WHEN cardinality(r.{name}) = 0 THEN l.{name} ELSE r.{name} END" for name in LIST_COLUMNS},
    "status": STATUS,
    # a single photo that equals ``photo_url`` is no change to a listing without ``photos``
    "photos": """CASE
        WHEN cardinality(r.photos) = 0 OR cardinality(l.photos) = 0 AND r.photos = ARRAY[l.photo_url] THEN l.photos
        ELSE r.photos
    END""",
    **{name: f"coalesce(r.{name}, l.{name})" for name in NULLABLE},
    **{name: f"coalesce(nullif(r.{name}, ''), l.{name})" for name in TEXT_COLUMNS},
}
# A title that was made of the names is made again of new names; a file without titles leaves other titles.
MERGED["title"] = f"""CASE
    WHEN r.title <> '' THEN r.title
    WHEN l.title = '' OR ({IS_OTHER_NAME}) AND r.built_title <> '' THEN r.built_title
    ELSE l.title
END"""
CHANGES = f"""
CREATE TEMP TABLE import_change ON COMMIT DROP AS
SELECT * FROM (
    SELECT l.id, r.row_number, l.price AS old_price, l.currency AS old_currency, l.status AS old_status,
        ({", ".join(f"l.{name}" for name in MERGED)}) IS DISTINCT FROM ({", ".join(MERGED.values())}) AS is_changed,
        {", ".join(f"{value} AS {name}" for name, value in MERGED.items())}
    FROM import_row r JOIN catalog_listing l ON l.id = r.listing_id
) merged WHERE is_changed
"""
DROP_CHANGES = "DROP TABLE IF EXISTS pg_temp.import_change"
NOTE_PRICES = """
INSERT INTO catalog_pricechange (listing_id, old_price, new_price, currency, changed_at)
SELECT id, old_price, price, currency, now() FROM import_change
WHERE old_price IS NOT NULL AND price <> old_price AND currency = old_currency
"""
# Columns that a rollback needs. A description is kept only where it changes, since it may be very long.
KEPT = [
    *(name for name in MERGED if name != "description"),
    "published_at",
    "ended_at",
    "updated_at",
    "last_seen_at",
    "missed_runs",
]
RESTORED = (*KEPT, "description")  # by ``undo``
NEVER_NULL = (*TEXT_COLUMNS, *LIST_COLUMNS)
NOTE_CHANGED = f"""
INSERT INTO catalog_importedlisting (run_id, listing_id, row_number, is_new, before, stored_at, outcome)
SELECT %(run)s, l.id, c.row_number, false, to_jsonb(old), now(), ''
FROM import_change c JOIN catalog_listing l ON l.id = c.id
CROSS JOIN LATERAL (
    SELECT {", ".join(f"l.{name}" for name in KEPT)},
        CASE WHEN l.description <> c.description THEN l.description END AS description
) old
"""
# A listing's time of publication is when its source put it online, where that is given and plausible; that of a known
# listing is corrected later, but only to an earlier time, so that no listing becomes new again.
POSTED_AT_MOST_DAYS = 730
IS_PLAUSIBLY_POSTED = f"{{0}}.posted_at BETWEEN now() - interval '{POSTED_AT_MOST_DAYS} days' AND now()"
UPDATE = f"""
UPDATE catalog_listing l SET
    {", ".join(f"{name} = c.{name}" for name in MERGED)},
    published_at = CASE
        WHEN c.status = 'draft' THEN l.published_at
        WHEN c.posted_at IS DISTINCT FROM l.posted_at AND {IS_PLAUSIBLY_POSTED.format("c")}
            THEN least(l.published_at, c.posted_at)
        ELSE coalesce(l.published_at, now())
    END,
    ended_at = CASE
        WHEN c.status NOT IN {ENDED} THEN NULL
        WHEN c.status = c.old_status THEN l.ended_at
        ELSE now()
    END,
    updated_at = now(), last_seen_at = greatest(l.last_seen_at, %(seen)s), missed_runs = 0
FROM import_change c WHERE c.id = l.id
RETURNING l.id
"""
NEW_STATUS = """CASE
    WHEN r.status IN ('', 'live') AND (r.price IS NULL OR r.title || r.built_title = '') THEN 'draft'
    WHEN r.status = '' THEN 'live'
    ELSE r.status
END"""
INSERT = f"""
INSERT INTO catalog_listing (
    source, external_id, fingerprint, vin, make_id, car_model_id, seller_id, price, currency, {", ".join(LIST_COLUMNS)},
    {", ".join(NULLABLE)}, {", ".join(TEXT_COLUMNS)}, status, published_at, ended_at, created_at, updated_at,
    last_seen_at
)
SELECT %(source)s, external_id, fingerprint, vin, make_id, model_id, seller_id, price,
    coalesce(nullif(currency, ''), %(currency)s), {", ".join(LIST_COLUMNS)},
    {", ".join(NULLABLE)}, coalesce(nullif(title, ''), built_title), {", ".join(TEXT_COLUMNS[1:])},
    new_status,
    CASE
        WHEN new_status = 'draft' THEN NULL
        WHEN {IS_PLAUSIBLY_POSTED.format("fresh")} THEN posted_at
        ELSE now()
    END,
    CASE WHEN new_status IN {ENDED} THEN now() END,
    now(), now(), %(seen)s
FROM (SELECT r.*, {NEW_STATUS} AS new_status FROM import_row r WHERE listing_id IS NULL) AS fresh
ORDER BY row_number
ON CONFLICT DO NOTHING
RETURNING id, external_id, fingerprint
"""
# A rollback keeps this identity, which does not depend on the values of the import.
NAME_CARS = """
UPDATE catalog_listing l SET vin = r.vin FROM import_row r
WHERE r.listing_id = l.id AND r.vin <> '' AND l.vin <> r.vin
"""
IDENTITY = "coalesce({0}.external_id, '') || chr(31) || {0}.fingerprint"  # one of them is always empty
INSERT_AND_NOTE = f"""
WITH stored AS ({INSERT}), noted AS (
    INSERT INTO catalog_importedlisting (run_id, listing_id, row_number, is_new, stored_at, outcome)
    SELECT %(run)s, s.id, r.row_number, true, now(), ''
    FROM stored s JOIN import_row r ON {IDENTITY.format("r")} = {IDENTITY.format("s")}
)
SELECT id, external_id, fingerprint FROM stored
"""
# Unchanged listings are marked as seen. This changes neither their time of change nor the change log (migration 0010),
# so no listing index reads them again.
SEE = """
UPDATE catalog_listing l SET last_seen_at = %(seen)s, missed_runs = 0 FROM import_row r
WHERE l.id = r.listing_id AND (l.last_seen_at IS NULL OR l.last_seen_at < %(seen)s)
"""
# A car that ended by its absence stays marked, so that it comes back once its row can be merged.
SEE_WAITING = f"""
UPDATE catalog_listing l SET
    last_seen_at = %(seen)s, missed_runs = CASE WHEN l.status IN {ENDED} THEN l.missed_runs ELSE 0 END
WHERE l.id IN (
    SELECT id FROM catalog_listing
    WHERE id = ANY(%(ids)s) AND (last_seen_at IS NULL OR last_seen_at < %(seen)s)
    ORDER BY id FOR UPDATE
)
"""
