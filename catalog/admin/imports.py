"""Imports: runs that show their progress and what they brought, their problems, their files, and taking them back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    RangeDateTimeFilter,
)
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from accounts.models import User
from catalog.admin.feeds import counts_against
from catalog.admin.mending import BadRowsView, BadRowView
from catalog.admin.stock import count_of
from catalog.admin.wizard import PrepareView, UploadView, prepare_url
from catalog.exceptions import CatalogRefusal, UndoRefused
from catalog.imports.absence import decide_absence
from catalog.imports.bad_rows import kinds_of
from catalog.imports.jobs import continue_import, options_of, queue_import
from catalog.imports.preview import for_the_form
from catalog.imports.suggestions import in_words
from catalog.imports.undo import queue_undo, undo_problem
from catalog.models import (
    BadRow,
    ImportedListing,
    ImportMend,
    ImportProblem,
    ImportRun,
    ImportUndo,
    Listing,
    UploadedChunk,
    UploadedFile,
)
from console.auditing import record
from console.formats import NONE, ago, badge, link_to, list_link, list_url, table
from console.pages import ReadOnlyAdmin, go_to
from jobs.admin.base import JobAdmin, dialog
from jobs.queue import enqueue_on_commit
from web.tables import as_csv

PROBLEMS_ON_PAGE = 20


def once_per_row(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A field of a page that asks the database: the theme asks for it several times while it draws one page."""

    @wraps(method)
    def remembered(model_admin: Any, row: Any) -> Any:
        shown = row.__dict__.setdefault("_shown_fields", {})
        if method.__name__ not in shown:
            shown[method.__name__] = method(model_admin, row)
        return shown[method.__name__]

    return remembered


