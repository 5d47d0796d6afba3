"""Bring records with fewer or more cells than the header to its length, where there is one way to do it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from catalog.imports.headings import Column
from catalog.imports.listing_row import RowProblem

FREE_TEXT = ("description", "title", "variant", "tags", "place", "seller_name")


class RecordLengths:
    """Corrects the lengths of one file's records.

    Args:
        headings: Of the header, "" where a column has none.
        columns: Those with a field, by their index in a record.
        delimiter: The separator of cells.
        reads_well: Whether every cell of a record of the right length can be read.
    """

    def __init__(
        self,
        headings: Sequence[str],
        columns: Mapping[int, Column],
        delimiter: str,
        reads_well: Callable[[Sequence[str]], bool],
    ) -> None:
        self._headings, self._columns, self._delimiter = headings, columns, delimiter
        self._reads_well = reads_well

    def fit(self, cells: list[str], problems: list[RowProblem], recovered: list[str]) -> list[str] | None:
        """Bring a record to the header's length; None when it is not clear how."""
        n_columns = len(self._headings)
        while len(cells) > n_columns and not cells[-1].strip():
            cells.pop()
        if len(cells) < n_columns:
            problems.append(RowProblem("", "", f"only {len(cells)} of {n_columns} cells"))
            return cells + [""] * (n_columns - len(cells))
        if len(cells) == n_columns:
            return cells
        joined = self._joined(cells, len(cells) - n_columns + 1)
        if joined:
            heading, mended = joined
            recovered.append(f"{heading} held a separator")
            return mended
        return None

    def _joined(self, cells: list[str], n_pieces: int) -> tuple[str, list[str]] | None:
        """Join the pieces of the one cell that held an unquoted separator, if only one way leaves no unreadable
        value."""
        found: list[tuple[Column, list[str]]] = []
        for index, column in self._columns.items():
            pieces = cells[index : index + n_pieces]
            if len(pieces) == n_pieces and _belong_together(column.field, pieces):
                mended = [*cells[:index], self._delimiter.join(pieces), *cells[index + n_pieces :]]
                if self._reads_well(mended):
                    found.append((column, mended))
        if len(found) > 1:
            found = [pair for pair in found if pair[0].field in FREE_TEXT]
        return (found[0][0].heading, found[0][1]) if len(found) == 1 else None


def _belong_together(field: str, pieces: Sequence[str]) -> bool:
    """Whether pieces of a record can be one cell: words with words, a number with its thousands or decimals."""
    if field in ("price", "mileage", "annual_tax"):
        return bool(re.search(r"\d\s*$", pieces[0])) and all(re.match(r"\s*\d{2,3}\b", piece) for piece in pieces[1:])
    if field in ("engine", "consumption", "power"):
        return bool(re.search(r"\d\s*$", pieces[0])) and len(pieces) == 2 and bool(re.match(r"\s*\d{1,2}\b", pieces[1]))
    return field in (*FREE_TEXT, "make", "model") and all(re.search(r"[^\W\d_]", piece) for piece in pieces)
