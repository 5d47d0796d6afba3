import pytest

from catalog.imports.names import CarName, known_makes, name_car, near_makes, near_models, slug_of


@pytest.mark.parametrize(
    ("make", "model", "slugs"),
    [
        ("Ford", " Focus", ("ford", "focus")),
        ("FORD", "FOCUS", ("ford", "focus")),
        ("VW", "golf", ("volkswagen", "golf")),
        ("mercedes_benz", "C Class", ("mercedes-benz", "c-class")),
        ("Merc", "C-Class", ("mercedes-benz", "c-class")),
        ("Škoda", "Škoda Octavia", ("skoda", "octavia")),
        ("Ford", "Ford Focus", ("ford", "focus")),
        ("Mini", "Mini", ("mini", "mini")),
        ("BMW", "3er", ("bmw", "3-series")),
        ("DS", "DS 3", ("ds", "ds-3")),
        ("ford", "f-150 xlt supercrew 5.0", ("ford", "f-150")),
        ("Toyota", "Yaris Cross", ("toyota", "yaris-cross")),
        ("Dodge", "Caravan/Grand Caravan 2WD", ("dodge", "caravan")),
        ("", "Focus", ("ford", "focus")),
        ("", "Range Rover Sport HSE", ("land-rover", "range-rover-sport")),
    ],
)
def test_one_car_has_one_name_however_it_is_written(make, model, slugs):
    named = name_car(make, model)
    assert (named.make_slug, named.model_slug) == slugs


@pytest.mark.parametrize(
    ("title", "slugs", "variant"),
    [
        ("Maruti Swift Dzire VDI", ("maruti", "swift-dzire"), "VDI"),
        ("2016 Ford Focus 1.0 EcoBoost", ("ford", "focus"), "1.0 EcoBoost"),
        ("Land Rover Discovery Sport SE", ("land-rover", "discovery-sport"), "SE"),
        ("New Skoda Rapid", ("skoda", "rapid"), ""),
        ("Golf_3_1.6", ("volkswagen", "golf"), "3 1.6"),
    ],
)
def test_a_heading_names_make_and_model_where_no_column_does(title, slugs, variant):
    named = name_car("", "", title)
    assert (named.make_slug, named.model_slug) == slugs
    assert named.variant == variant


@pytest.mark.parametrize(
    ("make", "title", "model_slug", "year"),
    [
        ("Peugeot", "2019 2008 1.2 PureTech", "2008", 2019),
        ("Peugeot", "2008 Allure", "2008", None),
        ("Peugeot", "2008 208 Allure", "208", 2008),
        ("Peugeot", "2008 Peugeot 208", "208", 2008),
        ("Peugeot", "2008 2008 1.2", "2008", 2008),
        ("BMW", "2002 320d", "3-series", 2002),
        ("Ford", "Used 2017 Focus", "focus", 2017),
    ],
)
def test_a_number_before_a_name_is_the_year_and_one_that_names_a_model_is_the_model(make, title, model_slug, year):
    named = name_car(make, "", title)
    assert (named.model_slug, named.year) == (model_slug, year)


@pytest.mark.parametrize(
    ("make", "model", "slugs"),
    [
        ("Brabus", "Mercedes G 63", ("mercedes-benz", "g-class")),
        ("Brabus", "800", ("brabus", "800")),
        ("Smart", "Brabus", ("smart", "brabus")),
        ("Range Rover", "Evoque", ("land-rover", "range-rover-evoque")),
        ("Golf", "1.4 TSI", ("volkswagen", "golf")),
    ],
)
def test_the_make_that_a_model_begins_with_goes_before_the_owner_of_a_name_under_make(make, model, slugs):
    named = name_car(make, model)
    assert (named.make_slug, named.model_slug) == slugs


@pytest.mark.parametrize("title", ["Lovely family car", "Classic beauty", "One careful owner", "Move it"])
def test_everyday_words_name_no_make(title):
    assert name_car("", "", title).make == ""


def test_an_unknown_make_and_model_are_accepted_and_tidied():
    assert name_car("ACME motors", "ROCKET") == CarName("Acme Motors", "acme-motors", "Rocket", "rocket")


def test_a_model_without_a_make_stays_in_the_heading():
    assert name_car("", "Qrx").title == "Qrx"


def test_numbers_alone_do_not_name_a_make():
    assert name_car("", "200").make == ""


def test_the_year_before_a_heading_is_read():
    assert name_car("", "", "2016 Ford Focus").year == 2016


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Škoda", "skoda"),
        ("ID.3", "id-3"),
        ("Ka+", "ka-plus"),
        ("up!", "up"),
        ("Lynk & Co", "lynk-co"),
        ("比亚迪", "比亚迪"),
    ],
)
def test_slugs_are_plain_and_never_empty(text, slug):
    assert slug_of(text) == slug


def test_the_shipped_table_leads_every_alias_to_a_make_with_models():
    makes = known_makes()
    assert makes["vw"] is makes["volkswagen"]
    assert all(make.models for make in makes.values())


@pytest.mark.parametrize(
    ("make", "model", "name", "variant"),
    [
        ("Ford", "F-150 XLT SuperCrew", "F-150", "XLT SuperCrew"),
        ("Honda", "Civic EX", "Civic", "EX"),
        ("Jeep", "Grand Cherokee Limited", "Grand Cherokee", "Limited"),
        ("Toyota", "Corolla Cross", "Corolla Cross", ""),
        ("VW", "Golf Plus", "Golf Plus", ""),
    ],
)
def test_a_trim_leaves_the_model_however_few_words_it_has(make, model, name, variant):
    car = name_car(make, model)
    assert (car.model, car.variant) == (name, variant)


