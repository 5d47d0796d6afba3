"""Archetypes: groups of similar cars, for learning that outlives a listing.

A car sells once, so factors of single listings would be of no use after the sale. All cars of a make, model, generation
and price band are therefore one *archetype*: events on sold cars still count, and a relisted or near-duplicate car
shares the factors of similar cars. ``collaborative`` learns over archetypes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recommendations.engine.arrays import Codes, Floats
from recommendations.engine.table import ListingTable

Key = tuple[Any, ...]

EVERYTHING: Key = ()


@dataclass(frozen=True)
class CollaborativeConfig:
    """How archetypes are formed, and how their factors are learned.

    Attributes:
        n_factors: Width of the collaborative part of a vector.
        n_iterations: Rounds of alternating least squares.
        confidence: How much an event raises the confidence: Hu et al.'s alpha.
        regularisation: Hu et al.'s lambda, of the factors.
        ease_regularisation: Steck's lambda: about how many buyers two archetypes must share before it counts.
        n_neighbours: Strongest weights of EASE kept per archetype; the rest is dropped to keep the ranker small.
        support: Buyers at which an archetype's own factors count as much as those predicted from its content.
        trusted_pairs: Pairs of buyer and archetype at which the factors reach half their maximal variance.
        relative_norm: Length of the factors relative to that of the content features, if there are plenty of events.
        generation_years: Years of registration in one generation.
        price_step: Ratio of the upper to the lower end of a price band.
        min_listings: Fewer listings than this form no archetype.
        max_archetypes: Most archetypes; EASE inverts a matrix of that size.
        seed: Seed of the factors' starting values.
    """

    n_factors: int = 32
    n_iterations: int = 8
    confidence: float = 10.0
    regularisation: float = 5.0
    ease_regularisation: float = 50.0
    n_neighbours: int = 200
    support: float = 10.0
    trusted_pairs: float = 1_000.0
    relative_norm: float = 0.5
    generation_years: int = 4
    price_step: float = 1.35
    min_listings: int = 5
    max_archetypes: int = 4_000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n_factors", "n_iterations", "n_neighbours", "generation_years", "min_listings", "max_archetypes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("confidence", "regularisation", "ease_regularisation", "support"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be a number above 0, not {getattr(self, name)}")
        for name in ("trusted_pairs", "relative_norm"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be a number from 0, not {getattr(self, name)}")
        if not 1 < self.price_step < np.inf:
            raise ValueError(f"price_step must be above 1, not {self.price_step}")


@dataclass(frozen=True, eq=False)
class Kinds:
    """Groups of listings with equal keys, of which a large catalogue has many.

    Attributes:
        keys: The keys of each kind, from the finest to the coarsest.
        of_listing: Kind of each listing, shape (n,).
    """

    keys: list[tuple[Key, Key, Key]]
    of_listing: NDArray[np.intp]

    def totals(self, by_listing: ArrayLike) -> list[float]:
        """Sum a number over the listings of each kind, in the order of the kinds; a scalar counts for each listing."""
        amounts = np.broadcast_to(np.asarray(by_listing, np.float64), len(self.of_listing))
        totals: list[float] = np.bincount(self.of_listing, amounts, minlength=len(self.keys)).tolist()
        return totals


@dataclass(frozen=True)
class Archetypes:
    """A fitted list of archetypes. A listing belongs to the first of its keys that is on the list:

    1. make, model, generation and price band (for listings that have neither make, model, body nor price: the title),
    2. make, body and price band (for such listings: their tags),
    3. body and price band,
    4. the key of all listings, so that every listing has an archetype.

    Attributes:
        keys: One per archetype, whose code is its position; the last is the key of all listings.
        generation_years, price_step: The values used in the fit.
    """

    keys: tuple[Key, ...]
    generation_years: int
    price_step: float

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def _code_by_key(self) -> dict[Key, int]:
        return {key: code for code, key in enumerate(self.keys)}

    def assign(self, table: ListingTable) -> Codes:
        """The archetype of each listing, int32, shape (n,)."""
        return self.assign_kinds(listing_kinds(table, self.generation_years, self.price_step))

    def assign_kinds(self, kinds: Kinds) -> Codes:
        """The archetype of each listing, from keys that are already computed; int32, shape (n,)."""
        code_by_kind = [self.codes_of((*keys, EVERYTHING))[0] for keys in kinds.keys]
        return np.array(code_by_kind, np.int32)[kinds.of_listing]

    def codes_of(self, keys: Iterable[Key]) -> list[int]:
        """The codes of those keys that are archetypes, in the same order."""
        return [self._code_by_key[key] for key in keys if key in self._code_by_key]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Each archetype in words, for operators: "skoda octavia, 2016 to 2019, 10,600 to 14,300"."""
        return tuple(self._label(key) for key in self.keys)

    def _label(self, key: Key) -> str:
        if key == EVERYTHING:
            return "everything else"
        kind, *parts = key
        if kind in ("title", "tags"):
            return ", ".join(parts)
        band = parts.pop()
        words = [" ".join(part for part in parts if isinstance(part, str) and part) or "unknown"]
        if kind == "model":
            words.append(_years(parts[-1], self.generation_years))
        return ", ".join([*words, _prices(band, self.price_step)])


