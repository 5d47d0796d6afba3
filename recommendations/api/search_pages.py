"""What a search asks, and the page of cars that answers it: from memory, a replica or the primary."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from django.db.models import Case, F, OrderBy
from numpy.typing import ArrayLike
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
from recommendations.api.serializers import (
    RECOMMENDED,
)
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


def page_in_order(
    search: Search, asked: dict[str, Any], request: Request, stock: StockSearch | None = None
) -> dict[str, Any]:
    """The page of a search that is asked for, from memory where it can answer, else from the database.

    The best for a buyer are sought among the newest RANKED_AT_MOST cars. A page of which a car was sold while it was
    made is made again.
    """
    for _attempt in range(ATTEMPTS if stock else 0):
        page = page_from_memory(search, asked, request, stock) if stock else None
        if page is None:
            break
        if page["listings"] is not None:
            return page
        stock = StockSearch.now()
    return page_from_database(search, asked, request)


def page_from_memory(
    search: Search, asked: dict[str, Any], request: Request, stock: StockSearch
) -> dict[str, Any] | None:
    """A page by the listing index; None where it cannot answer. Its listings are None where one was sold just now."""
    is_ranked = search.ordering == RECOMMENDED
    found = stock.found(search.filters, NEWEST if is_ranked else search.ordering)
    if found is None:
        return None
    page, page_size = asked["page"], asked["page_size"]
    start = (page - 1) * page_size
    ids = found[start : start + page_size].tolist()
    if is_ranked and start < min(len(found), RANKED_AT_MOST):
        wanted = best_page(found[:RANKED_AT_MOST], start, page_size, request)
        ids = wanted + (ids[len(wanted) :] if len(found) >= RANKED_AT_MOST else [])
    rows = rows_for_sale(ids, search.filters) if ids else {}
    listings = [rows[key] for key in ids] if len(rows) == len(ids) else None
    return {**links_of(len(found), page, page_size, request), "listings": listings}


def page_from_database(search: Search, asked: dict[str, Any], request: Request) -> dict[str, Any]:
    return page_from_replica(search, asked, request) or page_from_primary(search, asked, request)


def page_from_replica(search: Search, asked: dict[str, Any], request: Request) -> dict[str, Any] | None:
    """A page whose cars a replica names, and whose rows are the primary's.

    None where no replica answers, or where one of these cars was sold or changed meanwhile.
    """
    page, page_size = asked["page"], asked["page_size"]
    start = (page - 1) * page_size
    is_ranked = search.ordering == RECOMMENDED

    def propose() -> tuple[int, list[int], list[int]]:
        in_order = search.listings.order_by(*ordering_by(NEWEST if is_ranked else search.ordering))
        ids = in_order.values_list("pk", flat=True)
        n_found = search.listings.order_by().count()
        return n_found, list(ids[start : start + page_size]), list(ids[:RANKED_AT_MOST]) if is_ranked else []

    proposed = try_beside("search", propose)
    if proposed is None:
        return None
    n_found, ids, first = proposed[0]
    if start < len(first):
        wanted = best_page(first, start, page_size, request)
        ids = wanted + (ids[len(wanted) :] if len(first) == RANKED_AT_MOST else [])
    rows = rows_for_sale(ids, search.filters) if ids else {}
    if len(rows) < len(ids):
        return None
    return {**links_of(n_found, page, page_size, request), "listings": [rows[key] for key in ids]}


def page_from_primary(search: Search, asked: dict[str, Any], request: Request) -> dict[str, Any]:
    page, page_size = asked["page"], asked["page_size"]
    newest = search.listings.order_by(*ordering_by(NEWEST))
    if search.ordering != RECOMMENDED:
        return page_of(search.listings.order_by(*ordering_by(search.ordering)), page, page_size, request)
    first = list(newest.values_list("pk", flat=True)[:RANKED_AT_MOST])
    start = (page - 1) * page_size
    answer = page_of(newest, page, page_size, request)
    if start >= len(first):
        return answer
    wanted = best_page(first, start, page_size, request)
    rows = search.listings.with_card_data().in_bulk(wanted)
    behind = answer["listings"][len(wanted) :] if len(first) == RANKED_AT_MOST else []
    return answer | {"listings": [rows[key] for key in wanted if key in rows] + behind}


def page_of(listings: ListingQuerySet, page: int, page_size: int, request: Request) -> dict[str, Any]:
    """One page of cars with the number of all, in two queries. A page beyond the last is empty, not an error."""
    start = (page - 1) * page_size
    count = listings.order_by().count()
    shown = list(listings.with_card_data()[start : start + page_size]) if start < count else []
    return {**links_of(count, page, page_size, request), "listings": shown}


def best_page(listing_ids: ArrayLike, start: int, page_size: int, request: Request) -> list[int]:
    """One page of some listings in the order that suits the buyer who asks."""
    in_order = best_first(np.asarray(listing_ids, np.int64), known_buyer_of(request))
    wanted: list[int] = in_order[start : start + page_size].tolist()
    return wanted


def ordering_by(name: str) -> list[str | OrderBy]:
    """Prices are compared in the market's currency.

    Ties are broken by id, so that pages neither repeat nor skip a car; the unknown comes last either way.
    """
    fields: dict[str, Case | F] = {"price": market_price(), "year": F("year"), "mileage": F("mileage_km")}
    field = fields.get(name.lstrip("-"))
    if field is None:
        return ["-published_at", "-id"]
    return [field.desc(nulls_last=True) if name.startswith("-") else field.asc(nulls_last=True), "id"]


def links_of(count: int, page: int, page_size: int, request: Request) -> dict[str, Any]:
    """How many cars there are on all pages, and where those beside this one are."""
    url = request.build_absolute_uri()
    return {
        "count": count,
        "next": replace_query_param(url, "page", page + 1) if page * page_size < count else None,
        "previous": _previous(url, page),
    }


def _previous(url: str, page: int) -> str | None:
    if page == 1:
        return None
    return remove_query_param(url, "page") if page == 2 else replace_query_param(url, "page", page - 1)
