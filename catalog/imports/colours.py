"""Read colours: the colour of the vocabulary, and the manufacturer's name for it; no database."""

from __future__ import annotations

import re

from catalog.imports.numbers import Unreadable
from catalog.imports.texts import clean_text
from catalog.imports.vocabulary import (
    COLOUR,
    NO_COLOUR,
    OTHER_WORDS,
    WORDS_BY_MEANING,
    Vocabulary,
    bare,
    field_of_word,
    phrases_of,
)

UNKNOWN_COLOUR = "not a known colour"
NAME_LENGTH = 60
# Materials that name colours: "Sapphire Black" is black, and "Emerald" alone is green. The search does not know them,
# because some are equipment lines too (Titanium).
MATERIAL = Vocabulary(WORDS_BY_MEANING["colour_materials"])
_YIELDING = phrases_of("yielding_colours")  # "Champagne Silver" is silver
_HEAD_FIRST = phrases_of("colours_before_their_adjective")  # "Gris Platine"; elsewhere the noun comes last
_FINISHES = phrases_of("colour_finishes")
_PARTS = re.compile(r"[/,;+&|()]|\s(?:and|und|et|y|e|en|och|og|i|a|mit|with|-)\s")
_SHADED = re.compile(r"(?:dark|light|dunkel|hell|mork|morke|ljus|lys|donker|licht|ciemno|jasno|tmave|svetle) ?(\w{3,})")
_COMPOUND = re.compile(  # Navarrablau, Tornadorot, Mythosschwarz
    r"\b\w{3,}(blau|rot|schwarz|weiss|grau|silber|grun|gruen|gelb|braun|gold|beige|orange|violett|bronze|zwart|wit|grijs|rood|"
    r"blauw|groen|zilver|svart|sort|bla|rod|gron|hvit|hvid|gul|silver)\b"
)


_METALLIC_END = re.compile(r"(?<=\w\w)metal(?:l?i[ck]|lic)?\b")  # Danish "blåmetal"


def colour_of(text: str) -> str:
    """The plain English colour of a cell; '' where it names none that we know."""
    if exact := COLOUR.exact(text) or MATERIAL.exact(text):
        return exact
    return next(filter(None, map(_colour_of_part, _PARTS.split(text.casefold()))), "")


def _colour_of_part(text: str) -> str:
    """Of words for one paint: the noun's colour, else that of what it is painted like."""
    words = _METALLIC_END.sub("", bare(text)).split()
    if exact := COLOUR.exact(" ".join(words)):
        return exact
    plain = [word for word in words if word not in _YIELDING and len(word) > 2 and COLOUR.exact(word)]
    if plain:
        return COLOUR.exact(plain[0] if plain[0] in _HEAD_FIRST else plain[-1]) or ""
    for match in (_SHADED.fullmatch(" ".join(words)), _COMPOUND.search(" ".join(words))):
        if match and (colour := COLOUR.exact(match[1])):
            return colour
    return COLOUR.first_inside(text) or MATERIAL.first_inside(text) or ""


def read_colour(text: str) -> str:
    """Return the colour of a cell, "" for several colours or another one. Raises Unreadable where it names no known
    colour."""
    text = clean_text(text)
    colour = colour_of(text)
    if not colour and bare(text).replace(" ", "-") not in OTHER_WORDS | NO_COLOUR:
        raise Unreadable(UNKNOWN_COLOUR)
    return colour


def manufacturer_colour_of(text: str) -> str:
    """Return ``Tornado Red`` or ``Alpinweiß`` from a colour cell with more than a plain word; "" for ``Dark blue
    metallic``."""
    text = " ".join(clean_text(text).split())
    if bare(text).replace(" ", "-") in OTHER_WORDS | NO_COLOUR or (not colour_of(text) and field_of_word(text)):
        return ""
    return text[:NAME_LENGTH].rstrip() if any(map(_is_name, _PARTS.split(text.casefold()))) else ""


def _is_name(part: str) -> bool:
    words = [word for word in bare(part).split() if word not in _FINISHES]
    plain = " ".join(words)
    if not any(len(word) > 2 and word.isalpha() for word in words):
        return False
    if (shaded := _SHADED.fullmatch(plain)) and COLOUR.exact(shaded[1]):
        return False
    return len(words) > 1 or not COLOUR.exact(plain) or bool(_COMPOUND.fullmatch(plain))
