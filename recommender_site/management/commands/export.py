"""``manage.py export``: events, served lists, listings and past demand as Parquet files by day."""

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from recommender_site.operations.export_tables import TABLES

MISSING = "pip install -r requirements-export.txt brings what an export needs ({})"


class Command(BaseCommand):
    help = (
        "Write events, served lists, listings and past demand as Parquet, a file for each table and day (UTC), into a "
        "folder or a bucket (s3://…). Days that have their file are left alone, so it may be cut short and run each "
        "night. docs/operations.md describes the columns."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("target", help="a folder, or an address as s3://bucket/prefix")
        parser.add_argument("--only", action="append", choices=TABLES, help="one table; may be repeated")
        parser.add_argument("--since", type=date.fromisoformat, help="the first day; that of the oldest row otherwise")
        parser.add_argument("--until", type=date.fromisoformat, help="the last day; the last complete one otherwise")
        parser.add_argument("--again", action="store_true", help="also write the days that have their file")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            from recommender_site.operations.export import export  # an optional extra: only here
        except ImportError as error:
            raise CommandError(MISSING.format(error)) from error
        tables = [TABLES[name] for name in options["only"] or TABLES]
        n_skipped = 0
        try:
            for file in export(
                tables, options["target"], now=timezone.now(),
                since=options["since"], until=options["until"], again=options["again"],
            ):  # fmt: skip
                n_skipped += file.is_skipped
                if not file.is_skipped:
                    self.stdout.write(f"{file.n_rows:>12,} rows  {file.address}")
        except OSError as error:
            raise CommandError(f"{options['target']}: {error.strerror or error}") from error
        except ImportError as error:  # fsspec names the package of a kind of store
            raise CommandError(str(error)) from error
        if n_skipped:
            self.stdout.write(f"{n_skipped:>12,} files were there already")
