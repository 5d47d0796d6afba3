"""Demand, contacts and leads per listing from the log, and price drops.

They are as of the last full ten minutes, so that every process has the same, and a buyer's list does not change because
another buyer opened a car.
"""

# ruff: noqa: S608 -- put together from constants
from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from catalog.currencies import exchange_rates
from recommendations.engine.demand import DEMAND_HALF_LIFE_DAYS, DEMAND_LOOKBACK_DAYS
from recommendations.models import EventKind
from recommendations.models.bots import is_person

logger = logging.getLogger(__name__)

STEP_SECONDS = 600
OLDEST_SECONDS = 86_400  # older ones are not used
PRICE_DROP_DAYS = 7


# Computed in double precision: powers of numerics, which EXTRACT makes, take most of ten seconds at a million events.
# What happened to one advertisement of a car happened to the others ("twins"; NOT (=) is the index's condition), and a
# buyer counts once for each car, by the strongest event.
DEMAND = f"""
WITH recent AS (
    SELECT i.listing_id, i.buyer_id, k.weight, k.is_contact,
        power(2::float8, -extract(epoch FROM moment - i.occurred_at)::float8 / 86400 / %s) AS decay
    FROM recommendations_interaction i
    JOIN unnest(%s::text[], %s::float8[], %s::bool[]) AS k (slug, weight, is_contact) ON k.slug = i.kind_id,
        to_timestamp(%s) AS moment
    WHERE i.occurred_at BETWEEN moment - make_interval(days => %s) AND moment
        AND i.listing_id IS NOT NULL AND k.weight > 0 AND {is_person("i.buyer_id")}),
twins AS (
    SELECT l.id AS listing_id, twin.id AS twin_id FROM catalog_listing l
    JOIN catalog_listing twin ON twin.car_key = l.car_key AND twin.id <> l.id AND NOT (twin.car_key = '')
    WHERE NOT (l.car_key = '') AND l.id IN (SELECT listing_id FROM recent)),
counted AS (
    SELECT * FROM recent
    UNION ALL SELECT twin_id, buyer_id, weight, is_contact, decay FROM recent JOIN twins USING (listing_id)),
buyers AS (
    SELECT listing_id, buyer_id, max(weight * decay) AS demand, max(decay) FILTER (WHERE is_contact) AS contact
    FROM counted GROUP BY 1, 2)
SELECT listing_id, sum(demand), sum(contact), count(contact) FROM buyers GROUP BY 1"""

PRICE_CHANGES = """
SELECT DISTINCT ON (listing_id) listing_id, old_price - new_price, currency
FROM catalog_pricechange, to_timestamp(%s) AS moment
WHERE changed_at BETWEEN moment - make_interval(days => %s) AND moment
ORDER BY listing_id, changed_at DESC"""


@dataclass(frozen=True)
class MarketStatistics:
    """Market statistics as of one time, by listing id; an absent listing has none.

    Events on one listing of a car count for all listings of the same car: a relisted car does not start from 0, and a
    car of two sources is counted once.

    Attributes:
        as_of: Epoch seconds.
        demand: Buyers with a favourable event within the last two weeks, each with the weight of the strongest kind,
            halved after three days.
        contacts: The same of contacts only, each buyer counting 1 when new.
        leads: Number of buyers with a contact within the two weeks.
        price_drops: Reduction at the last change of the asking price, within the last week, in the market's currency.
            Changes in a currency without a rate are left out.
    """

    as_of: int
    demand: Mapping[int, float]
    contacts: Mapping[int, float]
    leads: Mapping[int, int]
    price_drops: Mapping[int, float]


_lock = threading.Lock()  # of who reads; held while they are read
_statistics: MarketStatistics | None = None


def current_market_statistics() -> MarketStatistics:
    """Return the statistics as of the last full ten minutes.

    With ``settings.LISTING_INDEX_THREAD`` another thread reads them, and the previous ones are used until then. A
    request reads them itself only where there are none, or none of today.
    """
    now = int(time.time())
    step = now - now % STEP_SECONDS
    known = _statistics
    if known is not None and known.as_of == step:
        return known
    if known is not None and settings.LISTING_INDEX_THREAD and 0 < step - known.as_of < OLDEST_SECONDS:
        if not _lock.locked():
            threading.Thread(target=_read_beside_requests, args=(step,), name="market-statistics", daemon=True).start()
        return known
    return _read_once(step)


def _read_once(step: int) -> MarketStatistics:
    """Read the statistics as of a step, unless another thread has just done so."""
    global _statistics
    with _lock:
        if _statistics is None or _statistics.as_of != step:
            _statistics = read_market_statistics(step)
        return _statistics


def _read_beside_requests(step: int) -> None:
    try:
        _read_once(step)
    except Exception:  # requests go on with those they have, and the next one tries again
        logger.exception("the market statistics could not be read")
    finally:
        connection.close()


def forget_market_statistics() -> None:
    """Make the next call read them again."""
    global _statistics
    with _lock:
        _statistics = None


def read_market_statistics(as_of: int, kinds: Mapping[str, EventKind] | None = None) -> MarketStatistics:
    """Read the statistics as of a time, in epoch seconds.

    ``kinds`` replace the stored event kinds, by slug, to test other weights.
    """
    all_kinds = EventKind.objects.in_bulk() if kinds is None else kinds
    slugs = [kind.slug for kind in all_kinds.values()]
    weights = [float(kind.weight) for kind in all_kinds.values()]
    are_contacts = [kind.is_contact for kind in all_kinds.values()]
    with connection.cursor() as cursor:
        cursor.execute(DEMAND, [DEMAND_HALF_LIFE_DAYS, slugs, weights, are_contacts, as_of, int(DEMAND_LOOKBACK_DAYS)])
        events = cursor.fetchall()
        cursor.execute(PRICE_CHANGES, [as_of, PRICE_DROP_DAYS])
        changes = cursor.fetchall()
    rates = exchange_rates()
    return MarketStatistics(
        as_of=as_of,
        demand={listing_id: float(demand) for listing_id, demand, _, _ in events},
        contacts={listing_id: float(contacts) for listing_id, _, contacts, _ in events if contacts},
        leads={listing_id: leads for listing_id, _, _, leads in events if leads},
        price_drops={
            listing_id: float(amount) * rates[currency]
            for listing_id, amount, currency in changes
            if amount > 0 and currency in rates
        },
    )
