"""``make bench`` gathers figures, leaves out what can't be measured here, and keeps within its time."""

import json
import sys

import numpy as np
import pytest

import benchmarks.__main__ as bench
from benchmarks import index


def part(name: str, code: str) -> bench.Part:
    """Python code that finds ``--json FILE`` at the end of its arguments."""
    return bench.Part(name, (sys.executable, "-c", f"import json, sys, time; {code}"))


MEASURED = part("measured", "json.dump({'a': {'p50': 1.5}, 'rows': [3, 'x']}, open(sys.argv[-1], 'w'))")


def test_figures_reasons_and_failures_are_in_one_table():
    chosen = [
        MEASURED,
        bench.Part("absent", (), "it is not installed"),
        part("broken", "raise ValueError('no such car')"),
    ]
    outcomes = list(bench.run_all(chosen, 60))
    assert outcomes[0].figures == {"a / p50": 1.5, "rows / 0": 3, "rows / 1": "x"}
    lines = bench.table(outcomes).splitlines()
    assert "| measured | a / p50 | 1.5 |" in lines
    assert "| absent | left out | it is not installed |" in lines
    assert "| broken | failed | ValueError: no such car |" in lines
    parts = json.loads(json.dumps(bench.as_json(outcomes)))["parts"]
    assert [bool(parts[name]["failed"]) for name in ("measured", "absent", "broken")] == [False, False, True]


def test_what_does_not_fit_into_the_time_is_ended_and_left_out():
    outcomes = list(bench.run_all([part("long", "time.sleep(60)"), MEASURED], 0.3))
    assert outcomes[0].left_out == "not done after 0 s"
    assert outcomes[0].seconds < 30


def test_ours_answers_as_numpy_does(monkeypatch):
    monkeypatch.setattr(index, "WAYS", {"ours": index.with_ours, "absent": lambda _: index.needed("no_such_package")})
    figures = index.measure_all(2_000, 5)
    assert figures["ours"]["recall"] == 1
    assert figures["absent"] == {"left out": "no_such_package is not installed"}


@pytest.mark.parametrize("seed", [1, 2])
def test_the_vectors_are_of_length_one(seed):
    vectors = index.clustered(50, seed)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
