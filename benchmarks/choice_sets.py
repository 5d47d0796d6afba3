"""What should stand beside a choice, and whom the population is learned from: lists that buyers ask for, each way.

    python -m benchmarks.choice_sets [--listings 3000] [--buyers 40] [--others 200] [--rounds 11] [--seeds 1 2]

Every list is a search of the buyer, who opens one car of it: two events a round. What buyers see therefore does not
depend on what is recommended, and every way learns from the same events. The share is that of ``simulate``, of the list
the site would serve, exploration, variety and stated wishes included; the interval holds 95% of bootstrap samples of
the buyers. ``learn`` is the processor time of a training, ``event`` that of a preference in the last round.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings_offline")

import django

django.setup()

import numpy as np  # noqa: E402
from django.test import override_settings  # noqa: E402

from recommendations.engine.ranker import Ranker  # noqa: E402
from recommendations.simulation.closed_loop import LoopConfig, run_loop  # noqa: E402
from recommendations.simulation.learners import FIRST_BUYER, ShowAsServed, log_of  # noqa: E402
from recommendations.simulation.loop_study import StudyConfig, World  # noqa: E402
from recommendations.simulation.site import MemoryIndex, learn_ranker  # noqa: E402
from recommendations.training.dataset import PartedEvents  # noqa: E402
from recommendations.training.learning import learn_prior  # noqa: E402
from recommendations.training.parameters import TrainingParameters  # noqa: E402

EVENTS = (0, 1, 5, 20)
FEW = 50  # buyers, of whom a population is learned
Ways = dict[str, tuple[int, Callable[[World], Ranker]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, usual in (("listings", 3_000), ("buyers", 40), ("others", 200), ("rounds", 11)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    asked = parser.parse_args()
    loop = LoopConfig(n_rounds=asked.rounds, search_share=1.0)
    config = StudyConfig(asked.listings, asked.buyers, asked.others, loop=loop, events=(0,))
    worlds = [World(config, seed, lambda fraction, step: None) for seed in asked.seeds]
    print(f"{'':<38}" + "".join(f"{n:>24}" for n in EVENTS) + f"{'learn':>9}{'event':>10}")
    for name, (n_unseen, learn) in ways().items():
        shares, learn_seconds, event_seconds = zip(
            *(one_market(world, n_unseen, learn) for world in worlds), strict=True
        )
        figures = [formatted(np.concatenate(of_markets)) for of_markets in zip(*shares, strict=True)]
        cost = f"{np.mean(learn_seconds):>7.1f} s{1e3 * np.mean(event_seconds):>7.1f} ms"
        print(f"{name:<38}" + "".join(f"{figure:>24}" for figure in figures) + cost, flush=True)


def ways() -> Ways:
    """By name: cars beside a condition of a search where a preference is learned, and how the ranker is."""
    usual = TrainingParameters()
    found: Ways = {
        f"{n} cars beside a condition": (n, partial(learned, parameters=replace(usual, sampled_alternatives=n)))
        for n in (20, 50, 100, 5)
    }
    found["20, position offsets off"] = (20, without_offsets)
    found[f"20, population of {FEW} drawn"] = (20, partial(learned, parameters=replace(usual, prior_buyers=FEW)))
    found[f"20, population of the {FEW} busiest"] = (20, of_the_busiest)
    return found


def learned(world: World, parameters: TrainingParameters) -> Ranker:
    log = log_of(world.history, world.training.anchor, world.begin_s)
    return learn_ranker(world.rows, log.events(), parameters, world.training.anchor - world.begin_s)


def without_offsets(world: World) -> Ranker:
    """Whatever stood on top, the choice is read as if all had been seen alike."""
    return world.training.ranker.with_population(world.training.ranker.prior, 0.0)


def of_the_busiest(world: World) -> Ranker:
    """The population of the buyers with the most events, in place of a sample of all."""
    ranker = world.training.ranker
    log = log_of(world.history, world.training.anchor, world.begin_s).events()
    buyers, counts = np.unique(log.buyer_ids, return_counts=True)
    busiest = log.of_buyers(np.sort(buyers[np.argsort(-counts, kind="stable")[:FEW]]))
    index = MemoryIndex(ranker, world.rows)
    until = datetime.fromtimestamp(float(busiest.occurred_at.max()), UTC)
    prior, bias = learn_prior(index, PartedEvents.of(busiest), TrainingParameters(), until)
    return ranker.with_population(prior, bias)


def one_market(
    world: World, n_unseen: int, learn: Callable[[World], Ranker]
) -> tuple[Sequence[np.ndarray], float, float]:
    """Shares after so many events, each of shape (n_buyers,); seconds of the training, and of one preference."""
    begin = time.process_time()
    served = ShowAsServed(replace(world.training, ranker=learn(world)))
    learn_seconds = time.process_time() - begin
    with override_settings(CHOICE_SET_SAMPLE=n_unseen):
        report = run_loop(world.market, world.buyers, served, replace(world.config.loop, seed=world.seed))
        site, now = served.site, world.training.anchor
        site._known.clear()
        index, buyer_ids = site.index.as_of(now), [FIRST_BUYER + number for number in range(len(world.buyers))]
        begin = time.process_time()
        site.update_preferences(buyer_ids, index, now)
        event_seconds = (time.process_time() - begin) / len(buyer_ids)
    return [report.share_after(n) for n in EVENTS], learn_seconds, event_seconds


def formatted(shares: np.ndarray) -> str:
    drawn = np.random.default_rng(0).choice(shares, (1_000, len(shares))).mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"{shares.mean():.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
