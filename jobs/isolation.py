"""One bad row does not stop a batch: it is found, counted and left out, and the others go on.

What a row may hold changes from release to release, and a batch meets what every earlier one stored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from django.db import DataError, IntegrityError, InternalError, OperationalError
from prometheus_client import Counter

from web.errors import is_refused_value

logger = logging.getLogger(__name__)

LEFT_OUT = Counter(
    "forecourt_rows_left_out_total", "Rows that a batch could not work on and left out, by batch.", ["batch"]
)
# Faults of what is worked on. A database that is away or a task that ran out of time stops the batch as a whole.
FAULTS_OF_DATA = (
    ValueError, TypeError, LookupError, ArithmeticError, AttributeError, DataError, IntegrityError, InternalError,
)  # fmt: skip

Row = TypeVar("Row")
Made = TypeVar("Made")


def is_fault_of_data(error: BaseException) -> bool:
    """Whether another row might have done better. Psycopg calls “program limit exceeded” an operational error."""
    if isinstance(error, OperationalError):
        return is_refused_value(error)
    return isinstance(error, FAULTS_OF_DATA)


def each_that_works(
    rows: Sequence[Row],
    work: Callable[[Sequence[Row]], list[Made]],
    *,
    batch: str,
    on_fault: Callable[[Row, Exception], list[Made]] = lambda row, error: [],
) -> list[Made]:
    """What ``work`` makes of the rows together; where that fails, of each half, down to the rows that are at fault.

    Args:
        rows: To be worked on together, which is faster than one by one.
        work: Must leave nothing behind when it raises, as it is called again with a part of the rows.
        batch: Names the kind of work, for the metric and the log.
        on_fault: What stands in for a row that is at fault; nothing by default.
    """
    if not len(rows):
        return []
    try:
        return work(rows)
    except Exception as error:
        if not is_fault_of_data(error):
            raise
        if len(rows) == 1:
            LEFT_OUT.labels(batch).inc()
            logger.exception("%s: %r is left out", batch, rows[0])
            return _stand_in(rows[0], error, on_fault, batch)
    middle = len(rows) // 2
    return [
        made
        for part in (rows[:middle], rows[middle:])
        if len(part)
        for made in each_that_works(part, work, batch=batch, on_fault=on_fault)
    ]


def _stand_in(row: Row, error: Exception, on_fault: Callable[[Row, Exception], list[Made]], batch: str) -> list[Made]:
    """What stands in for a row; nothing where that fails on the same data."""
    try:
        return on_fault(row, error)
    except Exception as another:
        if not is_fault_of_data(another):
            raise
        logger.exception("%s: nothing stands in for %r", batch, row)
        return []
