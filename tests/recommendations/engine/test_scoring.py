import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recommendations.engine.demand import decayed_counts
from recommendations.engine.score_terms import (
    DEFAULT_WEIGHTS,
    TERMS,
    archetype_term,
    deal_term,
    demand_term,
    distance_term,
    freshness_term,
)
from recommendations.engine.scoring import (
    LinearScore,
    PriceModel,
    ScoreConfig,
    fit_prices,
    learn_score,
    terms_that_do_not_help,
)

# The terms


def test_an_event_counts_half_after_a_half_life():
    got = decayed_counts([0, 0, 2, 2], age_days=[0, 7, 14, -3], half_life_days=7, n_listings=3)
    assert got.tolist() == [1.5, 0, 1.25]


def test_events_may_count_differently():
    assert decayed_counts([1], [7], half_life_days=7, n_listings=2, weights=[4]).tolist() == [0, 2]
    assert decayed_counts([], [], half_life_days=7, n_listings=2).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("rows", "age", "half_life", "complaint"),
    [
        ([5], [1], 7, "between 0 and 2"),
        ([-1], [1], 7, "between 0"),
        ([0], [1, 2], 7, "one length"),
        ([0], [1], 0, "half"),
    ],
)
def test_counts_refuse_what_cannot_be_counted(rows, age, half_life, complaint):
    with pytest.raises(ValueError, match=complaint):
        decayed_counts(rows, age, half_life, n_listings=3)


def test_demand_compares_rates_and_doubts_short_ones():
    """Nothing fades here; listings have stood 10, 10 and 0 days; the average is one contact in five days."""
    got = demand_term([3, 1, 0], listed_days=[10, 10, 0], half_life_days=1e9, prior_days=10)
    # (3 + 10/5) / (10 + 10) = 0.25 against 0.2; (1 + 2) / 20 = 0.15; and a new one is average
    np.testing.assert_allclose(got, np.log([0.25 / 0.2, 0.15 / 0.2, 1.0]), atol=1e-6)


def test_demand_without_any_contact_is_average():
    assert demand_term([0, 0], [1, np.nan], half_life_days=7).tolist() == [0, 0]
    assert demand_term([], [], half_life_days=7).tolist() == []


def test_freshness_halves():
    np.testing.assert_allclose(freshness_term([0, 7, 14, -1, np.nan], half_life_days=7), [1, 0.5, 0.25, 1, np.nan])


def test_a_deal_is_the_log_of_the_saving_within_reason():
    got = deal_term([10_000, 8_000, 1, np.nan, 0], [10_000, 10_000, 10_000, 10_000, 10_000])
    np.testing.assert_allclose(got, [0, np.log(1.25), np.log(2), np.nan, np.nan])


def test_distance_falls_ever_more_slowly():
    got = distance_term([0, 50, 100, np.nan], scale_km=50)
    np.testing.assert_allclose(got, [0, -np.log(2), -np.log(3), np.nan])
    with pytest.raises(ValueError, match="scale_km"):
        distance_term([1], scale_km=0)


def test_the_archetype_term_looks_up_the_archetype():
    np.testing.assert_allclose(archetype_term([0.5, 2.0], [1, 0, -1]), [2.0, 0.5, np.nan])
    np.testing.assert_allclose(archetype_term([], [-1, 0]), [np.nan, np.nan])


# Prices


def test_prices_of_groups_and_slopes_are_recovered():
    rng = np.random.default_rng(0)
    groups, age = rng.integers(0, 5, 2000), rng.uniform(0, 15, 2000)
    # expensive groups are younger here, which must not steepen the slope
    age -= groups
    prices = np.exp(9 + 0.4 * groups - 0.12 * age + rng.normal(scale=0.05, size=2000))
    model = fit_prices(prices, groups, age[:, None], n_groups=5)
    assert model.slopes[0] == pytest.approx(-0.12, abs=0.002)
    expected = model.expect([0, 4], [[2.0], [2.0]])
    np.testing.assert_allclose(expected, np.exp([9 - 0.24, 9 + 1.6 - 0.24]), rtol=0.03)


def test_a_small_group_is_pulled_to_the_average():
    prices = [10_000.0] * 20 + [40_000.0]
    model = fit_prices(prices, [0] * 20 + [1], np.zeros((21, 0)), n_groups=2, group_strength=3)
    common, rare = model.expect([0, 1], np.zeros((2, 0)))
    assert 10_000 < rare < 20_000
    assert common == pytest.approx(10_000, rel=0.03)


