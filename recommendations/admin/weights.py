"""Weights with a preview: what a change does to the lists of real buyers, before it is saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import site
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from accounts.models import Buyer
from catalog.models import Listing
from console import auditing
from jobs.admin.base import JobAdmin
from jobs.queue import enqueue_on_commit
from recommendations.admin.jobs import author
from recommendations.admin.offline_tests import may_run_offline_tests
from recommendations.admin.pages import RowsPage, describe_offline_test, preview_shown
from recommendations.admin.weights_forms import KindsForm, MixForm, PreviewForm
from recommendations.exceptions import RankerRefused
from recommendations.insight.offline_test_runs import find_offline_test, start_offline_test
from recommendations.insight.previews import previews_of
from recommendations.models import (
    EventKind,
    Experiment,
    Interaction,
    Placement,
    Preference,
    RankerVersion,
    ServedList,
    WeightTrial,
)

BUYERS_ROWS = (Buyer, Listing, Interaction, Preference, RankerVersion, ServedList)
NOTE = "After a preview on real buyers"


class WeightsPage(RowsPage):
    """A GET form with a preview; only its “Save” posts, and only by those who may change the rows."""

    def form(self, asked: Any) -> PreviewForm:
        raise NotImplementedError

    def may_save(self) -> bool:
        raise NotImplementedError

    def save(self, form: Any) -> None:
        raise NotImplementedError

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = kwargs.pop("form", None) or self.form(self.request.GET.dict())
        context: dict[str, Any] = {"form": form, "may_save": self.may_save(), "is_asked": bool(self.request.GET)}
        if form.is_valid():
            context |= {"changes": form.changes, **self.measured(form)}
            try:
                context["previews"] = [preview_shown(preview) for preview in previews_of(form.people(), *form.setups())]
            except RankerRefused as refusal:
                context["refusal"] = str(refusal)
        return super().get_context_data(**kwargs, **context)

    def measured(self, form: PreviewForm) -> dict[str, Any]:
        """Return the offline test of what the preview shows, if one was started."""
        offline_test = find_offline_test(*form.setups()) if form.changes else None
        if offline_test is None:
            return {"may_run_offline_tests": may_run_offline_tests(self.request)}
        found = describe_offline_test(offline_test.result) if offline_test.status == WeightTrial.Status.DONE else ""
        again = offline_test.status == WeightTrial.Status.FAILED and may_run_offline_tests(self.request)
        return {
            "offline_test": offline_test,
            "found": found,
            "may_run_offline_tests": again,
            **offline_test_panel(offline_test),
        }

    def start_offline_test(self, form: PreviewForm) -> HttpResponse:
        """Queue an offline test of the previewed values, and redirect to the preview."""
        if not may_run_offline_tests(self.request):
            raise PermissionDenied
        before, after = form.setups()
        offline_test = find_offline_test(before, after)
        if offline_test is None or offline_test.status == WeightTrial.Status.FAILED:
            offline_test = start_offline_test(before, after, started_by=author(self.request))
            enqueue_on_commit(WeightTrial.TASK, offline_test.pk)
            auditing.record(by=self.request.user, action="started", target=offline_test)
        return redirect(f"{self.request.path}?{urlencode(form.as_query)}#measured")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Save what was previewed, unless other values were saved meanwhile; or measure it first."""
        is_offline_test = "measure" in request.POST
        if not (is_offline_test or self.may_save()):
            raise PermissionDenied
        with transaction.atomic():
            form = self.form(request.POST.dict())
            if is_offline_test and form.is_valid() and form.changes:
                return self.start_offline_test(form)
            if not form.is_valid():
                messages.error(request, "Nothing was saved: some values make no sense; see what is marked below.")
                return self.render_to_response(self.get_context_data(form=form))
            if request.POST.get("basis") != form.basis:
                messages.error(
                    request,
                    "Not saved: other values were saved meanwhile. Below is what yours would change now.",
                )
                return self.render_to_response(self.get_context_data(form=form))
            if form.changes:
                self.save(form)
                messages.success(request, f"Saved: {', '.join(f'{a} {b} → {c}' for a, b, c in form.changes)}.")
            else:
                messages.info(request, "There was nothing to save: all values are as they were.")
        return redirect(request.path)

    def store(self, row: Model, fields: Sequence[str]) -> None:
        """Save some columns of a row, with both sides in the audit log."""
        before = auditing.snapshot(type(row)._default_manager.get(pk=row.pk))
        row.save(update_fields=fields)
        row.audited_changes = auditing.changes(before, auditing.snapshot(row))  # type: ignore[attr-defined]
        self.model_admin.log_change(self.request, row, NOTE)


class KindWeightsPage(WeightsPage):
    """``/admin/recommendations/eventkind/weights/``."""

    title = "Weights of events"
    template_name = "console/weights_kinds.html"
    shows = (EventKind, Placement, *BUYERS_ROWS)

    def form(self, asked: Any) -> KindsForm:
        if self.request.method == "POST":  # hold them still until they are saved
            list(EventKind.objects.select_for_update())
        return KindsForm(asked)

    def may_save(self) -> bool:
        return self.request.user.has_perm("recommendations.change_eventkind")

    def save(self, form: KindsForm) -> None:
        for kind in form.changed_kinds().values():
            self.store(kind, ["weight", "half_life_days"])


class PlacementMixPage(WeightsPage):
    """``/admin/recommendations/placement/<id>/mix/``."""

    template_name = "console/weights_mix.html"
    shows = (Placement, EventKind, Experiment, *BUYERS_ROWS)

    @property
    def title(self) -> str:  # type: ignore[override]
        return f"Mix of {self.placement}"

    @property
    def placement(self) -> Placement:
        if not hasattr(self, "_placement"):
            rows = Placement.objects.select_for_update() if self.request.method == "POST" else Placement.objects.all()
            self._placement = get_object_or_404(rows, pk=self.kwargs["placement_id"])
        return self._placement

    def form(self, asked: Any) -> MixForm:
        return MixForm(asked, self.placement)

    def may_save(self) -> bool:
        return self.request.user.has_perm("recommendations.change_placement")

    def save(self, form: MixForm) -> None:
        fields = form.changed_fields
        self.store(form.mixed(), fields)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        running = self.placement.experiments.filter(status=Experiment.Status.RUNNING).first()
        back = reverse("admin:recommendations_placement_change", args=[self.placement.pk])
        return super().get_context_data(**kwargs, placement=self.placement, experiment=running, back=back)


def offline_test_panel(offline_test: WeightTrial) -> dict[str, Any]:
    """The context that ``admin/job_progress.html`` needs for an offline test."""
    return cast("JobAdmin", site._registry[WeightTrial]).panel(offline_test)
