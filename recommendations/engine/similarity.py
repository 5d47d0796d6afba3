"""Which cars people find alike: a space of its own, in which "similar" does not mean "as expensive".

The vectors of a ranker say what buyers may want, and half of what buyers differ in is price. Here every attribute is
standardised, so that a deviation of power counts as much as a deviation of age, and weighed (body, size and power
before colour); of the price only enough is left to order cars that are otherwise alike.

Beside the attributes stands what the market pays for them: a log price is split among the attributes (ridge regression
on the encoder's states), and a few coordinates hold the parts for the car's class (make, model, body, power, ...), its
age and its mileage. They are the same for a bargain and for an overpriced car, so the price of a listing itself stays
out of them, and neighbours cost about the same all the same.

Distances are Euclidean, so memory and pgvector can both search the space.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from scipy.special import logsumexp

from catalog.attributes import ATTRIBUTES
from recommendations.engine.arrays import Floats
from recommendations.engine.encoder import Encoder, EncoderConfig, fit_unscaled, rows_to_fit
from recommendations.engine.fields import CATEGORIES, NUMBERS, UNKNOWN, CategoryField, NumberField, category_values
from recommendations.engine.table import ListingTable

SIMILARITY_DIMENSIONS = 64  # of which the last ones are ``WORTHS``

# What a difference in each attribute counts for, relative to each other (a deviation of a number, another level of a
# category). Chosen on UK adverts among values near those of plain standardised averages (``benchmarks/similarity.py``).
STRENGTHS: Mapping[str, float] = {
    "price": 0.1, "age": 0.7, "make": 0.5, "model": 0.7, "seller": 0.05, "title": 0.4, "tags": 0.2,
    **{attribute.name: attribute.likeness for attribute in ATTRIBUTES if attribute.strength},
}  # fmt: skip
CLASS = tuple(name for name in STRENGTHS if name not in ("price", "age", "mileage", "colour", "seller"))
# What the market pays for, in coordinates of its own, and what one log unit of it counts for.
WORTHS: tuple[tuple[tuple[str, ...], float], ...] = (
    (CLASS, 4.0),
    (("age",), 4.0),
    (("mileage",), 6.0),
    ((*CLASS, "age", "mileage"), 1.5),
)
FEWEST_PRICED = 50  # cars; fewer do not say what the market pays for
WORTH_SHRINKAGE = 1.0  # cars' worth of evidence against every state's having an influence on the price


@dataclass(frozen=True, eq=False)
class Similarity:
    """A space of cars in which those that people find alike lie close. Made by ``fit_similarity`` or ``of_encoder``.

    Attributes:
        encoder: Listing fields -> vectors; Euclidean distances between them are meant.
    """

    encoder: Encoder

    @property
    def n_dims(self) -> int:
        return self.encoder.n_dims

    def vectors(self, table: ListingTable) -> NDArray[np.float32]:
        """Where listings lie, float32, shape (n, n_dims), always finite; of each listing's own fields alone."""
        return self.encoder.encode(table)

    @classmethod
    def of_encoder(cls, encoder: Encoder) -> Self:
        """For a version that was stored before there was such a space: its own content features, weighed anew.

        What the market pays for is not among them, and they are as coarse as the directions that version kept.
        """
        known = encoder.config.strengths
        factors = np.array([STRENGTHS[field.name] / (known.get(field.name) or 1.0) for field in encoder.fields])
        states = np.zeros((len(encoder.states), SIMILARITY_DIMENSIONS))
        kept = min(SIMILARITY_DIMENSIONS, encoder.n_dims)
        states[:, :kept] = encoder.states[:, :kept] * factors[encoder.field_of_state][:, None]
        return cls(dataclasses.replace(encoder, states=states))


def fit_similarity(table: ListingTable, strengths: Mapping[str, float] = STRENGTHS) -> Similarity:
    """Standardise and weigh the attributes of a catalogue.

    Args:
        table: The catalogue, sold cars included; without rows, every vector is zero.
        strengths: By field, as ``STRENGTHS``; 0 leaves a field out.
    """
    config = EncoderConfig(n_dims=SIMILARITY_DIMENSIONS - len(WORTHS), strengths=strengths)
    encoder = fit_unscaled(table, config)
    worth = _worth_of_states(encoder, rows_to_fit(table, config))
    is_in = [np.isin(encoder.field_of_state, _positions(encoder, names)) for names, _ in WORTHS]
    columns = [weight * np.where(mask, worth, 0.0) for mask, (_, weight) in zip(is_in, WORTHS, strict=True)]
    return Similarity(dataclasses.replace(encoder, states=np.column_stack([encoder.states, *columns])))


def _positions(encoder: Encoder, names: Sequence[str]) -> list[int]:
    return [at for at, field in enumerate(encoder.fields) if field.name in names]