def test_unknown_prices_groups_and_covariates_do_no_harm():
    model = fit_prices([100.0, np.nan, 0.0, 100.0], [0, 0, 0, -1], [[1.0], [1.0], [1.0], [1.0]], n_groups=1)
    expected = model.expect([0, -1, 7], [[np.nan], [1.0], [1.0]])
    np.testing.assert_allclose(expected, 100.0)
    nothing = fit_prices([], [], np.zeros((0, 2)), n_groups=1)
    assert np.isfinite(nothing.expect([0], [[1.0, 2.0]])).all()


def test_a_price_model_survives_storage():
    model = fit_prices([100.0, 300.0], [0, 1], [[1.0], [2.0]], n_groups=2)
    again = PriceModel.from_arrays(model.to_arrays())
    np.testing.assert_array_equal(again.expect([0, 1], [[3.0], [4.0]]), model.expect([0, 1], [[3.0], [4.0]]))


def test_prices_refuse_arrays_that_disagree():
    with pytest.raises(ValueError, match="one length"):
        fit_prices([1.0], [0, 1], np.zeros((2, 1)), n_groups=2)
    with pytest.raises(ValueError, match="below 2"):
        fit_prices([1.0], [2], np.zeros((1, 1)), n_groups=2)
    with pytest.raises(ValueError, match="covariates must have shape"):
        fit_prices([1.0], [0], np.zeros((1, 1)), n_groups=1).expect([0], np.zeros((1, 2)))


def test_a_group_leans_on_the_one_above_it():
    """Group 0 is the make with 7 listings of its own at 100; group 1, below it, has one at 100 e."""
    prices = [100.0] * 7 + [100.0 * np.e]
    model = fit_prices(prices, [0] * 7 + [1], np.zeros((8, 0)), n_groups=2, group_strength=3, parents=[-1, 0])
    # the average is log 100 + 1/8; the make, both groups together, lies 0 above it; the model 7/8, shrunk by 3
    np.testing.assert_allclose(model.levels, [0.0, 7 / 8 / (1 + 3)], atol=1e-12)


def test_a_rate_may_be_compared_with_an_average_from_elsewhere():
    np.testing.assert_allclose(
        demand_term([2.0], [10], half_life_days=1e9, prior_days=10, average=0.1), [np.log(3 / 20 / 0.1)], atol=1e-6
    )


def test_a_score_says_what_a_unit_of_a_term_is_worth_and_where_it_has_its_zero():
    assert HAND_MADE.scale_of("deal") == 1.0 / 0.1
    assert HAND_MADE.mean_of("utility") == 1.0


def test_only_some_terms_may_count():
    full = LinearScore.default().only(["deal"])
    assert full.weights[full.names.index("deal")] == DEFAULT_WEIGHTS["deal"]
    assert np.count_nonzero(full.weights) == 1


# The sum

HAND_MADE = LinearScore(("utility", "deal"), np.array([2.0, 1.0]), np.array([1.0, 0.0]), np.array([1.0, 0.1]))


def test_a_score_by_hand():
    terms = {"utility": [3.0, 1.0], "deal": [0.0, 0.2]}
    # 2 * (3 - 1) and 0; 0 and 1 * 0.2 / 0.1
    assert HAND_MADE.breakdown(terms).tolist() == [[4.0, 0.0], [0.0, 2.0]]
    assert HAND_MADE.score(terms).tolist() == [4.0, 2.0]


def test_what_is_unknown_counts_as_average():
    assert HAND_MADE.score({"utility": [np.nan, 3.0]}).tolist() == [0.0, 4.0]


@settings(max_examples=60, deadline=None)
@given(
    values=hnp.arrays(np.float64, (7, len(TERMS)), elements=st.floats(-1e4, 1e4) | st.just(np.nan)),
    weights=hnp.arrays(np.float64, len(TERMS), elements=st.floats(-10, 10)),
)
def test_every_breakdown_adds_up_to_its_score(values, weights):
    score = LinearScore(TERMS, weights, np.ones(len(TERMS)), np.full(len(TERMS), 0.5))
    terms = dict(zip(TERMS, values.T, strict=True))
    np.testing.assert_allclose(score.breakdown(terms).sum(axis=1), score.score(terms), atol=1e-6)
    assert np.isfinite(score.score(terms)).all()


def test_a_placement_may_set_weights():
    assert HAND_MADE.with_weights({"deal": 5.0}).weights.tolist() == [2.0, 5.0]
    assert HAND_MADE.weights.tolist() == [2.0, 1.0]
    with pytest.raises(ValueError, match="unknown terms: colour; known are utility, deal"):
        HAND_MADE.with_weights({"colour": 1.0})


