import numpy as np
import pytest

from recommendations.listings.utilities import KeptUtilities

VECTORS = np.arange(40, dtype=np.float32).reshape(20, 2)
WEIGHTS = np.array([1.0, -3.0])
FEW, MANY = np.array([3, 1]), np.arange(2, 18)


class Asked:
    """A product that notes which rows it was asked for."""

    def __init__(self, vectors) -> None:
        self.vectors, self.rows = vectors, []

    def __call__(self, rows):
        self.rows += rows.tolist()
        return (self.vectors[rows] @ WEIGHTS).astype(np.float32)


@pytest.mark.parametrize("rows", [FEW, MANY, np.empty(0, np.intp)])
def test_utilities_are_products_however_many_are_asked_for(rows):
    np.testing.assert_array_equal(
        KeptUtilities().of(WEIGHTS, rows, 20, Asked(VECTORS)), (VECTORS[rows] @ WEIGHTS).astype(np.float32)
    )


def test_a_row_is_multiplied_once_until_it_is_written():
    kept, product = KeptUtilities(), Asked(VECTORS.copy())
    kept.of(WEIGHTS, FEW, 20, product)
    kept.of(WEIGHTS, np.array([1, 2, 3]), 20, product)
    assert product.rows == [3, 1, 2]
    product.vectors[1] = 100.0
    kept.note(np.array([1, 25]))
    assert kept.of(WEIGHTS, FEW, 20, product).tolist() == (product.vectors[FEW] @ WEIGHTS).tolist()
    assert product.rows == [3, 1, 2, 1]


def test_new_rows_are_asked_for_and_known_ones_stay():
    kept, product = KeptUtilities(), Asked(VECTORS)
    kept.of(WEIGHTS, FEW, 15, product)
    assert kept.of(WEIGHTS, np.array([3, 19]), 20, product).tolist() == (VECTORS[[3, 19]] @ WEIGHTS).tolist()
    assert product.rows == [3, 1, 19]


def test_other_weights_have_other_utilities_and_what_is_too_large_is_not_kept():
    kept = KeptUtilities(at_most=99)  # 20 rows take 100 bytes
    product = Asked(VECTORS)
    for _ in range(2):
        kept.of(WEIGHTS, FEW, 20, product)
    assert product.rows == [3, 1, 3, 1]
    both = KeptUtilities()
    both.of(WEIGHTS, FEW, 20, Asked(VECTORS))
    other = both.of(-WEIGHTS, FEW, 20, lambda rows: (VECTORS[rows] @ -WEIGHTS).astype(np.float32))
    assert other.tolist() == (VECTORS[FEW] @ -WEIGHTS).tolist()


def test_a_write_leaves_the_preferences_in_the_order_in_which_they_were_asked_about():
    kept, products = KeptUtilities(at_most=250), {factor: Asked(VECTORS) for factor in (1, 2, 3)}  # two take 200 bytes
    for factor in (1, 2, 1):
        kept.of(factor * WEIGHTS, FEW, 20, products[factor])
    kept.note(np.array([7]))
    kept.of(3 * WEIGHTS, FEW, 20, products[3])  # takes the place of the second
    kept.of(1 * WEIGHTS, FEW, 20, products[1])
    assert products[1].rows == [3, 1]
