"""The data that a ranker version was trained on, and the weights it learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from recommendations.exceptions import RankerRefused
from recommendations.models import RankerVersion, TrainingRun
from recommendations.models.artifacts import load_ranker


@dataclass(frozen=True)
class Lineage:
    """Inputs and results of the training of a version.

    Attributes:
        version: The version.
        run: Its training, without the log; None where that was deleted.
        weights: Utility of one standard deviation of each term, by term, for known buyers and for cold buyers.
        kinds: Weight of each event kind at training; empty where it was not recorded.
        n_archetypes: Number of archetypes it distinguishes; 0 where its arrays are gone.
        refusal: Why its arrays cannot be read; "" where they can.
    """

    version: RankerVersion
    run: TrainingRun | None
    weights: Mapping[str, tuple[float, float]]
    kinds: Mapping[str, Mapping[str, float]]
    n_archetypes: int
    refusal: str


def lineage_of(version: RankerVersion) -> Lineage:
    run = version.runs.defer("log").order_by("-pk").first()
    kinds = version.metrics.get("event_kinds", {})
    try:
        ranker = load_ranker(version.pk)
    except RankerRefused as refusal:
        return Lineage(version, run, {}, kinds, 0, str(refusal))
    cold = dict(zip(ranker.cold_score.names, ranker.cold_score.weights.tolist(), strict=True))
    known = dict(zip(ranker.score.names, ranker.score.weights.tolist(), strict=True))
    weights = {name: (weight, cold.get(name, 0.0)) for name, weight in known.items()}
    return Lineage(version, run, weights, kinds, len(ranker.collaborative.archetypes), "")
