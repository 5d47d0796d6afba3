"""What columns look like by their values, where their headings say nothing or mislead."""

import pytest
from django.core.management import call_command
from django.urls import reverse

from catalog.exceptions import HeaderRefused
from catalog.imports.headings import HeaderReader
from catalog.imports.preview import preview_file
from catalog.imports.reading import ImportOptions, open_reading
from catalog.imports.store import import_listings
from catalog.imports.suggestions import in_sentences, missing_columns, suggested_fields

MAKES = ["Ford", "VW", "Škoda", "BMW", "Mercedes-Benz"]
VALUES = {
    "make": MAKES,
    "model": ["Focus", "Golf", "Octavia", "3 Series", "C-Class"],
    "title": ["Ford Focus 1.0 Zetec", "VW Golf GTI", "Skoda Octavia Combi", "BMW 320d", "Mercedes C 220"],
    "fuel": ["Diesel", "Petrol", "Diesel", "Hybrid", "Benzin"],
    "gearbox": ["Manual", "Automatik", "Manual", "Automatic", "Manual"],
    "body": ["Hatchback", "Estate", "Kombi", "SUV", "Saloon"],
    "colour": ["red", "Schwarz", "blue", "grey", "weiß"],
    "year": ["2018", "2015", "2020", "2011", "1999"],
    "price": ["8995", "12500", "7,490", "15950", "1200"],
    "mileage": ["45,000 miles", "12000 mi", "98 765 km", "150000 km", "1 mile"],
    "power": ["110 kW", "150 PS", "90 hp", "120bhp", "81 kW"],
    "engine": ["1598 cc", "1.6 l", "2.0 L", "1998ccm", "999 cc"],
    "vin": ["WVWZZZ1KZAW000001", "WVWZZZ1KZAW000002", "WF0AXXGCDA1234567", "TMBJJ7NE8J0123456", "WBA8E9C50GK123456"],
    "photos": [f"https://cars.example/{number}.jpg" for number in range(5)],
    "external_id": ["A-1001", "A-1002", "A-1003", "B-7", "B-8"],
}


def rows_of(*columns):
    return list(zip(*columns, strict=True))


@pytest.mark.parametrize("field", VALUES)
def test_an_unread_column_is_suggested_by_its_values(field):
    read = {"make": 0} if field == "model" else {}
    columns = [MAKES if read else [""] * 5, VALUES[field]]
    assert suggested_fields(["make", "Q"], rows_of(*columns), {0: "make"} if read else {}, this_year=2026) == {1: field}


def test_a_whole_file_without_headings_that_mean_anything_is_suggested_column_by_column():
    fields = [name for name in VALUES if name != "title"]
    sample = rows_of(*(VALUES[name] for name in fields))
    found = suggested_fields([f"c{number}" for number in range(len(fields))], sample, {}, this_year=2026)
    assert [found.get(index) for index in range(len(fields))] == fields


@pytest.mark.parametrize("field", ["make", "price", "fuel", "year", "external_id"])
def test_no_field_is_suggested_that_a_column_feeds_already(field):
    sample = rows_of(VALUES[field], VALUES[field])
    found = suggested_fields(["known", "other"], sample, {0: field}, this_year=2026)
    assert field not in found.values()


@pytest.mark.parametrize(
    "values",
    [
        ["yes", "no"] * 2,
        ["good", "fair", "good"],
        ["4", "5", "5"],
        ["great car, drives well", "one owner"],
        ["", ""],
        ["Ford"],
    ],
    ids=["flags", "words", "counts", "texts", "empty", "one row"],
)
def test_what_looks_like_nothing_is_not_suggested(values):
    assert suggested_fields(["Q"], [[value] for value in values], {}, this_year=2026) == {}


def test_a_column_whose_heading_misleads_is_suggested_for_what_it_holds():
    headings = ["Make", "Type", "Amount", "Ref"]
    sample = rows_of(MAKES, VALUES["model"], VALUES["price"], VALUES["external_id"])
    fields = {column.index: column.field for column in HeaderReader().columns(headings)}
    assert fields[1] == "body"
    found = suggested_fields(headings, sample, fields, this_year=2026)
    assert in_sentences(headings, found) == ["“Type” looks like the model"]


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        (["make", "price", "external_id"], []),
        (["title", "price", "vin"], []),
        (["model"], ["ids", "prices", "makes"]),
        (["make", "vin"], ["prices"]),
    ],
)
def test_what_no_column_was_found_for_is_said(fields, missing):
    assert missing_columns(fields) == [f"No column of {words} was found" for words in missing]


@pytest.fixture
def odd_file(tmp_path):
    path = tmp_path / "dealer.csv"
    lines = [
        "Make;Type;Zahl;Kennz",
        *map(";".join, rows_of(MAKES, VALUES["model"], VALUES["price"], VALUES["external_id"])),
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_the_reading_and_its_preview_say_what_to_look_at(odd_file):
    with open_reading(odd_file, ImportOptions(source="dealer")) as reading:
        assert reading.missing == ["No column of ids was found", "No column of prices was found"]
        assert reading.describe()["suggested"] == {"Type": "model", "Zahl": "price", "Kennz": "external_id"}
        suggestions = reading.suggestions
    assert "“Zahl” looks like the price" in suggestions
    assert preview_file(odd_file, ImportOptions(source="dealer")).suggestions == suggestions


def test_a_file_without_a_known_heading_is_refused_with_what_its_columns_look_like(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text("\n".join(["Q1,Q2", *map(",".join, rows_of(MAKES, ["8995", "12500", "7490", "950", "1200"]))]))
    with (
        pytest.raises(HeaderRefused, match="“Q1” looks like the make; “Q2” looks like the price"),
        open_reading(path, ImportOptions(source="odd")),
    ):
        pass


@pytest.mark.django_db
def test_the_command_says_what_to_look_at_before_and_after_it_has_stored(odd_file, capsys):
    call_command("import_listings", str(odd_file), source="dealer")
    said = capsys.readouterr()
    assert "No column of prices was found.\n" in said.err
    assert "“Kennz” looks like the id.\nSay what a column is with --map" in said.err
    assert "  to look at: “Type” looks like the model\n" in said.out


@pytest.mark.django_db
def test_the_page_of_a_run_says_what_its_columns_look_like(odd_file, admin_client):
    run = import_listings(path=odd_file, options=ImportOptions(source="dealer"))
    page = admin_client.get(reverse("admin:catalog_importrun_change", args=[run.pk])).content.decode()
    assert "body; looks like the model" in page
    assert "not read; looks like the price" in page
    assert "No column of ids was found" in page
