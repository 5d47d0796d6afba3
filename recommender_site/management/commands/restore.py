"""``manage.py restore``: a backup into an empty database, or only read and checked."""

from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from recommender_site.operations.archive import BackupRefused
from recommender_site.operations.restore import RestoreRefused, check, restore


class Command(BaseCommand):
    help = (
        "Put a backup into the empty database of DATABASE_URL, and bring it up to this release. "
        "Stop web, workers and beat before, and start them after."
    )
    requires_system_checks: list[str] = []  # they may ask tables that are not there yet

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="from where; - for the standard input")
        parser.add_argument("--check", action="store_true", help="read and compare everything, and touch no database")

    def handle(self, *args: Any, **options: Any) -> None:
        work = check if options["check"] else restore
        try:
            contents = work(options["file"], settings.BACKUP_PASSPHRASE)
        except (BackupRefused, RestoreRefused) as refusal:
            raise CommandError(str(refusal)) from refusal
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror or error}") from error
        except (DatabaseError, psycopg.Error) as error:  # of statements, and of COPY, which Django does not wrap
            raise CommandError(
                f"the database refused: {error} Drop it and create it anew before the next attempt."
            ) from error
        if contents.left_out:
            self.stderr.write(f"Left out, since no migration makes them: {', '.join(sorted(contents.left_out))}")
        done = "can be restored" if options["check"] else "restored"
        self.stdout.write(f"{sum(contents.n_rows.values()):,} rows of {len(contents.n_rows)} tables {done}.")
