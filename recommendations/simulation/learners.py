"""The taste model alone as a player of the closed loop, in choice sets made from the simulation's own lists.

``learn_population`` reads the log of other buyers; ``ShowByTaste`` then learns from nothing but the lists it made
itself and what was done with them: a posterior for each buyer after each event (``taste``), utilities of everything for
sale, and a list by the rules of a placement (``policy``). The posterior and the policy are those that serve the site.
The rest is not: choices are built here and not by ``buyers.histories``, the score is the utility without the other
terms, vectors have no collaborative part, and no source but the taste proposes candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.choice_sets import ChoiceSets, event_weights, position_offsets
from recommendations.engine.encoder import Encoder
from recommendations.engine.policy import ListPolicy, Pool, build_list, intent_phase, price_bands
from recommendations.engine.taste import Prior, PriorConfig, Taste, draw, fit_prior, posterior, tastes
from recommendations.simulation import browsing as sim
from recommendations.simulation.closed_loop import Round, Search
from recommendations.simulation.market import Market
from recommendations.simulation.true_taste import Floats, Rows

Vectors = NDArray[np.float32]

NEWEST_EVENTS = 60  # of each buyer of the log
INTENT_SAMPLE = 2_000  # live cars from which to tell how settled a buyer is


@dataclass(frozen=True, eq=False)
class Population:
    """What a training knows before a buyer comes.

    Attributes:
        prior: Tastes of the population, over the dimensions of the listing vectors.
        position_bias: Logits that a car loses with each doubling of its place in a list; see ``position_offsets``.
    """

    prior: Prior
    position_bias: float


def learn_population(
    market: Market, history: sim.History, vectors: Vectors, until_s: float, config: PriorConfig | None = None
) -> Population:
    """Learn the prior, and how much the top of a list is favoured, from the log of some buyers.

    The place is one more feature of whatever stands in a list, so the same EM finds the mean of the population's
    aversion to lower places; taste is what remains.

    Args:
        market: Whose listings the log is about.
        history: The log. Searches are left out: what they say of the population is in the lists they brought.
        vectors: Features of all listings, shape (n_listings, n_dims).
        until_s: Events later than so many seconds before the anchor are not known yet.
        config: See ``PriorConfig``.

    Returns:
        The population; ``fit_prior``'s neutral one, and no aversion, from a log without events.
    """
    n_dims = vectors.shape[1]
    buyers = [_choices_from_lists(history, events, vectors) for events in _events_of_buyers(history, until_s)]
    both = fit_prior(buyers, n_dims + 1, config)
    prior = Prior(both.mean[:n_dims], both.covariance[:n_dims, :n_dims])
    return Population(prior, max(0.0, -float(both.mean[n_dims])))


def _events_of_buyers(history: sim.History, until_s: float) -> Iterator[Rows]:
    """Positions of each buyer's newest events on cars that were over by then, oldest first."""
    positions = np.flatnonzero((history.event_kind != sim.SEARCH) & (history.event_s > until_s))
    positions = positions[np.argsort(history.event_buyer[positions], kind="stable")]
    _, starts = np.unique(history.event_buyer[positions], return_index=True)
    for events in np.split(positions, starts[1:]):
        if len(events):
            yield events[-NEWEST_EVENTS:]


def _choices_from_lists(history: sim.History, events: Rows, vectors: Vectors) -> ChoiceSets:
    """Choices out of the lists as they were shown, with the logarithm of the place as one more feature."""
    shown = history.list_rows[history.event_list[events]]
    positions = np.broadcast_to(np.log2(np.arange(1, shown.shape[1] + 1)), shown.shape)
    features = np.concatenate([vectors[shown], positions[:, :, None].astype(np.float32)], axis=2)
    is_against = history.event_kind[events] == sim.DISLIKE
    features[is_against, :, -1] *= -1  # the position bias is the same for both, see ChoiceSets.offsets
    return ChoiceSets(
        features, history.event_position[events] - 1, reverse=is_against, available=shown != sim.NOTHING
    )  # fmt: skip


