"""Columns that hold a status by their cells, where the heading alone is ambiguous.

``Estado`` and ``Stav`` head the condition of a car or its status, and ``state`` a region. Where at least half of the
sample's different cells are known statuses, and none is a condition, the column is the status, and unknown words in it
are not live. ``Status`` heads conditions too; "new" is a condition where other cars of the sample are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from catalog.imports.cells import condition_under_status
from catalog.imports.headings import Column, says_condition, split_words
from catalog.imports.money import currency_in
from catalog.imports.vocabulary import STATUS, VOCABULARIES, bare, damage_of, is_missing

SHORTEST_STATUS = 4  # letters; "on", "no" and "1" are ambiguous


def with_status_columns(
    columns: Sequence[Column], sample: Sequence[Sequence[str]], pairs: Sequence[str] = ()
) -> tuple[Column, ...]:
    """Return the columns, with those changed to the status whose cells say so; columns mapped by an operator
    (``pairs``) stay."""
    chosen = {heading.strip() for heading in pairs}
    return tuple(
        column if column.heading.strip() in chosen
        else replace(column, field="status", unit="") if _may_hold_status(column) and _holds_statuses(column, sample)
        else replace(column, field="price") if column.field == "year" and _holds_money(column, sample)
        else replace(column, unit="conditions") if column.field == "status" and _says_used(column, sample)
        else column
        for column in columns
    )  # fmt: skip


def _holds_money(column: Column, sample: Sequence[Sequence[str]]) -> bool:
    """Whether the cells are prices: Hungarian ``Ár`` without its accent is the year in Norwegian."""
    said = [cells[column.index] for cells in sample if column.index < len(cells)]
    said = [cell for cell in said if not is_missing(cell)]
    return bool(said) and all(map(currency_in, said))


def _says_used(column: Column, sample: Sequence[Sequence[str]]) -> bool:
    return any(condition_under_status("", cells[column.index]) for cells in sample if column.index < len(cells))


def _may_hold_status(column: Column) -> bool:
    if column.field == "tags":
        return says_condition(column.heading)
    return column.field == "place" and may_be_state(column.heading)


def may_be_state(heading: str) -> bool:
    """Whether the heading of a place may also mean a status: ``state``."""
    return split_words(heading).split()[-1:] == ["state"]


def _holds_statuses(column: Column, sample: Sequence[Sequence[str]]) -> bool:
    cells = [cells[column.index] for cells in sample if column.index < len(cells)]
    said = {bare(cell) for cell in cells if not is_missing(cell)}
    others = [text for text in said if not is_status(text)]
    if column.field == "place" and others:
        return False  # as many regions as statuses
    if any(VOCABULARIES["condition"].read(text) or damage_of(text) for text in others):
        return False
    return bool(said) and 2 * len(others) <= len(said)


def is_status(text: str) -> bool:
    """Whether a whole cell is a word for a status, and not for a condition."""
    return len(text) >= SHORTEST_STATUS and bool(STATUS.exact(text)) and not VOCABULARIES["condition"].exact(text)
