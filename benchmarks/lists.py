"""What lists, searches, cars and events cost beside the unit of all figures, ``GET /api/v1/users/me``, in one process.

    python manage.py seed_data --listings 180000 && python manage.py retrain
    python -m benchmarks.lists [--requests 100] [--profile "search by brand and price"]

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
import uuid
from collections.abc import Callable
from typing import cast

from recommender_site.local import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")
os.environ["LOG_FILE"] = ""
os.environ["THROTTLE_USER"] = "1000000/min"
os.environ["LIST_CACHE_SECONDS"] = "3600"  # on a busy machine a minute is over before a buyer asks again
embedded.ensure()

import django  # noqa: E402

django.setup()

from django.db import connection  # noqa: E402
from django.db.models import Count  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from accounts.models import Buyer, User  # noqa: E402
from accounts.tokens import access_token_of  # noqa: E402
from catalog.models import Listing  # noqa: E402
from recommendations.listings.index import borrow_index  # noqa: E402
from recommendations.listings.market_statistics import current_market_statistics  # noqa: E402

LIST = "/api/v1/cars/recommendations?k=20"
N_BUYERS = 20
UNIT = "users/me"
IN_A_ROW = 10  # requests of one kind, before as many of the unit
SEARCH = "/api/v1/cars/search"
BRANDS = ("BMW", "Audi", "Ford", "Skoda", "Toyota")
WORDS = ("diesel", "automatic", "estate", "one owner", "towbar")
Question = Callable[[int], tuple[Client, str] | tuple[Client, str, dict[str, object]]]  # with a body, it is posted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="beside the unit; default: all")
    parser.add_argument("--profile", metavar="NAME", help="the most expensive functions of one of them")
    arguments = parser.parse_args()
    report_load()
    clients = [client_of(user) for user in users()]
    questions = questions_of(clients)
    for client in clients:
        client.get(LIST)
    unit = questions.pop(UNIT)
    print(f"{'':42} {'processor ms':>12} {'units':>6} {'wall ms':>8} {'units':>6} {'p99':>6} {'SQL':>4}")
    for name, question in questions.items():
        if arguments.only and name not in arguments.only:
            continue
        processor, wall, of_unit, unit_waited = in_turns(question, unit, arguments.requests)
        cost, waited = statistics.median(processor), statistics.median(wall)
        p99 = sorted(wall)[int(0.99 * len(wall))]
        print(
            f"{name:42} {cost:12.2f} {cost / statistics.median(of_unit):6.1f} {waited:8.2f} "
            f"{waited / statistics.median(unit_waited):6.1f} {p99:6.1f} {n_statements(question):4}",
            flush=True,
        )
    if arguments.profile:
        measured(questions[arguments.profile], arguments.requests, first=10_000)
        profiler = cProfile.Profile()
        profiler.enable()
        measured(questions[arguments.profile], arguments.requests, first=20_000)
        profiler.disable()
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(90)


def questions_of(clients: list[Client]) -> dict[str, Question]:
    ids = list(Listing.objects.available().cars().order_by("-pk").values_list("pk", flat=True)[:9000:3])

    def of(path: str) -> Question:
        return lambda n: (clients[n % N_BUYERS], path.format(n=n, low=low_of(n), high=low_of(n) + 3000,
            brand=BRANDS[n % 5], word=WORDS[n % 5], year=2012 + n % 8, id=ids[n % len(ids)], page=1 + n))  # fmt: skip

    def event(n: int) -> tuple[Client, str, dict[str, object]]:
        body = {"kind": "view", "listing_id": ids[n % len(ids)], "event_id": uuid.uuid4().hex}
        return clients[n % N_BUYERS], "/api/v1/events", body

    return {
        UNIT: of("/api/v1/users/me"),
        "list, asked again": of(LIST),
        "list, another price range each time": of(f"{LIST}&min_price={{low}}&max_price={{high}}"),
        "the same by one buyer": lambda n: of(f"{LIST}&min_price={low_of(n)}&max_price={low_of(n) + 5000}")(0),
        "list, another length each time": lambda n: of(f"/api/v1/cars/recommendations?k={20 + n % 60}")(n),
        "list, brand and year": of(f"{LIST}&brand={{brand}}&min_year={{year}}"),
        "search of everything": of(SEARCH),
        "search, another page each time": of(f"{SEARCH}?page={{page}}00"),
        "search by brand and price": of(f"{SEARCH}?brand={{brand}}&min_price={{low}}"),
        "search by words, by price": of(f"{SEARCH}?q={{word}}&max_price={{high}}&ordering=price"),
        "search, with facets": of(f"{SEARCH}?brand={{brand}}&min_price={{low}}&facets=true"),
        "search, the best first": of(f"{SEARCH}?brand={{brand}}&min_price={{low}}&ordering=recommended"),
        "one car": of("/api/v1/cars/detail/{id}"),
        "similar cars": of("/api/v1/cars/{id}/similar"),
        "one event": event,
    }


def low_of(n: int) -> int:
    """A price that some cars cost, another one for each of 14,000 requests."""
    return 3000 + 37 * n % 14_000


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
    """The accounts of the made-up buyers with the fewest events, but some: a log may have been made longer since."""
    known = Buyer.objects.annotate(n=Count("interactions")).filter(n__gte=20, merged_into=None)
    return [user_of(buyer) for buyer in known.order_by("n", "pk")[:N_BUYERS]]


def user_of(buyer: Buyer) -> User:
    if buyer.user is None:
        buyer.user, _ = User.objects.get_or_create(email=f"buyer-{buyer.pk}@benchmark.invalid")
        buyer.save(update_fields=["user"])
    return buyer.user


def client_of(user: User) -> Client:
    return Client(headers={"authorization": f"Bearer {access_token_of(user)}", "host": "localhost"})


def in_turns(
    question: Question, unit: Question, n_requests: int
) -> tuple[list[float], list[float], list[float], list[float]]:
    """Milliseconds of a question, by processor and clock, and those of the unit, asked in turns with it."""
    found: tuple[list[float], list[float], list[float], list[float]] = [], [], [], []
    for first in range(0, n_requests, IN_A_ROW):
        for values, more in zip(
            found, (*measured(question, IN_A_ROW, first), *measured(unit, IN_A_ROW, first)), strict=True
        ):
            values.extend(more)
    return found


def measured(question: Question, n_requests: int, first: int = 0) -> tuple[list[float], list[float]]:
    """Milliseconds of processor, and of the clock, for each request."""
    processor, wall = [], []
    for number in range(first, first + n_requests):
        asked = question(number)
        started = time.process_time(), time.perf_counter()
        response = answer_to(*asked)
        processor.append(1000 * (time.process_time() - started[0]))
        wall.append(1000 * (time.perf_counter() - started[1]))
        assert response.status_code in (200, 201), response.content
    return processor, wall


def n_statements(question: Question) -> int:
    """SQL statements of one request, without looks at what changed in the stock."""
    answer_to(*question(0))
    with CaptureQueriesContext(connection) as captured:
        answer_to(*question(0))
    return len(captured)


def answer_to(client: Client, path: str, body: dict[str, object] | None = None) -> HttpResponse:
    if body is None:
        return cast(HttpResponse, client.get(path))
    return cast(HttpResponse, client.post(path, body, content_type="application/json"))


if __name__ == "__main__":
    main()
