"""Read the status of a row from any of its columns: whether its car is for sale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from catalog.imports.cells import condition_under_status, status_before_title, status_in_price
from catalog.imports.column_readers import Read, remembering
from catalog.imports.columns_by_values import may_be_state
from catalog.imports.headings import Column, says_condition
from catalog.imports.numbers import plain_spaces
from catalog.imports.vocabulary import bare, is_missing


class StatusReader:
    """Reads the status of the rows of one file.

    Args:
        by_field: The columns of each field of the file.
        readers: Reader of each column, by index.
        taught: Words under a status that an operator taught.
    """

    def __init__(
        self, by_field: Mapping[str, Sequence[Column]], readers: Mapping[int, Read], taught: Mapping[str, str]
    ) -> None:
        self._by_field, self._readers, self._taught = by_field, readers, taught
        conditions = (column for column in by_field.get("tags", ()) if says_condition(column.heading))
        regions = (column for column in by_field.get("place", ()) if may_be_state(column.heading))
        self._among_which = (*conditions, *regions)  # a town may be called Salt, or Reserve
        self._in_words = remembering(status_in_price)

    def read(self, cells: Sequence[str], values: Mapping[str, Any]) -> str:
        """Return the status; one that ends a listing takes precedence, in whatever column; an unknown status is a
        draft."""
        said = {values.get(field, "") for field in ("status", "is_sold", "is_reserved", "is_for_sale")}
        said |= {
            status for column in self._by_field.get("price", ())
            if column.index < len(cells) and (status := status_in_price(cells[column.index]))
        }  # fmt: skip
        if title := values.get("title"):
            said.add(status_before_title(title))
        if values.get("status") == "live":  # of two columns of statuses the first is kept: "active" beside "sold"
            said |= {self._readers[column.index](cells[column.index])[0] for column in self._by_field["status"]
                     if column.index < len(cells)}  # fmt: skip
        for column in self._among_which:  # "verkauft" among conditions, "Sold" among regions
            if column.index < len(cells) and (status := self._in_words(cells[column.index])[0]):
                said.add(status)
        for status in ("sold", "withdrawn", "expired", "reserved"):
            if status in said:
                return status
        is_unknown = "status" not in values and any(
            column.index < len(cells)
            and not is_missing(plain_spaces(cells[column.index]))
            and bare(cells[column.index]) not in self._taught
            and not condition_under_status(column.unit, cells[column.index])
            for column in self._by_field.get("status", ())
        )
        return "draft" if is_unknown else values.get("status", "")
