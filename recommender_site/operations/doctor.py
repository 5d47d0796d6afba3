"""What ``manage.py doctor`` looks at, from the settings to the disk. It asks and never changes anything."""

from __future__ import annotations

import logging
import re
import shutil
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import redis
from django.conf import settings
from django.core import checks
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from jobs.broker import queue_depths, workers_alive
from jobs.timetable import lateness
from recommendations.exceptions import TrainingRefused
from recommendations.listings.vectors import attached_partitions, has_index, partition_of, stored_versions
from recommendations.models import RankerVersion
from recommendations.training.cluster import LOCAL, workers_at
from recommendations.upkeep import months, retention
from recommender_site.operations import schema
from recommender_site.operations.findings import Finding, Level, Look, ok, problem, warning
from web import replicas
from web.postgres.months import check_left, check_of
from web.postgres.versions import OLDEST_POSTGRES, postgres_problem, vector_problem, vector_version
from web.servers import CHECKS, connection_parameters

logger = logging.getLogger(__name__)

OLDEST_REDIS = (6, 2)  # Celery's transport uses commands of it
MOST_CLOCK_SECONDS = 2.0  # between two machines; event times are compared with the reader's clock
WRONG_CLOCK_SECONDS = 30.0  # tokens and time limits go wrong
LITTLE_DISK, TOO_LITTLE_DISK = 0.15, 0.05  # free, as a share
LEAST_FREE_BYTES = 1 << 30
MANY_WAITING = 5000  # tasks; as the alert QueueGrows has it
LATE_SECONDS = 600.0
OLD_RANKER_DAYS = 3


def examine() -> list[Finding]:
    """Everything, in order. What needs a server that is away is left out, and the server is named."""
    away = {name for name, look in CHECKS.items() if look()}
    findings = [*look_each("settings", look_at_settings), *look_each("versions", look_at_packages)]
    for server, (remedy, looks) in OF_SERVERS.items():
        if server in away:
            findings.append(problem(server, f"the {server} does not answer", remedy))
            continue
        for look in looks:
            findings += look_each(look.__name__.removeprefix("look_at_"), look)
    return [*findings, *look_each("cluster", look_at_cluster), *look_each("disk", look_at_disk)]


def look_each(name: str, look: Look) -> list[Finding]:
    """The findings of one look; one that fails is a finding too, and does not keep the others from being made."""
    try:
        return list(look())
    except (DatabaseError, redis.RedisError, OSError, ValueError, LookupError) as error:
        logger.info("%s could not be looked at", name, exc_info=True)
        return [
            problem(name, f"it could not be looked at: {' '.join(str(error).split())}", "Mend what is named first.")
        ]


# --- Settings and packages -------------------------------------------------------------------------------------------
def look_at_settings() -> Iterator[Finding]:
    """Django's system checks, those of a deployment too unless this is a demo."""
    is_public = not (settings.DEMO_MODE or settings.DEBUG)
    found = checks.run_checks(include_deployment_checks=is_public)
    for each in found:
        make = problem if each.level >= checks.ERROR else warning
        yield make("settings", f"{each.msg} ({each.id})", each.hint or "Change the setting it names.")
    if not is_public and {"0.0.0.0", "::"} & {settings.HOST}:  # noqa: S104 (compared, not bound)
        yield warning(
            "settings",
            f"DEMO_MODE or DEBUG is on, and HOST is {settings.HOST}",
            "Switch both off on a network of others.",
        )
    if not found:
        yield ok("settings", "they are complete and agree with each other")


def look_at_packages() -> Iterator[Finding]:
    """Whether what is installed is what is pinned."""
    pins = pinned(settings.BASE_DIR / "requirements-image.txt")
    others = {name: found for name, pin in pins.items() if (found := installed(name)) not in (pin, None)}
    if missing := [name for name in pins if installed(name) is None]:
        yield problem("versions", f"not installed: {', '.join(missing)}", "Install requirements.txt again.")
    for name, found in others.items():
        yield warning(
            "versions", f"{name} is {found}, and was tested as {pins[name]}", "Install requirements.txt again."
        )
    if not others and not missing:
        yield ok("versions", f"Python {sys.version.split()[0]}, and {len(pins)} packages as they are pinned")


