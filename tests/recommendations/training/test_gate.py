import json

import numpy as np
import pytest

from recommendations.training.gate import GateFigures, judge


def figures(gain=0.0, n=100, spread=0.05, new_coverage=0.5, live_coverage=0.5, **more):
    """Buyers who differ much from each other, and the two versions little for each of them."""
    rng = np.random.default_rng(0)
    live = rng.uniform(0.0, 0.6, n)
    noise = rng.normal(0.0, spread, n)
    return GateFigures(live + gain + noise - noise.mean(), live, new_coverage, live_coverage, **more)


def test_a_better_ranker_passes():
    verdict = judge(figures(gain=0.05))
    assert verdict.passed
    assert verdict.reason.startswith("Better than the live version: NDCG@20 0.3")
    assert verdict.figures["low"] > 0


def test_a_worse_ranker_does_not():
    verdict = judge(figures(gain=-0.05))
    assert not verdict.passed
    assert verdict.reason.startswith("Significantly worse than the live version")
    assert "over 100 buyers" in verdict.reason
    assert verdict.figures["high"] < 0


@pytest.mark.parametrize("gain", [0.0, 0.002, -0.002])
def test_an_equal_ranker_passes_whichever_way_chance_leans(gain):
    verdict = judge(figures(gain=gain))
    assert verdict.passed
    assert verdict.reason.startswith("Not worse than the live version")


def test_identical_rankers_pass():
    same = np.linspace(0, 1, 50)
    assert judge(GateFigures(same, same, 0.2, 0.2)).passed


def test_lost_coverage_is_refused_even_from_a_better_ranker():
    verdict = judge(figures(gain=0.05, new_coverage=0.2, live_coverage=0.5))
    assert not verdict.passed
    assert "20.0% of the stock, the live version's 50.0%: 60% less" in verdict.reason


@pytest.mark.parametrize(("coverage", "passes"), [(0.46, True), (0.44, False), (0.9, True)])
def test_a_tenth_of_the_coverage_may_be_lost(coverage, passes):
    assert judge(figures(new_coverage=coverage, live_coverage=0.5)).passed is passes


def test_the_first_version_passes():
    verdict = judge(None)
    assert (verdict.passed, verdict.reason) == (True, "No version is live that it could be worse than.")


@pytest.mark.parametrize(("n", "words"), [(0, "0 buyers"), (1, "1 buyer"), (29, "29 buyers")])
def test_too_few_buyers_to_tell_pass_with_that_reason(n, words):
    verdict = judge(figures(gain=-0.5, n=n) if n else GateFigures(np.zeros(0), np.zeros(0), 0.0, 0.0))
    assert verdict.passed
    assert verdict.reason == f"Only {words} to test on; it takes 30 to tell."


def test_buyers_without_a_value_are_no_buyers():
    nobody = np.full(100, np.nan)
    assert "Only 0 buyers" in judge(GateFigures(nobody, nobody, 0.5, 0.5)).reason


def test_being_worse_on_what_the_live_version_had_learned_from_does_not_count():
    assert not judge(figures(gain=-0.05, seen_by_live=0.01)).passed
    assert judge(figures(gain=-0.05, seen_by_live=0.5)).passed
    assert not judge(figures(gain=-0.05, seen_by_live=0.5, new_coverage=0.1, live_coverage=0.5)).passed


def test_an_unfair_advantage_of_the_live_version_is_told():
    assert "had learned from 80% of the tested events" in judge(figures(seen_by_live=0.8)).reason
    assert "learned" not in judge(figures(seen_by_live=0.01)).reason


def test_the_verdict_is_the_same_for_the_same_figures_and_fits_json():
    first, second = judge(figures()), judge(figures())
    assert first == second
    assert json.loads(json.dumps(first.to_json()))["passed"] is True
