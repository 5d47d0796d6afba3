"""The first page of the admin: is the shop window right, and what needs somebody?

Every figure is one query that an index bounds in time or by the live stock, and all of them are kept for a few
seconds, so that a wall screen that reloads costs nothing. A card shows only to those who may see the rows behind it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncHour
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django_celery_results.models import TaskResult

from accounts.models import Buyer
from catalog.models import ImportRun, Listing
from recommendations.admin.figures import side_by_side
from recommendations.models import EventKind, Interaction, Preference, RankerVersion, SeedRun, ServedList, TrainingRun
from recommendations.services import buyers_behind_the_log
from recommender_site.admin_kit import NONE, UNFINISHED, ago, list_url, page_of, percent
from recommender_site.admin_site import may_see

KEPT_SECONDS = 10
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
AGE_BANDS = [
    ("under a week", 0, 7),
    ("1–4 weeks", 7, 28),
    ("4–8 weeks", 28, 56),
    ("8–12 weeks", 56, 84),
    ("older", 84, None),
]
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


def dashboard_callback(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds the dashboard to the context of the admin's index."""
    figures = cache.get_or_set("console.dashboard", read_dashboard, KEPT_SECONDS) or read_dashboard()
    context.update(
        cards=[card for card in figures["cards"] if is_visible(request, card.model)],
        panels=[panel for panel in figures["panels"] if is_visible(request, panel.model)],
        next_steps=next_steps(request, figures),
        running_jobs=running_jobs(request),
    )
    return context


def is_visible(request: HttpRequest, model: Any) -> bool:
    return may_see(model._meta.app_label, model._meta.model_name)(request)


def read_dashboard() -> dict[str, Any]:
    now = timezone.now()
    stock, events, clicks, live = read_stock(now), read_events(now), read_clicks(now), RankerVersion.objects.live()
    return {
        "n_live": stock["n_live"],
        "has_ranker": live is not None,
        "cards": [
            *stock_cards(stock),
            events_card(events),
            lists_card(now),
            clicks_card(clicks),
            cold_card(now),
            behind_card(now, live),
            version_card(live),
            failures_card(now),
        ],
        "panels": [events_panel(now, events), sources_panel(clicks), age_panel(stock), metrics_panel(live)],
    }


# --- What there is to do ---------------------------------------------------------------------------------------------
def next_steps(request: HttpRequest, figures: Mapping[str, Any]) -> list[dict[str, str]]:
    """What an empty site needs first; nothing once it runs."""
    steps = []
    if not figures["n_live"]:
        steps.append(
            {
                "text": "No cars yet: seed a demo market, or import a file with "
                "“python manage.py import_listings FILE”.",
                "label": "Seed a demo market",
                "href": reverse("admin:recommendations_seedrun_add"),
                "permission": "recommendations.add_seedrun",
            }
        )
    elif not figures["has_ranker"]:
        steps.append(
            {
                "text": "No ranker is live: lists are the same for everybody until one is trained.",
                "label": "Train the first ranker",
                "href": reverse("admin:recommendations_trainingrun_add"),
                "permission": "recommendations.add_trainingrun",
            }
        )
    return [step for step in steps if request.user.has_perm(step["permission"])]


def running_jobs(request: HttpRequest) -> list[dict[str, Any]]:
    """Jobs that are queued or at work, never older than this very request."""
    jobs: list[Any] = []
    for model in (TrainingRun, SeedRun):
        if is_visible(request, model):
            jobs += model._default_manager.filter(status__in=UNFINISHED).order_by("-pk")[:3]
    if is_visible(request, ImportRun):
        jobs += ImportRun.objects.filter(status=ImportRun.Status.RUNNING, started_at__gte=timezone.now() - DAY)[:3]
    return [
        {"name": str(job), "href": page_of(job), "step": job_step(job), "percent": job_percent(job)} for job in jobs
    ]


def job_step(job: Any) -> str:
    return f"{job.rows_read:,} rows read" if isinstance(job, ImportRun) else job.step


def job_percent(job: Any) -> int | None:
    return None if isinstance(job, ImportRun) else percent(job)


# --- Stock -----------------------------------------------------------------------------------------------------------
def read_stock(now: datetime) -> dict[str, int]:
    """The live cars and how long they have been for sale, in one pass over the index of live listings."""
    bands = {f"band_{number}": Count("pk", filter=age_between(now, *band[1:])) for number, band in enumerate(AGE_BANDS)}
    day = Count("pk", filter=Q(published_at__gte=now - DAY))
    return Listing.objects.available().aggregate(n_live=Count("pk"), n_new=day, **bands)


def age_between(now: datetime, low_days: int, high_days: int | None) -> Q:
    younger = Q(published_at__lte=now - timedelta(days=low_days)) if low_days else Q()
    return younger if high_days is None else younger & Q(published_at__gt=now - timedelta(days=high_days))


