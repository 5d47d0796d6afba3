"""How much of buyers' utility the content features keep, and what encoding and the archetypes cost.

    python -m benchmarks.encoder uk_used_cars.csv.gz [--rows 99187] [--buyers 200] [--events 1000000]

The file is the CC0 table of UK adverts (make, model, year, price, transmission, mileage in miles, fuelType, mpg,
engineSize). Buyers are made up: a budget that is soft below and hard above, a sweet spot in price, tastes for makes,
models, fuels and gearboxes, dislike of age, mileage and thirst. A buyer's utility is put on the features by least
squares; the share is what the 20 cars of the best such score are worth, against the 20 best cars, both above the
average car. It is a ceiling: what a ranker could collect that knew the buyer perfectly.
"""

import argparse
import csv
import gzip
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from recommendations.engine.arrays import Floats, Ids, Reals
from recommendations.engine.collaborative import fit_collaborative
from recommendations.engine.encoder import EncoderConfig, ListingTable, fit_encoder

KM_PER_MILE = 1.609344
L_100KM_TIMES_MPG = 282.48  # imperial gallons
TOP = 20


def read_cars(path: str, n_rows: int, rng: np.random.Generator) -> ListingTable:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        cars = list(csv.DictReader(file))
    chosen = rng.choice(len(cars), min(n_rows, len(cars)), replace=False)
    return ListingTable.from_rows(listing(cars[row]) for row in np.sort(chosen))


def listing(car: dict[str, str]) -> dict[str, Any]:
    miles_per_gallon = float(car["mpg"] or 0)
    return {
        "make": car["make"].lower(),
        "model": car["model"].strip().lower(),
        "fuel": car["fuelType"].lower(),
        "gearbox": car["transmission"].lower(),
        "year": int(car["year"]),
        "price": float(car["price"]),
        "mileage_km": float(car["mileage"]) * KM_PER_MILE,
        "engine_l": float(car["engineSize"] or 0),
        "consumption_l_100km": L_100KM_TIMES_MPG / miles_per_gallon if miles_per_gallon else None,
        "title": f"{car['make']} {car['model'].strip()} {car['engineSize']}",
    }


def made_up_utilities(cars: ListingTable, n_buyers: int, rng: np.random.Generator) -> Floats:
    """Shape (n_cars, n_buyers)."""
    over = np.log(cars.price)[:, None] - np.log(rng.choice(cars.price, n_buyers) * rng.uniform(0.8, 1.1, n_buyers))
    utility: Floats = np.where(over < 0, rng.uniform(0.3, 1.5, n_buyers) * over, -rng.uniform(2, 8, n_buyers) * over)
    utility -= rng.uniform(0, 1, n_buyers) * np.minimum(np.abs(over), 2) ** 2
    models = np.array([f"{make} {model}" for make, model in zip(cars.make, cars.model, strict=True)])
    for values, spread in ((cars.make, 0.7), (models, 0.6), (cars.fuel, 0.6), (cars.gearbox, 0.6)):
        levels, row_levels = np.unique(values.astype(str), return_inverse=True)
        utility += rng.normal(0, spread, (len(levels), n_buyers))[row_levels]
    utility -= np.abs(rng.normal(0.12, 0.08, n_buyers)) * np.clip(2020 - cars.year, 0, 25)[:, None]
    utility -= np.abs(rng.normal(0.5, 0.3, n_buyers)) * np.log(cars.mileage_km + 5_000)[:, None]
    thirst = np.nan_to_num(np.log(cars.consumption_l_100km), nan=np.log(5.0))[:, None]
    utility -= np.abs(rng.normal(0.6, 0.6, n_buyers)) * thirst
    return utility


def utility_share(vectors: Reals, utility: Floats) -> Floats:
    features = np.column_stack([vectors.astype(np.float64), np.ones(len(vectors))])
    normal = features.T @ features + 1e-3 * np.eye(features.shape[1])
    scores = features @ np.linalg.solve(normal, features.T @ utility)
    ours, best = (
        np.take_along_axis(utility, np.argpartition(-by, TOP, axis=0)[:TOP], axis=0).mean(axis=0)
        for by in (scores, utility)
    )
    shares: Floats = (ours - utility.mean(axis=0)) / (best - utility.mean(axis=0))
    return shares


def made_up_events(vectors: Reals, n_events: int, rng: np.random.Generator) -> tuple[Ids, Ids, Floats, int]:
    """Buyers pick the best of a dozen random cars by a taste of their own; about fifty events a buyer."""
    n_buyers = max(n_events // 50, 1)
    buyers = rng.integers(n_buyers, size=n_events)
    tastes = rng.normal(size=(n_buyers, vectors.shape[1])).astype(np.float32)
    picked = np.empty(n_events, np.int64)
    for start in range(0, n_events, 50_000):
        part = slice(start, start + 50_000)
        dozen = rng.integers(len(vectors), size=(len(buyers[part]), 12))
        scores = np.einsum("ecd,ed->ec", vectors[dozen], tastes[buyers[part]])
        picked[part] = dozen[np.arange(len(dozen)), scores.argmax(axis=1)]
    weights = rng.choice([1.0, 1.0, 1.0, 3.0, 4.0], n_events) * 2.0 ** -rng.uniform(0, 3, n_events)
    return buyers, picked, weights, n_buyers


def timed(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    start = time.perf_counter()
    result = function(*arguments)
    print(f"{what}: {time.perf_counter() - start:.2f} s")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--rows", type=int, default=99_187)
    parser.add_argument("--buyers", type=int, default=200)
    parser.add_argument("--events", type=int, default=1_000_000)
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    cars = read_cars(options.file, options.rows, rng)
    utility = made_up_utilities(cars, options.buyers, rng)

    for n_dims in (64, 96, 128):
        vectors = fit_encoder(cars, EncoderConfig(n_dims=n_dims)).encode(cars)
        share = utility_share(vectors, utility)
        print(
            f"utility share in {n_dims} dims: mean {share.mean():.4f}, worst tenth below {np.quantile(share, 0.1):.3f}"
        )

    encoder = timed(f"fit the encoder on {len(cars):,} cars", fit_encoder, cars)
    vectors = timed("encode them", encoder.encode, cars)
    timed("contributions to their scores", encoder.contributions, np.ones(encoder.n_dims), cars)
    timed("digests", cars.digests)
    timed(
        "encode one car 1,000 times", lambda: [encoder.encode(cars.take(slice(row, row + 1))) for row in range(1_000)]
    )

    buyers, picked, weights, n_buyers = made_up_events(vectors, options.events, rng)
    what = f"fit archetypes, factors and neighbours on {options.events:,} events of {n_buyers:,} buyers"
    model = timed(what, fit_collaborative, cars, vectors, buyers, picked, weights, n_buyers)
    timed(f"factors of all cars ({len(model.archetypes):,} archetypes)", model.listing_factors, cars, vectors)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
