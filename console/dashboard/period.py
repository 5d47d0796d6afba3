"""The days that figures of the dashboard, and pages like it, are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextInputWidget

USUAL_DAYS = 30
MOST_DAYS = 3660


@dataclass(frozen=True)
class Period:
    """Days in UTC, the last one included."""

    first: date
    last: date

    @property
    def n_days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Period:
        """As many days, right before these."""
        return Period(self.first - timedelta(days=self.n_days), self.first - timedelta(days=1))

    def __str__(self) -> str:
        return f"{self.first:%d %b %Y} to {self.last:%d %b %Y}"

    @classmethod
    def lately(cls, n_days: int = USUAL_DAYS) -> Period:
        """The days up to today."""
        today = timezone.now().astimezone(UTC).date()
        return cls(today - timedelta(days=n_days - 1), today)


def day_field(label: str, help_text: str = "") -> forms.DateField:
    widget = UnfoldAdminTextInputWidget(attrs={"type": "date"})
    return forms.DateField(label=label, widget=widget, help_text=help_text)


class PeriodForm(forms.Form):
    """From a day to a day, out of a link; what the link leaves out is the last 30 days."""

    since = day_field("From")
    until = day_field("To", "Days in UTC, both included.")

    def __init__(self, asked: Mapping[str, Any]) -> None:
        usual = Period.lately()
        given = {name: value for name, value in asked.items() if value != ""}
        super().__init__({"since": str(usual.first), "until": str(usual.last), **self.usual, **given})

    @property
    def usual(self) -> dict[str, Any]:
        """What other fields have where a link leaves them out."""
        return {}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and until < since:
            self.add_error("until", "The last day lies before the first.")
        elif since and until and (until - since).days >= MOST_DAYS:
            self.add_error("since", f"At most {MOST_DAYS:,} days at once.")
        elif since and since.year < 1970:
            self.add_error("since", "From 1970 on.")
        elif until and until.year > 2200:
            self.add_error("until", "Up to 2200.")
        return cleaned

    @property
    def period(self) -> Period:
        """Only of a form that is valid."""
        return Period(self.cleaned_data["since"], self.cleaned_data["until"])
