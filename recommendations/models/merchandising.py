"""Merchandising rules: what an operator wants lists to do whatever was learned, and how each rule was changed."""

from __future__ import annotations

from datetime import time
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from accounts.models import User
from catalog.models import Listing, Seller
from console.formats import stamp

PERCENT = [MinValueValidator(0), MaxValueValidator(100)]


class MerchandisingRule(models.Model):
    """Pin, boost, bury, hide or cap the cars that match a target, in some lists, for some time, for some buyers.

    Rows are switched off and never removed, because the record of served lists names them.
    """

    class Action(models.TextChoices):
        HIDE = "hide", "Hide"
        PIN = "pin", "Pin to a rank"
        CAP = "cap", "Cap the share"
        BOOST = "boost", "Boost"
        BURY = "bury", "Bury"

    class Audience(models.TextChoices):
        ALL = "all", "All buyers"
        COLD = "cold", "New visitors"
        INTERESTED = "interested", "Buyers with an interest"

    name = models.CharField(max_length=60, unique=True, help_text="As explanations name it: “boosted by rule …”.")
    is_active = models.BooleanField(
        "on", default=False, help_text="Lists follow it from the next second on. Preview it first."
    )
    action = models.CharField(max_length=10, choices=Action.choices, help_text="What happens to the cars it is about.")
    position = models.PositiveSmallIntegerField(
        "rank", null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="Pin: where in the list; 1 is the top.",
    )  # fmt: skip
    n_pinned = models.PositiveSmallIntegerField(
        "cars", default=1, validators=[MinValueValidator(1), MaxValueValidator(50)],
        help_text="Pin: how many, from that rank on; those that suit the buyer best.",
    )  # fmt: skip
    strength = models.PositiveSmallIntegerField(
        "strength (%)", null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="Boost: so many percent better odds of being chosen than without it. Bury: worse, below 100.",
    )  # fmt: skip
    share = models.PositiveSmallIntegerField(
        "share (%)", null=True, blank=True, validators=PERCENT,
        help_text="Cap: at most so much of a list, as long as there are other cars to fill it with.",
    )  # fmt: skip
    target = models.JSONField(default=dict, blank=True, help_text="Filters, with the names of a search.")
    sellers = models.ManyToManyField(
        Seller,
        blank=True,
        db_constraint=False,
        related_name="merchandising_rules",
        help_text="Cars of these sellers; empty: of any.",
    )
    listings = models.ManyToManyField(
        Listing,
        blank=True,
        db_constraint=False,
        related_name="merchandising_rules",
        help_text="These cars only; empty: any.",
    )
    placements = models.ManyToManyField(
        "recommendations.Placement", blank=True, related_name="merchandising_rules",
        help_text="In these lists; empty: everywhere. Hiding everywhere includes similar cars.",
    )  # fmt: skip
    starts_at = models.DateTimeField("from", null=True, blank=True, help_text="Empty: from now on.")
    ends_at = models.DateTimeField("until", null=True, blank=True, help_text="Empty: until it is switched off.")
    from_time = models.TimeField(
        "each day from", null=True, blank=True, help_text="In the time of the site. Later than the end: over midnight."
    )
    until_time = models.TimeField("each day until", null=True, blank=True)
    audience = models.CharField("for whom", max_length=10, choices=Audience.choices, default=Audience.ALL)
    interest = models.JSONField(
        default=dict, blank=True, help_text="Cars like these are among those that the buyer dealt with lately."
    )
    is_promoted = models.BooleanField(
        "paid for", default=False, help_text="Its cars are labelled as promoted in the answers, as the law wants it."
    )
    priority = models.PositiveSmallIntegerField(
        default=100, help_text="Where two rules want the same rank, the lower number has it; then the older rule."
    )
    holdout = models.PositiveSmallIntegerField(
        "holdout (%)", default=0, validators=[MaxValueValidator(50)],
        help_text="So many of the buyers, always the same ones, go without it, so that its effect can be measured.",
    )  # fmt: skip
    note = models.TextField(blank=True, help_text="Why; for colleagues.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["priority", "id"]
        verbose_name = "merchandising rule"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at=None)
                | models.Q(starts_at=None)
                | models.Q(ends_at__gt=models.F("starts_at")),
                name="merchandising_ends_after_it_starts",
            ),
            models.CheckConstraint(
                condition=~models.Q(action="pin") | models.Q(position__gte=1), name="merchandising_pin_has_a_rank"
            ),
            models.CheckConstraint(
                condition=~models.Q(action__in=["boost", "bury"]) | models.Q(strength__gte=1),
                name="merchandising_boost_has_a_strength",
            ),
            models.CheckConstraint(
                condition=~models.Q(action="cap") | models.Q(share__isnull=False), name="merchandising_cap_has_a_share"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse what an action cannot work with, each beside its field."""
        problems = {name: message for name, is_wrong, message in self._checks() if is_wrong}
        if problems:
            raise ValidationError(problems)

    def _checks(self) -> list[tuple[str, bool, str]]:
        action, is_moving = self.action, self.action in (self.Action.BOOST, self.Action.BURY)
        return [
            ("position", action == self.Action.PIN and not self.position, "Say to which rank."),
            ("strength", is_moving and not self.strength, "Say how strongly."),
            (
                "strength",
                action == self.Action.BURY and (self.strength or 0) > 99,
                "At most 99; hide the cars to show none.",
            ),
            ("share", action == self.Action.CAP and self.share is None, "Say how much of a list at most."),
            (
                "ends_at",
                bool(self.starts_at and self.ends_at and self.ends_at <= self.starts_at),
                "Ends before it starts.",
            ),
            ("until_time", (self.from_time is None) != (self.until_time is None), "Give both times, or neither."),
            (
                "until_time",
                self.from_time is not None and self.from_time == self.until_time,
                "The same as the start; leave both out for the whole day.",
            ),
        ]  # fmt: skip

    @property
    def hours(self) -> tuple[time, time] | None:
        return (self.from_time, self.until_time) if self.from_time and self.until_time else None


def _keep_named(field: str, model: str, on_delete: Any) -> None:
    """Say what becomes of the names in a rule when a row that it names is removed; Django has no option for it.

    Without a name a rule would be about every car, or about every list.
    """
    through = getattr(MerchandisingRule, field).through
    through._meta.get_field(model).remote_field.on_delete = on_delete


# A car or seller that is gone stays named, without a constraint: the rule is about no car. A named placement cannot go.
_keep_named("sellers", "seller", models.DO_NOTHING)
_keep_named("listings", "listing", models.DO_NOTHING)
_keep_named("placements", "placement", models.PROTECT)


class MerchandisingChange(models.Model):
    """One change of a rule with both sides, so that it can be taken back; the audit log says the same in words."""

    rule = models.ForeignKey(MerchandisingRule, on_delete=models.CASCADE, related_name="changes")
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    before: Any = models.JSONField(null=True, help_text="Empty for a new rule.")
    after: Any = models.JSONField()
    is_undone = models.BooleanField(default=False)

    class Meta:
        ordering = ["-id"]
        verbose_name = "change of a merchandising rule"
        verbose_name_plural = "changes of merchandising rules"

    def __str__(self) -> str:
        return f"{self.rule} at {stamp(self.at)}"
