"""What buyers do, and what becomes of the lists they get.

Rates are read from a sample of the week's lists: their ids are random, so a range of ids is a fair draw, and a site
that serves a million lists is asked no more than a small one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Count, Q
from django.db.models.functions import TruncHour

from accounts.models import Buyer
from catalog.models import Listing
from console.dashboard.cards import CHART_OPTIONS, DAY, HOUR, WEEK, Card, Panel, stacked_bars
from console.dashboard.registry import show
from console.formats import NONE, list_link, list_url
from console.pages import planned_rows
from recommendations.events.bots import count_left_out
from recommendations.models import Attribution, EventKind, Interaction, Placement, ServedList
from recommendations.models.bots import is_person
from recommendations.models.impressions import was_shown
from web.replicas import reading_connection

LISTS_SAMPLED = 20_000

Key = TypeVar("Key")


# --- Events ----------------------------------------------------------------------------------------------------------
def read_events(now: datetime) -> list[dict[str, Any]]:
    """Events of the last day by kind and hour; at most 25 rows a kind."""
    lately = Interaction.objects.since(now - DAY).order_by()
    hourly = lately.annotate(hour=TruncHour("occurred_at")).values("kind_id", "hour")
    return [
        dict(row)
        for row in hourly.annotate(
            n=Count("pk"),
            n_last_hour=Count("pk", filter=Q(occurred_at__gte=now - HOUR)),
            n_unattributed=Count("pk", filter=Q(attribution__in=Attribution.wrong())),
        )
    ]


def events_card(events: list[dict[str, Any]]) -> Card:
    n_day, n_hour = sum(row["n"] for row in events), sum(row["n_last_hour"] for row in events)
    n_wrong = sum(row["n_unattributed"] for row in events)
    wrong = f"; {n_wrong:,} named a list they did not come from" if n_wrong else ""
    return Card(
        "Events, last 24 hours",
        f"{n_day:,}",
        f"{n_hour:,} in the last hour, {n_hour / 60:.1f} a minute{wrong}",
        list_url(Interaction),
        Interaction,
    )


def bots_card(now: datetime) -> Card:
    left_out = count_left_out(now - DAY)
    return Card(
        "Bots",
        f"{left_out.n_buyers:,}",
        "marked as bots among the buyers; events of theirs of the last day, left out of learning, demand and "
        f"figures: {left_out.n_events:,}",
        list_url(Buyer, bot="bots"),
        Buyer,
    )


def events_panel(now: datetime, events: list[dict[str, Any]]) -> Panel:
    names = dict(EventKind.objects.values_list("slug", "name"))
    kinds = sorted({row["kind_id"] for row in events}, key=lambda kind: -total_of(events, kind, "n"))
    return Panel(
        "Events by kind",
        "What buyers did in each of the last 24 hours.",
        Interaction,
        ("Kind", "A minute, last hour", "Last hour", "Last day"),
        tuple(
            (
                list_link(Interaction, names[kind], kind__slug__exact=kind),
                f"{total_of(events, kind, 'n_last_hour') / 60:.1f}",
                f"{total_of(events, kind, 'n_last_hour'):,}",
                f"{total_of(events, kind, 'n'):,}",
            )
            for kind in kinds
        ),
        chart=stacked_bars(hours_before(now), {names[kind]: by_hour(events, kind) for kind in kinds}) if kinds else "",
        chart_options=CHART_OPTIONS,
        empty="No events in the last 24 hours. Clients send them to /api/v1/events; searches count too.",
    )


def total_of(events: list[dict[str, Any]], kind: str, name: str) -> int:
    return sum(row[name] for row in events if row["kind_id"] == kind)


def by_hour(events: list[dict[str, Any]], kind: str) -> dict[datetime, int]:
    return {row["hour"]: row["n"] for row in events if row["kind_id"] == kind}


def hours_before(now: datetime) -> list[datetime]:
    hour = now.replace(minute=0, second=0, microsecond=0)
    return [hour - HOUR * back for back in range(24, -1, -1)]


# --- Lists -----------------------------------------------------------------------------------------------------------
def lists_card(now: datetime) -> Card:
    counts = ServedList.objects.filter(served_at__gte=now - DAY).aggregate(
        n=Count("pk"), n_hour=Count("pk", filter=Q(served_at__gte=now - HOUR))
    )
    return Card(
        "Lists served, last 24 hours",
        f"{counts['n']:,}",
        f"{counts['n_hour']:,} in the last hour",
        list_url(ServedList),
        ServedList,
    )


# --- What became of the lists ----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Outcome:
    """How many cars of one source were shown, clicked and contacted in one placement."""

    placement_id: int | None
    source: str
    n_shown: int
    n_clicked: int
    n_contacts: int

    @property
    def click_rate(self) -> float:
        return self.n_clicked / self.n_shown if self.n_shown else 0.0

    @property
    def contact_rate(self) -> float:
        return self.n_contacts / self.n_shown if self.n_shown else 0.0


@dataclass(frozen=True)
class Sample:
    """Lists of the last week, or a fair share of them.

    Attributes:
        share: Of the week's lists that were read, 0 to 1.
        outcomes: By placement and source.
        n_buyers, n_cold: People who got a list, and those of them who never left an event.
        n_cars: Different live cars in the lists.
    """

    share: float
    outcomes: tuple[Outcome, ...]
    n_buyers: int
    n_cold: int
    n_cars: int

    @property
    def of(self) -> str:
        """Says in a note that this is a sample, where it is one."""
        return "" if self.share >= 1 else f", from a random {self.share:.1%} of the lists"

    def total(self, outcomes: tuple[Outcome, ...] | None = None) -> Outcome:
        chosen = self.outcomes if outcomes is None else outcomes
        return Outcome(
            None, "", sum(each.n_shown for each in chosen), sum(each.n_clicked for each in chosen),
            sum(each.n_contacts for each in chosen),
        )  # fmt: skip

    def totals_by(self, key: Callable[[Outcome], Key]) -> list[tuple[Key, Outcome]]:
        """The sums over outcomes of one key, those shown most first."""
        keys = dict.fromkeys(map(key, self.outcomes))
        totals = [(own, self.total(tuple(each for each in self.outcomes if key(each) == own))) for own in keys]
        return sorted(totals, key=lambda keyed: -keyed[1].n_shown)


# ruff: noqa: S608 -- put together from constants
SAMPLE = f"""
WITH lately AS MATERIALIZED (
    SELECT id, placement_id, buyer_id, served_at, sources, listing_ids FROM recommendations_servedlist
    WHERE served_at >= %(since)s AND id <= %(last_id)s AND {is_person("recommendations_servedlist.buyer_id")}
),
shown AS (
    SELECT lately.placement_id, car.source, count(*) AS n FROM lately
    CROSS JOIN LATERAL unnest(lately.sources, lately.listing_ids) WITH ORDINALITY AS car (source, listing_id, position)
    WHERE {was_shown("lately", "car.position", "car.listing_id")} GROUP BY 1, 2
),
acted AS (
    SELECT event.served_list_id, event.position, bool_or(kind.is_contact) AS contacted
    FROM recommendations_interaction AS event
    JOIN recommendations_eventkind AS kind ON kind.slug = event.kind_id
    WHERE event.served_list_id IN (SELECT id FROM lately) AND event.position IS NOT NULL
        AND event.attribution IN ('', 'checked') AND kind.weight > 0
    GROUP BY 1, 2
),
done AS (
    SELECT list.placement_id, list.sources[acted.position] AS source, count(*) AS n,
           count(*) FILTER (WHERE acted.contacted) AS n_contacts
    FROM acted JOIN lately AS list ON list.id = acted.served_list_id GROUP BY 1, 2
),
people AS (
    SELECT EXISTS (SELECT FROM recommendations_interaction AS event WHERE event.buyer_id = served.buyer_id) AS is_known
    FROM (SELECT DISTINCT buyer_id FROM lately WHERE buyer_id IS NOT NULL) AS served
)
SELECT
    (SELECT json_agg(json_build_array(
        shown.placement_id, shown.source, shown.n, coalesce(done.n, 0), coalesce(done.n_contacts, 0)
    )) FROM shown LEFT JOIN done
    ON done.source = shown.source AND done.placement_id IS NOT DISTINCT FROM shown.placement_id),
    (SELECT count(*) FROM people),
    (SELECT count(*) FROM people WHERE NOT is_known),
    (SELECT count(*) FROM (SELECT DISTINCT unnest(listing_ids) AS id FROM lately) AS listed
     JOIN catalog_listing AS listing ON listing.id = listed.id AND listing.status = 'live')
