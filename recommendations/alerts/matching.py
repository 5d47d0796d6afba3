"""Find the saved searches that a batch of changed listings matches, by one statement.

This is the third implementation of ``ListingFilters``, besides ``ListingQuerySet.matching`` and
``ListingIndex.matching``, which compare one search with many listings. Here many searches are compared with few
listings; a test compares it with the first. Searches with makes are joined by make, the others with every listing. The
text of a search is compared last, by PostgreSQL's full-text search.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import F, QuerySet

from catalog.currencies import market_price
from catalog.filters import EARTH_RADIUS_KM, ListingFilters
from catalog.models import Listing
from catalog.querysets import RANGE_FILTERS, SET_FILTERS
from catalog.text_search import web_query
from recommendations.models import SavedSearch

READ_AT_ONCE = 1_000
LOCATION_FIELDS = ("latitude", "longitude", "radius_km")
RANGES = ("price", *RANGE_FILTERS)
COLUMNS = {  # name in the batch -> column of a listing; what is asked of ``makes`` is compared with ``makes_of``
    **{f"{name}_of": F(column) for name, column in SET_FILTERS.items()},
    **{f"{name}_of": F(name) for name in RANGE_FILTERS},
    "price_of": F("market_price"),
}
TYPES = {
    **dict.fromkeys(SET_FILTERS, "text[]"),
    "tags": "varchar[]",
    **{f"{end}_{name}": "float8" for name in RANGES for end in ("min", "max")},
    **dict.fromkeys(LOCATION_FIELDS, "float8"),
    "text": "text",
}
DISTANCE = f"""{EARTH_RADIUS_KM} * acos(least(greatest(
    sin(radians(latitude)) * sin(radians(l_latitude)) + cos(radians(latitude)) * cos(radians(l_latitude))
    * cos(radians(l_longitude - longitude)), -1.0), 1.0))"""
CONDITIONS = [
    *(f"({name} IS NULL OR {name}_of = ANY({name}))" for name in SET_FILTERS),
    "(tags IS NULL OR tags_of @> tags)",
    *(f"(min_{name} IS NULL OR {name}_of >= min_{name})" for name in RANGES),
    *(f"(max_{name} IS NULL OR {name}_of <= max_{name})" for name in RANGES),
    f"(latitude IS NULL OR longitude IS NULL OR radius_km IS NULL OR {DISTANCE} <= radius_km)",
]
MATCHES = """
WITH batch AS MATERIALIZED ({batch}),
asked AS MATERIALIZED (
    SELECT s.id AS search_id, s.buyer_id, f.*
    FROM recommendations_savedsearch s
    JOIN accounts_buyer b ON b.id = s.buyer_id AND b.merged_into_id IS NULL AND b.is_personalised
    LEFT JOIN accounts_user u ON u.id = b.user_id
    LEFT JOIN recommendations_alertsettings chosen ON chosen.buyer_id = s.buyer_id
    CROSS JOIN LATERAL jsonb_to_record(s.filters) AS f({types})
    WHERE s.is_alerting AND s.filters IS NOT NULL AND s.filters <> '{{}}'
        AND u.is_active IS NOT FALSE AND chosen.is_enabled IS NOT FALSE {whose}
),
met AS (
    SELECT asked.*, batch.* FROM asked CROSS JOIN LATERAL unnest(makes) AS make JOIN batch ON makes_of = make
    UNION ALL
    SELECT asked.*, batch.* FROM asked CROSS JOIN batch WHERE makes IS NULL
)
SELECT DISTINCT search_id, buyer_id, listing_id, car_of, price_of, coalesce(text, '') FROM met WHERE {conditions}
ORDER BY buyer_id, search_id, listing_id
"""


@dataclass(frozen=True)
class Match:
    """A listing that matches a saved search.

    Attributes:
        search_id: Of the saved search.
        buyer_id: Of its buyer.
        listing_id: Of the listing.
        car: Its car: its key, or ``#`` and the listing's id.
        price: In the market's currency; None where it is not known.
    """

    search_id: int
    buyer_id: int
    listing_id: int
    car: str
    price: float | None


def matches_of(listing_ids: Collection[int], *, buyer_id: int | None = None) -> list[Match]:
    """Return the matches of live listings with searches that have alerts on, of buyers who may get alerts.

    ``buyer_id`` limits them to one buyer. A search without conditions matches nothing.
    """
    listing_ids = list(listing_ids)
    if not listing_ids:
        return []
    read_searches()
    with connection.cursor() as cursor:
        batch, values = batch_of(listing_ids).query.sql_with_params()
        whose = "" if buyer_id is None else "AND s.buyer_id = %s"
        statement = MATCHES.format(batch=batch, types=_types(), whose=whose, conditions=" AND ".join(CONDITIONS))
        cursor.execute(statement, [*values, *([] if buyer_id is None else [buyer_id])])
        rows = cursor.fetchall()
    found = [(Match(search, buyer, listing, car or f"#{listing}", price), text)
             for search, buyer, listing, car, price, text in rows]  # fmt: skip
    worded = listings_by_text({text for _, text in found if text}, listing_ids)
    return [match for match, text in found if not text or match.listing_id in worded[text]]


def batch_of(listing_ids: Collection[int]) -> QuerySet[Listing, dict[str, Any]]:
    """Select the live listings among these, with the columns to compare, under names that no filter has."""
    live = Listing.objects.available().cars().filter(pk__in=listing_ids).order_by()
    named: QuerySet[Any] = live.annotate(market_price=market_price()).annotate(
        listing_id=F("pk"), car_of=F("car_key"), tags_of=F("tags"), l_latitude=F("latitude"),
        l_longitude=F("longitude"), **COLUMNS,
    )  # fmt: skip
    return named.values("listing_id", "car_of", "tags_of", "l_latitude", "l_longitude", *COLUMNS)


def _types() -> str:
    return ", ".join(f"{name} {kind}" for name, kind in TYPES.items())


def listings_by_text(texts: Iterable[str], listing_ids: Collection[int]) -> dict[str, set[int]]:
    """Return by text the listings that it finds."""
    among = Listing.objects.filter(pk__in=listing_ids)
    return {text: set(among.filter(search_text=web_query(text)).values_list("pk", flat=True)) for text in texts}


def read_searches() -> int:
    """Store the comparison columns of searches written without ``save()``, or by an earlier release; returns how
    many."""
    n_read = 0
    while unread := list(SavedSearch.objects.filter(filters__isnull=True).order_by("pk")[:READ_AT_ONCE]):
        with transaction.atomic():
            for search in unread:
                search.filters = ListingFilters.from_query(search.query).as_query()
            SavedSearch.objects.bulk_update(unread, ["filters"])
        n_read += len(unread)
    return n_read
