"""What the admin pages of every app share: lists that stay fast, read-only logs, jobs that show their progress.

Depends on Django, Unfold and the audit log only, so that each app's admin may build on it.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Protocol, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.views import ChangeList

from accounts import auditing
from accounts.models import AuditEntry

NONE = "–"
NBSP = "\u00a0"  # keeps a number and its unit on one line
ROWS_PER_ACTION = 1_000  # services run row by row, within one request
REASONS_SHOWN = 5
EXAMPLES_SHOWN = 3


# --- Lists that stay fast --------------------------------------------------------------------------------------------
class EstimatingPaginator(Paginator):
    """Counts exactly up to a limit, and beyond it asks the planner.

    Pages reach as far as the exact count does: nobody turns to page 15,000 of a million rows, and a database that is
    asked for it reads all the pages before.
    """

    COUNT_EXACTLY = 10_000
    template_name = "admin/estimated_pagination.html"
    is_estimate = False

    @cached_property
    def count(self) -> int:
        rows = cast("models.QuerySet[Any]", self.object_list)
        counted = rows.order_by()[: self.COUNT_EXACTLY + 1].count()
        if counted <= self.COUNT_EXACTLY:
            return counted
        self.is_estimate = True
        return max(counted, planned_rows(rows))

    @cached_property
    def num_pages(self) -> int:
        n_rows = min(self.count, self.COUNT_EXACTLY)
        return max(math.ceil(n_rows / self.per_page), 1)


def planned_rows(rows: models.QuerySet[Any]) -> int:
    """How many rows PostgreSQL expects, from its statistics: instant, and right to within a few percent."""
    plan = rows.order_by().values("pk").explain(format="json")
    return int(json.loads(plan)[0]["Plan"]["Plan Rows"])


class ConsoleChangeList(ChangeList):
    """Knows that a list nobody searched or filtered is the whole list, without counting it a second time."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


class ConsoleAdmin(ModelAdmin):
    """The common ground of all our pages."""

    paginator: ClassVar[Any] = EstimatingPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a facet is one count per choice over the whole table
    list_per_page = 50
    list_filter_submit = True
    list_filter_sheet = True
    list_fullwidth = True
    warn_unsaved_form = True
    compressed_fields = False  # labels stand above their fields, so that tables have the width of the page
    ordering: ClassVar[Any] = ["-pk"]  # the one order that every table has an index for
    empty_value_display = NONE

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return ConsoleChangeList

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if isinstance(db_field, models.URLField):
            kwargs["assume_scheme"] = "https"
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    # --- What was changed goes into the audit log -------------------------------------------------------------------
    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Called once a form was saved and before it is logged: the one moment that knows both sides."""
        form.instance.audited_changes = auditing.changes_of(form)
        return super().construct_change_message(request, form, formsets, add)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        _, after = obj.__dict__.pop("audited_changes", (None, None))
        auditing.record(by=request.user, action="added", target=obj, after=after)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        before, after = obj.__dict__.pop("audited_changes", (None, None))
        note = message if isinstance(message, str) else ""
        if note or after or before is None:  # a form that was saved as it was is no change
            auditing.record(by=request.user, action="changed", target=obj, before=before, after=after, note=note)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for row in queryset:
            auditing.record(by=request.user, action="removed", target=row, before=auditing.snapshot(row))
        return super().log_deletions(request, queryset)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """The audit log of this row, which says more than Django's own history."""
        if not request.user.has_perm("accounts.view_auditentry"):
            return super().history_view(request, object_id, extra_context)
        return redirect(list_url(AuditEntry, model__exact=self.opts.label_lower, object_id__exact=unquote(object_id)))

    def in_own_pages(self, request: HttpRequest) -> bool:
        """Whether the request is for this model's pages, rather than a check made on the way from another's."""
        match = request.resolver_match
        own = f"{self.opts.app_label}_{self.opts.model_name}_"
        return bool(match and (match.url_name or "").startswith(own))


class ReadOnlyAdmin(ConsoleAdmin):
    """Rows that only the system writes. They go with what they belong to, never by themselves."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Asked on a buyer's delete page, the answer is the user's permission; on our own pages it is no."""
        return not self.in_own_pages(request) and super().has_delete_permission(request, obj)


