"""Exclusions that a client asked for: own sellers, blocked sellers, hidden cars; all can be undone.

``exclusions`` reads it for each list.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts.models import Buyer
from catalog.models import Listing
from recommendations.buyers.exclusions import same_cars
from recommendations.events.recording import Event, record_interactions
from recommendations.models import BuyerSeller, Interaction, ShownAgain

HIDE = "hide"  # the kind of event by which a client hides a car
Relation = BuyerSeller.Relation


def sellers_related_to(buyer: Buyer, relation: str) -> QuerySet[BuyerSeller]:
    """Oldest first."""
    return BuyerSeller.objects.filter(buyer=buyer, relation=relation).order_by("created_at", "id")


@transaction.atomic
def set_sellers(*, buyer: Buyer, relation: str, sellers: Iterable[str]) -> None:
    """Make these, and no others, the sellers of a relation; ``sellers`` as they are stored (``source/id``)."""
    wanted = list(dict.fromkeys(sellers))
    BuyerSeller.objects.filter(buyer=buyer, relation=relation).exclude(seller_external_id__in=wanted).delete()
    for seller in wanted:
        add_seller(buyer=buyer, relation=relation, seller=seller)


def add_seller(*, buyer: Buyer, relation: str, seller: str) -> bool:
    """Whether it is new."""
    _, is_new = BuyerSeller.objects.get_or_create(buyer=buyer, relation=relation, seller_external_id=seller)
    return is_new


def remove_seller(*, buyer: Buyer, relation: str, seller: str) -> bool:
    """Whether there was one."""
    n_removed, _ = BuyerSeller.objects.filter(buyer=buyer, relation=relation, seller_external_id=seller).delete()
    return n_removed > 0


def hidden_listings(buyer: Buyer) -> QuerySet[Interaction]:
    """The dismissals of a buyer that hold, newest first, each with its listing."""
    taken_back = ShownAgain.objects.filter(
        buyer=OuterRef("buyer"), listing=OuterRef("listing"), at__gte=OuterRef("received_at")
    )
    dismissals = Interaction.objects.filter(buyer=buyer, kind__is_dismissal=True, listing__isnull=False)
    return dismissals.exclude(Exists(taken_back)).order_by("-received_at", "-id")


def hide_listing(*, buyer: Buyer, listing: Listing) -> bool:
    """Keep a car out of a buyer's lists, as an event of theirs; whether it was not hidden already."""
    if hidden_listings(buyer).filter(listing__in=same_cars([listing.pk])).exists():
        return False
    record_interactions(buyer=buyer, events=[Event(kind=HIDE, listing_id=listing.pk)])
    return True


@transaction.atomic
def show_listing_again(*, buyer: Buyer, listing: Listing) -> bool:
    """Take back what hides a car from a buyer, whichever advertisement of it was meant; whether it was hidden."""
    dismissed = hidden_listings(buyer).filter(listing__in=same_cars([listing.pk]))
    listing_ids = sorted(set(dismissed.order_by().values_list("listing_id", flat=True)))
    for listing_id in listing_ids:
        ShownAgain.objects.update_or_create(buyer=buyer, listing_id=listing_id, defaults={"at": timezone.now()})
    return bool(listing_ids)
