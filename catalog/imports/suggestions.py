"""Suggest fields for the columns of a file that are not read, by their values; no database.

A suggestion is shown before anything is stored, and is not applied: the operator maps the column or ignores it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from catalog.imports.dates import read_year
from catalog.imports.money import is_marked_as_money, read_money
from catalog.imports.names import known_makes, name_car, rare_makes, slug_of, split_make
from catalog.imports.numbers import Unreadable
from catalog.imports.quantities import has_distance_unit, has_engine_unit, has_power_unit, read_distance_km
from catalog.imports.vocabulary import COLOUR, VOCABULARIES

ROWS_LOOKED_AT = 60
FEWEST_VALUES = 2  # values that a suggestion needs
MOST_OF_THEM = 0.8  # share of a column's values that must fit a suggested field
HARDLY_ANY = 0.2  # share of fitting values below which a column's field is doubted
OLDEST_YEAR = 1950
PRICES = (300, 1_000_000)  # in whatever currency; most cars for sale are within
ESSENTIAL = {"external_id": "ids", "price": "prices", "make": "makes"}
IN_WORDS = {"external_id": "id", "vin": "VIN", "photos": "photos"}
_WORDS = ("fuel", "gearbox", "body", "drive")
_VIN = re.compile(r"(?=.*\d)(?=.*[A-HJ-NPR-Z])[A-HJ-NPR-Z0-9]{17}")
_ID = re.compile(r"(?=.*\d)[\w./-]{3,40}")
_WHOLE = re.compile(r"\d{1,3}(?:[.,' ]\d{3})+|\d+")
_ROUND = re.compile(r"(?:00|50|90|95|99)$")  # how most prices end, and few odometers
_FULL_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_PHOTO = re.compile(r"https?://\S+\.(?:jpe?g|png|webp)\b", re.IGNORECASE)

Fits = Callable[[str], bool]


def suggested_fields(
    headings: Sequence[str], sample: Iterable[Sequence[str]], fields: Mapping[int, str], *, this_year: int
) -> dict[int, str]:
    """Suggest fields by the index of the column.

    Args:
        headings: Of the file; a column without one is left out, since it cannot be mapped.
        sample: Some of the first rows.
        fields: Fields of the columns that are read, by index. Those whose values do not fit are examined too.
        this_year: A year may be the next one.

    Returns:
        Each field at most once, and none that another column has.
    """
    rows = [row for row, _ in zip(sample, range(ROWS_LOOKED_AT), strict=False)]
    values = {
        index: [row[index].strip() for row in rows if index < len(row) and row[index].strip()]
        for index, heading in enumerate(headings)
        if heading.strip()
    }
    misread = {index for index, field in fields.items() if _is_misread(values.get(index, []), field)}
    taken = {field for index, field in fields.items() if index not in misread}
    open_columns = {
        index: some
        for index, some in values.items()
        if (index not in fields or index in misread) and len(some) >= FEWEST_VALUES
    }
    makes = next((index for index, field in fields.items() if field == "make"), None)
    found: dict[int, str] = {}
    for field, fits in _recognisers(this_year).items():
        if field == "model" and makes is None:
            makes = next((index for index, other in found.items() if other == "make"), None)
        if field in taken:
            continue
        if field == "model" and makes is not None:
            shares = {index: _share_of_models(rows, makes, index) for index in open_columns}
        else:
            shares = {index: _share(some, fits) for index, some in open_columns.items()}
        like = [index for index, share in shares.items() if share >= MOST_OF_THEM and index not in found]
        if like:
            found[max(like, key=shares.__getitem__)] = field
    if "external_id" not in taken:
        found |= _id_among({index: some for index, some in open_columns.items() if index not in found}, len(rows))
    return dict(sorted(found.items()))


def in_sentences(headings: Sequence[str], suggested: Mapping[int, str]) -> list[str]:
    """Return sentences such as ``“Type” looks like the model``."""
    return [f"“{headings[index].strip()}” looks like the {in_words(field)}" for index, field in suggested.items()]


def in_words(field: str) -> str:
    return IN_WORDS.get(field, field.replace("_", " "))


def missing_columns(fields: Iterable[str]) -> list[str]:
    """Return the fields that every import needs and no column has: a VIN replaces an id, a title a make."""
    known = set(fields)
    known |= {"external_id"} if "vin" in known else set()
    known |= {"make"} if "title" in known else set()
    return [f"No column of {words} was found" for field, words in ESSENTIAL.items() if field not in known]


# --- Recognisers -----------------------------------------------------------------------------------------------------
def _recognisers(this_year: int) -> dict[str, Fits]:
    """Return predicates by field, the clearest first: a column is suggested for the first field that it fits."""
    return {
        "vin": lambda text: bool(_VIN.fullmatch(text.upper())),
        "photos": lambda text: bool(_PHOTO.match(text)),
        "make": _is_make,
        "title": _is_title,
        "model": lambda text: bool(name_car("", text).model_slug),
        **{field: partial(_is_word_of, field) for field in _WORDS},
        "colour": lambda text: COLOUR.exact(text) is not None,
        "year": partial(_is_year, this_year),
        "power": has_power_unit,
        "engine": has_engine_unit,
        "mileage": _is_distance_in_words,
        "price": _is_price,
    }


def _share(values: Sequence[str], fits: Fits) -> float:
    if not any(map(fits, values[:5])):  # a shortcut for most columns
        return 0.0
    return sum(map(fits, values)) / (len(values) or 1)


def _share_of_models(rows: Sequence[Sequence[str]], makes: int, index: int) -> float:
    """Return the share of a column's values that are models of the make in the same row."""
    named = [name_car(row[makes], row[index]) for row in rows if max(makes, index) < len(row) and row[index].strip()]
    known = known_makes()
    fit = sum(name.make_slug in known and name.model_slug in known[name.make_slug].models for name in named)
    return fit / (len(named) or 1)


