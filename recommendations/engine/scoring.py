"""The score of a listing for a buyer: a short sum, each summand of which can be explained.

``score = sum of weight * (term - mean) / deviation`` over named terms, plus the values of the curves of terms that have
one (``term_curves``). The terms are properties of a listing in plain units (``score_terms``). Standardising makes their
weights comparable; the weights are learned from the choices of buyers (``learn_score``). The summands of a breakdown
add up to the score.

A term that is unknown for a listing is nan and counts as average: it adds nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from recommendations.engine import logit
from recommendations.engine.arrays import Array, Floats, Integers
from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.score_terms import DEFAULT_WEIGHTS, DEFAULT_WEIGHTS_FOR_COLD_BUYERS, TERMS, UTILITY
from recommendations.engine.term_curves import TermCurves

# The columns of a score, and what stands there for a term that it does not have: nothing added, whatever its value.
SCORE_COLUMNS = {"weights": 0.0, "means": 0.0, "deviations": 1.0}


@dataclass(frozen=True, eq=False)
class PriceModel:
    """The expected price of a car: a level per group (for example make and model), and slopes shared by all groups.

    Attributes:
        overall: Log price of an average car.
        levels: Log price of each group above the average, shape (n_groups,).
        slopes: Change of log price per unit of each covariate, shape (n_covariates,).
        means: Average of each covariate, which replaces unknown values, shape (n_covariates,).
    """

    overall: float
    levels: NDArray[np.float64]
    slopes: NDArray[np.float64]
    means: NDArray[np.float64]

    def expect(self, groups: ArrayLike, covariates: ArrayLike) -> NDArray[np.float64]:
        """Expected prices, shape (n_listings,); an unknown group (or one below 0) has the average level.

        Raises:
            ValueError: If covariates do not have shape (n_listings, n_covariates).
        """
        rows = np.asarray(groups, dtype=np.intp)
        deviations = _deviations(covariates, self.means, len(rows))
        is_known = (rows >= 0) & (rows < len(self.levels))
        levels = np.zeros(len(rows))
        levels[is_known] = self.levels[rows[is_known]]
        return np.exp(self.overall + levels + deviations @ self.slopes)

    def to_arrays(self) -> dict[str, Array]:
        """The model as arrays for storage; ``from_arrays`` reverses it."""
        return {
            "overall": np.array(self.overall),
            "levels": self.levels,
            "slopes": self.slopes,
            "means": self.means,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> PriceModel:
        return cls(float(arrays["overall"]), arrays["levels"], arrays["slopes"], arrays["means"])


def fit_prices(
    prices: ArrayLike,
    groups: ArrayLike,
    covariates: ArrayLike,
    n_groups: int,
    group_strength: float = 3.0,
    parents: ArrayLike | None = None,
) -> PriceModel:
    """Fit the price model that ``deal_term`` reads.

    Slopes are fitted to differences within groups, so that a high level of a make with young cars does not count as an
    effect of age. The level of a small group is shrunk to the average, or to its parent's level (for example the
    make's), as if ``group_strength`` average cars were added.

    Args:
        prices: Asked prices in one currency, shape (n_listings,); unknown (nan) or not positive ones are ignored.
        groups: Group of each listing, int, shape (n_listings,); below 0 for none: such listings are ignored.
        covariates: What changes a price within a group, for example age in years and log mileage, shape (n_listings,
            n_covariates). nan is replaced by the average.
        n_groups: Number of groups.
        group_strength: > 0.
        parents: Group above each group, int, shape (n_groups,), below 0 for none; a parent has no parent. Its level is
            fitted to its children's listings, too. Left out: no group has one.

    Returns:
        The model. Without priced listings the expected price is 1, so every deal is capped at the same value.
    """
    asked, rows = np.asarray(prices, dtype=np.float64), np.asarray(groups, dtype=np.intp)
    if asked.shape != rows.shape or asked.ndim != 1:
        raise ValueError(f"prices {asked.shape} and groups {rows.shape} must be of one length")
    if rows.size and rows.max() >= n_groups:
        raise ValueError(f"groups must lie below {n_groups}")
    raw = np.asarray(covariates, dtype=np.float64)
    is_used = (asked > 0) & np.isfinite(asked) & (rows >= 0)
    means = _known_means(raw[is_used])
    deviations = _deviations(raw, means, len(rows))[is_used]
    log_price, rows = np.log(asked[is_used]), rows[is_used]
    if len(rows) == 0:
        return PriceModel(0.0, np.zeros(n_groups), np.zeros(raw.shape[1]), means)
    slopes = _slopes_within(log_price, rows, deviations, n_groups)
    rest = log_price - deviations @ slopes
    overall = float(rest.mean())
    above = np.full(n_groups, -1) if parents is None else np.asarray(parents, dtype=np.intp)
    return PriceModel(overall, _levels(rest - overall, rows, above, group_strength), slopes, means)


def _levels(
    values: NDArray[np.float64], groups: NDArray[np.intp], parents: NDArray[np.intp], strength: float
) -> NDArray[np.float64]:
    """Shrunk mean of each group's values: of top groups towards 0, of the others towards their parent's mean."""
    has_parent = parents >= 0

    def shrunk(codes: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(codes, values, len(parents)) / (np.bincount(codes, minlength=len(parents)) + strength)

    tops = shrunk(np.where(has_parent[groups], parents[groups], groups), values)
    start = np.where(has_parent, tops[parents], 0.0)
    return np.where(has_parent, start + shrunk(groups, values - start[groups]), tops)


def _slopes_within(values: Floats, groups: Integers, covariates: Floats, n_groups: int) -> NDArray[np.float64]:
    """Least squares on values and covariates after each group's mean is subtracted."""
    both = np.column_stack([covariates, values])
    means = np.column_stack([np.bincount(groups, column, n_groups) for column in both.T])
    inner = both - (means / np.maximum(np.bincount(groups, minlength=n_groups), 1)[:, None])[groups]
    cross = inner.T @ inner
    ridge = 1e-3 * np.diag(np.maximum(cross.diagonal()[:-1], 1.0))  # a covariate that never varies gets no slope
    return np.asarray(np.linalg.solve(cross[:-1, :-1] + ridge, cross[:-1, -1]), np.float64)


