"""How much of the planted truth is there to be found in a simulated market, and how much of it is found.

    python -m benchmarks.planted_truth [--listings 10000] [--buyers 1000] [--events 100000] [--seed 1] [--tested 200]

Prints the share of an oracle's utility (its best 20 live listings; 0 is a random list) that these collect:

* the ceiling: the best linear score in the encoder's dimensions, fitted to the true utility itself (ridge);
* the hierarchical logit after 0, 1, 5 and 20 events, its prior learned from other buyers;
* popularity among the live listings, and the average of the cars chosen in the same 20 events.

Needs no database. Quartiles are over buyers.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.encoder import EncoderConfig, fit_encoder
from recommendations.engine.taste import Prior, fit_prior, posterior
from recommendations.simulation import browsing as sim
from recommendations.simulation.car_specs import read_specs
from recommendations.simulation.market import Market, build_market, read_towns

WEIGHTS = {sim.VIEW: 1.0, sim.FAVOURITE: 3.0, sim.CONTACT: 4.0, sim.DISLIKE: 2.0}
N_SAMPLED = 40  # random live listings beside each choice
K = 20


@dataclass
class World:
    market: Market
    buyers: list[sim.SimulatedBuyer]
    history: sim.History
    vectors: NDArray[np.float32]
    events_of: list[NDArray[np.int64]]

    @property
    def live(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.market.status == "live")


def build_world(arguments: argparse.Namespace) -> World:
    market = build_market(arguments.listings, arguments.seed, 2026)
    buyers = sim.draw_buyers(arguments.buyers, arguments.seed, sim.Menu.of(read_specs()), read_towns())
    started = time.perf_counter()
    history = sim.simulate(market, buyers, arguments.events, arguments.seed)
    print(f"{history.n_events} events, {history.n_lists} lists in {time.perf_counter() - started:.1f} s")
    started = time.perf_counter()
    encoder = fit_encoder(market.table, EncoderConfig())
    vectors = encoder.encode(market.table)
    print(f"encoded into {vectors.shape[1]} dimensions in {time.perf_counter() - started:.1f} s")
    tasteful = np.flatnonzero(history.event_kind != sim.SEARCH)
    by_buyer = np.argsort(history.event_buyer[tasteful], kind="stable")
    ends = np.cumsum(np.bincount(history.event_buyer[tasteful], minlength=len(buyers)))
    return World(market, buyers, history, vectors, np.split(tasteful[by_buyer], ends[:-1]))


def choice_sets(world: World, events: NDArray[np.int64], rng: np.random.Generator) -> ChoiceSets:
    """The list each event came from, and a random sample of what was for sale; half-lives left out for clarity."""
    if not len(events):
        return ChoiceSets.empty(world.vectors.shape[1])
    history, alternatives = world.history, []
    for event in events:
        row = history.event_row[event]
        shown = history.list_rows[history.event_list[event]]
        sample = rng.integers(len(world.market), size=4 * N_SAMPLED)
        sample = sample[world.market.is_on_sale(sample, history.event_s[event])][:N_SAMPLED]
        others = np.concatenate([shown[(shown != row) & (shown != sim.NOTHING)], sample[sample != row]])
        alternatives.append(world.vectors[np.concatenate([[row], others])])
    kinds = history.event_kind[events]
    return ChoiceSets.from_ragged(
        alternatives,
        chosen=np.zeros(len(events), int),
        weights=np.array([WEIGHTS[kind] for kind in kinds]),
        reverse=kinds == sim.DISLIKE,
    )


def share_of(world: World, worth: NDArray, scores: NDArray) -> float:
    return sim.oracle_share(worth, np.argsort(-scores, kind="stable")[:K], K)


def ceilings(world: World, tested: NDArray) -> list[float]:
    features = world.vectors[world.live].astype(np.float64)
    features -= features.mean(axis=0)
    gram = features.T @ features + 1e-3 * np.eye(features.shape[1])
    coded = sim.CodedTable(world.market.table).take(world.live)
    shares = []
    for number in tested:
        worth = sim.utility(world.buyers[number].taste, coded)
        weights = np.linalg.solve(gram, features.T @ (worth - worth.mean()))
        shares.append(share_of(world, worth, features @ weights))
    return shares


def recoveries(world: World, tested: NDArray, prior: Prior, n_events: int) -> dict[str, list[float]]:
    coded = sim.CodedTable(world.market.table).take(world.live)
    vectors = world.vectors[world.live]
    popularity = np.bincount(
        world.history.event_row[world.history.event_kind != sim.SEARCH], minlength=len(world.market)
    )[world.live]
    random = np.random.default_rng(0)
    shares: dict[str, list[float]] = {"logit": [], "average": [], "popular": [], "random": []}
    for number in tested:
        events = world.events_of[number][-n_events:] if n_events else world.events_of[number][:0]
        worth = sim.utility(world.buyers[number].taste, coded)
        taste = posterior(choice_sets(world, events, np.random.default_rng(int(number))), prior)
        shares["logit"].append(share_of(world, worth, vectors @ taste.mean))
        shares["popular"].append(share_of(world, worth, popularity))
        shares["random"].append(share_of(world, worth, random.random(len(worth))))
        chosen = world.history.event_row[events[world.history.event_kind[events] != sim.DISLIKE]]
        if len(chosen):
            shares["average"].append(share_of(world, worth, cosine(vectors, world.vectors[chosen].mean(axis=0))))
    return shares


def cosine(vectors: NDArray, vector: NDArray) -> NDArray:
    return vectors @ vector / np.maximum(np.linalg.norm(vectors, axis=1), 1e-9)


def describe(name: str, shares: list[float]) -> None:
    if shares:
        low, median, high = np.percentile(shares, [25, 50, 75])
        print(f"  {name:<28} mean {np.mean(shares):.3f}   quartiles {low:.3f} {median:.3f} {high:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listings", type=int, default=10_000)
    parser.add_argument("--buyers", type=int, default=1_000)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tested", type=int, default=200)
    parser.add_argument("--learned-from", type=int, default=300, help="Other buyers, for the prior.")
    parser.add_argument("--events-for-prior", type=int, default=60, help="The newest of each other buyer.")
    arguments = parser.parse_args()

    world = build_world(arguments)
    active = np.array([number for number, events in enumerate(world.events_of) if len(events) >= K])
    tested, others = active[: arguments.tested], np.setdiff1d(np.arange(len(world.buyers)), active[: arguments.tested])
    describe("ceiling (ridge on the truth)", ceilings(world, tested))
    started = time.perf_counter()
    learned_from = [
        choice_sets(world, world.events_of[number][-arguments.events_for_prior :], np.random.default_rng(int(number)))
        for number in others[: arguments.learned_from]
    ]
    prior = fit_prior(learned_from, world.vectors.shape[1])
    print(f"  prior learned from {len(learned_from)} buyers in {time.perf_counter() - started:.1f} s")
    for n_events in (0, 1, 5, 20):
        print(f"after {n_events} events, {len(tested)} buyers:")
        for name, shares in recoveries(world, tested, prior, n_events).items():
            describe(name, shares)
    kinds = np.array([world.buyers[number].taste.kind for number in tested])
    shares = np.array(recoveries(world, tested, prior, K)["logit"])
    print("by type of buyer:", {kind: round(float(shares[kinds == kind].mean()), 3) for kind in np.unique(kinds)})
    print(f"market: {len(world.live)} live of {len(world.market)}")


if __name__ == "__main__":
    main()
