"""What a buyer states outright."""

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.identity import BUYER, known_named_buyer_of, named_buyer_of
from accounts.api.permissions import IsBuyerOrHasScope
from accounts.api.throttles import CALLER_THROTTLES
from accounts.models import ApiKey, Buyer
from recommendations.api import examples
from recommendations.api.questionnaire_serializers import QuestionnaireSerializer
from recommendations.buyers.questionnaire import save_questionnaire
from web.strict import StrictView, checked

ME = ["Me"]


class QuestionnaireView(StrictView):
    """What a buyer states outright: the start for a buyer with no history, outweighed by what they do later."""

    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.INGEST
    throttle_classes = CALLER_THROTTLES
    parameters = {"get": [BUYER], "post": [BUYER]}

    @extend_schema(
        tags=ME,
        summary="Read one's questionnaire",
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
        asked = checked(QuestionnaireSerializer, request.data)
        buyer = self.buyer(request)
        save_questionnaire(buyer=buyer, answers=QuestionnaireSerializer.answers_of(asked))
        return Response(QuestionnaireSerializer(buyer.questionnaire).data)

    def known_buyer(self, request: Request) -> Buyer | None:
        return known_named_buyer_of(request)

    def buyer(self, request: Request) -> Buyer:
        return named_buyer_of(request)
