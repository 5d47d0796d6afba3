"""Bad rows of an import, grouped by column and reason, with their values and what an operator can teach."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.aggregates import BoolOr
from django.db.models import CharField, Count, F, Func, QuerySet, Value

from catalog.imports.cells import UNKNOWN_STATUS
from catalog.imports.known import WAITS
from catalog.imports.names import near_makes, near_models, split_make
from catalog.imports.vocabulary import TEACHABLE
from catalog.models import BadRow, ImportRun

KINDS_SHOWN, VALUES_SHOWN = 30, 30
_REASON = Func(F("reason"), Value("; nearest"), Value(1), function="split_part", output_field=CharField())


@dataclass(frozen=True)
class Kind:
    """Rows of a run that are bad for one reason in one column.

    ``field`` is the field whose words can be taught, or ""; ``is_fatal`` says that the reason keeps rows from being
    stored.
    """

    column: str
    reason: str
    n_rows: int
    field: str
    is_fatal: bool = False

    @property
    def key(self) -> str:
        """Short name for forms and URLs."""
        return hashlib.blake2b(f"{self.column}\x1f{self.reason}".encode(), digest_size=8).hexdigest()


def kinds_of(run: ImportRun) -> list[Kind]:
    """Return the kinds of bad rows that a run still has, the most frequent first."""
    counted = (
        _problems(run)
        .values_list("column", "said")
        .annotate(n=Count("row_number", distinct=True), refuses=BoolOr("is_fatal"))
    )
    columns = run.options.get("columns", {})
    return [
        Kind(column, reason, n, _teachable(columns.get(column, column), reason), is_fatal)
        for column, reason, n, is_fatal in counted.order_by("-n", "column", "said")[:KINDS_SHOWN]
    ]


def _problems(run: ImportRun) -> QuerySet[Any]:
    problems: QuerySet[Any] = run.problems.annotate(said=_REASON).filter(
        row_number__in=run.bad_rows.values("row_number")
    )
    return problems.order_by()


def _teachable(target: str, reason: str) -> str:
    """Return the field whose words would solve this: that of an unknown name, or of a word that a vocabulary lacks."""
    for field in ("make", "model"):
        if reason == f"the {field} {WAITS}":
            return field
    is_unknown_word = reason.startswith("not a known ") or reason == UNKNOWN_STATUS
    return target if is_unknown_word and target in TEACHABLE and TEACHABLE[target] else ""


def values_of(run: ImportRun, kind: Kind) -> list[tuple[str, int]]:
    """Return the most frequent values of a kind, with their numbers of rows."""
    counted = _of_kind(run, kind).exclude(value="").values_list("value").annotate(n=Count("row_number", distinct=True))
    return list(counted.order_by("-n", "value")[:VALUES_SHOWN])


def rows_of(run: ImportRun, kind: Kind, values: Sequence[str] = ()) -> QuerySet[BadRow]:
    """Select the rows of a kind, or those of them with one of these values."""
    problems = _of_kind(run, kind)
    if values:
        problems = problems.filter(value__in=values)
    return run.bad_rows.filter(row_number__in=problems.values("row_number")).order_by("row_number")


def _of_kind(run: ImportRun, kind: Kind) -> QuerySet[Any]:
    return _problems(run).filter(column=kind.column, said=kind.reason)


def suggestions(field: str, value: str) -> tuple[str, ...]:
    """Return known names similar to an unknown one; a model's value begins with its make."""
    if field == "make":
        return near_makes(value)
    make, model = split_make(value)
    return near_models(make, model)
