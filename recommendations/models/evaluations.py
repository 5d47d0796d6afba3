"""How good lists are: a version measured beside the baselines, and other weights tried on past lists."""

from __future__ import annotations

from django.db import models

from jobs.models import Job
from recommendations.models.lists import Placement
from recommendations.models.rankers import RankerVersion


class Evaluation(Job):
    """One measurement of a ranker beside the baselines, on what buyers did after a moment."""

    LOG = "log"
    TASK = "recommendations.evaluate"
    RESUMABLE = models.Q(source=LOG)  # the file of another may be gone

    version = models.ForeignKey(
        RankerVersion, on_delete=models.SET_NULL, null=True, blank=True, related_name="evaluations"
    )
    source = models.CharField(max_length=200, default=LOG, help_text="“log”, or the name of a file of events.")
    parameters = models.JSONField(default=dict, blank=True)
    moment = models.DateTimeField(null=True, blank=True, help_text="Learned before it, tested after it.")
    n_events = models.PositiveIntegerField(default=0, help_text="Events tested on.")
    n_buyers = models.PositiveIntegerField(default=0, help_text="Buyers tested on.")
    n_candidates = models.PositiveIntegerField(default=0, help_text="Listings to choose from at the moment.")
    summary = models.JSONField(default=dict, blank=True, help_text="What is not a figure of one ranker: plots, notes.")

    def __str__(self) -> str:
        return f"evaluation {self.pk} ({self.get_status_display()})"


class EvaluationFigure(models.Model):
    """One figure of one ranker among some of the buyers, with its 95 % interval."""

    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="figures")
    ranker = models.CharField(max_length=40)
    slice = models.CharField(max_length=60, default="all", help_text="Which buyers or listings: all, cold buyer …")
    metric = models.CharField(max_length=40)
    k = models.PositiveSmallIntegerField(default=0, help_text="Length of the lists; 0 where it does not matter.")
    value = models.FloatField(null=True, help_text="Empty where it cannot be measured.")
    low = models.FloatField(null=True, help_text="Lower end of the 95 % interval.")
    high = models.FloatField(null=True, help_text="Upper end of the 95 % interval.")
    n = models.PositiveIntegerField(default=0, help_text="Buyers the figure is a mean over.")

    class Meta:
        ordering = ["ranker", "slice", "metric", "k"]
        constraints = [
            models.UniqueConstraint(
                fields=["evaluation", "ranker", "slice", "metric", "k"], name="one_value_per_evaluation_figure"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.metric}@{self.k} of {self.ranker}"


class WeightTrial(Job):
    """An offline test of other weights or rules: past lists made both ways, and compared by what buyers did then."""

    TASK = "recommendations.try_weights"

    placement = models.ForeignKey(
        Placement, on_delete=models.CASCADE, related_name="trials", help_text="Whose lists are made."
    )
    before = models.JSONField(default=dict, help_text="Weights and rules as they were stored.")
    after = models.JSONField(default=dict, help_text="The same, as they would be.")
    digest = models.CharField(max_length=32, editable=False, help_text="Of all of this: finds the test of a preview.")
    result = models.JSONField(default=dict, blank=True, help_text="Moment, buyers and figures, once done.")

    class Meta(Job.Meta):
        verbose_name = "offline test of weights"
        verbose_name_plural = "offline tests of weights"
        indexes = [
            # the newest test of what a preview shows
            models.Index(fields=["digest", "-created_at"], name="trial_of_preview"),
        ]

    def __str__(self) -> str:
        return f"offline test {self.pk} ({self.get_status_display()})"
