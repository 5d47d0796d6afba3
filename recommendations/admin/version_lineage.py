"""The lineage of ranker versions (data, parameters, learned weights) as table rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from console.formats import NONE, ago, clock
from recommendations.admin.figures import shown
from recommendations.evaluation.outcome import OURS
from recommendations.insight.lineage import Lineage, lineage_of
from recommendations.models import RankerVersion


def lineage_rows(versions: Sequence[RankerVersion]) -> list[dict[str, Any]]:
    """A row for everything that versions can differ in; those in which they do are marked."""
    lineages = [lineage_of(version) for version in versions]
    rows: list[tuple[str, str, list[str]]] = [
        ("Trained", "When the training began", [clock(one.version.created_at) for one in lineages]),
        ("Went live", "For the last time", [ago(one.version.promoted_at) for one in lineages]),
        ("Listings", "Sold ones keep teaching", [f"{one.version.n_listings:,}" for one in lineages]),
        ("Events", "Within the days of history", [f"{one.version.n_interactions:,}" for one in lineages]),
        ("Buyers", "Who made those events", [f"{one.version.n_buyers:,}" for one in lineages]),
        (
            "Kinds of car",
            "Archetypes it distinguishes",
            [f"{one.n_archetypes:,}" if one.n_archetypes else NONE for one in lineages],
        ),
    ]
    rows += [
        (
            f"At training: {name}",
            "On the events held out from it; another part of the log for each, so no comparison",
            cells,
        )
        for name, cells in training_figures_of(lineages)
    ]
    rows += [
        (f"Parameter: {name.replace('_', ' ')}", "Of its training", cells) for name, cells in parameters_of(lineages)
    ]
    rows += [
        (f"Term: {name}", "What a standard deviation is worth in the score: known buyers / cold buyers", cells)
        for name, cells in weights_of(lineages)
    ]
    rows += [
        (f"Kind: {name}", "What an event weighed then, and its half-life", cells) for name, cells in kinds_of(lineages)
    ]
    return [
        {"name": name, "why": why, "cells": cells, "differs": len(set(cells)) > 1}
        for name, why, cells in rows
    ]  # fmt: skip


def training_figures_of(lineages: Sequence[Lineage]) -> list[tuple[str, list[str]]]:
    given = [one.version.metrics.get("rankers", {}).get(OURS, {}) for one in lineages]
    return [(name, [shown(one.get(name)) or NONE for one in given]) for name in names_in(given)]


def parameters_of(lineages: Sequence[Lineage]) -> list[tuple[str, list[str]]]:
    given = [one.run.parameters if one.run else {} for one in lineages]
    return [(name, [str(one.get(name, NONE)) for one in given]) for name in names_in(given)]


def weights_of(lineages: Sequence[Lineage]) -> list[tuple[str, list[str]]]:
    given = [one.weights for one in lineages]

    def written(pair: tuple[float, float] | None) -> str:
        return f"{pair[0]:.2f} / {pair[1]:.2f}" if pair else NONE

    return [(name, [written(one.get(name)) for one in given]) for name in names_in(given)]


def kinds_of(lineages: Sequence[Lineage]) -> list[tuple[str, list[str]]]:
    given = [one.kinds for one in lineages]

    def written(kind: Mapping[str, Any] | None) -> str:
        return f"{kind['weight']:g}, {kind['half_life_days']:g} d" if kind else NONE

    return [(name, [written(one.get(name)) for one in given]) for name in names_in(given)]


def names_in(given: Sequence[Any]) -> list[str]:
    """The distinct keys of several mappings, in order of first appearance."""
    return list(dict.fromkeys(name for one in given for name in one))
