import numpy as np
import pytest

from recommendations.engine.choice_sets import ChoiceSets, event_weights, position_offsets

TWO_EVENTS = np.array([[[1.0], [0.0]], [[2.0], [5.0]]])


def test_what_is_left_out_means_equal_weights_no_dislike_and_everything_on_offer():
    sets = ChoiceSets(TWO_EVENTS, np.array([0, 1]))
    assert sets.weights.tolist() == [1, 1]
    assert not sets.reverse.any()
    assert sets.available.all()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"features": np.zeros((2, 2))}, "features must have shape"),
        ({"chosen": np.array([0])}, r"chosen must have shape \(2,\)"),
        ({"chosen": np.array([0.0, 1.0])}, "chosen must hold positions"),
        ({"chosen": np.array([0, 2])}, "chosen must lie between 0 and 1"),
        ({"chosen": np.array([-1, 0])}, "chosen must lie between 0 and 1"),
        ({"weights": np.ones(3)}, r"weights must have shape \(2,\)"),
        ({"weights": np.array([1, -1])}, "weights must be 0 to 1000"),
        ({"weights": np.array([1, np.nan])}, "weights must be 0 to 1000"),
        ({"weights": np.array([1, 1e9])}, "weights must be 0 to 1000"),
        ({"reverse": np.zeros(1, bool)}, r"reverse must have shape \(2,\)"),
        ({"available": np.ones((2, 3), bool)}, r"available must have shape \(2, 2\)"),
        ({"available": np.array([[False, True], [True, True]])}, "not among the available"),
        ({"offsets": np.zeros((2, 3))}, r"offsets must have shape \(2, 2\)"),
        ({"offsets": np.full((2, 2), np.nan)}, "offsets must lie between -100 and 100"),
        ({"offsets": np.full((2, 2), -np.inf)}, "offsets must lie between -100 and 100"),
        ({"features": np.full((2, 2, 1), np.nan)}, "features must be finite"),
        ({"features": np.full((2, 2, 1), -np.inf)}, "features must be finite"),
        ({"features": np.full((2, 2, 1), 1e5)}, "features must be finite and at most 10000"),
    ],
)
def test_bad_arrays_are_refused_by_name(changes, complaint):
    arrays = {"features": TWO_EVENTS, "chosen": np.array([0, 1])} | changes
    with pytest.raises(ValueError, match=complaint):
        ChoiceSets(**arrays)


def test_padding_may_hold_anything():
    features = np.array([[[1.0], [np.nan]], [[2.0], [5.0]]])
    sets = ChoiceSets(features, np.array([0, 1]), available=np.array([[True, False], [True, True]]))
    assert sets.differences()[0].tolist() == [[0.0], [0.0]]


def test_differences_are_taken_from_the_chosen_and_turn_round_for_a_dislike():
    sets = ChoiceSets(TWO_EVENTS, np.array([0, 1]), reverse=np.array([False, True]))
    assert sets.differences()[:, :, 0].tolist() == [[0, -1], [3, 0]]


def test_large_features_are_counted_in_double_precision():
    assert ChoiceSets(np.full((1, 2, 1), 500, np.float32), np.array([0])).features.dtype == np.float64
    assert ChoiceSets(np.full((1, 2, 1), 5.0, np.float32), np.array([0])).features.dtype == np.float32
    assert ChoiceSets(np.full((1, 2, 1), 5), np.array([0])).features.dtype == np.float64


def test_taking_events_keeps_their_arrays_together():
    sets = ChoiceSets(TWO_EVENTS, np.array([0, 1]), weights=np.array([1, 2]), reverse=np.array([False, True]))
    second = sets.take([1])
    assert (second.chosen.tolist(), second.weights.tolist(), second.reverse.tolist()) == ([1], [2.0], [True])


def test_a_weight_halves_with_each_half_life():
    weights, reverse = event_weights([4, 4, 4], age_days=[0, 30, 60], half_life_days=30)
    assert weights.tolist() == [4, 2, 1]
    assert not reverse.any()


def test_a_negative_kind_is_a_choice_against():
    weights, reverse = event_weights([-2, 0, 1], age_days=[10, 10, 10], half_life_days=[10, 10, np.inf])
    assert weights.tolist() == [1, 0, 1]
    assert reverse.tolist() == [True, False, False]


def test_an_event_from_the_future_counts_as_new():
    assert event_weights([1], age_days=[-5], half_life_days=[1])[0].tolist() == [1]


@pytest.mark.parametrize(
    ("base", "age", "half_life"), [([np.nan], [0], [1]), ([1], [np.inf], [1]), ([1], [0], [0]), ([1], [0], [np.nan])]
)
def test_weights_of_nonsense_are_refused(base, age, half_life):
    with pytest.raises(ValueError, match="must be"):
        event_weights(base, age, half_life)


def test_offsets_count_against_the_chosen_and_padding_is_impossible():
    sets = ChoiceSets(
        np.array([[[1.0], [2.0]], [[3.0], [0.0]]]),
        np.array([1, 0]),
        available=np.array([[True, True], [True, False]]),
        offsets=np.array([[0.5, 2.0], [7.0, 0.0]]),
    )
    assert sets.log_odds().tolist() == [[-1.5, 0.0], [0.0, -np.inf]]
    assert sets.take([1]).log_odds().tolist() == [[0.0, -np.inf]]
    assert sets.reweighted([2.0, 3.0]).log_odds().tolist() == sets.log_odds().tolist()


def test_each_doubling_of_the_place_costs_the_position_bias():
    assert position_offsets([1, 2, 4, 8], 0.5).tolist() == [0.0, -0.5, -1.0, -1.5]
    assert position_offsets([1, 20], 0.0).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("positions", "position_bias"), [([0], 0.4), ([1], -0.1), ([1], np.nan), ([1], np.inf)])
def test_positions_count_from_one_and_position_bias_from_zero(positions, position_bias):
    with pytest.raises(ValueError, match="positions count from 1"):
        position_offsets(positions, position_bias)
