"""Condition, damage and first registration of simulated listings.

They are drawn from a stream of their own, row by row, so neither the other columns of a seed nor the first rows of a
larger market depend on them. The price does not depend on damage, so few cars have any.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from recommendations.engine.arrays import Texts
from recommendations.simulation.market import Market

PARTICULARS_STREAM = 4  # separates its random numbers from the market's, the buyers' and their browsing
SAYS_CONDITION, SAYS_MONTH = 0.9, 0.85  # shares of the advertisements
DEMONSTRATORS = 0.4  # of the dealers' cars of the last two years that were hardly driven
HARDLY_DRIVEN_KM, DELIVERY_KM = 10_000, 100
DAMAGES = ("none", "repaired", "damaged", "written_off", "")
SHARES = {True: (0.45, 0.015, 0.003, 0.004, 0.528), False: (0.2, 0.02, 0.012, 0.006, 0.762)}  # of dealers; of others


@dataclass(frozen=True)
class Particulars:
    """One entry for each listing of a market.

    Attributes:
        condition, damage: As stored; '' where the advertisement does not say.
        first_registration: Year and month, as in 201803; None where it does not say.
    """

    condition: Texts
    damage: Texts
    first_registration: list[int | None]


def draw_particulars(market: Market, seed: int, anchor: datetime) -> Particulars:
    """Draw the particulars of a market whose ``published_s`` counts back from ``anchor``."""
    draws = np.random.default_rng([seed, PARTICULARS_STREAM]).random((len(market), 4))
    by_dealer = market.table.seller_kind == "dealer"
    condition = _conditions(market, by_dealer, draws[:, :2], anchor.year)
    sums = np.cumsum(np.where(by_dealer[:, None], SHARES[True], SHARES[False]), axis=1)
    damage = np.array(DAMAGES, object)[np.minimum((draws[:, 2:3] >= sums).sum(axis=1), len(DAMAGES) - 1)]
    return Particulars(
        condition=condition,
        damage=np.where(condition == "new", "", damage),
        first_registration=[
            _registered(int(year), float(draw), anchor - timedelta(seconds=int(published_s)), kind)
            for year, draw, published_s, kind in zip(
                market.table.year, draws[:, 3], market.published_s, condition, strict=True
            )
        ],
    )


def _conditions(market: Market, by_dealer: np.ndarray, draws: np.ndarray, anchor_year: int) -> Texts:
    """Draw conditions: cars with delivery mileage only are new; some others with low mileage are demonstrators."""
    km, is_recent = market.table.mileage_km, market.table.year >= anchor_year - 1
    is_new = by_dealer & is_recent & (km <= DELIVERY_KM)
    is_demo = by_dealer & is_recent & ~is_new & (km <= HARDLY_DRIVEN_KM) & (draws[:, 0] < DEMONSTRATORS)
    says = draws[:, 1] < SAYS_CONDITION
    return np.where(says, np.where(is_new, "new", np.where(is_demo, "demo", "used")), "").astype(object)


def _registered(year: int, draw: float, published: datetime, condition: str) -> int | None:
    """Draw a month of the car's year, not after it was advertised; None for a new car."""
    months = 12 if year < published.year else published.month
    if condition == "new" or year > published.year or draw >= SAYS_MONTH:
        return None
    return 100 * year + 1 + int(draw / SAYS_MONTH * months)
