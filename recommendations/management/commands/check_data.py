"""``manage.py check_data``: whether what is stored agrees with itself."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recommendations.upkeep.consistency import CHECKS, check_data


class Command(BaseCommand):
    help = "Look for rows that should not be there, and say what to do; ends with an error where there are some."

    def handle(self, *args: Any, **options: Any) -> None:
        found = check_data()
        for check in CHECKS:
            self.stdout.write(f"{found[check.name]:8,}  {check.wrong}")
            if found[check.name]:
                self.stdout.write(f"          {check.remedy}")
        if n_failed := sum(map(bool, found.values())):
            raise CommandError(f"{n_failed} of {len(CHECKS)} checks found something.")
