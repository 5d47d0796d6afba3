import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommendations.metrics.ranking import (
    calibration,
    catalogue_coverage,
    compare,
    debiased_ndcg_at_k,
    debiased_recall_at_k,
    exposure_gini,
    find_hits,
    hit_rate_at_k,
    intra_list_diversity,
    mean_over_users,
    ndcg_at_k,
    novelty,
    precision_at_k,
    recall_at_k,
    reciprocal_rank_at_k,
)

# Alice finds the second and fourth car of the list, Bob finds nothing, Carol had nothing to find.
LISTS = np.array([[7, 1, 8, 3], [4, 5, 6, -1], [1, 2, 3, 4]])
RELEVANT = [[1, 3, 9], [8], []]


@pytest.fixture
def hits():
    return find_hits(LISTS, RELEVANT)


def test_hits_are_found_place_by_place(hits):
    assert hits.at.astype(int).tolist() == [[0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert hits.n_relevant.tolist() == [3, 1, 0]


def test_metrics_by_hand(hits):
    np.testing.assert_allclose(recall_at_k(hits, 4), [2 / 3, 0, np.nan])
    np.testing.assert_allclose(recall_at_k(hits, 2), [1 / 3, 0, np.nan])
    np.testing.assert_allclose(precision_at_k(hits, 4), [0.5, 0, np.nan])
    np.testing.assert_allclose(hit_rate_at_k(hits, 1), [0, 0, np.nan])
    np.testing.assert_allclose(hit_rate_at_k(hits, 2), [1, 0, np.nan])
    np.testing.assert_allclose(reciprocal_rank_at_k(hits, 4), [1 / 2, 0, np.nan])
    # gains at places 2 and 4 over gains at places 1, 2 and 3
    gain, best = 1 / np.log2(3) + 1 / np.log2(5), 1 + 1 / np.log2(3) + 1 / 2
    np.testing.assert_allclose(ndcg_at_k(hits, 4), [gain / best, 0, np.nan])
    # at 2 the best list has two hits
    np.testing.assert_allclose(ndcg_at_k(hits, 2), [(1 / np.log2(3)) / (1 + 1 / np.log2(3)), 0, np.nan])


def test_a_list_of_everything_relevant_is_perfect():
    perfect = find_hits([[3, 1, 2]], [[1, 2, 3]])
    for metric in (recall_at_k, precision_at_k, hit_rate_at_k, reciprocal_rank_at_k, ndcg_at_k):
        assert metric(perfect, 3).tolist() == [1.0]


def test_k_beyond_the_list_counts_the_missing_places_as_misses():
    short = find_hits([[5]], [[5, 6]])
    assert precision_at_k(short, 10).tolist() == [0.1]
    assert recall_at_k(short, 10).tolist() == [0.5]
    np.testing.assert_allclose(ndcg_at_k(short, 10), [1 / (1 + 1 / np.log2(3))])


def test_users_with_nothing_to_find_are_left_out_of_the_mean(hits):
    assert mean_over_users(hit_rate_at_k(hits, 4)) == 0.5
    assert mean_over_users([np.nan]) == 0
    assert mean_over_users([]) == 0


def test_empty_lists_find_nothing():
    nothing = find_hits(np.zeros((1, 0), int), [[1]])
    assert reciprocal_rank_at_k(nothing, 5).tolist() == [0.0]
    assert ndcg_at_k(nothing, 5).tolist() == [0.0]
    assert find_hits(np.zeros((0, 5), int), []).at.shape == (0, 5)


@pytest.mark.parametrize(
    ("lists", "relevant", "complaint"),
    [
        ([[1, 1]], [[1]], "a listing twice"),
        ([[1, 2]], [[1], [2]], "1 lists do not go with 2"),
        ([[1, -2]], [[1]], "padding is -1"),
        ([1, 2], [[1]], "listing rows, shape"),
        ([[0.5]], [[1]], "listing rows, shape"),
    ],
)
def test_lists_that_make_no_sense_are_refused(lists, relevant, complaint):
    with pytest.raises(ValueError, match=complaint):
        find_hits(lists, relevant)


def test_k_is_at_least_one(hits):
    for metric in (recall_at_k, precision_at_k, hit_rate_at_k, reciprocal_rank_at_k, ndcg_at_k):
        with pytest.raises(ValueError, match="k must be at least 1"):
            metric(hits, 0)


def slow_ndcg(recommended, relevant, k):
    gain = sum(1 / np.log2(position + 2) for position, row in enumerate(recommended[:k]) if row in relevant)
    return gain / sum(1 / np.log2(position + 2) for position in range(min(k, len(relevant))))


lists_of_rows = st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True)


@settings(max_examples=100, deadline=None)
@given(recommended=lists_of_rows, relevant=lists_of_rows, k=st.integers(1, 15))
def test_metrics_equal_their_slow_obvious_versions(recommended, relevant, k):
    hits = find_hits([recommended], [relevant])
    found = set(recommended[:k]) & set(relevant)
    positions = [position for position, row in enumerate(recommended[:k], start=1) if row in relevant]
    assert recall_at_k(hits, k)[0] == pytest.approx(len(found) / len(relevant))
    assert precision_at_k(hits, k)[0] == pytest.approx(len(found) / k)
    assert hit_rate_at_k(hits, k)[0] == bool(found)
    assert reciprocal_rank_at_k(hits, k)[0] == pytest.approx(1 / positions[0] if positions else 0)
    assert ndcg_at_k(hits, k)[0] == pytest.approx(slow_ndcg(recommended, relevant, k))


@settings(max_examples=100, deadline=None)
@given(recommended=lists_of_rows, relevant=lists_of_rows, k=st.integers(1, 14))
def test_metrics_stay_between_zero_and_one_and_recall_grows_with_k(recommended, relevant, k):
    hits = find_hits([recommended], [relevant])
    for metric in (recall_at_k, precision_at_k, hit_rate_at_k, reciprocal_rank_at_k, ndcg_at_k):
        assert 0 <= metric(hits, k)[0] <= 1
    assert recall_at_k(hits, k)[0] <= recall_at_k(hits, k + 1)[0]


def test_many_users_give_what_each_gives_alone():
    rng = np.random.default_rng(0)
    lists = np.array([rng.permutation(50)[:10] for _ in range(30)])
    relevant = [rng.permutation(50)[: rng.integers(0, 8)] for _ in range(30)]
    together = ndcg_at_k(find_hits(lists, relevant), 10)
    alone = [ndcg_at_k(find_hits(lists[[user]], [relevant[user]]), 10)[0] for user in range(30)]
    np.testing.assert_array_equal(together, alone)


# The lists themselves


def test_coverage_counts_each_listing_once():
    assert catalogue_coverage(LISTS, n_listings=10, k=2) == 5 / 10  # 1, 2, 4, 5 and 7
    assert catalogue_coverage(LISTS, n_listings=10, k=4) == 8 / 10
    assert catalogue_coverage(np.zeros((0, 3), int), n_listings=0, k=3) == 0
    with pytest.raises(ValueError, match="row 8 is not in a catalogue of 8"):
        catalogue_coverage(LISTS, n_listings=8, k=4)


def test_novelty_is_the_mean_surprise_in_bits():
    # counts raised by one: 2, 1, 1 of 4, so 1, 2 and 2 bits
    got = novelty([[0, 1], [1, 2], [0, -1], [-1, -1]], n_events=[1, 0, 0], k=2)
    np.testing.assert_allclose(got, [1.5, 2, 1, np.nan])


def test_diversity_is_zero_for_copies_one_for_right_angles_and_two_for_opposites():
    features = np.array([[1.0, 0], [3.0, 0], [0, 2.0], [-1.0, 0], [0, 0]])
    got = intra_list_diversity([[0, 1], [0, 2], [0, 3], [0, 4], [0, -1]], features, k=2)
    np.testing.assert_allclose(got, [0, 1, 2, 1, np.nan], atol=1e-12)


def test_diversity_equals_the_mean_over_all_pairs():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(20, 4))
    shown = rng.permutation(20)[:6]
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    pairs = [1 - units[a] @ units[b] for n, a in enumerate(shown) for b in shown[n + 1 :]]
    np.testing.assert_allclose(intra_list_diversity([shown], features, k=6), [np.mean(pairs)])


