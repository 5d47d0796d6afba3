"""``manage.py evaluate_choices FILE``: how well the taste model predicts what real people chose."""

import csv
import gzip
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError, CommandParser

from recommendations.engine.arrays import Array, Flags, Floats
from recommendations.evaluation.stated_choices import ChoiceConfig, ChoiceTable, Evaluation, evaluate_choices

# More texts than this in a column are names, not a category to learn from.
MOST_CATEGORIES = 50


class Command(BaseCommand):
    help = (
        "Learn from each person's first stated choices, predict their last ones, and compare with simpler ways. "
        "The file has one row per alternative: person, task, 0 or 1 for chosen, and attributes."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="CSV, also gzipped, with a header")
        parser.add_argument("--person", default="id", metavar="COLUMN", help="who was asked (default: %(default)s)")
        parser.add_argument("--task", default="obsnum", metavar="COLUMN", help="which question (default: %(default)s)")
        parser.add_argument("--chosen", default="choice", metavar="COLUMN", help="0 or 1 (default: %(default)s)")
        parser.add_argument("--attributes", nargs="+", metavar="COLUMN", help="what to learn from (default: the rest)")
        parser.add_argument(
            "--ignore", nargs="+", default=[], metavar="COLUMN", help="columns of the rest to leave out"
        )
        parser.add_argument(
            "--test", type=int, default=3, metavar="N", help="held-out last tasks (default: %(default)s)"
        )
        parser.add_argument("--seed", type=int, default=0, help="of the bootstrap intervals")
        parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON, too")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            table = read_table(
                options["file"],
                person=options["person"],
                task=options["task"],
                chosen=options["chosen"],
                attributes=options["attributes"],
                ignore=options["ignore"],
            )
            evaluation = evaluate_choices(table, ChoiceConfig(n_test=options["test"], seed=options["seed"]))
        except ValueError as problem:
            raise CommandError(f"{options['file']}: {problem}") from problem
        if options["json"]:
            write_json(evaluation, options["file"], options["json"])
        self.stdout.write("\n".join(report(evaluation)))


def write_json(evaluation: Evaluation, source: Path, target: Path) -> None:
    """All figures of the table and what was chosen; null where a way gives no probabilities."""
    document = {"format": "forecourt-choices/1", "source": source.name, **asdict(evaluation)}
    document["results"] = [
        {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in result.items()}
        for result in document["results"]
    ]
    try:
        target.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as problem:
        raise CommandError(f"cannot write {target}: {problem.strerror}") from problem


def report(evaluation: Evaluation) -> Iterator[str]:
    """The table as lines, best read in a fixed-width font."""
    left_out = f" ({evaluation.n_left_out} with too few tasks left out)" if evaluation.n_left_out else ""
    yield (
        f"{evaluation.n_people} people{left_out}, {evaluation.n_learning_tasks} tasks to learn from, "
        f"{evaluation.n_test_tasks} to predict, {evaluation.n_features} features"
    )
    yield "chosen by cross-validation: " + ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in evaluation.chosen_options.items()
    )
    yield ""
    yield f"{'':20}  accuracy   95 % interval   log loss   calibration error"
    yield f"{'chance':20}  {evaluation.chance:8.3f}"
    for result in evaluation.results:
        line = f"{result.name:20}  {result.accuracy:8.3f}   {result.low:.3f} to {result.high:.3f}"
        if not np.isnan(result.log_loss):
            line += f"  {result.log_loss:8.3f}   {result.calibration_error:17.3f}"
        yield line
    gain = evaluation.gain
    yield ""
    yield f"hierarchical over the best other: {gain.difference:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"


def read_table(
    path: Path, *, person: str, task: str, chosen: str, attributes: list[str] | None, ignore: list[str]
) -> ChoiceTable:
    """Read a long file. Numbers stay numbers; a column with any text becomes one column per text but the first.

    Raises:
        CommandError: If the file cannot be opened or read as text.
        ValueError: If a column is missing, a cell is empty or unreadable, or the choices make no sense.
    """
    columns = _read(path)
    missing = [name for name in [person, task, chosen, *(attributes or []), *ignore] if name not in columns]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}; there are {', '.join(columns)}")
    names = attributes or [name for name in columns if name not in {person, task, chosen, *ignore}]
    values = dict(pair for name in names for pair in columns[name].as_attributes())
    if not values:
        raise ValueError("there is no attribute to learn from")
    return ChoiceTable(
        persons=columns[person].as_keys(),
        tasks=columns[task].as_keys(),
        chosen=columns[chosen].as_flags(),
        values=np.column_stack(list(values.values())),
        columns=tuple(values),
    )


def _read(path: Path) -> dict[str, "Column"]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, row) for row in reader if row]
    except (OSError, EOFError) as problem:
        raise CommandError(f"cannot read {path}: {problem.args[-1]}") from problem
    except (UnicodeDecodeError, csv.Error) as problem:
        raise CommandError(f"{path} is not a CSV file in UTF-8: {problem}") from problem
    if len(lines) < 2:
        raise ValueError("the file has no rows")
    (_, header), *rows = lines
    header = [name.strip() for name in header]
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise ValueError(f"the header repeats {', '.join(repeated)}")
    for line, row in rows:
        if len(row) != len(header):
            raise ValueError(f"line {line} has {len(row)} columns, the header has {len(header)}")
    numbers = [line for line, _ in rows]
    return {name: Column(name, [row[at].strip() for _, row in rows], numbers) for at, name in enumerate(header)}


@dataclass(frozen=True)
class Column:
    """One column of the file as text, with the line each cell stands on."""

    name: str
    cells: list[str]
    lines: list[int]

    def as_attributes(self) -> Iterator[tuple[str, Array]]:
        """Itself where all cells are numbers; otherwise one 0/1 column per text but the first."""
        numbers = self._floats()
        if numbers is not None:
            if not np.isfinite(numbers).all():
                raise self._problem(int((~np.isfinite(numbers)).argmax()), "is not a finite number")
            yield self.name, numbers
            return
        self._check_filled()
        categories = sorted(set(self.cells))
        if len(categories) > MOST_CATEGORIES:
            raise ValueError(
                f"column {self.name} holds {len(categories)} different texts; leave it out with --ignore {self.name}"
            )
        for category in categories[1:]:
            yield f"{self.name}={category}", np.array([float(cell == category) for cell in self.cells])

    def as_keys(self) -> Array:
        """Numbers where all are, so that task 10 follows task 9; texts otherwise."""
        self._check_filled()
        numbers = self._floats()
        if numbers is None or not np.isfinite(numbers).all():
            return np.array(self.cells)
        return numbers.astype(np.int64) if (numbers == np.floor(numbers)).all() else numbers

    def as_flags(self) -> Flags:
        meanings = {"1": True, "0": False, "1.0": True, "0.0": False, "true": True, "false": False}
        for at, cell in enumerate(self.cells):
            if cell.lower() not in meanings:
                raise self._problem(at, "is neither 0 nor 1")
        return np.array([meanings[cell.lower()] for cell in self.cells])

    def _floats(self) -> Floats | None:
        try:
            return np.array([float(cell) for cell in self.cells])
        except ValueError:
            return None

    def _check_filled(self) -> None:
        if "" in self.cells:
            raise self._problem(self.cells.index(""), "is empty")

    def _problem(self, at: int, what: str) -> ValueError:
        return ValueError(f"line {self.lines[at]}, column {self.name}: “{self.cells[at]}” {what}")
