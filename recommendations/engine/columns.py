"""Parallel columns: dataclasses whose fields are arrays with one row for each of the same things."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

from recommendations.engine.arrays import Flags, Integers


@dataclass(frozen=True, eq=False)
class Columns:
    """Base of such a class: row ``i`` of every field is about the same thing.

    A field is an array or a sparse matrix, such a class itself, or a dict of these by name.

    Attributes:
        SHARED: Fields that are about all rows, and of which no rows are taken.
    """

    SHARED: ClassVar[tuple[str, ...]] = ()

    def take(self, at: Integers | Flags | slice) -> Self:
        """Return the rows at these positions, in that order, or those of a mask or slice.

        Raises:
            IndexError: A position is not one of a row, or a mask has another length.
        """
        names = [field.name for field in fields(self) if field.name not in self.SHARED]
        return replace(self, **{name: _rows_of(getattr(self, name), at) for name in names})


def _rows_of(column: Any, at: Integers | Flags | slice) -> Any:
    if isinstance(column, Columns):
        return column.take(at)
    if isinstance(column, dict):
        return {name: _rows_of(each, at) for name, each in column.items()}
    return column[at]