def _years(generation: int | None, n_years: int) -> str:
    return "year unknown" if generation is None else f"{generation * n_years} to {(generation + 1) * n_years - 1}"


def _prices(band: int | None, step: float) -> str:
    return "price unknown" if band is None else f"{step**band:,.0f} to {step ** (band + 1):,.0f}"


def listing_kinds(table: ListingTable, generation_years: int, price_step: float) -> Kinds:
    """Compute ``listing_keys`` of a catalogue, once for all listings that are equal in the fields that form the
    keys."""
    make, model, body = _numbered(table.make), _numbered(table.model), _numbered(table.body)
    bands = _bands(table.price, price_step)
    # titles and tags make keys for listings that have nothing else, and would make every car a kind of its own
    is_bare = (make + model + body == 0) & ~np.isfinite(bands)
    texts = [np.zeros(len(table), np.int64) for _ in range(2)]
    for numbers, values in zip(texts, (table.title, table.tags), strict=True):
        numbers[is_bare] = _numbered(values[is_bare])
    columns = [make, model, body, np.floor(table.year / generation_years), bands, *texts]
    of_listing = np.zeros(len(table), np.intp)
    for column in columns:
        _, numbers = np.unique(column, return_inverse=True)
        _, of_listing = np.unique(of_listing * (len(table) + 1) + numbers, return_inverse=True)
    _, first = np.unique(of_listing, return_index=True)
    keys = listing_keys(table.take(first), generation_years, price_step)
    return Kinds(list(zip(*keys, strict=True)), of_listing)


def _numbered(values: NDArray[np.object_]) -> NDArray[np.int64]:
    """Number the values: equal values have equal numbers, and empty values have 0."""
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(value, len(numbers) + 1) if value else 0 for value in values], np.int64)


def listing_keys(table: ListingTable, generation_years: int, price_step: float) -> tuple[list[Key], ...]:
    """The keys of each listing from the finest to the coarsest: three lists of length n.

    Generations and price bands have a fixed grid, not quantiles of the catalogue, so that they are the same in every
    version. The first key of a listing without a model equals its second.
    """
    generations = _whole(np.floor(table.year / generation_years))
    bands = _whole(_bands(table.price, price_step))
    first: list[Key] = []
    second: list[Key] = []
    third: list[Key] = []
    columns = (table.make, table.model, table.body, generations, bands, table.title, table.tags)
    for make, model, body, generation, band, title, tags in zip(*columns, strict=True):
        third.append(("body", body, band))
        if make or model or body or band is not None:
            second.append(("make", make, body, band) if make else third[-1])
            first.append(("model", make, model, generation, band) if model else second[-1])
        else:
            second.append(("tags", *sorted(set(tags))) if len(tags) else third[-1])
            first.append(("title", title.casefold()) if title else second[-1])
    return first, second, third


def _bands(prices: Floats, price_step: float) -> Floats:
    """The price band of each price; not finite where it is unknown or 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        bands: Floats = np.floor(np.log(prices) / np.log(price_step) + 1e-9)
        return bands


def _whole(values: Floats) -> list[int | None]:
    return [int(value) if finite else None for value, finite in zip(values, np.isfinite(values), strict=True)]


def fit_archetypes_to(kinds: Kinds, config: CollaborativeConfig, events_by_listing: ArrayLike = 0.0) -> Archetypes:
    """Find the archetypes for which a catalogue has enough listings or events.

    At most a quarter of the list are coarse keys. The finest keys fill the rest, those with most events first, then
    those with most listings. A title stands for one item that does not sell out, so it needs an event and no number of
    listings.

    Args:
        kinds: Keys of all listings, sold ones included, from ``listing_kinds``.
        config: How fine the archetypes are, and how many at most.
        events_by_listing: Weight of the events of each listing, shape (n,), or 0 for none at all.
    """
    listings, events, coarse_listings = (defaultdict[Key, float](float) for _ in range(3))
    amounts = zip(kinds.keys, kinds.totals(1.0), kinds.totals(events_by_listing), strict=True)
    for (first, second, third), n, weight in amounts:
        listings[first] += n
        events[first] += weight
        for key in {second, third}:
            coarse_listings[key] += n
    n_coarse = (config.max_archetypes - 1) // 4
    coarse = _best(coarse_listings, {}, config.min_listings, n_coarse)
    for key in listings:
        if key[0] == "title":
            listings[key] = config.min_listings if events[key] > 0 else 0
    fine = _best(listings, events, config.min_listings, config.max_archetypes - 1 - len(coarse))
    keys = sorted(set(fine) | set(coarse), key=lambda key: tuple(map(str, key)))
    return Archetypes((*keys, EVERYTHING), config.generation_years, config.price_step)


def _best(listings: Mapping[Key, float], events: Mapping[Key, float], min_listings: int, n: int) -> list[Key]:
    supported = [key for key, count in listings.items() if count >= min_listings]
    return sorted(supported, key=lambda key: (-events.get(key, 0.0), -listings[key], tuple(map(str, key))))[:n]
