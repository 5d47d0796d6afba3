"""Exports of portals, dealer systems and shops of many countries, made up after their formats: each field of each row.

``portals/expected.json`` holds what each row gives, with null for a row that offers no car; what is not named there
has to be empty. The values were made by the reader and then looked over. No options are given, so a bare price or
distance is in the units of this marketplace, also in files of other markets, whose operator would name a mapping.
"""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from catalog.imports.listing_row import ROW_FIELDS
from catalog.imports.reading import ImportOptions, open_reading

PORTALS = Path(__file__).parent / "portals"
EXPECTED = json.loads((PORTALS / "expected.json").read_text(encoding="utf-8"))
DERIVED = ("make_slug", "model_slug", "photo_url")


def test_every_file_is_judged():
    assert set(EXPECTED) == {path.name for path in PORTALS.iterdir()} - {"expected.json"}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_export_is_read_field_by_field(name):
    with open_reading(PORTALS / name, ImportOptions(source="portal")) as reading:
        rows = [reading.reader.read(record.cells).row for record in reading.rows]
    names_alone = name == "british_names.csv"
    assert [said_by(row, names_alone) for row in rows] == EXPECTED[name]


def said_by(row, names_alone):
    if row is None:
        return None
    fields = ("make", "model", "built_title") if names_alone else ROW_FIELDS
    said = {name: getattr(row, name) for name in fields if name not in DERIVED}
    return {name: plain(value) for name, value in said.items() if value not in ("", None, ())}


def plain(value):
    """As JSON has it."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, tuple):
        return list(value)
    return value.isoformat() if hasattr(value, "isoformat") else value