@pytest.mark.parametrize(
    ("make", "near"),
    [
        ("Vauxhal", ("Vauxhall",)),
        ("Toyta", ("Toyota",)),
        ("Hnoda", ("Honda",)),
        ("Ford", ()),
        ("Smith", ()),
        ("Kai", ()),
    ],
)
def test_an_unknown_make_is_compared_with_those_we_know(make, near):
    assert near_makes(make) == near


@pytest.mark.parametrize(
    ("make", "model", "near"),
    [
        ("ford", "Fokus", "Focus"), ("volkswagen", "Gollf", "Golf"), ("volkswagen", "Passta", "Passat"),
        ("volvo", "EC40", ""), ("volvo", "ES90", ""), ("mercedes-benz", "eVito", ""), ("ford", "E-Transit", ""),
        ("opel", "e-Vivaro", ""), ("hyundai", "Ioniq5", "Ioniq 5"),
        ("volkswagen", "ID.8", ""), ("ford", "Mondeo", ""), ("smith", "Focus", ""), ("bmw", "X9", ""),
    ],
)  # fmt: skip
def test_an_unknown_model_is_compared_with_those_of_its_make_and_numbers_make_other_models(make, model, near):
    assert next(iter(near_models(make, model)), "") == near


ONE_SERIES = [
    ("BMW", "1-series", ["1 Series", "1er", "116", "116d", "118i Sport", "Serie 1", "Series 1", "M135i"]),
    ("BMW", "x5", ["X5", "X5 xDrive30d", "X5 xDrive40i M Sport"]),
    ("Mercedes-Benz", "a-class", ["A-Class", "A Class", "A-Klasse", "Classe A", "A 180", "A180", "A 180 d AMG Line"]),
    ("Mercedes", "glc-class", ["GLC", "GLC Class", "GLC 220 d 4MATIC", "GLC-Klasse"]),
    ("Mercedes", "m-class", ["ML 350", "ML350 Bluetec", "M-Klasse"]),
    ("Lexus", "rx", ["RX", "RX350", "RX 450h F Sport"]),
    ("Ford", "f-150", ["F-150", "F150", "F 150", "F150 XLT SuperCrew 4WD", "F-150 Lariat"]),
    ("Honda", "cr-v", ["CR-V", "CRV", "CRV EX-L"]),
    ("Mazda", "mx-5", ["MX-5", "MX5 Roadster", "mx 5"]),
    ("Volvo", "xc90", ["XC90", "XC 90 T8"]),
    ("VW", "golf", ["Golf", "Golf VII", "Golf Hybrid", "Golf Sport Edition"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "slug", "written"), [(make, slug, each) for make, slug, forms in ONE_SERIES for each in forms]
)
def test_a_series_has_one_name_in_every_market(make, slug, written):
    assert name_car(make, written).model_slug == slug
    assert name_car("", "", f"{make} {written}").model_slug == slug


@pytest.mark.parametrize(
    ("model", "name", "variant"),
    [
        ("320d Touring", "3 Series", "320d Touring"),
        ("3er", "3 Series", ""),
        ("3 Series 320d", "3 Series", "320d"),
        ("Neue Klasse Touring xDrive", "Neue Klasse", "Touring xDrive"),
    ],
)
def test_what_a_series_or_an_unknown_model_is_followed_by_is_trim(model, name, variant):
    car = name_car("BMW", model)
    assert (car.model, car.variant) == (name, variant)


@pytest.mark.parametrize(
    ("make", "model", "expected"),
    [
        ("Range Rover", "Sport HSE", ("land-rover", "Range Rover Sport", "HSE")),  # a model under "make"
        ("Land Rover", "Evoque SE", ("land-rover", "Range Rover Evoque", "SE")),
        ("GWM", "Ora 03", ("ora", "03", "")),  # the group under "make"
        ("MG Motor UK", "HS", ("mg", "HS", "")),  # the make's company
        ("Mercedes-AMG", "C 63 S", ("mercedes-benz", "C-Class", "C 63 S")),
        ("Mercedes-Benz", "AMG A45", ("mercedes-benz", "A-Class", "AMG A45")),
        ("BMW", "i3s", ("bmw", "i3", "i3s")),
        ("DS", "7 Crossback E-Tense", ("ds", "DS 7 Crossback", "E-Tense")),
        ("Tesla", "S 75D", ("tesla", "Model S", "S 75D")),
        ("Kia", "ProCeed GT-Line", ("kia", "Pro Ceed", "GT-Line")),
        ("Fiat", "500X Cross", ("fiat", "500X", "Cross")),  # no model, as the Corolla Cross is
        ("Toyota", "Corolla Cross", ("toyota", "Corolla Cross", "")),
    ],
)
def test_names_that_markets_and_systems_write_otherwise_are_the_same_model(make, model, expected):
    car = name_car(make, model)

    assert (car.make_slug, car.model) == expected[:2]
    assert car.variant == expected[2] or car.variant in model


@pytest.mark.parametrize(
    ("title", "expected", "year"),
    [
        ("Used 2017 Honda CR-V EX-L", ("honda", "CR-V"), 2017),
        ("***LOOK*** Ford Fiesta Zetec", ("ford", "Fiesta"), None),
        ("68 plate Ford Kuga ST-Line", ("ford", "Kuga"), None),
        ("Vends Renault Clio 4", ("renault", "Clio"), None),
        ("Продам Toyota Camry 2.5", ("toyota", "Camry"), None),
        ("New Beetle 1.9 TDI", ("volkswagen", "New Beetle"), None),
    ],
)
def test_words_before_the_make_of_a_heading_are_passed_over(title, expected, year):
    car = name_car("", "", title)

    assert (car.make_slug, car.model, car.year) == (*expected, year)
