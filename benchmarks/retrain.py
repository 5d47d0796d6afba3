"""Time and memory of a training, step by step, beside ``implicit``'s ALS alone on the same archetype matrix.

    python -m benchmarks.retrain [--listings 100000] [--buyers 20000] [--events 1000000] [--implicit PYTHON]

Works in a database of its own (``retrain_benchmark``, on the servers that ``embedded`` starts for benchmarks, or
wherever DATABASE_URL points), which is seeded at the first run and kept for the next; ``--fresh`` makes it anew. Two
trainings are measured, each in a process of its own through the real ``run_training``: the first, with nothing to be
compared with, and the next, which the gate compares with it.

``implicit`` is a comparator only: it needs OpenMP's runtime, which a bare machine lacks. Make it a virtual environment
of its own and name its interpreter:

    python -m venv /tmp/implicit && /tmp/implicit/bin/pip install implicit
    python -m benchmarks.retrain --implicit /tmp/implicit/bin/python

It gets the matrix that our factors are learned from (buyers by archetypes, weighed by kind and age), 15 iterations and
two threads; once with our number of factors and once with its own default, best of three. Peak memory is the resident
set of the training process. Wall time depends on what else the machine does, so processor time stands beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import django

from recommender_site.local import embedded

DATABASE = "retrain_benchmark"
ALS = """
import json, os, sys, time
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the package asks for
import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import load_npz

matrix, factors = load_npz(sys.argv[1]).tocsr().astype(np.float32), int(sys.argv[2])
best = [float("inf")] * 2
for _ in range(3):
    options = {"factors": factors} if factors else {}
    model = AlternatingLeastSquares(iterations=15, num_threads=2, random_state=0, **options)
    wall, cpu = time.perf_counter(), time.process_time()
    model.fit(matrix, show_progress=False)
    best = min(best, [time.perf_counter() - wall, time.process_time() - cpu])
print(json.dumps([*best, model.factors]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listings", type=int, default=100_000)
    parser.add_argument("--buyers", type=int, default=20_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--implicit", metavar="PYTHON", help="an interpreter that has implicit")
    parser.add_argument("--fresh", action="store_true", help="seed again")
    parser.add_argument("--json", default="", help="write the sums to this file too")
    parser.add_argument("--part", nargs=2, metavar=("NAME", "FILE"), help=argparse.SUPPRESS)  # its figures into a file
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")
    embedded.ensure("benchmark")
    use_own_database(fresh=arguments.fresh)
    if arguments.part:
        name, file = arguments.part
        Path(file).write_text(json.dumps(PARTS[name]()))
        return
    seed(arguments.listings, arguments.buyers, arguments.events)
    forget_versions()
    with tempfile.TemporaryDirectory() as directory:
        matrix = Path(directory, "archetypes.npz")
        forked(lambda: save_matrix(matrix))
        first = in_a_process_of_its_own("training")
        als = [als_alone(arguments.implicit, matrix, factors) for factors in (32, 0)] if arguments.implicit else []
        second = in_a_process_of_its_own("training")
    show(first, second, als)
    renewal = in_a_process_of_its_own("renewal")
    show_renewal(renewal)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(in_short(first, second, als, renewal)))


def use_own_database(*, fresh: bool) -> None:
    """Connect Django to the benchmark's database, making it where it is missing."""
    django.setup()
    from django.core.management import call_command
    from django.db import connection, connections

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        exists = cursor.fetchone() is not None
        if exists and fresh:
            cursor.execute(f"DROP DATABASE {DATABASE}")
        if fresh or not exists:
            cursor.execute(f"CREATE DATABASE {DATABASE}")
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined] # of PostgreSQL's alone
    connections.settings["default"]["NAME"] = connection.settings_dict["NAME"] = DATABASE
    call_command("migrate", verbosity=0)


def seed(n_listings: int, n_buyers: int, n_events: int) -> None:
    """Make the market, which takes minutes; one that is there already, of these sizes, is used as it is."""
    from recommendations.models import Interaction
    from recommendations.simulation.seed_plan import SeedPlan
    from recommendations.simulation.seeding import seed_marketplace

    plan = SeedPlan(n_listings, n_buyers, n_events, seed=1)
    if not Interaction.objects.filter(event_id=f"{plan.events_key}{n_events - 1}").exists():
        print(f"{seed_marketplace(n_listings, n_buyers, n_events, seed=1)}\n", flush=True)


def forget_versions() -> None:
    from recommendations.models import RankerVersion
    from recommendations.training.versions import retire_ranker

    for version in RankerVersion.objects.usable():
        retire_ranker(version)


def in_a_process_of_its_own(part: str) -> Any:
    """Memory is measured by its peak, which never falls, so each measurement needs a fresh process."""
    with tempfile.NamedTemporaryFile("r") as answer:
        subprocess.run([sys.executable, "-m", "benchmarks.retrain", "--part", part, answer.name], check=True)
        return json.load(answer)


def forked(work: Callable[[], None]) -> None:
    from django.db import connection

    connection.close()
    connection.close_pool()  # type: ignore[attr-defined] # of PostgreSQL's alone
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)  # no atexit here: the servers are the parent's
    _, status = os.waitpid(child, 0)
    assert status == 0, "a step of the benchmark failed"


def one_training() -> dict[str, Any]:
    """Train once; what each step took, and what it learned from."""
    from recommendations.training.runs import run_training, start_training

    marks: list[tuple[str, float, float]] = []

    def mark(step: str) -> None:
        marks.append((step, time.perf_counter(), time.process_time()))

    held = resident_mb()
    version = run_training(run_id=start_training().pk, report=lambda fraction, step: mark(step))
    assert version is not None
    steps = [(step, later[1] - wall, later[2] - cpu) for (step, wall, cpu), later in pairwise(marks)]
    return {
        "steps": steps,
        "held_mb": held,
        "peak_mb": resident_mb(),
        "n": [version.n_listings, version.n_interactions, version.n_buyers],
        "rankers": version.metrics.get("rankers", {}),
    }


