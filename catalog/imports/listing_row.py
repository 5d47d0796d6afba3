"""What one source row says about one car, and why it says no more; no database, no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from operator import attrgetter
from typing import Any

from catalog.attributes import ATTRIBUTES, Addresses, Category, Moment, Number, Text, declare

CUT = "cut"  # how the note on a shortened text begins; the text is kept
DIGEST_BYTES = 16
# A car stays the same car when these change, and when a later release reads them out of the same file.
NOT_IDENTITY = frozenset(
    [
        "status",
        "photo_url",
        "url",
        "vin",
        "first_registration",
        "condition",
        "damage",
        "posted_at",
        "photos",
        "manufacturer_colour",
        "vat",
        "seller_phone",
        "seller_vat",
        "seller_url",
    ]
)
NAME_FIELDS = frozenset(["make", "make_slug", "model", "model_slug", "title", "built_title", "currency"])
UNKNOWN: Mapping[type, tuple[str, Any]] = {  # type and value
    Category: ("str", ""), Number: ("Any", None), Moment: ("Any", None), Text: ("str", ""),
    Addresses: ("tuple[str, ...]", ()),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingRow:
    """What one row says about one car, with a field for each of ``catalog.attributes``. '' and None: it does not say.

    ``make`` and ``model`` carry their slugs; ``built_title`` is a heading made of them for files that have none.
    ``status`` is '' unless the file says it; a status we do not know is "draft", since unknown must not mean live.
    """

    external_id: str | None = None
    vin: str = ""
    make: str = ""
    make_slug: str = ""
    model: str = ""
    model_slug: str = ""
    title: str = ""
    built_title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    year: int | None = None
    price: Decimal | None = None
    currency: str = ""
    declare(vars(), {each.column: UNKNOWN[type(each)] for each in ATTRIBUTES})
    photo_url: str = ""
    url: str = ""
    place: str = ""
    latitude: float | None = None
    longitude: float | None = None
    seller_id: str = ""
    seller_name: str = ""
    seller_kind: str = ""
    seller_phone: str = ""
    seller_vat: str = ""
    seller_url: str = ""
    status: str = ""

    @property
    def missing_for_sale(self) -> tuple[str, ...]:
        """What a buyer must know and this row does not say."""
        named = self.make or self.title or self.built_title
        return (*(() if named else ("make or title",)), *(() if self.price is not None else ("price",)))

    def digest(self, field_names: Sequence[str] = ()) -> str:
        """A stable name for what the row says: 32 hexadecimal digits, the same on every machine and day.

        Only fields that say something take part, so a field added to this class later changes no old digest.
        """
        names = field_names or _IDENTITY_FIELDS
        values = zip(names, attrgetter(*names, "status")(self), strict=False)  # "status": never just one, so a tuple
        said = [f"{name}={value}" for name, value in values if value or value == 0]
        return hashlib.blake2b("\x1f".join(said).encode(), digest_size=DIGEST_BYTES).hexdigest()


def has_content(value: Any) -> bool:
    """Neither None nor empty; nought says something. (Comparing a Decimal with a text would cost ten times as much.)"""
    return bool(value) or value == 0


_IDENTITY_FIELDS = tuple(field.name for field in fields(ListingRow) if field.name not in NOT_IDENTITY)
FACTS = tuple(field.name for field in fields(ListingRow) if field.name not in NAME_FIELDS)
ROW_FIELDS = tuple(field.name for field in fields(ListingRow))


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a value was dropped, or, when ``is_fatal``, why the row was refused."""

    column: str
    value: str
    reason: str
    is_fatal: bool = False


@dataclass(frozen=True, slots=True)
class RowReading:
    """What became of a row: ``row`` is None when it was refused. ``recovered`` names values put right."""

    row: ListingRow | None
    problems: tuple[RowProblem, ...] = ()
    recovered: tuple[str, ...] = ()


def refused(reason: str, value: str = "", problems: Iterable[RowProblem] = ()) -> RowReading:
    return RowReading(None, (*problems, RowProblem("", value, reason, is_fatal=True)))
