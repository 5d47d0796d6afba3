import numpy as np
import pytest
from numpy.testing import assert_allclose

from recommendations.metrics.figures import Question, draw_counts, first_hits, interval, measure, pairs_won

# Four things; Alice went for 0 and 1, Bob for 2. Things 0 and 1 are of one archetype, 3 of none.
QUESTION = Question(
    relevant=[np.array([0, 1]), np.array([2])],
    candidates=np.array([True, True, True, True]),
    n_events=np.array([3, 1, 0, 0]),
    features=np.eye(4),
    groups=np.array([5, 5, 6, -1]),
    buyer_slices={"cold buyer": np.array([False, True])},
    thing_slices={"cold listing": np.array([False, False, True, True])},
)
GOOD, POOR = np.array([[0, 1], [3, 2]]), np.array([[3, 0], [3, 0]])


@pytest.fixture(scope="module")
def figures():
    measured = measure(QUESTION, {"ours": GOOD, "poor": POOR}, "ours", [1, 2], np.random.default_rng(0), n_draws=200)
    return {(figure.ranker, figure.slice, figure.metric, figure.k): figure for figure in measured}


def value(figures, *key):
    return figures[key].value


def test_figures_are_means_over_buyers(figures):
    # Alice finds one of two at 1 and both at 2; Bob finds one at rank 2
    assert value(figures, "ours", "all", "recall", 1) == 0.25
    assert value(figures, "ours", "all", "recall", 2) == 1.0
    assert value(figures, "ours", "all", "hit rate", 1) == 0.5
    assert value(figures, "ours", "all", "mrr", 2) == 0.75
    assert value(figures, "ours", "all", "precision", 2) == 0.75
    assert value(figures, "ours", "all", "ndcg", 2) == pytest.approx((1 + 1 / np.log2(3)) / 2)


def test_archetypes_are_found_by_any_of_their_cars(figures):
    # Alice wants one archetype, found at rank 1 by ours and rank 2 by the poor one
    assert value(figures, "ours", "all", "archetype recall", 1) == 0.5
    assert value(figures, "poor", "all", "archetype recall", 2) == 0.5
    assert value(figures, "ours", "all", "archetype recall", 2) == 1.0


def test_an_archetype_counts_at_its_first_place_only():
    at = first_hits(np.array([[5, 5, -1, 6]]), [np.array([5, 6])])
    assert at.tolist() == [[True, False, False, True]]


def test_slices_of_buyers_leave_the_others_out(figures):
    cold = figures["ours", "cold buyer", "recall", 2]
    assert (cold.value, cold.n) == (1.0, 1)
    assert value(figures, "poor", "cold buyer", "recall", 2) == 0.0


def test_slices_of_listings_ask_the_buyers_who_wanted_one(figures):
    cold = figures["ours", "cold listing", "recall", 1]
    assert (cold.value, cold.n) == (0.0, 1)


def test_leads_are_differences_of_the_same_buyers(figures):
    # recall at 2: 1 against 1/2 for Alice, 1 against 0 for Bob
    lead = figures["poor", "all", "lead in recall", 2]
    assert lead.value == 0.75
    assert (lead.low, lead.high) == (0.5, 1.0)
    assert ("ours", "all", "lead in recall", 2) not in figures


def test_coverage_is_the_share_of_candidates_shown_to_any_buyer(figures):
    assert value(figures, "ours", "all", "coverage", 1) == 0.5
    assert value(figures, "ours", "all", "coverage", 2) == 1.0
    poor = figures["poor", "all", "coverage", 2]
    assert (poor.value, poor.low, poor.high) == (0.5, 0.5, 0.5)  # all see the same, whichever buyers are drawn


def test_novelty_and_diversity_by_hand(figures):
    # shares of the events with one added to each count: 4/8, 2/8, 1/8, 1/8
    assert value(figures, "ours", "all", "novelty", 1) == pytest.approx((1 + 3) / 2)
    assert value(figures, "ours", "all", "diversity", 2) == pytest.approx(1.0)


def test_whatever_has_no_buyers_has_no_value():
    asked = Question(
        [np.array([0])], np.ones(2, bool), np.zeros(2), np.eye(2), buyer_slices={"none": np.array([False])}
    )
    found = measure(asked, {"ours": np.array([[0]])}, "ours", [1], np.random.default_rng(0), n_draws=5)
    figure = next(figure for figure in found if figure.slice == "none")
    assert (figure.n, np.isnan(figure.value), np.isnan(figure.low)) == (0, True, True)


def test_the_same_generator_gives_the_same_intervals():
    runs = [measure(QUESTION, {"ours": GOOD}, "ours", [2], np.random.default_rng(4), n_draws=50) for _ in range(2)]
    assert runs[0] == runs[1]


def test_an_interval_holds_what_repeated_surveys_would_find():
    rng = np.random.default_rng(0)
    values = rng.normal(0.0, 1.0, 400)
    drawn = draw_counts(400, 2000, rng) @ values[:, None] / 400
    low, high = interval(drawn)
    # 1.96 standard errors to either side
    assert_allclose([low[0], high[0]], values.mean() + np.array([-1.96, 1.96]) * values.std() / 20, atol=0.01)


def test_our_ranker_must_be_among_the_measured():
    with pytest.raises(ValueError, match="mine is none of the rankers"):
        measure(QUESTION, {"ours": GOOD}, "mine", [1], np.random.default_rng(0))


@pytest.mark.parametrize(("others", "share"), [([0, 1], 1.0), ([3], 0.0), ([0, 3], 0.5), ([2], 0.5), ([0, 2], 0.75)])
def test_a_pair_is_won_by_the_higher_score_and_a_tie_by_half(others, share):
    # the chosen one has a score of 3, as has thing 2
    assert pairs_won([1.0, 2.0, 3.0, 4.0, 3.0], 4, others) == share


def test_a_choice_from_nothing_wins_no_pair():
    assert np.isnan(pairs_won([1.0], 0, []))


def test_further_values_are_reported_for_every_ranker_with_their_lead():
    won = {"ours": {("pairs won", 0): np.array([1.0, 0.5])}, "poor": {("pairs won", 0): np.array([0.5, np.nan])}}
    found = measure(QUESTION, {"ours": GOOD, "poor": POOR}, "ours", [1], np.random.default_rng(0), n_draws=20, more=won)
    by_name = {(one.ranker, one.metric): one for one in found if one.k == 0}
    assert by_name["ours", "pairs won"].value == 0.75
    assert (by_name["poor", "lead in pairs won"].value, by_name["poor", "lead in pairs won"].n) == (0.5, 1)