def renewal() -> dict[str, float]:
    """What making preferences costs after a promotion: side by side, and one by one as reads do."""
    from accounts.models import Buyer
    from recommendations.buyers.preferences import current_preference, update_preferences
    from recommendations.models import Preference, RankerVersion

    live = RankerVersion.objects.live()
    buyers = list(Buyer.objects.exclude(interactions=None).order_by("pk")[:1000])
    Preference.objects.filter(version=live).delete()
    current_preference(buyers[0])  # loads the window
    figures: dict[str, float] = {"events": sum(buyer.interactions.count() for buyer in buyers) / len(buyers)}
    for name, some, work in (
        ("batch", buyers, lambda: update_preferences(buyers, by="worker")),
        ("single", buyers[:200], lambda: [current_preference(buyer) for buyer in buyers[:200]]),
    ):
        Preference.objects.filter(version=live).delete()
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        figures[name] = len(some) / (time.perf_counter() - wall)
        figures[f"{name}_cpu"] = len(some) / (time.process_time() - cpu)
    return figures


PARTS: dict[str, Callable[[], dict[str, Any]]] = {"training": one_training, "renewal": renewal}


def resident_mb() -> float:
    """The largest resident set so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def save_matrix(path: Path) -> None:
    """What our factors are learned from, for other programs: buyers by archetypes."""
    import numpy as np
    from django.utils import timezone
    from scipy.sparse import csr_matrix, save_npz, vstack

    from recommendations.engine import collaborative
    from recommendations.training.learning import fit_factors, read_material
    from recommendations.training.parameters import TrainingParameters

    kept: list[Any] = []

    def keep(feedback: Any, *arguments: Any) -> Any:
        kept.append(vstack(feedback.collect()))
        return feedback, np.zeros((kept[0].shape[1], arguments[0]))

    collaborative.als_factors_in_parts = keep  # type: ignore[assignment, attr-defined]
    parameters = TrainingParameters()
    material = read_material(parameters, timezone.now(), lambda fraction, step: None)
    fit_factors(material, parameters, timezone.now())
    save_npz(path, csr_matrix(kept[0]))


def als_alone(python: str, matrix: Path, factors: int) -> dict[str, float]:
    command = [python, "-c", ALS, str(matrix), str(factors)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    wall, cpu, used = json.loads(answer)
    return {"wall": wall, "cpu": cpu, "factors": used}


def show(first: dict[str, Any], second: dict[str, Any], als: list[dict[str, float]]) -> None:
    n_listings, n_events, n_buyers = second["n"]
    print(f"{n_events:,} events of {n_buyers:,} buyers over {n_listings:,} listings\n")
    print("| step | first, s | of it processor | next, s | of it processor |\n|---|---:|---:|---:|---:|")
    for one, other in zip(first["steps"], second["steps"], strict=True):
        print(f"| {step_name(one[0])} | {one[1]:.1f} | {one[2]:.1f} | {other[1]:.1f} | {other[2]:.1f} |")
    for name, part in (("until it is live", slice(0, -1)), ("with the index", slice(0, None))):
        sums = [sum(step[at] for step in run["steps"][part]) for run in (first, second) for at in (1, 2)]
        print(f"| **{name}** | " + " | ".join(f"**{seconds:.1f}**" for seconds in sums) + " |")
    print(
        f"\nPeak memory: {first['peak_mb']:,.0f} and {second['peak_mb']:,.0f} MB, {second['held_mb']:.0f} MB at rest."
    )
    live = [sum(step[at] for step in second["steps"][:-1]) for at in (1, 2)]
    for run in als:
        print(
            f"implicit ALS, {run['factors']:.0f} factors: {run['wall']:.2f} s, {run['cpu']:.2f} s of processor. "
            f"Ours until live: {live[0] / run['wall']:.1f} times, {live[1] / run['cpu']:.1f} of processor."
        )
    print(json.dumps(second["rankers"]))


def in_short(
    first: dict[str, Any], second: dict[str, Any], als: list[dict[str, float]], renewal: dict[str, float]
) -> dict[str, Any]:
    """Seconds until a version is live, of the wall and of the processor, and peak memory."""
    runs = {"first": first, "next": second}
    figures: dict[str, Any] = {
        name: {
            "until live, s": round(sum(step[1] for step in run["steps"][:-1]), 2),
            "until live, processor s": round(sum(step[2] for step in run["steps"][:-1]), 2),
            "peak, MB": round(run["peak_mb"]),
        }
        for name, run in runs.items()
    }
    figures |= {f"implicit ALS, {run['factors']:.0f} factors": {"wall, s": round(run["wall"], 2)} for run in als}
    return figures | {"preferences a second": {name: round(renewal[name]) for name in ("batch", "single")}}


def show_renewal(figures: dict[str, float]) -> None:
    print(
        f"\nPreferences in a new space, {figures['events']:.0f} events a buyer: {figures['batch']:.0f} buyers a second "
        f"in a batch, {figures['single']:.0f} one by one ({figures['batch_cpu']:.0f} and {figures['single_cpu']:.0f} "
        "a second of processor)."
    )


def step_name(step: str) -> str:
    """The step without what changes from run to run."""
    return "promoting" if step.startswith(("promoted", "not promoted")) else step.split(";")[-1].strip()


if __name__ == "__main__":
    main()
