"""A made-up export (``manage.py export``) of any size, and its events read in partitions of whole buyers.

Files have the names, columns and types of an export, so that the same reading works on a real one, as far as an export
goes: it says neither what was seen of a list nor which buyers are bots, and an event that names no list has none here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recommendations.events.rows import EventRows, ShownBeside
from recommendations.models import EventKind
from recommendations.models.arrays import as_objects
from recommendations.simulation.memory_log import KINDS
from recommendations.training.cluster import Executor
from recommendations.training.dataset import PartedEvents, first_buyers, n_partitions

DAYS = 120
ENDS = datetime(2026, 11, 1, tzinfo=UTC)
SHOWN = 12  # cars of a list
FROM_LISTS = 0.6  # of the events
EVENT_COLUMNS = ["id", "buyer_id", "kind", "listing_id", "occurred_at", "list_id", "dwell_seconds"]
LIST_COLUMNS = ["list_id", "buyer_id", "listing_ids"]
NO_LIST = -1
ROWS_OF_A_GROUP = 4_000


# --- Writing ---------------------------------------------------------------------------------------------------------
def write_export(folder: Path, n_events: int, n_buyers: int, n_listings: int, seed: int = 0) -> None:
    """Buyers who prefer a block of neighbouring listings open some of them, most from lists of twelve."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, n_listings, n_buyers)
    bounds = np.linspace(0, n_events, DAYS + 1).astype(int).tolist()
    for day, (first, end) in enumerate(pairwise(bounds)):
        write_day(folder, ENDS - timedelta(days=DAYS - day), np.arange(first, end), starts, n_listings, rng)


