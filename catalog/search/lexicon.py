"""The meanings of words in a typed search: the words of imports and the names of the stock; no database.

Makes and models are compared without spaces and hyphens (``mx 5``, ``MX-5``, ``mx5``), and a German name of a series is
the same as an English one (``3er``, ``C-Klasse``). Names that the stock has come before those of the table of makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rapidfuzz import process
from rapidfuzz.distance import OSA

from catalog.attributes import BY_NAME, Category
from catalog.columns import CHOICES
from catalog.imports.names import known_makes
from catalog.imports.vocabulary import (
    COLOUR,
    PLAIN_WORDS,
    SELLER_KIND,
    VOCABULARIES,
    WORDS_BY_MEANING,
    Vocabulary,
    bare,
    phrases_of,
)
from catalog.search.towns import Town, known_towns

MISSPELT_FROM = 5  # letters; a shorter word is too near to too many others
TWO_SLIPS_FROM = 8  # letters
SHORT_WORDS = frozenset(["ev", "sw"])  # that mean something among other words all the same
NAMES_ALL_THE_SAME = frozenset(["multivan", "transporter"])  # models, though the words also mean a body


def is_said_in_searches(name: str) -> bool:
    attribute = BY_NAME[name]
    return isinstance(attribute, Category) and attribute.is_in_search


FIELDS: dict[str, Vocabulary] = {  # parameter of the search -> its words; of two that share a word the first has it
    **{name: VOCABULARIES[name] for name in dict.fromkeys(("fuel", "body", *CHOICES)) if is_said_in_searches(name)},
    "colour": COLOUR,
    "seller_type": SELLER_KIND,
}
SAID_OF = {"4x4": "drive"}  # of the fields that share a word, one that does not come first
NOT_IN_SEARCH = phrases_of("not_in_search")
FILLERS = PLAIN_WORDS["search_fillers"]
TRIMS = phrases_of("trims")
EQUIPMENT = frozenset(part for word in phrases_of("equipment") for part in word.split())
_NEVER_MISSPELT = FILLERS | PLAIN_WORDS["search_negations"] | PLAIN_WORDS["search_german"]
_EVERYDAY = PLAIN_WORDS["everyday"]
_USES = {
    bare(phrase): tuple(bodies.split("-"))
    for bodies, phrases in WORDS_BY_MEANING["search_uses"].items()
    for phrase in phrases.split()
}
_MAKERS_BODIES = {  # what makers call bodies of several kinds, by squeezed name
    phrase.replace("-", ""): tuple(bodies.split("-"))
    for bodies, phrases in WORDS_BY_MEANING["search_makers_bodies"].items()
    for phrase in phrases.split()
}
_ORDERS = {
    bare(phrase): order for order, phrases in WORDS_BY_MEANING["search_orders"].items() for phrase in phrases.split()
}
_ALSO = {
    bare(phrase): (name, (value,))
    for name, values in WORDS_BY_MEANING["search_also"].items()
    for value, phrases in values.items()
    for phrase in phrases.split()
}
_AGES = {
    bare(phrase): (bound, (years,))  # in years, from this one
    for bound, values in WORDS_BY_MEANING["search_ages"].items()
    for years, phrases in values.items()
    for phrase in phrases.split()
}
VANS = frozenset(["van", "vans", "bus", "busse", "kleinbus", "minibus"])  # for people, by seats or in German
_SHADE = re.compile(r"^(?:hell|dunkel|tief|matt|knall|silber|mittel)(?=\w{3})")
_COMPOUND = re.compile(r"(?:autos?|wagen|fahrzeuge?|getriebe|motor|antrieb)$")
_INFLECTION = re.compile(r"(?<=\w{3})(?:es|er|en|em|e|s)$")
_SPELT_OUT = re.compile(r"(?<=[bcdfghklmnprstwz])(?:ae|oe|ue)(?=[a-z])")
_SERIES = re.compile(r"^([1-8])er$")
_VARIANT_OF_BMW = re.compile(r"^([1-8])\d\d(x?d|i|e|ci|ti|xi|li)?$")
_VARIANT_OF_MERCEDES = re.compile(r"^(a|b|c|e|s|g|v|cla|cls|cle|gla|glb|glc|gle|gls|sl|slk|clk)(\d{2,3})(d|cdi|e|h)?$")
# what stands for itself: not "300 e", nor "a12"
GERMAN_CLASS = "klasse"
_SOLE_VARIANT = re.compile(
    r"^(?:[1-8][1-5]\d(?:x?d|i|e|xi)|(?:a|b|c|e|s|g|v|cla|cls|gla|glb|glc|gle|gls|slk|clk)(?:\d{3}|35|43|45|53|55|63|65)(?:d|cdi|e)?)$"
)


@dataclass(frozen=True)
class Meaning:
    """A meaning of words: values of one parameter of the search, any of which matches."""

    field: str
    values: tuple[str, ...]
    is_use: bool = False  # what the car is for, rather than a word for it


def squeezed(text: str) -> str:
    """Normalise the name of a make or model for comparison: ``C-Klasse`` -> ``cclass``, ``3er`` -> ``3series``."""
    parts = bare(text.replace("+", " plus ")).split()
    if parts and (series := _SERIES.match("".join(parts))):
        return f"{series[1]}series"
    return "".join("class" if part == GERMAN_CLASS else part for part in parts)


@dataclass
class Names:
    """Makes and models of one origin, by their squeezed names."""

    makes: dict[str, str] = field(default_factory=dict)
    models: dict[str, dict[str, list[str]]] = field(default_factory=dict)  # slug of the make -> squeezed -> slugs

    def put(self, make_slug: str, model_slug: str, name: str) -> None:
        models = self.models.setdefault(make_slug, {})
        for key in {squeezed(name), squeezed(model_slug)} - {""}:
            slugs = models.setdefault(key, [])
            if model_slug not in slugs:
                slugs.append(model_slug)

    @cached_property
    def owners(self) -> dict[str, set[str]]:
        """Squeezed name of a model -> the makes that have it; not those whose names say nothing by themselves."""
        owners: dict[str, set[str]] = {}
        for make, models in self.models.items():
            for key in models:
                if says_its_make(key):
                    owners.setdefault(key, set()).add(make)
        return owners


def says_its_make(key: str) -> bool:
    """Whether a model's name stands for itself: ``golf`` and ``x5`` do, ``500``, ``gt`` and ``fit`` do not."""
    if key.isdigit() or key in _EVERYDAY or key in NOT_IN_SEARCH or key in TRIMS or key in FILLERS:
        return False
    is_word = len(key) > 2 and key not in NAMES_ALL_THE_SAME  # searches say no gearbox by "a6"
    if is_word and any(vocabulary.exact(key) for vocabulary in FIELDS.values()):
        return False
    has_digit = any(letter.isdigit() for letter in key)
    return len(key) > 2 or (len(key) == 2 and has_digit and key[0].isalpha()) or key == "tt"


