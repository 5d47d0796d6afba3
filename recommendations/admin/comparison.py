"""Ranker versions side by side in the admin: figures, what each is made of, lists; promoting one right there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.safestring import SafeString, mark_safe
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from accounts.models import Buyer
from catalog.models import Listing
from recommendations.admin import promotion
from recommendations.admin.evaluations import queue_evaluation
from recommendations.admin.figures import shown
from recommendations.admin.pages import RowsPage, car_line, may_see
from recommendations.backtests.outcome import OURS
from recommendations.backtests.plots import Bar, bar_chart
from recommendations.backtests.report import MEANINGS
from recommendations.console.comparison import (
    METRICS,
    SHOWN_AT_MOST,
    Findings,
    K,
    Value,
    find,
    joint_parameters,
    slices_in,
    usual_versions,
)
from recommendations.console.makings import Making, making_of
from recommendations.console.verdicts import METRIC, verdict_on
from recommendations.console.version_lists import sample_lists
from recommendations.engine.figures import EVERYBODY
from recommendations.exceptions import EvaluationRefused, RankerRefused
from recommendations.models import Evaluation, Interaction, Preference, RankerVersion, TrainingRun
from recommender_site.admin_kit import NONE, ago, clock, link_to

OFFERED = 12  # versions to choose from, the newest ones
PLOTTED = (("ndcg", K), ("recall", K), ("coverage", K), ("pairs won", 0))
LISTS_NEED = (Buyer, Interaction, Preference)


class ComparisonForm(forms.Form):
    """Which versions stand side by side; the first is compared with each of the others."""

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
        """In the order asked for: the first is what the others are measured against."""
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
            context |= told(form.cleaned_data["v"], self.request)
        context["has_versions"] = bool(form.by_id)
        return super().get_context_data(**kwargs, **context)

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """A button was pressed; whatever comes of it is told on the same page."""
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
    """Queue one evaluation that asks all of the versions the same."""
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


def told(versions: list[RankerVersion], request: HttpRequest) -> dict[str, Any]:
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
        "making_rows": making_rows(versions),
        "lists": lists_of(versions) if with_lists else None,
        "lists_url": None if with_lists else f"?{with_more(request.GET, lists='1')}#lists",
        "may_see_lists": may_see(request.user, (Listing, *LISTS_NEED)),
        "may_evaluate": request.user.has_perm("recommendations.add_evaluation"),
        "may_promote": promotion.may_promote(request),
        "can_roll_back": can_roll_back(),
        "note_form": NoteForm(auto_id=False),
    }


def found_of_both(first: RankerVersion, other: RankerVersion, findings: Findings) -> Findings:
    """Two versions may have been asked the same where all of them were not."""
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
    """One version's verdict of the gate, and whether its button makes sense."""
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


# --- Figures ---------------------------------------------------------------------------------------------------------


def metric_rows(versions: Sequence[RankerVersion], findings: Findings) -> list[dict[str, Any]]:
    rows = []
    for metric, k in METRICS:
        cells = [cell(findings.measured[one.pk].figure(metric, k) if one.pk in findings.measured else None)
                 for one in versions]  # fmt: skip
        if any(one != NONE for one in cells):
            rows.append({"name": named(metric, k), "meaning": MEANINGS.get(metric, ""), "cells": cells})
    return rows


def named(metric: str, k: int) -> str:
    return f"{metric.upper() if metric == 'ndcg' else metric.capitalize()}{f'@{k}' if k else ''}"


def cell(value: Value | None) -> str:
    return NONE if value is None else f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"


def plots(versions: Sequence[RankerVersion], findings: Findings) -> list[tuple[str, SafeString]]:
    """Each metric as bars with their intervals, and the first version's lead where it was measured."""
    first, *others = versions
    drawn = []
    for metric, k in PLOTTED:
        found = [(one, findings.measured[one.pk].figure(metric, k)) for one in versions if one.pk in findings.measured]
        bars = [
            Bar(str(one), value.value, value.low, value.high, is_ours=one == first) for one, value in found if value
        ]
        if bars:
            drawn.append((f"{named(metric, k)}: {MEANINGS.get(metric, '')}", bar_chart(named(metric, k), bars)))
    leads = [(other, findings.leads.get(other.pk, {}).get((METRIC, EVERYBODY, K))) for other in others]
    bars = [Bar(f"over {other}", lead.value, lead.low, lead.high, is_ours=True) for other, lead in leads if lead]
    if bars:
        caption = f"How far {first} is ahead in NDCG@{K}, buyer by buyer; an interval that crosses 0 may be chance"
        drawn.append((caption, bar_chart("Lead", bars, signed=True)))
    return [(caption, mark_safe(plot)) for caption, plot in drawn]  # noqa: S308


