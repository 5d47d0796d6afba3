"""Experiments: a form without JSON, the rules of each variant with a preview, and a page with the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from catalog.units import money
from console import auditing
from console.charts import Line, line_chart, time_axis
from console.formats import NONE, ago, badge, clock
from console.pages import ConsoleAdmin
from jobs.queue import enqueue_on_commit
from recommendations.admin.lab_form import versions
from recommendations.admin.pages import RowsPage
from recommendations.admin.weights import BUYERS_ROWS, WeightsPage
from recommendations.admin.weights_forms import VariantForm, describe_rules
from recommendations.evaluation import experiment_watch
from recommendations.evaluation.experiment_log import SEGMENTS, Reading
from recommendations.evaluation.experiment_report import ArmFigures, Difference, Report, plan_of, promise_of, report_on
from recommendations.models import EventKind, Experiment, Placement
from recommendations.models.experiments import HOLDOUT
from recommendations.serving.placements import changed
from recommendations.serving.rule_checks import refuse_mode, refuse_variants

Status = Experiment.Status
LABELS = {Status.DRAFT: "", Status.SCHEDULED: "info", Status.RUNNING: "success", Status.STOPPED: "warning"}
ARMS = range(1, 5)  # of the form
AS_IT_IS = ("as-it-is", "new")  # names that a new experiment begins with
FIXED = ("slug", "placement", "mode", "holdout", "metric", "outcome_days", "smallest_lift")  # once it was started
VERDICTS = {"better": "success", "worse": "danger", "open": ""}
NEVER_RAN = "The experiment “{}” ran already: what was measured would mean nothing after a change. Copy it instead."


def arm_fields(number: int) -> dict[str, forms.Field]:
    """Name and share of one variant."""
    name = forms.CharField(
        label="Control" if number == 1 else f"Variant {number}", max_length=40, required=number <= 2,
        widget=UnfoldAdminTextInputWidget,
        help_text="What the others are compared with; leave its rules as they are." if number == 1 else "",
    )  # fmt: skip
    share = forms.FloatField(
        label="Share (%)", required=number <= 2, min_value=0.1, max_value=100,
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}),
        help_text="Of the buyers who take part; even shares answer soonest." if number == 1 else "",
    )  # fmt: skip
    version = forms.ChoiceField(
        label="Ranker version", required=False, widget=UnfoldAdminSelectWidget,
        help_text="Lists of this variant are ranked by it; without one, by whichever is live." if number == 1 else "",
    )  # fmt: skip
    return {f"arm_{number}": name, f"share_{number}": share, f"version_{number}": version}


def with_arms(form: Any) -> Any:
    """A form class with fields for each variant."""
    fields = {name: field for number in ARMS for name, field in arm_fields(number).items()}
    form.declared_fields = {**form.declared_fields, **fields}
    form.base_fields = {**form.base_fields, **fields}
    return form


@with_arms
class ExperimentForm(forms.ModelForm):  # type: ignore[type-arg] # no generic at run time
    class Meta:
        model = Experiment
        fields = [
            "slug", "placement", "status", "mode", "note", "holdout", "metric", "outcome_days", "smallest_lift",
            "stops_harmful", "starts_at", "ends_at",
        ]  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        instance = kwargs.get("instance")
        self.was = Status(instance.status) if instance else Status.DRAFT
        self.names = [instance.control_arm, *instance.other_arms] if instance and instance.variants else []
        kwargs["initial"] = {**self._as_typed(instance), **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)
        if "mode" in self.fields:  # else it ran already
            self.fields["mode"].required = False  # left out: as it is
        self._offer_versions(self._as_typed(instance))

    def _offer_versions(self, typed: Mapping[str, Any]) -> None:
        """Those that could answer; and the one that a variant names, lest it be dropped where it is gone."""
        choices = [("", "The live one"), *versions()]
        known = dict(choices)
        for number in ARMS:
            name, own = f"version_{number}", typed.get(f"version_{number}", "")
            if name in self.fields:
                gone = [] if own in known else [(own, f"v{own}, gone")]
                self.fields[name].choices = [*choices, *gone]  # type: ignore[attr-defined]

    def _as_typed(self, instance: Experiment | None) -> dict[str, Any]:
        """Names and shares in percent, the control first."""
        if instance is None or not self.names:
            return {**{f"arm_{n}": name for n, name in enumerate(AS_IT_IS, 1)}, "share_1": 50, "share_2": 50}
        rows = enumerate(self.names, 1)
        return {
            key: value
            for n, name in rows
            for key, value in (
                (f"arm_{n}", name),
                (f"share_{n}", round(100 * instance.shares[name], 2)),
                (f"version_{n}", str(instance.variants[name].get("version") or "")),
            )
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "arm_1" in self.fields:  # else it may only be looked at, or ran already
            self._clean_arms(cleaned)
        status = cleaned.get("status", self.was)
        if status != self.was and (problem := self._refusal(status)):
            self.add_error("status", problem)
        elif status == Status.RUNNING and (other := self._running_beside(cleaned)):
            self.add_error("status", f"“{other}” is running on this placement already; stop it first.")
        elif status == Status.RUNNING and self.was != Status.RUNNING and not self.errors:
            self._refuse_start()
        return cleaned

    def _refuse_start(self) -> None:
        try:
            experiment_watch.refuse_memory(self.instance)
        except ValidationError as error:
            self.add_error("status", error)

    def _clean_arms(self, cleaned: dict[str, Any]) -> None:
        """Read the variants; a row that was renamed keeps its rules."""
        typed = [(n, cleaned.get(f"arm_{n}"), cleaned.get(f"share_{n}")) for n in ARMS]
        named = [(n, name, share) for n, name, share in typed if name]
        for n, name, _ in named:
            if [other for _, other, _ in named].count(name) > 1:
                self.add_error(f"arm_{n}", "Two variants have this name.")
        if any(f"{kind}_{n}" in self.errors for n in ARMS for kind in ("arm", "share")):
            return
        before = dict(zip(ARMS, self.names, strict=False))
        stored = self.instance.variants
        variants = {
            name: {
                "share": share or 0,
                "overrides": stored.get(before.get(n, ""), {}).get("overrides", {}),
                **({"version": int(version)} if (version := cleaned.get(f"version_{n}")) else {}),
            }
            for n, name, share in named
        }
        try:
            refuse_variants(variants, cleaned.get("placement"))
            refuse_mode(cleaned.get("mode") or self.instance.mode, variants)
        except ValidationError as error:
            self.add_error("arm_1", error)
            return
        self.instance.variants, self.instance.control = variants, named[0][1]

    def _refusal(self, status: str) -> str:
        """Why it cannot go from what it was to this; empty where it can."""
        if self.was == Status.STOPPED:
            return "It was stopped, and its buyers have gone on since. Copy it to run it again."
        if self.was == Status.RUNNING and status != Status.STOPPED:
            return "It runs; it can only be stopped."
        if status == Status.STOPPED and self.was != Status.RUNNING:
            return "It does not run, so it cannot be stopped."
        return ""

    def _running_beside(self, cleaned: dict[str, Any]) -> Experiment | None:
        placement = cleaned.get("placement", self.instance.placement if self.instance.pk else None)
        running = Experiment.objects.filter(placement=placement, status=Status.RUNNING)
        return running.exclude(pk=self.instance.pk).first()


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
        """Variants of one that was started are shown, and not asked for."""
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
        """A new experiment goes on with the rules of its variants."""
        usual: HttpResponse = super().response_add(request, obj, post_url_continue)
        if {"_addanother", "_continue", "_popup"} & set(request.POST):
            return usual
        return redirect("admin:recommendations_experiment_report", obj.pk)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Note the start and the end where the status says so."""
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


