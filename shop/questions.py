"""What a visitor asks of the stock, in the vocabulary of the API's search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count
from django.http import QueryDict

from catalog.api.fields import OneOfField
from catalog.attributes import BY_NAME
from catalog.columns import CHOICES
from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.api.serializers import SearchSerializer
from recommendations.api.views import read_search_question

BEST = "best"
ORDERINGS = {
    BEST: "Best for you",
    "newest": "Newest first",
    "price": "Cheapest first",
    "-price": "Dearest first",
    "mileage": "Least driven first",
    "-year": "Youngest first",
}
PAGE_SIZE = 24
FIELDS = ("q", "brand", "body", "fuel", "gearbox", "colour", "min_year", "min_price", "max_price", "max_mileage")
MAKES_KEPT_SECONDS = 120


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
    given = {name: text for name, text in texts.items() if text}
    problems: list[str] = []
    while True:
        query = QueryDict(mutable=True)
        query.update(given)
        serializer = WindowSerializer(data=query)
        if serializer.is_valid():
            break
        wrong = [name for name in serializer.errors if name in given] or list(given)
        for name in wrong:
            reason = str(next(iter(serializer.errors.get(name, ["it was not understood"])))).rstrip(".")
            problems.append(f"{name.replace('_', ' ').capitalize()} “{given.pop(name)[:40]}” was left out: {reason}.")
    checked: dict[str, Any] = serializer.validated_data
    n_pages = min(checked["page"], pages_at_most())
    search = read_search_question(checked)
    if not search.is_rest_found:
        problems.append(f"No car has the words “{search.reading.rest}”: they were left out.")
    return Question(
        filters=search.filters,
        ordering=checked["ordering"],
        n_shown=PAGE_SIZE * n_pages,
        given=given,
        problems=tuple(problems),
    )


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
        "brand": ("Make", makes_for_sale()),
        **{name: (BY_NAME[name].label, CHOICES[name].choices) for name in ("body", "fuel", "gearbox")},
    }
    return [
        {"name": name, "label": label, "choices": values, "chosen": given.get(name, "")}
        for name, (label, values) in choices.items()
    ]


def makes_for_sale() -> list[tuple[str, str]]:
    """Slugs and names of the makes that can be bought, by name."""

    def read() -> list[tuple[str, str]]:
        makes = Listing.objects.available().cars().exclude(make=None).order_by()
        found = makes.values_list("make__slug", "make__name").annotate(n=Count("id"))
        return sorted(((slug, f"{name} ({n:,})") for slug, name, n in found), key=lambda make: make[1].casefold())

    return cache.get_or_set("shop-makes", read, MAKES_KEPT_SECONDS) or []
