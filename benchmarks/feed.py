"""The feed under load: how fast it answers, and how good its lists are, in a made-up world, over HTTP.

    make run                                   # in another terminal, on a site that may be emptied
    python -m benchmarks.feed --empty-first [--items 24000] [--users 18000] [--requests 3] [--clients 50]

Every user asks for some lists. After each, likes and dislikes of it are posted before the user asks again, while other
users ask and post. Nothing is known at the start, so what is learned is learned from what the feed itself showed.

The world: an item has one to three genres and a quality; a user loves three genres and has, like the item, coordinates
in six more dimensions that no genre shows. Their sum is the log-odds that the user likes the item; whether they do is
drawn once for the pair, so that showing it again would change nothing. They look at position ``p`` of a list with
probability ``1 / (1 + 0.03 (p - 1))``; of what they looked at they post a like where they like it, else a dislike in
half of the cases. Measured is what they like, looked at or not.

* precision@10: share of the ten places that hold an item the user likes and was never shown before.
* NDCG@10: the same with place ``p`` worth ``1 / log2(p + 1)``, over what a list of ten liked items would be worth
  (every user likes hundreds).
* diversity: one minus the mean Jaccard similarity of the genres of two items of a list; and between users: one minus
  the share that two users' lists of the same number have in common.
* coverage: share of all items that were shown to any user.
* response: of ``/recs`` as the client sees it, and of ``/interact``.

Beside it, in the same world and in the same order, without a server: lists drawn blindly, and a popularity recommender
(most likes per show, smoothed, one place in ten drawn blindly), neither of which repeats an item for a user.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LENGTH = 10
DISCOUNTS = 1 / np.log2(np.arange(2, LENGTH + 2))
LOOKED_AT = 1 / (1 + 0.03 * np.arange(LENGTH))


class World:
    """Who likes what; all of it follows from the seed."""

    def __init__(self, n_items: int, n_users: int, seed: int, has_genres: bool = True, n_genres: int = 20) -> None:
        rng = np.random.default_rng(seed)
        self.n_items, self.n_users, self.has_genres, self._seed = n_items, n_users, has_genres, seed
        popularity = rng.dirichlet(np.full(n_genres, 2.0))
        keys = np.log(popularity) + rng.gumbel(size=(n_items, n_genres))  # the k largest: drawn without replacement
        ranks = np.argsort(np.argsort(-keys, axis=1), axis=1)
        self.genres = (ranks < rng.integers(1, 4, n_items)[:, None]).astype(float)
        self._features = self.genres / np.sqrt(self.genres.sum(axis=1, keepdims=True))
        self.quality = rng.normal(0, 1.0, n_items)
        self._tastes = rng.normal(-0.4, 0.5, (n_users, n_genres))
        loved = np.argsort(rng.random((n_users, n_genres)), axis=1)[:, :3]
        np.put_along_axis(self._tastes, loved, np.take_along_axis(self._tastes, loved, 1) + 2.0, 1)
        self._hidden_items = rng.normal(0, 1, (n_items, 6))
        self._hidden_users = rng.normal(0, 0.35, (n_users, 6))

    def likes(self, user: int, items: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether a user likes some items; the same whenever asked."""
        odds = (
            -4.5
            + self.quality[items]
            + self._features[items] @ self._tastes[user]
            + self._hidden_items[items] @ self._hidden_users[user]
        )
        are_liked: NDArray[np.bool_] = uniform(user, items, self._seed) < 1 / (1 + np.exp(-odds))
        return are_liked

    def genre_names(self) -> list[list[str]] | None:
        if not self.has_genres:
            return None
        return [[f"genre {column}" for column in np.flatnonzero(row)] for row in self.genres]


