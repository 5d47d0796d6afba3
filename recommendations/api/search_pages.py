"""What a search asks, and the page of cars that answers it: from memory, a replica or the primary."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from django.db.models import Case, F, OrderBy
from numpy.typing import ArrayLike, NDArray
from rest_framework.request import Request
from rest_framework.utils.urls import remove_query_param, replace_query_param

from accounts.api.identity import known_buyer_of
from catalog.api.fields import FiltersSerializer
from catalog.currencies import market_price
from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.querysets import ListingQuerySet
from catalog.search.facets import Facets, facets_of
from catalog.search.reading import SearchReading
from catalog.search.stock import read_query
from recommendations.api.search_serializers import RECOMMENDED
from recommendations.listings.orders import NEWEST
from recommendations.serving.rows import rows_for_sale
from recommendations.serving.search_order import best_first
from recommendations.serving.stock_search import StockSearch
from web.replicas import read_beside, try_beside

RANKED_AT_MOST = 5_000  # cars of one search that are put in the buyer's order
ATTEMPTS = 3  # to make a page of which no car is sold meanwhile


@dataclass(frozen=True)
class Search:
    """What a search asks: filters, what was understood of its words, the order, and whether the others were found."""

    filters: ListingFilters
    reading: SearchReading
    ordering: str
    is_rest_found: bool = True

    @property
    def is_ranked(self) -> bool:
        """Whether the newest RANKED_AT_MOST of the cars come in the order that suits the buyer."""
        return self.ordering == RECOMMENDED

    @property
    def listings(self) -> ListingQuerySet:
        return Listing.objects.available().cars().matching(self.filters)


def read_search_question(asked: dict[str, Any], stock: StockSearch | None = None) -> Search:
    """The parameters and the words of a search together; ``stock`` is what answers from memory, if anything does.

    Where no car has the words that were not understood, and others were, the cars that satisfy the filters are found.
    """
    filters = FiltersSerializer.filters_of(asked)
    ordering = asked.get("ordering", "")
    if asked["literal"] or not asked["q"].strip():
        return Search(filters, SearchReading((), asked["q"].strip()), ordering or NEWEST)
    reading, understood = read_query(asked["q"], asked["not_understood"])
    search = Search(
        replace(filters, text="").with_understood(understood), reading, ordering or reading.ordering or NEWEST
    )
    if not understood.text or not replace(understood, text="") or finds_any(search, stock):
        return search
    without = replace(search.filters, text="")
    return replace(search, filters=without, is_rest_found=False)


def finds_any(search: Search, stock: StockSearch | None) -> bool:
    found = stock.found(search.filters, NEWEST) if stock else None
    return read_beside("search", search.listings.exists) if found is None else bool(len(found))


def facets_in(stock: StockSearch | None, filters: ListingFilters) -> Facets:
    """From memory where it can answer, else from the database."""
    in_memory = stock.facets(filters) if stock else None
    return read_beside("search", lambda: facets_of(filters)) if in_memory is None else in_memory


@dataclass(frozen=True)
class PageAsked:
    """Which page of a search is asked for, counted from 1, and by whom."""

    number: int
    size: int
    request: Request

    @property
    def start(self) -> int:
        return (self.number - 1) * self.size

    def cut(self, ids: NDArray[np.int64]) -> list[int]:
        of_page: list[int] = ids[self.start : self.start + self.size].tolist()
        return of_page

    def in_buyers_order(self, newest: ArrayLike, ids: list[int]) -> list[int]:
        """The page's cars where the best for the buyer come first.

        Args:
            newest: Ids of what is put in order: the newest RANKED_AT_MOST, fewer where fewer are found, or none.
            ids: Those of this page if all were in the order of their age.
        """
        ranked = np.asarray(newest, np.int64)
        if self.start >= len(ranked):
            return ids
        best = self.cut(best_first(ranked, known_buyer_of(self.request)))
        return best + (ids[len(best) :] if len(ranked) == RANKED_AT_MOST else [])

    def links(self, count: int) -> dict[str, Any]:
        """How many cars there are on all pages, and where those beside this one are."""
        url = self.request.build_absolute_uri()
        following = replace_query_param(url, "page", self.number + 1)
        return {
            "count": count,
            "next": following if self.number * self.size < count else None,
            "previous": self._previous(url),
        }

    def _previous(self, url: str) -> str | None:
        if self.number == 1:
            return None
        if self.number == 2:
            return remove_query_param(url, "page")
        return replace_query_param(url, "page", self.number - 1)


def page_in_order(search: Search, page: PageAsked, stock: StockSearch | None = None) -> dict[str, Any]:
    """The page of a search that is asked for, from memory where it can answer, else from the database.

    A page of which a car was sold while it was made is made again.
    """
    for _attempt in range(ATTEMPTS):
        if stock is None or (answer := page_from_memory(search, page, stock)) is None:
            break
        if answer["listings"] is not None:
            return answer
        stock = StockSearch.now()
    return page_from_replica(search, page) or page_from_primary(search, page)


def page_from_memory(search: Search, page: PageAsked, stock: StockSearch) -> dict[str, Any] | None:
    """A page by the listing index; None where it cannot answer. Its listings are None where one was sold just now."""
    found = stock.found(search.filters, NEWEST if search.is_ranked else search.ordering)
    if found is None:
        return None
    newest: ArrayLike = found[:RANKED_AT_MOST] if search.is_ranked else []
    ids = page.in_buyers_order(newest, page.cut(found))
    return {**page.links(len(found)), "listings": listings_for_sale(search, ids)}


def page_from_replica(search: Search, page: PageAsked) -> dict[str, Any] | None:
    """A page whose cars a replica names, and whose rows are the primary's.

    None where no replica answers, or where one of these cars was sold or changed meanwhile.
    """
    proposed = try_beside("search", lambda: read_ids(search, page))
    if proposed is None:
        return None
    n_found, newest, of_page = proposed[0]
    listings = listings_for_sale(search, page.in_buyers_order(newest, of_page))
    return None if listings is None else {**page.links(n_found), "listings": listings}


def page_from_primary(search: Search, page: PageAsked) -> dict[str, Any]:
    """A page beyond the last is empty, not an error."""
    if search.is_ranked:
        n_found, newest, of_page = read_ids(search, page)
        ids = page.in_buyers_order(newest, of_page)
        rows = search.listings.with_card_data().in_bulk(ids)
        return {**page.links(n_found), "listings": [rows[key] for key in ids if key in rows]}
    listings = search.listings.order_by(*ordering_by(search.ordering))
    count = listings.order_by().count()
    shown = listings.with_card_data()[page.start : page.start + page.size] if page.start < count else ()
    return {**page.links(count), "listings": list(shown)}


def read_ids(search: Search, page: PageAsked) -> tuple[int, list[int], list[int]]:
    """How many cars are found, and what ``PageAsked.in_buyers_order`` asks for."""
    listings = search.listings.order_by(*ordering_by(NEWEST if search.is_ranked else search.ordering))
    ids = listings.values_list("pk", flat=True)
    n_found = listings.order_by().count()
    newest = list(ids[:RANKED_AT_MOST]) if search.is_ranked else []
    return n_found, newest, list(ids[page.start : page.start + page.size])


def listings_for_sale(search: Search, ids: list[int]) -> list[Listing] | None:
    """The rows of a page as they are now; None where one is not for sale any more, or satisfies the filters no more."""
    rows = rows_for_sale(ids, search.filters) if ids else {}
    return [rows[key] for key in ids] if len(rows) == len(ids) else None


def ordering_by(name: str) -> list[str | OrderBy]:
    """Prices are compared in the market's currency.

    Ties are broken by id, so that pages neither repeat nor skip a car; the unknown comes last either way.
    """
    fields: dict[str, Case | F] = {"price": market_price(), "year": F("year"), "mileage": F("mileage_km")}
    field = fields.get(name.lstrip("-"))
    if field is None:
        return ["-published_at", "-id"]
    return [field.desc(nulls_last=True) if name.startswith("-") else field.asc(nulls_last=True), "id"]
