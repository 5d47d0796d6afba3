"""A car site's server and a dealer, who go on whatever happens, and every answer they get.

An event is sent again under its own id until it is acknowledged, as a client is asked to do. A car is noted as sold
when its sale was acknowledged; a list that was asked for after that and shows it is noted as wrong.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

ANNOUNCED = {200, 201, 202, 429, 503}  # by the description, of these routes, when the question is right
ANNOUNCED_OF_A_SALE = {*ANNOUNCED, 409}  # the car was sold by the request before, whose answer was cut off
PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.2  # before something that failed is sent again
BULK = 50
N_BUYERS = 50


class Answered(NamedTuple):
    at: float  # monotonic seconds, when it was asked
    route: str
    status: int  # 0: the connection broke
    seconds: float

    @property
    def is_announced(self) -> bool:
        return self.status in {0, *(ANNOUNCED_OF_A_SALE if self.route == "sale" else ANNOUNCED)}


class Client:
    """A connection that is kept, and made anew after it broke."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._port = port
        self._headers = {"Content-Type": "application/json", **headers}
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and what the answer says; status 0 where the connection broke."""
        try:
            self._connection.request(method, path, None if body is None else json.dumps(body), self._headers)
            response = self._connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content[:1] in (b"{", b"[") else None
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = self._connect()
            return 0, None


class Traffic:
    """Threads that ask until they are stopped.

    Attributes:
        answers: Everything that was answered.
        acknowledged: Ids of events that an answer of 2xx has confirmed.
        sold: Listing to the monotonic second when its sale was acknowledged.
        sold_shown: (listing, seconds since its sale was acknowledged) of lists that showed it.
    """

    def __init__(self, port: int, key: str, listing_ids: Sequence[int], n_events: int, seed: int) -> None:
        self.answers: list[Answered] = []
        self.acknowledged: list[str] = []
        self.sold: dict[int, float] = {}
        self.sold_shown: list[tuple[int, float]] = []
        self._port, self._key, self._listing_ids, self._seed = port, key, listing_ids, seed
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._left, self._n_events = n_events, n_events
        self._threads = [
            threading.Thread(target=work, args=(number,), daemon=True)
            for work, n in ((self._send_single, 3), (self._send_bulks, 2), (self._read_lists, 3), (self._sell, 1))
            for number in range(n)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask the threads to end; what they have sent is sent until it is acknowledged."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(120)

    @property
    def is_half_through(self) -> bool:
        return 2 * len(self.acknowledged) >= self._n_events

    @property
    def events_are_through(self) -> bool:
        return self._left <= 0

    def _ask(self, client: Client, route: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        began_at = time.monotonic()
        status, content = client.ask(method, path, body)
        with self._lock:
            self.answers.append(Answered(began_at, route, status, time.monotonic() - began_at))
        return status, content

    def _insist(self, client: Client, route: str, method: str, path: str, body: Any) -> bool:
        """Send it until it is acknowledged or refused; whether it was acknowledged. Gives up after two minutes."""
        began_at = time.monotonic()
        while time.monotonic() - began_at < 120:
            status, _ = self._ask(client, route, method, path, body)
            if status in (200, 201, 202):
                return True
            if status and status not in (429, 500, 502, 503, 504):
                return False
            time.sleep(PAUSE_SECONDS)
        return False

    def _take(self, n: int) -> int:
        with self._lock:
            taken = min(n, self._left)
            self._left -= taken
            return taken

    def _event(self, rng: random.Random) -> dict[str, Any]:
        return {"kind": "view", "listing_id": rng.choice(self._listing_ids), "event_id": uuid.uuid4().hex}

    def _send_single(self, number: int) -> None:
        rng = random.Random(f"{self._seed} single {number}")
        client = self._as_server()
        while not self._is_over.is_set() and self._take(1):
            event = self._event(rng)
            buyer = f"chaos-{rng.randrange(N_BUYERS)}"
            if self._insist(client, "event", "POST", "/api/v1/events", {**event, "buyer": buyer}):
                self._note([event["event_id"]])
            time.sleep(0.01)

    def _send_bulks(self, number: int) -> None:
        rng = random.Random(f"{self._seed} bulk {number}")
        client = self._as_server()
        while not self._is_over.is_set() and (n := self._take(BULK)):
            events = [{**self._event(rng), "buyer": f"chaos-{rng.randrange(N_BUYERS)}"} for _ in range(n)]
            if self._insist(client, "events", "POST", "/api/v1/events", events):
                self._note([event["event_id"] for event in events])
            time.sleep(0.3)

    def _note(self, ids: list[str]) -> None:
        with self._lock:
            self.acknowledged += ids

    def _read_lists(self, number: int) -> None:
        rng = random.Random(f"{self._seed} lists {number}")
        client = self._as_server()
        while not self._is_over.is_set():
            asked_at = time.monotonic()
            path = f"/api/v1/cars/recommendations?k=20&buyer=chaos-{rng.randrange(N_BUYERS)}"
            status, content = self._ask(client, "list", "GET", path)
            for car in content["recommended"] if status == 200 else []:
                sold_at = self.sold.get(car["id"])
                if sold_at is not None and sold_at < asked_at:
                    self.sold_shown.append((car["id"], asked_at - sold_at))
            time.sleep(0.05 if status == 200 else PAUSE_SECONDS)

    def _sell(self, number: int) -> None:
        """Sell a car of a list every second."""
        rng = random.Random(f"{self._seed} sales {number}")
        client = self._as_server()
        while not self._is_over.wait(1.0):
            status, content = self._ask(client, "list", "GET", "/api/v1/cars/recommendations?k=20")
            if status != 200 or not content["recommended"]:
                continue
            car = rng.choice(content["recommended"])["id"]
            if self._insist(client, "sale", "PATCH", f"/api/v1/listings/{car}", {"status": "sold"}):
                self.sold[car] = time.monotonic()

    def _as_server(self) -> Client:
        return Client(self._port, {"Authorization": f"Api-Key {self._key}"})
