"""Rows of made-up files in the dialects of well-known sources, read without a database."""

from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from catalog.imports.conventions import find_conventions
from catalog.imports.dialects import open_rows
from catalog.imports.headings import HeaderReader
from catalog.imports.listing_row import ListingRow
from catalog.imports.rows import RowReader
from catalog.models import Listing

NOTHING_SAID = ListingRow()

UK = """make,model,year,price,transmission,mileage,fuelType,tax,mpg,engineSize
Audi,A1,2017,12500,Manual,15735,Petrol,150,55.4,1.4
Ford, Focus,2060,8000,Semi-Auto,10,Other,0,0.3,0
"""
UK_UNCLEAN = """model,year,price,transmission,mileage,fuel type,engine size,mileage2,fuel type2,engine size2,reference
 Focus,2016," £8,000",Manual,,Petrol,0.999,"38,852",,,/ad/25451236
 C Class,2013," £8,595",Automatic,"82,685",32,£30  ,64.2,Diesel,2143,/ad/25450549
,,,,,,,,,,
 Focus,2009," £2,995",Automatic,,Diesel," 2,00 cc","77,368",,,/ad/20716433
 C Class,2020," £36,890",Automatic,Unknown,n/a,£145,64.2,Diesel,2000,/ad/25049926
"""
GERMAN = """Bestand Autohaus Müller;;;
Inserat-Nr.;Marke;Modell;Ausführung;Preis (€);Kilometerstand;Erstzulassung;Leistung;Hubraum (cm³);Getriebe;Kraftstoff;\
Karosserieform;Farbe;Türen;Fahrzeughalter;Verbrauch komb.;Ort;Anbieter
1001;VW;Golf;1.6 TDI Highline;12.500,00;85.300 km;03/2018;85 kW (116 PS);1.598;Schaltgetriebe;Diesel;Limousine;\
Schwarz Metallic;4/5;1;4,2 l/100km;Köln;Händler
1002;Škoda;Octavia;;"auf Anfrage";15 Tsd. km;2021;110 kW;1,5 l;Halbautomatik;Benzin;Kombi;weiß;5;1. Hand;-;Bonn;Privat
Summe: 2 Fahrzeuge
"""
INDIAN = """name,year,selling_price,km_driven,fuel,seller_type,transmission,owner,mileage,engine,max_power,torque,seats
Maruti Swift Dzire VDI,2014,450000,145500,Diesel,Individual,Manual,First Owner,23.4 kmpl,1248 CC,74 bhp,190Nm,5
Maruti Wagon R LXI,2011,"2,10,000",40000,CNG,Trustmark Dealer,Manual,Fourth & Above Owner,26.6 km/kg,998 CC, bhp,,5
"""
FRENCH = (
    "Référence\tMarque\tModèle\tVersion\tAnnée\tKilométrage\tÉnergie\tBoîte de vitesse\tPuissance fiscale\t"
    "Puissance DIN\tPrix\tCouleur\tNombre de portes\tVille\n"
    "A1\tRENAULT\tCLIO\t1.5 dCi 90\t2017\t89\u202f500 km\tGazole\tManuelle\t4 CV\t90 ch\t9\u00a0990 €\tGris\t5\tNîmes\n"
    "A2\tCitroën\tC3\t\t2020\t12000\tÉlectrique\tAutomatique\t\t\tN.C.\tRouge\t5\tOrléans\n"
)
CRAIGSLIST = """id,url,region,price,year,manufacturer,model,condition,cylinders,fuel,odometer,title_status,\
transmission,VIN,drive,size,type,paint_color,image_url,description,state,lat,long,posting_date
7316814884,https://x.example/1,auburn,33590,2014.0,gmc,sierra 1500 crew cab slt,good,8 cylinders,gas,57923.0,clean,\
other,3GTP1,,,pickup,white,https://x.example/1.jpg,"A car, with
two lines",al,32.59,-85.48,2021-05-04
7316743432,https://x.example/2,auburn,0,2020.0,ford,f-150 xlt 5.0,,,gas,9999999,clean,automatic,,rwd,,truck,,,,al,0,0,
"""
GERMAN_SMALL_ADS = """dateCrawled,name,seller,offerType,price,vehicleType,yearOfRegistration,gearbox,powerPS,model,\
kilometer,fuelType,brand,postalCode
2016-03-24 11:52:17,Golf_3_1.6,privat,Angebot,480,,1993,manuell,0,golf,150000,benzin,volkswagen,70435
2016-03-14 12:52:21,Suche_Auto,privat,Gesuch,100,kleinwagen,2016,,0,andere,5000,,sonstige_autos,1067
"""
US_LISTINGS = """brand,model,model_year,milage,fuel_type,engine,transmission,ext_col,int_col,price
Ford,Police Interceptor,2013,"51,000 mi.",E85 Flex Fuel,300.0HP 3.7L V6 Engine,6-Speed A/T,Black,Black,"$10,300"
Tesla,Model 3 Long Range,2020,"22,770 mi.",–,Electric Motor,A/T,Red,Black,"$34,999"
"""
AUSTRALIAN = """Brand,Year,Model,Title,Transmission,Engine,DriveType,FuelType,FuelConsumption,Kilometres,ColourExtInt,\
Location,BodyType,Doors,Seats,Price
Ssangyong,2022.0,Rexton,2022 Ssangyong Rexton,Automatic,"4 cyl, 2.2 L",AWD,Diesel,8.7 L / 100 km,5595,White / Black,\
"Caringbah, NSW",SUV, 4 Doors, 7 Seats,51990
"""
ITALIAN = """Marca;Modello;Allestimento;Anno;Prezzo;Chilometraggio;Alimentazione;Cambio;Potenza;Cilindrata;Trazione
FIAT;Panda;1.2 Easy;2016;€ 7.900,00;65.000;Benzina/GPL;Manuale;51 kW (69 CV);1242;Anteriore
"""
SPANISH = """Marca,Modelo,Año,Precio,Kilómetros,Combustible,Cambio,Potencia (CV),Puertas
Seat,León,2017,"12.900 €",85.000,Gasolina,Manual,115,5
"""
SHOUTED = """MAKE,MODEL,YEAR,PRICE_USD,KM_DRIVEN,FUEL_TYPE,BODY_TYPE
TOYOTA,COROLLA,2015,"$12,000","80,000",PETROL,SEDAN
"""


