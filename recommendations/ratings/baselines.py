"""Baselines of a rating model: the mean, and bias terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recommendations.engine.arrays import Integers, Reals
from recommendations.ratings.table import RatingTable

PULL = 5.0  # ratings' worth of doubt that an item or a person differs from the mean at all
ROUNDS = 15  # of alternating; the biases move by less than 0.001 long before


@dataclass(frozen=True, eq=False)
class BiasTerms:
    """rating = mean + bias of the person + bias of the item (Koren 2008, baseline estimates).

    Attributes:
        person_biases: Shape (n_people + 1,); the last, 0, is for people without ratings.
        item_biases: The same for items.
    """

    mean: float
    person_biases: Reals
    item_biases: Reals

    @classmethod
    def fit(cls, table: RatingTable) -> BiasTerms:
        """Fit by ridge regression, alternating between the two; each bias is shrunk as by ``PULL`` ratings of the
        mean."""
        mean = float(table.ratings.mean())
        rest = table.ratings - mean
        people: Reals = np.zeros(table.n_people + 1)
        items: Reals = np.zeros(table.n_items + 1)
        for _ in range(ROUNDS):
            items = _shrunk_means(table.item_rows, rest - people[table.person_rows], len(items))
            people = _shrunk_means(table.person_rows, rest - items[table.item_rows], len(people))
        return cls(mean, people, items)

    def person_bias(self, item_rows: Integers, ratings: Reals) -> float:
        """Return the bias of a person with these ratings; 0 for one without ratings."""
        rest = ratings - self.mean - self.item_biases[item_rows]
        return float(rest.sum() / (len(ratings) + PULL))

    def estimates(self, person_rows: Integers, item_rows: Integers) -> Reals:
        return self.mean + self.person_biases[person_rows] + self.item_biases[item_rows]


def _shrunk_means(rows: Integers, values: Reals, n_rows: int) -> Reals:
    return np.bincount(rows, values, n_rows) / (np.bincount(rows, minlength=n_rows) + PULL)


def rmse(estimates: Reals, ratings: Reals) -> float:
    """Return the root mean squared error, in the unit of the ratings."""
    return float(np.sqrt(np.mean((estimates - ratings) ** 2)))


def mae(estimates: Reals, ratings: Reals) -> float:
    """Return the mean absolute error, in the unit of the ratings."""
    return float(np.mean(np.abs(estimates - ratings)))
