"""``/infer`` beside a minimal Flask + gunicorn + numpy service that holds the same matrix and does the same work.

Both serve the live stock of the running site's database from two worker processes on this machine; the same clients
ask the same vectors of one and the other, in turns, with and without keeping their connections.

    python -m venv /tmp/flask && /tmp/flask/bin/pip install flask gunicorn numpy
    python manage.py seed_data && python manage.py retrain
    python -m benchmarks.inference --flask-python /tmp/flask/bin/python
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import django
import numpy as np

from recommender_site.local import embedded

ROOT = Path(__file__).resolve().parent.parent
FLASK_SERVICE = """
import json
import numpy as np
from flask import Flask, jsonify, request

stock = np.load("{folder}/stock.npz")
vectors, ids = stock["vectors"], stock["ids"]
names = json.load(open("{folder}/names.json"))
app = Flask(__name__)


@app.post("/infer")
def infer():
    asked = request.get_json()
    scores = vectors @ np.array(asked["vector"], np.float32)
    best = np.argpartition(-scores, 10)[:10]
    best = best[np.lexsort((ids[best], -scores[best]))]
    return jsonify(
        name=asked["name"],
        recommendations=[{{"id": int(ids[row]), "name": names[row], "score": float(scores[row])}} for row in best],
    )
"""


def export_stock(folder: Path) -> int:
    """The live listings with ids, names and vectors, as a service of one's own would load them."""
    embedded.ensure()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")
    django.setup()
    from recommendations.listings.index import borrow_index

    with borrow_index() as listing_index:
        if listing_index is None:
            raise SystemExit("no ranker is live: seed and train first")
        live = listing_index.column("is_live")
        np.savez(
            folder / "stock.npz",
            vectors=listing_index.stock.vectors[live],
            ids=listing_index.column("listing_ids")[live],
        )
        (folder / "names.json").write_text(json.dumps(listing_index.column("names")[live].tolist()))
        return int(live.sum())


def ask(
    port: int, seed: int, seconds: float, keeps_connection: bool, results: multiprocessing.Queue[list[float]]
) -> None:
    """One client that never pauses; reports the milliseconds of each answer."""
    rng = np.random.default_rng(seed)
    bodies = [json.dumps({"name": "x", "vector": row}) for row in rng.normal(size=(50, 128)).round(6).tolist()]
    headers = {"Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", port)
    took: list[float] = []
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        connection.request("POST", "/infer", bodies[len(took) % 50], headers)
        response = connection.getresponse()
        content = response.read()
        took.append(1000 * (time.perf_counter() - started))
        assert response.status == 200, content
        if not keeps_connection:
            connection.close()
    results.put(took)


def measured(port: int, n_clients: int, seconds: float, keeps_connection: bool) -> tuple[float, float]:
    """Requests per second and median milliseconds."""
    results: multiprocessing.Queue[list[float]] = multiprocessing.Queue()
    clients = [
        multiprocessing.Process(target=ask, args=(port, seed, seconds, keeps_connection, results))
        for seed in range(n_clients)
    ]
    for client in clients:
        client.start()
    took = [milliseconds for _ in clients for milliseconds in results.get()]
    for client in clients:
        client.join()
    return len(took) / seconds, statistics.median(took)


def wait_for(port: int) -> None:
    for _ in range(300):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("POST", "/infer", json.dumps({"name": "x", "vector": [0.0] * 128}),
                               {"Content-Type": "application/json"})  # fmt: skip
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"no server answers on port {port}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--flask-python", default=sys.executable, help="of an environment with flask and gunicorn")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port", type=int, default=8391)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    n_live = export_stock(folder)
    (folder / "service.py").write_text(FLASK_SERVICE.format(folder=folder))
    ours, theirs = options.port, options.port + 1
    single_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    servers = [
        subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--config", "python:recommender_site.gunicorn_conf",
             "recommender_site.wsgi:application"],
            cwd=ROOT, env={**single_thread, "PORT": str(ours), "WEB_PROCESSES": "2", "LOG_LEVEL": "WARNING"},
        ),
        subprocess.Popen(
            [options.flask_python, "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{theirs}", "--log-level", "warning",
             "service:app"],
            cwd=folder, env=single_thread,
        ),
    ]  # fmt: skip
    try:
        for port in (ours, theirs):
            wait_for(port)
        print(f"{n_live:,} live listings, {options.clients} clients, two processes each")
        for keeps_connection in (True, False):
            rounds = [
                [measured(port, options.clients, options.seconds, keeps_connection) for port in (ours, theirs)]
                for _ in range(options.rounds)
            ]
            per_second, median = np.median(np.array(rounds), axis=0).T
            print(
                f"{'kept' if keeps_connection else 'new '} connections: "
                f"/infer {per_second[0]:6.0f}/s, median {median[0]:5.2f} ms; "
                f"Flask {per_second[1]:6.0f}/s, median {median[1]:5.2f} ms; "
                f"ratio {per_second[0] / per_second[1]:.2f} of the requests, {median[0] / median[1]:.2f} of the latency"
            )
    finally:
        for server in servers:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
