"""Words for fuels, gearboxes, bodies and other categories, in several languages; no database.

The words are in ``data/words.toml`` and are compared in their bare form (``bare``: no case, accents or punctuation). A
cell is first looked up as a whole, then searched for known words: ``6-Speed Automatic`` holds one gearbox,
``Benzin/Elektro`` two fuels that together are a hybrid. The values are those of ``catalog.models.Listing``; a test
compares the two.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from catalog.attributes import CATEGORIES, Category

_UMLAUT_IN_TWO_LETTERS = re.compile(r"([aou])e")
MAX_PHRASE_WORDS = 4
LONGEST_MISSING = 40  # characters; a longer cell always has a value
MIN_INNER_LETTERS = 3  # shorter words ("a", "d") count only when they are the whole cell
_CUT_OFF = re.compile(r"([^\W\d_]{4,})\.(?!\w)")  # "Schaltgetr.", "handgesch."

# Letters that Unicode does not decompose into a base letter and an accent.
BARE_LETTERS = str.maketrans({"ß": "ss", "ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "ı": "i", "’": ""})
WORDS_FILE = Path(__file__).parent / "data" / "words.toml"
WORDS_BY_MEANING: dict[str, dict[str, Any]] = tomllib.loads(WORDS_FILE.read_text(encoding="utf-8"))
MISSING = frozenset(WORDS_BY_MEANING["cells"]["missing"])
PLAIN_WORDS = {name: frozenset(words.split()) for name, words in WORDS_BY_MEANING["plain"].items()}
OTHER_WORDS, NO_COLOUR, WANTED_WORDS = (PLAIN_WORDS[name] for name in ("other", "no_colour", "wanted"))
NEGATIONS = PLAIN_WORDS["negations"]


@lru_cache(maxsize=65536)
def bare(text: str) -> str:
    """Return the form in which words are compared: ``Électrique (BEV)`` -> ``electrique bev``."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(BARE_LETTERS))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(re.findall(r"[^\W_]+", plain))


@cache
def phrases_of(name: str) -> frozenset[str]:
    """Return the bare phrases of a plain list of ``words.toml``: ``alloy-wheels`` -> ``alloy wheels``."""
    return frozenset(bare(phrase) for phrase in PLAIN_WORDS[name])


def is_missing(text: str) -> bool:
    """Whether a cell has no value: empty, a dash, ``n/a``, ``unbekannt`` and the like."""
    return len(text) <= LONGEST_MISSING and text.strip().strip("()[]\"'").strip().casefold() in MISSING


def without_umlauts_in_two_letters(phrase: str) -> str:
    """Return ``verfugbar`` for ``verfuegbar``, as ``bare`` makes of ``verfügbar``."""
    return _UMLAUT_IN_TWO_LETTERS.sub(r"\1", phrase)


class Vocabulary:
    """A closed set of values, and the words that mean them.

    ``combine`` returns the value of a cell with several different values, or None.
    """

    def __init__(
        self, words: Mapping[str, str], combine: Callable[[frozenset[str]], str | None] = lambda values: None
    ) -> None:
        self.values = tuple(words)
        self._value_by_phrase = {bare(phrase): value for value, phrases in words.items() for phrase in phrases.split()}
        self._combine = combine

    @property
    def phrases(self) -> Iterable[str]:
        return self._value_by_phrase.keys()

    def first_inside(self, text: str) -> str | None:
        """Return the value of the first known word in a cell, whatever follows."""
        return next(iter(self.inside(bare(text).split())), None)

    def exact(self, text: str) -> str | None:
        """Return the value of a whole cell, or None."""
        phrase = bare(text)
        return self._value_by_phrase.get(phrase) or self._value_by_phrase.get(without_umlauts_in_two_letters(phrase))

    def read(self, text: str) -> str | None:
        """Return the value of a cell, as a whole or by its words; None when there is none, or two that disagree."""
        if value := self.exact(text):
            return value
        found = frozenset(self.inside(bare(text).split()))
        if len(found) == 1:
            return next(iter(found))
        return self._combine(found) if found else self.spelt_out(text)

    def spelt_out(self, text: str) -> str | None:
        """Return the value of words cut off by a full stop, where all words that begin so mean it: ``Schaltgetr.``."""
        cut_off = map(bare, _CUT_OFF.findall(text))
        found = {
            value for start in cut_off for phrase, value in self._value_by_phrase.items()
            if phrase.startswith(start) and " " not in phrase
        }  # fmt: skip
        return found.pop() if len(found) == 1 else None

    def inside(self, words: list[str]) -> Iterable[str]:
        """Yield the values of all words in the cell; the longest phrase wins, and its words are not read again."""
        start = 0
        while start < len(words):
            for n_words in range(min(MAX_PHRASE_WORDS, len(words) - start), 0, -1):
                phrase = " ".join(words[start : start + n_words])
                value = self._value_by_phrase.get(phrase)
                if value and (n_words > 1 or len(phrase) >= MIN_INNER_LETTERS):
                    yield value
                    start += n_words
                    break
            else:
                start += 1