# Probabilities and comparisons


def test_calibration_by_hand():
    got = calibration([0.1, 0.1, 0.9, 1.0], [False, True, True, True], n_bins=2)
    np.testing.assert_allclose(got.predicted, [0.1, 0.95])
    np.testing.assert_allclose(got.observed, [0.5, 1.0])
    assert got.n.tolist() == [2, 2]
    assert got.error == pytest.approx((0.4 + 0.05) / 2)


def test_calibration_of_nothing_has_no_bins():
    got = calibration([], [])
    assert (len(got.n), got.error) == (0, 0.0)


@pytest.mark.parametrize(
    ("probabilities", "came_true", "n_bins", "complaint"),
    [([1.2], [True], 10, "between 0 and 1"), ([0.5], [True, False], 10, "one length"), ([0.5], [True], 0, "n_bins")],
)
def test_calibration_refuses_nonsense(probabilities, came_true, n_bins, complaint):
    with pytest.raises(ValueError, match=complaint):
        calibration(probabilities, came_true, n_bins)


def test_a_constant_gain_is_certain():
    got = compare([0.3, 0.6, 0.9], [0.2, 0.5, 0.8], np.random.default_rng(0))
    np.testing.assert_allclose([got.difference, got.low, got.high], [0.1, 0.1, 0.1])
    assert got.is_better
    assert not got.is_worse


