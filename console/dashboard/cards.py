"""What the page is made of: cards, panels, and the data of a bar chart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
COLOURS = ["#0b7a99", "#5fb3c9", "#f59e0b", "#8b5cf6", "#10b981", "#ef4444", "#64748b", "#ec4899"]


@dataclass(frozen=True)
class Card:
    """One figure, what it means in one line, and where its rows are."""

    title: str
    figure: str
    note: str
    href: str
    model: type
    is_alert: bool = False


@dataclass(frozen=True)
class Panel:
    """A chart, a table, or both; the table also stands in for the chart where it cannot be seen."""

    title: str
    note: str
    model: type
    headers: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    chart: str = ""
    chart_options: str = ""
    empty: str = ""


def stacked_bars(hours: list[datetime], counts: Mapping[str, Mapping[datetime, int]]) -> str:
    """The data of a stacked bar chart over hours, as Chart.js reads it."""
    series = {name: [of_kind.get(hour, 0) for hour in hours] for name, of_kind in counts.items()}
    return bars([f"{timezone.localtime(hour):%H:%M %Z}" for hour in hours], series)


def bars(labels: Sequence[str], series: Mapping[str, Sequence[int]]) -> str:
    """The data of a stacked bar chart, as Chart.js reads it: a bar for each label, a colour for each series."""
    datasets = [
        {"label": name, "data": list(values), "backgroundColor": COLOURS[number % len(COLOURS)]}
        for number, (name, values) in enumerate(series.items())
    ]
    return json.dumps({"labels": list(labels), "datasets": datasets})


TICKS = {"color": "#94a3b8"}
CHART_OPTIONS = json.dumps(  # Unfold's own options are replaced as a whole, and theirs have no axis and no legend
    {
        "animation": False,
        "responsive": True,
        "maintainAspectRatio": False,
        "datasets": {"bar": {"barPercentage": 0.9, "categoryPercentage": 0.9}},
        "plugins": {
            "legend": {
                "display": True,
                "align": "end",
                "labels": {"boxHeight": 6, "boxWidth": 6, "usePointStyle": True, **TICKS},
            }
        },
        "scales": {
            "x": {"stacked": True, "grid": {"display": False}, "ticks": {"maxRotation": 0, "autoSkip": True, **TICKS}},
            "y": {
                "stacked": True,
                "beginAtZero": True,
                "grid": {"color": "rgba(148,163,184,.2)"},
                "border": {"display": False},
                "ticks": {"precision": 0, **TICKS},
            },
        },
    }
)
