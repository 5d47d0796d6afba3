"""Where lists are shown and by which rules: placements and experiments."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from catalog.admin import count_of
from catalog.filters import ListingFilters
from recommendations.models import Experiment, Placement, ServedList
from recommender_site.admin_kit import ConsoleAdmin, badge, list_link

EXPERIMENT_LABELS = {"draft": "", "running": "success", "stopped": "warning"}


def refuse_unless_numbers(value: Any) -> None:
    """A mapping of names to numbers of at least 0; shares need not add up, only their proportions count."""
    if not isinstance(value, dict):
        raise ValidationError('Write names and numbers, like {"utility": 0.6, "trending": 0.4}.')
    for name, number in value.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or number < 0:
            raise ValidationError(f"“{name}” needs a number of at least 0, not {number!r}.")


class PlacementForm(forms.ModelForm):
    class Meta:
        model = Placement
        fields = "__all__"  # noqa: DJ007 - every field is an operator's to set

    def clean_sources(self) -> dict[str, float]:
        refuse_unless_numbers(self.cleaned_data["sources"])
        return self.cleaned_data["sources"]

    def clean_boosts(self) -> dict[str, float]:
        refuse_unless_numbers(self.cleaned_data["boosts"])
        return self.cleaned_data["boosts"]

    def clean_filters(self) -> dict[str, Any]:
        """A filter nobody knows would be ignored in silence, and the list would show what it should not."""
        filters = self.cleaned_data["filters"]
        if not isinstance(filters, dict):
            raise ValidationError('Write filters by name, like {"fuels": ["electric"], "max_price": 20000}.')
        known = set(ListingFilters.__dataclass_fields__)
        if unknown := sorted(set(filters) - known):
            raise ValidationError(f"Unknown filters: {', '.join(unknown)}. Known are {', '.join(sorted(known))}.")
        return filters


@admin.register(Placement)
class PlacementAdmin(ConsoleAdmin):
    form = PlacementForm
    list_display = ["name", "slug", "k", "diversity", "exploration_share", "running_experiment", "lists"]
    ordering = ["name"]
    search_fields = ["name", "slug"]
    fieldsets = [
        (None, {"fields": [("name", "slug", "k")]}),
        ("What comes in", {"fields": ["sources", "filters", "boosts"]}),
        (
            "How the list is mixed",
            {
                "fields": [
                    ("diversity", "exploration_share"), ("max_per_model", "max_per_seller"), "times_shown_at_most",
                ]
            },
        ),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Placement]:
        return super().get_queryset(request).annotate(n_running=count_of(Experiment, "placement", status="running"))

    @display(description="Experiment running", boolean=True)
    def running_experiment(self, placement: Any) -> bool:
        return bool(placement.n_running)

    @display(description="Lists served")
    def lists(self, placement: Placement) -> SafeString:
        return list_link(ServedList, "Show", placement__id__exact=placement.pk)


class ExperimentForm(forms.ModelForm):
    class Meta:
        model = Experiment
        fields = "__all__"  # noqa: DJ007 - every field is an operator's to set

    def clean_variants(self) -> dict[str, Any]:
        variants = self.cleaned_data["variants"]
        if not isinstance(variants, dict) or len(variants) < 2:
            raise ValidationError('Name at least two variants, like {"a": {"share": 0.5}, "b": {"share": 0.5}}.')
        return variants


@admin.register(Experiment)
class ExperimentAdmin(ConsoleAdmin):
    form = ExperimentForm
    list_display = ["slug", "placement", "status_badge", "variant_names", "started_at", "stopped_at"]
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["placement"]
    search_fields = ["slug"]
    autocomplete_fields = ["placement"]
    fieldsets = [
        (None, {"fields": [("slug", "placement", "status")]}),
        ("Variants", {"fields": ["variants"]}),
        ("When", {"fields": [("started_at", "stopped_at")]}),
    ]

    @display(description="Status", ordering="status")
    def status_badge(self, experiment: Experiment) -> SafeString:
        return badge(experiment.get_status_display(), EXPERIMENT_LABELS[experiment.status])

    @display(description="Variants", label=True)
    def variant_names(self, experiment: Experiment) -> list[str]:
        return list(experiment.variants)
