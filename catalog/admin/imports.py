"""Admin pages of imports: progress, and buttons to resume, decide on missing rows, and undo."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    RangeDateTimeFilter,
)
from unfold.decorators import action
from unfold.forms import BaseDialogForm

from accounts.models import User
from catalog.admin.import_fields import ImportRunFields, effect_of
from catalog.admin.mending import BadRowsView, BadRowView
from catalog.admin.stock import count_of
from catalog.admin.wizard import PrepareView, UploadView, prepare_url
from catalog.exceptions import CatalogRefusal, UndoRefused
from catalog.imports.absence import decide_absence
from catalog.imports.jobs import continue_import, options_of, queue_import
from catalog.imports.undo import queue_undo, undo_problem
from catalog.models import BadRow, ImportProblem, ImportRun, ImportUndo
from console.auditing import record
from console.pages import dialog, go_to
from jobs.admin.base import JobAdmin
from jobs.queue import enqueue_on_commit
from web.tables import as_csv


def author(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


def page_of_run(run_id: Any) -> str:
    return reverse("admin:catalog_importrun_change", args=[run_id])


@admin.register(ImportRun)
class ImportRunAdmin(ImportRunFields, JobAdmin):
    """A run is started by the steps of the wizard, which “add” begins; it is looked at here, and never edited."""

    empty_help = "Upload a file of cars: its first rows are shown before anything is stored."
    list_display = [
        "file",
        "status_badge",
        "progress_bar",
        "rows_read",
        "created",
        "updated",
        "unchanged",
        "refused",
        "to_mend",
        "took",
    ]
    list_filter = [
        ("feed", AutocompleteSelectFilter),
        ("status", ChoicesDropdownFilter),
        ("absence", ChoicesDropdownFilter),
        ("is_dry_run", BooleanRadioFilter),
        ("started_at", RangeDateTimeFilter),
    ]
    search_fields = ["file_name__icontains", "source__icontains"]
    search_help_text = "Words of the file's name or the source"
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "outcome",
                    ("file_name", "source", "of_feed"),
                    ("status_badge", "kind"),
                    "undo_state",
                    "against_last",
                ]
            },
        ),
        ("Problems", {"fields": ["bad_rows", "problem_summary", "first_problems"]}),
        ("How it was read", {"fields": ["how_written", "columns_read", "assumptions"]}),
        ("Who and when", {"fields": [("started_by", "created_at"), ("started_at", "finished_at", "took")]}),
    ]
    actions_detail = [
        "end_missing", "keep_missing", "import_now", "mend_rows", "change_mapping", "cancel", "go_on",
        "queue_again", "undo",
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImportRun]:
        runs: QuerySet[ImportRun] = super().get_queryset(request)
        return runs.annotate(n_bad=count_of(BadRow, "run"))

    # --- Who may, and what makes sense now ---------------------------------------------------------------------------
    def has_undo_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Undo needs permission to change imports and to delete listings."""
        return request.user.has_perms(["catalog.change_importrun", "catalog.delete_listing"])

    def has_decide_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Deciding on missing rows needs permission to change listings."""
        return request.user.has_perms(["catalog.change_importrun", "catalog.change_listing"])

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only the buttons that can do something for this run."""
        run = ImportRun.objects.select_related("undo", "upload").filter(pk=object_id).first()
        offered = offered_for(run) if run else set()
        buttons = super().get_actions_detail(request, object_id)
        return [button for button in buttons if button.action_name.removeprefix("catalog_importrun_") in offered]

    # --- The wizard --------------------------------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site.admin_view
        return [
            path(
                "file/<int:upload_id>/",
                site(PrepareView.as_view(model_admin=self)),
                name="catalog_importrun_prepare",
            ),
            path("<int:run_id>/rows/", site(BadRowsView.as_view(model_admin=self)), name="catalog_importrun_rows"),
            path(
                "<int:run_id>/rows/<int:number>/",
                site(BadRowView.as_view(model_admin=self)),
                name="catalog_importrun_row",
            ),
            path("<int:run_id>/problems.csv", site(self.problems_csv), name="catalog_importrun_problems"),
            *super().get_urls(),
        ]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponseBase:
        return UploadView.as_view(model_admin=self)(request)

    def problems_csv(self, request: HttpRequest, run_id: int) -> StreamingHttpResponse | HttpResponse:
        """All stored problems of a run, in the order of its rows."""
        if not request.user.has_perms(["catalog.view_importrun", "catalog.view_importproblem"]):
            return HttpResponse(status=403)
        rows = ImportProblem.objects.filter(run=run_id).order_by("row_number", "pk")
        shown = rows.values_list("row_number", "column", "value", "reason", "is_fatal").iterator(chunk_size=2_000)
        lines = (
            (number, column, value, reason, effect_of(column, is_fatal=is_fatal))
            for number, column, value, reason, is_fatal in shown
        )
        return as_csv(f"import-{run_id}-problems.csv", ("row", "column", "value", "reason", "effect"), lines)

    # --- Buttons -----------------------------------------------------------------------------------------------------
    @action(
        description="Import now",
        url_path="import",
        icon="upload",
        permissions=["start"],
        dialog=dialog(
            "Import this file",
            "The file is read again, in just this way, and its cars are stored. You can take it back afterwards.",
            "Import",
        ),
    )
    def import_now(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        dry_run = ImportRun.objects.select_related("upload").get(pk=object_id)
        if "import_now" not in offered_for(dry_run) or dry_run.upload is None:
            messages.warning(request, "Nothing was started: the file is not kept any more. Upload it again.")
            return go_to(page_of_run(object_id))
        with transaction.atomic():
            options = options_of(dry_run, is_dry_run=False)
            run = queue_import(upload=dry_run.upload, options=options, started_by=author(request))
            record(by=request.user, action="import", target=run, note=f"after dry run {dry_run.pk}")
            enqueue_on_commit(ImportRun.TASK, run.pk)
        messages.success(request, "The import was queued. This page follows it by itself.")
        return go_to(page_of_run(run.pk))

    @action(description="Mend bad rows", url_path="mend", icon="build", permissions=["decide"])
    def mend_rows(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:catalog_importrun_rows", object_id)

    @action(description="Change the mapping", url_path="mapping", icon="tune", permissions=["start"])
    def change_mapping(self, request: HttpRequest, object_id: str) -> HttpResponse:
        run = ImportRun.objects.get(pk=object_id)
        return redirect(prepare_url(run))

    @action(
        description="Resume",
        url_path="continue",
        icon="play_arrow",
        permissions=["start"],
        dialog=dialog(
            "Resume this import",
            "It goes on behind the last row that was stored; nothing is stored twice.",
            "Resume",
        ),
    )
    def go_on(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        run = ImportRun.objects.get(pk=object_id)
        with transaction.atomic():
            if goes_on := continue_import(run=run):
                record(by=request.user, action="retry", target=run, before={"status": run.status})
                enqueue_on_commit(ImportRun.TASK, run.pk)
        if goes_on:
            messages.success(request, "The import was queued again. This page follows it by itself.")
        else:
            messages.warning(
                request, "Nothing was queued: it is running, was undone, or its file is not kept any more."
            )
        return go_to(page_of_run(object_id))

    @action(
        description="End the missing cars",
        url_path="end-missing",
        icon="event_busy",
        permissions=["decide"],
        dialog=dialog(
            "End the cars that are missing",
            "All that are still missing are withdrawn, or sold, as the import says. “Undo” brings them back.",
            "End them",
        ),
    )
    def end_missing(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.decide_missing(request, object_id, is_gone=True)

    @action(
        description="Keep the missing cars",
        url_path="keep-missing",
        icon="event_available",
        permissions=["decide"],
        dialog=dialog(
            "Keep the cars that are missing",
            "They stay as they are, and this file does not count against them.",
            "Keep them",
        ),
    )
    def keep_missing(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.decide_missing(request, object_id, is_gone=False)

    def decide_missing(self, request: HttpRequest, object_id: str, *, is_gone: bool) -> HttpResponse:
        run = ImportRun.objects.get(pk=object_id)
        try:
            with transaction.atomic():
                n_ended = decide_absence(run=run, options=options_of(run), is_gone=is_gone, by=author(request))
                record(
                    by=request.user, action="end missing" if is_gone else "keep missing", target=run, note=str(n_ended)
                )
        except CatalogRefusal as refusal:
            messages.warning(request, f"Nothing was done: {refusal}")
        else:
            messages.success(request, f"{n_ended:,} listings ended." if is_gone else "They stay as they are.")
        return go_to(page_of_run(object_id))

    @action(
        description="Undo",
        url_path="undo",
        icon="undo",
        permissions=["undo"],
        dialog=dialog(
            "Undo this import",
            "Changed listings become what they were, unless they were changed again since. New listings are removed; "
            "those that buyers or colleagues dealt with are withdrawn. This cannot be undone itself, but the file can "
            "be imported again.",
            "Undo import",
        ),
    )
    def undo(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        run = ImportRun.objects.get(pk=object_id)
        try:
            with transaction.atomic():
                rollback = queue_undo(run=run, started_by=author(request))
                record(by=request.user, action="undo", target=run, note=str(counts_of(run)))
                enqueue_on_commit(ImportUndo.TASK, rollback.pk)
        except UndoRefused as refusal:
            messages.warning(request, f"Nothing was undone: {refusal}")
            return go_to(page_of_run(object_id))
        messages.success(request, "Undoing was queued. This page follows it by itself.")
        return go_to(reverse("admin:catalog_importundo_change", args=[rollback.pk]))


def offered_for(run: ImportRun) -> set[str]:
    """The buttons that make sense for a run as it is now."""
    offered = set()
    if run.is_unfinished:
        offered.add("cancel")
        if run.status == "queued" and run.upload_id:
            offered.add("queue_again")
        return offered
    has_file = run.upload is not None and run.upload.chunks.exists()
    if has_file:
        offered.add("change_mapping")
        if run.is_dry_run and run.status == "done":
            offered.add("import_now")
        if run.status != "done" and not hasattr(run, "undo"):
            offered.add("go_on")
    if run.bad_rows.exists():
        offered.add("mend_rows")
    if not undo_problem(run):
        offered.add("undo")
    if run.absence == ImportRun.Absence.WAITING:
        offered |= {"end_missing", "keep_missing"}
    return offered


def counts_of(run: ImportRun) -> dict[str, int]:
    return {"created": run.listings_created, "updated": run.listings_updated}
