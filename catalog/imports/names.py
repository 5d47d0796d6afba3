"""Map makes and models, however they are written, to one name and one slug each; no database.

``data/makes.csv`` holds the known makes, their other spellings, and their models. Other makes and models are named as
written; ``known`` decides whether they may be added to the catalogue.
"""

from __future__ import annotations

import csv
import difflib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path

from catalog.imports.other_scripts import in_latin, is_cyrillic, sound_of
from catalog.imports.vocabulary import BARE_LETTERS, PLAIN_WORDS, bare

MAKES_FILE = Path(__file__).parent / "data" / "makes.csv"
SERIES_FILE = MAKES_FILE.with_name("series.csv")
RARE_MAKES_FILE = MAKES_FILE.with_name("rare_makes.csv")
MAX_MAKE_WORDS = 3  # "London Taxi Company": how far into a title a make can reach
MAX_MODEL_WORDS = 5
SLUG_LENGTH = 80
SHORTEST_MISTYPED = 4  # letters; of shorter names each one counts
LONG_SLUG = 8  # letters; of longer names two may be wrong
TRIM_WORDS = 3  # so many words after a known model are equipment, not part of the model's name

_EMPTY_WORDS = PLAIN_WORDS["before_a_name"]  # of a heading, before its make: "Used", "Vends"
_WORDS_BEHIND_MAKES = PLAIN_WORDS["behind_a_make"]  # "MG Motor UK"
_TRIMS_LIKE_MODELS = PLAIN_WORDS["trims_like_models"]  # "500X Cross" is no model, though "Corolla Cross" is
# Models whose names are everyday words: alone they do not say which make is meant.
_EVERYDAY_WORDS = PLAIN_WORDS["everyday"]
# Words behind a known model that may make it another one: "Corolla Cross" where only the Corolla is known.
_WORDS_OF_MODELS = PLAIN_WORDS["words_of_models"]
_TRIM_WORDS = PLAIN_WORDS["trim_words"]
_FARTHEST_MODEL = 4  # words behind a year that a heading puts before the model
_SERIES_WORDS = 3  # "Classe A", "C 220 d": so many words can name a series
_SAYS_MORE = re.compile(r"\d\d|cooper|one|works|jcw")  # an engine or a line, which stays in the title of its series
_LETTERS_BEHIND = re.compile(r"([a-z]+-?\d{2,3})[a-z]{1,2}")  # a code, and the line of equipment that is part of it
_ENGINE_SIZE = re.compile(r"\b\d[.,]\d\b")
_YEAR_FIRST = re.compile(
    r"^\(?((?:19|20)\d\d)\)?(?:my)?[\s,/-]+(?=\S)(?:\(\d\d\)\s+)?", re.IGNORECASE
)  # "2019 (69) Audi A4"
# "Ford Focus Titanium 2016", "VW Golf Highline, Bj. 2016, 1. Hand"
_YEAR_LAST = re.compile(
    r"(?:^|\s)\(?((?:19|20)\d\d)\)?$|\b(?:Bj|Baujahr|EZ)\b[.:]?\s*(?:\d\d?[/.])?((?:19|20)\d\d)\b", re.IGNORECASE
)
_PLATE_FIRST = re.compile(r"^\W*\d\d[\s-](?:plate|reg)\b\W*", re.IGNORECASE)  # "68 plate Ford Kuga"


