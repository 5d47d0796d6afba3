"""Listings that a buyer should not be shown: those excluded by the buyer, and those over the frequency cap.

Exclusions apply to the car rather than the listing: every listing with the same ``car_key``, relisted or from another
source, is excluded too.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from accounts.models import Buyer
from catalog.models import Listing
from recommendations.listings.cars import listings_of_car
from recommendations.models.impressions import is_seen, sends_impressions
from web.postgres.prepared import preparing_cursor, sized

# ruff: noqa: S608 -- put together from constants
FREQUENCY_CAP_DAYS = 30

DISMISSED = f"""
WITH dismissed AS (
    SELECT l.id, l.car_key FROM recommendations_interaction i
    JOIN recommendations_eventkind k ON k.slug = i.kind_id AND k.is_dismissal
    JOIN catalog_listing l ON l.id = i.listing_id
    WHERE i.buyer_id = %(buyer)s AND i.occurred_at < %(before)s AND NOT EXISTS (
        SELECT FROM recommendations_shownagain again
        WHERE again.buyer_id = i.buyer_id AND again.listing_id = i.listing_id AND again.at >= i.received_at))
SELECT id FROM dismissed
UNION SELECT twin.id FROM dismissed CROSS JOIN LATERAL ({listings_of_car("dismissed.car_key")}) AS twin
UNION SELECT l.id FROM catalog_listing l JOIN catalog_seller s ON s.id = l.seller_id
    WHERE s.user_id = %(user)s AND l.status = 'live'
UNION SELECT l.id FROM recommendations_buyerseller relation CROSS JOIN LATERAL (
        SELECT s.id FROM catalog_seller s WHERE s.external_id = relation.seller_external_id
        UNION SELECT k.seller_id FROM catalog_sellerkey k WHERE k.key = relation.seller_external_id) AS blocked
    JOIN catalog_listing l ON l.seller_id = blocked.id AND l.status = 'live' WHERE relation.buyer_id = %(buyer)s"""

BESIDE = f"""{DISMISSED}
UNION ({listings_of_car("%(car)s")})"""

# All but the log, the kinds of events and the stock that DISMISSED rests on; other rows, another text.
RELATIONS = """
SELECT md5(concat_ws(';',
    (SELECT string_agg(seller_external_id, ' ' ORDER BY id) FROM recommendations_buyerseller
        WHERE buyer_id = %(buyer)s),
    (SELECT string_agg(concat(listing_id, '@', at), ' ' ORDER BY id) FROM recommendations_shownagain
        WHERE buyer_id = %(buyer)s),
    (SELECT string_agg(id::text, ' ' ORDER BY id) FROM catalog_seller WHERE user_id = %(user)s)))"""

CLOSED_TO = """
SELECT i.buyer_id FROM recommendations_interaction i
    JOIN recommendations_eventkind k ON k.slug = i.kind_id AND k.is_dismissal
    JOIN catalog_listing l ON l.id = i.listing_id
    WHERE i.buyer_id = ANY(%(buyers)s) AND (l.id = %(listing)s OR l.car_key = %(car)s AND NOT (l.car_key = ''))
    AND NOT EXISTS (
        SELECT FROM recommendations_shownagain again
        WHERE again.buyer_id = i.buyer_id AND again.listing_id = i.listing_id AND again.at >= i.received_at)
UNION SELECT b.id FROM accounts_buyer b JOIN catalog_seller s ON s.user_id = b.user_id
    WHERE s.id = %(seller)s AND b.id = ANY(%(buyers)s)
UNION SELECT relation.buyer_id FROM recommendations_buyerseller relation
    JOIN catalog_seller s ON s.external_id = relation.seller_external_id OR s.id IN (
        SELECT k.seller_id FROM catalog_sellerkey k WHERE k.key = relation.seller_external_id)
    WHERE s.id = %(seller)s AND relation.buyer_id = ANY(%(buyers)s)"""

# Joined and not asked of each car: few placements are counted by impressions. Lists have it from ``shown``.
CAPPED = f"""
WITH shown AS (
    SELECT car.listing_id, count(*) AS n FROM recommendations_servedlist AS served
    LEFT JOIN recommendations_placement AS counted
        ON counted.id = served.placement_id AND counted.impressions_since <= served.served_at
        AND {sends_impressions("%(buyer)s")}
    CROSS JOIN LATERAL unnest(served.listing_ids) WITH ORDINALITY AS car (listing_id, position)
    WHERE served.buyer_id = %(buyer)s AND served.served_at > %(since)s AND served.served_at <= %(until)s
        AND (counted.id IS NULL OR {is_seen("served", "car.position", "car.listing_id")})
    GROUP BY car.listing_id),
cars AS (
    SELECT l.car_key, CASE WHEN l.car_key = '' THEN l.id END AS id
    FROM shown JOIN catalog_listing l ON l.id = shown.listing_id GROUP BY 1, 2 HAVING sum(n) >= %(times)s)
SELECT id FROM cars WHERE id IS NOT NULL
UNION SELECT twin.id FROM cars CROSS JOIN LATERAL ({listings_of_car("cars.car_key")}) AS twin"""


def dismissed_listings(buyer: Buyer, before: datetime | None = None) -> set[int]:
    """Return listings of cars that a buyer dismissed (before a time), and of their own and of blocked sellers.

    A dismissal that was taken back does not count.
    """
    with connection.cursor() as cursor:
        cursor.execute(DISMISSED, {"buyer": buyer.pk, "user": buyer.user_id, "before": before or "infinity"})
        return {row[0] for row in cursor.fetchall()}


def left_out_beside(listing: Listing, buyer: Buyer | None) -> set[int]:
    """Return what a list of similar cars must not contain: the same car in any listing, and the buyer's dismissed
    cars."""
    given = {
        "buyer": buyer.pk if buyer else None, "user": buyer.user_id if buyer else None, "before": "infinity",
        "car": listing.car_key,
    }  # fmt: skip
    with preparing_cursor(connection) as cursor:
        cursor.execute(BESIDE, sized(given))
        return {listing.pk, *(row[0] for row in cursor.fetchall())}


def buyers_closed_to(listing: Listing, buyer_ids: Collection[int]) -> set[int]:
    """Return those of the buyers whose lists cannot contain a live listing; the reverse of ``dismissed_listings``."""
    given = {"buyers": list(buyer_ids), "listing": listing.pk, "car": listing.car_key, "seller": listing.seller_id}
    with connection.cursor() as cursor:
        cursor.execute(CLOSED_TO, given)
        return {row[0] for row in cursor.fetchall()}


def same_cars(listing_ids: Collection[int]) -> set[int]:
    """Return the listings and all other listings of the same cars."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH named AS (SELECT id, car_key FROM catalog_listing WHERE id = ANY(%s)) SELECT id FROM named "
            f"UNION SELECT twin.id FROM named CROSS JOIN LATERAL ({listings_of_car('named.car_key')}) AS twin",
            [list(listing_ids)],
        )
        return {row[0] for row in cursor.fetchall()}


def frequency_capped_listings(buyer: Buyer, times_shown_at_most: int, before: datetime | None = None) -> set[int]:
    """Return listings of cars that a buyer was shown at least so often lately, or before a time.

    For placements with impressions, cars that were seen count; for others, cars that were served.
    """
    until = before or timezone.now()
    since = until - timedelta(days=FREQUENCY_CAP_DAYS)
    with connection.cursor() as cursor:
        cursor.execute(CAPPED, {"buyer": buyer.pk, "since": since, "until": until, "times": times_shown_at_most})
        return {row[0] for row in cursor.fetchall()}
