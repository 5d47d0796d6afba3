from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import optimize

from recommendations.engine import logit
from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.logit import NewtonConfig
from recommendations.engine.mixture import MixtureConfig, tastes
from recommendations.engine.parts import LocalParts
from recommendations.engine.population import PriorConfig, fit_prior, fit_prior_in_parts
from recommendations.engine.taste import (
    Prior,
    Taste,
    draw,
    pack_covariance,
    posterior,
    posterior_batch,
    unpack_covariance,
)

STANDARD_NORMAL = Prior(np.zeros(1), np.eye(1))
SPORTY_OVER_PLAIN = ChoiceSets(np.array([[[1.0], [0.0]]]), np.array([0]))


def random_sets(rng, n_events=8, n_alternatives=5, n_dims=4, weights=None):
    """Choices of a buyer whose weights are drawn from a standard normal, some of them dislikes, some sets shorter."""
    features = rng.normal(size=(n_events, n_alternatives, n_dims))
    available = rng.random((n_events, n_alternatives)) < 0.8
    reverse = rng.random(n_events) < 0.25
    utility = features @ rng.normal(size=n_dims) + rng.gumbel(size=(n_events, n_alternatives))
    utility = np.where(reverse[:, None], -utility, utility)
    chosen = utility.argmax(axis=1)
    available[np.arange(n_events), chosen] = True
    offsets = rng.normal(size=(n_events, n_alternatives))
    return ChoiceSets(features, chosen, weights, reverse, available, offsets)


def slow_cost(weights, sets, prior):
    """Minus log posterior, event by event, as the textbook writes it."""
    from_prior = weights - prior.mean
    cost = 0.5 * from_prior @ np.linalg.inv(prior.covariance) @ from_prior
    for event in range(len(sets)):
        sign = -1 if sets.reverse[event] else 1
        utility = sign * sets.features[event] @ weights + sets.offsets[event]
        total = np.exp(utility[sets.available[event]]).sum()
        cost -= sets.weights[event] * (utility[sets.chosen[event]] - np.log(total))
    return cost


def slow_curvature(weights, sets, prior):
    """Second derivative of the cost, event by event."""
    curvature = np.linalg.inv(prior.covariance)
    for event in range(len(sets)):
        features, offsets = (part[event][sets.available[event]] for part in (sets.features, sets.offsets))
        odds = np.exp(features @ weights * (-1 if sets.reverse[event] else 1) + offsets)
        p = odds / odds.sum()
        curvature += sets.weights[event] * features.T @ (np.diag(p) - np.outer(p, p)) @ features
    return curvature


# One buyer


def test_one_choice_between_two_cars_moves_the_taste_towards_the_chosen():
    taste = posterior(SPORTY_OVER_PLAIN, STANDARD_NORMAL)
    # the mode of a standard normal times a logistic solves w = 1 - sigmoid(w)
    np.testing.assert_allclose(taste.mean, [0.4011], atol=1e-4)
    # and the curvature there is 1 + p (1 - p) with p = sigmoid(0.4011) = 0.5989
    np.testing.assert_allclose(taste.covariance, [[1 / (1 + 0.5989 * 0.4011)]], atol=1e-4)


def test_a_dislike_moves_the_taste_the_other_way_by_as_much():
    dislike = replace(SPORTY_OVER_PLAIN, reverse=np.array([True]))
    np.testing.assert_allclose(posterior(dislike, STANDARD_NORMAL).mean, [-0.4011], atol=1e-4)


def test_what_the_place_in_the_list_explains_is_not_put_down_to_taste():
    def taste_with(offset):
        return posterior(
            ChoiceSets(np.array([[[1.0], [0.0]]]), np.array([0]), offsets=[[offset, 0.0]]), STANDARD_NORMAL
        )

    # w = 1 - sigmoid(w + offset): hardly anything is left to explain where the choice was a matter of course
    np.testing.assert_allclose(taste_with(0.0).mean, [0.4011], atol=1e-4)
    np.testing.assert_allclose(taste_with(2.0).mean, [0.1083], atol=1e-4)
    assert taste_with(-2.0).mean > 0.6


