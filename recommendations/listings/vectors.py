"""The stored vectors of listings: a table partition for each ranker version, and its index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection
from numpy.typing import NDArray
from psycopg import Copy, sql

from catalog.models import Listing
from recommendations.engine.arrays import Array
from recommendations.models import SIMILAR_DIMENSIONS, VECTOR_DIMENSIONS, RankerVersion
from recommendations.models.arrays import read_records_in_parts

VECTORS = "recommendations_listingvector"
BOUNDS = "of_this_version"


def partition_of(version_id: int) -> str:
    """The table that holds the vectors of one version."""
    return f"{VECTORS}_v{int(version_id)}"


def read_vectors(
    version: RankerVersion | int, listing_ids: Sequence[int] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Read the stored vectors of one version, in no particular order: ids (n,), vectors (n, d), digests (n,)."""
    version_id = version if isinstance(version, int) else version.pk
    vectors = sql.SQL("SELECT listing_id, digest, vector FROM recommendations_listingvector WHERE version_id = {}")
    query = vectors.format(sql.Literal(version_id))
    if listing_ids is not None:
        query += sql.SQL(" AND listing_id = ANY({})").format(sql.Literal(list(listing_ids)))
    vector = [("dimensions", ">i2"), ("unused", ">i2"), ("vector", ">f4", (VECTOR_DIMENSIONS,))]
    record = np.dtype([("listing_id", ">i8"), ("digest", ">i8"), *vector])
    parts = read_records_in_parts(query, ("int8send", "int8send", "vector_send"), record)
    return (
        column_of(parts, "listing_id", np.int64),
        column_of(parts, "vector", np.float32, VECTOR_DIMENSIONS),
        column_of(parts, "digest", np.int64),
    )


def column_of(parts: Sequence[Array], name: str, kind: type[np.generic], *width: int) -> Array:
    """Join one column of records that come in parts, in native byte order, with one copy: vectors are large."""
    column = np.empty((sum(map(len, parts)), *width), kind)
    start = 0
    for part in parts:
        column[start : start + len(part)] = part[name]
        start += len(part)
    return column


