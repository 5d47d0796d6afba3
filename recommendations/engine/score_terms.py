"""The terms of the score, each declared once: its function, its initial weight, its label and its reason.

The functions compute terms from arrays in plain units; ``terms.py`` calls every declared term, for a served list, an
evaluation and the learning of the weights. A stored score without a term gives it no weight until the next training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from catalog.attributes import gettext_noop
from recommendations.engine.arrays import Rows
from recommendations.engine.demand import DEMAND_HALF_LIFE_DAYS, average_rate, check_half_life, effective_days
from recommendations.engine.features import BuyerFeatures, ListingFeatures, Market
from recommendations.engine.reason import RECENT_DAYS, Facts, Kind, Reason, newness

Values = NDArray[np.float64]

UTILITY = "utility"  # the buyer's taste for this listing: w . x, in logits
ARCHETYPE = "archetype"  # cars like those in the buyer's history, by what other buyers did (EASE)
DEMAND = "demand"  # how often it is asked about lately, against the average: log of a ratio
FRESHNESS = "freshness"  # 1 when just listed, halving from there
DEAL = "deal"  # how far the price lies below what such a car costs: log of a ratio
DISTANCE = "distance"  # 0 at the buyer's location, falling with the kilometres

CONTENT, COLLABORATIVE = "content", "collaborative"  # pipelines: what the car is, and what others do
FRESHNESS_HALF_LIFE_DAYS = 7.0
NEARBY_KM = 50.0
# A price further off than this factor is a typing error or another kind of car, not a better deal.
LARGEST_DEAL = np.log(2.0)
EARTH_RADIUS_KM = 6371.0088


@dataclass(frozen=True, kw_only=True)
class Term:
    """One term of the score.

    Utility, which is the buyer's own, is computed where the score is; every other term by ``of_market``, if it is the
    same for every buyer, or by ``of_buyer``. Both answer for some rows, shape (n_rows,), nan where unknown.

    Attributes:
        name: In stored scores, placements and breakdowns.
        label: As operators read it.
        weight: A priori: taste first, the rest as tie-breakers. Where weights are learned (``ScoreConfig.prior``) it is
            per standard deviation of the term and holds while events are few; a score that nothing was learned for
            (``LinearScore.default``) applies it to terms as they come, in their own units.
        cold_weight: The same for a cold buyer, whose utility is that of the population: what others ask about right
            now says more beside it. None: the same.
        pipelines: Those in which it counts, where one is looked at alone.
        of_market: Of the market and rows.
        of_buyer: Of a ranker, listings, a buyer and rows.
        reason: What a reason says where the term matters most; None: nothing is said of it.
        may_be_said: Whether that is true of a car.
        aside: What a reason says besides, where another point matters most: in English, marked for translation.
    """

    name: str
    label: str
    weight: float
    cold_weight: float | None = None
    pipelines: tuple[str, ...] = (CONTENT, COLLABORATIVE)
    of_market: Callable[[Market, Rows], Values] | None = None
    of_buyer: Callable[[Any, ListingFeatures, BuyerFeatures, Rows], Values] | None = None
    reason: Callable[[Facts, bool], Reason] | None = None
    may_be_said: Callable[[Facts], bool] = lambda facts: True
    aside: str = ""


def demand_term(
    contacts: ArrayLike,
    listed_days: ArrayLike,
    half_life_days: float,
    prior_days: float = 7.0,
    average: float | None = None,
) -> NDArray[np.float64]:
    """How much more than the average listing each one is asked about: log of the ratio of rates, shape (n_listings,).

    A listing one day old with one contact is not the hottest of all, so each rate is pulled to the average as if
    every listing had already stood ``prior_days`` at the average rate (the posterior mean of a gamma-Poisson model).
    0 for an average or brand-new listing, and for all when no seller was ever contacted.

    Args:
        contacts: Decayed contacts (see ``decayed_counts``), >= 0, shape (n_listings,).
        listed_days: Days since each was listed, shape (n_listings,); nan counts as 0.
        half_life_days: Of the decay of the contacts, so that time is decayed alike: in the long run a listing has
            ``half_life_days / ln 2`` effective days.
        prior_days: > 0.
        average: Rate of the average listing, where these are not all of them. Left out: the average of these.
    """
    counts, exposure = np.asarray(contacts, dtype=np.float64), effective_days(listed_days, half_life_days)
    average = average_rate(counts, exposure) if average is None else average
    if not average > 0:
        return np.zeros(counts.shape)
    return np.log((counts + prior_days * average) / (exposure + prior_days) / average)


def freshness_term(listed_days: ArrayLike, half_life_days: float) -> NDArray[np.float64]:
    """1 when just listed (or from the future), half after a half-life, towards 0; nan stays nan."""
    check_half_life(half_life_days)
    return np.exp2(-np.maximum(np.asarray(listed_days, dtype=np.float64), 0.0) / half_life_days)


def deal_term(prices: ArrayLike, expected_prices: ArrayLike) -> NDArray[np.float64]:
    """Log of expected price over price: 0.1 is ten per cent below, negative is expensive, within ±``LARGEST_DEAL``.

    Prices in one currency. nan where either is unknown or not positive.
    """
    asked, expected = np.asarray(prices, dtype=np.float64), np.asarray(expected_prices, dtype=np.float64)
    is_known = (asked > 0) & (expected > 0)
    ratio = np.divide(expected, asked, out=np.full(np.broadcast_shapes(asked.shape, expected.shape), np.nan),
                      where=is_known)  # fmt: skip
    deals: NDArray[np.float64] = np.clip(np.log(ratio), -LARGEST_DEAL, LARGEST_DEAL)
    return deals


def distance_term(distance_km: ArrayLike, scale_km: float = 50.0) -> NDArray[np.float64]:
    """0 at the buyer's location, -0.69 at ``scale_km``, falling ever more slowly; nan where the distance is unknown.

    The logarithm says what buyers say: from 5 to 55 km is a step, from 400 to 450 km is not.
    """
    if not scale_km > 0:
        raise ValueError(f"scale_km must be positive, not {scale_km}")
    return -np.log1p(np.maximum(np.asarray(distance_km, dtype=np.float64), 0.0) / scale_km)


def great_circle_km(
    latitude: float, longitude: float, latitudes: ArrayLike, longitudes: ArrayLike
) -> NDArray[np.float64]:
    """Distance of places from one place, all in degrees, by the spherical law of cosines; nan stays nan."""
    here, there = np.radians(latitude), np.radians(np.asarray(latitudes, dtype=np.float64))
    across = np.radians(np.asarray(longitudes, dtype=np.float64) - longitude)
    cosine = np.sin(here) * np.sin(there) + np.cos(here) * np.cos(there) * np.cos(across)
    distances_km: NDArray[np.float64] = EARTH_RADIUS_KM * np.arccos(np.clip(cosine, -1.0, 1.0))
    return distances_km


def archetype_term(neighbour_scores: ArrayLike, codes: ArrayLike) -> NDArray[np.float64]:
    """Each listing's archetype's score for the buyer; nan for a listing without an archetype (code below 0).

    Args:
        neighbour_scores: Per archetype, shape (n_archetypes,).
        codes: Archetype of each listing, int, shape (n_listings,).
    """
    scores, rows = np.asarray(neighbour_scores, dtype=np.float64), np.asarray(codes, dtype=np.intp)
    if scores.size == 0:
        return np.full(rows.shape, np.nan)
    return np.where(rows >= 0, scores[np.maximum(rows, 0)], np.nan)


# --- What is declared ------------------------------------------------------------------------------------------------


def _of_archetypes(ranker: Any, listings: ListingFeatures, buyer: BuyerFeatures, rows: Rows) -> Values:
    """Unknown without a history."""
    if not len(buyer.history[0]):
        return np.full(len(rows), np.nan)
    return archetype_term(buyer.neighbour_scores(ranker.collaborative), listings.archetypes[rows])


def _of_demand(market: Market, rows: Rows) -> Values:
    counts, listed = market.demand_counts[rows], market.listed_days(rows)
    return demand_term(counts, listed, DEMAND_HALF_LIFE_DAYS, average=market.average)


def _of_distance(ranker: Any, listings: ListingFeatures, buyer: BuyerFeatures, rows: Rows) -> Values:
    """Unknown without a place."""
    if not buyer.location:
        return np.full(len(rows), np.nan)
    return distance_term(great_circle_km(*buyer.location, listings.latitude[rows], listings.longitude[rows]))


def _is_below(facts: Facts, name: str, bound: float) -> bool:
    value = facts.get(name)
    return value is not None and value < bound


SCORE_TERMS = (
    Term(name=UTILITY, label=gettext_noop("Utility"), weight=1.0),
    Term(
        name=ARCHETYPE, label=gettext_noop("Cars like those looked at lately"), weight=0.3, cold_weight=0.0,
        pipelines=(COLLABORATIVE,), of_buyer=_of_archetypes,
        reason=lambda facts, is_personal: Reason(Kind.LIKE_MINDED),
        may_be_said=lambda facts: facts.get("has_history") is not False,
    ),
    Term(
        name=DEMAND, label=gettext_noop("Recent demand"), weight=0.1, cold_weight=0.5, pipelines=(COLLABORATIVE,),
        of_market=_of_demand, reason=lambda facts, is_personal: Reason(Kind.POPULAR),
    ),
    Term(
        name=FRESHNESS, label=gettext_noop("How new the advert is"), weight=0.1, pipelines=(CONTENT,),
        of_market=lambda market, rows: freshness_term(market.listed_days(rows), FRESHNESS_HALF_LIFE_DAYS),
        reason=lambda facts, is_personal: Reason(newness(facts)),
        may_be_said=lambda facts: _is_below(facts, "days_on_sale", RECENT_DAYS),
    ),
    Term(
        name=DEAL, label=gettext_noop("Price against that of similar cars"), weight=0.1, pipelines=(CONTENT,),
        of_market=lambda market, rows: market.listing_features.deals[rows],
        reason=lambda facts, is_personal: Reason(Kind.BELOW_MARKET),
        may_be_said=lambda facts: bool(facts.get("is_below_market")),
        aside=gettext_noop("priced below what such cars usually cost"),
    ),
    Term(
        name=DISTANCE, label=gettext_noop("Distance"), weight=0.2, pipelines=(CONTENT,), of_buyer=_of_distance,
        reason=lambda facts, is_personal: Reason(Kind.NEARBY),
        may_be_said=lambda facts: _is_below(facts, "distance_km", NEARBY_KM),
        aside=gettext_noop("close to you"),
    ),
)  # fmt: skip
TERMS = tuple(term.name for term in SCORE_TERMS)
MARKET_TERMS = tuple(term.name for term in SCORE_TERMS if term.of_market)
DEFAULT_WEIGHTS = {term.name: term.weight for term in SCORE_TERMS}
DEFAULT_WEIGHTS_FOR_COLD_BUYERS = {
    term.name: term.weight if term.cold_weight is None else term.cold_weight for term in SCORE_TERMS
}
