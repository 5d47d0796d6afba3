"""The admin page of a background job: it follows the progress by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from console import auditing
from console.formats import NONE, ago, badge, page_of, span
from console.pages import ConsoleAdmin, dialog, go_to
from jobs.models import Job
from jobs.queue import enqueue_on_commit
from jobs.work import cancel

JOB_LABELS = {
    "queued": "info",
    "running": "info",
    "done": "success",
    "failed": "danger",
    "cancelled": "",
    "interrupted": "warning",
}


class JobAdmin(ConsoleAdmin):
    """A background job: started and looked at, cancelled and queued again, never edited.

    Its page follows the progress by itself, and so does its list.
    """

    change_form_outer_before_template = "admin/job_panel.html"
    list_before_template = "admin/jobs_refresh.html"
    list_filter: Any = ["status"]
    actions = None
    actions_detail: Any = ["queue_again", "cancel"]

    # --- Who may -----------------------------------------------------------------------------------------------------
    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_start_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may add a job may start and cancel it, wherever the button is that adds one."""
        opts = self.opts
        return bool(request.user.has_perm(f"{opts.app_label}.add_{opts.model_name}"))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A job that has ended may be tidied away; one that a worker holds may not."""
        is_unfinished = isinstance(obj, Job) and obj.is_unfinished
        return super().has_delete_permission(request, obj) and not is_unfinished

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Without the buttons that a job as it is now would only answer with a refusal."""
        job = self.model._default_manager.only("status").filter(pk=object_id).first()
        refused = {
            *(() if job and job.status == Job.Status.QUEUED else ("queue_again",)),
            *(() if job and job.is_unfinished else ("cancel",)),
        }
        prefix = f"{self.opts.app_label}_{self.opts.model_name}_"
        buttons = super().get_actions_detail(request, object_id)
        return [button for button in buttons if button.action_name.removeprefix(prefix) not in refused]

    # --- Following it ------------------------------------------------------------------------------------------------
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
        headers = {} if job.is_unfinished else {"HX-Refresh": "true"}
        return TemplateResponse(request, "admin/job_progress.html", self.panel(job), headers=headers)

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        job = self.get_object(request, object_id) if object_id else None
        extra = {**(extra_context or {}), **(self.panel(job) if job else {})}
        page: HttpResponse = super().changeform_view(request, object_id, form_url, extra)
        return page

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        unfinished = self.model._default_manager.all().unfinished().exists()
        extra = {**(extra_context or {}), "has_unfinished_jobs": unfinished}
        page: HttpResponse = super().changelist_view(request, extra)
        return page

    def panel(self, job: Any) -> dict[str, Any]:
        """What the progress panel shows."""
        url_name = f"admin:{self.opts.app_label}_{self.opts.model_name}_progress"
        return {
            "job": job,
            "job_url": reverse(url_name, args=[job.pk]),
            "job_label": JOB_LABELS.get(job.status),
            "job_percent": percent(job),
            "job_is_unfinished": job.is_unfinished,
            "job_duration": duration(job),
            "job_hint": hint(job),
        }

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Straight to the job's page, where the progress shows."""
        messages.success(request, f"The {self.opts.verbose_name} was queued. This page follows it by itself.")
        return redirect(page_of(obj))

    # --- Buttons -----------------------------------------------------------------------------------------------------
    @action(
        description="Queue again",
        url_path="queue-again",
        icon="replay",
        permissions=["start"],
        dialog=dialog(
            "Hand the job to the queue again",
            "For a job that no worker took, because the broker was down when it was started. A job that has started "
            "already is not started twice.",
            "Queue again",
        ),
    )
    def queue_again(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        job = self.model._default_manager.get(pk=object_id)
        if job.status == Job.Status.QUEUED:
            with transaction.atomic():
                enqueue_on_commit(job.TASK, job.pk)
            messages.success(request, "The job was handed to the queue.")
        else:
            messages.warning(request, f"Nothing was queued: the job is {job.get_status_display().lower()}.")
        return go_to(page_of(job))

    @action(
        description="Cancel",
        url_path="cancel",
        icon="cancel",
        permissions=["start"],
        dialog=dialog(
            "Cancel this job",
            "It stops at its next step. What is live stays live; of imports and demo markets, what was stored stays.",
            "Cancel the job",
        ),
    )
    def cancel(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        job = self.model._default_manager.get(pk=object_id)
        with transaction.atomic():
            if is_stopped := cancel(job):
                before = {"status": job.status, "progress": job.progress}
                auditing.record(
                    by=request.user, action="cancelled", target=job, before=before, after={"status": "cancelled"}
                )
        if is_stopped:
            messages.success(request, f"The {self.opts.verbose_name} was cancelled.")
        else:
            messages.warning(request, f"The {self.opts.verbose_name} had ended already.")
        return go_to(page_of(job))

    # --- What is shown -----------------------------------------------------------------------------------------------
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


def duration(job: Job) -> str:
    started = job.started_at or job.created_at
    if job.status == Job.Status.QUEUED:
        return NONE
    return span((job.finished_at or timezone.now()) - started)


def hint(job: Job) -> str:
    """What to do about a job that does not move; empty when all is well."""
    now = timezone.now()
    if job.status == Job.Status.QUEUED and now - job.created_at > timedelta(seconds=15):
        return "No worker has taken it yet: is one running? If the broker was down when it was started, queue it again."
    if job.status == Job.Status.RUNNING and job.heartbeat_at and now - job.heartbeat_at > job.HEARTBEAT_TIMEOUT:
        return (
            f"The last sign of life came {ago(job.heartbeat_at)}. If its worker died, another begins the job anew "
            "within minutes while beat runs; cancel it if it is no longer wanted."
        )
    return ""
