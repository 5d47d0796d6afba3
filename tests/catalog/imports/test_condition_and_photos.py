"""First registration, condition, damage, photos and the day of posting, as files of several languages have them."""

from datetime import UTC, datetime

import pytest

from catalog.imports.conventions import find_conventions
from catalog.imports.dates import read_moment, read_month
from catalog.imports.headings import HeaderReader, recognise
from catalog.imports.listing_row import ListingRow
from catalog.imports.numbers import Unreadable
from catalog.imports.rows import RowReader


def read(cells: dict[str, str], currency: str = "EUR") -> ListingRow:
    """A car with these cells, under their headings."""
    table = {"id": "1", "make": "VW", "model": "Golf", "price": "9000", **cells}
    columns = HeaderReader().columns(list(table))
    conventions = find_conventions(columns, [list(table.values())], market_currency=currency)
    reader = RowReader(columns, conventions=conventions, this_year=2026, headings=list(table))
    row = reader.read(list(table.values())).row
    assert row is not None
    return row


@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("03/2018", 201803),
        ("2018-03", 201803),
        ("2018-03-12", 201803),
        ("201803", 201803),
        ("20180312", 201803),
        ("Mar-18", 201803),
        ("März 2018", 201803),
        ("12.03.2018", 201803),
        ("43171", 201803),
        ("43171.0", 201803),
        ("2018-03-12 00:00:00", 201803),
        ("2018-03-12T00:00:00Z", 201803),
        ("12 mars 2018", 201803),
        ("10/99", 199910),
        ("marzec 2018", 201803),
        ("listopad 2019", 201911),
        ("červenec 2015", 201507),
        ("juillet 2016", 201607),
        ("июль 2016", 201607),
        ("outubro de 2019", 201910),
        ("desember 2020", 202012),
        ("3/25/2018", 201803),
        ("2018", None),
        ("2018.0", None),
        ("18 plate", None),
        ("AB18 CDE", None),
        ("2018/2019", None),
        ("13/2018", None),
        ("03/2031", None),
        ("", None),
        ("9" * 300, None),
    ],
)
def test_a_month_is_read_in_every_way_that_it_is_written(text, month):
    assert read_month(text, 2026) == month


@pytest.mark.parametrize(("currency", "month"), [("EUR", 201804), ("USD", 201803)])
def test_of_two_numbers_the_month_stands_first_in_american_files_alone(currency, month):
    assert read({"first registration": "3/4/2018"}, currency).first_registration == month


@pytest.mark.parametrize(
    ("heading", "text", "year", "month"),
    [
        ("Erstzulassung", "03/2018", 2018, 201803),
        ("First registration", "2018-03-12", 2018, 201803),
        ("Mise en circulation", "12/03/2018", 2018, 201803),
        ("EZ", "03.2018", 2018, 201803),
        ("Erstzulassung", "2018", 2018, None),
        ("reg", "68 plate", 2018, None),
        ("Model year", "03/2018", 2018, None),
        ("Production date", "2018-03-12", 2018, None),
    ],
)
def test_the_month_of_the_first_registration_stands_beside_its_year(heading, text, year, month):
    row = read({heading: text})
    assert (row.year, row.first_registration) == (year, month)


@pytest.mark.parametrize(
    ("number", "month"),
    [
        ("3", 201803), ("März", 201803), ("0", None), ("13", None),
        ("2018-03", 201803), ("03/2018", 201803), ("März 2018", 201803), ("201803", 201803),
    ],
)  # fmt: skip
def test_a_month_in_a_column_of_its_own_belongs_to_the_year(number, month):
    row = read({"yearOfRegistration": "2018", "monthOfRegistration": number})
    assert (row.year, row.first_registration) == (2018, month)


@pytest.mark.parametrize(
    ("text", "condition", "damage"),
    [
        ("New", "new", ""),
        ("Neuwagen", "new", ""),
        ("neuf", "new", ""),
        ("новый", "new", ""),
        ("Used", "used", ""),
        ("Gebraucht", "used", ""),
        ("nearly new", "used", ""),
        ("as new", "used", ""),
        ("ojeté", "used", ""),
        ("https://schema.org/UsedCondition", "used", ""),
        ("Vorführwagen", "demo", ""),
        ("ex-demo", "demo", ""),
        ("pre-registered", "demo", ""),
        ("Tageszulassung", "demo", ""),
        ("km 0", "demo", ""),
        ("Unfallfahrzeug", "", "damaged"),
        ("Gebraucht, unfallfrei", "used", "none"),
        ("Used - Cat S", "used", "written_off"),
        ("good", "", ""),
        ("excellent", "", ""),
    ],
)
@pytest.mark.parametrize("heading", ["condition", "Zustand", "état"])
def test_a_condition_says_new_used_or_demo_and_what_is_damaged(heading, text, condition, damage):
    row = read({heading: text})
    assert (row.condition, row.damage) == (condition, damage)
    assert row.tags or "schema.org" in text  # as before: a car of a file without ids stays the same car


