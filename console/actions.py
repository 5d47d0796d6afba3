"""Actions on selected rows: a service for each, with what was refused and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db import models, transaction
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from console import auditing
from console.formats import counted

ROWS_PER_ACTION = 1_000  # services run row by row, within one request

REASONS_SHOWN = 5

EXAMPLES_SHOWN = 3


def change_each(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    rows: models.QuerySet[Any],
    change: Callable[[Any], object],
    *,
    done: str,
    refusals: type[Exception] | tuple[type[Exception], ...],
) -> None:
    """Call a service for every selected row; say how many worked, and why the others did not.

    Each row stands for itself: one refusal takes nothing back from the rows before it. What was changed goes into the
    audit log with it.
    """
    if len(selected := list(rows[: ROWS_PER_ACTION + 1])) > ROWS_PER_ACTION:
        messages.error(request, f"Nothing was changed: select at most {ROWS_PER_ACTION:,} rows at a time.")
        return
    refused: dict[str, list[str]] = defaultdict(list)
    for row in selected:
        try:
            with transaction.atomic():
                before = auditing.snapshot(row)
                change(row)
                row.audited_changes = auditing.changes(before, auditing.snapshot(row))
                model_admin.log_change(request, row, done.capitalize())
        except refusals as refusal:
            refused[str(refusal)].append(str(row))
    report_changes(request, model_admin.opts, len(selected), refused, done)


def report_changes(request: HttpRequest, opts: Any, n_selected: int, refused: dict[str, list[str]], done: str) -> None:
    n_refused = sum(map(len, refused.values()))
    if n_done := n_selected - n_refused:
        messages.success(request, f"{counted(n_done, opts)} {done}.")
    if refused:
        messages.warning(request, f"{counted(n_refused, opts)} not {done}. " + " ".join(reasons(refused)))


def reasons(refused: dict[str, list[str]]) -> list[str]:
    """One sentence per reason, the commonest first, with a few of the rows it struck."""
    ranked = sorted(refused.items(), key=lambda item: -len(item[1]))
    sentences = [
        f"{', '.join(rows[:EXAMPLES_SHOWN])}{more(len(rows))}: {reason}" for reason, rows in ranked[:REASONS_SHOWN]
    ]
    return [sentence if sentence.endswith(".") else f"{sentence}." for sentence in sentences]


def more(n_rows: int) -> str:
    return f" and {n_rows - EXAMPLES_SHOWN:,} more" if n_rows > EXAMPLES_SHOWN else ""
