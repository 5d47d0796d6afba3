"""The metrics of a ranker version, as rows that a table can show."""

from collections.abc import Mapping
from typing import Any


def side_by_side(metrics: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The names of the rankers that were compared, and a row per metric: its name, then a value per ranker.

    Empty for a version that was not evaluated. A metric that one of the rankers lacks stays blank there.
    """
    rankers: Mapping[str, Mapping[str, Any]] = metrics.get("rankers", {})
    names = list(dict.fromkeys(name for measured in rankers.values() for name in measured))
    rows = [[name, *(shown(measured.get(name)) for measured in rankers.values())] for name in names]
    return list(rankers), rows


def shown(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "" if value is None else str(value)
