"""Several tests of one log, each beginning where the one before ends, as one outcome.

One moment is one market: a cold week, a campaign, one large dealer's cars. Several say whether a lead lasts, and reach
listings that were published after the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from recommendations.evaluation.outcome import OURS, Outcome
from recommendations.metrics.figures import Figure

HEADLINE = ("ndcg", "recall", "debiased ndcg")


def windows(begin: float, end: float, n: int) -> list[tuple[float, float]]:
    """So many windows of one length from a moment to another, oldest first."""
    edges = np.linspace(begin, end, n + 1).tolist()
    return list(pairwise(edges))


def joined(outcomes: Sequence[Outcome]) -> Outcome:
    """Outcomes of several moments, oldest first, as one; at least one.

    A figure is the mean over all buyers that were asked about, and a buyer is asked about once in each window in which
    they did something. Its interval takes the windows for independent, which makes it a little too narrow where the
    same buyers come again. The rest of the summary is that of the last moment.
    """
    last = outcomes[-1]
    by_key: dict[tuple[str, str, str, int], list[Figure]] = {}
    for outcome in outcomes:
        for figure in outcome.figures:
            by_key.setdefault((figure.ranker, figure.slice, figure.metric, figure.k), []).append(figure)
    moments = [
        {"moment": one.moment.isoformat(), "n_buyers": one.n_buyers, "figures": headline_of(one)} for one in outcomes
    ]
    return replace(
        last,
        moment=outcomes[0].moment,
        n_events=sum(one.n_events for one in outcomes),
        n_buyers=sum(one.n_buyers for one in outcomes),
        figures=tuple(pooled(figures) for figures in by_key.values()),
        summary={**last.summary, "moments": moments},
    )


def headline_of(outcome: Outcome) -> dict[str, float]:
    """Our main figures at one moment, by metric and length."""
    return {
        f"{figure.metric}@{figure.k}": round(figure.value, 4)
        for figure in outcome.figures
        if figure.ranker == OURS and figure.slice == "all" and figure.metric in HEADLINE and figure.n
    }


def pooled(figures: Sequence[Figure]) -> Figure:
    """One figure of several moments as one: the mean weighted by buyers; nan where no moment has it."""
    known = [one for one in figures if one.n and not np.isnan(one.value)]
    if not known:
        return figures[-1]
    n = np.array([one.n for one in known], np.float64)
    shares = n / n.sum()
    value = float(shares @ [one.value for one in known])
    below = float(np.sqrt(np.sum((shares * [one.value - one.low for one in known]) ** 2)))
    above = float(np.sqrt(np.sum((shares * [one.high - one.value for one in known]) ** 2)))
    return replace(known[-1], value=value, low=value - below, high=value + above, n=int(n.sum()))
