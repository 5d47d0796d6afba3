"""How often a car was shown in the last days, at which positions, from which candidate source, and with what result.

The lists that held it are found by the index on their contents. Its clicks are compared with those of the same
positions in the newest lists, so that a car shown at the top is compared with others at the top.
"""

# ruff: noqa: S608 -- put together from constants
from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from scipy import stats

from recommendations.models.bots import is_person
from recommendations.models.impressions import was_shown
from web.replicas import reading_connection

DAYS = 30
LISTS_AT_MOST = 20_000  # lists of one car that are read
COMPARED_LISTS = 3_000  # newest lists, for the usual rates
SETTLED_AFTER_HOURS = 1  # buyers may still click on younger lists
PRIOR_SHOWS = 20.0  # shows at the overall rate that are added to each position
POSITIONS_SHOWN = 20

Key = tuple[int, str]  # position and source


@dataclass(frozen=True)
class Figures:
    """Lists that showed the car at one position, from one source, or in all; and how many led to a click and to a
    contact."""

    label: str
    n_shown: int
    n_clicked: int
    n_contacted: int
    n_expected: float

    @property
    def rate(self) -> float:
        return self.n_clicked / self.n_shown if self.n_shown else 0.0

    @property
    def expected_rate(self) -> float:
        return self.n_expected / self.n_shown if self.n_shown else 0.0


@dataclass(frozen=True)
class Exposure:
    """Lists of the last ``DAYS`` that held one car.

    Attributes:
        total: Over all positions.
        positions: By position from the top, up to ``POSITIONS_SHOWN``.
        sources: By candidate source, the most frequent first.
        low, high: 95 % interval of clicks over clicks expected; 0 and infinity where it was never shown.
        is_cut: Whether there were more lists than were read.
    """

    total: Figures
    positions: tuple[Figures, ...]
    sources: tuple[Figures, ...]
    low: float
    high: float
    is_cut: bool


def exposure_of(listing_id: int) -> Exposure:
    shown = read_shown(listing_id)
    clicked, contacted = read_reactions(listing_id)
    usual = usual_rates()
    keys = set(shown) | set(clicked)
    by_position: dict[int, list[Key]] = defaultdict(list)
    by_source: dict[str, list[Key]] = defaultdict(list)
    for key in keys:
        by_position[key[0]].append(key)
        by_source[key[1]].append(key)

    def counted(label: str, some: list[Key]) -> Figures:
        return Figures(
            label,
            n_shown=sum(shown[key] for key in some),
            n_clicked=sum(clicked[key] for key in some),
            n_contacted=sum(contacted[key] for key in some),
            n_expected=sum(shown[key] * usual.get(key[0], usual[0]) for key in some),
        )

    total = counted("all", list(keys))
    sources = [counted(source, some) for source, some in by_source.items()]
    low, high = ratio_interval(total.n_clicked, total.n_expected)
    return Exposure(
        total=total,
        positions=tuple(
            counted(str(position), by_position[position])
            for position in sorted(by_position)
            if position <= POSITIONS_SHOWN
        ),
        sources=tuple(sorted(sources, key=lambda one: -one.n_shown)),
        low=low,
        high=high,
        is_cut=total.n_shown >= LISTS_AT_MOST,
    )


def read_shown(listing_id: int) -> Counter[Key]:
    """Count the lists that held the car, by position and source."""
    with reading_connection().cursor() as cursor:
        cursor.execute(
            "WITH lists AS MATERIALIZED (SELECT * FROM recommendations_servedlist "
            "WHERE listing_ids @> ARRAY[%s]::bigint[] AND variant <> 'feed' AND served_at > %s "
            f"AND {is_person('recommendations_servedlist.buyer_id')} LIMIT %s), "
            "placed AS (SELECT *, array_position(listing_ids, %s::bigint) AS place, %s::bigint AS car FROM lists) "
            "SELECT place, coalesce(sources[place], ''), count(*) FROM placed "
            f"WHERE {was_shown('placed', 'placed.place', 'placed.car')} GROUP BY 1, 2",
            [listing_id, since(), LISTS_AT_MOST, listing_id, listing_id],
        )
        return Counter({(position, source): n for position, source, n in cursor.fetchall()})


