"""The meaning of bare numbers in one file: its currency and units, from the operator, the file and the market."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from catalog.imports.headings import Column, NamedMapping
from catalog.imports.money import currency_in
from catalog.imports.vocabulary import bare

MILES_MARKETS = frozenset(["GBP", "USD"])
_HEADINGS_BY_CURRENCY = {  # bare headings that one country's language has
    "SEK": frozenset(["vaxellada", "drivmedel", "miltal", "matarstallning", "farg", "kaross", "bransle", "marke"]),
    "NOK": frozenset(["girkasse", "drivstoff", "merke", "hjuldrift", "karosseri", "farge", "sted", "km stand"]),
    "DKK": frozenset(["maerke", "braendstof", "argang", "aargang", "farve", "gearkasse", "drivmiddel", "annonce nr"]),
    "PLN": frozenset(["przebieg", "skrzynia biegow", "rok produkcji", "paliwo", "marka pojazdu", "rodzaj paliwa"]),
    "CZK": frozenset(["prevodovka", "najeto", "karoserie", "palivo", "rok vyroby", "znacka", "barva"]),
    "RUB": frozenset(bare(word) for word in ("Пробег", "КПП", "Год выпуска", "Коробка", "Топливо", "Марка", "Цена")),
}
# Two of these mean that prices are in euros, unless the language is spoken in the marketplace's own country too.
_EURO_HEADINGS = frozenset(
    bare(word)
    for words in (
        "kilometerstand laufleistung erstzulassung kraftstoff getriebe hersteller preis verkaufspreis ez",
        "kraftst farbe marke modell tueren turen standort mwst vorbesitzer hubraum leistung schaltung",
        "marque modele kilometrage carburant prix annee couleur carrosserie energie boite teinte portes puissance",
        "modello chilometri alimentazione prezzo immatricolazione colore carrozzeria cambio chilometraggio telaio",
        "allestimento",
        "merk bouwjaar brandstof prijs kleur vraagprijs carrosserie tellerstand kenteken transmissie",
        "precio pvp combustible kilometraje bastidor matriculacion puertas version",
        "quilometros combustivel preco matricula lotacao cilindrada",
        "μαρκα μοντελο χιλιομετρα τιμη καυσιμο merkki malli hinta vuosimalli",
    )
    for word in words.split()
)
_ALSO_SPEAK_THEM = frozenset([
    "EUR", "CHF", "CAD", "MAD", "XOF", "XAF", "TND", "DZD", "XPF", "MGA", "GNF", "CDF", "RWF", "BIF", "DJF", "KMF",
    "HTG", "MUR", "MRU", "LBP", "SCR", "VUV", "SRD", "AWG", "ANG", "XCG",
])  # fmt: skip


@dataclass(frozen=True)
class Conventions:
    """Units and currency of numbers where neither the cell nor the heading names them."""

    currency: str
    distance_unit: str = "km"
    consumption_unit: str = "l_100km"
    power_unit: str = "hp"
    vat: str = ""  # "net" or "gross" where the operator says so, whatever the file says
    assumptions: tuple[str, ...] = ()  # what was guessed, in words for the operator


def find_conventions(
    columns: Sequence[Column],
    sample: Sequence[Sequence[str]],
    *,
    market_currency: str,
    market_distance: str = "",
    market_power: str = "",
    currency: str = "",
    distance_unit: str = "",
    named: NamedMapping | None = None,
    vat: str = "",
) -> Conventions:
    """Decide units and currency: by the operator, then by the file, then by the market."""
    named = named or NamedMapping()
    assumptions = []
    money = currency or named.currency or _currency_shown(columns, sample)
    has_price = any(column.field == "price" for column in columns)
    has_currency = any(column.field == "currency" for column in columns)
    of_language = _currency_of_language(columns, market_currency)
    if has_price and not money and not has_currency and not of_language:
        assumptions.append(f"prices name no currency: read as {market_currency}; say --currency if they are not")
    if has_price and not money and of_language:
        assumptions.append(
            f"prices are read as {of_language}, by the language of the headings; say --currency if they are not"
        )
    money = money or of_language or market_currency
    distance = distance_unit or named.distance_unit
    if not distance:
        distance, assumption = _distance_unit(columns, money, market_distance if money == market_currency else "")
        assumptions += [assumption] if assumption else []
    consumption = named.consumption_unit or ("mpg_us" if money == "USD" else "mpg" if distance == "mi" else "l_100km")
    power = named.power_unit or (market_power if money == market_currency else "")
    has_bare_power = any(column.field == "power" and not column.unit for column in columns)
    if has_bare_power and not named.power_unit:
        assumptions.append(_assumed_power(power))
    power = power or ("hp" if distance == "mi" or money == "INR" else "ps")
    return Conventions(money, distance, consumption, power, vat, tuple(assumptions))


def _assumed_power(unit: str) -> str:
    """Return the note on powers without a unit, by the unit of the marketplace, or ""."""
    if unit != "kw":
        return "a power without a unit is read as horsepower; say --map COLUMN=power_kw if it is kilowatts"
    return (
        "a power without a unit is read as kilowatts (the unit of this marketplace); "
        "say --map COLUMN=power_hp if it is horsepower"
    )


def _currency_of_language(columns: Sequence[Column], market_currency: str) -> str:
    """Return the currency of the country whose language the headings are in; "" where it is ambiguous."""
    if any(column.unit == "mil" for column in columns):
        return "SEK"
    headings = {bare(column.heading) for column in columns}
    n_words = {code: len(headings & words) for code, words in _HEADINGS_BY_CURRENCY.items()}
    code = max(n_words, key=lambda each: n_words[each])
    if n_words[code] >= 2:
        return code
    is_euro = market_currency not in _ALSO_SPEAK_THEM and len(headings & _EURO_HEADINGS) >= 2
    return "EUR" if is_euro else ""


def _currency_shown(columns: Sequence[Column], sample: Sequence[Sequence[str]]) -> str:
    """Return the currency of the price column's heading or cells; other headings (``tax(£)``) come after those."""
    prices = [column for column in columns if column.field == "price"]
    for column in prices:
        if column.currency:
            return column.currency
    shown = [
        code for column in prices for cells in sample
        if column.index < len(cells) and (code := currency_in(cells[column.index]))
    ]  # fmt: skip
    shown = shown or [
        code for column in columns if column.field == "currency" for cells in sample
        if column.index < len(cells) and (code := currency_in(cells[column.index]))
    ]  # fmt: skip
    if shown:
        return max(set(shown), key=shown.count)
    return next((column.currency for column in columns if column.currency), "")


def _distance_unit(columns: Sequence[Column], currency: str, market_distance: str = "") -> tuple[str, str]:
    """Return the unit and the assumption made: miles where the file counts miles per gallon, else by the currency's
    market.

    ``market_distance``: "mi" or "km" where the file's market is our own; "" elsewhere.
    """
    unmarked = [column for column in columns if column.field == "mileage" and not column.unit]
    if any(column.field == "mileage_unit" for column in columns):
        unmarked = []  # each row has a unit
    miles = any(column.field == "consumption" and column.unit.startswith("mpg") for column in columns)
    custom = "mi" if currency in MILES_MARKETS else "km"
    unit = "mi" if miles else market_distance or custom
    if not unmarked:
        return unit, ""
    why = f"the custom where prices are in {currency}" if unit == custom else "the unit of this marketplace"
    why = "the file counts miles per gallon" if miles else why
    other = "km" if unit == "mi" else "mi"
    words = {"mi": "miles", "km": "kilometres"}
    return unit, (
        f"“{unmarked[0].heading}” names no unit: read as {words[unit]} ({why}); "
        f"say --distance-unit {other} if it is {words[other]}"
    )