def slice_rows(versions: Sequence[RankerVersion], findings: Findings) -> list[dict[str, Any]]:
    """By slice, with a mark where the first version's lead over another is certain."""
    first, *_ = versions
    rows = []
    for name in slices_in(findings):
        cells = []
        for version in versions:
            own = findings.measured.get(version.pk)
            value = own.figure(METRIC, K, name) if own else None
            cells.append(f"{cell(value)}{mark_of(findings, first, version, name)}")
        n = max((one.n for own in findings.measured.values() if (one := own.figure(METRIC, K, name))), default=0)
        if n:
            rows.append({"name": "Everybody" if name == EVERYBODY else name.capitalize(), "n": n, "cells": cells})
    return rows


def mark_of(findings: Findings, first: RankerVersion, version: RankerVersion, of_slice: str) -> str:
    lead = findings.leads.get(version.pk, {}).get((METRIC, of_slice, K))
    if lead is None or lead.low <= 0 <= lead.high:
        return ""
    return f" · surely {'behind' if lead.value > 0 else 'ahead of'} {first}"


# --- What each is made of --------------------------------------------------------------------------------------------


def making_rows(versions: Sequence[RankerVersion]) -> list[dict[str, Any]]:
    """A row for everything that versions can differ in; those in which they do are marked."""
    made = [making_of(version) for version in versions]
    rows: list[tuple[str, str, list[str]]] = [
        ("Trained", "When the training began", [clock(one.version.created_at) for one in made]),
        ("Went live", "For the last time", [ago(one.version.promoted_at) for one in made]),
        ("Listings", "Sold ones keep teaching", [f"{one.version.n_listings:,}" for one in made]),
        ("Events", "Within the days of history", [f"{one.version.n_interactions:,}" for one in made]),
        ("Buyers", "Who made those events", [f"{one.version.n_buyers:,}" for one in made]),
        (
            "Kinds of car",
            "Archetypes it tells apart",
            [f"{one.n_archetypes:,}" if one.n_archetypes else NONE for one in made],
        ),
    ]
    rows += [
        (
            f"At training: {name}",
            "On what was held back from it; another part of the log for each, so no comparison",
            cells,
        )
        for name, cells in trials_of(made)
    ]
    rows += [(f"Parameter: {name.replace('_', ' ')}", "Of its training", cells) for name, cells in parameters_of(made)]
    rows += [
        (f"Term: {name}", "What a standard deviation is worth in the score: known buyers / strangers", cells)
        for name, cells in weights_of(made)
    ]
    rows += [
        (f"Kind: {name}", "What an event weighed then, and its half-life", cells) for name, cells in kinds_of(made)
    ]
    return [
        {"name": name, "why": why, "cells": cells, "differs": len(set(cells)) > 1}
        for name, why, cells in rows
    ]  # fmt: skip


def trials_of(made: Sequence[Making]) -> list[tuple[str, list[str]]]:
    given = [one.version.metrics.get("rankers", {}).get(OURS, {}) for one in made]
    return [(name, [shown(one.get(name)) or NONE for one in given]) for name in names_in(given)]


def parameters_of(made: Sequence[Making]) -> list[tuple[str, list[str]]]:
    given = [one.run.parameters if one.run else {} for one in made]
    return [(name, [str(one.get(name, NONE)) for one in given]) for name in names_in(given)]


def weights_of(made: Sequence[Making]) -> list[tuple[str, list[str]]]:
    given = [one.weights for one in made]
    told = lambda pair: f"{pair[0]:.2f} / {pair[1]:.2f}" if pair else NONE  # noqa: E731
    return [(name, [told(one.get(name)) for one in given]) for name in names_in(given)]


def kinds_of(made: Sequence[Making]) -> list[tuple[str, list[str]]]:
    given = [one.kinds for one in made]
    told = lambda kind: f"{kind['weight']:g}, {kind['half_life_days']:g} d" if kind else NONE  # noqa: E731
    return [(name, [told(one.get(name)) for one in given]) for name in names_in(given)]


def names_in(given: Sequence[Any]) -> list[str]:
    """Keys of several mappings, each once, in their order."""
    return list(dict.fromkeys(name for one in given for name in one))


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
                    {"place": place + 1, "cells": [car_at(items, place) for items in one.lists]}
                    for place in range(max((len(items) for items in one.lists if items), default=0))
                ],
            }
            for one in found
        ]
    }


def car_at(items: Sequence[Any] | None, place: int) -> str | SafeString:
    return car_line(items[place].listing) if items and place < len(items) else NONE
