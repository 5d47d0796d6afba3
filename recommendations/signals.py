"""Signal receivers: they enqueue tasks after commit for what has become stale, and compute nothing themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.apps import AppConfig
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_migrate, post_save
from django.dispatch import receiver
from django.utils import timezone

from accounts.models import Buyer
from accounts.roles import install_roles
from accounts.signals import buyers_merged, person_erased, person_exported
from catalog.models import Listing, ListingNews
from catalog.news import listings_in_the_news
from catalog.signals import listings_stored, odd_prices_asked
from jobs.queue import enqueue_on_commit, enqueue_once_on_commit
from recommendations.alerts.noting import note_matches
from recommendations.alerts.subscriptions import take_over_alerts
from recommendations.buyers.privacy import personal_data_of
from recommendations.events import waiting
from recommendations.events.merging import take_over_history
from recommendations.events.signals import events_recorded, ranker_promoted
from recommendations.listings.odd_prices import oddly_priced
from recommendations.merchandising.rules import forget_rules
from recommendations.models import Interaction, MerchandisingRule
from webhooks.kinds import Kind
from webhooks.publishing import Event, forget_buyers, publish

LISTINGS_PER_TASK = 5000


@receiver(events_recorded, dispatch_uid="recommendations.events_recorded")
def refresh_after_events(sender: Any, buyer_ids: Collection[int], **kwargs: Any) -> None:
    """Refresh the preferences of buyers with new events: one task a buyer, however many events come at once."""
    for buyer_id in buyer_ids:
        enqueue_once_on_commit("recommendations.refresh_preferences", buyer_id)


@receiver(post_save, sender=Interaction, dispatch_uid="recommendations.interaction_saved")
def refresh_after_interaction(sender: Any, instance: Interaction, created: bool, raw: bool, **kwargs: Any) -> None:
    """The same for an event that was saved outside of ``events.recording``."""
    if created and not raw:
        enqueue_once_on_commit("recommendations.refresh_preferences", instance.buyer_id)


@receiver(ranker_promoted, dispatch_uid="recommendations.ranker_promoted")
def renew_after_promotion(sender: Any, version_id: int, **kwargs: Any) -> None:
    """Compute preferences under a new version in the background, before most buyers' next list does."""
    enqueue_on_commit("recommendations.renew_preferences", version_id)
    publish([Event(kind=Kind.VERSION_PROMOTED, data={"version": version_id})])


@receiver(post_save, sender=Listing, dispatch_uid="recommendations.listing_awaited")
def record_after_save(sender: Any, instance: Listing, created: bool, raw: bool, **kwargs: Any) -> None:
    """Move events that waited for a new listing to the log after its commit, in this process: no worker is needed."""
    if created and not raw and instance.external_id is not None:
        transaction.on_commit(lambda: waiting.release_for([instance.pk]), robust=True)


@receiver(listings_stored, dispatch_uid="recommendations.listings_awaited")
def record_after_import(sender: Any, listing_ids: Sequence[int], **kwargs: Any) -> None:
    """The same for listings stored in bulk; the signal is sent after their commit."""
    waiting.release_for(listing_ids)


@receiver(post_save, sender=Listing, dispatch_uid="recommendations.listing_saved")
def embed_after_save(
    sender: Any, instance: Listing, raw: bool, update_fields: Collection[str] | None, **kwargs: Any
) -> None:
    """A new or changed listing needs a vector; the task finds out whether its features have changed at all."""
    if not raw and instance.status != Listing.Status.DRAFT:
        enqueue_on_commit("recommendations.embed_listings", [instance.pk])


@receiver(listings_stored, dispatch_uid="recommendations.listings_stored")
def embed_after_import(sender: Any, listing_ids: Sequence[int], **kwargs: Any) -> None:
    """The same for listings stored in bulk, which sends no ``post_save``."""
    for start in range(0, len(listing_ids), LISTINGS_PER_TASK):
        enqueue_on_commit("recommendations.embed_listings", list(listing_ids[start : start + LISTINGS_PER_TASK]))


@receiver([post_save, post_delete], sender=MerchandisingRule, dispatch_uid="recommendations.rule_changed")
def follow_changed_rule(sender: Any, **kwargs: Any) -> None:
    """The next list of this process follows a changed rule; other processes read it within a second."""
    forget_rules()


def follow_changed_target(sender: Any, **kwargs: Any) -> None:
    """The same where sellers, listings or placements of a rule were changed."""
    forget_rules()


for relation in (MerchandisingRule.sellers, MerchandisingRule.listings, MerchandisingRule.placements):
    m2m_changed.connect(
        follow_changed_target, sender=relation.through, dispatch_uid=f"recommendations.{relation.field.name}_of_rule"
    )


@receiver(buyers_merged, dispatch_uid="recommendations.buyers_merged")
def refresh_after_merge(sender: Any, guest: Buyer, into: Buyer, **kwargs: Any) -> None:
    """Give the history and alerts of a guest who logged in to their buyer, and refresh the preference."""
    take_over_history(guest=guest, into=into)
    take_over_alerts(guest=guest, into=into)
    enqueue_once_on_commit("recommendations.refresh_preferences", into.pk)


@receiver(person_exported, dispatch_uid="recommendations.person_exported")
def export_history(sender: Any, buyers: Sequence[Buyer], **kwargs: Any) -> dict[str, Any]:
    return personal_data_of(buyers)


@receiver(person_erased, dispatch_uid="recommendations.person_erased")
def erase_webhooks(sender: Any, buyer: Buyer, **kwargs: Any) -> None:
    """Webhooks about a person go; all other rows of this app hang on the buyer."""
    forget_buyers([buyer.pk, *buyer.merged_from.values_list("pk", flat=True)])


@receiver(listings_in_the_news, dispatch_uid="recommendations.listings_in_the_news")
def note_alerts(sender: Any, news: Sequence[ListingNews], listings: Mapping[int, Listing], **kwargs: Any) -> None:
    """What came on sale or became cheaper may be what saved searches wait for."""
    note_matches(news, listings, timezone.now())


@receiver(odd_prices_asked, dispatch_uid="recommendations.oddly_priced")
def answer_odd_prices(sender: Any, factor: float, **kwargs: Any) -> Any:
    return oddly_priced(factor)


@receiver(post_migrate, dispatch_uid="recommendations.install_roles")
def install_roles_after_migration(sender: Any, app_config: AppConfig, **kwargs: Any) -> None:
    """The last app with tables: from here on the permissions of all of them exist."""
    if app_config.name == "recommendations":
        install_roles()