AS_WELL = 1e-3  # of log-likelihood: less than that is the tolerance of a fit
FEWEST_CHOICES_TO_DROP = 200  # held-out choices from which a term may be found to be of no use


@dataclass(frozen=True, eq=False)
class LinearScore:
    """Weights of standardised terms.

    Attributes:
        names: The terms, in the order of the arrays below.
        weights: Change of the score per standard deviation of a term, shape (n_terms,).
        means, deviations: Of each term over the choices that the weights were learned from, shape (n_terms,);
            deviations > 0.
        curves: Curves of the same terms, added to the weighted terms; None: no curves.
    """

    names: tuple[str, ...]
    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    deviations: NDArray[np.float64]
    curves: TermCurves | None = None

    def __post_init__(self) -> None:
        for name in ("weights", "means", "deviations"):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            if values.shape != (len(self.names),) or not np.isfinite(values).all():
                raise ValueError(f"{name} must be {len(self.names)} finite numbers")
            object.__setattr__(self, name, values)
        if not (self.deviations > 0).all():
            raise ValueError("deviations must be positive")
        if self.curves is not None and len(self.curves.values) != len(self.names):
            raise ValueError(f"{len(self.curves.values)} curves do not go with {len(self.names)} terms")

    @classmethod
    def default(cls, weights: Mapping[str, float] = DEFAULT_WEIGHTS) -> LinearScore:
        """The score before anything is learned: the a-priori weights over terms that are not standardised."""
        n = len(TERMS)
        return cls(TERMS, np.array([weights[name] for name in TERMS]), np.zeros(n), np.ones(n))

    @classmethod
    def default_for_cold_buyers(cls) -> LinearScore:
        return cls.default(DEFAULT_WEIGHTS_FOR_COLD_BUYERS)

    def breakdown(self, terms: Mapping[str, ArrayLike], n_cars: ArrayLike = 0) -> NDArray[np.float64]:
        """Each term's part of each score, shape (n_listings, n_terms), in the order of ``names``.

        Args:
            terms: Values by name, each of shape (n_listings,). A term that is left out counts as average, as does nan.
            n_cars: How many cars the buyer had events on lately, one number or shape (n_listings,); curves depend on
                it.

        Raises:
            ValueError: If a name is unknown, lengths disagree, or a value is infinite.
        """
        table = _table(terms, self.names)
        parts = self.weights * _standardised(table, self.means, self.deviations)
        return parts if self.curves is None else parts + self.curves.added(table, n_cars)

    def score(self, terms: Mapping[str, ArrayLike], n_cars: ArrayLike = 0) -> NDArray[np.float64]:
        """Score of each listing, shape (n_listings,): higher is better. Arguments and errors as of ``breakdown``."""
        scores: NDArray[np.float64] = self.breakdown(terms, n_cars).sum(axis=1)
        return scores

    def curve_of(self, name: str, values: NDArray[np.float64], n_cars: ArrayLike = 0) -> NDArray[np.float64]:
        """The value of one term's curve, which is added to its weighted value; same shape as ``values``."""
        if self.curves is None:
            return np.zeros(values.shape)
        return self.curves.of_terms([self.names.index(name)]).added(values[..., None], n_cars)[..., 0]

    def without_curves(self) -> LinearScore:
        """The same score without curves."""
        return replace(self, curves=None)

    def scale_of(self, name: str) -> float:
        """The change of the score per unit of a term, by its weight alone."""
        at = self.names.index(name)
        return float(self.weights[at] / self.deviations[at])

    def mean_of(self, name: str) -> float:
        """The value of a term that adds nothing to the score, by its weight alone."""
        return float(self.means[self.names.index(name)])

    def with_weights(self, overrides: Mapping[str, float]) -> LinearScore:
        """The same score with some weights set by hand: a placement's boosts. Such a term has no curve.

        Raises:
            ValueError: If a name is unknown or a weight is not finite.
        """
        _check_names(overrides, self.names)
        weights = [overrides.get(name, weight) for name, weight in zip(self.names, self.weights, strict=True)]
        kept = [-1 if name in overrides else position for position, name in enumerate(self.names)]
        curves = self.curves.of_terms(kept) if self.curves is not None and overrides else self.curves
        return replace(self, weights=np.array(weights, dtype=np.float64), curves=curves)

    def only(self, names: Collection[str]) -> LinearScore:
        """The same score with the weights of all other terms set to 0."""
        return self.with_weights({name: 0.0 for name in self.names if name not in names})

    def to_arrays(self) -> dict[str, Array]:
        """The score as arrays for storage without pickle; ``from_arrays`` reverses it."""
        return {
            "names": np.array(self.names, dtype=np.str_),
            "weights": self.weights,
            "means": self.means,
            "deviations": self.deviations,
            **({} if self.curves is None else self.curves.to_arrays()),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], terms: tuple[str, ...] = TERMS) -> LinearScore:
        """Restore a score from ``to_arrays``, with the terms of this release in its order.

        A term that was unknown when the score was learned has weight 0; a stored term that no longer exists is ignored.
        """
        names, curves = tuple(str(name) for name in arrays["names"]), TermCurves.from_arrays(arrays)
        stored = cls(names, arrays["weights"], arrays["means"], arrays["deviations"], curves)
        return stored.over(terms)

    def over(self, terms: tuple[str, ...]) -> LinearScore:
        """The same score with these terms: new terms have weight 0, and terms that are not named are left out."""
        at = {name: position for position, name in enumerate(self.names)}
        columns = [
            np.array([getattr(self, column)[at[name]] if name in at else absent for name in terms])
            for column, absent in SCORE_COLUMNS.items()
        ]
        curves = self.curves and self.curves.of_terms([at.get(name, -1) for name in terms])
        weights, means, deviations = columns
        return LinearScore(terms, weights, means, deviations, curves)


