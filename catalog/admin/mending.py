"""The bad rows of an import: by kind, with what can be taught, and row by row, to be corrected and read again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.generic import TemplateView
from unfold.views import UnfoldModelAdminViewMixin
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.models import User
from catalog.exceptions import CatalogRefusal, MendRefused
from catalog.imports.bad_rows import Kind, kinds_of, rows_of, suggestions, values_of
from catalog.imports.mending import mend_problem, queue_mend
from catalog.imports.names import split_make
from catalog.imports.preview import target_choices
from catalog.imports.store import storable
from catalog.imports.teaching import edit_row, edited_cells, feed_of, teach_heading, teach_value
from catalog.imports.vocabulary import TEACHABLE
from catalog.models import BadRow, ImportRun
from console.auditing import record

ROWS_SHOWN = 50
NAMES = ("make", "model")
NAMING = ("external_id", "year", "make", "model", "title")  # fields by which a person knows a car
VALUES_IN_LINE = 5
NOTHING = "-"  # in forms: the word says nothing
LEAVE = ("", "– leave it –")
LONGEST_CELL = 20_000
LONGEST_NAME = 120  # of a car, beside its row


@dataclass(frozen=True)
class ValueLine:
    """One value of a kind, as the form asks for its meaning."""

    number: int
    text: str
    n_rows: int
    near: str
    control: str


class RunPage(UnfoldModelAdminViewMixin, TemplateView):
    """A page about one run; who may decide about listings may change something on it."""

    permission_required: Any = ("catalog.view_importrun", "catalog.view_importproblem")
    request: HttpRequest

    @property
    def run(self) -> ImportRun:
        if not hasattr(self, "_run"):
            self._run: ImportRun = get_object_or_404(ImportRun.objects.select_related("feed"), pk=self.kwargs["run_id"])
        return self._run

    @property
    def may_mend(self) -> bool:
        return bool(self.request.user.has_perms(["catalog.change_importrun", "catalog.change_listing"]))

    @property
    def may_teach(self) -> bool:
        """Whether the user may teach values: the profile then reads later files with them."""
        changes_a_feed = feed_of(self.run) is not None
        return self.may_mend and (not changes_a_feed or bool(self.request.user.has_perm("catalog.change_feed")))

    def check_may_mend(self) -> None:
        if not self.may_mend:
            raise PermissionDenied

    def check_may_teach(self) -> None:
        if not self.may_teach:
            raise PermissionDenied

    def url(self) -> str:
        return reverse("admin:catalog_importrun_rows", args=[self.run.pk])

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            **kwargs, run=self.run, may_mend=self.may_mend, may_teach=self.may_teach,
            problem=mend_problem(self.run), profile=feed_of(self.run),
            back=reverse("admin:catalog_importrun_change", args=[self.run.pk]), rows_url=self.url(),
        )  # fmt: skip

    def read_again(self, rows: Any, note: str) -> HttpResponse:
        """Queue these rows, and go where their job is followed. Raises MendRefused."""
        by = self.request.user if isinstance(self.request.user, User) else None
        mend = queue_mend(run=self.run, rows=rows, started_by=by)
        record(by=self.request.user, action="mend", target=self.run, note=note[:200])
        messages.success(self.request, f"{mend.n_rows:,} rows were queued. This page follows them by itself.")
        return redirect("admin:catalog_importmend_change", mend.pk)

    def note_taught(self, note: str) -> None:
        """The profile that learned has it in its history, beside the run in its own."""
        if feed := feed_of(self.run):
            record(by=self.request.user, action="taught", target=feed, note=note[:200])

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        self.check_may_mend()
        try:
            with transaction.atomic():
                return self.act()
        except CatalogRefusal as refusal:
            messages.warning(request, f"Nothing was done: {refusal}")
            return redirect(request.path)

    def act(self) -> HttpResponse:
        raise NotImplementedError


class BadRowsView(RunPage):
    """Kinds with their commonest values; of one kind (``?kind=``) its rows."""

    title = "Bad rows"
    template_name = "console/import_rows.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        kinds = kinds_of(self.run)
        chosen = next((kind for kind in kinds if kind.key == self.request.GET.get("kind")), None)
        return super().get_context_data(
            **kwargs,
            kinds=[] if chosen else [self.section(kind) for kind in kinds],
            chosen=chosen,
            rows=self.rows(chosen) if chosen else [],
            is_edited=chosen is not None and place_of(self.run, chosen) is not None,
            n_rows=self.run.bad_rows.count(),
            headings=[(heading, self.heading_select()) for heading in self.run.options.get("unread", [])[:ROWS_SHOWN]],
        )

    def section(self, kind: Kind) -> dict[str, Any]:
        """A kind, with the values that can be taught, or a line of those that cannot."""
        if kind.field:
            return {"kind": kind, "lines": self.lines(kind)}
        return {"kind": kind, "examples": values_of(self.run, kind)[:VALUES_IN_LINE]}

    def rows(self, kind: Kind) -> list[dict[str, Any]]:
        """The next rows of a kind: which car each is, and what is bad about it."""
        after = self.request.GET.get("after", "")
        found = rows_of(self.run, kind).filter(row_number__gt=int(after) if after.isdecimal() and len(after) < 9 else 0)
        rows = list(found[:ROWS_SHOWN])
        said: dict[int, list[str]] = {}
        numbers = [row.row_number for row in rows]
        for problem in self.run.problems.filter(row_number__in=numbers):
            where = f"{problem.column}: " if problem.column not in ("", kind.column) else ""
            value = f"“{problem.value}”: " if problem.value else ""
            said.setdefault(problem.row_number, []).append(f"{where}{value}{problem.reason}")
        at = place_of(self.run, kind)
        cells = {row.row_number: [*edited_cells(row), *[""] * ((at or 0) + 1)] for row in rows}
        naming = [place for place in naming_places(self.run) if place != at]
        return [
            {
                "number": number,
                "car": " ".join(cells[number][place] for place in naming if place < len(cells[number]))[:LONGEST_NAME],
                "said": "; ".join(said.get(number, [])),
                "cell": None if at is None else cells[number][at],
            }
            for number in numbers
        ]

    def lines(self, kind: Kind) -> list[ValueLine]:
        lines = []
        for number, (text, n_rows) in enumerate(values_of(self.run, kind)):
            near = suggestions(kind.field, text) if kind.field in NAMES else ()
            attrs = {"aria-label": f"What “{text}” means"}
            if kind.field in NAMES:
                control = UnfoldAdminTextInputWidget(attrs={**attrs, "maxlength": 120})
                shown = control.render(f"means-{number}", near[0] if near else "")
            else:
                choices = [LEAVE, (NOTHING, "nothing"), *((value, value) for value in TEACHABLE[kind.field])]
                shown = UnfoldAdminSelectWidget(choices=choices, attrs=attrs).render(f"means-{number}", "")
            lines.append(ValueLine(number, text, n_rows, ", ".join(near), shown))
        return lines

    def heading_select(self) -> str:
        choices = [LEAVE, *(choice for choice in target_choices() if choice[0])]
        return str(UnfoldAdminSelectWidget(choices=choices, attrs={"aria-label": "What it is"}).render("target", ""))

    def act(self) -> HttpResponse:
        given = self.request.POST
        if heading := given.get("heading"):
            if not given.get("target"):
                return redirect(self.url())
            return self.teach_column(heading, given["target"])
        kind = next((kind for kind in kinds_of(self.run) if kind.key == given.get("kind")), None)
        if kind is None:
            return redirect(self.url())
        if "again" in given:
            return self.read_again(rows_of(self.run, kind), kind.reason)
        return self.edit(kind) if "edit" in given else self.teach(kind)

    def edit(self, kind: Kind) -> HttpResponse:
        """What the form says of the kind's column in single rows; rows that stay as they are wait further."""
        at, edited = place_of(self.run, kind), []
        if self.run.is_dry_run:
            raise MendRefused("A dry run stores no car: edit rows after the import.")
        shown = [number for number in given_rows(self.request.POST) if at is not None]
        for bad in rows_of(self.run, kind).filter(row_number__in=shown):
            text = storable(self.request.POST[f"cell-{bad.row_number}"])[:LONGEST_CELL]
            cells = [*edited_cells(bad), *[""] * ((at or 0) + 1 - len(bad.cells))]
            if at is None or text == one_line(cells[at])[:LONGEST_CELL]:
                continue
            edit_row(bad=bad, values={**dict(enumerate(cells)), at: text})
            edited.append(bad.pk)
        if not edited:
            raise MendRefused("No value was changed.")
        return self.read_again(self.run.bad_rows.filter(pk__in=edited), f"{kind.column} of {len(edited):,} rows")

    def teach_column(self, heading: str, target: str) -> HttpResponse:
        self.check_may_teach()
        note = f"{heading} is {target}"
        teach_heading(run=self.run, heading=heading, target=target)
        self.note_taught(note)
        return self.read_again(self.run.bad_rows.all(), note)

    def teach(self, kind: Kind) -> HttpResponse:
        """What the form says of single values; those that are left empty wait further."""
        self.check_may_teach()
        given, taught = self.request.POST, {}
        for name in given:
            number = name.removeprefix("value-")
            means = storable(given.get(f"means-{number}", "")).strip()[:120]
            if name.startswith("value-") and (means or f"new-{number}" in given):
                taught[storable(given[name])[:255]] = means
                self.teach_one(kind, storable(given[name])[:255], means, is_new=f"new-{number}" in given)
        if not taught or not kind.field:
            return redirect(self.url())
        note = "; ".join(f"“{value}” is {means or 'new'}" for value, means in taught.items())
        self.note_taught(note)
        return self.read_again(rows_of(self.run, kind, list(taught)), note)

    def teach_one(self, kind: Kind, value: str, means: str, *, is_new: bool) -> None:
        if not kind.field:
            return
        if kind.field in NAMES and is_new:
            means = new_name(kind.field, value)
        teach_value(run=self.run, field=kind.field, value=value, means="" if means == NOTHING else means)