@pytest.fixture
def read(tmp_path):
    """Read a table through to its row readings, as an import would."""

    def read(table, encoding="utf-8", mapping="", pairs=None, market_currency="GBP", make="", **options):
        path = tmp_path / "cars.csv"
        path.write_bytes(table.encode(encoding))
        headings = HeaderReader(mapping=mapping, pairs=pairs)
        with open_rows(path, headings) as rows:
            columns = headings.columns(rows.headings)
            conventions = find_conventions(
                columns, rows.sample, market_currency=market_currency, named=headings.conventions, **options
            )
            reader = RowReader(
                columns, conventions=conventions, this_year=2026, make=make,
                headings=rows.headings, delimiter=rows.dialect.delimiter,
            )  # fmt: skip
            return [reader.read(record.cells) for record in rows]

    return read


def said(row):
    """What a row says, without slugs and the built heading."""
    quiet = ("make_slug", "model_slug", "built_title")
    return {
        field.name: value for field in fields(ListingRow)
        if (value := getattr(row, field.name)) != getattr(NOTHING_SAID, field.name) and field.name not in quiet
    }  # fmt: skip


def test_a_tidy_british_file(read):
    first, second = read(UK)
    assert said(first.row) == {
        "make": "Audi", "model": "A1", "year": 2017, "price": Decimal(12500), "currency": "GBP",
        "mileage_km": 25323, "fuel": "petrol", "gearbox": "manual", "annual_tax": Decimal(150),
        "consumption_l_100km": 5.1, "engine_l": 1.4,
    }  # fmt: skip
    assert second.row.model == "Focus"
    assert second.row.annual_tax == 0
    assert second.row.engine_l is None
    assert [(problem.column, problem.value) for problem in second.problems] == [("year", "2060"), ("mpg", "0.3")]
    assert not any(problem.is_fatal for problem in second.problems)