@dataclass(frozen=True)
class ScoreConfig:
    """How the weights are learned.

    Attributes:
        prior: The a-priori weights, by term.
        strength: Precision of the Gaussian around the a-priori weights: about this many informative events move a
            weight half-way. > 0.
        non_negative: Terms whose weight may not be below 0. For each of them, more is better; a negative weight would
            be an accident of the sample that no operator could explain.
        switched_off: Terms whose weight is always 0.
    """

    prior: Mapping[str, float] = field(default_factory=lambda: DEFAULT_WEIGHTS)
    strength: float = 20.0
    non_negative: tuple[str, ...] = TERMS
    switched_off: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.strength > 0:
            raise ValueError(f"strength must be positive, not {self.strength}")
        _check_names(dict.fromkeys((*self.non_negative, *self.switched_off), 0.0), TERMS)
        if set(self.prior) != set(TERMS):
            raise ValueError(f"the prior must name every term: {', '.join(TERMS)}")


def learn_score(
    terms: Mapping[str, ArrayLike],
    chosen: ArrayLike,
    available: ArrayLike | None = None,
    config: ScoreConfig | None = None,
    positions: ArrayLike | None = None,
) -> LinearScore:
    """Learn the weight of each term from choices that the preferences were not learned from.

    A preference fits the events that it was learned from too well: with those, utility would get all the weight.

    Args:
        terms: Values by name for every alternative of every event, each of shape (n_events, n_alternatives); nan for
            unknown. A term that is left out keeps its a-priori weight.
        chosen: Position of the chosen alternative, int, shape (n_events,).
        available: True where an alternative was offered, shape (n_events, n_alternatives). Left out: all.
        config: See ``ScoreConfig``.
        positions: Position of each alternative in the list shown, from 1, shape (n_events, n_alternatives); nan where
            unknown. The effect of positions is learned with the weights and then dropped; otherwise a term by which
            lists are sorted would get the weight of the position. Left out: unknown.

    Returns:
        The score; the a-priori one if there are no events.

    Raises:
        ValueError: If a name is unknown, shapes disagree, or a value is infinite.

    Source: conditional logit (McFadden 1974) with a Gaussian around the a-priori weights, solved by L-BFGS-B within
    bounds (Byrd et al. 1995).
    """
    config = config or ScoreConfig()
    sets, means, deviations = as_sets(terms, chosen, available, positions)
    return LinearScore(TERMS, most_likely(sets, config)[:-1], means, deviations)


