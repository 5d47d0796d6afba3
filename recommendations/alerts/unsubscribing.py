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
    """The link is none of ours, or what it ends is gone."""


@dataclass(frozen=True)
class Subscription:
    """What a link ends: the alerts of one saved search, or (None) all alerts of the buyer."""

    buyer: Buyer
    search: SavedSearch | None


def unsubscribe_url(buyer: Buyer, search_id: int | None = None) -> str:
    """With the site's address where that is known (PUBLIC_URL), else the path alone. It does not run out."""
    token = signing.dumps([buyer.pk, search_id], salt=SALT, compress=False)
    return urljoin(settings.PUBLIC_URL, reverse("alert-unsubscribe", args=[token]))


def subscription_of(token: str) -> Subscription:
    """Raises LinkRefused. A buyer who was merged into another is that one by now."""
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
    """From now on; safe to repeat. What waits for the buyer is not sent."""
    if subscription.search is None:
        AlertSettings.objects.update_or_create(buyer=subscription.buyer, defaults={"is_enabled": False})
        CarAlert.objects.filter(buyer=subscription.buyer, status=CarAlert.Status.WAITING).delete()
    else:
        SavedSearch.objects.filter(pk=subscription.search.pk).update(is_alerting=False)
        CarAlert.objects.filter(search=subscription.search, status=CarAlert.Status.WAITING).delete()
