"""Write a simulated market to the database: stock, sellers, buyers and their log."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from psycopg.types.json import Jsonb

from accounts.models import Buyer
from catalog.imports.names import known_makes
from catalog.models import CarModel, Listing, Make, PriceChange, Seller
from catalog.signals import listings_stored
from recommendations.models import Interaction, Placement, RankerVersion, ServedList, SimulatedTaste
from recommendations.serving.placements import HOME
from recommendations.simulation.browsing import EVENT_KINDS, LIST_KINDS, NOTHING, History, SimulatedBuyer
from recommendations.simulation.demo_people import DEMO_EMAILS, N_DEMO_USERS, ensure_demo_people
from recommendations.simulation.market import STILL_FOR_SALE, Market
from recommendations.simulation.particulars import Particulars, draw_particulars
from recommendations.simulation.seed_plan import SeedPlan, SeedSummary

Report = Callable[[float, str], None]
LISTINGS_AT_ONCE, LISTS_AT_ONCE = 5_000, 10_000  # per transaction
SOURCE_OF_LIST = dict(zip(LIST_KINDS, ("trending", "search", "exploration"), strict=True))
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


class SeedStore:
    """Stores the rows that are not there yet, chunk by chunk."""

    particulars: Particulars

    def __init__(self, plan: SeedPlan, anchor: datetime, summary: SeedSummary, report: Report) -> None:
        self.plan, self.anchor, self.summary, self.report = plan, anchor, summary, report

    def at(self, seconds_before: int) -> datetime:
        return self.anchor - timedelta(seconds=int(seconds_before))

    def count(self, name: str, n: int) -> None:
        self.summary.added[name] = self.summary.added.get(name, 0) + n

    # --- stock

    def store_stock(self, market: Market) -> list[int]:
        """Store listings that have no row yet; returns the ids of all listings, in the market's order."""
        make_ids, model_ids = self.store_names(market)
        self.particulars = draw_particulars(market, self.plan.seed, self.anchor)
        self.report(0.05, "storing sellers")
        seller_ids = self.store_sellers(market)
        ids: dict[int, int] = {}
        for start in range(0, len(market), LISTINGS_AT_ONCE):
            self.report(0.1 + 0.2 * start / len(market), "storing listings")
            rows = range(start, min(start + LISTINGS_AT_ONCE, len(market)))
            known = self.known_listings(rows)
            if missing := [row for row in rows if row not in known]:
                self.store_listings(market, missing, make_ids, model_ids, seller_ids)
                known = self.known_listings(rows)
            ids |= known
        return [ids[row] for row in range(len(market))]

    def store_names(self, market: Market) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
        """Return ids of makes by slug and of models by slugs. Existing ones are used as they are."""
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
        """Return ids of sellers by their key in the market."""
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
        """Return the ids of those rows of the market that are stored."""
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
        """Store one chunk with its price history in one transaction; the signal for vectors is sent after the
        commit."""
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
        """Return the values of ``LISTING_COLUMNS`` up to the foreign keys."""
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
        """Store each buyer with a home and the true utility; returns their ids in order."""
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
        """Whether the demo users belong to this market: they can have one true utility only, that of the first seed."""
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
        """Store lists and their events, oldest first, some thousand lists to a transaction."""
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
                    [1 / position for position in range(1, len(shown) + 1)],  # these lists have an order but no scores
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


def copy_rows(table: str, columns: dict[str, str], rows: Iterable[tuple[Any, ...]]) -> int:
    """Append rows by binary COPY, about ten times as fast as INSERT; returns how many. ``columns`` gives their
    types."""
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
