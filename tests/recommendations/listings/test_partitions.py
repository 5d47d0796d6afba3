"""Vectors of a version come and go without any reader waiting for it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import psycopg
import pytest
from django.db import connection

from recommendations.listings.vectors import (
    attach_partition,
    create_detached,
    drop_partition,
    fill_partition,
    partition_of,
    read_vectors,
    stored_versions,
)
from recommendations.models import SIMILAR_DIMENSIONS, VECTOR_DIMENSIONS
from tests.vector_tables import create_partition
from web.servers import connection_parameters

VERSION = 990_001
IDS = np.array([3, 1, 2])


@pytest.fixture
def reader() -> Iterator[psycopg.Connection]:
    """Another process, which does not wait for locks."""
    with psycopg.connect(**connection_parameters(), autocommit=True) as other:
        other.execute("SET lock_timeout = '300ms'")
        yield other


def fill() -> None:
    vectors = np.arange(3 * VECTOR_DIMENSIONS, dtype=np.float32).reshape(3, -1)
    fill_partition(VERSION, IDS, vectors, np.array([30, 10, 20]), np.ones((3, SIMILAR_DIMENSIONS), np.float32))


def read_and_write(reader: psycopg.Connection) -> None:
    reader.execute("SELECT count(*) FROM recommendations_listingvector").fetchone()
    reader.execute("DELETE FROM recommendations_listingvector WHERE false")


@pytest.mark.django_db
def test_nobody_waits_while_the_vectors_of_a_new_version_are_loaded_and_attached(reader):
    create_detached(VERSION)
    read_and_write(reader)
    fill()
    read_and_write(reader)
    attach_partition(VERSION)
    read_and_write(reader)  # until the transaction ends, which it does not here
    assert sorted(read_vectors(VERSION)[0]) == sorted(IDS)


@pytest.mark.django_db
def test_an_attached_table_is_like_one_that_was_made_as_a_part():
    def description(table: str) -> list[tuple]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT contype, pg_get_constraintdef(oid), conparentid <> 0 FROM pg_constraint "
                "WHERE conrelid = %s::regclass ORDER BY 1, 2",
                [table],
            )
            return cursor.fetchall()

    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE by_hand PARTITION OF recommendations_listingvector FOR VALUES IN ({VERSION + 1})")
    create_partition(VERSION)
    assert description(partition_of(VERSION)) == description("by_hand")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_the_same_next", [True, False])
def test_dropping_a_version_waits_for_no_reader_of_the_others_and_may_be_cut_short(reader, is_the_same_next):
    create_partition(VERSION)
    fill()
    drop_partition(VERSION)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [partition_of(VERSION)])
        assert cursor.fetchone() == (None,)
        create_partition(VERSION)
        # a reader that was there before makes the detaching wait, and a time limit cuts it short
        reader.execute("BEGIN; SELECT count(*) FROM recommendations_listingvector")
        cursor.execute("SET statement_timeout = '300ms'")
        with pytest.raises(Exception, match="statement timeout"):
            drop_partition(VERSION)
        cursor.execute("RESET statement_timeout")
        with psycopg.connect(**connection_parameters(), autocommit=True) as another:
            another.execute("SET lock_timeout = '300ms'")
            read_and_write(another)
    reader.execute("COMMIT")
    assert VERSION in stored_versions()
    if is_the_same_next:
        drop_partition(VERSION)
    else:  # PostgreSQL detaches no other partition before this one is
        create_partition(VERSION + 1)
        drop_partition(VERSION + 1)
        assert VERSION in stored_versions()
    drop_partition(VERSION)
    drop_partition(VERSION)  # safe to run twice
    assert not stored_versions() & {VERSION, VERSION + 1}
    read_and_write(reader)
