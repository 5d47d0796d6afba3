"""The form of an experiment: names and shares of its variants as fields of their own, without JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from recommendations.admin.lab_form import versions
from recommendations.evaluation import experiment_watch
from recommendations.models import Experiment
from recommendations.serving.rule_checks import refuse_mode, refuse_variants

Status = Experiment.Status
ARMS = range(1, 5)  # of the form
AS_IT_IS = ("as-it-is", "new")  # names that a new experiment begins with


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
        """Offer the versions that can serve, and the chosen one even where it cannot, so that saving keeps it."""
        choices = [("", "The live one"), *versions()]
        known = dict(choices)
        for number in ARMS:
            name, own = f"version_{number}", typed.get(f"version_{number}", "")
            if name in self.fields:
                gone = [] if own in known else [(own, f"v{own}, gone")]
                self.fields[name].choices = [*choices, *gone]  # type: ignore[attr-defined]

    def _as_typed(self, instance: Experiment | None) -> dict[str, Any]:
        """Initial values of the variants: names and shares in percent, the control first."""
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
        """Why the experiment cannot change to this status; empty where it can."""
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