def terms_that_do_not_help(
    terms: Mapping[str, ArrayLike],
    chosen: ArrayLike,
    buyer_ids: ArrayLike,
    available: ArrayLike | None = None,
    config: ScoreConfig | None = None,
    positions: ArrayLike | None = None,
) -> frozenset[str]:
    """Return the terms without which held-out choices are predicted about as well; their weight should be 0.

    Buyers are divided into two halves; the choices of each half are predicted with weights learned from the other half.
    Terms are removed one at a time. Among the terms whose gain is not more than chance explains, the one with the
    smallest gain is removed, until each remaining term gains more than one standard error over the buyers. Utility is
    never removed. With fewer than ``FEWEST_CHOICES_TO_DROP`` choices no term is removed: they are too few to reject the
    a-priori weights.

    Args:
        buyer_ids: Buyer of each event, int, shape (n_events,).
        terms, chosen, available, config, positions: As in ``learn_score``.

    Source: backward elimination by two-fold cross-validation, by the rule of one standard error (Breiman et al. 1984,
    section 3.4.3).
    """
    config = config or ScoreConfig()
    sets, _, _ = as_sets(terms, chosen, available, positions)
    if len(sets) < FEWEST_CHOICES_TO_DROP:
        return config.switched_off
    _, codes = np.unique(np.asarray(buyer_ids), return_inverse=True)
    halves = codes % 2 == 0
    if halves.all() or not halves.any():
        return config.switched_off
    dropped, fit = config.switched_off, _cross_fit(sets, halves, config)
    while candidates := [name for name in TERMS if name not in (*dropped, UTILITY)]:
        without = {
            name: _cross_fit(sets, halves, replace(config, switched_off=dropped | {name})) for name in candidates
        }
        gains = {name: np.bincount(codes, fit - without[name]) for name in candidates}  # of each buyer
        useless = [name for name in candidates if not _exceeds_chance(gains[name])]
        if not useless:
            break
        least = min(useless, key=lambda name: gains[name].sum())
        dropped, fit = dropped | {least}, without[least]
    return dropped


def _exceeds_chance(gains: NDArray[np.number]) -> bool:
    """Whether gains of the log-likelihood add up to more than one standard error of their sum.

    ``gains`` are summed per buyer, because the choices of one buyer are not independent; shape (n_buyers,).
    """
    return bool(gains.sum() > max(AS_WELL, gains.std() * np.sqrt(len(gains))))


def _cross_fit(sets: ChoiceSets, halves: NDArray[np.bool_], config: ScoreConfig) -> NDArray[np.float64]:
    """Log-likelihood of each choice under weights learned from the other half of the buyers, shape (n_events,)."""
    found = np.empty(len(sets))
    for is_tested in (halves, ~halves):
        weights = most_likely(sets.take(~is_tested), config)
        log_chosen, _ = logit.choice_log_probabilities(logit.stack([sets.take(is_tested)]), weights[None])
        found[is_tested] = log_chosen[0]
    return found


