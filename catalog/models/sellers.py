"""Sellers, and the keys by which sources know them."""

from django.db import models
from django.utils.translation import gettext_noop

from accounts.models import User


class Seller(models.Model):
    class Kind(models.TextChoices):
        DEALER = "dealer", gettext_noop("Dealer")
        PRIVATE = "private", gettext_noop("Private")

    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.DEALER)
    external_id = models.CharField(max_length=255, unique=True, null=True, blank=True)
    user = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="sellers",
        help_text="The account behind the seller; no buyer is recommended a car of their own.",
    )  # fmt: skip
    place = models.CharField(max_length=120, blank=True)
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class SellerKey(models.Model):
    """Another way to know a seller: the id that a second source has for them, or a key of ``imports.dealers``.

    Those begin with “=”, which no source's name does.
    """

    seller = models.ForeignKey(Seller, on_delete=models.CASCADE, related_name="keys")
    key = models.CharField(max_length=255, unique=True)

    class Meta:
        ordering = ["seller", "key"]

    def __str__(self) -> str:
        return self.key