def read_similar(
    version_id: int, listing_ids: Sequence[int] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Read the stored similarity vectors of listings, sorted by id: ids (n,), vectors (n, d)."""
    query = sql.SQL(
        "SELECT listing_id, likeness FROM recommendations_listingvector WHERE version_id = {} AND likeness IS NOT NULL"
    ).format(sql.Literal(version_id))
    if listing_ids is not None:
        query += sql.SQL(" AND listing_id = ANY({})").format(sql.Literal(list(listing_ids)))
    vector = [("dimensions", ">i2"), ("unused", ">i2"), ("vector", ">f4", (SIMILAR_DIMENSIONS,))]
    parts = read_records_in_parts(query, ("int8send", "vector_send"), np.dtype([("listing_id", ">i8"), *vector]))
    ids = column_of(parts, "listing_id", np.int64)
    order = np.argsort(ids)
    return ids[order], column_of(parts, "vector", np.float32, SIMILAR_DIMENSIONS)[order]


# Fields of a record in PostgreSQL's binary COPY, each after its size in bytes.
VERSION_FIELDS: list[tuple[Any, ...]] = [("version_size", ">i4"), ("version_id", ">i8")]

VECTOR_FIELDS: list[tuple[Any, ...]] = [
    ("id_size", ">i4"), ("listing_id", ">i8"),
    ("digest_size", ">i4"), ("digest", ">i8"),
    ("vector_size", ">i4"), ("dimensions", ">i2"), ("unused", ">i2"), ("vector", ">f4", (VECTOR_DIMENSIONS,)),
    ("similar_size", ">i4"), ("similar_dimensions", ">i2"), ("also_unused", ">i2"),
    ("similar", ">f4", (SIMILAR_DIMENSIONS,)),
]  # fmt: skip

RECORD = np.dtype([("n_fields", ">i2"), *VECTOR_FIELDS])

VERSIONED_RECORD = np.dtype([("n_fields", ">i2"), *VERSION_FIELDS, *VECTOR_FIELDS])

RECORDS_AT_ONCE = 10_000  # of half a kilobyte each


def write_vectors(
    version: RankerVersion | int,
    listing_ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    digests: NDArray[np.int64],
    similar: NDArray[np.float32] | None = None,
) -> None:
    """Store vectors, replacing older ones of the same listings, through a binary COPY.

    Rows are written in the order of listing ids, so that two concurrent writers cannot deadlock. Without ``similar``,
    that column stays null, as in rows of earlier releases, until a beat job fills it.
    """
    version_id = version if isinstance(version, int) else version.pk
    has_similar = similar is not None
    if similar is None:
        similar = np.zeros((len(listing_ids), SIMILAR_DIMENSIONS), np.float32)
    records = vector_records(RECORD, listing_ids, vectors, digests, similar)
    records["n_fields"] = 4
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE IF NOT EXISTS new_vectors "
            "(listing_id bigint, digest bigint, vector vector, likeness vector)"
        )
        cursor.execute("TRUNCATE new_vectors")
        with cursor.copy("COPY new_vectors (listing_id, digest, vector, likeness) FROM STDIN (FORMAT BINARY)") as copy:
            send_records(copy, records)
        cursor.execute(
            "INSERT INTO recommendations_listingvector AS stored (version_id, listing_id, digest, vector, likeness) "
            "SELECT %s, listing_id, digest, vector, CASE WHEN %s THEN likeness END "
            "FROM new_vectors ORDER BY listing_id "
            "ON CONFLICT (version_id, listing_id) DO UPDATE SET digest = excluded.digest, vector = excluded.vector, "
            "likeness = excluded.likeness WHERE stored.digest <> excluded.digest OR stored.likeness IS NULL",
            [version_id, has_similar],
        )


def fill_partition(
    version_id: int,
    listing_ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    digests: NDArray[np.int64],
    similar: NDArray[np.float32],
) -> None:
    """Store the vectors of a version that is not in use yet, directly into its empty partition.

    The trigger that notifies processes of new vectors belongs to the parent table and does not fire here. If it did,
    the processes of the live version would read all their listings again.
    """
    table = sql.Identifier(partition_of(version_id))
    statement = sql.SQL("COPY {} (version_id, listing_id, digest, vector, likeness) FROM STDIN (FORMAT BINARY)").format(
        table
    )
    records = vector_records(VERSIONED_RECORD, listing_ids, vectors, digests, similar)
    records["n_fields"], records["version_size"], records["version_id"] = 5, 8, version_id
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        send_records(copy, records)


def vector_records(
    record: np.dtype[Any],
    listing_ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    digests: NDArray[np.int64],
    similar: NDArray[np.float32],
) -> Array:
    """Build the records of a binary COPY, sorted by listing id."""
    order = np.argsort(listing_ids)
    records = np.zeros(len(order), record)
    records["id_size"], records["digest_size"] = 8, 8
    records["vector_size"], records["dimensions"] = 4 + 4 * VECTOR_DIMENSIONS, VECTOR_DIMENSIONS
    records["listing_id"], records["digest"] = listing_ids[order], digests[order]
    records["vector"] = vectors[order]
    records["similar_size"], records["similar_dimensions"] = 4 + 4 * SIMILAR_DIMENSIONS, SIMILAR_DIMENSIONS
    records["similar"] = similar[order]
    return records


def send_records(copy: Copy, records: NDArray[np.void]) -> None:
    copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
    for start in range(0, len(records), RECORDS_AT_ONCE):
        copy.write(records[start : start + RECORDS_AT_ONCE].tobytes())
    copy.write(b"\xff\xff")


INDEX_LOCKS = 0x1DE << 44  # keeps our advisory locks apart from others


def create_detached(version_id: int) -> None:
    """Create the table of one version, not yet attached as a partition, so that no reader waits while it is filled.

    ``CREATE TABLE ... PARTITION OF`` would lock the parent table against readers until the transaction ends. The check
    constraint equals the later bounds, so that attaching the partition reads no row.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {partition_of(version_id)} (LIKE {VECTORS} INCLUDING ALL, "
            f"CONSTRAINT {BOUNDS} CHECK (version_id = {int(version_id)}))"
        )


def attach_partition(version_id: int) -> None:
    """Attach a filled table as a partition; this is fast, and neither readers nor writers wait for it."""
    table = partition_of(version_id)
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {VECTORS} ATTACH PARTITION {table} FOR VALUES IN ({int(version_id)})")
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {BOUNDS}")


def ensure_index(version_id: int, *, wait: bool = True) -> bool:
    """Create the HNSW indexes of a version's vectors unless they exist, and return whether they exist now.

    The index of similarity vectors is created only if the stock is larger than the listing index: only then does the
    database search for similar cars, and the index slows down every write.

    An advisory lock prevents two processes from building the same index. The second one waits, or returns at once if
    ``wait`` is false.
    """
    lock = "pg_advisory_lock" if wait else "pg_try_advisory_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {lock}(%s)", [INDEX_LOCKS + version_id])
        if cursor.fetchone()[0] is False:
            return False
        try:
            if not has_index(version_id):
                index_partition(version_id)
            if is_beyond_a_window() and not has_index(version_id, SIMILAR_INDEX):
                index_similar(version_id)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [INDEX_LOCKS + version_id])
    return True


