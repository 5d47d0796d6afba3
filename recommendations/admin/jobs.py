"""Admin pages of two background jobs: training a ranker, and seeding the site with a simulated market."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse, reverse_lazy
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldBooleanSwitchWidget

from accounts.models import User
from console.formats import NONE, link_to, table
from console.pages import dialog, go_to
from jobs.admin.base import JobAdmin
from jobs.queue import enqueue_on_commit
from recommendations.admin.training_form import LABELS, USUAL, TrainingRunForm, unusual
from recommendations.exceptions import TrainingRefused
from recommendations.models import SeedRun, TrainingRun
from recommendations.training.runs import start_training


class RetrainForm(BaseDialogForm):
    promote = forms.BooleanField(
        label="Promote it when it is not worse",
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
        help_text=format_lazy(
            'With other parameters than the usual ones: <a class="text-link" href="{}">the form of a training</a>.',
            reverse_lazy("admin:recommendations_trainingrun_add"),
        ),
    )


RETRAIN_DIALOG = dialog(
    "Train a new ranker version",
    "A worker fits it on all listings and events, beside the live one. This takes from seconds to "
    "minutes; the page of the run shows how far it is.",
    "Start",
    RetrainForm,
)


def author(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


@transaction.atomic
def queue_training(request: HttpRequest, *, promote: bool, parameters: dict[str, Any] | None = None) -> TrainingRun:
    """Create a queued training, and enqueue its task on commit."""
    run = start_training(parameters=parameters, promote=promote, started_by=author(request))
    enqueue_on_commit(TrainingRun.TASK, run.pk)
    return run


def start_and_follow(request: HttpRequest, form: RetrainForm) -> HttpResponse:
    """Queue a training with the usual parameters, and redirect to its page."""
    try:
        run = queue_training(request, promote=form.cleaned_data["promote"])
    except TrainingRefused as refusal:
        messages.error(request, f"Nothing was started: {refusal}")
        return go_to(reverse("admin:recommendations_trainingrun_changelist"))
    messages.success(request, "Training was queued. This page follows it by itself.")
    return go_to(reverse("admin:recommendations_trainingrun_change", args=[run.pk]))


@admin.register(TrainingRun)
class TrainingRunAdmin(JobAdmin):
    form = TrainingRunForm
    list_display = [
        "run",
        "status_badge",
        "progress_bar",
        "took",
        "version_link",
        "promote",
        "started_by",
        "created_at",
    ]
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["version", "started_by"]
    actions_list = ["retrain_now"]
    actions_detail = ["queue_again", "cancel", "train_again"]
    fieldsets = [
        (None, {"fields": [("version_link", "promote"), "parameter_table"]}),
        ("Who and when", {"fields": [("started_by", "created_at"), ("started_at", "finished_at", "heartbeat_at")]}),
    ]
    add_fieldsets = [
        (None, {"fields": ["promote"]}),
        (
            "What it learns from",
            {"fields": [("history_days", "prior_buyers"), ("events_per_buyer", "sampled_alternatives")]},
        ),
        ("How it learns", {"fields": [("held_back_share", "archetype_half_life_days"), ("term_curves", "seed")]}),
    ]

    @display(description="Run", ordering="pk")
    def run(self, run: TrainingRun) -> str:
        return f"Training {run.pk}"

    @display(description="Version")
    def version_link(self, run: TrainingRun) -> str:
        return link_to(run.version)

    @display(description="Parameters")
    def parameter_table(self, run: TrainingRun) -> SafeString:
        """All parameters in the order of the form, those with unusual values first."""
        own, places = unusual(run.parameters), {name: place for place, name in enumerate(LABELS)}
        names = sorted(run.parameters, key=lambda name: (name not in own, places.get(name, len(places))))
        rows = [[LABELS.get(name, name), run.parameters[name], USUAL.get(name, NONE)] for name in names]
        return table(["", "Of this training", "Usually"], rows)

    @action(description="Train again like this", url_path="train-again", icon="model_training", permissions=["start"])
    def train_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The form with the parameters of this run filled in."""
        run = TrainingRun.objects.get(pk=object_id)
        given = {**unusual(run.parameters), "promote": run.promote}
        return redirect(reverse("admin:recommendations_trainingrun_add", query=given))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        given = super().get_changeform_initial_data(request)
        return {**given, "promote": given.get("promote", "True") == "True"}

    def save_model(self, request: HttpRequest, obj: TrainingRun, form: Any, change: bool) -> None:
        """Let the service create the row, and copy it to the form's instance."""
        started = queue_training(request, promote=obj.promote, parameters=obj.parameters or None)
        obj.__dict__.update(started.__dict__)

    @action(
        description="Retrain now",
        url_path="retrain",
        icon="model_training",
        permissions=["start"],
        dialog=RETRAIN_DIALOG,
    )
    def retrain_now(self, request: HttpRequest, form: RetrainForm) -> HttpResponse:
        return start_and_follow(request, form)


@admin.register(SeedRun)
class SeedRunAdmin(JobAdmin):
    empty_help = "A worker fills the site with made-up cars, buyers and what they did, to try things out."
    list_display = [
        "run",
        "status_badge",
        "progress_bar",
        "took",
        "n_listings",
        "n_buyers",
        "n_events",
        "seed",
        "created_at",
    ]
    list_filter = [("status", ChoicesDropdownFilter)]
    fieldsets = [
        ("What was asked for", {"fields": [("n_listings", "n_buyers", "n_events"), "seed"]}),
        ("Who and when", {"fields": [("started_by", "created_at", "finished_at")]}),
    ]
    add_fieldsets = [
        (
            "A made-up market",
            {
                "description": "Cars that appear and sell, buyers with a hidden taste, and the events they leave, "
                "written beside what is there. Meant for trying things out: on a site with real buyers, "
                "made-up cars would be shown to them.",
                "fields": [("n_listings", "n_buyers", "n_events"), "seed"],
            },
        ),
    ]

    @display(description="Run", ordering="pk")
    def run(self, run: SeedRun) -> str:
        return f"Seeding {run.pk}"

    def save_model(self, request: HttpRequest, obj: SeedRun, form: Any, change: bool) -> None:
        obj.started_by = author(request)
        super().save_model(request, obj, form, change)
        enqueue_on_commit(SeedRun.TASK, obj.pk)
