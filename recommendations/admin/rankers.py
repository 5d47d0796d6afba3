"""Ranker versions side by side; promoting one, and going back."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Length
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from console.formats import NONE, ago, badge, link_to, table
from console.pages import ReadOnlyAdmin, dialog, go_to, planned_rows
from recommendations.admin import promotion, version_curves
from recommendations.admin.comparison import ComparisonPage
from recommendations.admin.figures import side_by_side
from recommendations.admin.gate_drawing import verdict_drawn
from recommendations.admin.jobs import RETRAIN_DIALOG, RetrainForm, start_and_follow
from recommendations.models import ListingVector, RankerArtifact, RankerVersion

VERSION_LABELS = {"training": "info", "ready": "", "live": "success", "retired": "warning", "failed": "danger"}


class NoteForm(BaseDialogForm):
    note = forms.CharField(
        label="Why",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept with the version, for later readers.",
    )


@admin.register(RankerVersion)
class RankerVersionAdmin(ReadOnlyAdmin):
    empty_help = "A training makes a version: each night, and whenever an operator asks for one."
    list_display = [
        "version", "status_badge", "gate_badge", "headline", "listings", "events", "buyers", "created_at",
        "promoted_at",
    ]  # fmt: skip
    list_select_related = ["promoted_by"]
    list_filter = [("status", ChoicesDropdownFilter)]
    actions_list = ["compare", "retrain_now", "roll_back"]
    actions_detail = ["compare_this", "promote"]
    fieldsets = [
        (None, {"fields": [("status_badge", "gate_badge"), "note"]}),
        ("Gate: is it as good as the version that was live?", {"fields": ["gate_reason", "gate_table"]}),
        ("How good it was on the last part of the log", {"fields": ["metric_table"]}),
        ("Curves of the terms, beside their weights", {"fields": ["curve_verdicts", "curves"]}),
        ("What it learned from", {"fields": [("listings", "events", "buyers"), "last_interaction_id"]}),
        ("What it holds", {"fields": [("vector_count", "artifact_size"), "training_runs"]}),
        ("When and who", {"fields": [("created_at", "promoted_at", "promoted_by", "retired_at")]}),
    ]

    def has_promote_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return promotion.may_promote(request)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(ComparisonPage.as_view(model_admin=self))
        return [path("compare/", view, name="recommendations_rankerversion_comparison"), *super().get_urls()]

    @action(description="Compare", url_path="side-by-side", icon="compare", permissions=["view"])
    def compare(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:recommendations_rankerversion_comparison")

    @action(description="Compare", url_path="compare-this", icon="compare", permissions=["view"])
    def compare_this(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Open the comparison with the live version; for the live one, with the default versions."""
        live = RankerVersion.objects.live()
        both = [] if live is None or str(live.pk) == object_id else [live.pk, object_id]
        return redirect(reverse("admin:recommendations_rankerversion_comparison", query={"v": both} if both else None))

    def has_retrain_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("recommendations.add_trainingrun"))

    @display(description="Version", ordering="pk")
    def version(self, version: RankerVersion) -> str:
        return str(version)

    @display(description="Status", ordering="status")
    def status_badge(self, version: RankerVersion) -> SafeString:
        return badge(version.get_status_display(), VERSION_LABELS[version.status])

    @display(description="Gate")
    def gate_badge(self, version: RankerVersion) -> str | SafeString:
        if "passed" not in version.gate:
            return NONE
        return badge("Not passed", "danger") if version.failed_gate else badge("Passed", "success")

    @display(description="Verdict")
    def gate_reason(self, version: RankerVersion) -> str:
        return version.gate.get("reason") or "Not judged."

    @display(description="Figures")
    def gate_table(self, version: RankerVersion) -> str | SafeString:
        figures = version.gate.get("figures")
        return verdict_drawn(figures, str(version)) if figures else NONE

    @display(description="Listings", ordering="n_listings")
    def listings(self, version: RankerVersion) -> str:
        return f"{version.n_listings:,}"

    @display(description="Events", ordering="n_interactions")
    def events(self, version: RankerVersion) -> str:
        return f"{version.n_interactions:,}"

    @display(description="Buyers", ordering="n_buyers")
    def buyers(self, version: RankerVersion) -> str:
        return f"{version.n_buyers:,}"

    @display(description="Metrics")
    def headline(self, version: RankerVersion) -> str:
        _, rows = side_by_side(version.metrics)
        return " · ".join(f"{name} {first}" for name, first, *_ in rows) or NONE

    @display(description="Metrics")
    def metric_table(self, version: RankerVersion) -> str | SafeString:
        rankers, rows = side_by_side(version.metrics)
        if not rows:
            return "Not measured: it takes events from before and after a moment."
        asked = f"{version.metrics.get('n_buyers', 0):,} buyers, {version.metrics.get('n_candidates', 0):,} cars"
        return table(["", *rankers], rows, caption=f"Asked about {asked}.")

    @display(description="Where they are better")
    def curve_verdicts(self, version: RankerVersion) -> str | SafeString:
        return version_curves.verdicts(version)

    @display(description="Curves")
    def curves(self, version: RankerVersion) -> str | SafeString:
        return version_curves.drawings(version)

    @display(description="Listing vectors")
    def vector_count(self, version: RankerVersion) -> str:
        if version.status not in (RankerVersion.Status.LIVE, RankerVersion.Status.READY):
            return NONE
        return f"about {planned_rows(ListingVector.objects.of(version)):,}"

    @display(description="Artifact")
    def artifact_size(self, version: RankerVersion) -> str | SafeString:
        sized = RankerArtifact.objects.annotate(size=Length("content")).defer("content")
        artifact = sized.filter(pk=version.pk).first()
        return link_to(artifact, filesizeformat(artifact.size)) if artifact else NONE

    @display(description="Made by")
    def training_runs(self, version: RankerVersion) -> SafeString:
        """The newest trainings of the version, with the error of each that failed."""
        runs = version.runs.defer("log").order_by("-pk")[:5]
        rows = [[link_to(run), ago(run.finished_at), run.error or NONE] for run in runs]
        return table(["Run", "Ended", "What went wrong"], rows)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Offer promotion only for a version that is ready."""
        is_ready = RankerVersion.objects.filter(pk=object_id, status=RankerVersion.Status.READY).exists()
        buttons = super().get_actions_detail(request, object_id)
        return [button for button in buttons if is_ready or not button.action_name.endswith("_promote")]

    @action(
        description="Promote",
        url_path="promote",
        icon="publish",
        permissions=["promote"],
        dialog=dialog(
            "Put this version live",
            "Every list is answered by it within a second. The version that is live now stays ready, so "
            "that you can roll back. A version that did not pass the gate needs a note that says why.",
            "Promote",
            NoteForm,
        ),
    )
    def promote(self, request: HttpRequest, form: NoteForm, object_id: str) -> HttpResponse:
        promotion.promote(request, RankerVersion.objects.get(pk=object_id), form.cleaned_data["note"])
        return go_to(reverse("admin:recommendations_rankerversion_changelist"))

    @action(
        description="Roll back",
        url_path="roll-back",
        icon="undo",
        permissions=["promote"],
        dialog=dialog(
            "Go back to the version that was live before",
            "Every list is answered by it within a second.",
            "Roll back",
            NoteForm,
        ),
    )
    def roll_back(self, request: HttpRequest, form: NoteForm) -> HttpResponse:
        promotion.roll_back(request, form.cleaned_data["note"])
        return go_to(reverse("admin:recommendations_rankerversion_changelist"))

    @action(
        description="Retrain now",
        url_path="retrain",
        icon="model_training",
        permissions=["retrain"],
        dialog=RETRAIN_DIALOG,
    )
    def retrain_now(self, request: HttpRequest, form: RetrainForm) -> HttpResponse:
        return start_and_follow(request, form)


@admin.register(RankerArtifact)
class RankerArtifactAdmin(ReadOnlyAdmin):
    """The fitted arrays of each version; only their size and checksum are of use to a person."""

    list_display = ["version", "format_version", "size", "sha256"]
    list_select_related = ["version"]
    ordering = ["-version_id"]
    fields = ["version", "format_version", "size", "sha256"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[RankerArtifact]:
        rows: QuerySet[RankerArtifact] = super().get_queryset(request)
        return rows.defer("content").annotate(n_bytes=Length("content"))

    @display(description="Size", ordering="n_bytes")
    def size(self, artifact: Any) -> str:
        return filesizeformat(artifact.n_bytes)
