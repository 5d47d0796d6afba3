"""How recommenders fare in the closed loop: ours beside simpler ones, over several made-up markets.

Each market is drawn with its buyers. Most of them leave a log, from which a training learns the population; the others
are new, and every recommender under test meets the same ones. Figures are means over these buyers of all markets, with
bootstrap intervals over buyers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.encoder import EncoderConfig, fit_encoder
from recommendations.engine.taste import PriorConfig
from recommendations.metrics import ranking as metrics
from recommendations.simulation import browsing as sim
from recommendations.simulation.car_specs import read_specs
from recommendations.simulation.closed_loop import (
    LoopConfig,
    LoopReport,
    Recommender,
    ShowBest,
    ShowLikeLiked,
    ShowPopular,
    run_loop,
    show_random,
)
from recommendations.simulation.learners import LearnerConfig, ShowByTaste, learn_population
from recommendations.simulation.market import Market, build_market, read_towns

Report = Callable[[float, str], None]

TASTE, LIKED, POPULAR, RANDOM, ORACLE = "taste", "average of opened", "popular", "random", "oracle"
ALL_BUYERS = "everybody"
BIASED = 0.6  # aversion to lower places from which a buyer hardly looks beyond the top: a fifth of them


@dataclass(frozen=True)
class StudyConfig:
    """What is simulated.

    Attributes:
        n_listings: Cars of each market, five sixths of them for sale.
        n_buyers: New buyers under test, in each market.
        n_others: Buyers who left a log before.
        log_events: Events of that log for each of them, on average.
        seeds: One market each.
        anchor_year: Of the market; see ``build_market``.
        loop: How the loop runs; its seed is replaced by the market's.
        learner: How ours learns.
        encoder: Of the listing vectors.
        prior: How the population is learned.
        events: Figures are reported after so many events of a buyer.
    """

    n_listings: int = 10_000
    n_buyers: int = 200
    n_others: int = 1_000
    log_events: int = 100
    seeds: tuple[int, ...] = (1, 2, 3)
    anchor_year: int = 2026
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(n_rounds=21))
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
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
    """What came of it; buyers of all markets side by side.

    Attributes:
        config: As asked.
        reports: One ``LoopReport`` for each recommender, shape (n_rounds, n_buyers of all markets).
        segments: Name -> which buyers, bool, shape (n_buyers,).
        position_biases: As learned in each market.
    """

    config: StudyConfig
    reports: Mapping[str, LoopReport]
    segments: Mapping[str, NDArray[np.bool_]]
    position_biases: Sequence[float]

    def share_after(self, name: str, n_events: int, segment: str = ALL_BUYERS) -> Figure:
        """Share of the oracle's utility in the first list after so many events."""
        return self._figure(self._shares(name, n_events)[self.segments[segment]])

    def shares(self, name: str) -> list[Figure]:
        """``share_after`` 0, 1, 2 … events, as far as everybody got."""
        last = self.reports[name].n_events[-1].min()
        return [self.share_after(name, n_events) for n_events in range(int(last) + 1)]

    def regrets(self, name: str) -> list[Figure]:
        """Regret summed up to each round."""
        return [self._figure(total) for total in np.nancumsum(self.reports[name].regret, axis=0)]

    def lead_after(self, name: str, other: str, n_events: int) -> Figure:
        """By how much the one's share is higher than the other's, buyer by buyer."""
        return self._figure(self._shares(name, n_events) - self._shares(other, n_events))

    def regret(self, name: str, segment: str = ALL_BUYERS) -> Figure:
        """Regret of all rounds together: utility per place that the best lists would have had more."""
        return self._figure(np.nansum(self.reports[name].regret[:, self.segments[segment]], axis=0))

    def _shares(self, name: str, n_events: int) -> NDArray[np.float64]:
        return self.reports[name].share_after(n_events)

    def _figure(self, values: NDArray[np.float64]) -> Figure:
        drawn = metrics.compare(values, np.zeros_like(values), np.random.default_rng(0))
        return Figure(drawn.difference, drawn.low, drawn.high)


def run_study(config: StudyConfig, report: Report = lambda fraction, step: None) -> Study:
    """Run every recommender in every market.

    Args:
        config: What to simulate.
        report: Called with the share done and what is being done.

    Returns:
        The study; the same for the same config.
    """
    reports: dict[str, list[LoopReport]] = {}
    buyers: list[sim.SimulatedBuyer] = []
    position_biases = []
    for number, seed in enumerate(config.seeds):

        def of_market(fraction: float, step: str, number: int = number, seed: int = seed) -> None:
            report((number + fraction) / len(config.seeds), f"market {seed}: {step}")

        world = _World(config, seed, of_market)
        buyers += world.buyers
        position_biases.append(world.population.position_bias)
        for name, one in world.run().items():
            reports.setdefault(name, []).append(one)
    return Study(
        config, {name: _joined(parts) for name, parts in reports.items()}, segments_of(buyers), position_biases
    )


class _World:
    """One market, its log, and what was learned from it."""

    def __init__(self, config: StudyConfig, seed: int, report: Report) -> None:
        self.config, self.seed, self.report = config, seed, report
        report(0.0, "drawing cars and buyers")
        self.market: Market = build_market(config.n_listings, seed, config.anchor_year)
        all_buyers = sim.draw_buyers(config.n_buyers + config.n_others, seed, sim.Menu.of(read_specs()), read_towns())
        self.buyers, others = all_buyers[: config.n_buyers], all_buyers[config.n_buyers :]
        report(0.05, "letting the others browse")
        self.history = sim.simulate(self.market, others, config.log_events * len(others), seed)
        self.encoder = fit_encoder(self.market.table, config.encoder)
        self.vectors = self.encoder.encode(self.market.table)
        report(0.1, "learning the population")
        self.begin_s = (config.loop.n_rounds - 1) * config.loop.hours * 3600  # nothing later is known in advance
        self.population = learn_population(self.market, self.history, self.vectors, self.begin_s, config.prior)

    def run(self) -> dict[str, LoopReport]:
        loop = replace(self.config.loop, seed=self.seed)
        recommenders: dict[str, Recommender] = {
            TASTE: ShowByTaste(self.market, self.encoder, self.population, self.config.learner),
            LIKED: ShowLikeLiked(self.vectors),
            POPULAR: ShowPopular(self.opened_before()),
            RANDOM: show_random,
            ORACLE: ShowBest(self.market, self.buyers),
        }
        reports = {}
        for number, (name, recommend) in enumerate(recommenders.items()):
            self.report(0.3 + 0.7 * number / len(recommenders), f"{name} recommends")
            reports[name] = run_loop(self.market, self.buyers, recommend, loop)
        return reports

    def opened_before(self) -> NDArray[np.int64]:
        is_open = (self.history.event_kind == sim.VIEW) & (self.history.event_s > self.begin_s)
        return np.bincount(self.history.event_row[is_open], minlength=len(self.market))


def segments_of(buyers: Sequence[sim.SimulatedBuyer]) -> dict[str, NDArray[np.bool_]]:
    """Everybody, each type of buyer, and those who hardly look beyond the top of a list."""
    kinds = np.array([buyer.taste.kind for buyer in buyers])
    segments = {ALL_BUYERS: np.ones(len(buyers), bool)}
    segments |= {kind.replace("_", " "): kinds == kind for kind in np.unique(kinds).tolist()}
    segments["top of the list only"] = np.array([buyer.behaviour.position_bias >= BIASED for buyer in buyers])
    return segments


def _joined(parts: Sequence[LoopReport]) -> LoopReport:
    return LoopReport(
        *(np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("share", "regret", "n_events"))
    )
