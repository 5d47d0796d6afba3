"""The page itself: which cards and panels, for whom, and what to do next on an empty site."""

from __future__ import annotations

from typing import Any

from django.core.cache import cache
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from catalog.models import ImportRun, ImportUndo, Listing, QualityReport
from recommendations.models import Evaluation, RankerVersion, SeedRun, TasteMap, TrainingRun
from recommender_site.admin_kit import UNFINISHED, page_of, percent
from recommender_site.admin_site import may_see
from recommender_site.dashboard import ranking, stock, traffic, upkeep

KEPT_SECONDS = 10
JOBS = (TrainingRun, Evaluation, TasteMap, SeedRun, ImportRun, ImportUndo, QualityReport)


def dashboard_callback(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds the dashboard to the context of the admin's index."""
    figures = cache.get_or_set("console.dashboard", read_dashboard, KEPT_SECONDS) or read_dashboard()
    context.update(
        cards=[card for card in figures["cards"] if is_visible(request, card.model)],
        panels=[panel for panel in figures["panels"] if is_visible(request, panel.model)],
        next_steps=next_steps(request),
        running_jobs=running_jobs(request),
    )
    return context


def is_visible(request: HttpRequest, model: Any) -> bool:
    return may_see(model._meta.app_label, model._meta.model_name)(request)


def read_dashboard() -> dict[str, Any]:
    """All cards and panels, for everybody; who may see which is asked on each request."""
    now, live = timezone.now(), RankerVersion.objects.live()
    cars, events = stock.read_stock(now), traffic.read_events(now)
    sample = traffic.read_sample(now)
    return {
        "cards": [
            stock.stock_card(cars),
            traffic.events_card(events),
            traffic.lists_card(now),
            traffic.clicks_card(sample),
            traffic.contacts_card(sample),
            traffic.cold_card(sample),
            traffic.coverage_card(sample, cars["n_live"]),
            ranking.behind_card(now, live),
            ranking.version_card(live),
            upkeep.queue_card(),
            upkeep.failures_card(now),
        ],
        "panels": [
            traffic.events_panel(now, events),
            traffic.sources_panel(sample),
            traffic.placements_panel(sample),
            stock.age_panel(cars),
            ranking.metrics_panel(live),
            upkeep.quality_panel(),
        ],
    }


# --- What there is to do ---------------------------------------------------------------------------------------------
def next_steps(request: HttpRequest) -> list[dict[str, str]]:
    """What an empty site needs first; nothing once it runs. Never from memory: who did a step sees the next one."""
    steps = []
    if not Listing.objects.available().exists():
        steps.append(
            {
                "text": "No cars yet: import a file of listings, or fill the site with a made-up market to try it out.",
                "label": "Seed a demo market",
                "href": reverse("admin:recommendations_seedrun_add"),
                "permission": "recommendations.add_seedrun",
            }
        )
    elif RankerVersion.objects.live() is None:
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
    for model in JOBS:
        if is_visible(request, model):
            jobs += model._default_manager.filter(status__in=UNFINISHED).order_by("-pk")[:3]
    return [{"name": str(job), "href": page_of(job), "step": job.step, "percent": percent(job)} for job in jobs]
