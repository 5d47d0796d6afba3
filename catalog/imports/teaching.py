"""Apply an operator's corrections of bad rows: the meaning of a word or name, the field of a column, the value of a
cell.

Corrections are stored in the options of the run, and in the profile of its feed for further files.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from catalog.exceptions import MendRefused
from catalog.imports.headings import HeaderReader
from catalog.imports.jobs import options_of
from catalog.imports.known import admit
from catalog.imports.names import known_makes, slug_of, split_make
from catalog.imports.options import ImportOptions
from catalog.imports.vocabulary import bare
from catalog.models import BadRow, Feed, ImportRun


def feed_of(run: ImportRun) -> Feed | None:
    """Return the profile that stores corrections: that of the run, else the only one of its source."""
    if run.feed:
        return run.feed
    same = list(Feed.objects.filter(source=run.source)[:2]) if run.source else []
    return same[0] if len(same) == 1 else None


@transaction.atomic
def teach_word(*, run: ImportRun, field: str, word: str, value: str) -> None:
    """Define a word; "" for no meaning. Raises ImportRefused for a value that its field cannot have."""
    key = word if field == "model" else bare(word)
    if not key:
        raise MendRefused("There is no word in it that could mean something.")
    _change(run, lambda options: options.with_word(field, key, value))


@transaction.atomic
def teach_heading(*, run: ImportRun, heading: str, target: str) -> None:
    """Define the field of a column. Raises ImportRefused for an unknown field or column."""
    HeaderReader(mapping=options_of(run).mapping, pairs={heading: target}).columns(run.options.get("headings", ()))
    _change(run, lambda options: options.with_column(heading, target))


@transaction.atomic
def teach_name(*, run: ImportRun, field: str, name: str, known: str, make: str = "") -> None:
    """Map a name to a known make or model; where ``known`` is the name itself, it becomes a known one."""
    if not known.strip():
        raise MendRefused("Say which name it is.")
    if slug_of(known) == slug_of(name):
        admit(field, name, make=known_makes()[make].name if make in known_makes() else make)
        _change(run, lambda options: options)  # the feed's file means something else now
    elif field == "make":
        teach_word(run=run, field="make", word=name, value=known)
    else:
        teach_word(run=run, field="model", word=f"{slug_of(make)}/{slug_of(name)}", value=known)


def _change(run: ImportRun, change: Callable[[ImportOptions], ImportOptions]) -> None:
    """Change the options of a run, and those of its feed for further files."""
    locked = ImportRun.objects.select_for_update(of=("self",)).get(pk=run.pk)
    locked.options["given"] = change(options_of(locked)).given()
    locked.save(update_fields=["options"])
    run.options = locked.options
    if feed := feed_of(run):
        feed = Feed.objects.select_for_update(of=("self",)).get(pk=feed.pk)
        given = change(ImportOptions.of_given(feed.options, source=feed.source, is_dry_run=False)).given()
        Feed.objects.filter(pk=feed.pk).update(options=given, etag="", last_modified="")


@transaction.atomic
def edit_row(*, bad: BadRow, values: dict[int, str]) -> None:
    """Store an operator's values of single cells; values equal to the file's are not stored."""
    cells = [*bad.cells, *[""] * (max(values, default=-1) + 1 - len(bad.cells))]
    bad.edits = {str(index): text for index, text in values.items() if text != cells[index]}
    bad.save(update_fields=["edits"])


def edited_cells(bad: BadRow) -> list[str]:
    """Return the row's cells, with the operator's values."""
    cells = [str(cell) for cell in bad.cells]
    for index, text in bad.edits.items():
        cells += [""] * (int(index) + 1 - len(cells))
        cells[int(index)] = text
    return cells


def teach_value(*, run: ImportRun, field: str, value: str, means: str) -> None:
    """Define a value of a kind: a known name, or for other fields one of their values, "" for no meaning."""
    if field == "make":
        teach_name(run=run, field=field, name=value, known=means)
    elif field == "model":
        make, model = split_make(value)
        teach_name(run=run, field=field, name=model, known=means, make=make)
    else:
        teach_word(run=run, field=field, word=value, value=means)
