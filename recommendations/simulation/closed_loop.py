"""The closed loop: a recommender makes lists, simulated buyers choose from them, and it learns from their choices.

Time passes in rounds of some hours. In each, every buyer is shown one list and opens a few of its cars, or searches
instead and opens a few of the results. Then cars are sold and new ones appear. Since true utilities are known, each
list is compared with the best one possible.

A recommender is a function from a ``Round`` to rows, one list per buyer; one that learns keeps its own state
(``learners``). The baselines here are ``show_random``, ``ShowPopular``, ``ShowLikeLiked`` and the oracle ``ShowBest``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.arrays import Floats, Integers, Reals
from recommendations.simulation.browsing import choice_scores, draw_query, find, fixed_normal
from recommendations.simulation.buyers import SimulatedBuyer
from recommendations.simulation.market import DAY, LIVE, RESERVED, Market
from recommendations.simulation.true_taste import CodedTable, Rows, oracle_share, utility


@dataclass(frozen=True)
class LoopConfig:
    """Sizes of the loop.

    Attributes:
        n_rounds: Lists per buyer.
        k: Length of each list, and of the oracle's.
        hours: Between two rounds.
        views: Cars opened in each list; each is one event.
        search_share: Share of the rounds in which a buyer searches, which is an event too, and opens some of the
            results.
        seed: Of the buyers' choices and of the recommender's draws.
    """

    n_rounds: int = 20
    k: int = 20
    hours: float = 12.0
    views: int = 1
    search_share: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n_rounds", "k", "views"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.hours > 0:
            raise ValueError(f"hours must be positive, not {self.hours}")
        if not 0 <= self.search_share <= 1:
            raise ValueError(f"search_share must lie between 0 and 1, not {self.search_share}")


RIDGE = 1e-3  # only keeps the fit of the best linear score solvable

Query = Mapping[str, Any]  # a search, in the words of ``ListingFilters.as_query``


@dataclass(frozen=True)
class Round:
    """The inputs of a recommender in one round.

    Attributes:
        number: 0 in the first round.
        age_days: Age of each previous round, shape (number,).
        live: Rows of the listings for sale now, shape (n_live,).
        shown: Lists the buyers saw in the previous rounds: the recommended one or, in a round with a search, its
            results. Shape (number, n_buyers, k), -1 in empty slots.
        chosen: Rows opened in them, shape (number, n_buyers, views), -1 in empty slots.
        searched: By previous round and buyer: the search; None without one. The recommended list of a round with a
            search was not looked at.
        n_buyers, k: Shape of the result: lists of at most k rows, shape (n_buyers, k), -1 in empty slots.
        rng: For draws of the recommender.
    """

    number: int
    age_days: Floats
    live: Rows
    shown: Rows
    chosen: Rows
    searched: Sequence[Sequence[Query | None]]
    n_buyers: int
    k: int
    rng: np.random.Generator


Recommender = Callable[[Round], Rows]


@dataclass(frozen=True)
class LoopReport:
    """The quality of each list; all arrays have shape (n_rounds, n_buyers).

    Attributes:
        share: ``oracle_share`` of each list: 0 is chance, 1 the best list possible at that time.
        regret: Mean true utility per slot of the best list minus that of this one, in logits; 0 is best.
        n_events: Events of that buyer before that list.
    """

    share: Floats
    regret: Floats
    n_events: NDArray[np.int64]

    def share_after(self, n_events: int) -> Floats:
        """Return the share of each buyer's first list after ``n_events`` events, shape (n_buyers,); nan for a list
        never made. Raises ValueError if no buyer had so many before the last list."""
        is_later = self.n_events >= n_events
        if not is_later.any():
            raise ValueError(f"no buyer had {n_events} events before the last list")
        first = is_later.argmax(axis=0)
        return np.where(is_later.any(axis=0), self.share[first, np.arange(self.share.shape[1])], np.nan)

    @property
    def cumulative_regret(self) -> Floats:
        """Return the mean over buyers of the regret summed up to each round, shape (n_rounds,)."""
        return np.cumsum(np.nanmean(self.regret, axis=1))


def run_loop(
    market: Market, buyers: Sequence[SimulatedBuyer], recommend: Recommender, config: LoopConfig | None = None
) -> LoopReport:
    """Run a recommender and buyers in a closed loop.

    Args:
        market: Its listings appear and disappear by their times; the last round is at the anchor.
        buyers: The buyers. Their true utilities drift towards those of the anchor as rounds pass.
        recommend: The recommender under test.
        config: See ``LoopConfig``.

    Returns:
        The report; nan in rounds in which nothing was for sale.

    Raises:
        ValueError: If there are no buyers, or if the recommender returns another shape, repeats a car in a list, or
            lists a car that is not for sale.
    """
    config = config or LoopConfig()
    if not buyers:
        raise ValueError("a loop needs at least one buyer")
    return _Loop(market, buyers, config).run(recommend)


class _Loop:
    def __init__(self, market: Market, buyers: Sequence[SimulatedBuyer], config: LoopConfig) -> None:
        self.market, self.buyers, self.config = market, buyers, config
        self.coded = CodedTable(market.table)
        self.rng = np.random.default_rng([config.seed, 0])
        self.fancy_keys = np.random.default_rng([config.seed, 1]).integers(2**63, size=len(buyers))
        shape = (config.n_rounds, len(buyers))
        self.share, self.regret = np.full(shape, np.nan), np.full(shape, np.nan)
        self.shown = np.full((*shape, config.k), -1)
        self.chosen = np.full((*shape, config.views), -1)
        self.searched: list[list[Query | None]] = [[None] * len(buyers) for _ in range(config.n_rounds)]
        # drawn in advance, so that every recommender gets the same searches
        self.searches = np.random.default_rng([config.seed, 3]).random(shape) < config.search_share

    def run(self, recommend: Recommender) -> LoopReport:
        rng = np.random.default_rng([self.config.seed, 2])
        for number in range(self.config.n_rounds):
            moment_s = (self.config.n_rounds - 1 - number) * self.config.hours * 3600
            live = self.live_at(moment_s)
            if not len(live):
                continue
            lists = np.asarray(recommend(self.round(number, live, rng)))
            self.check(lists, live)
            self.shown[number] = lists
            for buyer in range(len(self.buyers)):
                self.show(number, buyer, live, moment_s / DAY)
        n_each = (self.chosen >= 0).sum(axis=2) + self.searches
        return LoopReport(self.share, self.regret, n_each.cumsum(axis=0) - n_each)

    def round(self, number: int, live: Rows, rng: np.random.Generator) -> Round:
        return Round(
            number=number,
            age_days=np.arange(number, 0, -1) * self.config.hours / 24,
            live=live,
            shown=self.shown[:number],
            chosen=self.chosen[:number],
            searched=self.searched[:number],
            n_buyers=len(self.buyers),
            k=self.config.k,
            rng=rng,
        )

    def live_at(self, moment_s: float) -> Rows:
        if moment_s == 0:  # at the anchor the status is exact
            return np.flatnonzero((self.market.status == LIVE) | (self.market.status == RESERVED))
        return np.flatnonzero(self.market.is_on_sale(np.arange(len(self.market)), moment_s))

    def show(self, number: int, buyer: int, live: Rows, days_ago: float) -> None:
        """Let one buyer look at one list."""
        worth = utility(self.buyers[buyer].taste, self.coded.take(live), days_ago)
        slots = self.shown[number, buyer]
        rows = slots[slots >= 0]
        at = np.searchsorted(live, rows)
        self.share[number, buyer] = oracle_share(worth, at, self.config.k)
        best = np.sort(worth)[::-1][: self.config.k]
        missed = best.sum() - worth[at].sum() - (len(best) - len(at)) * worth.mean()
        self.regret[number, buyer] = missed / len(best)
        if self.searches[number, buyer]:
            self.searched[number][buyer], rows = self.search(number, buyer, live, days_ago)
            self.shown[number, buyer] = np.pad(rows, (0, self.config.k - len(rows)), constant_values=-1)
            at = np.searchsorted(live, rows)
        self.chosen[number, buyer, : min(len(rows), self.config.views)] = self.choose(buyer, rows, worth[at])

    def search(self, number: int, buyer: int, live: Rows, days_ago: float) -> tuple[Query, Rows]:
        """Draw a buyer's search by their utility at that time, and find its newest k cars.

        It is widened where it would find hardly any.
        """
        taste = self.buyers[buyer].taste
        if taste.former is not None and days_ago > taste.drift_days / 2:
            taste = taste.former
        query = draw_query(taste, np.random.default_rng([self.config.seed, 4, number, buyer]))
        found = find(query, self.market, self.coded)
        return query, found[np.isin(found, live)][: self.config.k]

    def choose(self, buyer: int, rows: Rows, worth: Floats) -> Rows:
        behaviour = self.buyers[buyer].behaviour
        if self.rng.random() < behaviour.noise_share:
            worth = np.zeros(len(rows))
        else:
            worth = worth + behaviour.fancy * fixed_normal(int(self.fancy_keys[buyer]), rows)
        scores = choice_scores(worth[None], behaviour.position_bias, self.rng)[0]
        return rows[np.argsort(-scores, kind="stable")[: self.config.views]]

    def check(self, lists: Rows, live: Rows) -> None:
        expected = (len(self.buyers), self.config.k)
        if lists.shape != expected:
            raise ValueError(f"the recommender answered in shape {lists.shape}, not {expected}")
        shown = lists[lists >= 0]
        if len(gone := np.setdiff1d(shown, live)):
            raise ValueError(f"the recommender showed listings that are not for sale: {gone[:5].tolist()}")
        ordered = np.sort(lists, axis=1)
        if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any():
            raise ValueError("the recommender showed a listing twice in one list")


# --- Baselines -------------------------------------------------------------------------------------------------------


def best_rows(scores: Floats, live: Rows, k: int) -> Rows:
    """Return the k best live listings for each buyer, best first, ties by row; -1 where there are fewer.

    Args:
        scores: Higher is better, shape (n_buyers, n_live), or (n_live,) for all buyers.
        live: Rows of the listings scored.
    """
    order = np.argsort(-np.atleast_2d(scores), axis=1, kind="stable")[:, :k]
    rows = live[order]
    return np.pad(rows, ((0, 0), (0, k - rows.shape[1])), constant_values=-1)


def show_random(asked: Round) -> Rows:
    """List random cars."""
    return best_rows(asked.rng.random((asked.n_buyers, len(asked.live))), asked.live, asked.k)


@dataclass(frozen=True)
class ShowPopular:
    """Lists the cars opened most often by all buyers so far; ties in random order.

    Attributes:
        before: How often each listing of the market was opened before the loop, shape (n_listings,).
    """

    before: Integers

    def __call__(self, asked: Round) -> Rows:
        counts = self.before + np.bincount(asked.chosen[asked.chosen >= 0], minlength=len(self.before))
        tie_breaks = asked.rng.random((asked.n_buyers, len(asked.live)))
        return best_rows(counts[asked.live] + 0.5 * tie_breaks, asked.live, asked.k)


@dataclass(frozen=True)
class ShowLikeLiked:
    """Lists the cars nearest (by cosine) to the mean of those the buyer opened; random cars before the first.

    Attributes:
        vectors: Features of all listings of the market, shape (n_listings, n_dims).
    """

    vectors: Reals

    def __call__(self, asked: Round) -> Rows:
        lengths = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        units = self.vectors / np.maximum(lengths, 1e-12)
        opened = asked.chosen.transpose(1, 0, 2).reshape(asked.n_buyers, -1)
        weights = (opened >= 0)[:, :, None]
        liked = (self.vectors[opened] * weights).sum(axis=1)  # the length of an average does not change its cosines
        scores = liked @ units[asked.live].T
        scores[~weights.any(axis=(1, 2))] = asked.rng.random(len(asked.live))
        return best_rows(scores, asked.live, asked.k)


class ShowBestLinear:
    """Lists by the best linear score: weights fitted to each buyer's true utility by ridge regression.

    Attributes:
        vectors: Features of all listings of the market, shape (n_listings, n_dims).
    """

    def __init__(self, market: Market, buyers: Sequence[SimulatedBuyer], vectors: Reals) -> None:
        self.worth, self.vectors = ShowBest(market, buyers).worth, vectors.astype(np.float64)

    def __call__(self, asked: Round) -> Rows:
        features = self.vectors[asked.live] - self.vectors[asked.live].mean(axis=0)
        worth = self.worth[:, asked.live] - self.worth[:, asked.live].mean(axis=1, keepdims=True)
        gram = features.T @ features + RIDGE * np.eye(features.shape[1])
        return best_rows(worth @ features @ np.linalg.solve(gram, features.T), asked.live, asked.k)


class ShowBest:
    """The oracle: lists by each buyer's current true utility."""

    def __init__(self, market: Market, buyers: Sequence[SimulatedBuyer]) -> None:
        coded = CodedTable(market.table)
        self.worth = np.stack([utility(buyer.taste, coded) for buyer in buyers])

    def __call__(self, asked: Round) -> Rows:
        return best_rows(self.worth[:, asked.live], asked.live, asked.k)
