"""What each term of the score is worth, learned from choices that the taste has not seen.

A posterior explains the events it was made of too well: learned on them, utility would take all. So the tastes are
those of a moment, and the choices are what the same buyers did after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommendations.buyers.histories import SHOWN_AT_MOST, padded_lists
from recommendations.buyers.point_in_time import buyer_features_at, weights_of
from recommendations.engine.score_terms import DEFAULT_WEIGHTS_FOR_COLD_BUYERS, MARKET_TERMS, TERMS, UTILITY
from recommendations.engine.scoring import LinearScore, ScoreConfig, learn_score, terms_that_do_not_help
from recommendations.engine.terms import SECONDS_A_DAY, BuyerFeatures, Market, Terms, buyer_terms, demand_counts
from recommendations.events.rows import EventRows
from recommendations.listings.snapshot import ListingSnapshot


@dataclass(frozen=True)
class TermConfig:
    """How much is learned from.

    Attributes:
        max_buyers: Buyers with an event after the moment, drawn at random.
        tests_per_buyer: Of each of them, at most so many of the newest such events are choices to learn from.
        n_sampled: Random live listings that stand for the list a choice was made from, where that is not known.
        seed: Of the sample of buyers.
    """

    max_buyers: int = 250
    tests_per_buyer: int = 10
    n_sampled: int = 20
    seed: int = 0


class LearnedScores(NamedTuple):
    """Weights of the terms for known and for cold buyers: ``Ranker.with_scores`` takes them.

    ``n_choices`` is what they were learned from.
    """

    known: LinearScore
    cold: LinearScore
    n_choices: int


def learn_terms(
    snapshot: ListingSnapshot, events: EventRows, as_of: float, config: TermConfig | None = None
) -> LearnedScores:
    """Learn the weights of the score's terms by conditional logit from what buyers did after a moment.

    For every favourable event after the moment the alternatives are the list it came from or, where that is not known,
    some listings that were live. Nothing is added to a known list, for what was never shown was not turned down: on a
    simulated market that ignores freshness, lists that happened to show new cars would have given it a large weight.
    Nor does a term get the credit for standing at the top, where buyers look first (``learn_score``, places).
    Every term is as it was on the day of the event, but for the taste and the history, which are those of the moment.
    The same choices teach both scores: once with what was known of the buyer, once as if they were a cold buyer.

    Args:
        snapshot: Fitted on events before the moment alone, with every listing in it; its ranker has prices.
        events: The whole log, the later part included.
        as_of: Epoch seconds.
        config: See ``TermConfig``.

    Returns:
        The scores; those of ``LinearScore.default`` and ``default_for_cold_buyers`` when no buyer chose anything after
        the moment. Weights are never negative, and lean on the a-priori ones when choices are few.
    """
    config = config or TermConfig()
    choices = _Choices(snapshot, events, as_of, config)
    known, as_cold_buyers = choices.terms()
    if not len(choices):
        return LearnedScores(LinearScore.default(), LinearScore.default_for_cold_buyers(), 0)
    is_known = np.array([choices.features_by_buyer[key].is_personal for key in choices.tests.buyer_ids.tolist()], bool)
    of_cold_buyers = ScoreConfig(prior=DEFAULT_WEIGHTS_FOR_COLD_BUYERS)
    return LearnedScores(
        choices.learned(known, is_known, ScoreConfig()),
        choices.learned(as_cold_buyers, np.ones(len(choices), bool), of_cold_buyers),
        len(choices),
    )


class _Choices:
    """Events after the moment, each with the rows it was chosen from and what was known of its buyer."""

    def __init__(self, snapshot: ListingSnapshot, events: EventRows, as_of: float, config: TermConfig) -> None:
        self.snapshot, self.as_of, self.config = snapshot, as_of, config
        self.events, self.weights = events, weights_of(events)
        self.rows = snapshot.stock.rows_of(events.listing_ids)
        self.tests = self._tests()
        self.alternatives, self.positions = self._alternatives()
        self.offered = self.alternatives >= 0
        self.features_by_buyer = buyer_features_at(snapshot, events, np.unique(self.tests.buyer_ids), as_of)

    def __len__(self) -> int:
        return len(self.tests)

    def learned(self, terms: Terms, is_used: NDArray[np.bool_], config: ScoreConfig) -> LinearScore:
        """The weights that explain some of the choices best; each counts once, whatever its kind.

        A term that does not help to foretell choices of other buyers weighs 0.
        """
        used = {name: values[is_used] for name, values in terms.items()}
        chosen, offered, positions = (
            np.zeros(int(is_used.sum()), np.intp), self.offered[is_used], self.positions[is_used],
        )  # fmt: skip
        useless = terms_that_do_not_help(used, chosen, self.tests.buyer_ids[is_used], offered, config, positions)
        config = replace(config, switched_off=useless)
        return learn_score(used, chosen, available=offered, config=config, positions=positions)

    def terms(self) -> tuple[Terms, Terms]:
        """Terms of every alternative, each of shape (n_choices, n_alternatives): of known buyers, and as cold buyers.

        Unknown (nan) in padding, and for known buyers wherever nothing was known.
        """
        known, as_cold_buyers = self._nothing(), self._nothing()
        for buyer_id in np.unique(self.tests.buyer_ids).tolist():
            at = np.flatnonzero(self.tests.buyer_ids == buyer_id)
            own = self.features_by_buyer[buyer_id]
            cold = BuyerFeatures(self.snapshot.ranker.prior.mean, location=own.location)
            self._fill(as_cold_buyers, at, partial(self._of_buyer, cold))
            if own.is_personal:
                self._fill(known, at, partial(self._of_buyer, own))
        for market, at in self._by_day():
            self._fill(as_cold_buyers, at, market.terms)
        for name in MARKET_TERMS:
            known[name] = as_cold_buyers[name]
        return known, as_cold_buyers

    def _nothing(self) -> Terms:
        return {name: np.full(self.alternatives.shape, np.nan) for name in TERMS}

    def _of_buyer(self, buyer_features: BuyerFeatures, rows: NDArray[np.intp]) -> Terms:
        listing_features = self.snapshot.listing_features
        return {
            UTILITY: buyer_features.utilities(listing_features.vectors[rows])[0],
            **buyer_terms(self.snapshot.ranker, listing_features, buyer_features, rows),
        }

    def _fill(self, table: Terms, choices: NDArray[np.intp], terms_of: Callable[[NDArray[np.intp]], Terms]) -> None:
        """Terms of everything offered in some choices, asked for at once."""
        at, alternative = np.nonzero(self.offered[choices])
        for name, values in terms_of(self.alternatives[choices[at], alternative]).items():
            table[name][choices[at], alternative] = values

    def _tests(self) -> EventRows:
        is_test = (self.events.occurred_at >= self.as_of) & (self.weights > 0) & (self.rows >= 0)
        later = self.events.take(is_test)
        buyers = np.random.default_rng(self.config.seed).permutation(np.unique(later.buyer_ids))
        return later.of_buyers(buyers[: self.config.max_buyers]).newest_per_buyer(self.config.tests_per_buyer)

    def _alternatives(self) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Rows each choice was made from, the chosen one first, -1 in padding; and their places in the list shown.

        Both of shape (n_choices, n_alternatives); a place is nan where it is unknown.
        """
        stock, n = self.snapshot.stock, self.config.n_sampled
        chosen = stock.rows_of(self.tests.listing_ids)
        beside = self.tests.shown_beside(SHOWN_AT_MOST)
        rows = stock.rows_of(beside.listing_ids)
        shown = padded_lists(self.tests.ids, beside.event_ids, rows)
        positions = padded_lists(self.tests.ids, beside.event_ids, rows, beside.positions, fill=1)
        sampled = stock.samples_live(self.tests.occurred_at, n, self.tests.ids)
        width = max(shown.shape[1], n)
        shown, sampled, positions = (_widened(each, width) for each in (shown, sampled, positions))
        is_shown = np.asarray((shown >= 0).any(axis=1), np.bool_)
        others = np.where(is_shown[:, None], shown, sampled)
        own_position = np.full(len(self.tests), np.nan)
        first = np.searchsorted(beside.event_ids, self.tests.ids[is_shown])
        own_position[is_shown] = beside.chosen_positions[first]
        beside_it = np.where(is_shown[:, None] & (shown >= 0), positions, np.nan)
        alternatives = np.column_stack([chosen, np.where(others == chosen[:, None], -1, others)])
        return alternatives, np.column_stack([own_position, beside_it])

    def _by_day(self) -> Iterator[tuple[Market, NDArray[np.intp]]]:
        """The market as each day began on which something was chosen, and the choices of that day."""
        days = np.floor(self.tests.occurred_at / SECONDS_A_DAY)
        for day in np.unique(days).tolist():
            start = day * SECONDS_A_DAY
            counts = demand_counts(
                self.rows, self.events.occurred_at, self.weights, start, len(self.snapshot), self.events.buyer_ids
            )
            yield Market.at(self.snapshot.listing_features, start, counts), np.flatnonzero(days == day)


def _widened(rows: NDArray[np.intp], width: int) -> NDArray[np.intp]:
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=-1)
