"""Which processes make up a running Forecourt, and their arguments. docker-compose.yml runs the same commands."""

import hashlib
import http.client
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recommender_site.local.supervisor import Service, say
from recommender_site.settings import (
    DEFAULT_QUEUE,
    DEMO_MODE,
    HOST,
    IMPORT_PROCESSES,
    IMPORT_QUEUE,
    LONG_QUEUE,
    PORT,
    REFRESH_QUEUE,
    WORKER_MAX_MB,
    WORKER_METRICS_PORT,
    WORKER_PROCESSES,
)

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of our own in it)
COUNTERS_BYTES = 100_000_000  # of all processes together, with room to spare

WELCOME = """
Forecourt is ready at {site}
  shop window     {site}/shop/
  admin           {site}/admin/
  API docs        {site}/api/docs
  browsable API   {site}/api/v1/
  metrics         {site}/metrics
"""
DEMO_LOGIN = """\
  demo login      admin@example.com / forecourt
  demo buyers     john0@example.com to john49@example.com / demo
"""
GOODBYE = """\
  Ctrl-C stops everything; the data stays.
"""


def preparation_command() -> list[str]:
    return [sys.executable, "manage.py", "prepare"]


def web_command() -> list[str]:
    return _python("gunicorn", "--config", "python:recommender_site.gunicorn_conf", "recommender_site.wsgi:application")


def worker_command() -> list[str]:
    return _celery_worker("worker", [DEFAULT_QUEUE, REFRESH_QUEUE], WORKER_PROCESSES, *_memory_limit())


def importer_command() -> list[str]:
    """Files and feeds have a worker of their own, so that ten rows never wait behind a training."""
    return _celery_worker("importer", [IMPORT_QUEUE], IMPORT_PROCESSES, *_memory_limit())


def trainer_command() -> list[str]:
    """Long tasks have a worker of their own, so that the loop never waits behind a training."""
    return _celery_worker("trainer", [LONG_QUEUE], 1, "--max-tasks-per-child", "1")  # so that its memory is given back


def beat_command() -> list[str]:
    return _python("celery", "--quiet", "--app", "recommender_site", "beat", "--loglevel", "INFO", "--pidfile", "")


@contextmanager
def counters_of(state: Path) -> Iterator[Path]:
    """A folder for the files in which processes count, while the block lasts.

    The files are mapped: a process that counts something new on a disk that is full is ended by SIGBUS. So they lie in
    memory where there is room. The prefix is the site's own, so that what a killed supervisor left is removed.
    Containers may share that memory, each with its site at the same path: the folder behind the path is in it, too.
    """
    folder = state.stat()
    site = f"{state} {folder.st_dev} {folder.st_ino}"
    prefix = f"forecourt-counters-{hashlib.sha256(site.encode()).hexdigest()[:12]}-"
    for place in (SHARED_MEMORY, state):  # there may have been room before
        _remove_left_over(place, prefix)
    memory = SHARED_MEMORY if _has_room(SHARED_MEMORY) else state
    with tempfile.TemporaryDirectory(prefix=prefix, dir=memory, ignore_cleanup_errors=True) as counters:
        yield Path(counters)


def _remove_left_over(place: Path, prefix: str) -> None:
    for left_over in place.glob(f"{prefix}*"):
        with suppress(FileNotFoundError):  # another one removed it meanwhile
            if left_over.lstat().st_uid == os.geteuid():
                shutil.rmtree(left_over, ignore_errors=True)


def _has_room(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free > COUNTERS_BYTES and os.access(folder, os.W_OK)
    except OSError:
        return False


def services(counters: Path, web_socket: socket.socket) -> list[Service]:
    """Everything that keeps running on one machine; ``web_socket`` is bound already."""
    descriptor = web_socket.fileno()
    trainer_port, importer_port = (WORKER_METRICS_PORT + n if WORKER_METRICS_PORT else 0 for n in (1, 2))
    return [
        Service(
            "web",
            [*web_command(), "--bind", f"fd://{descriptor}"],
            grace_seconds=15,  # more than gunicorn's own patience
            environment=_metrics_directory(counters, "web"),
            inherited_descriptors=(descriptor,),
            serves_without_leader=True,
        ),
        Service("worker", worker_command(), grace_seconds=10, environment=_metrics_directory(counters, "worker")),
        Service(
            "importer",
            importer_command(),
            grace_seconds=10,
            environment={**_metrics_directory(counters, "importer"), "WORKER_METRICS_PORT": str(importer_port)},
        ),
        Service(
            "trainer",
            trainer_command(),
            grace_seconds=10,
            stop_signal=signal.SIGQUIT,  # no user waits for a training: it goes back to the queue
            environment={**_metrics_directory(counters, "trainer"), "WORKER_METRICS_PORT": str(trainer_port)},
        ),
        Service("beat", beat_command(), grace_seconds=10),
    ]


def announce_when_ready() -> bool:
    """Tell where everything is, once the web server answers; says whether it did."""
    if not web_answers():
        return False
    name = "localhost" if HOST in ("0.0.0.0", "::", "127.0.0.1", "::1") else HOST  # noqa: S104 (compared, not bound)
    welcome = WELCOME.format(site=f"http://{name}:{PORT}")
    say(welcome + (DEMO_LOGIN if DEMO_MODE else "") + GOODBYE)
    return True


def web_answers() -> bool:
    """Whether the web server answers a request by now. Any answer will do."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(HOST, HOST)  # noqa: S104 (where to ask, not to listen)
    connection = http.client.HTTPConnection(address, PORT, timeout=0.3)
    try:
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _python(*module_and_arguments: str) -> list[str]:
    return [sys.executable, "-m", *module_and_arguments]


def _memory_limit() -> tuple[str, str]:
    """A process that has grown beyond it is replaced after the task it works on; Celery counts kilobytes."""
    return "--max-memory-per-child", str(WORKER_MAX_MB * 1000)


def _celery_worker(name: str, queues: list[str], n_processes: int, *limits: str) -> list[str]:
    return _python(
        *("celery", "--quiet", "--app", "recommender_site", "worker", "--loglevel", "INFO", "--hostname", f"{name}@%h"),
        *("--queues", ",".join(queues), "--concurrency", str(n_processes)),
        *limits,
    )


def _metrics_directory(counters: Path, name: str) -> dict[str, str]:
    """One each, because their metrics have the same names."""
    return {"PROMETHEUS_MULTIPROC_DIR": str(counters / name)}
