"""Data in partitions, and what is worked out of all of them: in this process, or wherever an executor keeps them.

What is learned from many buyers is written once, as a function of one partition and a sum over partitions. Run in one
process or on a cluster, the same functions meet the same partitions, and sums are formed in the same order, so that
the results agree to rounding however many workers there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


@dataclass(frozen=True, eq=False)
class Each(Generic[T]):
    """A small value for each partition, as an argument of ``Parts.map``."""

    values: Sequence[T]


class Parts(Protocol[T_co]):
    """One value for each partition, in order."""

    def __len__(self) -> int: ...

    def map(self, function: Callable[..., U], *beside: Any) -> Parts[U]:
        """``function(value, *beside)`` of every partition.

        What stands beside is the same for all of them, but for other ``Parts`` and ``Each``, which give what is theirs.
        Values are not changed in place: they may be asked for again. Errors are raised here or by what reads the
        result.
        """
        ...

    def share(self, value: U) -> U:
        """A large value, made ready to stand beside in several maps."""
        ...

    def collect(self) -> Sequence[T_co]:
        """The values, in order, in this process."""
        ...

    def total(self, add: Callable[[Any, Any], Any]) -> T_co:
        """The sum of the values, neighbours first, then neighbouring sums, and so on; at least one partition."""
        ...


@dataclass(frozen=True, eq=False)
class LocalParts(Generic[T]):
    """``Parts`` that lie in this process and are worked on one after the other; at least one."""

    values: Sequence[T]

    def __len__(self) -> int:
        return len(self.values)

    def map(self, function: Callable[..., U], *beside: Any) -> Parts[U]:
        return LocalParts([function(value, *of_partition(beside, at)) for at, value in enumerate(self.values)])

    def share(self, value: U) -> U:
        return value

    def collect(self) -> Sequence[T]:
        return self.values

    def total(self, add: Callable[[Any, Any], Any]) -> T:
        return in_a_tree(list(self.values), add)


def of_partition(beside: Sequence[Any], at: int) -> list[Any]:
    """The arguments of one partition."""
    return [each.values[at] if isinstance(each, Each | LocalParts) else each for each in beside]


def in_a_tree(values: list[T], add: Callable[[T, T], T]) -> T:
    """The sum of neighbours, then of neighbouring sums, until one is left."""
    while len(values) > 1:
        pairs = [add(first, second) for first, second in zip(values[::2], values[1::2], strict=False)]
        values = pairs + values[len(pairs) * 2 :]
    return values[0]


def first(pair: Sequence[T]) -> T:
    return pair[0]


def second(pair: Sequence[Any]) -> Any:
    return pair[1]
