"""What the feed learned of its items."""

from __future__ import annotations

from django.db import models

from console.formats import stamp


class FeedFit(models.Model):
    """The current fit of the feed, in one row: a new fit replaces the old one and has another number."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    number = models.BigIntegerField(help_text="Of the fit; what a process has in memory is as good as its number.")
    content = models.BinaryField(help_text="Its arrays, as npz.")
    fitted_at = models.DateTimeField(help_text="When it was made, or last found to be up to date.")
    seconds = models.FloatField(help_text="What the fit took.")
    n_shown = models.PositiveBigIntegerField(default=0, help_text="Items shown that it knows of.")
    n_actions = models.PositiveBigIntegerField(default=0, help_text="Likes and dislikes that it knows of.")

    class Meta:
        verbose_name = "fit of the feed"
        verbose_name_plural = "fits of the feed"

    def __str__(self) -> str:
        return f"fit {self.number}"


class FeedJudgement(models.Model):
    """The last verdict on what the feed learns, and the fit that it is held against, in one row."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    judged_at = models.DateTimeField()
    verdict = models.JSONField(default=dict, help_text="Of the gate, with its code and figures.")
    is_holding = models.BooleanField(
        "holding", default=False, help_text="Whether the kept fit is served, since what was learned after it is worse."
    )
    content = models.BinaryField(default=b"", help_text="The kept fit's arrays, as npz; empty where none is kept.")
    kept_until = models.DateTimeField(null=True, blank=True, help_text="Until when the kept fit had learned.")

    class Meta:
        verbose_name = "judgement of the feed"
        verbose_name_plural = "judgements of the feed"

    def __str__(self) -> str:
        return f"judgement of {stamp(self.judged_at)}"