def author(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


def page_of_run(run_id: Any) -> str:
    return reverse("admin:catalog_importrun_change", args=[run_id])


@admin.register(ImportRun)
class ImportRunAdmin(JobAdmin):
    """A run is started by the steps of the wizard, which “add” begins; it is looked at here, and never edited."""

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
    fieldsets = [
        (
            None,
            {"fields": ["outcome", ("file_name", "source"), ("status_badge", "kind"), "undo_state", "against_last"]},
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
        """Taking an import back changes a run and takes listings away."""
        return request.user.has_perms(["catalog.change_importrun", "catalog.delete_listing"])

    def has_decide_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What is missing from a file is a question about listings."""
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

    # --- What is shown -----------------------------------------------------------------------------------------------
    @display(description="File", header=True)
    def file(self, run: ImportRun) -> list[str]:
        return [run.file_name, "dry run: nothing was stored" if run.is_dry_run else run.source]

    @display(description="What it was")
    def kind(self, run: ImportRun) -> str:
        return "A dry run: nothing was stored" if run.is_dry_run else "An import"

    @display(description="New", ordering="listings_created")
    def created(self, run: ImportRun) -> int:
        return run.listings_created

    @display(description="Updated", ordering="listings_updated")
    def updated(self, run: ImportRun) -> int:
        return run.listings_updated

    @display(description="Unchanged", ordering="listings_unchanged")
    def unchanged(self, run: ImportRun) -> int:
        return run.listings_unchanged

    @display(description="Refused", ordering="rows_refused")
    def refused(self, run: ImportRun) -> int:
        return run.rows_refused

    @display(description="To mend", ordering="n_bad")
    def to_mend(self, run: Any) -> str | SafeString:
        return rows_link(run, f"{run.n_bad:,}") if run.n_bad else NONE

    @display(description="What became of the rows")
    def outcome(self, run: ImportRun) -> SafeString:
        """The five things that can become of a row, each with a link to its listings while they are known."""
        return table(["Rows", "What became of them"], outcome_rows(run))

    @display(description="Against the last run")
    @once_per_row
    def against_last(self, run: ImportRun) -> str | SafeString:
        """The same counts of the run of this source, or feed, before it."""
        same = (
            ImportRun.objects.filter(feed=run.feed_id) if run.feed_id else ImportRun.objects.filter(source=run.source)
        )
        before = same.filter(status="done", is_dry_run=False, pk__lt=run.pk).first()
        if before is None:
            return "It is the first."
        headers = ["", "Rows", "New", "Updated", "Unchanged", "Refused", "Ended"]
        lines = [["This run", *counts_against(run, before)], [link_to(before, "Before"), *counts_against(before, None)]]
        return table(headers, lines)

    @display(description="Undo")
    @once_per_row
    def undo_state(self, run: ImportRun) -> str | SafeString:
        if undo := ImportUndo.objects.filter(run=run).first():
            return format_html("{} {}: {}", link_to(undo, "Undone"), ago(undo.created_at), undo.get_status_display())
        return undo_problem(run) or "Possible: the button above takes everything back."

    @display(description="Bad rows, to be mended")
    @once_per_row
    def bad_rows(self, run: ImportRun) -> str | SafeString:
        """The kinds of rows that can be mended, and the way there; the last time that some were read again."""
        last = run.mends.order_by("pk").last()
        before = format_html("<p>{} {}.</p>", link_to(last, "Read again"), ago(last.created_at)) if last else ""
        kinds = kinds_of(run)
        if not kinds:
            return before or "None."
        rows = [[kind.column or NONE, kind.reason, f"{kind.n_rows:,}"] for kind in kinds[:PROBLEMS_ON_PAGE]]
        way = rows_link(run, "Mend these rows: edit values, teach words")
        return format_html("{}{}{}", before, table(["Column", "Kind", "Rows"], rows), way)

    @display(description="By reason")
    @once_per_row
    def problem_summary(self, run: ImportRun) -> str | SafeString:
        """The reasons of this run, the commonest first."""
        counts = run.problems.order_by().values("column", "reason", "is_fatal").annotate(n=Count("pk"))
        rows = [
            [
                row["column"] or NONE,
                row["reason"],
                effect_of(row["column"], is_fatal=row["is_fatal"]),
                f"{row['n']:,}",
            ]
            for row in counts.order_by("-n")[:PROBLEMS_ON_PAGE]
        ]
        return table(["Column", "Why", "Effect", "How often"], rows) if rows else "None: every value was understood."

    @display(description="First rows")
    @once_per_row
    def first_problems(self, run: ImportRun) -> str | SafeString:
        rows = [
            [problem.row_number, problem.column or NONE, problem.value or NONE, problem.reason]
            for problem in run.problems.all()[:PROBLEMS_ON_PAGE]
        ]
        if not rows:
            return NONE
        everything = list_link(ImportProblem, "All problems of this run", run__id__exact=run.pk)
        file = format_html(
            '<a href="{}" class="text-link">Download as CSV</a>',
            reverse("admin:catalog_importrun_problems", args=[run.pk]),
        )
        return format_html("{}{} · {}", table(["Row", "Column", "Value", "Why"], rows), everything, file)

    @display(description="Written in")
    def how_written(self, run: ImportRun) -> str:
        parts = [run.options.get("encoding", ""), separated_by(run), run.options.get("compression", "")]
        return ", ".join(word for word in parts if word) or "Known once a worker has opened the file."

    @display(description="Columns")
    def columns_read(self, run: ImportRun) -> str | SafeString:
        if not run.options.get("columns"):
            return NONE
        looks = {name: f"; looks like the {in_words(of)}" for name, of in run.options.get("suggested", {}).items()}
        read = [*run.options["columns"].items(), *((heading, "not read") for heading in run.options.get("unread", []))]
        rows = [[heading, f"{target}{looks.get(heading.strip(), '')}"] for heading, target in read]
        rows += [[sentence, "not read"] for sentence in run.options.get("missing", [])]
        return table(["In the file", "Read as"], rows)

    @display(description="Assumed")
    def assumptions(self, run: ImportRun) -> str | SafeString:
        return (
            format_html_join("", "<p>{}</p>", ((for_the_form(each),) for each in run.options.get("assumptions", [])))
            or "Nothing."
        )


def effect_of(column: str, *, is_fatal: bool) -> str:
    """What a problem cost: the row, one value, or nothing where it is about no column."""
    return "row refused" if is_fatal else "value dropped" if column else "note"


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


def outcome_rows(run: ImportRun) -> list[list[Any]]:
    would = "would be " if run.is_dry_run else ""
    created, updated = f"{run.listings_created:,}", f"{run.listings_updated:,}"
    return [
        [listings_link(run, created, "new"), f"{would}created: cars we did not know"],
        [listings_link(run, updated, "changed"), f"{would}updated: known cars the file says something else about"],
        [f"{run.listings_unchanged:,}", "unchanged: known cars the file says nothing new about"],
        [f"{run.rows_repeated:,}", "repeated: the car of an earlier row of the file again"],
        [f"{run.rows_refused:,}", "refused: no car could be seen in them"],
        *missing_rows(run),
        *mendable_rows(run),
    ]


def mendable_rows(run: ImportRun) -> list[list[Any]]:
    n_rows = run.bad_rows.count()
    return [[rows_link(run, f"{n_rows:,}"), "to be mended: refused, or without a value"]] if n_rows else []


def rows_link(run: ImportRun, text: str) -> SafeString:
    """To where the bad rows of a run are mended."""
    url = reverse("admin:catalog_importrun_rows", args=[run.pk])
    return format_html('<a href="{}" class="text-link">{}</a>', url, text)


def missing_rows(run: ImportRun) -> list[list[Any]]:
    """Of a complete delivery: what it does not have, and what became of that."""
    if not run.absence:
        return []
    rows = [[f"{run.listings_missing:,}", "missing: listings on offer that the file does not have"]]
    rows += [[f"{run.listings_ended:,}", "ended, of those that are missing"]]
    if run.absence != ImportRun.Absence.COUNTED:
        rows += [[f"{run.options['held']['n']:,}", f"held, of those that are missing: {run.get_absence_display()}"]]
    return rows


def listings_link(run: ImportRun, text: str, kind: str) -> str | SafeString:
    if run.is_dry_run or text == "0":
        return text
    return list_link(Listing, text, imported=f"{run.pk}-{kind}")


def counts_of(run: ImportRun) -> dict[str, int]:
    return {"created": run.listings_created, "updated": run.listings_updated}


def separated_by(run: ImportRun) -> str:
    name = run.options.get("delimiter", "")
    return f"{name}-separated" if name else ""


@admin.register(ImportProblem)
class ImportProblemAdmin(ReadOnlyAdmin):
    list_display = ["row_number", "column", "value", "reason", "effect", "run_link"]
    list_filter = [("is_fatal", BooleanRadioFilter)]
    list_select_related = ["run"]
    search_fields = ["column__begins_word", "reason__begins_word", "value__begins_word"]
    ordering = ["run", "row_number"]

    @display(description="Effect")
    def effect(self, problem: ImportProblem) -> SafeString:
        kind = "danger" if problem.is_fatal else "warning" if problem.column else "info"
        return badge(effect_of(problem.column, is_fatal=problem.is_fatal).capitalize(), kind)

    @display(description="Run")
    def run_link(self, problem: ImportProblem) -> str | SafeString:
        return link_to(problem.run)


# --- Bad rows, read again --------------------------------------------------------------------------------------------
@admin.register(ImportMend)
class ImportMendAdmin(JobAdmin):
    list_display = ["run_link", "status_badge", "progress_bar", "n_rows", "n_mended", "n_left"]
    list_display_links = ["status_badge"]  # the first column leads to the import
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["run", "started_by"]
    fieldsets = [
        (None, {"fields": ["run_link", ("n_rows", "n_mended", "n_left"), "left"]}),
        ("Who and when", {"fields": [("started_by", "created_at"), ("started_at", "finished_at")]}),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Begun on the page of the run's bad rows."""
        return False

    def has_start_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may mend rows may stop doing so."""
        return request.user.has_perms(["catalog.change_importrun", "catalog.change_listing"])

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not self.in_own_pages(request) and super().has_delete_permission(request, obj)

    @display(description="Import")
    def run_link(self, mend: ImportMend) -> str | SafeString:
        return link_to(mend.run)

    @display(description="What is left")
    @once_per_row
    def left(self, mend: ImportMend) -> SafeString:
        """The bad rows of the run that are left now, this mending's and others."""
        url = reverse("admin:catalog_importrun_rows", args=[mend.run_id])
        return format_html('<a href="{}" class="text-link">{} bad rows</a>', url, mend.run.bad_rows.count())


# --- Import rollback -------------------------------------------------------------------------------------------------
@admin.register(ImportUndo)
class ImportUndoAdmin(JobAdmin):
    list_display = ["run_link", "status_badge", "progress_bar", "n_removed", "n_withdrawn", "n_restored", "n_left"]
    list_display_links = ["status_badge"]  # the first column leads to the import
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["run", "started_by"]
    fieldsets = [
        (None, {"fields": ["run_link", ("n_removed", "n_withdrawn"), ("n_restored", "n_left"), "not_undone"]}),
        ("Who and when", {"fields": [("started_by", "created_at"), ("started_at", "finished_at")]}),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Begun on the page of the run."""
        return False

    def has_start_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may take an import back may stop doing so."""
        return request.user.has_perms(["catalog.change_importrun", "catalog.delete_listing"])

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not self.in_own_pages(request) and super().has_delete_permission(request, obj)

    @display(description="Import")
    def run_link(self, undo: ImportUndo) -> str | SafeString:
        return link_to(undo.run)

    @display(description="Row by row")
    @once_per_row
    def not_undone(self, undo: ImportUndo) -> str | SafeString:
        """Rows whose listing could not simply be put back or removed, with the reason."""
        odd = undo.run.imported.exclude(outcome__in=["", "removed", "put back"]).order_by("row_number")
        rows = [[row.row_number, listing_link(row), row.outcome] for row in odd[:PROBLEMS_ON_PAGE]]
        if not rows:
            return "Everything was taken back." if undo.status == "done" else NONE
        everything = format_html(
            '<a href="{}" class="text-link">All rows</a>', list_url(ImportedListing, run__id__exact=undo.run_id)
        )
        return format_html("{}{}", table(["Row", "Listing", "What happened"], rows), everything)


def listing_link(row: ImportedListing) -> SafeString:
    return format_html(
        '<a href="{}" class="text-link">{}</a>',
        reverse("admin:catalog_listing_change", args=[row.listing_id]),
        f"Listing {row.listing_id}",
    )


@admin.register(ImportedListing)
class ImportedListingAdmin(ReadOnlyAdmin):
    """What an import did to each listing, kept for as long as it can be undone."""

    list_display = ["row_number", "listing", "what", "outcome", "run_link"]
    list_filter = [("is_new", BooleanRadioFilter)]
    list_select_related = ["run"]
    search_fields = ["outcome__istartswith"]
    search_help_text = "What undoing did: removed, withdrawn, put back, left, was removed"

    @display(description="Listing")
    def listing(self, row: ImportedListing) -> SafeString:
        return listing_link(row)

    @display(description="What the import did")
    def what(self, row: ImportedListing) -> SafeString:
        return badge("Created", "success") if row.is_new else badge("Updated", "info")

    @display(description="Run")
    def run_link(self, row: ImportedListing) -> str | SafeString:
        return link_to(row.run)


# --- Files -----------------------------------------------------------------------------------------------------------
@admin.register(UploadedFile)
class UploadedFileAdmin(ReadOnlyAdmin):
    list_display = ["name", "size", "uploaded_by", "when", "next_step"]
    list_select_related = ["uploaded_by"]
    search_fields = ["name__icontains"]

    @display(description="Size", ordering="n_bytes")
    def size(self, upload: UploadedFile) -> str:
        return f"{upload.n_bytes / 1024:,.0f} kB"

    @display(description="Uploaded", ordering="uploaded_at")
    def when(self, upload: UploadedFile) -> str:
        return ago(upload.uploaded_at)

    @display(description="Next step")
    def next_step(self, upload: UploadedFile) -> SafeString:
        url = reverse("admin:catalog_importrun_prepare", args=[upload.pk])
        return format_html('<a href="{}" class="text-link">Import it</a>', url)


@admin.register(UploadedChunk)
class UploadedChunkAdmin(ReadOnlyAdmin):
    """Pieces of uploaded files; listed for looking into what takes up room."""

    list_display = ["file", "number"]
    list_select_related = ["file"]
    fields: Sequence[str] = ["file", "number"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[UploadedChunk]:
        rows: QuerySet[UploadedChunk] = super().get_queryset(request)
        return rows.defer("content")
