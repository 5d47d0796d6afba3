"""Fields of forms for numbers that are stored in one unit and typed in the market's."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from catalog import units

LARGEST = 2_147_483_647  # that any column of ours holds
STORED_DECIMALS = 2  # of a converted fraction: as imports store it


class MarketField(forms.FloatField):
    """A number in the market's unit; its value is in ``stored_unit``, a whole number where ``is_whole``.

    A fraction of another unit is shown with ``n_decimals``, where they are given, and otherwise as exactly as it is
    stored. What is sent back as it was shown is what was stored: a form that is saved unread changes nothing. At most
    ``largest`` is stored.
    """

    default_error_messages = {"too_large": "This number is too large.", "too_small": "This number is too small."}

    def __init__(
        self, *, stored_unit: str, label: str, is_whole: bool = False, n_decimals: int | None = None,
        largest: float = LARGEST, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.stored_unit, self.is_whole, self.n_decimals, self.largest = stored_unit, is_whole, n_decimals, largest
        self._was: Any = None
        named = units.lazily(f"{label} ({{}})", lambda _: units.measure_of(stored_unit).unit, 0)
        widget = UnfoldAdminDecimalFieldWidget(attrs={"step": "any"})
        super().__init__(label=named, widget=widget, **{"required": False, "min_value": 0, **kwargs})

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> forms.BoundField:
        """Each form has a copy of its fields, so this one may keep what the form began with."""
        self._was = form.get_initial_for_field(self, field_name)
        return super().get_bound_field(form, field_name)

    def clean(self, value: Any) -> Any:
        shown = super().clean(value)
        if shown is None:
            return None
        if isinstance(self._was, int | float) and shown == self.prepare_value(self._was):
            return self._was
        measure = units.measure_of(self.stored_unit)
        stored = measure.stored(shown)
        if stored > self.largest:
            code = "too_small" if measure.is_inverse else "too_large"
            raise ValidationError(self.error_messages[code], code=code)
        if self.is_whole:
            return round(stored)
        return stored if self._is_exact(measure) else round(stored, STORED_DECIMALS)

    def prepare_value(self, value: Any) -> Any:
        """What is stored, as it is shown; what was typed stays."""
        if not isinstance(value, int | float):
            return value
        measure = units.measure_of(self.stored_unit)
        shown = measure.shown(value, is_whole=self.is_whole)
        return shown if self.is_whole or self._is_exact(measure) else round(shown, self.n_decimals)

    def _is_exact(self, measure: units.Measure) -> bool:
        """Whether a fraction is shown as exactly as it is stored."""
        return self.n_decimals is None or measure.unit == self.stored_unit

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(super().has_changed(self.prepare_value(initial), data))
