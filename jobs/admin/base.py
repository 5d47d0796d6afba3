"""The admin page of a background job: it follows the progress by itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Protocol

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import display

from console.pages import ConsoleAdmin
from console.words import NONE, ago, badge, span


class Job(Protocol):
    """What the rows of background work have in common."""

    pk: Any
    status: str
    progress: float
    step: str
    error: str
    created_at: datetime
    finished_at: datetime | None

    def get_status_display(self) -> str: ...


JOB_LABELS = {
    "queued": "info",
    "running": "info",
    "done": "success",
    "failed": "danger",
    "cancelled": "warning",
    "interrupted": "warning",
}

UNFINISHED = ("queued", "running")

SILENCE = timedelta(minutes=2)  # a running job reports far more often than this


class JobAdmin(ConsoleAdmin):
    """Background work: its page follows the progress by itself, and so does its list."""

    change_form_outer_before_template = "admin/job_panel.html"
    list_before_template = "admin/jobs_refresh.html"
    list_filter: Any = ["status"]
    actions = None

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_progress"
        view = self.admin_site.admin_view(self.progress_view)
        return [path("<int:job_id>/progress/", view, name=name), *super().get_urls()]

    def progress_view(self, request: HttpRequest, job_id: int) -> HttpResponse:
        """The progress panel alone; a finished job asks the browser for the whole page, which now says more."""
        job = self.get_queryset(request).filter(pk=job_id).first()
        if not self.has_view_permission(request, job):
            raise PermissionDenied
        if job is None:
            raise Http404
        headers = {} if job.status in UNFINISHED else {"HX-Refresh": "true"}
        return TemplateResponse(request, "admin/job_progress.html", self.panel(job), headers=headers)

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        job = self.get_object(request, object_id) if object_id else None
        extra = {**(extra_context or {}), **(self.panel(job) if job else {})}
        return super().changeform_view(request, object_id, form_url, extra)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        unfinished = self.model._default_manager.filter(status__in=UNFINISHED).exists()
        return super().changelist_view(request, {**(extra_context or {}), "has_unfinished_jobs": unfinished})

    def panel(self, job: Any) -> dict[str, Any]:
        """What the progress panel shows."""
        url_name = f"admin:{self.opts.app_label}_{self.opts.model_name}_progress"
        return {
            "job": job,
            "job_url": reverse(url_name, args=[job.pk]),
            "job_label": JOB_LABELS.get(job.status),
            "job_percent": percent(job),
            "job_is_unfinished": job.status in UNFINISHED,
            "job_duration": duration(job),
            "job_hint": hint(job),
        }

    @display(description="Status", ordering="status")
    def status_badge(self, job: Any) -> SafeString:
        return badge(job.get_status_display(), JOB_LABELS.get(job.status))

    @display(description="Progress")
    def progress_bar(self, job: Any) -> SafeString:
        return render_to_string("admin/job_bar.html", {"percent": percent(job), "step": job.step})

    @display(description="Took")
    def took(self, job: Any) -> str:
        return duration(job)


def percent(job: Job) -> int:
    return 100 if job.status == "done" else round(100 * min(max(job.progress, 0.0), 1.0))


def duration(job: Any) -> str:
    started = getattr(job, "started_at", None) or job.created_at
    if job.status == "queued":
        return NONE
    return span((job.finished_at or timezone.now()) - started)


def hint(job: Any) -> str:
    """What to do about a job that does not move; empty when all is well."""
    now = timezone.now()
    if job.status == "queued" and now - job.created_at > timedelta(seconds=15):
        return "No worker has taken it yet: is one running? If the broker was down when it was started, queue it again."
    last_sign = getattr(job, "heartbeat_at", None)
    if job.status == "running" and last_sign and now - last_sign > SILENCE:
        return f"The last sign of life came {ago(last_sign)}. If its worker died, cancel the job and start another."
    return ""
