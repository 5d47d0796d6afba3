"""Statements of a buyer: saved searches, sellers whose cars are left out, cars to show again."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone

from accounts.models import Buyer
from catalog.filters import ListingFilters
from catalog.models import Listing
from console.formats import stamp


class SavedSearch(models.Model):
    """A search a buyer wants to hear about; also a strong hint of what is wanted."""

    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, related_name="saved_searches")
    name = models.CharField(max_length=120)
    query = models.JSONField(default=dict)
    is_alerting = models.BooleanField(
        "alerts", default=True, db_default=True, help_text="New and cheaper cars that match reach the buyer."
    )
    filters = models.JSONField(
        null=True, editable=False,
        help_text="The query as alerts compare it, without what cannot be read; null until it was read.",
    )  # fmt: skip
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "saved searches"
        indexes = [
            # what alerts have to read yet
            models.Index(fields=["id"], name="search_unread", condition=models.Q(filters__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.filters = ListingFilters.from_query(self.query).as_query()
        if kwargs.get("update_fields") is not None and "query" in kwargs["update_fields"]:
            kwargs["update_fields"] = {*kwargs["update_fields"], "filters"}
        super().save(*args, **kwargs)


class BuyerSeller(models.Model):
    """A seller that is the buyer's own, or that the buyer blocked: no car of theirs is in this buyer's lists."""

    class Relation(models.TextChoices):
        OWN = "own", "Own"
        BLOCKED = "blocked", "Blocked"

    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, related_name="seller_relations")
    # An id and no key, so that it holds for a seller whose first listing is yet to come.
    seller_external_id = models.CharField(
        "seller", max_length=255, help_text="As the seller is stored: source, a slash, and the id there."
    )
    relation = models.CharField(max_length=10, choices=Relation.choices)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["buyer", "relation", "id"]
        verbose_name = "seller of a buyer"
        verbose_name_plural = "sellers of buyers"
        constraints = [
            models.UniqueConstraint(
                fields=["buyer", "relation", "seller_external_id"], name="one_relation_to_a_seller_per_buyer"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_relation_display()}: {self.seller_external_id}"


class ShownAgain(models.Model):
    """A car that a buyer dismissed and wants to see again: what was said of it until then hides it no more.

    The log stays as it is, since it is append-only.
    """

    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, related_name="shown_again")
    listing = models.ForeignKey(Listing, on_delete=models.CASCADE, related_name="shown_again")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["buyer", "-at"]
        verbose_name = "car shown again"
        verbose_name_plural = "cars shown again"
        constraints = [models.UniqueConstraint(fields=["buyer", "listing"], name="shown_again_once")]

    def __str__(self) -> str:
        return f"listing {self.listing_id} since {stamp(self.at)}"
