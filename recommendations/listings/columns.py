"""The filterable attributes of many listings as columns in memory, and the filters over them.

``ListingColumns.matching`` is the twin of ``ListingQuerySet.matching``; a test compares them. Full text is searched in
the database, by ``text_matches``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from catalog import attributes
from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.engine.arrays import Array
from recommendations.engine.score_terms import great_circle_km
from recommendations.engine.table import CATEGORY_FIELDS, NUMBER_FIELDS, ListingTable
from recommendations.listings.rows import ListingRows
from recommendations.models.arrays import as_objects, read_queryset

CATEGORIES = {  # field of ListingFilters -> column of ListingRows
    "makes": "make",
    "models": "model",
    **{category.filter: category.column for category in attributes.CATEGORIES},
    "seller_kinds": "seller_kind",
}
RANGES = ("year", "price", *attributes.columns_of(attributes.RANGES))
UNKNOWN = 0  # the code of an empty category


OF_TAGS = ("_tags", "_rows_by_tag")


@dataclass(frozen=True, eq=False)
class PackedTags:
    """Tags of listings as arrays: rows with tags, their numbers of tags, and indices into the list of words."""

    words: list[str]
    rows: NDArray[np.int64]
    counts: NDArray[np.int32]
    numbers: NDArray[np.int32]

    @classmethod
    def of(cls, tags_by_row: Mapping[int, tuple[str, ...]]) -> Self:
        numbers: dict[str, int] = {}
        flat = [numbers.setdefault(tag, len(numbers)) for tags in tags_by_row.values() for tag in tags]
        counts = np.fromiter(map(len, tags_by_row.values()), np.int32, len(tags_by_row))
        rows = np.fromiter(tags_by_row, np.int64, len(tags_by_row))
        return cls(list(numbers), rows, counts, np.array(flat, np.int32))

    def unpacked(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        begin = 0
        for row, count in zip(self.rows.tolist(), self.counts.tolist(), strict=True):
            yield row, tuple(self.words[number] for number in self.numbers[begin : begin + count].tolist())
            begin += count


class ListingColumns:
    """Growable columns; a listing keeps its row as long as the columns live."""

    def __init__(self) -> None:
        self.n_rows = 0
        self._codes: dict[str, NDArray[np.int32]] = {name: np.empty(0, np.int32) for name in CATEGORIES.values()}
        self._vocabulary: dict[str, dict[str, int]] = {name: {"": UNKNOWN} for name in CATEGORIES.values()}
        self._numbers: dict[str, NDArray[np.float64]] = {
            name: np.empty(0) for name in (*RANGES, "latitude", "longitude")
        }
        self._rows_by_tag: dict[str, set[int]] = {}
        self._tags: dict[int, tuple[str, ...]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Pickle tags as arrays, which take a fraction of the memory until they are used."""
        state = {name: value for name, value in self.__dict__.items() if name not in OF_TAGS}
        return state | {"_packed_tags": PackedTags.of(self._tags)}

    def __getattr__(self, name: str) -> Any:
        """Unpack tags of another process when they are used first."""
        packed = self.__dict__.get("_packed_tags")
        if name not in OF_TAGS or packed is None:
            raise AttributeError(name)
        self._tags, self._rows_by_tag = {}, {}
        for row, tags in packed.unpacked():
            self._put_tags(row, tags)
        return self.__dict__[name]

    def taken_down(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return everything as arrays by name and JSON values; ``restore`` is the inverse."""
        arrays: dict[str, NDArray[Any]] = {f"code.{name}": codes for name, codes in self._codes.items()}
        arrays |= {f"number.{name}": numbers for name, numbers in self._numbers.items()}
        rest = {
            "n_rows": self.n_rows,
            "levels": {name: list(vocabulary) for name, vocabulary in self._vocabulary.items()},
            "tags": list(self._tags.items()),
        }
        return arrays, rest

    def restore(self, arrays: Mapping[str, NDArray[Any]], rest: Mapping[str, Any]) -> None:
        self.n_rows = rest["n_rows"]
        self._codes = {name: arrays[f"code.{name}"] for name in self._codes}
        self._numbers = {name: arrays[f"number.{name}"] for name in self._numbers}
        self._vocabulary = {
            name: {level: code for code, level in enumerate(levels)} for name, levels in rest["levels"].items()
        }
        for row, tags in rest["tags"]:
            self._put_tags(row, tuple(tags))

    def put(self, at: NDArray[np.intp], rows: ListingRows) -> None:
        """Write listings at the given positions, growing the columns where needed."""
        if not len(at):
            return
        self._grow(int(at.max()) + 1)
        for name, codes in self._codes.items():
            codes[at] = self._encode(name, rows.category(name))
        for name, numbers in self._numbers.items():
            numbers[at] = rows.number(name)
        for row, tags in zip(at.tolist(), rows.table.tags, strict=True):
            self._put_tags(row, tuple(tags))

    def matching(self, filters: ListingFilters, rows: NDArray[np.intp] | None = None) -> NDArray[np.bool_]:
        """Return which rows match every filter but ``text``: of all rows, shape (n_rows,), or of some."""
        at = slice(self.n_rows) if rows is None else rows
        mask = np.ones(self.n_rows if rows is None else len(rows), bool)
        for field, name in CATEGORIES.items():
            if wanted := getattr(filters, field):
                is_wanted = np.zeros(len(self._vocabulary[name]), bool)
                is_wanted[[self._vocabulary[name][value] for value in wanted if value in self._vocabulary[name]]] = True
                is_wanted[UNKNOWN] = False  # a filter on values never matches cars without a value
                mask &= is_wanted[self._codes[name][at]]
        for name in RANGES:
            low, high = getattr(filters, f"min_{name}"), getattr(filters, f"max_{name}")
            if low is not None:
                mask &= self._numbers[name][at] >= low  # a comparison with nan is false: the unknown does not match
            if high is not None:
                mask &= self._numbers[name][at] <= high
        for tag in filters.tags:
            tagged = np.zeros(self.n_rows, bool)
            tagged[list(self._rows_by_tag.get(tag, ()))] = True
            mask &= tagged[at]
        if filters.location:
            latitude, longitude, radius_km = filters.location
            mask &= self.distance_km(latitude, longitude)[at] <= radius_km
        return mask & self.matching(filters.also, rows) if filters.also else mask

    def table(self, rows: NDArray[np.intp]) -> ListingTable:
        """Return some rows as the encoder reads listings, without titles, which are not in memory."""
        n = len(rows)
        columns: dict[str, Any] = {
            name: as_objects(self.levels(name))[self.codes(name)[rows]] for name in CATEGORY_FIELDS
        }
        for name in NUMBER_FIELDS:
            columns[name] = self.numbers(name)[rows] if name in RANGES else np.full(n, np.nan)
        tags = as_objects([self._tags.get(row, ()) for row in rows.tolist()])
        return ListingTable(**columns, title=as_objects([""] * n), tags=tags)

    def distance_km(self, latitude: float, longitude: float) -> NDArray[np.float64]:
        """Return the great-circle distance of every row from a location; nan where a listing has none."""
        return great_circle_km(
            latitude, longitude, self._numbers["latitude"][: self.n_rows], self._numbers["longitude"][: self.n_rows]
        )

    def numbers(self, name: str) -> NDArray[np.float64]:
        return self._numbers[name][: self.n_rows]

    def codes(self, name: str) -> NDArray[np.int32]:
        """Return category codes of every row; 0 where unknown."""
        return self._codes[name][: self.n_rows]

    def levels(self, name: str) -> list[str]:
        """Return the category of each code; "" for the unknown."""
        return list(self._vocabulary[name])

    def _encode(self, name: str, values: NDArray[np.object_]) -> NDArray[np.int32]:
        vocabulary, texts = self._vocabulary[name], values.tolist()
        for value in dict.fromkeys(texts):  # new ones in the order in which they come
            vocabulary.setdefault(value, len(vocabulary))
        return np.fromiter(map(vocabulary.__getitem__, texts), np.int32, len(texts))

    def _put_tags(self, row: int, tags: tuple[str, ...]) -> None:
        for tag in self._tags.pop(row, ()):
            self._rows_by_tag[tag].discard(row)
        for tag in tags:
            self._rows_by_tag.setdefault(tag, set()).add(row)
        if tags:
            self._tags[row] = tags

    def _grow(self, n_rows: int) -> None:
        self.n_rows = max(self.n_rows, n_rows)
        for name, codes in self._codes.items():
            self._codes[name] = with_room_for(codes, self.n_rows, UNKNOWN)
        for name, numbers in self._numbers.items():
            self._numbers[name] = with_room_for(numbers, self.n_rows, np.nan)


def with_room_for(array: Array, n_rows: int, fill: Any) -> Array:
    """Return the array where it is long enough; else a copy with an eighth to spare, so that growth is rare."""
    if len(array) >= n_rows:
        return array
    larger = np.full((n_rows + n_rows // 8 + 16, *array.shape[1:]), fill, array.dtype)
    larger[: len(array)] = array
    return larger


def text_matches(text: str, among: Sequence[int] | None = None) -> NDArray[np.int64]:
    """Return ids of live listings whose text matches a web-style query, unordered: of all, or of some."""
    found = Listing.objects.available().matching(ListingFilters(text=text))
    if among is not None:
        found = found.filter(pk__in=among)
    return read_queryset(found, ["id"], [], [])[0]["id"]
