"""What is understood of a typed search: a list of queries, each with the parameters it sets and the words it leaves."""

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.filters import ListingFilters
from catalog.imports.names import known_makes, slug_of
from catalog.search.lexicon import FIELDS, TABLE, Lexicon
from catalog.search.parameters import filters_of
from catalog.search.reading import read_search
from catalog.search.towns import Town, known_towns

THIS_YEAR = 2026
STOCK = Path(__file__).parents[3] / "recommendations" / "data" / "cars.csv"
CARS = list(csv.DictReader(STOCK.open(encoding="utf-8")))
DEMO = Lexicon(  # the names of the demo market
    makes={slug_of(car["make"]): car["make"] for car in CARS},
    models=[(slug_of(car["make"]), slug_of(car["model"]), car["model"]) for car in CARS],
    towns={"otley": Town("Otley", 53.9, -1.69)},
    text_words={"camera", "carplay", "marks"},
)
BARE = Lexicon()  # before there is any stock

# query -> parameters, as "field=value" (several values of one field are alternatives), and after "|" the words left
QUERIES = {
    # names
    "skoda": "brand=skoda",
    "Škoda": "brand=skoda",
    "octavia": "brand=skoda model=octavia",
    "octavia estate diesel": "brand=skoda model=octavia body=estate fuel=diesel",
    "vw golf": "brand=volkswagen model=golf",
    "golf": "brand=volkswagen model=golf",
    "golf or polo": "brand=volkswagen model=golf model=polo",
    "bmw 3 series": "brand=bmw model=3-series",
    "3 series touring": "brand=bmw model=3-series body=estate",
    "3er bmw kombi": "brand=bmw model=3-series body=estate",
    "bmw 320d": "brand=bmw model=3-series fuel=diesel",
    "mercedes c class": "brand=mercedes-benz model=c-class",
    "mercedes c-klasse": "brand=mercedes-benz model=c-class",
    "mercedes c220d estate": "brand=mercedes-benz model=c-class fuel=diesel body=estate",
    "cars for sale": "",
    "used cars near me": "",
    "second hand cars": "",
    "autos zu verkaufen": "",
    "bmw for sale": "brand=bmw",
    "glc": "brand=mercedes-benz model=glc-class",
    "glc diesel": "brand=mercedes-benz model=glc-class fuel=diesel",
    "e350": "brand=mercedes-benz model=e-class",
    "audi a4 avant": "brand=audi model=a4 body=estate",
    "a3": "brand=audi model=a3",
    "audi a3 or bmw 1 series": "brand=audi model=a3 brand=bmw model=1-series",
    "mx5": "brand=mazda model=mx-5",
    "mazda mx 5": "brand=mazda model=mx-5",
    "fiat 500": "brand=fiat model=500",
    "peugeot 2008": "brand=peugeot model=2008",
    "2008 peugeot 308": "year=2008 brand=peugeot model=308",
    "range rover evoque": "brand=land-rover model=range-rover-evoque",
    "land rover discovery sport": "brand=land-rover model=discovery-sport",
    "alfa romeo giulia": "brand=alfa-romeo model=giulia",
    "mini": "brand=mini",
    "tesla model 3": "brand=tesla model=model-3",
    "merc estate": "brand=mercedes-benz body=estate",
    "seat leon": "brand=seat model=leon",
    "honda jazz automatic": "brand=honda model=jazz gearbox=automatic",
    "nissan qashqai": "brand=nissan model=qashqai",
    "golf gti": "brand=volkswagen model=golf q=gti",
    "golf r line": 'brand=volkswagen model=golf q="r_line"',
    # what is neither the price of a car nor a distance that it was driven
    "electric with 400 km range": "fuel=electric | 400 range",
    "e-auto mindestens 300 km reichweite": "fuel=electric | mindestens 300 reichweite",
    "ev with 300 mile range under 30k": "fuel=electric max_price=30000 | 300 mile range",
    "electric, 250 miles on a charge": "fuel=electric | 250 charge",
    "reichweite über 300 km elektro": "fuel=electric | reichweite über 300",
    "under 50k miles range rover": "max_mileage=80467 brand=land-rover model=range-rover",
    "model 3 long range under 60000 miles": "brand=tesla model=model-3 max_mileage=96561 | long range",
    "standard range id.3 under 40k miles": "max_mileage=64374 brand=volkswagen model=id-3 | standard range",
    "long range model 3 2021": "brand=tesla model=model-3 year=2021 | long range",
    "hybrid under £200 tax": "fuel=hybrid | 200 tax",
    "golf steuer unter 100 euro": "brand=volkswagen model=golf | steuer unter 100",
    "low tax golf under 10000": "brand=volkswagen model=golf max_price=10000 | low tax",
    "corsa £30 road tax": "brand=vauxhall model=corsa | 30 road tax",
    "leasing 199 euro": "| leasing 199",
    "golf under 300 pm": "brand=volkswagen model=golf | 300 pm",
    "rate bis 250 euro polo": "brand=volkswagen model=polo | rate bis 250",
    "polo 5 l/100km": "brand=volkswagen model=polo | 5.0 100km",
    "diesel euro 6": 'fuel=diesel | "euro 6"',
    "euro5 diesel bis 5000 euro": 'fuel=diesel max_price=5000 | "euro 5"',
    "bis 15000 euro 5 türer": "max_price=15000 doors=5",
    "cheap to run hatchback": 'body=hatchback | "cheap to run"',
    "golf cheap insurance": 'brand=volkswagen model=golf | "cheap insurance"',
    "polo günstig in der versicherung": 'brand=volkswagen model=polo | "gunstig in der versicherung"',
    # comparisons and people
    "kombi nicht teurer als 8000": "body=estate max_price=8000",
    "no more expensive than 9000": "max_price=9000",
    "teurer als 5000": "min_price=5000",
    "golf 5 jahre alt": "brand=volkswagen model=golf min_year=2021",
    "höchstens 3 jahre alt": "min_year=2023",
    "car for a family of 5": "body=estate body=mpv body=suv min_seats=5",
    "diesel platz für 7": "fuel=diesel min_seats=7",
    "für 7 personen": "min_seats=7",
    "for five people": "min_seats=5",
    "weder diesel noch benzin": (
        "fuel=hybrid fuel=plugin_hybrid fuel=electric fuel=lpg fuel=cng fuel=ethanol fuel=hydrogen"
    ),
    "golf zu verkaufen": "brand=volkswagen model=golf",
    # misspelt
    "skdoa": "brand=skoda",
    "skdoa ocatvia": "brand=skoda model=octavia",
    "oktavia kombi": "brand=skoda model=octavia body=estate",
    "volkswagon": "brand=volkswagen",
    "vauxhal corsa": "brand=vauxhall model=corsa",
    "hundai i20": "brand=hyundai model=i20",
    "toyata yaris": "brand=toyota model=yaris",
    "pegeot 208": "brand=peugeot model=208",
    "citreon c3": "brand=citroen model=c3",
    "nisan jukee": "brand=nissan model=juke",
    "mercedez": "brand=mercedes-benz",
    "deisel automatc": "fuel=diesel gearbox=automatic",
    "convertable": "body=convertible",
    "hatchbak petrol": "body=hatchback fuel=petrol",
    # words of closed sets
    "red convertible": "colour=red body=convertible",
    "family car": "body=estate body=mpv body=suv",
    "small car": "body=hatchback",
    "sports car": "body=coupe body=convertible",
    "people carrier": "body=mpv",
    "white electric suv": "colour=white fuel=electric body=suv",
    "ev": "fuel=electric",
    "plug in hybrid": "fuel=plugin_hybrid",
    "plug-in hybrid or electric": "fuel=plugin_hybrid fuel=electric",
    "4x4": "drive=all",
    "audi quattro": "brand=audi drive=all",
    "manual saloon": "gearbox=manual body=saloon",
    "golf auto": "brand=volkswagen model=golf gearbox=automatic",
    "used estate cars for sale": "body=estate",
    "private seller": "seller_type=private",
    "not automatic": "gearbox=manual gearbox=semi_automatic",
    "black or grey bmw": "colour=black colour=grey brand=bmw",
    # amounts
    "under 15k": "max_price=15000",
    "family car under 15000": "body=estate body=mpv body=suv max_price=15000",
    "octavia under £15,000": "brand=skoda model=octavia max_price=15000",
    "£5,000 - £8,000": "min_price=5000 max_price=8000",
    "between 10k and 15k": "min_price=10000 max_price=15000",
    "5000 to 8000 pounds": "min_price=5000 max_price=8000",
    "over £20k": "min_price=20000",
    "less than 60,000 miles": "max_mileage=96561",
    "under 60k miles": "max_mileage=96561",
    "under 100,000 km": "max_mileage=100000",
    "mileage under 50000": "max_mileage=80467",
    "2019 or newer": "min_year=2019",
    "from 2019": "min_year=2019",
    "2019+": "min_year=2019",
    "newer than 2018": "min_year=2019",
    "before 2015": "max_year=2014",
    "2015-2018": "min_year=2015 max_year=2018",
    "golf 2018": "brand=volkswagen model=golf year=2018",
    "68 plate": "year=2018",
    "less than 5 years old": "min_year=2021",
    "7 seater": "seats=7",
    "seven seats": "seats=7",
    "at least 5 seats": "min_seats=5",
    "5 door hatchback": "doors=5 body=hatchback",
    "at least 150 hp": "min_power=112",
    "qashqai 2017 or newer under 12k less than 40,000 miles": "brand=nissan model=qashqai min_year=2017 max_price=12000"
    " max_mileage=64374",
    # locations
    "near Leeds": "near=Leeds",
    "golf near leeds": "brand=volkswagen model=golf near=Leeds",
    "within 30 miles of Manchester": "near=Manchester radius_km=48.3",
    "diesel in Bristol": "fuel=diesel near=Bristol",
    "near Ledes": "near=Leeds",
    "near Otley": "near=Otley",
    # German
    "kombi diesel bis 15.000 euro": "body=estate fuel=diesel max_price=15000",
    "automatik ab 2019": "gearbox=automatic min_year=2019",
    "rotes cabrio": "colour=red body=convertible",
    "schwarzer bmw": "colour=black brand=bmw",
    "weißer kombi": "colour=white body=estate",
    "gruener golf": "colour=green brand=volkswagen model=golf",
    "unter 80.000 km": "max_mileage=80000",
    "max 100tkm": "max_mileage=100000",
    "ab 150 PS": "min_power=110",
    "siebensitzer": "seats=7",
    "7-Sitzer diesel": "seats=7 fuel=diesel",
    "5-türer": "doors=5",
    "familienauto bis 10000 euro": "body=estate body=mpv body=suv max_price=10000",
    "elektroauto": "fuel=electric",
    "benziner schaltgetriebe": "fuel=petrol gearbox=manual",
    "nicht älter als 5 Jahre": "min_year=2021",
    "zwischen 5000 und 8000 euro": "min_price=5000 max_price=8000",
    "kleinwagen bis 5000": "body=hatchback max_price=5000",
    "gebrauchte autos in München": "near=München",
    "im Umkreis von 50 km um Köln": "near=Köln radius_km=50",
    "audi bei muenchen": "brand=audi near=München",
    "opel astra kombi benzin ab 2016 bis 10000€ unter 80.000 km": "brand=opel model=astra body=estate fuel=petrol"
    " min_year=2016 max_price=10000 max_mileage=80000",
    "familienkombi ab baujahr 2018": "body=estate min_year=2018",
    "e-klasse von 2018": "brand=mercedes-benz model=e-class year=2018",
    "grünes auto": "colour=green",
    "hellblauer kleinwagen": "colour=blue body=hatchback",
    "silbergrauer audi": "colour=grey brand=audi",
    "van mit 7 sitzen": "body=mpv body=van seats=7",
    "umkreis 30 km frankfurt": "near=Frankfurt radius_km=30",
    "anfängerauto": "body=hatchback",
    "jahreswagen": "min_year=2025",
    "keine automatik": "gearbox=manual gearbox=semi_automatic",
    "unter fünfzehntausend euro": "max_price=15000",
    # names beside words of bodies, as numbers, in another order, written together
    "mini cooper convertible": "brand=mini model=cooper body=convertible",
    "audi a5 cabriolet": "brand=audi model=a5 body=convertible",
    "jeep": "brand=jeep",
    "3008": "brand=peugeot model=3008",
    "500": "brand=fiat model=500",
    "320d": "brand=bmw model=3-series fuel=diesel",
    "c200": "brand=mercedes-benz model=c-class",
    "fordfocus": "brand=ford model=focus",
    "glof": "brand=volkswagen model=golf",
    "fesita": "brand=ford model=fiesta",
    "kashkai": "brand=nissan model=qashqai",
    "alpha romeo": "brand=alfa-romeo",
    "beemer": "brand=bmw",
    # what a car is for gives way to a body that is named
    "family suv": "body=suv",
    "small automatic": "body=hatchback gearbox=automatic",
    "compact suv": "body=suv",
    "first car": "body=hatchback",
    "nearly new estate": "min_year=2024 body=estate",
    # negations
    "no diesel or hybrid": "fuel=petrol fuel=plugin_hybrid fuel=electric fuel=lpg fuel=cng fuel=ethanol fuel=hydrogen",
    "anything but automatic": "gearbox=manual gearbox=semi_automatic",
    "suv but not nissan": "body=suv | -nissan",
    "except land rover": '| -"land rover"',
    "estate without tow bar": 'body=estate | -"tow bar"',
    # more amounts
    "low mileage under 10k": "ordering=mileage max_price=10000",
    "5k-10k": "min_price=5000 max_price=10000",
    "under five thousand": "max_price=5000",
    "post 2018": "min_year=2019",
    "family suv with 7 seats under 20k near leeds": "body=suv seats=7 max_price=20000 near=Leeds",
    "suv £200 a month": "body=suv | 200 month",
    "2.0tdi": "fuel=diesel | 2.0",
    "Reading": "near=Reading",
    "golf in Manchester or Leeds": "brand=volkswagen model=golf near=Manchester | Leeds",
    # orders
    "most expensive porsche": "ordering=-price brand=porsche",
    "cheap automatic": "ordering=price gearbox=automatic",
    "low mileage jazz": "ordering=mileage brand=honda model=jazz",
    # what is not understood is looked for in the texts
    "golf with heated seats": "brand=volkswagen model=golf | heated seats",
    "estate tow bar": "body=estate | tow bar",
    "reversing camera": "| reversing camera",
    "full service history": "| full service history",
    "a4 2.0 tdi": "brand=audi model=a4 fuel=diesel | 2.0",
    "2.0 litre diesel": "fuel=diesel | 2.0",
    "estate -towbar": "body=estate | -towbar",
    'golf "one owner"': 'brand=volkswagen model=golf | "one owner"',
    "unicorn": "| unicorn",
    # names that begin with a letter which is also a small word
    "t roc automatic": "brand=volkswagen model=t-roc gearbox=automatic",
    "i 30": "brand=hyundai model=i30",
    "a 4 avant": "brand=audi model=a4 body=estate",
    "a6 avant": "brand=audi model=a6 body=estate",
    "e 2008": "brand=peugeot model=e-2008",
    "mercedes e 2008": "brand=mercedes-benz year=2008 | e",
    "a 4 door car": "doors=4",
    "i want a 3 series": "brand=bmw model=3-series",
    "a 5 seater": "seats=5",
    "it's max": "| s max",
    # makers' words for bodies
    "a3 sportback": "brand=audi model=a3 body=hatchback body=saloon body=suv",
    "4 series gran coupe": "brand=bmw model=4-series body=coupe body=hatchback body=saloon",
    "3 series gran turismo": "brand=bmw model=3-series body=hatchback",
    "gran turismo": "brand=maserati model=granturismo",
    "a4 allroad": "brand=audi model=a4 body=estate",
    "passat variant": "brand=volkswagen model=passat body=estate",
    "audi a3 cabriolet": "brand=audi model=a3 body=convertible",
}

