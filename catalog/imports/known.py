"""Whether a make or model may come into the catalogue unasked: those of our table may, and those that it has already.

All others wait for an operator, who is shown the nearest known ones: a typing error that becomes a make of its own
divides the stock of that make in two, in searches, prices and tastes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from catalog.imports.listing_row import ListingRow
from catalog.imports.names import known_makes, near_makes, near_models, near_slugs, rare_makes, slug_of
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
    """Asks the catalogue only about names that our table does not have, and about each make once."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], UnknownName | None] = {}
        self._models: dict[str, dict[str, str]] = {}

    def unknown(self, row: ListingRow) -> UnknownName | None:
        """The first name of a row that has to wait. A make without models in our table brings its own."""
        if not row.make_slug:
            return None
        key = (row.make_slug, row.model_slug)
        if key not in self._answers:
            self._answers[key] = self._unknown_make(row) or self._unknown_model(row)
        return self._answers[key]

    @cached_property
    def _makes(self) -> dict[str, str]:
        """Those of the catalogue, by slug."""
        return dict(Make.objects.values_list("slug", "name"))

    def _models_of(self, make_slug: str) -> dict[str, str]:
        if make_slug not in self._models:
            models = CarModel.objects.filter(make__slug=make_slug)
            self._models[make_slug] = dict(models.values_list("slug", "name"))
        return self._models[make_slug]

    def _unknown_make(self, row: ListingRow) -> UnknownName | None:
        if any(row.make_slug in makes for makes in (known_makes(), rare_makes())) or row.make_slug in self._makes:
            return None
        near = near_makes(row.make) or named(near_slugs(row.make_slug, tuple(self._makes)), self._makes)
        return UnknownName("make", row.make, near)

    def _unknown_model(self, row: ListingRow) -> UnknownName | None:
        make = known_makes().get(row.make_slug)
        if not row.model_slug or make is None or not make.models or row.model_slug in make.models:
            return None
        if not _LATIN.search(row.model_slug):
            return None  # our table has no names in other scripts, so that not to know one says nothing
        ours = self._models_of(row.make_slug)
        if row.model_slug in ours:
            return None
        near = near_models(row.make_slug, row.model) or named(near_slugs(row.model_slug, tuple(ours)), ours)
        return UnknownName("model", row.model, near)


def named(slugs: Iterable[str], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(names[slug] for slug in slugs)


def admit(field: str, name: str, *, make: str = "") -> None:
    """An operator says that a name is a new one: from then on it is known, whichever way a car comes in."""
    known, _ = Make.objects.get_or_create(slug=slug_of(make or name), defaults={"name": make or name})
    if field == "model":
        CarModel.objects.get_or_create(make=known, slug=slug_of(name), defaults={"name": name})
