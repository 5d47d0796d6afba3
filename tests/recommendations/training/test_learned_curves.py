"""Curves are served only where they are better than the weights alone, and otherwise the reason is said."""

import numpy as np
import pytest

from recommendations.engine.scoring import ScoreConfig, learn_score
from recommendations.training.curves_gate import against_weights
from recommendations.training.gate import FEWEST_BUYERS
from recommendations.training.learned_curves import FEWEST_CHOICES, NOTHING_LEARNED, CurvesVerdict, with_curves
from recommendations.training.score_weights import LearnedScores
from tests.recommendations.engine.test_boosting import FEW_TREES, choices, linear, with_a_threshold


def asked(taste, n: int = FEWEST_CHOICES):
    data = choices(taste, n=n)
    weights = learn_score(data.terms, data.chosen, available=data.available, positions=data.positions)
    return weights, *with_curves(weights, data, ScoreConfig(), FEW_TREES)


def test_a_taste_with_a_threshold_gets_curves_beside_the_same_weights():
    weights, score, verdict = asked(with_a_threshold)
    assert verdict.is_used
    assert 0 < verdict.low < verdict.gain < verdict.high
    assert f"{verdict.gain:+.4f}" in verdict.reason
    assert score.curves is not None
    np.testing.assert_array_equal(score.weights, weights.weights)


def test_a_linear_taste_keeps_the_weights_alone():
    weights, score, verdict = asked(linear)
    assert not verdict.is_used
    assert score is weights
    assert verdict.reason.startswith("Not shown to be better")


def test_too_few_choices_are_not_learned_from_and_the_reason_is_said():
    weights, score, verdict = asked(with_a_threshold, n=FEWEST_CHOICES - 1)
    assert score is weights
    assert verdict == CurvesVerdict(False, verdict.reason, FEWEST_CHOICES - 1, 125)
    assert verdict.reason == "999 choices of 125 buyers were there to learn from; it takes 1,000 of 30 buyers."


@pytest.mark.parametrize(
    ("shift", "n_buyers", "is_passed"), [(0.0, 100, True), (-0.1, 100, False), (0.1, FEWEST_BUYERS - 1, False)]
)
def test_lists_by_curves_pass_where_they_are_shown_to_be_no_worse(shift, n_buyers, is_passed):
    alone = np.random.default_rng(0).uniform(0.2, 0.6, n_buyers)
    passed, reason = against_weights(alone + shift, alone, k=20, seed=0)
    assert passed == is_passed
    assert reason


def test_curves_whose_lists_do_not_pass_leave_the_weights_alone():
    weights, score, verdict = asked(with_a_threshold)
    scores = LearnedScores(score, weights, 1, verdict, NOTHING_LEARNED)
    assert scores.has_curves
    refused = scores.judged(False, "Worse lists.")
    assert not refused.has_curves
    assert refused.known.curves is None
    assert refused.known_curves.reason == f"{verdict.reason} Worse lists."
    assert refused.cold_curves == NOTHING_LEARNED
    assert scores.judged(True, "As good lists.").known is score
