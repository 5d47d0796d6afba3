"""Searching the stock, and completing what is typed."""

from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.identity import BUYER
from accounts.api.permissions import IsBuyerOrHasScope
from accounts.api.throttles import CALLER_THROTTLES
from accounts.models import ApiKey
from catalog.search.completing import completions_of
from catalog.search.stock import current_lexicon
from recommendations.api import examples
from recommendations.api.answers import is_plain_json, search_response
from recommendations.api.cars import CARS, record_event, with_market_prices
from recommendations.api.search_pages import PageAsked, facets_in, page_in_order, read_search_question
from recommendations.api.search_serializers import (
    CompletionQuestionSerializer,
    CompletionsAnswerSerializer,
    SearchAnswerSerializer,
    SearchSerializer,
)
from recommendations.events.log import Event
from recommendations.serving.stock_search import StockSearch
from web.strict import StrictView, checked


class SearchView(StrictView):
    """Cars for sale that satisfy every filter. A search with conditions is recorded as an event."""

    is_revalidated = True
    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.READ
    throttle_classes = CALLER_THROTTLES
    parameters = {"get": [SearchSerializer, BUYER]}

    @extend_schema(
        tags=CARS,
        summary="Search cars",
        operation_id="search_cars",
        parameters=parameters["get"],
        responses=SearchAnswerSerializer,
        examples=[OpenApiExample("One car found", value=examples.SEARCH_ANSWER, response_only=True)],
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = checked(SearchSerializer, request.query_params)
        stock = StockSearch.now()
        search = read_search_question(asked, stock)
        page = page_in_order(search, PageAsked(asked["page"], asked["page_size"], request), stock)
        answer = {
            **page,
            "listings": with_market_prices(page["listings"]),
            "understood": search.reading.understood,
            "rest": search.reading.rest,
            "is_rest_found": search.is_rest_found,
            "facets": facets_in(stock, search.filters) if asked["facets"] else None,
        }
        if search.filters and asked["page"] == 1:
            record_event(request, Event(kind="search", query=search.filters.as_query()))
        if is_plain_json(request):
            return search_response(answer)
        return Response(SearchAnswerSerializer(answer).data)


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
