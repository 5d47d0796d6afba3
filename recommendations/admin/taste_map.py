"""Maps of the stock by t-SNE, as jobs, with links to the page that shows them."""

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display

from console.formats import link_to
from jobs.admin.base import JobAdmin
from jobs.queue import enqueue_on_commit
from recommendations.admin.jobs import author
from recommendations.admin.map_page import TasteMapPage
from recommendations.insight.maps import start_map
from recommendations.models import TasteMap


@admin.register(TasteMap)
class TasteMapAdmin(JobAdmin):
    """Maps drawn by t-SNE, as jobs."""

    empty_help = "A map draws buyers and cars that fit together near each other."
    list_display = ["name", "status_badge", "progress_bar", "took", "n_points", "version_link", "created_at"]
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["version", "started_by"]
    actions_list = ["open_map"]
    actions_detail = ["open_this_map", "queue_again", "cancel"]
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
        rows: QuerySet[TasteMap] = super().get_queryset(request)
        return rows.defer("content")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(TasteMapPage.as_view(model_admin=self))
        return [path("map/", view, name="recommendations_tastemap_map"), *super().get_urls()]

    @action(description="Open the taste map", url_path="open", icon="map", permissions=["view"])
    def open_map(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:recommendations_tastemap_map")

    @action(description="Open the map", url_path="open-this", icon="map", permissions=["view"])
    def open_this_map(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(reverse("admin:recommendations_tastemap_map", query={"map": object_id}))

    @display(description="Map", ordering="pk")
    def name(self, drawn: TasteMap) -> str:
        return f"Map {drawn.pk}, by {drawn.get_method_display()}"

    @display(description="Version")
    def version_link(self, drawn: TasteMap) -> str:
        return link_to(drawn.version)

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: TasteMap, form: object, change: bool) -> None:
        """Let the service create the row, and copy it to the form's instance."""
        started = start_map(n_points=obj.n_points, seed=obj.seed, started_by=author(request))
        enqueue_on_commit(TasteMap.TASK, started.pk)
        obj.__dict__.update(started.__dict__)