def test_an_event_of_weight_two_counts_like_two_events():
    twice = SPORTY_OVER_PLAIN.take([0, 0])
    heavy = SPORTY_OVER_PLAIN.reweighted([2.0])
    np.testing.assert_allclose(
        posterior(twice, STANDARD_NORMAL).mean, posterior(heavy, STANDARD_NORMAL).mean, rtol=1e-9
    )


@pytest.mark.parametrize(
    "sets",
    [
        ChoiceSets.empty(1),
        SPORTY_OVER_PLAIN.reweighted([0.0]),
        ChoiceSets(np.ones((3, 4, 1)), np.zeros(3, int)),  # all the same car
        ChoiceSets(np.ones((1, 1, 1)), np.zeros(1, int)),  # no alternative
    ],
    ids=["no events", "no weight", "all cars alike", "nothing to choose from"],
)
def test_choices_that_say_nothing_leave_the_prior(sets):
    prior = Prior(np.array([0.7]), np.array([[2.0]]))
    taste = posterior(sets, prior)
    np.testing.assert_allclose(taste.mean, prior.mean)
    np.testing.assert_allclose(taste.covariance, prior.covariance)


@pytest.mark.parametrize("seed", range(5))
def test_mean_and_covariance_are_those_of_a_slow_obvious_search(seed):
    rng = np.random.default_rng(seed)
    sets = random_sets(rng, weights=rng.uniform(0, 4, 8))
    root = rng.normal(size=(4, 4))
    prior = Prior(rng.normal(size=4), root @ root.T + 0.1 * np.eye(4))
    slow = optimize.minimize(slow_cost, prior.mean, args=(sets, prior), tol=1e-12).x
    taste = posterior(sets, prior)
    np.testing.assert_allclose(taste.mean, slow, atol=1e-4)
    np.testing.assert_allclose(taste.covariance, np.linalg.inv(slow_curvature(taste.mean, sets, prior)), rtol=5e-3)


def test_single_precision_agrees_with_double():
    sets = random_sets(np.random.default_rng(1), n_events=40, n_alternatives=30, n_dims=16)
    single = replace(sets, features=sets.features.astype(np.float32))
    prior = Prior(np.zeros(16), np.eye(16))
    np.testing.assert_allclose(posterior(single, prior).mean, posterior(sets, prior).mean, atol=1e-4)


def test_features_with_a_large_common_part_lose_no_precision():
    sets = random_sets(np.random.default_rng(2))
    shifted = replace(sets, features=(sets.features + 200).astype(np.float32))
    prior = Prior(np.zeros(4), np.eye(4))
    np.testing.assert_allclose(posterior(shifted, prior).mean, posterior(sets, prior).mean, atol=1e-3)


@pytest.mark.parametrize("size", [1.0, 100.0, 1e4])
def test_a_separable_history_has_a_finite_taste(size):
    """Where plain Newton steps grow without end: thirty choices, all won by the same feature, and a wide prior."""
    features = np.zeros((30, 2, 2))
    features[:, 0, 0] = size
    prior = Prior(np.array([-5.0, 0.0]), np.eye(2) * 1e4)
    taste = posterior(ChoiceSets(features, np.zeros(30, int)), prior)
    assert np.isfinite(taste.mean).all()
    assert taste.mean[0] > 0
    np.testing.assert_allclose(taste.mean[1], 0, atol=1e-6)
    assert np.linalg.eigvalsh(taste.covariance).min() > 0


def test_a_search_cut_short_still_gives_a_usable_taste():
    sets = random_sets(np.random.default_rng(3))
    taste = posterior(sets, Prior(np.zeros(4), np.eye(4) * 100), config=NewtonConfig(max_steps=1))
    assert np.linalg.eigvalsh(taste.covariance).min() > 0


