"""A marketplace out of thin air, written to the database: stock, sellers, buyers with a planted taste, and their log.

The engine draws it (``market``, ``buyers``, ``simulation``); this module turns rows into records. Everything carries
the seed in its keys, so that a second run finds what is there and adds only what is missing: a crash costs the chunk
that was being written, and seeding again costs nothing.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, make_password
from django.db import connection, transaction
from django.db.models import Min
from django.utils import timezone
from psycopg.types.json import Jsonb

from accounts.models import Buyer, User
from catalog.imports.names import known_makes
from catalog.models import CarModel, Listing, Make, PriceChange, Seller
from catalog.signals import listings_stored
from jobs.work import Attempt, outcome, perform
from recommendations.exceptions import RecommendationsError
from recommendations.models import (
    EventKind,
    Interaction,
    Placement,
    RankerVersion,
    SeedRun,
    ServedList,
    SimulatedTaste,
)
from recommendations.serving.placements import HOME
from recommendations.simulation.browsing import (
    EVENT_KINDS,
    LIST_KINDS,
    NOTHING,
    History,
    Menu,
    SimulatedBuyer,
    draw_buyers,
    simulate,
)
from recommendations.simulation.car_specs import read_specs
from recommendations.simulation.market import STILL_FOR_SALE, Market, build_market, read_towns
from recommendations.simulation.particulars import Particulars, draw_particulars

Report = Callable[[float, str], None]

N_DEMO_USERS = 50
DEMO_EMAILS = [f"john{number}@example.com" for number in range(N_DEMO_USERS)]
DEMO_PASSWORD = "demo"  # noqa: S105 -- printed on the first page of the demo; works in demo mode only
ADMIN_EMAIL, ADMIN_PASSWORD = "admin@example.com", "forecourt"

LARGEST_SEED = 2**31 - 1
LARGEST = {"listings": 1_000_000, "buyers": 1_000_000, "events": 10_000_000}  # the whole log is drawn in memory
LOCK_CLASS = 0x5EED  # the first half of the key of PostgreSQL's advisory lock; the seed is the second
LISTINGS_AT_ONCE, LISTS_AT_ONCE = 5_000, 10_000  # per transaction
SOURCE_OF_LIST = dict(zip(LIST_KINDS, ("trending", "search", "exploration"), strict=True))
ID_SPACE = uuid.UUID("5d0f1c8e-6a43-4a5e-9b6c-0c8a2f1e7d11")  # of the lists' ids


class SeedRefused(RecommendationsError):
    """A marketplace that cannot be made as asked."""


@dataclass(frozen=True)
class SeedPlan:
    """What is asked for, and the keys that follow from it."""

    n_listings: int
    n_buyers: int
    n_events: int
    seed: int

    def __post_init__(self) -> None:
        for name, most in LARGEST.items():
            if not 0 <= (number := getattr(self, f"n_{name}")) <= most:
                raise SeedRefused(f"{name} must lie between 0 and {most:,}, not {number:,}")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise SeedRefused(f"seed must lie between 0 and {LARGEST_SEED:,}, not {self.seed:,}")
        if self.n_events and not self.n_listings:
            raise SeedRefused(f"{self.n_events:,} events need listings to happen to")
        if self.n_events and not self.n_buyers:
            raise SeedRefused(f"{self.n_events:,} events need buyers to cause them")

    @property
    def source(self) -> str:
        """Whose listings these are, as ``Listing.source``."""
        return f"seed-{self.seed}"

    @property
    def events_key(self) -> str:
        """What every event id begins with; it names the sizes, because who does what depends on them."""
        return f"{self.source}-{self.n_listings}x{self.n_buyers}x{self.n_events}-"

    def list_id(self, number: int) -> uuid.UUID:
        return uuid.uuid5(ID_SPACE, f"{self.events_key}{number}")


@dataclass
class SeedSummary:
    """What a seeding added, and how long it took; ``until`` is the day the market ends on."""

    source: str
    until: date
    added: dict[str, int] = field(default_factory=dict)
    n_live: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        added = ", ".join(f"{number:,} {name}" for name, number in self.added.items() if number)
        return f"{self.source} until {self.until}: added {added or 'nothing'} in {self.seconds:.1f} s"


def seed_marketplace(
    n_listings: int = 10_000,
    n_buyers: int = 1_000,
    n_events: int = 100_000,
    seed: int = 1,
    *,
    until: date | None = None,
    report: Report = lambda fraction, step: None,
) -> SeedSummary:
    """Make a marketplace, or complete one that was begun; a seed and a day always make the same rows.

    Args:
        n_listings: Cars, five sixths of them for sale.
        n_buyers: People with a taste; the first 50 of the first seed are the demo users.
        n_events: What they did, exactly.
        seed: Another seed is another market beside this one.
        until: The day before whose midnight everything happened; today when None. A market that exists keeps its own.
        report: Called with the share done and what is being done.

    Raises:
        SeedRefused: If the numbers make no sense, the day lies ahead, or the seed has already made a market of other
            sizes.
    """
    plan, started = SeedPlan(n_listings, n_buyers, n_events, seed), time.perf_counter()
    with seed_lock(plan):
        anchor = market_anchor(plan, until)
        refuse_other_sizes(plan)
        refuse_unknown_kinds(plan)
        summary = SeedSummary(plan.source, anchor.date())
        _Seeding(plan, anchor, summary, report).run()
    summary.n_live = Listing.objects.available().filter(source=plan.source).count()
    summary.seconds = time.perf_counter() - started
    return summary


def ensure_demo_people() -> None:
    """John0 to John49 as users and buyers; in demo mode with the password "demo", and an operator beside them.

    Outside demo mode no one can log in as one of them, since the password is public. A user who exists is left
    alone, but for a John without a usable password, who gets one when demo mode is on.
    """
    johns = User.objects.filter(email__in=DEMO_EMAILS)
    locked_out = johns.filter(password__startswith=UNUSABLE_PASSWORD_PREFIX) if settings.DEMO_MODE else johns.none()
    if johns.count() < N_DEMO_USERS or locked_out.exists():
        # one hash for all: making one is slow on purpose, and this password is no secret
        password = make_password(DEMO_PASSWORD if settings.DEMO_MODE else None)
        locked_out.update(password=password)
        User.objects.bulk_create(
            [
                User(email=email, first_name=f"John{number}", last_name="Doe", password=password)
                for number, email in enumerate(DEMO_EMAILS)
            ],
            ignore_conflicts=True,
        )
    Buyer.objects.bulk_create([Buyer(user=user) for user in johns.filter(buyer=None)], ignore_conflicts=True)
    if settings.DEMO_MODE and not User.objects.filter(email=ADMIN_EMAIL).exists():
        User.objects.create_superuser(ADMIN_EMAIL, ADMIN_PASSWORD)


def run_seeding(*, seed_run_id: int) -> str:
    """Make the market that a queued ``SeedRun`` asks for, or complete it; says what came of it.

    Two workers that make markets of one seed wait for each other. A refusal becomes the run's error; anything else is
    noted and raised.
    """

    def work(attempt: Attempt[SeedRun]) -> None:
        run = attempt.job
        ensure_demo_people()
        summary = seed_marketplace(run.n_listings, run.n_buyers, run.n_events, run.seed, report=attempt.report)
        attempt.finish(step=str(summary)[:120])

    perform(SeedRun, seed_run_id, work, refusals=(SeedRefused,))
    run = SeedRun.objects.get(pk=seed_run_id)
    return outcome(run, run.step)


# --- What is there already -------------------------------------------------------------------------------------------


@contextmanager
def seed_lock(plan: SeedPlan) -> Iterator[None]:
    """Two seedings of one seed wait for each other; the server lets go by itself when a process dies."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [LOCK_CLASS, plan.seed])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_CLASS, plan.seed])


