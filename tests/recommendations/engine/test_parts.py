"""Sums over partitions, and partitions that are made anew."""

import operator

import pytest

from recommendations.engine.parts import Each, LocalParts, in_a_tree


def slow_tree(values: list[str]) -> str:
    """Level by level: neighbours, then neighbouring sums; what has no neighbour waits."""
    while len(values) > 1:
        pairs = [f"({one}{other})" for one, other in zip(values[::2], values[1::2], strict=False)]
        values = pairs + values[len(pairs) * 2 :]
    return values[0]


@pytest.mark.parametrize("n", range(1, 20))
def test_values_are_added_up_in_the_same_order_as_level_by_level(n):
    values = [chr(ord("a") + number) for number in range(n)]
    assert in_a_tree(iter(values), lambda one, other: f"({one}{other})") == slow_tree(values)


def test_few_summands_wait_for_their_neighbours():
    made, added, most = 0, 0, 0

    def made_one_by_one():
        nonlocal made, most
        for _ in range(64):
            made += 1
            most = max(most, made - added)
            yield 1

    def add(one, other):
        nonlocal added
        added += 1
        return one + other

    assert in_a_tree(made_one_by_one(), add) == 64
    assert most == 7  # one sum of each of 1, 2, 4, ... 32, and the newest


def test_the_total_of_a_function_is_that_of_its_results():
    parts = LocalParts([1, 2, 3])
    assert parts.total_of(pow, operator.add, 2) == parts.map(pow, 2).total(operator.add) == 14
    assert parts.total_of(pow, operator.add, Each([3, 2, 1])) == 1 + 4 + 3


def test_what_is_made_anew_is_what_would_have_been_kept():
    parts = LocalParts([1, 2, 3])
    anew = parts.anew(operator.add, 10).anew(operator.mul, LocalParts([1, 2, 3]))
    assert len(anew) == 3
    assert anew.collect() == [11, 24, 39]
    assert anew.map(operator.sub, Each([1, 2, 3])).collect() == [10, 22, 36]
    assert anew.total(operator.add) == 74
    assert anew.total_of(operator.neg, operator.add) == -74
    assert anew.share("a value") == "a value"


def test_what_is_made_anew_is_made_each_time_it_is_asked_for():
    asked = []

    def note(value):
        asked.append(value)
        return value

    anew = LocalParts([1, 2]).anew(note)
    assert asked == []
    anew.collect()
    anew.collect()
    assert asked == [1, 2, 1, 2]
