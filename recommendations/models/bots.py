"""Buyers who are programs, as far as a detector or an operator decided."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.models import Buyer, User


class BotMark(models.Model):
    """That a buyer is a bot, or that an operator found they are none. Their events stay in the log either way.

    A row that an operator decided is left alone by the detector; without a row a buyer counts as a person.
    """

    class Reason(models.TextChoices):
        BURST = "burst", "More cars in a minute than people open"
        NO_COOKIE = "no_cookie", "A new guest with every request"
        DECLARED = "declared", "Declares itself a program"
        OPERATOR = "operator", "Decided by an operator"

    buyer = models.OneToOneField(Buyer, on_delete=models.CASCADE, primary_key=True, related_name="bot_mark")
    is_bot = models.BooleanField(
        default=True, help_text="Off: an operator found that this is a person, whatever the detector would say."
    )
    reason = models.CharField(max_length=10, choices=Reason.choices)
    detail = models.CharField(max_length=200, blank=True, help_text="What was seen.")
    decided_at = models.DateTimeField(default=timezone.now)
    is_by_operator = models.BooleanField(default=False)
    decided_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ["-decided_at"]
        indexes = [
            # who is left out of learning, demand and figures
            models.Index(fields=["buyer"], name="bots_left_out", condition=models.Q(is_bot=True)),
        ]

    def __str__(self) -> str:
        return f"{self.buyer}: {'bot' if self.is_bot else 'no bot'}"


def is_person(buyer: str) -> str:
    """SQL: whether the buyer in a column is no bot; true where there is none. ``buyer`` is a column, never a value."""
    return f"NOT EXISTS (SELECT FROM recommendations_botmark bot WHERE bot.buyer_id = {buyer} AND bot.is_bot)"
