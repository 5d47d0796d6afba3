"""Where the processes of one machine count."""

from pathlib import Path

import pytest

from recommender_site.local import processes


@pytest.fixture
def memory(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(processes, "SHARED_MEMORY", tmp_path)
    return tmp_path


def test_counters_lie_in_memory_and_go_with_the_run(memory):
    with processes.counters_of(Path("/a/site")) as folder:
        assert folder.parent == memory
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(memory.iterdir()) == []


def test_counters_that_a_killed_supervisor_left_are_removed_and_those_of_another_site_are_not(memory):
    of_a, of_b = processes.counters_of(Path("/a/site")), processes.counters_of(Path("/b/site"))
    with of_a as left_over, of_b as others, processes.counters_of(Path("/a/site")) as folder:
        assert sorted(memory.iterdir()) == sorted([others, folder])
        assert left_over != folder


def test_where_memory_is_short_counters_lie_with_the_site(tmp_path, memory, monkeypatch):
    monkeypatch.setattr(processes, "COUNTERS_BYTES", float("inf"))
    site = tmp_path / "site"
    site.mkdir()
    with processes.counters_of(site) as folder:
        assert folder.parent == site
