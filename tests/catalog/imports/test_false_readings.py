"""What rows must not be read as: sums, taxes that are paid already, cars for sale that are none, other makes."""

from decimal import Decimal

import pytest

from catalog.imports.reading import ImportOptions, open_reading

FORD = "id,make,model,price"
PHOTOS = ("https://d.example/1.jpg", "https://d.example/2.jpg")


@pytest.fixture
def read(tmp_path, settings):
    """(rows, assumptions) of a file, as an import would have them; None for rows that are refused."""
    settings.MARKET_CURRENCY, settings.MARKET_DISTANCE = "GBP", ""

    def read(text, **options):
        path = tmp_path / "stock.csv"
        path.write_text(text, encoding="utf-8")
        with open_reading(path, ImportOptions(**options)) as reading:
            rows = [reading.reader.read(record.cells).row for record in reading.rows]
        return rows, " ".join(reading.conventions.assumptions)

    return read


@pytest.mark.parametrize(
    ("word", "meaning", "status"),
    [
        ("available", "sold", "sold"),
        ("not available", "live", "live"),
        ("for sale", "", ""),
        ("used", "sold", "sold"),
        ("new", "live", "live"),
    ],
)
def test_what_an_operator_taught_of_a_status_goes_before_what_is_known(read, word, meaning, status):
    rows, _ = read(f"{FORD},status\n1,Ford,Focus,8001,{word}\n", words={"status": {word: meaning}})
    assert rows[0].status == status


@pytest.mark.parametrize(
    ("word", "status", "condition"),
    [
        ("Used", "", "used"),
        ("ex-demo", "", "demo"),
        ("New", "draft", ""),
        ("Neuwagen", "draft", "new"),
        ("U", "draft", ""),
    ],
)
def test_of_conditions_under_status_only_those_of_cars_for_sale_put_on_sale(read, word, status, condition):
    rows, _ = read(f"{FORD},status\n1,Ford,Focus,8001,{word}\n")
    assert (rows[0].status, rows[0].condition) == (status, condition)


@pytest.mark.parametrize(
    ("heading", "price", "vat_heading", "vat", "expected"),
    [
        ("price", "10000", "VAT", "Plus VAT", 12000),
        ("price", "10000", "VAT", "plus 20% VAT", 12000),
        ("price", "£10000 plus 20% VAT", "VAT", "", 12000),
        ("price", "10000", "MwSt", "zzgl. MwSt", 12000),
        ("price", "10000", "VAT", "20% VAT, net £8,333", 10000),
        ("price", "£10000 inc VAT", "VAT", "Net", 10000),
        ("price inc vat", "10000", "VAT", "Plus VAT", 10000),
        ("Preis brutto", "10000", "MwSt", "netto", 10000),
        ("price", "10000", "VAT", "gross (net on request)", 10000),
    ],
)
def test_tax_comes_on_top_only_of_a_price_that_does_not_hold_it(read, heading, price, vat_heading, vat, expected):
    rows, _ = read(f'id,make,model,{heading},{vat_heading}\n1,Ford,Transit,{price},"{vat}"\n')
    assert rows[0].price == Decimal(expected)


@pytest.mark.parametrize(
    ("table", "make", "is_car"),
    [
        ("id,model,price,damage\n1,Focus,8001,Total\n", "Ford", True),
        ("id,description,price,seller\n1,Focus,8001,Total\n", "", True),
        ("id,model,price,colour\n1,Focus,8001,Summe\n", "Ford", True),
        ("id,model,price\nTotal,Focus,8001\n", "Ford", True),
        ("id,model,price\n,Total,8001\n", "Ford", False),
        ("id,model,price\nTotal,,8001\n", "Ford", False),
        ("make,model,price\nTotal,,8001\n", "", False),
        ("seats,model,price\nTotal,,8001\n", "", False),
    ],
)
def test_a_sum_is_one_where_the_car_would_be_named(read, table, make, is_car):
    rows, _ = read(table, make=make)
    assert (rows[0] is not None) is is_car


@pytest.mark.parametrize(
    ("currency", "distance", "table", "mileage"),
    [
        ("USD", "km", "make,model,price,mileage\nFord,Focus,8001,1000\n", 1000),
        ("USD", "", "make,model,price,mileage\nFord,Focus,8001,1000\n", 1609),
        ("EUR", "miles", "make,model,price,mileage\nFord,Focus,8001,1000\n", 1609),
        ("EUR", "miles", "make,model,price,mileage\nFord,Focus,8001,1000 km\n", 1000),
        ("USD", "km", "make,model,price,mileage\nFord,Focus,£8001,1000\n", 1609),
        ("EUR", "miles", "make,model,price,mileage\nFord,Focus,CHF 8001,1000\n", 1000),
    ],
)
def test_a_bare_distance_is_in_the_marketplace_s_unit_where_the_file_is_of_its_market(
    read, settings, currency, distance, table, mileage
):
    settings.MARKET_CURRENCY, settings.MARKET_DISTANCE = currency, distance
    rows, said = read(table)
    assert rows[0].mileage_km == mileage
    assert ("the unit of this marketplace" in said) is (bool(distance) and rows[0].currency == currency)


@pytest.mark.parametrize("currency", ["XPF", "MGA", "CDF", "MUR", "SRD", "XCG"])
def test_markets_that_speak_a_language_of_the_euro_keep_their_currency(read, settings, currency):
    settings.MARKET_CURRENCY = currency
    rows, _ = read("id;Marque;Modèle;Prix;Kilométrage\n1;DS;DS 4;27990;28500\n")
    assert rows[0].currency == currency


def test_nothing_is_assumed_of_prices_in_a_file_without_any(read):
    assert "EUR" in read("id;Marque;Modèle;Prix;Couleur\n1;DS;DS 4;27990;noir\n")[1]
    assert "prices" not in read("id;Marque;Modèle;Carburant;Couleur\n1;DS;DS 4;Diesel;noir\n")[1]


@pytest.mark.parametrize(
    ("cell", "photos"),
    [
        (f'["{PHOTOS[0]},{PHOTOS[1]}"]', PHOTOS),
        (f'["{PHOTOS[0]};{PHOTOS[1]};"]', PHOTOS),
        (f'["{PHOTOS[0]}, {PHOTOS[1]}"]', PHOTOS),
        (r'["https:\/\/d.example\/1.jpg","https:\/\/d.example\/2.jpg"]', PHOTOS),
        (r'["https://d.example/1.jpg?a=1\u0026b=2"]', ("https://d.example/1.jpg?a=1&b=2",)),
        ('["https://d.example/i;w=3/1.jpg"]', ("https://d.example/i;w=3/1.jpg",)),
        ('["https://d.example/w_3,h_2/1.jpg"]', ("https://d.example/w_3,h_2/1.jpg",)),
    ],
)
def test_addresses_in_quotes_are_whole_and_apart(read, cell, photos):
    rows, _ = read(f"{FORD}\tphotos\n".replace(",", "\t") + f"1\tFord\tFocus\t8001\t{cell}\n")
    assert rows[0].photos == photos
