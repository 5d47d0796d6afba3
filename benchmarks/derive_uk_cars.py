"""Derive ``recommendations/data/uk_engines.csv`` and ``uk_prices.csv`` from 99,187 British adverts of 2020.

    python -m benchmarks.derive_uk_cars uk_used_cars.csv.gz recommendations/data

The source is the "100,000 UK used car data set" of Kaggle, CC0. Of each model it has which engines it was sold with,
from when until when and how often, and what its cars cost and had been driven at each age. What is rare within a model
is an error of typing more often than a car, and left out.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import median

SNAPSHOT_YEAR = 2020  # when the adverts were collected
FIRST_YEAR = 2003
RARE_SHARE, RARE = 0.004, 3  # of the cars of a model, and in number
ENOUGH = 12  # cars of one model and age that make a price
MOST_AGE = 16
KM_PER_MILE = 1.609344
FUELS = {"Petrol": "petrol", "Diesel": "diesel", "Electric": "electric"}
FULL_HYBRIDS = {"Toyota", "Hyundai"}  # the hybrids of the other makes are plugged in
ALSO_FULL_HYBRIDS = {("Ford", "Mondeo")}
GEARBOXES = {"Manual": "manual", "Automatic": "automatic", "Semi-Auto": "semi_automatic"}

Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    with gzip.open(options.source, "rt", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if FIRST_YEAR <= int(row["year"]) <= SNAPSHOT_YEAR]
    write(options.folder / "uk_engines.csv", engines_of(rows))
    write(options.folder / "uk_prices.csv", prices_of(rows))


def engines_of(rows: Iterable[Row]) -> list[dict[str, object]]:
    """Of each model the engines with gearbox that were really sold: years, cars, median miles per gallon."""
    found: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    n_of_model: Counter[tuple[str, str]] = Counter()
    for row in rows:
        make, model = row["make"], row["model"].strip()
        fuel, gearbox = fuel_of(row), GEARBOXES.get(row["transmission"])
        litres = float(row["engineSize"] or 0)
        if fuel is None or gearbox is None or (litres < 0.5) != (fuel == "electric"):
            continue
        n_of_model[make, model] += 1
        found[make, model, fuel, f"{litres:.1f}", gearbox].append(row)
    engines: list[dict[str, object]] = []
    for key, cars in sorted(found.items()):
        if len(cars) < max(RARE, RARE_SHARE * n_of_model[key[0], key[1]]):
            continue
        years = sorted(int(car["year"]) for car in cars)
        at_ends = len(years) // 100  # a hundredth at either end may be typed wrongly
        mpg = [float(car["mpg"]) for car in cars if 10 < float(car["mpg"] or 0) < 120]
        engines.append(
            {
                **dict(zip(("make", "model", "fuel", "litres", "gearbox"), key, strict=True)),
                "first_year": years[at_ends],
                "last_year": years[-1 - at_ends],
                "n": len(cars),
                "mpg": round(median(mpg), 1) if mpg else "",
            }
        )
    return engines


def fuel_of(row: Row) -> str | None:
    if row["fuelType"] != "Hybrid":
        return FUELS.get(row["fuelType"])
    is_full = row["make"] in FULL_HYBRIDS or (row["make"], row["model"].strip()) in ALSO_FULL_HYBRIDS
    return "hybrid" if is_full else "plugin_hybrid"


def prices_of(rows: Iterable[Row]) -> list[dict[str, object]]:
    """Median price in pounds and median kilometres of each model at each age, in years since registration."""
    cars: dict[tuple[str, str, int], list[Row]] = defaultdict(list)
    for row in rows:
        cars[row["make"], row["model"].strip(), SNAPSHOT_YEAR - int(row["year"])].append(row)
    return [
        {
            "make": make, "model": model, "age": age, "n": len(found),
            "price": round(median(float(row["price"]) for row in found)),
            "km": round(median(float(row["mileage"]) for row in found) * KM_PER_MILE),
        }
        for (make, model, age), found in sorted(cars.items())
        if len(found) >= ENOUGH and age <= MOST_AGE
    ]  # fmt: skip


def write(path: Path, rows: list[dict[str, object]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{path}: {len(rows):,} rows, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
