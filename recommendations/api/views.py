"""Searching, looking, recommending; and telling what happened."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import numpy as np
from django.db import IntegrityError
from django.db.models import Case, F, OrderBy
from django.http import Http404
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
)
from numpy.typing import ArrayLike
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from accounts.api.identity import BUYER, acting_buyer_of, known_buyer_of, known_named_buyer_of, named_buyer_of
from accounts.api.permissions import IsBuyerOrHasScope, has_scope, is_client_system
from accounts.api.throttles import CALLER_THROTTLES
from accounts.models import ApiKey, Buyer
from catalog.api.fields import FiltersSerializer
from catalog.api.references import ListingReferenceSerializer, default_source, referenced_listing
from catalog.currencies import market_price
from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.querysets import ListingQuerySet
from catalog.search.completing import completions_of
from catalog.search.facets import Facets, facets_of
from catalog.search.reading import SearchReading
from catalog.search.stock import current_lexicon, read_query
from recommendations.api import examples
from recommendations.api.answers import car_response, is_plain_json, list_response, search_response, similar_response
from recommendations.api.serializers import (
    RECOMMENDED,
    CompletionQuestionSerializer,
    CompletionsAnswerSerializer,
    OriginSerializer,
    PlacementsAnswerSerializer,
    PlacementsQuestionSerializer,
    PricedCarSerializer,
    QuestionnaireSerializer,
    RankAnswerSerializer,
    RankQuestionSerializer,
    RecommendationsAnswerSerializer,
    RecommendationsQuestionSerializer,
    SearchAnswerSerializer,
    SearchSerializer,
    SimilarAnswerSerializer,
    SimilarQuestionSerializer,
)
from recommendations.buyers.refresh import save_questionnaire
from recommendations.events.recording import Event, record_interactions
from recommendations.exceptions import EventsRefused, NoSuchList, OtherQuestion
from recommendations.listings.market_prices import market_prices_of
from recommendations.listings.orders import NEWEST
from recommendations.serving.lists import ListRequest, RecommendedList, recommend, serve_similar
from recommendations.serving.ordering import order_listings
from recommendations.serving.pages import check_same_question, recommend_several, request_of_next_page
from recommendations.serving.rows import row_shown, rows_for_sale
from recommendations.serving.search_order import best_first
from recommendations.serving.stock_search import StockSearch
from web.replicas import read_beside, try_beside
from web.strict import StrictView, checked

CARS = ["Cars"]
RANKED_AT_MOST = 5_000  # cars of one search that are put in the buyer's order
ATTEMPTS = 3  # to make a page of which no car is sold meanwhile
ME = ["Me"]
NO_SUCH_LIST = OpenApiResponse(description="`after`: there is no such list of this buyer.")
NO_SUCH_CAR = OpenApiResponse(description="There is no such car.")
LISTING_ID = OpenApiParameter("listing_id", OpenApiTypes.INT64, OpenApiParameter.PATH)


def ordering_by(name: str) -> list[str | OrderBy]:
    """Prices are compared in the market's currency.

    Ties are broken by id, so that pages neither repeat nor skip a car; the unknown comes last either way.
    """
    fields: dict[str, Case | F] = {"price": market_price(), "year": F("year"), "mileage": F("mileage_km")}
    field = fields.get(name.lstrip("-"))
    if field is None:
        return ["-published_at", "-id"]
    return [field.desc(nulls_last=True) if name.startswith("-") else field.asc(nulls_last=True), "id"]


def publish(request: Request, event: Event) -> None:
    """Record what the caller did, if a buyer did it: not for a key that may only read, nor without a buyer."""
    if request.method != "GET":
        return
    if is_client_system(request) and not has_scope(request, ApiKey.Scope.INGEST):
        return
    if buyer := acting_buyer_of(request):
        with suppress(IntegrityError, EventsRefused):  # the buyer was erased just now, or the kind of event is gone
            record_interactions(buyer=buyer, events=[event])


class SearchView(StrictView):
    """Cars for sale that satisfy every filter. A search with conditions shows what the buyer likes."""

    is_revalidated = True
    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.READ
    throttle_classes = CALLER_THROTTLES
    parameters = {"get": [SearchSerializer, BUYER]}

    @extend_schema(
        tags=CARS,
        summary="Search",
        operation_id="search_cars",
        parameters=parameters["get"],
        responses=SearchAnswerSerializer,
        examples=[OpenApiExample("One car found", value=examples.SEARCH_ANSWER, response_only=True)],
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = checked(SearchSerializer, request.query_params)
        stock = StockSearch.now()
        search = read_search_question(asked, stock)
        page = page_in_order(search, asked, request, stock)
        answer = {
            **page,
            "listings": with_market_prices(page["listings"]),
            "understood": search.reading.understood,
            "rest": search.reading.rest,
            "is_rest_found": search.is_rest_found,
            "facets": facets_in(stock, search.filters) if asked["facets"] else None,
        }
        if search.filters and asked["page"] == 1:
            publish(request, Event(kind="search", query=search.filters.as_query()))
        if is_plain_json(request):
            return search_response(answer)
        return Response(SearchAnswerSerializer(answer).data)


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


def best_page(listing_ids: ArrayLike, start: int, page_size: int, request: Request) -> list[int]:
    """One page of some listings in the order that suits the buyer who asks."""
    in_order = best_first(np.asarray(listing_ids, np.int64), known_buyer_of(request))
    wanted: list[int] = in_order[start : start + page_size].tolist()
    return wanted


def with_market_prices(listings: Sequence[Listing]) -> list[dict[str, Any]]:
    """Cars as the answers show them, each beside what such a car costs."""
    prices = market_prices_of(listings)
    return [{"listing": listing, "market_price": price} for listing, price in zip(listings, prices, strict=True)]


def page_of(listings: ListingQuerySet, page: int, page_size: int, request: Request) -> dict[str, Any]:
    """One page of cars with the number of all, in two queries. A page beyond the last is empty, not an error."""
    start = (page - 1) * page_size
    count = listings.order_by().count()
    shown = list(listings.with_card_data()[start : start + page_size]) if start < count else []
    return {**links_of(count, page, page_size, request), "listings": shown}


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


def visible_listing(request: Request, listing_id: str | None) -> Listing:
    """The car of a request, which is or was for sale, to be read only; Http404 for a draft, which is not published."""
    if listing_id is not None and (listing := row_shown(int(listing_id))):
        return listing
    shown = Listing.objects.exclude(status=Listing.Status.DRAFT).with_card_data()
    return referenced_listing(request, shown, listing_id)


class CompletionsView(StrictView):
    """Names and words of the stock that begin as what is being typed ends, those with the most cars first."""

    parameters = {"get": [CompletionQuestionSerializer]}
    is_revalidated = True
    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.READ
    throttle_classes = CALLER_THROTTLES

    @extend_schema(
        tags=CARS,
        summary="Complete a search",
        operation_id="complete_search",
        parameters=[CompletionQuestionSerializer],
        responses=CompletionsAnswerSerializer,
        examples=[OpenApiExample("“red oct”", value=examples.COMPLETIONS_ANSWER, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        asked = checked(CompletionQuestionSerializer, request.query_params)
        found = completions_of(asked["q"], current_lexicon(), asked["limit"])
        return Response(CompletionsAnswerSerializer({"completions": found}).data)


class DetailView(StrictView):
    """Everything about one car, sold ones too. Looking at it shows what the buyer likes."""

    is_revalidated = True
    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.READ
    throttle_classes = CALLER_THROTTLES
    parameters = {"get": [LISTING_ID, OriginSerializer, BUYER]}

    @extend_schema(
        tags=CARS,
        summary="Look at one car",
        operation_id="get_car",
        parameters=parameters["get"],
        responses=PricedCarSerializer,
        examples=[OpenApiExample("A car", value=examples.CAR, response_only=True)],
    )
    def get(self, request: Request, listing_id: str | None = None) -> HttpResponseBase:
        origin = checked(OriginSerializer, request.query_params)
        listing = visible_listing(request, listing_id)
        came_from = {
            "served_list_id": origin.get("list_id"),
            "position": origin.get("position"),
        }
        publish(request, Event(kind="view", listing_id=listing.pk, **came_from))
        [priced] = with_market_prices([listing])
        if is_plain_json(request):
            return car_response(**priced)
        return Response(PricedCarSerializer(priced).data)


class DetailByReferenceView(DetailView):
    """As `/cars/detail/{listing_id}`, of the car that the query names."""

    parameters = {"get": [ListingReferenceSerializer, OriginSerializer, BUYER]}

    @extend_schema(
        tags=CARS,
        summary="Look at one car, by your id",
        operation_id="get_car_by_reference",
        parameters=parameters["get"],
        responses={200: PricedCarSerializer, 404: NO_SUCH_CAR},
        examples=[OpenApiExample("A car", value=examples.CAR, response_only=True)],
    )
    def get(self, request: Request) -> HttpResponseBase:  # type: ignore[override]
        return super().get(request)


class RecommendationsView(StrictView):
    """The best cars for a buyer, best first, each with its score, its source and a reason; and the pages after them."""

    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.READ
    throttle_classes = CALLER_THROTTLES
    parameters = {"get": [RecommendationsQuestionSerializer, BUYER], "post": [BUYER]}

    @extend_schema(
        tags=CARS,
        summary="Recommend",
        operation_id="recommend_cars",
        parameters=parameters["get"],
        responses={200: RecommendationsAnswerSerializer, 404: NO_SUCH_LIST},
        examples=[OpenApiExample("One car recommended", value=examples.RECOMMENDATIONS_ANSWER, response_only=True)],
    )
    def get(self, request: Request) -> HttpResponseBase:
        return self._answer(request, request.query_params)

    @extend_schema(
        tags=CARS,
        summary="Recommend, asked in a body",
        operation_id="recommend_cars_by_body",
        description="The same with the question in the body, where many cars are to be left out.",
        parameters=parameters["post"],
        request=RecommendationsQuestionSerializer,
        responses={200: RecommendationsAnswerSerializer, 404: NO_SUCH_LIST},
        examples=[
            OpenApiExample("Two cars are left out", value=examples.RECOMMENDATIONS_QUESTION, request_only=True),
            OpenApiExample("One car recommended", value=examples.RECOMMENDATIONS_ANSWER, response_only=True),
        ],
    )
    def post(self, request: Request) -> HttpResponseBase:
        return self._answer(request, request.data)

    def _answer(self, request: Request, data: Any) -> HttpResponseBase:
        asked = checked(RecommendationsQuestionSerializer, data)
        answer = recommend(list_request(request, asked, data))
        next_page = address_of_next(request, answer)
        if is_plain_json(request):
            return list_response(answer, next_page)
        return Response(RecommendationsAnswerSerializer(answer_with_next(answer, next_page)).data)


def list_request(request: Request, asked: dict[str, Any], data: Any) -> ListRequest:
    """The question for a first page, or for the page after a list of the buyer. Raises Http404 for another list."""
    buyer, left_out = known_buyer_of(request), left_out_of(request, asked)
    filters = FiltersSerializer.filters_of(asked)
    if "after" not in asked:
        return ListRequest(
            buyer=buyer, k=asked.get("k"), filters=filters, placement=asked["placement"], source=asked["source"],
            left_out=left_out,
        )  # fmt: skip
    try:
        page = request_of_next_page(asked["after"], buyer, asked.get("k"))
        check_same_question(
            page,
            filters=filters,
            placement=asked["placement"] if "placement" in data else None,
            source=asked["source"] if "source" in data else None,
        )
    except NoSuchList:
        raise Http404(_("There is no such list.")) from None
    except OtherQuestion:
        raise ValidationError(
            {"after": [_("That list is of another question: ask the same, or nothing else.")]}
        ) from None
    return replace(page, left_out=page.left_out | left_out)


def left_out_of(request: Request, asked: dict[str, Any]) -> frozenset[int]:
    """Our ids of the cars that a caller wants left out; ids that no car has are ignored."""
    source = asked.get("exclude_source", default_source(request))
    named = Listing.objects.ids_by_reference({(source, external_id) for external_id in asked["exclude_external"]})
    return frozenset((*asked["exclude"], *named.values()))


def address_of_next(request: Request, answer: RecommendedList) -> str | None:
    """Where the next page is; the question that was asked is known with the list."""
    if not answer.has_next:
        return None
    asked = {"after": str(answer.id), "k": len(answer.items)}
    if "buyer" in request.query_params:
        asked["buyer"] = request.query_params["buyer"]
    return f"{request.build_absolute_uri(reverse('car-recommendations'))}?{urlencode(asked)}"


def answer_with_next(answer: RecommendedList, next_page: str | None) -> dict[str, Any]:
    return {
        "recommended": answer.items,
        "list_id": answer.id,
        "goes_on_from": answer.goes_on_from,
        "next": next_page,
        "experiment": answer.experiment,
        "variant": answer.variant,
        "version": answer.version_id,
        "is_personalised": answer.is_personalised,
        "n_events": answer.n_events,
    }


class PlacementsView(StrictView):
    """Several lists of one page, of which no two hold the same car."""

    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.READ
    throttle_classes = CALLER_THROTTLES
    carried_in = ("lists",)
    parameters = {"post": [BUYER]}

    @extend_schema(
        tags=CARS,
        summary="Recommend for several placements",
        operation_id="recommend_for_placements",
        description=(
            "Up to 10 lists in one answer, each as `/cars/recommendations` gives it, with a `list_id` of its own. The "
            "first list chooses first, and no car of it, whatever its advertisement, is in a later one."
        ),
        parameters=parameters["post"],
        request=PlacementsQuestionSerializer,
        responses=PlacementsAnswerSerializer,
        examples=[
            OpenApiExample("Two placements", value=examples.PLACEMENTS_QUESTION, request_only=True),
            OpenApiExample("Two lists", value=examples.PLACEMENTS_ANSWER, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        question = PlacementsQuestionSerializer(data=request.data)
        question.is_valid(raise_exception=True)
        buyer, left_out = known_buyer_of(request), left_out_of(request, question.validated_data)
        asked = [
            ListRequest(
                buyer=buyer,
                k=one.get("k"),
                filters=FiltersSerializer.filters_of(one),
                placement=one["placement"],
                source=one["source"],
                left_out=left_out,
            )
            for one in question.validated_data["lists"]
        ]
        answers = [
            {**answer_with_next(answer, address_of_next(request, answer)), "placement": one.placement}
            for one, answer in zip(asked, recommend_several(asked), strict=True)
        ]
        return Response(PlacementsAnswerSerializer({"lists": answers}).data)


class RankView(StrictView):
    """Cars that the caller names, in the order that suits the buyer."""

    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.READ
    throttle_classes = CALLER_THROTTLES
    carried_in = ("listing_ids", "external_ids")
    parameters = {"post": [BUYER]}

    @extend_schema(
        tags=CARS,
        summary="Put cars in order",
        operation_id="rank_cars",
        description=(
            "All cars that are named and for sale, the best for the buyer first, each with its score and a reason; "
            "nothing is left to chance, and no rule of a placement moves a car. Cars that are not in the order are "
            "named in `left_out`."
        ),
        parameters=parameters["post"],
        request=RankQuestionSerializer,
        responses=RankAnswerSerializer,
        examples=[
            OpenApiExample("Three cars", value=examples.RANK_QUESTION, request_only=True),
            OpenApiExample("One of them is for sale", value=examples.RANK_ANSWER, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        question = RankQuestionSerializer(data=request.data)
        question.is_valid(raise_exception=True)
        asked = question.validated_data
        source = asked.get("source", default_source(request))
        published = Listing.objects.exclude(status=Listing.Status.DRAFT).cars()  # of drafts nothing is said
        by_reference = published.ids_by_reference({(source, key) for key in asked["external_ids"]})
        known = set(published.filter(pk__in=asked["listing_ids"]).order_by().values_list("pk", flat=True))
        named: list[tuple[int | None, int | None, str | None]] = [
            (key if key in known else None, key, None) for key in asked["listing_ids"]
        ]
        named += [(by_reference.get((source, key)), None, key) for key in asked["external_ids"]]
        ordered = order_listings([key for key, _, _ in named if key is not None], known_buyer_of(request))
        left_out = [
            {"listing_id": ours, "external_id": theirs, "reason": ordered.left_out[key] if key else "unknown"}
            for key, ours, theirs in named
            if key is None or key in ordered.left_out
        ]
        answer = answer_with_next(ordered.answer, None) | {"ranked": ordered.answer.items, "left_out": left_out}
        return Response(RankAnswerSerializer(answer).data)


class SimilarView(StrictView):
    """Cars for sale that are most like this one, the same for every caller but for what the buyer hid or blocked.

    It is remembered who was shown them."""

    is_revalidated = True
    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.READ
    throttle_classes = CALLER_THROTTLES
    parameters = {"get": [LISTING_ID, SimilarQuestionSerializer, BUYER]}

    @extend_schema(
        tags=CARS,
        summary="Find similar cars",
        operation_id="find_similar_cars",
        parameters=parameters["get"],
        responses=SimilarAnswerSerializer,
        examples=[OpenApiExample("One similar car", value=examples.SIMILAR_ANSWER, response_only=True)],
    )
    def get(self, request: Request, listing_id: str | None = None) -> HttpResponseBase:
        asked = checked(SimilarQuestionSerializer, request.query_params)
        answer = serve_similar(
            visible_listing(request, listing_id),
            known_buyer_of(request),
            asked["k"],
            FiltersSerializer.filters_of(asked),
        )
        if is_plain_json(request):
            return similar_response(answer)
        return Response(SimilarAnswerSerializer({"similar": answer.items, "list_id": answer.id}).data)


class SimilarByReferenceView(SimilarView):
    """As `/cars/{listing_id}/similar`, for the car that the query names."""

    parameters = {"get": [ListingReferenceSerializer, SimilarQuestionSerializer, BUYER]}

    @extend_schema(
        tags=CARS,
        summary="Find similar cars, by your id",
        operation_id="find_cars_similar_to_reference",
        parameters=parameters["get"],
        responses={200: SimilarAnswerSerializer, 404: NO_SUCH_CAR},
        examples=[OpenApiExample("One similar car", value=examples.SIMILAR_ANSWER, response_only=True)],
    )
    def get(self, request: Request) -> HttpResponseBase:  # type: ignore[override]
        return super().get(request)


class QuestionnaireView(StrictView):
    """What a buyer states outright: the start for a buyer with no history, outweighed by what they do later."""

    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.INGEST
    throttle_classes = CALLER_THROTTLES
    parameters = {"get": [BUYER], "post": [BUYER]}

    @extend_schema(
        tags=ME,
        summary="What did I answer?",
        operation_id="get_answers",
        parameters=parameters["get"],
        responses=QuestionnaireSerializer,
    )
    def get(self, request: Request, **named: str) -> Response:
        return Response(QuestionnaireSerializer((self.known_buyer(request) or Buyer()).questionnaire).data)

    @extend_schema(
        tags=ME,
        summary="Answer the questionnaire",
        operation_id="save_answers",
        description="Replaces earlier answers; the next list knows it.",
        parameters=parameters["post"],
        request=QuestionnaireSerializer,
        responses=QuestionnaireSerializer,
        examples=[OpenApiExample("A family", value=examples.QUESTIONNAIRE)],
    )
    def post(self, request: Request, **named: str) -> Response:
        question = QuestionnaireSerializer(data=request.data)
        question.is_valid(raise_exception=True)
        buyer = self.buyer(request)
        save_questionnaire(buyer=buyer, answers=QuestionnaireSerializer.answers_of(question.validated_data))
        return Response(QuestionnaireSerializer(buyer.questionnaire).data)

    def known_buyer(self, request: Request) -> Buyer | None:
        return known_named_buyer_of(request)

    def buyer(self, request: Request) -> Buyer:
        return named_buyer_of(request)