def _worth_of_states(encoder: Encoder, table: ListingTable) -> Floats:
    """The effect of each state on the log price, shape (n_states,); 0 for the states of the price itself."""
    worth = np.zeros(len(encoder.states))
    priced = np.flatnonzero((table.price > 0) & np.isfinite(table.price))
    if len(priced) < FEWEST_PRICED:
        return worth
    prices = np.log(table.price[priced])
    prices -= np.median(prices)
    prices = np.clip(prices, *np.quantile(prices, [0.005, 0.995]))  # typing errors are no market
    explained = np.flatnonzero(~np.isin(encoder.field_of_state, _positions(encoder, ["price"])))
    mixture = encoder.mixture(table.take(priced))[:, explained]
    means = np.asarray(mixture.mean(axis=0)).ravel()
    moments = (mixture.T @ mixture).toarray() - len(priced) * np.outer(means, means)
    moments[np.diag_indices_from(moments)] += WORTH_SHRINKAGE
    worth[explained] = np.linalg.solve(moments, mixture.T @ prices - len(priced) * means * prices.mean())
    return worth


# --- Weights out of co-views -----------------------------------------------------------------------------------------

LEARNED = tuple(name for name in (*NUMBERS, *CATEGORIES) if name != "price")
FEWEST_CO_VIEWS = 300  # fewer would move the weights by chance
STRENGTH_SPREAD = 0.5  # prior deviation of the logarithm of a weight: a factor of 1.6 either way is usual
LARGEST_GAP = 9.0  # three deviations are as far apart as cars get


@dataclass(frozen=True, eq=False)
class CoViews:
    """Which of several cars a buyer opened after another one.

    Attributes:
        gaps: How much each of ``LEARNED`` and, last, the price differ from the car opened before, squared, in
            deviations (a category: 1 where it differs), shape (n, n_alternatives, len(LEARNED) + 1). The car that was
            opened stands first.
        available: Which alternatives there were, shape (n, n_alternatives).
        offsets: What speaks for each alternative apart from likeness (its position), in logits, same shape.
    """

    gaps: Floats
    available: NDArray[np.bool_]
    offsets: Floats

    def __len__(self) -> int:
        return len(self.gaps)


def field_gaps(encoder: Encoder, table: ListingTable, one: NDArray[np.intp], other: NDArray[np.intp]) -> Floats:
    """How much pairs of listings differ in each of ``LEARNED`` and the price, as in ``CoViews``; 0 where unknown.

    ``one`` and ``other`` are rows of the table, of any shape; the fields are the last axis of the result.
    """
    known = {field.name: field for field in encoder.fields}
    gaps = np.zeros((*np.shape(one), len(LEARNED) + 1))
    for at, name in enumerate((*LEARNED, "price")):
        field = known.get(name)
        if isinstance(field, NumberField):
            values = NUMBERS[name].read(table, encoder.reference_year)
            apart = np.square((values[one] - values[other]) / field.spread)
            gaps[..., at] = np.minimum(np.nan_to_num(apart, nan=0.0, posinf=LARGEST_GAP), LARGEST_GAP)
        elif isinstance(field, CategoryField):
            levels = np.array(list(category_values(name, table)), object)
            is_known = (levels[one] != UNKNOWN) & (levels[other] != UNKNOWN)
            gaps[..., at] = (levels[one] != levels[other]) & is_known
    return gaps


def learn_strengths(co_views: CoViews, strengths: Mapping[str, float] = STRENGTHS) -> dict[str, float]:
    """Weights under which buyers' next cars are the similar ones; the given ones where co-views do not suffice.

    A conditional logit: an alternative loses with each squared weight times gap, and with its difference in price,
    which is estimated beside them and left out (a budget is no likeness). The logarithms of the squared weights have a
    normal prior around those given, so fields of which the log says little stay where they were.
    """
    names = [name for name in LEARNED if strengths.get(name, 0.0) > 0]
    if len(co_views) < FEWEST_CO_VIEWS or not names:
        return dict(strengths)
    columns = [LEARNED.index(name) for name in names]
    prior = np.array([strengths[name] ** 2 for name in names])
    gaps = np.concatenate([co_views.gaps[..., columns] * prior, co_views.gaps[..., [-1]]], axis=-1)
    found = scipy.optimize.minimize(
        _loss, np.zeros(len(names) + 2), args=(gaps, co_views.available, co_views.offsets), jac=True, method="L-BFGS-B"
    )
    changes = found.x[: len(names)] - found.x[: len(names)].mean()  # the scale of all of them means nothing
    learned = {name: float(strengths[name] * np.exp(change / 2)) for name, change in zip(names, changes, strict=True)}
    return dict(strengths) | learned


def _loss(parameters: Floats, gaps: Floats, available: NDArray[np.bool_], offsets: Floats) -> tuple[float, Floats]:
    """Minus the log posterior and its gradient; the parameters are log factors by field, log scale, price."""
    changes, scale, price = parameters[:-2], np.exp(parameters[-2]), parameters[-1]
    factors = np.exp(changes) * scale
    likeness = -(gaps[..., :-1] @ factors)
    logits = np.where(available, likeness - price * gaps[..., -1] + offsets, -np.inf)
    log_total = logsumexp(logits, axis=1)
    surplus = np.exp(logits - log_total[:, None])  # chance of each alternative, less that which was chosen
    surplus[:, 0] -= 1.0
    by_field = -np.einsum("na,naf->f", surplus, gaps[..., :-1]) * factors
    gradient = np.r_[by_field, by_field.sum(), -np.einsum("na,na->", surplus, gaps[..., -1])]
    penalty = np.r_[changes / STRENGTH_SPREAD**2, parameters[-2:] / 4.0]
    loss = (log_total - logits[:, 0]).sum() + 0.5 * (penalty * parameters).sum()
    return float(loss), gradient + penalty
