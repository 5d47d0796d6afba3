"""Pass on what happened to listings: to webhooks here, and by a signal to whatever else wants to know.

Triggers fill the queue (``ListingNews``), so that nothing is missed, whatever wrote it: the API, an import, an
operator, an ``update()``, or ``psql``. What is passed on leaves the queue in the transaction that writes the webhooks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.dispatch import Signal

from catalog.models import Listing, ListingNews
from webhooks.kinds import Kind
from webhooks.publishing import Event, publish, wanted_kinds

BATCH = 500  # rows in one transaction
RUN_SECONDS = 20.0  # of one task; the next one comes soon

# Sent with ``news`` (ListingNews rows, oldest first) and ``listings`` (by id, those that still exist, with card data)
# inside the transaction that takes them from the queue: what raises here leaves them in it.
listings_in_the_news = Signal()

KINDS = {
    ListingNews.Kind.PUBLISHED: Kind.LISTING_PUBLISHED,
    ListingNews.Kind.SOLD: Kind.LISTING_SOLD,
    ListingNews.Kind.ENDED: Kind.LISTING_ENDED,
    ListingNews.Kind.PRICE_DROPPED: Kind.PRICE_DROPPED,
}


def is_any_waiting() -> bool:
    """Whether something has happened to a listing that was not passed on yet."""
    return ListingNews.objects.exists()


def pass_on_news() -> int:
    """Empty the queue; how many news were passed on. Several workers may do so at once: each takes other rows."""
    n_passed, until = 0, time.monotonic() + RUN_SECONDS
    while time.monotonic() < until and (n := _pass_on_batch()):
        n_passed += n
    return n_passed


@transaction.atomic
def _pass_on_batch() -> int:
    news = list(ListingNews.objects.order_by("pk").select_for_update(skip_locked=True)[:BATCH])
    if not news:
        return 0
    known = Listing.objects.with_card_data().in_bulk({each.listing_id for each in news})
    _publish(news, known)
    listings_in_the_news.send(sender=Listing, news=news, listings=known)
    ListingNews.objects.filter(pk__in=[each.pk for each in news]).delete()
    return len(news)


def _publish(news: Sequence[ListingNews], known: dict[int, Listing]) -> None:
    wanted = wanted_kinds()
    publish(
        Event(kind=KINDS[ListingNews.Kind(each.kind)], data=_data_of(each, known[each.listing_id]), at=each.at)
        for each in news
        if KINDS[ListingNews.Kind(each.kind)] in wanted and each.listing_id in known
    )


def _data_of(news: ListingNews, listing: Listing) -> dict[str, Any]:
    data: dict[str, Any] = {"listing": as_data(listing)}
    if news.kind == ListingNews.Kind.PRICE_DROPPED:
        data |= {"old_price": amount(news.old_price), "new_price": amount(news.new_price)}
    return data


def as_data(listing: Listing) -> dict[str, Any]:
    """A listing in an event: who it is by our id and by its source's, and what a person would call it. As it is now."""
    return {
        "listing_id": listing.pk,
        "external_id": listing.external_id,
        "listing_source": listing.source,
        "url": listing.url,
        "name": listing.name,
        "brand": listing.make.name if listing.make else None,
        "model": listing.car_model.name if listing.car_model else None,
        "year": listing.year,
        "mileage_km": listing.mileage_km,
        "price": amount(listing.price),
        "currency": listing.currency,
        "status": listing.status,
        "published_at": moment(listing.published_at),
        "ended_at": moment(listing.ended_at),
    }


def amount(price: Decimal | None) -> float | None:
    return None if price is None else float(price)


def moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
