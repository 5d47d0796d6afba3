"""Where the partitions of a training are kept and worked on: in this process, or by the workers of a Dask cluster.

``TRAINING_CLUSTER`` decides: empty, in this process; ``local``, by worker processes beside it, which end with it; the
address of a scheduler (``tcp://…``, ``tls://…``) whose workers have this code and its settings. Dask is an optional
extra (requirements-cluster.txt), imported here when it is asked for.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from django.conf import settings
from django.db import connection

from recommendations.engine.parts import Each, LocalParts, MadeAnew, Parts, in_a_tree, of_partition
from recommendations.exceptions import TrainingRefused
from recommendations.training.cluster_worker import in_worker
from recommendations.training.shared_values import SharedFile

if TYPE_CHECKING:
    from distributed import Client, Security

T = TypeVar("T")
U = TypeVar("U")

LOCAL = "local"
MISSING = "TRAINING_CLUSTER is set, but Dask is not installed: pip install -r requirements-cluster.txt ({})"
TLS_FILES = {"--tls-ca-file": "tls_ca_file", "--tls-cert": "tls_worker_cert", "--tls-key": "tls_worker_key"}
ANSWER_SECONDS = 10  # of a scheduler; and of its first worker
LEAST_SHARED_BYTES = 2**20
MOST_SHARED_BYTES = "4GiB"  # below this Dask does not warn: what is shared is meant to be large
START_SECONDS = 300  # of workers beside this process, until the first is there


class Executor(Protocol):
    """The place that keeps the partitions of a training."""

    def parts(self, values: Sequence[T]) -> Parts[T]:
        """A value for each partition, at least one; they are kept where they are worked on."""
        ...


class InProcess:
    """One partition after the other, here."""

    def parts(self, values: Sequence[T]) -> Parts[T]:
        return LocalParts(values)


@dataclass(frozen=True, eq=False)
class OnCluster:
    """Every partition by a worker that has what it needs, or else by the next free one.

    Attributes:
        client: Of the scheduler.
        folder: One that this process and all workers have, where shared values are put; None where they have none.
    """

    client: Client
    folder: Path | None = None

    def parts(self, values: Sequence[T]) -> Parts[T]:
        return ClusterParts(self, list(values))

    def workers(self) -> list[str]:
        """The addresses of the workers there are, sorted."""
        return sorted(self.client.scheduler_info(n_workers=-1)["workers"])


@dataclass(frozen=True, eq=False)
class ClusterParts(Generic[T]):
    """``Parts`` kept by the workers; ``kept`` are Dask's futures, or the values themselves where they are still here.

    A worker that dies takes results with it. The scheduler has others make them again, each from what it was made
    from, so that a lost partition costs its own way from its source and no other one is touched. ``needs`` are the
    shared values that were used on that way, which have to be there still.
    """

    where: OnCluster
    kept: list[Any]
    needs: frozenset[Any] = frozenset()

    def __len__(self) -> int:
        return len(self.kept)

    def map(self, function: Callable[..., U], *beside: Any) -> Parts[U]:
        return ClusterParts(self.where, self._submitted(function, beside), self.needs.union(*map(needs_of, beside)))

    def anew(self, function: Callable[..., U], *beside: Any) -> Parts[U]:
        return MadeAnew(self, function, beside)

    def share(self, value: U) -> U:
        """Where there is a folder, one file for the workers of this machine. Elsewhere a copy for every worker, and one
        at the scheduler: others are made from it when all workers with one die. A small value goes with each task."""
        if self.where.folder is not None:
            written: Any = SharedFile.written(value, self.where.folder)
            in_file: U = written  # which ``in_worker`` reads
            return in_file
        import dask
        from dask.sizeof import sizeof

        if sizeof(value) < LEAST_SHARED_BYTES:
            return value
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": MOST_SHARED_BYTES}):
            handle: Any = self.where.client.submit(itself, value, key=name_of_results("shared"), pure=False)
            # a worker that dies meanwhile makes copying fail; those that have no copy fetch one when they need it
            with suppress(OSError, ValueError):
                self.where.client.replicate([handle])
        shared: U = handle  # a future, which ``map`` resolves
        return shared

    def collect(self) -> Sequence[T]:
        values: list[T] = self.where.client.gather(self.kept)
        return values

    def total(self, add: Callable[[Any, Any], Any]) -> T:
        total: T = self._total(self.kept, add)
        return total

    def total_of(self, function: Callable[..., U], add: Callable[[Any, Any], Any], *beside: Any) -> U:
        total: U = self._total(self._submitted(function, beside), add)
        return total

    def _submitted(self, function: Callable[..., Any], beside: Sequence[Any]) -> list[Any]:
        """A future for each partition.

        Values that no worker has yet are sent in an order by which workers that take turns get runs of neighbours each,
        which are added up. They are not assigned to workers: where one dies while the others are short of memory, the
        scheduler would keep what was assigned to it for good, whether others may take it or not.
        """
        name, beside = name_of_results(function.__name__.strip("_")), kept_of(beside)
        n_runs = 1 if is_future(self.kept[0]) else max(len(self.where.workers()), 1)
        futures = {
            at: self.where.client.submit(
                in_worker, function, self.kept[at], *of_partition(beside, at), key=f"{name}-{at}", pure=False
            )
            for at in in_turns(len(self), n_runs)
        }
        return [futures[at] for at in range(len(self))]

    def _total(self, kept: Iterable[Any], add: Callable[[Any, Any], Any]) -> Any:
        """Sums are more urgent the more they are sums of: what has been added up takes no memory any more."""
        name = name_of_results("sum")
        numbers = itertools.count()

        def later(one: tuple[int, Any], other: tuple[int, Any]) -> tuple[int, Any]:
            urgency = max(one[0], other[0]) + 1
            future = self.where.client.submit(
                in_worker, add, one[1], other[1], key=f"{name}-{next(numbers)}", pure=False, priority=urgency
            )
            return urgency, future

        _, total = in_a_tree(((0, each) for each in kept), later)
        [value] = self.where.client.gather([total])
        return value


def in_turns(n: int, n_runs: int) -> Iterator[int]:
    """0 to ``n - 1`` as runs of neighbours that take turns: 0, 3, 1, 4, 2 of two runs of five."""
    starts = [-(-n * run // n_runs) for run in range(n_runs + 1)]
    runs = [range(start, end) for start, end in itertools.pairwise(starts)]
    return (at for turn in itertools.zip_longest(*runs) for at in turn if at is not None)


def is_future(value: Any) -> bool:
    from distributed import Future

    return isinstance(value, Future)


def kept_of(beside: Sequence[Any]) -> list[Any]:
    """The arguments of a map, with ``Each`` of the workers' futures in place of ``ClusterParts``."""
    return [Each(each.kept) if isinstance(each, ClusterParts) else each for each in beside]


