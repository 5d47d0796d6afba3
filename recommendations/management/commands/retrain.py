"""``manage.py retrain``: train a ranker version now, in this process, and say how it went."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from recommendations.exceptions import RecommendationsError
from recommendations.models import RankerVersion
from recommendations.training.runs import run_training, start_training


class Command(BaseCommand):
    help = "Fit a new ranker version on what is in the database, and put it live when it is not worse."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-promote", action="store_true", help="leave the version ready, beside the live one")
        parser.add_argument("--if-missing", action="store_true", help="do nothing when a version is live already")
        parser.add_argument("--seed", type=int, default=0, help="makes a training repeatable")
        parser.add_argument("--quiet", action="store_true", help="no progress bar")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["if_missing"] and RankerVersion.objects.live():
            self.stdout.write(f"{RankerVersion.objects.live()} is live already")
            return
        bar = tqdm(total=1.0, disable=options["quiet"], bar_format="{percentage:3.0f}% |{bar:30}| {elapsed} {desc}")

        def report(fraction: float, step: str) -> None:
            bar.set_description_str(step)
            bar.update(fraction - bar.n)

        try:
            run = start_training(parameters={"seed": options["seed"]}, promote=not options["no_promote"])
            version = run_training(run_id=run.pk, report=report)
        except RecommendationsError as refusal:
            raise CommandError(str(refusal)) from refusal
        finally:
            bar.close()
        if version:
            self.describe(version)
        else:
            self.stdout.write(f"{run} is not carried out here: another process has it, or it was cancelled.")

    def describe(self, version: RankerVersion) -> None:
        self.stdout.write(
            f"{version} is {version.get_status_display().lower()}: {version.n_listings} listings, "
            f"{version.n_interactions} events of {version.n_buyers} buyers"
        )
        for name, values in version.metrics.get("rankers", {}).items():
            figures = "  ".join(f"{metric} {value:.3f}" for metric, value in values.items())
            self.stdout.write(f"  {name:<12} {figures}")
        if reason := version.gate.get("reason"):
            self.stdout.write(f"  gate: {'not passed' if version.failed_gate else 'passed'}. {reason}")
