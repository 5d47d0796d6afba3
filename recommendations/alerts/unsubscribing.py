"""Links that end alerts without a login: signed, for one buyer, and for one saved search or all of them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.urls import reverse

from accounts.models import Buyer
from recommendations.models import AlertSettings, CarAlert, SavedSearch

SALT = "recommendations.alerts.unsubscribe"


class LinkRefused(Exception):
    """The link is not one of ours, or its subscription was removed."""


@dataclass(frozen=True)
class Subscription:
    """The alerts that a link ends: those of one saved search, or (None) all of the buyer."""

    buyer: Buyer
    search: SavedSearch | None


def unsubscribe_url(buyer: Buyer, search_id: int | None = None) -> str:
    """Return the link, with the site's address where it is known (PUBLIC_URL), else the path. It does not expire."""
    token = signing.dumps([buyer.pk, search_id], salt=SALT, compress=False)
    return urljoin(settings.PUBLIC_URL, reverse("alert-unsubscribe", args=[token]))


def subscription_of(token: str) -> Subscription:
    """Return the subscription of a link; for a merged buyer, that of the other one. Raises LinkRefused."""
    try:
        buyer_id, search_id = signing.loads(token, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        raise LinkRefused from None
    buyer = Buyer.objects.select_related("merged_into").filter(pk=buyer_id).first()
    if buyer is None:
        raise LinkRefused
    buyer = buyer.merged_into or buyer
    if search_id is None:
        return Subscription(buyer, None)
    search = SavedSearch.objects.filter(pk=search_id, buyer=buyer).first()
    if search is None:
        raise LinkRefused
    return Subscription(buyer, search)


@transaction.atomic
def unsubscribe(subscription: Subscription) -> None:
    """End the alerts, also those that wait; safe to repeat."""
    if subscription.search is None:
        AlertSettings.objects.update_or_create(buyer=subscription.buyer, defaults={"is_enabled": False})
        CarAlert.objects.filter(buyer=subscription.buyer, status=CarAlert.Status.WAITING).delete()
    else:
        SavedSearch.objects.filter(pk=subscription.search.pk).update(is_alerting=False)
        CarAlert.objects.filter(search=subscription.search, status=CarAlert.Status.WAITING).delete()
