"""``manage.py evaluate``: our ranker beside the usual ones, on the site's log or on files."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from recommendations.evaluation.event_file_backtest import FileParameters, backtest_file
from recommendations.evaluation.event_files import (
    Columns,
    Condition,
    FileRefused,
    ItemColumns,
    day_of,
    read_event_file,
    read_item_file,
)
from recommendations.evaluation.log_backtest import LogParameters, backtest_log
from recommendations.evaluation.outcome import Outcome, Report
from recommendations.evaluation.report import html_report, text_report
from recommendations.evaluation.runs import as_json, evaluate_now, run_evaluation, start_evaluation
from recommendations.exceptions import RecommendationsError

EXAMPLES = """\
examples:
  manage.py evaluate                                  the site's own log, ranker learned anew
  manage.py evaluate --stored-version 7 --html v7.html
  manage.py evaluate --events orders.csv.gz --user CustomerID --item StockCode --time InvoiceDate \\
      --where "Quantity > 0" --test-from 2011-11-09 --known-only --unseen-only
"""


class Command(BaseCommand):
    help = (
        "Learn from what was known at a moment, test on what came after it, beside popularity, item-kNN, EASE, ALS and "
        "others. Without files: on the site's log. With --events: on a file of events (CSV, also gzipped)."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.epilog = EXAMPLES
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument_group("the test").add_argument
        add("--test-from", metavar="DATE", help="first day of the test; default: the last 15 %% of the events")
        add("--test-share", type=float, default=0.15, metavar="SHARE", help="instead: share of the events to test on")
        add("--test-days", type=float, metavar="DAYS", help="length of the test; default: to the last event")
        add("--moments", type=int, metavar="N",
            help="so many windows in a row, each tested on what was learned before it; default: of the log 1, of a "
            "file as few as reach half of its rows, 8 at most")  # fmt: skip
        add("--k", type=int, nargs="+", default=[5, 10, 20], metavar="K", help="lengths of the lists")
        add("--max-buyers", type=int, metavar="N", help="ask about so many at most (log: 500, files: all)")
        add("--seed", type=int, default=0, help="the same seed gives the same figures")
        add = parser.add_argument_group("what comes out").add_argument
        add("--json", type=Path, metavar="FILE", help="write everything as JSON")
        add("--html", type=Path, metavar="FILE", help="write a report with plots, in one file")
        add("--no-store", action="store_true", help="keep no row in the database")
        add("--quiet", action="store_true", help="no progress bar")
        add = parser.add_argument_group("on the log").add_argument
        add("--stored-version", type=int, metavar="N", help="ask a stored version instead of learning anew")
        add("--history-days", type=int, default=365, metavar="DAYS", help="learn from events of so many days")
        self._add_file_arguments(parser)

    def _add_file_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument_group("on files").add_argument
        add("--events", type=Path, metavar="FILE", help="a row per event")
        add("--user", default="user", metavar="COLUMN", help="default: %(default)s")
        add("--item", default="item", metavar="COLUMN", help="default: %(default)s; of both files")
        add("--time", default="time", metavar="COLUMN", help="default: %(default)s; ISO 8601, or seconds since 1970")
        add("--time-format", metavar="FORMAT", help="as of strptime, for other times")
        add("--weight", metavar="COLUMN", help="strength of an event; rows at 0 or below are left out")
        add("--kind", metavar="COLUMN", help="kind of an event, with --kind-weights")
        add("--kind-weights", nargs="+", type=weight_of_kind, default=[], metavar="KIND=WEIGHT", help="view=1 buy=5")
        add(
            "--where",
            nargs="+",
            default=[],
            metavar="CONDITION",
            help="“Quantity > 0”, “InvoiceNo !~ ^C”; all must hold",
        )
        add("--header", nargs="+", default=[], metavar="COLUMN", help="names, when the event file has none")
        add("--delimiter", metavar="TEXT", help="when it is not to be found out")
        add("--known-only", action="store_true", help="only users and items with an event before the test")
        add("--unseen-only", action="store_true", help="neither list nor ask for what a user had before")
        add("--validation-days", type=float, metavar="DAYS", help="our weights are learned from the last so many days "
            "before the test, up to three times over; default: 14, fewer for a short past")  # fmt: skip
        add("--items", type=Path, metavar="FILE", help="a row per item, any columns")
        add("--item-columns", nargs="+", default=[], metavar="COLUMN", help="what makes items alike; default: all")
        add("--item-ignore", nargs="+", default=[], metavar="COLUMN", help="columns to leave out of these")
        add("--items-header", nargs="+", default=[], metavar="COLUMN", help="names, when the item file has none")
        add("--listed-at", metavar="COLUMN", help="of the item file: from when on an item can be had")
        add("--ended-at", metavar="COLUMN", help="of the item file: until when")
        add("--price", metavar="COLUMN", help="of the item file, for the newest within a user's prices")

    def handle(self, *args: Any, **options: Any) -> None:
        bar = tqdm(
            total=1.0, disable=options["quiet"] or None, file=sys.stderr,
            bar_format="{percentage:3.0f}% |{bar:30}| {elapsed} {desc}",
        )  # fmt: skip

        def report(fraction: float, step: str) -> None:
            bar.set_description_str(step)
            bar.update(fraction - bar.n)

        try:
            document = self.evaluated(options, report)
        except (RecommendationsError, FileRefused) as refusal:
            raise CommandError(str(refusal)) from refusal
        finally:
            bar.close()
        self.write_files(document, options)
        self.stdout.write("\n".join(text_report(document)))

    def evaluated(self, options: dict[str, Any], report: Report) -> dict[str, Any]:
        """The evaluation as JSON, stored or not."""
        if options["items"] and not options["events"]:
            raise FileRefused("--items go with --events; the site's log has its own listings")
        if not options["events"]:
            return on_log(options, report)
        source, parameters, work = file_work(options)
        if options["no_store"]:
            return work(report).to_json()
        return as_json(evaluate_now(source, parameters, work, report))

    def write_files(self, document: dict[str, Any], options: dict[str, Any]) -> None:
        try:
            if options["json"]:
                options["json"].write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
            if options["html"]:
                options["html"].write_text(html_report(document), encoding="utf-8")
        except OSError as problem:
            raise CommandError(f"cannot write {problem.filename}: {problem.strerror}") from problem


def on_log(options: dict[str, Any], report: Report) -> dict[str, Any]:
    parameters = LogParameters(
        version=options["stored_version"],
        test_from=options["test_from"],
        test_share=options["test_share"],
        test_days=options["test_days"],
        moments=LogParameters.moments if options["moments"] is None else options["moments"],
        history_days=options["history_days"],
        max_buyers=options["max_buyers"] or LogParameters.max_buyers,
        ks=tuple(sorted(set(options["k"]))),
        seed=options["seed"],
    )
    if options["no_store"]:
        return backtest_log(parameters, report).to_json()
    evaluation = run_evaluation(evaluation_id=start_evaluation(parameters=parameters.to_json()).pk, report=report)
    if evaluation is None:
        raise CommandError("a worker took the evaluation; look for it in the admin")
    return as_json(evaluation)


def file_work(options: dict[str, Any]) -> tuple[str, dict[str, Any], Callable[[Report], Outcome]]:
    """The name of the source, what to keep of the question, and what answers it."""
    columns = Columns(
        user=options["user"],
        item=options["item"],
        time=options["time"],
        weight=options["weight"],
        kind=options["kind"],
        weight_by_kind=dict(options["kind_weights"]),
        where=tuple(map(Condition.parse, options["where"])),
        time_format=options["time_format"],
        header=tuple(options["header"]),
        delimiter=options["delimiter"],
    )
    test_from = None if options["test_from"] is None else parsed_day(options["test_from"])
    parameters = FileParameters(
        test_from=test_from,
        test_days=options["test_days"],
        test_share=options["test_share"],
        validation_days=options["validation_days"],
        moments=options["moments"],
        known_only=options["known_only"],
        unseen_only=options["unseen_only"],
        max_users=options["max_buyers"] or 0,
        ks=tuple(sorted(set(options["k"]))),
        seed=options["seed"],
    )

    def work(report: Report) -> Outcome:
        report(0.0, f"reading {options['events'].name}")
        file = read_event_file(options["events"], columns)
        items = read_item_file(options["items"], item_columns(options), file) if options["items"] else None
        return backtest_file(items.file if items else file, items, parameters, report)

    described = {"events": options["events"].name, "where": options["where"], "seed": options["seed"]}
    return options["events"].name, described, work


def item_columns(options: dict[str, Any]) -> ItemColumns:
    return ItemColumns(
        item=options["item"],
        features=tuple(options["item_columns"]),
        ignored=tuple(options["item_ignore"]),
        listed_at=options["listed_at"],
        ended_at=options["ended_at"],
        price=options["price"],
        time_format=options["time_format"],
        header=tuple(options["items_header"]),
        delimiter=options["delimiter"],
    )


def parsed_day(text: str) -> float:
    try:
        return day_of(text)
    except ValueError as problem:
        raise FileRefused(f"--test-from: {problem}") from problem


def weight_of_kind(text: str) -> tuple[str, float]:
    kind, _, weight = text.rpartition("=")
    try:
        if not kind:
            raise ValueError
        return kind, float(weight)
    except ValueError:
        raise ArgumentTypeError(f"“{text}” is no weight of a kind; write one like buy=5") from None
