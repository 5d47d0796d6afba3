"""The made-up market: its seeding, and the true taste of its buyers."""

from __future__ import annotations

from django.core.validators import MaxValueValidator
from django.db import models

from accounts.models import Buyer
from jobs.models import Job


class SeedRun(Job):
    """One seeding from the admin: what was asked, how far, and how it ended."""

    TASK = "catalog.seed_marketplace"

    n_listings = models.PositiveIntegerField("listings", default=10_000, validators=[MaxValueValidator(1_000_000)])
    n_buyers = models.PositiveIntegerField("buyers", default=1_000, validators=[MaxValueValidator(1_000_000)])
    n_events = models.PositiveIntegerField("events", default=100_000, validators=[MaxValueValidator(10_000_000)])
    seed = models.PositiveIntegerField(default=1, help_text="The same seed makes the same market.")

    def __str__(self) -> str:
        return f"seeding {self.pk} ({self.get_status_display()})"


class SimulatedTaste(models.Model):
    """The true utility of a made-up buyer, stored apart: only tests and benchmarks read it, never the recommender."""

    buyer = models.OneToOneField(Buyer, on_delete=models.CASCADE, primary_key=True, related_name="simulated_taste")
    parameters = models.JSONField(help_text="As engine.simulation.TrueTaste understands them.")

    def __str__(self) -> str:
        return f"true taste of {self.buyer}"
