"""What the catalogue knows of a person: what they sell. Exported on request, removed on erasure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver
from django.utils import timezone

from accounts.models import Buyer
from accounts.signals import person_erased, person_exported
from catalog.models import Listing, Seller

NAMELESS = "Private seller"
LISTING = ("id", "external_id", "source", "url", "name", "status")
OPEN = (Listing.Status.DRAFT, Listing.Status.LIVE, Listing.Status.RESERVED)


@receiver(person_erased, dispatch_uid="catalog.forget_private_sellers")
def erase_private_sellers(sender: Any, buyer: Buyer, **kwargs: Any) -> None:
    """A private seller becomes anonymous, and their open listings are withdrawn; a company outlives an account."""
    if buyer.user_id is None:
        return
    sellers = Seller.objects.filter(user=buyer.user_id, kind=Seller.Kind.PRIVATE)
    Listing.objects.filter(seller__in=sellers, status__in=OPEN).update(
        status=Listing.Status.WITHDRAWN, ended_at=timezone.now()
    )
    Listing.objects.filter(seller__in=sellers).update(description="", place="", latitude=None, longitude=None)
    sellers.update(name=NAMELESS, external_id=None, place="", latitude=None, longitude=None, user=None)


@receiver(person_exported, dispatch_uid="catalog.tell_of_sellers")
def export_sellers(sender: Any, buyers: Sequence[Buyer], **kwargs: Any) -> dict[str, Any]:
    users = [buyer.user_id for buyer in buyers if buyer.user_id]
    return {
        "sellers": [
            {
                **{name: getattr(seller, name) for name in ("name", "kind", "external_id", "place")},
                "listings": [
                    {name: getattr(listing, name) for name in LISTING}
                    for listing in Listing.objects.with_card_data().filter(seller=seller).order_by("pk")
                ],
            }
            for seller in Seller.objects.filter(user__in=users).order_by("pk")
        ]
    }
