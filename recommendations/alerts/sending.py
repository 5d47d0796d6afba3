"""Send a buyer the cars that wait for them: those that still match, best first, several in one message.

Everything that may have changed since a car was found is checked again, in the transaction that writes the webhook:
whether the car is for sale, matches the current searches, and is not excluded by the buyer; and whether the buyer gets
alerts at all.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts.models import Buyer
from catalog.models import Listing
from catalog.news import as_data
from jobs.queue import enqueue_on_commit
from recommendations.alerts.matching import matches_of
from recommendations.alerts.noting import sends_mail
from recommendations.alerts.timing import DAY, next_time, rules_for
from recommendations.alerts.unsubscribing import unsubscribe_url
from recommendations.buyers.exclusions import dismissed_listings
from recommendations.models import AlertMessage, CarAlert, SavedSearch
from recommendations.serving.search_order import scores_for
from recommendations.telemetry import ALERT_SECONDS, ALERTS
from webhooks.kinds import Kind
from webhooks.publishing import Event, is_wanted, publish

logger = logging.getLogger(__name__)

BUYERS_AT_ONCE = 500  # of one look by beat
KEPT = timedelta(days=180)  # what was sent; a car that is for sale for longer may be sent again
WAITS_AT_MOST = timedelta(days=7)  # for the end of caps and quiet hours
Status = CarAlert.Status


def send_alerts(buyer_ids: Collection[int], now: datetime) -> int:
    """Send each of these buyers what may be sent now; returns how many messages. What fails waits for the next run."""
    n_sent = 0
    for buyer_id in buyer_ids:
        try:
            n_sent += send_to(buyer_id, now) is not None
        except Exception:
            logger.exception("the alerts of buyer %s were not sent", buyer_id)
    return n_sent


def buyers_waiting() -> list[int]:
    """Return the buyers for whom cars wait, longest waiting first."""
    waiting = CarAlert.objects.filter(status=Status.WAITING).order_by("pk").values_list("buyer", flat=True)
    return list(dict.fromkeys(waiting[: BUYERS_AT_ONCE * 10]))[:BUYERS_AT_ONCE]


@transaction.atomic
def send_to(buyer_id: int, now: datetime) -> AlertMessage | None:
    """Send one message to one buyer; None where there is none to send, or not yet."""
    # One worker at a time for a buyer, so that caps hold. Cars that are being noted at this moment have a task coming.
    locked = Buyer.objects.select_for_update(of=("self",), no_key=True).filter(pk=buyer_id)
    buyer = locked.select_related("user", "alert_settings").first()
    rows = CarAlert.objects.filter(buyer=buyer_id, status=Status.WAITING).order_by("pk")
    waiting = list(rows.select_for_update(skip_locked=True, of=("self",)))
    if buyer is None or not waiting:
        return None
    by_mail = gets_mail(buyer)
    if not gets_alerts(buyer) or not (by_mail or is_wanted(Kind.LISTING_MATCHED)):
        drop(waiting)
        return None
    if next_time(rules_for(getattr(buyer, "alert_settings", None)), sent_lately(buyer, now), now) > now:
        return None
    suitable, undecided = still_suitable(buyer, waiting)
    drop([each for each in waiting if each not in suitable and each not in undecided])
    if not suitable:
        return None
    return _write(buyer, ranked(buyer, suitable), by_mail, now)


def sent_lately(buyer: Buyer, now: datetime) -> list[datetime]:
    """Return the times of messages of the last two days, newest first."""
    sent = AlertMessage.objects.filter(buyer=buyer, created_at__gt=now - 2 * DAY).order_by("-created_at")
    return list(sent.values_list("created_at", flat=True))


def gets_alerts(buyer: Buyer) -> bool:
    """Whether the buyer is not merged, has not opted out or unsubscribed, and has no closed account."""
    chosen = getattr(buyer, "alert_settings", None)
    return (
        buyer.merged_into_id is None
        and buyer.is_personalised
        and (chosen is None or chosen.is_enabled)
        and (buyer.user is None or buyer.user.is_active)
    )


def gets_mail(buyer: Buyer) -> bool:
    return sends_mail() and buyer.user is not None and buyer.user.is_active and bool(buyer.user.email)


def drop(alerts: Collection[CarAlert]) -> None:
    """Delete alerts as if they had never been found; matching cars are found again."""
    CarAlert.objects.filter(pk__in=[each.pk for each in alerts]).delete()


def still_suitable(buyer: Buyer, waiting: Sequence[CarAlert]) -> tuple[list[CarAlert], list[CarAlert]]:
    """Return the alerts on cars that are for sale, match an alerting search, and are not dismissed by the buyer.

    Their listings are locked until the message is written, so that none is sold in between. The second list has alerts
    on listings that another transaction is changing, which keep waiting.
    """
    hidden = dismissed_listings(buyer)
    listing_ids = [each.listing_id for each in waiting if each.listing_id not in hidden]
    live = Listing.objects.available().filter(pk__in=listing_ids).order_by("pk")
    locked = set(live.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True))
    busy = set(live.values_list("pk", flat=True)) - locked
    by_listing = {match.listing_id: match for match in reversed(matches_of(locked, buyer_id=buyer.pk))}
    suitable = [each for each in waiting if each.listing_id in by_listing]
    for each in suitable:
        match = by_listing[each.listing_id]
        each.search_id, each.price = match.search_id, match.price
    return suitable, [each for each in waiting if each.listing_id in busy]


def ranked(buyer: Buyer, alerts: Sequence[CarAlert]) -> list[tuple[CarAlert, float | None]]:
    """Return alerts with scores, best first; newest first before the first training."""
    scores = scores_for([each.listing_id for each in alerts], buyer)
    ordered = sorted(alerts, key=lambda each: (-scores.get(each.listing_id, float("-inf")), -each.pk))
    return [(each, scores.get(each.listing_id)) for each in ordered]


def _write(buyer: Buyer, cars: Sequence[tuple[CarAlert, float | None]], by_mail: bool, now: datetime) -> AlertMessage:
    shown, rest = cars[: settings.ALERT_CARS], cars[settings.ALERT_CARS :]
    message = AlertMessage.objects.create(buyer=buyer, created_at=now, n_cars=len(shown))
    if written := publish(
        [Event(kind=Kind.LISTING_MATCHED, data=data_of(message, shown), about_buyer=buyer.pk, at=now)]
    ):
        message.webhook_id = written[0].pk
    if by_mail:
        message.mail, message.mail_next_at = AlertMessage.Mail.WAITING, now
        enqueue_on_commit("recommendations.mail_alert", str(message.pk))
    message.save(update_fields=["webhook_id", "mail", "mail_next_at"])
    for rank, (alert, _) in enumerate(shown, 1):
        alert.status, alert.message, alert.rank = Status.SENT, message, rank
    for alert, _ in rest:
        alert.status = Status.PASSED_OVER
    CarAlert.objects.bulk_update([alert for alert, _ in cars], ["status", "message", "rank", "search", "price"])
    ALERTS.labels("webhook" if message.webhook_id else "mail").inc()
    oldest = min(alert.found_at for alert, _ in shown)
    ALERT_SECONDS.observe(max((now - oldest).total_seconds(), 0.0))
    return message


def data_of(message: AlertMessage, cars: Sequence[tuple[CarAlert, float | None]]) -> dict[str, Any]:
    """Return the webhook's content: the buyer, the cars, best first, and how to unsubscribe."""
    buyer = message.buyer
    listings = Listing.objects.with_card_data().in_bulk([alert.listing_id for alert, _ in cars])
    searches = SavedSearch.objects.in_bulk({alert.search_id for alert, _ in cars})
    return {
        "alert_id": str(message.pk),
        "buyer": {"buyer_id": buyer.pk, "external_id": buyer.external_id},
        "cars": [
            {
                "listing": as_data(listings[alert.listing_id]),
                "reason": alert.reason,
                "score": score,
                "saved_search": {"id": alert.search_id, "name": searches[alert.search_id].name},
                "unsubscribe_url": unsubscribe_url(buyer, alert.search_id),
            }
            for alert, score in cars
        ],
        "unsubscribe_url": unsubscribe_url(buyer),
    }


def sweep(now: datetime) -> int:
    """Remove alerts that were sent long ago, or waited too long; returns how many cars."""
    n_old, _ = CarAlert.objects.filter(found_at__lt=now - KEPT).delete()
    n_waiting, _ = CarAlert.objects.filter(status=Status.WAITING, found_at__lt=now - WAITS_AT_MOST).delete()
    AlertMessage.objects.filter(created_at__lt=now - KEPT).delete()
    return n_old + n_waiting
