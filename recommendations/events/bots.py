"""Find and mark buyers who are programs: they stay in the log, but are left out of training, demand and metrics.

A mark does not change that buyer's own lists, which stay personal: a person marked by mistake loses nothing, and a
program can influence its own lists only. Marks are set after the response to an event, by the task that refreshes the
preference and by a periodic one; an operator's decision is never overwritten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts.models import Buyer, User
from catalog.querysets import ITEMS
from console.auditing import record
from recommendations.models import BotMark, Interaction
from web.postgres.prepared import preparing_cursor, sized

MINUTE = 60.0  # seconds
LATELY = timedelta(minutes=15)  # events that a periodic run looks at; it comes more often
A_DAY = timedelta(days=1)
AN_HOUR = timedelta(hours=1)
ITEMS_PER_CAR = 3  # items of the feed are judged at a glance, so many while a car is opened
NEWEST_READ = 4  # times the cars of a minute: events of one buyer that a refresh looks at
EVENTS_READ = 5_000  # the newest of one buyer that a periodic run looks at

# Moments that mean nothing are left out: a client system that sends no time sends when it can. Where many events come
# in one request of a client system, under one time, that time is the request's, or a date; they are one moment.
READ = """
SELECT newest.buyer_id, newest.listing_id, extract(epoch FROM newest.occurred_at)::float8, listing.source = %(items)s,
    newest.sender LIKE 'key:%%' OR listing.source = %(items)s
FROM unnest(%(buyers)s::bigint[]) AS buyer (id) CROSS JOIN LATERAL (
    SELECT * FROM recommendations_interaction WHERE buyer_id = buyer.id ORDER BY id DESC LIMIT %(at_most)s) AS newest
JOIN recommendations_eventkind AS kind ON kind.slug = newest.kind_id AND kind.weight <> 0
JOIN catalog_listing AS listing ON listing.id = newest.listing_id
WHERE newest.received_at >= %(since)s
    AND NOT (newest.sender LIKE 'key:%%' AND newest.occurred_at = newest.received_at)
ORDER BY newest.buyer_id, listing.source = %(items)s, newest.occurred_at
"""
BUSY = """
SELECT buyer_id FROM recommendations_interaction AS event
WHERE received_at >= %(since)s AND listing_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM recommendations_botmark mark WHERE mark.buyer_id = event.buyer_id)
GROUP BY 1 HAVING count(DISTINCT listing_id) > %(cars)s
"""
WITHOUT_COOKIE = """
WITH guests AS (
    SELECT buyer.id, buyer.origin FROM accounts_buyer AS buyer
    WHERE buyer.created_at >= %(since)s AND buyer.origin <> '' AND buyer.user_id IS NULL
        AND buyer.merged_into_id IS NULL AND (
            SELECT min(received_at) = max(received_at) FROM recommendations_interaction WHERE buyer_id = buyer.id))
