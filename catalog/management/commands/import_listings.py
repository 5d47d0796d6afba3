"""``manage.py import_listings FILE``: the arguments around ``imports.store.import_listings``."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from catalog.exceptions import FileRefused, ImportRefused
from catalog.imports.feeds import feed_named, options_of_feed, queue_feed
from catalog.imports.headings import NAMED_MAPPINGS
from catalog.imports.jobs import run_import
from catalog.imports.listing_row import CUT
from catalog.imports.options import MOST_MISSING, SELLERS, SOURCE, ImportOptions
from catalog.imports.reading import Reading
from catalog.imports.store import import_listings
from catalog.imports.suggestions import in_sentences
from catalog.imports.uploads import safe_name
from catalog.models import Feed, ImportRun
from web.fetching import FetchRefused, Source, fetch

PROBLEMS_SHOWN = 12
PLAIN = (  # options that the command takes as they are
    "source", "mapping", "make", "model", "currency", "distance_unit", "delimiter", "encoding", "complete", "missing",
    "misses", "most_missing",
)  # fmt: skip
WAITING = 3  # everything was stored, and an operator has to decide about what is missing
INTERRUPTED = 130  # what shells report for a command ended by Ctrl-C


class Command(BaseCommand):
    help = (
        "Import listings from a table of text (CSV and its relatives), JSON, XML or a workbook, also compressed. "
        "The same file can be imported again: known cars are updated, nothing is added twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", nargs="?", default="", metavar="FILE", help="a path, - for what is piped in, or an https address"
        )
        self._add_whose_file_it_is(parser)
        self._add_how_it_is_read(parser)
        self._add_what_missing_cars_become(parser)
        parser.add_argument("--dry-run", action="store_true", help="read and report, store nothing")
        parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")

    def _add_whose_file_it_is(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--feed", default="", metavar="NAME",
            help="a supplier's profile: how its files are read, and where from unless a FILE is named",
        )  # fmt: skip
        parser.add_argument(
            "--source", default="", metavar="NAME",
            help="whose listings these are; the same for every delivery (default: the file's name)",
        )  # fmt: skip

    def _add_how_it_is_read(self, parser: CommandParser) -> None:
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
            "--new-makes", action="store_true",
            help="take makes and models that are not known into the catalogue (default: their rows wait in the admin)",
        )  # fmt: skip

    def _add_what_missing_cars_become(self, parser: CommandParser) -> None:
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
            "--misses", type=int, default=None, metavar="N", help="after so many files without it (default: 1)"
        )
        parser.add_argument(
            "--most-missing", type=float, default=None, metavar="SHARE",
            help=f"where more of the cars on offer are missing, an operator decides (default: {MOST_MISSING})",
        )  # fmt: skip

    def handle(self, *args: Any, **given: Any) -> None:
        try:
            feed = feed_named(given["feed"]) if given["feed"] else None
            run = self._run_feed(feed, given) if feed and not given["file"] else self._run_file(feed, given)
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

    def _run_feed(self, feed: Feed, given: dict[str, Any]) -> ImportRun:
        """Fetch a feed's file and import it here and now, as a worker would."""
        run = queue_feed(feed, is_dry_run=given["dry_run"], hand_over=False)
        run_import(run_id=run.pk)
        run.refresh_from_db()
        if run.status != ImportRun.Status.DONE:
            raise FileRefused(run.error or run.get_status_display())
        return run

    def _run_file(self, feed: Feed | None, given: dict[str, Any]) -> ImportRun:
        options = _options(given, feed)
        with _as_path(given["file"], options) as path:
            run = self._run(path, options, is_quiet=given["quiet"])
        if feed:
            ImportRun.objects.filter(pk=run.pk).update(feed=feed)
        return run

    def _run(self, path: Path, options: ImportOptions, *, is_quiet: bool) -> ImportRun:
        with tqdm(unit="B", unit_scale=True, desc=path.name, disable=is_quiet or not sys.stderr.isatty()) as bar:

            def report(position: int, size: int, run: ImportRun) -> None:
                bar.total = size
                bar.set_postfix_str(f"{run.rows_read:,} rows", refresh=False)
                bar.update(position - bar.n)

            def opened(reading: Reading) -> None:
                if not is_quiet:
                    self.stderr.write("".join(f"{line}\n" for line in suggestion_lines(reading.suggestions)), ending="")

            return import_listings(path=path, options=options, report=report, opened=opened)


def suggestion_lines(suggestions: Sequence[str]) -> list[str]:
    """What to look at, and how to say what a column is; nothing where there is nothing to suggest."""
    if not suggestions:
        return []
    return [*(f"{suggestion}." for suggestion in suggestions), 'Say what a column is with --map "COLUMN=FIELD".']


def _pair(text: str) -> tuple[str, str]:
    column, equals, field = text.rpartition("=")
    if not (column.strip() and equals and field.strip()):
        raise argparse.ArgumentTypeError(f"write COLUMN=FIELD, not “{text}”")
    return column.strip(), field.strip()


@contextmanager
def _as_path(name: str, options: ImportOptions) -> Iterator[Path]:
    """The file of a path, an address, or of what is piped in, in a place of its own while the block lasts."""
    if not name:
        raise FileRefused("Name a FILE, or a --feed.")
    if name != "-" and "://" not in name:
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="forecourt-import-") as directory:
        if name == "-":
            path = Path(directory) / "stdin"
            if not options.source:
                raise FileRefused("What is piped in has no name: say whose listings these are, with --source NAME.")
            with path.open("wb") as target:
                shutil.copyfileobj(sys.stdin.buffer, target)
            yield path
            return
        target_path, limit = Path(directory) / "file", settings.IMPORT_MAX_MB * 1024 * 1024
        try:
            found = fetch(
                Source(address=name), target_path, max_bytes=limit, allow_private=settings.IMPORT_PRIVATE_ADDRESSES
            )
        except FetchRefused as refusal:
            raise FileRefused(str(refusal)) from refusal
        yield target_path.rename(Path(directory) / safe_name(found.name))


def _options(given: dict[str, Any], feed: Feed | None = None) -> ImportOptions:
    """What the arguments say; what they leave out is as the feed's profile says."""
    asked = {
        **{name: given[name] for name in PLAIN if given[name] not in ("", None)},
        **({"new_makes": True} if given["new_makes"] else {}),
        **({"columns": dict(given["map"])} if given["map"] else {}),
        **({"key": tuple(name.strip() for name in given["key"].split(",") if name.strip())} if given["key"] else {}),
    }
    profile = options_of_feed(feed) if feed else ImportOptions()
    return replace(profile, **asked, is_dry_run=given["dry_run"])


def summary_lines(run: ImportRun) -> list[str]:
    """A run as people read it: what became of the rows, what was assumed, and the commonest problems."""
    if run.options.get("is_unmodified"):
        return [f"{run.file_name}: the file is the one that was read last; {run.rows_read:,} listings were seen again"]
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
    lines += [f"  to look at: {suggestion}" for suggestion in suggestions_of(how)]
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


def suggestions_of(how: Mapping[str, Any]) -> list[str]:
    """What is missing, and what columns look like by their values, from the options of a run."""
    suggested = how.get("suggested", {})
    return [*how.get("missing", []), *in_sentences(list(suggested), dict(enumerate(suggested.values())))]


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
