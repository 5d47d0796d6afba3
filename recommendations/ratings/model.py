"""The interface of the rating model: train, evaluate, predict, similar; by ids and stars.

One object represents a data folder. It loads the newest model there on first use, or in ``warmup``, and keeps it until
a newer one is requested; training adds one. All methods are safe to call from several threads.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from recommendations.ratings.descriptions import descriptions_of
from recommendations.ratings.exceptions import ArtefactRefused, NoRatingModel, NoReadableModel
from recommendations.ratings.files import Problems, Title, read_ratings, read_titles, titles_beside
from recommendations.ratings.fitting import Fit, FitConfig, Report, fit
from recommendations.ratings.loaded import Evaluation, LoadedModel, arrays_of, no_report
from recommendations.ratings.store import (
    evaluations_of,
    load_model,
    names_in,
    note_evaluation,
    remove_old_models,
    save_model,
)
from recommendations.ratings.table import RatingTable

logger = logging.getLogger(__name__)


class RatingModel:
    """The newest model of a data folder."""

    def __init__(self, folder: Path | str, *, n_kept: int = 3) -> None:
        self.folder = Path(folder)
        self.n_kept = n_kept
        self._lock = Lock()
        self._loaded: LoadedModel | None = None
        self._refused: set[str] = set()

    def train(
        self,
        dataset: Path | str,
        *,
        titles: Path | str | None = None,
        config: FitConfig | None = None,
        report: Report = no_report,
    ) -> dict[str, Any]:
        """Train on a file of ratings, store the model, load it, and return its description.

        Args:
            dataset: A file in MovieLens' format, or a folder that holds one (files.py).
            titles: A file of titles; by default the one beside the dataset.
        """
        started, config = time.monotonic(), config or FitConfig()
        dataset = Path(dataset)
        table, problems = read_ratings(dataset)
        _log_problems(problems)
        titles_path = Path(titles) if titles else titles_beside(dataset)
        described = _titles(titles_path) if titles_path else {}
        table = replace(table, descriptions=descriptions_of(table.items, described))
        fitted = fit(table, config, report)
        about = _about(problems, table, titles_path, config, fitted, time.monotonic() - started)
        name = save_model(
            self.folder,
            arrays=arrays_of(table, fitted),
            about=about,
            documents={
                "titles": {item_id: title.name for item_id, title in described.items()},
                "people": list(table.people),
                "items": list(table.items),
            },
        )
        remove_old_models(self.folder, self.n_kept)
        logger.info("trained rating model %s on %d ratings of %s", name, len(table), dataset)
        return self.warmup().about

    def evaluate(self, dataset: Path | str, *, report: Report = no_report) -> Evaluation:
        """Compare estimates with the ratings of a file, and store the errors with the model."""
        loaded = self.current()
        table, problems = read_ratings(Path(dataset))
        _log_problems(problems)
        evaluation = loaded.evaluate(table, report)
        note_evaluation(
            self.folder,
            loaded.name,
            {"dataset": problems.path.name, "evaluated_at": _now(), **asdict(evaluation)},
        )
        return evaluation

    def predict(self, rated: Sequence[Sequence[Any]], top: int = 20) -> list[list[Any]]:
        """Return ``[[ids], [estimates]]`` of the best items for a person with ``[[ids], [ratings]]``, without the
        rated ones."""
        item_ids, ratings = rated
        best = self.current().recommend(item_ids, ratings, top)
        return [[estimate.item_id for estimate in best], [estimate.stars for estimate in best]]

    def find_similar(self, item_id: str, n: int = 5) -> list[list[str]]:
        """Return ``[[ids], [names]]`` of the items most similar by ratings, most similar first, without the item
        itself."""
        loaded = self.current()
        ids = [similar_id for similar_id, _ in loaded.similar(item_id, n)]
        return [ids, [loaded.titles.title_of(similar_id) for similar_id in ids]]

    def warmup(self) -> LoadedModel:
        """Load the newest model, also when an older one is loaded, and read its memory once. Raises NoRatingModel if
        there is none that can be read."""
        loaded = self.current()
        loaded.touch()
        return loaded

    def current(self) -> LoadedModel:
        """Return the newest model. One look at the folder when it is loaded already."""
        names = [name for name in names_in(self.folder) if name not in self._refused]
        loaded = self._loaded
        if loaded is None or not names or names[0] != loaded.name:
            with self._lock:
                loaded = self._loaded = self._newest(names)
        return loaded

    def evaluations(self) -> list[dict[str, Any]]:
        """Return the errors of the loaded model's evaluations, newest first."""
        return evaluations_of(self.folder, self.current().name)

    def _newest(self, names: list[str]) -> LoadedModel:
        """Return the newest model that can be read; an unreadable one is logged once and not tried again."""
        for name in names:
            if self._loaded is not None and self._loaded.name == name:
                return self._loaded
            try:
                loaded = LoadedModel.of(load_model(self.folder, name))
            except ArtefactRefused as refusal:
                self._refused.add(name)
                logger.error("%s", refusal)
            else:
                logger.info("loaded rating model %s", name)
                return loaded
        if self._refused:
            raise NoReadableModel
        raise NoRatingModel


def _log_problems(problems: Problems) -> None:
    for sentence in problems:
        logger.warning("%s", sentence)


def _titles(path: Path) -> dict[str, Title]:
    titles, problems = read_titles(path)
    _log_problems(problems)
    return titles


def _about(
    problems: Problems, table: RatingTable, titles: Path | None, config: FitConfig, fitted: Fit, seconds: float
) -> dict[str, Any]:
    """Return the description of a model: its data, its training, its errors."""
    validation = fitted.validation
    return {
        "trained_at": _now(),
        "training_seconds": round(seconds, 1),
        "dataset": {
            "name": problems.path.name,
            "sha256": hashlib.sha256(problems.path.read_bytes()).hexdigest(),
            "titles": titles.name if titles else None,
            "n_ratings": len(table),
            "n_people": table.n_people,
            "n_items": table.n_items,
            "scale": [table.scale.low, table.scale.high],
            "n_lines_left_out": problems.n_lines,
        },
        "parameters": {**asdict(config), "chain_length": fitted.chain_length, "n_stored": fitted.draws.n_draws},
        "metrics": {
            "validation_rmse": validation and validation.best_error,
            "validation_bias_rmse": validation and validation.bias_error,
            "validation_mean_rmse": validation and validation.mean_error,
            "validation_drift_rmse": validation and validation.drift_error,
            "n_validation_ratings": validation and validation.n_ratings,
            "noise_std": fitted.draws.noise_std * fitted.standard.std,
        },
        "standard": asdict(fitted.standard),
        "weight": fitted.weight,
        "drift": validation and validation.drift,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
