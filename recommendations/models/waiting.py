"""Events whose car is not known yet."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.models import Buyer


class WaitingEvent(models.Model):
    """An event that came before its listing. It is in the log once a listing has the id; until then it counts nowhere.

    The columns are those of ``Interaction``, as they were sent.
    """

    event_id = models.CharField(max_length=64)
    sender = models.CharField(max_length=32)
    content_digest = models.BigIntegerField(editable=False)
    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, related_name="waiting_events")
    kind = models.ForeignKey("recommendations.EventKind", on_delete=models.PROTECT, related_name="waiting_events")
    source = models.CharField(max_length=80, help_text="Whose id of the car it names.")
    external_id = models.CharField(max_length=255, help_text="The id of the car that is yet to come.")
    query = models.JSONField(null=True, blank=True)
    occurred_at = models.DateTimeField(null=True, blank=True, help_text="Empty: when it was received.")
    received_at = models.DateTimeField(default=timezone.now)
    served_list_id = models.UUIDField(null=True, blank=True, help_text="The list it names.")
    position = models.PositiveSmallIntegerField(null=True, blank=True)
    dwell_seconds = models.FloatField(null=True, blank=True)
    value = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)

    class Meta:
        ordering = ["-received_at", "-id"]
        constraints = [
            # an event sent again; also counts what waits of a sender
            models.UniqueConstraint(fields=["sender", "event_id"], name="waiting_event_id_of_sender"),
        ]
        indexes = [
            # what waits for a listing that has come
            models.Index(fields=["source", "external_id"], name="waiting_for_listing"),
            # what has waited too long
            models.Index(fields=["received_at"], name="waiting_longest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind_id} of {self.source} {self.external_id}"
