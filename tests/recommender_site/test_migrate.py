"""A migration gives way to readers: it waits for a lock for seconds only, and is tried again."""

from __future__ import annotations

import psycopg
import pytest
from django.core.management import CommandError
from django.db import OperationalError, connection, models
from psycopg.errors import DeadlockDetected, LockNotAvailable

from accounts.models import Buyer
from recommender_site.management.commands import migrate
from web.servers import connection_parameters


@pytest.fixture
def reader():
    """Another process that has read buyers, and whose transaction goes on."""
    with psycopg.connect(**connection_parameters()) as other:
        other.execute("SELECT count(*) FROM accounts_buyer")
        yield other
        other.rollback()


def add_a_column() -> None:
    field = models.IntegerField(null=True)
    field.set_attributes_from_name("of_a_later_release")
    with connection.schema_editor() as editor:
        editor.add_field(Buyer, field)


@pytest.mark.django_db(transaction=True)
def test_a_migration_that_meets_a_reader_gives_up_and_changes_nothing(reader, settings):
    settings.MIGRATION_LOCK_SECONDS = 1
    with pytest.raises(OperationalError) as refusal:
        add_a_column()
    assert isinstance(refusal.value.__cause__, LockNotAvailable)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM information_schema.columns WHERE column_name = 'of_a_later_release'")
        assert cursor.fetchone() is None
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",), "the limit stays within the migration"


@pytest.mark.django_db
@pytest.mark.parametrize(("lock", "statement"), [(3, 900), (0, 0)])
def test_the_limits_are_those_of_the_settings(settings, lock, statement):
    settings.MIGRATION_LOCK_SECONDS, settings.MIGRATION_STATEMENT_SECONDS = lock, statement
    with connection.schema_editor() as editor, connection.cursor() as cursor:
        assert editor.atomic_migration
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name IN ('lock_timeout', 'statement_timeout')")
        assert dict(cursor.fetchall()) == {"lock_timeout": str(lock * 1000), "statement_timeout": str(statement * 1000)}


class Work:
    """Fails so many times, as with a lock that cannot be had."""

    def __init__(self, n_failures: int, cause: Exception) -> None:
        self.n_failures, self.cause, self.n_calls = n_failures, cause, 0

    def __call__(self) -> None:
        self.n_calls += 1
        if self.n_calls <= self.n_failures:
            raise OperationalError from self.cause


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch):
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0)


@pytest.mark.parametrize("cause", [LockNotAvailable(), DeadlockDetected()])
@pytest.mark.parametrize("n_failures", [0, 1, migrate.ATTEMPTS - 1])
def test_it_is_tried_again_while_a_lock_cannot_be_had(n_failures, cause):
    work, said = Work(n_failures, cause), []
    migrate.try_again_when_locked(work, said.append)
    assert work.n_calls == n_failures + 1
    assert len(said) == n_failures


def test_it_ends_with_what_to_do_and_at_once_where_something_else_is_wrong():
    with pytest.raises(CommandError, match="pg_stat_activity"):
        migrate.try_again_when_locked(Work(migrate.ATTEMPTS, LockNotAvailable()), lambda n: None)
    work = Work(1, psycopg.OperationalError())
    with pytest.raises(OperationalError):
        migrate.try_again_when_locked(work, lambda n: None)
    assert work.n_calls == 1