def write_day(
    folder: Path,
    day: datetime,
    ids: NDArray[np.int64],
    starts: NDArray[np.int64],
    n_listings: int,
    rng: np.random.Generator,
) -> None:
    n = len(ids)
    buyers = rng.integers(0, len(starts), n)
    near = rng.integers(0, max(n_listings // 50, 1), (n, SHOWN))
    shown = np.where(
        rng.random((n, SHOWN)) < 0.6, starts[buyers][:, None] + near, rng.integers(0, n_listings, (n, SHOWN))
    )
    shown = shown % n_listings + 1
    is_near = near.astype(float) + 1e9 * ((shown - 1 - starts[buyers][:, None]) % n_listings > n_listings // 50)
    chosen = shown[np.arange(n), is_near.argmin(axis=1)]
    has_list = rng.random(n) < FROM_LISTS
    moments = np.datetime64(day.replace(tzinfo=None), "us") + np.sort(rng.integers(0, 86_400_000_000, n))
    when = pa.array(moments, pa.timestamp("us", tz="UTC"))
    list_ids = pa.array([str(number) if has else None for number, has in zip(ids.tolist(), has_list, strict=True)])
    kinds = pa.array(rng.choice(["view", "favourite", "contact"], n, p=[0.85, 0.1, 0.05]))
    events = {
        "id": pa.array(ids + 1), "buyer_id": pa.array(buyers + 1), "kind": kinds, "listing_id": pa.array(chosen),
        "occurred_at": when, "list_id": list_ids, "dwell_seconds": pa.nulls(n, pa.float64()),
    }  # fmt: skip
    of_lists = pa.ListArray.from_arrays(np.arange(0, n * SHOWN + 1, SHOWN, dtype=np.int32), shown.ravel())
    lists = {
        "list_id": list_ids, "buyer_id": events["buyer_id"], "filters": pa.array(["{}"] * n), "listing_ids": of_lists,
    }  # fmt: skip
    write(folder, "events", day, pa.table(events))
    write(folder, "lists", day, pa.table(lists).filter(pa.array(has_list)))


def write(folder: Path, name: str, day: datetime, table: Any) -> None:
    path = folder / name / f"day={day:%Y-%m-%d}" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    # sorted, in small groups that say whose rows they hold: who reads some buyers leaves most of a file unread
    pq.write_table(table.sort_by("buyer_id"), path, compression="zstd", row_group_size=ROWS_OF_A_GROUP)


# --- Reading ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class ExportedLog:
    """What some buyers' events have beside their columns: an ``EventLog``.

    Attributes:
        event_ids: Sorted.
        listing_ids: Of each event.
        list_of: Number of the list each came from, ``NO_LIST`` for none.
        starts: Where each list begins in ``shown``, and at last where the last one ends.
        shown: Listing ids of all lists, one after the other.
    """

    event_ids: NDArray[np.int64]
    listing_ids: NDArray[np.int64]
    list_of: NDArray[np.int64]
    starts: NDArray[np.int64]
    shown: NDArray[np.int64]

    def kinds(self) -> Mapping[str, EventKind]:
        return KINDS

    def queries(self, event_ids: NDArray[np.int64]) -> dict[int, dict[str, Any] | None]:
        return {}

    def filters_of_lists(self, event_ids: NDArray[np.int64]) -> dict[int, dict[str, Any]]:
        return {}

    def locations(self, buyer_ids: Collection[int]) -> dict[int, tuple[float, float]]:
        return {}

    def shown_beside(self, event_ids: NDArray[np.int64], at_most: int) -> ShownBeside:
        event_ids = np.sort(event_ids)
        at = np.searchsorted(self.event_ids, event_ids)
        has_list = self.list_of[at] != NO_LIST
        event_ids, at = event_ids[has_list], at[has_list]
        lists, chosen = self.list_of[at], self.listing_ids[at]
        lengths = self.starts[lists + 1] - self.starts[lists]
        event = np.repeat(np.arange(len(at)), lengths)
        position = np.arange(len(event)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        listing_ids = self.shown[self.starts[lists][event] + position]
        is_chosen = listing_ids == chosen[event]
        stood_at = np.zeros(len(at), np.int64)
        stood_at[event[is_chosen][::-1]] = position[is_chosen][::-1] + 1
        kept = ~is_chosen & (position < at_most) & (stood_at[event] > 0)
        event, position = event[kept], position[kept]
        is_filtered = np.zeros(len(event), bool)
        return ShownBeside(event_ids[event], listing_ids[kept], position + 1, stood_at[event], is_filtered)

    @property
    def n_bytes(self) -> int:
        return sum(each.nbytes for each in vars(self).values())


def read_export(where: Executor, folder: Path, events_per_partition: int) -> PartedEvents:
    """The events of an export, each partition read by whatever keeps it."""
    days = sorted(folder.glob("events/day=*"))
    everybody, totals = where.parts([str(day) for day in days]).total_of(count_day, counted_together)
    firsts = first_buyers(everybody, totals, n_partitions(int(totals.sum()), events_per_partition)).tolist()
    ranges = list(zip(firsts, [*firsts[1:], int(everybody[-1]) + 1], strict=True))
    return PartedEvents(where.parts(ranges).map(read_partition, str(folder)))


def count_day(day: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    buyers = pq.read_table(f"{day}/events.parquet", columns=["buyer_id"])["buyer_id"].to_numpy()
    return np.unique(buyers, return_counts=True)


def counted_together(
    one: tuple[NDArray[np.int64], NDArray[np.int64]], other: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Buyers of either, sorted, and how many events each has altogether."""
    buyers, number = np.unique(np.concatenate([one[0], other[0]]), return_inverse=True)
    return buyers, np.bincount(number, np.concatenate([one[1], other[1]])).astype(np.int64)


def read_partition(buyer_ids: tuple[int, int], folder: str) -> EventRows:
    """The events of the buyers from one id up to, but without, another, with their lists."""
    with Path(folder, "reads.log").open("a") as file:
        file.write(f"{buyer_ids[0]}\n")
    events = read_table(folder, "events", EVENT_COLUMNS, buyer_ids)
    lists = read_table(folder, "lists", LIST_COLUMNS, buyer_ids)
    ids = events["id"].to_numpy()
    occurred_at = events["occurred_at"].cast(pa.int64()).to_numpy() / 1e6
    listing_ids = events["listing_id"].fill_null(0).to_numpy()
    kinds = events["kind"].combine_chunks().dictionary_encode()
    order = np.lexsort((ids, occurred_at))
    return EventRows(
        ids=ids[order],
        buyer_ids=events["buyer_id"].to_numpy()[order],
        listing_ids=listing_ids[order],
        kinds=as_objects(kinds.dictionary.to_pylist())[kinds.indices.to_numpy()][order],
        occurred_at=occurred_at[order],
        log=log_of(ids, listing_ids, events["list_id"].combine_chunks(), lists),
    )


def log_of(ids: NDArray[np.int64], listing_ids: NDArray[np.int64], list_ids: Any, lists: Any) -> ExportedLog:
    shown = lists["listing_ids"].combine_chunks()
    numbers = pc.index_in(list_ids, value_set=lists["list_id"].combine_chunks())
    by_id = np.argsort(ids)
    return ExportedLog(
        event_ids=ids[by_id],
        listing_ids=listing_ids[by_id],
        list_of=numbers.fill_null(NO_LIST).to_numpy().astype(np.int64)[by_id],
        starts=shown.offsets.to_numpy().astype(np.int64) - shown.offsets[0].as_py(),
        shown=shown.flatten().to_numpy().astype(np.int64),
    )


def read_table(folder: str, name: str, columns: list[str], buyer_ids: tuple[int, int]) -> Any:
    """Rows of a range of buyers, a file after the other: memory holds one file and what is kept."""
    within = [("buyer_id", ">=", buyer_ids[0]), ("buyer_id", "<", buyer_ids[1])]
    files = sorted(Path(folder).glob(f"{name}/day=*/{name}.parquet"))
    return pa.concat_tables(
        pq.read_table(file, columns=columns, filters=within, partitioning=None, use_threads=False) for file in files
    )


def bytes_of(events: EventRows) -> int:
    """What a partition holds as arrays, the words of the kinds left out."""
    columns = (events.ids, events.buyer_ids, events.listing_ids, events.kinds, events.occurred_at, events.dwell_seconds)
    log = events.log
    return sum(each.nbytes for each in columns) + (log.n_bytes if isinstance(log, ExportedLog) else 0)
