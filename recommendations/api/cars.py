"""One car, and the cars that are most like it."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.db import IntegrityError
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.identity import BUYER, acting_buyer_of, known_buyer_of
from accounts.api.permissions import IsBuyerOrHasScope, has_scope, is_client_system
from accounts.api.throttles import CALLER_THROTTLES
from accounts.models import ApiKey
from catalog.api.fields import FiltersSerializer
from catalog.api.references import ListingReferenceSerializer, referenced_listing
from catalog.models import Listing
from recommendations.api import examples
from recommendations.api.answers import car_response, is_plain_json, similar_response
from recommendations.api.car_serializers import OriginSerializer, PricedCarSerializer
from recommendations.api.list_serializers import SimilarAnswerSerializer, SimilarQuestionSerializer
from recommendations.events.recording import Event, record_interactions
from recommendations.exceptions import EventsRefused
from recommendations.listings.market_prices import market_prices_of
from recommendations.serving.rows import row_shown
from recommendations.serving.similar import serve_similar
from web.strict import StrictView, checked

CARS = ["Cars"]
NO_SUCH_CAR = OpenApiResponse(description="There is no such car.")
LISTING_ID = OpenApiParameter("listing_id", OpenApiTypes.INT64, OpenApiParameter.PATH)


class DetailView(StrictView):
    """All fields of one car, sold ones too. The request is recorded as a view of the car by the buyer."""

    is_revalidated = True
    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.READ
    throttle_classes = CALLER_THROTTLES
    parameters = {"get": [LISTING_ID, OriginSerializer, BUYER]}

    @extend_schema(
        tags=CARS,
        summary="Read one car",
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
        record_event(request, Event(kind="view", listing_id=listing.pk, **came_from))
        [priced] = with_market_prices([listing])
        if is_plain_json(request):
            return car_response(**priced)
        return Response(PricedCarSerializer(priced).data)


class DetailByReferenceView(DetailView):
    """As `/cars/detail/{listing_id}`, of the car that the query names."""

    parameters = {"get": [ListingReferenceSerializer, OriginSerializer, BUYER]}

    @extend_schema(
        tags=CARS,
        summary="Read one car, by your id",
        operation_id="get_car_by_reference",
        parameters=parameters["get"],
        responses={200: PricedCarSerializer, 404: NO_SUCH_CAR},
        examples=[OpenApiExample("A car", value=examples.CAR, response_only=True)],
    )
    def get(self, request: Request) -> HttpResponseBase:  # type: ignore[override]
        return super().get(request)


class SimilarView(StrictView):
    """Cars for sale that are most like this one, the same for every caller but for what the buyer hid or blocked.

    They are recorded as shown to the buyer.
    """

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


def visible_listing(request: Request, listing_id: str | None) -> Listing:
    """The listing of a request, live or ended, for reading. Raises Http404 for a draft."""
    if listing_id is not None and (listing := row_shown(int(listing_id))):
        return listing
    shown = Listing.objects.exclude(status=Listing.Status.DRAFT).with_card_data()
    return referenced_listing(request, shown, listing_id)


def with_market_prices(listings: Sequence[Listing]) -> list[dict[str, Any]]:
    """Listings, each with the market price of such a car, for an answer."""
    prices = market_prices_of(listings)
    return [{"listing": listing, "market_price": price} for listing, price in zip(listings, prices, strict=True)]


def record_event(request: Request, event: Event) -> None:
    """Record what the caller did, if a buyer did it: not for a key that may only read, nor without a buyer."""
    if request.method != "GET":
        return
    if is_client_system(request) and not has_scope(request, ApiKey.Scope.INGEST):
        return
    if buyer := acting_buyer_of(request):
        with suppress(IntegrityError, EventsRefused):  # the buyer was erased just now, or the kind of event is gone
            record_interactions(buyer=buyer, events=[event])
