import numpy as np
import pytest

from recommendations.buyers.repeated_searches import NAME_COUNTS, NAMES_COUNT, RANGES_COUNT, limited
from recommendations.buyers.searches import FILTERS_OF_FIELD, NUMBER_FIELDS

BMW, SEAT, PRICE = ("make", "bmw"), ("make", "seat"), ("price", "to 9,000")


def counted(asked_of, freshness, buyers=None, weight=1.0):
    buyers = np.ones(len(asked_of), np.int64) if buyers is None else np.array(buyers)
    return limited(buyers, asked_of, np.array(freshness) * weight, np.full(len(asked_of), weight)) / weight


@pytest.mark.parametrize("weight", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("n_times", [1, 2, 3, 10])
def test_a_name_that_is_asked_for_again_says_the_same(weight, n_times):
    """However much operators let a search count."""
    got = counted([BMW] * n_times + [SEAT], np.ones(n_times + 1), weight=weight)
    assert got[:n_times].sum() == pytest.approx(NAME_COUNTS)
    assert got[n_times] == pytest.approx(NAME_COUNTS)


def test_a_name_is_as_old_as_its_newest_search():
    got = counted([BMW, BMW, BMW, SEAT], [0.1, 0.5, 0.2, 0.25])
    assert got[:3].sum() == pytest.approx(0.5 * NAME_COUNTS)
    np.testing.assert_allclose(got[:3] / got[1], [0.2, 1.0, 0.4])
    assert got[3] == pytest.approx(0.25 * NAME_COUNTS)


@pytest.mark.parametrize("n_names", [2, 3, 4, 12])
def test_who_asks_for_every_name_of_a_field_is_set_on_none(n_names):
    got = counted([("make", str(number)) for number in range(n_names)], np.ones(n_names))
    assert got.sum() == pytest.approx(min(n_names * NAME_COUNTS, NAMES_COUNT))
    assert len(set(got.tolist())) == 1


@pytest.mark.parametrize("weight", [0.2, 1.0, 5.0])
def test_ranges_of_a_number_add_up_to_three_searches_at_most(weight):
    asked_of = [("price", f"to {most}") for most in (9_000, 9_000, 8_000, 8_500)] + [BMW, PRICE]
    got = counted(asked_of, [1.0, 1.0, 2.0, 2.0, 1.0, 1.0], buyers=[1, 1, 1, 1, 1, 2], weight=weight)
    np.testing.assert_allclose(got, [0.5, 0.5, 1.0, 1.0, NAME_COUNTS, 1.0])
    assert got[:4].sum() == pytest.approx(RANGES_COUNT)


def test_nothing_asked_and_searches_without_weight_count_nothing():
    assert len(counted([], [])) == 0
    np.testing.assert_array_equal(counted([BMW, PRICE], [0.0, 0.0]), [0.0, 0.0])


def test_fields_that_are_searched_by_ranges_are_the_numbers():
    with_ranges = {
        field for field, filters in FILTERS_OF_FIELD.items() if {name[:4] for name in filters} & {"min_", "max_"}
    }
    assert with_ranges <= NUMBER_FIELDS
    assert not NUMBER_FIELDS & {"make", "model", "body", "fuel", "gearbox", "seller", "tags"}