SELECT array_agg(id) FROM guests GROUP BY origin HAVING count(*) > %(guests)s
"""


class Opened(NamedTuple):
    """An event on a listing: its time in epoch seconds, and the listing id."""

    at: float
    listing_id: int


# --- Looking ---------------------------------------------------------------------------------------------------------
def look_at_buyer(buyer: Buyer) -> None:
    """Mark a buyer after an event if it shows a program, and remove the mark "keeps no cookie" if they do keep one."""
    mark = BotMark.objects.filter(buyer=buyer).first()
    if mark is None:
        mark_declared([buyer])
        mark_bursts([buyer.pk], NEWEST_READ * ITEMS_PER_CAR * settings.BOT_CARS_PER_MINUTE, timezone.now() - A_DAY)
    elif mark.reason == BotMark.Reason.NO_COOKIE and not mark.is_by_operator and came_back(buyer):
        # Not the row as it was read: an operator may have decided meanwhile.
        BotMark.objects.filter(buyer=buyer, reason=BotMark.Reason.NO_COOKIE, is_by_operator=False).delete()


def look_for_bots(*, within: timedelta = LATELY) -> int:
    """Mark all programs that the newest events show; returns how many. Origins older than a day are removed."""
    now = timezone.now()
    unmarked = Buyer.objects.filter(~Exists(BotMark.objects.filter(buyer=OuterRef("pk"))))
    n_marked = mark_declared(unmarked.exclude(crawler=""))
    n_marked += mark_bursts(busy_buyers(now - within), EVENTS_READ, now - within)
    n_marked += mark_guests_without_cookie(now)
    Buyer.objects.filter(created_at__lt=now - A_DAY).exclude(origin="").update(origin="")
    return n_marked


def mark_declared(buyers: Iterable[Buyer]) -> int:
    return _mark(
        BotMark(buyer=buyer, reason=BotMark.Reason.DECLARED, detail=f"“{buyer.crawler}” in the User-Agent")
        for buyer in buyers
        if buyer.crawler
    )


def mark_bursts(buyer_ids: Sequence[int], at_most: int, since: datetime) -> int:
    """Mark those of some buyers who opened more cars in a minute than people do; returns how many.

    ``at_most``: number of newest events of each that are read.
    """
    if not settings.BOT_CARS_PER_MINUTE or not buyer_ids:
        return 0
    with preparing_cursor(connection) as cursor:  # asked after each event, of one buyer
        cursor.execute(READ, sized({"buyers": list(buyer_ids), "items": ITEMS, "at_most": at_most, "since": since}))
        rows = cursor.fetchall()
    marks = []
    for (buyer_id, are_items), events in groupby(rows, key=lambda row: (row[0], row[3])):
        limit = settings.BOT_CARS_PER_MINUTE * (ITEMS_PER_CAR if are_items else 1)
        if began := first_burst(one_per_moment(events), limit):
            what = "items" if are_items else "cars"
            detail = f"More than {limit} {what} within a minute of {began:%d %b %Y %H:%M:%S} UTC"
            marks.append(BotMark(buyer_id=buyer_id, reason=BotMark.Reason.BURST, detail=detail))
    return _mark(marks)


def one_per_moment(rows: Iterable[tuple[Any, ...]]) -> list[Opened]:
    """Return events by time; of those that a client system sent with the same time, only the first."""
    events, known = [], set()
    for _, listing_id, at, _, is_sent_by_system in rows:
        if not is_sent_by_system or at not in known:
            events.append(Opened(at, listing_id))
        if is_sent_by_system:
            known.add(at)
    return events


def first_burst(events: Sequence[Opened], limit: int) -> datetime | None:
    """Return the start of the first minute with more different cars than a limit; None where there is none.

    Args:
        events: Of one buyer, by time.
        limit: Cars that a person may open within a minute.
    """
    within: Counter[int] = Counter()
    first = 0
    for event in events:
        within[event.listing_id] += 1
        while event.at - events[first].at >= MINUTE:
            within[events[first].listing_id] -= 1
            if not within[events[first].listing_id]:
                del within[events[first].listing_id]
            first += 1
        if len(within) > limit:
            return datetime.fromtimestamp(events[first].at, UTC)
    return None


def busy_buyers(since: datetime) -> list[int]:
    """Return buyers with so many cars lately that there may be a burst, without those decided on already."""
    if not settings.BOT_CARS_PER_MINUTE:
        return []
    with connection.cursor() as cursor:
        cursor.execute(BUSY, {"since": since, "cars": settings.BOT_CARS_PER_MINUTE})
        return [buyer_id for (buyer_id,) in cursor.fetchall()]


def mark_guests_without_cookie(now: datetime) -> int:
    """Mark guests of one origin within an hour, where more made a single request than people would."""
    if not settings.BOT_GUESTS_PER_HOUR:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(WITHOUT_COOKIE, {"since": now - AN_HOUR, "guests": settings.BOT_GUESTS_PER_HOUR})
        groups = [guests for (guests,) in cursor.fetchall()]
    return _mark(
        BotMark(
            buyer_id=buyer_id,
            reason=BotMark.Reason.NO_COOKIE,
            detail=f"One of {len(guests)} guests of one request each, from one origin within an hour",
        )
        for guests in groups
        for buyer_id in guests
    )


def came_back(buyer: Buyer) -> bool:
    """Whether a guest sent a second request under the same key, that is, keeps the cookie."""
    return buyer.interactions.order_by().values("received_at").distinct()[:2].count() > 1


def _mark(marks: Iterable[BotMark]) -> int:
    """Store marks of buyers who have none; returns how many."""
    by_buyer = {mark.buyer_id: mark for mark in marks}
    if not by_buyer:  # after most events
        return 0
    known = set(BotMark.objects.filter(buyer__in=by_buyer).values_list("buyer_id", flat=True))
    rows = [mark for buyer_id, mark in by_buyer.items() if buyer_id not in known]
    BotMark.objects.bulk_create(rows, ignore_conflicts=True)  # another process may be deciding on the same buyers
    return len(rows)


# --- Deciding --------------------------------------------------------------------------------------------------------
@transaction.atomic
def decide_on_bot(*, buyer: Buyer, is_bot: bool, by: User | None, note: str = "") -> BotMark:
    """Store an operator's decision, which only an operator changes; it is recorded in the audit log."""
    before = BotMark.objects.filter(buyer=buyer).first()
    mark, _ = BotMark.objects.update_or_create(
        buyer=buyer,
        defaults={
            "is_bot": is_bot,
            "reason": BotMark.Reason.OPERATOR,
            "detail": note[:200],
            "decided_at": timezone.now(),
            "is_by_operator": True,
            "decided_by": by,
        },
    )
    record(
        by=by,
        action="marked as bot" if is_bot else "unmarked as bot",
        target=buyer,
        before={"is_bot": before.is_bot, "reason": before.reason, "detail": before.detail} if before else None,
        after={"is_bot": is_bot},
        note=note,
    )
    return mark


def take_over_mark(guest: Buyer, into: Buyer) -> None:
    """Give a guest's mark to the buyer they logged in as, except "keeps no cookie", which the login disproves."""
    BotMark.objects.filter(buyer=guest, reason=BotMark.Reason.NO_COOKIE, is_by_operator=False).delete()
    if not BotMark.objects.filter(buyer=into).exists():
        BotMark.objects.filter(buyer=guest).update(buyer=into)


# --- Counting --------------------------------------------------------------------------------------------------------
class LeftOut(NamedTuple):
    """Numbers of buyers marked as bots, and of their events."""

    n_buyers: int
    n_events: int


def events_left_out() -> QuerySet[Interaction]:
    return Interaction.objects.filter(buyer__in=BotMark.objects.filter(is_bot=True).values("buyer"))


def count_left_out(since: datetime) -> LeftOut:
    """Count marked buyers, and their events since a time."""
    n_events = events_left_out().filter(received_at__gte=since).count()
    return LeftOut(BotMark.objects.filter(is_bot=True).count(), n_events)