def market_anchor(plan: SeedPlan, until: date | None) -> datetime:
    """The midnight before which everything happened: of a market that was begun its own, or else as asked."""
    begun: datetime | None = Listing.objects.filter(source=plan.source).aggregate(anchor=Min("created_at"))["anchor"]
    if begun:
        return begun
    today = timezone.now().astimezone(UTC).date()
    if until and until > today:
        raise SeedRefused(f"until must not lie ahead: {until} is after today, {today}")
    return datetime.combine(until or today, datetime.min.time(), UTC)


def refuse_other_sizes(plan: SeedPlan) -> None:
    """One seed is one market: events of other sizes would be other events about the same cars and people."""
    if plan.n_events and (sizes := other_sizes(plan)):
        raise SeedRefused(
            f"seed {plan.seed} has already made a market of {sizes} listings, buyers and events; take another seed"
        )


def refuse_unknown_kinds(plan: SeedPlan) -> None:
    """Kinds are edited by operators; one that was deleted is not brought back behind their backs."""
    known = EventKind.objects.values_list("slug", flat=True)
    if plan.n_events and (missing := sorted(set(EVENT_KINDS).difference(known))):
        raise SeedRefused(f"these kinds of events are missing, add them first: {', '.join(missing)}")


def other_sizes(plan: SeedPlan) -> str:
    """Of a market this seed has made with other numbers; empty when there is none."""
    of_seed = Interaction.objects.filter(event_id__startswith=f"{plan.source}-").order_by()
    other = of_seed.exclude(event_id__startswith=plan.events_key).values_list("event_id", flat=True).first()
    return other.removeprefix(f"{plan.source}-").rpartition("-")[0].replace("x", " x ") if other else ""