@pytest.mark.parametrize(
    ("terms", "complaint"),
    [
        ({"colour": [1.0]}, "unknown terms: colour"),
        ({"utility": [1.0], "deal": [1.0, 2.0]}, "of one shape"),
        ({"utility": [np.inf]}, "infinite"),
        ({}, "of one shape"),
    ],
)
def test_terms_that_make_no_sense_are_refused(terms, complaint):
    with pytest.raises(ValueError, match=complaint):
        HAND_MADE.score(terms)


def test_a_score_checks_itself():
    with pytest.raises(ValueError, match="deviations must be positive"):
        LinearScore(("utility",), [1.0], [0.0], [0.0])
    with pytest.raises(ValueError, match="weights must be 1 finite numbers"):
        LinearScore(("utility",), [np.nan], [0.0], [1.0])


def test_a_score_survives_storage():
    again = LinearScore.from_arrays(LinearScore.default().to_arrays())
    assert again.names == TERMS
    np.testing.assert_array_equal(again.weights, LinearScore.default().weights)


# Learning


def choices(rng, true_weights, n_events=3000, n_alternatives=6):
    """Choices by a sum of all terms in unlike units."""
    units = np.array([3.0, 0.2, 1.0, 0.3, 0.1, 0.7])
    values = rng.normal(size=(n_events, n_alternatives, len(TERMS))) * units + 5 * units
    utility = (values / units) @ true_weights + rng.gumbel(size=(n_events, n_alternatives))
    return dict(zip(TERMS, np.moveaxis(values, -1, 0), strict=True)), utility.argmax(axis=1)


def test_weights_per_standard_deviation_are_learned_whatever_the_units():
    true = np.array([1.5, 0.5, 0.0, 0.2, 0.8, 0.3])
    terms, chosen = choices(np.random.default_rng(1), true)
    np.testing.assert_allclose(learn_score(terms, chosen).weights, true, atol=0.12)


def test_a_weight_that_would_be_negative_is_zero_unless_it_may_be():
    true = np.array([1.0, 0.0, -0.8, 0.0, 0.0, 0.0])
    terms, chosen = choices(np.random.default_rng(2), true)
    demand = TERMS.index("demand")
    assert learn_score(terms, chosen).weights[demand] == 0
    free = learn_score(terms, chosen, config=ScoreConfig(non_negative=("utility",)))
    assert free.weights[demand] == pytest.approx(-0.8, abs=0.12)


def test_without_events_the_weights_stay_as_they_were_thought():
    got = learn_score({"utility": np.zeros((0, 3))}, np.zeros(0, int))
    assert dict(zip(got.names, got.weights, strict=True)) == DEFAULT_WEIGHTS


def test_few_events_move_the_weights_little_and_many_a_lot():
    true = np.array([0.0, 2.0, 0.0, 0.0, 0.0, 0.0])
    terms, chosen = choices(np.random.default_rng(3), true)
    few = learn_score({name: values[:5] for name, values in terms.items()}, chosen[:5])
    many = learn_score(terms, chosen)
    assert abs(few.weights[0] - 1.0) < 0.3
    assert abs(many.weights[0]) < 0.1


def test_a_term_left_out_keeps_its_weight():
    terms, chosen = choices(np.random.default_rng(4), np.ones(6), n_events=200)
    del terms["distance"]
    got = learn_score(terms, chosen)
    assert got.weights[TERMS.index("distance")] == pytest.approx(DEFAULT_WEIGHTS["distance"])


def test_padding_and_unknown_values_do_not_disturb():
    terms, chosen = choices(np.random.default_rng(5), np.ones(6), n_events=300)
    padded = {name: np.column_stack([values, np.full(300, np.nan)]) for name, values in terms.items()}
    available = np.column_stack([np.ones((300, 6), bool), np.zeros(300, bool)])
    np.testing.assert_allclose(
        learn_score(padded, chosen, available=available).weights, learn_score(terms, chosen).weights, atol=1e-6
    )


def test_learning_refuses_what_it_cannot_read():
    with pytest.raises(ValueError, match="must have shape"):
        learn_score({"utility": np.zeros(3)}, np.zeros(3, int))
    with pytest.raises(ValueError, match="available must have shape"):
        learn_score({"utility": np.zeros((2, 3))}, np.zeros(2, int), available=np.ones((2, 2), bool))
    with pytest.raises(ValueError, match="strength"):
        ScoreConfig(strength=0)
    with pytest.raises(ValueError, match="unknown terms: colour"):
        ScoreConfig(non_negative=("colour",))


def test_without_events_the_given_prior_stays():
    prior = {**DEFAULT_WEIGHTS, "demand": 5.0}
    got = learn_score({"utility": np.zeros((0, 2))}, [], config=ScoreConfig(prior=prior))
    assert got.weights.tolist() == list(prior.values())
    with pytest.raises(ValueError, match="every term"):
        ScoreConfig(prior={"utility": 1.0})