def _several_fuels(fuels: frozenset[str]) -> str | None:
    """Combine fuels: petrol with electric is a hybrid; petrol with a gas is the gas; other pairs are None."""
    if "plugin_hybrid" in fuels:
        return "plugin_hybrid"
    if fuels == {"hydrogen", "electric"}:  # a fuel cell drives an electric motor
        return "hydrogen"
    if "hybrid" in fuels or ("electric" in fuels and fuels & {"petrol", "diesel"}):
        return "hybrid"
    for special in ("hydrogen", "lpg", "cng", "ethanol"):
        if special in fuels and fuels <= {special, "petrol", "other"}:
            return special
    return None


def _several_gearboxes(gearboxes: frozenset[str]) -> str | None:
    """Combine gearboxes: ``8-Speed A/T w/Manual`` is an automatic."""
    return "semi_automatic" if "semi_automatic" in gearboxes else "automatic"


def _several_drives(drives: frozenset[str]) -> str | None:
    return "all" if "all" in drives else None


def _several_conditions(conditions: frozenset[str]) -> str | None:
    """Combine conditions: ``New, ex-demonstrator`` is a demonstrator; ``used, as good as new`` is used."""
    return "demo" if "demo" in conditions else "used"


def _several_bodies(bodies: frozenset[str]) -> str | None:
    """Combine bodies: of ``SUV / Pickup`` and ``Van/Minivan`` the rarer one."""
    for body in ("pickup", "convertible", "mpv", "suv", "estate", "coupe"):
        if body in bodies:
            return body
    return None


_OF_SCHEMA = re.compile(r"^(?:https?://)?(?:www\.)?schema\.org/|^schema:", re.IGNORECASE)
_FLAG_AS_A_FRACTION = re.compile(r"^([01])[.,]0+$")  # what spreadsheets and data frames make of 1


def status_of(text: str) -> str | None:
    """Return the status of a cell; None when it is unknown, which never means live.

    "Live" must be the whole cell; words that end a listing may be among others (``Sold - awaiting collection``), but
    not after a negation.
    """
    text = _OF_SCHEMA.sub("", text.strip())
    text = _FLAG_AS_A_FRACTION.sub(r"\1", text)
    if exact := STATUS.exact(text):
        return exact
    words = bare(text).split()
    if NEGATIONS & set(words):
        return None
    found = frozenset(STATUS.inside(words)) - {"live"}
    ended = (status for status in ("sold", "withdrawn", "expired", "reserved", "draft") if status in found)
    return next(ended, None) or STATUS.spelt_out(text)


_COMPOUND_DAMAGE = re.compile(r"\w{3,}(?:schaden|schade|skada|skade)\b")  # Frontschaden, Hagelschaden

_CLAUSE_ENDS = re.compile(r"[,;|]|(?<=\w{3}) ?/ ?(?=\w{2})|\b(?:but|aber|mais|maar)\b")
_DENIALS = NEGATIONS | {"0", "ohne", "keine", "keinen", "without", "sans", "sin", "senza", "zonder", "bez", "без"}
_FREE = {"frei", "free"}  # "Unfall frei"


def damage_of(text: str, *, is_free: bool = False) -> str | None:
    """Return the damage of a cell; None where it has no known word.

    ``is_free``: the column says whether a car is free of damage, so "yes" means "none".
    """
    word = bare(text)
    if word in phrases_of("yes") | phrases_of("no"):
        return "none" if (word in phrases_of("yes")) == is_free else "damaged"
    if word.isdecimal():  # how many accidents it had
        return "damaged"
    if exact := VOCABULARIES["damage"].exact(text):
        return exact
    return _several_damages(frozenset(filter(None, map(_damage_said, _CLAUSE_ENDS.split(text)))))


