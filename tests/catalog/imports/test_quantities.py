from decimal import Decimal

import pytest

from catalog.imports.dates import read_year
from catalog.imports.money import Money, read_money, settle_currency
from catalog.imports.numbers import Unreadable, numbers_in
from catalog.imports.quantities import (
    read_consumption_l_100km,
    read_distance_km,
    read_doors,
    read_engine_l,
    read_owner_count,
    read_power_kw,
    read_seats,
)


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("£8,000", "8000", "GBP"),
        ("12.500 €", "12500", "EUR"),
        ("12.500,00", "12500", ""),
        ("12,500.00", "12500", ""),
        ("€ 9 990,-", "9990", "EUR"),
        ("9\u202f990 €", "9990", "EUR"),
        ("Fr. 12'500.–", "12500", "CHF"),
        ("1e4", "10000", ""),
        ("1,5E+04", "15000", ""),
        ("4,50,000", "450000", ""),
        ("₹ 3.5 lakh", "350000", "INR"),
        ("1.2 Crore", "12000000", ""),
        ("15k", "15000", ""),
        ("8000.0", "8000", ""),
        ("7999.99", "7999.99", ""),
        ("12.500 € VB", "12500", "EUR"),
        ("12.500,00 € (19% MwSt.)", "12500", "EUR"),
        ("$10,300", "10300", "$"),
        ("US$ 9500", "9500", "USD"),
        ("Â£8,000", "8000", "GBP"),
        ("\ufffd8,000", "8000", ""),  # a pound sign that an earlier program lost
    ],
)
def test_a_price_is_read_as_people_write_it(text, amount, currency):
    assert read_money(text) == Money(Decimal(amount), currency)


@pytest.mark.parametrize("text", ["POA", "Preis auf Anfrage", "prix sur demande", "VB", "0", "0,00 €"])
def test_a_price_on_request_is_unknown_and_no_mistake(text):
    assert read_money(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("-500", "negative"),
        ("£-500", "negative"),
        ("£199 pm", "by the month"),
        ("299 €/Monat", "by the month"),
        ("8,000-9,000", "more than one"),
        ("was £9,000 now £8,000", "more than one"),
        ("Focus 2016", "not a price"),
        ("01.03.2018", "not a number"),
        ("99999999999", "too large"),
        ("1e999999", "too large"),
        ("blue", "no amount"),
    ],
)
def test_what_is_no_price_is_refused_with_the_reason(text, reason):
    with pytest.raises(Unreadable, match=reason):
        read_money(text)


def test_a_dollar_sign_means_the_dollar_of_the_file():
    assert settle_currency("$", ["CAD"]) == "CAD"
    assert settle_currency("$", ["GBP"]) == "USD"
    assert settle_currency("kr", ["DKK"]) == "DKK"
    with pytest.raises(Unreadable, match="--currency"):
        settle_currency("kr", ["EUR"])


@pytest.mark.parametrize(
    ("text", "unit", "km"),
    [
        ("38,852", "km", 38852),
        ("38852", "mi", 62526),  # 38,852 x 1.609344
        ("150,000km", "mi", 150000),
        ("150.000 km", "km", 150000),
        ("51,000 mi.", "km", 82077),
        ("45k miles", "km", 72420),
        ("85 Tsd. km", "km", 85000),
        ("57923.0", "mi", 93218),
        ("1.5e5", "km", 150000),
        ("12 345", "km", 12345),
        ("10,000 mi (16,093 km)", "km", 16093),
        ("0", "km", 0),
    ],
)
def test_a_distance_becomes_kilometres_and_its_own_unit_wins(text, unit, km):
    assert read_distance_km(text, unit) == km


@pytest.mark.parametrize("text", ["-5", "12345678", "100000 - 124999", "1248 CC", "£145", "low", "1.2.3"])
def test_what_is_no_distance_is_refused(text):
    with pytest.raises(Unreadable):
        read_distance_km(text, "km")


@pytest.mark.parametrize(
    ("text", "litres"),
    [
        ("1248 CC", 1.248),
        ("1.6", 1.6),
        ("1,6 l", 1.6),
        ("999", 0.999),
        ("1.598 cm³", 1.598),
        ("1.995", 1.995),
        (" 2,00 cc", 2.0),
        ("1.0T", 1.0),
        ("2.0 Turbo", 2.0),
        ("1.5 dCi 110", 1.5),
        ("4 cyl, 2.2 L", 2.2),
        ("8 Cylinder 5.0 L", 5.0),
        ("300.0HP 3.7L V6 Cylinder Engine", 3.7),
        ("0", None),
        ("0 CC", None),
        ("Electric Motor", None),
    ],
)
def test_an_engine_size_becomes_litres_and_nought_is_unknown(text, litres):
    assert read_engine_l(text) == litres