def test_noise_around_nothing_is_neither_better_nor_worse():
    rng = np.random.default_rng(2)
    base = rng.random(400)
    got = compare(base + rng.normal(scale=0.1, size=400), base, np.random.default_rng(0))
    assert got.low < 0 < got.high
    assert not got.is_better
    assert not got.is_worse


def test_the_interval_is_that_of_the_normal_theory_when_users_are_many():
    values = np.random.default_rng(3).normal(0.02, 0.3, size=2000)
    got = compare(values, np.zeros(2000), np.random.default_rng(0), n_draws=4000)
    half_width = 1.96 * values.std() / np.sqrt(2000)
    np.testing.assert_allclose(
        [got.low, got.high], [values.mean() - half_width, values.mean() + half_width], atol=0.1 * half_width
    )


def test_the_same_generator_gives_the_same_interval_in_chunks_of_any_size(monkeypatch):
    values = np.random.default_rng(4).random(50)
    whole = compare(values, np.zeros(50), np.random.default_rng(5), n_draws=100)
    monkeypatch.setattr("recommendations.metrics.ranking.BOOTSTRAP_CELLS", 350)
    assert compare(values, np.zeros(50), np.random.default_rng(5), n_draws=100) == whole


def test_users_without_a_value_are_not_compared():
    got = compare([1.0, np.nan, 1.0], [0.0, 0.0, np.nan], np.random.default_rng(0))
    assert (got.n_users, got.difference) == (1, 1.0)
    assert compare([], [], np.random.default_rng(0)).n_users == 0


def test_values_of_different_users_are_refused():
    with pytest.raises(ValueError, match="are not pairs"):
        compare([1.0], [1.0, 2.0], np.random.default_rng(0))
    with pytest.raises(ValueError, match="confidence"):
        compare([1.0], [1.0], np.random.default_rng(0), confidence=1.0)


def test_what_is_hard_to_find_counts_more_in_debiased_recall_and_ndcg():
    # listing 0 has 3 events, listing 1 none: their weights are 1/2 and 1
    recall = debiased_recall_at_k([[0, 2], [1, 2], [2, 3]], [[0, 1], [0, 1], []], [3, 0, 5, 5], 2)
    np.testing.assert_allclose(recall, [1 / 3, 2 / 3, np.nan])
    ndcg = debiased_ndcg_at_k([[0, 1], [1, 0]], [[0, 1], [0, 1]], [3, 0, 5, 5], 2)
    np.testing.assert_allclose(ndcg, [(0.5 + 1 / np.log2(3)) / (1 + 0.5 / np.log2(3)), 1.0])


def test_without_popularity_debiased_metrics_are_the_plain_ones():
    lists, relevant = [[0, 1, 2], [3, 0, 1]], [[2, 4], [3]]
    hits = find_hits(lists, relevant)
    np.testing.assert_allclose(debiased_recall_at_k(lists, relevant, np.full(5, 7), 3), recall_at_k(hits, 3))
    np.testing.assert_allclose(debiased_ndcg_at_k(lists, relevant, np.full(5, 7), 3), ndcg_at_k(hits, 3))


def test_the_gini_of_exposure_is_0_for_all_alike_and_high_where_one_has_it_all():
    everywhere = [[0, 1], [1, 0]]
    assert exposure_gini(everywhere, [True, True], 2) == pytest.approx(0.0)
    assert exposure_gini([[0], [0]], np.ones(10, bool), 1) == pytest.approx(0.9)
    # exposures 1 and 1 / log2(3) over two candidates: their difference over twice their sum
    assert exposure_gini([[0, 1]], [True, True], 2) == pytest.approx((1 - 1 / np.log2(3)) / (1 + 1 / np.log2(3)) / 2)
    assert exposure_gini([[-1]], [True], 1) == 0.0
