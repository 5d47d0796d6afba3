"""The taste map: the stock in two dimensions, and the maps that take a worker to draw."""

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from recommendations.admin.jobs import CancellableJobAdmin, author
from recommendations.maps import start_map
from recommendations.models import TasteMap
from recommender_site.admin_kit import link_to, page_of
from tasks.queueing import enqueue_on_commit
from tasks.recommendations import draw_map_task


@admin.register(TasteMap)
class TasteMapAdmin(CancellableJobAdmin):
    """Maps drawn by t-SNE, as jobs."""

    task = draw_map_task
    list_display = ["name", "status_badge", "progress_bar", "took", "n_points", "version_link", "created_at"]
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["version", "started_by"]
    fieldsets = [
        (None, {"fields": [("method", "n_points", "seed"), "version_link"]}),
        ("Who and when", {"fields": [("started_by", "created_at"), ("started_at", "finished_at", "heartbeat_at")]}),
    ]
    add_fieldsets = [
        (
            "A map by t-SNE",
            {
                "description": "A worker moves each car to those that suit the same buyers, which takes about half a "
                "minute. What is for sale when it is drawn is on it; draw another when the stock has changed.",
                "fields": [("n_points", "seed")],
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[TasteMap]:
        return super().get_queryset(request).defer("content")

    @display(description="Map", ordering="pk")
    def name(self, drawn: TasteMap) -> str:
        return f"Map {drawn.pk}, by {drawn.get_method_display()}"

    @display(description="Version")
    def version_link(self, drawn: TasteMap) -> str:
        return link_to(drawn.version)

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: TasteMap, form: object, change: bool) -> None:
        """The row is the service's to make; the form's becomes it."""
        started = start_map(n_points=obj.n_points, seed=obj.seed, started_by=author(request))
        enqueue_on_commit(draw_map_task, started.pk)
        obj.__dict__.update(started.__dict__)

    def response_add(self, request: HttpRequest, obj: TasteMap, post_url_continue: str | None = None) -> HttpResponse:
        """Straight to the map's own page, where the progress shows."""
        messages.success(request, "The map was queued. This page follows it by itself.")
        return redirect(page_of(obj))
