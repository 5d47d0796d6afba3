"""From an event to a changed list, over HTTP, while buyers are active side by side.

    make run                                  # in another terminal
    python -m benchmarks.loop [--url http://127.0.0.1:8000] [--buyers 20] [--rounds 10]

Each demo user opens a car and then asks for recommendations until the list is another one. The time runs from the
answer to the first request to the answer that holds the new list; the slowest step of the loop is inside it. Beside it
stands a request that touches neither event nor list (``users/me``), to know what the machine was doing.
"""

import argparse
import json
import statistics
import threading
import time
import urllib.request
from typing import Any


class Client:
    def __init__(self, url: str, email: str) -> None:
        self._url = url
        self._headers = {"Content-Type": "application/json"}
        token = self.call("/api/v1/token/fake-token", {"email": email})["token"]
        self._headers["Authorization"] = f"Bearer {token}"

    def call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self._url + path, data, self._headers)  # noqa: S310 (a local server)
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            answer: dict[str, Any] = json.load(response)
            return answer

    def recommended(self) -> list[int]:
        """Ids of the list; it is the same until something happens."""
        return [car["id"] for car in self.call("/api/v1/cars/recommendations?k=20")["recommended"]]


def be_active(client: Client, rounds: int, seconds: dict[str, list[float]]) -> None:
    """Open cars from further and further down the list, so that each says something new."""
    for _ in range(rounds):
        before = client.recommended()
        found = client.call("/api/v1/cars/search?page_size=50&ordering=newest")["listings"]
        opened = found[hash((id(client), time.monotonic())) % len(found)]["id"]
        client.call(f"/api/v1/cars/detail/{opened}")
        started = time.perf_counter()
        while client.recommended() == before:
            if time.perf_counter() - started > 30:
                raise SystemExit("the list did not change within 30 seconds")
        seconds["event to changed list"].append(time.perf_counter() - started)
        started = time.perf_counter()
        client.call("/api/v1/users/me")
        seconds["users/me"].append(time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--buyers", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    clients = [Client(arguments.url, f"john{number}@example.com") for number in range(arguments.buyers)]
    seconds: dict[str, list[float]] = {"event to changed list": [], "users/me": []}
    threads = [threading.Thread(target=be_active, args=(client, arguments.rounds, seconds)) for client in clients]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{arguments.buyers} buyers, {arguments.rounds} rounds each, {time.perf_counter() - started:.1f} s")
    for name, values in seconds.items():
        cuts = statistics.quantiles(values, n=100)
        figures = {"median": cuts[49], "p95": cuts[94], "worst": max(values)}
        print(f"{name:<24}" + "".join(f"{figure:>8} {value * 1e3:6.0f} ms" for figure, value in figures.items()))


if __name__ == "__main__":
    main()
