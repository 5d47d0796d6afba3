"""What an operator says of bad rows: what a word or a name means, what a column is, and what a cell should hold.

What is taught goes into the options of the run, and into the profile of its feed, so that its next files are read the
same way.
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
    """The profile that learns what is taught: that of the run, else the only one of its source."""
    if run.feed:
        return run.feed
    same = list(Feed.objects.filter(source=run.source)[:2]) if run.source else []
    return same[0] if len(same) == 1 else None


@transaction.atomic
def teach_word(*, run: ImportRun, field: str, word: str, value: str) -> None:
    """Say what a word means: '' for nothing. Raises ImportRefused for a value that its field cannot have."""
    key = word if field == "model" else bare(word)
    if not key:
        raise MendRefused("There is no word in it that could mean something.")
    _change(run, lambda options: options.with_word(field, key, value))


@transaction.atomic
def teach_heading(*, run: ImportRun, heading: str, target: str) -> None:
    """Say what a column is. Raises ImportRefused for what is no field, or no column of the file."""
    HeaderReader(mapping=options_of(run).mapping, pairs={heading: target}).columns(run.options.get("headings", ()))
    _change(run, lambda options: options.with_column(heading, target))


@transaction.atomic
def teach_name(*, run: ImportRun, field: str, name: str, known: str, make: str = "") -> None:
    """Say which known make or model a name is; where ``known`` is the name itself, it becomes known from now on."""
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
    """Change how a run is read, and its feed's files from now on."""
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
    """Keep what an operator wrote instead of single cells; what is as the file has it is no edit."""
    cells = [*bad.cells, *[""] * (max(values, default=-1) + 1 - len(bad.cells))]
    bad.edits = {str(index): text for index, text in values.items() if text != cells[index]}
    bad.save(update_fields=["edits"])


def edited_cells(bad: BadRow) -> list[str]:
    """The row's cells, with what an operator wrote instead of them."""
    cells = [str(cell) for cell in bad.cells]
    for index, text in bad.edits.items():
        cells += [""] * (int(index) + 1 - len(cells))
        cells[int(index)] = text
    return cells


def teach_value(*, run: ImportRun, field: str, value: str, means: str) -> None:
    """Say what a value of a kind means: a known name, or for other fields one of their values, '' for nothing."""
    if field == "make":
        teach_name(run=run, field=field, name=value, known=means)
    elif field == "model":
        make, model = split_make(value)
        teach_name(run=run, field=field, name=model, known=means, make=make)
    else:
        teach_word(run=run, field=field, word=value, value=means)
