import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from recommendations.evaluation.item_events import ItemCatalogue, ItemEvents, ItemQuestion, ask
from recommendations.evaluation.item_lists import best_items
from recommendations.evaluation.item_ranker import fit_item_ranker, most_likely
from recommendations.evaluation.item_terms import ItemRankerConfig, log_affinity

QUICK = {"n_factors": 4, "n_iterations": 3, "regularisations": (1.0, 10.0)}


def two_groups(n_users=40, n_items=20, n_days=60, seed=0):
    """Even users go for even items and odd ones for odd items, two a day, whatever the day."""
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(n_users), n_days // 3)
    items = 2 * rng.integers(n_items // 2, size=len(users)) + users % 2
    return ItemEvents(users, items, rng.uniform(0, n_days, len(users)), np.ones(len(users)), n_users, n_items)


def fitted(events, day=50.0, **options):
    return fit_item_ranker(events, ItemCatalogue.from_events(events), day, 10.0, ItemRankerConfig(**(QUICK | options)))


def test_affinity_is_a_logarithm_against_the_users_average():
    got = log_affinity(np.array([[3.0, 1.0, 0.0, -2.0]]), floor=0.2)
    assert_allclose(got, [[np.log(3.2), np.log(1.2), np.log(0.2), np.log(0.2)]], atol=1e-3)
    assert (np.diff(got) < 0).all()  # what is below 0 keeps its order


def test_a_user_without_affinities_has_log_affinities_of_zero():
    assert log_affinity(np.zeros((1, 3)), floor=0.2).tolist() == [[0.0, 0.0, 0.0]]


def test_one_choice_moves_a_weight_towards_the_chosen():
    features = np.array([[[1.0], [0.0]]], np.float32)
    got = most_likely(features, np.ones((1, 2), bool), np.array([[1.0, 0.0]]), strength=1.0)
    # the mode of a standard normal times a logistic solves w = 1 - sigmoid(w)
    assert_allclose(got, [0.4011], atol=1e-3)


def test_what_may_not_be_listed_is_no_alternative():
    features = np.array([[[1.0], [0.0], [50.0]]], np.float32)
    got = most_likely(features, np.array([[True, True, False]]), np.array([[1.0, 0.0, 0.0]]), strength=1.0)
    assert_allclose(got, [0.4011], atol=1e-3)


def test_every_user_counts_once_however_many_items_they_chose():
    features = np.array([[[1.0], [1.0], [0.0]], [[0.0], [0.0], [1.0]]], np.float32)
    got = most_likely(features, np.ones((2, 3), bool), np.array([[1.0, 1, 0], [0, 0, 1]]), strength=1.0)
    # the slope of both fits and of the Gaussian at the mode: (1 - p) + (1 - q) = w, with p = 2e/(2e+1), q = e/(e+2)
    e = np.exp(got[0])
    assert_allclose((1 - 2 * e / (2 * e + 1)) + (1 - e / (e + 2)), got[0], atol=1e-3)


def test_users_without_a_choice_say_nothing():
    features = np.array([[[1.0], [0.0]], [[0.0], [1.0]]], np.float32)
    got = most_likely(features, np.ones((2, 2), bool), np.array([[1.0, 0.0], [0.0, 0.0]]), strength=1.0)
    assert_allclose(got, [0.4011], atol=1e-3)
    no_users = most_likely(features, np.ones((2, 2), bool), np.zeros((2, 2)), strength=1.0)
    assert no_users.tolist() == [0.0]


def test_best_items_are_allowed_ones_filled_up_with_padding():
    question = ItemQuestion(
        np.array([0, 1]),
        relevant=csr_array((2, 4)),
        forbidden=csr_array([[0.0, 1, 0, 0], [1, 1, 1, 0]]),
        candidates=np.array([True, True, True, False]),
    )
    scores = np.array([[1.0, 9, 1, 9], [1, 2, 3, 4]])
    assert best_items(scores, question, 3).tolist() == [[0, 2, -1], [-1, -1, -1]]


def test_each_user_is_shown_what_their_group_chooses():
    ranker = fitted(two_groups())
    lists = np.argsort(-ranker.scores(np.array([0, 1])), axis=1)[:, :10]
    assert (lists[0] % 2 == 0).all()
    assert (lists[1] % 2 == 1).all()


def test_what_users_had_before_ranks_first_where_they_have_it_again():
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(30), 30)
    favourite = (users * 7) % 20  # each user has one item again and again, a different one per user
    items = np.where(rng.random(len(users)) < 0.8, favourite, rng.integers(20, size=len(users)))
    events = ItemEvents(users, items, rng.uniform(0, 60, len(users)), np.ones(len(users)), 30, 20)
    ranker = fitted(events, unseen_only=False)
    assert ranker.scores(np.array([2])).argmax() == 14


