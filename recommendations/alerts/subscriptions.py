"""Saved searches and alert settings of buyers, and their merge when two buyers are merged."""

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
    """A buyer has as many saved searches as are allowed; ``str()`` names the number."""


@transaction.atomic
def save_search(*, buyer: Buyer, filters: ListingFilters, name: str, is_alerting: bool) -> tuple[SavedSearch, bool]:
    """Return the saved search, and whether it is new: one with the same filters is changed. Raises TooManySearches."""
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
    """Change some of the settings; when alerts are switched off, waiting ones are dropped."""
    chosen, _is_new = AlertSettings.objects.update_or_create(buyer=buyer, defaults=changed)
    if not chosen.is_enabled:
        CarAlert.objects.filter(buyer=buyer, status=CarAlert.Status.WAITING).delete()
    return chosen


def take_over_alerts(*, guest: Buyer, into: Buyer) -> None:
    """Merge alerts of two buyers: no car is sent again, and unsubscribing is kept. Call it in a transaction."""
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
