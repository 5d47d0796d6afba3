"""One Markov chain over the weights of the factorization machine, by myfm's Gibbs sampler.

Model: rating ~ N(w0 + a + b + p . q, 1 / alpha) (see features.py), and every weight ~ N(mu, 1 / lambda) with one mu and
lambda for each factor and each group of features: person ids, rated items, item ids, rating persons, and each group of
item descriptions, such as genres (descriptions.py). All of them are sampled along with the weights: Bayesian
factorization machines (Freudenthaler, Schmidt-Thieme and Rendle 2011). So only the number of factors and the length of
the chain have to be chosen.

Ratings are centred and divided by their standard deviation first, so that the same weak hyperpriors fit every scale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from recommendations.engine.arrays import Integers, Reals
from recommendations.ratings.features import Side, sides_of
from recommendations.ratings.table import RatingTable

INITIAL_STD = 0.1  # of the weights a chain starts from, in standard units
PAIRS_AT_ONCE = 100_000  # bounds the memory of their estimates
PERSON_IDS, ITEM_IDS = 0, 2  # places among the groups of features


@dataclass(frozen=True)
class Standard:
    """The conversion between stars and the units of the model."""

    mean: float
    std: float

    @classmethod
    def of(cls, ratings: Reals) -> Standard:
        return cls(float(ratings.mean()), float(ratings.std()) or 1.0)  # ratings that are all alike have no spread

    def units(self, ratings: Reals) -> Reals:
        return (ratings - self.mean) / self.std

    def stars(self, units: Reals) -> Reals:
        return self.mean + self.std * units


@dataclass(frozen=True)
class GroupPrior:
    """The prior of the weights of a group in one draw.

    Attributes:
        mean: Of the linear weight first and then of each factor, shape (1 + n_factors,).
        precision: 1 / variance of the same.
    """

    mean: Reals
    precision: Reals


class Draw:
    """One state of a chain, in standard units. Its arrays change with the next state: copy what is to be kept."""

    def __init__(self, machine: Any, hyper: Any, people: Side, items: Side) -> None:
        self._hyper = hyper
        self._people, self._items = people, items
        self._linear, self._factors = np.asarray(machine.w), np.asarray(machine.V)
        self.intercept = float(machine.w0)
        self.noise_precision = float(hyper.alpha)

    def people(self) -> tuple[Reals, Reals]:
        """Return (a, p) of features.py, shapes (n_people,) and (n_people, n_factors)."""
        end = self._people.n_features
        return self._people.fold(self._linear[:end], np.ascontiguousarray(self._factors[:end]))

    def items(self) -> tuple[Reals, Reals]:
        """Return (b, q) of features.py, shapes (n_items,) and (n_items, n_factors)."""
        start = self._people.n_features
        return self._items.fold(self._linear[start:], np.ascontiguousarray(self._factors[start:]))

    def items_met(self) -> tuple[Reals, Reals]:
        """Return (w, v) of items as partners of a person, shapes (n_items,) and (n_items, n_factors)."""
        columns = slice(self._people.n_own, self._people.n_features)
        return self._linear[columns], self._factors[columns]

    def prior(self, group: int) -> GroupPrior:
        hyper = self._hyper
        return GroupPrior(
            np.append(hyper.mu_w[group], np.asarray(hyper.mu_V)[group]),
            np.append(hyper.lambda_w[group], np.asarray(hyper.lambda_V)[group]),
        )

    def estimates(self, person_rows: Integers, item_rows: Integers) -> Reals:
        """Return the estimates of this draw for pairs, in standard units."""
        (person_biases, people), (item_biases, items) = self.people(), self.items()
        estimated: Reals = self.intercept + person_biases[person_rows] + item_biases[item_rows]
        for start in range(0, len(estimated), PAIRS_AT_ONCE):
            part = slice(start, start + PAIRS_AT_ONCE)
            estimated[part] += np.einsum("ij,ij->i", people[person_rows[part]], items[item_rows[part]])
        return estimated


OnDraw = Callable[[int, Draw], bool | None]


def sample(table: RatingTable, standard: Standard, *, n_factors: int, n_draws: int, seed: int, on_draw: OnDraw) -> None:
    """Run one chain; ``on_draw(number, draw)`` gets every state, from number 1, and ends the chain by returning True.

    The same arguments give the same chain; a longer chain starts with the states of a shorter one.
    """
    from myfm import RelationBlock  # here and not above, because it brings pandas, which the web server never needs
    from myfm._myfm import create_train_fm  # what MyFMGibbsRegressor.fit calls, without its progress bar on stderr

    people, items = sides_of(table)
    create_train_fm(
        n_factors,
        INITIAL_STD,
        sparse.csr_matrix((len(table), 0)),
        [
            RelationBlock(table.person_rows.tolist(), people.blocks),
            RelationBlock(table.item_rows.tolist(), items.blocks),
        ],
        standard.units(table.ratings),
        seed,
        _config(people, items, n_draws),
        lambda index, machine, hyper, _history: bool(on_draw(index + 1, Draw(machine, hyper, people, items))),
    )


def _config(people: Side, items: Side, n_draws: int) -> Any:
    """Return myfm's defaults, except that it stores no draw: ``on_draw`` copies the part that is needed."""
    from myfm._myfm import ConfigBuilder, TaskType

    sizes = [*people.sizes, *items.sizes]
    builder = ConfigBuilder()
    builder.set_task_type(TaskType.REGRESSION)
    builder.set_alpha_0(1.0)
    builder.set_beta_0(1.0)
    builder.set_gamma_0(1.0)
    builder.set_mu_0(0.0)
    builder.set_reg_0(1.0)
    builder.set_fit_w0(True)
    builder.set_fit_linear(True)
    builder.set_group_index(np.repeat(np.arange(len(sizes)), sizes).tolist())
    builder.set_n_iter(n_draws)
    builder.set_n_kept_samples(1)
    return builder.build()