def test_a_british_file_with_shifted_columns(read):
    plain, shifted, empty, old, unread = read(UK_UNCLEAN, mapping="uk")
    assert (plain.row.make, plain.row.model, plain.row.external_id) == ("Ford", "Focus", "/ad/25451236")
    assert (plain.row.mileage_km, plain.row.fuel, plain.row.engine_l) == (62526, "petrol", 0.999)
    assert (shifted.row.make, shifted.row.mileage_km, shifted.row.fuel) == ("Mercedes-Benz", 133069, "diesel")
    assert (shifted.row.annual_tax, shifted.row.consumption_l_100km, shifted.row.engine_l) == (30, 4.4, 2.143)
    assert shifted.recovered == ("mileage2 → consumption", "engine size → annual_tax")
    assert [(problem.column, problem.value, problem.reason) for problem in shifted.problems] == [
        ("fuel type", "32", "not a known fuel")
    ]
    assert empty.row is None
    assert empty.problems[0].reason == "the row is empty"
    assert old.row.engine_l == 2.0
    assert (unread.row.mileage_km, unread.row.consumption_l_100km) == (None, 4.4)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_a_german_dealers_file(read, encoding):
    golf, octavia, total = read(GERMAN.replace("Š", "S"), encoding)
    assert said(golf.row) == {
        "external_id": "1001", "make": "Volkswagen", "model": "Golf", "year": 2018, "price": Decimal(12500),
        "currency": "EUR", "mileage_km": 85300, "fuel": "diesel", "gearbox": "manual", "body": "saloon",
        "colour": "black", "power_kw": 85, "engine_l": 1.598, "consumption_l_100km": 4.2, "doors": 5,
        "owner_count": 1, "place": "Köln", "seller_kind": "dealer", "first_registration": 201803,
    }  # fmt: skip
    assert golf.row.built_title == "Volkswagen Golf 1.6 TDI Highline"
    assert golf.problems == ()
    assert (octavia.row.price, octavia.row.mileage_km, octavia.row.engine_l) == (None, 15000, 1.5)
    assert octavia.row.missing_for_sale == ("price",)
    assert total.row is None


def test_an_indian_file(read):
    swift, wagon = read(INDIAN, mapping="cardekho")
    assert said(swift.row) == {
        "make": "Maruti", "model": "Swift Dzire", "title": "Maruti Swift Dzire VDI", "year": 2014,
        "price": Decimal(450000), "currency": "INR", "mileage_km": 145500, "fuel": "diesel", "gearbox": "manual",
        "power_kw": 55, "engine_l": 1.248, "consumption_l_100km": 4.27, "seats": 5, "owner_count": 1,
        "seller_kind": "private",
    }  # fmt: skip
    assert (wagon.row.price, wagon.row.owner_count, wagon.row.power_kw) == (210000, 4, None)
    assert [problem.reason for problem in wagon.problems] == ["measured in kilograms of gas, not in litres"]


def test_an_indian_file_needs_no_mapping_but_for_its_currency(read):
    named, unnamed = read(INDIAN, mapping="cardekho")[0].row, read(INDIAN, currency="INR")[0].row
    assert said(named) == said(unnamed)


def test_a_french_file(read):
    clio, c3 = read(FRENCH)
    assert said(clio.row) == {
        "external_id": "A1", "make": "Renault", "model": "Clio", "year": 2017, "price": Decimal(9990),
        "currency": "EUR", "mileage_km": 89500, "fuel": "diesel", "gearbox": "manual", "colour": "grey",
        "power_kw": 66, "doors": 5, "place": "Nîmes",
    }  # fmt: skip
    assert (c3.row.make, c3.row.fuel, c3.row.price) == ("Citroen", "electric", None)