def given_rows(given: QueryDict) -> list[int]:
    """Numbers of the rows whose cells a form has: those of one page, and not all of a kind."""
    numbers = (name.removeprefix("cell-") for name in given if name.startswith("cell-"))
    return [int(number) for number in numbers if number.isdecimal() and number.isascii() and len(number) < 9]


def one_line(text: str) -> str:
    """The text without line breaks, as a browser submits the value of a one-line input."""
    return text.replace("\r", "").replace("\n", "")


def place_of(run: ImportRun, kind: Kind) -> int | None:
    """Where in a row the cells of a kind's column stand; None for a kind that concerns no single column."""
    headings = [str(heading).strip() for heading in run.options.get("headings", ())]
    return headings.index(kind.column) if kind.column in headings else None


def naming_places(run: ImportRun) -> list[int]:
    """Where in a row the cells stand by which a person knows the car: its number, its year, its name."""
    headings = [str(heading).strip() for heading in run.options.get("headings", ())]
    read_as = {target: heading for heading, target in run.options.get("columns", {}).items()}
    named = [read_as[field] for field in NAMING if field in read_as]
    return [headings.index(heading) for heading in named if heading in headings]


def new_name(field: str, value: str) -> str:
    """The name that becomes known: of a model without the make before it."""
    return value if field == "make" else split_make(value)[1]


