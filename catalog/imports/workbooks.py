"""Workbooks: xlsx, xls, xlsb and ods; the sheet with the cars is read as rows under its header. Its reader holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import IO

from python_calamine import CalamineError, CalamineWorkbook

from catalog.exceptions import FileRefused, HeaderRefused
from catalog.imports.dialects import (
    HEADER_WITHIN_RECORDS,
    MIN_FIELDS,
    SAMPLE_RECORDS,
    KnowsHeadings,
    no_header,
    numbered,
    without_empty_end,
)
from catalog.imports.structured import RecordFile, Written, text_of


def open_workbook(path: Path, content: IO[bytes], knows: KnowsHeadings, stack: ExitStack) -> RecordFile:
    """The sheet, and the row of it, that names the most fields."""
    content.seek(0)
    try:
        book = stack.enter_context(CalamineWorkbook.from_filelike(content))
        names = book.sheet_names
        found = [_header_of(book, name, knows) for name in names]
    except CalamineError as error:
        raise FileRefused(f"{path.name} is an office document, not a workbook that can be read: {error}.") from None
    if not found:
        raise FileRefused(f"{path.name} has no sheet.")
    score, _, sheet, n_above, headings = max(found, key=lambda each: each[:2])
    sample = list(islice(_rows_of(book, sheet, n_above + 1), SAMPLE_RECORDS))
    if score < MIN_FIELDS:
        raise HeaderRefused(no_header(path, headings, knows, sample))
    headings = without_empty_end(headings, sample)
    n_rows, n_done = book.get_sheet_by_name(sheet).total_height or 1, [0]

    def rows() -> Iterator[list[str]]:
        for cells in _rows_of(book, sheet, n_above + 1):
            n_done[0] += 1
            yield cells[: len(headings)] if not any(cells[len(headings) :]) else cells

    return RecordFile(
        path,
        Written("workbook", f"sheet “{sheet}”"),
        headings,
        [cells[: len(headings)] for cells in sample],
        path.stat().st_size,
        rows,
        lambda: n_done[0] / n_rows,
        stack.pop_all(),
    )


def _header_of(book: CalamineWorkbook, sheet: str, knows: KnowsHeadings) -> tuple[int, int, str, int, list[str]]:
    """(fields named, rows of the sheet, its name, rows above the header, the header)."""
    rows = list(islice(_rows_of(book, sheet, 0), HEADER_WITHIN_RECORDS))
    if knows.is_by_position:
        headings = numbered(max(map(len, rows), default=0))
        return knows.score(headings), book.get_sheet_by_name(sheet).total_height, sheet, -1, headings
    scores = [knows.score(cells) for cells in rows]
    if not scores:
        return 0, 0, sheet, 0, []
    candidate = scores.index(max(scores))
    return scores[candidate], book.get_sheet_by_name(sheet).total_height, sheet, candidate, rows[candidate]


def _rows_of(book: CalamineWorkbook, sheet: str, n_above: int) -> Iterator[list[str]]:
    for cells in islice(book.get_sheet_by_name(sheet).iter_rows(), n_above, None):
        yield [text_of(value) for value in cells]