@pytest.mark.parametrize("text", ["V6", "£145", "n.v.t. soon", "20"])
def test_what_is_no_engine_size_is_refused(text):
    with pytest.raises(Unreadable):
        read_engine_l(text)


@pytest.mark.parametrize(
    ("text", "unit", "kw"),
    [
        ("110 kW (150 PS)", "hp", 110),
        ("81 kW / 110 PS", "hp", 81),
        ("150 PS", "kw", 110),
        ("81,4 bhp", "kw", 61),
        ("74 bhp", "kw", 55),
        ("82.85bhp@5500rpm", "kw", 62),
        ("110", "kw", 110),
        ("110", "hp", 82),
        ("110", "ps", 81),
        ("1.001 PS", "kw", 736),
        (" bhp", "hp", None),
        ("0", "hp", None),
    ],
)
def test_a_power_becomes_kilowatts(text, unit, kw):
    assert read_power_kw(text, unit) == kw


@pytest.mark.parametrize(
    ("text", "unit", "litres"),
    [
        ("18.9 kmpl", "mpg", 5.29),
        ("45.6 mpg", "l_100km", 6.19),
        ("45.6", "mpg", 6.19),
        ("45.6 mpg", "mpg_us", 5.16),
        ("5,4 l/100km", "mpg", 5.4),
        ("8.7 L / 100 km", "mpg", 8.7),
        ("5,2 l/100 km (kombiniert)", "mpg", 5.2),
        ("12,5 km/l", "mpg", 8.0),
        ("0.0 kmpl", "kmpl", None),
        ("- (l/100 km)", "l_100km", None),
    ],
)
def test_a_consumption_becomes_litres_per_hundred_kilometres(text, unit, litres):
    assert read_consumption_l_100km(text, unit) == litres


@pytest.mark.parametrize(
    ("text", "reason"),
    [("26.6 km/kg", "kilograms"), ("16.8 kWh/100 km", "electricity"), ("260 g/km", "CO2"), ("0.3", "no car")],
)
def test_a_consumption_of_something_else_is_refused(text, reason):
    with pytest.raises(Unreadable, match=reason):
        read_consumption_l_100km(text, "mpg")


@pytest.mark.parametrize(
    "text", ["2018", "2018.0", "2,018", "03/2018", "2018-03", "01.03.2018", "20180301", "Mar-18", "03/18", "EZ 05.2018"]
)
def test_a_year_is_found_in_every_kind_of_date(text):
    assert read_year(text, this_year=2026) == 2018


@pytest.mark.parametrize(
    ("text", "reason"),
    [("2060", "future"), ("18", "no year"), ("1850", "before the first car"), ("2015/2018", "more than one")],
)
def test_what_is_no_year_is_refused(text, reason):
    with pytest.raises(Unreadable, match=reason):
        read_year(text, this_year=2026)


def test_next_years_cars_are_sold_already():
    assert read_year("2027", this_year=2026) == 2027


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1st owner", 1),
        ("First Owner", 1),
        ("Fourth & Above Owner", 4),
        ("1. Hand", 1),
        ("2.0", 2),
        ("Test Drive Car", 0),
    ],
)
def test_owners_are_counted_in_figures_and_words(text, count):
    assert read_owner_count(text) == count


@pytest.mark.parametrize(
    ("text", "doors"), [("5", 5), ("4/5", 5), ("04-May", 5), ("02-Mar", 3), (">5", 5), ("5-türig", 5)]
)
def test_doors_survive_even_a_spreadsheet_that_takes_them_for_a_date(text, doors):
    assert read_doors(text) == doors


def test_seats_are_a_whole_number():
    assert read_seats("7.0") == 7
    with pytest.raises(Unreadable):
        read_seats("4.5")


def test_a_text_without_digits_has_no_numbers():
    assert numbers_in("") == ()
    assert numbers_in("none at all") == ()


@pytest.mark.parametrize("text", ["1" + "0" * 30 + "만원", "£1" + "0" * 40, "9" * 60 + " €"])
def test_an_amount_of_very_many_digits_is_too_large(text):
    with pytest.raises(Unreadable, match="too large"):
        read_money(text)
