"""Fields of forms for numbers that are stored in one unit and typed in the market's."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from catalog import units

LARGEST = 2_147_483_647  # that any column of ours holds


class MarketField(forms.FloatField):
    """A number in the market's unit; its value is in ``stored_unit``, a whole number where ``is_whole``."""

    default_error_messages = {"too_large": "This number is too large."}

    def __init__(self, *, stored_unit: str, label: str, is_whole: bool = False, **kwargs: Any) -> None:
        self.stored_unit, self.is_whole = stored_unit, is_whole
        named = units.lazily(f"{label} ({{}})", lambda _: units.measure_of(stored_unit).unit, 0)
        widget = UnfoldAdminDecimalFieldWidget(attrs={"step": "any"})
        super().__init__(label=named, widget=widget, **{"required": False, "min_value": 0, **kwargs})

    def clean(self, value: Any) -> Any:
        shown = super().clean(value)
        if shown is None:
            return None
        stored = units.measure_of(self.stored_unit).stored(shown)
        if stored > LARGEST:
            raise ValidationError(self.error_messages["too_large"], code="too_large")
        return round(stored) if self.is_whole else stored

    def prepare_value(self, value: Any) -> Any:
        """What is stored, as it is shown; what was typed stays."""
        if not isinstance(value, int | float):
            return value
        return units.measure_of(self.stored_unit).shown(value, is_whole=self.is_whole)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(super().has_changed(self.prepare_value(initial), data))