@settings(max_examples=60, deadline=None)
@given(
    features=hnp.arrays(np.float32, (3, 4, 2), elements=st.floats(-1e4, 1e4, width=32)),
    weights=hnp.arrays(np.float64, 3, elements=st.floats(0, 1e3)),
    variance=st.floats(1e-3, 1e3),
)
def test_whatever_was_chosen_the_taste_is_finite_and_its_covariance_positive_definite(features, weights, variance):
    prior = Prior(np.ones(2), np.eye(2) * variance)
    taste = posterior(ChoiceSets(features, np.array([0, 1, 2]), weights), prior)
    assert np.isfinite(taste.mean).all()
    np.testing.assert_array_equal(taste.covariance, taste.covariance.T)
    assert np.linalg.eigvalsh(taste.covariance).min() > 0
    # choices only ever add certainty
    assert np.linalg.eigvalsh(taste.covariance).max() <= variance * (1 + 1e-3)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_order_of_events_and_of_alternatives_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    sets = random_sets(rng)
    events, places = rng.permutation(8), rng.permutation(5)
    moved = ChoiceSets(
        sets.features[events][:, places],
        np.argsort(places)[sets.chosen[events]],
        sets.weights[events],
        sets.reverse[events],
        sets.available[events][:, places],
        sets.offsets[events][:, places],
    )
    prior = Prior(np.zeros(4), np.eye(4))
    np.testing.assert_allclose(posterior(moved, prior).mean, posterior(sets, prior).mean, atol=1e-6)


def test_dimensions_must_agree():
    with pytest.raises(ValueError, match="features of buyer 0 have 1 dimensions, the prior has 2"):
        posterior(SPORTY_OVER_PLAIN, Prior(np.zeros(2), np.eye(2)))
    with pytest.raises(ValueError, match="a start of 2 dimensions"):
        posterior(SPORTY_OVER_PLAIN, STANDARD_NORMAL, start=Taste(np.zeros(2), np.eye(2)))


@pytest.mark.parametrize(
    ("mean", "covariance", "complaint"),
    [
        ([0.0], np.eye(2), "does not go with"),
        ([np.nan], np.eye(1), "must be finite"),
        ([0.0, 0.0], [[1.0, 0.5], [0.0, 1.0]], "must be symmetric"),
    ],
)
def test_a_belief_checks_itself(mean, covariance, complaint):
    with pytest.raises(ValueError, match=complaint):
        Prior(np.array(mean), np.array(covariance))


def test_an_indefinite_prior_is_refused():
    with pytest.raises(ValueError, match="not positive definite"):
        posterior(
            ChoiceSets(np.array([[[1.0, 0.0], [0.0, 1.0]]]), np.array([0])),
            Prior(np.zeros(2), np.array([[1.0, 2.0], [2.0, 1.0]])),
        )


@pytest.mark.parametrize("fault", [{"tolerance": 0}, {"max_steps": 0}, {"max_halvings": 0}])
def test_the_search_refuses_limits_that_cannot_work(fault):
    with pytest.raises(ValueError, match=next(iter(fault))):
        NewtonConfig(**fault)


# From a known preference


def test_starting_from_the_last_taste_gives_the_same_answer():
    sets = random_sets(np.random.default_rng(4), n_events=30)
    prior = Prior(np.zeros(4), np.eye(4))
    last = posterior(sets.take(np.arange(29)), prior)
    fresh, warm = posterior(sets, prior), posterior(sets, prior, start=last)
    np.testing.assert_allclose(warm.mean, fresh.mean, atol=1e-5)
    np.testing.assert_allclose(warm.covariance, fresh.covariance, atol=1e-4)


# Many buyers


def test_a_batch_gives_every_buyer_what_they_would_get_alone(monkeypatch):
    monkeypatch.setattr(logit, "BATCH_BYTES", 4000)  # several batches of several buyers
    rng = np.random.default_rng(8)
    buyers = [random_sets(rng, n_events=n, n_alternatives=m) for n, m in rng.integers(1, 9, (20, 2))]
    buyers[3], buyers[7] = ChoiceSets.empty(4), random_sets(rng).reweighted(np.zeros(8))
    prior = Prior(np.ones(4), np.eye(4) * 3)
    for sets, taste in zip(buyers, posterior_batch(buyers, prior), strict=True):
        alone = posterior(sets, prior)
        np.testing.assert_allclose(taste.mean, alone.mean, atol=1e-7)
        np.testing.assert_allclose(taste.covariance, alone.covariance, atol=1e-7)


