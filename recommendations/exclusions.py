"""What a buyer should not be shown: cars that are unwelcome for good, and cars that should let others have a turn."""

from datetime import timedelta

from django.db import connection
from django.utils import timezone

from accounts.models import Buyer

TIRED_AFTER_DAYS = 30


def unwanted(buyer: Buyer) -> set[int]:
    """Listings a buyer dismissed, and the buyer's own."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.listing_id FROM recommendations_interaction i "
            "JOIN recommendations_eventkind k ON k.slug = i.kind_id AND k.is_dismissal "
            "WHERE i.buyer_id = %s AND i.listing_id IS NOT NULL "
            "UNION SELECT l.id FROM catalog_listing l JOIN catalog_seller s ON s.id = l.seller_id "
            "WHERE s.user_id = %s AND l.status = 'live'",
            [buyer.pk, buyer.user_id],
        )
        return {row[0] for row in cursor.fetchall()}


def tired_of(buyer: Buyer, times_shown_at_most: int) -> set[int]:
    """Listings a buyer was shown so often lately that others should have a turn."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT listing_id FROM recommendations_servedlist, unnest(listing_ids) AS listing_id "
            "WHERE buyer_id = %s AND served_at > %s GROUP BY listing_id HAVING count(*) >= %s",
            [buyer.pk, timezone.now() - timedelta(days=TIRED_AFTER_DAYS), times_shown_at_most],
        )
        return {row[0] for row in cursor.fetchall()}
