"""The page that compares ranker versions, and its buttons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from accounts.models import Buyer
from catalog.models import Listing
from console.formats import NONE, link_to
from recommendations.admin import promotion
from recommendations.admin.evaluations import queue_evaluation
from recommendations.admin.pages import RowsPage, car_line, may_see
from recommendations.admin.version_figures import metric_rows, plots, slice_rows
from recommendations.admin.version_lineage import lineage_rows
from recommendations.exceptions import EvaluationRefused, RankerRefused
from recommendations.insight.comparison import SHOWN_AT_MOST, Findings, K, find, joint_parameters, usual_versions
from recommendations.insight.verdicts import verdict_on
from recommendations.insight.version_lists import sample_lists
from recommendations.models import Evaluation, Interaction, Preference, RankerVersion, TrainingRun

OFFERED = 12  # versions to choose from, the newest ones
LISTS_NEED = (Buyer, Interaction, Preference)


class ComparisonForm(forms.Form):
    """The versions to compare; the first is compared with each of the others."""

    v = forms.TypedMultipleChoiceField(
        label="Versions", coerce=int, required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=f"Two to {SHOWN_AT_MOST}. Left out: the live one, the one before it, and the newest.",
    )  # fmt: skip

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        offered = list(RankerVersion.objects.exclude(status=RankerVersion.Status.TRAINING)[:OFFERED])
        asked = [int(one) for one in data.getlist("v") if one.isdecimal() and len(one) < 19]
        older = RankerVersion.objects.filter(pk__in=set(asked) - {one.pk for one in offered})
        self.by_id = {one.pk: one for one in (*offered, *older)}
        self.fields["v"].choices = [  # type: ignore[attr-defined]
            (one.pk, f"{one}, {one.get_status_display().lower()}") for one in self.by_id.values()
        ]

    def clean_v(self) -> list[RankerVersion]:
        """The versions in the order of the link; the first is the baseline."""
        versions = [self.by_id[one] for one in dict.fromkeys(self.cleaned_data["v"])] or usual_versions()
        if len(versions) > SHOWN_AT_MOST:
            raise forms.ValidationError(
                f"{len(versions)} versions do not fit side by side; choose at most {SHOWN_AT_MOST}."
            )
        return versions


class ComparisonPage(RowsPage):
    """``/admin/recommendations/rankerversion/compare/?v=3&v=2``. Looking stores nothing; its buttons are posts."""

    template_name = "console/rankers.html"
    title = "Rankers side by side"
    shows = (RankerVersion, Evaluation, TrainingRun)

    def has_permission(self) -> bool:
        about_buyers = (Listing, *LISTS_NEED) if self.request.GET.get("lists") else ()
        return may_see(self.request.user, (*self.shows, *about_buyers))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = ComparisonForm(self.request.GET)
        context: dict[str, Any] = {"form": form, "shown_at_most": SHOWN_AT_MOST}
        if form.is_valid() and form.cleaned_data["v"]:
            context |= comparison_context(form.cleaned_data["v"], self.request)
        context["has_versions"] = bool(form.by_id)
        return super().get_context_data(**kwargs, **context)

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Run the action of the button that was pressed, and show its result on the same page."""
        handlers: dict[str, Callable[[HttpRequest, list[RankerVersion]], None]] = {
            "evaluate": evaluate_together, "promote": promote, "roll_back": roll_back,
        }  # fmt: skip
        form = ComparisonForm(request.GET)
        handler = handlers.get(request.POST.get("do", ""))
        if handler is None or not form.is_valid():
            messages.error(request, "Nothing was changed: this button is unknown here. Load the page again.")
        else:
            handler(request, form.cleaned_data["v"])
        return redirect(request.get_full_path())


# --- The buttons -----------------------------------------------------------------------------------------------------


def evaluate_together(request: HttpRequest, versions: list[RankerVersion]) -> None:
    """Queue one evaluation that compares all of the versions."""
    if not request.user.has_perm("recommendations.add_evaluation"):
        raise PermissionDenied
    try:
        evaluation = queue_evaluation(request, joint_parameters(versions))
    except (RankerRefused, EvaluationRefused) as refusal:
        messages.error(request, f"Nothing was started: {refusal}.")
    else:
        messages.success(
            request, f"Evaluation {evaluation.pk} was queued; its figures will stand here when it is done."
        )


