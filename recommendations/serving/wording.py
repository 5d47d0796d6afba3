"""The words of a reason, in the language of the request.

Whole statements and whole noun phrases are translated, so that no language has to follow the grammar of another: what
the cars of one value are called ("diesel cars", "estates") is a phrase of its own, in the plural and, in languages
with cases, in the accusative: the object of "opened", "searched for" or "look for". A statement has no full stop, since
asides may follow; ``sentence`` puts the two together.

An attribute declares what cars of its values are called (``catalog.attributes``). A kind that is added to
``engine.reasons`` needs its words here; what is missing in ``locale`` a test names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy, pgettext_lazy
from django.utils.translation import gettext as _

from catalog import attributes, units
from recommendations.engine.reason import Kind, Money, Reason
from recommendations.engine.reasons import NUMBERS
from recommendations.engine.score_terms import SCORE_TERMS

Words = Promise | str

STATEMENTS: Mapping[Kind, Words] = {  # those that name nothing
    Kind.SIMILAR: gettext_lazy("Much like the car you are looking at"),
    Kind.SAVED_SEARCH: gettext_lazy("Matches one of your saved searches"),
    Kind.PRICE_DROP: gettext_lazy("Its price has just fallen"),
    Kind.POPULAR: gettext_lazy("Popular with buyers right now"),
    Kind.NEW_TODAY: gettext_lazy("New today"),
    Kind.NEW_THIS_WEEK: gettext_lazy("New this week"),
    Kind.NEW_THIS_MONTH: gettext_lazy("New this month"),
    Kind.NEWEST: gettext_lazy("One of the newest"),
    Kind.PROMOTED: gettext_lazy("Promoted by its seller"),
    Kind.LIKE_MINDED: gettext_lazy("Buyers of what you looked at also look at cars like this"),
    Kind.MANY_LOOK: gettext_lazy("Many buyers look at cars like this"),
    Kind.A_LITTLE_DIFFERENT: gettext_lazy("Something a little different from what you have seen"),
    Kind.DIFFERENT: gettext_lazy("Something different"),
    Kind.BELOW_MARKET: gettext_lazy("Priced below what such cars usually cost"),
    Kind.NEARBY: gettext_lazy("Close to you"),
    Kind.MATCH: gettext_lazy("A good match overall for what you look for"),
    Kind.USUAL: gettext_lazy("The kind of car many buyers look for"),
}
WITH_BUDGET: Mapping[Kind, Words] = {
    Kind.WITHIN_BUDGET: gettext_lazy("Within your budget of %(budget)s"),
    Kind.POPULAR: gettext_lazy("Popular with buyers right now and within your budget of %(budget)s"),
    Kind.NEW_TODAY: gettext_lazy("New today and within your budget of %(budget)s"),
    Kind.NEW_THIS_WEEK: gettext_lazy("New this week and within your budget of %(budget)s"),
    Kind.NEW_THIS_MONTH: gettext_lazy("New this month and within your budget of %(budget)s"),
    Kind.NEWEST: gettext_lazy("One of the newest and within your budget of %(budget)s"),
    Kind.PROMOTED: gettext_lazy("Promoted by its seller and within your budget of %(budget)s"),
}
OF_CARS: Mapping[Kind, Words] = {  # %(cars)s: a phrase of CARS
    Kind.OPENED: gettext_lazy("Because you opened %(cars)s"),
    Kind.LIKED: gettext_lazy("Because you liked %(cars)s"),
    Kind.CONTACTED: gettext_lazy("Because you contacted sellers of %(cars)s"),
    Kind.SEARCHED: gettext_lazy("Because you searched for %(cars)s"),
    Kind.SET: gettext_lazy("Because you said you look for %(cars)s"),
    Kind.MANY_LOOK_FOR: gettext_lazy("Because many buyers look for %(cars)s"),
}
# Of a make or model: with the English article "a", and with "an". Other languages may say both in one way.
OF_NAME: Mapping[Kind, tuple[Words, Words]] = {
    Kind.OPENED: (
        gettext_lazy("A %(name)s like those you opened"),
        gettext_lazy("An %(name)s like those you opened"),
    ),
    Kind.LIKED: (
        gettext_lazy("A %(name)s like those you liked"),
        gettext_lazy("An %(name)s like those you liked"),
    ),
    Kind.CONTACTED: (
        gettext_lazy("A %(name)s like those you contacted the seller of"),
        gettext_lazy("An %(name)s like those you contacted the seller of"),
    ),
    Kind.SEARCHED: (
        gettext_lazy("A %(name)s, as you searched for"),
        gettext_lazy("An %(name)s, as you searched for"),
    ),
    Kind.SET: (
        gettext_lazy("A %(name)s, as you said you look for"),
        gettext_lazy("An %(name)s, as you said you look for"),
    ),
    Kind.MANY_LOOK_FOR: (
        gettext_lazy("A %(name)s like those many buyers look for"),
        gettext_lazy("An %(name)s like those many buyers look for"),
    ),
}
OF_TAGS: Mapping[Kind, tuple[Words, Words]] = {  # of one tag, and of two
    Kind.LIKES_TAGS: (
        gettext_lazy("Because you like %(tag)s"),
        gettext_lazy("Because you like %(tag)s and %(other)s"),
    ),
    Kind.MANY_LIKE_TAGS: (
        gettext_lazy("Because many like %(tag)s"),
        gettext_lazy("Because many like %(tag)s and %(other)s"),
    ),
}
CARS: Mapping[str, Mapping[str, Words]] = {  # field -> value -> what such cars are called
    **{
        category.name: {value: gettext_lazy(cars) for value, cars in category.phrases.items()}
        for category in attributes.CATEGORIES
    },
    "seller": {
        "dealer": gettext_lazy("cars sold by dealers"),
        "private": gettext_lazy("cars sold by private sellers"),
    },
}
OTHER_CARS: Mapping[str, Words] = {  # of values beyond those: a colour stays as a seller wrote it
    "colour": pgettext_lazy("colour", "%(value)s cars"),
    "fuel": pgettext_lazy("fuel", "%(value)s cars"),
    "gearbox": pgettext_lazy("gearbox", "%(value)s cars"),
    "drive": pgettext_lazy("drive", "%(value)s cars"),
}
ASIDES: Mapping[str, Words] = {
    **{name: gettext_lazy(number.aside.text) for name, number in NUMBERS.items() if number.aside},
    **{term.name: gettext_lazy(term.aside) for term in SCORE_TERMS if term.aside},
}
SENTENCES_KEPT = 4096  # of one process; some 300 bytes each
SPOKEN_AS_WORDS = {"KIA", "RAM", "MAN", "DAF", "GAZ"}  # among capitals of at most three letters


def sentence(reason: Reason) -> str:
    """A reason in words, with its full stop; never empty."""
    return _sentence(reason, get_language())


@lru_cache(maxsize=SENTENCES_KEPT)
def _sentence(reason: Reason, _language: str | None) -> str:
    """The same; a language has one sentence for a reason, and to look up its words takes longer than to choose it."""
    said = statement(reason)
    for aside in reason.asides:
        said = _("%(statement)s, %(aside)s") % {"statement": said, "aside": ASIDES[aside]}
    return _("%(statement)s.") % {"statement": said}


def statement(reason: Reason) -> str:
    """The main sentence of a reason, without its additions."""
    if reason.says:
        return _(reason.says)
    if reason.budget is not None:
        return str(WITH_BUDGET[reason.kind]) % {"budget": money(reason.budget)}
    if reason.tags:
        one, two = OF_TAGS[reason.kind]
        return str(one if len(reason.tags) == 1 else two) % {"tag": reason.tags[0], "other": reason.tags[-1]}
    if reason.field in ("make", "model"):
        a, an = OF_NAME[reason.kind]
        return str(an if begins_with_vowel_sound(reason.value) else a) % {"name": reason.value}
    if reason.field:
        return str(OF_CARS[reason.kind]) % {"cars": cars_of(reason.field, reason.value)}
    return str(STATEMENTS[reason.kind])


def cars_of(field: str, value: str) -> str:
    """Cars that have one value of one field: "estates", "diesel cars", "cars sold by dealers"."""
    known = CARS[field].get(value)
    others = OTHER_CARS.get(field, pgettext_lazy("attribute", "%(value)s cars"))
    return str(known) if known is not None else str(others) % {"value": value.replace("_", " ")}


def money(amount: Money) -> str:
    """An amount without decimals, its currency by its sign where it has a usual one."""
    return units.money(amount.amount, amount.currency) if amount.currency else units.number(amount.amount)


def begins_with_vowel_sound(phrase: str) -> bool:
    """Whether English says "an" before it: an automatic, an SUV, an MG, an 8-seater; a BMW, a SEAT, a Unimog."""
    start = re.match(r"\d+|[^\W\d_]*", phrase.split()[0])
    letters = start.group() if start else ""
    if letters[:1].isdigit():
        return letters[0] == "8" or letters in ("11", "18")
    if len(letters) == 1 or _is_spelled_out(letters):
        return letters[0].upper() in "AEFHILMNORSX"
    if letters.casefold().startswith(("uni", "use", "util", "eu", "one")):
        return False
    return letters[:1].casefold() in tuple("aeiouáéíóúåäöü")


def _is_spelled_out(word: str) -> bool:
    """MG and SUV are, SEAT and MINI are not."""
    return word.isupper() and len(word) <= 3 and word not in SPOKEN_AS_WORDS