@dataclass(frozen=True)
class LearnerConfig:
    """How ``ShowByTaste`` learns and shows.

    Attributes:
        policy: Rules of the lists, as a placement has them unless given otherwise; its k is replaced by the loop's.
        n_beside_search: Random live listings that do not meet a condition of a search, to hold against those that do.
        half_life_days: After this long an event counts half.
        n_pool: Best listings that the policy chooses from, exploring ones too: a draw from the belief that ranks all of
            the stock shows cars that are of no use to any buyer, and taught no more when tried.
        max_tastes: Above 1, a buyer may have several; see ``taste.tastes``.
    """

    policy: ListPolicy = field(
        default_factory=lambda: ListPolicy(
            diversity=0.05, max_per_model=8, max_per_seller=10, exploration_share=0.05, fresh_share=0.05
        )
    )
    n_beside_search: int = 60
    half_life_days: float = 30.0
    n_pool: int = 100
    max_tastes: int = 1

    def __post_init__(self) -> None:
        for name in ("n_beside_search", "n_pool", "max_tastes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.half_life_days > 0:
            raise ValueError(f"half_life_days must be positive, not {self.half_life_days}")


class ShowByTaste:
    """The hierarchical taste model, for ``run_loop``; learns for one loop, so a new one is needed for each."""

    def __init__(
        self, market: Market, encoder: Encoder, population: Population, config: LearnerConfig | None = None
    ) -> None:
        self.vectors, self.population, self.config = encoder.encode(market.table), population, config or LearnerConfig()
        self.parts = {name: encoder.encode_field(market.table, name) for name in ("price", *sim.QUERY_FIELDS)}
        _, self.models = np.unique([f"{a}/{b}" for a, b in zip(market.table.make, market.table.model, strict=True)],
                                   return_inverse=True)  # fmt: skip
        self.codes = [_codes(market.table.make), _codes(market.table.body), price_bands(market.table.price)]
        _, self.sellers = np.unique(market.seller_key.astype(str), return_inverse=True)
        self.events: dict[int, list[_Event]] = {}
        self.known: dict[int, Taste] = {}

    def __call__(self, asked: Round) -> Rows:
        lists = np.full((asked.n_buyers, asked.k), -1)
        for buyer in range(asked.n_buyers):
            if asked.number:
                self.remember(buyer, asked)
            rows = self.list_for(buyer, asked)
            lists[buyer, : len(rows)] = rows
        return lists

    def remember(self, buyer: int, asked: Round) -> None:
        """Keep what was done with the last list as choices, in front of what they were made from."""
        events = self.events.setdefault(buyer, [])
        if (searched := asked.searched[-1][buyer]) is not None:
            events += self.choices_of_search(searched, asked)
        shown = asked.shown[-1, buyer]
        shown = shown[shown >= 0]
        offsets = position_offsets(np.arange(1, len(shown) + 1), self.population.position_bias)
        for row in asked.chosen[-1, buyer]:
            if row >= 0:
                chosen = int(np.flatnonzero(shown == row)[0])
                events.append(_Event(asked.number - 1, self.vectors[shown], chosen, offsets))

    def choices_of_search(self, searched: Search, asked: Round) -> Iterator[_Event]:
        """Each condition is a choice in one field: what meets it, on average, over what does not, all else equal.

        Whole cars would say more than the buyer did: those that were not searched for have other makes, ages and
        mileages too.
        """
        for field_name, rows in searched.items():
            others = np.setdiff1d(asked.live, rows)
            if len(rows) and len(others):
                others = asked.rng.choice(others, min(self.config.n_beside_search, len(others)), replace=False)
                part = self.parts[field_name]
                features = np.vstack([part[rows].mean(axis=0), part[others]])
                yield _Event(asked.number - 1, features, 0, np.zeros(len(features)))

    def list_for(self, buyer: int, asked: Round) -> Rows:
        stock = self.vectors[asked.live]
        taste, scores = self.learn_and_score(buyer, asked, stock)
        policy = self.policy_for(buyer, asked, scores)
        best = np.argpartition(-scores, min(self.config.n_pool, len(scores)) - 1)[: self.config.n_pool]
        sampled_scores = None
        if policy.exploration_share and self.events.get(buyer):
            sampled_scores = _utilities(stock[best], draw(taste, asked.rng, policy.n_draws).T)
        rows = asked.live[best]
        pool = Pool(scores[best], stock[best], self.models[rows], self.sellers[rows], sampled_scores)  # type: ignore[arg-type]
        return rows[build_list(pool, policy, asked.rng).rows]

    def policy_for(self, buyer: int, asked: Round, scores: Floats) -> ListPolicy:
        """The rules as they suit this buyer: how settled they are."""
        policy = replace(self.config.policy, k=asked.k)
        if not self.events.get(buyer):
            return policy
        some = np.arange(0, len(scores), max(1, len(scores) // INTENT_SAMPLE))
        intent = intent_phase(scores[some], [codes[asked.live[some]] for codes in self.codes])
        return policy.for_intent(intent)

    def learn_and_score(self, buyer: int, asked: Round, stock: Vectors) -> tuple[Taste, Floats]:
        """The main taste of a buyer and the score of everything for sale."""
        events = self.events.get(buyer)
        if not events:
            prior = self.population.prior
            return Taste(prior.mean, prior.covariance), _utilities(stock, prior.mean)
        sets = self.choices(events, asked.age_days)
        if self.config.max_tastes == 1:
            taste = self.known[buyer] = posterior(sets, self.population.prior, start=self.known.get(buyer))
            return taste, _utilities(stock, taste.mean)
        found = tastes(sets, self.population.prior, self.config.max_tastes)
        return found[0][1], _best_of(found, stock)

    def choices(self, events: list[_Event], age_days: Floats) -> ChoiceSets:
        ages = age_days[[event.number for event in events]]
        weights, _ = event_weights(np.ones(len(events)), ages, self.config.half_life_days)
        return ChoiceSets.from_ragged(
            [event.features for event in events],
            [event.chosen for event in events],
            weights,
            offsets=[event.offsets for event in events],
        )


@dataclass(frozen=True, eq=False)
class _Event:
    """A choice: in which round, among what (n_alternatives, n_dims), which of them, and what else spoke for each."""

    number: int
    features: Vectors
    chosen: int
    offsets: Floats


def _codes(names: NDArray) -> Rows:
    """A number for each name; -1 for none."""
    levels, codes = np.unique(names.astype(str), return_inverse=True)
    return np.where(levels[codes] == "", -1, codes)


def _utilities(stock: Vectors, weights: Floats) -> Floats:
    return (stock @ weights.astype(np.float32)).astype(np.float64)


def _best_of(found: list[tuple[float, Taste]], stock: Vectors) -> Floats:
    """A car is worth what it is worth to the taste it suits best, each on the scale of its own chances."""
    scores = []
    for share, taste in found:
        utilities = _utilities(stock, taste.mean)
        highest = utilities.max()
        scores.append(utilities - highest - np.log(np.mean(np.exp(utilities - highest))) + np.log(share))
    return np.max(scores, axis=0)
