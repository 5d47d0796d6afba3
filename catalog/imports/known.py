"""Whether a make or model may come into the catalogue unasked: those of our table may, and those that it has already.

All others wait for an operator, who is shown the nearest known ones: a typing error that becomes a make of its own
divides the stock of that make in two, in searches, prices and tastes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from catalog.imports.names import known_makes, near_makes, near_models, near_slugs, rare_makes, slug_of
from catalog.imports.rows import ListingRow
from catalog.models import CarModel, Make

_LATIN = re.compile(r"[a-z0-9]")
WAITS = "is not known, so the row waits"


@dataclass(frozen=True)
class UnknownName:
    """``field`` is make or model; ``near`` are the known names that it may be a typing error of."""

    field: str
    name: str
    near: tuple[str, ...]

    @property
    def reason(self) -> str:
        return f"the {self.field} {WAITS}" + (f"; nearest: {', '.join(self.near)}" if self.near else "")


class KnownNames:
    """Asks the catalogue only about names that our table does not have, and about each of them once."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], UnknownName | None] = {}

    def unknown(self, row: ListingRow) -> UnknownName | None:
        """The first name of a row that has to wait. A make without models in our table brings its own."""
        if not row.make_slug:
            return None
        key = (row.make_slug, row.model_slug)
        if key not in self._answers:
            self._answers[key] = _unknown_make(row) or _unknown_model(row)
        return self._answers[key]


def _unknown_make(row: ListingRow) -> UnknownName | None:
    if (
        row.make_slug in known_makes()
        or row.make_slug in rare_makes()
        or Make.objects.filter(slug=row.make_slug).exists()
    ):
        return None
    near = near_makes(row.make)
    if not near:
        ours = dict(Make.objects.values_list("slug", "name"))
        near = tuple(ours[slug] for slug in near_slugs(row.make_slug, tuple(ours)))
    return UnknownName("make", row.make, near)


def _unknown_model(row: ListingRow) -> UnknownName | None:
    make = known_makes().get(row.make_slug)
    if not row.model_slug or make is None or not make.models or row.model_slug in make.models:
        return None
    if not _LATIN.search(row.model_slug):
        return None  # our table has no names in other scripts, so that not to know one says nothing
    ours = dict(CarModel.objects.filter(make__slug=row.make_slug).values_list("slug", "name"))
    if row.model_slug in ours:
        return None
    near = near_models(row.make_slug, row.model)
    return UnknownName(
        "model", row.model, near or tuple(ours[slug] for slug in near_slugs(row.model_slug, tuple(ours)))
    )


def admit(field: str, name: str, *, make: str = "") -> None:
    """An operator says that a name is a new one: from then on it is known, whichever way a car comes in."""
    known, _ = Make.objects.get_or_create(slug=slug_of(make or name), defaults={"name": make or name})
    if field == "model":
        CarModel.objects.get_or_create(make=known, slug=slug_of(name), defaults={"name": name})
