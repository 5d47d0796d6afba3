"""Listings as plain columns: what the encoder and the archetypes read, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from catalog.attributes import CATEGORY_FEATURES, NUMBER_FEATURES, columns_of, declare
from recommendations.engine.arrays import Texts
from recommendations.engine.columns import Columns

Numbers = NDArray[np.float64]

CATEGORY_FIELDS = ("make", "model", *columns_of(CATEGORY_FEATURES), "seller_kind")
NUMBER_FIELDS = ("year", "price", *columns_of(NUMBER_FEATURES))


@dataclass(frozen=True, kw_only=True)
class ListingTable(Columns):
    """Plain listing fields, one array per field, all of length n.

    Texts are object arrays of ``str``, where ``""`` means unknown; numbers are float64, where nan means unknown. Each
    attribute of ``catalog.attributes`` that is a feature has a column; one that is left out is unknown throughout.

    Attributes:
        make: Slug.
        model: Slug, unique only within its make.
        seller_kind: "dealer", "private" or "".
        year: Of first registration.
        price: In the market's currency.
        title: As advertised.
        tags: Tuples of ``str``; their order and repetition mean nothing.

    Raises:
        ValueError: If the columns differ in length.
    """

    make: Texts
    model: Texts
    seller_kind: Texts
    year: Numbers
    price: Numbers
    title: Texts
    tags: Texts
    # Of the attributes, those that code speaks of by their names:
    body: Texts
    fuel: Texts
    gearbox: Texts
    drive: Texts
    colour: Texts
    damage: Texts
    mileage_km: Numbers
    power_kw: Numbers
    engine_l: Numbers
    consumption_l_100km: Numbers
    declare(vars(), dict.fromkeys(columns_of(CATEGORY_FEATURES), ("Texts", None)))
    declare(vars(), dict.fromkeys(columns_of(NUMBER_FEATURES), ("Numbers", None)))

    def __post_init__(self) -> None:
        for name in (*CATEGORY_FIELDS, *NUMBER_FIELDS):
            if getattr(self, name) is None:
                unknown = np.full(len(self), np.nan) if name in NUMBER_FIELDS else np.full(len(self), "", object)
                object.__setattr__(self, name, unknown)
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of a listing table differ in length: {lengths}")

    def __len__(self) -> int:
        return len(self.make)

    @classmethod
    def concatenate(cls, tables: Sequence[ListingTable]) -> Self:
        """The rows of several tables below each other; no tables make a table without rows."""
        if not tables:
            return cls.from_rows([])
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(table, name) for table in tables]) for name in names})

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Self:
        """One row per mapping; a key that is missing, None or blank is unknown, and other keys are left alone.

        Raises:
            ValueError, TypeError: If a number is no number.
        """
        rows = list(rows)
        columns: dict[str, Any] = {"tags": _objects([tuple(row.get("tags") or ()) for row in rows])}
        for name in (*CATEGORY_FIELDS, "title"):
            columns[name] = _objects([row.get(name) or "" for row in rows])
        for name in NUMBER_FIELDS:
            columns[name] = np.array([_number(row.get(name)) for row in rows], np.float64)
        return cls(**columns)

    def digests(self) -> NDArray[np.int64]:
        """A number for what is encoded of each row, int64, shape (n,).

        It is the same in every process and on every machine, and changes (but for one chance in 2^64) when any field
        does. The order and repetition of tags leave it alone, as they leave the vector.
        """
        columns = [getattr(self, name) for name in (*CATEGORY_FIELDS, "title")]
        joined: dict[tuple[str, ...], str] = {}  # most listings of a site have the tags of many others
        tags = [
            joined.get(row) or joined.setdefault(row, "\x1e".join(sorted(set(row)))) for row in map(tuple, self.tags)
        ]
        texts = ["\x1f".join(row).encode() for row in zip(*columns, tags, strict=True)]
        numbers = np.column_stack([getattr(self, name) for name in NUMBER_FIELDS]).astype("<f8")
        numbers[np.isnan(numbers)] = np.nan  # one bit pattern for all of them
        numbers += 0.0  # and -0.0 is 0.0
        content, width = numbers.tobytes(), numbers.shape[1] * numbers.itemsize
        starts = range(0, len(texts) * width, width)
        hashed = [
            blake2b(text + content[at : at + width], digest_size=8).digest()
            for text, at in zip(texts, starts, strict=True)
        ]
        return np.frombuffer(b"".join(hashed), "<i8").astype(np.int64)


def _objects(values: Sequence[Any]) -> Texts:
    """One object per element, also where the elements are sequences themselves."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _number(value: Any) -> float:
    """Not a number where nothing is known; infinity says nothing either."""
    number = np.nan if value is None or value == "" else float(value)
    return number if np.isfinite(number) else np.nan
