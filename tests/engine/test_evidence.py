import numpy as np

from recommendations.engine.evidence import Choice, build_choice_sets
from recommendations.engine.stock import FOREVER, Stock

STOCK = Stock(
    listing_ids=np.arange(1, 11),
    vectors=np.arange(10, dtype=np.float32)[:, None],  # listing i has the feature i - 1
    published_at=np.zeros(10),
    ended_at=np.full(10, FOREVER),
)
NOTHING_SHOWN = np.empty((0, 1), np.float32)


def choice(**changes) -> Choice:
    given = {
        "chosen": np.array([4.0], np.float32), "shown": NOTHING_SHOWN, "weight": 1.0, "reverse": False,
        "moment": 1.0, "seed": 1, "listing_id": 5,
    }  # fmt: skip
    return Choice(**{**given, **changes})


def test_the_chosen_comes_first_then_what_was_shown_then_a_sample_without_the_chosen():
    sets = build_choice_sets([choice(shown=np.array([[7.0], [8.0]], np.float32))], STOCK, n_sampled=5)
    assert sets.features[0, :3, 0].tolist() == [4.0, 7.0, 8.0]
    assert sets.features.shape == (1, 8, 1)
    assert 4.0 not in sets.features[0, 3:, 0]


def test_sets_of_different_length_are_padded_and_the_padding_is_marked():
    shown = np.array([[7.0], [8.0]], np.float32)
    sets = build_choice_sets([choice(), choice(shown=shown, reverse=True)], STOCK, n_sampled=3)
    assert sets.available.sum(axis=1).tolist() == [4, 6]
    assert sets.reverse.tolist() == [False, True]


def test_events_of_no_weight_or_with_nothing_to_choose_from_are_left_out():
    empty = Stock(np.empty(0, np.int64), np.empty((0, 1), np.float32), np.empty(0), np.empty(0))
    assert len(build_choice_sets([choice(weight=0.0)], STOCK, n_sampled=5)) == 0
    assert len(build_choice_sets([choice()], empty, n_sampled=5)) == 0
    assert len(build_choice_sets([], STOCK, n_sampled=5)) == 0


def test_the_same_event_always_meets_the_same_sample():
    one, other = (build_choice_sets([choice(seed=seed)], STOCK, n_sampled=3).features.tolist() for seed in (9, 9))
    assert one == other
