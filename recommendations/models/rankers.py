"""Versions of the ranker, their stored fits, and the trainings that made them."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.models import User
from jobs.models import Job
from recommendations.models.querysets import RankerVersionQuerySet


class RankerVersion(models.Model):
    """One fitted ranker and the vector space it owns. Exactly one is live."""

    class Status(models.TextChoices):
        TRAINING = "training", "Training"
        READY = "ready", "Ready"
        LIVE = "live", "Live"
        RETIRED = "retired", "Retired"
        FAILED = "failed", "Failed"

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.TRAINING)
    created_at = models.DateTimeField(default=timezone.now)
    promoted_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)
    note = models.TextField(blank=True, help_text="Why it was promoted, refused or rolled back.")
    promoted_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    metrics = models.JSONField(default=dict, blank=True)
    gate = models.JSONField(
        default=dict, blank=True, help_text="Whether it may go live, judged against the live version, and why."
    )
    is_reference = models.BooleanField(
        default=False,
        help_text="New versions may not fall behind it, so that small losses do not add up: the first that was live, "
        "then each that was significantly better, or that an operator put live.",
    )
    n_listings = models.PositiveIntegerField(default=0)
    n_interactions = models.PositiveIntegerField(default=0)
    n_buyers = models.PositiveIntegerField(default=0)
    last_interaction_id = models.BigIntegerField(default=0, help_text="The newest event it was trained on.")

    objects = RankerVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = "ranker version"
        constraints = [
            models.UniqueConstraint(fields=["status"], condition=models.Q(status="live"), name="one_live_ranker"),
            models.UniqueConstraint(
                fields=["is_reference"], condition=models.Q(is_reference=True), name="one_reference_ranker"
            ),
        ]

    def __str__(self) -> str:
        return f"v{self.pk}"

    @property
    def failed_gate(self) -> bool:
        """Whether it was judged and found worse; a version that was never judged did not fail."""
        return self.gate.get("passed") is False


class RankerArtifact(models.Model):
    """The fitted arrays of a version, kept in the database so that every machine finds them."""

    version = models.OneToOneField(RankerVersion, on_delete=models.CASCADE, primary_key=True, related_name="artifact")
    format_version = models.PositiveSmallIntegerField()
    content = models.BinaryField()
    sha256 = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"artifact of v{self.version_id}"


class TrainingRun(Job):
    """One attempt to train: started, how far, and how it ended, so that a crashed run is redone, not trusted."""

    TASK = "recommendations.retrain"

    version = models.ForeignKey(RankerVersion, on_delete=models.SET_NULL, null=True, blank=True, related_name="runs")
    promote = models.BooleanField(default=True, help_text="Put the new version live when it is not worse.")
    parameters = models.JSONField(default=dict, blank=True)
    log = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"training {self.pk} ({self.get_status_display()})"
