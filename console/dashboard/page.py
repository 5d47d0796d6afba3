"""The first page of the admin: which cards and panels, for whom, and what to do next on an empty site."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.core.cache import cache
from django.http import HttpRequest
from django.utils import timezone

from console.dashboard import registry
from console.dashboard.cards import Card, Panel
from console.dashboard.period import Period, PeriodForm
from console.site import may_see
from web.replicas import read_beside

KEPT_SECONDS = 10


def dashboard_callback(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds the dashboard to the context of the admin's index."""
    parts = cache.get_or_set("console.dashboard", read_dashboard, KEPT_SECONDS) or read_dashboard()
    visible = [part for part in parts if is_visible(request, part.model)]
    form = PeriodForm({name: request.GET[name] for name in ("since", "until") if name in request.GET})
    chosen = read_chosen(form.period if form.is_valid() else Period.lately())
    context.update(
        period_form=form,
        period_links=[(f"{n} days", f"?{urlencode(days_of(Period.lately(n)))}") for n in (7, 30, 90, 365)],
        period_panels=[part for part in chosen if is_visible(request, part.model)],
        cards=[part for part in visible if isinstance(part, Card)],
        panels=[part for part in visible if isinstance(part, Panel)],
        next_steps=next_steps(request),
        running_jobs=[job for read in registry.running_jobs_readers for job in read(request)],
    )
    return context


def read_chosen(period: Period) -> list[Card | Panel]:
    """Panels about some days, for every role."""

    def read() -> list[Card | Panel]:
        return read_beside("console", lambda: registry.read_period(period))

    key = f"console.dashboard.{period.first}.{period.last}"
    return cache.get_or_set(key, read, KEPT_SECONDS) or read()


def days_of(period: Period) -> dict[str, str]:
    return {"since": str(period.first), "until": str(period.last)}


def is_visible(request: HttpRequest, model: Any) -> bool:
    return may_see(model._meta.app_label, model._meta.model_name)(request)


def read_dashboard() -> list[Card | Panel]:
    """All cards and panels, for every role; who may see which is asked on each request."""
    return read_beside("console", lambda: registry.read_all(timezone.now()))


def next_steps(request: HttpRequest) -> list[dict[str, str]]:
    """What an empty site needs first; nothing once it runs. Never cached: who did a step sees the next one."""
    steps = [step for read in registry.next_steps_readers for step in read()]
    return [step for step in steps if request.user.has_perm(step["permission"])]
