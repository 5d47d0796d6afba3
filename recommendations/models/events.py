"""The kinds of events, and the event log, from which everything learned can be computed again."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from accounts.models import Buyer
from catalog.models import Listing
from console.formats import stamp
from recommendations.models.querysets import InteractionQuerySet


class EventKind(models.Model):
    """What an event of this kind says about taste, and for how long. Edited by operators."""

    # by routes and pages of ours, or by name
    RECORDED_BY_US = frozenset({"view", "search", "like", "dislike", "hide", "contact", "impression"})

    slug = models.SlugField(primary_key=True, max_length=40)
    name = models.CharField(max_length=80)
    weight = models.FloatField(
        validators=[MinValueValidator(-20), MaxValueValidator(20)],
        help_text="How strongly one such event counts, against a view's 1. Negative: a choice against. 0: ignored.",
    )
    half_life_days = models.FloatField(
        validators=[MinValueValidator(0.01), MaxValueValidator(3650)], help_text="After this long it counts half."
    )
    is_contact = models.BooleanField(
        default=False, help_text="A sign of real demand (a call, a message), counted as a lead for the car."
    )
    is_dismissal = models.BooleanField(default=False, help_text="The buyer does not want to see this very car again.")

    class Meta:
        ordering = ["-weight"]
        verbose_name = "event kind"

    def __str__(self) -> str:
        return self.name


class Attribution(models.TextChoices):
    """Whether an event came from the list that it names. The last three are kept without the list."""

    NONE = "", "Names no list"
    PENDING = "pending", "The list is not written yet"
    CHECKED = "checked", "From that list"
    UNKNOWN_LIST = "unknown_list", "There is no such list"
    OTHER_BUYER = "other_buyer", "The list of another buyer"
    OUTSIDE = "outside", "Not in that list, or not as far down"

    @classmethod
    def wrong(cls) -> tuple[Attribution, ...]:
        return cls.UNKNOWN_LIST, cls.OTHER_BUYER, cls.OUTSIDE


class Interaction(models.Model):
    """One event of one buyer. Append-only: every preference can be made again from these rows."""

    event_id = models.CharField(max_length=64, help_text="Made by the sender, so that an event sent twice counts once.")
    sender = models.CharField(
        max_length=32, default="", db_default="", blank=True,
        help_text="Whose id it is: an API key (“key:7”) or a buyer (“buyer:7”). Empty: the product's own, or recorded "
        "by a release that did not note it.",
    )  # fmt: skip
    content_digest = models.BigIntegerField(
        default=0, db_default=0, editable=False,
        help_text="Of what was sent: distinguishes an event sent again from another one under the same id. "
        "0: not known.",
    )  # fmt: skip
    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, related_name="interactions")
    kind = models.ForeignKey(EventKind, on_delete=models.PROTECT, related_name="interactions")
    listing = models.ForeignKey(
        Listing, on_delete=models.SET_NULL, null=True, blank=True, related_name="interactions",
        help_text="Empty for a search.",
    )  # fmt: skip
    query = models.JSONField(null=True, blank=True, help_text="What a search asked for.")
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now)
    # No constraint on the list: it is logged off the hot path, so an event may arrive before it.
    served_list = models.ForeignKey(
        "ServedList",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        null=True,
        blank=True,
        related_name="interactions",
    )
    position = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Place in that list; 1 is the top.")
    dwell_seconds = models.FloatField(
        "dwell", null=True, blank=True, help_text="Of a view: for how many seconds the page was looked at."
    )
    value = models.DecimalField(
        max_digits=12, decimal_places=2, null=True, blank=True,
        help_text="Of a contact or a sale: what it is worth to the marketplace, in the market's currency.",
    )  # fmt: skip
    attribution = models.CharField(
        max_length=12, choices=Attribution.choices, default="", db_default="", blank=True, editable=False,
        help_text="Whether the event came from the list it named. Empty also for events of earlier releases.",
    )  # fmt: skip

    objects = InteractionQuerySet.as_manager()

    class Meta:
        ordering = ["-occurred_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(position__isnull=True) | models.Q(position__gte=1), name="positions_start_at_one"
            ),
            # an event sent again; also finds an event by its id, or by how the id begins
            models.UniqueConstraint(
                fields=["event_id", "sender"],
                name="event_id_of_sender",
                opclasses=["varchar_pattern_ops", "varchar_ops"],
            ),
        ]
        indexes = [
            # one buyer's history, newest first; and whether the log is ahead of a preference
            models.Index(fields=["buyer", "-occurred_at"], name="interaction_of_buyer"),
            models.Index(fields=["buyer", "id"], name="interaction_log_position"),
            # recent demand per listing: trending, leads
            models.Index(fields=["-occurred_at", "kind", "listing"], name="interaction_recent"),
            # what arrived lately, for the beat job that reconciles
            models.Index(fields=["received_at"], name="interaction_received"),
            # whose list is not written yet: few, and soon none
            models.Index(
                fields=["id"], name="interaction_list_pending", condition=models.Q(attribution=Attribution.PENDING)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind_id} {stamp(self.occurred_at)}"


class EventKey(models.Model):
    """That an event is in the log, or an impression among the impressions: by a digest of its sender and id.

    Both are kept by month, where an index can forbid an id twice in one month only; this table forbids it over all of
    them. Triggers write and remove its rows, so that whatever writes events need not think of it.
    """

    key = models.UUIDField(primary_key=True)

    class Meta:
        verbose_name = "event key"

    def __str__(self) -> str:
        return str(self.key)