def test_an_american_file_of_small_ads(read):
    gmc, ford = read(CRAIGSLIST, mapping="craigslist")
    assert said(gmc.row) == {
        "external_id": "7316814884", "vin": "3GTP1", "make": "GMC", "model": "Sierra 1500", "tags": ("good",),
        "description": "A car, with\ntwo lines", "year": 2014, "price": Decimal(33590), "currency": "USD",
        "mileage_km": 93218, "fuel": "petrol", "body": "pickup", "colour": "white", "place": "auburn",
        "photo_url": "https://x.example/1.jpg", "photos": ("https://x.example/1.jpg",), "latitude": 32.59,
        "longitude": -85.48, "url": "https://x.example/1", "damage": "none",
        "posted_at": datetime(2021, 5, 4, tzinfo=UTC),
    }  # fmt: skip
    assert (ford.row.model, ford.row.price, ford.row.mileage_km, ford.row.latitude) == ("F-150", None, None, None)


def test_a_german_file_of_small_ads(read):
    golf, wanted = read(GERMAN_SMALL_ADS, "latin-1", mapping="kleinanzeigen")
    assert said(golf.row) == {
        "make": "Volkswagen", "model": "Golf", "title": "Golf_3_1.6", "year": 1993, "price": Decimal(480),
        "currency": "EUR", "mileage_km": 150000, "fuel": "petrol", "gearbox": "manual", "place": "70435",
        "seller_kind": "private",
    }  # fmt: skip
    assert wanted.problems[-1].reason == "an advert asking for a car, not offering one"


def test_an_american_file_with_the_power_in_the_engine_column(read):
    police, tesla = read(US_LISTINGS)
    assert said(police.row) == {
        "make": "Ford", "model": "Police Interceptor", "year": 2013, "price": Decimal(10300), "currency": "USD",
        "mileage_km": 82077, "fuel": "ethanol", "gearbox": "automatic", "colour": "black", "power_kw": 224,
        "engine_l": 3.7,
    }  # fmt: skip
    assert (tesla.row.engine_l, tesla.row.fuel, tesla.problems) == (None, "", ())


def test_an_australian_file(read):
    (rexton,) = read(AUSTRALIAN, currency="AUD")
    assert said(rexton.row) == {
        "make": "SsangYong", "model": "Rexton", "title": "2022 Ssangyong Rexton", "year": 2022,
        "price": Decimal(51990), "currency": "AUD", "mileage_km": 5595, "fuel": "diesel", "gearbox": "automatic",
        "body": "suv", "drive": "all", "colour": "white", "engine_l": 2.2, "consumption_l_100km": 8.7, "doors": 4,
        "seats": 7, "place": "Caringbah, NSW",
    }  # fmt: skip


def test_an_italian_file(read):
    (panda,) = read(ITALIAN)
    assert said(panda.row) == {
        "make": "Fiat", "model": "Panda", "year": 2016, "price": Decimal(7900), "currency": "EUR",
        "mileage_km": 65000, "fuel": "lpg", "gearbox": "manual", "drive": "front", "power_kw": 51, "engine_l": 1.242,
    }  # fmt: skip


def test_a_spanish_file(read):
    (leon,) = read(SPANISH)
    assert said(leon.row) == {
        "make": "Seat", "model": "Leon", "year": 2017, "price": Decimal(12900), "currency": "EUR",
        "mileage_km": 85000, "fuel": "petrol", "gearbox": "manual", "power_kw": 85, "doors": 5,
    }  # fmt: skip


def test_a_file_in_capitals(read):
    (corolla,) = read(SHOUTED)
    assert said(corolla.row) == {
        "make": "Toyota", "model": "Corolla", "year": 2015, "price": Decimal(12000), "currency": "USD",
        "mileage_km": 80000, "fuel": "petrol", "body": "saloon",
    }  # fmt: skip


# --- Units and currencies --------------------------------------------------------------------------------------------
BARE = "make,model,year,price,mileage\nAudi,A3,2018,15500,45000\n"


