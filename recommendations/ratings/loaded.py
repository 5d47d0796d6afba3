"""One trained model in memory: estimates, lists and similar items, by ids and stars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from recommendations.engine.arrays import Array, Flags, Integers, Reals, Rows
from recommendations.ratings.baselines import BiasTerms, mae, rmse
from recommendations.ratings.drift import Drift, Residuals
from recommendations.ratings.exceptions import ArtefactRefused, UnknownItems
from recommendations.ratings.fitting import Fit, Report
from recommendations.ratings.gibbs import Standard
from recommendations.ratings.posterior import Belief, KeptDraws, estimates, fold_in, similarities, uncertainties
from recommendations.ratings.store import StoredModel
from recommendations.ratings.table import RatingTable, Scale
from recommendations.ratings.titles import TitleIndex

DRAW_PREFIX, BIAS_PREFIX, RESIDUAL_PREFIX = "draws_", "bias_", "residual_"


@dataclass(frozen=True)
class Estimate:
    """The estimated rating of an item by a person, in stars.

    Attributes:
        uncertainty: The estimate's standard deviation, in stars.
    """

    item_id: str
    stars: float
    uncertainty: float


@dataclass(frozen=True)
class Evaluation:
    """Errors of estimates on ratings that the model was not fitted on, in stars.

    Attributes:
        n_ratings: In the file.
        n_new_people, n_new_items: Number of those ratings by people, or of items, that were not in the training.
        rmse, mae: Of the model.
        bias_rmse, mean_rmse: Of bias terms and of the mean of the training's ratings.
    """

    n_ratings: int
    n_new_people: int
    n_new_items: int
    rmse: float
    mae: float
    bias_rmse: float
    mean_rmse: float


def no_report(_fraction: float, _sentence: str) -> None:
    """Report nothing."""


class LoadedModel:
    """One trained model in memory. Its arrays are mapped from disk and must not be changed."""

    def __init__(
        self,
        name: str,
        about: dict[str, Any],
        draws: KeptDraws,
        bias_terms: BiasTerms,
        table: RatingTable,
        titles: dict[str, str],
        residuals: Residuals | None = None,
    ) -> None:
        self.name, self.about, self.draws, self.bias_terms, self.table = name, about, draws, bias_terms, table
        self._titles = titles
        self._residuals = residuals
        self._drift = Drift.from_json(about["drift"]) if about.get("drift") and residuals else None
        self.scale = Scale(*about["dataset"]["scale"])
        self.weight = float(about["weight"])  # of the draws beyond bias terms
        self.standard = Standard(about["standard"]["mean"], about["standard"]["std"])
        self._row_by_item = {item_id: row for row, item_id in enumerate(table.items)}
        self._row_by_person = {person: row for row, person in enumerate(table.people)}

    @classmethod
    def of(cls, stored: StoredModel) -> LoadedModel:
        arrays, documents = stored.arrays, stored.documents
        try:
            table = RatingTable(
                documents["people"], documents["items"], arrays["person_rows"], arrays["item_rows"], arrays["ratings"]
            )
            draws = KeptDraws.from_arrays(_unprefixed(arrays, DRAW_PREFIX))
            bias_terms = BiasTerms(stored.about["standard"]["mean"], **_unprefixed(arrays, BIAS_PREFIX))
            of_time = _unprefixed(arrays, RESIDUAL_PREFIX)
            residuals = Residuals(**of_time) if of_time else None
            return cls(stored.name, stored.about, draws, bias_terms, table, documents["titles"], residuals)
        except (KeyError, TypeError) as problem:
            raise ArtefactRefused(f"rating model {stored.name} is incomplete: {problem}") from problem

    @cached_property
    def titles(self) -> TitleIndex:
        """The index of titles, built when it is used first; ids need none."""
        times_rated = self.table.times_rated.tolist()
        return TitleIndex(self._titles, dict(zip(self.table.items, times_rated, strict=True)))

    @cached_property
    def _is_listed(self) -> Flags:
        """Mark the items that may be in a list: of several with one title only the most rated one."""
        is_listed = np.zeros(self.table.n_items, dtype=bool)
        seen: set[str] = set()
        for row in np.argsort(-self.table.times_rated, kind="stable"):
            title = self._titles.get(self.table.items[row], self.table.items[row])
            is_listed[row] = title not in seen
            seen.add(title)
        return is_listed

    def knows(self, item_id: str) -> bool:
        """Whether an item has a rating in the training."""
        return item_id in self._row_by_item

    def touch(self) -> None:
        """Load everything that requests need into memory, so that the first one is not slow."""
        self.recommend(self.table.items[:1], [self.scale.high], 1)
        self.similar(self.table.items[0], 1)
        self.titles.nearest("anything")

    def recommend(self, item_ids: Sequence[str], ratings: Sequence[float], top: int) -> list[Estimate]:
        """Return the best items for a person with these ratings, without the rated ones.

        If an item is rated twice the later rating counts. Ratings outside of the scale are clipped.

        Raises:
            ValueError: If the lists differ in length, or a rating is no finite number.
            UnknownItems: If one of the items has no rating in the training.
        """
        rows, stars = self._checked(item_ids, ratings)
        belief = fold_in(self.draws, rows, self.standard.units(stars))
        said = self._stars(belief, self.bias_terms.person_bias(rows, stars), slice(None))[:-1]
        said[rows] = -np.inf
        said[~self._is_listed] = -np.inf
        best = best_first(said, top)
        spread = uncertainties(self.draws, belief, best) * self.standard.std
        stars_of_best = self.scale.clip(said[best])
        return [
            Estimate(self.table.items[row], float(star), float(std))
            for row, star, std in zip(best, stars_of_best, spread, strict=True)
        ]

    def _stars(self, belief: Belief, person_bias: float, item_rows: Integers | slice) -> Reals:
        """Return bias terms plus the weighted estimates of the draws; not clipped to the scale yet."""
        simple = self.bias_terms.mean + person_bias + self.bias_terms.item_biases[item_rows]
        return simple + self.weight * (self.standard.stars(estimates(self.draws, belief, item_rows)) - simple)

    def _checked(self, item_ids: Sequence[str], ratings: Sequence[float]) -> tuple[Rows, Reals]:
        if len(item_ids) != len(ratings):
            raise ValueError(f"{len(item_ids)} items, but {len(ratings)} ratings")
        item_ids = [str(item_id) for item_id in item_ids]
        if unknown := [item_id for item_id in item_ids if not self.knows(item_id)]:
            raise UnknownItems(unknown)
        latest = {self._row_by_item[item_id]: float(rating) for item_id, rating in zip(item_ids, ratings, strict=True)}
        stars = np.array(list(latest.values()), dtype=np.float64)
        if not np.isfinite(stars).all():
            raise ValueError("every rating must be a finite number")
        return np.array(list(latest), dtype=np.intp), self.scale.clip(stars)

    def similar(self, item_id: str, n: int) -> list[tuple[str, float]]:
        """Return (id, similarity) of the most similar items, without the item itself or others of its title. Raises
        UnknownItems if it has no rating in the training."""
        if not self.knows(item_id):
            raise UnknownItems([item_id])
        row = self._row_by_item[item_id]
        alike = similarities(self.draws, row)
        alike[row] = -np.inf
        alike[~self._is_listed] = -np.inf
        title = self.titles.title_of(item_id)
        best = [slot for slot in best_first(alike, n + 1) if self.titles.title_of(self.table.items[slot]) != title][:n]
        return [(self.table.items[slot], float(np.clip(alike[slot], -1, 1))) for slot in best]

    def estimates_of(self, table: RatingTable, report: Report = no_report) -> Reals:
        """Estimate the ratings of a table, in stars, shape (n_ratings,).

        A person of the training is folded in with the ratings they had there. A new person gets the mean of all people,
        and an item without ratings the mean of all items. The table's ratings are not used; its times are, where the
        model has learned a correction (drift.py).
        """
        known = self.table.matrix()
        item_rows = self._rows(self._row_by_item, table.items, table.item_rows)
        stars = np.empty(len(table))
        order = np.argsort(table.person_rows, kind="stable")
        ends = np.flatnonzero(np.diff(table.person_rows[order], append=-1)) + 1
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            slots = order[start:end]
            person = self._row_by_person.get(table.people[table.person_rows[slots[0]]])
            rated = known[person] if person is not None else known[:0]
            belief = fold_in(self.draws, rated.indices, self.standard.units(rated.data))
            person_bias = self.bias_terms.person_bias(rated.indices, rated.data)
            stars[slots] = self._stars(belief, person_bias, item_rows[slots])
            report(end / len(table), "estimating")
        return self._moved(self.scale.clip(stars), table, item_rows)

    def _moved(self, stars: Reals, table: RatingTable, item_rows: Integers) -> Reals:
        """Add the corrections by time to estimates."""
        if self._drift and self._residuals and table.moments is not None:
            person_rows = self._rows(self._row_by_person, table.people, table.person_rows)
            stars = stars + self._drift.shifts(self._residuals, person_rows, item_rows, table.moments)
        return self.scale.clip(stars)

    def evaluate(self, table: RatingTable, report: Report = no_report) -> Evaluation:
        """Return the errors on the ratings of a table, with those of the baselines."""
        person_rows = self._rows(self._row_by_person, table.people, table.person_rows)
        item_rows = self._rows(self._row_by_item, table.items, table.item_rows)
        stars = self.estimates_of(table, report)
        by_bias = self.scale.clip(self.bias_terms.estimates(person_rows, item_rows))
        return Evaluation(
            n_ratings=len(table),
            n_new_people=int((person_rows < 0).sum()),
            n_new_items=int((item_rows < 0).sum()),
            rmse=rmse(stars, table.ratings),
            mae=mae(stars, table.ratings),
            bias_rmse=rmse(by_bias, table.ratings),
            mean_rmse=rmse(np.full(len(table), self.bias_terms.mean), table.ratings),
        )

    @staticmethod
    def _rows(row_by_id: dict[str, int], ids: Sequence[str], positions: Integers) -> Integers:
        """Return rows of the training for positions in a table's own list of ids; -1 for new ids."""
        return np.array([row_by_id.get(an_id, -1) for an_id in ids], dtype=np.intp)[positions]


def best_first(scores: Reals, n: int) -> Rows:
    """Return rows of the ``n`` highest scores, ties by row, without those at minus infinity."""
    order = np.argsort(-scores, kind="stable")[: max(n, 0)]
    return order[np.isfinite(scores[order])]


def arrays_of(table: RatingTable, fitted: Fit) -> dict[str, Array]:
    """Return all arrays of a fit that are stored; ``LoadedModel.of`` reads them."""
    bias_terms = BiasTerms.fit(table)
    of_time: dict[str, Array] = vars(fitted.residuals) if fitted.residuals else {}
    return {
        "person_rows": table.person_rows,
        "item_rows": table.item_rows,
        "ratings": table.ratings,
        f"{BIAS_PREFIX}person_biases": bias_terms.person_biases,
        f"{BIAS_PREFIX}item_biases": bias_terms.item_biases,
        **{f"{RESIDUAL_PREFIX}{name}": array for name, array in of_time.items()},
        **{f"{DRAW_PREFIX}{name}": array for name, array in fitted.draws.to_arrays().items()},
    }


def _unprefixed(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
