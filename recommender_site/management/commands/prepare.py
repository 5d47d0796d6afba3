"""What must be true before the first request: tables, static files, a ranker, and in a demo people and cars.

Safe to run at every start: what is there already is left alone.
"""

import hashlib
import logging
import os
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import BaseCommand, CommandError, CommandParser, call_command
from django.db import DatabaseError, connection

from web import servers
from web.postgres.versions import server_problem

logger = logging.getLogger(__name__)

DATABASE_PATIENCE_SECONDS = 60.0


class Command(BaseCommand):
    help = "Bring the installation to where it can serve: migrate, collect static files, fill a demo, train a ranker."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--static-only", action="store_true", help="only the files, for which no server is needed")

    def handle(self, *args: Any, **options: Any) -> None:
        """A disk that is full or a database that fails ends it with one line, not with a traceback."""
        try:
            self.prepare(options)
        except OSError as problem:
            raise CommandError(f"{problem.strerror or problem}: {problem.filename or 'no file is named'}") from problem
        except DatabaseError as problem:
            logger.exception("preparation failed")
            raise CommandError(f"the database refused: {one_line(problem)}{where_the_log_is()}") from problem

    def prepare(self, options: dict[str, Any]) -> None:
        collect_static_files()
        if options["static_only"]:
            return
        wait_for_database()
        refuse_old_servers()
        call_command("migrate", interactive=False, verbosity=0)
        if settings.DEMO_MODE:
            call_command("seed_data", if_empty=True)
        try:
            call_command("retrain", if_missing=True)
        except CommandError as refusal:  # a new site without stock starts all the same
            self.stdout.write(f"No ranker yet: {refusal}")


def one_line(problem: object) -> str:
    return " ".join(str(problem).split())


def where_the_log_is() -> str:
    return f" (the log is {settings.BASE_DIR / settings.LOG_FILE})" if settings.LOG_FILE else ""


def wait_for_database() -> None:
    """In a group of containers the database may be a little later than we are."""
    deadline = time.monotonic() + DATABASE_PATIENCE_SECONDS
    while problem := servers.database_problem():
        if time.monotonic() > deadline:
            raise CommandError(f"the database of DATABASE_URL does not answer: {one_line(problem)}")
        time.sleep(0.5)


def refuse_old_servers() -> None:
    """Before anything is written: an old pgvector may corrupt the indexes it builds."""
    with connection.cursor() as cursor:
        if problem := server_problem(cursor):
            raise CommandError(problem)


def collect_static_files() -> None:
    """Collect them again only when one of them has changed: compressing all of them takes seconds."""
    stamp = Path(settings.STATIC_ROOT) / "collected"
    if settings.DEBUG or (stamp.exists() and stamp.read_text() == static_files_digest()):
        return
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    stamp.write_text(static_files_digest())


def static_files_digest() -> str:
    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            status = os.stat(storage.path(path))
            digest.update(f"{path} {status.st_size} {int(status.st_mtime)}\n".encode())  # images keep whole seconds
    return digest.hexdigest()