VECTOR_INDEX, SIMILAR_INDEX = "hnsw", "similar_hnsw"


def is_beyond_a_window() -> bool:
    """Whether more listings are for sale than the listing index holds, so that searches go to the database."""
    return Listing.objects.available().cars()[: settings.WINDOW_MAX_LISTINGS + 1].count() > settings.WINDOW_MAX_LISTINGS


def has_index(version_id: int, name: str = VECTOR_INDEX) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"{partition_of(version_id)}_{name}"])
        exists: bool = cursor.fetchone()[0]
        return exists


def index_partition(version_id: int) -> None:
    """Create the HNSW index over inner products.

    ef_construction is 200, which clustered catalogues need; it only increases the time to build the index.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE INDEX {partition_of(version_id)}_hnsw ON {partition_of(version_id)} "
            "USING hnsw (vector vector_ip_ops) WITH (m = 16, ef_construction = 200)"
        )


def index_similar(version_id: int) -> None:
    """Create the HNSW index over distances between similarity vectors."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE INDEX {partition_of(version_id)}_{SIMILAR_INDEX} ON {partition_of(version_id)} "
            "USING hnsw (likeness vector_l2_ops) WITH (m = 16, ef_construction = 200)"
        )


def drop_partition(version_id: int) -> None:
    """Remove a version's vectors. Outside a transaction no reader of other versions waits for it.

    A partition is first detached concurrently and then dropped: ``DROP TABLE`` of an attached partition locks the
    parent table. Within a transaction PostgreSQL cannot detach concurrently, and the partition is dropped directly.
    """
    table = partition_of(version_id)
    with connection.cursor() as cursor:
        if not connection.in_atomic_block:
            finish_detaching(cursor)
            if table in attached_partitions(cursor):
                cursor.execute(f"ALTER TABLE {VECTORS} DETACH PARTITION {table} CONCURRENTLY")
        cursor.execute(f"DROP TABLE IF EXISTS {table}")


def finish_detaching(cursor: Any) -> None:
    """Finish a detach that was interrupted, of any version: PostgreSQL detaches no other partition before."""
    for table in attached_partitions(cursor, only_pending=True):
        cursor.execute(f"ALTER TABLE {VECTORS} DETACH PARTITION {table} FINALIZE")


def attached_partitions(cursor: Any, *, only_pending: bool = False) -> set[str]:
    """The names of the attached partitions, or only of those whose detach has begun and not finished."""
    cursor.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits "
        "WHERE inhparent = to_regclass(%s) AND (inhdetachpending OR NOT %s)",
        [VECTORS, only_pending],
    )
    return {name for (name,) in cursor.fetchall()}


def stored_versions() -> set[int]:
    """The ids of versions that have a table of vectors, attached or left over from a removal."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT substring(relname FROM %s)::bigint FROM pg_class "
            "WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname ~ %s",
            [rf"^{VECTORS}_v(\d+)$"] * 2,
        )
        return {version_id for (version_id,) in cursor.fetchall()}
