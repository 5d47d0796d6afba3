import pytest

from catalog.exceptions import HeaderRefused
from catalog.imports.headings import HeaderReader, parse_target, recognise


@pytest.mark.parametrize(
    ("heading", "field", "unit"),
    [
        ("price", "price", ""),
        ("Preis (€)", "price", ""),
        ("selling_price", "price", ""),
        ("PRICE_USD", "price", ""),
        ("km_driven", "mileage", "km"),
        ("Kilometerstand", "mileage", "km"),
        ("Laufleistung in km", "mileage", "km"),
        ("Mileage (miles)", "mileage", "mi"),
        ("mileage", "mileage", ""),
        ("milage", "mileage", ""),
        ("mileage(km/ltr)", "consumption", "kmpl"),
        ("Erstzulassung", "year", ""),
        ("yearOfRegistration", "year", ""),
        ("Année", "year", ""),
        ("Leistung (kW)", "power", "kw"),
        ("powerPS", "power", "ps"),
        ("Puissance DIN", "power", "ps"),
        ("Hubraum (cm³)", "engine", "cc"),
        ("engineSize", "engine", ""),
        ("engine size2", "engine", ""),
        ("Boîte de vitesse", "gearbox", ""),
        ("fuel_consumption_l_100km", "consumption", "l_100km"),
        ("mpg", "consumption", "mpg"),
        ("tax(£)", "annual_tax", ""),
        ("Inserat-Nr.", "external_id", ""),
        ("VIN", "vin", ""),
    ],
)
def test_headings_of_many_languages_are_recognised_with_their_units(heading, field, unit):
    column = recognise(heading)
    assert (column.field, column.unit) == (field, unit)


@pytest.mark.parametrize(
    "heading",
    [
        "Puissance fiscale",
        "fuel_consumption_g_km",
        "present_price",
        "int_col",
        "torque",
        "date_crawled",
    ],
)
def test_headings_that_only_look_familiar_are_left_alone(heading):
    assert recognise(heading) is None


def test_a_heading_names_its_currency():
    assert recognise("Preis (€)").currency == "EUR"
    assert recognise("price_usd").currency == "USD"


def test_mileage_beside_kilometres_driven_is_how_far_a_litre_goes():
    columns = HeaderReader().columns(["name", "km_driven", "mileage"])
    assert [(column.field, column.unit) for column in columns] == [
        ("title", ""), ("mileage", "km"), ("consumption", "kmpl"),
    ]  # fmt: skip


def test_the_operators_own_pairs_go_before_everything():
    reader = HeaderReader(mapping="cardekho", pairs={"mileage": "mileage_mi", "Egg": "brand", "name": "ignore"})
    columns = reader.columns(["name", "mileage", "Egg"])
    assert [(column.heading, column.field, column.unit) for column in columns] == [
        ("mileage", "mileage", "mi"), ("Egg", "make", ""),
    ]  # fmt: skip


def test_a_pair_for_a_column_the_file_has_not_suggests_the_nearest():
    with pytest.raises(HeaderRefused, match="“Pries”; did you mean Preis"):
        HeaderReader(pairs={"Pries": "price"}).columns(["Marke", "Preis"])


def test_a_pair_with_an_unknown_field_suggests_the_nearest():
    with pytest.raises(HeaderRefused, match="“prise”; did you mean price"):
        parse_target("prise")


def test_an_unknown_mapping_lists_those_there_are():
    with pytest.raises(HeaderRefused, match=r"“narnia”; there are .*cardekho"):
        HeaderReader(mapping="narnia")


def test_columns_that_are_not_read_are_named():
    assert HeaderReader().unread(["make", "torque", "", "airbags"]) == ["torque", "airbags"]


def test_unrecognised_headings_get_a_hint():
    assert HeaderReader().hints(["Preiss"]) == ["“Preiss” may be price"]


@pytest.mark.parametrize(
    ("heading", "field", "unit"),
    [
        ("Getr.", "gearbox", ""),
        ("Puiss. réelle", "power", ""),
        ("F.MATRIC", "year", ""),
        ("Merk/Marque", "make", ""),
        ("Marke/Modell", "title", ""),
        ("Nombre de place(s)", "seats", ""),
        ("internetprice", "price", ""),
        ("car.color.exterior.manufacturer", "manufacturer_colour", ""),
        ("Four wheel drive", "drive", "all"),
        ("ExDemo", "condition", "demo"),
        ("VK netto", "price", "net"),
    ],
)
def test_abbreviated_joined_and_bilingual_headings_are_recognised(heading, field, unit):
    column = recognise(heading)
    assert (column.field, column.unit) == (field, unit)


@pytest.mark.parametrize("heading", ["Puiss. fisc.", "K.", "interiorcolor", "Prix/Ville", "Attention Grabber"])
def test_an_abbreviation_of_several_things_says_none(heading):
    assert recognise(heading) is None
