"""Merge the history of a guest into the buyer they logged in as."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Exists, Manager, OuterRef

from accounts.models import Buyer
from recommendations.events.bots import take_over_mark
from recommendations.models import (
    BuyerSeller,
    Impression,
    Interaction,
    Preference,
    SavedSearch,
    ServedList,
    ShownAgain,
    WaitingEvent,
)


@transaction.atomic
def take_over_history(*, guest: Buyer, into: Buyer) -> None:
    """Give a guest's log to the buyer they logged in as; preferences are computed again.

    Events keep their sender, so that ids that both have used stay apart.
    """
    for model in (Interaction, WaitingEvent, Impression, ServedList, SavedSearch):
        model._default_manager.filter(buyer=guest).update(buyer=into)
    _take_over(BuyerSeller.objects, guest, into, "relation", "seller_external_id")
    _take_over(ShownAgain.objects, guest, into, "listing_id")
    Preference.objects.filter(buyer=guest).delete()
    take_over_mark(guest, into)


def _take_over(rows: Manager[Any], guest: Buyer, into: Buyer, *names: str) -> None:
    """Move rows of which a buyer has one for each value of ``names``; existing rows of the buyer are kept."""
    own = rows.filter(buyer=into, **{name: OuterRef(name) for name in names})
    rows.filter(Exists(own), buyer=guest).delete()
    rows.filter(buyer=guest).update(buyer=into)
