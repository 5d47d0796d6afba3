"""``manage.py remove_old_rows``: what the nightly task does, now, or only counted."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from recommendations.upkeep.retention import count_old_rows, remove_old_rows


class Command(BaseCommand):
    help = (
        "Remove rows that are older than the settings KEEP_…_DAYS allow, in batches, by kind. Kinds that are kept for "
        "ever (0) are left alone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count them")
        parser.add_argument("--minutes", type=float, default=60.0, help="for each kind at most (60)")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        if options["dry_run"]:
            rows = count_old_rows(now=now)
        else:
            rows = remove_old_rows(now=now, seconds_each=options["minutes"] * 60)
        for name, n in rows.items():
            self.stdout.write(f"{n:>12,} {name}")
        if not rows:
            self.stdout.write("Everything is kept for ever: no setting KEEP_…_DAYS is above 0.")
