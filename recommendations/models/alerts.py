"""Alerts: how a buyer wants them, which cars wait or were sent, and the messages."""

from __future__ import annotations

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from accounts.models import Buyer
from catalog.models import Listing

HOUR = [MinValueValidator(0), MaxValueValidator(23)]


class AlertSettings(models.Model):
    """How a buyer wants alerts; a buyer without a row has the defaults, and empty fields mean those of the site."""

    class Frequency(models.TextChoices):
        INSTANT = "instant", "As cars come, several in one message where they come together"
        DAILY = "daily", "Once a day, in one message"

    buyer = models.OneToOneField(Buyer, on_delete=models.CASCADE, related_name="alert_settings")
    is_enabled = models.BooleanField("enabled", default=True, help_text="Off: the buyer unsubscribed from all alerts.")
    frequency = models.CharField(max_length=10, choices=Frequency.choices, default=Frequency.INSTANT)
    per_day = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Messages within 24 hours at most; empty: ALERTS_PER_DAY.",
    )  # fmt: skip
    time_zone = models.CharField(max_length=40, blank=True, default="", help_text="Empty: ALERT_TIME_ZONE.")
    quiet_from = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=HOUR, help_text="The hour, 0 to 23, at which quiet hours begin."
    )
    quiet_until = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=HOUR,
        help_text="The hour at which they end. Both empty: ALERT_QUIET_HOURS; both the same: none.",
    )  # fmt: skip

    class Meta:
        verbose_name = "alert settings"
        verbose_name_plural = "alert settings"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(quiet_from=None, quiet_until=None)
                | models.Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="quiet_hours_have_both_ends",
            )
        ]

    def __str__(self) -> str:
        return f"alerts of {self.buyer}"


class AlertMessage(models.Model):
    """One message to one buyer: as a webhook, by e-mail, or both."""

    class Mail(models.TextChoices):
        NONE = "", "Not by e-mail"
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        FAILED = "failed", "Given up"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, related_name="alert_messages")
    created_at = models.DateTimeField(default=timezone.now)
    n_cars = models.PositiveSmallIntegerField("cars")
    webhook_id = models.CharField(
        max_length=40, blank=True, default="", help_text="Of the webhook message; empty where no endpoint asks for it."
    )
    mail = models.CharField("e-mail", max_length=10, choices=Mail.choices, blank=True, default=Mail.NONE)
    mail_attempts = models.PositiveSmallIntegerField(default=0)
    mail_next_at = models.DateTimeField(null=True, blank=True)
    mail_error = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            # what a buyer got lately: frequency caps
            models.Index(fields=["buyer", "-created_at"], name="alerts_of_buyer"),
            # the newest in the admin, and what is old enough to be swept
            models.Index(fields=["-created_at"], name="alerts_newest"),
            # e-mail that is due
            models.Index(fields=["mail_next_at"], name="alert_mail_due", condition=models.Q(mail="waiting")),
        ]

    def __str__(self) -> str:
        return f"{self.n_cars} cars for {self.buyer}"


class CarAlert(models.Model):
    """A car that matches a buyer's saved searches: one row for a buyer and a car, whichever listings advertise it.

    What was sent stays, so that the same car is sent again only when it is cheaper than it was then.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        PASSED_OVER = "passed_over", "Passed over: others suited the buyer better"

    class Reason(models.TextChoices):
        NEW = "new", "New"
        CHEAPER = "cheaper", "Cheaper"

    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, related_name="car_alerts")
    search = models.ForeignKey("SavedSearch", on_delete=models.CASCADE, related_name="car_alerts")
    listing = models.ForeignKey(Listing, on_delete=models.CASCADE, related_name="car_alerts")
    message = models.ForeignKey(AlertMessage, on_delete=models.SET_NULL, null=True, blank=True, related_name="cars")
    car = models.CharField(max_length=80, help_text="The car's key, or the listing's id after # where it has none.")
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.WAITING)
    reason = models.CharField(max_length=10, choices=Reason.choices)
    price = models.FloatField(null=True, help_text="In the market's currency, when it was found or sent.")
    rank = models.PositiveSmallIntegerField(null=True, blank=True, help_text="In its message; 1 is the top.")
    found_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["buyer", "car"], name="one_alert_per_buyer_and_car")]
        indexes = [
            # what waits for a buyer, and whose waits
            models.Index(fields=["buyer"], name="alert_waiting", condition=models.Q(status="waiting")),
            # what is old enough to be swept
            models.Index(fields=["found_at"], name="alert_oldest"),
        ]

    def __str__(self) -> str:
        return f"{self.get_reason_display()}: {self.car}"
