"""Admin pages of evaluations: start, progress, results as tables and plots, and the report as a file."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from console.formats import NONE, link_to, table
from console.pages import ReadOnlyAdmin, column, dialog, go_to
from jobs.admin.base import JobAdmin
from jobs.queue import enqueue_on_commit
from recommendations.admin.jobs import author
from recommendations.evaluation.log_backtest import LogParameters
from recommendations.evaluation.outcome import OURS
from recommendations.evaluation.report import html_report, in_words, plots, tables
from recommendations.evaluation.runs import as_json, start_evaluation
from recommendations.exceptions import EvaluationRefused
from recommendations.models import Evaluation, EvaluationFigure, RankerVersion

HEADLINE_K = 10  # of the one figure in the list of evaluations


class EvaluateForm(BaseDialogForm):
    version = forms.ModelChoiceField(
        RankerVersion.objects.none(),
        required=False,
        empty_label="Learn anew from what was known then",
        widget=UnfoldAdminSelectWidget,
        help_text="A stored version may have learned from the very events it is tested on; the page says how many.",
    )
    test_percent = forms.IntegerField(
        label="Per cent of the events to test on",
        min_value=1,
        max_value=90,
        initial=15,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="The newest ones.",
    )
    max_buyers = forms.IntegerField(
        label="Buyers to ask about",
        min_value=1,
        max_value=100_000,
        initial=LogParameters.max_buyers,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="At most so many, drawn at random.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"].queryset = RankerVersion.objects.usable()


@transaction.atomic
def queue_evaluation(request: HttpRequest, parameters: dict[str, Any]) -> Evaluation:
    """Create a queued evaluation, and enqueue its task on commit."""
    evaluation = start_evaluation(parameters=parameters, started_by=author(request))
    enqueue_on_commit(Evaluation.TASK, evaluation.pk)
    return evaluation


@admin.register(Evaluation)
class EvaluationAdmin(JobAdmin):
    empty_help = "An evaluation says how well rankers would have put what buyers chose since."
    list_display = ["name", "status_badge", "headline", "lead", "progress_bar", "took", "version_link", "created_at"]
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["version", "started_by"]
    actions_list = ["evaluate_now"]
    actions_detail = ["open_report", "download_json", "queue_again", "cancel"]
    fieldsets = [
        (None, {"fields": [("source", "version_link", "moment"), ("n_buyers", "n_events", "n_candidates"), "notes"]}),
        ("Figures", {"fields": ["plot_panel", "figure_tables"]}),
        ("What was learned, and how it was asked", {"fields": ["settings_table"]}),
        ("Who and when", {"fields": [("started_by", "created_at"), ("started_at", "finished_at", "heartbeat_at")]}),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """False: an evaluation is started by the button, which has a form."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Evaluation]:
        shown = EvaluationFigure.objects.filter(metric="ndcg", slice="all", k=HEADLINE_K, value__isnull=False)
        rows: QuerySet[Evaluation] = super().get_queryset(request)
        return rows.prefetch_related(Prefetch("figures", shown, to_attr="headline_figures"))

    @display(description="Evaluation", ordering="pk")
    def name(self, evaluation: Evaluation) -> str:
        return f"Evaluation {evaluation.pk}: {evaluation.source}"

    @display(description="Version")
    def version_link(self, evaluation: Evaluation) -> str:
        return link_to(evaluation.version) if evaluation.version else "learned anew"

    @display(description=f"NDCG@{HEADLINE_K}")
    def headline(self, evaluation: Evaluation) -> str:
        ours = headlines(evaluation).get(OURS)
        return f"{ours:.3f}" if ours is not None else NONE

    @display(description="Best other")
    def lead(self, evaluation: Evaluation) -> str:
        others = {name: value for name, value in headlines(evaluation).items() if name != OURS}
        if not others:
            return NONE
        best = max(others, key=lambda name: others[name])
        return f"{others[best]:.3f} ({best})"

    @display(description="What to know")
    def notes(self, evaluation: Evaluation) -> str | SafeString:
        said = evaluation.summary.get("notes", [])
        return format_html_join("", "<p>{}</p>", ((note,) for note in said)) or NONE

    @display(description="Plots")
    def plot_panel(self, evaluation: Evaluation) -> str | SafeString:
        drawn = [(caption, plot) for caption, plot in plots(as_json(evaluation)) if plot]
        return render_to_string("evaluations/plots.html", {"plots": drawn}) if drawn else not_yet(evaluation)

    @display(description="Tables")
    def figure_tables(self, evaluation: Evaluation) -> str | SafeString:
        made = [(table(one.headers, one.rows, caption=one.caption),) for one in tables(as_json(evaluation))]
        return format_html_join("", "{}", made) if made else not_yet(evaluation)

    @display(description="Settings")
    def settings_table(self, evaluation: Evaluation) -> SafeString:
        asked = evaluation.summary.get("parameters") or evaluation.parameters
        parameters = {**evaluation.summary.get("learned", {}), **asked}
        return table(["", ""], [[name.replace("_", " "), in_words(value)] for name, value in parameters.items()])

    @action(
        description="Evaluate now",
        url_path="evaluate",
        icon="query_stats",
        permissions=["start"],
        dialog=dialog(
            "Evaluate on the log",
            "A worker learns from what was known at a moment and tests on what buyers did after it, "
            "beside popularity, item-kNN, EASE, ALS and others. This takes minutes; what is live stays live.",
            "Start",
            EvaluateForm,
        ),
    )
    def evaluate_now(self, request: HttpRequest, form: EvaluateForm) -> HttpResponse:
        version = form.cleaned_data["version"]
        parameters = {
            "version": version.pk if version else None,
            "test_share": form.cleaned_data["test_percent"] / 100,
            "max_buyers": form.cleaned_data["max_buyers"],
        }
        try:
            evaluation = queue_evaluation(request, parameters)
        except EvaluationRefused as refusal:
            messages.error(request, f"Nothing was started: {refusal}.")
            return go_to(reverse("admin:recommendations_evaluation_changelist"))
        messages.success(request, "The evaluation was queued. This page follows it by itself.")
        return go_to(reverse("admin:recommendations_evaluation_change", args=[evaluation.pk]))

    @action(description="Download JSON", url_path="json", icon="download", permissions=["view"])
    def download_json(self, request: HttpRequest, object_id: str) -> HttpResponse:
        evaluation = self.get_queryset(request).get(pk=object_id)
        headers = {"Content-Disposition": f'attachment; filename="evaluation-{evaluation.pk}.json"'}
        return JsonResponse(as_json(evaluation), json_dumps_params={"indent": 1}, headers=headers)

    @action(description="Report", url_path="report", icon="article", permissions=["view"])
    def open_report(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The report as one self-contained HTML file."""
        return HttpResponse(html_report(as_json(self.get_queryset(request).get(pk=object_id))))


@admin.register(EvaluationFigure)
class EvaluationFigureAdmin(ReadOnlyAdmin):
    """Single figures of all evaluations, for searching; the evaluation's page has them in tables."""

    list_display = [
        "evaluation", "ranker", "slice", "metric", column("k", "Length of lists"), "value", "low", "high",
        column("n", "Measured on"),
    ]  # fmt: skip
    list_select_related = ["evaluation"]
    search_fields = ["ranker__begins_word", "metric__begins_word", "slice__begins_word"]
    search_help_text = "Words of the ranker, the metric or the slice"


def headlines(evaluation: Any) -> dict[str, float]:
    """The headline figure by ranker, as ``get_queryset`` fetched it for all rows at once."""
    return {figure.ranker: figure.value for figure in evaluation.headline_figures}


def not_yet(evaluation: Evaluation) -> str:
    return "They are not there before the evaluation is done." if evaluation.is_unfinished else NONE
