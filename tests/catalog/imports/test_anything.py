"""Whatever a file holds, reading it ends in rows the catalogue can store or in a refusal that says why."""

from dataclasses import fields
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from catalog.exceptions import ImportRefused
from catalog.imports.conventions import find_conventions
from catalog.imports.dialects import open_rows
from catalog.imports.headings import FIELDS, UNITS_BY_FIELD, HeaderReader
from catalog.imports.rows import RowReader
from catalog.imports.vocabulary import VOCABULARIES
from catalog.models import Listing, Seller

HEADINGS = [*FIELDS, *(f"{name}_{unit}" for name, units in UNITS_BY_FIELD.items() for unit in units)]
HEADINGS.remove("offer")

# Pieces that real cells are made of, in any order.
SCRAPS = [
    "1", "0", "9" * 12, "1e9", "1e400", "0.3", "12.500", "12,500", "4,50,000", "2018", "03/2018", "-", "–", "+", ".",
    ",", "'", '"', "½",
    "£", "€", "$", "kr", "%", "km", "mi", "kW", "PS", "cc", "l", "l/100km", "mpg", "km/kg", "lakh", "Tsd.",
    "VB", "POA", "Petrol", "Diesel/Elektro", "Automatik", "Kombi", "Ford", "Focus", "&nbsp;", "<b>", "\u00a0", "\u202f",
    "\x00", "\x1f", "\u200b", "\ufffd", "\ud83d\ude97", "ß", "٣", "²", "\n", " ",
]  # fmt: skip
cells = st.one_of(st.lists(st.sampled_from(SCRAPS), max_size=5).map("".join), st.text(max_size=30))
LENGTHS = {
    name: Listing._meta.get_field(name).max_length
    for name in ("external_id", "title", "colour", "photo_url", "place", "currency")
}  # fmt: skip


def reader():
    columns = HeaderReader(pairs={name: name for name in HEADINGS}).columns(HEADINGS)
    conventions = find_conventions(columns, [], market_currency="GBP")
    return RowReader(columns, conventions=conventions, this_year=2026, headings=HEADINGS)


READER = reader()


@settings(max_examples=150, deadline=None)
@given(st.lists(cells, min_size=len(HEADINGS), max_size=len(HEADINGS)))
@example(["1e400"] * len(HEADINGS))
@example(["9" * 5000] * len(HEADINGS))
@example(["٣" * 3] * len(HEADINGS))
@example(["²"] * len(HEADINGS))
def test_any_cells_become_a_storable_row_or_a_reason(row_cells):
    reading = READER.read(row_cells)
    if reading.row is None:
        assert reading.problems[-1].is_fatal
        assert reading.problems[-1].reason
    else:
        assert_storable(reading.row)


def assert_storable(row):
    for name, length in LENGTHS.items():
        assert len(getattr(row, name) or "") <= length
    assert len(row.make) <= 80
    assert len(row.model) <= 120
    assert bool(row.make) == bool(row.make_slug)
    assert bool(row.model) == bool(row.model_slug)
    assert len(row.seller_name) <= Seller._meta.get_field("name").max_length
    assert row.price is None or Decimal(0) < row.price < Decimal(10) ** 10
    assert row.annual_tax is None or Decimal(0) <= row.annual_tax < Decimal(10) ** 6
    assert row.year is None or 1885 <= row.year <= 2027
    assert row.mileage_km is None or 0 <= row.mileage_km <= 2_000_000
    for name in ("power_kw", "doors", "seats", "owner_count"):
        assert getattr(row, name) is None or 0 <= getattr(row, name) < 32768
    assert row.latitude is None or (-90 <= row.latitude <= 90 and -180 <= row.longitude <= 180)
    for name in ("fuel", "gearbox", "body", "drive"):
        assert getattr(row, name) in ("", *VOCABULARIES[name].values)
    for text in (value for field in fields(row) if isinstance(value := getattr(row, field.name), str)):
        assert "\x00" not in text
        text.encode()  # no half of a surrogate pair


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=400), st.lists(st.sampled_from([*SCRAPS, ";", "\t", "|", "make", "price"])).map("".join)
    )
)
def test_any_bytes_become_records_or_a_refusal(tmp_path, content):
    path = tmp_path / "anything.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    try:
        headings = HeaderReader()
        with open_rows(path, headings) as rows:
            headings.columns(rows.headings)
            for record in rows:
                assert record.cells or record.broken
    except ImportRefused:
        return  # what is no table is refused in words; other tests read them


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.lists(st.lists(st.text("abc \"',;|\t\n\r1.", max_size=8), min_size=3, max_size=3), max_size=6))
@example(table=[["", "\r,1", "1\r"]])
def test_what_a_csv_writer_wrote_is_read_back(tmp_path, delimiter, table):
    import csv

    path = tmp_path / "written.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerow(["make", "model", "price"])
        writer.writerows(table)
    with open_rows(path, HeaderReader(), delimiter=delimiter) as rows:
        assert [record.cells for record in rows] == table
