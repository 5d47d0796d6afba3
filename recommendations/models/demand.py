"""Demand for each model of car by day, kept after the events are removed."""

from __future__ import annotations

from django.db import models

from catalog.models import CarModel
from recommendations.models.events import EventKind


class DemandDay(models.Model):
    """Events of one kind about cars of one model on one day (UTC, by their arrival). No buyer is named.

    Rows are written before the first event of a day is removed, and stay. Bots are left out.
    """

    day = models.DateField()
    car_model = models.ForeignKey(CarModel, on_delete=models.CASCADE, related_name="+")
    kind = models.ForeignKey(EventKind, on_delete=models.CASCADE, related_name="+")
    n_events = models.PositiveIntegerField("events")
    n_buyers = models.PositiveIntegerField("buyers")

    class Meta:
        ordering = ["-day", "car_model", "kind"]
        constraints = [
            models.UniqueConstraint(fields=["day", "car_model", "kind"], name="one_row_per_model_kind_and_day")
        ]

    def __str__(self) -> str:
        return f"{self.kind_id} of {self.car_model} on {self.day}"
