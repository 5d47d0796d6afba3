"""Long work that runs in the background: training a ranker, filling the site with a made-up market."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldBooleanSwitchWidget

from accounts.models import User
from console import auditing
from console.pages import go_to
from console.words import NONE, ago, link_to, page_of, table
from jobs.admin.base import UNFINISHED, JobAdmin
from jobs.queue import enqueue_on_commit
from recommendations.admin.training_form import LABELS, USUAL, TrainingRunForm, unusual
from recommendations.exceptions import TrainingRefused
from recommendations.models import SeedRun, TrainingRun
from recommendations.simulation.seeding import cancel_seeding, is_worked_on
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


RETRAIN_DIALOG = {
    "title": "Train a new ranker version",
    "description": "A worker fits it on all listings and events, beside the live one. This takes from seconds to "
    "minutes; the page of the run shows how far it is.",
    "form_class": RetrainForm,
    "form_submit_text": "Start",
}


def author(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


@transaction.atomic
def queue_training(request: HttpRequest, *, promote: bool, parameters: dict | None = None) -> TrainingRun:
    """A queued run and the task that works it off, handed over when the row is visible to the worker."""
    run = start_training(parameters=parameters, promote=promote, started_by=author(request))
    enqueue_on_commit("recommendations.retrain", run.pk)
    return run


def start_and_follow(request: HttpRequest, form: RetrainForm) -> HttpResponse:
    """What “Retrain now” does, wherever it is pressed."""
    try:
        run = queue_training(request, promote=form.cleaned_data["promote"])
    except TrainingRefused as refusal:
        messages.error(request, f"Nothing was started: {refusal}")
        return go_to(reverse("admin:recommendations_trainingrun_changelist"))
    messages.success(request, "Training was queued. This page follows it by itself.")
    return go_to(reverse("admin:recommendations_trainingrun_change", args=[run.pk]))


class BackgroundJobAdmin(JobAdmin):
    """A job that a Celery task works off. It is started and looked at, never edited."""

    task: str  # the name of the task that works it off
    actions_detail = ["queue_again"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_start_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may add a job may start it; Django's own check of adding takes no row, which Unfold hands in."""
        return self.has_add_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A finished job may be tidied away; one that a worker holds may not."""
        is_unfinished = getattr(obj, "status", None) in UNFINISHED
        return super().has_delete_permission(request, obj) and not is_unfinished

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Straight to the job's page, where the progress shows."""
        messages.success(request, "The job was queued. This page follows it by itself.")
        return redirect(page_of(obj))

    @action(
        description="Queue again",
        url_path="queue-again",
        icon="replay",
        permissions=["start"],
        dialog={
            "title": "Hand the job to the queue again",
            "description": "For a job that no worker took, because the broker was down when it was started. A job "
            "that has started already is not started twice.",
            "form_class": None,
            "form_submit_text": "Queue again",
        },
    )
    def queue_again(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        job = self.model._default_manager.get(pk=object_id)
        if job.status == "queued":
            with transaction.atomic():
                enqueue_on_commit(self.task, job.pk)
            messages.success(request, "The job was handed to the queue.")
        else:
            messages.warning(request, f"Nothing was queued: the job is {job.get_status_display().lower()}.")
        return go_to(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[object_id]))


