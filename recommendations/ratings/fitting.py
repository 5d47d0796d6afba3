"""Fit a rating model: find the length of the chain on held-out ratings, then sample from all ratings.

Two chains run side by side. One is not given a part of the ratings, and measures after every draw how well the mean of
its draws predicts them. When that stops improving, it reports the best number of draws, and the best weight of the
draws. The other has all ratings and is kept up to that number. With many ratings the longer chain is better; with few,
a long chain overfits (its noise variance shrinks draw by draw) and has to be stopped.

The first chain runs in a process of its own (validation.py), since a chain never releases Python's lock, and two
threads would take twice as long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recommendations.ratings.drift import Recall, Residuals
from recommendations.ratings.gibbs import Draw, Standard, sample
from recommendations.ratings.posterior import DrawKeeper, KeptDraws
from recommendations.ratings.table import RatingTable
from recommendations.ratings.validation import (
    ENOUGH_HELD_OUT,
    FEWEST_HELD_OUT,
    Progress,
    ValidationChain,
    ValidationTask,
)

Report = Callable[[float, str], None]  # how far, from 0 to 1, and what is to be said


@dataclass(frozen=True)
class FitConfig:
    """Parameters of a training.

    Attributes:
        n_factors: Length of the vectors. 32 or more; shrinkage makes superfluous ones harmless.
        n_draws: Longest chain.
        burn_in: First draws, which depend on the start of the chain, left out of every mean.
        n_kept: Largest number of draws stored, evenly spaced; memory and response time grow with it.
        validation_share: Smallest part of the ratings that the first chain is not given; of few ratings it is more. 0
            makes a chain of ``n_draws`` without validation.
        patience: Draws without improvement after which the first chain stops.
        seed: The same seed and ratings give the same model.
    """

    n_factors: int = 32
    n_draws: int = 200
    burn_in: int = 20
    n_kept: int = 100
    validation_share: float = 0.05
    patience: int = 40
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n_factors", "n_draws", "n_kept", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if not 0 <= self.burn_in < self.n_draws:
            raise ValueError("burn_in must be at least 0 and below n_draws")
        if not 0 <= self.validation_share <= 0.5:
            raise ValueError("validation_share must be between 0 and 0.5")


@dataclass(frozen=True, eq=False)
class Fit:
    """The stored draws, the length of the chain, and the errors on held-out ratings (None without a validation).

    Attributes:
        residuals: Of the ratings with known times; None where times add nothing to estimates.
    """

    draws: KeptDraws
    standard: Standard
    chain_length: int
    validation: Progress | None
    residuals: Residuals | None = None

    @property
    def weight(self) -> float:
        """Weight of the draws beyond bias terms, 0 to 1."""
        return self.validation.best_weight if self.validation else 1.0


def fit(table: RatingTable, config: FitConfig, report: Report) -> Fit:
    """Sample from all ratings, as long as the held-out ratings suggest. ``report`` is called after every draw."""
    standard = Standard.of(table.ratings)
    keeper = DrawKeeper(
        table.n_items,
        n_factors=config.n_factors,
        n_draws=config.n_draws,
        burn_in=config.burn_in,
        n_kept=config.n_kept,
    )
    task = validation_task(table, config)
    recall = Recall(table, config.burn_in)
    if task is None:
        _run(table, standard, config, [keeper.take], Progress, report)
        return Fit(keeper.kept(config.n_draws), standard, config.n_draws, None)
    with ValidationChain(task) as chain:
        _run(table, standard, config, [keeper.take, recall.take], chain.poll, report)
        progress = chain.wait(lambda so_far: report(1.0, so_far.sentence))
    residuals = recall.residuals(standard, progress.best_weight) if progress.drift else None
    return Fit(keeper.kept(progress.best_draw), standard, progress.best_draw, progress, residuals)


def validation_task(table: RatingTable, config: FitConfig) -> ValidationTask | None:
    """Return the work of the first chain; None when nothing is held out, or too few ratings to measure an error."""
    share = config.validation_share and max(config.validation_share, min(ENOUGH_HELD_OUT / len(table), 0.2))
    rest, held_out = table.split(share, np.random.default_rng(config.seed))
    if len(held_out) < FEWEST_HELD_OUT:
        return None
    return ValidationTask(
        rest=rest,
        held_out=held_out,
        n_factors=config.n_factors,
        n_draws=config.n_draws,
        burn_in=config.burn_in,
        patience=config.patience,
        seed=config.seed,
    )


def _run(
    table: RatingTable,
    standard: Standard,
    config: FitConfig,
    takers: Sequence[Callable[[int, Draw], None]],
    ask: Callable[[], Progress],
    report: Report,
) -> None:
    """Run the chain on all ratings, up to the length that the other one found best."""

    def on_draw(number: int, draw: Draw) -> bool:
        for take in takers:
            take(number, draw)
        progress = ask()
        report(number / config.n_draws, progress.sentence)
        return progress.is_finished and number >= progress.best_draw

    sample(
        table,
        standard,
        n_factors=config.n_factors,
        n_draws=config.n_draws,
        seed=config.seed,
        on_draw=on_draw,
    )
