"""The embedded servers, started for real in directories of their own, and killed in every way that comes to mind."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest
import redis

from recommender_site.local.embedded import Lease, ensure
from recommender_site.local.home import EmbeddedError, Home

PROJECT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys, time
from pathlib import Path
from recommender_site.local.embedded import Lease
from recommender_site.local.home import Home
Lease(Home("dev", Path(sys.argv[1]))).take()
print("taken", flush=True)
time.sleep(600)
"""


@pytest.fixture
def place():
    """A directory whose name would upset a shell; short, and open enough for the account that servers run as."""
    directory = Path(tempfile.mkdtemp(prefix="it's a place "))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def new_lease(place):
    """Makes leases on the servers of one place. Named "dev", since those of tests are allowed to forget."""
    leases = []

    def make() -> Lease:
        leases.append(Lease(Home("dev", place)))
        return leases[-1]

    yield make
    for lease in leases:
        lease.release()  # after a test that failed


def run_sql(lease: Lease, query: str) -> list[tuple]:
    with psycopg.connect(lease.postgres.url, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


def postmaster_pid(lease: Lease) -> int:
    return int((lease.postgres.data / "postmaster.pid").read_text().split()[0])


def runs(lease: Lease) -> list[bool]:
    return [server.is_running() for server in lease.servers]


def test_the_first_lease_starts_the_servers_and_the_last_to_leave_stops_them(new_lease):
    first, second = new_lease(), new_lease()
    first.take()
    second.take()
    first.release()
    assert runs(second) == [True, True]
    assert run_sql(second, "SELECT extname FROM pg_extension WHERE extname = 'plpgsql'") == [("plpgsql",)]
    assert redis.Redis.from_url(second.valkey.cache_url).ping()
    second.release()
    assert runs(first) == [False, False]


def test_data_survives_a_stop(new_lease):
    lease = new_lease()
    lease.take()
    run_sql(lease, "CREATE TABLE kept AS SELECT 1")
    lease.release()
    lease.take()
    assert run_sql(lease, "SELECT * FROM kept") == [(1,)]
    lease.release()


def test_killed_servers_are_brought_back_with_their_data(new_lease):
    lease = new_lease()
    lease.take()
    run_sql(lease, "CREATE TABLE kept AS SELECT 1")
    assert lease.revive() == []
    os.kill(postmaster_pid(lease), signal.SIGKILL)
    for pid in lease.valkey.processes():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: runs(lease) == [False, False])
    assert lease.revive() == ["PostgreSQL", "Valkey"]
    assert run_sql(lease, "SELECT * FROM kept") == [(1,)]
    lease.release()


def test_a_holder_that_was_killed_does_not_keep_the_servers_running(place, new_lease):
    command = [sys.executable, "-c", HOLDER, str(place)]
    mine = new_lease()
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "taken\n"
        mine.take()
        holder.kill()
    assert runs(mine) == [True, True]
    mine.release()
    assert runs(mine) == [False, False]


def test_stale_files_of_a_killed_server_do_not_stop_the_next_one(new_lease):
    lease = new_lease()
    lease.take()
    lease.release()
    # the id of a living process that is not PostgreSQL, as after a restart of the machine
    (lease.postgres.data / "postmaster.pid").write_text(f"{os.getpid()}\n")
    lease.postgres.socket_path.with_name(".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(lease.valkey.socket_path))
    lease.take()
    assert runs(lease) == [True, True]
    lease.release()


def test_a_cluster_whose_making_was_cut_short_is_made_anew(new_lease):
    lease = new_lease()
    unfinished = lease.home.base / "pgdata.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    lease.take()
    assert run_sql(lease, "SELECT 1") == [(1,)]
    lease.release()


def test_a_server_that_cannot_start_says_why_and_leaves_nothing_running(new_lease):
    lease = new_lease()
    lease.valkey.data.write_text("not a directory")
    with pytest.raises(FileExistsError):
        lease.take()
    assert runs(lease) == [True, False]
    lease.release()
    assert runs(lease) == [False, False]


def test_the_end_of_the_log_is_shown_when_a_server_ends_at_once(new_lease, monkeypatch):
    lease = new_lease()
    monkeypatch.setattr(lease.valkey, "command", lambda: [str(lease.valkey.executable), "--no-such-option"])
    with pytest.raises(EmbeddedError, match=r"(?s)Valkey did not start.*no-such-option"):
        lease.valkey.start()


def test_the_secret_key_is_made_once_and_readable_by_its_owner_only(place, new_lease):
    first = new_lease().environment()["SECRET_KEY"]
    assert len(first) >= 50
    assert new_lease().environment()["SECRET_KEY"] == first
    [path] = place.rglob("secret_key")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_sockets_of_a_long_path_move_to_a_short_private_one(place):
    home = Home("dev", place / ("long" * 30))
    assert len(os.fsencode(home.run)) < 60
    assert stat.S_IMODE(home.run.stat().st_mode) == 0o700
    home.run.rmdir()


def test_a_socket_directory_that_another_user_prepared_is_refused(place):
    parent = place / ("long" * 30)
    run = Home("dev", parent).run
    run.rmdir()
    run.symlink_to(place)
    with pytest.raises(EmbeddedError, match="belongs to another user"):
        Home("dev", parent)
    run.unlink()


def test_nothing_is_started_where_a_database_is_configured(place, monkeypatch):
    monkeypatch.setenv("EMBEDDED_DIR", str(place))
    monkeypatch.setenv("DATABASE_URL", "postgres://person@host/name")
    assert ensure() is None
    assert list(place.iterdir()) == []


def test_addresses_that_are_given_win_over_embedded_ones(place, monkeypatch):
    monkeypatch.setenv("EMBEDDED_DIR", str(place))
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("CELERY_BROKER_URL", "amqp://elsewhere//")
    monkeypatch.delenv("REDIS_URL")
    lease = ensure()
    assert os.environ["CELERY_BROKER_URL"] == "amqp://elsewhere//"
    assert os.environ["DATABASE_URL"] == lease.postgres.url
    assert os.environ["REDIS_URL"] == lease.valkey.cache_url
    lease.release()


def wait_until(condition, patience_seconds=10.0):
    deadline = time.monotonic() + patience_seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
