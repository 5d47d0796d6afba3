"""Curves of terms: learned where a taste is not linear, left out where it is, and exact in every breakdown."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommendations.engine.boosting import BoostingConfig, BoostingData, cross_fitted, learn_curves
from recommendations.engine.score_terms import DEAL, DEMAND, FRESHNESS, TERMS, UTILITY
from recommendations.engine.scoring import LinearScore, ScoreConfig, learn_score, most_likely
from recommendations.engine.term_curves import TermCurves
from recommendations.metrics.ranking import Comparison, compare

N_SHOWN, PER_BUYER = 12, 8
FEW_TREES = BoostingConfig(most_trees=60, patience=10, n_folds=2)


def choices(taste, n: int = 1_000, seed: int = 0) -> BoostingData:
    """Choices from lists sorted by demand, of buyers who look at the top first; ``taste`` makes terms worth what."""
    rng = np.random.default_rng(seed)
    terms = {name: rng.normal(size=(n, N_SHOWN)) for name in TERMS}
    buyer_ids = np.arange(n) // PER_BUYER
    n_cars = rng.integers(0, 10, buyer_ids.max() + 1)[buyer_ids].astype(float)
    order = np.argsort(-(terms[DEMAND] + rng.normal(size=(n, N_SHOWN))), axis=1)
    positions = np.empty((n, N_SHOWN))
    np.put_along_axis(positions, order, np.arange(1.0, N_SHOWN + 1)[None].repeat(n, 0), axis=1)
    worth = 0.8 * terms[UTILITY] + taste(terms, n_cars[:, None]) - 0.6 * np.log(positions)
    chosen = (worth + rng.gumbel(size=worth.shape)).argmax(axis=1)
    return BoostingData(terms, chosen, buyer_ids, n_cars, np.ones(worth.shape, bool), positions)


def linear(terms, n_cars):
    return 0.3 * terms[DEAL]


def with_a_threshold(terms, n_cars):
    return 1.5 * (terms[DEAL] > 0.8)


def turning_with_experience(terms, n_cars):
    return np.where(n_cars >= 5, 0.9, -0.9) * terms[FRESHNESS]


def gain(data: BoostingData, config: BoostingConfig = FEW_TREES) -> Comparison:
    """Of the curves over the weights, in log-likelihood of a choice, over buyers."""
    _, codes = np.unique(data.buyer_ids, return_inverse=True)
    fits = [np.bincount(codes, one) / np.bincount(codes) for one in cross_fitted(data, ScoreConfig(), config)]
    return compare(*fits, np.random.default_rng(0))


def learned(data: BoostingData, config: BoostingConfig = FEW_TREES) -> LinearScore:
    weights = learn_score(data.terms, data.chosen, available=data.available, positions=data.positions)
    return learn_curves(data, weights, ScoreConfig(), config)


@pytest.mark.parametrize("taste", [with_a_threshold, turning_with_experience])
def test_a_taste_that_is_not_linear_is_predicted_better_with_curves(taste):
    assert gain(choices(taste)).low > 0


@pytest.mark.parametrize("seed", range(3))
def test_a_linear_taste_is_not_predicted_better_with_curves(seed):
    assert gain(choices(linear, seed=seed)).low <= 0


def test_what_the_position_gains_is_not_put_down_to_curves(monkeypatch):
    def without_position(sets, config):
        return np.r_[most_likely(sets, config)[:-1], 0.0]

    monkeypatch.setattr("recommendations.engine.boosting.most_likely", without_position)
    assert gain(choices(linear)).low <= 0


def test_a_threshold_shows_in_the_curve_of_its_term_alone():
    score = learned(choices(with_a_threshold))
    below, above = score.breakdown({DEAL: [0.6, 1.0]})[:, TERMS.index(DEAL)]
    assert above - below > 0.7  # of 1.5, where the weight alone makes about 0.2 of it
    heights = np.ptp(score.curves.values, axis=2).max(axis=1)
    assert heights.argmax() == TERMS.index(DEAL)


def test_a_term_that_is_level_where_it_is_known_takes_no_trees_from_others():
    data = choices(lambda terms, n_cars: 3.0 * (np.abs(terms[UTILITY]) < 0.5) - 0.8 * terms[UTILITY])
    is_known = np.random.default_rng(1).random(data.available.shape) < 0.5
    is_known[np.arange(len(data)), data.chosen] = True  # so that it predicts choices
    level = np.where(is_known, 0.3, np.nan)
    score = learned(replace(data, terms={**data.terms, DEAL: level}))
    assert not score.curves.values[TERMS.index(DEAL)].any()
    assert np.ptp(score.curves.values[TERMS.index(UTILITY)]) > 1.5


def test_what_a_term_is_worth_may_turn_with_the_buyers_experience():
    score = learned(choices(turning_with_experience, n=1_500))
    slopes = [np.diff(score.breakdown({FRESHNESS: [-1.0, 1.0]}, n)[:, TERMS.index(FRESHNESS)])[0] for n in (3, 8)]
    assert slopes[0] < -0.5
    assert slopes[1] > 0.5


def test_lists_sorted_by_a_term_give_it_no_curve_for_its_position():
    score = learned(choices(lambda terms, n_cars: 0.0 * terms[DEMAND]))
    assert score.curves is None or np.ptp(score.curves.values[TERMS.index(DEMAND)]) < 0.5


def test_it_is_the_same_twice():
    data = choices(with_a_threshold, n=400)
    one, other = learned(data), learned(replace(data))
    np.testing.assert_array_equal(one.curves.values, other.curves.values)


def random_score(seed: int) -> LinearScore:
    rng = np.random.default_rng(seed)
    n = len(TERMS)
    edges = np.sort(rng.normal(size=(n, 5)), axis=1)
    curves = TermCurves(np.array([2.0, 8.0]), edges, rng.normal(size=(n, 3, 6)))
    return LinearScore(TERMS, rng.normal(size=n), rng.normal(size=n), rng.uniform(0.5, 2.0, n), curves)


def looked_up(score: LinearScore, terms: dict[str, float], n_cars: float) -> float:
    """The score of one car, term by term and step by step."""
    total = 0.0
    for at, name in enumerate(score.names):
        value = terms.get(name, np.nan)
        if not np.isnan(value):
            step = sum(value >= edge for edge in score.curves.edges[at])
            band = sum(n_cars >= edge for edge in score.curves.band_edges)
            total += score.weights[at] * (value - score.means[at]) / score.deviations[at]
            total += score.curves.values[at, band, step]
    return total


@given(seed=st.integers(0, 2**16), n_cars=st.integers(0, 20))
@settings(max_examples=30, deadline=None)
def test_the_parts_of_a_random_score_with_curves_add_up_to_it(seed, n_cars):
    score, rng = random_score(seed), np.random.default_rng(seed + 1)
    terms = {name: np.where(rng.random(7) < 0.2, np.nan, rng.normal(size=7)) for name in TERMS}
    scores = score.score(terms, n_cars)
    np.testing.assert_array_equal(score.breakdown(terms, n_cars).sum(axis=1), scores)
    by_hand = [looked_up(score, {name: values[row] for name, values in terms.items()}, n_cars) for row in range(7)]
    np.testing.assert_allclose(scores, by_hand, atol=1e-12)
    scale, mean = score.scale_of(DEAL), score.mean_of(DEAL)
    parts = score.breakdown({DEAL: terms[DEAL]}, n_cars)[:, TERMS.index(DEAL)]
    by_weight = np.nan_to_num(scale * (terms[DEAL] - mean))
    np.testing.assert_allclose(by_weight + score.curve_of(DEAL, terms[DEAL], n_cars), parts, atol=1e-12)


def test_stored_curves_come_back_the_same_and_go_with_their_terms():
    score = random_score(3)
    stored = score.to_arrays()
    terms = {name: np.array([-1.0, 0.2, 1.5]) for name in TERMS}
    again = LinearScore.from_arrays(stored)
    np.testing.assert_array_equal(again.breakdown(terms, 4), score.breakdown(terms, 4))
    turned = LinearScore.from_arrays(stored, (*reversed(TERMS), "weather"))
    np.testing.assert_array_equal(
        turned.breakdown({**terms, "weather": terms[DEAL]}, 4)[:, :-1], score.breakdown(terms, 4)[:, ::-1]
    )
    assert not turned.breakdown({"weather": terms[DEAL]}, 4)[:, -1].any()


def test_a_score_stored_without_curves_has_none_and_one_with_a_weight_set_by_hand_has_none_for_it():
    assert LinearScore.from_arrays(LinearScore.default().to_arrays()).curves is None
    score = random_score(1).with_weights({DEAL: 2.0})
    assert not score.curve_of(DEAL, np.array([-3.0, 0.0, 3.0])).any()
    assert score.curve_of(UTILITY, np.array([-3.0, 0.0, 3.0])).any()
    only = random_score(1).only([DEAL])
    assert not only.breakdown({UTILITY: [-3.0, 3.0]}).any()


def test_curves_of_shapes_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="do not go with"):
        TermCurves(np.array([1.0]), np.zeros((2, 3)), np.zeros((2, 1, 4)))
    with pytest.raises(ValueError, match="finite"):
        TermCurves(np.empty(0), np.zeros((1, 1)), np.full((1, 1, 2), np.nan))
    with pytest.raises(ValueError, match="curves do not go"):
        replace(LinearScore.default(), curves=TermCurves(np.empty(0), np.zeros((1, 1)), np.zeros((1, 1, 2))))