def is_unfinished(plan: SeedPlan) -> bool:
    """Whether a seeding of just this plan was begun and cut short; the log is written oldest first."""
    n_stored = Listing.objects.filter(source=plan.source).count()
    if not n_stored or other_sizes(plan):
        return False
    last_event = Interaction.objects.filter(event_id=f"{plan.events_key}{plan.n_events - 1}")
    return n_stored < plan.n_listings or (plan.n_events > 0 and not last_event.exists())


# --- Writing it ------------------------------------------------------------------------------------------------------


class _Seeding:
    """One run: draws the market, then stores what is not there yet, chunk by chunk."""

    def __init__(self, plan: SeedPlan, anchor: datetime, summary: SeedSummary, report: Report) -> None:
        self.plan, self.anchor, self.summary, self.report = plan, anchor, summary, report

    particulars: Particulars

    def run(self) -> None:
        self.report(0.0, "building cars")
        market = build_market(
            self.plan.n_listings, self.plan.seed, self.anchor.year, lifetime_days=settings.LISTING_LIFETIME_DAYS
        )
        listing_ids = self.store_stock(market)
        self.report(0.3, "inviting buyers")
        buyers = draw_buyers(self.plan.n_buyers, self.plan.seed, Menu.of(read_specs()), read_towns())
        buyer_ids = self.store_buyers(buyers)
        history = simulate(
            market, buyers, self.plan.n_events, self.plan.seed,
            report=lambda share: self.report(0.4 + 0.15 * share, "letting them browse"),
        )  # fmt: skip
        self.store_history(history, listing_ids, buyer_ids)
        with connection.cursor() as cursor:  # the planner knows nothing of tables that were empty a moment ago
            cursor.execute("ANALYZE catalog_listing, recommendations_interaction, recommendations_servedlist")
        self.report(1.0, "done")

    def at(self, seconds_before: int) -> datetime:
        return self.anchor - timedelta(seconds=int(seconds_before))

    def count(self, name: str, n: int) -> None:
        self.summary.added[name] = self.summary.added.get(name, 0) + n

    # --- stock

    def store_stock(self, market: Market) -> list[int]:
        """The ids of the market's listings, in its order; listings without a row get one."""
        make_ids, model_ids = self.store_names(market)
        self.particulars = draw_particulars(market, self.plan.seed, self.anchor)
        self.report(0.05, "opening dealerships")
        seller_ids = self.store_sellers(market)
        ids: dict[int, int] = {}
        for start in range(0, len(market), LISTINGS_AT_ONCE):
            self.report(0.1 + 0.2 * start / len(market), "parking cars")
            rows = range(start, min(start + LISTINGS_AT_ONCE, len(market)))
            known = self.known_listings(rows)
            if missing := [row for row in rows if row not in known]:
                self.store_listings(market, missing, make_ids, model_ids, seller_ids)
                known = self.known_listings(rows)
            ids |= known
        return [ids[row] for row in range(len(market))]

    def store_names(self, market: Market) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
        """Ids of makes by slug and of models by slugs. Those an import has brought are used as they are."""
        table, known = market.table, known_makes()
        makes = dict(zip(table.make, market.make_name, strict=True))
        models = dict(zip(zip(table.make, table.model, strict=True), market.model_name, strict=True))
        for slug, name in makes.items():
            if slug in known and known[slug].slug == slug:
                makes[slug] = known[slug].name or name  # spelled as in every other import
        before = Make.objects.count(), CarModel.objects.count()
        Make.objects.bulk_create([Make(slug=slug, name=name) for slug, name in makes.items()], ignore_conflicts=True)
        make_ids = dict(Make.objects.filter(slug__in=makes).values_list("slug", "id"))
        CarModel.objects.bulk_create(
            [CarModel(make_id=make_ids[make], slug=slug, name=name) for (make, slug), name in models.items()],
            ignore_conflicts=True,
        )
        of_makes = CarModel.objects.filter(make__slug__in=makes).values_list("make__slug", "slug", "id")
        self.count("makes", Make.objects.count() - before[0])
        self.count("models", CarModel.objects.count() - before[1])
        return make_ids, {(make, slug): key for make, slug, key in of_makes}

    def store_sellers(self, market: Market) -> dict[str, int]:
        """Ids of sellers by their key in the market."""
        first_row = {key: row for row, key in reversed(list(enumerate(market.seller_key)))}
        keys = {f"{self.plan.source}-{key}": key for key in sorted(first_row)}
        known = set(Seller.objects.filter(external_id__in=keys).values_list("external_id", flat=True))
        missing = [(external_id, first_row[key]) for external_id, key in keys.items() if external_id not in known]
        copy_rows(
            "catalog_seller",
            {"external_id": "text", "name": "text", "kind": "text", "place": "text", "latitude": "float8",
             "longitude": "float8"},
            (
                (external_id, market.seller_name[row], market.table.seller_kind[row], market.place[row],
                 float(market.latitude[row]), float(market.longitude[row]))
                for external_id, row in missing
            ),
        )  # fmt: skip
        self.count("sellers", len(missing))
        stored = Seller.objects.filter(external_id__in=keys).values_list("external_id", "id")
        return {keys[str(external_id)]: key for external_id, key in stored}

    def known_listings(self, rows: Iterable[int]) -> dict[int, int]:
        """Row in the market -> id, of those of these rows that are stored."""
        external_ids = [str(row) for row in rows]
        stored = Listing.objects.filter(source=self.plan.source, external_id__in=external_ids)
        return {int(external_id or 0): key for external_id, key in stored.values_list("external_id", "id")}

    def store_listings(
        self,
        market: Market,
        rows: Sequence[int],
        make_ids: dict[str, int],
        model_ids: dict[tuple[str, str], int],
        seller_ids: dict[str, int],
    ) -> None:
        """One chunk with its price history, all or nothing; the signal for vectors is sent after the commit."""
        table = market.table
        with transaction.atomic():
            copy_rows(
                "catalog_listing",
                LISTING_COLUMNS,
                (
                    (
                        *self.listing_values(market, row),
                        make_ids[table.make[row]],
                        model_ids[table.make[row], table.model[row]],
                        seller_ids[market.seller_key[row]],
                    )
                    for row in rows
                ),
            )
            ids = self.known_listings(rows)
            reduced = [row for row in rows if market.reduced_s[row]]
            PriceChange.objects.bulk_create(
                PriceChange(
                    listing_id=ids[row], old_price=Decimal(int(market.first_price[row])),
                    new_price=Decimal(int(table.price[row])), currency=settings.MARKET_CURRENCY,
                    changed_at=self.at(market.reduced_s[row]),
                )
                for row in reduced
            )  # fmt: skip
        self.count("listings", len(rows))
        self.count("price changes", len(reduced))
        if RankerVersion.objects.live():
            listings_stored.send(sender=Listing, listing_ids=[ids[row] for row in rows])

    def listing_values(self, market: Market, row: int) -> tuple[Any, ...]:
        """In the order of ``LISTING_COLUMNS``, up to the foreign keys."""
        table, said = market.table, self.particulars
        ended_s, published_at = market.ended_s[row], self.at(market.published_s[row])
        return (
            self.plan.source, str(row), "", table.title[row], market.description[row], list(table.tags[row]),
            int(table.year[row]), Decimal(int(table.price[row])), settings.MARKET_CURRENCY,
            _whole(table.mileage_km[row]), table.fuel[row], table.gearbox[row], table.body[row], table.drive[row],
            table.colour[row], _whole(table.power_kw[row]), _number(table.engine_l[row]),
            _number(table.consumption_l_100km[row]), int(market.doors[row]), int(market.seats[row]),
            int(market.owner_count[row]), Decimal(int(market.annual_tax[row])), "", market.place[row],
            float(market.latitude[row]), float(market.longitude[row]), market.status[row],
            published_at, None if ended_s == STILL_FOR_SALE else self.at(ended_s),
            self.anchor, self.anchor,  # the anchor is read back from created_at when a seeding is completed later
            said.condition[row], said.damage[row], said.first_registration[row], published_at,
        )  # fmt: skip

    # --- buyers

    def store_buyers(self, buyers: Sequence[SimulatedBuyer]) -> list[int]:
        """The ids of the buyers, in their order, each with a home and its truth stored."""
        n_demo = min(len(buyers), N_DEMO_USERS) if buyers and self.owns_demo_users() else 0
        with transaction.atomic():
            ids = self.demo_buyers(n_demo) + self.external_buyers(buyers, first=n_demo)
            known = set(SimulatedTaste.objects.filter(buyer_id__in=ids).values_list("buyer_id", flat=True))
            fresh = [(key, buyer) for key, buyer in zip(ids, buyers, strict=True) if key not in known]
            copy_rows(
                "recommendations_simulatedtaste",
                {"buyer_id": "int8", "parameters": "jsonb"},
                ((key, Jsonb(buyer.taste.to_json() | {"market": self.plan.source})) for key, buyer in fresh),
            )
            homeless = {key: buyer.behaviour for key, buyer in islice(zip(ids, buyers, strict=True), n_demo)}
            for john in Buyer.objects.filter(pk__in=homeless, latitude=None):
                home = homeless[john.pk]
                Buyer.objects.filter(pk=john.pk).update(latitude=home.latitude, longitude=home.longitude)
        self.count("buyers", len(fresh))
        return ids

    def owns_demo_users(self) -> bool:
        """Whether the demo users live in this market: they can have one truth only, and the first seed has them."""
        ensure_demo_people()
        first = SimulatedTaste.objects.filter(buyer__user__email=DEMO_EMAILS[0]).first()
        return first is None or first.parameters.get("market") == self.plan.source

    def demo_buyers(self, n: int) -> list[int]:
        ids = dict(Buyer.objects.filter(user__email__in=DEMO_EMAILS[:n]).values_list("user__email", "id"))
        return [ids[email] for email in DEMO_EMAILS[:n]]

    def external_buyers(self, buyers: Sequence[SimulatedBuyer], first: int) -> list[int]:
        names = {f"sim-{self.plan.seed}-{number}": number for number in range(first, len(buyers))}
        of_seed = Buyer.objects.filter(external_id__startswith=f"sim-{self.plan.seed}-")
        known = set(of_seed.values_list("external_id", flat=True))
        copy_rows(
            "accounts_buyer",
            {"external_id": "text", "questionnaire": "jsonb", "is_personalised": "bool", "latitude": "float8",
             "longitude": "float8", "created_at": "timestamptz"},
            (
                (name, Jsonb({}), True, buyers[number].behaviour.latitude, buyers[number].behaviour.longitude,
                 self.anchor)
                for name, number in names.items() if name not in known
            ),
        )  # fmt: skip
        ids = dict(of_seed.values_list("external_id", "id"))
        return [ids[name] for name in names]

    # --- the log

    def store_history(self, history: History, listing_ids: list[int], buyer_ids: list[int]) -> None:
        """Lists and the events that came from them, oldest first, some thousand lists to a transaction."""
        placement_id = Placement.objects.get_or_create(slug=HOME, defaults={"name": "Home page"})[0].pk
        by_list = history.event_list.argsort(kind="stable")
        first_event = history.event_list[by_list].searchsorted(range(history.n_lists + 1))
        for start in range(0, history.n_lists, LISTS_AT_ONCE):
            end = min(start + LISTS_AT_ONCE, history.n_lists)
            self.report(0.55 + 0.45 * start / history.n_lists, "writing the log")
            events = sorted(by_list[first_event[start] : first_event[end]].tolist())
            with transaction.atomic():
                self.count("lists", self.store_lists(history, range(start, end), listing_ids, buyer_ids, placement_id))
                self.count("events", self.store_events(history, events, listing_ids, buyer_ids))

    def store_lists(
        self, history: History, lists: range, listing_ids: list[int], buyer_ids: list[int], placement_id: int
    ) -> int:
        ids = {number: self.plan.list_id(number) for number in lists}
        known = set(ServedList.objects.filter(pk__in=ids.values()).values_list("pk", flat=True))
        sources = [SOURCE_OF_LIST[kind] for kind in LIST_KINDS]

        def rows() -> Iterator[tuple[Any, ...]]:
            for number, key in ids.items():
                if key in known:
                    continue
                shown = [listing_ids[row] for row in history.list_rows[number].tolist() if row != NOTHING]
                source = sources[history.list_kind[number]]
                yield (
                    key, buyer_ids[history.list_buyer[number]], None if source == "search" else placement_id, "",
                    self.at(history.list_s[number]), Jsonb(history.list_query[number]), shown,
                    [1 / position for position in range(1, len(shown) + 1)],  # nothing but the order ranked these lists
                    [source] * len(shown),
                )  # fmt: skip

        return copy_rows("recommendations_servedlist", LIST_COLUMNS, rows())

    def store_events(
        self, history: History, events: Sequence[int], listing_ids: list[int], buyer_ids: list[int]
    ) -> int:
        ids = {number: f"{self.plan.events_key}{number}" for number in events}
        known = set(Interaction.objects.filter(event_id__in=ids.values()).values_list("event_id", flat=True))

        def rows() -> Iterator[tuple[Any, ...]]:
            for number, key in ids.items():
                if key in known:
                    continue
                moment, of_list = self.at(history.event_s[number]), int(history.event_list[number])
                row, kind = int(history.event_row[number]), EVENT_KINDS[history.event_kind[number]]
                is_search = row == NOTHING
                yield (
                    key, buyer_ids[history.event_buyer[number]], kind, None if is_search else listing_ids[row],
                    Jsonb(history.list_query[of_list]) if is_search else None, moment, moment,
                    None if is_search else self.plan.list_id(of_list),
                    None if is_search else int(history.event_position[number]),
                )  # fmt: skip

        return copy_rows("recommendations_interaction", EVENT_COLUMNS, rows())


