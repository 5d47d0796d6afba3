"""Maps of taste, on stocks whose picture is known."""

import numpy as np
import pytest

from recommendations.insight.projection import (
    Direction,
    coordinates_beside,
    direction_of,
    fit_axes,
    neighbourhoods,
    symmetric_root,
)


def stock(n: int = 200, n_dims: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, n_dims))


# --- Axes ------------------------------------------------------------------------------------------------------------
def test_distances_on_all_axes_are_how_much_buyers_disagree():
    vectors = stock(n_dims=4)
    covariance = np.diag([4.0, 1.0, 0.25, 0.0])
    coordinates = fit_axes(vectors, covariance, n_axes=4).coordinates(vectors)
    apart = vectors[3] - vectors[7]
    np.testing.assert_allclose(np.linalg.norm(coordinates[3] - coordinates[7]), np.sqrt(apart @ covariance @ apart))


def test_a_feature_that_all_buyers_weigh_alike_does_not_show():
    vectors = stock(n_dims=3) * [1.0, 1.0, 100.0]
    axes = fit_axes(vectors, np.diag([1.0, 1.0, 0.0]))
    np.testing.assert_allclose(axes.axes[:, 2], 0.0, atol=1e-12)
    np.testing.assert_allclose(axes.shares.sum(), 1.0)


def test_the_first_axis_is_the_one_with_the_largest_variance():
    vectors = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
    axes = fit_axes(vectors, np.eye(2))
    np.testing.assert_allclose(axes.axes, [[0.0, 1.0], [1.0, 0.0]], atol=1e-12)
    np.testing.assert_allclose(axes.shares, [0.8, 0.2])  # variances 2 and 1/2 of 5/2


def test_a_map_is_not_mirrored_when_the_order_of_the_cars_changes():
    vectors = stock()
    there, back = (fit_axes(one, np.eye(5)).axes for one in (vectors, vectors[::-1]))
    np.testing.assert_allclose(there, back, atol=1e-9)


@pytest.mark.parametrize("vectors", [np.ones((1, 3)), np.ones((4, 3))])
def test_cars_that_do_not_differ_lie_in_one_place(vectors: np.ndarray):
    axes = fit_axes(vectors, np.eye(3))
    np.testing.assert_allclose(axes.coordinates(vectors), 0.0)
    np.testing.assert_allclose(axes.shares, 0.0)


def test_axes_of_nothing_and_more_axes_than_dimensions_are_refused():
    with pytest.raises(ValueError, match="no cars"):
        fit_axes(np.empty((0, 3)), np.eye(3))
    with pytest.raises(ValueError, match="4 axes of 3 dimensions"):
        fit_axes(np.ones((2, 3)), np.eye(3), n_axes=4)


def test_the_root_of_a_covariance_squares_to_it_also_where_it_has_no_inverse():
    factor = stock(2, 4)
    covariance = factor.T @ factor
    root = symmetric_root(covariance)
    np.testing.assert_allclose(root @ root, covariance, atol=1e-12)


# --- A buyer's direction ---------------------------------------------------------------------------------------------
def test_the_direction_is_the_projection_of_the_preference_vector():
    vectors, weights = stock(), np.array([1.0, -2.0, 0.5, 0.0, 3.0])
    covariance = np.diag([1.0, 2.0, 3.0, 4.0, 5.0])
    axes = fit_axes(vectors, covariance)
    direction = direction_of(axes.coordinates(vectors), vectors @ weights)
    # utility = w · x = (root⁻¹ w) · (root x), and the axes are orthonormal directions of root x, times the root
    orthonormal = axes.axes @ np.linalg.inv(symmetric_root(covariance))
    np.testing.assert_allclose(
        direction.gradient, orthonormal @ np.linalg.inv(symmetric_root(covariance)) @ weights, atol=1e-9
    )
    assert 0 < direction.share < 1


def test_a_taste_along_the_map_is_explained_by_it_altogether():
    coordinates = stock(n_dims=2)
    direction = direction_of(coordinates, coordinates @ [0.3, -0.4] + 7.0)
    np.testing.assert_allclose(direction.gradient, [0.3, -0.4])
    np.testing.assert_allclose(direction.share, 1.0)


@pytest.mark.parametrize(
    ("coordinates", "utilities"),
    [(np.empty((0, 2)), np.empty(0)), (np.zeros((3, 2)), np.arange(3.0)), (np.eye(2), np.ones(2))],
)
def test_no_cars_one_place_or_no_opinion_point_nowhere(coordinates: np.ndarray, utilities: np.ndarray):
    direction = direction_of(coordinates, utilities)
    assert isinstance(direction, Direction)
    np.testing.assert_allclose(direction.gradient, 0.0)
    assert direction.share == 0.0


def test_utilities_of_other_cars_are_refused():
    with pytest.raises(ValueError, match="3 coordinates, but 2 utilities"):
        direction_of(np.zeros((3, 2)), np.zeros(2))


# --- Neighbourhoods --------------------------------------------------------------------------------------------------
def two_clusters() -> np.ndarray:
    return np.vstack([stock(30, seed=1), stock(30, seed=2) + 20.0])


def test_two_clusters_stay_apart_and_the_same_seed_draws_the_same_map():
    features, reported = two_clusters(), []
    coordinates = neighbourhoods(features, seed=3, report=reported.append)
    within = np.linalg.norm(coordinates[:30] - coordinates[:30].mean(axis=0), axis=1).max()
    between = np.linalg.norm(coordinates[:30].mean(axis=0) - coordinates[30:].mean(axis=0))
    assert between > within
    assert reported == [0.25, 0.5, 0.75, 1.0]
    np.testing.assert_array_equal(coordinates, neighbourhoods(features, seed=3))


def test_the_callback_that_receives_the_progress_can_stop_it():
    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        neighbourhoods(two_clusters(), report=stop)


def test_cars_that_are_all_alike_make_a_map_without_an_error():
    assert np.isfinite(neighbourhoods(np.ones((12, 3)))).all()


def test_too_few_cars_have_no_neighbourhoods():
    with pytest.raises(ValueError, match="9 cars are too few"):
        neighbourhoods(np.ones((9, 3)))


def test_a_car_beside_the_map_stands_between_those_most_like_it():
    known, coordinates = np.array([[0.0], [1.0], [9.0]]), np.array([[0.0, 0.0], [2.0, 2.0], [50.0, 50.0]])
    np.testing.assert_allclose(coordinates_beside(np.array([[0.4]]), known, coordinates, n_neighbours=2), [[1.0, 1.0]])
    assert coordinates_beside(np.empty((0, 1)), known, coordinates).shape == (0, 2)
