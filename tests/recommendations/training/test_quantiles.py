"""Quantiles of numbers in partitions are those of all of them."""

import numpy as np
import pytest

from recommendations.engine.parts import LocalParts
from recommendations.training import quantiles
from recommendations.training.quantiles import quantile

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("few", [1, 10, 10_000])
@pytest.mark.parametrize("n_bounds", [2, 3, 20])
@pytest.mark.parametrize(
    "numbers",
    [
        RNG.uniform(1.7e9, 1.8e9, 1_000),
        RNG.integers(0, 5, 1_000).astype(float),
        np.full(300, 7.0),
        np.array([3.0]),
        np.r_[RNG.normal(size=200), 1e12],
    ],
)
def test_a_quantile_of_partitions_is_that_of_all_numbers(monkeypatch, numbers, n_bounds, few):
    monkeypatch.setattr(quantiles, "FEW", few)
    monkeypatch.setattr(quantiles, "N_BOUNDS", n_bounds)
    cuts = np.sort(RNG.integers(0, len(numbers) + 1, 4))  # some partitions may be empty
    parts = LocalParts([np.sort(part) for part in np.split(numbers, cuts)])
    for share in (0.0, 0.3, 0.5, 0.85, 0.999, 1.0):
        assert quantile(parts, share) == np.quantile(numbers, share)


def test_few_numbers_are_gathered(monkeypatch):
    monkeypatch.setattr(quantiles, "FEW", 50)
    gathered = []
    between = quantiles.between

    def note(numbers, low, high):
        gathered.append(len(between(numbers, low, high)))
        return between(numbers, low, high)

    monkeypatch.setattr(quantiles, "between", note)
    parts = [np.sort(RNG.normal(size=5_000)) for _ in range(4)]
    assert quantile(LocalParts(parts), 0.85) == np.quantile(np.concatenate(parts), 0.85)
    assert sum(gathered) <= 50
