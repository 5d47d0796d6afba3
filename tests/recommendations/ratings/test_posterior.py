"""Fold-in is the full conditional, estimates are means over draws, and uncertainty is what is left."""

import numpy as np
import pytest

from recommendations.ratings import posterior
from recommendations.ratings.posterior import KeptDraws, estimates, fold_in, similarities, uncertainties


def draws_of(n_items=6, n_draws=4, n_factors=3, seed=0) -> KeptDraws:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n_items + 1, n_draws, n_factors)).astype(np.float32)
    spreads = rng.normal(size=(n_draws, n_factors, n_factors))
    covariances = spreads @ spreads.swapaxes(1, 2)
    return KeptDraws(
        intercepts=rng.normal(size=n_draws),
        noise_precisions=rng.uniform(0.5, 3, size=n_draws),
        prior_means=rng.normal(size=(n_draws, 1 + n_factors)),
        prior_precisions=rng.uniform(0.5, 3, size=(n_draws, 1 + n_factors)),
        item_biases=rng.normal(size=(n_items + 1, n_draws)).astype(np.float32),
        item_vectors=vectors,
        met_linear=rng.normal(size=(n_items, n_draws)).astype(np.float32),
        met_factors=rng.normal(size=(n_items, n_draws, n_factors)).astype(np.float32),
        people_covariances=covariances,
        item_spreads=np.sqrt(np.einsum("idk,dkl,idl->id", vectors[:-1], covariances, vectors[:-1])).astype(np.float32),
    )


def machine(draws: KeptDraws, draw: int, own: np.ndarray, met: np.ndarray, item: int) -> float:
    """The factorization machine for one pair, feature by feature: the person's own, the items met, and the item."""
    features = [(1.0, own[0], own[1:])]
    features += [
        (len(met) ** -0.5, float(draws.met_linear[row, draw]), draws.met_factors[row, draw].astype(float))
        for row in met
    ]
    total = draws.intercepts[draw] + draws.item_biases[item, draw]
    for place, (x, linear, factors) in enumerate(features):
        total += x * linear + x * factors @ draws.item_vectors[item, draw].astype(float)
        total += sum(x * y * factors @ others for y, _, others in features[:place])
    return float(total)


def conditional(draws: KeptDraws, draw: int, rows: np.ndarray, ratings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, covariance) of the person's own weights, by the machine alone: it is linear in them."""
    n_own = draws.prior_means.shape[1]
    at_zero = np.array([machine(draws, draw, np.zeros(n_own), rows, row) for row in rows])
    slopes = np.array(
        [
            [machine(draws, draw, unit, rows, row) - zero for unit in np.eye(n_own)]
            for row, zero in zip(rows, at_zero, strict=True)
        ]
    ).reshape(len(rows), n_own)
    prior = np.diag(draws.prior_precisions[draw])
    covariance = np.linalg.inv(prior + draws.noise_precisions[draw] * slopes.T @ slopes)
    pull = prior @ draws.prior_means[draw] + draws.noise_precisions[draw] * slopes.T @ (ratings - at_zero)
    return covariance @ pull, covariance


