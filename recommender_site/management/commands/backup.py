"""``manage.py backup``: the database as of one moment, in one file."""

from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from recommender_site.operations.backup import back_up


class Command(BaseCommand):
    help = (
        "Write all that the database holds, as of one moment, to a file; the site goes on meanwhile. "
        "Encrypted where BACKUP_PASSPHRASE is set. docs/operations.md says what else to keep."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="where to; - for the standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            contents = back_up(options["file"], settings.BACKUP_PASSPHRASE)
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror or error}") from error
        except psycopg.Error as error:
            raise CommandError(f"the database refused: {error}") from error
        how = "encrypted" if settings.BACKUP_PASSPHRASE else "not encrypted"
        n_rows = sum(contents.n_rows.values())
        self.stderr.write(f"{n_rows:,} rows of {len(contents.n_rows)} tables, {how}: {options['file']}")
