"""What the factorization machine sees of a person and of an item: who they are, and whom they met.

A person's features are their one-hot id and the set of items they rated; an item's are its id, the set of people who
rated it ("rated partners"), and what its title says of it (descriptions.py). Which items a person rates says much about
them before a single star is counted, which is what implicit feedback adds in SVD++ (Koren 2008); here both sides have
it, as in Bayesian SVD++ flipped (Rendle, Zhang and Koren 2019, "On the Difficulty of Evaluating Baselines"). A set of n
partners has weight 1 / sqrt(n) on each, so that its sum has the same size for everybody.

In a factorization machine (Rendle 2010) the estimate for features x is

    w0 + sum_f w_f x_f + sum_{f<g} (v_f . v_g) x_f x_g

Taken apart into the features of the person and those of the item this is ``w0 + a + b + p . q``: with p = sum x_f v_f
over the person's features and a = sum w_f x_f + (|p|^2 - sum x_f^2 |v_f|^2) / 2 (what their features say among
themselves), and q and b the same of the item.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from recommendations.engine.arrays import Integers, Reals
from recommendations.ratings.table import RatingTable


@dataclass(frozen=True)
class Side:
    """People, or items: one row of features for each.

    Attributes:
        blocks: ``[one-hot id | rated partners | descriptions]``, sparse, shape (n_rows, sum of sizes).
        sizes: How many columns each of these groups has; a description of genres is a group, one of years another.
    """

    blocks: sparse.csr_matrix
    sizes: tuple[int, ...]

    @property
    def n_own(self) -> int:
        """How many of the columns are ids."""
        return self.sizes[0]

    @property
    def n_features(self) -> int:
        return int(self.blocks.shape[1])

    def fold(self, linear: Reals, factors: Reals) -> tuple[Reals, Reals]:
        """(a, p) of every row: biases, shape (n_rows,), and vectors, shape (n_rows, n_factors).

        Args:
            linear: w of this side's features, shape (n_features,).
            factors: v of them, shape (n_features, n_factors).
        """
        vectors = self.blocks @ factors
        own_lengths = self.blocks.power(2) @ (factors**2).sum(axis=1)
        return self.blocks @ linear + ((vectors**2).sum(axis=1) - own_lengths) / 2, vectors


def sides_of(table: RatingTable) -> tuple[Side, Side]:
    """(people, items) with their rated partners in this table; a person without ratings has no partners."""
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
    """1 / sqrt(n); of an empty set anything, since it multiplies nothing."""
    return 1.0 / np.sqrt(np.maximum(n_partners, 1))