@dataclass(frozen=True)
class KnownMake:
    name: str
    slug: str
    models: dict[str, str] = field(repr=False)  # slug -> name
    compact: dict[str, str] = field(
        repr=False, default_factory=dict
    )  # slug without hyphens -> slug, where it names one
    reordered: dict[str, str] = field(repr=False, default_factory=dict)  # words of a slug by the alphabet -> slug
    series: tuple[tuple[re.Pattern[str], str], ...] = field(repr=False, default=())  # of a slug -> model

    def slug_of_model(self, words: list[str]) -> str:
        """Return the model that exactly these words name: ``F150`` is the F-150, ``C4 Grand Picasso`` the Grand C4
        Picasso.

        "" where they name none.
        """
        text = " ".join(words)
        if is_cyrillic(text):
            return self.by_sound.get(sound_of(text), "")
        slug = slug_of(text)
        if slug in self.models:
            return slug
        return self.compact.get(slug.replace("-", "")) or self.reordered.get(_in_order(slug), "")

    @cached_property
    def by_sound(self) -> dict[str, str]:
        """The slugs of models by how they sound, where that is one model's alone."""
        slugs: dict[str, list[str]] = {}
        for slug in self.models:
            slugs.setdefault(sound_of(slug), []).append(slug)
        return {sound: found[0] for sound, found in slugs.items() if sound and len(found) == 1}

    def series_of(self, words: list[str]) -> str:
        """Return the slug of the series of an engine or a foreign name: ``328i``, ``Classe A``; "" where there is
        none."""
        slug = slug_of(in_latin(" ".join(words)) if is_cyrillic(" ".join(words)) else " ".join(words))
        for pattern, model in self.series:
            if match := pattern.fullmatch(slug):
                named = slug_of(model.replace("{1}", match[1]))
                return named if named in self.models else ""
        if match := _LETTERS_BEHIND.fullmatch(slug):  # "Q50S", "F-250SD"
            return self.slug_of_model([match[1]])
        return ""


@dataclass(frozen=True)
class CarName:
    """The parts of a car's name; "" where unknown. Slugs are "" exactly where the names are."""

    make: str = ""
    make_slug: str = ""
    model: str = ""
    model_slug: str = ""
    variant: str = ""
    year: int | None = None

    @cached_property
    def title(self) -> str:
        says_its_make = self.make and f"{self.model} ".casefold().startswith(f"{self.make} ".casefold())  # DS 3
        is_said_again = not self.model.isdigit() and self.model.casefold() in self.variant.casefold().split()  # NX 300h
        parts = ("" if says_its_make else self.make, "" if is_said_again else self.model, self.variant)
        return " ".join(filter(None, parts))


@lru_cache(maxsize=65536)
def slug_of(text: str) -> str:
    """Return ``skoda`` for ``Škoda``, ``id-3`` for ``ID.3``, ``ka-plus`` for ``Ka+``; other scripts keep their
    letters."""
    bare = unicodedata.normalize("NFKD", text.casefold().replace("+", " plus ").translate(BARE_LETTERS))
    bare = "".join(letter for letter in bare if not unicodedata.combining(letter))
    latin = re.sub(r"[^a-z0-9]+", "-", bare).strip("-")
    return (latin or re.sub(r"[\W_]+", "-", bare).strip("-"))[:SLUG_LENGTH].rstrip("-")


@cache
def known_makes() -> dict[str, KnownMake]:
    """Return the makes of the table, by the slugs of their names and aliases."""
    makes: dict[str, KnownMake] = {}
    with MAKES_FILE.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            models = {slug_of(model): model for model in row["models"].split("|") if model}
            make = KnownMake(
                row["make"],
                slug_of(row["make"]),
                models,
                _compact(models),
                _reordered(models),
                _series().get(row["make"], ()),
            )
            for alias in (row["make"], *filter(None, row["aliases"].split("|"))):
                makes[slug_of(alias)] = make
    return makes


@cache
def rare_makes() -> dict[str, KnownMake]:
    """Return makes whose models are not in our table, by the slugs of their names and aliases."""
    makes = {}
    with RARE_MAKES_FILE.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            for alias in (row["make"], *filter(None, row["aliases"].split("|"))):
                makes[slug_of(alias)] = KnownMake(row["make"], slug_of(row["make"]), {})
    return makes


@cache
def _series() -> dict[str, tuple[tuple[re.Pattern[str], str], ...]]:
    """Return by the make's name patterns of slugs, and the models that they name."""
    found: dict[str, tuple[tuple[re.Pattern[str], str], ...]] = {}
    with SERIES_FILE.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            found[row["make"]] = (*found.get(row["make"], ()), (re.compile(row["pattern"]), row["model"]))
    return found


def _compact(models: dict[str, str]) -> dict[str, str]:
    """Map slugs without hyphens to slugs, where the short form has a letter and names one model only."""
    slugs: dict[str, list[str]] = {}
    for slug in models:
        slugs.setdefault(slug.replace("-", ""), []).append(slug)
    return {form: found[0] for form, found in slugs.items() if len(found) == 1 and not form.isdigit() and len(form) > 1}


def _in_order(slug: str) -> str:
    return "-".join(sorted(slug.split("-")))