@pytest.mark.parametrize(
    ("heading", "text", "damage"),
    [
        ("accident damaged", "yes", "damaged"),
        ("Unfallfahrzeug", "nein", "none"),
        ("unfallfrei", "ja", "none"),
        ("accident free", "no", "damaged"),
        ("bezwypadkowy", "tak", "none"),
        ("не битый", "да", "none"),
        ("notRepairedDamage", "nein", "none"),
        ("notRepairedDamage", "ja", "damaged"),
        ("accidents", "0", "none"),
        ("accidents", "2", "damaged"),
        ("damage", "hail damage, repaired", "repaired"),
        ("damage", "nicht unfallfrei", "damaged"),
        ("damage", "keine Unfälle", "none"),
        ("Schaden", "Frontschaden", "damaged"),
        ("title_status", "clean", "none"),
        ("title_status", "rebuilt", "repaired"),
        ("title_status", "salvage", "written_off"),
        ("title_status", "lien", ""),
        ("insurance category", "Cat N", "written_off"),
        ("insurance category", "Category S (structural)", "written_off"),
        ("title", "VW Golf 1.4 CAT S", "written_off"),
        ("title", "Golf, Unfallwagen", "damaged"),
        ("title", "Golf not cat S", ""),
        ("title", "Golf, kein Unfallwagen", ""),
        ("title", "Golf clean, new tyres", ""),
    ],
)
def test_damage_is_read_from_its_own_columns_and_from_what_a_title_owns_up_to(heading, text, damage):
    assert read({heading: text}).damage == damage


@pytest.mark.parametrize(
    ("heading", "field", "unit"),
    [
        ("new or used", "condition", ""),
        ("Neu/Gebraucht", "condition", ""),
        ("nuevo o usado", "condition", ""),
        ("damage", "damage", ""),
        ("Unfallfrei", "damage", "free"),
        ("schadevrij", "damage", "free"),
        ("skadefri", "damage", "free"),
        ("nehavarované", "damage", "free"),
        ("acidentado", "damage", ""),
        ("posting_date", "posted_at", ""),
        ("Eingestellt am", "posted_at", ""),
        ("date de publication", "posted_at", ""),
        ("fecha de publicación", "posted_at", ""),
        ("data inserimento", "posted_at", ""),
        ("data dodania", "posted_at", ""),
        ("datum vložení", "posted_at", ""),
        ("plaatsingsdatum", "posted_at", ""),
        ("annonsdatum", "posted_at", ""),
        ("lagt ut", "posted_at", ""),
        ("oprettet", "posted_at", ""),
        ("дата публикации", "posted_at", ""),
        ("publicado em", "posted_at", ""),
        ("EZ Monat", "registration_month", ""),
        ("images", "photos", ""),
        ("zdjęcia", "photos", ""),
        ("Advert URL", "url", ""),
        ("ссылка", "url", ""),
        ("link annuncio", "url", ""),
    ],
)
def test_their_headings_are_known_in_the_languages_of_the_trade(heading, field, unit):
    column = recognise(heading)
    assert column is not None
    assert (column.field, column.unit) == (field, unit)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T12:00:00+0200", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("20.11.2026", datetime(2026, 11, 20, tzinfo=UTC)),
        ("20.11.2026 10:30 Uhr", datetime(2026, 11, 20, 10, 30, tzinfo=UTC)),
        ("11/20/2026", datetime(2026, 11, 20, tzinfo=UTC)),
        ("46346", datetime(2026, 11, 20, tzinfo=UTC)),
        ("1763632800", datetime(2025, 11, 20, 10, tzinfo=UTC)),
        ("1763632800000", datetime(2025, 11, 20, 10, tzinfo=UTC)),
    ],
)
def test_a_day_of_posting_is_read_in_every_way_that_it_is_written(text, moment):
    assert read_moment(text, 2026) == moment


@pytest.mark.parametrize("text", ["yesterday", "2026", "31.02.2026", "1066-10-14", "2099-01-01", "9" * 40, "12.500"])
def test_what_is_no_day_of_posting_is_refused(text):
    with pytest.raises(Unreadable):
        read_moment(text, 2026)


def test_all_photos_are_kept_in_their_order_each_once_and_the_first_is_the_main_one():
    photos = [f"https://d.example/{number}.jpg" for number in range(1, 5)]
    row = read({
        "image 1": photos[0], "image 2": f"{photos[1]}|{photos[2]}", "image 3": "n/a", "image 4": "no photo",
        "more photos": "x", "additional image link": f"{photos[1]}, {photos[3]}, javascript:alert(1)",
    })  # fmt: skip
    assert (row.photos, row.photo_url) == (tuple(photos), photos[0])


def test_a_car_without_an_id_stays_the_same_car_whatever_more_is_read_of_it():
    row = read({"condition": "used", "first registration": "03/2018", "images": "https://d.example/1.jpg"})
    names = (
        "make",
        "make_slug",
        "model",
        "model_slug",
        "built_title",
        "external_id",
        "tags",
        "year",
        "price",
        "currency",
    )
    assert row.digest() == ListingRow(**{name: getattr(row, name) for name in names}).digest()
