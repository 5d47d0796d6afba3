"""Small stock files as the trade writes them, read field by field; ``cases/expected.json`` says what each must give.

A value with ``|`` names alternatives (``live|`` also allows nothing), ``!`` a value it must not be; only the fields
that are listed are judged. Rows that were refused do not count.
"""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from catalog.imports.reading import ImportOptions, open_reading

CASES = Path(__file__).parent / "cases"
EXPECTED = json.loads((CASES / "expected.json").read_text(encoding="utf-8"))
JUDGED = [
    pytest.param(name, number, field, expected, id=f"{name}-{number}-{field}")
    for name, case in EXPECTED.items()
    for number, row in enumerate(case["rows"])
    for field, expected in row.items()
]


@pytest.fixture(scope="module")
def rows_of():
    """The rows of a case's file, read once."""
    known = {}

    def read(name):
        if name not in known:
            with open_reading(CASES / name, ImportOptions(**EXPECTED[name]["options"])) as reading:
                known[name] = [
                    row for record in reading.rows if (row := reading.reader.read(record.cells).row) is not None
                ]
        return known[name]

    return read


@pytest.mark.parametrize(("name", "number", "field", "expected"), JUDGED)
def test_a_file_of_the_trade_gives_the_expected_value(rows_of, name, number, field, expected):
    rows = rows_of(name)
    assert number < len(rows), "a row of the file was refused"
    got = getattr(rows[number], field)
    assert is_as_expected(field, got, expected), f"{got!r} instead of {expected!r}"


@pytest.mark.parametrize("name", EXPECTED)
def test_every_row_of_a_case_that_holds_a_car_is_read_and_no_other(rows_of, name):
    assert len(rows_of(name)) == len(EXPECTED[name]["rows"])


def is_as_expected(field, got, expected):
    if field == "tags":
        return expected in got
    if isinstance(expected, str):
        said = "None" if got is None else str(got.normalize() if isinstance(got, Decimal) else got)
        if expected.startswith("!"):
            return said not in ("", expected[1:])
        return said in (alternatives := expected.split("|")) or _same_number(got, alternatives)
    if expected is None or got is None:
        return got is expected
    return float(got) == pytest.approx(expected, abs=0.5 if field in ("mileage_km", "power_kw") else 0.001)


def _same_number(got, alternatives):
    return isinstance(got, Decimal) and any(said.isdigit() and got == int(said) for said in alternatives)
