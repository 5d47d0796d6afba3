"""Decide whether a new make or model may be added: those of our table may, and existing ones are used.

Other names wait for an operator, who is shown similar known names: a typing error that becomes a make of its own would
divide that make's stock in searches, prices and preferences.
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
    """An unknown name. ``field`` is make or model; ``near`` are similar known names."""

    field: str
    name: str
    near: tuple[str, ...]

    @property
    def reason(self) -> str:
        return f"the {self.field} {WAITS}" + (f"; nearest: {', '.join(self.near)}" if self.near else "")


class KnownNames:
    """Looks up names in the catalogue that our table does not have, each make once."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], UnknownName | None] = {}
        self._models: dict[str, dict[str, str]] = {}

    def unknown(self, row: ListingRow) -> UnknownName | None:
        """Return the first name of a row that has to wait. A make without models in our table may bring its own
        models."""
        if not row.make_slug:
            return None
        key = (row.make_slug, row.model_slug)
        if key not in self._answers:
            self._answers[key] = self._unknown_make(row) or self._unknown_model(row)
        return self._answers[key]

    @cached_property
    def _makes(self) -> dict[str, str]:
        """Names of the catalogue's makes, by slug."""
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
            return None  # our table has no names in other scripts, so such a name is not checked
        ours = self._models_of(row.make_slug)
        if row.model_slug in ours:
            return None
        near = near_models(row.make_slug, row.model) or named(near_slugs(row.model_slug, tuple(ours)), ours)
        return UnknownName("model", row.model, near)


def named(slugs: Iterable[str], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(names[slug] for slug in slugs)


def admit(field: str, name: str, *, make: str = "") -> None:
    """Add a new name on an operator's decision; from then on it is known to every import."""
    known, _ = Make.objects.get_or_create(slug=slug_of(make or name), defaults={"name": make or name})
    if field == "model":
        CarModel.objects.get_or_create(make=known, slug=slug_of(name), defaults={"name": name})