@pytest.mark.parametrize(
    ("options", "km"),
    [
        ({"market_currency": "EUR"}, 45000),
        ({"market_currency": "GBP"}, 72420),
        ({"market_currency": "GBP", "distance_unit": "km"}, 45000),
        ({"market_currency": "EUR", "distance_unit": "mi"}, 72420),
        ({"market_currency": "EUR", "mapping": "uk"}, 72420),
        ({"market_currency": "GBP", "currency": "EUR"}, 45000),
        ({"market_currency": "GBP", "pairs": {"mileage": "mileage_km"}}, 45000),
    ],
)
def test_a_bare_distance_follows_the_operator_then_the_market(read, options, km):
    assert read(BARE, **options)[0].row.mileage_km == km


def test_a_bare_distance_beside_euros_is_in_kilometres(read):
    assert read(BARE.replace("15500", "€15500"))[0].row.mileage_km == 45000


def test_what_was_assumed_is_said():
    headings = HeaderReader()
    conventions = find_conventions(headings.columns(["make", "price", "mileage", "power"]), [], market_currency="GBP")
    assert [assumption.partition(":")[0] for assumption in conventions.assumptions] == [
        "prices name no currency",
        "“mileage” names no unit",
        "a power without a unit is read as horsepower; say --map COLUMN=power_kw if it is kilowatts",
    ]


def test_a_price_keeps_its_own_currency(read):
    table = "make,price,currency,year\nAudi,£9000,EUR,2018\nAudi,9000,CHF,2018\nAudi,9000,,2018\nAudi,$9000,CAD,2018\n"
    assert [reading.row.currency for reading in read(table, currency="EUR")] == ["GBP", "CHF", "EUR", "CAD"]


# --- Values out of place ---------------------------------------------------------------------------------------------
OUT_OF_PLACE = "make,model,price,power,gearbox,fuel,year\n"


def test_words_and_amounts_find_their_own_columns(read):
    (reading,) = read(f"{OUT_OF_PLACE}Ford,Puma,Manual,90 kW,Petrol,£12000,2020\n")
    assert (reading.row.price, reading.row.gearbox, reading.row.fuel) == (12000, "manual", "petrol")
    assert reading.problems == ()


def test_bare_numbers_in_a_shifted_stretch_are_not_believed(read):
    (reading,) = read(f"{OUT_OF_PLACE}VW,Golf,Automatic,Petrol,81,110,2019\n")
    assert (reading.row.gearbox, reading.row.fuel, reading.row.year) == ("automatic", "petrol", 2019)
    assert reading.row.power_kw is None
    assert [(problem.column, problem.value) for problem in reading.problems] == [
        ("fuel", "110"), ("gearbox", "81"), ("price", ""),
    ]  # fmt: skip


# --- Broken rows -----------------------------------------------------------------------------------------------------
WIDE = "Make,Model,Year,Price,Mileage,Fuel,Description\n"


def test_an_unquoted_separator_is_mended_where_only_one_way_makes_sense(read):
    price, text = read(
        f"{WIDE}Ford,Focus,2015,8,000,62000,Petrol,nice car\nFord,Puma,2020,15000,10000,Petrol,heated seats, alloys\n"
    )
    assert (price.row.price, price.row.mileage_km) == (8000, 99779)
    assert price.recovered == ("Price held a separator",)
    assert text.row.description == "heated seats,alloys"


def test_a_row_with_too_many_cells_is_refused_when_it_is_not_clear_how(read):
    (reading,) = read(f"{WIDE}Ford,Focus,x,2015,y,8000,62000,Petrol,nice\n")
    assert reading.row is None
    assert reading.problems[-1].reason == "9 cells, where the header has 7"


def test_a_short_row_is_read_as_far_as_it_goes(read):
    (reading,) = read(f"{WIDE}Ford,Fiesta,2016,9000\n")
    assert (reading.row.model, reading.row.price) == ("Fiesta", 9000)
    assert reading.problems[0].reason == "only 4 of 7 cells"


def test_a_header_in_the_middle_of_a_file_is_no_car(read):
    assert read(f"{WIDE}{WIDE}")[0].problems[0].reason == "the header again"


def test_a_name_and_nothing_else_is_no_advertisement(read):
    (reading,) = read("make,model,price\nFord,Focus,\n")
    assert reading.row is None
    assert reading.problems[-1].reason == "nothing but a name: not an advertisement"


