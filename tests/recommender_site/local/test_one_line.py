"""A start that fails ends with one line that names the cause, and the log where there is one."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from recommender_site.local.home import EmbeddedError
from recommender_site.local.servers import cause_in
from recommender_site.management.commands import prepare
from tests.recommender_site.local.test_embedded import new_lease, place  # noqa: F401  (fixtures)

PROJECT = Path(__file__).resolve().parents[3]
LOGS = {
    "PostgreSQL, disk full": (
        """2026-11-29 13:11:49.646 UTC [7] LOG:  starting PostgreSQL 18.0
2026-11-29 13:11:49.700 UTC [7] FATAL:  could not write lock file "postmaster.pid": No space left on device
2026-11-29 13:11:49.701 UTC [7] LOG:  database system is shut down""",
        "No space left on device",
    ),
    "PostgreSQL, damaged": (
        """2026-11-29 13:11:49 UTC [7] FATAL:  role "root" does not exist
2026-11-29 13:11:49 UTC [7] PANIC:  could not locate a valid checkpoint record at 0/15B1F38
2026-11-29 13:11:50 UTC [6] LOG:  startup process (PID 7) was terminated by signal 6: Aborted""",
        "could not locate a valid checkpoint record",
    ),
    "initdb": (
        """creating subdirectories ... ok
initdb: error: could not create directory "/x/base": No space left on device
initdb: removing data directory "/x\"""",
        "No space left on device",
    ),
    "Valkey": (
        """*** FATAL CONFIG FILE ERROR (Valkey 8.1.1) ***
Reading the configuration file, at line 2
>>> 'no-such-option'
Bad directive or wrong number of arguments""",
        "no-such-option",
    ),
    "words of its own": ("one thing\nanother thing\n", "another thing"),
    "nothing": ("", "says nothing"),
}


def is_one_line(text: str) -> bool:
    return len(text.strip().splitlines()) == 1


@pytest.mark.parametrize("name", LOGS)
def test_the_cause_is_found_in_a_log_and_is_one_line(name):
    log, cause = LOGS[name]
    assert cause in cause_in(log)
    assert is_one_line(cause_in(log))


def test_a_cause_has_a_bound():
    assert len(cause_in("FATAL: " + "word " * 5000)) <= 400


def test_a_damaged_database_is_named_with_its_log_and_not_with_what_an_earlier_start_said(new_lease):  # noqa: F811
    lease = new_lease()
    lease.take()
    lease.release()
    log = lease.home.base / "postgresql.log"
    with log.open("a") as earlier:
        earlier.write("PANIC:  of yesterday\n")
    (lease.postgres.data / "global" / "pg_control").write_bytes(b"")
    with pytest.raises(EmbeddedError) as refusal:
        lease.take()
    assert is_one_line(str(refusal.value))
    assert "pg_control" in str(refusal.value)
    assert str(log) in str(refusal.value)
    assert "yesterday" not in str(refusal.value)


def start(directory: Path, **options) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "EMBEDDED_DIR": str(directory), "LOG_FILE": ""}
    for name in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "-m", "recommender_site"],
        cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=120, **options,
    )  # fmt: skip


def no_file_may_grow() -> None:
    """As on a disk that is full: a file can be made, and nothing written into it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.parametrize("cause", ["no directory", "disk full"])
def test_run_says_in_one_line_why_it_does_not_start(cause, place):  # noqa: F811
    if cause == "no directory":
        (place / "file").write_text("")
        done = start(place / "file" / "below")
    else:
        done = start(place, preexec_fn=no_file_may_grow)
    assert done.returncode == 1
    assert is_one_line(done.stderr), done.stderr
    assert done.stderr.startswith("Forecourt does not start: ")
    assert ("Not a directory" if cause == "no directory" else "initdb failed") in done.stderr


def test_static_files_that_cannot_be_written_are_one_line(settings, tmp_path):
    (tmp_path / "file").write_text("")
    settings.STATIC_ROOT = tmp_path / "file" / "static"
    with pytest.raises(CommandError, match="irectory") as refusal:
        call_command("prepare", static_only=True)
    assert is_one_line(str(refusal.value))


@pytest.mark.django_db(transaction=True)
def test_a_database_that_refuses_is_one_line_with_the_log(settings):
    settings.DEBUG = True  # static files are not collected then
    settings.LOG_FILE = "var/forecourt.log"
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    try:
        with pytest.raises(CommandError, match=r"the database refused: .*read-only.*forecourt.log") as refusal:
            call_command("prepare")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
    assert is_one_line(str(refusal.value))


def test_a_database_that_is_away_is_one_line(settings, monkeypatch):
    settings.DEBUG = True
    monkeypatch.setattr(prepare, "DATABASE_PATIENCE_SECONDS", 0)
    monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connection.settings_dict, "PORT", "1")
    with pytest.raises(CommandError, match=r"does not answer: .*refused") as refusal:
        call_command("prepare")
    assert is_one_line(str(refusal.value))
