"""How good the stock is: what is missing, odd, double or stale."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from catalog.models import QualityReport
from recommender_site.admin_kit import JobAdmin


@admin.register(QualityReport)
class QualityReportAdmin(JobAdmin):
    list_display = ["__str__", "status_badge", "progress_bar", "n_live", "took", "created_at"]
    list_select_related = ["started_by"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
