"""The benchmarks in one table and one file of JSON, within twenty minutes.

    python -m benchmarks [--minutes 20] [--only index,import] [--json FILE] [--cars FILE]

* ``index``: the best of many vectors, beside numpy, faiss, hnswlib and pgvector (benchmarks.index);
* ``import``: a file of cars, beside raw COPYs of the same rows (benchmarks.import_listings);
* ``retrain``: a training, beside implicit's ALS (benchmarks.retrain), smaller than that is by default;
* ``served``: a site over HTTP, and the memory of its processes (benchmarks.served).

Each runs in a process of its own, within what is left of the time. What lacks a package or a file is left out, with the
reason. It ends with 1 where a part failed, not where one was left out.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
MODELS = ("BMW 3 Series", "Skoda Octavia", "Ford Focus", "Volkswagen Golf", "Toyota Yaris", "Audi A4", "Kia Ceed")
SHARE = 0.5  # of the time that is left, for a part that others come after
N_CARS = 20_000  # of the file that is made where none is named


@dataclass(frozen=True)
class Part:
    """One benchmark: what runs it, which gets ``--json FILE`` too, and why it is left out, if it is."""

    name: str
    command: tuple[str, ...]
    left_out: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a part: figures by name, or why there are none."""

    name: str
    seconds: float
    figures: Mapping[str, float | str]
    left_out: str = ""
    failed: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="some of them, by name")
    parser.add_argument("--json", default="", help="write the figures to this file too")
    parser.add_argument("--cars", default="", help="the file to import; one is made where none is named")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        chosen = [part for part in parts(Path(folder), options.cars) if not options.only or part.name in options.only]
        outcomes = list(run_all(chosen, options.minutes * 60))
    print(table(outcomes))
    if options.json:
        Path(options.json).write_text(json.dumps(as_json(outcomes), indent=2))
    sys.exit(any(each.failed for each in outcomes))


def parts(folder: Path, cars: str) -> list[Part]:
    """All of them, the shortest first."""
    file = cars or str(made_cars(folder / "cars.csv"))
    sizes = ("--listings", "10000", "--buyers", "2000", "--events", "100000")
    beside = ("--implicit", sys.executable) if importlib.util.find_spec("implicit") else ()
    return [
        Part("index", (*module("benchmarks.index"), "--vectors", "50000")),
        Part("import", (*module("benchmarks.import_listings"), file, "--repeat", "2")),
        Part("served", module("benchmarks.served")),
        Part("retrain", (*module("benchmarks.retrain"), *sizes, *beside)),
        Part("retrain beside implicit", (), "" if beside else "implicit is not installed"),
    ]


def module(name: str) -> tuple[str, ...]:
    return sys.executable, "-m", name


def made_cars(path: Path, n_cars: int = N_CARS) -> Path:
    """A file of cars as a dealer might send it, the same each time."""
    chance = random.Random(1)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "make", "model", "year", "price", "mileage_km", "fuel", "gearbox", "title"])
        for number in range(n_cars):
            make, _, model = chance.choice(MODELS).partition(" ")
            year, km = chance.randint(2008, 2025), chance.randint(1, 200) * 1000
            fuel, gearbox = chance.choice(["petrol", "diesel", "hybrid"]), chance.choice(["manual", "automatic"])
            price = 1000 * chance.randint(3, 45)
            writer.writerow([number, make, model, year, price, km, fuel, gearbox, f"{make} {model} of {year}"])
    return path


def run_all(chosen: list[Part], seconds: float) -> Iterator[Outcome]:
    ends_at = time.monotonic() + seconds
    for number, part in enumerate(chosen, 1):
        if part.command or part.left_out:
            left = ends_at - time.monotonic()
            outcome = run(part, left if number == len(chosen) else left * SHARE)
            print(f"{part.name}: {outcome.left_out or outcome.failed or f'{outcome.seconds:.0f} s'}", flush=True)
            yield outcome


def run(part: Part, seconds: float) -> Outcome:
    """In a process group of its own, ended when the time is over."""
    if part.left_out or seconds <= 0:
        return Outcome(part.name, 0, {}, left_out=part.left_out or "no time was left")
    began = time.monotonic()
    with tempfile.NamedTemporaryFile("r", suffix=".json") as answer, tempfile.TemporaryFile("w+") as errors:
        command = (*part.command, "--json", answer.name)
        process = subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            end(process)
            return Outcome(part.name, time.monotonic() - began, {}, left_out=f"not done after {seconds:.0f} s")
        took = time.monotonic() - began
        if status:
            errors.seek(0)
            return Outcome(part.name, took, {}, failed=(errors.read().strip().splitlines() or [f"status {status}"])[-1])
        return Outcome(part.name, took, flat(json.load(answer)))


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask it and what it started to stop, and wait for half a minute."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def flat(figures: Any, name: str = "") -> dict[str, float | str]:
    """Numbers and words of nested figures, by the names that lead to them."""
    if isinstance(figures, Mapping):
        items = [(str(key), value) for key, value in figures.items()]
    elif isinstance(figures, list):
        items = [(str(number), value) for number, value in enumerate(figures)]
    else:
        return {name: figures} if isinstance(figures, int | float | str) else {}
    return {
        path: found for key, value in items for path, found in flat(value, f"{name} / {key}" if name else key).items()
    }


def table(outcomes: list[Outcome]) -> str:
    lines = ["| part | figure | value |", "|---|---|---:|"]
    for outcome in outcomes:
        if why := outcome.left_out or outcome.failed:
            lines.append(f"| {outcome.name} | {'failed' if outcome.failed else 'left out'} | {why} |")
        lines += [f"| {outcome.name} | {name} | {value} |" for name, value in outcome.figures.items()]
    return "\n".join(lines)


def as_json(outcomes: list[Outcome]) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "parts": {
            each.name: {
                "seconds": round(each.seconds, 1), "figures": each.figures,
                "left_out": each.left_out, "failed": each.failed,
            }
            for each in outcomes
        },
    }  # fmt: skip


if __name__ == "__main__":
    main()
