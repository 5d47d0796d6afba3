"""Listing fields -> content features, by a spec frozen at fitting; and back, for profiles and reasons.

Every listing is read as a mixture of *states* (``fields.py``): a level of each category, the knots around each number,
its words. A state has one row of numbers, so a listing's vector is a short weighted sum of rows of one matrix::

    vectors = mixture @ states          (n, n_states) @ (n_states, n_dims)

and everything else follows: what a field adds to a score, or the utility of any price or make under given weights, is
the same few rows times the weights. Which numbers the rows hold is a question of what buyers may want: each field has
a prior over utility functions, and the ``n_dims`` directions are kept in which the catalogue's utilities vary most
under it (a truncated singular value decomposition, found by way of the covariance of the features).

No clock and no settings: the age of a car is counted from a year fixed at fitting, so vectors do not drift.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, hstack

from catalog.attributes import ATTRIBUTES
from recommendations.engine.arrays import Array, Floats
from recommendations.engine.fields import (
    CATEGORIES,
    FIELD_NAMES,
    NUMBERS,
    TEXTS,
    CategoryField,
    Field,
    NumberField,
    Positions,
    TextField,
)
from recommendations.engine.stored import known_fields
from recommendations.engine.table import ListingTable

__all__ = ["Contributions", "Encoder", "EncoderConfig", "ListingTable", "fit_encoder"]

F = TypeVar("F", CategoryField, NumberField)

ROWS_AT_ONCE = 16_384  # bounds the memory of a mixture, some thirty numbers a row
SMALL = 0.02  # of the largest: shorter directions of numbers are left to the other fields
OWN = 0.9  # of the squares of a field, which numbers must leave, for it to be taken apart from them
NEGLIGIBLE = 1e-10  # a direction with less of the largest variance than this is rounding


@dataclass(frozen=True)
class EncoderConfig:
    """What the encoder may use, and how strongly buyers are expected to feel about each field.

    The defaults were chosen on 99,187 real adverts for how much of many made-up buyers' utility the best linear score
    collects (``benchmarks/encoder.py``); they are flat around the optimum.

    Attributes:
        n_dims: Width of the vectors; dimensions that the catalogue does not fill are zero.
        n_knots: Knots per number. More of them resolve a sweet spot finer.
        min_level_count: A level seen less often than this joins "(other)"; in a catalogue of less than a hundred times
            as many listings, one that is seen in less than one of a hundred.
        max_levels: Most levels of one category; the commonest stay.
        n_text_buckets: Words are hashed into this many columns, and tags into as many.
        smoothness: Distance, in standard deviations of a number, over which a curve of utility may turn.
        row_norm: Root mean square length of the vectors of the catalogue.
        max_fit_rows: A larger catalogue is fitted on this many rows, evenly spaced.
        reference_year: Age is counted from here. None: the newest year of the catalogue, but for one in a thousand.
        strengths: Expected spread of the utility due to each field, relative to each other; 0 leaves a field out.
    """

    n_dims: int = 96
    n_knots: int = 16
    min_level_count: int = 5
    max_levels: int = 1000
    n_text_buckets: int = 256
    smoothness: float = 1.0
    row_norm: float = 2.0
    max_fit_rows: int = 200_000
    reference_year: int | None = None
    strengths: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: {
            "price": 1.2, "age": 0.3, "make": 0.9, "model": 0.6, "seller": 0.2, "title": 0.15, "tags": 0.3,
            **{attribute.name: attribute.strength for attribute in ATTRIBUTES if attribute.strength},
        }
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name in ("n_dims", "min_level_count", "max_levels", "n_text_buckets", "max_fit_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.n_knots < 2:
            raise ValueError(f"n_knots must be at least 2, not {self.n_knots}")
        for name in ("smoothness", "row_norm"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be a number above 0, not {getattr(self, name)}")
        if unknown := sorted(set(self.strengths) - set(FIELD_NAMES)):
            raise ValueError(f"strengths names no such field: {', '.join(unknown)}")
        for name, strength in self.strengths.items():
            if not 0 <= strength < np.inf:
                raise ValueError(f"the strength of {name} must be a number from 0, not {strength}")
        if not any(self.strengths.values()):
            raise ValueError("strengths leaves every field out")


@dataclass(frozen=True)
class Contributions:
    """What each field adds to the score of each listing, against an average listing of the fitted catalogue.

    Attributes:
        names: Readable fields ("price", "make", "age", ...), the columns of ``values``.
        values: float64, shape (n, n_names); a row adds up to the listing's score.
    """

    names: tuple[str, ...]
    values: Floats


@dataclass(frozen=True, eq=False)
class Encoder:
    """A fitted encoder. Made by ``fit_encoder`` or ``from_arrays``.

    Attributes:
        config: As it was fitted with.
        reference_year: Age is counted from here.
        fields: In the order of their states.
        states: A row for every state of every field, float64, shape (n_states, n_dims).
    """

    config: EncoderConfig
    reference_year: int
    fields: tuple[Field, ...]
    states: Floats

    @property
    def n_dims(self) -> int:
        return int(self.states.shape[1])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    def encode(self, table: ListingTable) -> NDArray[np.float32]:
        """Content features of listings, float32, shape (n, n_dims), always finite.

        A listing's vector depends on its own fields alone, to the last bit: in a batch or single, it is the same.
        Levels never seen count as "(other)"; a field without a value counts by what unknown meant in the catalogue,
        and for nothing where the catalogue always had one.
        """
        return self._mix(table, self.states).astype(np.float32)

    def mixture(self, table: ListingTable) -> csr_array:
        """Which states each listing is in, and how much of it in each; shape (n, n_states)."""
        return _mixture(self.fields, table, self.reference_year)

    def encode_field(self, table: ListingTable, field: str) -> NDArray[np.float32]:
        """The part of the vectors that one field makes, float32, shape (n, n_dims); the parts of all add up to them.

        So a wish that speaks of one field alone (a filter, an answer) can be learned from without saying anything of
        the others.

        Raises:
            ValueError: If there is no such field.
        """
        at = self._position_of(field)
        return self._encode_field(table, self.fields[at], self._own_states(at))

    def encode_field_apart(self, table: ListingTable, field: str) -> NDArray[np.float32]:
        """As ``encode_field``, for a category without what it has in common with prices and other numbers.

        Fewer directions are kept than there are levels and knots, and so a make shares a little of them with the price:
        one that everybody wants would seem to be wanted at its prices. In a small catalogue in which they share more
        than a little, make and price cannot be separated, and nothing is taken out; nor is it of a number.
        """
        at = self._position_of(field)
        return self._encode_field(table, self.fields[at], self._states_apart[field])

    def field_mixture(self, table: ListingTable, field: str) -> tuple[Positions, Floats] | None:
        """The states of one field that each listing is in, and the share of each: two arrays of shape (n, 1 or 2).

        None for words and tags, of which a listing has as many as it has. Raises as ``encode_field``.
        """
        read = self.fields[self._position_of(field)]
        return None if isinstance(read, TextField) else read.mixture(table, self.reference_year)

    def mixed_apart(self, field: str, states: Positions, shares: Floats) -> NDArray[np.float32]:
        """``encode_field_apart`` of listings by their ``field_mixture``, to the last bit, however many there are."""
        return _mixed(self._states_apart[field], states, shares)

    def _encode_field(self, table: ListingTable, read: Field, own: Floats) -> NDArray[np.float32]:
        if isinstance(read, TextField) or len(table) > ROWS_AT_ONCE:
            return self._mix(table, own, (read,)).astype(np.float32)
        # the few rows of a search's condition: a sparse matrix would take longer to build than to multiply
        return _mixed(own, *read.mixture(table, self.reference_year))

    def _position_of(self, field: str) -> int:
        if field not in self.names:
            raise ValueError(f"{field!r} is none of this encoder's fields: {', '.join(self.names)}")
        return self.names.index(field)

    def _own_states(self, at: int) -> Floats:
        return self.states[self._first_states[at] : self._first_states[at + 1]]

    @cached_property
    def _states_apart(self) -> dict[str, Floats]:
        """The states of each field, without what they have in common with numbers (``encode_field_apart``)."""
        span, apart = self._span_of_numbers, {}
        for at, field in enumerate(self.fields):
            states = self._own_states(at)
            rest = states - states @ span.T @ span
            keeps_all = isinstance(field, NumberField) or (rest**2).sum() < OWN * (states**2).sum()
            rounded = states.astype(np.float32)  # as in vectors, from which parts were taken apart one by one before
            apart[field.name] = states if keeps_all else rounded - rounded @ span.T @ span
        return apart

    @cached_property
    def _span_of_numbers(self) -> Floats:
        """Orthonormal directions in which the utilities of numbers differ, shape (n_directions, n_dims)."""
        of_numbers = np.array([isinstance(field, NumberField) for field in self.fields], bool)
        _, lengths, directions = np.linalg.svd(self.states[of_numbers[self.field_of_state]], full_matrices=False)
        span: Floats = directions[lengths > SMALL * lengths.max(initial=0.0)]
        return span

    def contributions(
        self, weights: ArrayLike, table: ListingTable, encoded: NDArray[np.float32] | None = None
    ) -> Contributions:
        """Split the scores ``encode(table) @ weights`` among the fields; ``encoded`` saves encoding once more.

        The split is made in float64; what the rounding of the vectors to float32 changes (about 1e-7) goes to the
        field that matters most in its row, so that the sum is that of the stored vectors.

        Raises:
            ValueError: If the weights are not n_dims finite numbers.
        """
        weights = self._checked(weights)
        encoded = self.encode(table) if encoded is None else encoded
        return self._contributions(weights, self._mix(table, self._by_field(weights)), encoded)

    def contributions_of(self, weights: ArrayLike, mixture: csr_array, encoded: NDArray[np.float32]) -> Contributions:
        """The same of listings whose mixture and vectors are known already; for a few, as it takes them at once."""
        weights = self._checked(weights)
        return self._contributions(weights, mixture @ self._by_field(weights), encoded)

    def encode_mixture(self, mixture: csr_array) -> NDArray[np.float32]:
        """``encode`` of listings whose mixture is known already; for a few, as it takes them at once."""
        encoded: NDArray[np.float32] = (mixture @ self.states).astype(np.float32)
        return encoded

    def _by_field(self, weights: Floats) -> Floats:
        """The part of each state in a score, in the column of its field, shape (n_states, n_fields)."""
        by_field = np.zeros((len(self.states), len(self.fields)))
        by_field[np.arange(len(self.states)), self.field_of_state] = self.states @ weights
        return by_field

    def _contributions(self, weights: Floats, values: Floats, encoded: NDArray[np.float32]) -> Contributions:
        rounding = encoded.astype(np.float64) @ weights - values.sum(axis=1)
        values[np.arange(len(values)), np.abs(values).argmax(axis=1)] += rounding
        return Contributions(self.names, values)

    def curve(self, weights: ArrayLike, field: str, grid: ArrayLike) -> Floats:
        """Utility of a number under given weights, one per point of the grid, against the catalogue's average.

        Args:
            weights: Shape (n_dims,).
            field: "price", "age", "mileage", "power", "engine" or "consumption".
            grid: In the unit of the column (age: years); nan asks for the utility of not knowing.

        Raises:
            ValueError: If there is no such number, or the weights are not n_dims finite numbers.
        """
        return self.curve_vectors(field, grid) @ self._checked(weights)

    def curve_vectors(self, field: str, grid: ArrayLike) -> Floats:
        """What a number adds to a vector at each point of a grid, shape (*grid.shape, n_dims); as of ``curve``.

        The curve under any weights is their product, and its variance under a belief the quadratic form.
        """
        found, rows = self._states_of(field, NumberField)
        values = np.asarray(grid, np.float64)
        states, shares = found.between_knots(NUMBERS[field].transform(values.ravel()))
        vectors: Floats = (rows[states] * shares[..., None]).sum(axis=1).reshape(*values.shape, self.n_dims)
        return vectors

    def levels(self, weights: ArrayLike, field: str) -> dict[str, float]:
        """Utility of each known level of a category under given weights, the commonest first; models as "make|model".

        Raises:
            ValueError: If there is no such category, or the weights are not n_dims finite numbers.
        """
        names, rows = self.level_vectors(field)
        return dict(zip(names, (rows @ self._checked(weights)).tolist(), strict=True))

    def level_vectors(self, field: str) -> tuple[tuple[str, ...], Floats]:
        """The known levels of a category, the commonest first, and what each adds to a vector, shape (n, n_dims).

        Raises:
            ValueError: If there is no such category.
        """
        found, rows = self._states_of(field, CategoryField)
        return tuple(found.levels), rows[: len(found.levels)]  # the states after the levels have no name

    def to_arrays(self) -> dict[str, Array]:
        """Everything, as arrays that ``np.savez`` stores without pickle."""
        spec = {
            "config": asdict(self.config),
            "reference_year": self.reference_year,
            "fields": [{"kind": type(field).__name__, **asdict(field)} for field in self.fields],
        }
        return {"spec": np.frombuffer(json.dumps(spec).encode(), np.uint8), "states": self.states}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Encoder:
        """The reverse of ``to_arrays``; encodes to the same bits.

        A field that this release does not read any more is left out with its states: every listing counts as average
        there. Options that are unknown are ignored.

        Raises:
            ValueError: If fields and states do not belong together.
        """
        spec = json.loads(arrays["spec"].tobytes())
        fields = tuple(_field_from_spec(field) for field in spec["fields"])
        states = np.asarray(arrays["states"], np.float64)
        if sum(field.n_states for field in fields) != len(states):
            raise ValueError(f"the fields of this encoder do not have {len(states)} states")
        is_read = np.array([field.name in FIELD_NAMES for field in fields], bool)
        kept_states = np.repeat(is_read, [field.n_states for field in fields])
        kept_fields = tuple(field for field in fields if field.name in FIELD_NAMES)
        return cls(_config_from_spec(spec["config"]), spec["reference_year"], kept_fields, states[kept_states])

    @cached_property
    def _first_states(self) -> NDArray[np.int64]:
        """The first state of each field, and the end of the last field."""
        return np.cumsum([0, *(field.n_states for field in self.fields)])

    @cached_property
    def field_of_state(self) -> NDArray[np.int64]:
        """Which of ``fields`` each state belongs to, shape (n_states,)."""
        return np.repeat(np.arange(len(self.fields)), np.diff(self._first_states))

    def _mix(self, table: ListingTable, by_state: Floats, fields: tuple[Field, ...] | None = None) -> Floats:
        """Each listing's mixture of the rows of a matrix with one row per state of the fields, by default of all.

        Shape (n, the matrix's width).
        """
        fields = self.fields if fields is None else fields
        mixed = np.empty((len(table), by_state.shape[1]))
        for start in range(0, len(table), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            mixed[rows] = _mixture(fields, table.take(rows), self.reference_year) @ by_state
        return mixed

    def _states_of(self, name: str, kind: type[F]) -> tuple[F, Floats]:
        for found, first in zip(self.fields, self._first_states, strict=False):
            if found.name == name and isinstance(found, kind):
                return found, self.states[first : first + found.n_states]
        raise ValueError(f"{name!r} is none of this encoder's fields of that kind")

    def _checked(self, weights: ArrayLike) -> Floats:
        weights = np.asarray(weights, np.float64)
        if weights.shape != (self.n_dims,) or not np.isfinite(weights).all():
            raise ValueError(f"weights must be {self.n_dims} finite numbers, not of shape {weights.shape}")
        return weights


def fit_encoder(table: ListingTable, config: EncoderConfig | None = None) -> Encoder:
    """Learn vocabularies, knots and the directions to keep from a catalogue.

    The features of all fields are centred and scaled to the strengths of the config; the vectors are their projection
    on the ``n_dims`` eigenvectors of their covariance with the largest eigenvalues, scaled to ``row_norm``. So weights
    drawn from N(0, I) are plausible buyers, which is where a population prior starts from.

    Args:
        table: The catalogue, sold cars included. Without rows, or with all rows alike, every vector is zero.
        config: The defaults when None.

    Returns:
        The same encoder for the same table and config, whatever else happens.
    """
    config = config or EncoderConfig()
    encoder = fit_unscaled(table, config)
    table = rows_to_fit(table, config)
    length = np.sqrt(np.mean(np.square(encoder.mixture(table) @ encoder.states).sum(axis=1))) if len(table) else 0.0
    return replace(encoder, states=encoder.states * (config.row_norm / length if length else 0.0))


def fit_unscaled(table: ListingTable, config: EncoderConfig) -> Encoder:
    """The same encoder before its vectors are scaled to ``row_norm``.

    The squared distance of two listings is then a sum over the fields, as far as ``n_dims`` directions hold it: twice
    the square of its strength where a category differs, and about that where a number differs by a deviation.
    """
    table = rows_to_fit(table, config)
    reference_year = _newest_year(table) if config.reference_year is None else config.reference_year
    fields = _fit_fields(table, reference_year, config)
    mixture = _mixture(fields, table, reference_year)
    blocks = _centred_blocks(fields, mixture, config)
    directions = _main_directions(blocks, mixture, config.n_dims)
    states = np.zeros((mixture.shape[1], config.n_dims))
    states[:, : directions.shape[1]] = _project(blocks, directions)
    return Encoder(config, reference_year, fields, states)


def rows_to_fit(table: ListingTable, config: EncoderConfig) -> ListingTable:
    """The listings that are fitted on: all, or ``max_fit_rows`` of them, evenly spaced."""
    if len(table) <= config.max_fit_rows:
        return table
    return table.take(np.linspace(0, len(table) - 1, config.max_fit_rows).astype(np.int64))


def _newest_year(table: ListingTable) -> int:
    """Of all but one car in a thousand, for some adverts have a year that has yet to come; 0 when none is known."""
    years = table.year[np.isfinite(table.year)]
    return int(np.quantile(years, 0.999, method="lower")) if len(years) else 0


def _fit_fields(table: ListingTable, reference_year: int, config: EncoderConfig) -> tuple[Field, ...]:
    """The fields with a strength: numbers, categories, then texts."""
    fitted: list[Field] = [NumberField.fit(name, table, reference_year, config.n_knots) for name in NUMBERS]
    min_count = min(config.min_level_count, max(len(table) // 100, 1))
    fitted += [CategoryField.fit(name, table, min_count, config.max_levels) for name in CATEGORIES]
    fitted += [TextField(name, config.n_text_buckets) for name in TEXTS]
    return tuple(field for field in fitted if config.strengths.get(field.name, 0.0) > 0)


def _field_from_spec(spec: Mapping[str, Any]) -> Field:
    kinds: dict[str, type[Field]] = {kind.__name__: kind for kind in (CategoryField, NumberField, TextField)}
    kind = kinds[spec["kind"]]
    stored = {name: tuple(part) if isinstance(part, list) else part for name, part in spec.items()}
    return kind(**known_fields(kind, stored))


def _config_from_spec(spec: Mapping[str, Any]) -> EncoderConfig:
    known = known_fields(EncoderConfig, spec)
    strengths = known.get("strengths", {}).items()
    return EncoderConfig(**known | {"strengths": {name: value for name, value in strengths if name in FIELD_NAMES}})


def _mixed(own: Floats, states: Positions, shares: Floats) -> NDArray[np.float32]:
    """Shares of the rows of a matrix, added up: shape (n, the matrix's width)."""
    parts: NDArray[np.float32] = (shares[:, :, None] * own[states]).sum(axis=1).astype(np.float32)
    return parts


def _mixture(fields: tuple[Field, ...], table: ListingTable, reference_year: int) -> csr_array:
    """Which states each listing is in, and how much of it in each; shape (n, n_states)."""
    n, n_states = len(table), 0
    columns, shares, texts = [np.empty((n, 0), np.int32)], [np.empty((n, 0))], []
    for field in fields:
        if isinstance(field, TextField):  # these come last
            states, text_shares, counts = field.mixture(table)
            ends = np.concatenate([[0], np.cumsum(counts)])
            texts.append(csr_array((text_shares, states, ends), shape=(n, field.n_states)))
        else:
            states, state_shares = field.mixture(table, reference_year)
            columns.append(states + np.int32(n_states))
            shares.append(state_shares)
            n_states += field.n_states
    flat_columns, flat_shares = np.hstack(columns), np.hstack(shares)
    ends = np.arange(n + 1) * flat_columns.shape[1]
    return hstack([csr_array((flat_shares.ravel(), flat_columns.ravel(), ends), shape=(n, n_states)), *texts], "csr")


def _centred_blocks(fields: tuple[Field, ...], mixture: csr_array, config: EncoderConfig) -> list[Floats]:
    """For each field the features of its states, at its strength; shape (n_states, n_features) each."""
    mean_shares = np.asarray(mixture.sum(axis=0)).ravel() / max(mixture.shape[0], 1)
    per_field = np.split(mean_shares, np.cumsum([field.n_states for field in fields])[:-1])
    return [
        config.strengths[field.name] * field.features(means, config.smoothness)
        for field, means in zip(fields, per_field, strict=True)
    ]


def _main_directions(blocks: list[Floats], mixture: csr_array, n_dims: int) -> Floats:
    """Eigenvectors of the covariance of the features, by falling eigenvalue, shape (n_features, at most n_dims).

    Only a sign is left to chance by that: each points to where its largest component is positive.
    """
    second_moments = (mixture.T @ mixture).toarray() / max(mixture.shape[0], 1)
    half = np.vstack([block.T @ rows for block, rows in zip(blocks, _split(second_moments, blocks), strict=True)])
    covariance = np.vstack([block.T @ rows for block, rows in zip(blocks, _split(half.T, blocks), strict=True)])
    varied = np.flatnonzero(covariance.diagonal() > NEGLIGIBLE**2)  # most buckets of a small catalogue are empty
    directions = np.zeros((len(covariance), min(n_dims, len(varied))))
    if not len(varied):
        return directions
    first = max(len(varied) - n_dims, 0)
    variances, found = scipy.linalg.eigh(covariance[np.ix_(varied, varied)], subset_by_index=[first, len(varied) - 1])
    directions[varied] = np.where(variances > NEGLIGIBLE * variances[-1], found, 0.0)[:, ::-1]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], axis=0)
    return directions * np.sign(largest)


def _project(blocks: list[Floats], directions: Floats) -> Floats:
    """Features times directions, block by block; shape (n_states, n_directions)."""
    ends = np.cumsum([block.shape[1] for block in blocks])[:-1]
    return np.vstack([block @ rows for block, rows in zip(blocks, np.split(directions, ends), strict=True)])


def _split(rows: Floats, blocks: list[Floats]) -> list[Floats]:
    """One part of the rows for the states of each block."""
    return np.split(rows, np.cumsum([len(block) for block in blocks])[:-1])
