"""The quality of the stock, measured at one time."""

from django.db import models

from jobs.models import Job


class QualityReport(Job):
    """What is missing, odd, double or stale in the stock, counted at one time by one pass over it."""

    TASK = "catalog.measure_quality"

    figures = models.JSONField(default=dict, blank=True, help_text="By check: how many, and some of their listings.")
    n_live = models.PositiveIntegerField("listings for sale", default=0)

    def __str__(self) -> str:
        return f"quality report {self.pk} ({self.get_status_display()})"