PARTED = [  # as people type them: the parts, the make and the model
    ("s max", "ford", "s-max"), ("c max", "ford", "c-max"), ("x trail", "nissan", "x-trail"),
    ("cx 5", "mazda", "cx-5"), ("mx 5", "mazda", "mx-5"), ("c hr", "toyota", "c-hr"), ("q 5", "audi", "q5"),
    ("id 3", "volkswagen", "id-3"), ("e tron", "audi", "e-tron"), ("t roc", "volkswagen", "t-roc"),
    ("t cross", "volkswagen", "t-cross"), ("f pace", "jaguar", "f-pace"), ("e pace", "jaguar", "e-pace"),
    ("i pace", "jaguar", "i-pace"), ("3 series", "bmw", "3-series"), ("c class", "mercedes-benz", "c-class"),
    ("xc 60", "volvo", "xc60"), ("s 60", "volvo", "s60"), ("rav 4", "toyota", "rav4"), ("ev 6", "kia", "ev6"),
    ("hr v", "honda", "hr-v"), ("model 3", "tesla", "model-3"), ("d max", "isuzu", "d-max"), ("m 3", "bmw", "m3"),
    ("e niro", "kia", "e-niro"), ("s type", "jaguar", "s-type"),
]  # fmt: skip


def parts_of(expected):
    asked, _, rest = expected.partition("|")
    pairs = [pair.split("=", 1) for pair in asked.split()]
    return sorted((field, value.replace("_line", " line")) for field, value in pairs), rest.strip()


