"""Where the processes of one machine count."""

from pathlib import Path

import pytest

from recommender_site.local import processes


@pytest.fixture
def memory(tmp_path, monkeypatch) -> Path:
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(processes, "SHARED_MEMORY", memory)
    return memory


@pytest.fixture
def site(tmp_path) -> Path:
    site = tmp_path / "site"
    site.mkdir()
    return site


def test_counters_lie_in_memory_and_go_with_the_run(memory, site):
    with processes.counters_of(site) as folder:
        assert folder.parent == memory
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(memory.iterdir()) == []


def test_counters_that_a_killed_supervisor_left_are_removed_and_those_of_another_site_are_not(memory, site):
    of_another = processes.counters_of(memory.parent)
    with processes.counters_of(site) as left_over, of_another as others, processes.counters_of(site) as folder:
        assert sorted(memory.iterdir()) == sorted([others, folder])
        assert left_over != folder


def test_a_site_at_the_same_path_of_another_container_keeps_its_counters(memory, site):
    with processes.counters_of(site) as others:
        site.rename(site.with_name("elsewhere"))
        site.mkdir()
        with processes.counters_of(site) as folder:
            assert sorted(memory.iterdir()) == sorted([others, folder])


def test_where_memory_is_short_counters_lie_with_the_site(memory, site, monkeypatch):
    with processes.counters_of(site) as left_over:
        monkeypatch.setattr(processes, "COUNTERS_BYTES", float("inf"))
        with processes.counters_of(site) as folder:
            assert folder.parent == site
            assert not left_over.exists()


def test_what_another_one_removes_meanwhile_is_passed_over(memory, site, monkeypatch):
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: iter([folder / "gone"]))
    with processes.counters_of(site) as folder:
        assert folder.is_dir()
