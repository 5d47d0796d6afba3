"""Values that the workers of a machine read from one file."""

import gc
import pickle
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from recommendations.training.shared_values import SharedFile, _read, give_back, read_values


@dataclass
class Holder:
    numbers: np.ndarray
    words: list[str]


def test_a_value_is_read_as_it_was_written_and_its_arrays_are_mapped(tmp_path):
    turned = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    shared = SharedFile.written(Holder(turned, ["a", "b"]), tmp_path)
    got = shared.value()
    np.testing.assert_array_equal(got.numbers, turned)
    assert got.words == ["a", "b"]
    assert got.numbers.ctypes.data % 64 == 0
    assert not got.numbers.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        got.numbers[0] = 1.0
    assert shared.value() is got  # once for each process


def test_another_process_is_sent_the_name_of_the_file_alone(tmp_path):
    shared = SharedFile.written(np.zeros(100_000), tmp_path)
    assert len(pickle.dumps(shared)) < 500
    copy = deepcopy(shared)  # by the same road
    assert copy.value().shape == (100_000,)
    del copy
    gc.collect()
    assert Path(shared.path).exists()  # a copy does not take the file with it


def test_a_file_goes_with_what_was_written_and_is_forgotten_at_the_next_reading(tmp_path):
    first = SharedFile.written(np.ones(3), tmp_path)
    first.value()
    path = first.path
    del first
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    assert path in _read
    SharedFile.written(np.ones(3), tmp_path).value()
    assert path not in _read


def test_pages_that_were_given_back_are_read_again(tmp_path):
    numbers = np.random.default_rng(0).normal(size=2_000_000)
    shared = SharedFile.written([numbers, "rest"], tmp_path)
    got, rest = next(read_values((shared,)))
    assert (got == numbers).all()
    before = resident_bytes()
    give_back()
    assert resident_bytes() < before - numbers.nbytes / 2
    assert (got == numbers).all()
    assert rest == "rest"


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_other_arguments_are_passed_on():
    assert list(read_values((1, "two", None))) == [1, "two", None]
