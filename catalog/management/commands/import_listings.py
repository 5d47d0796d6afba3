"""``manage.py import_listings FILE``: the arguments around ``services.import_listings``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from catalog.exceptions import ImportRefused
from catalog.imports.headings import NAMED_MAPPINGS
from catalog.imports.options import MOST_MISSING, SELLERS, SOURCE, ImportOptions
from catalog.imports.rows import CUT
from catalog.imports.store import import_listings
from catalog.models import ImportRun

PROBLEMS_SHOWN = 12
WAITING = 3  # everything was stored, and an operator has to decide about what is missing
INTERRUPTED = 130  # what shells report for a command ended by Ctrl-C


class Command(BaseCommand):
    help = (
        "Import listings from a table of text (CSV and its relatives), JSON, XML or a workbook, also compressed. "
        "The same file can be imported again: known cars are updated, nothing is added twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument(
            "--source", default="", metavar="NAME",
            help="whose listings these are; the same for every delivery (default: the file's name)",
        )  # fmt: skip
        parser.add_argument("--mapping", default="", metavar="NAME", help=f"one of {', '.join(sorted(NAMED_MAPPINGS))}")
        parser.add_argument(
            "--map", action="append", default=[], type=_pair, metavar="COLUMN=FIELD",
            help='what a column is, for example "Preis=price" or "Leistung=power_kw"; FIELD ignore leaves it out',
        )  # fmt: skip
        parser.add_argument("--make", default="", help="the make, for files of one make")
        parser.add_argument("--model", default="", help="the model, for files of one model")
        parser.add_argument("--currency", default="", type=str.upper, help="what prices without a sign are in")
        parser.add_argument("--distance-unit", default="", choices=["km", "mi"], help="what bare distances are in")
        parser.add_argument("--delimiter", default="", help="one character, or comma, semicolon, tab, pipe")
        parser.add_argument("--encoding", default="", help="for example utf-8, latin-1 or cp1250")
        parser.add_argument(
            "--key", default="", metavar="FIELDS",
            help="fields that distinguish cars in a file without ids, for example make,model,year,mileage_km",
        )  # fmt: skip
        parser.add_argument(
            "--complete", nargs="?", const=SOURCE, default="", choices=[SOURCE, SELLERS],
            help="the file has every car of its source (or: of each seller it names); what it does not have is ended",
        )  # fmt: skip
        parser.add_argument(
            "--missing",
            default="",
            choices=["withdrawn", "sold"],
            help="what a missing car becomes (default: withdrawn)",
        )
        parser.add_argument(
            "--misses", type=int, default=0, metavar="N", help="after so many files without it (default: 1)"
        )
        parser.add_argument(
            "--most-missing", type=float, default=MOST_MISSING, metavar="SHARE",
            help=f"where more of the cars on offer are missing, an operator decides (default: {MOST_MISSING})",
        )  # fmt: skip
        parser.add_argument("--dry-run", action="store_true", help="read and report, store nothing")
        parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")

    def handle(self, *args: Any, **given: Any) -> None:
        try:
            options = _options(given)
            run = self._run(given["file"], options, is_quiet=given["quiet"])
        except ImportRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        except KeyboardInterrupt:
            raise CommandError(
                "Interrupted. What was stored stays, and the same command brings the rest.", returncode=INTERRUPTED
            ) from None
        if not given["quiet"]:
            self.stdout.write("\n".join(summary_lines(run)))
        if run.absence == ImportRun.Absence.WAITING:
            raise CommandError(waiting_line(run), returncode=WAITING)

    def _run(self, path: Path, options: ImportOptions, *, is_quiet: bool) -> ImportRun:
        with tqdm(unit="B", unit_scale=True, desc=path.name, disable=is_quiet or not sys.stderr.isatty()) as bar:

            def report(position: int, size: int, run: ImportRun) -> None:
                bar.total = size
                bar.set_postfix_str(f"{run.rows_read:,} rows", refresh=False)
                bar.update(position - bar.n)

            return import_listings(path=path, options=options, report=report)


def _pair(text: str) -> tuple[str, str]:
    column, equals, field = text.rpartition("=")
    if not (column.strip() and equals and field.strip()):
        raise argparse.ArgumentTypeError(f"write COLUMN=FIELD, not “{text}”")
    return column.strip(), field.strip()


def _options(given: dict[str, Any]) -> ImportOptions:
    return ImportOptions(
        source=given["source"],
        mapping=given["mapping"],
        columns=dict(given["map"]),
        make=given["make"],
        model=given["model"],
        currency=given["currency"],
        distance_unit=given["distance_unit"],
        delimiter=given["delimiter"],
        encoding=given["encoding"],
        key=tuple(name.strip() for name in given["key"].split(",") if name.strip()),
        complete=given["complete"],
        missing=given["missing"],
        misses=given["misses"],
        most_missing=given["most_missing"],
        is_dry_run=given["dry_run"],
    )


def summary_lines(run: ImportRun) -> list[str]:
    """A run as people read it: what became of the rows, what was assumed, and the commonest problems."""
    would = "would be " if run.is_dry_run else ""
    counts = [
        ("rows read", run.rows_read),
        (f"listings {would}created", run.listings_created),
        (f"listings {would}updated", run.listings_updated),
        ("listings unchanged", run.listings_unchanged),
        ("rows that repeat an earlier one", run.rows_repeated),
        ("rows refused", run.rows_refused),
    ]
    how = run.options
    lines = [
        f"{run.file_name} → source “{run.source}”, run {run.pk}{' (dry run: nothing was stored)' if would else ''}",
        (
            f"  {how['format']}, {how['delimiter']}"
            if "format" in how
            else f"  {how['encoding']}, {how['delimiter']}-separated"
        )
        + (f", {how['compression']}" if "compression" in how else "")
        + "; "
        + ", ".join(f"{heading} → {field}" for heading, field in how["columns"].items()),
    ]
    if how["unread"]:
        lines.append(f"  not read: {', '.join(how['unread'])}")
    lines += [f"  assumed: {assumption}" for assumption in how["assumptions"]]
    lines += [f"{count:>12,}  {what}" for what, count in counts]
    if run.absence:
        missing = f"missing, of which {run.listings_ended:,} were {how['given'].get('missing', 'withdrawn')}"
        lines.append(f"{run.listings_missing:>12,}  listings on offer are {missing}")
    lines += [f"{count:>12,}  values put right: {what}" for what, count in how["recovered"].items()]
    if problems := how["problems"]:
        lines.append("Problems, commonest first:")
        lines += [_problem_line(problem) for problem in problems[:PROBLEMS_SHOWN]]
        if len(problems) > PROBLEMS_SHOWN:
            lines.append(f"              … and {len(problems) - PROBLEMS_SHOWN} other kinds; all are kept with the run")
    return lines


def waiting_line(run: ImportRun) -> str:
    return (
        f"{run.options['held']['n']:,} listings are missing, more than usual, and stay as they are: decide on the page "
        f"of run {run.pk} in the admin, or import again with a larger --most-missing."
    )


def _problem_line(problem: dict[str, Any]) -> str:
    kept = problem["examples"] == [""] or problem["reason"].startswith(CUT)
    effect = "row refused" if problem["is_fatal"] else "note" if kept else "value dropped"
    where = f"{problem['column']}: " if problem["column"] else ""
    examples = ", ".join(f"“{example}”" for example in problem["examples"] if example)
    return f"{problem['count']:>12,}  {where}{problem['reason']} ({effect}{'; ' + examples if examples else ''})"
