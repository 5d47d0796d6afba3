from datetime import UTC, datetime

import pytest

from recommendations.evaluation.outcome import OURS, Outcome
from recommendations.evaluation.rolling import joined, pooled, windows
from recommendations.metrics.figures import Figure


def outcome(day: int, value: float, n: int, metric: str = "ndcg") -> Outcome:
    figure = Figure(OURS, "all", metric, 10, value, value - 0.1, value + 0.1, n)
    return Outcome("log", datetime(2026, 1, day, tzinfo=UTC), n, n, 50, (figure,), {"notes": [str(day)]})


def test_windows_follow_each_other_and_fill_the_test():
    assert windows(0.0, 12.0, 3) == [(0.0, 4.0), (4.0, 8.0), (8.0, 12.0)]


def test_a_figure_of_several_moments_is_the_mean_over_all_buyers_with_a_narrower_interval():
    together = joined([outcome(1, 0.2, 30), outcome(8, 0.4, 10)])
    (figure,) = together.figures
    assert (figure.value, figure.n) == (pytest.approx(0.25), 40)
    half = ((0.75 * 0.1) ** 2 + (0.25 * 0.1) ** 2) ** 0.5
    assert (figure.low, figure.high) == (pytest.approx(0.25 - half), pytest.approx(0.25 + half))
    assert (together.n_buyers, together.n_events) == (40, 40)
    assert [one["figures"] for one in together.summary["moments"]] == [{"ndcg@10": 0.2}, {"ndcg@10": 0.4}]
    assert together.summary["notes"] == ["8"]


def test_one_moment_has_its_own_figures_and_a_figure_that_no_moment_has_stays_unknown():
    alone = outcome(1, 0.2, 30)
    together = joined([alone])
    (figure,), (own,) = together.figures, alone.figures
    assert (figure.value, figure.n) == (own.value, own.n)
    assert (figure.low, figure.high) == (pytest.approx(own.low), pytest.approx(own.high))
    assert len(together.summary["moments"]) == 1
    nothing = Figure(OURS, "cold buyer", "ndcg", 10, float("nan"), float("nan"), float("nan"), 0)
    assert pooled([nothing, nothing]).n == 0