# --- Actions ---------------------------------------------------------------------------------------------------------
def change_each(
    model_admin: ModelAdmin,
    request: HttpRequest,
    rows: models.QuerySet[Any],
    change: Callable[[Any], object],
    *,
    done: str,
    refusals: type[Exception] | tuple[type[Exception], ...],
) -> None:
    """Call a service for every selected row; say how many worked, and why the others did not.

    Each row stands for itself: one refusal takes nothing back from the rows before it. What was changed goes into the
    audit log with it.
    """
    if len(selected := list(rows[: ROWS_PER_ACTION + 1])) > ROWS_PER_ACTION:
        messages.error(request, f"Nothing was changed: select at most {ROWS_PER_ACTION:,} rows at a time.")
        return
    refused: dict[str, list[str]] = defaultdict(list)
    for row in selected:
        try:
            with transaction.atomic():
                before = auditing.snapshot(row)
                change(row)
                row.audited_changes = auditing.changes(before, auditing.snapshot(row))
                model_admin.log_change(request, row, done.capitalize())
        except refusals as refusal:
            refused[str(refusal)].append(str(row))
    report_changes(request, model_admin.opts, len(selected), refused, done)


def report_changes(request: HttpRequest, opts: Any, n_selected: int, refused: dict[str, list[str]], done: str) -> None:
    n_refused = sum(map(len, refused.values()))
    if n_done := n_selected - n_refused:
        messages.success(request, f"{counted(n_done, opts)} {done}.")
    if refused:
        messages.warning(request, f"{counted(n_refused, opts)} not {done}. " + " ".join(reasons(refused)))


def reasons(refused: dict[str, list[str]]) -> list[str]:
    """One sentence per reason, the commonest first, with a few of the rows it struck."""
    ranked = sorted(refused.items(), key=lambda item: -len(item[1]))
    told = [f"{', '.join(rows[:EXAMPLES_SHOWN])}{more(len(rows))}: {reason}" for reason, rows in ranked[:REASONS_SHOWN]]
    return [sentence if sentence.endswith(".") else f"{sentence}." for sentence in told]


def more(n_rows: int) -> str:
    return f" and {n_rows - EXAMPLES_SHOWN:,} more" if n_rows > EXAMPLES_SHOWN else ""


def counted(n: int, opts: Any) -> str:
    """``1 listing``, ``2 listings``."""
    return f"{n:,} {opts.verbose_name if n == 1 else opts.verbose_name_plural}"


def go_to(url: str) -> HttpResponse:
    """The answer of a dialog that has done its work; htmx, which sent it, follows this header to a new page."""
    return HttpResponse(headers={"HX-Redirect": url})


# --- Jobs ------------------------------------------------------------------------------------------------------------
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


# --- Words -----------------------------------------------------------------------------------------------------------
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def span(delta: timedelta) -> str:
    """A length of time in its largest unit: ``3 d``, ``5 h``, ``12 min``, ``8 s``."""
    seconds = max(int(delta.total_seconds()), 0)
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds // size:,}{NBSP}{unit}"
    return f"0{NBSP}s"


def ago(moment: datetime | None) -> str:
    return NONE if moment is None else f"{span(timezone.now() - moment)}{NBSP}ago"


def badge(text: str, kind: str | None = "") -> SafeString:
    """A coloured label: success, info, warning, danger, or plain. In lists and on pages alike, unlike Unfold's own."""
    return render_to_string("unfold/helpers/label.html", {"text": text, "type": kind})


def clock(moment: datetime | None) -> str:
    """A moment on one line, in the site's time zone: ``21 Nov 08:34``; of another year, with the year."""
    if moment is None:
        return NONE
    local, now = timezone.localtime(moment), timezone.localtime()
    shown = f"{local:%d %b %H:%M}" if local.year == now.year else f"{local:%d %b %Y %H:%M}"
    return shown.replace(" ", NBSP)


def money(amount: Decimal | float | None, currency: str) -> str:
    return NONE if amount is None else f"{amount:,.0f}{NBSP}{currency}"


def link_to(obj: models.Model | None, text: str | None = None) -> str | SafeString:
    """A link to a row's own page; plain text where it has none."""
    if obj is None:
        return NONE
    try:
        url = reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[obj.pk])
    except NoReverseMatch:
        return text or str(obj)
    return format_html('<a href="{}" class="text-link">{}</a>', url, text or str(obj))


def page_of(row: models.Model) -> str:
    """The address of a row's own page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def list_link(model: type[models.Model], text: str, **filters: Any) -> SafeString:
    """A link to the rows of a model that match."""
    return format_html('<a href="{}" class="text-link">{}</a>', list_url(model, **filters), text)


def list_url(model: type[models.Model], **filters: Any) -> str:
    opts = model._meta
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist", query=filters or None)


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> SafeString:
    """A small table inside a page; the cells are escaped unless they are safe already."""
    return render_to_string("admin/small_table.html", {"headers": headers, "rows": rows, "caption": caption})
