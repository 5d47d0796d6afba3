"""Impressions: listings that a buyer saw in a list, and the SQL that counts them."""

# ruff: noqa: S608 -- put together from names of columns

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from accounts.models import Buyer
from console.formats import stamp


class Impression(models.Model):
    """Cars that a buyer had before their eyes at one time. Append-only; no evidence of a preference by itself.

    It is an event with an id of its sender's, and not a row of the log of interactions: a list is seen more often than
    it is acted on, and nothing that is computed of a buyer gets stale by it.
    """

    event_id = models.CharField(max_length=64)
    sender = models.CharField(max_length=32)
    content_digest = models.BigIntegerField(editable=False)
    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, related_name="impressions")
    # No constraint, as for the lists of interactions: it may arrive before its list is written.
    served_list = models.ForeignKey(
        "recommendations.ServedList", on_delete=models.DO_NOTHING, db_constraint=False, null=True, blank=True,
        related_name="impressions",
    )  # fmt: skip
    positions = ArrayField(
        models.PositiveSmallIntegerField(), default=list, blank=True,
        help_text="Positions of that list that were seen; 1 is the top.",
    )  # fmt: skip
    listing_ids = ArrayField(models.BigIntegerField(), default=list, blank=True, help_text="Cars that were seen.")
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["event_id", "sender"], name="impression_id_of_sender")]
        indexes = [
            # old ones to remove
            models.Index(fields=["received_at"], name="impression_received"),
        ]

    def __str__(self) -> str:
        return f"{len(self.positions) or len(self.listing_ids)} cars seen at {stamp(self.occurred_at)}"


def is_counted(served: str) -> str:
    """SQL: whether a list is counted by what was seen of it: its placement sent impressions when it was served, and its
    buyer sends them. Of a buyer whose client sends none, what is served counts, and so it does where they were removed.

    ``served`` is the name of ``recommendations_servedlist`` in the statement, here and below.
    """
    return (
        f"EXISTS (SELECT FROM recommendations_placement counted WHERE counted.id = {served}.placement_id "
        f"AND counted.impressions_since <= {served}.served_at "
        f"AND {sends_impressions(f'{served}.buyer_id')})"
    )


def sends_impressions(buyer: str) -> str:
    """SQL: whether there are impressions of a buyer; ``buyer`` is the expression of their id."""
    return f"EXISTS (SELECT FROM recommendations_impression sent WHERE sent.buyer_id = {buyer})"


def is_seen(served: str, position: str, listing: str) -> str:
    """SQL: whether the buyer of a list saw the car at a position, by an impression, or since they acted on it there."""
    return (
        f"(EXISTS (SELECT FROM recommendations_impression seen WHERE seen.served_list_id = {served}.id "
        f"AND ({served}.buyer_id IS NULL OR seen.buyer_id = {served}.buyer_id) "
        f"AND ({position} = ANY(seen.positions) OR {listing} = ANY(seen.listing_ids))) "
        f"OR EXISTS (SELECT FROM recommendations_interaction acted WHERE acted.served_list_id = {served}.id "
        f"AND acted.listing_id = {listing} AND acted.attribution IN ('', 'checked')))"
    )


def was_shown(served: str, position: str, listing: str) -> str:
    """SQL: whether the car at a position of a list counts as shown: seen where that is known, else served."""
    return f"(NOT {is_counted(served)} OR {is_seen(served, position, listing)})"


def n_shown(served: str) -> str:
    """SQL: how many cars of a list count as shown."""
    seen = is_seen(served, "each.position", "each.listing_id")
    return (
        f"CASE WHEN {is_counted(served)} THEN (SELECT count(*) FROM unnest({served}.listing_ids) "
        f"WITH ORDINALITY AS each (listing_id, position) WHERE {seen}) ELSE cardinality({served}.listing_ids) END"
    )
