"""The single variance that the fit of a population starts from, and shrinks towards."""

import numpy as np
import pytest

from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.population import SPREADS, WIDER, WIDEST, PriorConfig, fit_prior, highest_between

ALL_OF_THE_START = PriorConfig(covariance_strength=1e4)


def buyers_of(variance, n_buyers, seed):
    rng = np.random.default_rng(seed)
    buyers = []
    for weights in rng.normal(size=(n_buyers, 3)) * np.sqrt(variance):
        features = rng.normal(size=(12, 8, 3))
        buyers.append(ChoiceSets(features, (features @ weights + rng.gumbel(size=(12, 8))).argmax(axis=1)))
    return buyers


def start_of(buyers):
    """With that many pretended buyers, all that is learned is where the fit started."""
    return fit_prior(buyers, 3, ALL_OF_THE_START).covariance.diagonal().mean()


@pytest.mark.parametrize("top", [0.02, 0.2, 1.0, 5.0, 20.0])
def test_the_top_of_a_parabola_is_found_between_the_spreads(top):
    heights = [-((np.log(spread) - np.log(top)) ** 2) for spread in SPREADS]
    assert highest_between(SPREADS, heights) == pytest.approx(max(top, SPREADS[0]))


@pytest.mark.parametrize(("heights", "found"), [([3, 2, 1], 0), ([1, 2, 3], 2), ([2, 2, 2], 0), ([1, 2], 1), ([1], 0)])
def test_a_highest_point_at_an_end_is_taken_as_it_is(heights, found):
    assert highest_between(SPREADS, heights) == SPREADS[found]


@pytest.mark.parametrize("variance", [0.3, 1.0, 3.0])
def test_the_start_is_near_the_variance_of_the_buyers(variance):
    starts = [start_of(buyers_of(variance, 40, seed)) / WIDER for seed in range(3)]
    assert variance / 2 < np.mean(starts) < variance * 1.5


def test_one_buyer_more_does_not_make_the_start_jump():
    """It was one of five variances, each five times the one before."""
    buyers = buyers_of(1.0, 40, seed=5)
    starts = np.array([start_of(buyers[:n]) for n in range(28, 41)])
    assert starts[1:] == pytest.approx(starts[:-1], rel=0.25)


def test_choices_that_any_strong_taste_explains_leave_the_start_within_bounds():
    features = np.random.default_rng(6).normal(size=(4, 6, 3))
    buyer = ChoiceSets(features, features[:, :, 0].argmax(axis=1))
    contrast = np.square(buyer.differences()).sum() / (buyer.available.sum() - len(buyer))
    assert start_of([buyer] * 3) <= WIDEST / contrast * 1.001
