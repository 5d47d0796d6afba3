"""``manage.py seed_data``: the arguments around ``seeding.seed_marketplace``."""

from __future__ import annotations

import sys
from datetime import date
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from catalog.models import Listing
from recommendations.simulation.demo_people import ensure_demo_people
from recommendations.simulation.seed_plan import SeedPlan, SeedRefused, SeedSummary, is_unfinished
from recommendations.simulation.seeding import seed_marketplace


class Command(BaseCommand):
    help = (
        "Make a made-up marketplace: cars that appear and sell, sellers, and buyers with a known taste who "
        "browse. The same seed makes the same market; running it again adds nothing twice and completes what was begun."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--listings", type=int, default=10_000, metavar="N", help="default: 10,000")
        parser.add_argument("--buyers", type=int, default=1_000, metavar="N", help="default: 1,000")
        parser.add_argument("--events", type=int, default=100_000, metavar="N", help="default: 100,000")
        parser.add_argument("--seed", type=int, default=1, metavar="S", help="another seed adds another market")
        parser.add_argument(
            "--until", type=date.fromisoformat, metavar="DATE",
            help="the market ends as this day begins (default: today)",
        )  # fmt: skip
        parser.add_argument(
            "--if-empty", action="store_true",
            help="only where there are no cars yet, or where this very seeding was cut short",
        )  # fmt: skip
        parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            plan = SeedPlan(options["listings"], options["buyers"], options["events"], options["seed"])
            if options["if_empty"] and Listing.objects.exists() and not is_unfinished(plan):
                if settings.DEMO_MODE:
                    ensure_demo_people()  # the stock may have come from a file, which brings no user to log in as
                return
            summary = self._seed(options)
        except SeedRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        if not options["quiet"]:
            self.stdout.write("\n".join(summary_lines(summary)))

    def _seed(self, options: dict[str, Any]) -> SeedSummary:
        bar_format = "{desc:<22} {percentage:3.0f}% |{bar}| {elapsed}"
        with tqdm(total=1.0, bar_format=bar_format, disable=options["quiet"] or not sys.stderr.isatty()) as bar:

            def report(fraction: float, step: str) -> None:
                bar.set_description_str(step, refresh=False)
                bar.update(fraction - bar.n)

            return seed_marketplace(
                options["listings"], options["buyers"], options["events"], options["seed"],
                until=options["until"], report=report,
            )  # fmt: skip


def summary_lines(summary: SeedSummary) -> list[str]:
    """What was added, in a table, and how fast."""
    if not any(summary.added.values()):
        return [f"{summary.source} is complete already (until {summary.until}): nothing added"]
    lines = [f"{summary.source}, until {summary.until}"]
    lines += [f"{number:>12,}  {name}" for name, number in summary.added.items()]
    lines.append(f"{summary.n_live:>12,}  of its listings are live")
    rows = sum(summary.added.values())
    lines.append(f"{summary.seconds:>12.1f}  seconds, {rows / max(summary.seconds, 1e-9):,.0f} rows a second")
    return lines
