"""How many of the cars that a search finds have each value of a field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.db.models import Count

from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.querysets import SET_FILTERS
from catalog.search.reading import SET_PARAMETERS

VALUES_AT_MOST = 50


def facets_of(filters: ListingFilters) -> dict[str, list[dict[str, Any]]]:
    """Parameter -> its most frequent values with their counts, by the filters without the parameter's own.

    Without its own, a field shows what its other values would find; a query per field.
    """
    return {parameter: _values_of(name, filters) for parameter, name in SET_PARAMETERS.items()}


def _values_of(name: str, filters: ListingFilters) -> list[dict[str, Any]]:
    column = SET_FILTERS[name]
    found = Listing.objects.available().cars().matching(replace(filters, **{name: ()}))  # type: ignore[arg-type]
    known = found.exclude(**{column: ""}).filter(**{f"{column}__isnull": False})
    counted = known.order_by().values_list(column).annotate(count=Count("pk")).order_by("-count", column)
    return [{"value": value, "count": count} for value, count in counted[:VALUES_AT_MOST]]
