"""Where the partitions of a training are kept and worked on: in this process, or by the workers of a Dask cluster.

``TRAINING_CLUSTER`` decides: empty, in this process; ``local``, by worker processes beside it, which end with it; the
address of a scheduler (``tcp://…``, ``tls://…``) whose workers have this code and its settings. Dask is an optional
extra (requirements-cluster.txt), imported here when it is asked for.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from django.conf import settings
from django.db import connection

from recommendations.engine.parts import Each, LocalParts, Parts, in_a_tree, of_partition
from recommendations.exceptions import TrainingRefused
from recommendations.training.cluster_worker import in_worker

if TYPE_CHECKING:
    from distributed import Client, Security

T = TypeVar("T")
U = TypeVar("U")

LOCAL = "local"
MISSING = "TRAINING_CLUSTER is set, but Dask is not installed: pip install -r requirements-cluster.txt ({})"
TLS_FILES = {"--tls-ca-file": "tls_ca_file", "--tls-cert": "tls_worker_cert", "--tls-key": "tls_worker_key"}
ANSWER_SECONDS = 10  # of a scheduler; and of its first worker
MOST_SHARED_BYTES = "4GiB"  # below this Dask does not warn: what is shared is meant to be large
START_SECONDS = 300  # of workers beside this process, until the first is there


class Executor(Protocol):
    """Where partitions are kept."""

    def parts(self, values: Sequence[T]) -> Parts[T]:
        """A value for each partition, at least one; they are kept where they are worked on."""
        ...


class InProcess:
    """One partition after the other, here."""

    def parts(self, values: Sequence[T]) -> Parts[T]:
        return LocalParts(values)


@dataclass(frozen=True, eq=False)
class OnCluster:
    """Every partition by a worker that has what it needs, or else by the next free one."""

    client: Client

    def parts(self, values: Sequence[T]) -> Parts[T]:
        return ClusterParts(self.client, list(values))


@dataclass(frozen=True, eq=False)
class ClusterParts(Generic[T]):
    """``Parts`` kept by the workers; ``kept`` are Dask's futures, or the values themselves where they are still here.

    A worker that dies takes results with it. The scheduler has others make them again, each from what it was made
    from, so that a lost partition costs its own way from its source and no other one is touched.
    """

    client: Client
    kept: list[Any]
    needs: Sequence[Any] = ()

    def __len__(self) -> int:
        return len(self.kept)

    def map(self, function: Callable[..., U], *beside: Any) -> Parts[U]:
        name = name_of_results(function.__name__.strip("_"))
        futures = [
            self.client.submit(
                in_worker, function, value, *of_partition(kept_of(beside), at), key=f"{name}-{at}", pure=False
            )
            for at, value in enumerate(self.kept)
        ]
        return ClusterParts(self.client, futures, beside)

    def share(self, value: U) -> U:
        """A copy for every worker, and one at the scheduler: others are made from it when all workers with one die."""
        import dask

        with dask.config.set({"distributed.admin.large-graph-warning-threshold": MOST_SHARED_BYTES}):
            handle: Any = self.client.submit(itself, value, key=name_of_results("shared"), pure=False)
            self.client.replicate([handle])
        shared: U = handle  # a future, which ``map`` resolves
        return shared

    def collect(self) -> Sequence[T]:
        values: list[T] = self.client.gather(self.kept)
        return values

    def total(self, add: Callable[[Any, Any], Any]) -> T:
        name = name_of_results("sum")
        numbers = itertools.count()

        def later(one: Any, other: Any) -> Any:
            return self.client.submit(in_worker, add, one, other, key=f"{name}-{next(numbers)}", pure=False)

        [value] = self.client.gather([in_a_tree(list(self.kept), later)])
        total: T = value
        return total


def kept_of(beside: Sequence[Any]) -> list[Any]:
    """What stands beside, with the futures of those partitions that the workers have."""
    return [Each(each.kept) if isinstance(each, ClusterParts) else each for each in beside]


def itself(value: T) -> T:
    return value


def name_of_results(of: str) -> str:
    """A name that no others have: to a scheduler, results of one name are the same, whichever process asks for them."""
    return f"{of}-{uuid.uuid4().hex}"


@contextmanager
def executor() -> Iterator[Executor]:
    """What ``TRAINING_CLUSTER`` names; raises TrainingRefused, with the reason, when it is not to be had."""
    address = settings.TRAINING_CLUSTER
    if not address:
        yield InProcess()
        return
    with client_of(address) as client:
        yield OnCluster(client)


@contextmanager
def client_of(address: str) -> Iterator[Client]:
    """Connected to workers that know the settings of this site."""
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")  # it notes every connection; for local workers too
    with ExitStack() as stack:
        try:
            from distributed import Client

            from recommendations.training.cluster_plugin import PrepareWorker
        except ImportError as error:
            raise TrainingRefused(MISSING.format(error)) from error
        local = stack.enter_context(local_workers()) if address == LOCAL else None
        try:
            client = stack.enter_context(
                Client(
                    local[0] if local else address,
                    security=local[1] if local else None,
                    timeout=ANSWER_SECONDS,
                    set_as_default=False,
                )
            )
            client.register_plugin(PrepareWorker(connection.settings_dict["NAME"] if local else None))
            client.wait_for_workers(1, timeout=START_SECONDS if local else ANSWER_SECONDS)
        except (OSError, TimeoutError, TypeError, ValueError) as error:  # a TypeError: certificates are missing
            raise TrainingRefused(unreachable(address, error)) from error
        yield client


def workers_at(address: str) -> int:
    """How many workers a cluster has; raises TrainingRefused, with the reason, where there is none to ask."""
    with client_of(address) as client:
        return len(client.scheduler_info(n_workers=-1)["workers"])


def unreachable(address: str, error: Exception) -> str:
    if isinstance(error, TimeoutError) and "workers" in str(error):
        if address == LOCAL:
            return f"TRAINING_CLUSTER: no local worker was ready within {START_SECONDS} s"
        return f"TRAINING_CLUSTER: the scheduler at {address} has no workers; start some beside it"
    return f"TRAINING_CLUSTER: no Dask scheduler answers at {address} ({' '.join(str(error).split())[:200]})"


@contextmanager
def local_workers() -> Iterator[tuple[str, Security]]:
    """A scheduler in this process and workers beside it; its address, and what it takes to be let in.

    Anyone who reaches a scheduler may run code by it, so even on the loopback it wants a certificate, made for this
    training. Not ``LocalCluster``'s own workers: Celery's processes must have no children by ``multiprocessing``.
    """
    from distributed import LocalCluster, Security

    security = Security.temporary()
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="forecourt-training-"))
        cluster = stack.enter_context(
            LocalCluster(
                n_workers=0,
                host="127.0.0.1",
                protocol="tls://",
                security=security,
                silence_logs=False,
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
            )
        )
        command = worker_command(cluster.scheduler_address, security, Path(scratch))
        workers = subprocess.Popen(command, start_new_session=True)  # noqa: S603 (our own interpreter and module)
        stack.callback(stop, workers)
        yield cluster.scheduler_address, security


def worker_command(address: str, security: Security, scratch: Path) -> list[str]:
    """Starts the workers; they end five minutes after the scheduler is gone, however that ended."""
    files = {}
    for option, name in TLS_FILES.items():
        path = scratch / f"{name}.pem"
        path.write_text(getattr(security, name))
        files[option] = str(path)
    megabytes = settings.TRAINING_WORKER_MEMORY_MB
    options = {
        "--nworkers": str(settings.TRAINING_CLUSTER_WORKERS),
        "--nthreads": "1",
        "--memory-limit": f"{megabytes}MB" if megabytes else "0",
        "--local-directory": str(scratch),
        "--death-timeout": "300",
        **files,
    }
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-dashboard"]
    return [*command, *(word for option in options.items() for word in option)]


def stop(workers: subprocess.Popen[bytes]) -> None:
    workers.terminate()
    try:
        workers.wait(15)
    except subprocess.TimeoutExpired:
        workers.kill()
        workers.wait()
