"""Evaluation figures of ranker versions, as table rows and plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.safestring import SafeString, mark_safe

from console.formats import NONE
from recommendations.evaluation.plots import Bar, bar_chart
from recommendations.evaluation.report import MEANINGS
from recommendations.insight.comparison import METRICS, Findings, K, Value, slices_in
from recommendations.insight.verdicts import METRIC
from recommendations.metrics.figures import ALL_BUYERS
from recommendations.models import RankerVersion

PLOTTED = (("ndcg", K), ("recall", K), ("coverage", K), ("pairs won", 0))


def metric_rows(versions: Sequence[RankerVersion], findings: Findings) -> list[dict[str, Any]]:
    rows = []
    for metric, k in METRICS:
        cells = [cell(findings.measured[one.pk].figure(metric, k) if one.pk in findings.measured else None)
                 for one in versions]  # fmt: skip
        if any(one != NONE for one in cells):
            rows.append({"name": named(metric, k), "meaning": MEANINGS.get(metric, ""), "cells": cells})
    return rows


def named(metric: str, k: int) -> str:
    return f"{metric.upper() if metric == 'ndcg' else metric.capitalize()}{f'@{k}' if k else ''}"


def cell(value: Value | None) -> str:
    return NONE if value is None else f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"


def plots(versions: Sequence[RankerVersion], findings: Findings) -> list[tuple[str, SafeString]]:
    """Each metric as bars with their intervals, and the first version's lead where it was measured."""
    first, *others = versions
    drawn = []
    for metric, k in PLOTTED:
        found = [(one, findings.measured[one.pk].figure(metric, k)) for one in versions if one.pk in findings.measured]
        bars = [
            Bar(str(one), value.value, value.low, value.high, is_ours=one == first) for one, value in found if value
        ]
        if bars:
            drawn.append((f"{named(metric, k)}: {MEANINGS.get(metric, '')}", bar_chart(named(metric, k), bars)))
    leads = [(other, findings.leads.get(other.pk, {}).get((METRIC, ALL_BUYERS, K))) for other in others]
    bars = [Bar(f"over {other}", lead.value, lead.low, lead.high, is_ours=True) for other, lead in leads if lead]
    if bars:
        caption = f"How far {first} is ahead in NDCG@{K}, buyer by buyer; an interval that crosses 0 may be chance"
        drawn.append((caption, bar_chart("Lead", bars, signed=True)))
    return [(caption, mark_safe(plot)) for caption, plot in drawn]  # noqa: S308


def slice_rows(versions: Sequence[RankerVersion], findings: Findings) -> list[dict[str, Any]]:
    """By slice, with a mark where the first version's lead over another is certain."""
    first, *_ = versions
    rows = []
    for name in slices_in(findings):
        cells = []
        for version in versions:
            own = findings.measured.get(version.pk)
            value = own.figure(METRIC, K, name) if own else None
            cells.append(f"{cell(value)}{mark_of(findings, first, version, name)}")
        n = max((one.n for own in findings.measured.values() if (one := own.figure(METRIC, K, name))), default=0)
        if n:
            rows.append({"name": "Everybody" if name == ALL_BUYERS else name.capitalize(), "n": n, "cells": cells})
    return rows


def mark_of(findings: Findings, first: RankerVersion, version: RankerVersion, of_slice: str) -> str:
    lead = findings.leads.get(version.pk, {}).get((METRIC, of_slice, K))
    if lead is None or lead.low <= 0 <= lead.high:
        return ""
    return f" · surely {'behind' if lead.value > 0 else 'ahead of'} {first}"
