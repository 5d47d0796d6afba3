"""The chain that has not seen everything: how good the mean of its draws is on held-out ratings, draw by draw.

Beside how long to sample it learns how far to trust the draws: an estimate is that of bias terms plus a weight, 0 to
1, times what the draws say beyond it (stacking, Wolpert 1992; one weight, by least squares). On many ratings of each
person the weight is 1; on two or three it falls, where the draws alone would do worse than the bias terms.

    python -m recommendations.ratings.validation < task.npz

reads a task from its standard input and writes one line of JSON after each draw. ``ValidationChain`` runs that as a
process of its own and listens. It is a plain program rather than a forked or spawned worker, so it works the same from
a management command, a test, a notebook or a script without a ``__main__`` guard.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from scipy import sparse

from recommendations.engine.arrays import Array, Reals
from recommendations.ratings.baselines import BiasTerms, rmse
from recommendations.ratings.drift import Recall, learn_drift
from recommendations.ratings.exceptions import RatingsError
from recommendations.ratings.gibbs import Draw, Standard, sample
from recommendations.ratings.table import RatingTable

FEWEST_HELD_OUT = 20  # ratings; the error of fewer says more about them than about the model
ENOUGH_HELD_OUT = 1000  # to choose a weight by; as many are held out where a fifth of all allows it
STEADY_DRAWS = 20  # along which the error fell, after as many at least, show that a longer chain does no harm
STEADY_PAUSE = 4  # draws within which it has to fall again
PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Progress:
    """How far the chain is and how well it does; errors are RMSE in stars, on the same ratings.

    Attributes:
        draw: Number of the newest draw.
        error: Of the mean of the draws after burn-in, of the newest draw alone before; weighted.
        best_draw: Length of the chain with the lowest error so far; 0 before any. The longest that may be, once the
            error has fallen so steadily that the rest need not be seen.
        best_error, best_weight: That error, and the weight of the draws in it.
        mean_error, bias_error: Of the mean rating, and of bias terms.
        n_ratings: How many were held out.
        is_finished: The chain has ended: it was long enough, or stopped getting better.
        drift: What the moments of ratings add to that (``drift.Drift.to_json``), learned at the end; None: nothing.
        drift_error: With it, on the ratings that it was learned from.
    """

    draw: int = 0
    error: float = float("nan")
    best_draw: int = 0
    best_error: float = float("inf")
    best_weight: float = 1.0
    mean_error: float = float("nan")
    bias_error: float = float("nan")
    n_ratings: int = 0
    is_finished: bool = False
    drift: dict[str, Any] | None = None
    drift_error: float | None = None

    @property
    def sentence(self) -> str:
        if not self.draw:
            return "burning in"
        if not self.best_draw:
            return f"burning in, validation RMSE {self.error:.4f}"
        return f"validation RMSE {self.error:.4f} (bias terms {self.bias_error:.4f})"


@dataclass(frozen=True)
class ValidationTask:
    """Ratings to learn from, ratings to predict, and the chain to do it with (see fitting.FitConfig)."""

    rest: RatingTable
    held_out: RatingTable
    n_factors: int
    n_draws: int
    burn_in: int
    patience: int
    seed: int

    def to_bytes(self) -> bytes:
        buffer = io.BytesIO()
        tables = {"rest": self.rest, "held_back": self.held_out}
        np.savez(
            buffer,
            allow_pickle=False,
            sizes=[self.rest.n_people, self.rest.n_items],
            chain=[self.n_factors, self.n_draws, self.burn_in, self.patience, self.seed],
            **{
                f"{name}_{column}": getattr(table, column)
                for name, table in tables.items()
                for column in ("person_rows", "item_rows", "ratings", "moments")
                if getattr(table, column) is not None
            },
            n_descriptions=len(self.rest.descriptions),
            **{
                f"description_{number}_{part}": getattr(group, part)
                for number, group in enumerate(self.rest.descriptions)
                for part in ("data", "indices", "indptr", "shape")
            },
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> ValidationTask:
        """The task again, its people and items nameless: a chain knows rows only."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            people, items = ([""] * size for size in arrays["sizes"])
            descriptions = tuple(_description(arrays, number) for number in range(int(arrays["n_descriptions"])))
            rest, held_out = (
                RatingTable(
                    people,
                    items,
                    person_rows=arrays[f"{name}_person_rows"],
                    item_rows=arrays[f"{name}_item_rows"],
                    ratings=arrays[f"{name}_ratings"],
                    descriptions=descriptions,
                    moments=arrays.get(f"{name}_moments"),
                )
                for name in ("rest", "held_back")
            )
            return cls(rest, held_out, *map(int, arrays["chain"]))


def _description(arrays: Mapping[str, Array], number: int) -> sparse.csr_matrix:
    data, indices, ends, shape = (
        arrays[f"description_{number}_{part}"] for part in ("data", "indices", "indptr", "shape")
    )
    return sparse.csr_matrix((data, indices, ends), shape=tuple(shape))


def validate(task: ValidationTask, report_progress: Callable[[Progress], None]) -> Progress:
    """Run the chain to its end; ``report_progress`` hears after every draw."""
    watch = _Watch(task, report_progress)
    sample(
        task.rest,
        watch.standard,
        n_factors=task.n_factors,
        n_draws=task.n_draws,
        seed=task.seed,
        on_draw=watch.on_draw,
    )
    return watch.progress


