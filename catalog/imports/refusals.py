"""Rows that offer no car: motorbikes, caravans, parts, adverts that ask for one."""

from __future__ import annotations

import re

from catalog.imports.vocabulary import WANTED_WORDS, bare, phrases_of

_SET_OF = re.compile(
    r"^(?:\d+ ?x |set of |pair of |satz |jeu de |juego de )?(?:\d+ )?(?:(?:inch|zoll|pouces|pollici|pulgadas|tum) )?"
)
_ALSO_A_MODEL = frozenset(["caravan", "scooter", "roller", "moto", "quad", "mc", "bus coach"])


def no_car_by_category(text: str) -> str:
    """Why a category's cell names no car: ``Motorrad``, ``Cars > Parts``; '' when it may."""
    levels = [bare(level) for level in re.split(r"[>/|,;]", text)[-3:]]
    if any(level in phrases_of("not_a_car") for level in levels):
        return "no car: a motorbike, caravan, trailer or boat"
    return "no car: a part" if any(level in phrases_of("parts") for level in levels) else ""


def no_car_by_title(title: str) -> str:
    """Why a heading offers no car, by its first words: ``Wohnwagen Hobby``, ``4 x alloy wheels``; '' when it may."""
    if bare(title).partition(" ")[0] in WANTED_WORDS:
        return "an advert asking for a car, not offering one"
    words = _SET_OF.sub("", bare(title)).split()
    for n_words in (3, 2, 1):
        start = " ".join(words[:n_words])
        if start in phrases_of("not_a_car") and start not in _ALSO_A_MODEL:
            return "no car: a motorbike, caravan, trailer or boat"
        if start in phrases_of("parts"):
            return "no car: a part"
    return ""
