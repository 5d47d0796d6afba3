"""Data in partitions, and functions of all partitions: in this process, or in the workers of an executor.

A learner over many buyers is written once, as a function of one partition and a sum over partitions. In one process and
on a cluster, the same functions get the same partitions, and sums are formed in the same order. The results therefore
agree up to rounding for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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

        The arguments in ``beside`` are the same for all partitions, except ``Parts`` and ``Each``: of these, each
        partition gets its own value. Functions must not change values in place, because other calls may read them.
        Errors are raised here or when the result is read.
        """
        ...

    def anew(self, function: Callable[..., U], *beside: Any) -> Parts[U]:
        """Do as ``map``, but keep no result: each reader of the result computes it again.

        This is for results that cost less to compute than to keep, such as a selection of rows.
        """
        ...

    def share(self, value: U) -> U:
        """Prepare a large value for use as an argument of several maps."""
        ...

    def collect(self) -> Sequence[T_co]:
        """The values, in order, in this process."""
        ...

    def total(self, add: Callable[[Any, Any], Any]) -> T_co:
        """The sum of the values: of neighbours, then of neighbouring sums, and so on; needs at least one partition."""
        ...

    def total_of(self, function: Callable[..., U], add: Callable[[Any, Any], Any], *beside: Any) -> U:
        """``map(function, *beside).total(add)``, with few of the summands in memory at the same time."""
        ...


@dataclass(frozen=True, eq=False)
class LocalParts(Generic[T]):
    """``Parts`` that lie in this process and are worked on one after the other; at least one."""

    values: Sequence[T]

    def __len__(self) -> int:
        return len(self.values)

    def map(self, function: Callable[..., U], *beside: Any) -> Parts[U]:
        return LocalParts(list(self._one_by_one(function, beside)))

    def anew(self, function: Callable[..., U], *beside: Any) -> Parts[U]:
        return MadeAnew(self, function, beside)

    def share(self, value: U) -> U:
        return value

    def collect(self) -> Sequence[T]:
        return self.values

    def total(self, add: Callable[[Any, Any], Any]) -> T:
        return in_a_tree(self.values, add)

    def total_of(self, function: Callable[..., U], add: Callable[[Any, Any], Any], *beside: Any) -> U:
        return in_a_tree(self._one_by_one(function, beside), add)

    def _one_by_one(self, function: Callable[..., U], beside: Sequence[Any]) -> Iterator[U]:
        return (function(value, *of_partition(beside, at)) for at, value in enumerate(self.values))


@dataclass(frozen=True, eq=False)
class MadeAnew(Generic[T]):
    """``Parts`` that are made of others whenever they are asked for: see ``Parts.anew``."""

    source: Parts[Any]
    function: Callable[..., T]
    beside: Sequence[Any]

    def __len__(self) -> int:
        return len(self.source)

    def map(self, function: Callable[..., U], *beside: Any) -> Parts[U]:
        return self.source.map(of_what_is_made, *self._with(function, beside))

    def anew(self, function: Callable[..., U], *beside: Any) -> Parts[U]:
        return MadeAnew(self, function, beside)

    def share(self, value: U) -> U:
        return self.source.share(value)

    def collect(self) -> Sequence[T]:
        return self.source.map(self.function, *self.beside).collect()

    def total(self, add: Callable[[Any, Any], Any]) -> T:
        return self.source.total_of(self.function, add, *self.beside)

    def total_of(self, function: Callable[..., U], add: Callable[[Any, Any], Any], *beside: Any) -> U:
        total: U = self.source.total_of(of_what_is_made, add, *self._with(function, beside))
        return total

    def _with(self, function: Callable[..., Any], beside: Sequence[Any]) -> list[Any]:
        return [self.function, len(self.beside), function, *self.beside, *beside]


def of_what_is_made(value: Any, make: Callable[..., Any], n_beside: int, function: Callable[..., U], *beside: Any) -> U:
    """Return ``function`` of the result of ``make``; the first ``n_beside`` further arguments belong to ``make``."""
    return function(make(value, *beside[:n_beside]), *beside[n_beside:])


def of_partition(beside: Sequence[Any], at: int) -> list[Any]:
    """The arguments of one partition."""
    return [each.values[at] if isinstance(each, Each | LocalParts) else each for each in beside]


def in_a_tree(values: Iterable[T], add: Callable[[T, T], T]) -> T:
    """The sum of neighbours, then of neighbouring sums, until one is left; of at least one value.

    They are added up as they come: at most one sum of each size waits for its neighbour. What is left at the end is
    added from the last.
    """
    waiting: list[tuple[int, T]] = []  # sums with how many values each has, ever fewer
    for value in values:
        n, total = 1, value
        while waiting and waiting[-1][0] == n:
            n, total = 2 * n, add(waiting.pop()[1], total)
        waiting.append((n, total))
    total = waiting.pop()[1]
    while waiting:
        total = add(waiting.pop()[1], total)
    return total


def first(pair: Sequence[T]) -> T:
    return pair[0]


def second(pair: Sequence[Any]) -> Any:
    return pair[1]
