"""The feed without genres in a world of two groups, beside a cosine item-kNN: how much of a list is one's own group's.

    python -m benchmarks.feed_groups [--users 200] [--items 400] [--rounds 8] [--seeds 2] [--minority 0.5]
    python -m benchmarks.feed_groups --url http://127.0.0.1:8000 [...]   # a running site, which is emptied before

Every user belongs to one of two groups, ``--minority`` of them to the first, and every item likewise; an item of one's
own group is liked far more often than one of the others'. Each round, every user gets a list of ten, likes what they
like of it, and dislikes some of the rest. The feed is the arithmetic that serves (``fit_feed``, ``ItemScorer``, the
rules of the settings); the item-kNN sums cosines of who likes what, and draws blindly among what it knows nothing of.
Both learn twice a round. Nothing is known at the start.

A running site learns when it does. One client asks it for a list, says what is liked and disliked of it, and goes on to
the next user without a pause, so that a round takes a second or two.
"""

from __future__ import annotations

import argparse
import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import django
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recommendations.feed.model import FeedConfig, FeedEvents, fit_feed
from recommendations.feed.ranking import FeedRules, ItemScorer, UserHistory
from recommender_site.local import embedded

LENGTH = 10
# share of one's own group's items that are liked, of the others', and of what is not liked, how much is disliked
WORLDS = {"clear": (0.8, 0.05, 1.0), "soft": (0.5, 0.05, 0.5), "no dislikes": (0.6, 0.1, 0.0), "rare": (0.2, 0.02, 0.5)}


@dataclass
class World:
    """Who belongs where and likes what, and what was shown and said so far."""

    n_users: int
    n_items: int
    kind: tuple[float, float, float]
    seed: int
    minority: float = 0.5
    shown: list[list[int]] = field(default_factory=list)
    liked: list[list[int]] = field(default_factory=list)
    disliked: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.user_groups, self.item_groups = (
            self.rng.permutation(np.arange(n) >= self.minority * n).astype(int) for n in (self.n_users, self.n_items)
        )
        own, other, _ = self.kind
        is_own = self.user_groups[:, None] == self.item_groups
        self.likes = self.rng.random(is_own.shape) < np.where(is_own, own, other)
        for said in (self.shown, self.liked, self.disliked):
            said.extend([] for _ in range(self.n_users))

    def n_own_left(self, user: int) -> int:
        """Items of one's own group that were not shown yet."""
        is_own = self.item_groups == self.user_groups[user]
        return int(is_own.sum()) - len({row for row in self.shown[user] if is_own[row]})

    def show(self, user: int, rows: NDArray[np.intp]) -> float:
        """A list is looked at, and something said of it; returns the share of one's own group."""
        self.shown[user] += rows.tolist()
        for row in rows.tolist():
            if self.likes[user, row]:
                self.liked[user].append(row)
            elif self.rng.random() < self.kind[2]:
                self.disliked[user].append(row)
        return float((self.item_groups[rows] == self.user_groups[user]).mean())

    def events(self) -> FeedEvents:
        said = [
            (user, row, sign)
            for user in range(self.n_users)
            for rows, sign in ((self.liked[user], 1), (self.disliked[user], -1))
            for row in rows
        ]
        shown = [(user, row) for user in range(self.n_users) for row in self.shown[user]]
        users, items, signs = np.array(said, np.intp).reshape(-1, 3).T
        shown_users, shown_items = np.array(shown, np.intp).reshape(-1, 2).T
        return FeedEvents(shown_users, shown_items, users, items, signs.astype(np.int8), self.n_users, self.n_items)


Lister = Callable[[int], NDArray[np.intp]]


def feed_lists(world: World, config: FeedConfig, rules: FeedRules) -> Lister:
    """Lists of the feed, fitted on all that was said so far."""
    tags, everything = csr_array((world.n_items, 0)), np.ones(world.n_items, bool)
    scorer = ItemScorer(fit_feed(world.events(), tags, config), tags, everything)

    def list_of(user: int) -> NDArray[np.intp]:
        past = (np.array(rows[user], np.intp) for rows in (world.shown, world.liked, world.disliked))
        rows = scorer.make_list(UserHistory(*past), rules, world.rng).rows
        scorer.note_shown(rows)
        return rows

    return list_of


