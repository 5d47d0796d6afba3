"""Small files of kinds that suppliers send: what one row of each must give, field by field."""

from decimal import Decimal

import pytest

from catalog.imports.conventions import Conventions
from catalog.imports.dates import read_year
from catalog.imports.headings import HeaderReader, recognise
from catalog.imports.money import read_money
from catalog.imports.reading import ImportOptions, open_reading
from catalog.imports.rows import RowReader

FORD = "id,make,model,price"
KINDS = {  # text of the file -> fields of its first row; a list of fields: of its rows
    "a gross price beside a net one": ("id;Marke;Modell;Preis netto;Preis brutto\n1;VW;Crafter;10000;11900\n", {"price": 11900}),  # noqa: E501
    "tax in a column": (f'{FORD},VAT\n1,Ford,Transit,"£10,000",Plus VAT\n', {"price": 12000}),
    "tax included in a column": (f'{FORD},VAT\n1,Ford,Transit,"£10,000",Inc VAT\n', {"price": 10000}),
    "units by the currency's column": (
        f"{FORD},currency,mileage\n1,Ford,Focus,9000,EUR,92000\n", {"mileage_km": 92000, "currency": "EUR"},
    ),
    "euros by the language": ("id;Marque;Modèle;Prix;Kilométrage\n1;DS;DS 4;27990;28500\n", {"currency": "EUR"}),
    "not available is a status": (f"{FORD},status\n1,Ford,Focus,8001,not available\n", {"status": "withdrawn"}),
    "no disponible is a status": (f"{FORD},status\n1,Ford,Focus,8001,non disponible\n", {"status": "withdrawn"}),
    "a condition under status": (f"{FORD},vehicle.status\n1,Ford,Focus,8001,used\n", {"status": "", "condition": "used"}),  # noqa: E501
    "a condition under type": (f"{FORD},Type\n1,Ford,Focus,8001,New\n", {"condition": "new", "body": ""}),
    "a trim under type": (
        "id;merk;model;prijs;Type\n1;VW;Golf;8001;1.0 TSI Comfortline\n",
        {"built_title": "Volkswagen Golf 1.0 TSI Comfortline"},
    ),
    "model and trim in one description": (
        "id,make,Model Description,price\n1,Nissan,Qashqai 1.3 Tekna,8001\n", {"model": "Qashqai"},
    ),
    "kW/PS": ("id;Marke;Modell;Preis;kW/PS\n1;VW;Golf;8001;110/150\n", {"power_kw": 110}),
    "words for numbers": (f"{FORD},doors\n1,Ford,Focus,8001,FOUR_OR_FIVE\n", {"doors": 5}),
    "codes in camel case": (f"{FORD},body\n1,Ford,Focus,8001,EstateCar\n", {"body": "estate"}),
    "a labelled VIN": (f"{FORD},VIN\n1,Ford,Focus,8001,VIN: WF0AXXWPMA1234560\n", {"vin": "WF0AXXWPMA1234560"}),
    "photos as JSON": (
        f'{FORD},photos\n1,Ford,Focus,8001,"[{{""url"":""https://d.example/1.jpg""}},{{""url"":""https://d.example/2.jpg""}}]"\n',
        {"photos": ("https://d.example/1.jpg", "https://d.example/2.jpg")},
    ),
    "photos as mark-up": (
        f'{FORD},photos\n1,Ford,Focus,8001,"<img src=""https://d.example/1.jpg?a=1&amp;b=2"">"\n',
        {"photos": ("https://d.example/1.jpg?a=1&b=2",)},
    ),
    "a Finnish file": (
        "Ilmoitusnumero;Merkki;Malli;Vuosimalli;Mittarilukema;Hinta;Käyttövoima\n1;Toyota;Auris;2016;98 000;11900;Bensiini\n",  # noqa: E501
        {"make": "Toyota", "year": 2016, "mileage_km": 98000, "currency": "EUR", "fuel": "petrol"},
    ),
    "a Portuguese month": (
        "id;Marca;Modelo;Ano;Mês;Preço\n1;Renault;Clio;2017;9;8001\n", {"first_registration": 201709},
    ),
    "a plate's number in brackets": ("id,make,model,price,Year/Plate\n1,BMW,118i,8001,(67)\n", {"year": 2017}),
    "a private plate beside the year": (
        "id,make,model,price,Reg,Year/Plate\n1,Audi,A5,8001,K7SAM,2018/68\n", {"year": 2018},
    ),
    "miles by one letter": ("id,make,model,price,mileage\n1,Kia,Rio,8001,45000m\n", {"mileage_km": 72420}),
    "thousands of kilometres in words": (
        f"{FORD};mileage\n1;Ford;Ka;8001;54 mila km\n2;Ford;Ka;8002;52 tis. km\n".replace(",", ";"),
        [{"mileage_km": 54000}, {"mileage_km": 52000}],
    ),
    "the power behind the cylinders": (
        f"{FORD},engine\n1,Ford,Mustang,8001,5.0L V8 460hp\n2,Volvo,V60,8002,D4 190 hk\n",
        [{"engine_l": 5.0, "power_kw": 343}, {"power_kw": 140}],
    ),
    "thousands of euros": (
        "id;make;model;price\n1;Ford;Ka;9,5 T€\n2;Ford;Ka;9995 o.n.o.\n", [{"price": 9500}, {"price": 9995}],
    ),
    "a fee behind a price": (
        f"{FORD}\n1,Ford,Ka,£8995 + £99 admin fee\n2,Ford,Ka,9990 € zzgl. 790 € Überführung\n",
        [{"price": 8995}, {"price": 9990}],
    ),
    "owners and seats in words": (
        f"{FORD},owners,seats\n1,Ford,Ka,8001,Première main,seven seats\n2,Ford,Ka,8002,два владельца,2+2\n"
        "3,Ford,Ka,8003,Erstbesitz,fünf\n",
        [{"owner_count": 1, "seats": 7}, {"owner_count": 2, "seats": 4}, {"owner_count": 1, "seats": 5}],
    ),
    "a column of one owner": (
        "id;Marque;Modèle;Prix;Première main\n1;DS;DS 4;8001;Oui\n2;DS;DS 4;8002;Non\n",
        [{"owner_count": 1}, {"owner_count": None}],
    ),
    "a seller under a heading of kinds": (
        "id;Marque;Modèle;Prix;Vendeur\n1;DS;DS 4;8001;GARAGE DES ALPES\n2;DS;DS 4;8002;Professionnel\n",
        [{"seller_name": "GARAGE DES ALPES", "seller_kind": "dealer"}, {"seller_name": "", "seller_kind": "dealer"}],
    ),
    "damage and a car that does not run": (
        "id;Марка;Модель;Цена;Состояние\n1;Kia;Rio;8001;Битый / не на ходу\n2;Kia;Rio;8002;не на ходу\n"
        "3;Kia;Rio;8003;Не битый\n",
        [{"damage": "damaged"}, {"damage": "damaged"}, {"damage": "none"}],
    ),
    "models in Cyrillic": (
        "id;Марка;Модель;Цена\n1;Лада;Гранта;8001\n2;Шкода;Октавия;8002\n3;Тойота;Камри;8003\n4;BMW;5 серии;8004\n"
        "5;Мерседес-Бенц;Е-класс;8005\n6;Лада;Веста SW Cross;8006\n7;Ниссан;Кашкай 2.0;8007\n8;Лада;Неведома;8008\n",
        [{"model": "Granta"}, {"model": "Octavia"}, {"model": "Camry"}, {"model": "5 Series"}, {"model": "E-Class"},
         {"model": "Vesta"}, {"model": "Qashqai"}, {"model": "Неведома"}],
    ),
    "headings on two lines": (
        "Stock;;;;;\nVehículo;;;Matriculación;Precio;\nRef.;Marca;Modelo;Fecha;Sin IVA;Con IVA\n"
        "H1;Seat;Ibiza;03/2019;10240;12390\n",
        {"external_id": "H1", "year": 2019, "price": 12390},
    ),
    "a count beside a sum": (
        "Nr;Marke;Typ;VK-Preis\n1;Opel;Corsa;11450\nSumme;3 Fahrzeuge;;11450\n", [{"price": 11450}],
    ),
    "gas in the north": (
        "id;Märke;Modell;Pris;Drivmedel\n1;VW;Passat;80000;Gas\n2;VW;Passat;80001;Bensin\n",
        [{"fuel": "cng"}, {"fuel": "petrol"}],
    ),
    "the sum of a stock list": ("Stock,Make,Model,Price\n1,Ford,Focus,8995\nTotal,,,8995\n", [{"price": 8995}]),
    "a sum under model": ("Nr;Marke;Modell;Preis\n1;Ford;Focus;8995\n;;Gesamt;8995\n", [{"price": 8995}]),
    "parts and requests by title": (
        "id,category,title,price\n1,Cars,4 x 17 inch alloy wheels,200\n2,Cars,Wanted: Ford Fiesta,500\n3,Cars,2018 Ford Focus,8995\n",  # noqa: E501
        [{"model": "Focus", "price": 8995}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_file_gives_the_values_of_the_trade(tmp_path, settings, kind):
    settings.MARKET_CURRENCY = "GBP"
    text, expected = KINDS[kind]
    path = tmp_path / "stock.csv"
    path.write_text(text, encoding="utf-8")

    with open_reading(path, ImportOptions()) as reading:
        rows = [row for record in reading.rows if (row := reading.reader.read(record.cells).row) is not None]

    if isinstance(expected, list):
        assert len(rows) == len(expected)
    for row, fields in zip(rows, expected if isinstance(expected, list) else [expected], strict=False):
        got = {name: getattr(row, name) for name in fields}
        assert {name: int(value) if isinstance(value, Decimal) else value for name, value in got.items()} == fields


@pytest.mark.parametrize(("text", "year"), [("'18", 2018), ("\u201918", 2018), ("'68", 1968), ("'99", 1999)])
def test_two_digits_behind_an_apostrophe_are_a_year(text, year):
    assert read_year(text, 2026) == year


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("120万円", 1_200_000, "JPY"), ("120.5万円", 1_205_000, "JPY"), ("1,200만원", 12_000_000, "KRW"),
        ("₩12,000,000", 12_000_000, "KRW"),
    ],
)  # fmt: skip
def test_ten_thousands_of_yen_and_won_are_prices(text, amount, currency):
    money = read_money(text)
    assert (money.amount, money.currency) == (amount, currency)


@pytest.mark.parametrize(
    ("text", "power"), [("2.0 TDI 140 KM", 103), ("1.9 TDI 105KM", 77), ("2.0 TDI", None), ("2.0, 50000 KM", None)]
)
def test_polish_horsepower_beside_an_engine_is_the_power(text, power):
    columns = HeaderReader().columns(["id", "marka", "model", "cena", "engine"])
    reader = RowReader(columns, conventions=Conventions(currency="PLN"), this_year=2026)
    assert reader.read(["1", "Skoda", "Octavia", "40000", text]).row.power_kw == power


@pytest.mark.parametrize(
    ("heading", "field"),
    [("Ár (Ft)", "price"), ("Bruttó ár", "price"), ("År", "year"), ("Árgangur", None), ("ar", "year")],
)
def test_a_year_in_a_currency_is_a_price(heading, field):
    column = recognise(heading)
    assert (column.field if column else None) == field
