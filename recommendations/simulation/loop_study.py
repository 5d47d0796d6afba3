"""Compare recommenders in the closed loop over several simulated markets.

Each market is drawn with its buyers. Most of them leave a log, on which the site is trained; the others are new, and
are the same for every recommender. Ours is the site itself (``site``), with the functions that serve. Figures are means
over the new buyers of all markets, with bootstrap intervals over buyers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.ranker import Ranker
from recommendations.engine.score_terms import UTILITY
from recommendations.metrics import ranking as metrics
from recommendations.models import Placement
from recommendations.serving.placements import HOME
from recommendations.serving.sources import DEFAULT_SHARES
from recommendations.simulation import browsing as sim
from recommendations.simulation.car_specs import read_specs
from recommendations.simulation.closed_loop import (
    LoopConfig,
    LoopReport,
    Recommender,
    ShowBest,
    ShowBestLinear,
    ShowLikeLiked,
    ShowPopular,
    run_loop,
    show_random,
)
from recommendations.simulation.learners import ShowAsServed, Training, log_of
from recommendations.simulation.market import Market, build_market, read_towns
from recommendations.simulation.memory_log import MemoryLog
from recommendations.simulation.site import learn_ranker, listing_rows_of
from recommendations.training.parameters import TrainingParameters

Report = Callable[[float, str], None]

SERVED, LOGIT, LIKED, POPULAR = "served", "one logit per buyer", "average of opened", "popular"
RANDOM, LINEAR, ORACLE = "random", "best linear score", "oracle"
TASTE_ALONE = {name: float(name == "taste") for name in DEFAULT_SHARES}
NOON = 43_200  # of the first of July, when the market's last round takes place
ALL_BUYERS = "everybody"
BIASED = 0.6  # bias against lower positions from which a buyer hardly looks beyond the top: a fifth of them


@dataclass(frozen=True)
class StudyConfig:
    """Sizes of the study.

    Attributes:
        n_listings: Cars of each market, five sixths of them for sale.
        n_buyers: New buyers in each market.
        n_others: Buyers who left a log.
        log_events: Mean number of events of each of them.
        seeds: One market each.
        anchor_year: Of the market; see ``build_market``.
        loop: Sizes of the loop; its seed is replaced by the market's.
        training: Parameters of the training on the log.
        events: Figures are reported after these numbers of events of a buyer.
    """

    n_listings: int = 10_000
    n_buyers: int = 200
    n_others: int = 1_000
    log_events: int = 100
    seeds: tuple[int, ...] = (1, 2, 3)
    anchor_year: int = 2026
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(n_rounds=21))
    training: TrainingParameters = field(default_factory=TrainingParameters)
    events: tuple[int, ...] = (0, 1, 5, 20)

    def __post_init__(self) -> None:
        for name in ("n_listings", "n_buyers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("n_others", "log_events"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds must be given, each once")
        if not self.events or min(self.events) < 0 or max(self.events) >= self.loop.n_rounds:
            raise ValueError(f"events must be numbers from 0 to {self.loop.n_rounds - 1}, one fewer than the rounds")


@dataclass(frozen=True)
class Figure:
    """A mean over buyers with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Study:
    """The result; buyers of all markets are concatenated.

    Attributes:
        config: As given.
        reports: One ``LoopReport`` for each recommender, shape (n_rounds, n_buyers of all markets).
        segments: Name -> its buyers, bool, shape (n_buyers,).
        position_biases: As learned in each market.
    """

    config: StudyConfig
    reports: Mapping[str, LoopReport]
    segments: Mapping[str, NDArray[np.bool_]]
    position_biases: Sequence[float]

    def share_after(self, name: str, n_events: int, segment: str = ALL_BUYERS) -> Figure:
        """Return the share of the oracle's utility in the first list after ``n_events`` events."""
        return self._figure(self._shares(name, n_events)[self.segments[segment]])

    def shares(self, name: str) -> list[Figure]:
        """Return ``share_after`` 0, 1, 2 ... events, up to the number that every buyer reached."""
        last = self.reports[name].n_events[-1].min()
        return [self.share_after(name, n_events) for n_events in range(int(last) + 1)]

    def regrets(self, name: str) -> list[Figure]:
        """Return the regret summed up to each round."""
        return [self._figure(total) for total in np.nancumsum(self.reports[name].regret, axis=0)]

    def lead_after(self, name: str, other: str, n_events: int) -> Figure:
        """Return the difference of two recommenders' shares, paired by buyer."""
        return self._figure(self._shares(name, n_events) - self._shares(other, n_events))

    def regret(self, name: str, segment: str = ALL_BUYERS) -> Figure:
        """Return the regret over all rounds."""
        return self._figure(np.nansum(self.reports[name].regret[:, self.segments[segment]], axis=0))

    def _shares(self, name: str, n_events: int) -> NDArray[np.float64]:
        return self.reports[name].share_after(n_events)

    def _figure(self, values: NDArray[np.float64]) -> Figure:
        drawn = metrics.compare(values, np.zeros_like(values), np.random.default_rng(0))
        return Figure(drawn.difference, drawn.low, drawn.high)


