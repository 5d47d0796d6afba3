"""Exposure of sellers in lists, one row a day: any range of dates is a sum of few rows, and stays known."""

from __future__ import annotations

from django.db import models

from catalog.models import Seller


class SellerDay(models.Model):
    """Cars of one seller in the lists of one day at one placement: shown, and what became of them.

    The day is that of the list, in UTC; a car of a list that was clicked twice counts once. No buyer is named.
    """

    day = models.DateField()
    placement = models.ForeignKey(
        "recommendations.Placement", on_delete=models.CASCADE, null=True, blank=True, related_name="+",
        help_text="Empty: lists without one, such as searches.",
    )  # fmt: skip
    seller = models.ForeignKey(Seller, on_delete=models.CASCADE, related_name="exposure")
    shown = models.PositiveIntegerField()
    clicked = models.PositiveIntegerField()
    contacted = models.PositiveIntegerField()

    class Meta:
        ordering = ["-day", "placement", "seller"]
        constraints = [
            # also finds the days of a range
            models.UniqueConstraint(
                fields=["day", "placement", "seller"], name="one_row_per_seller_and_day", nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return f"{self.seller} on {self.day}"


class CountedDay(models.Model):
    """A day whose lists were counted, and when: days are counted again while buyers still act on their lists."""

    day = models.DateField(primary_key=True)
    counted_at = models.DateTimeField()

    class Meta:
        ordering = ["-day"]

    def __str__(self) -> str:
        return f"{self.day}"