def test_a_batch_of_no_buyers_is_empty():
    assert posterior_batch([], STANDARD_NORMAL) == []


def test_a_batch_names_the_buyer_whose_dimensions_are_wrong():
    with pytest.raises(ValueError, match="buyer 1 have 2 dimensions"):
        posterior_batch([SPORTY_OVER_PLAIN, ChoiceSets.empty(2)], STANDARD_NORMAL)


# Draws and storage


def test_draws_have_the_mean_and_covariance_of_the_taste():
    taste = Taste(np.array([1.0, -2.0]), np.array([[2.0, 0.9], [0.9, 0.5]]))
    weights = draw(taste, np.random.default_rng(9), n=200_000)
    assert weights.shape == (200_000, 2)
    np.testing.assert_allclose(weights.mean(axis=0), taste.mean, atol=0.02)
    np.testing.assert_allclose(np.cov(weights.T), taste.covariance, atol=0.02)


def test_the_same_generator_draws_the_same_weights():
    taste = Taste(np.zeros(3), np.eye(3))
    one, two = draw(taste, np.random.default_rng(1)), draw(taste, np.random.default_rng(1))
    np.testing.assert_array_equal(one, two)


def test_a_packed_covariance_comes_back_and_takes_four_bytes_per_number():
    root = np.random.default_rng(10).normal(size=(128, 128))
    covariance = root @ root.T / 128 + 0.01 * np.eye(128)
    content = pack_covariance(covariance)
    assert len(content) == 4 * 128 * 129 // 2
    unpacked = unpack_covariance(content, 128)
    np.testing.assert_allclose(unpacked, covariance, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(unpacked, unpacked.T)


def test_the_lower_triangle_is_stored_row_by_row():
    content = pack_covariance(np.array([[1.0, 2.0], [2.0, 9.0]]))
    assert np.frombuffer(content, "<f4").tolist() == [1, 2, 9]


def test_a_covariance_that_rounding_made_indefinite_is_mended():
    covariance = np.full((3, 3), 0.1) + np.eye(3) * 1e-12
    unpacked = unpack_covariance(pack_covariance(covariance), 3)
    assert np.linalg.eigvalsh(unpacked).min() > 0
    np.testing.assert_allclose(unpacked, covariance, atol=1e-5)


def test_stored_nonsense_is_refused():
    with pytest.raises(ValueError, match="7 bytes are not the lower triangle"):
        unpack_covariance(b"1234567", 1)
    with pytest.raises(ValueError, match="8 bytes are not the lower triangle"):
        unpack_covariance(b"12345678", 2)
    with pytest.raises(ValueError, match="not finite"):
        unpack_covariance(np.array([np.nan], "<f4").tobytes(), 1)
    with pytest.raises(ValueError, match="square"):
        pack_covariance(np.zeros((2, 3)))


# The population


def population(rng, n_buyers, n_events=10, n_alternatives=4):
    """Buyers who agree on the first feature and differ along the diagonal of the other two; and their true prior."""
    true = Prior(np.array([1.5, 0.0, -0.5]), np.array([[0.05, 0, 0], [0, 2.0, 1.6], [0, 1.6, 2.0]]))
    buyers = []
    for weights in draw(true, rng, n_buyers):
        features = rng.normal(size=(n_events, n_alternatives, 3))
        utility = features @ weights + rng.gumbel(size=(n_events, n_alternatives))
        buyers.append(ChoiceSets(features, utility.argmax(axis=1)))
    return buyers, true


def test_the_population_is_recovered_from_many_buyers():
    buyers, true = population(np.random.default_rng(11), n_buyers=400, n_events=80, n_alternatives=6)
    prior = fit_prior(buyers, 3)
    np.testing.assert_allclose(prior.mean, true.mean, atol=0.2)
    np.testing.assert_allclose(prior.covariance, true.covariance, atol=0.4)


def test_the_callback_that_receives_the_rounds_can_stop_the_fit():
    buyers, _ = population(np.random.default_rng(16), n_buyers=20)
    shares: list[float] = []

    def stop(share: float) -> None:
        shares.append(share)
        if len(shares) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fit_prior_in_parts(LocalParts([buyers]), 3, PriorConfig(max_iterations=10), report=stop)
    assert shares == [0.0, 0.1]


def test_more_rounds_than_the_tolerance_asks_for_change_little():
    buyers, _ = population(np.random.default_rng(16), n_buyers=100)
    usual = fit_prior(buyers, 3)
    patient = fit_prior(buyers, 3, PriorConfig(tolerance=1e-6, max_iterations=500))
    np.testing.assert_allclose(usual.mean, patient.mean, atol=0.05)
    np.testing.assert_allclose(usual.covariance, patient.covariance, atol=0.05)


def test_the_fixed_point_is_that_of_plain_expectation_maximisation():
    """One M-step as the textbook writes it, from where the fast rounds ended, leads nowhere else."""
    buyers, _ = population(np.random.default_rng(17), n_buyers=40)
    config = PriorConfig(tolerance=1e-6, max_iterations=1000, mean_strength=1e-9, covariance_strength=1e-9)
    prior = fit_prior(buyers, 3, config)
    tastes = posterior_batch(buyers, prior)
    means = np.array([taste.mean for taste in tastes])
    np.testing.assert_allclose(means.mean(axis=0), prior.mean, atol=1e-4)
    plain = np.mean([taste.covariance for taste in tastes], axis=0) + np.cov(means.T, bias=True)
    np.testing.assert_allclose(plain, prior.covariance, atol=1e-3)


def log_evidence(sets: ChoiceSets, prior: Prior) -> float:
    """Laplace's estimate of the log probability of choices before the weights are known (MacKay 2003, ch. 27)."""
    taste = posterior(sets, prior)
    likelihood, _ = logit.log_likelihood(logit.stack([sets]), taste.mean[None])
    from_prior = taste.mean - prior.mean
    distance = from_prior @ np.linalg.solve(prior.covariance, from_prior)
    gained = np.linalg.slogdet(prior.covariance)[1] - np.linalg.slogdet(taste.covariance)[1]
    return float(likelihood[0] - 0.5 * (distance + gained))


def test_a_learned_prior_explains_new_buyers_better_than_a_plain_one():
    rng = np.random.default_rng(12)
    buyers, _ = population(rng, n_buyers=200)
    unseen, _ = population(rng, n_buyers=100)
    learned, plain = fit_prior(buyers, 3), Prior(np.zeros(3), np.eye(3))

    def evidence(prior):
        return sum(log_evidence(sets, prior) for sets in unseen)

    assert evidence(learned) > evidence(plain) + 20


def test_evidence_of_one_event_is_close_to_the_integral_it_stands_for():
    # by symmetry a standard normal buyer picks either of two cars with probability one half
    assert log_evidence(SPORTY_OVER_PLAIN, STANDARD_NORMAL) == pytest.approx(np.log(0.5), abs=0.02)


@pytest.mark.parametrize(
    "buyers",
    [[], [ChoiceSets.empty(2)], [ChoiceSets(np.ones((3, 4, 2)), np.zeros(3, int))]],
    ids=["no buyer", "no buyer with events", "only cars that are all alike"],
)
def test_without_anything_to_learn_from_the_prior_is_neutral(buyers):
    prior = fit_prior(buyers, 2, PriorConfig(default_variance=0.5))
    assert prior.mean.tolist() == [0, 0]
    np.testing.assert_array_equal(prior.covariance, np.eye(2) * 0.5)


@pytest.mark.parametrize(("n_buyers", "n_events"), [(1, 1), (1, 10), (3, 1), (5, 3)])
def test_few_buyers_give_a_finite_prior_that_still_doubts(n_buyers, n_events):
    buyers, _ = population(np.random.default_rng(13), n_buyers=n_buyers, n_events=n_events)
    prior = fit_prior(buyers, 3)
    assert np.isfinite(prior.mean).all()
    assert np.abs(prior.mean).max() < 10
    assert np.linalg.eigvalsh(prior.covariance).min() > 1e-3


def test_few_buyers_are_shrunk_towards_equal_variances():
    buyers, _ = population(np.random.default_rng(14), n_buyers=20)

    def unevenness(strength):
        covariance = fit_prior(buyers, 3, PriorConfig(covariance_strength=strength)).covariance
        return np.linalg.cond(covariance)

    assert unevenness(100.0) < 1.3 < unevenness(0.1)


def test_the_prior_is_the_same_each_time_and_for_a_sample_too():
    buyers, _ = population(np.random.default_rng(15), n_buyers=40)
    config = PriorConfig(max_buyers=25, seed=3)
    one, two = fit_prior(buyers, 3, config), fit_prior(buyers, 3, config)
    np.testing.assert_array_equal(one.mean, two.mean)
    np.testing.assert_array_equal(one.covariance, two.covariance)
    assert not np.array_equal(one.mean, fit_prior(buyers, 3).mean)


@pytest.mark.parametrize(
    "fault", [{"max_buyers": 0}, {"max_iterations": 0}, {"tolerance": 0}, {"default_variance": np.nan}]
)
def test_a_population_refuses_settings_that_cannot_work(fault):
    with pytest.raises(ValueError, match=next(iter(fault))):
        PriorConfig(**fault)


def test_a_population_needs_dimensions():
    with pytest.raises(ValueError, match="n_dims must be at least 1"):
        fit_prior([], 0)
    with pytest.raises(ValueError, match="buyer 0 have 1 dimensions"):
        fit_prior([SPORTY_OVER_PLAIN], 2)


# Several interests


def multi_interest_choices(rng, preferences, n_events):
    """Events of several people with opposite wishes, mixed in time."""
    features = rng.normal(size=(n_events, 8, 3))
    wishes = np.array(preferences, dtype=float)[rng.integers(len(preferences), size=n_events)]
    utility = (features @ wishes[:, :, None])[..., 0] + rng.gumbel(size=(n_events, 8))
    return ChoiceSets(features, utility.argmax(axis=1))


WIDE = Prior(np.zeros(3), np.eye(3) * 4)


def test_a_buyer_with_opposite_interests_has_two_preferences():
    sets = multi_interest_choices(np.random.default_rng(20), [[4, 0, 0], [-4, 0, 0]], n_events=60)
    (share, one), (rest, other) = tastes(sets, WIDE)
    assert share + rest == pytest.approx(1)
    assert 0.5 <= share < 0.7
    assert one.mean[0] * other.mean[0] < 0
    assert min(abs(one.mean[0]), abs(other.mean[0])) > 2


def test_three_tastes_are_found_where_three_are_allowed():
    sets = multi_interest_choices(np.random.default_rng(21), [[5, 0, 0], [-5, 3, 0], [0, -3, 5]], n_events=120)
    assert len(tastes(sets, WIDE)) == 3
    assert len(tastes(sets, WIDE, max_tastes=2)) == 2


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n_events", [1, 12, 60])
def test_a_buyer_with_one_taste_keeps_one(seed, n_events):
    sets = multi_interest_choices(np.random.default_rng(seed), [[3, -1, 0.5]], n_events)
    ((share, taste),) = tastes(sets, WIDE)
    assert share == 1
    np.testing.assert_allclose(taste.mean, posterior(sets, WIDE).mean, atol=1e-6)


def test_a_buyer_without_events_has_one_preference_the_prior():
    ((share, taste),) = tastes(ChoiceSets.empty(3), WIDE)
    assert share == 1
    np.testing.assert_array_equal(taste.mean, WIDE.mean)


def test_events_that_are_all_alike_are_one_taste():
    sets = ChoiceSets(np.ones((40, 5, 3)), np.zeros(40, int))
    assert len(tastes(sets, WIDE)) == 1


def test_the_number_of_tastes_is_at_least_one():
    with pytest.raises(ValueError, match="max_tastes must be at least 1"):
        tastes(ChoiceSets.empty(3), WIDE, max_tastes=0)
    with pytest.raises(ValueError, match="min_weight"):
        MixtureConfig(min_weight=0)
