"""Placements of lists, and the record of each served list: its cars, their order, and the reasons."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from accounts.models import Buyer
from console.formats import stamp
from recommendations.models.querysets import ServedListQuerySet
from recommendations.models.rankers import RankerVersion


class Placement(models.Model):
    """One spot on the site that shows a list, and the rules of that list."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    k = models.PositiveSmallIntegerField(default=20, validators=[MinValueValidator(1), MaxValueValidator(1000)])
    sources = models.JSONField(default=dict, blank=True, help_text="Source and its share of the candidates.")
    filters = models.JSONField(default=dict, blank=True, help_text="Filters that always apply here.")
    boosts = models.JSONField(default=dict, blank=True, help_text="Term and its weight in the score.")
    diversity = models.FloatField(
        default=0.05,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="0: by score alone; 1: by difference alone.",
    )
    max_per_model = models.PositiveSmallIntegerField(default=8, help_text="Of one list, 0 for no cap.")
    max_per_seller = models.PositiveSmallIntegerField(default=10, help_text="Of one list, 0 for no cap.")
    exploration_positions = models.FloatField(
        default=1.0,
        validators=[MinValueValidator(0), MaxValueValidator(1000)],
        help_text="Positions of each list for cars that may suit, to learn whether they do; 0.5 is one in two "
        "lists on average. The same for every buyer, whatever is known of them.",
    )
    fresh_share = models.FloatField(
        default=0.05,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of the places for cars that are too new to be known.",
    )
    promoted_share = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of the places that promoted cars may take.",
    )
    follows_intent = models.BooleanField(
        default=True, help_text="More variety for buyers who are still looking around, less for those who know."
    )
    free_leads = models.PositiveSmallIntegerField(
        default=20, help_text="Recent contacts a car may have before others go first; 0: as many as it gets."
    )
    saturation_strength = models.FloatField(
        default=0.5,
        validators=[MinValueValidator(0), MaxValueValidator(10)],
        help_text="Score lost with each doubling of the contacts beyond that.",
    )
    times_shown_at_most = models.PositiveSmallIntegerField(
        default=40, help_text="A car shown this often within 30 days steps back for others."
    )
    impressions_since = models.DateTimeField(
        null=True, blank=True, editable=False,
        help_text="Since when its lists are counted by what was seen of them; empty: by what was served.",
    )  # fmt: skip

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ServedList(models.Model):
    """A list that was served to a buyer: the choice set of later events, and the basis of every evaluation."""

    class Kind(models.TextChoices):
        RECOMMENDED = "", "Recommended"
        SIMILAR = "similar", "Similar to a car"
        RANKED = "ranked", "Ids that a client sent, in order"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    kind = models.CharField(max_length=10, choices=Kind.choices, default="", db_default="", blank=True)
    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, null=True, related_name="served_lists")
    placement = models.ForeignKey(Placement, on_delete=models.SET_NULL, null=True)
    version = models.ForeignKey(RankerVersion, on_delete=models.SET_NULL, null=True)
    variant = models.CharField(max_length=40, blank=True, help_text="Arm of the experiment.")
    served_at = models.DateTimeField()
    filters = models.JSONField(default=dict)
    listing_ids = ArrayField(models.BigIntegerField(), help_text="In the order shown.")
    scores = ArrayField(models.FloatField())
    sources = ArrayField(models.CharField(max_length=20))
    merchandising = models.JSONField(
        default=dict, db_default=models.Value({}, models.JSONField()), blank=True,
        help_text="Merchandising rules: the places they touched, those held out for this buyer, what is promoted.",
    )  # fmt: skip
    propensities = ArrayField(
        models.FloatField(), null=True, blank=True,
        help_text="How likely each car was to stand where it does, given those above it; empty where it was not noted.",
    )  # fmt: skip
    teams = models.TextField(
        blank=True, default="", db_default="",
        help_text="Of a list that two variants made together: a letter for each car, a where the control chose it, b "
        "where the other did, - where a rule did.",
    )  # fmt: skip
    looks_at = models.CharField(
        max_length=15, default="hybrid", db_default="hybrid", help_text="What the score looked at, for the next page."
    )
    # No constraint, as for the lists of events: the page before may not be written yet, or be removed.
    goes_on_from = models.UUIDField(null=True, blank=True, help_text="The list that this one is the next page of.")
    starts_after = models.PositiveIntegerField(
        default=0, db_default=0, help_text="How many cars stand on the pages before it."
    )
    left_out = ArrayField(
        models.BigIntegerField(), default=list, db_default=models.Value([], ArrayField(models.BigIntegerField())),
        blank=True, help_text="Cars that it could not hold: those of the pages before, and those the caller left out.",
    )  # fmt: skip

    objects = ServedListQuerySet.as_manager()

    class Meta:
        ordering = ["-served_at"]
        indexes = [
            # what a buyer has been shown lately
            models.Index(fields=["buyer", "-served_at"], name="served_to_buyer"),
            # old lists to sweep; lists per minute
            models.Index(fields=["-served_at"], name="served_recently"),
            # which lists held a car; those of the feed hold none, and are written more often than all others
            GinIndex(fields=["listing_ids"], condition=~models.Q(variant="feed"), name="served_listing"),
        ]

    def __str__(self) -> str:
        return f"{len(self.listing_ids)} cars at {stamp(self.served_at)}"
