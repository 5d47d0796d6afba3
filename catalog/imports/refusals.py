"""Refuse rows that offer no car: motorbikes, caravans, parts, and adverts that look for a car."""

from __future__ import annotations

import re

from catalog.imports.names import name_car
from catalog.imports.vocabulary import WANTED_WORDS, bare, phrases_of

_SET_OF = re.compile(
    r"^(?:\d+ ?x |set of |pair of |satz |jeu de |juego de )?(?:\d+ )?(?:(?:inch|zoll|pouces|pollici|pulgadas|tum) )?"
)
NOT_A_CAR = "no car: a motorbike, caravan, trailer or boat"
_A_SET = re.compile(
    r"\bx ?[2-5]\b|\bset of [2-5]\b|\b(?:komplett)?satz\b|\bjeu de [2-5]\b|\bjuego de [2-5]\b|\bset di [2-5]\b"
)
_YEAR_FIRST = re.compile(r"^(?:19|20)\d\d ")
# of makers that build cars too
_MOTORBIKES = re.compile(
    r"(?:honda (?:cb|cbr|crf|nc|cmx|vfr|pcx|gl|xl|sh) ?\d{2,4}|bmw [rfkscg] ?(?:\d{3,4}[a-z]{0,3}|ninet)\b|"
    r"suzuki (?:gsx|gsf|sv|dr|dl|vl|rm|v strom|bandit|hayabusa|burgman)\b|peugeot (?:kisbee|tweet|django|speedfight)\b)"
)
_NO_CARS_ANYWHERE = phrases_of("not_a_car_anywhere")
_ALSO_A_MODEL = frozenset(["caravan", "scooter", "roller", "moto", "quad", "mc", "bus coach"])
_NO_CARS = phrases_of("not_a_car") - _ALSO_A_MODEL


def no_car_by_category(text: str) -> str:
    """Return why a category is no car: ``Motorrad``, ``Cars > Parts``; "" when it may be one."""
    levels = [bare(level) for level in re.split(r"[>/|,;]", text)[-3:]]
    if any(level in phrases_of("not_a_car") or _starts_with_no_car(level.split()) for level in levels):
        return NOT_A_CAR
    return "no car: a part" if any(_starts_with(level.split(), phrases_of("parts")) for level in levels) else ""


def no_car_by_title(title: str) -> str:
    """Return why a title offers no car, by its first words: ``Wohnwagen Hobby``, ``4 x alloy wheels``; "" when it
    may."""
    plain = _YEAR_FIRST.sub("", bare(title))
    if plain.partition(" ")[0] in WANTED_WORDS:
        return "an advert asking for a car, not offering one"
    words = _SET_OF.sub("", plain).split()
    if _starts_with_no_car(words) or no_car_by_make(plain) or _MOTORBIKES.match(plain):
        return NOT_A_CAR
    if _starts_with(words, phrases_of("parts")):
        return "no car: a part"
    if any(behind in phrases_of("parts") for each in _A_SET.finditer(plain) for behind in _beside(plain, each)):
        return "no car: a part"
    is_named = bool(name_car("", "", title).make)
    return "" if is_named or not set(words) & _NO_CARS_ANYWHERE else NOT_A_CAR


def no_car_by_make(make: str) -> str:
    """Return why the maker at the beginning of a text builds no cars: ``Yamaha MT-07``, ``Hobby De Luxe``; "" when
    it may."""
    return NOT_A_CAR if _starts_with(bare(make).split(), phrases_of("makers_of_no_cars")) else ""


def _starts_with_no_car(words: list[str]) -> bool:
    return _starts_with(words, _NO_CARS)


def _starts_with(words: list[str], phrases: frozenset[str]) -> bool:
    return any(" ".join(words[:n_words]) in phrases for n_words in (3, 2, 1))


def _beside(plain: str, number: re.Match[str]) -> list[str]:
    """Return the two words before the words for a set, and the one after."""
    before, after = plain[: number.start()].split()[-2:], plain[number.end() :].split()[:2]
    return [" ".join(before), *before[-1:], " ".join(after), *after[:1]]