def _reordered(models: dict[str, str]) -> dict[str, str]:
    """Map slugs of three and more words, with their words sorted, to slugs, where they name one model only."""
    slugs: dict[str, list[str]] = {}
    for slug in models:
        if slug.count("-") > 1:
            slugs.setdefault(_in_order(slug), []).append(slug)
    return {form: found[0] for form, found in slugs.items() if len(found) == 1}


@cache
def _make_by_model() -> dict[str, KnownMake]:
    """Map models that only one make has to that make: ``focus`` -> Ford. Everyday words are left out."""
    owners: dict[str, set[str]] = {}
    for make in known_makes().values():
        for slug in make.models:
            owners.setdefault(slug, set()).add(make.slug)
    return {
        slug: known_makes()[next(iter(makes))]
        for slug, makes in owners.items()
        if len(makes) == 1 and len(slug) > 2 and not slug.isdigit() and slug not in _EVERYDAY_WORDS
    }


@lru_cache(maxsize=4096)
def near_makes(make: str) -> tuple[str, ...]:
    """Return known makes with a spelling near an unknown one: ``Vauxhal`` -> Vauxhall; () for a known one."""
    slug, makes = slug_of(make), rare_makes() | known_makes()
    near = () if slug in makes else near_slugs(slug, tuple(makes))
    return tuple(dict.fromkeys(makes[each].name for each in near))


@lru_cache(maxsize=4096)
def near_models(make_slug: str, model: str) -> tuple[str, ...]:
    """Return known models of a make with a spelling near an unknown one: ``Fokus`` of Ford -> Focus."""
    make, slug = known_makes().get(make_slug), slug_of(model)
    near = () if make is None or slug in make.models else near_slugs(slug, tuple(make.models))
    return tuple(make.models[each] for each in near) if make else ()