def test_a_price_without_a_name_waits_as_a_draft(read):
    (reading,) = read("make,model,price\n,,6000\n")
    assert reading.row.missing_for_sale == ("make or title",)
    assert reading.problems[-1].reason == "no make or title: a new listing waits as a draft"


def test_a_constant_make_stands_in_where_the_file_has_none(read):
    (reading,) = read("model,price,year\nWhatever,8000,2015\n", make="Ford")
    assert (reading.row.make, reading.row.model) == ("Ford", "Whatever")


def test_mark_up_entities_and_control_characters_are_cleaned_from_texts(read):
    table = 'make,price,description\nFord,8000,"<b>Fine</b> &amp; fast<br>one\u00a0owner\x07 &lt;3"\n'
    assert read(table)[0].row.description == "Fine & fast\none owner <3"


def test_a_text_that_is_too_long_is_cut_and_noted(read):
    (reading,) = read(f"make,price,title\nFord,8000,{'x' * 400}\n")
    assert len(reading.row.title) == 255
    assert reading.problems[0].reason == "cut to 255 characters"


def test_an_id_that_a_spreadsheet_rounded_is_no_id(read):
    rounded, whole = read("id,make,price\n7.22E+09,Ford,8000\n7222695916.0,Ford,8000\n")
    assert rounded.row.external_id is None
    assert whole.row.external_id == "7222695916"


def test_a_half_known_or_empty_place_is_no_place(read):
    table = "make,price,lat,long\nFord,8000,51.5,\nFord,8000,0,0\nFord,8000,95,10\nFord,8000,51.5,-0.1\n"
    assert [reading.row.latitude for reading in read(table)] == [None, None, None, 51.5]


def test_tags_of_several_columns_add_up(read):
    (reading,) = read("make,price,features,condition\nFord,8000,\"['ABS', 'Sat Nav']\",like new\n")
    assert reading.row.tags == ("abs", "sat nav", "like new")


def test_of_several_pictures_all_are_kept_and_the_first_is_the_main_one(read):
    (reading,) = read("make,price,images\nFord,8000,https://x.example/1.jpg|https://x.example/2.jpg\n")
    assert reading.row.photo_url == "https://x.example/1.jpg"
    assert reading.row.photos == ("https://x.example/1.jpg", "https://x.example/2.jpg")


def test_two_columns_for_one_thing_are_alternatives(read):
    table = "make,price,registration,year\nFord,8000,AB12 CDE,2015\nFord,8000,03/2016,\n"
    readings = read(table)
    assert [reading.row.year for reading in readings] == [2015, 2016]
    assert readings[0].problems == ()


# --- Identity --------------------------------------------------------------------------------------------------------
def test_a_digest_depends_on_what_is_said_and_on_nothing_else():
    row = ListingRow(make="Ford", make_slug="ford", price=Decimal(8000), engine_l=1.0)
    assert row.digest() == ListingRow(engine_l=1.0, price=Decimal(8000), make_slug="ford", make="Ford").digest()
    assert row.digest() != ListingRow(make="Ford", make_slug="ford", price=Decimal(8001), engine_l=1.0).digest()
    assert len(row.digest()) == Listing._meta.get_field("fingerprint").max_length


def test_a_digest_is_the_same_in_every_process():
    assert ListingRow(make="Ford", year=2015).digest() == "f46be10e293c9c383f82562f7c60cca0"


def test_a_car_is_the_same_however_its_row_is_written(read):
    tidy = read("make,model,price,mileage,tax\nFord,Focus,8000,38852,0\n", distance_unit="km")
    messy = read("Marke;Modell;Preis;Kilometerstand;KFZ-Steuer\nFORD; focus;£8.000,00;38.852 km;0,00\n")
    assert tidy[0].row.digest() == messy[0].row.digest()


def test_a_car_stays_the_same_car_when_it_is_sold():
    assert ListingRow(make="Ford").digest() == ListingRow(make="Ford", status="sold").digest()


def test_an_unknown_and_a_nought_are_different():
    assert ListingRow(make="Ford").digest() != ListingRow(make="Ford", mileage_km=0).digest()