def stock_cards(stock: Mapping[str, int]) -> Iterable[Card]:
    yield Card(
        "Cars for sale",
        f"{stock['n_live']:,}",
        f"{stock['n_new']:,} of them new since yesterday",
        list_url(Listing, status__exact="live"),
        Listing,
    )


def age_panel(stock: Mapping[str, int]) -> Panel:
    counts = [stock[f"band_{number}"] for number in range(len(AGE_BANDS))]
    total = max(sum(counts), 1)
    labels = [label for label, *_ in AGE_BANDS]
    return Panel(
        "Age of the stock",
        "How long the cars for sale have been online.",
        Listing,
        ("For sale since", "Cars", "Share"),
        tuple((label, f"{n:,}", f"{n / total:.0%}") for label, n in zip(labels, counts, strict=True))
        if any(counts)
        else (),
        empty="No cars are for sale.",
    )


# --- Events ----------------------------------------------------------------------------------------------------------
def read_events(now: datetime) -> list[dict[str, Any]]:
    """Events of the last day by kind and hour; at most 25 rows a kind."""
    lately = Interaction.objects.since(now - DAY).order_by()
    hourly = lately.annotate(hour=TruncHour("occurred_at")).values("kind_id", "hour")
    return [
        dict(row)
        for row in hourly.annotate(n=Count("pk"), n_last_hour=Count("pk", filter=Q(occurred_at__gte=now - HOUR)))
    ]


def events_card(events: list[dict[str, Any]]) -> Card:
    n_day, n_hour = sum(row["n"] for row in events), sum(row["n_last_hour"] for row in events)
    return Card(
        "Events, last 24 hours",
        f"{n_day:,}",
        f"{n_hour:,} in the last hour, {n_hour / 60:.1f} a minute",
        list_url(Interaction),
        Interaction,
    )


def events_panel(now: datetime, events: list[dict[str, Any]]) -> Panel:
    names = dict(EventKind.objects.values_list("slug", "name"))
    kinds = sorted({row["kind_id"] for row in events}, key=lambda kind: -total_of(events, kind, "n"))
    return Panel(
        "Events by kind",
        "What buyers did in each of the last 24 hours.",
        Interaction,
        ("Kind", "Last hour", "Last day"),
        tuple(
            (names[kind], f"{total_of(events, kind, 'n_last_hour'):,}", f"{total_of(events, kind, 'n'):,}")
            for kind in kinds
        ),
        chart=stacked_bars(hours_before(now), {names[kind]: by_hour(events, kind) for kind in kinds}) if kinds else "",
        chart_options=CHART_OPTIONS,
        empty="No events in the last 24 hours. Clients send them to /api/v1/events; searches count too.",
    )


def total_of(events: list[dict[str, Any]], kind: str, name: str) -> int:
    return sum(row[name] for row in events if row["kind_id"] == kind)


def by_hour(events: list[dict[str, Any]], kind: str) -> dict[datetime, int]:
    return {row["hour"]: row["n"] for row in events if row["kind_id"] == kind}


def hours_before(now: datetime) -> list[datetime]:
    hour = now.replace(minute=0, second=0, microsecond=0)
    return [hour - HOUR * back for back in range(24, -1, -1)]


def stacked_bars(hours: list[datetime], counts: Mapping[str, Mapping[datetime, int]]) -> str:
    """The data of a stacked bar chart, as Chart.js reads it."""
    series = [
        {
            "label": name,
            "data": [of_kind.get(hour, 0) for hour in hours],
            "backgroundColor": COLOURS[number % len(COLOURS)],
        }
        for number, (name, of_kind) in enumerate(counts.items())
    ]
    return json.dumps({"labels": [f"{hour:%H:00}" for hour in hours], "datasets": series})


# --- Lists -----------------------------------------------------------------------------------------------------------
def lists_card(now: datetime) -> Card:
    counts = ServedList.objects.filter(served_at__gte=now - DAY).aggregate(
        n=Count("pk"), n_hour=Count("pk", filter=Q(served_at__gte=now - HOUR))
    )
    return Card(
        "Lists served, last 24 hours",
        f"{counts['n']:,}",
        f"{counts['n_hour']:,} in the last hour",
        list_url(ServedList),
        ServedList,
    )


@dataclass(frozen=True)
class SourceClicks:
    """What became of the cars that one source put into lists."""

    name: str
    n_shown: int
    n_clicked: int
    n_contacts: int

    @property
    def rate(self) -> float:
        return self.n_clicked / self.n_shown