def needs_of(beside: Any) -> frozenset[Any]:
    """The shared values that an argument is or was computed from."""
    if isinstance(beside, ClusterParts):
        return beside.needs
    return frozenset([beside] if isinstance(beside, SharedFile) or is_future(beside) else [])


def itself(value: T) -> T:
    return value


def name_of_results(of: str) -> str:
    """A unique name: the scheduler takes results with equal names for the same result, from any process."""
    return f"{of}-{uuid.uuid4().hex}"


@contextmanager
def executor() -> Iterator[Executor]:
    """What ``TRAINING_CLUSTER`` names; raises TrainingRefused, with the reason, when it is not to be had."""
    address = settings.TRAINING_CLUSTER
    if not address:
        yield InProcess()
        return
    with cluster_at(address) as cluster:
        yield cluster


@contextmanager
def cluster_at(address: str) -> Iterator[OnCluster]:
    """Connected to workers that know the settings of this site."""
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")  # it notes every connection; for local workers too
    with ExitStack() as stack:
        try:
            from distributed import Client

            from recommendations.training.cluster_plugin import PrepareWorker
        except ImportError as error:
            raise TrainingRefused(MISSING.format(error)) from error
        local = stack.enter_context(local_workers()) if address == LOCAL else None
        if local is None:
            refuse_unless_answered(address)
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
        except (OSError, TimeoutError, ValueError) as error:
            raise TrainingRefused(unreachable(address, error)) from error
        yield OnCluster(client, local[2] if local else None)


def refuse_unless_answered(address: str) -> None:
    """Raises TrainingRefused unless a scheduler can be connected to within ``ANSWER_SECONDS``, and answers in as many.

    Asked before there is a Dask client. One that fails to connect waits without end for what accepts connections and is
    silent; or stays half open for the garbage collector to close, which may run while the same thread holds Dask's
    lock that closing waits for, so that the process stands still for good.
    """
    from distributed import Security
    from distributed.comm.core import connect

    async def greet() -> None:
        connection = await connect(address, timeout=ANSWER_SECONDS, **Security().get_connection_args("client"))
        try:
            await connection.write({"op": "identity", "reply": True})
            await connection.read()
        finally:
            connection.abort()

    try:
        asyncio.run(asyncio.wait_for(greet(), 2 * ANSWER_SECONDS))
    except Exception as error:  # what Dask makes of bytes that are no answer may be anything
        raise TrainingRefused(unreachable(address, error)) from error


def workers_at(address: str) -> int:
    """How many workers a cluster has; raises TrainingRefused, with the reason, where there is none to ask."""
    with cluster_at(address) as cluster:
        return len(cluster.workers())


def unreachable(address: str, error: Exception) -> str:
    if isinstance(error, TimeoutError) and "workers" in str(error):
        if address == LOCAL:
            return f"TRAINING_CLUSTER: no local worker was ready within {START_SECONDS} s"
        return f"TRAINING_CLUSTER: the scheduler at {address} has no workers; start some beside it"
    reason = " ".join(str(error).split()) or "it is silent"  # a TimeoutError says nothing
    return f"TRAINING_CLUSTER: no Dask scheduler answers at {address} ({reason[:200]})"


@contextmanager
def local_workers() -> Iterator[tuple[str, Security, Path]]:
    """A scheduler in this process and workers beside it: its address, what it takes to be let in, and their folder.

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
        # pyarrow's own allocator keeps for good what its threads have freed
        environment = {"ARROW_DEFAULT_MEMORY_POOL": "system", **os.environ}
        workers = subprocess.Popen(command, start_new_session=True, env=environment)  # noqa: S603 (our own module)
        stack.callback(stop, workers)
        shared = Path(scratch, "shared")
        shared.mkdir()
        yield cluster.scheduler_address, security, shared


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
