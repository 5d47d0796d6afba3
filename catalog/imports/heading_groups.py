"""Headings on two lines: ``Price`` above ``net`` and ``gross``, as people merge cells of a workbook; no database."""

from __future__ import annotations

from collections.abc import Callable, Sequence

SHORTEST_HEADING = 3  # letters


def with_groups(above: Sequence[str], headings: Sequence[str], score: Callable[[Sequence[str]], int]) -> list[str]:
    """The headings, those that say nothing by themselves with the cell above them, where that makes them known.

    Args:
        above: The row above the header; a cell of it stands over the empty ones behind it too.
        headings: The header.
        score: How many different fields a row of headings names.
    """
    groups = _spread(above, len(headings))
    if not any(groups):
        return list(headings)
    return [_together(group, heading, score) for group, heading in zip(groups, headings, strict=True)]


def _spread(above: Sequence[str], n_columns: int) -> list[str]:
    """The group of each column; none where the row is the title of the whole file, alone in its first cell."""
    cells = [cell.strip() for cell in (*above, *[""] * n_columns)][:n_columns]
    named = [index for index, cell in enumerate(cells) if cell]
    if not named or named == [0]:
        return [""] * n_columns
    spread, group = [], ""
    for cell in cells:
        group = cell or group
        spread.append(group)
    return spread


def _together(group: str, heading: str, score: Callable[[Sequence[str]], int]) -> str:
    heading = heading.strip()
    is_number = len(heading) < SHORTEST_HEADING  # "Nr" counts the rows, also below "Vehicle"
    if not group or is_number or score([heading]):
        return heading
    both = (f"{group} {heading}", f"{heading} {group}")
    return next((each for each in both if score([each])), heading)
