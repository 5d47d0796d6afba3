"""Admin pages of import records: problems, corrected rows, undone imports, changed listings, files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter
from unfold.decorators import action, display

from catalog.admin.import_fields import PROBLEMS_ON_PAGE, effect_of, once_per_row
from catalog.models import BadRow, ImportedListing, ImportMend, ImportProblem, ImportUndo, UploadedChunk, UploadedFile
from console.formats import NONE, ago, badge, link_to, list_url, table
from console.pages import ReadOnlyAdmin
from jobs.admin.base import JobAdmin


@admin.register(ImportProblem)
class ImportProblemAdmin(ReadOnlyAdmin):
    list_display = ["row_number", "column", "value", "reason", "effect", "run_link"]
    list_filter = [("is_fatal", BooleanRadioFilter)]
    list_select_related = ["run"]
    search_fields = ["column__begins_word", "reason__begins_word", "value__begins_word"]
    search_help_text = "Words of the column, the value or the reason"
    ordering = ["run", "row_number"]

    @display(description="Effect")
    def effect(self, problem: ImportProblem) -> SafeString:
        kind = "danger" if problem.is_fatal else "warning" if problem.column else "info"
        return badge(effect_of(problem.column, is_fatal=problem.is_fatal).capitalize(), kind)

    @display(description="Run")
    def run_link(self, problem: ImportProblem) -> str | SafeString:
        return link_to(problem.run)


class JobOfRunAdmin(JobAdmin):
    """A job on an import, begun on the page of that import and listed beside it."""

    needs: ClassVar[str]  # the permission, beside that of changing imports, to begin such a job and so to stop it

    list_display_links = ["status_badge"]  # the first column leads to the import
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["run", "started_by"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_start_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perms(["catalog.change_importrun", self.needs])

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not self.in_own_pages(request) and super().has_delete_permission(request, obj)

    @display(description="Import")
    def run_link(self, job: ImportMend | ImportUndo) -> str | SafeString:
        return link_to(job.run)


@admin.register(ImportMend)
class ImportMendAdmin(JobOfRunAdmin):
    needs = "catalog.change_listing"
    list_display = ["run_link", "status_badge", "progress_bar", "n_rows", "n_mended", "n_left"]
    fieldsets = [
        (None, {"fields": ["run_link", ("n_rows", "n_mended", "n_left"), "left"]}),
        ("Who and when", {"fields": [("started_by", "created_at"), ("started_at", "finished_at")]}),
    ]

    actions_detail: Any = [*JobOfRunAdmin.actions_detail, "rows_left"]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """The way back to the bad rows, while some are left."""
        buttons = super().get_actions_detail(request, object_id)
        is_any_left = BadRow.objects.filter(run__mends=object_id).exists()
        return [button for button in buttons if is_any_left or button.action_name != "catalog_importmend_rows_left"]

    @action(description="Mend further rows", url_path="left", icon="build", permissions=["start"])
    def rows_left(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:catalog_importrun_rows", get_object_or_404(ImportMend, pk=object_id).run_id)

    @display(description="What is left")
    @once_per_row
    def left(self, mend: ImportMend) -> SafeString:
        """The bad rows of the run that are left now, this mending's and others."""
        url = reverse("admin:catalog_importrun_rows", args=[mend.run_id])
        return format_html('<a href="{}" class="text-link">{} bad rows</a>', url, mend.run.bad_rows.count())


@admin.register(ImportUndo)
class ImportUndoAdmin(JobOfRunAdmin):
    needs = "catalog.delete_listing"
    list_display = ["run_link", "status_badge", "progress_bar", "n_removed", "n_withdrawn", "n_restored", "n_left"]
    fieldsets = [
        (None, {"fields": ["run_link", ("n_removed", "n_withdrawn"), ("n_restored", "n_left"), "not_undone"]}),
        ("Who and when", {"fields": [("started_by", "created_at"), ("started_at", "finished_at")]}),
    ]

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


@admin.register(UploadedFile)
class UploadedFileAdmin(ReadOnlyAdmin):
    list_display = ["name", "size", "uploaded_by", "when", "next_step"]
    list_select_related = ["uploaded_by"]
    search_fields = ["name__icontains"]
    search_help_text = "Words of the file's name"

    def get_list_display(self, request: HttpRequest) -> Any:
        """Leave out the links to imports for users who may not import."""
        columns = super().get_list_display(request)
        return columns if request.user.has_perm("catalog.add_importrun") else [*columns[:-1]]

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
