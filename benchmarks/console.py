"""What each page of the console takes of server time, in one process with the database beside it.

    python manage.py seed_data --listings 120000 && python manage.py retrain
    python -m benchmarks.console [--events 1000000] [--lists 300000] [--slow 300] [--only rankerversion] [--profile URL]

Pages are the list of each kind of row, its third page, the page of a row (the newest), and every page of our own that
needs no argument, or the newest row's. With ``--events`` and ``--lists`` the log is repeated under other ids until it
is that long. Each page is asked three times; given are the medians by the clock, of this process's processor, and of
the time that its statements took, and the first by the clock, when nothing is kept. Static files must have been
collected.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import statistics
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from recommender_site.local import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")
os.environ["LOG_FILE"] = ""
embedded.ensure()

import django  # noqa: E402

django.setup()

from django.contrib import admin  # noqa: E402
from django.contrib.admin.utils import quote  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse  # noqa: E402

from accounts.models import User  # noqa: E402

TIMES = 3
COPY = """
INSERT INTO {table} ({columns}) SELECT {values} FROM {table} AS one, generate_series(1, %s) AS n
ORDER BY n, one.{moment} LIMIT %s"""
GROWN: dict[str, tuple[str, dict[str, str]]] = {  # table -> its moment, and columns that must differ from the row's own
    "recommendations_interaction": ("occurred_at", {
        "id": "nextval('recommendations_interaction_id_seq')", "event_id": "one.event_id || '-' || n || '-' || one.id",
    }),
    "recommendations_servedlist": ("served_at", {"id": "gen_random_uuid()"}),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=0, help="repeat the log until it has so many")
    parser.add_argument("--lists", type=int, default=0, help="the same of served lists")
    parser.add_argument("--slow", type=float, default=300.0, help="milliseconds from which statements are shown")
    parser.add_argument("--only", default="", help="pages whose address holds this")
    parser.add_argument("--profile", default="", metavar="URL", help="the most expensive functions of one page")
    options = parser.parse_args()
    for table, n_rows in (
        ("recommendations_interaction", options.events),
        ("recommendations_servedlist", options.lists),
    ):
        grow(table, n_rows)
    client = Client(headers={"host": "localhost"}, raise_request_exception=False)
    client.force_login(superuser())
    if options.profile:
        client.get(options.profile)
        profiler = cProfile.Profile()
        profiler.runcall(client.get, options.profile)
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(60)
        return
    found = [taken for page in pages() if options.only in page and (taken := measured(client, page, options.slow))]
    print(f"{'by the clock':>12} {'processor':>10} {'statements':>11} {'first':>8}  number of statements, page")
    for waited, processor, in_statements, first, n_statements, page in sorted(found, reverse=True):
        print(f"{waited:12.0f} {processor:10.0f} {in_statements:11.0f} {first:8.0f}  {n_statements:3} {page}")
    slow = sum(taken.waited > options.slow for taken in found)
    print(f"{len(found)} pages, {slow} of them slower than {options.slow:.0f} ms")


def grow(table: str, n_rows: int) -> None:
    """Repeat the rows of a table under other ids until it has so many."""
    moment, changed = GROWN[table]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 (ours)
        [n_before] = cursor.fetchone()
        if not n_before or n_rows <= n_before:
            return
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_generated = 'NEVER'",
            [table],
        )
        names = [name for (name,) in cursor.fetchall()]
        values = ", ".join(changed.get(name, f"one.{name}") for name in names)
        statement = COPY.format(table=table, columns=", ".join(names), values=values, moment=moment)
        cursor.execute(statement, [-(-n_rows // n_before) - 1, n_rows - n_before])
        cursor.execute(f"ANALYZE {table}")


def superuser() -> User:
    found, _ = User.objects.get_or_create(
        email="console@benchmark.invalid", defaults={"is_staff": True, "is_superuser": True}
    )
    return found


def pages() -> Iterator[str]:
    """Addresses of all pages, each once."""
    yield from dict.fromkeys((*pages_of_rows(), *own_pages()))


def pages_of_rows() -> Iterator[str]:
    for model, own in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        yield reverse(f"{name}_changelist") + "?p=3"
        if own.search_fields:
            yield reverse(f"{name}_changelist") + "?q=golf"
        if row := newest(model):
            yield reverse(f"{name}_change", args=[quote(row.pk)])


def own_pages() -> Iterator[str]:
    """Pages of our own, without arguments or of the newest row of their model."""
    yield reverse("admin:index")
    by_prefix = {f"{model._meta.app_label}_{model._meta.model_name}_": model for model in admin.site._registry}
    for name in sorted(names_in(admin_resolver())):
        if name in ("logout", "login", "jsi18n", "autocomplete", "search") or name.endswith(("_add", "_delete")):
            continue
        model = next((found for start, found in by_prefix.items() if name.startswith(start)), None)
        row = newest(model) if model else None
        for arguments in ([], [row.pk] if row else None):
            if arguments is not None:
                try:
                    yield reverse(f"admin:{name}", args=arguments)
                    break
                except NoReverseMatch:
                    continue


def admin_resolver() -> URLResolver:
    return next(
        each for each in get_resolver().url_patterns if isinstance(each, URLResolver) and each.namespace == "admin"
    )


def names_in(resolver: URLResolver) -> Iterator[str]:
    for each in resolver.url_patterns:
        if isinstance(each, URLPattern):
            if each.name:
                yield each.name
        else:
            yield from names_in(each)


def newest(model: Any) -> Any:
    return model._default_manager.order_by("-pk").first()


class Taken(NamedTuple):
    """Milliseconds of a page: medians by the clock, of the processor here and of its statements, and the first."""

    waited: float
    processor: float
    in_statements: float
    first: float
    n_statements: int
    page: str


def measured(client: Client, page: str, slow: float) -> Taken | None:
    """What a page takes that answers a GET with one."""
    waited, processor, in_statements = [], [], []
    statements: list[dict[str, str]] = []
    for _ in range(TIMES):
        with CaptureQueriesContext(connection) as captured:
            started = time.perf_counter(), time.process_time()
            response = client.get(page)
            waited.append(1000 * (time.perf_counter() - started[0]))
            processor.append(1000 * (time.process_time() - started[1]))
        if response.status_code != 200:
            return None
        statements = captured.captured_queries
        in_statements.append(1000 * sum(float(query["time"]) for query in statements))
    if statistics.median(waited) > slow:
        longest = max(statements, key=lambda query: float(query["time"]), default=None)
        if longest:
            print(f"    {page} {1000 * float(longest['time']):.0f} ms: {longest['sql'][:400]}", flush=True)
    by_clock, by_processor, by_statements = map(statistics.median, (waited, processor, in_statements))
    return Taken(by_clock, by_processor, by_statements, waited[0], len(statements), page)


if __name__ == "__main__":
    main()
