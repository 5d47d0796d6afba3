"""Store which cars wait for which buyers, in the transaction that takes news of listings from their queue."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from catalog.models import Listing, ListingNews
from jobs.queue import enqueue_on_commit
from recommendations.alerts.matching import Match, matches_of
from recommendations.models import CarAlert
from webhooks.kinds import Kind
from webhooks.publishing import is_wanted

logger = logging.getLogger(__name__)

PER_BUYER = 200  # cars of one batch that wait for one buyer: the newest listings; the best of them are sent
BUYERS_PER_TASK = 50

# A car that waits already is the same alert, by its cheapest listing; one that was dealt with waits again if it is
# cheaper than it was then. So it is with a listing of which it became known meanwhile which car it advertises.
NOTE = """
INSERT INTO recommendations_caralert AS known (buyer_id, search_id, listing_id, car, status, reason, price, found_at)
SELECT found.*, %(now)s FROM unnest(
    %(buyers)s::bigint[], %(searches)s::bigint[], %(listings)s::bigint[], %(cars)s::varchar[],
    %(statuses)s::varchar[], %(reasons)s::varchar[], %(prices)s::float8[]
) AS found (buyer_id, search_id, listing_id, car, status, reason, price)
WHERE NOT EXISTS (
    SELECT FROM recommendations_caralert sent WHERE sent.listing_id = found.listing_id
        AND sent.buyer_id = found.buyer_id AND sent.car <> found.car AND (found.price < sent.price) IS NOT TRUE)
ON CONFLICT (buyer_id, car) DO UPDATE SET
    search_id = excluded.search_id, listing_id = excluded.listing_id, price = excluded.price,
    reason = CASE WHEN known.status = 'waiting' THEN known.reason ELSE 'cheaper' END,
    status = 'waiting', message_id = NULL, found_at = excluded.found_at
WHERE excluded.price < known.price OR known.price IS NULL AND known.status = 'waiting'
"""


def is_anyone_reached() -> bool:
    """Whether alerts can be sent at all: there is an endpoint for them, or e-mail with working links."""
    return is_wanted(Kind.LISTING_MATCHED) or sends_mail()


def sends_mail() -> bool:
    """Whether alerts go by e-mail: the site sends e-mail, and has an address for links."""
    return bool(settings.SENDS_EMAIL and settings.PUBLIC_URL)


def note_matches(news: Sequence[ListingNews], listings: Mapping[int, Listing], now: datetime) -> int:
    """Store the matches of new and cheaper listings, and enqueue their sending; returns how many buyers have some.

    Errors are logged and do not stop the webhooks of the same news, or the queue.
    """
    reasons = reasons_of(news, listings)
    if not reasons or not is_anyone_reached():
        return 0
    try:
        with transaction.atomic():
            matches = chosen(matches_of(reasons))
            note(matches, reasons, now)
    except DatabaseError:
        logger.exception("saved searches were not compared with %d listings", len(reasons))
        return 0
    buyer_ids = sorted({match.buyer_id for match in matches})
    for start in range(0, len(buyer_ids), BUYERS_PER_TASK):
        enqueue_on_commit("recommendations.send_alerts", buyer_ids[start : start + BUYERS_PER_TASK])
    return len(buyer_ids)


def reasons_of(news: Iterable[ListingNews], listings: Mapping[int, Listing]) -> dict[int, str]:
    """Return by listing id why buyers get it, for those on sale; new takes precedence over cheaper."""
    reasons: dict[int, str] = {}
    for each in news:
        if each.listing_id in listings and listings[each.listing_id].is_available:
            if each.kind == ListingNews.Kind.PUBLISHED:
                reasons[each.listing_id] = CarAlert.Reason.NEW
            elif each.kind == ListingNews.Kind.PRICE_DROPPED:
                reasons.setdefault(each.listing_id, CarAlert.Reason.CHEAPER)
    return reasons


def chosen(matches: Iterable[Match]) -> list[Match]:
    """Return one match for a buyer and a car, with its cheapest listing and the newest search; limited for each
    buyer."""
    by_buyer: dict[int, dict[str, Match]] = defaultdict(dict)
    for match in sorted(matches, key=lambda match: (-match.listing_id, match.search_id)):
        known = by_buyer[match.buyer_id].get(match.car)
        if known is None and len(by_buyer[match.buyer_id]) >= PER_BUYER:
            continue
        if known is None or _price(match) <= _price(known):
            by_buyer[match.buyer_id][match.car] = match
    return [match for cars in by_buyer.values() for match in cars.values()]


def _price(match: Match) -> float:
    return float("inf") if match.price is None else match.price


def note(matches: Sequence[Match], reasons: Mapping[int, str], now: datetime) -> None:
    ordered = sorted(matches, key=lambda match: (match.buyer_id, match.car))  # two workers never wait crosswise
    with connection.cursor() as cursor:
        cursor.execute(
            NOTE,
            {
                "now": now,
                "buyers": [match.buyer_id for match in ordered],
                "searches": [match.search_id for match in ordered],
                "listings": [match.listing_id for match in ordered],
                "cars": [match.car for match in ordered],
                "statuses": [CarAlert.Status.WAITING.value] * len(ordered),
                "reasons": [str(reasons[match.listing_id]) for match in ordered],
                "prices": [match.price for match in ordered],
            },
        )
