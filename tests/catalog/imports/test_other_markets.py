"""Names, words and headings of markets outside western Europe and the United States."""

import pytest

from catalog.imports.cells import read_currency, read_fuel
from catalog.imports.headings import recognise
from catalog.imports.names import known_makes, names_model
from catalog.imports.reading import ImportOptions, open_reading
from catalog.imports.vocabulary import VOCABULARIES, status_of

MODELS = {  # make -> models that its importers sell in other markets
    "Fiat": "Egea|Argo|Cronos|Mobi|Toro|Strada|Siena|Palio",
    "Volkswagen": "Nivus|Saveiro|Virtus|Taigun|Vento|Gol",
    "Hyundai": "HB20|Creta|Venue|Staria|Solaris|Avante|Grandeur",
    "Kia": "Carnival|Sonet|K7|K8|Morning|Ray",
    "Renault": "Sandero|Stepway|Oroch|Kardian|Kwid|Taliant",
    "Chevrolet": "Onix|Spin|Prisma|Agile|Tracker",
    "Toyota": "Probox|Aqua|Noah|Voxy|Premio|Allion|Corolla Axio|Corolla Fielder|Sienta|Passo|Vitz|Innova|SW4",
    "Nissan": "Dayz|March|Sylphy|Wingroad|Note|Serena|Navara",
    "Honda": "Vezel|Freed|N-Box|Fit|WR-V",
    "Mitsubishi": "Delica|Xpander|Triton|L200",
    "BYD": "Yuan Plus|Song Plus|Seagull|Dolphin Mini|Qin",
    "Haval": "Dargo|F7|Jolion",
    "Holden": "Commodore|Colorado|Trax|Captiva|Equinox",
    "Daihatsu": "Tanto|Mira|Rocky|Hijet",
    "Suzuki": "Every|Hustler|Spacia|Solio|Ertiga|APV",
    "Mazda": "Demio|Axela|Atenza|Premacy",
}
HEADINGS = {
    "external_id": "ID anunț|Ilmoitusnro|appointmentId|id_publicacion",
    "model": "MODEL DESC|Model Group",
    "year": "anio|Reg. Year/month",
    "gearbox": "Mission",
    "place": "LOC",
    "price": "FOB Price",
    "drive": "Drivetrain Desc|Drive Description",
    "doors": "Body Door Ct",
    "power": "Motor Power (bhp)|Motor Output",
    "engine": "engdisplacement",
    "status": "estado_publicacion|Publication Status",
}
WORDS = {
    ("status", "live"): "STK|In stk",
    ("status", "reserved"): "RES|Rsvd",
    ("status", "sold"): "SLD",
    ("status", "withdrawn"): "pausada|Pausado",
    ("damage", "repaired"): "Simple repair|Minor repairs|Simple replacement",
    ("vat", "reclaimable"): "TVA deductibil",
    ("vat", "excluded"): "Ekskl.",
}


@pytest.mark.parametrize("make", MODELS)
def test_models_of_other_markets_are_known(make):
    models = MODELS[make].split("|")
    assert [model for model in models if not names_model(make, model)] == []


def test_a_make_has_each_of_its_models_once():
    lists = {make.name: [name.casefold() for name in make.models.values()] for make in known_makes().values()}
    assert {name for name, models in lists.items() if len(models) != len(set(models))} == set()


@pytest.mark.parametrize("field", HEADINGS)
def test_headings_are_known(field):
    said = {heading: recognise(heading) for heading in HEADINGS[field].split("|")}
    assert {heading: column and column.field for heading, column in said.items()} == dict.fromkeys(said, field)


@pytest.mark.parametrize(("meant", "cells"), WORDS.items(), ids=lambda each: "-".join(each)[:30])
def test_words_are_known(meant, cells):
    field, value = meant
    read = status_of if field == "status" else VOCABULARIES[field].read
    assert {cell: read(cell) for cell in cells.split("|")} == dict.fromkeys(cells.split("|"), value)


@pytest.mark.parametrize(
    ("currency", "fuel"),
    [("ARS", "petrol"), ("UYU", "petrol"), ("CZK", "diesel"), ("EUR", "diesel"), ("PLN", "diesel")],
)
def test_nafta_is_petrol_at_the_river_plate_and_diesel_in_central_europe(currency, fuel):
    assert read_fuel(currency, "Nafta") == fuel


@pytest.mark.parametrize("cell", ["U$S", "u$s 100", "US$", "USD"])
def test_a_dollar_of_the_united_states_is_told_from_a_peso(cell):
    assert read_currency(cell) == "USD"


@pytest.mark.parametrize("currency", ["ARS", "CLP", "COP", "MXN", "UYU", "AUD", "CAD"])
@pytest.mark.parametrize("header", ["price,currency", "price"])
def test_a_bare_sign_is_the_currency_that_the_operator_names(tmp_path, currency, header):
    cells = "9500,$" if "," in header else "$9500"
    (tmp_path / "stock.csv").write_text(f"id,make,model,year,{header}\n1,Ford,Focus,2015,{cells}\n")
    with open_reading(tmp_path / "stock.csv", ImportOptions(source="south", currency=currency)) as reading:
        assert [reading.reader.read(record.cells).row.currency for record in reading.rows] == [currency]


@pytest.mark.parametrize("total", ["Total", "Total (3)", "TOTAL: 3", "Summe 3 Fahrzeuge", "Totale 12 veicoli"])
def test_a_sum_that_says_how_many_cars_it_is_about_is_no_car(tmp_path, total):
    (tmp_path / "stock.csv").write_text(f"vehicle,mileage,price\nFord Focus 1.0,38210,7495\n{total},,22985\n")
    with open_reading(tmp_path / "stock.csv", ImportOptions(source="south")) as reading:
        rows = [reading.reader.read(record.cells).row for record in reading.rows]
    assert [row and row.model for row in rows] == ["Focus", None]


@pytest.mark.parametrize("title", ["Total Recall edition Ford Focus 1.0", "Ford Focus 3"])
def test_a_car_whose_title_has_such_a_word_or_number_is_one(tmp_path, title):
    (tmp_path / "stock.csv").write_text(f"vehicle,mileage,price\n{title},38210,7495\n")
    with open_reading(tmp_path / "stock.csv", ImportOptions(source="south")) as reading:
        assert all(reading.reader.read(record.cells).row for record in reading.rows)