def pinned(path: Path) -> dict[str, str]:
    """Packages that are needed on every platform, and their versions."""
    lines = re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==(\S+)[ \t]*$", path.read_text(), re.MULTILINE)
    return dict(lines)


def installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def look_at_cluster() -> Iterator[Finding]:
    """Whether trainings find their workers; one that has none fails at night."""
    address = settings.TRAINING_CLUSTER
    if not address or address == LOCAL:
        return
    try:
        n_workers = workers_at(address)
    except TrainingRefused as refused:
        yield problem("cluster", str(refused), "Start it, or leave TRAINING_CLUSTER empty.")
    else:
        yield ok("cluster", f"{n_workers} workers for trainings at {address}")


# --- The database ----------------------------------------------------------------------------------------------------
def look_at_postgresql() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        vector = vector_version(cursor)
        cursor.execute("SHOW server_version")
        [server] = cursor.fetchone()
        cursor.execute("SHOW server_version_num")
        [number] = cursor.fetchone()
    if why := postgres_problem(int(number)):
        yield problem("postgresql", why, f"Upgrade PostgreSQL to {OLDEST_POSTGRES} or newer.")
    else:
        yield ok("postgresql", f"PostgreSQL {server.split()[0]}")
    if why := vector_problem(vector):
        remedy = "Upgrade it on the server, then: ALTER EXTENSION vector UPDATE; and REINDEX the indexes named *_hnsw."
        yield problem("pgvector", why, remedy)
    else:
        yield ok("pgvector", f"pgvector {'.'.join(map(str, vector))}")


def look_at_migrations() -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    graph = executor.loader.graph
    missing = executor.migration_plan(graph.leaf_nodes())
    known = set(executor.loader.disk_migrations or ())
    ours = {app for app, _ in known}
    unknown = sorted(each for each in executor.loader.applied_migrations if each[0] in ours and each not in known)
    if missing:
        names = ", ".join(f"{each.app_label}.{each.name}" for each, _ in missing[:3])
        yield problem("migrations", f"{len(missing)} are not applied: {names}", "Run manage.py migrate.")
    if unknown:
        names = ", ".join(".".join(each) for each in unknown[:3])
        yield problem(
            "migrations", f"the database is of a later release: it has {names}", "Run that release, or restore."
        )
    if not missing and not unknown:
        yield ok("migrations", "all are applied")


def look_at_indexes() -> Iterator[Finding]:
    """A CREATE INDEX CONCURRENTLY that was cut short leaves one that costs every write and answers nothing."""
    with connection.cursor() as cursor:
        invalid = [name for (name,) in schema.rows(cursor, schema.INVALID_INDEXES)]
    for name in invalid:
        remedy = f"If none is being built now: DROP INDEX CONCURRENTLY {name}; then manage.py migrate, or retrain."
        yield warning("indexes", f"the index {name} is unfinished", remedy)
    if not invalid:
        yield ok("indexes", "all are whole")


def look_at_partitions() -> Iterator[Finding]:
    """Each usable version has its vectors, and no others take room."""
    with connection.cursor() as cursor:
        there = attached_partitions(cursor)
    statuses = RankerVersion.Status
    needed = {partition_of(pk) for pk in RankerVersion.objects.usable().values_list("pk", flat=True)}
    allowed = RankerVersion.objects.exclude(status__in=[statuses.RETIRED, statuses.FAILED])
    for name in sorted(needed - there):
        yield problem("partitions", f"{name} is missing", "Promote another version, or retrain; then retire that one.")
    for name in sorted(map(partition_of, stored_versions() - set(allowed.values_list("pk", flat=True)))):
        remedy = f"The next training drops it; at once: DROP TABLE {name};"
        yield warning("partitions", f"{name} belongs to no usable version and takes room", remedy)
    if needed <= there:
        yield ok("partitions", f"vectors of {len(needed)} usable versions")


