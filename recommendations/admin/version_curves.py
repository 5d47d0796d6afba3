"""Whether a version scores by curves beside the weights of its terms, and what the curves look like."""

from __future__ import annotations

import numpy as np
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from console.charts import Axis, Line, line_chart
from console.formats import NONE, table
from recommendations.engine.score_terms import SCORE_TERMS
from recommendations.engine.scoring import LinearScore
from recommendations.engine.term_curves import TermCurves
from recommendations.exceptions import RankerRefused
from recommendations.models import RankerVersion
from recommendations.models.artifacts import load_scores

SCORES = {"known": "Known buyers", "cold": "Cold buyers"}
N_POINTS = 60


def verdicts(version: RankerVersion) -> str | SafeString:
    """Whether each score has curves, what they gain with the interval, and why."""
    found = version.metrics.get("term_curves")
    if not found:
        return NONE
    rows = [
        [SCORES[name], "Yes" if one["is_used"] else "No", gain_of(one), one["reason"]]
        for name, one in found.items()
        if name in SCORES
    ]
    return table(["", "Curves are used", "Gain in log-likelihood of a choice", "Why"], rows)


def gain_of(verdict: dict[str, float]) -> str:
    if not verdict["low"] and not verdict["high"]:
        return NONE
    return f"{verdict['gain']:+.4f} ({verdict['low']:+.4f} to {verdict['high']:+.4f})"


def drawings(version: RankerVersion) -> str | SafeString:
    """What each term that has a curve adds to the score, a line for each band of the buyer."""
    try:
        known, cold = load_scores(version.pk)
    except RankerRefused:
        return NONE
    drawn = [
        (f"{SCORES[name]}: {term.label}", drawing(score, score.curves, at, term.label))
        for name, score in (("known", known), ("cold", cold))
        if score.curves is not None
        for at, term in enumerate(SCORE_TERMS)
        if score.curves.values[at].any() and np.isfinite(score.curves.edges[at]).any()  # one value has no curve
    ]
    return format_html_join("", "<h4>{}</h4>{}", drawn) or NONE


def drawing(score: LinearScore, curves: TermCurves, at: int, label: str) -> SafeString:
    """The part of the term at a position, by its value: weight and curve together."""
    edges = curves.edges[at][np.isfinite(curves.edges[at])]
    margin = 0.2 * (np.ptp(edges) or 1.0)
    values = np.linspace(edges.min() - margin, edges.max() + margin, N_POINTS)
    begins = [0.0, *curves.band_edges.tolist()]
    lines = [
        Line(
            f"from {begin:.0f} cars" if len(begins) > 1 else "every buyer",
            score.breakdown({score.names[at]: values}, begin)[:, at].tolist(),
        )
        for begin in begins
    ]
    axis = Axis(float(values[0]), float(values[-1]))
    return line_chart(f"What “{label}” adds to the score", values.tolist(), lines, x_axis=axis, y_label="score")
