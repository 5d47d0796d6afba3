"""A factorization machine with rated partners, taken apart into people and items."""

import itertools

import numpy as np
import pytest

from recommendations.ratings.features import sides_of
from recommendations.ratings.table import RatingTable


@pytest.fixture
def table() -> RatingTable:
    """Ann rated both films, Bob the second; Cy none."""
    table = RatingTable.of([("ann", "x", 5), ("ann", "y", 3), ("bob", "y", 4), ("cy", "x", 1)])
    return table.only(np.array([True, True, True, False]))


def test_partners_weigh_one_over_the_root_of_their_number(table):
    people, items = sides_of(table)
    root = 2**-0.5
    np.testing.assert_allclose(people.blocks.toarray(), [[1, 0, 0, root, root], [0, 1, 0, 0, 1], [0, 0, 1, 0, 0]])
    np.testing.assert_allclose(items.blocks.toarray(), [[1, 0, 1, 0, 0], [0, 1, root, root, 0]])


def test_what_is_taken_apart_adds_up_to_the_machine_itself(table):
    people, items = sides_of(table)
    rng = np.random.default_rng(0)
    linear, factors = rng.normal(size=10), rng.normal(size=(10, 3))
    a, p = people.fold(linear[:5], factors[:5])
    b, q = items.fold(linear[5:], factors[5:])
    for person, item in itertools.product(range(3), range(2)):
        x = np.concatenate([people.blocks.toarray()[person], items.blocks.toarray()[item]])
        pairs = itertools.combinations(range(10), 2)
        expected = x @ linear + sum(factors[f] @ factors[g] * x[f] * x[g] for f, g in pairs)
        assert a[person] + b[item] + p[person] @ q[item] == pytest.approx(expected)
