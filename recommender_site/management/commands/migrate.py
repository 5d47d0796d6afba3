"""Django's ``migrate``, which tries again when a table was in use for too long (MIGRATION_LOCK_SECONDS)."""

import time
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError
from psycopg.errors import QueryCanceled

from web.postgres.months import is_in_use

ATTEMPTS = 20
PAUSE_SECONDS = 3.0  # in which those who waited behind the migration are served


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            try_again_when_locked(lambda: super(Command, self).handle(*args, **options), self.say_again)
        except OperationalError as error:
            if isinstance(error.__cause__, QueryCanceled):
                raise CommandError(
                    f"{error} A statement took longer than MIGRATION_STATEMENT_SECONDS; what was migrated before stays."
                ) from error
            raise

    def say_again(self, n_left: int) -> None:
        self.stderr.write(f"A table is in use; trying again in {PAUSE_SECONDS:.0f} s ({n_left} times at most).")


def try_again_when_locked(work: Callable[[], object], say_again: Callable[[int], None]) -> None:
    """Do it again while a lock cannot be had, also because of a deadlock.

    Raises CommandError in the end, and at once whatever else went wrong.

    Every migration that was applied is recorded, so the next attempt begins with the one that had to wait.
    """
    for n_left in reversed(range(ATTEMPTS)):
        try:
            work()
            break
        except OperationalError as error:
            if not is_in_use(error):
                raise
            if not n_left:
                raise CommandError(
                    "a table stayed in use: end what holds it (pg_stat_activity says what), or raise "
                    "MIGRATION_LOCK_SECONDS, and run it again; what was migrated stays"
                ) from error
            say_again(n_left)
            time.sleep(PAUSE_SECONDS)
