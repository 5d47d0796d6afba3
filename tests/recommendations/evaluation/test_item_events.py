import numpy as np
import pytest
from numpy.testing import assert_allclose

from recommendations.evaluation.item_events import ItemCatalogue, ItemEvents, ask

ALICE, BOB, CAROL = 0, 1, 2
BREAD, BUTTER, JAM, TEA = 0, 1, 2, 3


def events_of(*rows, n_users=3, n_items=4):
    users, items, days = zip(*rows, strict=True)
    return ItemEvents(
        np.array(users, np.intp), np.array(items, np.intp), np.array(days, float), np.ones(len(rows)), n_users, n_items
    )


@pytest.fixture
def events():
    return events_of(
        (ALICE, BREAD, 1),
        (ALICE, BUTTER, 2),
        (BOB, BREAD, 3),
        (ALICE, BREAD, 10),
        (BOB, BUTTER, 10),
        (BOB, JAM, 11),
        (CAROL, BREAD, 12),
    )


def asked(events, day=10.0, **options):
    return ask(events, ItemCatalogue.from_events(events), day, **options)


def test_only_known_users_are_asked_about_unseen_known_items(events):
    question = asked(events)
    # Alice had bread before; jam was unknown on day 10; Carol was
    assert question.user_rows.tolist() == [BOB]
    assert question.relevant.toarray().tolist() == [[0, 1, 0, 0]]
    assert question.allowed().tolist() == [[False, True, False, False]]


def test_what_was_had_before_counts_where_it_may(events):
    question = asked(events, unseen_only=False)
    assert question.user_rows.tolist() == [ALICE, BOB]
    assert question.relevant.toarray().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    assert question.allowed().all(axis=0).tolist() == [True, True, False, False]


def test_cold_users_and_new_items_are_asked_about_where_allowed(events):
    everything = ItemCatalogue(np.full(4, -np.inf), np.full(4, np.inf))
    question = ask(events, everything, 10.0, known_only=False)
    assert question.user_rows.tolist() == [BOB, CAROL]
    assert question.relevant.toarray().tolist() == [[0, 1, 1, 0], [1, 0, 0, 0]]
    assert question.candidates.all()


def test_an_item_that_is_over_is_neither_listed_nor_asked_for(events):
    catalogue = ItemCatalogue(np.full(4, -np.inf), np.array([np.inf, 9.0, np.inf, np.inf]))
    assert len(ask(events, catalogue, 10.0)) == 0


def test_the_test_may_end(events):
    assert asked(events, until=10.0 + 1e-9).relevant.sum() == 1
    assert len(ask(events, ItemCatalogue.from_events(events), 11.0, 12.0)) == 0


def test_repeats_are_one_pair():
    twice = events_of((ALICE, BREAD, 1), (BOB, TEA, 1), (ALICE, TEA, 5), (ALICE, TEA, 6))
    assert asked(twice, 4.0).relevant.toarray().tolist() == [[0, 0, 0, 1]]


def test_no_user_is_asked_about_without_events():
    nothing = events_of((ALICE, BREAD, 1)).take(np.zeros(0, int))
    assert len(asked(nothing)) == 0


def test_an_item_is_live_from_its_first_event_on(events):
    catalogue = ItemCatalogue.from_events(events)
    assert catalogue.is_live(2.0).tolist() == [True, False, False, False]
    assert catalogue.is_live(2.1).tolist() == [True, True, False, False]


def test_weights_halve_with_each_half_life(events):
    assert_allclose(events.before(4).decayed(5.0, 2.0), [0.25, 0.5**1.5, 0.5])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"users": np.array([3])}, "user rows must lie between 0 and 2"),
        ({"items": np.array([-1])}, "item rows must lie between 0 and 3"),
        ({"days": np.array([np.nan])}, "every event needs a time"),
        ({"weights": np.array([0.0])}, "weights must be positive"),
        ({"weights": np.ones(2)}, "one length"),
    ],
)
def test_events_that_make_no_sense_are_refused(change, complaint):
    fine = {"users": np.array([0]), "items": np.array([0]), "days": np.array([0.0]), "weights": np.array([1.0])}
    with pytest.raises(ValueError, match=complaint):
        ItemEvents(**(fine | change), n_users=3, n_items=4)