def near_slugs(slug: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return slugs of which another may be a typing error, nearest first; ``id-3`` is none of ``id-4``."""
    if len(slug) < SHORTEST_MISTYPED:
        return ()
    close = difflib.get_close_matches(slug, known, n=3, cutoff=0.7 if len(slug) < LONG_SLUG else 0.8)
    return tuple(each for each in close if _is_typing_error(slug, each))


def _is_typing_error(slug: str, other: str) -> bool:
    """Whether one letter (two in long names) is missing, added or different, or two neighbours are swapped.

    Names with a number are codes, in which each letter counts (EC40 is no C40), and an E before a name marks the
    electric version.
    """
    if re.search(r"\d", slug + other):
        return slug.replace("-", "") == other.replace("-", "")
    if re.sub(r"^e-?", "", slug) == other or re.sub(r"^e-?", "", other) == slug:
        return False
    most = 1 if len(slug) < LONG_SLUG else 2
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(slug, start=1):
        row = [i]
        for j, second in enumerate(other, start=1):
            steps = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != second))
            if i > 1 and j > 1 and letter == other[j - 2] and slug[i - 2] == second:
                steps = min(steps, before[j - 2] + 1)
            row.append(steps)
        before, last = last, row
    return last[-1] <= most


def tidy(text: str) -> str:
    return " ".join(text.replace("_", " ").split()).strip(" ,;|-")


def _in_title_case(name: str) -> str:
    """Return ``Fiesta`` for ``FIESTA`` and ``fiesta``; short codes (``GLC``, ``XC60``) and mixed case stay."""
    words = []
    for word in name.split(" "):
        shouted = word.isupper() and word.isalpha() and len(word) > 3
        whispered = word.islower() and word.isalpha()
        words.append(word.capitalize() if shouted or whispered else word)
    return " ".join(words)


@lru_cache(maxsize=65536)
def name_car(make: str, model: str, title: str = "") -> CarName:
    """Combine what a file says about a car's name.

    Args:
        make: The make's cell, "" when the file has none; ``VW``, ``MERCEDES_BENZ`` and `` Ford`` are fine.
        model: The model's cell; may begin with the make and continue with the trim.
        title: The listing's title, used only for what the other two leave open.

    Returns:
        The canonical names. A model without a make is kept as the variant, since models are unique only within a make.
    """
    make, model, title = tidy(make), tidy(model), tidy(title)
    if not make:
        return _without_make(model, title)
    known = _canonical_make(make)
    if not known.slug:
        return _without_make(model, title)
    if not known.models and (named := _make_within(model)):
        known = named  # the group or tuner is named as the make, the make with the model: "GWM", "Ora 03"
    elif not known.models and known.slug not in rare_makes() and (owner := _make_by_model().get(known.slug)):
        known, model = owner, f"{make} {model}".strip()  # "Range Rover" under "make"
    if not model and title:
        return _from_title(title, known.slug) or CarName(known.name, known.slug)
    return _with_model(known, model if slug_of(model) in known.models else _without_leading_make(model, known.slug))


def _canonical_make(make: str) -> KnownMake:
    """Return the make of the table, or one without models, named as written."""
    words = make.split()
    for n_words in range(len(words), 0, -1):
        slug = slug_of(" ".join(words[:n_words]))
        if known := known_makes().get(slug) or rare_makes().get(slug):
            return known
        if words[n_words - 1].casefold() not in _WORDS_BEHIND_MAKES:
            break
    return KnownMake(_in_title_case(make)[:80].rstrip(), slug_of(make), {})


def _make_within(model: str) -> KnownMake | None:
    """Return the make that a model's cell begins with, where one of its models follows."""
    make, rest = _leading_make(model.split())
    return make if make is not None and _leading_model(rest, make)[1] else None


def _without_make(model: str, title: str) -> CarName:
    """Name a car without a make cell: the model or the title may begin with the make, or name a model of one make
    only."""
    for text in (model, title):
        if text and (named := _from_title(text)):
            return named
    return CarName(variant=model)


def _from_title(title: str, make_slug: str = "") -> CarName | None:
    """Read make and model from the beginning of a title; None when it does not begin with a known make.

    With ``make_slug`` only the model is looked for.
    """
    year, words = _without_empty_words(title, known_makes().get(make_slug))
    make, rest = _leading_make(words)
    if make is None or (make_slug and make.slug != make_slug):
        known = known_makes().get(make_slug)
        make, rest = known or _make_of_leading_model(words), words
    if make is None:
        return None
    if year is None and (number := _YEAR_LAST.match(" ".join(rest[:1]))) and (at := _later_model(rest, make)):
        year, rest = int(number[1]), rest[at:] + rest[1:at]  # "BMW 2002 SE 320d" is of that year, "BMW 2002 tii" is not
    while rest and _is_empty(rest[0]) and not _leading_model(rest, make)[1]:
        rest = rest[1:]
    n_words, model_slug = _leading_model(rest, make)
    if model_slug:
        model, variant = make.models[model_slug], rest[n_words:]
    elif make_slug and rest == words:
        return None  # the heading does not follow "make model …", so its first word need not be a model
    else:
        model, variant = _in_title_case(" ".join(rest[:1]))[:120], rest[1:]
    model_slug = slug_of(model)
    if year is None and (last := _YEAR_LAST.search(" ".join(variant))):
        year, variant = int(last[1] or last[2]), variant[:-1] if last[1] else variant
    return CarName(make.name, make.slug, model if model_slug else "", model_slug, " ".join(variant), year)


def _without_empty_words(title: str, make: KnownMake | None = None) -> tuple[int | None, list[str]]:
    """Return the year, and the words of a title from the first that may name a car: ``Used 2017 Honda CR-V``.

    For a known make, a number that names a model (``2019 2008 1.2``) is a year only where make or model follow it.
    """
    year, words = None, title.split()
    while words:
        rest = " ".join(words)
        match = _YEAR_FIRST.match(rest)
        after = rest[match.end() :] if match else ""
        is_before_name = make is not None and bool(after) and _names(after.split(), make)
        if make is not None and _leading_model(words, make)[1] and not (year is None and is_before_name):
            break
        if match and (is_before_name or not after[0].isdecimal()):
            year, rest = year or int(match[1]), after
        elif match := _PLATE_FIRST.match(rest):
            rest = rest[match.end() :]
        elif _is_empty(words[0]) and not _make_of_leading_model(words):  # "New Beetle"
            rest = " ".join(words[1:])
        else:
            break
        words = rest.split()
    return year, words


def _names(words: list[str], make: KnownMake) -> bool:
    """Whether words begin with the make or with one of its models."""
    return _leading_make(words)[0] is make or bool(_leading_model(words, make)[1])


def _is_empty(word: str) -> bool:
    letters = word.strip("*!.,:;()[]~-<>#=+|")
    return not letters or letters.casefold() in _EMPTY_WORDS


def split_make(text: str) -> tuple[str, str]:
    """Return the slug of the make that a text begins with, and the rest: ``Alfa Romeo Guilia``; "" where there is
    none."""
    make, rest = _leading_make(text.split())
    return (make.slug if make else ""), " ".join(rest)


@lru_cache(maxsize=65536)
def names_model(make: str, model: str) -> bool:
    """Whether a text begins with a known model of a known make."""
    known = _canonical_make(tidy(make))
    return bool(_leading_model(_without_leading_make(tidy(model), known.slug).split(), known)[1])


def _leading_make(words: list[str]) -> tuple[KnownMake | None, list[str]]:
    for n_words in range(min(MAX_MAKE_WORDS, len(words)), 0, -1):
        if known := known_makes().get(slug_of(" ".join(words[:n_words]))):
            return known, words[n_words:]
    return None, words


def _make_of_leading_model(words: list[str]) -> KnownMake | None:
    for n_words in range(min(MAX_MODEL_WORDS, len(words)), 0, -1):
        if make := _make_by_model().get(slug_of(" ".join(words[:n_words]))):
            return make
    return None


def _leading_model(words: list[str], make: KnownMake) -> tuple[int, str]:
    """Return the number of words and the slug of the model at the beginning; no words for an engine that names its
    series (``328i``).

    The longest name wins; a series wins over a shorter name (``C 220`` over the C of another market).
    """
    for n_words in range(min(MAX_MODEL_WORDS, len(words)), 0, -1):
        if slug := make.slug_of_model(words[:n_words]):
            return n_words, slug
        if n_words <= _SERIES_WORDS and (slug := make.series_of(words[:n_words])):
            says_more = _SAYS_MORE.search(" ".join(words[:n_words]).casefold())
            return (0 if says_more else n_words), slug
    return 0, ""


def _later_model(words: list[str], make: KnownMake) -> int:
    """Return the index after the first word at which a model is named, 0 if none; a bare number only as the second
    word."""
    places = range(1, min(len(words), _FARTHEST_MODEL + 1))
    may_be = (at for at in places if at == 1 or not words[at].isdecimal())
    return next((at for at in may_be if _leading_model(words[at:], make)[1]), 0)


def _without_leading_make(model: str, make_slug: str) -> str:
    """Return ``Focus`` for ``Ford Focus`` of make Ford; a model that equals the make (``Mini``) stays."""
    make, rest = _leading_make(model.split())
    named = make.slug if make else slug_of(model.split(" ")[0])
    if named == make_slug and slug_of(model) != make_slug:
        return " ".join(rest if make else model.split()[1:])
    return model


def _with_model(make: KnownMake, model: str) -> CarName:
    """Split a known model followed by trim into model and variant."""
    slug = slug_of(model)
    if slug in make.models or not slug:
        return CarName(make.name, make.slug, make.models.get(slug, ""), slug)
    words = model.split()
    if "/" in words[0] and make.slug_of_model([words[0].partition("/")[0]]):
        words = [words[0].partition("/")[0], *words[1:]]  # "Caravan/Grand Caravan": the first that is known
    n_words, known = _leading_model(words, make)
    rest = words[n_words:]
    is_trim = (
        not rest
        or n_words == 0
        or (word := slug_of(rest[0])) not in _WORDS_OF_MODELS
        or f"{known}-{word}" in _TRIMS_LIKE_MODELS
    )
    if known and (is_trim or len(rest) >= TRIM_WORDS or _ENGINE_SIZE.search(" ".join(rest))):
        return CarName(make.name, make.slug, make.models[known], known, " ".join(rest))
    n_words = _words_of_unknown_model(words) if make.models else len(words)
    named = _in_title_case(" ".join(words[:n_words]))[:120].rstrip()
    return CarName(make.name, make.slug, named, slug_of(named), " ".join(words[n_words:]))


def _words_of_unknown_model(words: list[str]) -> int:
    """Return how many words name a model that is not in the table: those before drive, body, trim or engine."""
    for number, word in enumerate(words[1:], start=1):
        if word[0] in "([" or bare(word).replace(" ", "-") in _TRIM_WORDS or _ENGINE_SIZE.search(word):
            return number
    return len(words)
