"""Read-only fields of the import page: how the file was read, row outcomes, and problems."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db.models import Count
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from catalog.admin.feeds import counts_against
from catalog.imports.bad_rows import kinds_of
from catalog.imports.preview import for_the_form
from catalog.imports.suggestions import in_words
from catalog.imports.undo import undo_problem
from catalog.models import ImportProblem, ImportRun, ImportUndo, Listing
from console.formats import NONE, ago, link_to, list_link, table

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


class ImportRunFields:
    """Fields of a run's page and columns of the list of runs."""

    @display(description="File", header=True)
    def file(self, run: ImportRun) -> list[str]:
        return [run.file_name, "dry run: nothing was stored" if run.is_dry_run else run.source]

    @display(description="What it was")
    def kind(self, run: ImportRun) -> str:
        return "A dry run: nothing was stored" if run.is_dry_run else "An import"

    @display(description="Feed")
    def of_feed(self, run: ImportRun) -> str | SafeString:
        return link_to(run.feed) if run.feed else NONE

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
        """The counts compared with those of the previous run of this source or feed."""
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
        """The kinds of bad rows with links to correct them, and the time of the last correction."""
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
        if not rows:
            return "None: every value was understood." if run.rows_read else NONE
        return table(["Column", "Why", "Effect", "How often"], rows)

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
    """A link to the page that corrects the bad rows of a run."""
    url = reverse("admin:catalog_importrun_rows", args=[run.pk])
    return format_html('<a href="{}" class="text-link">{}</a>', url, text)


def missing_rows(run: ImportRun) -> list[list[Any]]:
    """Listings that a complete delivery lacks, and what was done with them."""
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


def separated_by(run: ImportRun) -> str:
    name = run.options.get("delimiter", "")
    return f"{name}-separated" if name else ""