@pytest.mark.parametrize(("query", "expected"), QUERIES.items(), ids=QUERIES)
def test_a_query_is_understood(query, expected):
    reading = read_search(query, DEMO, this_year=THIS_YEAR, in_miles=True)
    found = sorted((one.field, f"{one.value:g}" if isinstance(one.value, float) else str(one.value))
                   for one in reading.understood)  # fmt: skip
    assert (found, reading.rest) == parts_of(expected)


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_undone_by_its_field_is_not_understood_and_its_words_are_kept(query):
    understood = read_search(query, DEMO, this_year=THIS_YEAR).understood
    for field in {one.field for one in understood}:
        again = read_search(query, DEMO, this_year=THIS_YEAR, undone=[field])
        assert field not in {one.field for one in again.understood}
    texts = {one.text for one in understood}
    nothing = read_search(query, DEMO, this_year=THIS_YEAR, undone=list(texts))
    if understood:
        assert nothing.rest
        assert not texts & {one.text for one in nothing.understood}


@pytest.mark.parametrize("make", sorted(set(TABLE.makes.values())))
def test_every_make_of_the_table_is_understood_by_its_name_and_slug(make):
    for text in (BARE.make_names[make], make, make.upper().replace("-", " ")):
        assert ("brand", make) in {(one.field, one.value) for one in read_search(text, BARE, this_year=2026).understood}


