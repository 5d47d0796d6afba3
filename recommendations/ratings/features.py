"""The features of persons and items in the factorization machine.

The features of a person are their one-hot id and the set of items they rated; those of an item are its id, the set of
people who rated it ("rated partners"), and features of its title (descriptions.py). The set of rated items is
informative without the stars, which is the implicit feedback of SVD++ (Koren 2008); here both sides have it, as in
Bayesian SVD++ flipped (Rendle, Zhang and Koren 2019, "On the Difficulty of Evaluating Baselines"). A set of n partners
has weight 1 / sqrt(n) on each, so that its sum has the same size for every n.

In a factorization machine (Rendle 2010) the estimate for features x is

    w0 + sum_f w_f x_f + sum_{f<g} (v_f . v_g) x_f x_g

Divided into the features of the person and those of the item this is ``w0 + a + b + p . q``: with p = sum x_f v_f over
the person's features and a = sum w_f x_f + (|p|^2 - sum x_f^2 |v_f|^2) / 2 (the interactions among them), and q and b
the same of the item.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from recommendations.engine.arrays import Integers, Reals
from recommendations.ratings.table import RatingTable


@dataclass(frozen=True)
class Side:
    """Persons, or items: one row of features for each.

    Attributes:
        blocks: ``[one-hot id | rated partners | descriptions]``, sparse, shape (n_rows, sum of sizes).
        sizes: Number of columns of each group; genres are one group of descriptions, years another.
    """

    blocks: sparse.csr_matrix
    sizes: tuple[int, ...]

    @property
    def n_own(self) -> int:
        """Number of id columns."""
        return self.sizes[0]

    @property
    def n_features(self) -> int:
        return int(self.blocks.shape[1])

    def fold(self, linear: Reals, factors: Reals) -> tuple[Reals, Reals]:
        """Return (a, p) of every row: biases, shape (n_rows,), and vectors, shape (n_rows, n_factors).

        Args:
            linear: w of this side's features, shape (n_features,).
            factors: v of them, shape (n_features, n_factors).
        """
        vectors = self.blocks @ factors
        own_lengths = self.blocks.power(2) @ (factors**2).sum(axis=1)
        return self.blocks @ linear + ((vectors**2).sum(axis=1) - own_lengths) / 2, vectors


def sides_of(table: RatingTable) -> tuple[Side, Side]:
    """Return (people, items) with their rated partners in this table; a person without ratings has no partners."""
    met = sparse.csr_matrix(
        (np.ones(len(table)), (table.person_rows, table.item_rows)), shape=(table.n_people, table.n_items)
    )
    return _side(met), _side(met.T.tocsr(), *table.descriptions)


def _side(met: sparse.csr_matrix, *descriptions: sparse.csr_matrix) -> Side:
    partners = sparse.diags(partner_weight(np.diff(met.indptr))) @ met
    groups = [sparse.identity(met.shape[0]), partners, *descriptions]
    blocks = sparse.hstack(groups, format="csr")
    blocks.sort_indices()
    return Side(blocks, tuple(group.shape[1] for group in groups))


def partner_weight(n_partners: Integers) -> Reals:
    """Return 1 / sqrt(n); the value for n = 0 is not used."""
    return 1.0 / np.sqrt(np.maximum(n_partners, 1))
