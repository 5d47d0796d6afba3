"""The pages of an experiment: its report, with start, stop, measure and copy, and the rules of each variant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from catalog.units import money
from console import auditing
from console.charts import Line, line_chart, time_axis
from console.formats import NONE, ago, badge, clock
from jobs.queue import enqueue_on_commit
from recommendations.admin.pages import RowsPage
from recommendations.admin.weights import BUYERS_ROWS, WeightsPage
from recommendations.admin.weights_forms import VariantForm, describe_rules
from recommendations.evaluation import experiment_watch
from recommendations.evaluation.experiment_log import SEGMENTS, Reading
from recommendations.evaluation.experiment_report import ArmFigures, Difference, Report, plan_of, promise_of, report_on
from recommendations.models import EventKind, Experiment, Placement
from recommendations.models.experiments import HOLDOUT
from recommendations.serving.placements import changed

Status = Experiment.Status
LABELS = {Status.DRAFT: "", Status.SCHEDULED: "info", Status.RUNNING: "success", Status.STOPPED: "warning"}
VERDICTS = {"better": "success", "worse": "danger", "open": ""}
NEVER_RAN = "The experiment “{}” ran already: what was measured would mean nothing after a change. Copy it instead."


def ranked_by(variant: Mapping[str, Any]) -> str:
    """The version that a variant names, in words; empty where it names none."""
    return f", ranked by v{variant['version']}" if variant.get("version") else ""


def headline(experiment: Experiment) -> tuple[str, str]:
    """The result of an experiment so far: a sentence and the colour of its badge."""
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
        variants = [self.variant_card(name) for name in (experiment.control_arm, *experiment.other_arms) if name]
        context = {
            "experiment": experiment,
            "status": badge(experiment.get_status_display(), LABELS[Status(experiment.status)]),
            "may_change": self.may_change(),
            "variants": variants,
            "are_alike": not any(card["rules"] for card in variants),
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
    """A line for each arm: its difference from the control day by day, in percent."""
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
        """The variant by its index in the link; names may have characters that a URL cannot."""
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
        """Save the rules, unless the experiment was started; “measure” saves none."""
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
