"""What triggers of the database note about listings, whatever wrote them and however (migrations 0002 and 0013)."""

from django.db import models
from django.db.models.functions import Now

from console.formats import stamp


class ListingChange(models.Model):
    """A line per listing written or removed, in the transaction that did it: how memory follows the database.

    Written by triggers only. ``transaction_id`` and a snapshot's xmin let a reader resume without missing a
    transaction that began early and committed late. Old lines are swept by ``tasks.maintenance``.
    """

    listing_id = models.BigIntegerField()
    transaction_id = models.BigIntegerField()
    changed_at = models.DateTimeField()

    class Meta:
        managed = True
        indexes = [
            # what changed since a snapshot
            models.Index(fields=["transaction_id"], name="listing_change_transaction"),
        ]

    def __str__(self) -> str:
        return f"listing {self.listing_id} at {stamp(self.changed_at)}"


class ListingNews(models.Model):
    """What happened to a listing that others want to hear of: a queue, which ``catalog.news`` empties.

    Written by triggers only (migration 0013), in the transaction of what happened, whatever wrote it and however.
    """

    class Kind(models.TextChoices):
        PUBLISHED = "published", "On sale, or on sale again"
        SOLD = "sold", "Sold"
        ENDED = "ended", "Withdrawn or expired"
        PRICE_DROPPED = "price_dropped", "Cheaper, while on sale"

    listing_id = models.BigIntegerField()
    kind = models.CharField(max_length=15, choices=Kind.choices)
    old_price = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    new_price = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        verbose_name = "news of a listing"
        verbose_name_plural = "news of listings"

    def __str__(self) -> str:
        return f"listing {self.listing_id} {self.kind}"
