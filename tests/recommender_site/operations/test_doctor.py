"""``manage.py doctor`` finds what is wrong, and says what to do about each finding."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from jobs.broker import Worker
from recommendations.checks import the_database_is_new_enough
from recommendations.listings.vectors import create_detached, drop_partition, partition_of
from recommendations.models import RankerVersion
from recommender_site.management.commands import prepare
from recommender_site.operations import doctor
from recommender_site.operations.findings import Finding, Level, ok, problem, warning
from tests.markets import trained_market
from tests.vector_tables import create_partition
from web.postgres import versions

pytestmark = pytest.mark.django_db


def levels(look: doctor.Look) -> set[tuple[str, str]]:
    return {(each.name, each.level.name) for each in look()}


def only(look: doctor.Look) -> Finding:
    [finding] = [each for each in look() if each.level]
    return finding


def test_every_look_at_servers_that_are_well_makes_findings_and_none_of_them_is_a_problem(monkeypatch, settings):
    monkeypatch.setattr(doctor, "workers_alive", lambda: [Worker("all@here", (), tuple(settings.QUEUES))])
    PeriodicTask.objects.update(last_run_at=timezone.now())
    monkeypatch.setattr(doctor, "TOO_LITTLE_DISK", 0)
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 0)
    findings = [each for each in doctor.examine() if each.name not in ("settings", "ranker")]
    assert {each.name for each in findings} >= {
        "versions", "postgresql", "pgvector", "migrations", "indexes", "partitions", "schedules", "clock", "cache",
        "queues", "disk",
    }  # fmt: skip
    assert [each for each in findings if each.level is Level.PROBLEM] == []


@pytest.mark.parametrize("server", ["database", "cache", "broker"])
def test_a_server_that_is_away_is_named_and_the_others_are_looked_at(monkeypatch, server):
    monkeypatch.setitem(doctor.CHECKS, server, lambda: "refused")
    monkeypatch.setattr(doctor, "workers_alive", list)
    findings = {each.name: each for each in doctor.examine()}
    assert findings[server].level is Level.PROBLEM
    assert ("clock" in findings) is True
    assert ("queues" in findings) is (server != "broker")
    assert ("pgvector" in findings) is (server != "database")


def test_a_look_that_fails_is_a_finding():
    def fail() -> list[Finding]:
        raise OSError("no such file")

    [finding] = doctor.look_each("disk", fail)
    assert (finding.name, finding.level) == ("disk", Level.PROBLEM)
    assert "no such file" in finding.is_so


OLD = [(), (0, 5), (0, 7, 4), (0, 8, 0), (0, 8, 1), (0, 8, 2), (0, 8, 3)]


@pytest.mark.parametrize("version", OLD)
def test_an_old_pgvector_is_refused_with_the_reason_wherever_it_is_met(monkeypatch, version):
    monkeypatch.setattr(versions, "vector_version", lambda cursor: version)
    monkeypatch.setattr(doctor, "vector_version", lambda cursor: version)
    reason = "corrupt" if version else "no pgvector"
    assert reason in only(doctor.look_at_postgresql).is_so
    with pytest.raises(CommandError, match=reason):
        prepare.refuse_old_servers()
    [error] = the_database_is_new_enough(None, databases=["default"])
    assert reason in error.msg
    assert the_database_is_new_enough(None) == []


@pytest.mark.parametrize("version", [(0, 8, 4), (0, 8, 5), (0, 9), (1, 0, 0)])
def test_a_new_pgvector_is_taken(version):
    assert versions.vector_problem(version) == ""


def test_the_servers_of_these_tests_are_taken():
    prepare.refuse_old_servers()
    assert the_database_is_new_enough(None, databases=["default"]) == []
    assert versions.postgres_problem(140_012)
    assert not versions.postgres_problem(150_000)


def test_a_migration_that_is_missing_and_one_of_a_later_release_are_found():
    assert levels(doctor.look_at_migrations) == {("migrations", "OK")}
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('catalog', '0999_later', now())")
        assert "0999_later" in only(doctor.look_at_migrations).is_so
        cursor.execute("DELETE FROM django_migrations WHERE app = 'catalog' AND name = '0999_later'")
        last = doctor.MigrationExecutor(connection).loader.graph.leaf_nodes("catalog")[0][1]
        cursor.execute("DELETE FROM django_migrations WHERE app = 'catalog' AND name = %s", [last])
    assert last in only(doctor.look_at_migrations).is_so


def test_an_unfinished_index_is_found():
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'accounts_buyer_pkey'::regclass")
    assert "accounts_buyer_pkey" in only(doctor.look_at_indexes).is_so


def test_partitions_that_are_missing_or_left_over_are_found():
    assert levels(doctor.look_at_ranker) == {("ranker", "WARNING")}
    trained_market(3)
    live = RankerVersion.objects.live().pk
    assert found_about(live) == found_about(live + 1000) == []
    for create in (create_partition, create_detached):
        create(live + 1000)
        assert found_about(live + 1000) == [Level.WARNING]
        drop_partition(live + 1000)
    drop_partition(live)
    assert found_about(live + 1000) == []
    assert found_about(live) == [Level.PROBLEM]
    assert levels(doctor.look_at_ranker) == {("ranker", "WARNING")}


def found_about(version_id: int) -> list[Level]:
    """Tests that commit may have left other partitions behind."""
    return [each.level for each in doctor.look_at_partitions() if f"{partition_of(version_id)} " in each.is_so]


@pytest.mark.parametrize(("hours", "level"), [(0, "OK"), (3, "PROBLEM")])
def test_schedules_that_beat_does_not_send_are_found(hours, level):
    PeriodicTask.objects.exclude(crontab=None).update(enabled=False)
    PeriodicTask.objects.update(last_run_at=timezone.now() - timedelta(hours=hours))
    assert levels(doctor.look_at_schedules) == {("schedules", level)}


@pytest.mark.parametrize(
    ("difference", "level"), [(0.0, Level.OK), (-1.9, Level.OK), (2.5, Level.WARNING), (-40.0, Level.PROBLEM)]
)
def test_clocks_that_differ_are_found(difference, level):
    [finding] = doctor.compare_clocks("cache", difference)
    assert finding.level is level


@pytest.mark.parametrize(
    ("free", "level"), [(50e9, Level.OK), (12e9, Level.WARNING), (4e9, Level.PROBLEM), (5e8, Level.PROBLEM)]
)
def test_a_full_disk_is_found(free, level):
    assert doctor.judge_disk("/var", int(free), int(100e9)).level is level


def test_a_queue_without_a_worker_is_found(monkeypatch, settings):
    monkeypatch.setattr(doctor, "workers_alive", lambda: [Worker("w", (), tuple(settings.QUEUES[1:]))])
    assert settings.QUEUES[0] in only(doctor.look_at_queues).is_so


def test_a_package_of_another_version_is_found(tmp_path, settings, monkeypatch):
    assert doctor.pinned(settings.BASE_DIR / "requirements-image.txt")["django"] == doctor.installed("django")
    monkeypatch.setattr(doctor, "pinned", lambda path: {"django": "1.0", "nowhere-to-be-had": "1"})
    assert levels(doctor.look_at_packages) == {("versions", "WARNING"), ("versions", "PROBLEM")}


def test_a_demo_that_is_open_to_the_network_is_found(settings):
    settings.DEMO_MODE, settings.HOST = True, "0.0.0.0"  # noqa: S104
    assert "DEMO_MODE" in only(doctor.look_at_settings).is_so


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([ok("a", "well")], 0),
        ([ok("a", "well"), warning("b", "odd", "do this")], 1),
        ([problem("c", "bad", "do that"), ok("a", "well")], 2),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_the_exit_code_is_the_worst_finding(monkeypatch, findings, code, as_json):
    from recommender_site.management.commands import doctor as command

    monkeypatch.setattr(command, "examine", lambda: findings)
    output = io.StringIO()
    run: Callable = lambda: call_command("doctor", stdout=output, json=as_json)  # noqa: E731
    if code:
        with pytest.raises(SystemExit) as end:
            run()
        assert end.value.code == code
    else:
        run()
    for each in findings:
        assert each.is_so in output.getvalue()
        assert each.remedy in output.getvalue()
        assert each.remedy or not each.level
    if as_json:
        assert json.loads(output.getvalue())["level"] == Level(code).name.lower()
