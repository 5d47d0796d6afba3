"""How many of the cars that a search finds have each value of a field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.db.models import Count

from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.querysets import SET_FILTERS, ListingQuerySet
from catalog.search.parameters import SET_PARAMETERS

VALUES_AT_MOST = 50

Facets = dict[str, list[dict[str, Any]]]


def facets_of(filters: ListingFilters) -> Facets:
    """Parameter -> its most frequent values with their counts, by the filters without the parameter's own.

    Without its own, a field shows what its other values would find; a query per field.
    """
    listings = Listing.objects.available().cars()
    return {parameter: most_frequent(counts_of(name, filters, listings)) for parameter, name in SET_PARAMETERS.items()}


def counts_of(name: str, filters: ListingFilters, listings: ListingQuerySet) -> dict[str, int]:
    """How many of some listings have each value of a field, by the filters without the field's own."""
    column = SET_FILTERS[name]
    found = listings.matching(replace(filters, **{name: ()}))  # type: ignore[arg-type]
    known = found.exclude(**{column: ""}).filter(**{f"{column}__isnull": False})
    return dict(known.order_by().values_list(column).annotate(count=Count("pk")))


def most_frequent(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """The values with the highest counts; of those with the same, the first by its letters."""
    ordered = sorted(counts.items(), key=lambda value_and_count: (-value_and_count[1], value_and_count[0]))
    return [{"value": value, "count": count} for value, count in ordered[:VALUES_AT_MOST]]
