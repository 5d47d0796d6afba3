"""Read workbooks (xlsx, xls, xlsb and ods): the sheet with the cars, as rows under its header. The reader holds it
in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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
from catalog.imports.heading_groups import with_groups
from catalog.imports.structured import RecordFile, Written, text_of
from catalog.imports.vocabulary import bare, status_of

_PLAIN_NAME = re.compile(r"^(?:sheet|tabelle|blatt|feuil|hoja|foglio|list|blad|ark|arkusz|лист) ?\d+$", re.IGNORECASE)
_OF_A_TIME = re.compile(
    r"\d|\b(?:old|alt|archiv|backup|copy|kopie|vorlage|template|jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch)?|märz|"
    r"apr(?:il)?|ma[iy]|june?|juni|july?|juli|aug(?:ust)?|sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?)\b",
    re.IGNORECASE,
)


def open_workbook(path: Path, content: IO[bytes], knows: KnowsHeadings, stack: ExitStack) -> RecordFile:
    """The sheet, and the row of it, that names the most fields, and the sheets that go on under the same header."""
    content.seek(0)
    try:
        book = stack.enter_context(CalamineWorkbook.from_filelike(content))
        names = book.sheet_names
        found = [_header_of(book, name, knows) for name in names]
    except CalamineError as error:
        raise FileRefused(f"{path.name} is an office document, not a workbook that can be read: {error}.") from None
    if not found:
        raise FileRefused(f"{path.name} has no sheet.")
    best = max(found, key=lambda each: each[:2])
    score, _, sheet, n_above, headings = best
    sample = list(islice(_rows_of(book, sheet, n_above + 1), SAMPLE_RECORDS))
    if score < MIN_FIELDS:
        raise HeaderRefused(no_header(path, headings, knows, sample))
    headings = without_empty_end(headings, sample)
    read = [best, *(each for each in found if each is not best and _goes_on(each[2], each[4], headings))]
    n_rows, n_done = sum(n_rows for _, n_rows, *_ in read) or 1, [0]

    def rows() -> Iterator[list[str]]:
        for _, _, name, n_above, _ in read:
            for cells in _rows_of(book, name, n_above + 1):
                n_done[0] += 1
                yield cells[: len(headings)] if not any(cells[len(headings) :]) else cells

    return RecordFile(
        path,
        Written("workbook", ", ".join(f"sheet “{name}”" for _, _, name, _, _ in read)),
        headings,
        [cells[: len(headings)] for cells in sample],
        path.stat().st_size,
        rows,
        lambda: n_done[0] / n_rows,
        stack.pop_all(),
    )


def _goes_on(name: str, header: Sequence[str], headings: Sequence[str]) -> bool:
    """Whether another sheet has more of the stock: the same header, and no name of what is sold, of a month or a year.

    Those are other states of the stock, which would put cars on sale again.
    """
    is_same = [bare(heading) for heading in header[: len(headings)]] == [bare(heading) for heading in headings]
    is_other_state = status_of(name) not in (None, "live") or _OF_A_TIME.search(name)
    return is_same and not any(header[len(headings) :]) and (bool(_PLAIN_NAME.match(name)) or not is_other_state)


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
    headings = with_groups(rows[candidate - 1], rows[candidate], knows.score) if candidate else rows[candidate]
    return knows.score(headings), book.get_sheet_by_name(sheet).total_height, sheet, candidate, headings


def _rows_of(book: CalamineWorkbook, sheet: str, n_above: int) -> Iterator[list[str]]:
    for cells in islice(book.get_sheet_by_name(sheet).iter_rows(), n_above, None):
        yield [text_of(value) for value in cells]
