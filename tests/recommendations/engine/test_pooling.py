import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendations.engine.pooling import merge


def test_the_pool_is_divided_by_the_shares():
    merged = merge([range(100), range(100, 200), range(200, 300)], [0.5, 0.3, 0.2], 10)
    assert np.bincount([source for _, source in merged]).tolist() == [5, 3, 2]
    assert [item for item, source in merged if source == 1] == [100, 101, 102]


def test_any_beginning_of_the_pool_is_divided_nearly_so():
    shares = np.array([0.6, 0.3, 0.1])
    sources = [source for _, source in merge([range(50), range(50, 100), range(100, 150)], shares, 50)]
    for n in range(1, 51):
        assert np.abs(np.bincount(sources[:n], minlength=3) - shares * n).max() <= 1


def test_a_car_found_twice_counts_once_and_the_later_source_goes_on():
    assert merge([[1, 2], [1, 3]], [0.5, 0.5], 4) == [(1, 0), (3, 1), (2, 0)]


def test_a_source_that_runs_out_leaves_its_places_to_the_others():
    merged = merge([[1], range(10, 20), range(20, 30)], [0.5, 0.25, 0.25], 9)
    assert np.bincount([source for _, source in merged]).tolist() == [1, 4, 4]


def test_a_share_of_nothing_brings_nothing():
    assert merge([[1, 2], [3]], [0.0, 1.0], 5) == [(3, 1)]
    assert merge([[1]], [0.0], 5) == []
    assert merge([], [], 5) == []


def test_shares_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="shares"):
        merge([[1]], [0.5, 0.5], 1)
    with pytest.raises(ValueError, match="shares"):
        merge([[1]], [-1.0], 1)


def obviously(proposals, shares, n):
    """The same, place by place, looking through everything each time."""
    merged = []
    while len(merged) < n:
        placed = [sum(source == other for _, other in merged) for source in range(len(shares))]
        open_to = [
            source
            for source in range(len(shares))
            if shares[source] > 0 and set(proposals[source]) - {item for item, _ in merged}
        ]
        if not open_to:
            break
        source = max(open_to, key=lambda source: (shares[source] / (2 * placed[source] + 1), -source))
        item = next(item for item in proposals[source] if item not in {item for item, _ in merged})
        merged.append((item, source))
    return merged


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 20), max_size=12), st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])), max_size=5
    ),
    st.integers(0, 30),
)
def test_it_is_what_it_obviously_is(sources, n):
    proposals, shares = [items for items, _ in sources], [share for _, share in sources]
    assert merge(proposals, shares, n) == obviously(proposals, shares, n)
