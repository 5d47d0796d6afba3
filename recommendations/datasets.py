"""Rows -> arrays and id maps: where the database meets numpy, and nothing else does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection
from django.db.models import FloatField, QuerySet
from django.db.models.functions import Cast, Extract
from numpy.typing import NDArray
from psycopg import Copy, Cursor, sql

from catalog.models import Listing
from catalog.querysets import ITEMS
from recommendations.engine.encoder import ListingTable
from recommendations.engine.stock import FOREVER
from recommendations.models import VECTOR_DIMENSIONS, EventKind, Interaction, RankerVersion

TEXT_COLUMNS = {
    "make__slug": "make",
    "car_model__slug": "model",
    "body": "body",
    "fuel": "fuel",
    "gearbox": "gearbox",
    "drive": "drive",
    "colour": "colour",
    "seller__kind": "seller_kind",
    "title": "title",
}
NUMBER_COLUMNS = ("year", "price", "mileage_km", "power_kw", "engine_l", "consumption_l_100km")
NAME_COLUMNS = ("make__name", "car_model__name")
OTHER_COLUMNS = ("id", "tags", "currency", "status", "latitude", "longitude", "seller_id", "seller__user_id")
# Epoch seconds straight from the database: parsing 100,000 timestamps here would take longer than all the rest.
MOMENTS = {
    "published_epoch": Cast(Extract("published_at", "epoch"), FloatField()),
    "ended_epoch": Cast(Extract("ended_at", "epoch"), FloatField()),
    "promoted_epoch": Cast(Extract("promoted_until", "epoch"), FloatField()),
}


@dataclass(frozen=True)
class ListingRows:
    """Listings as columns, all of length n.

    ``table`` holds what the encoder reads (prices in the market's currency); the rest is what filters and rules read.
    ``names`` is what a card shows. ``asked_price`` is the price as advertised, whatever its currency: that is what a
    price filter compares.
    """

    listing_ids: NDArray[np.int64]
    table: ListingTable
    names: NDArray[np.object_]
    asked_price: NDArray[np.float64]
    is_live: NDArray[np.bool_]
    published_at: NDArray[np.float64]
    ended_at: NDArray[np.float64]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    seller_ids: NDArray[np.int64]
    seller_user_ids: NDArray[np.int64]
    promoted_until: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.listing_ids)

    def take(self, at: NDArray[np.intp]) -> ListingRows:
        """The listings at some positions, in that order."""
        arrays = {field.name: getattr(self, field.name)[at] for field in fields(self) if field.name != "table"}
        return ListingRows(table=self.table.take(at), **arrays)

    def category(self, name: str) -> NDArray[np.object_]:
        return getattr(self.table, name)

    def number(self, name: str) -> NDArray[np.float64]:
        """A filterable number, nan where unknown."""
        if name == "price":
            return self.asked_price
        return getattr(self, name) if name in ("latitude", "longitude") else getattr(self.table, name)


def table_of(listings: Sequence[Listing]) -> ListingTable:
    """What the encoder reads of listings that are in memory already, with their card data; in their order."""
    rates = exchange_rates([listing.currency for listing in listings])
    return ListingTable.from_rows(
        {
            "make": listing.make.slug if listing.make else "",
            "model": listing.car_model.slug if listing.car_model else "",
            "seller_kind": listing.seller.kind if listing.seller else "",
            "price": None if listing.price is None else float(listing.price) * rate,
            **{
                name: getattr(listing, name) for name in ("body", "fuel", "gearbox", "drive", "colour", "title", "tags")
            },
            **{name: getattr(listing, name) for name in NUMBER_COLUMNS if name != "price"},
        }
        for listing, rate in zip(listings, rates, strict=True)
    )


def read_listings(listings: QuerySet[Listing]) -> ListingRows:
    """All columns of the listings in a queryset, ordered by id."""
    names = [*OTHER_COLUMNS, *NAME_COLUMNS, *TEXT_COLUMNS, *NUMBER_COLUMNS, *MOMENTS]
    found = listings.annotate(**MOMENTS).order_by("id").values_list(*names)
    columns = dict(zip(names, zip(*found, strict=True), strict=True)) if found else dict.fromkeys(names, ())
    numbers: dict[str, Any] = {name: as_floats(columns[name]) for name in NUMBER_COLUMNS}
    texts: dict[str, Any] = {field: as_texts(columns[column]) for column, field in TEXT_COLUMNS.items()}
    asked_price = numbers["price"]
    numbers["price"] = asked_price * exchange_rates(columns["currency"])
    return ListingRows(
        listing_ids=np.array(columns["id"], np.int64),
        table=ListingTable(
            **texts,
            **numbers,
            tags=as_objects([tuple(tags) for tags in columns["tags"]]),
        ),
        names=names_of(columns),
        asked_price=asked_price,
        is_live=np.array([status == Listing.Status.LIVE for status in columns["status"]], bool),
        published_at=as_floats(columns["published_epoch"]),
        ended_at=as_floats(columns["ended_epoch"], missing=FOREVER),
        latitude=as_floats(columns["latitude"]),
        longitude=as_floats(columns["longitude"]),
        seller_ids=np.array([key or 0 for key in columns["seller_id"]], np.int64),
        seller_user_ids=np.array([key or 0 for key in columns["seller__user_id"]], np.int64),
        promoted_until=as_floats(columns["promoted_epoch"]),
    )


def as_floats(values: Sequence, missing: float = np.nan) -> NDArray[np.float64]:
    return np.array([missing if value is None else value for value in values], np.float64)


def as_objects(values: Sequence) -> NDArray[np.object_]:
    """One object per element, also where the elements are sequences themselves."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def names_of(columns: Mapping[str, Sequence]) -> NDArray[np.object_]:
    """The twin of ``Listing.name``: the title, or make and model, or the bare id."""
    parts = zip(columns["id"], columns["title"], columns["make__name"], columns["car_model__name"], strict=True)
    return as_objects(
        [
            title or " ".join(filter(None, (make, model))) or f"Listing {listing_id}"
            for listing_id, title, make, model in parts
        ]
    )


def as_texts(values: Sequence[str | None]) -> NDArray[np.object_]:
    return as_objects([value or "" for value in values])


def exchange_rates(currencies: Sequence[str]) -> NDArray[np.float64]:
    """What one unit of each currency is worth in the market's; nan, an unknown price, where no rate is set."""
    rates = {settings.MARKET_CURRENCY: 1.0, **settings.EXCHANGE_RATES}
    return np.array([rates.get(currency, np.nan) for currency in currencies], np.float64)


def partition_of(version_id: int) -> str:
    """The table that holds the vectors of one version."""
    return f"recommendations_listingvector_v{int(version_id)}"


def read_vectors(
    version: RankerVersion | int, listing_ids: Sequence[int] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Stored vectors of one version, in no particular order: ids (n,), vectors (n, d), digests (n,)."""
    version_id = version if isinstance(version, int) else version.pk
    vectors = sql.SQL("SELECT listing_id, digest, vector FROM recommendations_listingvector WHERE version_id = {}")
    query = vectors.format(sql.Literal(version_id))
    if listing_ids is not None:
        query += sql.SQL(" AND listing_id = ANY({})").format(sql.Literal(list(listing_ids)))
    vector = [("dimensions", ">i2"), ("unused", ">i2"), ("vector", ">f4", (VECTOR_DIMENSIONS,))]
    record = np.dtype([("listing_id", ">i8"), ("digest", ">i8"), *vector])
    rows = read_records(query, ("int8send", "int8send", "vector_send"), record)
    return rows["listing_id"].astype(np.int64), rows["vector"].astype(np.float32), rows["digest"].astype(np.int64)


def read_columns(query: sql.Composable, *types: type[np.int64] | type[np.float64]) -> list[NDArray]:
    """The columns of a query as arrays, its rows in no particular order.

    All columns must be bigint or double precision, as the types say, and never NULL.
    """
    names = [f"column{at}" for at in range(len(types))]
    record = np.dtype([(name, np.dtype(kind).newbyteorder(">")) for name, kind in zip(names, types, strict=True)])
    rows = read_records(query, [SENDERS[kind] for kind in types], record)
    return [rows[name].astype(kind) for name, kind in zip(names, types, strict=True)]


SENDERS = {np.int64: "int8send", np.float64: "float8send"}  # PostgreSQL's own functions of the binary format
ROWS_IN_ONE = 50_000


def read_records(query: sql.Composable, senders: Sequence[str], record: np.dtype) -> NDArray:
    """The rows of a query as records of a fixed length, in no particular order.

    The database strings the columns' bytes together, many rows to one value. Sent row by row, even by COPY, each is a
    message that a process wakes up for: a million events took 3.1 s of processor, and take 0.04.
    """
    columns = [sql.Identifier(f"c{at}") for at in range(len(senders))]
    packed = [sql.SQL("{}({})").format(sql.SQL(send), name) for send, name in zip(senders, columns, strict=True)]
    statement = sql.SQL(
        "SELECT string_agg({packed}, ''::bytea) FROM (SELECT *, row_number() OVER () / {n} AS part "
        "FROM ({query}) AS found ({columns})) AS numbered GROUP BY part"
    ).format(
        packed=sql.SQL(" || ").join(packed), n=sql.Literal(ROWS_IN_ONE), query=query,
        columns=sql.SQL(", ").join(columns),
    )  # fmt: skip
    with connection.cursor() as cursor, Cursor(cursor.connection) as binary:
        parts = binary.execute(statement, binary=True).fetchall()
    return np.frombuffer(b"".join(part for (part,) in parts), record)


# Fields of a record in PostgreSQL's binary COPY, each after its size in bytes.
VERSION_FIELDS: list[tuple] = [("version_size", ">i4"), ("version_id", ">i8")]
VECTOR_FIELDS: list[tuple] = [
    ("id_size", ">i4"), ("listing_id", ">i8"),
    ("digest_size", ">i4"), ("digest", ">i8"),
    ("vector_size", ">i4"), ("dimensions", ">i2"), ("unused", ">i2"), ("vector", ">f4", (VECTOR_DIMENSIONS,)),
]  # fmt: skip
RECORD = np.dtype([("n_fields", ">i2"), *VECTOR_FIELDS])
VERSIONED_RECORD = np.dtype([("n_fields", ">i2"), *VERSION_FIELDS, *VECTOR_FIELDS])
RECORDS_AT_ONCE = 10_000  # of half a kilobyte each


def write_vectors(
    version: RankerVersion | int,
    listing_ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    digests: NDArray[np.int64],
) -> None:
    """Store vectors, replacing older ones of the same listings, through a binary COPY.

    Rows go in by listing id, so that two writers who meet wait for each other and never for ever.
    """
    version_id = version if isinstance(version, int) else version.pk
    records = vector_records(RECORD, listing_ids, vectors, digests)
    records["n_fields"] = 3
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE IF NOT EXISTS new_vector (listing_id bigint, digest bigint, vector vector)")
        cursor.execute("TRUNCATE new_vector")
        with cursor.copy("COPY new_vector (listing_id, digest, vector) FROM STDIN (FORMAT BINARY)") as copy:
            send_records(copy, records)
        cursor.execute(
            "INSERT INTO recommendations_listingvector (version_id, listing_id, digest, vector) "
            "SELECT %s, listing_id, digest, vector FROM new_vector ORDER BY listing_id "
            "ON CONFLICT (version_id, listing_id) DO UPDATE SET digest = excluded.digest, vector = excluded.vector "
            "WHERE recommendations_listingvector.digest <> excluded.digest",
            [version_id],
        )


def fill_partition(
    version_id: int, listing_ids: NDArray[np.int64], vectors: NDArray[np.float32], digests: NDArray[np.int64]
) -> None:
    """Store the vectors of a version that nobody reads yet: straight into its empty partition.

    The trigger that tells windows of new vectors belongs to the whole table and stays silent, as it should: told of
    every vector of a new version, the windows of the live one would read all their listings again.
    """
    table = sql.Identifier(partition_of(version_id))
    statement = sql.SQL("COPY {} (version_id, listing_id, digest, vector) FROM STDIN (FORMAT BINARY)").format(table)
    records = vector_records(VERSIONED_RECORD, listing_ids, vectors, digests)
    records["n_fields"], records["version_size"], records["version_id"] = 4, 8, version_id
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        send_records(copy, records)


def vector_records(
    record: np.dtype, listing_ids: NDArray[np.int64], vectors: NDArray[np.float32], digests: NDArray[np.int64]
) -> NDArray:
    """Rows as binary COPY takes them, by listing id."""
    order = np.argsort(listing_ids)
    records = np.zeros(len(order), record)
    records["id_size"], records["digest_size"] = 8, 8
    records["vector_size"], records["dimensions"] = 4 + 4 * VECTOR_DIMENSIONS, VECTOR_DIMENSIONS
    records["listing_id"], records["digest"] = listing_ids[order], digests[order]
    records["vector"] = vectors[order]
    return records


def send_records(copy: Copy, records: NDArray[np.void]) -> None:
    copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
    for start in range(0, len(records), RECORDS_AT_ONCE):
        copy.write(records[start : start + RECORDS_AT_ONCE].tobytes())
    copy.write(b"\xff\xff")


@dataclass(frozen=True)
class EventRows:
    """Events as columns, all of length n, oldest first. ``listing_ids`` is 0 for a search, and for a deleted car."""

    ids: NDArray[np.int64]
    buyer_ids: NDArray[np.int64]
    listing_ids: NDArray[np.int64]
    kinds: NDArray[np.object_]
    occurred_at: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_buyers(self) -> int:
        return len(np.unique(self.buyer_ids))

    @property
    def last_id(self) -> int:
        return int(self.ids.max(initial=0))

    def take(self, at: NDArray) -> EventRows:
        """Events at some positions, or where a mask is true."""
        return EventRows(**{field.name: getattr(self, field.name)[at] for field in fields(self)})

    def before(self, moment: float) -> EventRows:
        return self.take(self.occurred_at < moment)

    def of_buyers(self, buyer_ids: NDArray[np.int64]) -> EventRows:
        return self.take(np.isin(self.buyer_ids, buyer_ids))

    def newest_per_buyer(self, n: int) -> EventRows:
        """At most n of the newest events of each buyer."""
        order = np.lexsort((-self.occurred_at, self.buyer_ids))
        buyers = self.buyer_ids[order]
        starts = np.flatnonzero(np.r_[True, buyers[1:] != buyers[:-1]]) if len(self) else np.empty(0, np.intp)
        rank = np.arange(len(self)) - np.repeat(starts, np.diff(np.r_[starts, len(self)]))
        return self.take(np.sort(order[rank < n]))


EVENT_COLUMNS = sql.SQL(
    "i.id, i.buyer_id, coalesce(i.listing_id, 0), array_position({kinds}, i.kind_id::text)::bigint, "
    "extract(epoch FROM i.occurred_at)::float8"
)


def read_events(since: datetime) -> EventRows:
    """Every event about cars since a moment, oldest first."""
    query = sql.SQL(
        "SELECT {columns} FROM recommendations_interaction i WHERE i.occurred_at >= {since} "
        "AND NOT EXISTS (SELECT FROM catalog_listing l WHERE l.id = i.listing_id AND l.source = {items})"
    )
    return read_event_rows(query, since=sql.Literal(since), items=sql.Literal(ITEMS))


def read_histories(buyer_ids: Sequence[int], at_most: int, before: datetime | None = None) -> EventRows:
    """The newest events of each of these buyers, or the newest before a moment, so many at most; oldest first."""
    query = sql.SQL(
        "SELECT {columns} FROM unnest({buyers}::bigint[]) AS buyer (id) CROSS JOIN LATERAL ("
        "SELECT * FROM recommendations_interaction WHERE buyer_id = buyer.id AND occurred_at < {before} "
        "ORDER BY occurred_at DESC, id DESC LIMIT {at_most}) i"
    )
    return read_event_rows(
        query, buyers=sql.Literal(list(buyer_ids)), at_most=sql.Literal(at_most),
        before=sql.Literal(before or "infinity"),
    )  # fmt: skip


def read_event_rows(query: sql.SQL, **values: sql.Composable) -> EventRows:
    """The events a query finds, sorted here, where it is cheaper than in the database."""
    slugs = sorted(EventKind.objects.values_list("slug", flat=True))
    found = query.format(columns=EVENT_COLUMNS.format(kinds=sql.Literal(slugs)), **values)
    ids, buyer_ids, listing_ids, kinds, occurred_at = read_columns(
        found, np.int64, np.int64, np.int64, np.int64, np.float64
    )
    order = np.lexsort((ids, occurred_at))
    return EventRows(
        ids=ids[order],
        buyer_ids=buyer_ids[order],
        listing_ids=listing_ids[order],
        kinds=as_objects(slugs)[kinds[order] - 1],
        occurred_at=occurred_at[order],
    )


def read_shown_beside(event_ids: NDArray[np.int64], at_most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The other listings of the list each event came from, down to a place.

    Returns:
        Event ids and listing ids, both of length n_pairs: by event, from the top of its list. Events that came from no
        list, or from one that lacks their listing, are absent.
    """
    query = sql.SQL(
        "SELECT i.id, shown.place, shown.listing_id FROM recommendations_interaction i "
        "JOIN recommendations_servedlist s ON s.id = i.served_list_id AND i.listing_id = ANY(s.listing_ids) "
        "CROSS JOIN LATERAL unnest(s.listing_ids[:{at_most}]) WITH ORDINALITY AS shown (listing_id, place) "
        "WHERE i.id = ANY({events}) AND shown.listing_id <> i.listing_id"
    )
    found = query.format(at_most=sql.Literal(at_most), events=sql.Literal(event_ids.tolist()))
    found_events, places, listing_ids = read_columns(found, np.int64, np.int64, np.int64)
    order = np.lexsort((places, found_events))
    return found_events[order], listing_ids[order]


def read_queries(event_ids: NDArray[np.int64]) -> dict[int, dict[str, Any] | None]:
    """What the searches among some events asked for, by event id."""
    searches = Interaction.objects.filter(pk__in=event_ids.tolist(), query__isnull=False)
    return dict(searches.order_by().values_list("pk", "query"))