def as_sets(
    terms: Mapping[str, ArrayLike],
    chosen: ArrayLike,
    available: ArrayLike | None,
    positions: ArrayLike | None,
) -> tuple[ChoiceSets, NDArray[np.float64], NDArray[np.float64]]:
    """Return standardised terms and positions as choice sets, and the means and deviations of the terms."""
    table = _table(terms, TERMS)
    if table.ndim != 3:
        raise ValueError(f"terms of events must have shape (n_events, n_alternatives), not {table.shape[:-1]}")
    is_offered = np.ones(table.shape[:2], bool) if available is None else np.asarray(available, dtype=bool)
    if is_offered.shape != table.shape[:2]:
        raise ValueError(f"available must have shape {table.shape[:2]}, not {is_offered.shape}")
    means, deviations = _scales(table[is_offered])
    features = np.concatenate([_standardised(table, means, deviations), _log_positions(positions, is_offered)], axis=-1)
    features[~is_offered] = 0.0
    sets = ChoiceSets(features, chosen, available=is_offered)  # type: ignore[arg-type]
    return sets, means, deviations


def _log_positions(positions: ArrayLike | None, is_offered: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Standardised log position of each alternative, shape (n_events, n_alternatives, 1); 0 where unknown."""
    if positions is None:
        return np.zeros((*is_offered.shape, 1))
    depth = np.asarray(positions, dtype=np.float64)
    if depth.shape != is_offered.shape:
        raise ValueError(f"positions must have shape {is_offered.shape}, not {depth.shape}")
    depth = np.log(np.maximum(depth, 1.0))[..., None]
    return _standardised(depth, *_scales(depth[is_offered]))


def most_likely(sets: ChoiceSets, config: ScoreConfig) -> NDArray[np.float64]:
    """The most likely weights of the terms, followed by that of the position."""
    off = config.switched_off
    prior = np.array([*(0.0 if name in off else config.prior[name] for name in TERMS), 0.0])
    if not sets.weights.any():
        return prior
    batch = logit.stack([sets])

    def cost(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        fit, probabilities = logit.log_likelihood(batch, weights[None])
        gradient, _ = logit.derivatives(batch, probabilities)
        from_prior = weights - prior
        return (
            float(0.5 * config.strength * from_prior @ from_prior - fit[0]),
            gradient[0] + config.strength * from_prior,
        )

    bounds = [
        (0.0, 0.0) if name in off else (0.0, None) if name in config.non_negative else (None, None) for name in TERMS
    ] + [(None, None)]
    most_likely: NDArray[np.float64] = optimize.minimize(cost, prior, jac=True, method="L-BFGS-B", bounds=bounds).x
    return most_likely


def _table(terms: Mapping[str, ArrayLike], names: tuple[str, ...]) -> NDArray[np.float64]:
    """Terms as one array whose last axis follows ``names``; nan for a term that is left out."""
    _check_names(terms, names)
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in terms.items()}
    shapes = {column.shape for column in columns.values()}
    if len(shapes) != 1:
        raise ValueError(f"terms must be of one shape, not {sorted(shapes)}")
    table = np.full((*shapes.pop(), len(names)), np.nan)
    for position, name in enumerate(names):
        if name in columns:
            table[..., position] = columns[name]
    if np.isinf(table).any():
        raise ValueError("a term is infinite; say nan for unknown")
    return table


def _check_names(terms: Mapping[str, object], names: tuple[str, ...]) -> None:
    if unknown := sorted(set(terms) - set(names)):
        raise ValueError(f"unknown terms: {', '.join(unknown)}; known are {', '.join(names)}")


def _scales(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column's known values; 0 and 1 for a column that is unknown or constant."""
    is_known = ~np.isnan(values)
    n = np.maximum(is_known.sum(axis=0), 1)
    means = np.where(is_known, values, 0.0).sum(axis=0) / n
    deviations = np.sqrt((np.where(is_known, values - means, 0.0) ** 2).sum(axis=0) / n)
    return means, np.where(deviations > 1e-9, deviations, 1.0)


def _standardised(
    table: NDArray[np.float64], means: NDArray[np.float64], deviations: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.nan_to_num((table - means) / deviations, nan=0.0)


def _known_means(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    return _scales(columns)[0]


def _deviations(covariates: ArrayLike, means: NDArray[np.float64], n_listings: int) -> NDArray[np.float64]:
    values = np.asarray(covariates, dtype=np.float64)
    if values.shape != (n_listings, len(means)):
        raise ValueError(f"covariates must have shape ({n_listings}, {len(means)}), not {values.shape}")
    return np.nan_to_num(values - means, nan=0.0)