def test_a_term_gets_no_credit_for_standing_at_the_top():
    """Lists are sorted by demand, and buyers take the first of three cars in half of the cases, whatever it is."""
    n = 600
    first = np.random.default_rng(0).choice(3, n, p=[0.5, 0.3, 0.2])
    demand = np.tile([1.0, 0.5, 0.0], (n, 1)) + np.random.default_rng(1).normal(size=(n, 3)) * 0.2
    positions = np.tile([1, 2, 3], (n, 1))
    terms = {"utility": np.zeros((n, 3)), "demand": demand}
    at = list(DEFAULT_WEIGHTS).index("demand")
    naive, fair = learn_score(terms, first), learn_score(terms, first, positions=positions)
    assert naive.weights[at] > 0.2
    assert fair.weights[at] < 0.1
    unknown_places = learn_score(terms, first, positions=np.full((n, 3), np.nan))
    np.testing.assert_allclose(unknown_places.weights, naive.weights)
    with pytest.raises(ValueError, match="positions"):
        learn_score(terms, first, positions=[[1, 2, 3]])


def test_terms_that_predict_nothing_are_found_and_those_that_do_stay():
    rng = np.random.default_rng(8)
    terms = {name: rng.normal(size=(900, 12)) for name in ("utility", "demand", "freshness", "deal")}
    chosen = (1.0 * terms["utility"] + 0.7 * terms["demand"] + rng.gumbel(size=(900, 12))).argmax(axis=1)
    buyers = np.arange(900) // 9
    useless = terms_that_do_not_help(terms, chosen, buyers)
    assert useless >= {"archetype", "distance"}, "they are unknown for every listing"
    assert not useless & {"utility", "demand"}
    got = learn_score(terms, chosen, config=ScoreConfig(switched_off=useless))
    weights = dict(zip(got.names, got.weights.tolist(), strict=True))
    assert all(weights[name] == 0 for name in useless)
    assert weights["demand"] == pytest.approx(0.7, abs=0.15)


def test_a_term_that_misleads_weighs_nothing():
    rng = np.random.default_rng(9)
    terms = {name: rng.normal(size=(600, 10)) for name in ("utility", "deal")}
    chosen = (terms["utility"] - 0.4 * terms["deal"] + rng.gumbel(size=(600, 10))).argmax(axis=1)
    assert "deal" in terms_that_do_not_help(terms, chosen, np.arange(600) // 6)


def test_a_term_that_helps_no_more_than_chance_explains_weighs_nothing():
    """Noise helps a little in half of all samples; what is worth something does in nearly all."""
    noise, kept = 0, 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        terms = {name: rng.normal(size=(300, 6)) for name in ("utility", "demand", "deal")}
        chosen = (terms["utility"] + 0.5 * terms["demand"] + rng.gumbel(size=(300, 6))).argmax(axis=1)
        useless = terms_that_do_not_help(terms, chosen, np.arange(300) // 3)
        noise, kept = noise + ("deal" not in useless), kept + ("demand" not in useless)
    assert noise <= 3
    assert kept == 12


def test_a_gain_that_rests_on_few_buyers_is_chance_also_beside_a_smaller_one_that_does_not():
    """Some want the one thing and some its contrary: all in all it gains more than another, but not surely."""
    rng = np.random.default_rng(2)
    terms = {name: rng.normal(size=(600, 6)) for name in ("utility", "demand", "deal")}
    buyers = np.arange(600) // 10
    wants = np.where(rng.random(60) < 0.6, 1.5, -1.5)[buyers]
    utility = terms["utility"] + 0.3 * terms["demand"] + wants[:, None] * terms["deal"]
    useless = terms_that_do_not_help(terms, (utility + rng.gumbel(size=(600, 6))).argmax(axis=1), buyers)
    assert "deal" in useless
    assert "demand" not in useless


def test_few_choices_or_one_buyer_say_nothing_against_a_term():
    rng = np.random.default_rng(10)
    terms = {"utility": rng.normal(size=(400, 5))}
    chosen = terms["utility"].argmax(axis=1)
    assert terms_that_do_not_help(terms, chosen, np.zeros(400, int)) == frozenset()
    few = {"utility": terms["utility"][:50]}
    assert terms_that_do_not_help(few, chosen[:50], np.arange(50)) == frozenset()


def test_a_term_to_switch_off_is_known():
    with pytest.raises(ValueError, match="unknown terms"):
        ScoreConfig(switched_off=frozenset({"colour"}))
