"""What is believed of a visitor in five lines, and what one click has changed of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from accounts.models import Buyer
from catalog.attributes import CATEGORIES as ATTRIBUTES
from catalog.filters import ListingFilters
from recommendations.buyers.context import preference_of
from recommendations.buyers.posteriors import taste_of
from recommendations.buyers.profiles import GRIDS, in_words, profile_of, rounded
from recommendations.engine.fields import CATEGORIES
from recommendations.engine.ranker import Ranker
from recommendations.exceptions import RankerRefused
from recommendations.listings.index import borrow_index
from recommendations.models import Preference
from recommendations.models.artifacts import load_ranker
from shop.words import field_label, money

LINES = 5
CHANGES = 3
FILTER_OF = {"make": "makes", **{attribute.name: attribute.filter for attribute in ATTRIBUTES}}  # by field
SMALLEST_CHANGE = 0.03  # of utility; less is not worth a word


@dataclass(frozen=True)
class Line:
    """One thing that is believed; ``share`` is its weight against the strongest, in percent."""

    field: str
    wanted: str
    unwanted: str
    share: int


@dataclass(frozen=True)
class Belief:
    """All that is believed of one visitor; ``certainty`` in percent of what sets buyers apart."""

    lines: tuple[Line, ...] = ()
    certainty: int = 0
    n_events: int = 0


@dataclass(frozen=True)
class Change:
    """``+ Škoda``: what is liked more, or less, than a moment ago, in utility."""

    level: str
    by: float

    @property
    def sign(self) -> str:
        return "+" if self.by > 0 else "−"


def belief_about(buyer: Buyer | None) -> Belief:
    """In words; empty for one of whom nothing is known, or who opted out."""
    preference = preference_of(buyer)
    if preference is None:
        return Belief()
    try:
        profile = profile_of(preference)
    except RankerRefused:  # its version was retired this moment
        return Belief()
    strongest = max((wish.strength for wish in profile.wishes), default=1.0)
    lines = tuple(
        Line(field_label(wish.field), wish.wanted, wish.unwanted, max(round(100 * wish.strength / strongest), 4))
        for wish in profile.wishes[:LINES]
    )
    return Belief(lines, round(100 * profile.certainty), preference.n_interactions)


@dataclass(frozen=True, eq=False)
class Taste:
    """The weights of one moment, in the space of a version; ``mean`` of shape (n_dims,)."""

    version_id: int
    ranker: Ranker
    mean: NDArray[np.float64]


def taste_now(buyer: Buyer | None) -> Taste | None:
    """What is believed this moment, brought up to date with the log; the population's where nothing is known."""
    return _as_taste(preference_of(buyer))


def _as_taste(preference: Preference | None) -> Taste | None:
    if preference is not None:
        try:
            ranker = load_ranker(preference.version_id)
        except RankerRefused:
            return None
        return Taste(preference.version_id, ranker, taste_of(preference).mean)
    with borrow_index() as listing_index:
        if listing_index is None:
            return None
        return Taste(listing_index.version_id, listing_index.ranker, listing_index.ranker.prior.mean)


def asked_levels(query: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """What a search asked for, by field: ``{"body": {"estate"}}``."""
    asked = ListingFilters.from_query(query).as_query()
    return {field: frozenset(asked[name]) for field, name in FILTER_OF.items() if asked.get(name)}


def changes_between(
    before: Taste | None, after: Taste | None, asked: Mapping[str, frozenset[str]] | None = None
) -> list[Change]:
    """The levels of which most was learned, the largest change first; nothing across two versions.

    Of a search, what it ``asked`` for comes first, and of the rest only what is liked less: levels that resemble what
    was asked for gain with it, such as vans with estates, and no one would understand them as what was learned.
    """
    if before is None or after is None or before.version_id != after.version_id:
        return []
    encoder, n = after.ranker.encoder, after.ranker.n_content
    moved = (after.mean - before.mean)[:n]
    found: list[tuple[str, str, float]] = []
    for field in CATEGORIES:
        if field in encoder.names:
            names, rows = encoder.level_vectors(field)
            by = rows @ moved
            strongest = np.argsort(-np.abs(by))[:2].tolist()
            wanted = [at for at, name in enumerate(names) if asked and name in asked.get(field, ())]
            kept = [*wanted, *(at for at in strongest if not asked or by[at] < 0)]
            found += [(field, names[at], float(by[at])) for at in dict.fromkeys(kept)]
    found.sort(key=lambda change: (not asked or change[1] not in asked.get(change[0], ()), -abs(change[2])))
    changes = [Change(in_words(field, [level]), by) for field, level, by in found if abs(by) >= SMALLEST_CHANGE]
    return changes[:CHANGES]


def price_wanted(taste: Taste | None) -> str:
    """The price at which utility is highest, ``about £12,000``; empty where price says nothing."""
    if taste is None or "price" not in taste.ranker.encoder.names:
        return ""
    grid = GRIDS["price"][1]
    utility = taste.ranker.encoder.curve(taste.mean[: taste.ranker.n_content], "price", grid)
    return _("about %(price)s") % {"price": money(rounded(grid[utility.argmax()]))} if np.ptp(utility) else ""