CLICKS_BY_SOURCE = """
WITH lately AS (SELECT id, sources FROM recommendations_servedlist WHERE served_at >= %(since)s),
shown AS (SELECT source, count(*) AS n FROM lately, unnest(sources) AS source GROUP BY source),
acted AS (
    SELECT DISTINCT ON (event.served_list_id, event.position)
        list.sources[event.position] AS source, bool_or(kind.is_contact) OVER listed AS contacted
    FROM recommendations_interaction AS event
    JOIN lately AS list ON list.id = event.served_list_id
    JOIN recommendations_eventkind AS kind ON kind.slug = event.kind_id
    WHERE event.position IS NOT NULL AND kind.weight > 0 AND event.occurred_at >= %(since)s
    WINDOW listed AS (PARTITION BY event.served_list_id, event.position)
)
SELECT shown.source, shown.n, count(acted.source), count(acted.source) FILTER (WHERE acted.contacted)
FROM shown LEFT JOIN acted USING (source) GROUP BY shown.source, shown.n ORDER BY shown.n DESC
"""


def read_clicks(now: datetime) -> list[SourceClicks]:
    """A car of a list that was clicked twice counts once; events that name no position are in no row."""
    with connection.cursor() as cursor:
        cursor.execute(CLICKS_BY_SOURCE, {"since": now - WEEK})
        return [SourceClicks(*row) for row in cursor.fetchall()]


def clicks_card(clicks: list[SourceClicks]) -> Card:
    n_shown, n_clicked = sum(source.n_shown for source in clicks), sum(source.n_clicked for source in clicks)
    return Card(
        "Click rate, last 7 days",
        f"{n_clicked / n_shown:.1%}" if n_shown else NONE,
        f"{n_clicked:,} of {n_shown:,} cars in lists were opened, liked or asked about",
        list_url(ServedList),
        ServedList,
    )


def sources_panel(clicks: list[SourceClicks]) -> Panel:
    return Panel(
        "Clicks by source, last 7 days",
        "Of the cars each source put into lists, how many were opened, liked or asked about.",
        ServedList,
        ("Source", "Shown", "Clicked", "Click rate", "Contacts"),
        tuple(
            (
                source.name,
                f"{source.n_shown:,}",
                f"{source.n_clicked:,}",
                f"{source.rate:.1%}",
                f"{source.n_contacts:,}",
            )
            for source in clicks
        ),
        empty="No lists were served in the last 7 days.",
    )


COLD_SHARE = """
SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (
    SELECT FROM recommendations_interaction AS event WHERE event.buyer_id = served.buyer_id
))
FROM (
    SELECT DISTINCT buyer_id FROM recommendations_servedlist WHERE served_at >= %(since)s AND buyer_id IS NOT NULL
) AS served
"""


def cold_card(now: datetime) -> Card:
    with connection.cursor() as cursor:
        cursor.execute(COLD_SHARE, {"since": now - WEEK})
        n_buyers, n_cold = cursor.fetchone()
    return Card(
        "Cold buyers",
        f"{n_cold / n_buyers:.0%}" if n_buyers else NONE,
        f"of the {n_buyers:,} who got a list in 7 days never left an event",
        list_url(Buyer),
        Buyer,
    )


# --- Preferences and versions ----------------------------------------------------------------------------------------
def behind_card(now: datetime, live: RankerVersion | None) -> Card:
    n_behind = buyers_behind_the_log(live, since=now - DAY).count() if live else 0
    return Card(
        "Preferences behind the log",
        f"{n_behind:,}" if live else NONE,
        "buyers with events of the last day that their taste has not seen; their next list catches up",
        list_url(Preference, behind="yes"),
        Preference,
        is_alert=n_behind > 100,
    )


def version_card(live: RankerVersion | None) -> Card:
    if live is None:
        return Card(
            "Live ranker", "none", "train one to serve personal lists", list_url(RankerVersion), RankerVersion, True
        )
    return Card(
        "Live ranker",
        str(live),
        f"trained {ago(live.created_at)} on {live.n_interactions:,} events and {live.n_listings:,} listings",
        page_of(live),
        RankerVersion,
    )


def metrics_panel(live: RankerVersion | None) -> Panel:
    rankers, rows = side_by_side(live.metrics if live else {})
    return Panel(
        "How good the live ranker is",
        "Measured on the last part of the log, which it was not trained on.",
        RankerVersion,
        ("Metric", *rankers),
        tuple(map(tuple, rows)),
        empty="Not measured yet: it takes events from before and after a moment.",
    )


# --- Jobs ------------------------------------------------------------------------------------------------------------
def failures_card(now: datetime) -> Card:
    failed: QuerySet[Any] = TaskResult.objects.filter(status="FAILURE", date_done__gte=now - DAY)
    n_failed = failed.count()
    return Card(
        "Failed jobs, last 24 hours",
        f"{n_failed:,}",
        "background tasks that ended with an error",
        list_url(TaskResult, status__exact="FAILURE"),
        TaskResult,
        is_alert=n_failed > 0,
    )


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
