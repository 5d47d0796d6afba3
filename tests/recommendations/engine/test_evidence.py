import numpy as np
import pytest

from recommendations.engine.evidence import PADDING, POSITION_SCALE, Choices, build_choice_sets
from recommendations.engine.stock import FOREVER, Stock

STOCK = Stock(
    listing_ids=np.arange(1, 11),
    vectors=np.arange(10, dtype=np.float32)[:, None],  # listing i has the feature i - 1
    published_at=np.zeros(10),
    ended_at=np.full(10, FOREVER),
)


def choices(*shown: tuple[float, ...], **changes) -> Choices:
    """One event for each list given, of listing 5 (feature 4) out of listings with these features; all of buyer 1."""
    n = len(shown)
    vectors = np.array([4.0, *(value for values in shown for value in values)], np.float32)[:, None]
    rows = np.full((n, max(map(len, shown), default=0)), PADDING, np.intp)
    first = 1
    for event, values in enumerate(shown):
        rows[event, : len(values)] = np.arange(first, first + len(values))
        first += len(values)
    given = {
        "vectors": vectors, "chosen": np.zeros(n, np.intp), "shown": rows, "weights": np.ones(n),
        "chosen_positions": np.ones(n, np.int64), "shown_positions": np.ones(rows.shape, np.int64),
        "has_unseen": np.ones(n, bool),
        "reverse": np.zeros(n, bool), "moments": np.ones(n), "seeds": np.ones(n, np.int64),
        "listing_ids": np.full(n, 5), "buyer_ids": np.ones(n, np.int64),
    }  # fmt: skip
    return Choices(**{**given, **{name: np.array(value) for name, value in changes.items()}})


def test_the_chosen_comes_first_then_what_was_shown_then_a_sample_without_the_chosen():
    sets = build_choice_sets(choices((7.0, 8.0)), STOCK, n_unseen=5)[1]
    assert sets.features[0, :3, 0].tolist() == [4.0, 7.0, 8.0]
    assert sets.features.shape == (1, 8, 1)
    assert 4.0 not in sets.features[0, 3:, 0]


def test_sets_of_different_length_are_padded_and_the_padding_is_marked():
    sets = build_choice_sets(choices((), (7.0, 8.0), reverse=[False, True]), STOCK, n_unseen=3)[1]
    assert sets.available.sum(axis=1).tolist() == [4, 6]
    assert sets.reverse.tolist() == [False, True]
    assert not sets.features[~sets.available].any()


def test_events_of_no_weight_or_with_nothing_to_choose_from_are_left_out():
    empty = Stock(np.empty(0, np.int64), np.empty((0, 1), np.float32), np.empty(0), np.empty(0))
    assert build_choice_sets(choices((), weights=[0.0]), STOCK, n_unseen=5) == {}
    assert build_choice_sets(choices(()), empty, n_unseen=5) == {}
    assert build_choice_sets(choices(), STOCK, n_unseen=5) == {}
    assert len(build_choice_sets(choices((), (7.0,)), empty, n_unseen=5)[1]) == 1


def test_the_same_event_always_meets_the_same_sample():
    one, other = (build_choice_sets(choices((), seeds=[9]), STOCK, n_unseen=3)[1].features.tolist() for _ in "ab")
    assert one == other


def test_a_buyer_gets_the_same_sets_alone_and_among_others():
    both = choices((7.0,), (), (8.0, 9.0), buyer_ids=[2, 1, 2], seeds=[1, 2, 3], weights=[1.0, 2.0, 3.0])
    among = build_choice_sets(both, STOCK, n_unseen=4)
    assert list(among) == [1, 2]
    for buyer, sets in among.items():
        alone = build_choice_sets(both.take(both.buyer_ids == buyer), STOCK, n_unseen=4)[buyer]
        np.testing.assert_array_equal(alone.features, sets.features)
        assert alone.weights.tolist() == sets.weights.tolist()


def test_joined_choices_keep_their_features():
    parts = [choices((7.0,)), choices((8.0, 9.0), buyer_ids=[2])]
    joined = build_choice_sets(Choices.concatenate(parts), STOCK, n_unseen=2)
    for buyer, part in enumerate(parts, start=1):
        np.testing.assert_array_equal(
            joined[buyer].features, build_choice_sets(part, STOCK, n_unseen=2)[buyer].features
        )


def test_beside_a_known_list_nothing_stands_that_was_not_shown():
    unknown, known, alone = (
        choices((7.0, 8.0)),
        choices((7.0, 8.0), has_unseen=[False]),
        choices((), has_unseen=[False]),
    )
    assert build_choice_sets(unknown, STOCK, n_unseen=5)[1].features.shape[1] == 8
    assert build_choice_sets(known, STOCK, n_unseen=5)[1].features[0, :, 0].tolist() == [4.0, 7.0, 8.0]
    assert build_choice_sets(alone, STOCK, n_unseen=5) == {}, "one car in a list of one was not chosen from anything"


def test_a_lower_position_is_made_up_for_and_an_unseen_listing_has_none_of_its_own():
    shown = choices((7.0, 8.0), chosen_positions=[4], shown_positions=[[1, 2]])
    sets = build_choice_sets(shown, STOCK, 2, position_bias=0.5)[1]
    assert sets.offsets[0].tolist() == [-1.0, 0.0, -0.5, -1.0, -1.0]  # half a logit for each doubling
    assert not build_choice_sets(shown, STOCK, 2)[1].offsets.any()


@pytest.mark.parametrize("reverse", [False, True])
def test_a_position_that_is_to_be_learned_is_one_more_feature_of_the_same_sign_for_dislikes(reverse):
    shown = choices((7.0, 8.0), chosen_positions=[4], shown_positions=[[1, 2]], reverse=[reverse])
    sets = build_choice_sets(shown, STOCK, 2, position_bias=9.0, learns_position=True)[1]
    assert sets.features.shape == (1, 5, 2)
    assert not sets.offsets.any()
    assert (sets.differences()[0, :, 1] / POSITION_SCALE).tolist() == [0.0, -2.0, -1.0, 0.0, 0.0]
