"""What each route takes over HTTP, beside the unit of all figures, a view with one indexed query (``users/me``).

    make run                                  # in another terminal, demo mode
    python -m benchmarks.http [--url http://127.0.0.1:8000] [--clients 1,16] [--seconds 3] [--rounds 3] [--json FILE]

Closed loop: each client keeps a connection and asks again as soon as it has its answer. The routes take turns, some
seconds each, round after round, and each turn is divided by the unit's of the same round, so that a machine that gets
slower in the middle changes both; given is the median over the rounds. Percentiles in milliseconds are of all rounds.

The loop: a buyer opens a car that says something new and asks for recommendations until the list is another one. Once
with buyers who never pause, once with buyers who pause between two rounds; the unit is asked in every round as well.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import random
import statistics
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

UNIT = "users/me"
BRANDS = ["BMW", "Audi", "Ford", "Skoda", "Toyota"]
WORDS = ["automatic", "estate", "diesel", "towbar", "sat%20nav"]
ORDERINGS = ["newest", "price", "-price", "year", "-year", "mileage"]
LIST = "/api/v1/cars/recommendations?k=20"
N_BUYERS = 50  # demo users to log in as
LOOP_SECONDS_AT_MOST = 30


class Question(NamedTuple):
    method: str
    path: str
    body: dict[str, Any] | None = None


Ask = Callable[[random.Random, Sequence[int]], Question]


def in_a_price_range(rng: random.Random, _ids: Sequence[int]) -> Question:
    low = rng.randint(5_000, 20_000)
    return Question("GET", f"{LIST}&min_price={low}&max_price={low + 1_500}")


def of_a_brand(rng: random.Random, _ids: Sequence[int]) -> Question:
    return Question("GET", f"{LIST}&brand={rng.choice(BRANDS)}&min_year={rng.randint(2012, 2019)}")


def search(rng: random.Random, _ids: Sequence[int]) -> Question:
    return Question("GET", f"/api/v1/cars/search?brand={rng.choice(BRANDS)}&min_price={rng.randint(3_000, 9_000)}")


def search_a_deep_page(rng: random.Random, _ids: Sequence[int]) -> Question:
    return Question("GET", f"/api/v1/cars/search?ordering={rng.choice(ORDERINGS)}&page={rng.randint(1, 400)}")


def search_by_words(rng: random.Random, _ids: Sequence[int]) -> Question:
    low = rng.randint(3_000, 9_000)
    return Question(
        "GET", f"/api/v1/cars/search?q={rng.choice(WORDS)}&min_price={low}&ordering={rng.choice(ORDERINGS)}"
    )


def search_with_facets(rng: random.Random, _ids: Sequence[int]) -> Question:
    path = f"/api/v1/cars/search?brand={rng.choice(BRANDS)}&min_price={rng.randint(3_000, 9_000)}&facets=true"
    return Question("GET", path)


def view(rng: random.Random, ids: Sequence[int]) -> Question:
    body = {"kind": "view", "listing_id": rng.choice(ids), "event_id": uuid.UUID(int=rng.getrandbits(128)).hex}
    return Question("POST", "/api/v1/events", body)


ROUTES: dict[str, Ask] = {
    UNIT: lambda rng, ids: Question("GET", "/api/v1/users/me"),
    "list of 20": lambda rng, ids: Question("GET", LIST),
    "list, a price range": in_a_price_range,
    "list, brand and year": of_a_brand,
    "search by brand and price": search,
    "search, a deep page": search_a_deep_page,
    "search by words": search_by_words,
    "search with facets": search_with_facets,
    "one car": lambda rng, ids: Question("GET", f"/api/v1/cars/detail/{rng.choice(ids)}"),
    "similar cars": lambda rng, ids: Question("GET", f"/api/v1/cars/{rng.choice(ids)}/similar"),
    "one event": view,
}


class Client:
    """A demo user on a connection that is kept."""

    def __init__(self, url: str, number: int) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=60)
        self._headers = {"Content-Type": "application/json"}
        login = Question("POST", "/api/v1/token/fake-token", {"email": f"john{number % N_BUYERS}@example.com"})
        self._headers["Authorization"] = f"Bearer {self.read(login)['token']}"

    def ask(self, question: Question) -> tuple[int, bytes]:
        """Status and body; status 0 where the connection broke."""
        body = None if question.body is None else json.dumps(question.body)
        try:
            self._connection.request(question.method, question.path, body, self._headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0, b""

    def read(self, question: Question) -> Any:
        status, content = self.ask(question)
        if status not in (200, 201):
            raise SystemExit(f"{question.method} {question.path}: {status} {content[:300]!r}")
        return json.loads(content)


@dataclass
class Turn:
    """One route for some seconds."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    took: float = 0.0

    @property
    def p50(self) -> float:
        return statistics.median(self.seconds)

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.took