def look_at_months() -> Iterator[Finding]:
    """Rows of a month that has no part would be refused."""
    now, is_well = timezone.now(), True
    remedy = "Look whether the schedule “Make months” is on; manage.py make_months does it now."
    for monthly in months.TABLES:
        until = months.made_until(monthly)
        if until is None:
            is_well = False
            yield warning("months", f"{monthly.table} is not kept by month yet", remedy)
            if check := check_left(monthly):
                is_so = f"{monthly.table} takes rows only by {check}: keeping it by month was cut short"
                yield problem("months", is_so, f"{remedy} Or drop the constraint {check_of(monthly.table)}.")
        elif until - now < months.NEXT_NIGHTS:
            is_well = False
            make = problem if until - now < months.SOON else warning
            yield make("months", f"{monthly.table} has parts until {until:%Y-%m-%d} only", remedy)
    if is_well:
        yield ok("months", "those to come are there")


def look_at_ranker() -> Iterator[Finding]:
    live = RankerVersion.objects.live()
    if live is None:
        yield warning(
            "ranker", "none is live: every list is of the newest cars", "Import listings, then manage.py retrain."
        )
        return
    age = timezone.now() - live.created_at
    if age.days >= OLD_RANKER_DAYS:
        yield warning("ranker", f"{live} is {age.days} days old", "Look at the trainings in the admin: they say why.")
    if not has_index(live.pk):
        remedy = "Beyond WINDOW_MAX_LISTINGS every list would read all vectors: manage.py retrain builds one."
        yield warning("ranker", f"the vectors of {live} have no index", remedy)
    if age.days < OLD_RANKER_DAYS and has_index(live.pk):
        yield ok("ranker", f"{live} is live, {age.days} days old")


def look_at_retention() -> Iterator[Finding]:
    """For how long each kind of row is kept, and whether what should be gone is."""
    now = timezone.now()
    all_kinds = retention.kinds()
    late = {kind.setting: kind for kind in all_kinds if kind.overdue(now)}
    for kind in late.values():
        remedy = "Look whether the schedule “Remove old rows” is on; manage.py remove_old_rows does it now."
        yield warning("retention", f"{kind.name} older than {kind.days} days are still there ({kind.setting})", remedy)
    if not late:
        days = {kind.setting: kind.days for kind in all_kinds}
        limited = ", ".join(f"{setting}={n}" for setting, n in days.items() if n)
        forever = ", ".join(setting for setting, n in days.items() if not n)
        yield ok("retention", "; ".join(filter(None, [limited, forever and f"for ever: {forever}"])))


def look_at_replicas() -> Iterator[Finding]:
    """Each measured from here: how long it takes to have what the primary has now."""
    for alias in replicas.aliases():
        why, seconds = replicas.examine(alias, connection_parameters)
        if why:
            remedy = "Nothing depends on it: the primary answers. docs/operations.md, “Replicas”, says what it needs."
            yield warning("replicas", f"{alias}: {why}", remedy)
        else:
            yield ok("replicas", f"{alias} has what the primary has within {seconds:.1f} s")
    if not replicas.aliases():
        yield ok("replicas", "there are none: the primary answers everything")


def look_at_clock() -> Iterator[Finding]:
    """Ours beside that of the database, both ways of the question taken out by halves."""
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        theirs = float(cursor.fetchone()[0])
    yield from compare_clocks("database", theirs - (before + time.time()) / 2)


def compare_clocks(server: str, difference: float) -> Iterator[Finding]:
    is_so = f"the clock of the {server} is {difference:+.1f} s beside ours"
    if abs(difference) < MOST_CLOCK_SECONDS:
        yield ok("clock", is_so)
        return
    make = problem if abs(difference) >= WRONG_CLOCK_SECONDS else warning
    yield make("clock", is_so, "Have both machines keep time by NTP (timedatectl shows whether they do).")


