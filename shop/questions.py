"""What a visitor asks of the stock, in the vocabulary of the API's search."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count
from django.http import QueryDict
from django.utils.formats import get_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalog.api.fields import OneOfField
from catalog.attributes import BY_NAME
from catalog.columns import CHOICES
from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.units import number, translated
from recommendations.api.search_pages import read_search_question
from recommendations.api.search_serializers import SearchSerializer

BEST = "best"
ORDERINGS = {
    BEST: gettext_lazy("Best for you"),
    "newest": gettext_lazy("Newest first"),
    "price": gettext_lazy("Cheapest first"),
    "-price": gettext_lazy("Most expensive first"),
    "mileage": gettext_lazy("Least driven first"),
    "-year": gettext_lazy("Youngest first"),
}
PAGE_SIZE = 24
FIELDS = ("q", "brand", "body", "fuel", "gearbox", "colour", "min_year", "min_price", "max_price", "max_mileage")
MAKES_KEPT_SECONDS = 120
LABELS = {  # of the values that a question may name
    "q": gettext_lazy("Search"), "brand": gettext_lazy("Make"), "min_year": gettext_lazy("Year from"),
    "min_price": gettext_lazy("Price from"), "max_price": gettext_lazy("Price up to"),
    "max_mileage": gettext_lazy("Mileage up to"), "ordering": gettext_lazy("Sort by"), "page": gettext_lazy("Page"),
}  # fmt: skip


class WindowSerializer(SearchSerializer):
    """The search of the API, with the order that only a recommender has."""

    ordering = OneOfField(ORDERINGS, default=BEST)


@dataclass(frozen=True)
class Question:
    """What is asked, and what of it was not understood.

    Attributes:
        filters: As every list takes them.
        ordering: A key of ``ORDERINGS``.
        n_shown: How many cars are wanted.
        given: What stands in the form, by name.
        problems: One sentence for each value that was left out.
    """

    filters: ListingFilters
    ordering: str
    n_shown: int
    given: dict[str, str]
    problems: tuple[str, ...] = ()

    @property
    def as_query(self) -> str:
        """As the query string of a page that asks the same."""
        return _as_query(self.given)

    @property
    def page(self) -> int:
        return self.n_shown // PAGE_SIZE

    @property
    def more(self) -> str:
        """The query string of the longer page."""
        return _as_query({**self.given, "page": str(self.page + 1)})


def _as_query(given: Mapping[str, str]) -> str:
    query = QueryDict(mutable=True)
    query.update(given)
    return query.urlencode()


def read_question(asked: QueryDict) -> Question:
    """A question out of a query string; what cannot be read is left out and said."""
    names = (*FIELDS, "ordering", "page")
    texts = {name: str(asked.get(name, "")).strip() for name in names}
    given = {name: _by_language(name, text) for name, text in texts.items() if text}
    problems: list[str] = []
    while True:
        query = QueryDict(mutable=True)
        query.update(given)
        serializer = WindowSerializer(data=query)
        if serializer.is_valid():
            break
        wrong = [name for name in serializer.errors if name in given] or list(given)
        for name in wrong:
            reason = str(next(iter(serializer.errors.get(name, [_("it was not understood")])))).rstrip(".")
            left_out = {"field": label_of(name), "value": (given.pop(name) and texts[name])[:40], "reason": reason}
            problems.append(_("%(field)s “%(value)s” was left out: %(reason)s.") % left_out)
    checked: dict[str, Any] = serializer.validated_data
    n_pages = min(checked["page"], pages_at_most())
    search = read_search_question(checked)
    if not search.is_rest_found:
        problems.append(_("No car has the words “%(words)s”: they were left out.") % {"words": search.reading.rest})
    return Question(
        filters=search.filters,
        ordering=checked["ordering"],
        n_shown=PAGE_SIZE * n_pages,
        given=given,
        problems=tuple(problems),
    )


def _by_language(name: str, text: str) -> str:
    """The text, numbers as every language reads them: ``15.000`` is fifteen thousand in German and 15 in English."""
    if not name.startswith(("min_", "max_")):
        return text
    thousands, decimal = (re.escape(get_format(f"{each}_SEPARATOR")) for each in ("THOUSAND", "DECIMAL"))
    if not re.fullmatch(rf"(?:\d+|\d{{1,3}}(?:[{thousands}\s'’]\d{{3}})+)(?:{decimal}\d+)?", text):
        return text
    whole, _separator, rest = text.partition(get_format("DECIMAL_SEPARATOR"))
    return ".".join(filter(None, (re.sub(r"\D", "", whole), rest)))


def label_of(name: str) -> str:
    """What a field of the search is called."""
    return str(LABELS[name]) if name in LABELS else translated(BY_NAME[name].label)


def pages_at_most() -> int:
    return settings.RECOMMENDATIONS_MAX_K // PAGE_SIZE or 1


def read_back(text: str) -> Question:
    """The question of the page that a form was on, as it was sent along."""
    try:
        return read_question(QueryDict(text[:2000]))
    except ValueError:  # more names than any form of ours has
        return read_question(QueryDict())


def facets(given: Mapping[str, str]) -> list[dict[str, Any]]:
    """The selects of the search form, each with its choices and the one chosen."""
    choices = {
        "brand": makes_for_sale(),
        **{
            name: [(value, translated(str(label))) for value, label in CHOICES[name].choices]
            for name in ("body", "fuel", "gearbox")
        },
    }
    return [
        {"name": name, "label": label_of(name), "choices": values, "chosen": given.get(name, "")}
        for name, values in choices.items()
    ]


def makes_for_sale() -> list[tuple[str, str]]:
    """Slugs and names of the makes that can be bought, by name."""

    def read() -> list[tuple[str, str, int]]:
        makes = Listing.objects.available().cars().exclude(make=None).order_by()
        found = makes.values_list("make__slug", "make__name").annotate(n=Count("id"))
        return sorted(found, key=lambda make: str(make[1]).casefold())

    makes = cache.get_or_set("shop-makes-counted", read, MAKES_KEPT_SECONDS) or []
    return [(slug, f"{name} ({number(n)})") for slug, name, n in makes]
