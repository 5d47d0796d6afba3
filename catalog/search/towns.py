"""Towns that a search may name, whether or not a car stands there; no database."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from catalog.imports.vocabulary import bare

TOWNS_FILE = Path(__file__).parent.parent / "data" / "towns.csv"


@dataclass(frozen=True)
class Town:
    """A name and its position in degrees."""

    name: str
    latitude: float
    longitude: float


@cache
def read_town_table() -> tuple[dict[str, str], ...]:
    """The rows of the table: country, town, latitude, longitude, population ('' where unknown), also_called."""
    with TOWNS_FILE.open(encoding="utf-8", newline="") as lines:
        return tuple(csv.DictReader(lines))


@cache
def known_towns() -> dict[str, Town]:
    """Bare name, or another name of it, -> town: ``munchen`` and ``munich``."""
    towns: dict[str, Town] = {}
    for row in read_town_table():
        town = Town(row["town"], float(row["latitude"]), float(row["longitude"]))
        for name in filter(None, (row["town"], row["also_called"])):
            towns.setdefault(bare(name), town)
    return towns
