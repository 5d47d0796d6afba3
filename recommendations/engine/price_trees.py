"""Quantiles of a number by gradient-boosted trees, kept as plain arrays and read without scikit-learn.

Trees are learned by scikit-learn's ``HistGradientBoostingRegressor``. What is kept of them is, for each interval of
each feature, which leaves of each tree a row in it can still reach; a row's leaf is the leftmost one that all its
features allow. That needs no walk down a tree, so many rows are answered at once by a few array operations, and what
was stored is read by any later release, whatever scikit-learn it has.

Source: QuickScorer (Lucchese et al., SIGIR 2015), with bit masks looked up by interval instead of searched for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from recommendations.engine.arrays import Array

LEAVES_AT_MOST = 63  # of one tree: a leaf is a bit of a uint64
ROWS_AT_ONCE = 4096  # answered together, so that the masks of a block stay in the processor's cache
ALL_LEAVES = np.uint64(2**64 - 1)


@dataclass(frozen=True)
class TreeConfig:
    """How trees are grown.

    Attributes:
        n_trees: Of each quantile.
        learning_rate: Share of each tree's correction that is taken over, in (0, 1].
        n_leaves: Of one tree, from 2 to ``LEAVES_AT_MOST``.
        smallest_leaf: Rows.
    """

    n_trees: int = 100
    learning_rate: float = 0.15
    n_leaves: int = LEAVES_AT_MOST
    smallest_leaf: int = 20

    def __post_init__(self) -> None:
        if not 2 <= self.n_leaves <= LEAVES_AT_MOST:
            raise ValueError(f"n_leaves must be from 2 to {LEAVES_AT_MOST}, not {self.n_leaves}")
        if self.n_trees < 1 or self.smallest_leaf < 1 or not 0 < self.learning_rate <= 1:
            raise ValueError("n_trees and smallest_leaf must be at least 1, learning_rate in (0, 1]")


@dataclass(frozen=True, eq=False)
class Trees:
    """The trees of one quantile.

    Attributes:
        start: What is answered before any tree is asked.
        edges: Where a feature is split, sorted, one array for each feature; infinity is an edge too.
        masks: Leaves that can still be reached, a bit each, for each feature uint64 of shape (n_edges + 2, n_trees):
            one row for each interval, counted from below, and the last one for an unknown value.
        values: What each leaf adds, shape (n_trees, LEAVES_AT_MOST + 1).
    """

    start: float
    edges: tuple[NDArray[np.float64], ...]
    masks: tuple[NDArray[np.uint64], ...]
    values: NDArray[np.float64]

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The answer for each row of features, shape (n, n_features) with nan for unknown; shape (n,)."""
        blocks = [self._block(features[at : at + ROWS_AT_ONCE]) for at in range(0, len(features), ROWS_AT_ONCE)]
        return np.concatenate(blocks) if blocks else np.empty(0)

    def _block(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        reachable = np.full((len(features), len(self.values)), ALL_LEAVES)
        for column, edges, masks in zip(features.T, self.edges, self.masks, strict=True):
            if len(edges):
                interval = np.searchsorted(edges, column, side="left")
                reachable &= masks[np.where(np.isnan(column), len(edges) + 1, interval)]
        leaves = np.bitwise_count(~reachable & (reachable - np.uint64(1)))  # zeros below the lowest bit: its number
        predicted: NDArray[np.float64] = self.start + self.values[np.arange(len(self.values)), leaves].sum(axis=1)
        return predicted

    def to_arrays(self) -> dict[str, Array]:
        """For storage without pickle; ``from_arrays`` restores it."""
        return {
            "start": np.array(self.start),
            "n_edges": np.array([len(edges) for edges in self.edges], np.int64),
            "edges": np.concatenate(self.edges),
            "masks": np.concatenate(self.masks),
            "values": self.values,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        n_edges = arrays["n_edges"]
        return cls(
            start=float(arrays["start"]),
            edges=tuple(np.split(arrays["edges"], np.cumsum(n_edges)[:-1])),
            masks=tuple(np.split(arrays["masks"], np.cumsum(n_edges + 2)[:-1])),
            values=arrays["values"],
        )


def fit_trees(
    features: NDArray[np.float64], targets: NDArray[np.float64], quantile: float, config: TreeConfig | None = None
) -> Trees:
    """Learn a quantile of a number from features.

    Args:
        features: Shape (n, n_features), nan for unknown; n > 0.
        targets: Shape (n,), finite.
        quantile: In (0, 1); .5 is the median.

    Returns:
        The trees. The same rows always grow the same ones.
    """
    config = config or TreeConfig()
    model = HistGradientBoostingRegressor(
        loss="quantile", quantile=quantile, max_iter=config.n_trees, learning_rate=config.learning_rate,
        max_leaf_nodes=config.n_leaves, min_samples_leaf=config.smallest_leaf, early_stopping=False, random_state=0,
    )  # fmt: skip
    # a column of which nothing is known cannot be cut into bins; one value for all rows splits nothing either
    is_unknown = np.isnan(features).all(axis=0)
    # one thread: sums are taken in one order on every machine, and threads on a busy core wait for each other
    with threadpool_limits(limits=1, user_api="openmp"):
        model.fit(np.where(is_unknown, 0.0, features), targets)
    nodes = [predictor.nodes for (predictor,) in model._predictors]
    return as_masks(nodes, float(model._baseline_prediction.item()), features.shape[1])


def as_masks(trees: Sequence[Any], start: float, n_features: int) -> Trees:
    """Trees of scikit-learn as masks of leaves; ``trees`` are its structured arrays of nodes."""
    splits = np.concatenate([_splits(nodes, at) for at, nodes in enumerate(trees)] or [np.empty(0, SPLIT)])
    edges = tuple(np.unique(splits["edge"][splits["feature"] == feature]) for feature in range(n_features))
    masks = tuple(
        _masks_of(splits[splits["feature"] == feature], edges[feature], len(trees)) for feature in range(n_features)
    )
    values = np.zeros((len(trees), LEAVES_AT_MOST + 1))
    for at, nodes in enumerate(trees):
        leaves = [node for node, _, _ in _in_order(nodes) if nodes[node]["is_leaf"]]
        values[at, : len(leaves)] = nodes["value"][leaves]
    return Trees(start, edges, masks, values)


SPLIT = np.dtype(
    [("tree", np.int64), ("feature", np.int64), ("edge", np.float64), ("right_mask", np.uint64), ("sends_left", bool)]
)


def _masks_of(splits: Array, edges: NDArray[np.float64], n_trees: int) -> NDArray[np.uint64]:
    """For each interval between the edges of one feature, which leaves of each tree remain."""
    masks = np.full((len(edges) + 2, n_trees), ALL_LEAVES)
    for tree, _, edge, right_mask, sends_left in splits.tolist():
        beyond = int(np.searchsorted(edges, edge)) + 1  # the first interval above the edge
        masks[beyond : len(edges) + 1, tree] &= np.uint64(right_mask)
        if not sends_left:
            masks[len(edges) + 1, tree] &= np.uint64(right_mask)
    return masks


def _splits(nodes: Any, tree: int) -> Array:
    """The splits of a tree: which leaves remain when a row goes right there, and whether the unknown goes left."""
    found = [
        (tree, nodes[node]["feature_idx"], nodes[node]["num_threshold"], ~_bits(first, middle) & (2**64 - 1),
         bool(nodes[node]["missing_go_to_left"]))
        for node, first, middle in _in_order(nodes)
        if not nodes[node]["is_leaf"]
    ]  # fmt: skip
    return np.array(found, SPLIT)


def _bits(first: int, end: int) -> int:
    return ((1 << (end - first)) - 1) << first


def _in_order(nodes: Any) -> list[tuple[int, int, int]]:
    """Nodes from left to right, each with the first leaf below it and the first one of its right side."""
    found: list[tuple[int, int, int]] = []

    def visit(node: int, first: int) -> int:
        """Returns the number of the first leaf right of this node."""
        if nodes[node]["is_leaf"]:
            found.append((node, first, first))
            return first + 1
        middle = visit(int(nodes[node]["left"]), first)
        found.append((node, first, middle))
        return visit(int(nodes[node]["right"]), middle)

    visit(0, 0)
    return found
