"""The values of one row of a source, or the reasons why there are none; no database, no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from operator import attrgetter
from typing import Any

from catalog.attributes import ATTRIBUTES, Addresses, Category, Moment, Number, Text, declare

CUT = "cut"  # first word of the note on a shortened text
DIGEST_BYTES = 16
# Changes of these fields do not change a car's identity, nor does a later release that reads them from the same file.
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
    """The values of one row, with a field for each of ``catalog.attributes``; "" and None mean not given.

    ``make`` and ``model`` have slugs; ``built_title`` is a title made of them for files without one. ``status`` is ""
    unless the file gives it; an unknown status is "draft", because unknown must not mean live.
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
        """Return the fields that a listing needs to go live and this row does not have."""
        named = self.make or self.title or self.built_title
        return (*(() if named else ("make or title",)), *(() if self.price is not None else ("price",)))

    def digest(self, field_names: Sequence[str] = ()) -> str:
        """Return a stable digest of the row's values: 32 hexadecimal digits, equal on every machine and day.

        Only given values take part, so that a field added to this class later changes no old digest.
        """
        names = field_names or _IDENTITY_FIELDS
        values = zip(names, attrgetter(*names, "status")(self), strict=False)  # "status": never just one, so a tuple
        said = [f"{name}={value}" for name, value in values if value or value == 0]
        return hashlib.blake2b("\x1f".join(said).encode(), digest_size=DIGEST_BYTES).hexdigest()


def has_content(value: Any) -> bool:
    """Whether a value is neither None nor empty; 0 has content. (Comparing a Decimal with a text would be ten times
    slower.)"""
    return bool(value) or value == 0


_IDENTITY_FIELDS = tuple(field.name for field in fields(ListingRow) if field.name not in NOT_IDENTITY)
FACTS = tuple(field.name for field in fields(ListingRow) if field.name not in NAME_FIELDS)
ROW_FIELDS = tuple(field.name for field in fields(ListingRow))


@dataclass(frozen=True, slots=True)
class RowProblem:
    """The reason why a value was dropped or, when ``is_fatal``, why the row was refused."""

    column: str
    value: str
    reason: str
    is_fatal: bool = False


@dataclass(frozen=True, slots=True)
class RowReading:
    """The result of reading a row: ``row`` is None when it was refused. ``recovered`` names values that were
    repaired."""

    row: ListingRow | None
    problems: tuple[RowProblem, ...] = ()
    recovered: tuple[str, ...] = ()


def refused(reason: str, value: str = "", problems: Iterable[RowProblem] = ()) -> RowReading:
    return RowReading(None, (*problems, RowProblem("", value, reason, is_fatal=True)))