def _is_misread(values: Sequence[str], field: str) -> bool:
    """Whether hardly any value of a column fits its field."""
    by_field: dict[str, Fits] = {"price": _is_money, "mileage": _is_distance}
    fits = partial(_says_word_of, field) if field in _WORDS else by_field.get(field)
    return fits is not None and len(values) >= FEWEST_VALUES and _share(values, fits) <= HARDLY_ANY


def _is_make(text: str) -> bool:
    return slug_of(text) in known_makes() or slug_of(text) in rare_makes()


def _is_title(text: str) -> bool:
    make, rest = split_make(text)
    return bool(make and rest and name_car("", text).model_slug)


def _is_word_of(field: str, text: str) -> bool:
    return VOCABULARIES[field].exact(text) is not None


def _says_word_of(field: str, text: str) -> bool:
    return VOCABULARIES[field].read(text) is not None


def _is_year(this_year: int, text: str) -> bool:
    try:
        return bool(_FULL_YEAR.search(text)) and len(text) <= 10 and read_year(text, this_year) > OLDEST_YEAR
    except Unreadable:
        return False


def _is_money(text: str) -> bool:
    return _can_be_read(read_money, text)


def _is_distance(text: str) -> bool:
    return _can_be_read(read_distance_km, text)


def _can_be_read(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except Unreadable:
        return False
    return True


def _is_distance_in_words(text: str) -> bool:
    return has_distance_unit(text) and _is_distance(text)


def _is_price(text: str) -> bool:
    """Whether a text is marked as money, or is a number in the range of prices that ends as prices do."""
    if is_marked_as_money(text):
        return _is_money(text)
    if not _WHOLE.fullmatch(text):
        return False
    digits = re.sub(r"\D", "", text)
    return len(digits) < 10 and PRICES[0] <= int(digits) <= PRICES[1] and bool(_ROUND.search(digits))


def _id_among(columns: Mapping[int, Sequence[str]], n_rows: int) -> dict[int, str]:
    """Return the first column whose values are all given, all different, and no words."""
    for index, values in columns.items():
        if len(values) == n_rows == len(set(values)) and all(map(_ID.fullmatch, values)):
            return {index: "external_id"}
    return {}