def run_study(config: StudyConfig, report: Report = lambda fraction, step: None) -> Study:
    """Run every recommender in every market.

    Args:
        config: Sizes of the study.
        report: Called with the share done and the name of the step.

    Returns:
        The study; the same for the same config.
    """
    reports: dict[str, list[LoopReport]] = {}
    buyers: list[sim.SimulatedBuyer] = []
    position_biases = []
    for number, seed in enumerate(config.seeds):

        def of_market(fraction: float, step: str, number: int = number, seed: int = seed) -> None:
            report((number + fraction) / len(config.seeds), f"market {seed}: {step}")

        world = World(config, seed, of_market)
        buyers += world.buyers
        position_biases.append(world.training.ranker.position_bias)
        for name, one in world.run().items():
            reports.setdefault(name, []).append(one)
    return Study(
        config, {name: _joined(parts) for name, parts in reports.items()}, segments_of(buyers), position_biases
    )


class World:
    """One market, its log, and the ranker learned from it."""

    def __init__(self, config: StudyConfig, seed: int, report: Report) -> None:
        self.config, self.seed, self.report = config, seed, report
        report(0.0, "drawing cars and buyers")
        self.market: Market = build_market(config.n_listings, seed, config.anchor_year)
        all_buyers = sim.draw_buyers(config.n_buyers + config.n_others, seed, sim.Menu.of(read_specs()), read_towns())
        self.buyers, others = all_buyers[: config.n_buyers], all_buyers[config.n_buyers :]
        report(0.05, "letting the others browse")
        self.history = sim.simulate(self.market, others, config.log_events * len(others), seed)
        report(0.1, "training on their log")
        anchor = datetime(config.anchor_year, 7, 1, tzinfo=UTC).timestamp() + NOON
        self.rows = listing_rows_of(self.market, anchor)
        self.begin_s = (config.loop.n_rounds - 1) * config.loop.hours * 3600  # training uses nothing later
        self.training = self.trained(log_of(self.history, anchor, self.begin_s), anchor)
        self.vectors = self.training.ranker.vectors(self.market.table)

    def trained(self, log: MemoryLog, anchor: float) -> Training:
        loop = self.config.loop
        ranker = learn_ranker(self.rows, log.events(), self.config.training, anchor - self.begin_s)
        return Training(self.rows, ranker, self.history, anchor, loop.hours, loop.n_rounds)

    def run(self) -> dict[str, LoopReport]:
        loop = replace(self.config.loop, seed=self.seed)
        recommenders: dict[str, Recommender] = {
            SERVED: ShowAsServed(self.training),
            LOGIT: ShowAsServed(self.training, Placement(slug=HOME, sources=TASTE_ALONE), self.without_population()),
            LIKED: ShowLikeLiked(self.vectors),
            POPULAR: ShowPopular(self.opened_before()),
            RANDOM: show_random,
            LINEAR: ShowBestLinear(self.market, self.buyers, self.vectors),
            ORACLE: ShowBest(self.market, self.buyers),
        }
        reports = {}
        for number, (name, recommend) in enumerate(recommenders.items()):
            self.report(0.3 + 0.7 * number / len(recommenders), f"{name} recommends")
            reports[name] = run_loop(self.market, self.buyers, recommend, loop)
        return reports

    def without_population(self) -> Ranker:
        """Return a ranker with the same vectors, in which each preference is learned from the buyer's own events
        only."""
        nothing = MemoryLog().events()
        alone = learn_ranker(self.rows, nothing, self.config.training, self.training.anchor)
        return self.training.ranker.with_population(alone.prior, 0.0).with_scores(
            alone.score.only((UTILITY,)), alone.cold_score.only((UTILITY,))
        )

    def opened_before(self) -> NDArray[np.int64]:
        is_open = (self.history.event_kind == sim.VIEW) & (self.history.event_s > self.begin_s)
        return np.bincount(self.history.event_row[is_open], minlength=len(self.market))


def segments_of(buyers: Sequence[sim.SimulatedBuyer]) -> dict[str, NDArray[np.bool_]]:
    """Return all buyers, each type of buyer, and those with a strong position bias."""
    kinds = np.array([buyer.taste.kind for buyer in buyers])
    segments = {ALL_BUYERS: np.ones(len(buyers), bool)}
    segments |= {kind.replace("_", " "): kinds == kind for kind in np.unique(kinds).tolist()}
    segments["top of the list only"] = np.array([buyer.behaviour.position_bias >= BIASED for buyer in buyers])
    return segments


def _joined(parts: Sequence[LoopReport]) -> LoopReport:
    return LoopReport(
        *(np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("share", "regret", "n_events"))
    )