class _Watch:
    """Adds up what draws say of the held-out ratings, and decides when enough is enough."""

    def __init__(self, task: ValidationTask, report_progress: Callable[[Progress], None]) -> None:
        self.task, self.report_progress = task, report_progress
        self.standard = Standard.of(task.rest.ratings)
        self.total = np.zeros(len(task.held_out))
        self.n_steady = 0
        self.recall = Recall(task.rest, task.burn_in)
        self.simple = BiasTerms.fit(task.rest).estimates(task.held_out.person_rows, task.held_out.item_rows)
        self.progress = Progress(
            mean_error=self._error(np.full(len(task.held_out), task.rest.ratings.mean())),
            bias_error=self._error(self.simple),
            n_ratings=len(task.held_out),
        )

    def on_draw(self, number: int, draw: Draw) -> bool:
        of_draw = draw.estimates(self.task.held_out.person_rows, self.task.held_out.item_rows)
        self.recall.take(number, draw)
        n_counted = number - self.task.burn_in
        if n_counted > 0:
            self.total += of_draw
        units = self.total / n_counted if n_counted > 0 else of_draw
        self._advance(number, self.standard.stars(units) - self.simple)
        return self.progress.is_finished

    def _advance(self, number: int, beyond: Reals) -> None:
        """Note how good the draws are that say so much more, or less, than bias terms."""
        weight = best_weight(beyond, self.task.held_out.ratings - self.simple)
        error = self._error(self.simple + weight * beyond)
        progress = replace(self.progress, draw=number, error=error)
        if number > self.task.burn_in and error < progress.best_error:
            progress = replace(progress, best_draw=number, best_error=error, best_weight=weight)
        has_given_up = 0 < progress.best_draw <= number - self.task.patience
        is_steady = self._is_steady(number, progress)
        if is_steady:
            progress = replace(progress, best_draw=self.task.n_draws)
        is_finished = is_steady or has_given_up or number == self.task.n_draws
        self.progress = replace(progress, is_finished=is_finished)
        if is_finished:
            self._learn_drift(self.task.rest.scale.clip(self.simple + weight * beyond), weight)
        self.report_progress(self.progress)

    def _learn_drift(self, stars: Reals, weight: float) -> None:
        """What the moments of ratings say beside estimates of the held-out ones."""
        asked, known = self.task.held_out, self.recall.residuals(self.standard, weight)
        drift = learn_drift(known, asked, asked.ratings - stars) if known else None
        if known and drift and asked.moments is not None:
            moved = stars + drift.shifts(known, asked.person_rows, asked.item_rows, asked.moments)
            self.progress = replace(self.progress, drift=drift.to_json(), drift_error=self._error(moved))

    def _is_steady(self, number: int, progress: Progress) -> bool:
        """The draws are trusted wholly and go on helping: a chain on plenty of ratings, which explains no noise away
        however long it is.
        """
        is_helped = 0 <= number - progress.best_draw < STEADY_PAUSE and progress.best_weight == 1.0
        self.n_steady = self.n_steady + 1 if is_helped else 0
        return self.n_steady >= STEADY_DRAWS and number >= self.task.burn_in + 2 * STEADY_DRAWS

    def _error(self, stars: Reals) -> float:
        return rmse(self.task.rest.scale.clip(stars), self.task.held_out.ratings)


def best_weight(values: Reals, targets: Reals) -> float:
    """The share of the values, 0 to 1, that comes closest to the targets by least squares; 1 if they are all 0."""
    length = float(values @ values)
    return min(1.0, max(0.0, float(values @ targets) / length)) if length else 1.0


class ValidationChain:
    """A validation in a process of its own, for the time of a ``with`` block."""

    def __init__(self, task: ValidationTask) -> None:
        self._task = task
        self._unread = b""
        self.progress = Progress()

    def __enter__(self) -> ValidationChain:
        paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(  # noqa: S603  (our own module, by our own interpreter)
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        self._stdin, self._stdout = self._pipes()
        with suppress(BrokenPipeError), self._stdin as stdin:  # it has died at once, which poll() reports
            stdin.write(self._task.to_bytes())
        os.set_blocking(self._stdout.fileno(), False)
        return self

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RatingsError("the validation has no pipes to speak through")
        return self._process.stdin, self._process.stdout

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()  # harmless when it has ended
        self._process.wait()
        self._stdout.close()

    def poll(self) -> Progress:
        """What was last heard of, without waiting. Raises RatingsError when the process has died."""
        has_ended = self._process.poll() is not None  # asked before reading, so that its last words are not missed
        for line in self._lines():
            self.progress = Progress(**json.loads(line))
        if has_ended and not self.progress.is_finished:
            raise RatingsError(f"the validation ended with exit status {self._process.returncode}")
        return self.progress

    def wait(self, report: Callable[[Progress], None]) -> Progress:
        """Listen until the chain has ended."""
        os.set_blocking(self._stdout.fileno(), True)
        while not self.poll().is_finished:
            report(self.progress)
        return self.progress

    def _lines(self) -> Iterator[bytes]:
        """The complete lines there are to read; at least one when reading blocks."""
        while content := self._read():
            *lines, self._unread = (self._unread + content).split(b"\n")
            yield from lines
            if lines and os.get_blocking(self._stdout.fileno()):
                return

    def _read(self) -> bytes:
        try:
            return os.read(self._stdout.fileno(), 65536)
        except BlockingIOError:
            return b""


def main() -> None:
    task = ValidationTask.from_bytes(sys.stdin.buffer.read())
    validate(task, lambda progress: print(json.dumps(asdict(progress)), flush=True))


if __name__ == "__main__":
    main()
