"""Dashboard cards of stored preferences and of the live ranker version."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse

from catalog.models import Listing
from console.dashboard.cards import HOUR, Card, Panel
from console.dashboard.registry import propose_next_steps, show
from console.formats import NONE, ago, list_url, page_of, span
from recommendations.admin.figures import side_by_side
from recommendations.buyers.refresh import buyers_behind_the_log
from recommendations.models import Interaction, Preference, RankerVersion

COUNTED_AT_MOST = 1_000
MANY_BEHIND = 100


def behind_card(now: datetime, live: RankerVersion | None) -> Card:
    """How many preferences are behind the log, and for how long the first one has been."""
    waiting = waiting_since(live, now) if live else []
    n_behind = f"{COUNTED_AT_MOST:,}+" if len(waiting) > COUNTED_AT_MOST else f"{len(waiting):,}"
    oldest = min(waiting, default=None)
    lag = f", the first for {span(now - oldest)}" if oldest else ""
    return Card(
        "Preferences behind the log",
        n_behind if live else NONE,
        f"buyers with events of the last hour that their taste has not seen{lag}; their next list catches up",
        list_url(Preference, behind="yes"),
        Preference,
        is_alert=len(waiting) > MANY_BEHIND,
    )


def waiting_since(live: RankerVersion, now: datetime) -> list[datetime]:
    """When the first unseen event of each buyer who is behind arrived."""
    known = Preference.objects.filter(buyer=OuterRef("pk"), version=live).values("last_interaction_id")
    unseen = Interaction.objects.filter(buyer=OuterRef("pk"), id__gt=OuterRef("seen")).order_by("id")
    behind = buyers_behind_the_log(live, since=now - HOUR).annotate(seen=Coalesce(Subquery(known), 0))
    first = behind.annotate(first=Subquery(unseen.values("received_at")[:1])).values_list("first", flat=True)
    return [moment or now for moment in first[: COUNTED_AT_MOST + 1]]


def version_card(live: RankerVersion | None) -> Card:
    if live is None:
        return Card(
            "Live ranker", "none", "train one to serve personal lists", list_url(RankerVersion), RankerVersion, True
        )
    return Card(
        "Live ranker",
        str(live),
        f"trained {ago(live.created_at)} on {live.n_interactions:,} events and {live.n_listings:,} listings; "
        f"{gate_in_words(live)}",
        page_of(live),
        RankerVersion,
        is_alert=live.failed_gate,
    )


def gate_in_words(version: RankerVersion) -> str:
    if "passed" not in version.gate:
        return "not judged by the gate"
    return "did not pass the gate, put live by hand" if version.failed_gate else "passed the gate"


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


@show(order=40)
def ranking(now: datetime) -> Iterator[Card | Panel]:
    live = RankerVersion.objects.live()
    yield behind_card(now, live)
    yield version_card(live)
    yield metrics_panel(live)


@propose_next_steps
def first_steps() -> Iterator[dict[str, str]]:
    """Cars first, then a ranker."""
    if not Listing.objects.available().exists():
        yield {
            "text": "No cars yet: import a file of listings. Lists follow as soon as the first are for sale.",
            "label": "Import a file",
            "href": reverse("admin:catalog_importrun_add"),
            "permission": "catalog.add_importrun",
        }
        yield {
            "text": "Or fill the site with a made-up market, to try it out.",
            "label": "Seed a demo market",
            "href": reverse("admin:recommendations_seedrun_add"),
            "permission": "recommendations.add_seedrun",
        }
    elif RankerVersion.objects.live() is None:
        yield {
            "text": "No ranker is live: lists are the same for everybody until one is trained.",
            "label": "Train the first ranker",
            "href": reverse("admin:recommendations_trainingrun_add"),
            "permission": "recommendations.add_trainingrun",
        }