def measure(url: str, ask: Ask, ids: Sequence[int], n_clients: int, seconds: float, seed: int) -> Turn:
    turn, lock = Turn(), threading.Lock()
    clients = [Client(url, number) for number in range(n_clients)]
    for client in clients:  # what a buyer's first list costs is not what is asked for here
        client.ask(ROUTES["list of 20"](random.Random(0), ids))
    stop = time.perf_counter() + seconds

    def work(client: Client, rng: random.Random) -> None:
        own: list[float] = []
        statuses = Counter[int]()
        while time.perf_counter() < stop:
            question = ask(rng, ids)
            started = time.perf_counter()
            status, _ = client.ask(question)
            own.append(time.perf_counter() - started)
            statuses[status] += 1
        with lock:
            turn.seconds += own
            turn.statuses += statuses

    # no two turns draw the same numbers, or event ids would repeat
    seeds = random.Random(f"{seed} {uuid.uuid4()}")
    started = time.perf_counter()
    run_threads([threading.Thread(target=work, args=(client, random.Random(seeds.random()))) for client in clients])
    turn.took = time.perf_counter() - started
    return turn


def run_threads(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def routes_table(options: argparse.Namespace, ids: Sequence[int]) -> list[dict[str, Any]]:
    names = [name for name in ROUTES if name == UNIT or not options.routes or name in options.routes]
    rows = []
    for n_clients in options.clients:
        turns: dict[str, list[Turn]] = {name: [] for name in names}
        for number in range(options.rounds):
            for name in names:
                turns[name].append(measure(options.url, ROUTES[name], ids, n_clients, options.seconds, number))
        rows += [row_of(name, n_clients, turns[name], turns[UNIT]) for name in names]
    return rows


def row_of(name: str, n_clients: int, turns: Sequence[Turn], units: Sequence[Turn]) -> dict[str, Any]:
    seconds = [each for turn in turns for each in turn.seconds]
    pairs = list(zip(turns, units, strict=True))
    return {
        "route": name,
        "clients": n_clients,
        "requests": len(seconds),
        "p50_ms": 1000 * percentile(seconds, 0.5),
        "p95_ms": 1000 * percentile(seconds, 0.95),
        "p99_ms": 1000 * percentile(seconds, 0.99),
        "worst_ms": 1000 * max(seconds),
        "units": statistics.median(turn.p50 / unit.p50 for turn, unit in pairs),
        "per_second": statistics.median(turn.per_second for turn in turns),
        "share_of_unit_per_second": statistics.median(turn.per_second / unit.per_second for turn, unit in pairs),
        "statuses": dict(sum((turn.statuses for turn in turns), Counter[int]())),
    }


# --- From an event to a changed list ---------------------------------------------------------------------------------


def loop_row(options: argparse.Namespace, ids: Sequence[int], n_buyers: int, pause: float) -> dict[str, Any]:
    changed: list[float] = []
    unit: list[float] = []
    clients = [Client(options.url, number) for number in range(n_buyers)]

    def be_a_buyer(client: Client, rng: random.Random) -> None:
        for _ in range(options.loop_rounds):
            time.sleep(pause * 2 * rng.random())
            changed.append(seconds_to_another_list(client, rng, ids))
            started = time.perf_counter()
            client.read(ROUTES[UNIT](rng, ids))
            unit.append(time.perf_counter() - started)

    run_threads(
        [
            threading.Thread(target=be_a_buyer, args=(client, random.Random(f"{number} {uuid.uuid4()}")))
            for number, client in enumerate(clients)
        ]
    )
    return {
        "buyers": n_buyers,
        "pause_seconds": pause,
        "rounds": len(changed),
        "p50_ms": 1000 * percentile(changed, 0.5),
        "p95_ms": 1000 * percentile(changed, 0.95),
        "worst_ms": 1000 * max(changed),
        "unit_p95_ms": 1000 * percentile(unit, 0.95),
        "p95_units_p95": percentile(changed, 0.95) / percentile(unit, 0.95),
    }


def seconds_to_another_list(client: Client, rng: random.Random, ids: Sequence[int]) -> float:
    """From the answer to an event to the answer that holds another list."""
    before = listed(client)
    client.read(Question("GET", f"/api/v1/cars/detail/{rng.choice(ids)}"))
    question = view(rng, ids)
    client.read(question._replace(body={**(question.body or {}), "kind": "like"}))
    started = time.perf_counter()
    while listed(client) == before:
        if time.perf_counter() - started > LOOP_SECONDS_AT_MOST:
            raise SystemExit(f"a list did not change within {LOOP_SECONDS_AT_MOST} seconds")
    return time.perf_counter() - started


def listed(client: Client) -> list[tuple[int, float]]:
    """Ids and scores: both follow from what is believed of the buyer."""
    return [(car["id"], car["score"]) for car in client.read(Question("GET", LIST))["recommended"]]


# --- Report ----------------------------------------------------------------------------------------------------------


def listing_ids(client: Client) -> tuple[int, list[int]]:
    """How many listings are for sale, and ids of some of them."""
    ids: set[int] = set()
    n_listings = 0
    for ordering in ("newest", "price", "-price", "year", "-year", "mileage"):
        found = client.read(Question("GET", f"/api/v1/cars/search?page_size=100&ordering={ordering}"))
        n_listings = found["count"]
        ids |= {car["id"] for car in found["listings"]}
    return n_listings, sorted(ids)


def report(result: dict[str, Any]) -> None:
    print(f"{result['listings']:,} listings for sale, {result['cores']} cores, Python {result['python']}")
    print(
        f"{'clients':>7} {'route':26} {'p50 ms':>8} {'units':>6} {'p95 ms':>8} {'p99 ms':>8} {'worst':>8} "
        f"{'a second':>9} {'of unit':>8}  statuses"
    )
    for row in result["routes"]:
        print(
            f"{row['clients']:7} {row['route']:26} {row['p50_ms']:8.2f} {row['units']:6.1f} {row['p95_ms']:8.2f} "
            f"{row['p99_ms']:8.2f} {row['worst_ms']:8.1f} {row['per_second']:9.1f} "
            f"{row['share_of_unit_per_second']:8.2f}  {row['statuses']}"
        )
    for row in result["loop"]:
        print(
            f"event to changed list, {row['buyers']} buyers, pause {row['pause_seconds']} s: "
            f"p50 {row['p50_ms']:.0f} ms, p95 {row['p95_ms']:.0f} ms, {row['p95_units_p95']:.1f} times the unit's p95, "
            f"worst {row['worst_ms']:.0f} ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--clients", type=lambda text: [int(n) for n in text.split(",")], default=[1, 16])
    parser.add_argument("--routes", type=lambda text: text.split(","), help="some of them, by name; default: all")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each route in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loop-rounds", type=int, default=5, help="of each buyer; 0 leaves the loop out")
    parser.add_argument("--json", help="a file to write all figures to")
    options = parser.parse_args()
    n_listings, ids = listing_ids(Client(options.url, 0))
    result = {
        "listings": n_listings,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "routes": routes_table(options, ids),
        "loop": [loop_row(options, ids, *of) for of in ((20, 0.0), (50, 2.0))] if options.loop_rounds else [],
    }
    report(result)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(result, file, indent=2)


if __name__ == "__main__":
    main()
