"""Learn the weights of the score's terms from choices that the preferences were not learned from.

A posterior fits its own events too well: on those, utility would get all the weight. So the preferences are as of a
cutoff, and the choices are the same buyers' later events.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommendations.buyers.histories import SHOWN_AT_MOST, padded_lists
from recommendations.buyers.point_in_time import buyer_features_at, weights_of
from recommendations.engine.boosting import BoostingConfig, BoostingData
from recommendations.engine.demand import DEMAND_LOOKBACK_DAYS, SECONDS_A_DAY, demand_counts
from recommendations.engine.features import BuyerFeatures, Market
from recommendations.engine.score_terms import DEFAULT_WEIGHTS_FOR_COLD_BUYERS, MARKET_TERMS, TERMS, UTILITY
from recommendations.engine.scoring import LinearScore, ScoreConfig, learn_score, terms_that_do_not_help
from recommendations.engine.terms import Terms, buyer_terms, market_terms
from recommendations.events.rows import EventRows
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.training.dataset import PartedEvents, widened
from recommendations.training.learned_curves import NOTHING_LEARNED, SWITCHED_OFF, CurvesVerdict, with_curves

DAYS_AT_ONCE = 8  # of demand, which is a number for each listing and day


@dataclass(frozen=True)
class TermConfig:
    """Limits of what is learned from.

    Attributes:
        max_buyers: Random buyers with an event after the cutoff, at most.
        tests_per_buyer: Newest such events of each of them, at most.
        n_sampled: Random live listings as alternatives of a choice whose list is not known.
        seed: Of the sample of buyers.
        learns_curves: Whether terms get curves beside their weights, where these are better.
    """

    max_buyers: int = 250
    tests_per_buyer: int = 10
    n_sampled: int = 20
    seed: int = 0
    learns_curves: bool = True


class LearnedScores(NamedTuple):
    """Weights and curves of the terms for known and for cold buyers, for ``Ranker.with_scores``.

    ``n_choices`` is the number of choices they were learned from; the verdicts say whether curves are used.
    """

    known: LinearScore
    cold: LinearScore
    n_choices: int
    known_curves: CurvesVerdict = NOTHING_LEARNED
    cold_curves: CurvesVerdict = NOTHING_LEARNED

    @property
    def has_curves(self) -> bool:
        return self.known_curves.is_used or self.cold_curves.is_used

    def judged(self, is_passed: bool, reason: str) -> LearnedScores:
        """The same with a further sentence about curves, and without curves if they did not pass."""
        known_curves, cold_curves = (
            replace(verdict, is_used=is_passed, reason=f"{verdict.reason} {reason}") if verdict.is_used else verdict
            for verdict in (self.known_curves, self.cold_curves)
        )
        found = self._replace(known_curves=known_curves, cold_curves=cold_curves)
        return found if is_passed else found.weights_alone()

    def weights_alone(self) -> LearnedScores:
        return self._replace(known=self.known.without_curves(), cold=self.cold.without_curves())


def learn_terms(
    snapshot: ListingSnapshot, events: EventRows | PartedEvents, as_of: float, config: TermConfig | None = None
) -> LearnedScores:
    """Learn the weights of the score's terms by conditional logit from what buyers did after a cutoff.

    For every favourable event after the cutoff the alternatives are the list it came from or, where that is not known,
    random live listings. None are added to a known list: what was not shown was not turned down, and on a simulated
    market whose buyers ignore freshness, lists that happened to show new cars gave it a large weight. The effect of the
    position in the list is learned beside the terms (``learn_score``). Terms are as of the day of the event, except
    preference and history, which are as of the cutoff. The same choices are used for both scores: once with what was
    known of the buyer, once as if they were a cold buyer.

    Args:
        snapshot: Fitted on events before the cutoff alone, with every listing in it; its ranker has prices.
        events: The whole log, the later part included.
        as_of: Epoch seconds.
        config: See ``TermConfig``.

    Returns:
        The scores; ``LinearScore.default`` and ``default_for_cold_buyers`` when there are no choices after the cutoff.
        Weights are >= 0, and close to the default ones when choices are few.
    """
    config, events = config or TermConfig(), PartedEvents.of(events)
    there = events.parts.share(snapshot)
    later = events.gathered(buyers_who_chose, there, as_of)
    buyers = np.random.default_rng(config.seed).permutation(later)[: config.max_buyers]
    choices = Choices.joined(events.parts.map(choices_in, there, as_of, config, np.sort(buyers)).collect())
    if not len(choices):
        return LearnedScores(LinearScore.default(), LinearScore.default_for_cold_buyers(), 0)
    fill_market_terms(choices, snapshot, events, there)
    of_cold_buyers = ScoreConfig(prior=DEFAULT_WEIGHTS_FOR_COLD_BUYERS)
    boosting = BoostingConfig(seed=config.seed) if config.learns_curves else None
    known, known_curves = choices.learned(choices.known, choices.is_known, ScoreConfig(), boosting)
    cold, cold_curves = choices.learned(
        choices.as_cold_buyers,
        np.ones(len(choices), bool),
        of_cold_buyers,
        boosting and replace(boosting, band_edges=()),
    )
    return LearnedScores(known, cold, len(choices), known_curves, cold_curves)


def buyers_who_chose(events: EventRows, snapshot: ListingSnapshot, as_of: float) -> NDArray[np.int64]:
    """Return sorted ids of the buyers with a favourable event on a listing after a time."""
    return np.unique(events.buyer_ids[chosen_after(events, snapshot, as_of)])


def chosen_after(events: EventRows, snapshot: ListingSnapshot, as_of: float) -> NDArray[np.bool_]:
    rows = snapshot.stock.rows_of(events.listing_ids)
    return (events.occurred_at >= as_of) & (weights_of(events) > 0) & (rows >= 0)


def choices_in(
    events: EventRows, snapshot: ListingSnapshot, as_of: float, config: TermConfig, buyers: NDArray[np.int64]
) -> Choices:
    """Return the choices after a time of those of some buyers (sorted ids) who are in a partition."""
    return _Tests(snapshot, events, as_of, config, buyers).choices()


@dataclass(frozen=True, eq=False)
class Choices:
    """Choices of buyers, each with its alternatives.

    Attributes:
        buyer_ids, occurred_at: Of each choice, shape (n_choices,).
        is_known: Whether the buyer had a preference, shape (n_choices,).
        n_cars: Number of cars they had acted on, shape (n_choices,).
        alternatives: Rows of the alternatives, the chosen one first, -1 in padding, shape (n_choices, n_alternatives).
        positions: Their positions in the shown list, nan where unknown, same shape.
        known: Terms of every alternative, same shape each: nan in padding, and for cold buyers.
        as_cold_buyers: Terms of every alternative as for a cold buyer.
    """

    buyer_ids: NDArray[np.int64]
    occurred_at: NDArray[np.float64]
    is_known: NDArray[np.bool_]
    n_cars: NDArray[np.float64]
    alternatives: NDArray[np.intp]
    positions: NDArray[np.float64]
    known: Terms
    as_cold_buyers: Terms

    def __len__(self) -> int:
        return len(self.buyer_ids)

    @property
    def offered(self) -> NDArray[np.bool_]:
        return self.alternatives >= 0

    @classmethod
    def joined(cls, parts: Sequence[Choices]) -> Choices:
        """Concatenate the choices of several partitions, at least one."""
        width = max(part.alternatives.shape[1] for part in parts)
        return cls(
            buyer_ids=np.concatenate([part.buyer_ids for part in parts]),
            occurred_at=np.concatenate([part.occurred_at for part in parts]),
            is_known=np.concatenate([part.is_known for part in parts]),
            n_cars=np.concatenate([part.n_cars for part in parts]),
            alternatives=np.concatenate([widened(part.alternatives, width, -1) for part in parts]),
            positions=np.concatenate([widened(part.positions, width, np.nan) for part in parts]),
            known=joined_terms([part.known for part in parts], width),
            as_cold_buyers=joined_terms([part.as_cold_buyers for part in parts], width),
        )

    def learned(
        self, terms: Terms, is_used: NDArray[np.bool_], config: ScoreConfig, boosting: BoostingConfig | None
    ) -> tuple[LinearScore, CurvesVerdict]:
        """Fit weights to some of the choices, with curves where these are better; returns them and the verdict on
        curves.

        Each choice counts once, whatever its kind. A term that does not improve predictions for other buyers gets
        weight 0. Without ``boosting`` there are no curves.
        """
        used = {name: values[is_used] for name, values in terms.items()}
        chosen, offered, positions = (
            np.zeros(int(is_used.sum()), np.intp), self.offered[is_used], self.positions[is_used],
        )  # fmt: skip
        useless = terms_that_do_not_help(used, chosen, self.buyer_ids[is_used], offered, config, positions)
        config = replace(config, switched_off=useless)
        score = learn_score(used, chosen, available=offered, config=config, positions=positions)
        if boosting is None:
            return score, SWITCHED_OFF
        data = BoostingData(used, chosen, self.buyer_ids[is_used], self.n_cars[is_used], offered, positions)
        return with_curves(score, data, config, boosting)


def joined_terms(tables: Sequence[Terms], width: int) -> Terms:
    """Stack tables of several partitions, each padded with nan to a width."""
    return {name: np.concatenate([widened(table[name], width, np.nan) for table in tables]) for name in TERMS}


def fill_market_terms(
    choices: Choices, snapshot: ListingSnapshot, events: PartedEvents, there: ListingSnapshot
) -> None:
    """Fill in the terms that are the same for every buyer, as of the start of the day of each choice.

    ``there`` is the snapshot as the partitions of the events have it.
    """
    days = np.floor(choices.occurred_at / SECONDS_A_DAY)
    starts = np.unique(days) * SECONDS_A_DAY
    for start, counts in demand_by_day(events, there, starts.tolist(), len(snapshot)):
        market = Market.at(snapshot.listing_features, start, counts)
        at = np.flatnonzero(days == start / SECONDS_A_DAY)
        fill(choices.as_cold_buyers, choices.alternatives, at, partial(market_terms, market))
    for name in MARKET_TERMS:
        choices.known[name] = choices.as_cold_buyers[name]


def demand_by_day(
    events: PartedEvents, there: ListingSnapshot, times: list[float], n_rows: int
) -> Iterator[tuple[float, NDArray[np.float64]]]:
    """Yield the demand for each row before some times (ascending), a few at a time."""
    asked = events.parts.map(events_of_demand, there, times[0], times[-1])
    for begin in range(0, len(times), DAYS_AT_ONCE):
        some = times[begin : begin + DAYS_AT_ONCE]
        yield from zip(some, asked.total_of(demand_at_each, operator.add, some, n_rows), strict=True)


def events_of_demand(
    events: EventRows, snapshot: ListingSnapshot, first: float, last: float
) -> dict[str, NDArray[Any]]:
    """Return the inputs of ``demand_counts`` for the events that count at some time between two."""
    is_read = (events.occurred_at >= first - DEMAND_LOOKBACK_DAYS * SECONDS_A_DAY) & (events.occurred_at < last)
    events = events.take(is_read)
    return {
        "listing_rows": snapshot.stock.rows_of(events.listing_ids),
        "occurred_at": events.occurred_at,
        "weights": weights_of(events),
        "buyer_ids": events.buyer_ids,
    }


def demand_at_each(asked: dict[str, NDArray[Any]], times: list[float], n_rows: int) -> NDArray[np.float64]:
    """Return the demand for each row at each time, shape (n_times, n_rows)."""
    return np.array([demand_counts(as_of=time, n_rows=n_rows, **asked) for time in times])


def fill(
    table: Terms,
    alternatives: NDArray[np.intp],
    choices: NDArray[np.intp],
    terms_of: Callable[[NDArray[np.intp]], Terms],
) -> None:
    """Compute terms of all alternatives of some choices, together."""
    at, alternative = np.nonzero(alternatives[choices] >= 0)
    for name, values in terms_of(alternatives[choices[at], alternative]).items():
        table[name][choices[at], alternative] = values


class _Tests:
    """Events after the cutoff, each with its alternatives and the buyer's features as of the cutoff."""

    def __init__(
        self,
        snapshot: ListingSnapshot,
        events: EventRows,
        as_of: float,
        config: TermConfig,
        buyers: NDArray[np.int64],
    ) -> None:
        self.snapshot, self.config = snapshot, config
        later = events.take(chosen_after(events, snapshot, as_of))
        self.tests = later.of_buyers(buyers).newest_per_buyer(config.tests_per_buyer)
        self.alternatives, self.positions = self._alternatives()
        self.features_by_buyer = buyer_features_at(snapshot, events, np.unique(self.tests.buyer_ids), as_of)

    def choices(self) -> Choices:
        buyer_ids = self.tests.buyer_ids
        known, as_cold_buyers = self.terms()
        return Choices(
            buyer_ids=buyer_ids,
            occurred_at=self.tests.occurred_at,
            is_known=np.array([self.features_by_buyer[key].is_personal for key in buyer_ids.tolist()], bool),
            n_cars=np.array([self.features_by_buyer[key].n_cars for key in buyer_ids.tolist()], np.float64),
            alternatives=self.alternatives,
            positions=self.positions,
            known=known,
            as_cold_buyers=as_cold_buyers,
        )

    def terms(self) -> tuple[Terms, Terms]:
        """Return terms of known buyers, and as of cold buyers, each of shape (n_choices, n_alternatives).

        nan in padding; for known buyers also nan in choices of cold ones.
        """
        known, as_cold_buyers = self._nothing(), self._nothing()
        for buyer_id in np.unique(self.tests.buyer_ids).tolist():
            at = np.flatnonzero(self.tests.buyer_ids == buyer_id)
            own = self.features_by_buyer[buyer_id]
            cold = BuyerFeatures(self.snapshot.ranker.prior.mean, location=own.location)
            fill(as_cold_buyers, self.alternatives, at, partial(self._of_buyer, cold))
            if own.is_personal:
                fill(known, self.alternatives, at, partial(self._of_buyer, own))
        return known, as_cold_buyers

    def _nothing(self) -> Terms:
        return {name: np.full(self.alternatives.shape, np.nan) for name in TERMS}

    def _of_buyer(self, buyer_features: BuyerFeatures, rows: NDArray[np.intp]) -> Terms:
        listing_features = self.snapshot.listing_features
        return {
            UTILITY: buyer_features.utilities(listing_features.vectors[rows])[0],
            **buyer_terms(self.snapshot.ranker, listing_features, buyer_features, rows),
        }

    def _alternatives(self) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return rows of the alternatives, the chosen one first, -1 in padding; and their positions in the list shown.

        Both of shape (n_choices, n_alternatives); a position is nan where it is unknown.
        """
        stock, n = self.snapshot.stock, self.config.n_sampled
        chosen = stock.rows_of(self.tests.listing_ids)
        beside = self.tests.shown_beside(SHOWN_AT_MOST)
        rows = stock.rows_of(beside.listing_ids)
        shown = padded_lists(self.tests.ids, beside.event_ids, rows)
        positions = padded_lists(self.tests.ids, beside.event_ids, rows, beside.positions, fill=1)
        sampled = stock.samples_live(self.tests.occurred_at, n, self.tests.ids)
        width = max(shown.shape[1], n)
        shown, sampled, positions = (widened(each, width, -1) for each in (shown, sampled, positions))
        is_shown = np.asarray((shown >= 0).any(axis=1), np.bool_)
        others = np.where(is_shown[:, None], shown, sampled)
        own_position = np.full(len(self.tests), np.nan)
        first = np.searchsorted(beside.event_ids, self.tests.ids[is_shown])
        own_position[is_shown] = beside.chosen_positions[first]
        beside_it = np.where(is_shown[:, None] & (shown >= 0), positions, np.nan)
        alternatives = np.column_stack([chosen, np.where(others == chosen[:, None], -1, others)])
        return alternatives, np.column_stack([own_position, beside_it])
