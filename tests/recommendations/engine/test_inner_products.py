import numpy as np
import pytest

from recommendations.engine.inner_products import approximate_products, best_products, largest_length

IDS = np.array([11, 12, 13, 14])
ROWS = np.arange(4)
VECTORS = np.array([[1, 0], [0, 2], [3, 0], [1, 0]], np.float32)


def test_the_best_come_first_and_ties_by_id():
    rows, scores = best_products(VECTORS, IDS[::-1], ROWS, np.array([1.0, 0.5]), 4)
    assert rows.tolist() == [2, 3, 1, 0]  # rows 0, 1 and 3 score 1; their ids run backwards
    assert scores.tolist() == [3, 1, 1, 1]


def test_only_the_given_rows_are_asked():
    rows, _ = best_products(VECTORS, IDS, np.array([0, 1]), np.array([1.0, 0.0]), 3)
    assert rows.tolist() == [0, 1]


@pytest.mark.parametrize(("rows", "k"), [(ROWS, 0), (np.empty(0, int), 3)])
def test_nothing_wanted_or_nothing_there_is_no_answer(rows, k):
    found, scores = best_products(VECTORS, IDS, rows, np.array([1.0, 0.0]), k)
    assert len(found) == len(scores) == 0


def test_a_question_of_zeros_ties_all_rows():
    rows, scores = best_products(VECTORS, IDS, ROWS, np.zeros(2), 2)
    assert rows.tolist() == [0, 1]
    assert scores.tolist() == [0, 0]


def test_single_precision_decides_nothing():
    """Two cars that float32 cannot tell apart are ordered by their true products."""
    vectors = np.zeros((3, 2), np.float32)
    vectors[:, 0] = 1
    vectors[1, 1] = 1e-12
    rows, _ = best_products(vectors, np.array([1, 2, 3]), np.arange(3), np.array([1.0, 1.0]), 1)
    assert rows.tolist() == [1]


def test_alone_or_in_a_batch_the_answer_is_the_same_to_the_last_bit():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 128)).astype(np.float32)
    vectors[250:] = vectors[:250]  # every car twice
    ids, rows, questions = np.arange(500), np.arange(500), rng.normal(size=(9, 128))
    longest = largest_length(vectors)
    for question, products in zip(questions, approximate_products(vectors, questions), strict=True):
        alone = best_products(vectors, ids, rows, question, 20)
        in_batch = best_products(vectors, ids, rows, question, 20, products, longest)
        slowly = np.array([sum(vectors.astype(float)[row] * question) for row in rows])
        assert alone[0].tolist() == in_batch[0].tolist() == np.lexsort((ids, -slowly))[:20].tolist()
        assert alone[1].tolist() == in_batch[1].tolist()
        assert (alone[1][0::2] == alone[1][1::2]).all()


def test_numbers_beyond_single_precision_keep_their_order():
    rows, scores = best_products(VECTORS, IDS, ROWS, np.array([1e300, 0.0]), 1)
    assert rows.tolist() == [2]
    assert scores[0] == pytest.approx(3e300)