class BadRowView(RunPage):
    """One row, cell by cell."""

    template_name = "console/import_row.html"

    @property
    def title(self) -> str:
        return f"Row {self.kwargs['number']:,}"

    @property
    def bad(self) -> BadRow:
        if not hasattr(self, "_bad"):
            self._bad: BadRow = get_object_or_404(BadRow, run=self.run, row_number=self.kwargs["number"])
        return self._bad

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        cells, read_as = edited_cells(self.bad), self.run.options.get("columns", {})
        said = list(self.run.problems.filter(row_number=self.bad.row_number))
        later = self.run.bad_rows.filter(row_number__gt=self.bad.row_number).order_by("row_number")
        fields = [
            {
                "number": index,
                "heading": heading or f"Column {index + 1}",
                "target": read_as.get(heading.strip(), ""),
                "cell": cell,
                "is_edited": str(index) in self.bad.edits,
                "problems": [each.reason for each in said if heading.strip() and each.column == heading.strip()],
            }
            for index, (heading, cell) in enumerate(zip(headings_for(self.run, cells), cells, strict=True))
        ]
        return super().get_context_data(
            **kwargs,
            bad=self.bad,
            fields=fields,
            said=said,
            next_row=later.values_list("row_number", flat=True).first(),
        )

    def act(self) -> HttpResponse:
        if self.run.is_dry_run:
            raise MendRefused("A dry run stores no car: edit rows after the import.")
        values = {
            index: storable(self.request.POST[f"cell-{index}"])[:LONGEST_CELL]
            for index in range(max(len(self.bad.cells), len(self.run.options.get("headings", ()))))
            if f"cell-{index}" in self.request.POST
        }
        edit_row(bad=self.bad, values=values)
        return self.read_again(self.run.bad_rows.filter(pk=self.bad.pk), f"row {self.bad.row_number}")


def headings_for(run: ImportRun, cells: list[str]) -> list[str]:
    """A heading for each cell; the row gets the cells that it lacks."""
    headings = [str(heading) for heading in run.options.get("headings", ())]
    cells += [""] * (len(headings) - len(cells))
    return headings + [""] * (len(cells) - len(headings))