"""
LARGEST_ID = 2**128 - 1


def read_sample(now: datetime) -> Sample:
    """A car of a list that was clicked twice counts once; events that name no position count nowhere."""
    n_lists = planned_rows(ServedList.objects.filter(served_at__gte=now - WEEK))
    last_id = LARGEST_ID if n_lists <= LISTS_SAMPLED else LARGEST_ID * LISTS_SAMPLED // n_lists
    with reading_connection().cursor() as cursor:
        cursor.execute(SAMPLE, {"since": now - WEEK, "last_id": str(UUID(int=last_id))})
        outcomes, n_buyers, n_cold, n_cars = cursor.fetchone()
    return Sample(
        share=last_id / LARGEST_ID,
        outcomes=tuple(Outcome(*row) for row in outcomes or ()),
        n_buyers=n_buyers,
        n_cold=n_cold,
        n_cars=n_cars,
    )


def clicks_card(sample: Sample) -> Card:
    total = sample.total()
    return Card(
        "Click rate, last 7 days",
        f"{total.click_rate:.1%}" if total.n_shown else NONE,
        f"{total.n_clicked:,} of {total.n_shown:,} places in lists were opened, liked or asked about{sample.of}",
        list_url(ServedList),
        ServedList,
    )


def contacts_card(sample: Sample) -> Card:
    total = sample.total()
    return Card(
        "Contact rate, last 7 days",
        f"{total.contact_rate:.2%}" if total.n_shown else NONE,
        f"{total.n_contacts:,} of {total.n_shown:,} places in lists led to a call or a message{sample.of}",
        list_url(Interaction, kind__is_contact__exact=1),
        Interaction,
    )


def cold_card(sample: Sample) -> Card:
    return Card(
        "Cold buyers",
        f"{sample.n_cold / sample.n_buyers:.0%}" if sample.n_buyers else NONE,
        f"of the {sample.n_buyers:,} who got a list in 7 days never left an event{sample.of}",
        list_url(Buyer),
        Buyer,
    )


def coverage_card(sample: Sample, n_live: int) -> Card:
    return Card(
        "Coverage, last 7 days",
        f"{sample.n_cars / n_live:.0%}" if n_live and sample.outcomes else NONE,
        f"{sample.n_cars:,} of the {n_live:,} cars for sale were in a buyer's list{sample.of}",
        list_url(Listing, status__exact="live"),
        ServedList,
    )


RATES = ("Shown", "Clicked", "Contacted")


def rates(outcome: Outcome) -> tuple[str, ...]:
    return (
        f"{outcome.n_shown:,}",
        f"{outcome.n_clicked:,} ({outcome.click_rate:.1%})",
        f"{outcome.n_contacts:,} ({outcome.contact_rate:.2%})",
    )


def sources_panel(sample: Sample) -> Panel:
    return Panel(
        "Clicks and contacts by source, last 7 days",
        f"Of the places each source filled in lists, how many were opened, liked or asked about{sample.of}.",
        ServedList,
        ("Source", *RATES),
        tuple((name, *rates(total)) for name, total in sample.totals_by(lambda outcome: outcome.source)),
        empty="No lists were served in the last 7 days. Clients ask for them at /api/v1/recommendations.",
    )


def placements_panel(sample: Sample) -> Panel:
    names = dict(Placement.objects.values_list("id", "name"))
    totals = sample.totals_by(lambda outcome: outcome.placement_id)
    return Panel(
        "Clicks and contacts by placement, last 7 days",
        f"Where on the site lists work, and where they do not{sample.of}.",
        ServedList,
        ("Placement", *RATES),
        tuple((placement_link(key, names), *rates(total)) for key, total in totals),
        empty="No lists were served in the last 7 days.",
    )


def placement_link(key: int | None, names: dict[int, str]) -> Any:
    if key is None:
        return "none (searches)"
    return list_link(ServedList, names.get(key, str(key)), placement__id__exact=key)


@show(order=20)
def traffic(now: datetime) -> Iterator[Card | Panel]:
    events, sample = read_events(now), read_sample(now)
    yield events_card(events)
    yield bots_card(now)
    yield lists_card(now)
    yield clicks_card(sample)
    yield contacts_card(sample)
    yield cold_card(sample)
    yield coverage_card(sample, Listing.objects.available().count())
    yield events_panel(now, events)
    yield sources_panel(sample)
    yield placements_panel(sample)
