"""Completions of what is being typed into a search; no database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from catalog.search.amounts import composed, plain_search
from catalog.search.lexicon import Lexicon, squeezed

_LAST_WORDS = re.compile(r"[^\W_]+(?:[\s.-]+[^\W_]+)?$")
_LAST_WORD = re.compile(r"[^\W_]+$")


@dataclass(frozen=True)
class Completion:
    """The typed text with its last word completed, and the parameter, value and count of cars it stands for."""

    text: str
    field: str
    value: str
    count: int


def completions_of(text: str, lexicon: Lexicon, limit: int) -> list[Completion]:
    """Names and words that begin as the text ends, those with the most cars first; a misspelt word is corrected."""
    text = composed(text)
    for pattern in (_LAST_WORDS, _LAST_WORD):  # "land ro" before "ro"
        typed = pattern.search(text)
        if typed and (found := _beginning(typed[0], text[: typed.start()], lexicon)):
            return found[:limit]
    typed = _LAST_WORD.search(text)
    corrected = lexicon.corrected(plain_search(typed[0])) if typed else ""
    if not typed or corrected == plain_search(typed[0]):
        return []
    return _beginning(corrected, text[: typed.start()], lexicon)[:limit]


def _beginning(typed: str, before: str, lexicon: Lexicon) -> list[Completion]:
    key = squeezed(typed)
    makes = {make for word in plain_search(before).split() if (make := lexicon.make(word))}
    found = [
        Completion(f"{before}{name}", field, value, count)
        for name, field, value, count, make in _entries(lexicon)
        if squeezed(name).startswith(key) and not (makes and field == "model" and make not in makes)
    ]
    unique = {(one.field, one.value): one for one in found}
    return sorted(unique.values(), key=lambda one: (-one.count, one.text))


def _entries(lexicon: Lexicon) -> Iterator[tuple[str, str, str, int, str]]:
    """Name, parameter, value, count of cars, and the make of a model, of everything that the stock has."""
    model_names = {slug: (name, make) for make, models in lexicon.model_names.items() for slug, name in models.items()}
    for (field, value), count in lexicon.counts.items():
        make = ""
        if field == "brand":
            name = lexicon.make_names.get(value, value)
        elif field == "model":
            name, make = model_names.get(value, (value, ""))
        else:
            name = value.replace("_", " ")
        yield name, field, value, count, make
