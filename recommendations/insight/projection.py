"""Cars in few dimensions, so that a picture can show which of them buyers hold to be alike.

Two ways: principal axes, where straight lines stay straight and a buyer's taste has a direction; and t-SNE, which bends
the stock into neighbourhoods and keeps only who is near whom. Both start from distances of taste, not of raw features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

Report = Callable[[float], None]  # share of the work that is done, from 0 to 1

ROUNDS = 4  # of t-SNE, each of so many iterations as scikit-learn does at least
ITERATIONS_A_ROUND = 250
EXAGGERATION = 12.0  # of the first round: neighbours find each other before the rest takes its place
PERPLEXITY = 30.0  # about how many neighbours count; van der Maaten and Hinton found 5 to 50 to work
SMALL = 1e-4  # spread of the places t-SNE sets out from, as its authors advise
FEWEST_CARS = 10  # for t-SNE


@dataclass(frozen=True, eq=False)
class TasteAxes:
    """The directions in which the stock differs most in the eyes of the population.

    Attributes:
        centre: The average car, shape (n_dims,).
        axes: One row per direction, the most informative first, shape (n_axes, n_dims).
        shares: Which part of all the differences each direction holds, shape (n_axes,); 0 where all cars are alike.
    """

    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    shares: NDArray[np.float64]

    def coordinates(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Where cars lie along the directions, shape (n_cars, n_axes), in units of utility."""
        return (np.asarray(vectors, np.float64) - self.centre) @ self.axes.T


def fit_axes(vectors: NDArray[np.floating], covariance: NDArray[np.floating], n_axes: int = 2) -> TasteAxes:
    """Principal axes of the stock, measured by how much buyers care.

    A distance between raw features means little: a feature that no two buyers weigh differently would count as much as
    one that sets them apart. With weights drawn from the population, ``w ~ N(mean, covariance)``, the utility of two
    cars differs by ``w · (x - y)``, and buyers disagree about that difference by its standard deviation
    ``sqrt((x - y)' covariance (x - y))``. That is the distance the axes keep as well as any straight map can: principal
    components of the vectors times the root of the covariance.

    Args:
        vectors: Listing features, shape (n_cars, n_dims); finite.
        covariance: Of the population's weights, shape (n_dims, n_dims).
        n_axes: How many directions, at most n_dims.

    Returns:
        The axes, each with the sign that makes its largest entry positive, so that a map is not mirrored from one day
        to the next. With a single car, or none that differ, all places are 0.

    Raises:
        ValueError: Without a car, or with more axes than dimensions.
    """
    points = np.asarray(vectors, np.float64)
    if not len(points):
        raise ValueError("there are no cars to find axes for")
    if n_axes > points.shape[1]:
        raise ValueError(f"{n_axes} axes asked of {points.shape[1]} dimensions")
    centre = points.mean(axis=0)
    root = symmetric_root(covariance)
    spread = root @ ((points - centre).T @ (points - centre) / len(points)) @ root
    values, directions = np.linalg.eigh(spread)
    largest = np.argsort(-values, kind="stable")[:n_axes]
    axes = directions[:, largest].T @ root
    total = max(float(np.trace(spread)), np.finfo(float).tiny)
    return TasteAxes(centre, axes * signs_of(axes)[:, None], np.maximum(values[largest], 0.0) / total)


def symmetric_root(covariance: NDArray[np.floating]) -> NDArray[np.float64]:
    """The symmetric matrix whose square is a covariance; what rounding has made negative counts as 0."""
    values, directions = np.linalg.eigh(np.asarray(covariance, np.float64))
    root: NDArray[np.float64] = (directions * np.sqrt(np.maximum(values, 0.0))) @ directions.T
    return root


