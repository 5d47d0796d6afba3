import numpy as np
import pytest

from recommendations.engine.policy import ListPolicy, Pool, build_list
from recommendations.metrics.off_policy import DOUBLY_ROBUST, IPS, SNIPS, Trials, estimates

N_ITEMS, K, N_BUYERS = 8, 4, 400


def served(target_scores: np.ndarray, *, seed: int = 0, support: str = "all") -> tuple[Trials, float]:
    """Lists as ``build_list`` makes and logs them, and what a list by other scores would really have earned."""
    rng = np.random.default_rng(seed)
    appeal = rng.uniform(0.05, 0.6, N_ITEMS)
    seen = 1 / np.arange(1.0, K + 1)
    target = np.argsort(-target_scores, kind="stable")[:K]
    true_value = float((appeal[target] * seen).mean())
    # every item is the best of one draw: so every item may stand anywhere
    draws = np.eye(N_ITEMS) if support == "all" else np.eye(N_ITEMS)[:, :2]
    pool = Pool(-np.arange(N_ITEMS, dtype=float), np.eye(N_ITEMS), exploration_scores=draws)
    policy = ListPolicy(k=K, diversity=0, exploration_share=1.0)
    columns: list[tuple] = []
    guess = appeal + rng.normal(0, 0.05, N_ITEMS)  # a model of the rewards that is nearly right
    for buyer in range(N_BUYERS):
        got = build_list(pool, policy, rng)
        for position, (item, propensity) in enumerate(zip(got.rows, got.propensities, strict=True)):
            opened = rng.random() < appeal[item] * seen[position]
            columns.append((opened, propensity, target[position] == item, buyer, guess[item] * seen[position],
                            guess[target[position]] * seen[position]))  # fmt: skip
    return Trials(*(np.array(column, float) for column in zip(*columns, strict=True))), true_value


def test_estimates_find_the_true_value_of_a_policy_that_was_never_served():
    errors: dict[str, list[float]] = {}
    widths: dict[str, list[float]] = {}
    n_covered = 0
    for seed in range(8):
        trials, truth = served(np.arange(N_ITEMS, dtype=float), seed=seed)
        found = {one.name: one for one in estimates(trials, np.random.default_rng(seed), 200)}
        assert set(found) == {IPS, SNIPS, DOUBLY_ROBUST}
        for name, one in found.items():
            errors.setdefault(name, []).append(one.value - truth)
            widths.setdefault(name, []).append(one.high - one.low)
            n_covered += one.low <= truth <= one.high
    for name, values in errors.items():
        assert abs(np.mean(values)) < 0.03, name
    assert np.mean(widths[DOUBLY_ROBUST]) < np.mean(widths[IPS]), "a good model of the rewards takes noise away"
    assert n_covered >= 0.8 * 24


def test_a_policy_that_shows_what_was_never_tried_is_warned_about():
    trials, _ = served(np.arange(N_ITEMS, dtype=float), support="two draws")
    (ips, *_) = estimates(trials, np.random.default_rng(0), 100)
    assert ips.mean_weight < 0.9
    assert any("never tried" in warning for warning in ips.warnings)


def test_what_was_served_is_its_own_estimate():
    rng = np.random.default_rng(1)
    rewards = (rng.random(600) < 0.2).astype(float)
    trials = Trials(rewards, np.full(600, 0.25), np.full(600, 0.25), np.arange(600) // 20)
    for one in estimates(trials, rng, 100):
        assert one.value == pytest.approx(rewards.mean())
        assert one.effective_n == pytest.approx(600)
        assert one.warnings == ()


def test_few_trials_that_count_are_warned_about_and_none_has_no_value():
    few = Trials(np.ones(1_000), np.full(1_000, 0.5), np.r_[np.ones(3), np.zeros(997)], np.arange(1_000))
    assert any("Only 3 of 1000" in warning for warning in estimates(few, np.random.default_rng(0), 50)[0].warnings)
    (nothing, *_) = estimates(Trials(*(np.empty(0),) * 4), np.random.default_rng(0))
    assert np.isnan(nothing.value)
    assert nothing.warnings


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [({"propensities": [0.0]}, "propensities"), ({"target": [1.5]}, "probabilities"), ({"rewards": [np.nan]}, "finite"),
     ({"buyer_ids": [1, 2]}, "buyer_ids")],
)  # fmt: skip
def test_trials_refuse_nonsense(changes, complaint):
    given = {"rewards": [1.0], "propensities": [0.5], "target": [1.0], "buyer_ids": [1]}
    with pytest.raises(ValueError, match=complaint):
        Trials(**given | changes)
