"""Where events go, what was sent, and how it went."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from webhooks.kinds import Kind


def new_message_id() -> str:
    return f"msg_{uuid.uuid4().hex}"


class Endpoint(models.Model):
    """A server that wants to hear of events."""

    name = models.CharField(max_length=100, unique=True, help_text="Whose server it is, and for what.")
    url = models.URLField(
        "URL", max_length=500, help_text="Where events are posted to. https, and no redirects: they are not followed."
    )
    events = ArrayField(
        models.CharField(max_length=40, choices=Kind.choices), help_text="What it hears of; nothing else is sent."
    )
    is_enabled = models.BooleanField(
        "enabled", default=True, help_text="Off: nothing new is sent to it, and what waits goes on waiting."
    )
    sealed_secret = models.BinaryField(default=b"", editable=False)
    sealed_former_secret = models.BinaryField(default=b"", editable=False)
    former_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Until then the secret before signs too."
    )
    failures = models.PositiveIntegerField(
        default=0, editable=False, help_text="Times in a row that it did not answer at all."
    )
    paused_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="It did not answer, and is not asked before."
    )
    busy_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="A worker delivers to it, and has it until then at most."
    )
    ended_because = models.CharField(
        max_length=200, blank=True, default="", editable=False, help_text="Why it was switched off by itself."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = "webhook endpoint"

    def __str__(self) -> str:
        return self.name


class Message(models.Model):
    """One event as it is sent: the same id and the same body at each attempt, and to each endpoint."""

    id = models.CharField(primary_key=True, max_length=40, default=new_message_id)
    kind = models.CharField(max_length=40)
    body = models.TextField()
    # A number and no key: this app lies below that of the buyers, which removes what is about one who is erased.
    about_buyer = models.BigIntegerField(null=True, blank=True, help_text="The buyer whom it concerns.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "webhook message"
        indexes = [
            # what is old enough to be swept
            models.Index(fields=["created_at"], name="webhook_oldest"),
            # what is about one person: erasure and merges
            models.Index(
                fields=["about_buyer"], name="webhook_about_buyer", condition=models.Q(about_buyer__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Delivery(models.Model):
    """A message on its way to one endpoint: the outbox."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        DEAD = "dead", "Dead letter"

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="deliveries")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    last_status = models.PositiveSmallIntegerField(
        "last answer", null=True, blank=True, help_text="The status of its last answer, if there was one."
    )
    last_error = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ["-id"]
        verbose_name = "webhook delivery"
        verbose_name_plural = "webhook deliveries"
        constraints = [models.UniqueConstraint(fields=["message", "endpoint"], name="webhook_once_per_endpoint")]
        indexes = [
            # what is to be tried next at an endpoint, in the order it was written
            models.Index(fields=["endpoint", "id"], name="webhook_waiting", condition=models.Q(status="waiting")),
            # the dead letters
            models.Index(fields=["id"], name="webhook_dead", condition=models.Q(status="dead")),
        ]

    def __str__(self) -> str:
        return f"{self.message_id} to {self.endpoint}"
