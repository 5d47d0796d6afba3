"""Filters of the list of listings that other pages link to; they show only where they are used."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from catalog.models import ImportedListing, Listing
from catalog.quality import CHECK_BY_KEY, narrowed

NO_RUN = -1


class ImportedFilter(SimpleListFilter):
    """The listings an import brought: ``12-new``, or changed: ``12-changed``. Known for as long as it can be undone."""

    title = "import"
    parameter_name = "imported"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = self.used_parameters.get(self.parameter_name)
        run_id, _, kind = str(value or "").partition("-")
        return [(str(value), f"{kind} by import {run_id}")] if value else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Listing]) -> QuerySet[Listing]:
        if not self.value():
            return queryset
        run_id, _, kind = str(self.value()).partition("-")
        of_run = ImportedListing.objects.filter(run=int(run_id) if run_id.isdecimal() else NO_RUN)
        return queryset.filter(pk__in=of_run.filter(is_new=kind != "changed").values("listing_id"))


class QualityFilter(SimpleListFilter):
    """The listings that a check of the quality report is about."""

    title = "quality"
    parameter_name = "quality"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        check = CHECK_BY_KEY.get(str(self.used_parameters.get(self.parameter_name)))
        return [(check.key, check.title)] if check else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Listing]) -> QuerySet[Listing]:
        return narrowed(queryset, str(self.value())) if self.value() else queryset
