"""``manage.py make_months``: what the nightly task does, now."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from recommendations.upkeep.months import TABLES, made_until, make_months


class Command(BaseCommand):
    help = (
        "Keep events, impressions and served lists by month: a table that is not becomes the oldest part, and "
        "months to come are made. Neither readers nor writers wait longer than for a moment."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--show", action="store_true", help="change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["show"]:
            make_months(timezone.now())
        for monthly in TABLES:
            until = made_until(monthly)
            self.stdout.write(f"{monthly.table}: {f'parts until {until:%Y-%m-%d}' if until else 'one table'}")
