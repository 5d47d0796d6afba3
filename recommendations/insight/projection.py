"""Project listing vectors to two dimensions, so that cars which buyers like alike are near each other.

There are two methods. Principal axes are linear, so a buyer's preference has a direction. t-SNE keeps only
neighbourhoods. Both measure distances in utility rather than in raw features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

Report = Callable[[float], None]  # share of the work that is done, from 0 to 1

ROUNDS = 4  # of t-SNE, each with the fewest iterations that scikit-learn allows
ITERATIONS_A_ROUND = 250
EXAGGERATION = 12.0  # of attraction in the first round, as in van der Maaten and Hinton 2008
PERPLEXITY = 30.0  # about the number of neighbours that count; van der Maaten and Hinton advise 5 to 50
SMALL = 1e-4  # standard deviation of the initial coordinates, as the authors advise
FEWEST_CARS = 10  # for t-SNE


@dataclass(frozen=True, eq=False)
class TasteAxes:
    """The directions in which the stock differs most for the population of buyers.

    Attributes:
        centre: The average car, shape (n_dims,).
        axes: One row per direction, the most informative first, shape (n_axes, n_dims).
        shares: Share of all variance in each direction, shape (n_axes,); 0 where all cars are equal.
    """

    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    shares: NDArray[np.float64]

    def coordinates(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Project cars on the axes, shape (n_cars, n_axes), in units of utility."""
        return (np.asarray(vectors, np.float64) - self.centre) @ self.axes.T


def fit_axes(vectors: NDArray[np.floating], covariance: NDArray[np.floating], n_axes: int = 2) -> TasteAxes:
    """Fit principal axes of the stock under the covariance of buyers' weights.

    A distance between raw features means little: a feature that all buyers weigh alike would count as much as one that
    they disagree on. With weights drawn from the population, ``w ~ N(mean, covariance)``, the utilities of two cars
    differ by ``w · (x - y)``, and the standard deviation of that difference over buyers is ``sqrt((x - y)' covariance
    (x - y))``. The axes preserve that distance as well as a linear map can: they are principal components of the
    vectors times the root of the covariance.

    Args:
        vectors: Listing features, shape (n_cars, n_dims); finite.
        covariance: Of the population's weights, shape (n_dims, n_dims).
        n_axes: Number of directions, at most n_dims.

    Returns:
        The axes, each with the sign that makes its largest entry positive, so that a map is not mirrored from one day
        to the next. With a single car, or only equal ones, all coordinates are 0.

    Raises:
        ValueError: Without a car, or with more axes than dimensions.
    """
    points = np.asarray(vectors, np.float64)
    if not len(points):
        raise ValueError("there are no cars to find axes for")
    if n_axes > points.shape[1]:
        raise ValueError(f"{n_axes} axes of {points.shape[1]} dimensions")
    centre = points.mean(axis=0)
    root = symmetric_root(covariance)
    spread = root @ ((points - centre).T @ (points - centre) / len(points)) @ root
    values, directions = np.linalg.eigh(spread)
    largest = np.argsort(-values, kind="stable")[:n_axes]
    axes = directions[:, largest].T @ root
    total = max(float(np.trace(spread)), np.finfo(float).tiny)
    return TasteAxes(centre, axes * signs_of(axes)[:, None], np.maximum(values[largest], 0.0) / total)


def symmetric_root(covariance: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the symmetric square root of a covariance; eigenvalues that rounding made negative count as 0."""
    values, directions = np.linalg.eigh(np.asarray(covariance, np.float64))
    root: NDArray[np.float64] = (directions * np.sqrt(np.maximum(values, 0.0))) @ directions.T
    return root


def signs_of(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 or -1 for each row: the sign of its largest entry."""
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(largest < 0, -1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Direction:
    """The direction on a map in which a buyer's utility rises.

    Attributes:
        gradient: Utility per unit of each coordinate, shape (2,).
        share: Share of the variance of utility over the cars of the map that it explains, 0 to 1.
    """

    gradient: NDArray[np.float64]
    share: float


def direction_of(coordinates: NDArray[np.floating], utilities: NDArray[np.floating]) -> Direction:
    """Fit the linear function of the coordinates that is nearest to a buyer's utility (least squares).

    On the coordinates of ``fit_axes`` it is the projection of the preference vector, because the axes are uncorrelated
    there; least squares also works for cars that the axes were not fitted on.

    Args:
        coordinates: Shape (n_cars, 2).
        utilities: Of the same cars, shape (n_cars,).

    Returns:
        A gradient of 0 and a share of 0 where all cars have the same coordinates, or the same utility.

    Raises:
        ValueError: If the arrays disagree on n_cars.
    """
    if len(coordinates) != len(utilities):
        raise ValueError(f"{len(coordinates)} coordinates, but {len(utilities)} utilities")
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
    """Return a map that preserves neighbourhoods, by t-SNE.

    It runs in rounds, each starting from the coordinates of the one before: between rounds progress is reported, and
    ``report`` may raise to stop it. It uses one thread, because several would add numbers in varying order, and a map
    that is drawn again should be the same.

    Args:
        features: Coordinates on some twenty or more axes of ``fit_axes``, shape (n_cars, n_features).
        seed: Makes it repeatable.
        report: Called after each round with the share done.

    Returns:
        Shape (n_cars, 2). Directions and large distances have no meaning.

    Raises:
        ValueError: With fewer than ``FEWEST_CARS`` cars.

    Source: van der Maaten and Hinton 2008; Barnes-Hut (van der Maaten 2014) as in scikit-learn. It starts from the
    first two features rather than from noise, which keeps distant groups apart (Kobak and Berens 2019).
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
    """Place cars that a map was not drawn with at the mean of the most similar cars on it.

    Args:
        features: Of the cars to place, shape (n_cars, n_features).
        known_features: Of the cars on the map, shape (n_known, n_features); at least one.
        known_coordinates: Of the cars on the map, shape (n_known, 2).
        n_neighbours: Number of similar cars.

    Returns:
        Shape (n_cars, 2).
    """
    if not len(features):
        return np.empty((0, 2))
    apart = np.linalg.norm(np.asarray(features)[:, None, :] - np.asarray(known_features)[None], axis=2)
    nearest = np.argsort(apart, axis=1, kind="stable")[:, :n_neighbours]
    coordinates: NDArray[np.float64] = np.asarray(known_coordinates, np.float64)[nearest].mean(axis=1)
    return coordinates
