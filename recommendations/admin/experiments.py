"""Experiments in the admin: the list of them, and their form."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display

from console.formats import NONE, badge
from console.pages import ConsoleAdmin
from recommendations.admin.experiment_form import ARMS, ExperimentForm
from recommendations.admin.experiment_pages import LABELS, ExperimentPage, Status, VariantPage, headline, ranked_by
from recommendations.evaluation import experiment_watch
from recommendations.models import Experiment

FIXED = ("slug", "placement", "mode", "holdout", "metric", "outcome_days", "smallest_lift")  # once it was started


FIELDSETS: list[tuple[str | None, dict[str, Any]]] = [
    (None, {"fields": [("slug", "placement", "status"), "note"]}),
    (
        "Variants",
        {
            "description": "Rules of each variant are set after saving, with a preview on real buyers.",
            "fields": [
                "mode",
                *((f"arm_{number}", f"share_{number}", f"version_{number}") for number in ARMS),
                "holdout",
            ],
        },
    ),
    ("When", {"description": "Times are looked at every five minutes.", "fields": [("starts_at", "ends_at")]}),
    (
        "What decides",
        {"fields": [("metric", "smallest_lift", "outcome_days"), "stops_harmful"]},
    ),
]


@admin.register(Experiment)
class ExperimentAdmin(ConsoleAdmin):
    empty_help = (
        "An experiment shows two or more variants of a placement to different buyers, and says which works better."
    )
    form = ExperimentForm
    list_display = ["slug", "placement", "status_badge", "says", "variant_names", "started_at", "stopped_at"]
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["placement"]
    search_fields = ["slug__begins_word", "placement__name__begins_word"]
    search_help_text = "Words of the name or the placement, in any order"
    autocomplete_fields = ["placement"]
    actions_detail = ["open_report"]
    fieldsets = FIELDSETS

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the variants read-only once the experiment was started."""
        if obj is None or (obj.is_open and self.has_change_permission(request, obj)):
            return FIELDSETS
        return [
            (title, {**given, "fields": ["mode", "arms", "holdout"]} if title == "Variants" else given)
            for title, given in FIELDSETS
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None or obj.is_open else ("arms", *FIXED)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        made = super().get_form(request, obj, change, **kwargs)
        if obj is not None and not obj.is_open:
            made.base_fields = {
                name: field
                for name, field in made.base_fields.items()
                if not name.startswith(("arm_", "share_", "version_"))
            }
        return made

    def get_urls(self) -> list[URLPattern]:
        pages = {"report": ExperimentPage, "variant/<int:number>": VariantPage}
        own = [
            path(
                f"<int:experiment_id>/{ending}/",
                self.admin_site.admin_view(page.as_view(model_admin=self)),
                name=f"recommendations_experiment_{ending.partition('/')[0]}",
            )
            for ending, page in pages.items()
        ]
        return [*own, *super().get_urls()]

    @action(description="Read the answer", url_path="open-report", icon="science", permissions=["view"])
    def open_report(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:recommendations_experiment_report", object_id)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Redirect to the report of the new experiment, which links to the rules of its variants."""
        usual: HttpResponse = super().response_add(request, obj, post_url_continue)
        if {"_addanother", "_continue", "_popup"} & set(request.POST):
            return usual
        return redirect("admin:recommendations_experiment_report", obj.pk)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Set the start or end time when the status changes."""
        if obj.status == Status.RUNNING and form.was != Status.RUNNING:
            experiment_watch.plan_start(obj, timezone.now())
        if obj.status == Status.STOPPED and form.was == Status.RUNNING:
            obj.stopped_at, obj.stop_reason = timezone.now(), f"{request.user} stopped it"
        super().save_model(request, obj, form, change)

    @display(description="Status", ordering="status")
    def status_badge(self, experiment: Experiment) -> SafeString:
        return badge(experiment.get_status_display(), LABELS[Status(experiment.status)])

    @display(description="What it says")
    def says(self, experiment: Experiment) -> SafeString | str:
        url = reverse("admin:recommendations_experiment_report", args=[experiment.pk])
        return format_html('<a class="text-link" href="{}">{}</a>', url, headline(experiment)[0])

    @display(description="Variants", label=True)
    def variant_names(self, experiment: Experiment) -> list[str]:
        return list(experiment.variants)

    @display(description="Variants")
    def arms(self, experiment: Experiment) -> str:
        shares = experiment.shares
        return " · ".join(
            f"{name}{ranked_by(variant)}{'' if experiment.is_interleaved else f': {shares[name]:.0%}'}"
            for name, variant in sorted(experiment.variants.items())
        ) or NONE  # fmt: skip
