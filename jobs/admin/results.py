"""What the workers did and do: results in plain words, retry, stop; and the queues with what waits in them."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.generic import TemplateView
from django_celery_results.admin import GroupResultAdmin as BaseGroupResultAdmin
from django_celery_results.admin import TaskResultAdmin as BaseTaskResultAdmin
from django_celery_results.models import GroupResult, TaskResult
from kombu.exceptions import KombuError
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.views import UnfoldModelAdminViewMixin

from console.auditing import record
from console.formats import NONE, ago, badge, span
from console.pages import ReadOnlyAdmin, dialog, go_to
from jobs.admin.schedules import NO_BROKER
from jobs.broker import ask_to_stop, drop_waiting, queue_depths, waiting_tasks, workers_alive
from jobs.limits import LONG
from jobs.queue import enqueue_named
from jobs.wording import ArgumentsLost, arguments_in_words, error_in_words, given_to, known_task, sentence_of

admin.site.unregister([TaskResult, GroupResult])

RESULT_LABELS = {"SUCCESS": "success", "FAILURE": "danger", "RETRY": "warning", "STARTED": "info"}
RESULT_WORDS = {
    "SUCCESS": "Done", "FAILURE": "Failed", "RETRY": "Will be tried again", "STARTED": "Running", "PENDING": "Waiting",
    "REVOKED": "Cancelled",
}  # fmt: skip
WHAT_QUEUES_ARE_FOR = {
    "default": "Vectors of new listings, expiry and other short work.",
    "refresh": "Preferences after events: no request waits for this queue, since reads repair what is stale.",
    "imports": "Files and feeds: an operator waits for them, and they never wait behind a training.",
    "long": "Trainings, evaluations and seeding, one at a time.",
}
CHANGE = "django_celery_results.change_taskresult"


@admin.register(TaskResult)
class TaskResultAdmin(BaseTaskResultAdmin, ReadOnlyAdmin):
    list_display = ["what", "status_badge", "outcome", "started_by", "when", "took"]
    list_filter = [("status", ChoicesDropdownFilter), ("date_done", RangeDateTimeFilter)]
    date_hierarchy = None
    search_fields = ["task_id__exact", "task_name__begins_word"]
    search_help_text = "Task id, or words of the task's name"
    fieldsets = (
        (None, {"fields": ["sentence", ("status_badge", "took"), "arguments", "outcome", "traceback_folded"]}),
        ("Who and when", {"fields": [("started_by", "worker"), ("date_created", "date_started", "date_done")]}),
        ("For the log", {"fields": [("task_name", "task_id"), ("task_args", "task_kwargs")]}),
    )
    actions_list = ["open_queues"]
    actions_detail = ["once_more", "stop"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [name for _, section in self.fieldsets for row in section["fields"] for name in flat(row)]

    def has_handle_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows are never edited; who might, may run their tasks again or stop them."""
        return bool(request.user.has_perm(CHANGE))

    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site.admin_view
        return [
            path("queues/", site(QueuesView.as_view(model_admin=self)), name="task_queues"),
            path("queues/workers/", site(self.workers_panel), name="task_workers"),
            path("queues/drop/", site(self.drop), name="task_drop"),
            *super().get_urls(),
        ]

    # --- What is shown -----------------------------------------------------------------------------------------------
    @display(description="What it did", header=True)
    def what(self, result: TaskResult) -> list[str]:
        return [
            sentence_of(result.task_name),
            arguments_in_words(result.task_name, result.task_args, result.task_kwargs),
        ]

    @display(description="What it did")
    def sentence(self, result: TaskResult) -> str:
        return f"{sentence_of(result.task_name)}."

    @display(description="Arguments")
    def arguments(self, result: TaskResult) -> str:
        return arguments_in_words(result.task_name, result.task_args, result.task_kwargs) or "nothing"

    @display(description="Status", ordering="status")
    def status_badge(self, result: TaskResult) -> SafeString:
        if is_lost(result):
            return badge("Lost", "danger")
        if is_skipped(result):
            return badge("Skipped")
        return badge(RESULT_WORDS.get(result.status, result.status.capitalize()), RESULT_LABELS.get(result.status, ""))

    @display(description="Result")
    def outcome(self, result: TaskResult) -> str:
        if is_lost(result):
            return "Its worker died. What it was to do was handed to another one, or is done by the next schedule."
        if result.status == "STARTED":
            return f"on {result.worker or 'some worker'}"
        if is_skipped(result):
            return "It waited for a worker until its next run was due, which does the same."
        if result.status in ("FAILURE", "RETRY", "REVOKED"):
            return error_in_words(result.result, result.traceback) or "no reason was given"
        return answer_in_words(result.result) or NONE

    @display(description="Where it failed")
    def traceback_folded(self, result: TaskResult) -> str | SafeString:
        if not result.traceback:
            return NONE
        return format_html(
            '<details class="fc-details"><summary>Traceback</summary>'
            '<pre class="fc-log" tabindex="0">{}</pre></details>',
            result.traceback,
        )

    @display(description="Started by")
    def started_by(self, result: TaskResult) -> str:
        return result.periodic_task_name or "an event or a person"

    @display(description="Ended", ordering="date_done")
    def when(self, result: TaskResult) -> str:
        return NONE if result.status == "STARTED" else ago(result.date_done)

    @display(description="Took")
    def took(self, result: TaskResult) -> str:
        if result.status == "STARTED":
            return NONE if is_lost(result) or not result.date_started else span(timezone.now() - result.date_started)
        return span(result.date_done - result.date_started) if result.date_done and result.date_started else NONE

    # --- Buttons -----------------------------------------------------------------------------------------------------
    @action(description="Queues and workers", url_path="open-queues", icon="stacks", permissions=["view"])
    def open_queues(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:task_queues")

    @action(
        description="Retry",
        url_path="once-more",
        icon="replay",
        permissions=["handle"],
        dialog=dialog(
            "Retry this task",
            "The same task with the same arguments is handed to the queue. All of our tasks may run "
            "twice without harm; one whose work is done finds nothing to do.",
            "Retry",
        ),
    )
    def once_more(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        result = TaskResult.objects.get(pk=object_id)
        if problem := repeat_problem(result):
            messages.error(request, problem)
        else:
            record(by=request.user, action="retry", target=result, note=str(result.task_name))
            messages.success(request, "It was handed to the queue; the list shows it once a worker has taken it.")
        return go_to(page_of(object_id))

    @action(
        description="Stop",
        url_path="stop",
        icon="stop_circle",
        permissions=["handle"],
        dialog=dialog(
            "Stop this task",
            "Its worker is asked to break it off, as at the end of its time. Imports, trainings and "
            "other jobs with a page of their own are better cancelled there.",
            "Stop",
        ),
    )
    def stop(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        result = TaskResult.objects.get(pk=object_id)
        if result.status not in ("STARTED", "PENDING", "RETRY"):
            messages.warning(request, "Nothing was stopped: it has ended already.")
            return go_to(page_of(object_id))
        try:
            ask_to_stop(result.task_id)
        except (KombuError, OSError):
            messages.error(request, "The broker does not answer, so the worker could not be asked. Try again.")
        else:
            record(by=request.user, action="cancel", target=result, note=str(result.task_name))
            messages.success(request, "Its worker was asked to stop; this takes a moment.")
        return go_to(page_of(object_id))

    # --- Queues ------------------------------------------------------------------------------------------------------
    def workers_panel(self, request: HttpRequest) -> HttpResponse:
        """Asking the workers takes a second, so the page asks for this part by itself."""
        if not self.has_view_permission(request):
            return HttpResponse(status=403)
        workers = [
            {
                "name": worker.name,
                "queues": ", ".join(short(name) for name in worker.queues),
                "running": [{"sentence": sentence_of(name), "id": task_id} for name, task_id in worker.running],
            }
            for worker in workers_alive()
        ]
        return TemplateResponse(request, "console/workers.html", {"workers": workers})

    def drop(self, request: HttpRequest) -> HttpResponse:
        """Take a task that waits out of its queue."""
        if not self.has_handle_permission(request):
            return HttpResponse(status=403)
        if request.method != "POST":
            raise Http404
        name = str(request.POST.get("name", ""))
        if drop_waiting(str(request.POST.get("task_id", ""))):
            record(by=request.user, action="cancel", target=TaskResult, note=f"{name}, while it waited")
            messages.success(request, f"“{sentence_of(name)}” was taken out of its queue.")
        else:
            messages.warning(request, "It waits no longer: a worker has taken it.")
        return redirect("admin:task_queues")


class QueuesView(UnfoldModelAdminViewMixin, TemplateView):
    """How much waits in which queue, what the next tasks are, and who works them off."""

    title = "Queues and workers"
    template_name = "console/jobs.html"
    permission_required = "django_celery_results.view_taskresult"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        depths = queue_depths()
        queues = [queue_row(name, n_waiting) for name, n_waiting in (depths or {}).items()]
        may_drop = self.request.user.has_perm(CHANGE)
        return super().get_context_data(**kwargs, is_broker_away=depths is None, queues=queues, may_drop=may_drop)


def is_skipped(result: TaskResult) -> bool:
    """Whether a scheduled run was not begun, for its time was over; a run that a person cancelled is another thing."""
    return result.status == "REVOKED" and "expired" in error_in_words(result.result, result.traceback)


def is_lost(result: TaskResult) -> bool:
    """Whether a task claims to run for longer than any may: its worker was killed before it could record that."""
    age = timezone.now() - (result.date_started or result.date_created)
    return bool(result.status == "STARTED" and age.total_seconds() > LONG["time_limit"])


def queue_row(name: str, n_waiting: int) -> dict[str, Any]:
    waiting = waiting_tasks(name) if n_waiting else []
    return {
        "name": short(name),
        "purpose": WHAT_QUEUES_ARE_FOR.get(short(name), ""),
        "n_waiting": n_waiting,
        "only_counts": waiting is None,
        "waiting": [
            {
                "id": task.task_id,
                "name": task.name,
                "sentence": sentence_of(task.name),
                "given": arguments_in_words(task.name, json.dumps(task.args), None),
            }
            for task in waiting or []
        ],
    }


def short(queue: str) -> str:
    """A queue's name without the installation's prefix."""
    return queue.rpartition(".")[2]


def repeat_problem(result: TaskResult) -> str:
    """Hand a task to the queue again; why it was not, or nothing."""
    task = known_task(result.task_name)
    if task is None:
        return f"“{result.task_name}” is not one of our tasks in this release, so it cannot be run again from here."
    try:
        given = given_to(result.task_args, result.task_kwargs)
    except ArgumentsLost:
        return "What it was given was too long to be kept, so it cannot be repeated. Its schedule will catch up."
    return "" if enqueue_named(task.name, given.args, dict(given.kwargs)) else NO_BROKER


def answer_in_words(result: str | None) -> str:
    """What a task returned; most return nothing or a sentence."""
    try:
        value = json.loads(result or "null")
    except ValueError:
        return result or ""
    return "" if value is None else str(value)[:300]


def page_of(result_id: str) -> str:
    return reverse("admin:django_celery_results_taskresult_change", args=[result_id])


def flat(row: Any) -> tuple[str, ...]:
    return (row,) if isinstance(row, str) else tuple(row)


@admin.register(GroupResult)
class GroupResultAdmin(BaseGroupResultAdmin, ReadOnlyAdmin):
    search_help_text = "The group's id"
    date_hierarchy = None

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [field.name for field in self.opts.local_fields]
