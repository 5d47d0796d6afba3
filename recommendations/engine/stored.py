"""Reading what another release stored: more or less than this one knows of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any


def known_fields(kind: type, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The stored values that are fields of a dataclass, by name.

    A value for a field that the dataclass does not have (any more) is left out; a field that was not stored takes the
    default of the dataclass, and a field without a default is missed when the dataclass is made.
    """
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in stored.items() if name in names}
