"""Whether cars that lie close are alike: what neighbours say of a price that nothing looked at.

    python -m benchmarks.similarity uk_used_cars.csv.gz [--rows 12000] [--asked 1500]

The file is the CC0 table of UK adverts, without its exact duplicates. Both spaces are made without the listings' own
price; the price of a car is predicted as the mean of its ten nearest neighbours, and the figure is the median of the
absolute relative error. Of the spaces as they serve, the share of the squared distances is printed that price makes.
"""

import argparse
import dataclasses
from collections.abc import Callable

import numpy as np

from benchmarks.encoder import read_cars
from recommendations.engine.arrays import Floats, Integers, Reals
from recommendations.engine.encoder import EncoderConfig, ListingTable, fit_encoder
from recommendations.engine.similarity import STRENGTHS, Similarity, fit_similarity

NEIGHBOURS = 10
ROWS_AT_ONCE = 200


def neighbour_error(vectors: Reals, prices: Floats, asked: Integers) -> float:
    vectors = vectors.astype(np.float32)
    squares = np.square(vectors).sum(axis=1)
    errors = []
    for rows in np.array_split(asked, max(len(asked) // ROWS_AT_ONCE, 1)):
        apart = squares - 2 * vectors[rows] @ vectors.T
        apart[np.arange(len(rows)), rows] = np.inf
        nearest = np.argpartition(apart, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        errors.append(np.abs(prices[nearest].mean(axis=1) / prices[rows] - 1))
    return float(np.median(np.concatenate(errors)))


def price_share(make_vectors: Callable[[ListingTable], Reals], cars: ListingTable) -> float:
    """How much of the squared distances between cars is lost when their prices are the same."""
    vectors = make_vectors(cars).astype(np.float64)
    alike = make_vectors(dataclasses.replace(cars, price=np.full(len(cars), np.median(cars.price)))).astype(np.float64)
    return float(np.square(vectors - alike - (vectors - alike).mean(axis=0)).sum() / np.square(vectors).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--asked", type=int, default=1_500)
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    cars = read_cars(options.file, 10**9, rng)
    _, first = np.unique(cars.digests(), return_index=True)
    cars = cars.take(rng.permutation(first)[: options.rows])
    asked = rng.choice(len(cars), min(options.asked, len(cars)), replace=False)
    blind = {**EncoderConfig().strengths, "price": 0.0}
    spaces = {
        "preference space, price-free": fit_encoder(cars, EncoderConfig(strengths=blind)).encode(cars),
        "similarity, price-free": fit_similarity(cars, {**STRENGTHS, "price": 0.0}).vectors(cars),
    }
    print(f"{len(cars):,} cars; median error of the price from {NEIGHBOURS} neighbours")
    for name, vectors in spaces.items():
        print(f"  {name}: {neighbour_error(vectors, cars.price, asked):.1%}")
    served, fitted = fit_encoder(cars), fit_similarity(cars)
    print("share of price in the squared distances, as served")
    print(f"  preference space: {price_share(served.encode, cars):.1%}")
    print(f"  similarity: {price_share(fitted.vectors, cars):.1%}")
    print(
        f"  similarity of a stored version without one: {price_share(Similarity.of_encoder(served).vectors, cars):.1%}"
    )


if __name__ == "__main__":
    main()