def ranked_by(variant: Mapping[str, Any]) -> str:
    """The version that a variant names, in words; empty where it names none."""
    return f", ranked by v{variant['version']}" if variant.get("version") else ""


def headline(experiment: Experiment) -> tuple[str, str]:
    """What an experiment says now, in a sentence, and its colour."""
    reading = Reading.of(experiment)
    if reading is None:
        return "Not measured yet.", "info"
    if experiment.started_at is None:
        return promise_of(experiment, plan_of(experiment, reading)), "info"
    report = report_on(experiment, reading)
    return report.verdict, report.kind


class ExperimentPage(RowsPage):
    """``/admin/recommendations/experiment/<id>/report/``: the answer, and start, stop, measure, copy."""

    template_name = "console/experiment.html"
    shows = (Experiment,)

    @property
    def title(self) -> str:  # type: ignore[override]
        return f"Experiment {self.experiment}"

    @property
    def experiment(self) -> Experiment:
        if not hasattr(self, "_experiment"):
            rows = Experiment.objects.select_related("placement")
            self._experiment = get_object_or_404(rows, pk=self.kwargs["experiment_id"])
        return self._experiment

    def may_change(self) -> bool:
        return self.request.user.has_perm("recommendations.change_experiment")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        experiment, reading = self.experiment, Reading.of(self.experiment)
        context = {
            "experiment": experiment,
            "status": badge(experiment.get_status_display(), LABELS[Status(experiment.status)]),
            "may_change": self.may_change(),
            "variants": [self.variant_card(name) for name in (experiment.control_arm, *experiment.other_arms) if name],
            "measured": ago(experiment.measured_at) if reading else "",
            "change_url": reverse("admin:recommendations_experiment_change", args=[experiment.pk]),
            "when": when(experiment),
        }
        context["verdict"], context["kind"] = headline(experiment)
        if reading and experiment.started_at:
            context |= as_shown(experiment, report_on(experiment, reading))
        return super().get_context_data(**kwargs, **context)

    def variant_card(self, name: str) -> dict[str, Any]:
        """A variant with what differs from the placement, and where to change it."""
        experiment = self.experiment
        variant = experiment.variants[name]
        overrides = variant.get("overrides", {})
        usual = describe_rules(experiment.placement)
        own = describe_rules(changed(experiment.placement, overrides))
        stopped = experiment.stopped_arms.get(name)
        number = sorted(experiment.variants).index(name)
        return {
            "name": name,
            "share": experiment.shares[name],
            "is_control": name == experiment.control_arm,
            "rules": [
                *([("Ranker", "the live one", f"v{version}")] if (version := variant.get("version")) else []),
                *((rule, usual[rule], value) for rule, value in own.items() if value != usual[rule]),
            ],
            "stopped": f"Stopped {clock(experiment.stopped_at_of(name))}: {stopped['why']}." if stopped else "",
            "url": reverse(
                "admin:recommendations_experiment_variant",
                args=[experiment.pk, number],
            ),
        }

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.may_change():
            raise PermissionDenied
        do: dict[str, Callable[[], HttpResponse | None]] = {
            "start": self.start, "stop": self.stop, "measure": self.measure, "copy": self.copy,
        }  # fmt: skip
        name = request.POST.get("do", "")
        if name not in do:
            raise Http404
        return do[name]() or redirect(request.path)

    def start(self) -> None:
        experiment = self.experiment
        if not experiment.is_open:
            messages.warning(self.request, "It was started already.")
            return
        try:
            experiment_watch.refuse_start(experiment)
            with transaction.atomic():
                experiment_watch.plan_start(experiment, timezone.now())
                experiment.save()
                auditing.record(by=self.request.user, action="started", target=experiment)
        except ValidationError as error:
            messages.error(self.request, f"Not started: {' '.join(error.messages)}")
        except IntegrityError:
            messages.error(self.request, "Not started: another experiment runs on this placement; stop it first.")
        else:
            said = "Both variants make the lists" if experiment.is_interleaved else "Its buyers get their variant"
            messages.success(self.request, f"Started. {said} from the next list on.")

    def stop(self) -> None:
        if self.experiment.status != Status.RUNNING:
            messages.warning(self.request, "It does not run.")
            return
        person = self.request.user
        experiment_watch.stop(self.experiment, reason=f"{person} stopped it", at=timezone.now(), by=person)  # type: ignore[arg-type]
        messages.success(self.request, "Stopped. All buyers get the usual lists from the next one on.")

    def measure(self) -> None:
        enqueue_on_commit("recommendations.measure_experiment", self.experiment.pk)
        messages.success(self.request, "A worker reads the log; look again in a moment.")

    @transaction.atomic
    def copy(self) -> HttpResponse:
        """A draft with the same variants: one that ran is never run again, for its buyers are not new to it."""
        old = self.experiment
        names = set(Experiment.objects.filter(slug__startswith=old.slug[:40]).values_list("slug", flat=True))
        slug = next(name for n in range(2, 10_000) if (name := f"{old.slug[:40]}-{n}") not in names)
        made = Experiment.objects.create(
            slug=slug, placement=old.placement, note=old.note, variants=old.variants, control=old.control,
            holdout=old.holdout, metric=old.metric, outcome_days=old.outcome_days, smallest_lift=old.smallest_lift,
            stops_harmful=old.stops_harmful, mode=old.mode,
        )  # fmt: skip
        auditing.record(by=self.request.user, action="added", target=made, note=f"A copy of {old}")
        return redirect("admin:recommendations_experiment_report", made.pk)