def read_reactions(listing_id: int) -> tuple[Counter[Key], Counter[Key]]:
    """Count those of the lists after which it was opened (or more), and those that led to a contact; by position and
    source."""
    with reading_connection().cursor() as cursor:
        cursor.execute(
            "WITH events AS MATERIALIZED (SELECT served_list_id, kind_id FROM recommendations_interaction "
            "WHERE listing_id = %s AND occurred_at > %s AND served_list_id IS NOT NULL "
            f"AND {is_person('recommendations_interaction.buyer_id')} LIMIT %s), "
            "placed AS (SELECT s.id, array_position(s.listing_ids, %s::bigint) AS place, s.sources, k.is_contact "
            "FROM events e JOIN recommendations_eventkind k ON k.slug = e.kind_id AND k.weight > 0 "
            "JOIN recommendations_servedlist s ON s.id = e.served_list_id AND s.served_at > %s) "
            "SELECT place, coalesce(sources[place], ''), count(DISTINCT id), "
            "count(DISTINCT id) FILTER (WHERE is_contact) FROM placed WHERE place IS NOT NULL GROUP BY 1, 2",
            [listing_id, since(), LISTS_AT_MOST, listing_id, since()],
        )
        rows = cursor.fetchall()
    clicked = Counter({(position, source): n for position, source, n, _ in rows})
    return clicked, Counter({(position, source): n for position, source, _, n in rows})


def usual_rates() -> Mapping[int, float]:
    """Return the share of cars at each position of the newest lists that were opened; key 0 is for all further
    positions."""
    with reading_connection().cursor() as cursor:
        cursor.execute(
            "WITH lists AS MATERIALIZED (SELECT * FROM recommendations_servedlist "
            f"WHERE served_at < %s AND {is_person('recommendations_servedlist.buyer_id')} "
            "ORDER BY served_at DESC LIMIT %s), "
            "clicked AS (SELECT DISTINCT l.id, array_position(l.listing_ids, i.listing_id) AS place "
            "FROM lists l JOIN recommendations_interaction i ON i.served_list_id = l.id "
            "JOIN recommendations_eventkind k ON k.slug = i.kind_id AND k.weight > 0) "
            "SELECT place, n_shown, coalesce(n_clicked, 0) FROM "
            "(SELECT place, count(*) AS n_shown FROM lists, generate_series(1, cardinality(listing_ids)) AS place "
            f"WHERE {was_shown('lists', 'place', 'lists.listing_ids[place]')} GROUP BY 1) AS shown "
            "LEFT JOIN (SELECT place, count(*) AS n_clicked FROM clicked GROUP BY 1) AS opened "
            "USING (place)",
            [timezone.now() - timedelta(hours=SETTLED_AFTER_HOURS), COMPARED_LISTS],
        )
        rows = cursor.fetchall()
    n_shown, n_clicked = sum(row[1] for row in rows), sum(row[2] for row in rows)
    overall = n_clicked / n_shown if n_shown else 0.0
    return {0: overall, **{position: (hit + PRIOR_SHOWS * overall) / (n + PRIOR_SHOWS) for position, n, hit in rows}}


def ratio_interval(n: int, expected: float) -> tuple[float, float]:
    """Return the exact 95 % interval of a Poisson count divided by its expectation (Garwood 1936)."""
    if expected <= 0:
        return 0.0, float("inf")
    low = float(stats.chi2.ppf(0.025, 2 * n)) / 2 if n else 0.0
    return low / expected, float(stats.chi2.ppf(0.975, 2 * n + 2)) / 2 / expected


def since() -> datetime:
    return timezone.now() - timedelta(days=DAYS)
