from dataclasses import replace

import numpy as np
import pytest

from recommendations.simulation.closed_loop import LoopConfig, LoopReport
from recommendations.simulation.loop_study import (
    ALL_BUYERS,
    LIKED,
    LINEAR,
    LOGIT,
    ORACLE,
    POPULAR,
    RANDOM,
    SERVED,
    Study,
    StudyConfig,
    run_study,
)

CONFIG = StudyConfig(
    n_listings=300, n_buyers=8, n_others=20, log_events=25, seeds=(1, 2), loop=LoopConfig(n_rounds=4, k=10),
    events=(0, 3),
)  # fmt: skip


@pytest.fixture(scope="module")
def study():
    return run_study(CONFIG)


def test_every_recommender_meets_the_buyers_of_every_market(study):
    assert set(study.reports) == {SERVED, LOGIT, LIKED, POPULAR, RANDOM, LINEAR, ORACLE}
    assert all(report.share.shape == (4, 16) for report in study.reports.values())
    assert all(np.isfinite(report.share).all() for report in study.reports.values())
    assert len(study.position_biases) == 2


def test_ours_lies_between_the_baselines_and_the_oracle(study):
    shares = {name: study.share_after(name, 3).mean for name in study.reports}
    assert (
        shares[ORACLE]
        > shares[LINEAR]
        > shares[SERVED]
        > max(shares[LIKED], shares[POPULAR], shares[LOGIT])
        > shares[RANDOM]
    )
    assert study.lead_after(SERVED, LIKED, 3).low > 0
    assert study.regret(ORACLE).mean < study.regret(SERVED).mean < study.regret(RANDOM).mean


def test_figures_have_an_interval_and_go_as_far_as_the_loop(study):
    figure = study.share_after(SERVED, 3)
    assert figure.low < figure.mean < figure.high
    assert len(study.shares(SERVED)) >= len(study.regrets(SERVED)) == 4
    assert study.shares(SERVED)[3] == figure
    assert study.regrets(SERVED)[-1] == study.regret(SERVED)


def test_segments_divide_the_buyers_by_type(study):
    kinds = [members for name, members in study.segments.items() if name not in (ALL_BUYERS, "top of the list only")]
    np.testing.assert_array_equal(np.sum(kinds, axis=0), 1)
    assert study.segments[ALL_BUYERS].sum() == 16


def test_a_study_is_the_same_each_time_and_a_market_does_not_depend_on_the_others(study):
    second = run_study(replace(CONFIG, seeds=(2,)))
    np.testing.assert_array_equal(second.reports[SERVED].share, study.reports[SERVED].share[:, 8:])


def test_an_interval_over_buyers_by_hand():
    report = LoopReport(np.array([[0.5, 0.5]]), np.array([[1.0, 3.0]]), np.zeros((1, 2), int))
    study = Study(CONFIG, {SERVED: report}, {ALL_BUYERS: np.array([True, True]), "one": np.array([False, True])}, [0.0])
    assert study.share_after(SERVED, 0).low == study.share_after(SERVED, 0).high == 0.5
    assert study.regret(SERVED).mean == 2.0
    assert study.regret(SERVED, "one").mean == 3.0


def test_without_a_log_it_runs_all_the_same():
    alone = run_study(replace(CONFIG, n_others=0, seeds=(1,), n_buyers=3))
    assert np.isfinite(alone.reports[SERVED].share).all()


def test_a_market_of_one_car_has_no_regret():
    one = run_study(replace(CONFIG, n_listings=1, n_others=3, seeds=(1,), n_buyers=2))
    assert not np.isinf(one.reports[SERVED].share).any()


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"n_listings": 0}, "n_listings"), ({"n_buyers": 0}, "n_buyers"), ({"n_others": -1}, "n_others"),
        ({"log_events": -1}, "log_events"), ({"seeds": ()}, "seeds"), ({"seeds": (1, 1)}, "seeds"),
        ({"events": (6,)}, "events must be numbers from 0 to 3"), ({"events": ()}, "events"),
    ],
)  # fmt: skip
def test_a_study_that_makes_no_sense_is_refused_by_name(fault, named):
    with pytest.raises(ValueError, match=named):
        replace(CONFIG, **fault)
