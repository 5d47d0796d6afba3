"""Experiments: ways of making the lists of one placement, each for its share of the buyers, and what was measured."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

HOLDOUT = "holdout"  # what the lists of buyers are recorded under who take part in no experiment of a placement
FEED = "feed"  # what those of the feed are recorded under
INTERLEAVED = "interleaved"  # what lists are recorded under that two variants made together
RESERVED_NAMES = (HOLDOUT, FEED, INTERLEAVED)


class Experiment(models.Model):
    """Two or more ways of ranking one placement, each for its share of the buyers."""

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        SCHEDULED = "scheduled", "Scheduled"
        RUNNING = "running", "Running"
        STOPPED = "stopped", "Stopped"

    class Metric(models.TextChoices):
        CONTACTS = "contacts", "Contacts per buyer"
        CLICKS = "clicks", "Clicks per buyer"

    class Mode(models.TextChoices):
        SPLIT = "split", "Each buyer gets the lists of one variant"
        INTERLEAVED = "interleaved", "Two variants make each list together"

    slug = models.SlugField("name", unique=True, help_text="Without spaces; also divides the buyers, by chance.")
    mode = models.CharField(
        max_length=12, choices=Mode.choices, default=Mode.SPLIT, db_default=Mode.SPLIT,
        help_text="Together answers with far fewer buyers which of two is liked more, and not how much more would be "
        "done: its variants take turns in each list, and a click or contact counts for the one that chose the car.",
    )  # fmt: skip
    placement = models.ForeignKey(
        "recommendations.Placement", on_delete=models.CASCADE, related_name="experiments",
        help_text="Whose lists it is about.",
    )  # fmt: skip
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    note = models.TextField(blank=True, default="", db_default="", help_text="What is expected, and why.")
    variants = models.JSONField(default=dict, help_text="Name, share of the buyers, and overrides of the placement.")
    control = models.CharField(
        max_length=40, blank=True, default="", db_default="", help_text="The variant that others are compared with."
    )
    holdout = models.PositiveSmallIntegerField(
        "holdout (%)", default=0, db_default=0, validators=[MaxValueValidator(50)],
        help_text="So many of the buyers, the same ones for every experiment of the placement, take no part: what all "
        "experiments together brought shows against them.",
    )  # fmt: skip
    metric = models.CharField(
        "decided by", max_length=10, choices=Metric.choices, default=Metric.CONTACTS, db_default=Metric.CONTACTS,
        help_text="Clicks are commoner, so they answer sooner; contacts are what sellers want.",
    )  # fmt: skip
    outcome_days = models.PositiveSmallIntegerField(
        "days of a buyer", default=7, db_default=7, validators=[MinValueValidator(1), MaxValueValidator(28)],
        help_text="What a buyer does within so many days of the first list counts; a buyer is judged after them.",
    )  # fmt: skip
    smallest_lift = models.PositiveSmallIntegerField(
        "lift to find (%)", default=10, db_default=10, validators=[MinValueValidator(1), MaxValueValidator(200)],
        help_text="The smallest difference that matters; smaller ones take longer, by the square.",
    )  # fmt: skip
    stops_harmful = models.BooleanField(
        "stop what harms", default=True, db_default=True,
        help_text="A variant with surely fewer clicks or contacts, or more dismissals, goes back to the usual lists.",
    )  # fmt: skip
    starts_at = models.DateTimeField("starts", null=True, blank=True, help_text="Of a scheduled one.")
    ends_at = models.DateTimeField("ends", null=True, blank=True, help_text="Empty: until it is stopped.")
    started_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    stop_reason = models.CharField(max_length=300, blank=True, default="", db_default="")
    stopped_arms = models.JSONField(
        default=dict, db_default=models.Value({}, models.JSONField()), blank=True,
        help_text="Variants that were stopped for harm: when and why.",
    )  # fmt: skip
    planned_buyers = models.PositiveIntegerField(
        null=True, blank=True, help_text="For which intervals are narrowest; fixed at the start, as they require."
    )
    measured_at = models.DateTimeField(null=True, blank=True)
    measured = models.JSONField(
        default=dict, db_default=models.Value({}, models.JSONField()), blank=True,
        help_text="Sums over buyers by variant, day and segment; no buyer is named.",
    )  # fmt: skip

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["placement"], condition=models.Q(status="running"), name="one_running_experiment_per_placement"
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    def clean(self) -> None:
        """Refuse times that do not follow each other."""
        if self.status == self.Status.SCHEDULED and self.starts_at is None:
            raise ValidationError({"starts_at": "Say when a scheduled experiment starts."})
        if self.ends_at and self.starts_at and self.ends_at <= self.starts_at:
            raise ValidationError({"ends_at": "Ends before it starts."})

    @property
    def is_open(self) -> bool:
        """Whether its variants may still be changed: what was measured of others says nothing of them."""
        return self.status in (self.Status.DRAFT, self.Status.SCHEDULED)

    @property
    def is_interleaved(self) -> bool:
        return self.mode == self.Mode.INTERLEAVED

    @property
    def control_arm(self) -> str:
        """What others are compared with: the variant named so, else one without rules of its own, else the first."""
        if self.control in self.variants:
            return self.control
        plain = [name for name, variant in sorted(self.variants.items()) if not variant.get("overrides")]
        arm: str = (plain or sorted(self.variants) or [""])[0]
        return arm

    @property
    def other_arms(self) -> list[str]:
        return [name for name in sorted(self.variants) if name != self.control_arm]

    @property
    def shares(self) -> dict[str, float]:
        """Variant -> share of the buyers who take part; they add up to one."""
        whole = sum(variant["share"] for variant in self.variants.values())
        return {name: variant["share"] / whole for name, variant in self.variants.items()} if whole else {}

    @property
    def version_ids(self) -> set[int]:
        """Ranker versions that its variants name."""
        return {variant["version"] for variant in self.variants.values() if variant.get("version")}

    def stopped_at_of(self, arm: str) -> datetime | None:
        """When an arm was stopped for harm."""
        stopped: dict[str, Any] = self.stopped_arms.get(arm, {})
        return datetime.fromisoformat(stopped["at"]) if stopped else None
