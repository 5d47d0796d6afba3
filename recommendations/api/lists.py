"""Recommended lists: for one placement, for several of a page, and cars that the caller names, put in order."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.http import Http404
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.identity import BUYER, known_buyer_of
from accounts.api.permissions import IsBuyerOrHasScope
from accounts.api.throttles import CALLER_THROTTLES
from accounts.models import ApiKey
from catalog.api.fields import FiltersSerializer
from catalog.api.references import default_source
from catalog.models import Listing
from recommendations.api import examples
from recommendations.api.answers import is_plain_json, list_fields, list_response
from recommendations.api.cars import CARS
from recommendations.api.list_serializers import (
    PlacementsAnswerSerializer,
    PlacementsQuestionSerializer,
    RankAnswerSerializer,
    RankQuestionSerializer,
    RecommendationsAnswerSerializer,
    RecommendationsQuestionSerializer,
)
from recommendations.exceptions import NoSuchList, OtherQuestion
from recommendations.serving.lists import ListRequest, recommend
from recommendations.serving.ordering import order_listings
from recommendations.serving.pages import check_same_question, recommend_several, request_of_next_page
from recommendations.serving.recommended import RecommendedList
from web.strict import StrictView, checked

NO_SUCH_LIST = OpenApiResponse(description="`after`: there is no such list of this buyer.")


class RecommendationsView(StrictView):
    """The best cars for a buyer, best first, each with its score, its source and a reason; and the pages after them."""

    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.READ
    throttle_classes = CALLER_THROTTLES
    parameters = {"get": [RecommendationsQuestionSerializer, BUYER], "post": [BUYER]}

    @extend_schema(
        tags=CARS,
        summary="Recommend cars",
        operation_id="recommend_cars",
        parameters=parameters["get"],
        responses={200: RecommendationsAnswerSerializer, 404: NO_SUCH_LIST},
        examples=[OpenApiExample("One car recommended", value=examples.RECOMMENDATIONS_ANSWER, response_only=True)],
    )
    def get(self, request: Request) -> HttpResponseBase:
        return self._answer(request, request.query_params)

    @extend_schema(
        tags=CARS,
        summary="Recommend cars, with a request body",
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
        fields = {"recommended": answer.items, **list_fields(answer, next_page)}
        return Response(RecommendationsAnswerSerializer(fields).data)


class PlacementsView(StrictView):
    """Several lists of one page, of which no two hold the same car."""

    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.READ
    throttle_classes = CALLER_THROTTLES
    carried_in = ("lists",)
    parameters = {"post": [BUYER]}

    @extend_schema(
        tags=CARS,
        summary="Recommend cars for several placements",
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
        given = checked(PlacementsQuestionSerializer, request.data)
        buyer, left_out = known_buyer_of(request), left_out_of(request, given)
        asked = [
            ListRequest(
                buyer=buyer,
                k=one.get("k"),
                filters=FiltersSerializer.filters_of(one),
                placement=one["placement"],
                source=one["source"],
                left_out=left_out,
            )
            for one in given["lists"]
        ]
        answers = [
            {
                "recommended": answer.items,
                **list_fields(answer, address_of_next(request, answer)),
                "placement": one.placement,
            }
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
        summary="Rank cars",
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
        asked = checked(RankQuestionSerializer, request.data)
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
        answer = list_fields(ordered.answer, None) | {"ranked": ordered.answer.items, "left_out": left_out}
        return Response(RankAnswerSerializer(answer).data)


def list_request(request: Request, asked: dict[str, Any], data: Any) -> ListRequest:
    """The request for a first page, or for the one after a served list. Raises Http404 for a list of others."""
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
    """Listing ids to exclude, given by id or external id; unknown external ids are ignored."""
    source = asked.get("exclude_source", default_source(request))
    named = Listing.objects.ids_by_reference({(source, external_id) for external_id in asked["exclude_external"]})
    return frozenset((*asked["exclude"], *named.values()))


def address_of_next(request: Request, answer: RecommendedList) -> str | None:
    """The URL of the next page; None after the last one. Filters are stored with the served list."""
    if not answer.has_next:
        return None
    asked = {"after": str(answer.id), "k": len(answer.items)}
    if "buyer" in request.query_params:
        asked["buyer"] = request.query_params["buyer"]
    return f"{request.build_absolute_uri(reverse('car-recommendations'))}?{urlencode(asked)}"
