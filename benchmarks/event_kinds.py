"""Made-up event files of many kinds: how far our ranker of event files is behind the best of its own baselines.

    python -m benchmarks.event_kinds [--size small] [--seeds 3] [--kinds drift news] [--unseen-only]

Each file has sixty days, of which the last ten are the test. For known users (five events or more before it) and cold
ones: NDCG@10 of ours, of the baseline that turns out best on the test, and the paired difference with its 95 %
interval. The best of a dozen baselines is best by chance too. So a difference is also judged at the confidence that a
dozen comparisons ask for (Bonferroni), and a column says how many baselines are significantly behind the best one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recommendations.evaluation.event_file_backtest import baselines
from recommendations.evaluation.item_events import COLD_EVENTS, ItemCatalogue, ItemEvents, ask
from recommendations.evaluation.item_lists import lists_of, rows_wanted
from recommendations.evaluation.item_ranker import fit_item_ranker
from recommendations.evaluation.item_terms import ItemRankerConfig
from recommendations.evaluation.item_validation import KNOWN, SEGMENTS
from recommendations.evaluation.outcome import OURS
from recommendations.metrics.ranking import Comparison, compare, find_hits, ndcg_at_k

N_DAYS, TEST_FROM, K = 60.0, 50.0, 10
FEWEST = 10  # users: the interval of fewer is no interval

Rows = NDArray[np.intp]
Columns = tuple[Rows, Rows, NDArray[np.float64]]  # users, items and days of the events


class Size(NamedTuple):
    """Of a file."""

    n_users: int
    n_items: int
    n_events: int


SIZES = {"small": Size(60, 40, 700), "middle": Size(400, 300, 6_000), "large": Size(3_000, 1_500, 60_000)}


@dataclass(frozen=True)
class Draw:
    """What a kind is made from: events in order of time by users and ranks of popularity."""

    size: Size
    rng: np.random.Generator

    def days(self) -> NDArray[np.float64]:
        return np.sort(self.rng.uniform(0, N_DAYS, self.size.n_events))

    def users(self) -> Rows:
        return self.rng.integers(self.size.n_users, size=self.size.n_events)

    def ranks(self, n_items: int | None = None) -> Rows:
        """Rows of items, the lower the more popular: a geometric head and a long tail."""
        n_items, n = n_items or self.size.n_items, self.size.n_events
        head = self.rng.geometric(5 / n_items, n) - 1
        tail = self.rng.integers(n_items, size=n)
        return np.where((self.rng.random(n) < 0.1) | (head >= n_items), tail, head)

    def shuffled(self) -> Rows:
        """Another order of popularity."""
        return self.rng.permutation(self.size.n_items)


def popularity(draw: Draw) -> Columns:
    return draw.users(), draw.ranks(), draw.days()


def noise(draw: Draw) -> Columns:
    return draw.users(), draw.rng.integers(draw.size.n_items, size=draw.size.n_events), draw.days()


def few_events(draw: Draw) -> Columns:
    few = Draw(draw.size._replace(n_events=max(60, draw.size.n_events // 10)), draw.rng)
    return popularity(few)


def slow_drift(draw: Draw) -> Columns:
    days = draw.days()
    return draw.users(), (draw.ranks() + (days / N_DAYS * draw.size.n_items).astype(int)) % draw.size.n_items, days


def drift_of(days_before: float) -> Callable[[Draw], Columns]:
    """All of a sudden, other items are popular, so many days before the test."""

    def made(draw: Draw) -> Columns:
        days, ranks = draw.days(), draw.ranks()
        return draw.users(), np.where(days > TEST_FROM - days_before, draw.shuffled()[ranks], ranks), days

    return made


def news(draw: Draw) -> Columns:
    """What is popular changes every third day, to items not seen before."""
    days = draw.days()
    n_each = max(6, draw.size.n_items // 20)
    return draw.users(), (days // 3).astype(int) * n_each + draw.ranks(n_each), days


def weekends(draw: Draw) -> Columns:
    days, ranks = draw.days(), draw.ranks()
    return draw.users(), np.where(days % 7 < 5, ranks, draw.shuffled()[ranks]), days


def tastes_of(n_groups: int, *, drifts: bool = False) -> Callable[[Draw], Columns]:
    """Users of a group have items of their own; with a drift, other ones in the last twelve days."""

    def made(draw: Draw) -> Columns:
        users, days = draw.users(), draw.days()
        ranks = draw.ranks() // n_groups * n_groups + users % n_groups
        ranks = np.minimum(ranks, draw.size.n_items - 1)
        return users, np.where(drifts & (days > 48), draw.shuffled()[ranks], ranks), days

    return made


def heavy_user(draw: Draw) -> Columns:
    users, ranks, days = popularity(draw)
    return np.where(draw.rng.random(len(users)) < 0.5, 0, users), ranks, days


def odd_heavy_user(draw: Draw) -> Columns:
    """Half of the events are of one user, who has other items than all others."""
    users, ranks, days = heavy_user(draw)
    return users, np.where(users == 0, draw.shuffled()[ranks], ranks), days


def burst(draw: Draw) -> Columns:
    """In the last days before the test, one user goes through what others do not want."""
    users, ranks, days = popularity(draw)
    is_burst = (days > 48) & (days < 50) & (draw.rng.random(len(days)) < 0.7)
    return np.where(is_burst, 0, users), np.where(is_burst, draw.size.n_items - 1 - ranks, ranks), days


def repeats(draw: Draw) -> Columns:
    """Each event five times within the hour."""
    few = Draw(draw.size._replace(n_events=draw.size.n_events // 5), draw.rng)
    users, ranks, days = popularity(few)
    return np.repeat(users, 5), np.repeat(ranks, 5), np.repeat(days, 5) + np.tile(np.arange(5) / 100, len(days))


def loyal(draw: Draw) -> Columns:
    """Users have their own few items again and again."""
    users, ranks, days = popularity(draw)
    own = (users * 7 + draw.rng.integers(3, size=len(users))) % draw.size.n_items
    return users, np.where(draw.rng.random(len(users)) < 0.6, own, ranks), days


def new_users(draw: Draw) -> Columns:
    """Every user has two events and is gone."""
    n = draw.size.n_events
    return np.arange(n) // 2, draw.ranks(), draw.days()


def other_new_users(draw: Draw) -> Columns:
    """Half of the events are of users who come once, and go for other items than those who stay."""
    users, ranks, days = popularity(draw)
    is_new = draw.rng.random(len(users)) < 0.5
    return (
        np.where(is_new, draw.size.n_users + np.arange(len(users)), users),
        np.where(is_new, draw.size.n_items - 1 - ranks, ranks), days,
    )  # fmt: skip


def growing(draw: Draw) -> Columns:
    """Ever more events, and new items on the way."""
    users, ranks, _ = popularity(draw)
    days = np.sort(N_DAYS * draw.rng.random(len(users)) ** (1 / 3))
    return users, (ranks * (0.3 + 0.7 * days / N_DAYS)).astype(int), days


def rare(draw: Draw) -> Columns:
    """So many items that few are had twice."""
    wide = Draw(draw.size._replace(n_items=draw.size.n_events), draw.rng)
    return popularity(wide)


def whole_days(draw: Draw) -> Columns:
    users, ranks, days = popularity(draw)
    return users, ranks, np.floor(days)


KINDS: dict[str, Callable[[Draw], Columns]] = {
    "popularity": popularity,
    "noise": noise,
    "few events": few_events,
    "slow drift": slow_drift,
    "sudden drift": drift_of(2.0),
    "latest drift": drift_of(0.7),
    "early drift": drift_of(9.0),
    "news": news,
    "weekends": weekends,
    "two tastes": tastes_of(2),
    "ten tastes": tastes_of(10),
    "tastes that drift": tastes_of(2, drifts=True),
    "one heavy user": heavy_user,
    "one odd heavy user": odd_heavy_user,
    "burst": burst,
    "repeats": repeats,
    "loyal": loyal,
    "new users": new_users,
    "other new users": other_new_users,
    "growing": growing,
    "rare items": rare,
    "whole days": whole_days,
}
ITEM_KINDS = ("useful items", "useless items")  # with an item file


def file_of(kind: str, size: Size, seed: int) -> tuple[ItemEvents, ItemCatalogue]:
    """Events and items of a kind; the same seed gives the same."""
    draw = Draw(size, np.random.default_rng(seed))
    users, items, days = KINDS["ten tastes" if kind in ITEM_KINDS else kind](draw)
    n_users, n_items = int(users.max()) + 1, int(items.max()) + 1
    events = ItemEvents(users.astype(np.intp), items.astype(np.intp), days, np.ones(len(users)), n_users, n_items)
    catalogue = ItemCatalogue.from_events(events)
    if kind in ITEM_KINDS:
        group = np.arange(events.n_items) % 10 if kind == "useful items" else draw.rng.integers(10, size=events.n_items)
        catalogue = ItemCatalogue(catalogue.listed_days, catalogue.ended_days, csr_array(np.eye(10)[group]))
    return events, catalogue


@dataclass(frozen=True)
class Row:
    """Of the table: some users of a file."""

    users: str
    n: int
    ours: float
    best: str
    of_best: float
    lead: Comparison
    n_behind: int
    is_surely_worse: bool
    chosen: str

    def __str__(self) -> str:
        lead = f"{self.lead.difference:+.3f} ({self.lead.low:+.3f} to {self.lead.high:+.3f})"
        return (
            f"{self.users} {self.n} | {self.ours:.3f} | {self.best} {self.of_best:.3f} | {lead} | {self.n_behind} | "
            f"{self.chosen}"
        )


def compared(events: ItemEvents, catalogue: ItemCatalogue, config: ItemRankerConfig, max_users: int) -> Iterator[Row]:
    """Known and cold users of a file, where there are enough of them."""
    asked = ask(events, catalogue, TEST_FROM, known_only=config.known_only, unseen_only=config.unseen_only)
    asked = asked.take(np.sort(np.random.default_rng(0).permutation(len(asked))[:max_users]))
    if not len(asked):
        return
    ours = fit_item_ranker(events, catalogue, TEST_FROM, None, config)
    rankers = {OURS: ours.scores, **baselines(ours.learning_data)}
    wanted = rows_wanted(asked)
    ndcg = {name: ndcg_at_k(find_hits(lists_of(scores, asked, K), wanted), K) for name, scores in rankers.items()}
    is_cold = ours.learning_data.n_events_of_users[asked.user_rows] < COLD_EVENTS
    for users, own in (("known", ~is_cold), ("cold", is_cold)):
        if own.sum() < FEWEST:
            continue
        others = [name for name in rankers if name != OURS]
        best = max(others, key=lambda name: ndcg[name][own].mean())
        leads = {name: compare(ndcg[name][own], ndcg[best][own], np.random.default_rng(0)) for name in rankers}
        surely = compare(ndcg[OURS][own], ndcg[best][own], np.random.default_rng(0), confidence=1 - 0.05 / len(others))
        is_own = [(name == SEGMENTS[KNOWN]) == (users == "known") for name in ours.tried]
        chosen = [str(values["chosen"]) for values, own_one in zip(ours.tried.values(), is_own, strict=True) if own_one]
        yield Row(
            users, int(own.sum()), float(ndcg[OURS][own].mean()), best, float(ndcg[best][own].mean()), leads[OURS],
            sum(leads[name].is_worse for name in others), surely.is_worse, ", ".join(chosen),
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS, *ITEM_KINDS], default=[*KINDS, *ITEM_KINDS])
    parser.add_argument("--unseen-only", action="store_true")
    parser.add_argument("--max-users", type=int, default=1000)
    arguments = parser.parse_args()

    config = ItemRankerConfig(known_only=False, unseen_only=arguments.unseen_only)
    rows = []
    print("kind, seed, users and their number | ours | best baseline | ours - best | behind it | chosen")
    for kind in arguments.kinds:
        for seed in range(arguments.seeds):
            events, catalogue = file_of(kind, SIZES[arguments.size], seed)
            for row in compared(events, catalogue, config, arguments.max_users):
                rows.append(row)
                mark = "WORSE" if row.is_surely_worse else "worse" if row.lead.is_worse else ""
                print(f"{mark:5} {kind}, {seed}, {row}", flush=True)
    n_worse, n_surely = sum(row.lead.is_worse for row in rows), sum(row.is_surely_worse for row in rows)
    n_better, mean = sum(row.lead.is_better for row in rows), np.mean([row.lead.difference for row in rows])
    print(f"{len(rows)} groups of users: significantly worse than the best baseline {n_worse} (after Bonferroni "
          f"{n_surely}), better {n_better}; mean difference {mean:+.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
