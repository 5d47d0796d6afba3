"""The list's filters by range of numbers that are stored in one unit and typed in the market's."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import RangeNumericFilter

from catalog import units
from catalog.attributes import RANGES

NUMBERS = {number.column: number for number in RANGES}


class MarketRangeFilter(RangeNumericFilter):
    """Of an attribute's column; what cannot be read narrows nothing, as with Unfold's own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        number = NUMBERS[self.field_path]
        self.measure = units.measure_of(number.unit)
        self.is_counted = number.kind in ("count", "large count")
        unit = f" ({self.measure.unit})" if self.measure.unit else ""
        self.title = f"{number.label.lower()}{unit}"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        bounds = {}
        for ending, lookup in (("from", "gte"), ("to", "lte")):
            if typed := str(self.used_parameters.get(f"{self.field_path}_{ending}") or "").strip():
                try:
                    stored = self.measure.stored(float(typed))
                    bounds[f"{self.field_path}__{lookup}"] = round(stored) if self.is_counted else stored
                except (ValueError, OverflowError):
                    return None
        return queryset.filter(**bounds)