def uniform(user: int, items: NDArray[np.intp], seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each pair, by splitmix64."""
    with np.errstate(over="ignore"):
        mixed = items.astype(np.uint64) + np.uint64(user + 1) * np.uint64(1 << 32) + np.uint64(seed) * np.uint64(77_777)
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed >> np.uint64(11)) / 2.0**53


@dataclass
class Quality:
    """What the lists were worth, one entry per list."""

    world: World
    precision: list[float] = field(default_factory=list)
    gain: list[float] = field(default_factory=list)
    variety: list[float] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    lists: list[NDArray[np.intp]] = field(default_factory=list)
    short_lists: int = 0
    repeats: int = 0

    def note(self, user: int, number: int, items: NDArray[np.intp], seen: set[int]) -> NDArray[np.bool_]:
        """Judge a list; returns which of its items the user likes."""
        liked = self.world.likes(user, items)
        is_new = np.array([item not in seen for item in items.tolist()], bool)
        self.repeats += int((~is_new).sum()) + len(items) - len(set(items.tolist()))
        self.short_lists += len(items) < LENGTH
        hits = np.zeros(LENGTH, bool)
        hits[: len(items)] = (liked & is_new)[:LENGTH]
        self.precision.append(hits.mean())
        self.gain.append(float(hits @ DISCOUNTS / DISCOUNTS.sum()))
        genres = self.world.genres[items]
        shared, sizes = genres @ genres.T, genres.sum(axis=1)
        jaccard = shared / (sizes[:, None] + sizes - shared)
        n = len(items)
        self.variety.append(1 - (jaccard.sum() - n) / max(n * (n - 1), 1))
        self.rounds.append(number)
        self.lists.append(items)
        return liked

    def report(self, name: str) -> None:
        rounds = np.array(self.rounds)
        by_round = " ".join(f"{np.mean(np.array(self.precision)[rounds == each]):.3f}" for each in np.unique(rounds))
        tail = np.mean(self.precision[-len(self.precision) // 5 :])
        covered = len(np.unique(np.concatenate(self.lists))) / self.world.n_items
        print(
            f"{name:10} precision@10 {np.mean(self.precision):.3f} (by request {by_round}; last fifth {tail:.3f})"
            f"  NDCG@10 {np.mean(self.gain):.3f}  diversity {np.mean(self.variety):.3f}"
            f"  between users {self.between_users():.3f}  coverage {covered:.3f}"
            f"  repeats {self.repeats}, short lists {self.short_lists}",
            flush=True,
        )

    def between_users(self) -> float:
        rng, rounds = np.random.default_rng(0), np.array(self.rounds)
        found = []
        for each in np.unique(rounds):
            at = np.flatnonzero(rounds == each)
            pairs = rng.choice(at, (min(2000, len(at)), 2))
            found += [
                1 - len(np.intersect1d(self.lists[one], self.lists[two])) / LENGTH for one, two in pairs if one != two
            ]
        return float(np.mean(found))


def feedback(liked: NDArray[np.bool_], rng: np.random.Generator) -> dict[int, str]:
    """What a user posts about a list: action by place."""
    looked = rng.random(len(liked)) < LOOKED_AT[: len(liked)]
    annoyed = rng.random(len(liked)) < 0.5
    said = {
        position: "like" if liked[position] else "dislike" for position in np.flatnonzero(looked & (liked | annoyed))
    }
    return {int(position): action for position, action in said.items()}


# --- Over HTTP -------------------------------------------------------------------------------------------------------


class Client:
    """One connection that is kept, and as little work per question as can be."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        content = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._address[0]}\r\nContent-Type: application/json\r\n"
        message = head.encode() + f"Content-Length: {len(content)}\r\n\r\n".encode() + content
        for _ in range(3):
            try:
                return await self._exchange(message)
            except (ConnectionError, asyncio.IncompleteReadError):  # let go after so many answers: connect again
                self._streams = None
        raise SystemExit("the server does not answer")

    async def _exchange(self, message: bytes) -> dict[str, Any]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address, limit=2**24)
        reader, writer = self._streams
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        start = lowered.index(b"content-length:") + 15
        answer = await reader.readexactly(int(lowered[start : lowered.index(b"\r\n", start)]))
        if b"connection: close" in lowered:
            writer.close()
            self._streams = None
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise SystemExit(f"{head.split(chr(13).encode())[0].decode()}: {answer.decode()[:500]}")
        content: dict[str, Any] = json.loads(answer)
        return content


async def be_users(
    client: Client, waiting: list[int], options: argparse.Namespace, quality: Quality, seconds: dict[str, list[float]]
) -> None:
    """One user after the other, each from their first list to their last."""
    while waiting:
        user = waiting.pop()
        rng = np.random.default_rng([options.seed, user])
        seen: set[int] = set()
        for number in range(options.requests):
            answer = await timed(client.ask("GET", f"/recs/{name_of_user(user)}"), seconds["recs"])
            items = np.array([int(item[1:]) for item in answer["item_ids"]], np.intp)
            liked = quality.note(user, number, items, seen)
            seen.update(items.tolist())
            said = feedback(liked, rng)
            body = {
                "user_id": name_of_user(user),
                "item_ids": [answer["item_ids"][position] for position in said],
                "actions": list(said.values()),
                "timestamp": time.time(),
            }
            if said:
                await timed(client.ask("POST", "/interact", body), seconds["interact"])


async def timed(question: Awaitable[dict[str, Any]], seconds: list[float]) -> dict[str, Any]:
    started = time.perf_counter()
    answer = await question
    seconds.append(time.perf_counter() - started)
    return answer


def name_of_user(user: int) -> str:
    return f"u{user}"


