"""The best 20 of many vectors: ours beside numpy, faiss, hnswlib and pgvector, each where it is installed.

    python -m benchmarks.index [--vectors 100000] [--questions 200] [--json FILE]

Vectors of 128 numbers in clusters, as those of cars are, made with a fixed seed; one thread, one question at a time.
Recall is the share of the exact 20 that an answer has. pgvector has a temporary table in the database of DATABASE_URL,
or of the servers that are embedded for benchmarks.
"""

# ruff: noqa: S608 -- names of ours
from __future__ import annotations

import argparse
import importlib.util
import json
import os
import time
from collections.abc import Callable
from typing import Any

import django
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recommendations.engine.inner_products import best_products, largest_length

DIMENSIONS, CLUSTERS, K = 128, 500, 20
Vectors = NDArray[np.float32]
Answer = Callable[[Vectors], NDArray[np.int64]]
TABLE = "benchmark_vectors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--json", default="", help="write the figures to this file too")
    options = parser.parse_args()
    figures = measure_all(options.vectors, options.questions)
    for name, row in figures.items():
        print(f"{name:16s} " + ", ".join(f"{what} {value}" for what, value in row.items()))
    if options.json:
        with open(options.json, "w") as file:
            json.dump(figures, file, indent=2)


def measure_all(n_vectors: int, n_questions: int) -> dict[str, dict[str, Any]]:
    """By way of answering: milliseconds and recall, or why it was left out."""
    vectors = clustered(n_vectors, seed=1)
    questions = clustered(n_questions, seed=2)
    figures: dict[str, dict[str, Any]] = {}
    with threadpool_limits(1):
        exact = np.stack([with_numpy(vectors)(question) for question in questions])
        for name, make in WAYS.items():
            try:
                began = time.perf_counter()
                answer = make(vectors)
                figures[name] = {"build_s": round(time.perf_counter() - began, 2), **measured(answer, questions, exact)}
            except (ImportError, OSError) as reason:
                figures[name] = {"left out": str(reason)}
    return figures


def clustered(n: int, seed: int) -> Vectors:
    """Unit vectors around centres that are the same for every seed, shape (n, DIMENSIONS)."""
    centres = np.random.default_rng(0).normal(size=(CLUSTERS, DIMENSIONS))
    random = np.random.default_rng(seed)
    vectors = centres[random.integers(0, CLUSTERS, n)] + random.normal(scale=0.5, size=(n, DIMENSIONS))
    unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def measured(answer: Answer, questions: Vectors, exact: NDArray[np.int64]) -> dict[str, float]:
    answer(questions[0])
    seconds, n_right = [], 0
    for question, right in zip(questions, exact, strict=True):
        began = time.perf_counter()
        found = answer(question)
        seconds.append(time.perf_counter() - began)
        n_right += len(np.intersect1d(found, right))
    p50, p99 = np.percentile(seconds, (50, 99)) * 1000
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3), "recall": round(n_right / exact.size, 4)}


def with_ours(vectors: Vectors) -> Answer:
    ids, rows, longest = np.arange(len(vectors)), np.arange(len(vectors)), largest_length(vectors)
    return lambda question: best_products(vectors, ids, rows, question.astype(float), K, longest=longest)[0]


def with_numpy(vectors: Vectors) -> Answer:
    def answer(question: Vectors) -> NDArray[np.int64]:
        products = vectors @ question
        best = np.argpartition(-products, K)[:K]
        return best[np.argsort(-products[best])]

    return answer


def with_faiss(vectors: Vectors) -> Answer:
    faiss: Any = needed("faiss")
    faiss.omp_set_num_threads(1)
    index = faiss.IndexHNSWFlat(DIMENSIONS, 16, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = 200, 100
    index.add(vectors)
    return lambda question: index.search(question[None], K)[1][0]


def with_flat_faiss(vectors: Vectors) -> Answer:
    faiss: Any = needed("faiss")
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(DIMENSIONS)
    index.add(vectors)
    return lambda question: index.search(question[None], K)[1][0]


def with_hnswlib(vectors: Vectors) -> Answer:
    hnswlib: Any = needed("hnswlib")
    index = hnswlib.Index(space="ip", dim=DIMENSIONS)
    index.init_index(max_elements=len(vectors), ef_construction=200, M=16)
    index.set_num_threads(1)
    index.add_items(vectors)
    index.set_ef(100)
    return lambda question: index.knn_query(question, k=K)[0][0]


def needed(package: str) -> Any:
    if importlib.util.find_spec(package) is None:
        raise ImportError(f"{package} is not installed")
    return importlib.import_module(package)


def with_pgvector(vectors: Vectors) -> Answer:
    from recommender_site.local import embedded

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")
    embedded.ensure("benchmark")
    django.setup()
    from django.db import connection

    cursor = connection.cursor()
    cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
    cursor.execute(f"CREATE TEMP TABLE {TABLE} (id bigint, vector vector({DIMENSIONS}))")
    with cursor.copy(f"COPY {TABLE} (id, vector) FROM STDIN") as copy:
        for number, vector in enumerate(vectors):
            copy.write_row((number, as_text(vector)))
    cursor.execute(f"CREATE INDEX ON {TABLE} USING hnsw (vector vector_ip_ops) WITH (m = 16, ef_construction = 200)")
    cursor.execute("SET hnsw.ef_search = 100")
    cursor.execute("SET enable_seqscan = off")

    def answer(question: Vectors) -> NDArray[np.int64]:
        cursor.execute(f"SELECT id FROM {TABLE} ORDER BY vector <#> %s::vector LIMIT {K}", [as_text(question)])
        return np.array([row[0] for row in cursor.fetchall()])

    return answer


def as_text(vector: Vectors) -> str:
    return "[" + ",".join(f"{number:.7g}" for number in vector) + "]"


WAYS: dict[str, Callable[[Vectors], Answer]] = {
    "ours": with_ours,
    "numpy": with_numpy,
    "faiss flat": with_flat_faiss,
    "faiss hnsw": with_faiss,
    "hnswlib": with_hnswlib,
    "pgvector hnsw": with_pgvector,
}

if __name__ == "__main__":
    main()
