"""Cars of a source that a row belongs to although it is known by another id or fingerprint: found by their facts.

A row without an id is known by all that it says. A later release reads more of it, or a supplier adds a column, and
every car of the file would be another one: a complete delivery would end them all and put the same ones on sale again,
without their buyers' events. So what no row has claimed yet is looked through for a car of the same facts.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection, transaction

from catalog.attributes import CATEGORIES, NUMBERS
from catalog.imports.vocabulary import COLOUR

ROUNDS = 50  # of cars that share all facts, as new ones of a dealer may, each round finds one
CARS_OF_A_CLUE = 100  # more than so many cannot be held against each row in reasonable time
LONG_TEXT = 80  # characters; a shorter description may be a dealer's phrase for all cars

# ruff: noqa: S608 -- the statements are put together from this module's own column names, never from a file's
CREATE = """
CREATE TEMP TABLE import_clue (clue text NOT NULL, listing_id bigint NOT NULL);
CREATE INDEX ON import_clue (clue);
"""
DROP = "DROP TABLE IF EXISTS pg_temp.import_clue"
# A clue is what two cars of one source rarely share. Whether they are one is then asked of all the facts.
CLUES = f"""(VALUES
    ('odometer/' || {{0}}.mileage_km || '/' || {{0}}.year),
    ('odometer/' || {{0}}.mileage_km || '/price/' || trim_scale({{0}}.price)),
    ('url/' || md5(nullif({{0}}.url, ''))),
    ('title/' || md5(nullif({{1}}, '')) || '/' || trim_scale({{0}}.price)),
    ('text/' || CASE WHEN length({{0}}.description) >= {LONG_TEXT} THEN md5({{0}}.description) END)
) AS of (clue)"""
TITLE = "coalesce(nullif(r.title, ''), r.built_title)"  # as a listing has it that was made of the row
# Cars that have no id of their source, or had their VIN for one, and that this delivery has not had yet.
REMEMBER = f"""
INSERT INTO import_clue
SELECT of.clue, l.id FROM catalog_listing l CROSS JOIN LATERAL {CLUES.format("l", "l.title")}
WHERE l.source = %(source)s AND (l.external_id IS NULL AND NOT (l.fingerprint = '') OR l.external_id = l.vin)
    AND (l.last_seen_at IS NULL OR l.last_seen_at < %(seen)s) AND of.clue IS NOT NULL
"""
# The address of a dealer's site under every car says nothing, and neither does a description that hundreds have.
FORGET_SHARED = f"""
DELETE FROM import_clue WHERE clue IN (
    SELECT clue FROM import_clue GROUP BY clue
    HAVING count(*) > CASE WHEN starts_with(clue, 'url/') THEN 1 ELSE {CARS_OF_A_CLUE} END
)
"""
_NAMED = [each.column for each in CATEGORIES if each.name in ("fuel", "gearbox", "body")]
_COUNTED = ["year", "mileage_km", *(each.column for each in NUMBERS if each.name in ("doors", "seats"))]
# What one of the two does not say contradicts nothing. A colour that is none of our words was one not yet understood.
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
# Each that is the best of the other.
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
# An undone import leaves it: which car it is does not depend on what is said of it.
KNOW = """
UPDATE catalog_listing l SET external_id = r.external_id, fingerprint = r.fingerprint
FROM import_row r
WHERE r.listing_id = l.id
    AND (l.external_id, l.fingerprint) IS DISTINCT FROM (r.external_id, r.fingerprint)
    AND (l.external_id IS NULL OR l.external_id = l.vin)
"""


def remember_clues(*, source: str, seen_at: datetime) -> None:
    """Note by what the cars of a source can be found, once, before the first rows of a delivery are stored."""
    with transaction.atomic(), connection.cursor() as cursor:
        given: dict[str, Any] = {"source": source, "seen": seen_at}
        cursor.execute(REMEMBER, given)
        cursor.execute(FORGET_SHARED)
        cursor.execute("ANALYZE import_clue")


def find_again(*, seen_at: datetime) -> bool:
    """Give the staged rows that no listing is known by the listing of their car; whether there was one.

    ``know_again`` makes the listings known by their rows, once they are locked.
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
