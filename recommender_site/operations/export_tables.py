"""What an export holds: the columns of its tables, each with its type, where it comes from and what it says.

docs/operations.md describes the same; a test compares both. Columns are added at the end and never change their type or
meaning without another ``SCHEMA_VERSION``, so that files of several releases are read together.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from catalog.models import Listing
from recommendations.models import DemandDay, Interaction, ServedList

SCHEMA_VERSION = 1


def as_it_is(value: Any) -> Any:
    return value


def as_json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


def as_text(value: Any) -> str | None:
    return None if value is None else str(value)


@dataclass(frozen=True)
class Column:
    """One column of a file.

    Attributes:
        name: In the file.
        type: As ``export.arrow_type`` reads it: string, int64, int16, double, date, timestamp, decimal, list of one of
            them.
        path: The field it is read from, as an ORM path.
        says: What it means, for the docs and the file's own metadata.
        convert: From what the database gives to what Arrow takes.
    """

    name: str
    type: str
    path: str
    says: str
    convert: Callable[[Any], Any] = as_it_is


@dataclass(frozen=True)
class Table:
    """One kind of file; ``day_of`` names the column that decides a row's day (UTC), empty: all rows, as of now."""

    name: str
    rows: Callable[[], QuerySet[Any]]
    columns: tuple[Column, ...]
    day_of: str = ""


EVENTS = Table(
    "events",
    lambda: Interaction.objects.order_by("received_at", "pk"),
    (
        Column("id", "int64", "pk", "of the event, in the order of the log"),
        Column("event_id", "string", "event_id", "the sender's own id, unique for the sender"),
        Column("sender", "string", "sender", "whose id it is: key:7 (an API key), buyer:7, or empty"),
        Column("buyer_id", "int64", "buyer_id", "our id of the buyer"),
        Column("kind", "string", "kind_id", "kind of event, as in the admin"),
        Column("listing_id", "int64", "listing_id", "our id of the listing; empty for a search"),
        Column("query", "string", "query", "what a search asked for, JSON", as_json),
        Column("occurred_at", "timestamp", "occurred_at", "when the sender says it happened"),
        Column("received_at", "timestamp", "received_at", "when it arrived; decides the day"),
        Column("list_id", "string", "served_list_id", "the list it came from", as_text),
        Column("position", "int32", "position", "in that list, 1 is the top"),
        Column("attribution", "string", "attribution", "whether it came from the list it named; empty: not asked"),
        Column("dwell_seconds", "double", "dwell_seconds", "of a view, how long the page was looked at"),
        Column("value", "decimal", "value", "of a contact or a sale, in the market's currency"),
    ),
    day_of="received_at",
)
LISTS = Table(
    "lists",
    lambda: ServedList.objects.order_by("served_at", "pk"),
    (
        Column("list_id", "string", "pk", "of the list", as_text),
        Column("buyer_id", "int64", "buyer_id", "our id of the buyer; empty for one without a name"),
        Column("placement", "string", "placement__slug", "the spot of the site"),
        Column("version_id", "int64", "version_id", "the ranker version that made it"),
        Column("variant", "string", "variant", "arm of an experiment; feed for lists of the feed"),
        Column("served_at", "timestamp", "served_at", "when it was answered; decides the day"),
        Column("filters", "string", "filters", "what was asked for, JSON", as_json),
        Column("listing_ids", "list<int64>", "listing_ids", "in the order shown"),
        Column("scores", "list<double>", "scores", "of each, higher is better"),
        Column("sources", "list<string>", "sources", "the candidate source of each"),
        Column("propensities", "list<double>", "propensities", "how likely each was to stand there; empty: not noted"),
        Column("merchandising", "string", "merchandising", "what merchandising rules did, JSON", as_json),
    ),
    day_of="served_at",
)
LISTINGS = Table(
    "listings",
    lambda: Listing.objects.select_related(None).order_by("pk"),
    (
        Column("id", "int64", "pk", "our id"),
        Column("source", "string", "source", "the system or file it came from"),
        Column("external_id", "string", "external_id", "its id there"),
        Column("car_key", "string", "car_key", "the same for all advertisements of one car; empty: not known"),
        Column("seller_id", "int64", "seller_id", "our id of the seller"),
        Column("seller_kind", "string", "seller__kind", "dealer or private"),
        Column("make", "string", "make__name", "make"),
        Column("model", "string", "car_model__name", "model"),
        Column("title", "string", "title", "as advertised"),
        Column("description", "string", "description", "as advertised"),
        Column("tags", "list<string>", "tags", "equipment and the like"),
        Column("year", "int32", "year", "of first registration"),
        Column("price", "decimal", "price", "in the currency beside it"),
        Column("currency", "string", "currency", "three letters"),
        Column("mileage_km", "int64", "mileage_km", "kilometres"),
        Column("fuel", "string", "fuel", "fuel"),
        Column("gearbox", "string", "gearbox", "gearbox"),
        Column("body", "string", "body", "body"),
        Column("drive", "string", "drive", "driven wheels"),
        Column("colour", "string", "colour", "colour"),
        Column("manufacturer_colour", "string", "manufacturer_colour", "the manufacturer's name of the colour"),
        Column("power_kw", "int32", "power_kw", "kilowatts"),
        Column("engine_l", "double", "engine_l", "litres"),
        Column("consumption_l_100km", "double", "consumption_l_100km", "litres per 100 km"),
        Column("doors", "int32", "doors", "doors"),
        Column("seats", "int32", "seats", "seats"),
        Column("owner_count", "int32", "owner_count", "previous owners"),
        Column("first_registration", "int32", "first_registration", "year and month: 201803"),
        Column("condition", "string", "condition", "new, used or demo"),
        Column("damage", "string", "damage", "none, repaired, damaged or written_off; empty: nothing is said"),
        Column("vat", "string", "vat", "included, reclaimable, margin, added or excluded; empty: nothing is said"),
        Column("photos", "list<string>", "photos", "their addresses"),
        Column("place", "string", "place", "where it stands"),
        Column("latitude", "double", "latitude", "degrees"),
        Column("longitude", "double", "longitude", "degrees"),
        Column("status", "string", "status", "draft, live, reserved, sold, withdrawn or expired, as of the export"),
        Column("posted_at", "timestamp", "posted_at", "when its source put the advertisement online"),
        Column("published_at", "timestamp", "published_at", "when buyers could first see it"),
        Column("ended_at", "timestamp", "ended_at", "when it stopped being for sale"),
        Column("updated_at", "timestamp", "updated_at", "when it was last changed"),
    ),
)
DEMAND = Table(
    "demand",
    lambda: DemandDay.objects.order_by("day", "pk"),
    (
        Column("date", "date", "day", "of the events, by their arrival (UTC)"),
        Column("make", "string", "car_model__make__name", "make"),
        Column("model", "string", "car_model__name", "model"),
        Column("kind", "string", "kind_id", "kind of event, as in the admin"),
        Column("events", "int64", "n_events", "how many"),
        Column("buyers", "int64", "n_buyers", "of how many buyers; bots are left out"),
    ),
)
TABLES = {table.name: table for table in (EVENTS, LISTS, LISTINGS, DEMAND)}
