"""``manage.py doctor``: what is wrong with an installation, and what to do."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from recommender_site.operations.doctor import examine, worst
from recommender_site.operations.findings import Finding, Level

STYLES = {Level.OK: "SUCCESS", Level.WARNING: "WARNING", Level.PROBLEM: "ERROR"}


class Command(BaseCommand):
    help = (
        "Look at settings, versions, tables, queues, schedules, clocks and disks, and say what to do. Changes nothing. "
        "Ends with 0 when all is well, 1 with warnings, 2 with problems."
    )
    requires_system_checks: list[str] = []  # it reports them itself

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = examine()
        if options["json"]:
            self.stdout.write(as_json(findings))
        else:
            self.write_text(findings)
        if level := worst(findings):
            raise SystemExit(int(level))

    def write_text(self, findings: list[Finding]) -> None:
        for each in findings:
            style = getattr(self.style, STYLES[each.level])
            self.stdout.write(f"{style(f'{each.level.name.lower():<8}')} {each.name:<11} {each.is_so}")
            if each.remedy:
                self.stdout.write(f"{'':<20} -> {each.remedy}")


def as_json(findings: list[Finding]) -> str:
    return json.dumps(
        {
            "level": worst(findings).name.lower(),
            "findings": [
                {"name": each.name, "level": each.level.name.lower(), "is_so": each.is_so, "remedy": each.remedy}
                for each in findings
            ],
        },
        indent=1,
        ensure_ascii=False,
    )
