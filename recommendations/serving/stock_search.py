"""Searches in the listing index: the matching cars, their order, and the number of cars with each value.

The answers are those of the database, which the index follows a moment behind: of each listing that the index may not
know as it is now, the database is asked. Where there is no index, where it is a sample, or where more listings have
changed than are worth asking for one by one, the caller asks the database for everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from django.db.models import F, FloatField
from django.db.models.functions import Cast
from numpy.typing import NDArray

from catalog.currencies import market_price
from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.querysets import ListingQuerySet
from catalog.search.facets import Facets, counts_of, most_frequent
from catalog.search.parameters import SET_PARAMETERS
from recommendations.listings.columns import CATEGORIES
from recommendations.listings.index import ListingIndex, borrow_index
from recommendations.listings.orders import NEWEST, keys_of, places_among, sortable
from recommendations.listings.rows import MOMENTS

ASKED_AT_MOST = 500  # listings that the database is asked for one by one
EDGE_KM = 0.001  # the database and numpy round a distance differently, by less than that
KEYS = {
    NEWEST: MOMENTS["published_epoch"],
    "price": market_price,
    "year": Cast(F("year"), FloatField()),
    "mileage": Cast(F("mileage_km"), FloatField()),
}


@dataclass(frozen=True, eq=False)
class StockSearch:
    """The stock as it is for sale now.

    Attributes:
        listing_index: What is known in memory.
        undecided: Ids of listings that the database is asked for instead, shape (n,).
    """

    listing_index: ListingIndex
    undecided: NDArray[np.int64]

    @classmethod
    def now(cls) -> StockSearch | None:
        """None where the database has to be asked for everything."""
        with borrow_index() as listing_index:
            pass
        if listing_index is None or not listing_index.is_complete:
            return None
        undecided = listing_index.read_undecided(ASKED_AT_MOST)
        return None if undecided is None else cls(listing_index, np.array(sorted(undecided), np.int64))

    def found(self, filters: ListingFilters, ordering: str) -> NDArray[np.int64] | None:
        """Ids of all listings that are for sale and match, in an order of ``listings.orders``; None as for ``now``."""
        for text in texts_of(filters):
            self.listing_index.prepare_words(text)
        with borrow_index():  # its turn, whichever index it is by now
            asked = self._asked(filters)
            if len(asked) > ASKED_AT_MOST:
                return None
            is_found = self._rows(filters, asked)
            order = self.listing_index.rows_in(ordering)
            rows = order[is_found[order]]
            ids = self.listing_index.column("listing_ids")[rows]
            if not len(asked):
                return ids
            keys, ties = keys_of(self.listing_index, ordering)
            keys, ties = keys[rows], ties[rows]
        return with_asked(ids, keys, ties, asked, filters, ordering)

    def facets(self, filters: ListingFilters) -> Facets | None:
        """As ``catalog.search.facets.facets_of``; None as for ``now``."""
        for text in texts_of(filters):
            self.listing_index.prepare_words(text)
        with borrow_index():
            asked = self._asked(filters)
            if len(asked) > ASKED_AT_MOST:
                return None
            counts = self._counts(filters, asked)
        if len(asked):
            among = for_sale().filter(pk__in=asked.tolist())
            for name, counted in counts.items():
                for value, n in counts_of(name, filters, among).items():
                    counted[value] = counted.get(value, 0) + n
        return {parameter: most_frequent(counts[name]) for parameter, name in SET_PARAMETERS.items()}

    def _asked(self, filters: ListingFilters) -> NDArray[np.int64]:
        """Listings that the database is asked for: those not known, and those on the edge of a circle."""
        edge = np.zeros(len(self.listing_index), bool)
        for latitude, longitude, radius_km in circles_of(filters):
            away = self.listing_index.columns.distance_km(latitude, longitude)
            edge |= np.abs(away - radius_km) < EDGE_KM
        return np.union1d(self.undecided, self.listing_index.column("listing_ids")[edge])

    def _rows(self, filters: ListingFilters, asked: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows are for sale and match, without those that the database is asked for."""
        return self.listing_index.allowed(filters, asked.tolist())

    def _counts(self, filters: ListingFilters, asked: NDArray[np.int64]) -> dict[str, dict[str, int]]:
        """How many listings have each value of each field, by the filters without the field's own."""
        columns = self.listing_index.columns
        without = replace(filters, **dict.fromkeys(SET_PARAMETERS.values(), ()))  # type: ignore[arg-type]
        rest = self._rows(without, asked)
        own = {
            name: columns.matching(ListingFilters(**{name: values}))
            for name in SET_PARAMETERS.values()
            if (values := getattr(filters, name))
        }
        counts = {}
        for name in SET_PARAMETERS.values():
            rows = rest.copy()
            for other, mask in own.items():
                if other != name:
                    rows &= mask
            levels, codes = columns.levels(CATEGORIES[name]), columns.codes(CATEGORIES[name])
            n_of = np.bincount(codes[rows], minlength=len(levels)).tolist()
            counts[name] = {value: n for value, n in zip(levels, n_of, strict=True) if value and n}
        return counts


def with_asked(
    ids: NDArray[np.int64],
    keys: NDArray[np.float64],
    ties: NDArray[np.int64],
    asked: NDArray[np.int64],
    filters: ListingFilters,
    ordering: str,
) -> NDArray[np.int64]:
    """Listings in order, with those among ``asked`` put in that the database finds; keys and ties sort them."""
    name, is_descending = ordering.lstrip("-"), ordering == NEWEST or ordering.startswith("-")
    key = KEYS[name]
    among = for_sale().matching(filters).filter(pk__in=asked.tolist()).order_by()
    found = list(among.annotate(sort_key=key() if callable(key) else key).values_list("pk", "sort_key"))
    if not found:
        return ids
    new_ids = np.array([pk for pk, _ in found], np.int64)
    numbers = np.array([np.nan if value is None else value for _, value in found], np.float64)
    new_keys, new_ties = sortable(numbers, is_descending=is_descending), -new_ids if ordering == NEWEST else new_ids
    order = np.lexsort((new_ties, new_keys))
    places = places_among(keys, ties, new_keys[order], new_ties[order])
    return np.insert(ids, places, new_ids[order])


def for_sale() -> ListingQuerySet:
    return Listing.objects.available().cars()


def circles_of(filters: ListingFilters) -> Iterator[tuple[float, float, float]]:
    """Latitude, longitude and radius of every circle that filters ask about."""
    for part in parts_of(filters):
        if part.location:
            yield part.location


def texts_of(filters: ListingFilters) -> list[str]:
    """Every text that filters ask for."""
    return [part.text for part in parts_of(filters) if part.text]


def parts_of(filters: ListingFilters) -> Iterator[ListingFilters]:
    """Filters, and those inside of them."""
    yield filters
    for inner in (*filters.hidden, *([filters.also] if filters.also else [])):
        yield from parts_of(inner)