def when(experiment: Experiment) -> str:
    parts = [
        ("started", experiment.started_at), ("stopped", experiment.stopped_at),
        ("to start", experiment.starts_at if experiment.is_open else None),
        ("to end", experiment.ends_at if experiment.stopped_at is None else None),
    ]  # fmt: skip
    return ", ".join(f"{word} {clock(moment)}" for word, moment in parts if moment)


# --- The answer ------------------------------------------------------------------------------------------------------
def as_shown(experiment: Experiment, report: Report) -> dict[str, Any]:
    metric, other = experiment.metric, next(name for name in Experiment.Metric.values if name != experiment.metric)
    return {
        "report": report,
        "metric": metric,
        "other_metric": other,
        "arms": [
            (one, role_of(one, experiment), money(one.value), money(one.value_per_buyer, n_decimals=2))
            for one in report.arms
        ],
        "is_together": experiment.is_interleaved,
        "has_value": any(one.value for one in report.arms),
        "differences": [shown(one) for one in report.differences],
        "others": [shown(one) for one in report.other],
        "segments": [
            {**shown(row.difference), "segment": SEGMENTS[row.segment], "p": f"{row.adjusted_p:.3f}",
             "verdict": badge(row.verdict.capitalize(), VERDICTS[row.verdict])}
            for row in report.segments
        ],
        "charts": charts_of(experiment, report),
        "ratio": f"{report.ratio_p:.3f}",
        "plan": promise_of(experiment, report.plan),
    }  # fmt: skip


