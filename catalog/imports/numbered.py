"""Recognise headings that name a number, an id or a first of something, whatever word they use for it; no database.

``Bestands-Nr.`` means ``Bestandsnummer``, ``Nº plazas`` means ``numero de plazas``, and ``1ª immatricolazione`` means
``prima immatricolazione``. So headings are compared by their other words, in any order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from catalog.imports.vocabulary import PLAIN_WORDS

_NUMBER, _FIRST, _SMALL = (PLAIN_WORDS[f"heading_{name}"] for name in ("numbers", "firsts", "small"))
_COMPOUND = re.compile(r"^(\w{3,}?)s?(?:nummer|numero|nro|nr|anzahl)$")
SHORTEST_PLURAL = 4  # letters, of which the last is an s

Key = tuple[str, ...]


def number_key(words: str) -> Key:
    """Return the key of a heading's bare words: ``n o plazas`` -> ``("#", "plaza")``.

    () where they name no number and no first of anything, or nothing else.
    """
    found: set[str] = set()
    for word in words.split():
        if match := _COMPOUND.match(word):
            found |= {"#", match[1]}
        elif word in _NUMBER:
            found.add("#")
        elif word in _FIRST:
            found.add("1.")
        elif word not in _SMALL:
            found.add(word[:-1] if word.endswith("s") and len(word) >= SHORTEST_PLURAL else word)
    said = found - {"#", "1."}
    return tuple(sorted(found)) if said and said != found else ()


def by_number_key(headings: Mapping[str, str], others: Iterable[str]) -> dict[Key, str]:
    """Map keys to known headings, where all headings of a key have the same meaning.

    Args:
        headings: Known headings in their bare form, with their meanings.
        others: Headings of other meanings, which are not read.
    """
    found: dict[Key, dict[str, str]] = {}
    for heading, meaning in [*headings.items(), *((heading, "") for heading in others)]:
        if key := number_key(heading):
            found.setdefault(key, {}).setdefault(meaning, heading)
    return {
        key: heading for key, by_meaning in found.items() if len(by_meaning) == 1
        for meaning, heading in by_meaning.items() if meaning
    }  # fmt: skip
