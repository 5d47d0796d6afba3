"""``manage.py ratings train|evaluate|predict --dataset=PATH``: the arguments around the rating model."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from recommendations.ratings.current import rating_model
from recommendations.ratings.exceptions import RatingsError
from recommendations.ratings.files import read_pairs, read_ratings
from recommendations.ratings.fitting import FitConfig, Report
from recommendations.ratings.loaded import Evaluation, LoadedModel

BAR = "{percentage:3.0f}% |{bar:25}| {elapsed}<{remaining} {desc}"


class Command(BaseCommand):
    help = (
        "Learn from star ratings, measure how well, and estimate. Files are as MovieLens' are: "
        "user::item::rating::timestamp, also with commas or tabs, also gzipped; or a folder that holds one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, title="actions")
        train = actions.add_parser("train", help="learn from a file and keep the model in the data folder")
        evaluate = actions.add_parser("evaluate", help="compare estimates with the ratings of a file")
        predict = actions.add_parser("predict", help="estimate what the people of a file would say")
        for action in (train, evaluate, predict):
            action.add_argument("--dataset", type=Path, required=True, metavar="PATH", help="ratings; file or folder")
            action.add_argument("--quiet", action="store_true", help="no progress bar")
        defaults = FitConfig()
        train.add_argument(
            "--titles", type=Path, metavar="PATH", help="id::title::genres (default: movies.* beside the dataset)"
        )
        train.add_argument("--factors", type=int, default=defaults.n_factors, help="default: %(default)s")
        train.add_argument(
            "--draws", type=int, default=defaults.n_draws,
            help="at most; a held-out part of the dataset shows when more do no good (default: %(default)s)",
        )  # fmt: skip
        train.add_argument("--burn-in", type=int, default=defaults.burn_in, help="default: %(default)s")
        train.add_argument(
            "--validation", type=float, default=defaults.validation_share, metavar="SHARE",
            help="of the dataset; 0 for as many draws as there may be (default: %(default)s)",
        )  # fmt: skip
        train.add_argument("--seed", type=int, default=defaults.seed, help="makes a training repeatable")
        predict.add_argument(
            "--top", type=int, metavar="N",
            help="take the file for what people rated, and list the best of the rest for each "
            "(default: an estimate for every line of the file)",
        )  # fmt: skip
        predict.add_argument("--output", type=Path, metavar="PATH", help="default: standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, options["action"])(options)
        except (RatingsError, ValueError) as refusal:
            raise CommandError(str(refusal)) from refusal

    def train(self, options: dict[str, Any]) -> None:
        config = FitConfig(
            n_factors=options["factors"],
            n_draws=options["draws"],
            burn_in=min(options["burn_in"], options["draws"] - 1),
            validation_share=options["validation"],
            seed=options["seed"],
        )
        with progress_bar(options["quiet"]) as report:
            about = rating_model().train(options["dataset"], titles=options["titles"], config=config, report=report)
        self.stdout.write("\n".join(training_lines(rating_model().current().name, about)))

    def evaluate(self, options: dict[str, Any]) -> None:
        with progress_bar(options["quiet"]) as report:
            evaluation = rating_model().evaluate(options["dataset"], report=report)
        self.stdout.write("\n".join(evaluation_lines(evaluation)))

    def predict(self, options: dict[str, Any]) -> None:
        loaded = rating_model().current()
        with progress_bar(options["quiet"]) as report:
            if options["top"] is None:
                lines = list(estimate_lines(loaded, options["dataset"], report))
            else:
                lines = list(list_lines(loaded, options["dataset"], options["top"], report))
        if options["output"] is None:
            self.stdout.write("\n".join(lines))
        else:
            options["output"].write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@contextmanager
def progress_bar(is_quiet: bool) -> Iterator[Report]:
    """A bar that moves by fractions and says what there is to say."""
    with tqdm(total=1.0, bar_format=BAR, disable=is_quiet) as bar:

        def report(fraction: float, sentence: str) -> None:
            bar.set_description_str(sentence, refresh=False)
            bar.update(fraction - bar.n)

        yield report


def training_lines(name: str, about: dict[str, Any]) -> Iterator[str]:
    data, parameters, metrics = about["dataset"], about["parameters"], about["metrics"]
    low, high = data["scale"]
    yield f"{name}: {data['n_ratings']:,} ratings of {data['n_items']:,} items by {data['n_people']:,} people"
    yield f"scale {low:g} to {high:g}, {parameters['chain_length']} draws, {about['training_seconds']:.0f} seconds"
    if metrics["validation_rmse"] is not None:
        yield (
            f"validation RMSE {metrics['validation_rmse']:.4f} (bias terms {metrics['validation_bias_rmse']:.4f}, "
            f"mean {metrics['validation_mean_rmse']:.4f}) on {metrics['n_validation_ratings']:,} held-out ratings"
        )


def evaluation_lines(evaluation: Evaluation) -> Iterator[str]:
    yield f"RMSE {evaluation.rmse:.4f}"
    yield f"MAE {evaluation.mae:.4f}"
    yield f"RMSE of bias terms {evaluation.bias_rmse:.4f}, of the mean {evaluation.mean_rmse:.4f}"
    yield (
        f"{evaluation.n_ratings:,} ratings, {evaluation.n_new_people:,} of them by people and "
        f"{evaluation.n_new_items:,} of items that the model has not seen"
    )


def estimate_lines(loaded: LoadedModel, dataset: Path, report: Report) -> Iterator[str]:
    """``user::item::estimate`` for every line of the file."""
    table, _ = read_pairs(dataset)
    estimates = loaded.estimates_of(table, report)
    for person_row, item_row, stars in zip(table.person_rows, table.item_rows, estimates, strict=True):
        yield f"{table.people[person_row]}::{table.items[item_row]}::{stars:.4f}"


def list_lines(loaded: LoadedModel, dataset: Path, top: int, report: Report) -> Iterator[str]:
    """The same for the best items that each person of the file has not rated in it, best first."""
    table, _ = read_ratings(dataset)
    matrix = table.matrix()
    for row, person in enumerate(table.people):
        rated = matrix[row]
        known = [(table.items[item], stars) for item, stars in zip(rated.indices, rated.data, strict=True)]
        known = [(item_id, stars) for item_id, stars in known if loaded.knows(item_id)]
        for estimate in loaded.recommend([item_id for item_id, _ in known], [stars for _, stars in known], top):
            yield f"{person}::{estimate.item_id}::{estimate.stars:.4f}"
        report((row + 1) / table.n_people, "listing")