def knn_lists(world: World) -> Lister:
    """Lists of a plain item-kNN, likewise."""
    likes = np.zeros((world.n_users, world.n_items))
    for user, rows in enumerate(world.liked):
        likes[user, rows] = 1.0
    norms = np.sqrt(likes.sum(axis=0))
    cosines = likes.T @ likes / np.maximum(np.outer(norms, norms), 1.0)
    np.fill_diagonal(cosines, 0.0)

    def list_of(user: int) -> NDArray[np.intp]:
        scores = cosines[world.liked[user]].sum(axis=0) + 1e-6 * world.rng.random(world.n_items)
        scores[world.shown[user]] = -np.inf
        return np.argsort(-scores)[:LENGTH]

    return list_of


def own_share(world: World, learn: Callable[[World], Lister], n_rounds: int) -> list[float]:
    """Of each round, the share of a list's places that hold an item of the user's own group."""
    shares = []
    for _ in range(n_rounds):
        order, list_of = world.rng.permutation(world.n_users), learn(world)
        found = []
        for at, user in enumerate(order.tolist()):
            if at == world.n_users // 2:
                list_of = learn(world)
            found.append(world.show(user, list_of(user)))
        shares.append(float(np.mean(found)))
    return shares


# --- A running site --------------------------------------------------------------------------------------------------
def over_http(world: World, url: str, n_rounds: int) -> Iterator[float]:
    """Of each round, own items among the places that own items not yet shown could take."""
    ask(url, "/cleanup", {})
    ask(url, "/add_items", {"item_ids": [f"i{item}" for item in range(world.n_items)]})
    for _ in range(n_rounds):
        n_own = n_places = 0.0
        for user in world.rng.permutation(world.n_users).tolist():
            rows = np.array([int(name[1:]) for name in ask(url, f"/recs/u{user}")["item_ids"]], np.intp)
            liked, disliked = len(world.liked[user]), len(world.disliked[user])
            n_places += min(world.n_own_left(user), LENGTH)
            n_own += world.show(user, rows) * len(rows)
            said = {
                **dict.fromkeys(world.liked[user][liked:], "like"),
                **dict.fromkeys(world.disliked[user][disliked:], "dislike"),
            }
            names = [f"i{row}" for row in said]
            ask(url, "/interact", {"user_id": f"u{user}", "item_ids": names, "actions": list(said.values())})
        yield n_own / n_places


def ask(url: str, path: str, body: object = None) -> dict[str, Any]:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}{path}", content, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 (the site that the caller names)
        found: dict[str, Any] = json.load(answer)
    return found


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")
    embedded.ensure()
    django.setup()
    from recommendations.feed.lists import rules
    from recommendations.feed.memory import config

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--minority", type=float, default=0.5)
    parser.add_argument("--url", help="of a running site, which is emptied: ask it, in the first kind of world")
    options = parser.parse_args()
    if options.url:
        world = World(options.users, options.items, WORLDS["clear"], 0, options.minority)
        for share in over_http(world, options.url, options.rounds):
            print(f"{share:.2f}", flush=True)
        return
    learners: dict[str, Callable[[World], Lister]] = {
        "the feed": lambda world: feed_lists(world, config(has_genres=False), rules(has_genres=False)),
        "item-kNN": knn_lists,
    }
    for kind in WORLDS:
        for name, learn in learners.items():
            worlds = [
                World(options.users, options.items, WORLDS[kind], seed, options.minority)
                for seed in range(options.seeds)
            ]
            shares = np.mean([own_share(world, learn, options.rounds) for world in worlds], axis=0)
            print(f"{kind:12} {name:9} " + " ".join(f"{share:.2f}" for share in shares), flush=True)


if __name__ == "__main__":
    main()
