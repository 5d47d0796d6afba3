"""Offline tests of weights and rules, as jobs; results are shown on their pages, and on the preview they came from."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from console.formats import NONE, table
from jobs.admin.base import JobAdmin
from recommendations.admin.pages import describe_offline_test
from recommendations.models import WeightTrial


@admin.register(WeightTrial)
class OfflineTestAdmin(JobAdmin):
    empty_help = (
        "An offline test says what other weights would have done to past lists; it is started at “Try weights” "
        "of the event kinds or a placement."
    )
    list_display = ["name", "status_badge", "progress_bar", "took", "placement", "started_by", "created_at"]
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["placement", "started_by"]
    readonly_fields = ["found", "differences"]
    fieldsets = [
        ("Result", {"fields": ["found"]}),
        ("Arguments", {"fields": ["placement", "differences"]}),
        ("Who and when", {"fields": [("started_by", "created_at"), ("started_at", "finished_at", "heartbeat_at")]}),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """They are started from a preview."""
        return False

    def has_start_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_run_offline_tests(request)

    @display(description="Offline test", ordering="pk")
    def name(self, offline_test: WeightTrial) -> str:
        return f"Offline test {offline_test.pk}"

    @display(description="Found")
    def found(self, offline_test: WeightTrial) -> str | SafeString:
        return describe_offline_test(offline_test.result) if offline_test.result else "Nothing yet."

    @display(description="Differences")
    def differences(self, offline_test: WeightTrial) -> str | SafeString:
        lines = [
            [name, before, after]
            for part in ("kinds", "rules")
            for name, after in offline_test.after.get(part, {}).items()
            if (before := offline_test.before.get(part, {}).get(name)) != after
        ]
        return table(["What", "Stored", "Tried"], lines) if lines else NONE


def may_run_offline_tests(request: HttpRequest) -> bool:
    """Whether the user may test weights or rules: those who may save them may."""
    user = request.user
    return any(user.has_perm(f"recommendations.change_{model}") for model in ("eventkind", "placement"))