def _damage_said(clause: str) -> str | None:
    """Return the damage of one clause. A negation within a phrase, as in "no accidents", negates nothing else in it."""
    vocabulary, words = VOCABULARIES["damage"], bare(clause).split()
    phrases = [" ".join(words[at : at + n]) for n in range(1, MAX_PHRASE_WORDS + 1) for at in range(len(words) - n + 1)]
    if any(_DENIALS & set(phrase.split()) and vocabulary.exact(phrase) == "none" for phrase in phrases):
        return "none"
    if any(_DENIALS & set(phrase.split()) and vocabulary.exact(phrase) == "damaged" for phrase in phrases):
        return "damaged"  # "not running", whose denial denies no damage
    found = frozenset(vocabulary.inside(words))
    if _COMPOUND_DAMAGE.search(" ".join(words)):
        found |= {"damaged"}
    if found and _DENIALS & set(words):
        return "none" if found == {"damaged"} else "damaged"
    return _several_damages(found)


def _several_damages(damages: frozenset[str]) -> str | None:
    """Combine damages: ``Hail damage, repaired`` is repaired; a car written off by an insurer stays so."""
    return next((damage for damage in ("written_off", "repaired", "damaged", "none") if damage in damages), None)


def damage_in_title(title: str) -> str:
    """Return the damage that a title names: ``Golf 1.4 CAT S``, ``Unfallwagen``; "" where it names none."""
    words = bare(title).split()
    phrases = phrases_of("damage_in_title")
    said = [
        phrase for n_words in range(1, MAX_PHRASE_WORDS + 1) for start in range(len(words) - n_words + 1)
        if (phrase := " ".join(words[start : start + n_words])) in phrases
        and not _DENIALS & set(words[max(start - 1, 0) : start])
        and not _FREE & set(words[start + n_words : start + n_words + 1])
    ]  # fmt: skip
    damages = frozenset(damage for phrase in said if (damage := VOCABULARIES["damage"].exact(phrase)))
    return _several_damages(damages) or ""


COLOUR = Vocabulary(WORDS_BY_MEANING["colour"])
SELLER_KIND = Vocabulary(WORDS_BY_MEANING["seller_kind"])
STATUS = Vocabulary(WORDS_BY_MEANING["status"])
_COMBINED = {
    "fuel": _several_fuels,
    "gearbox": _several_gearboxes,
    "body": _several_bodies,
    "drive": _several_drives,
    "condition": _several_conditions,
    "damage": _several_damages,
}


def _vocabulary_of(category: Category) -> Vocabulary:
    """Return the words of ``words.toml`` and those that the attribute declares; its values are always among them."""
    words = dict(WORDS_BY_MEANING.get(category.name, {}))
    for choice in category.choices:
        words[choice.value] = f"{words.get(choice.value, choice.value)} {choice.words}"
    return Vocabulary(words, _COMBINED.get(category.name, lambda values: None))


VOCABULARIES = {
    **{category.name: _vocabulary_of(category) for category in CATEGORIES if not category.is_open},
    "seller_kind": SELLER_KIND,
    "status": STATUS,
}

# Fields whose words an operator can teach, and the values that they may mean; none: any name.
TEACHABLE: dict[str, tuple[str, ...]] = {
    **{name: vocabulary.values for name, vocabulary in VOCABULARIES.items()},
    "colour": COLOUR.values, "make": (), "model": (),
}  # fmt: skip

# Words of one vocabulary only, which are recognised in any column.
_FIELDS_BY_WORD: dict[str, set[str]] = {}
for _field, _vocabulary in VOCABULARIES.items():
    for _phrase in _vocabulary.phrases:
        _FIELDS_BY_WORD.setdefault(_phrase, set()).add(_field)


def field_of_word(text: str) -> str | None:
    """Return the only field that a whole cell's word can belong to: ``Diesel`` -> ``fuel``; None when there are
    several."""
    word = bare(text)
    owners = _FIELDS_BY_WORD.get(word, set())
    if len(owners) != 1 or len(word) < 5 or word in OTHER_WORDS:
        return None
    return next(iter(owners))
