"""``manage.py promote VERSION``: put a ready version live."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recommendations.exceptions import RankerRefused
from recommendations.models import RankerVersion
from recommendations.training.versions import promote_ranker


class Command(BaseCommand):
    help = "Put a ready ranker version live; every process follows within a second."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="as in v3, or 3")
        parser.add_argument("--note", default="", help="why, for the record; a version that failed the gate needs it")

    def handle(self, *args: Any, **options: Any) -> None:
        number = options["version"].removeprefix("v")
        if not number.isdecimal():
            raise CommandError(f"“{options['version']}” is not a version; write v3, or 3")
        version = RankerVersion.objects.filter(pk=number).first()
        if version is None:
            known = ", ".join(map(str, RankerVersion.objects.usable())) or "none; run retrain first"
            raise CommandError(f"there is no v{number}; ready or live are: {known}")
        try:
            promote_ranker(version=version, note=options["note"])
        except RankerRefused as refusal:
            hint = " (--note “…”)" if version.failed_gate and not options["note"].strip() else ""
            raise CommandError(f"{refusal}{hint}") from refusal
        self.stdout.write(f"{version} is live")