async def load(world: World, options: argparse.Namespace) -> None:
    host, _, port = options.url.removeprefix("http://").rstrip("/").partition(":")
    first = Client(host, int(port or 80))
    if options.empty_first:
        await first.ask("POST", "/cleanup")
    started, genres = time.perf_counter(), world.genre_names()
    for start in range(0, world.n_items, 6000):
        items = range(start, min(start + 6000, world.n_items))
        body: dict[str, Any] = {"item_ids": [f"i{item}" for item in items]}
        if genres:
            body["genres"] = [genres[item] for item in items]
        await first.ask("POST", "/add_items", body)
    print(f"{world.n_items:,} items added in {time.perf_counter() - started:.1f} s")
    await first.ask("GET", "/recs/warm-up")
    quality = Quality(world)
    seconds: dict[str, list[float]] = {"recs": [], "interact": []}
    waiting = order_of_users(world).tolist()
    started = time.perf_counter()
    clients = [Client(host, int(port or 80)) for _ in range(options.clients)]
    await asyncio.gather(*(be_users(client, waiting, options, quality, seconds) for client in clients))
    took = time.perf_counter() - started
    n = sum(map(len, seconds.values()))
    print(f"{n:,} requests of {options.clients} clients in {took:.0f} s: {n / took:.0f} a second")
    for route, values in seconds.items():
        mean = 1000 * np.mean(values)
        p50, p95, p99 = (1000 * np.quantile(values, [0.5, 0.95, 0.99])).tolist()
        print(f"/{route:9} mean {mean:6.1f} ms, median {p50:6.1f}, p95 {p95:6.1f}, p99 {p99:6.1f}")
    quality.report("the feed")


def order_of_users(world: World) -> NDArray[np.intp]:
    return np.random.default_rng(5).permutation(world.n_users)


# --- Beside it, without a server -------------------------------------------------------------------------------------

Policy = Callable[[NDArray[np.bool_], np.random.Generator], NDArray[np.intp]]


def play(name: str, world: World, options: argparse.Namespace, policy: Policy, learn: Callable[..., object]) -> None:
    """The same users, so many at a time, with lists of a simpler recommender."""
    quality, rng = Quality(world), np.random.default_rng(options.seed)
    waiting = order_of_users(world).tolist()
    active: list[tuple[int, int, set[int]]] = []
    while waiting or active:
        while waiting and len(active) < options.clients:
            active.append((waiting.pop(), 0, set()))
        at = int(rng.integers(len(active)))
        user, number, seen = active[at]
        free = np.ones(world.n_items, bool)
        free[list(seen)] = False
        items = policy(free, rng)
        liked = quality.note(user, number, items, seen)
        said = feedback(liked, rng)
        learn(items, [items[position] for position, action in said.items() if action == "like"])
        seen.update(items.tolist())
        if number + 1 < options.requests:
            active[at] = (user, number + 1, seen)
        else:
            active.pop(at)
    quality.report(name)


def blind(free: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.intp]:
    return rng.choice(np.flatnonzero(free), LENGTH, replace=False)


class Popularity:
    def __init__(self, n_items: int) -> None:
        self._shown, self._liked = np.zeros(n_items), np.zeros(n_items)

    def __call__(self, free: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.intp]:
        rate = np.where(free, (self._liked + 1) / (self._shown + 20) + 1e-9 * rng.random(len(free)), -1)
        best = np.argpartition(-rate, LENGTH - 1)[: LENGTH - 1]
        best = best[np.argsort(-rate[best])]
        free[best] = False
        return np.append(best, rng.choice(np.flatnonzero(free)))

    def learn(self, items: NDArray[np.intp], liked: list[int]) -> None:
        self._shown[items] += 1
        self._liked[liked] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--items", type=int, default=24_000)
    parser.add_argument("--users", type=int, default=18_000)
    parser.add_argument("--requests", type=int, default=3, help="lists per user")
    parser.add_argument("--clients", type=int, default=50, help="users at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-genres", action="store_true", help="the feed is given no genres")
    parser.add_argument("--empty-first", action="store_true", help="POST /cleanup before: removes everything there is")
    parser.add_argument("--no-server", action="store_true", help="the simple recommenders only")
    parser.add_argument("--no-others", action="store_true", help="the feed only")
    options = parser.parse_args()
    world = World(options.items, options.users, options.seed, has_genres=not options.no_genres)
    sample = np.random.default_rng(0).integers(options.users, size=200)
    share = np.mean([world.likes(user, np.arange(options.items)).mean() for user in sample])
    print(f"a user likes {share:.3f} of the items")
    if not options.no_server:
        asyncio.run(load(world, options))
    if not options.no_others:
        popularity = Popularity(options.items)
        play("popularity", world, options, popularity, popularity.learn)
        play("random", world, options, blind, lambda items, liked: None)


if __name__ == "__main__":
    main()
