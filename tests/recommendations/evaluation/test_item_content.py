import numpy as np
import pytest
from numpy.testing import assert_allclose

from recommendations.evaluation.item_content import MOST_CATEGORIES, content_features, numbers_in


def cosines(n_items=None, **columns):
    features = content_features(columns, n_items or len(next(iter(columns.values()))))
    return (features @ features.T).toarray()


def test_items_of_one_category_are_alike_and_those_of_two_are_not():
    assert_allclose(cosines(colour=["red", "red", "blue"]), [[1, 1, 0], [1, 1, 0], [0, 0, 1]])


def test_several_categories_in_a_cell_are_shared_in_part():
    assert_allclose(cosines(genre=["comedy|crime", "comedy"])[0, 1], 0.5**0.5)


def test_numbers_are_alike_by_their_distance_in_the_ranking():
    # four places: a quarter of the ranking apart is an eighth of a circle
    got = cosines(price=["10", "1000", "20", "15"])
    assert_allclose(got[0], [1, np.cos(0.75 * np.pi), np.cos(0.5 * np.pi), np.cos(0.25 * np.pi)], atol=1e-6)


def test_equal_numbers_share_a_place():
    assert_allclose(cosines(price=["5", "5", "9"])[0, 1], 1.0)


def test_columns_weigh_alike():
    assert_allclose(cosines(colour=["red", "red"], fuel=["petrol", "diesel"])[0, 1], 0.5)


def test_texts_are_alike_by_their_words():
    texts = [f"word{row}" for row in range(MOST_CATEGORIES + 1)]
    texts[:3] = ["red metal lantern", "blue metal lantern", "tea towel"]
    got = cosines(title=texts)
    assert got[0, 1] > 0.3
    assert got[0, 2] == 0


def test_an_item_without_any_cell_is_like_nothing():
    assert_allclose(cosines(colour=["", "red"], price=["", "3"]), [[0, 0], [0, 1]])


def test_no_columns_at_all_are_no_features():
    assert content_features({}, 3).shape == (3, 0)
    assert content_features({"empty": ["", ""]}, 2).shape == (2, 0)


def test_signs_without_words_are_no_features():
    cells = ["!" * (row + 1) for row in range(MOST_CATEGORIES + 1)]
    assert content_features({"signs": cells}, len(cells)).shape == (len(cells), 0)


@pytest.mark.parametrize(
    ("cells", "numbers"), [(["1", "", "2.5"], [1, np.nan, 2.5]), (["1", "a"], None), (["inf"], None)]
)
def test_a_column_is_numbers_when_every_filled_cell_is(cells, numbers):
    got = numbers_in(cells)
    assert got is None if numbers is None else np.array_equal(got, numbers, equal_nan=True)


def test_columns_of_the_wrong_length_are_refused():
    with pytest.raises(ValueError, match="column colour has 1 cells for 2 items"):
        content_features({"colour": ["red"]}, 2)
