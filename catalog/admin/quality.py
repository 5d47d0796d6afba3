"""The quality report: figures about the stock, each explained and linked to its listings."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.views.generic import TemplateView
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.views import UnfoldModelAdminViewMixin

from accounts.models import User
from catalog.models import ImportRun, QualityReport
from catalog.quality import Status, lines_of, queue_report
from console.auditing import record
from console.formats import ago
from jobs.admin.base import JobAdmin
from jobs.queue import enqueue_on_commit

IMPORTS_SHOWN = 5


@admin.register(QualityReport)
class QualityReportAdmin(JobAdmin):
    """The reports as rows; what they say is on a page of its own."""

    list_display = ["__str__", "status_badge", "progress_bar", "n_live", "took", "started_by", "created_at"]
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["started_by"]
    fieldsets = [
        (None, {"fields": [("status_badge", "n_live")]}),
        ("Who and when", {"fields": [("started_by", "created_at"), ("started_at", "finished_at")]}),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """False: reports are made by the button of the page, and every night."""
        return False

    pages_beside = frozenset(["catalog_quality"])

    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site.admin_view
        return [
            path("overview/", site(QualityView.as_view(model_admin=self)), name="catalog_quality"),
            path("measure/", site(self.measure), name="catalog_quality_measure"),
            *super().get_urls(),
        ]

    def measure(self, request: HttpRequest) -> HttpResponse:
        """Queue a new report."""
        if not self.has_start_permission(request):
            return HttpResponse(status=403)
        if request.method != "POST":
            raise Http404
        with transaction.atomic():
            user = request.user if isinstance(request.user, User) else None
            if report := queue_report(started_by=user):
                record(by=request.user, action="measure", target=report)
                enqueue_on_commit(QualityReport.TASK, report.pk)
        if report is None:
            messages.info(request, "A report is being made already.")
        else:
            messages.success(request, "A new report was queued. This page follows it by itself.")
        return redirect("admin:catalog_quality")


class QualityView(UnfoldModelAdminViewMixin, TemplateView):
    """The last report, what is being measured now, and what the last imports could not understand."""

    title = "Data quality"
    template_name = "console/quality.html"
    permission_required = "catalog.view_qualityreport"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        last, *earlier = [*QualityReport.objects.filter(status=Status.DONE)[:2], None]
        running = QualityReport.objects.unfinished().first()
        lines = lines_of(last, earlier[0] if earlier else None) if last else []
        return super().get_context_data(
            **kwargs,
            report=last,
            age=ago(last.finished_at) if last else "",
            groups=[(name, list(each)) for name, each in groupby(lines, key=lambda line: line.check.group)],
            imports=self.imports(),
            may_measure=self.model_admin.has_start_permission(self.request),
            **(self.model_admin.panel(running) if running else {}),
        )

    def imports(self) -> list[dict[str, Any]]:
        """The last imports with their commonest problem; nothing for those who may not see them."""
        if not self.request.user.has_perm("catalog.view_importrun"):
            return []
        runs = ImportRun.objects.filter(is_dry_run=False).exclude(status="queued").order_by("-started_at")
        return [
            {"run": run, "problem": next(iter(run.options.get("problems", [])), None)} for run in runs[:IMPORTS_SHOWN]
        ]