LISTING_COLUMNS = {
    "source": "text", "external_id": "text", "fingerprint": "text", "title": "text", "description": "text",
    "tags": "varchar[]", "year": "int2", "price": "numeric", "currency": "text", "mileage_km": "int4", "fuel": "text",
    "gearbox": "text", "body": "text", "drive": "text", "colour": "text", "power_kw": "int2", "engine_l": "float8",
    "consumption_l_100km": "float8", "doors": "int2", "seats": "int2", "owner_count": "int2", "annual_tax": "numeric",
    "photo_url": "text", "place": "text", "latitude": "float8", "longitude": "float8", "status": "text",
    "published_at": "timestamptz", "ended_at": "timestamptz", "created_at": "timestamptz", "updated_at": "timestamptz",
    "condition": "text", "damage": "text", "first_registration": "int4", "posted_at": "timestamptz",
    "make_id": "int8", "car_model_id": "int8", "seller_id": "int8",
}  # fmt: skip
LIST_COLUMNS = {
    "id": "uuid", "buyer_id": "int8", "placement_id": "int8", "variant": "text", "served_at": "timestamptz",
    "filters": "jsonb", "listing_ids": "int8[]", "scores": "float8[]", "sources": "varchar[]",
}  # fmt: skip
EVENT_COLUMNS = {
    "event_id": "text", "buyer_id": "int8", "kind_id": "text", "listing_id": "int8", "query": "jsonb",
    "occurred_at": "timestamptz", "received_at": "timestamptz", "served_list_id": "uuid", "position": "int2",
}  # fmt: skip


def copy_rows(table: str, columns: dict[str, str], rows: Iterable[tuple[Any, ...]]) -> int:
    """Append rows by binary COPY, some ten times as fast as INSERT; returns how many. ``columns`` gives their types."""
    n_rows = 0
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(list(columns.values()))
        for row in rows:
            copy.write_row(row)
            n_rows += 1
    return n_rows


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _whole(value: float) -> int | None:
    return None if math.isnan(value) else round(value)
