"""The form of a training: each parameter with what it does, its usual value and its limits."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldBooleanSwitchWidget,
)

from recommendations.exceptions import TrainingRefused
from recommendations.models import TrainingRun
from recommendations.training.parameters import OFF, WHERE_BETTER, TrainingParameters

USUAL = asdict(TrainingParameters())
YEARS = 10 * 365
LARGEST_SEED = 2**31 - 1


def whole(name: str, label: str, help_text: str, *, low: int, high: int) -> forms.IntegerField:
    """A whole number within limits; its help text states them and the usual value."""
    return forms.IntegerField(
        label=label,
        min_value=low,
        max_value=high,
        initial=USUAL[name],
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=f"{help_text} From {low:,} to {high:,}, usually {USUAL[name]:,}.",
    )


def real(name: str, label: str, help_text: str, *, low: float, high: float) -> forms.FloatField:
    return forms.FloatField(
        label=label,
        min_value=low,
        max_value=high,
        initial=USUAL[name],
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}),
        help_text=f"{help_text} From {low:g} to {high:g}, usually {USUAL[name]:g}.",
    )


class TrainingRunForm(forms.ModelForm):  # type: ignore[type-arg] # no generic at run time
    """A field left empty means the usual value, so that a form written before a parameter was added still works."""

    promote = forms.BooleanField(
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
        label="Promote it when it is not worse",
        help_text="The gate compares it with the live version; one that does not pass stays ready for you to look at.",
    )
    history_days = whole(
        "history_days", "Days of history", "Events older than this are not learned from.", low=1, high=YEARS
    )
    prior_buyers = whole(
        "prior_buyers",
        "Buyers for the population",
        "Taste in general is learned from so many buyers, drawn from all who did anything. Time grows with it.",
        low=1,
        high=5_000,
    )
    events_per_buyer = whole(
        "events_per_buyer", "Events of each of them", "Their newest ones. Time grows with it.", low=1, high=500
    )
    sampled_alternatives = whole(
        "sampled_alternatives",
        "Other cars beside a choice",
        "Cars for sale, drawn at random, that count as passed over. More of them tell more, slower.",
        low=1,
        high=200,
    )
    held_back_share = real(
        "held_back_share",
        "Held-out share",
        "The newest share of the events is kept for weighing the terms of the score, and for the gate.",
        low=0.01,
        high=0.9,
    )
    archetype_half_life_days = real(
        "archetype_half_life_days",
        "Half-life for kinds of car (days)",
        "After so long an event counts half for what buyers of one kind also look at.",
        low=0.1,
        high=float(YEARS),
    )
    term_curves = forms.ChoiceField(
        label="Curves of the score's terms",
        choices=[(WHERE_BETTER, "Where they are better"), (OFF, "Never")],
        initial=USUAL["term_curves"],
        widget=UnfoldAdminSelectWidget,
        help_text="Beside its weight, a term may have a curve, which follows a taste that no straight line does. It is "
        "used where it predicts choices better than the weight alone, beyond chance. Usually: where they are better.",
    )
    seed = whole("seed", "Seed", "The same seed on the same log learns the same.", low=0, high=LARGEST_SEED)

    class Meta:
        model = TrainingRun
        fields = ["promote"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in USUAL:
            if name in self.fields:
                self.fields[name].required = False

    def clean(self) -> dict[str, Any]:
        """Check the parameters together, so that a refusal is shown in the form and not by the job."""
        cleaned = super().clean() or self.cleaned_data
        given = {name: cleaned[name] for name in USUAL if cleaned.get(name) not in (None, "")}
        if not self.errors:
            try:
                self.instance.parameters = asdict(TrainingParameters.from_json(given))
            except TrainingRefused as refusal:
                raise forms.ValidationError(f"{str(refusal).capitalize()}.") from refusal
        return cleaned


def unusual(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters that differ from their defaults."""
    return {name: value for name, value in parameters.items() if value != USUAL.get(name)}


LABELS: dict[str, str] = {name: str(TrainingRunForm.base_fields[name].label) for name in USUAL}