def look_at_schedules() -> Iterator[Finding]:
    late = [each for each in lateness(timezone.now()) if each.overdue_seconds > LATE_SECONDS]
    for each in late:
        remedy = "Start beat, or restart it: its log says what it waits for. Switched off is better than late."
        yield problem("schedules", f"“{each.name}” should have run {each.overdue_seconds / 60:,.0f} min ago", remedy)
    if not late:
        yield ok("schedules", "none is late")


# --- Cache, broker, disk ---------------------------------------------------------------------------------------------
def look_at_cache() -> Iterator[Finding]:
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2) as server:
        info = server.info()
        before = time.time()
        seconds, microseconds = server.time()
        difference = seconds + microseconds / 1e6 - (before + time.time()) / 2
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if version < OLDEST_REDIS:
        yield problem("cache", f"Redis {info['redis_version']} is too old", "Upgrade it to 6.2, or use Valkey.")
    else:
        yield ok("cache", f"{info.get('server_name', 'redis')} {info.get('valkey_version', info['redis_version'])}")
    if settings.CELERY_BROKER_URL.startswith("redis") and info.get("maxmemory_policy", "noeviction") != "noeviction":
        remedy = "Set maxmemory-policy to noeviction, or give broker and cache servers of their own."
        yield warning("cache", f"maxmemory-policy {info['maxmemory_policy']} may throw out waiting tasks", remedy)
    yield from compare_clocks("cache", difference)


def look_at_queues() -> Iterator[Finding]:
    depths = queue_depths()
    if depths is None:
        yield problem("queues", "the broker does not report them", "Look at its log.")
        return
    served = {queue for worker in workers_alive() for queue in worker.queues}
    for queue, n_waiting in depths.items():
        if queue not in served:
            remedy = "Start its worker (make run, docker compose up, or the command in docs/operations.md)."
            yield problem("queues", f"no worker takes from {queue}, where {n_waiting:,} tasks wait", remedy)
        elif n_waiting > MANY_WAITING:
            yield warning("queues", f"{n_waiting:,} tasks wait in {queue}", "Add processes to its worker.")
        else:
            yield ok("queues", f"{queue}: {n_waiting:,} tasks wait")


def look_at_disk() -> Iterator[Finding]:
    """The file systems that this process writes to. That of a database elsewhere is not seen from here."""
    folders = {Path(settings.RATINGS_DIR), settings.BASE_DIR / "var"}
    if settings.LOG_FILE:
        folders.add((settings.BASE_DIR / settings.LOG_FILE).parent)
    there = {nearest_folder(folder) for folder in folders}
    for device, folder in {folder.stat().st_dev: folder for folder in sorted(there)}.items():
        usage = shutil.disk_usage(folder)
        yield judge_disk(f"{folder} (device {device})", usage.free, usage.total)


def judge_disk(where: str, free: int, total: int) -> Finding:
    is_so = f"{free / 1e9:,.1f} GB of {total / 1e9:,.1f} GB are free on {where}"
    remedy = (
        "Make room: rotated logs (LOG_FILES_KEPT), old rating models (RATINGS_MODELS_KEPT), the database's own files."
    )
    if free < total * TOO_LITTLE_DISK or free < LEAST_FREE_BYTES:
        return problem("disk", is_so, remedy)
    return warning("disk", is_so, remedy) if free < total * LITTLE_DISK else ok("disk", is_so)


def nearest_folder(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.is_dir())


OF_SERVERS: dict[str, tuple[str, list[Look]]] = {
    "database": (
        "Look at DATABASE_URL, at the server's log, and whether it takes connections (pg_isready).",
        [
            look_at_postgresql, look_at_migrations, look_at_indexes, look_at_partitions, look_at_months,
            look_at_ranker, look_at_schedules, look_at_retention, look_at_clock, look_at_replicas,
        ],
    ),
    "cache": ("Look at REDIS_URL and at the server's log; requests are slower meanwhile.", [look_at_cache]),
    "broker": ("Look at CELERY_BROKER_URL and at the server's log; reads repair meanwhile.", [look_at_queues]),
}  # fmt: skip


def worst(findings: list[Finding]) -> Level:
    return max((each.level for each in findings), default=Level.OK)
