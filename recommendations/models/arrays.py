"""Tables <-> numpy arrays by binary COPY."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet
from numpy.typing import NDArray
from psycopg import ClientCursor, Cursor, sql

from recommendations.engine.arrays import Array
from web.postgres.prepared import PreparingCursor


def as_objects(values: Sequence[Any]) -> NDArray[np.object_]:
    """One object per element, also where the elements are sequences themselves."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def read_columns(
    query: sql.Composable,
    *types: type[np.int64] | type[np.float64],
    parameters: Mapping[str, Any] | None = None,
    is_planned_once: bool = False,
) -> list[Array]:
    """The columns of a query as arrays, its rows in no particular order.

    All columns must be bigint or double precision, as the types say, and never NULL. Parameters as in ``read_records``.
    """
    names = [f"column{at}" for at in range(len(types))]
    record = np.dtype([(name, np.dtype(kind).newbyteorder(">")) for name, kind in zip(names, types, strict=True)])
    rows = read_records(query, [SENDERS[kind] for kind in types], record, parameters, is_planned_once=is_planned_once)
    return [rows[name].astype(kind) for name, kind in zip(names, types, strict=True)]


SENDERS = {np.int64: "int8send", np.float64: "float8send"}  # PostgreSQL's own functions of the binary format

ROWS_IN_ONE = 50_000


def read_records(
    query: sql.Composable,
    senders: Sequence[str],
    record: np.dtype[Any],
    parameters: Mapping[str, Any] | None = None,
    *,
    is_planned_once: bool = False,
) -> Array:
    """As ``read_records_in_parts``, all together."""
    parts = read_records_in_parts(query, senders, record, parameters, is_planned_once=is_planned_once)
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, record), *parts])


def read_records_in_parts(
    query: sql.Composable,
    senders: Sequence[str],
    record: np.dtype[Any],
    parameters: Mapping[str, Any] | None = None,
    *,
    is_planned_once: bool = False,
) -> list[Array]:
    """The rows of a query as records of a fixed length, in no particular order, and in as many parts as they are sent.

    ``parameters`` are sent beside the query, by the names of its placeholders; ``is_planned_once``: it is asked again
    and again, of little each time, and the server keeps its plan (see ``web.postgres.prepared``).

    The database strings the columns' bytes together, many rows to one value. Sent row by row, even by COPY, each is a
    message that a process wakes up for: a million events took 3.1 s of processor, and take 0.04.
    """
    columns = [sql.Identifier(f"c{at}") for at in range(len(senders))]
    packed = [sql.SQL("{}({})").format(sql.SQL(send), name) for send, name in zip(senders, columns, strict=True)]
    statement = sql.SQL(
        "SELECT string_agg({packed}, ''::bytea) FROM (SELECT *, row_number() OVER () / {n} AS part "
        "FROM ({query}) AS found ({columns})) AS numbered GROUP BY part"
    ).format(
        packed=sql.SQL(" || ").join(packed), n=sql.Literal(ROWS_IN_ONE), query=query,
        columns=sql.SQL(", ").join(columns),
    )  # fmt: skip
    cursor_of = PreparingCursor if is_planned_once else Cursor
    with connection.cursor() as cursor, cursor_of(cursor.connection) as binary:
        parts = binary.execute(statement, parameters, binary=True).fetchall()
    return [np.frombuffer(part, record) for (part,) in parts]


def read_queryset(
    rows: QuerySet[Any], whole: Sequence[str], fractions: Sequence[str], texts: Sequence[str]
) -> tuple[dict[str, NDArray[np.int64]], dict[str, NDArray[np.float64]], dict[str, NDArray[np.object_]]]:
    """Columns of a queryset by name, its rows in no particular order, packed as in ``read_records``.

    Row by row, 100,000 listings are 3 million Python objects, which takes seconds.

    Args:
        rows: Any; its own order is left out.
        whole: Columns read as int64; NULL is 0.
        fractions: As float64; NULL is nan.
        texts: As ``str``; NULL is "".
    """
    names = [*whole, *fractions, *texts]
    try:
        query, parameters = rows.order_by().values_list(*names).query.sql_with_params()
    except EmptyResultSet:  # what Django knows without asking: a filter on no ids at all
        query, parameters = sql_without_rows(len(names)), ()
    parts = [f"string_agg(int8send(coalesce(c{at}::int8, 0)), ''::bytea)" for at in range(len(whole))]
    start = len(whole)
    parts += [
        f"string_agg(float8send(coalesce(c{at}::float8, 'NaN')), ''::bytea)"
        for at in range(start, start + len(fractions))
    ]
    start += len(fractions)
    parts += [f"array_agg(coalesce(c{at}::text, ''))" for at in range(start, len(names))]
    columns = ", ".join(f"c{at}" for at in range(len(names)))
    statement = (
        f"SELECT {', '.join(parts)} FROM (SELECT *, row_number() OVER () / {ROWS_IN_ONE} AS part "  # noqa: S608 (ours)
        f"FROM ({query}) AS found ({columns})) AS numbered GROUP BY part"
    )
    with connection.cursor() as cursor, Cursor(cursor.connection) as binary:
        asked = ClientCursor(cursor.connection).mogrify(statement, parameters)
        found = binary.execute(asked.encode(), binary=True).fetchall()
    read = dict(zip(names, zip(*found, strict=True), strict=True)) if found else dict.fromkeys(names, ())
    return (
        {name: np.frombuffer(b"".join(read[name]), ">i8").astype(np.int64) for name in whole},
        {name: np.frombuffer(b"".join(read[name]), ">f8").astype(np.float64) for name in fractions},
        {name: as_objects([text for part in read[name] for text in part]) for name in texts},
    )


def sql_without_rows(n_columns: int) -> str:
    return f"SELECT {', '.join(['NULL'] * n_columns)} WHERE false"
