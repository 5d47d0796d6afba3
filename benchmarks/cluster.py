"""A training by two workers with less memory than the data has, the same with one of them killed, and in one process.

    python -m benchmarks.cluster [--events 1000000 ...] [--memory-mb 700] [--runs whole killed one]

For each number of events an export of made-up events is written into a scratch folder (a buyer for each twenty events,
a listing for each 33), and read in partitions from there. What is learned is what ``learn_unstored`` of the site's
trainings learns: archetypes, factors, EASE and population from the older events, the weights of the score's terms from
the newer ones, and archetypes, factors, EASE and population again from all of them.

The run ``whole`` is on a local cluster of two workers, each with its limit of memory, at 95 % of which it would be
killed. In ``killed`` a worker gets SIGKILL in the middle of the last search for the population. ``one`` is in this
process, and keeps all partitions in its memory. Said of each are its time, of it processor time of this process, the
largest resident set of a worker as it was seen each half second, how many partitions were read (more than there are
only where a worker was lost), and how far what was learned is from the first run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import django
import psutil

from recommender_site.local import embedded

EVENTS_PER_BUYER, EVENTS_PER_LISTING = 20, 33
RUNS = ["whole", "killed", "one"]


@dataclass
class Run:
    """What one training took: seconds, MB, partitions that were read, and the largest difference from the first run."""

    name: str
    seconds: float
    own_processor_seconds: float
    worker_mb: float
    own_mb: float
    n_read: int
    n_partitions: int
    difference: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--memory-mb", type=int, default=700, help="of each of the two workers")
    parser.add_argument("--per-partition", type=int, default=100_000, help="events, about")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=RUNS)
    parser.add_argument("--exports", type=Path, help="keep exports there, and use those that are there")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")
    os.environ |= {
        "TRAINING_CLUSTER": "local", "TRAINING_CLUSTER_WORKERS": "2",
        "TRAINING_WORKER_MEMORY_MB": str(arguments.memory_mb),
        "TRAINING_EVENTS_PER_PARTITION": str(arguments.per_partition),
    }  # fmt: skip
    embedded.ensure("benchmark")
    django.setup()
    figures = {}
    for n_events in arguments.events:
        with tempfile.TemporaryDirectory(prefix="forecourt-cluster-") as scratch:
            folder = Path(scratch) if arguments.exports is None else arguments.exports / str(n_events)
            figures[n_events] = compare(folder, n_events, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps({n: [asdict(run) for run in runs] for n, runs in figures.items()}))


def compare(folder: Path, n_events: int, arguments: argparse.Namespace) -> list[Run]:
    from benchmarks.exported_log import write_export

    began = time.perf_counter()
    n_buyers, n_listings = n_events // EVENTS_PER_BUYER, n_events // EVENTS_PER_LISTING
    if not (folder / "events").exists():
        write_export(folder, n_events, n_buyers, n_listings)
    on_disk = sum(file.stat().st_size for file in folder.rglob("*.parquet")) / 2**20
    print(
        f"\n{n_events:,} events of {n_buyers:,} buyers over {n_listings:,} listings: {on_disk:,.0f} MB of Parquet, "
        f"written in {time.perf_counter() - began:.0f} s; two workers of {arguments.memory_mb} MB",
        flush=True,
    )
    rows = rows_of(n_listings)
    runs: list[Run] = []
    learned: list[Any] = []
    for name in arguments.runs:
        run = one_process(folder, rows, learned) if name == "one" else on_cluster(folder, rows, learned, name)
        runs.append(run)
        show(run)
    return runs


def one_process(folder: Path, rows: Any, learned: list[Any]) -> Run:
    from recommendations.training.cluster import InProcess

    return measured("one process", folder, rows, learned, InProcess(), lambda share, step: None)


def rows_of(n_listings: int) -> Any:
    from benchmarks.exported_log import ENDS
    from recommendations.simulation.market import build_market
    from recommendations.simulation.site import listing_rows_of

    return listing_rows_of(build_market(n_listings, 1, ENDS.year), ENDS.timestamp())


def on_cluster(folder: Path, rows: Any, learned: list[Any], name: str) -> Run:
    from recommendations.training.cluster import cluster_at

    with cluster_at("local") as cluster:
        cluster.client.wait_for_workers(2, timeout=600)
        killed: list[int] = []

        def kill(share: float, step: str) -> None:
            if name == "killed" and share >= 0.8 and not killed:
                killed.extend(cluster.client.run(os.getpid).values())
                os.kill(killed[0], signal.SIGKILL)

        title = "two workers, one killed" if name == "killed" else "two workers"
        return measured(title, folder, rows, learned, cluster, kill)


def measured(
    name: str, folder: Path, rows: Any, learned: list[Any], where: Any, do: Callable[[float, str], None]
) -> Run:
    """Train, and compare with what was learned first."""
    from django.conf import settings

    from benchmarks.exported_log import ENDS, bytes_of, read_export
    from recommendations.engine.encoder import EncoderConfig, fit_encoder
    from recommendations.models import VECTOR_DIMENSIONS
    from recommendations.training.held_out_test import learn_unstored
    from recommendations.training.learning import Material
    from recommendations.training.parameters import TrainingParameters

    reads = folder / "reads.log"
    reads.unlink(missing_ok=True)
    peaks, stop = {"workers": 0.0, "own": 0.0}, threading.Event()
    watcher = threading.Thread(target=watch, args=(peaks, stop), daemon=True)
    watcher.start()
    began, processor_began = time.perf_counter(), time.process_time()

    def report(share: float, step: str) -> None:
        print(f"  {time.perf_counter() - began:.0f} s: {step}", file=sys.stderr, flush=True)
        do(share, step)

    events = read_export(where, folder, settings.TRAINING_EVENTS_PER_PARTITION)
    encoder = fit_encoder(rows.table, EncoderConfig(n_dims=96))
    material = Material.of(rows, encoder, events)
    if not learned:
        sizes = events.parts.map(bytes_of).collect()
        listings = (material.content.nbytes // material.content.shape[1] * VECTOR_DIMENSIONS) / 2**20
        print(
            f"events as arrays {sum(sizes) / 2**20:,.0f} MB in {len(sizes)} partitions, vectors {listings:,.0f} MB",
            flush=True,
        )
    snapshot = learn_unstored(material, TrainingParameters(), ENDS, report)
    seconds, processor_seconds = time.perf_counter() - began, time.process_time() - processor_began
    stop.set()
    watcher.join()
    learned.append(snapshot.ranker.to_arrays())
    n_read = len(reads.read_text().splitlines())
    return Run(
        name, seconds, processor_seconds, peaks["workers"], peaks["own"], n_read, len(events.parts),
        difference(learned[0], learned[-1]),
    )  # fmt: skip


def watch(peaks: dict[str, float], stop: threading.Event) -> None:
    """The largest resident sets, in MB, of any process below this one and of this one."""
    own = psutil.Process()
    while not stop.wait(0.5):
        peaks["own"] = max(peaks["own"], own.memory_info().rss / 2**20)
        for child in own.children(recursive=True):
            try:
                if "spawn_main" in " ".join(child.cmdline()):
                    peaks["workers"] = max(peaks["workers"], child.memory_info().rss / 2**20)
            except psutil.Error:
                continue


def difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest difference of any number of two rankers; says of which of their arrays, where it is beyond 1e-6."""
    import numpy as np

    largest = {
        name: float(np.abs(np.nan_to_num(array) - np.nan_to_num(other[name])).max())
        for name, array in one.items()
        if array.dtype.kind == "f" and array.size
    }
    if beyond := {name: value for name, value in largest.items() if value > 1e-6}:
        print(f"differ: {beyond}", flush=True)
    return max(largest.values())


def show(run: Run) -> None:
    print(
        f"| {run.name} | {run.seconds:.0f} s | {run.own_processor_seconds:.0f} s | "
        f"{run.worker_mb:,.0f} MB | {run.own_mb:,.0f} MB | "
        f"{run.n_read} of {run.n_partitions} | {run.difference:.1e} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
    shutil.rmtree(Path("dask-scratch-space"), ignore_errors=True)
