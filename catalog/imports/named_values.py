"""Lists whose entries name themselves: ``<param name="make">Ford</param>``, ``{"key": "make", "value": "Ford"}``.

Each entry is a value of the car under that name, however many there are and in whatever order they come.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, TypeGuard
from xml.etree.ElementTree import Element

NAMES = ("name", "label", "key", "attribute", "property", "param")  # what an entry is called; the first that it has
VALUES = ("value", "values", "text", "content")
_BESIDE_THEM = ("id", "unit", "type", "code", "lang", "order", "group", "value_label", "key_label", "localized")
MAX_NAMED = 300  # entries of one list


def named_entries(entries: Sequence[Any]) -> list[tuple[str, Any]] | None:
    """(name, value) of each entry of a list of objects; None where one of them does not name itself.

    What only says that it is there (``{"name": "ABS", "value": true}``) is one of a plain list, under ''.
    """
    if not 0 < len(entries) <= MAX_NAMED or not all(map(_is_named, entries)):
        return None
    named = [(_plain(_first(entry, NAMES)), _first(entry, VALUES)) for entry in entries]
    there = [name for name, value in named if value is True or str(value).casefold() == name.casefold()]
    rest = [(name, value) for name, value in named if name not in there and value is not False]
    return [*rest, ("", there)] if there else rest


def names_itself(leaves: Collection[str]) -> bool:
    """Whether an object has a name, a value and little else: it may be one of such a list."""
    parts = {leaf.split(".")[0] for leaf in leaves}
    return bool(parts & {*NAMES}) and bool(parts & {*VALUES, "unit"}) and parts <= {*NAMES, *VALUES, *_BESIDE_THEM}


def named_twins(twins: Sequence[Element]) -> list[tuple[str, Element]] | None:
    """(name, element) of elements of one tag that name themselves by an attribute; None where one does not."""
    named = [
        (name, twin) for twin in twins
        if (name := _plain(_first(twin.attrib, NAMES))) and ((twin.text or "").strip() or "value" in twin.attrib)
    ]  # fmt: skip
    return named if len(named) == len(twins) <= MAX_NAMED and len({name for name, _ in named}) > 1 else None


def _is_named(entry: Any) -> TypeGuard[dict[str, Any]]:
    if not isinstance(entry, dict) or not any(name in entry for name in VALUES):
        return False
    name = _first(entry, NAMES)
    return isinstance(name, str) and bool(_plain(name))


def _first(entry: Any, names: Sequence[str]) -> Any:
    return next((entry[name] for name in names if entry.get(name) is not None), None)


def _plain(name: Any) -> str:
    """A name as a part of a path, of which points and brackets would make several."""
    return re.sub(r"[.\[\]/\s]+", " ", name).strip() if isinstance(name, str) else ""
