"""Corrections of estimates by ratings from around the same time.

The model of persons and items (features.py) does not know times. But a person who has just rated three items lower than
usual does so for the fourth, and an item is liked more in some weeks than in others. So an estimate is corrected by a
linear function of the mean residuals of the person's other ratings, and of the item's, in windows around the time of
the rating: as time bins in timeSVD++ (Koren 2009), but for several window lengths at once and without fitting bins.

The function is a ridge regression, fitted on ratings that the model was not fitted on, and dropped unless it improves
predictions across folds. Where the time is not known, an estimate is not corrected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recommendations.engine.arrays import Integers, Reals
from recommendations.ratings.baselines import BiasTerms
from recommendations.ratings.gibbs import Draw, Standard
from recommendations.ratings.table import RatingTable

DAY = 86_400
PERSON_WINDOWS = (60, 600, DAY // 4, DAY, 7 * DAY, 30 * DAY)  # seconds before and after
ITEM_WINDOWS = (DAY, 7 * DAY, 30 * DAY, 90 * DAY)
PERSON_DOUBT, ITEM_DOUBT = 3.0, 10.0  # ratings' worth, by which the mean of a window is drawn to 0
STRENGTHS = np.logspace(0, 5, 11)  # of the ridge, to choose from
FOLDS = 5
FEWEST = 200  # held-out ratings to learn from
RECALLED, RECALLED_EVERY = 5, 8  # draws whose estimates of the training's own ratings are averaged, and the step


@dataclass(frozen=True, eq=False)
class Residuals:
    """Ratings with known times, and their residuals, in stars.

    Attributes:
        person_rows, item_rows: Of each, shape (n_ratings,).
        moments: Seconds, finite.
        residuals: Rating minus estimate.
    """

    person_rows: Integers
    item_rows: Integers
    moments: Reals
    residuals: Reals

    @classmethod
    def of(cls, table: RatingTable, moments: Reals, residuals: Reals) -> Residuals:
        """Return those of a table whose times are known."""
        is_known = np.isfinite(moments)
        return cls(table.person_rows[is_known], table.item_rows[is_known], moments[is_known], residuals[is_known])

    def around(self, person_rows: Integers, item_rows: Integers, moments: Reals) -> Reals:
        """Return features of the ratings around some times, by a person and of an item, shape (n_rows, n_features).

        For each window they are the mean residual, shrunk towards 0 where ratings are few, and the logarithm of their
        number plus one; both 0 for a row of -1, a person or item without ratings.
        """
        columns = [
            column
            for known, asked, windows, doubt in (
                (self.person_rows, person_rows, PERSON_WINDOWS, PERSON_DOUBT),
                (self.item_rows, item_rows, ITEM_WINDOWS, ITEM_DOUBT),
            )
            for column in self._of_windows(known, asked, moments, windows, doubt)
        ]
        return np.column_stack(columns)

    def _of_windows(
        self, known_rows: Integers, asked_rows: Integers, moments: Reals, windows: Sequence[int], doubt: float
    ) -> list[Reals]:
        """Compute all windows with one sort: rows are so far apart on one line that no window reaches another row."""
        first, widest = float(self.moments.min()), max(windows)
        span = int(self.moments.max() - first)
        apart = span + 4 * (widest + 1)
        places = known_rows.astype(np.int64) * apart + np.rint(self.moments - first).astype(np.int64)
        order = np.argsort(places, kind="stable")
        places, sums = places[order], np.append(0.0, np.cumsum(self.residuals[order]))
        within = np.rint(np.clip(moments - first, -widest - 1, span + widest + 1)).astype(np.int64)
        asked = asked_rows.astype(np.int64) * apart + within
        columns: list[Reals] = []
        for window in windows:
            begin = np.searchsorted(places, asked - window, side="left")
            end = np.searchsorted(places, asked + window, side="right")
            columns += [(sums[end] - sums[begin]) / (end - begin + doubt), np.log1p(end - begin)]
        return columns


@dataclass(frozen=True)
class Drift:
    """A linear function of ``Residuals.around`` that is added to an estimate, in stars.

    Attributes:
        means, deviations: Of each feature, to standardise it.
        weights: Of each standardised feature.
        base: Added to every estimate with a known time.
    """

    means: tuple[float, ...]
    deviations: tuple[float, ...]
    weights: tuple[float, ...]
    base: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Drift:
        """Restore from JSON; raises KeyError, TypeError or ValueError for other content."""
        means, deviations, weights = (tuple(map(float, stored[name])) for name in ("means", "deviations", "weights"))
        return cls(means, deviations, weights, float(stored["base"]))

    def shifts(self, known: Residuals, person_rows: Integers, item_rows: Integers, moments: Reals) -> Reals:
        """Return the corrections of estimates, in stars, shape (n_rows,); 0 where the time is not known."""
        shifts = np.zeros(len(moments))
        asked = np.flatnonzero(np.isfinite(moments))
        if len(asked) and len(known.moments):
            found = known.around(person_rows[asked], item_rows[asked], moments[asked])
            shifts[asked] = ((found - self.means) / self.deviations) @ np.array(self.weights) + self.base
        return shifts


def learn_drift(known: Residuals, asked: RatingTable, missed: Reals) -> Drift | None:
    """Fit the function to errors of estimates; None where it does not improve predictions across folds.

    Args:
        known: Ratings that the model was fitted on.
        asked: Ratings that it was not fitted on.
        missed: Error of each estimate, in stars, shape (n_asked,).
    """
    moments = asked.moments
    if moments is None or not len(known.moments):
        return None
    rows = np.flatnonzero(np.isfinite(moments))
    if len(rows) < FEWEST:
        return None
    from sklearn.linear_model import RidgeCV  # here and not above: only a training needs it
    from sklearn.model_selection import KFold, cross_val_predict

    found = known.around(asked.person_rows[rows], asked.item_rows[rows], moments[rows])
    means, deviations = found.mean(axis=0), np.maximum(found.std(axis=0), 1e-6)
    features, targets = (found - means) / deviations, missed[rows]
    predicted = cross_val_predict(RidgeCV(STRENGTHS), features, targets, cv=KFold(FOLDS, shuffle=True, random_state=0))
    gains = targets**2 - (targets - predicted) ** 2
    if gains.mean() <= gains.std() / np.sqrt(len(gains)):
        return None
    ridge = RidgeCV(STRENGTHS).fit(features, targets)
    columns = {"means": means, "deviations": deviations, "weights": ridge.coef_}
    return Drift.from_json({**columns, "base": ridge.intercept_})


class Recall:
    """The mean estimates, over a few draws of a chain, of the ratings that it is fitted on.

    Every chain uses the same draws, so that residuals of different chains are comparable.
    """

    def __init__(self, table: RatingTable, burn_in: int) -> None:
        self._table, self._burn_in = table, burn_in
        self._total, self._n = np.zeros(len(table) if table.moments is not None else 0), 0

    def take(self, number: int, draw: Draw) -> None:
        """Add a draw; numbers start at 1 and come in order."""
        at = number - self._burn_in - 1
        if len(self._total) and at >= 0 and at % RECALLED_EVERY == 0 and self._n < RECALLED:
            self._total += draw.estimates(self._table.person_rows, self._table.item_rows)
            self._n += 1

    def residuals(self, standard: Standard, weight: float) -> Residuals | None:
        """Return the residuals; None where times are not known, or no draw was taken.

        Args:
            standard: Of the chain.
            weight: Weight of its draws beyond bias terms, 0 to 1.
        """
        table = self._table
        if table.moments is None or not self._n:
            return None
        simple = BiasTerms.fit(table).estimates(table.person_rows, table.item_rows)
        stars = simple + weight * (standard.stars(self._total / self._n) - simple)
        return Residuals.of(table, table.moments, table.ratings - table.scale.clip(stars))
