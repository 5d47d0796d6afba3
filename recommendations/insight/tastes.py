"""A buyer's preference as curves and bars: how their utility depends on each attribute, and how uncertain it is.

Utility is linear in the weights, so the variance of each of its values is a quadratic form of the preference's
covariance. Only differences of utility have a meaning: a curve is drawn relative to its average over the grid, and a
category's level relative to the mean of all buyers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from catalog.attributes import CATEGORY_FEATURES
from catalog.units import measure_of
from recommendations.buyers.interests import Interest
from recommendations.buyers.profiles import GRIDS, in_words
from recommendations.engine.arrays import Floats
from recommendations.engine.encoder import Encoder
from recommendations.engine.ranker import Ranker
from recommendations.engine.taste import Gaussian, Prior

SURE = 1.96  # standard deviations of a 95 % interval
BARS_AT_MOST = 8
BARS_OF = ("make", *(category.name for category in CATEGORY_FEATURES))
POINTS = 48
NO_SPREAD = 1e-9  # variance of utility below which all buyers agree, or the field has one category


@dataclass(frozen=True, eq=False)
class Curve:
    """Utility over one numeric attribute, with its 95 % band; arrays of the grid's length. The grid is in the
    market's units."""

    field: str
    unit: str
    grid: Floats
    utility: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Leaning:
    """By how much more or less than the average buyer this one likes a category, in utility, with the 95 % interval."""

    level: str
    more: float
    low: float
    high: float

    @property
    def is_sure(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Certainty:
    """Share of the population's variance in one field that is known of this buyer, 0 to 1."""

    field: str
    share: float


@dataclass(frozen=True, eq=False)
class Portrait:
    """One interest of a buyer, ready to be drawn.

    Attributes:
        share: Its share of the buyer's events, 0 to 1.
        curves: Over the numbers of ``GRIDS``, as far as the encoder has them.
        leanings: Field -> its categories that differ most from the average, liked ones first.
        certainties: By field, the most certain first.
    """

    share: float
    curves: tuple[Curve, ...]
    leanings: dict[str, tuple[Leaning, ...]]
    certainties: tuple[Certainty, ...]


def portraits_of(ranker: Ranker, tastes: Sequence[Interest]) -> list[Portrait]:
    """Describe every interest of a buyer, the largest share first."""
    return [portrait(ranker, interest) for interest in tastes]


def portrait(ranker: Ranker, interest: Interest) -> Portrait:
    encoder, n = ranker.encoder, ranker.n_content
    taste = Gaussian(interest.taste.mean[:n], interest.taste.covariance[:n, :n])
    prior = Prior(ranker.prior.mean[:n], ranker.prior.covariance[:n, :n])
    numbers = [field for field in GRIDS if field in encoder.names]
    categories = [field for field in BARS_OF if field in encoder.names]
    shares = {field: certainty(encoder, field, taste, prior) for field in (*numbers, *categories)}
    certainties = [Certainty(field, share) for field, share in shares.items() if share is not None]
    return Portrait(
        share=interest.share,
        curves=tuple(curve(encoder, field, taste) for field in numbers),
        leanings={field: leanings(encoder, field, taste, prior) for field in categories},
        certainties=tuple(sorted(certainties, key=lambda one: -one.share)),
    )


def curve(encoder: Encoder, field: str, taste: Gaussian) -> Curve:
    unit, grid = GRIDS[field]
    measure = measure_of(unit.strip())
    grid = grid[np.unique(np.linspace(0, len(grid) - 1, min(len(grid), POINTS)).astype(int))]
    rows = contrasts(encoder.curve_vectors(field, grid))
    utility, spread = rows @ taste.mean, SURE * deviations(rows, taste.covariance)
    return Curve(
        field, f" {measure.unit}".rstrip(), grid / measure.stored_per_shown, utility, utility - spread, utility + spread
    )


def leanings(encoder: Encoder, field: str, taste: Gaussian, prior: Prior) -> tuple[Leaning, ...]:
    """Return the categories whose difference from the average is most certain, ordered from most liked to least."""
    names, rows = encoder.level_vectors(field)
    more, deviation = rows @ (taste.mean - prior.mean), deviations(rows, taste.covariance)
    certain = np.abs(more) / np.maximum(deviation, 1e-9)
    chosen = np.argsort(-certain, kind="stable")[:BARS_AT_MOST]
    chosen = chosen[np.argsort(-more[chosen], kind="stable")]
    low, high = more - SURE * deviation, more + SURE * deviation
    return tuple(
        Leaning(in_words(field, [names[at]]), float(more[at]), float(low[at]), float(high[at]))
        for at in chosen.tolist()
    )


def certainty(encoder: Encoder, field: str, taste: Gaussian, prior: Prior) -> float | None:
    """Return the share of the population's spread in a field that the events have removed; None where there is no
    spread."""
    if field in GRIDS:
        rows = contrasts(encoder.curve_vectors(field, GRIDS[field][1]))
    else:
        rows = contrasts(encoder.level_vectors(field)[1])
    doubt, spread = (np.square(deviations(rows, belief.covariance)).sum() for belief in (taste, prior))
    return float(np.clip(1.0 - doubt / spread, 0.0, 1.0)) if spread > NO_SPREAD else None


def contrasts(rows: Floats) -> Floats:
    """Subtract the mean row: a shift of the whole curve has no meaning."""
    return rows - rows.mean(axis=0) if len(rows) else rows


def deviations(rows: Floats, covariance: Floats) -> Floats:
    """Return the standard deviation of each row's product with the weights, shape (n,)."""
    spreads: Floats = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", rows, covariance, rows, optimize=True), 0.0))
    return spreads