def promote(request: HttpRequest, versions: list[RankerVersion]) -> None:
    if not promotion.may_promote(request):
        raise PermissionDenied
    version = next((one for one in versions if str(one.pk) == request.POST.get("version")), None)
    if version is None:
        messages.error(request, "Nothing was changed: that version is not among those compared.")
    else:
        promotion.promote(request, version, request.POST.get("note", "").strip())


def roll_back(request: HttpRequest, versions: list[RankerVersion]) -> None:
    if not promotion.may_promote(request):
        raise PermissionDenied
    promotion.roll_back(request, request.POST.get("note", "").strip())


class NoteForm(forms.Form):
    note = forms.CharField(
        label="Why", required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Kept with the version; needed where it did not pass the gate.",
    )  # fmt: skip


# --- The page --------------------------------------------------------------------------------------------------------


def comparison_context(versions: list[RankerVersion], request: HttpRequest) -> dict[str, Any]:
    findings = find(versions)
    first, *others = versions
    with_lists = bool(request.GET.get("lists"))
    return {
        "versions": versions,
        "columns": [str(version) for version in versions],
        "verdicts": [verdict_on(first, other, found_of_both(first, other, findings)) for other in others],
        "findings": findings,
        "evaluations": list({one.evaluation.pk: one.evaluation for one in findings.measured.values()}.values()),
        "metric_rows": metric_rows(versions, findings),
        "plots": plots(versions, findings),
        "slice_rows": slice_rows(versions, findings),
        "slice_metric": f"NDCG@{K}",
        "cards": [card(version) for version in versions],
        "lineage_rows": lineage_rows(versions),
        "lists": lists_of(versions) if with_lists else None,
        "lists_url": None if with_lists else f"?{with_more(request.GET, lists='1')}#lists",
        "may_see_lists": may_see(request.user, (Listing, *LISTS_NEED)),
        "may_evaluate": request.user.has_perm("recommendations.add_evaluation"),
        "may_promote": promotion.may_promote(request),
        "can_roll_back": can_roll_back(),
        "note_form": NoteForm(auto_id=False),
    }


def found_of_both(first: RankerVersion, other: RankerVersion, findings: Findings) -> Findings:
    """The findings about all versions, or about these two where the versions have no evaluation in common."""
    return findings if findings.is_same_question else find([first, other])


def with_more(asked: QueryDict, **more: str) -> str:
    changed = asked.copy()
    for name, value in more.items():
        changed[name] = value
    return changed.urlencode()


def can_roll_back() -> bool:
    live = RankerVersion.objects.live()
    earlier = RankerVersion.objects.usable().filter(promoted_at__isnull=False)
    return live is not None and earlier.filter(pk__lt=live.pk).exists()


def card(version: RankerVersion) -> dict[str, Any]:
    """The gate's verdict on a version, and whether it can be promoted."""
    gate = "Not judged" if "passed" not in version.gate else "Not passed" if version.failed_gate else "Passed"
    return {
        "version": version,
        "link": link_to(version),
        "status": version.get_status_display(),
        "is_live": version.status == RankerVersion.Status.LIVE,
        "is_ready": version.status == RankerVersion.Status.READY,
        "gate": gate,
        "gate_kind": {"Passed": "success", "Not passed": "danger"}.get(gate, ""),
        "gate_reason": version.gate.get("reason", ""),
        "needs_note": version.failed_gate,
        "note": version.note,
    }


# --- Lists -----------------------------------------------------------------------------------------------------------


def lists_of(versions: Sequence[RankerVersion]) -> dict[str, Any]:
    try:
        found = sample_lists(versions)
    except RankerRefused as refusal:
        return {"refusal": str(refusal)}
    return {
        "buyers": [
            {
                "buyer": link_to(one.buyer),
                "n_shared": one.n_shared,
                "rows": [
                    {"place": position + 1, "cells": [car_at(items, position) for items in one.lists]}
                    for position in range(max((len(items) for items in one.lists if items), default=0))
                ],
            }
            for one in found
        ]
    }


def car_at(items: Sequence[Any] | None, position: int) -> str | SafeString:
    return car_line(items[position].listing) if items and position < len(items) else NONE