class CancellableJobAdmin(BackgroundJobAdmin):
    """A job whose worker looks at its row between two steps, so that one conditional update stops it."""

    actions_detail = ["queue_again", "cancel"]

    def panel(self, job: Any) -> dict[str, Any]:
        """A dead worker's job is begun anew by beat, so whoever watches it need do nothing."""
        shown = super().panel(job)
        if job.status == "running" and shown["job_hint"]:
            shown["job_hint"] = (
                f"The last sign of life came {ago(job.heartbeat_at)}. If its worker died, another begins the job anew "
                "within ten minutes while beat runs; cancel it if it is no longer wanted."
            )
        return shown

    @action(
        description="Cancel",
        url_path="cancel",
        icon="cancel",
        permissions=["start"],
        dialog={
            "title": "Cancel this job",
            "description": "It stops at its next step and leaves nothing behind; what is live stays live.",
            "form_class": None,
            "form_submit_text": "Cancel the job",
        },
    )
    def cancel(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        job = self.model._default_manager.get(pk=object_id)
        if self.stop(request, job):
            messages.success(request, f"The {self.opts.verbose_name} was cancelled.")
        else:
            messages.warning(request, f"The {self.opts.verbose_name} had ended already.")
        return go_to(page_of(job))

    @transaction.atomic
    def stop(self, request: HttpRequest, job: Any) -> bool:
        """Whether it had not ended yet, and is told to."""
        unfinished = self.model._default_manager.filter(pk=job.pk, status__in=UNFINISHED)
        is_stopped = bool(unfinished.update(status="cancelled", finished_at=timezone.now()))
        if is_stopped:
            auditing.record(
                by=request.user,
                action="cancelled",
                target=job,
                before={"status": job.status, "progress": job.progress},
                after={"status": "cancelled"},
            )
        return is_stopped


@admin.register(TrainingRun)
class TrainingRunAdmin(CancellableJobAdmin):
    task = "recommendations.retrain"
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
        ("How it learns", {"fields": [("held_back_share", "archetype_half_life_days"), "seed"]}),
    ]

    @display(description="Run", ordering="pk")
    def run(self, run: TrainingRun) -> str:
        return f"Training {run.pk}"

    @display(description="Version")
    def version_link(self, run: TrainingRun) -> str:
        return link_to(run.version)

    @display(description="Parameters")
    def parameter_table(self, run: TrainingRun) -> SafeString:
        """All of them, those first that are not as usual."""
        own = unusual(run.parameters)
        names = [*own, *(name for name in run.parameters if name not in own)]
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

    def response_add(
        self, request: HttpRequest, obj: TrainingRun, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Straight to the run's page, where the progress shows."""
        messages.success(request, "Training was queued. This page follows it by itself.")
        return redirect(page_of(obj))

    def save_model(self, request: HttpRequest, obj: TrainingRun, form: Any, change: bool) -> None:
        """The row is the service's to make; the form's becomes it."""
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
class SeedRunAdmin(BackgroundJobAdmin):
    task = "catalog.seed_marketplace"
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

    actions_detail = ["queue_again", "cancel"]

    @display(description="Run", ordering="pk")
    def run(self, run: SeedRun) -> str:
        return f"Seeding {run.pk}"

    def panel(self, job: SeedRun) -> dict[str, Any]:
        """A run has no heartbeat of its own: whoever works on it holds the lock of its seed."""
        shown = super().panel(job)
        if job.status == "running" and not is_worked_on(job):
            shown["job_hint"] = (
                "No process works on it, so its worker was killed or is just starting. It is completed by itself "
                "within five minutes while beat runs; what is written already is not written twice."
            )
        return shown

    @action(
        description="Cancel",
        url_path="cancel",
        icon="cancel",
        permissions=["start"],
        dialog={
            "title": "Cancel this seeding",
            "description": "It stops at its next step. What was written stays, and seeding again with the same numbers "
            "completes it.",
            "form_class": None,
            "form_submit_text": "Cancel the seeding",
        },
    )
    def cancel(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        run = SeedRun.objects.get(pk=object_id)
        with transaction.atomic():
            if was_unfinished := cancel_seeding(run, by=str(request.user)):
                auditing.record(by=request.user, action="cancel", target=run, before={"status": run.status})
        if was_unfinished:
            messages.success(request, "The seeding was cancelled.")
        else:
            messages.warning(request, "The seeding had ended already.")
        return go_to(reverse("admin:recommendations_seedrun_change", args=[object_id]))

    def save_model(self, request: HttpRequest, obj: SeedRun, form: Any, change: bool) -> None:
        obj.started_by = author(request)
        super().save_model(request, obj, form, change)
        enqueue_on_commit("catalog.seed_marketplace", obj.pk)