@pytest.mark.parametrize("car", CARS, ids=lambda car: f"{car['make']} {car['model']}")
def test_every_model_of_the_demo_market_is_understood_behind_its_make(car):
    reading = read_search(f"{car['make']} {car['model']}", DEMO, this_year=THIS_YEAR)
    assert slug_of(car["make"]) in reading.values("brand")
    assert slug_of(car["model"]) in reading.values("model")
    assert reading.rest == ""


@pytest.mark.parametrize("joint", ["", " ", "-"], ids=["together", "parted", "hyphen"])
@pytest.mark.parametrize(("parts", "make", "model"), PARTED, ids=[parts for parts, *_ in PARTED])
def test_a_model_is_understood_however_its_parts_are_joined(parts, make, model, joint):
    reading = read_search(f"red {parts.replace(' ', joint)} diesel", BARE, this_year=THIS_YEAR)
    assert (reading.values("brand"), reading.values("model"), reading.rest) == ([make], [model], "")
    assert (reading.values("colour"), reading.values("fuel")) == (["red"], ["diesel"])


def test_every_model_of_the_table_is_understood_behind_its_make_however_its_parts_are_joined():
    others = {}
    for make in {make.slug: make for make in known_makes().values()}.values():
        for slug in make.models:
            parts = re.sub(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", "-", slug).split("-")
            whole = read_search(f"{make.name} {slug}", BARE, this_year=THIS_YEAR)
            for joint in ("", " ", "-") if len(parts) == 2 else ():
                reading = read_search(f"{make.name} {joint.join(parts)}", BARE, this_year=THIS_YEAR)
                if (reading.values("model"), reading.rest) != (whole.values("model"), whole.rest):
                    others[make.name, joint.join(parts)] = reading
    assert others == {}


@pytest.mark.parametrize(
    "words", ["gran coupe", "shooting brake", "sports tourer", "touring sports", "sport turismo", "active tourer"]
)
def test_a_makers_word_for_a_body_is_understood_however_its_parts_are_joined(words):
    bodies = [
        read_search(words.replace(" ", joint), BARE, this_year=THIS_YEAR).values("body") for joint in ("", " ", "-")
    ]
    assert bodies[0]
    assert bodies == [bodies[0]] * 3


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_every_value_is_understood_by_its_own_name(field):
    for value in FIELDS[field].values:
        if value not in ("other", "front", "rear", "all"):  # words that say nothing by themselves
            reading = read_search(f"{value.replace('_', ' ')} golf", DEMO, this_year=THIS_YEAR)
            assert reading.values(field) == [value]


@pytest.mark.parametrize("town", sorted(known_towns()))
def test_every_town_is_found_behind_near(town):
    assert read_search(f"near {town}", BARE, this_year=THIS_YEAR).values("near") == [known_towns()[town].name]


@pytest.mark.parametrize(
    "make", ["skoda", "volkswagen", "hyundai", "renault", "peugeot", "toyota", "nissan", "vauxhall"]
)
def test_a_make_with_two_letters_swapped_or_one_missing_is_still_understood(make):
    slips = [make[:at] + make[at + 1] + make[at] + make[at + 2 :] for at in range(1, len(make) - 1)]
    slips += [make[:at] + make[at + 1 :] for at in range(1, len(make))] if len(make) > 5 else []
    for slip in slips:
        assert read_search(slip, DEMO, this_year=THIS_YEAR).values("brand") == [make], slip


@pytest.mark.parametrize(
    "text", ["camera", "leather", "carplay", "heated", "panoramic roof", "marks of age", "two keys"]
)
def test_words_of_texts_and_equipment_are_no_misspelt_names(text):
    assert read_search(text, DEMO, this_year=THIS_YEAR).understood == ()


def test_a_name_that_the_stock_has_is_known_at_once():
    lexicon = Lexicon(makes={"zonda-works": "Zonda Works"}, models=[("zonda-works", "thunder-9", "Thunder 9")])
    reading = read_search("red zonda works thunder 9", lexicon, this_year=THIS_YEAR)
    assert reading.values("model") == ["thunder-9"]


def test_a_reading_becomes_filters_and_the_narrower_bound_holds():
    reading = read_search(
        "skoda estate under 15k under 12k 2019 or newer near leeds sunroof", DEMO, this_year=THIS_YEAR
    )
    filters = filters_of(reading, DEMO)
    assert filters == ListingFilters(
        makes=("skoda",), bodies=("estate",), max_price=12_000, min_year=2019, latitude=53.801, longitude=-1.549,
        radius_km=50.0, text="sunroof",
    )  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_any_text_can_be_read(text):
    filters_of(read_search(text, DEMO, this_year=THIS_YEAR, in_miles=True), DEMO)


WORDS = sorted(
    {word for query in QUERIES for word in query.split()} | {"£", "-", '"', "(", "9" * 40, "0", "km", "²", "٣"}
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=14))
def test_any_mixture_of_words_can_be_read_and_every_reading_stands_in_the_text(words):
    text = " ".join(words)
    reading = read_search(text, DEMO, this_year=THIS_YEAR, in_miles=True)
    assert all(one.text in text for one in reading.understood)
    filters_of(reading, DEMO)