@pytest.mark.parametrize("rows", [[0], [2, 5], [0, 1, 2, 3, 4, 5]])
def test_fold_in_is_the_full_conditional_of_every_draw(rows):
    draws, rows = draws_of(), np.array(rows)
    ratings = np.random.default_rng(1).normal(size=len(rows))
    belief = fold_in(draws, rows, ratings)
    for draw in range(draws.n_draws):
        mean, covariance = conditional(draws, draw, rows, ratings)
        np.testing.assert_allclose(belief.means[draw], mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(np.linalg.inv(belief.precisions[draw]), covariance, rtol=1e-5, atol=1e-6)


def test_one_rating_by_hand():
    """Prior N(0, 1) on a weight alone, noise 1: half of the rating above the item's bias is the person's own."""
    zero = np.zeros((2, 1, 1), np.float32)
    draws = KeptDraws(
        intercepts=np.zeros(1), noise_precisions=np.ones(1),
        prior_means=np.zeros((1, 2)), prior_precisions=np.ones((1, 2)),
        item_biases=np.array([[0.4], [0.0]], np.float32), item_vectors=zero, met_linear=zero[:1, :, 0],
        met_factors=zero[:1], people_covariances=np.ones((1, 1, 1)), item_spreads=zero[:1, :, 0],
    )  # fmt: skip
    belief = fold_in(draws, np.array([0]), np.array([1.4]))
    np.testing.assert_allclose(belief.means, [[0.5, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(estimates(draws, belief), [0.9, 0.5], rtol=1e-6)
    np.testing.assert_allclose(uncertainties(draws, belief, np.array([0, 1])), [0.5**0.5] * 2)
    np.testing.assert_allclose(uncertainties(draws, belief, np.array([0]), with_noise=True), [1.5**0.5])


def test_without_ratings_the_belief_is_the_prior():
    draws = draws_of()
    belief = fold_in(draws, np.array([], int), np.array([]))
    np.testing.assert_allclose(belief.means, draws.prior_means)
    assert not belief.met_vectors.any()
    assert not belief.met_biases.any()


def test_many_ratings_are_folded_in_part_by_part(monkeypatch):
    draws, rows, ratings = draws_of(), np.arange(6), np.linspace(-1, 1, 6)
    at_once = fold_in(draws, rows, ratings)
    monkeypatch.setattr(posterior, "RATINGS_AT_ONCE", 4)
    in_parts = fold_in(draws, rows, ratings)
    np.testing.assert_allclose(in_parts.means, at_once.means)
    np.testing.assert_allclose(in_parts.precisions, at_once.precisions)


def test_estimates_are_means_over_draws_of_what_the_machine_says():
    draws, rows = draws_of(), np.array([1, 4])
    belief = fold_in(draws, rows, np.array([1.0, -1.0]))
    slow = [
        np.mean([machine(draws, draw, belief.means[draw], rows, item) for draw in range(draws.n_draws)])
        for item in range(draws.n_items + 1)
    ]
    np.testing.assert_allclose(estimates(draws, belief), slow, rtol=1e-4)
    np.testing.assert_allclose(estimates(draws, belief, np.array([3, 6])), [slow[3], slow[6]], rtol=1e-4)


def test_uncertainty_is_that_of_weights_drawn_from_the_belief():
    draws, rows, item = draws_of(), np.array([1, 4]), 2
    belief = fold_in(draws, rows, np.array([1.0, -1.0]))
    rng = np.random.default_rng(2)
    drawn = [
        machine(draws, draw, own, rows, item)
        for draw in range(draws.n_draws)
        for own in rng.multivariate_normal(belief.means[draw], np.linalg.inv(belief.precisions[draw]), size=2000)
    ]
    assert uncertainties(draws, belief, np.array([item]))[0] == pytest.approx(np.std(drawn), rel=0.05)


def test_every_rating_makes_the_model_surer_of_a_draw():
    draws = draws_of(n_draws=1)
    few = fold_in(draws, np.array([0]), np.array([1.0]))
    none = fold_in(draws, np.array([], int), np.array([]))
    assert (np.linalg.eigvalsh(few.precisions[0] - none.precisions[0]) > -1e-9).all()


def test_similarity_is_the_correlation_of_what_people_would_say():
    draws = draws_of(n_draws=1)
    people = np.random.default_rng(0).multivariate_normal(np.zeros(3), draws.people_covariances[0], size=200_000)
    said = people @ draws.item_vectors[:-1, 0].astype(float).T
    np.testing.assert_allclose(similarities(draws, 2), np.corrcoef(said.T)[2], atol=0.01)


def test_an_item_that_all_people_agree_about_is_like_nothing():
    draws = draws_of()
    draws.item_vectors[3] = 0
    draws.item_spreads[3] = 0
    assert not similarities(draws, 3).any()
