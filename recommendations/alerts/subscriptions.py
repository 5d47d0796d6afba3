"""What buyers ask of alerts: searches to be saved, and how messages are to come; and what merging two buyers does."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from accounts.models import Buyer
from catalog.filters import ListingFilters
from recommendations.models import AlertMessage, AlertSettings, CarAlert, SavedSearch
from webhooks.publishing import reassign_buyer

SEARCHES_AT_MOST = 100  # of one buyer


class TooManySearches(Exception):
    """``str()`` says how many are allowed."""


@transaction.atomic
def save_search(*, buyer: Buyer, filters: ListingFilters, name: str, is_alerting: bool) -> tuple[SavedSearch, bool]:
    """The saved search, and whether it is new: one that asks the same is changed. Raises TooManySearches."""
    Buyer.objects.select_for_update(of=("self",)).get(
        pk=buyer.pk
    )  # of two who save the same the second finds the first
    query, searches = filters.as_query(), SavedSearch.objects.filter(buyer=buyer)
    search = searches.filter(query=query).first()
    if search is not None:
        search.name, search.is_alerting = name or search.name, is_alerting
        search.save(update_fields=["name", "is_alerting"])
        return search, False
    if searches.count() >= SEARCHES_AT_MOST:
        raise TooManySearches(_("At most %(most)d searches can be saved.") % {"most": SEARCHES_AT_MOST})
    made = SavedSearch.objects.create(buyer=buyer, name=name or _("Saved search"), query=query, is_alerting=is_alerting)
    return made, True


@transaction.atomic
def save_alert_settings(*, buyer: Buyer, **changed: Any) -> AlertSettings:
    """Change some of them; who ends alerts gets nothing of what waits."""
    chosen, _is_new = AlertSettings.objects.update_or_create(buyer=buyer, defaults=changed)
    if not chosen.is_enabled:
        CarAlert.objects.filter(buyer=buyer, status=CarAlert.Status.WAITING).delete()
    return chosen


def take_over_alerts(*, guest: Buyer, into: Buyer) -> None:
    """Two buyers are one: a car that either got is not sent again, and who unsubscribed stays so. In a transaction."""
    own = CarAlert.objects.filter(buyer=into, car=OuterRef("car"))
    CarAlert.objects.filter(Exists(own), buyer=guest).delete()
    CarAlert.objects.filter(buyer=guest).update(buyer=into)
    AlertMessage.objects.filter(buyer=guest).update(buyer=into)
    chosen = AlertSettings.objects.filter(buyer=guest).first()
    if chosen and not AlertSettings.objects.filter(buyer=into).exists():
        AlertSettings.objects.filter(pk=chosen.pk).update(buyer=into)
    elif chosen:
        if not chosen.is_enabled:
            AlertSettings.objects.filter(buyer=into).update(is_enabled=False)
        chosen.delete()
    reassign_buyer(guest.pk, into.pk)
