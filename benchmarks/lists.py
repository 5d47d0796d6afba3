"""What a list costs beside the unit of all figures, ``GET /api/v1/users/me``, in one process.

    python manage.py seed_data --listings 180000 && python manage.py retrain
    python -m benchmarks.lists [--requests 100] [--profile]

Requests pass through the whole site: middleware, authentication, view, renderer. Buyers are made-up ones of the
seeding, each with a log. Processor time is that of this process, without the database's; SQL statements are counted.
Ratios to the unit of the same run say more than milliseconds, which depend on the machine and on what else it does.
"""

import argparse
import cProfile
import os
import pstats
import resource
import statistics
import time
from collections.abc import Callable

from recommender_site.local import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")
os.environ["LOG_FILE"] = ""
os.environ["THROTTLE_USER"] = "1000000/min"
embedded.ensure()

import django  # noqa: E402

django.setup()

from django.db import connection  # noqa: E402
from django.db.models import Count  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from accounts.models import Buyer, User  # noqa: E402
from accounts.tokens import access_token_of  # noqa: E402
from recommendations.listings.index import borrow_index  # noqa: E402
from recommendations.listings.market_statistics import current_market_statistics  # noqa: E402

LIST = "/api/v1/cars/recommendations?k=20"
N_BUYERS = 20
Question = Callable[[int], tuple[Client, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--profile", action="store_true", help="the most expensive functions of a list asked again")
    arguments = parser.parse_args()
    report_load()
    clients = [client_of(user) for user in users()]
    questions: dict[str, Question] = {
        "users/me": lambda n: (clients[n % N_BUYERS], "/api/v1/users/me"),
        "list, asked again": lambda n: (clients[n % N_BUYERS], LIST),
        "list, another price range each time": lambda n: (
            clients[n % N_BUYERS], f"{LIST}&min_price={5000 + 10 * n}&max_price={6500 + 10 * n}"
        ),
        "list, another length each time": lambda n: (clients[n % N_BUYERS], f"{LIST[:-2]}{10 + n % 90}"),
    }  # fmt: skip
    for client in clients:
        client.get(LIST)
    unit = unit_waited = 0.0
    print(f"{'':38} {'processor ms':>12} {'units':>6} {'wall ms':>8} {'units':>6} {'p99':>6} {'SQL':>4}")
    for name, question in questions.items():
        processor, wall = measured(question, arguments.requests)
        cost, waited = statistics.median(processor), statistics.median(wall)
        unit, unit_waited = (unit, unit_waited) if unit else (cost, waited)
        p99 = sorted(wall)[int(0.99 * len(wall))]
        print(
            f"{name:38} {cost:12.2f} {cost / unit:6.1f} {waited:8.2f} {waited / unit_waited:6.1f} {p99:6.1f} "
            f"{n_statements(question):4}"
        )
    if arguments.profile:
        profiler = cProfile.Profile()
        profiler.enable()
        measured(questions["list, asked again"], arguments.requests)
        profiler.disable()
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(90)


def report_load() -> None:
    """How long the listing index takes to load, and what it holds in memory."""
    before, started = resource.getrusage(resource.RUSAGE_SELF), (time.perf_counter(), time.process_time())
    with borrow_index() as listing_index:
        if listing_index is None:
            raise SystemExit("no ranker is live: seed and train first")
        n_live = int(listing_index.column("is_live").sum())
    wall, processor = time.perf_counter() - started[0], time.process_time() - started[1]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before.ru_maxrss) / 1024
    print(f"index of {len(listing_index):,} listings, {n_live:,} live: {wall:.2f} s, {processor:.2f} s of processor, "
          f"{resident_mb():.0f} MB resident, peak {grown:.0f} MB above before")  # fmt: skip
    current_market_statistics()


def resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def users() -> list[User]:
    """The accounts of made-up buyers with a usual number of events."""
    known = Buyer.objects.annotate(n=Count("interactions")).filter(n__gte=20, n__lte=120, merged_into=None)
    return [user_of(buyer) for buyer in known.order_by("pk")[:N_BUYERS]]


def user_of(buyer: Buyer) -> User:
    if buyer.user is None:
        buyer.user, _ = User.objects.get_or_create(email=f"buyer-{buyer.pk}@benchmark.invalid")
        buyer.save(update_fields=["user"])
    return buyer.user


def client_of(user: User) -> Client:
    return Client(headers={"authorization": f"Bearer {access_token_of(user)}", "host": "localhost"})


def measured(question: Question, n_requests: int) -> tuple[list[float], list[float]]:
    """Milliseconds of processor, and of the clock, for each request."""
    processor, wall = [], []
    for number in range(n_requests):
        client, path = question(number)
        started = time.process_time(), time.perf_counter()
        response = client.get(path)
        processor.append(1000 * (time.process_time() - started[0]))
        wall.append(1000 * (time.perf_counter() - started[1]))
        assert response.status_code == 200, response.content
    return processor, wall


def n_statements(question: Question) -> int:
    """SQL statements of one request, without looks at what changed in the stock."""
    client, path = question(0)
    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        client.get(path)
    return len(captured)


if __name__ == "__main__":
    main()
