"""``manage.py rollback``: put the version that was live before back."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recommendations.exceptions import RankerRefused
from recommendations.training.versions import rollback_ranker


class Command(BaseCommand):
    help = "Put the ranker version that was live before back; every process follows within a second."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--note", default="", help="why, for the record")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            version = rollback_ranker(note=options["note"])
        except RankerRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"{version} is live")
