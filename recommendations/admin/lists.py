"""Where lists are shown and by which rules: placements."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from catalog.admin import count_of
from catalog.filters import ListingFilters
from console.formats import list_link
from console.pages import ConsoleAdmin
from recommendations.admin.weights import PlacementMixPage
from recommendations.engine.score_terms import TERMS
from recommendations.models import Experiment, Placement, ServedList
from recommendations.serving.placements import (
    DEFAULT_SHARES,
    refuse_boosts,
    refuse_filters,
    refuse_rules,
    refuse_sources,
)

KNOWN_SOURCES = ", ".join(f"{name} ({share:g})" for name, share in DEFAULT_SHARES.items())
JSON_HELP = {
    "sources": 'Source and its share of the candidates, like {"trending": 0.2, "exploration": 0}. Only proportions '
    f"count; 0 switches a source off, and one that is not named has its usual share: {KNOWN_SOURCES}.",
    "filters": 'Filters that always apply here, together with those asked for, like {"fuels": ["electric"], '
    f'"max_price": 20000}}. Known are {", ".join(sorted(ListingFilters.names()))}.',
    "boosts": "Term and its weight in the score per standard deviation, in place of the learned one (0: off), like "
    '{"freshness": 0.5}. '
    f"Known are {', '.join(TERMS)}.",
}


class PlacementForm(forms.ModelForm):  # type: ignore[type-arg] # no generic at run time
    class Meta:
        model = Placement
        fields = "__all__"  # noqa: DJ007 - every field is an operator's to set
        help_texts = JSON_HELP

    def clean_sources(self) -> dict[str, float]:
        refuse_sources(self.cleaned_data["sources"])
        sources: dict[str, float] = self.cleaned_data["sources"]
        return sources

    def clean_boosts(self) -> dict[str, float]:
        refuse_boosts(self.cleaned_data["boosts"])
        boosts: dict[str, float] = self.cleaned_data["boosts"]
        return boosts

    def clean_filters(self) -> dict[str, Any]:
        refuse_filters(self.cleaned_data["filters"])
        filters: dict[str, Any] = self.cleaned_data["filters"]
        return filters

    def clean(self) -> dict[str, Any]:
        """Rules that are right one by one may ask too much together: more kept places than the list has."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            refuse_rules(Placement(**cleaned))
        return cleaned


@admin.register(Placement)
class PlacementAdmin(ConsoleAdmin):
    form = PlacementForm
    list_display = ["name", "slug", "k", "diversity", "exploration_positions", "running_experiment", "lists"]
    ordering = ["name"]
    search_fields = ["name__begins_word", "slug__begins_word"]
    fieldsets = [
        (None, {"fields": [("name", "slug", "k")]}),
        ("What comes in", {"fields": ["sources", "filters", "boosts"]}),
        (
            "How the list is mixed",
            {
                "fields": [
                    ("diversity", "follows_intent"), ("max_per_model", "max_per_seller"), "times_shown_at_most",
                ]
            },
        ),
        (
            "Places that are kept",
            {
                "description": "For cars that may be more, or less, than they seem; and for those a seller pays for.",
                "fields": [("exploration_positions", "fresh_share", "promoted_share")],
            },
        ),
        ("Cars that are asked for a lot", {"fields": [("free_leads", "saturation_strength")]}),
    ]  # fmt: skip

    actions_detail = ["open_mix"]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(PlacementMixPage.as_view(model_admin=self))
        return [path("<int:placement_id>/mix/", view, name="recommendations_placement_mix"), *super().get_urls()]

    @action(description="Try a mix", url_path="open-mix", icon="balance", permissions=["view"])
    def open_mix(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:recommendations_placement_mix", object_id)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Placement]:
        rows: QuerySet[Placement] = super().get_queryset(request)
        return rows.annotate(n_running=count_of(Experiment, "placement", status="running"))

    @display(description="Experiment running", boolean=True)
    def running_experiment(self, placement: Any) -> bool:
        return bool(placement.n_running)

    @display(description="Lists served")
    def lists(self, placement: Placement) -> SafeString:
        return list_link(ServedList, "Show", placement__id__exact=placement.pk)
