"""Searching, looking, recommending; and telling what happened."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, OrderBy
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework import status
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param
from rest_framework.views import APIView

from accounts.api.identity import BUYER, buyer_of, known_buyer_of, known_named_buyer_of, named_buyer_of, own_buyer_of
from accounts.api.permissions import IsBuyerOrHasScope, has_scope, is_client_system
from accounts.api.throttles import CALLER_THROTTLES
from accounts.models import ApiKey, Buyer
from accounts.services import buyers_for_external_ids
from catalog.api.fields import FiltersSerializer
from catalog.currencies import market_price
from catalog.models import Listing
from catalog.querysets import ListingQuerySet
from recommendations.api import examples
from recommendations.api.serializers import (
    EventSerializer,
    EventsSerializer,
    OriginSerializer,
    PricedCarSerializer,
    QuestionnaireSerializer,
    RecommendationsAnswerSerializer,
    RecommendationsQuestionSerializer,
    RecordedSerializer,
    SearchAnswerSerializer,
    SearchSerializer,
    SimilarAnswerSerializer,
    SimilarQuestionSerializer,
)
from recommendations.buyers.refresh import save_questionnaire
from recommendations.events.recording import Event, record_interactions, record_interactions_of_many
from recommendations.exceptions import EventsRefused
from recommendations.listings.market_prices import market_prices_of
from recommendations.serving.lists import ListRequest, recommend, similar_listings

CARS = ["Cars"]
EVENTS = ["Events"]
ME = ["Me"]
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
    if buyer := buyer_of(request):
        record_interactions(buyer=buyer, events=[event])


class SearchView(APIView):
    """Cars for sale that satisfy every filter. A search with conditions shows what the buyer likes."""

    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.READ
    throttle_classes = CALLER_THROTTLES

    @extend_schema(
        tags=CARS,
        summary="Search",
        operation_id="search_cars",
        parameters=[SearchSerializer, BUYER],
        responses=SearchAnswerSerializer,
        examples=[OpenApiExample("One car found", value=examples.SEARCH_ANSWER, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        question = SearchSerializer(data=request.query_params)
        question.is_valid(raise_exception=True)
        asked = question.validated_data
        filters = FiltersSerializer.filters_of(asked)
        listings = Listing.objects.available().cars().matching(filters)
        answer = page_of(listings.order_by(*ordering_by(asked["ordering"])), asked["page"], asked["page_size"], request)
        answer["listings"] = with_market_prices(answer["listings"])
        if filters and asked["page"] == 1:
            publish(request, Event(kind="search", query=filters.as_query()))
        return Response(SearchAnswerSerializer(answer).data)


def with_market_prices(listings: Sequence[Listing]) -> list[dict[str, Any]]:
    """Cars as the answers show them, each beside what such a car costs."""
    prices = market_prices_of(listings)
    return [{"listing": listing, "market_price": price} for listing, price in zip(listings, prices, strict=True)]


def page_of(listings: ListingQuerySet, page: int, page_size: int, request: Request) -> dict[str, Any]:
    """One page of cars with the number of all, in two queries. A page beyond the last is empty, not an error."""
    start = (page - 1) * page_size
    count = listings.order_by().count()
    url = request.build_absolute_uri()
    return {
        "count": count,
        "next": replace_query_param(url, "page", page + 1) if start + page_size < count else None,
        "previous": _previous(url, page),
        "listings": list(listings.with_card_data()[start : start + page_size]) if start < count else [],
    }


def _previous(url: str, page: int) -> str | None:
    if page == 1:
        return None
    return remove_query_param(url, "page") if page == 2 else replace_query_param(url, "page", page - 1)


def visible_listing(listing_id: str) -> Listing:
    """A car that is or was for sale; Http404 for a draft, which is not published."""
    shown = Listing.objects.exclude(status=Listing.Status.DRAFT).with_card_data()
    listing = shown.filter(pk=int(listing_id)).first()
    if listing is None:
        raise Http404("There is no such car.")
    return listing


class DetailView(APIView):
    """Everything about one car, sold ones too. Looking at it shows what the buyer likes."""

    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.READ
    throttle_classes = CALLER_THROTTLES

    @extend_schema(
        tags=CARS,
        summary="Look at one car",
        operation_id="get_car",
        parameters=[LISTING_ID, OriginSerializer, BUYER],
        responses=PricedCarSerializer,
        examples=[OpenApiExample("A car", value=examples.CAR, response_only=True)],
    )
    def get(self, request: Request, listing_id: str) -> Response:
        origin = OriginSerializer(data=request.query_params)
        origin.is_valid(raise_exception=True)
        listing = visible_listing(listing_id)
        came_from = {
            "served_list_id": origin.validated_data.get("list_id"),
            "position": origin.validated_data.get("position"),
        }
        publish(request, Event(kind="view", listing_id=listing.pk, **came_from))
        return Response(PricedCarSerializer(with_market_prices([listing])[0]).data)


class RecommendationsView(APIView):
    """The best cars for a buyer, best first, each with its score, its source and a reason."""

    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.READ
    throttle_classes = CALLER_THROTTLES

    @extend_schema(
        tags=CARS,
        summary="Recommend",
        operation_id="recommend_cars",
        parameters=[RecommendationsQuestionSerializer, BUYER],
        responses=RecommendationsAnswerSerializer,
        examples=[OpenApiExample("One car recommended", value=examples.RECOMMENDATIONS_ANSWER, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        question = RecommendationsQuestionSerializer(data=request.query_params)
        question.is_valid(raise_exception=True)
        asked = question.validated_data
        answer = recommend(
            ListRequest(
                buyer=known_buyer_of(request),
                k=asked.get("k"),
                filters=FiltersSerializer.filters_of(asked),
                placement=asked["placement"],
                source=asked["source"],
            )
        )
        return Response(
            RecommendationsAnswerSerializer(
                {
                    "recommended": answer.items,
                    "list_id": answer.id,
                    "version": answer.version_id,
                    "is_personalised": answer.is_personalised,
                    "n_events": answer.n_events,
                }
            ).data
        )


class SimilarView(APIView):
    """Cars for sale that are most like this one, the same for every caller."""

    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.READ
    throttle_classes = CALLER_THROTTLES

    @extend_schema(
        tags=CARS,
        summary="Find similar cars",
        operation_id="find_similar_cars",
        parameters=[LISTING_ID, SimilarQuestionSerializer],
        responses=SimilarAnswerSerializer,
        examples=[OpenApiExample("One similar car", value=examples.SIMILAR_ANSWER, response_only=True)],
    )
    def get(self, request: Request, listing_id: str) -> Response:
        question = SimilarQuestionSerializer(data=request.query_params)
        question.is_valid(raise_exception=True)
        asked = question.validated_data
        similar = similar_listings(visible_listing(listing_id), asked["k"], FiltersSerializer.filters_of(asked))
        return Response(SimilarAnswerSerializer({"similar": similar}).data)


class EventsView(APIView):
    """What buyers did: users and guests tell it for themselves, client systems for the buyers they name."""

    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.INGEST
    throttle_classes = CALLER_THROTTLES
    carried_in = ("events",)

    @extend_schema(
        tags=EVENTS,
        summary="Tell what happened",
        operation_id="record_events",
        description=(
            'One event, a list of events, or `{"events": […]}`, at most EVENTS_PER_REQUEST (1,000) at once. All of '
            "them are recorded or, when one is refused, none. Sending an `event_id` again changes nothing."
        ),
        request=PolymorphicProxySerializer(
            "EventsQuestion", [EventSerializer, EventsSerializer, EventSerializer(many=True)], None, many=False
        ),
        responses={
            201: RecordedSerializer,
            403: OpenApiResponse(description="A key without the scope `ingest`, or an event for another buyer."),
        },
        examples=examples.EVENTS,
    )
    def post(self, request: Request) -> Response:
        events, path = events_in(request.data)
        try:
            with transaction.atomic():  # buyers who are new do not stay either when an event is refused
                recorded = record_interactions_of_many(events_by_buyer=with_buyers(request, events, path))
        except EventsRefused as refusal:
            raise ValidationError(_by_path(refusal, path)) from None
        answer = {"recorded": recorded.n_recorded, "repeated": recorded.n_repeated}
        return Response(RecordedSerializer(answer).data, status=status.HTTP_201_CREATED)


def events_in(data: Any) -> tuple[list[dict[str, Any]], str]:
    """The checked events of a body, and how to name one in an error: ``events[{index}].``, or nothing for a single."""
    if isinstance(data, dict) and "events" not in data:
        single = EventSerializer(data=data)
        single.is_valid(raise_exception=True)
        return [single.validated_data], ""
    events = data["events"] if isinstance(data, dict) else data
    _refuse_wrong_number(events)
    several = EventSerializer(data=events, many=True)
    if not several.is_valid():
        raise ValidationError({"events": several.errors})
    return several.validated_data, "events[{index}]."


def _refuse_wrong_number(events: Any) -> None:
    """Before any of them is looked at, so that a huge list costs nothing."""
    if not isinstance(events, list) or not events:
        raise ValidationError({"events": ["A list of at least one event is expected."]})
    if len(events) > settings.EVENTS_PER_REQUEST:
        raise ValidationError({"events": [f"At most {settings.EVENTS_PER_REQUEST} events are taken at once."]})


def with_buyers(request: Request, events: Sequence[dict[str, Any]], path: str) -> list[tuple[Buyer, Event]]:
    """Whose event each of them is. Raises PermissionDenied when a person writes for another one."""
    if not is_client_system(request):
        buyer = own_buyer_of(request)
        for index, event in enumerate(events):
            if event.get("buyer") not in (None, buyer.external_id):
                raise PermissionDenied(f"{path.format(index=index)}buyer: Only a client system may name another buyer.")
        return [(buyer, _as_event(event)) for event in events]
    nameless = {f"{path.format(index=index)}buyer": "Required with an API key." for index, event in enumerate(events)
                if "buyer" not in event}  # fmt: skip
    if nameless:
        raise ValidationError(nameless)
    buyers = buyers_for_external_ids(event["buyer"] for event in events)
    return [(buyers[event["buyer"]], _as_event(event)) for event in events]


def _as_event(event: dict[str, Any]) -> Event:
    query = event.get("query")
    return Event(
        kind=event["kind"],
        event_id=event["event_id"],
        listing_id=event.get("listing_id"),
        query=FiltersSerializer.filters_of(query).as_query() if query else None,
        occurred_at=event.get("occurred_at"),
        served_list_id=event.get("list_id"),
        position=event.get("position"),
    )


def _by_path(refusal: EventsRefused, path: str) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for problem in refusal.problems:
        fields.setdefault(path.format(index=problem.index) + problem.field, []).append(problem.reason)
    return fields


class QuestionnaireView(APIView):
    """What a buyer states outright: the start for a buyer with no history, outweighed by what they do later."""

    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.INGEST
    throttle_classes = CALLER_THROTTLES

    @extend_schema(
        tags=ME,
        summary="What did I answer?",
        operation_id="get_answers",
        parameters=[BUYER],
        responses=QuestionnaireSerializer,
    )
    def get(self, request: Request) -> Response:
        return Response(QuestionnaireSerializer((known_named_buyer_of(request) or Buyer()).questionnaire).data)

    @extend_schema(
        tags=ME,
        summary="Answer the questionnaire",
        operation_id="save_answers",
        description="Replaces earlier answers; the next list knows it.",
        parameters=[BUYER],
        request=QuestionnaireSerializer,
        responses=QuestionnaireSerializer,
        examples=[OpenApiExample("A family", value=examples.QUESTIONNAIRE)],
    )
    def post(self, request: Request) -> Response:
        question = QuestionnaireSerializer(data=request.data)
        question.is_valid(raise_exception=True)
        buyer = named_buyer_of(request)
        save_questionnaire(buyer=buyer, answers=QuestionnaireSerializer.answers_of(question.validated_data))
        return Response(QuestionnaireSerializer(buyer.questionnaire).data)