def table_names() -> Names:
    """The makes and models of the table that imports read by."""
    names = Names()
    for alias, make in known_makes().items():
        names.makes[squeezed(alias)] = make.slug
    for make in {make.slug: make for make in known_makes().values()}.values():
        for slug, name in make.models.items():
            names.put(make.slug, slug, name)
    return names


TABLE = table_names()


class Lexicon:
    """What is known of the words of searches.

    Args:
        makes: Slug -> name, of the makes in the stock.
        models: Slug of the make, slug and name, of the models in the stock.
        towns: Bare name -> town, of the stock; those of the table are known besides.
        text_words: Words of the stock's texts, which are therefore no misspelt names.
        counts: How many listings have a value of a parameter: what a completion shows.
    """

    def __init__(
        self,
        makes: Mapping[str, str] | None = None,
        models: Iterable[tuple[str, str, str]] = (),
        towns: Mapping[str, Town] | None = None,
        text_words: Iterable[str] = (),
        counts: Mapping[tuple[str, str], int] | None = None,
    ) -> None:
        self.stock = Names({squeezed(name): slug for slug, name in (makes or {}).items()})
        self.stock.makes |= {squeezed(slug): slug for slug in makes or {}}
        self.model_names: dict[str, dict[str, str]] = {}
        for make_slug, slug, name in models:
            self.stock.put(make_slug, slug, name)
            self.model_names.setdefault(make_slug, {})[slug] = name
        self.make_names = {make.slug: make.name for make in known_makes().values()} | dict(makes or {})
        self.towns = {**known_towns(), **(towns or {})}
        self.counts = dict(counts or {})
        self._text_words = frozenset(text_words) | EQUIPMENT

    # --- names -------------------------------------------------------------------------------------------------------

    def make(self, phrase: str) -> str:
        """The slug of the make that a phrase names, or ''."""
        key = squeezed(phrase)
        return self.stock.makes.get(key) or TABLE.makes.get(key, "")

    def models_of(self, phrase: str, make: str) -> tuple[str, ...]:
        """The slugs of a make's model that a phrase names: several where the stock has it under several."""
        keys = keys_of(phrase)
        keys += tuple(key.removeprefix(squeezed(self.make_names.get(make, ""))) for key in keys)  # Mazda3, and 3
        for names in (self.stock, TABLE):
            for key in keys:
                if slugs := names.models.get(make, {}).get(key):
                    return tuple(slugs)
        return self._in_other_order(phrase, make)

    def _in_other_order(self, phrase: str, make: str) -> tuple[str, ...]:
        """The model whose words a phrase has in another order: ``C4 Grand Picasso``."""
        words = tuple(sorted(bare(phrase).split()))
        return tuple(self._names_by_words.get((make, words), ())) if len(words) > 1 else ()

    @cached_property
    def _names_by_words(self) -> dict[tuple[str, tuple[str, ...]], list[str]]:
        """Make, and the words of a model's name in order of the alphabet -> slugs; the stock's names if it has them."""
        found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        named = {make.slug: make.models for make in known_makes().values()}
        for names in (self.model_names, named):
            known = set(found)
            for make, models in names.items():
                for slug, name in models.items():
                    key = (make, tuple(sorted(bare(name).split())))
                    if key not in known:
                        found.setdefault(key, []).append(slug)
        return found

    def makes_of_number(self, number: str) -> tuple[tuple[str, str], ...]:
        """Make and model of each model in stock whose name is a number: ``3008``; a round one is rather an amount."""
        if not re.fullmatch(r"\d{3,4}", number) or number.endswith("000"):
            return ()
        stock = sorted(self.stock.models.items())
        return tuple((make, slug) for make, models in stock for slug in models.get(number, ()))

    def glued(self, word: str) -> tuple[str, tuple[str, ...]]:
        """The make and the model of a word that both were written into: ``fordfocus``; or nothing."""
        key = squeezed(word)
        if len(key) < MISSPELT_FROM + 1 or " " in word or not key[0].isalpha():
            return "", ()
        for at in range(2, len(key) - 1):
            make = self.make(key[:at])
            if make and (models := self.stock.models.get(make, {}).get(key[at:])):
                return make, tuple(models)
        return "", ()

    def in_stock(self, phrase: str, make: str) -> bool:
        return any(key in self.stock.models.get(make, {}) for key in keys_of(phrase))

    def makes_of_model(self, phrase: str) -> tuple[str, ...]:
        """The makes that have a model of that name, if it is one that says something by itself.

        Those of the stock, if there are any: ``glc`` is a Mercedes to most sellers, and a Mazda of the seventies.
        """
        for names in (self.stock, TABLE):
            owners = [names.owners.get(key, set()) for key in keys_of(phrase)]
            if found := set[str]().union(*owners):
                return tuple(sorted(found))
        return ()

    def variant(self, phrase: str, make: str) -> tuple[Meaning, ...]:
        """``320d`` of BMW and ``c220`` of Mercedes: the series, and the fuel that a letter names."""
        key = squeezed(phrase)
        found, form = (_VARIANT_OF_BMW.match(key), "{} series") if make == "bmw" else (None, "")
        if make == "mercedes-benz":
            found, form = _VARIANT_OF_MERCEDES.match(key), "{} class"
        if not found:
            return ()
        models = self.models_of(form.format(found[1]), make)
        letters = found[found.lastindex or 1]
        fuel = "diesel" if letters in ("d", "xd", "cdi") else ""
        meanings = [Meaning("model", models)] if models else []
        return (*meanings, *([Meaning("fuel", (fuel,))] if fuel and meanings else []))

    def sole_variant(self, phrase: str) -> tuple[str, tuple[Meaning, ...]]:
        """The make and the series of ``320d`` or ``c220``, which say them without the make's name; or nothing."""
        if not _SOLE_VARIANT.match(squeezed(phrase)) or "." in phrase:  # "a4 2.0" has an engine's size
            return "", ()
        is_name = bool(self.makes_of_model(phrase))
        for make in ("bmw", "mercedes-benz"):
            variant = self.variant(phrase, make)
            if variant and (not is_name or self._has_instead(make, variant, phrase)):
                return make, variant
        return "", ()

    def _has_instead(self, make: str, variant: Sequence[Meaning], phrase: str) -> bool:
        """Whether the stock has the series that is meant, and no model of that name: ``E350`` of Ford."""
        stock = {slug for slugs in self.stock.models.get(make, {}).values() for slug in slugs}
        is_stocked = any(key in self.stock.owners for key in keys_of(phrase))
        return not is_stocked and not stock.isdisjoint(variant[0].values)

    # --- words of closed sets ----------------------------------------------------------------------------------------

    def meaning(self, phrase: str) -> Meaning | None:
        """The meaning of a phrase for one field other than make and model; None if it has none."""
        for form in forms_of(phrase):
            if bodies := _USES.get(form):
                return Meaning("body", bodies, is_use=True)
            if bodies := _MAKERS_BODIES.get(form.replace(" ", "")):
                return Meaning("body", bodies)
            if order := _ORDERS.get(form):
                return Meaning("ordering", (order,))
            if form in TRIMS:
                return Meaning("q", (phrase,))
            if also := _ALSO.get(form) or _AGES.get(form):
                return Meaning(*also)
            if form in NOT_IN_SEARCH or (len(form) < 3 and form not in SHORT_WORDS):
                continue
            for name in (SAID_OF[form],) if form in SAID_OF else FIELDS:
                if value := FIELDS[name].exact(form):
                    return Meaning(name, (value,))
        return None

    def town(self, phrase: str) -> Town | None:
        return next((self.towns[form] for form in spellings_of(phrase) if form in self.towns), None)

    # --- misspelt words ----------------------------------------------------------------------------------------------

    @cached_property
    def words(self) -> dict[str, int]:
        """Every single word of a name or a closed set -> its rank among equally near ones; makes come first."""
        words: dict[str, int] = {}
        for alias in known_makes():
            words |= {part: 0 for part in alias.split("-") if part not in words}
        words |= {part: 0 for slug in self.stock.makes.values() for part in slug.split("-")}
        for names in (self.stock, TABLE):
            for key in names.owners:
                words.setdefault(key, 1)
        for vocabulary in FIELDS.values():
            for phrase in vocabulary.phrases:
                if phrase.isascii() and phrase not in NOT_IN_SEARCH:
                    words.setdefault(phrase, 2)
        for phrase in (*_USES, *_ORDERS, *TRIMS):
            words.setdefault(phrase, 3)
        for part in self._parts:
            words.setdefault(part, 4)
        return {word: rank for word, rank in words.items() if len(word) >= MISSPELT_FROM - 1 and word not in FILLERS}

    @cached_property
    def _parts(self) -> frozenset[str]:
        """The words of names and phrases that have several: ``range``, ``carrier``."""
        names = [slug for origin in (self.stock, TABLE) for models in origin.models.values()
                 for slugs in models.values() for slug in slugs]  # fmt: skip
        phrases = [phrase for vocabulary in FIELDS.values() for phrase in vocabulary.phrases if phrase.isascii()]
        parts = (part for text in (*names, *phrases, *_USES, *_ORDERS, *TRIMS) for part in re.split("[ -]", text))
        return frozenset(part for part in (*parts, GERMAN_CLASS) if len(part) >= MISSPELT_FROM and part.isalpha())

    @cached_property
    def _choices(self) -> list[str]:
        return list(self.words)

    @cached_property
    def _by_sound(self) -> dict[str, list[str]]:
        """Names of makes and models by how they sound: ``kashkai`` is ``qashqai``."""
        names: dict[str, list[str]] = {}
        for word, rank in self.words.items():
            if rank <= 1 and len(word) >= MISSPELT_FROM and word.isalpha():
                names.setdefault(sound_of(word), []).append(word)
        return names

    @cached_property
    def _by_letters(self) -> dict[str, list[str]]:
        """Names of makes and models by their letters, whose order was mixed up: ``fesita``, ``glof``."""
        names: dict[str, list[str]] = {}
        for word, rank in self.words.items():
            if rank <= 1 and word.isalpha():
                names.setdefault("".join(sorted(word)), []).append(word)
        return names

    def is_known(self, word: str) -> bool:
        """Whether a word needs no correction: a name, a word of a closed set or of the stock's texts, or a number."""
        if len(word) < MISSPELT_FROM - 1 or not word.isalpha() or word in _NEVER_MISSPELT or word in self._text_words:
            return True
        return word in self.words or self.town(word) is not None or self.meaning(word) is not None

    def corrected(self, word: str) -> str:
        """The word that an unknown one is a slip or two from (letters swapped, missing, added or changed); or it."""
        if self.is_known(word) or not word.isascii():
            return word
        if len(word) < MISSPELT_FROM:
            return self._with_two_swapped(word)
        slips = 2 if len(word) >= TWO_SLIPS_FROM else 1
        near = process.extract(word, self._choices, scorer=OSA.distance, score_cutoff=slips, limit=20)
        likely = [(found, float(distance)) for found, distance, _ in near if distance <= max(1, len(found) // 4)]
        likely += [(found, 1.5) for found in self._by_sound.get(sound_of(word), ())]
        mixed_up = self._by_letters.get("".join(sorted(word)), ())
        likely += [(found, 1.8) for found in mixed_up if found[0] == word[0] and OSA.distance(found, word) <= 2]
        if not likely:
            return word
        return min(likely, key=lambda pair: (pair[1], pair[0][0] != word[0], self.words[pair[0]], pair[0]))[0]

    def _with_two_swapped(self, word: str) -> str:
        """The name of four letters that a word has with two neighbours swapped: ``glof``; or the word."""
        names = self._by_letters.get("".join(sorted(word)), ())
        return next((name for name in sorted(names) if OSA.distance(word, name) == 1), word)

    def corrected_town(self, phrase: str) -> Town | None:
        """The town a phrase names, or nearly does."""
        if town := self.town(phrase):
            return town
        if len(phrase) < MISSPELT_FROM:
            return None
        slips = 2 if len(phrase) >= TWO_SLIPS_FROM else 1
        near = process.extractOne(bare(phrase), list(self.towns), scorer=OSA.distance, score_cutoff=slips)
        return self.towns[near[0]] if near else None


_SOUNDS = [(re.compile(pattern), by) for pattern, by in (
    ("ph", "f"), ("th", "t"), ("(?:ck|qu|q|c(?![eiyh])|kh)", "k"), ("c(?=[eiy])", "s"), ("(?:sch|sh|ch)", "c"),
    ("[wv]", "f"), ("[zx]", "s"), ("y", "i"), ("j", "i"), ("h", ""), (r"(.)\1+", r"\1"), ("(?<=.)e$", ""),
)]  # fmt: skip


def sound_of(word: str) -> str:
    """How a word sounds, roughly: letters that are taken for each other are one."""
    for pattern, by in _SOUNDS:
        word = pattern.sub(by, word)
    return word


def keys_of(phrase: str) -> tuple[str, ...]:
    """The squeezed name, and the same without a word that only some write: ``GLA-Class``, ``GLA``."""
    key = squeezed(phrase)
    shorter = key.removesuffix("class") if len(key) > len("class") + 1 else key
    return tuple(dict.fromkeys(name for name in (key, shorter, f"{key}class" if len(key) == 3 else key) if name))


def spellings_of(phrase: str) -> tuple[str, ...]:
    """A phrase in its bare form, and with ``ue`` for ``ü`` read as one letter: ``muenchen`` -> ``munchen``."""
    form = bare(phrase)
    return tuple(dict.fromkeys((form, _SPELT_OUT.sub(lambda match: match[0][0], form))))


def forms_of(phrase: str) -> tuple[str, ...]:
    """A phrase, and what is left of it without an ending: ``rotes`` -> ``rot``, ``estates`` -> ``estate``."""
    forms: list[str] = []
    for form in spellings_of(phrase):
        stems = [_INFLECTION.sub("", form), _COMPOUND.sub("", form)] if len(form) > 4 else []
        stems += [form[:-1]] if re.search(r"\ws$", form) and len(form) > 4 else []  # in "red s max" the s is a name's
        stems += [_SHADE.sub("", stem) for stem in (form, *stems) if _SHADE.match(stem)]
        forms += [form, *(stem for stem in stems if len(stem) >= 3)]
    return tuple(dict.fromkeys(forms))
