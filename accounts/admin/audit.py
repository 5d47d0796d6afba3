"""What was changed in the console, by whom, from what to what."""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import display

from accounts.models import AuditEntry
from console.formats import NONE, badge, clock, table
from console.pages import ReadOnlyAdmin

LABELS = {"added": "success", "removed": "danger", "erased": "danger", "changed": "info"}
FIELDS_SHOWN = 3
ENTRIES_SEARCHED = 50_000


class KindFilter(admin.SimpleListFilter):
    """By the kind of row; the choices come from the models that have pages, not from the log."""

    title = "kind of row"
    parameter_name = "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = [(model._meta.label_lower, str(model._meta.verbose_name)) for model in admin.site._registry]
        return sorted(names, key=lambda choice: choice[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(model=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Read-only for every role: a log that can be edited proves nothing."""

    list_display = ["when", "who", "action_badge", "kind", "row", "in_short"]
    list_filter = [KindFilter, ("by", AutocompleteSelectFilter), ("at", RangeDateTimeFilter)]
    search_fields = ["object_name__begins_word", "by_name__begins_word", "object_id__exact", "action__exact"]
    search_help_text = (
        "Words of the name of the row or of the person; a row's number; or an action: "
        f"of the newest {ENTRIES_SEARCHED:,} entries that the filters leave"
    )
    fieldsets = [
        (None, {"fields": [("when", "who"), ("action_badge", "kind", "row"), "note"]}),
        ("Before and after", {"fields": ["both_sides"]}),
    ]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """No index finds words in the middle of a name, and this table only grows, so a search has a bound."""
        if search_term:
            newest_left_out = queryset.order_by("-pk").values_list("pk", flat=True)[ENTRIES_SEARCHED:].first()
            queryset = queryset.filter(pk__gt=newest_left_out or 0)
        found: tuple[QuerySet[AuditEntry], bool] = super().get_search_results(request, queryset, search_term)
        return found

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Pages of rows link to the entries of that very row, and the sidebar to erasures and exports."""
        return lookup in ("model__exact", "object_id__exact", "action__in") or super().lookup_allowed(
            lookup, value, request
        )

    @display(description="When", ordering="id")
    def when(self, entry: AuditEntry) -> str:
        return clock(entry.at)

    @display(description="Who")
    def who(self, entry: AuditEntry) -> str:
        return entry.by_name or NONE

    @display(description="What")
    def action_badge(self, entry: AuditEntry) -> SafeString:
        return badge(entry.action, LABELS.get(entry.action, "warning"))

    @display(description="Kind")
    def kind(self, entry: AuditEntry) -> str:
        try:
            return str(apps.get_model(entry.model)._meta.verbose_name)
        except LookupError:
            return entry.model

    @display(description="Row")
    def row(self, entry: AuditEntry) -> str | SafeString:
        """A link even where the row is gone: its page says so, and asking first would cost a query a line."""
        if not entry.object_id:
            return entry.object_name or NONE
        try:
            url = reverse(f"admin:{entry.model.replace('.', '_')}_change", args=[quote(entry.object_id)])
        except NoReverseMatch:
            return entry.object_name
        return format_html('<a href="{}" class="text-link">{}</a>', url, entry.object_name or entry.object_id)

    @display(description="Changed")
    def in_short(self, entry: AuditEntry) -> str:
        names = [name.replace("_", " ") for name in entry.after or {}]
        more = f" and {len(names) - FIELDS_SHOWN} more" if len(names) > FIELDS_SHOWN else ""
        return " · ".join(filter(None, (", ".join(names[:FIELDS_SHOWN]) + more, entry.note))) or NONE

    @display(description="")
    def both_sides(self, entry: AuditEntry) -> str | SafeString:
        before, after = entry.before or {}, entry.after or {}
        rows = [
            [name.replace("_", " "), readable(before.get(name)), readable(after.get(name))]
            for name in {**before, **after}
        ]
        return table(["Field", "Before", "After"], rows) if rows else "No values were kept."


def readable(value: Any) -> str:
    """A value of JSON as a person reads it."""
    if value is None or value in ("", [], {}):
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(readable, value))
    if isinstance(value, dict):
        return "; ".join(f"{name}: {readable(each)}" for name, each in value.items())
    return str(value)
