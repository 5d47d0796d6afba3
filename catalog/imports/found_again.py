"""Find the listing of a row that is known by another id or fingerprint, by the car's attributes.

A row without an id is identified by all its values. When a later release reads more of them, or a supplier adds a
column, each car would get another identity: a complete file would end all listings and create the same cars again,
without their buyers' events. So listings that no row has claimed are compared by their attributes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection, transaction

from catalog.attributes import CATEGORIES, NUMBERS
from catalog.imports.vocabulary import COLOUR

ROUNDS = 50  # each round finds one of several cars with equal attributes, such as a dealer's new ones
CARS_OF_A_CLUE = 100  # comparing more cars with each row would take too long
LONG_TEXT = 80  # characters; a shorter description may be the same for all cars of a dealer

# ruff: noqa: S608 -- the statements are put together from this module's own column names, never from a file's
CREATE = """
CREATE TEMP TABLE import_clue (clue text NOT NULL, listing_id bigint NOT NULL);
CREATE INDEX ON import_clue (clue);
"""
DROP = "DROP TABLE IF EXISTS pg_temp.import_clue"
# A clue is a value that two cars of one source rarely share; candidates are then compared by all attributes.
CLUES = f"""(VALUES
    ('odometer/' || {{0}}.mileage_km || '/' || {{0}}.year),
    ('odometer/' || {{0}}.mileage_km || '/price/' || trim_scale({{0}}.price)),
    ('url/' || md5(nullif({{0}}.url, ''))),
    ('title/' || md5(nullif({{1}}, '')) || '/' || trim_scale({{0}}.price)),
    ('text/' || CASE WHEN length({{0}}.description) >= {LONG_TEXT} THEN md5({{0}}.description) END)
) AS of (clue)"""
TITLE = "coalesce(nullif(r.title, ''), r.built_title)"  # the title of the listing made of the row
# Cars without an id of their source, or with their VIN as the id, that this file has not had yet.
REMEMBER = f"""
INSERT INTO import_clue
SELECT of.clue, l.id FROM catalog_listing l CROSS JOIN LATERAL {CLUES.format("l", "l.title")}
WHERE l.source = %(source)s AND (l.external_id IS NULL AND NOT (l.fingerprint = '') OR l.external_id = l.vin)
    AND (l.last_seen_at IS NULL OR l.last_seen_at < %(seen)s) AND of.clue IS NOT NULL
"""
# A URL or description that many cars share, such as that of a dealer's site, is no clue.
FORGET_SHARED = f"""
DELETE FROM import_clue WHERE clue IN (
    SELECT clue FROM import_clue GROUP BY clue
    HAVING count(*) > CASE WHEN starts_with(clue, 'url/') THEN 1 ELSE {CARS_OF_A_CLUE} END
)
"""
_NAMED = [each.column for each in CATEGORIES if each.name in ("fuel", "gearbox", "body")]
_COUNTED = ["year", "mileage_km", *(each.column for each in NUMBERS if each.name in ("doors", "seats"))]
# An unknown value agrees with every value, and so does a colour outside our vocabulary.
AGREES = " AND ".join(
    (
        "(l.make_id = r.make_id) IS NOT FALSE",
        f"((l.car_model_id = r.model_id) IS NOT FALSE OR {TITLE} = l.title)",
        "((l.price = round(r.price, 2)) IS NOT FALSE OR r.vat = 'added' AND l.vat = '')",
        "(length(l.vin) = 17 AND length(r.vin) = 17 AND l.vin <> r.vin) IS NOT TRUE",
        *(f"(l.{name} = r.{name}) IS NOT FALSE" for name in _COUNTED),
        *(f"(l.{name} IN ('', r.{name}) OR r.{name} = '')" for name in _NAMED),
        "(l.colour IN ('', r.colour) OR r.colour = '' OR l.colour <> ALL (%(colours)s))",
    )
)
_ALIKE = " + ".join(
    f"(r.{name} = l.{name} AND r.{name} <> '')::integer"
    for name in ("title", "description", "url", "photo_url", "colour")
)
HAS_UNKNOWN = """
SELECT EXISTS (SELECT FROM import_clue) AND EXISTS (SELECT FROM import_row WHERE listing_id IS NULL)
"""
PAIR = f"""
CREATE TEMP TABLE import_pair ON COMMIT DROP AS
SELECT DISTINCT r.row_number, l.id, {_ALIKE} AS n_alike
FROM import_row r CROSS JOIN LATERAL {CLUES.format("r", TITLE)}
JOIN import_clue c ON c.clue = of.clue
JOIN catalog_listing l ON l.id = c.listing_id
WHERE r.listing_id IS NULL AND (l.last_seen_at IS NULL OR l.last_seen_at < %(seen)s)
    AND (l.external_id IS NULL OR l.external_id = r.vin)
    AND l.id NOT IN (SELECT o.listing_id FROM import_row o WHERE o.listing_id IS NOT NULL)
    AND {AGREES}
"""
DROP_PAIRS = "DROP TABLE IF EXISTS pg_temp.import_pair"
# Pairs of which each is the best match of the other.
FIND = """
UPDATE import_row r SET listing_id = best.id
FROM (
    SELECT row_number, id,
        row_number() OVER (PARTITION BY row_number ORDER BY n_alike DESC, id) AS of_row,
        row_number() OVER (PARTITION BY id ORDER BY n_alike DESC, row_number) AS of_listing
    FROM import_pair
) best WHERE best.row_number = r.row_number AND best.of_row = 1 AND best.of_listing = 1
"""
FORGET_FOUND = """
DELETE FROM import_pair WHERE row_number IN (SELECT r.row_number FROM import_row r WHERE r.listing_id IS NOT NULL)
    OR id IN (SELECT r.listing_id FROM import_row r WHERE r.listing_id IS NOT NULL)
"""
# A rollback keeps this identity, which does not depend on the values of the import.
KNOW = """
UPDATE catalog_listing l SET external_id = r.external_id, fingerprint = r.fingerprint
FROM import_row r
WHERE r.listing_id = l.id
    AND (l.external_id, l.fingerprint) IS DISTINCT FROM (r.external_id, r.fingerprint)
    AND (l.external_id IS NULL OR l.external_id = l.vin)
"""


def remember_clues(*, source: str, seen_at: datetime) -> None:
    """Store the attributes by which a source's cars can be found, once, before the first rows of a file are stored."""
    with transaction.atomic(), connection.cursor() as cursor:
        given: dict[str, Any] = {"source": source, "seen": seen_at}
        cursor.execute(REMEMBER, given)
        cursor.execute(FORGET_SHARED)
        cursor.execute("ANALYZE import_clue")


def find_again(*, seen_at: datetime) -> bool:
    """Assign to staged rows without a listing the listing of the same car; returns whether there was one.

    ``know_again`` stores the rows' identities on the listings, once they are locked.
    """
    is_found = False
    with connection.cursor() as cursor:
        cursor.execute(HAS_UNKNOWN)
        if not cursor.fetchone()[0]:
            return False
        cursor.execute(DROP_PAIRS)
        cursor.execute(PAIR, {"seen": seen_at, "colours": sorted(COLOUR.values)})
        for _ in range(ROUNDS if cursor.rowcount else 0):
            cursor.execute(FIND)
            if not cursor.rowcount:
                break
            is_found = True
            cursor.execute(FORGET_FOUND)
    return is_found


def know_again() -> None:
    with connection.cursor() as cursor:
        cursor.execute(KNOW)
