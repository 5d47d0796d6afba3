"""What a term adds to the score beyond its weight: a step function of its value, by how well the buyer is known.

The curves are the sum of small boosted trees (``boosting``), kept as a table: a value is looked up, and no tree is
stored. Each curve reads one term, and the band of the buyer, which is the same for every car of a list. So what a curve
adds is that term's own part of the score, exactly, and the parts of all terms still add up to the score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recommendations.engine.arrays import Array

COLUMNS = ("band_edges", "edges", "values")


@dataclass(frozen=True, eq=False)
class TermCurves:
    """Step functions of terms, in the order of the terms of the score that has them.

    Attributes:
        band_edges: The number of cars that the buyer dealt with at which each band but the first begins, ascending,
            shape (n_bands - 1,).
        edges: The value of each term at which each step but the first begins, ascending, inf where a term has fewer,
            shape (n_terms, n_steps - 1).
        values: What is added to the score, finite, shape (n_terms, n_bands, n_steps).
    """

    band_edges: NDArray[np.float64]
    edges: NDArray[np.float64]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in COLUMNS:
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))
        n_terms, n_bands, n_steps = self.values.shape if self.values.ndim == 3 else (-1, -1, -1)
        if self.edges.shape != (n_terms, n_steps - 1) or self.band_edges.shape != (n_bands - 1,):
            raise ValueError(
                f"values {self.values.shape} do not go with edges {self.edges.shape} and bands {self.band_edges.shape}"
            )
        if not np.isfinite(self.values).all() or np.isnan(self.edges).any():
            raise ValueError("values must be finite and edges numbers")

    def bands(self, n_cars: ArrayLike) -> NDArray[np.intp]:
        """The band of buyers who dealt with so many cars, same shape."""
        return np.searchsorted(self.band_edges, np.asarray(n_cars, np.float64), side="right")

    def added(self, table: NDArray[np.float64], n_cars: ArrayLike) -> NDArray[np.float64]:
        """What each value of each term adds, shape of ``table``; nothing where a value is unknown (nan).

        Args:
            table: Values, shape (..., n_terms).
            n_cars: Of the buyer, broadcast to the shape of ``table`` without its last axis.
        """
        bands, added = self.bands(n_cars), np.zeros(table.shape)
        for term, edges in enumerate(self.edges):
            if not self.values[term].any():
                continue
            steps = np.searchsorted(edges, table[..., term], side="right")
            added[..., term] = np.where(np.isnan(table[..., term]), 0.0, self.values[term][bands, steps])
        return added

    def of_terms(self, positions: Sequence[int]) -> TermCurves:
        """The curves of other terms: each position is that of a term among these, or -1 for one that has no curve."""
        at = np.asarray(positions, np.intp)
        is_known = at >= 0
        return replace(
            self,
            edges=np.where(is_known[:, None], self.edges[at], np.inf),
            values=np.where(is_known[:, None, None], self.values[at], 0.0),
        )

    def to_arrays(self) -> dict[str, Array]:
        """For storage without pickle; ``from_arrays`` restores it."""
        return {f"curves.{name}": getattr(self, name) for name in COLUMNS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> TermCurves | None:
        """The reverse of ``to_arrays``; None where no curves were stored."""
        if not all(f"curves.{name}" in arrays for name in COLUMNS):
            return None
        return cls(*(arrays[f"curves.{name}"] for name in COLUMNS))