def test_nothing_after_the_day_is_looked_at():
    events = two_groups()
    later = ItemEvents(events.users, np.where(events.days < 50, events.items, 0), events.days, events.weights, 40, 20)
    rows = np.arange(40)
    assert (fitted(events).scores(rows) == fitted(later).scores(rows)).all()


def test_the_same_seed_gives_the_same_ranker():
    events, rows = two_groups(), np.arange(5)
    assert (fitted(events, seed=3).scores(rows) == fitted(events, seed=3).scores(rows)).all()


def test_one_user_scores_as_among_others():
    ranker = fitted(two_groups())
    assert_allclose(ranker.scores(np.array([7])), ranker.scores(np.arange(40))[7:8], atol=1e-5)


def test_options_are_chosen_by_what_they_reach_on_users_not_learned_from():
    ranker = fitted(two_groups())
    assert ranker.option in ranker.validated
    assert ranker.validated[ranker.option] == max(ranker.validated.values())


def test_without_anything_to_validate_on_histories_and_popularity_rank():
    events = two_groups()
    ranker = fitted(events.take(events.days < 5), day=50.0)
    assert ranker.validated == {}
    used = {name for name, weight in zip(ranker.score.names, ranker.score.weights, strict=True) if weight}
    assert used == {"neighbours", "EASE", "adapting demand"}


def test_no_events_at_all_give_finite_scores():
    nothing = two_groups().take(np.zeros(0, int))
    assert np.isfinite(fitted(nothing).scores(np.arange(3))).all()


def test_likeness_helps_where_it_is_all_there_is():
    """Every user chooses new items of the kind they had before; no new item has an earlier event."""
    rng = np.random.default_rng(1)
    users, n_items = np.repeat(np.arange(60), 6), 240
    days = np.tile(np.arange(6) * 10.0 + 1, 60)
    items = ((days // 10).astype(int) * 40 + 2 * rng.integers(20, size=len(users))) + users % 2
    events = ItemEvents(users, items, days, np.ones(len(users)), 60, n_items)
    content = csr_array(np.eye(2)[np.arange(n_items) % 2])
    catalogue = ItemCatalogue(np.repeat(np.arange(6) * 10.0, 40), np.repeat(np.arange(6) * 10.0 + 10, 40), content)
    config = ItemRankerConfig(known_only=False, **QUICK)
    ranker = fit_item_ranker(events, catalogue, 51.0, 10.0, config)
    question = ask(events, catalogue, 51.0, known_only=False)
    lists = best_items(ranker.scores(question.user_rows), question, 10)
    assert (lists % 2 == question.user_rows[:, None] % 2).all()


@pytest.mark.parametrize(
    "options",
    [{"floor": 0.0}, {"shortlists": (0,)}, {"regularisations": ()}, {"demand_half_lives_days": (0.0,)}, {"k": 0}],
)
def test_a_configuration_that_makes_no_sense_is_refused(options):
    with pytest.raises(ValueError, match=r"must be"):
        ItemRankerConfig(**options)
