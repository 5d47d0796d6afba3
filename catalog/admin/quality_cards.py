"""What is wrong with the stock, on the dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.urls import reverse
from django.utils.html import format_html

from catalog.models import QualityReport
from catalog.quality import warnings
from console.dashboard.cards import Panel
from console.dashboard.registry import show


def quality_panel() -> Panel:
    rows = tuple(
        (format_html('<a class="text-link" href="{}">{}</a>', warning.url, warning.title), warning.figure, warning.note)
        for warning in warnings()
    )
    return Panel(
        "What is wrong with the stock",
        "Checks of the data that found more than is usual; each leads to its listings.",
        QualityReport,
        ("Check", "Listings", "Why it matters"),
        rows,
        empty=format_html(
            'Nothing stands out. <a class="text-link" href="{}">The whole report</a>', reverse("admin:catalog_quality")
        ),
    )


@show(order=60)
def quality(now: datetime) -> Iterator[Panel]:
    yield quality_panel()