def signs_of(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 or -1 for each row: what makes its largest entry positive."""
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(largest < 0, -1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Direction:
    """Where on a map a buyer's utility rises.

    Attributes:
        gradient: Utility per unit of each coordinate, shape (2,); points at what the buyer likes better.
        share: Part of the variance of their utility over the cars that the map shows by it, 0 to 1.
    """

    gradient: NDArray[np.float64]
    share: float


def direction_of(coordinates: NDArray[np.floating], utilities: NDArray[np.floating]) -> Direction:
    """The straight slope that comes nearest to a buyer's utility over the cars of a map.

    On the places of ``fit_axes`` this is the projection of the preference vector, because the axes are uncorrelated
    there; least squares says the same, and also of cars that the axes were not fitted on.

    Args:
        coordinates: Shape (n_cars, 2).
        utilities: Of the same cars, shape (n_cars,).

    Returns:
        A gradient of 0 that explains nothing where all cars lie in one place, or the buyer likes all of them alike.

    Raises:
        ValueError: If the arrays disagree on n_cars.
    """
    if len(coordinates) != len(utilities):
        raise ValueError(f"{len(coordinates)} places, but {len(utilities)} utilities")
    if not len(coordinates):
        return Direction(np.zeros(2), 0.0)
    across = np.asarray(coordinates, np.float64) - np.mean(coordinates, axis=0)
    up = np.asarray(utilities, np.float64) - np.mean(utilities)
    gradient, *_ = np.linalg.lstsq(across, up, rcond=None)
    total = float(up @ up)
    share = float(np.sum((across @ gradient) ** 2)) / total if total > 0 else 0.0
    return Direction(gradient, min(share, 1.0))


def neighbourhoods(
    features: NDArray[np.floating], *, seed: int = 0, report: Report = lambda share: None
) -> NDArray[np.float64]:
    """A map on which neighbours stay neighbours, by t-SNE.

    It runs in rounds, each setting out from the places of the one before, because there progress can be reported
    and where ``report`` may raise to stop it. One thread only: several add numbers up in an order of their own, and a
    map that is drawn again should be the same map.

    Args:
        features: What distances are taken of, shape (n_cars, n_features): places on some twenty or more axes of taste.
        seed: Makes it repeatable.
        report: Called after each round.

    Returns:
        Shape (n_cars, 2). Directions and large distances mean nothing.

    Raises:
        ValueError: With fewer than ``FEWEST_CARS`` cars.

    Source: van der Maaten and Hinton 2008; Barnes-Hut (van der Maaten 2014) as in scikit-learn. It sets out from the
    first two features rather than from noise, which keeps far groups apart (Kobak and Berens 2019).
    """
    if len(features) < FEWEST_CARS:
        raise ValueError(f"{len(features)} cars are too few for neighbourhoods; it takes {FEWEST_CARS}")
    points = np.asarray(features, np.float32)
    spread = float(points[:, 0].std()) or 1.0
    coordinates = points[:, :2] * np.float32(SMALL / spread)
    for number in range(ROUNDS):
        with threadpool_limits(1):
            coordinates = TSNE(
                perplexity=min(PERPLEXITY, (len(points) - 1) / 3),
                early_exaggeration=EXAGGERATION if number == 0 else 1.0,
                max_iter=ITERATIONS_A_ROUND,
                init=coordinates,
                random_state=seed,
            ).fit_transform(points)
        report((number + 1) / ROUNDS)
    return coordinates.astype(np.float64)


def coordinates_beside(
    features: NDArray[np.floating],
    known_features: NDArray[np.floating],
    known_coordinates: NDArray[np.floating],
    n_neighbours: int = 5,
) -> NDArray[np.float64]:
    """Where cars that a map was not drawn of belong on it: in the middle of those most like them.

    Args:
        features: Of the cars to place, shape (n_cars, n_features).
        known_features: Of the cars on the map, shape (n_known, n_features); at least one.
        known_coordinates: Where they are, shape (n_known, 2).
        n_neighbours: Of how many the middle is taken.

    Returns:
        Shape (n_cars, 2).
    """
    if not len(features):
        return np.empty((0, 2))
    apart = np.linalg.norm(np.asarray(features)[:, None, :] - np.asarray(known_features)[None], axis=2)
    nearest = np.argsort(apart, axis=1, kind="stable")[:, :n_neighbours]
    coordinates: NDArray[np.float64] = np.asarray(known_coordinates, np.float64)[nearest].mean(axis=1)
    return coordinates