def role_of(arm: ArmFigures, experiment: Experiment) -> str:
    return "takes no part" if arm.name == HOLDOUT else "control" if arm.name == experiment.control_arm else ""


def shown(one: Difference) -> dict[str, Any]:
    return {
        "arm": one.arm,
        "value": f"{one.value:+.1%}" if one.is_known else NONE,
        "interval": f"{one.low:+.1%} to {one.high:+.1%}" if one.is_known else "too few buyers yet",
        "verdict": badge(one.verdict.capitalize(), VERDICTS[one.verdict]),
        "saved": f"{one.saved:.0%}",
        "n": f"{one.n:,}",
    }


def charts_of(experiment: Experiment, report: Report) -> list[tuple[str, SafeString]]:
    """A curve for each arm: how the difference went from day to day, in percent."""
    charts = []
    for curve in report.curves:
        moments = [datetime.combine(day, datetime.min.time(), timezone.get_current_timezone()) for day in curve.days]
        if len(moments) < 2:
            continue
        percent = [[100 * value for value in each] for each in (curve.values, curve.lows, curve.highs)]
        label = f"{curve.arm} against {experiment.control_arm}: {experiment.metric} per buyer, difference in percent"
        line = Line(curve.arm, *percent)
        zero = Line("no difference", [0.0] * len(moments))
        axis = time_axis(moments[0], max(moments[-1], moments[0] + timedelta(days=1)))
        xs = [moment.timestamp() for moment in moments]
        charts.append((curve.arm, line_chart(label, xs, [line, zero], x_axis=axis, y_label="difference, %")))
    return charts


# --- The rules of a variant ------------------------------------------------------------------------------------------
class VariantPage(WeightsPage):
    """``/admin/recommendations/experiment/<id>/variant/<name>/``: the mix of a placement, as one variant has it."""

    template_name = "console/experiment_variant.html"
    shows = (Experiment, Placement, EventKind, *BUYERS_ROWS)

    @property
    def title(self) -> str:  # type: ignore[override]
        return f"Rules of “{self.variant}”"

    @property
    def variant(self) -> str:
        """By its number: a name may hold what an address may not."""
        names: list[str] = sorted(self.experiment.variants)
        if self.kwargs["number"] >= len(names):
            raise Http404
        name: str = names[self.kwargs["number"]]
        return name

    @property
    def experiment(self) -> Experiment:
        if not hasattr(self, "_experiment"):
            is_post = self.request.method == "POST"
            rows = Experiment.objects.select_for_update(of=("self",)) if is_post else Experiment.objects.all()
            self._experiment = get_object_or_404(rows.select_related("placement"), pk=self.kwargs["experiment_id"])
        return self._experiment

    @property
    def overrides(self) -> Mapping[str, Any]:
        overrides: Mapping[str, Any] = self.experiment.variants[self.variant].get("overrides", {})
        return overrides

    def form(self, asked: Any) -> VariantForm:
        version_id = self.experiment.variants[self.variant].get("version")
        return VariantForm(asked, self.experiment.placement, self.overrides, version_id)

    def may_save(self) -> bool:
        return self.request.user.has_perm("recommendations.change_experiment")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Rules of one that was started stay; “measure” stores nothing of it."""
        with transaction.atomic():
            if "measure" not in request.POST and self.may_save() and not self.experiment.is_open:
                messages.error(request, NEVER_RAN.format(self.experiment))
                return redirect(request.path)
            return super().post(request, *args, **kwargs)

    def save(self, form: VariantForm) -> None:
        experiment, overrides = self.experiment, form.overrides()
        kept = {name: value for name, value in self.overrides.items() if name == "filters"}
        before = experiment.variants
        arm = {**before[self.variant], "overrides": {**kept, **overrides}}
        experiment.variants = {**before, self.variant: arm}
        experiment.save(update_fields=["variants"])
        auditing.record(
            by=self.request.user, action="changed", target=experiment, before={"variants": before},
            after={"variants": experiment.variants},
        )  # fmt: skip

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        back = reverse("admin:recommendations_experiment_report", args=[self.experiment.pk])
        return super().get_context_data(**kwargs, experiment=self.experiment, variant=self.variant, back=back)
