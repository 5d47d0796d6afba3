"""``/infer`` and ``/batch``: vectors of one's own in, the live listings with the highest inner products out.

What comes in and goes out is plain data here, so that the documented views below and the short way of
``recommender_site.http.fast_lane`` give one answer.
"""

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
from django.conf import settings
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from numpy.typing import NDArray
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.permissions import IsOpenOrHasScope
from accounts.api.throttles import OPEN_ROUTE_THROTTLES
from accounts.models import ApiKey
from recommendations.exceptions import NoLiveRanker
from recommendations.models import VECTOR_DIMENSIONS
from recommendations.serving.inference import GroupBy, Question, infer
from web.parsers import LenientJSONParser

GROUPS = get_args(GroupBy)
NUMBERS = {int, float}
INFERENCE = ["Inference"]

Fields = dict[str, list[str]]


class NotReady(APIException):
    """No search is possible yet; the message gives the reason."""

    status_code = 503
    default_code = "unavailable"


def answer_one(data: Any, parameters: Mapping[str, str]) -> dict[str, Any]:
    """The answer to the body of ``/infer``; raises ValidationError naming the field, or NotReady."""
    problems: Fields = {}
    question = _question(data, parameters, "", problems)
    return _answers([(data, question)], problems)[0]


def answer_many(data: Any, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
    """The same for ``/batch``, in the order of the entries; raises ValidationError naming every wrong entry."""
    if not isinstance(data, list):
        raise ValidationError(_("A list of entries is expected, each with a name and a vector."))
    if len(data) > settings.INFERENCES_PER_REQUEST:
        raise ValidationError(_("At most %(n)s entries are taken at once.") % {"n": settings.INFERENCES_PER_REQUEST})
    problems: Fields = {}
    _top(parameters.get("top", 10), problems)  # wrong even where there is no entry to ask with it
    _group(parameters.get("group_by"), problems)
    questions = [(entry, _question(entry, parameters, f"[{index}].", problems)) for index, entry in enumerate(data)]
    return _answers(questions, problems)


def _answers(asked: list[tuple[Any, Question | None]], problems: Fields) -> list[dict[str, Any]]:
    if problems:
        raise ValidationError(problems)
    try:
        found = infer([question for _, question in asked if question is not None])
    except NoLiveRanker as refusal:
        raise NotReady(str(refusal)) from None
    return [{"name": entry["name"], "recommendations": answer} for (entry, _), answer in zip(asked, found, strict=True)]


def _question(entry: Any, parameters: Mapping[str, str], path: str, problems: Fields) -> Question | None:
    """The query of an entry; None where it is invalid, with the reason added to the problems."""
    if not isinstance(entry, dict):
        problems[path.rstrip(".") or "body"] = [_("An object with a name and a vector is expected.")]
        return None
    wrong: Fields = {}
    if not isinstance(entry.get("name"), str):
        wrong["name"] = [_("A string is expected.") if "name" in entry else _("This field is required.")]
    vector = _vector(entry, wrong)
    top = _top(entry.get("top", parameters.get("top", 10)), wrong)
    group_by = _group(entry.get("group_by", parameters.get("group_by")), wrong)
    if wrong:
        problems.update({path + field: reasons for field, reasons in wrong.items()})
        return None
    return Question(vector, top, group_by)


def _vector(entry: dict[str, Any], wrong: Fields) -> NDArray[np.float64]:
    """Numbers beyond float64 become infinite, which is answered null; what is no number is refused."""
    values = entry.get("vector")
    if not isinstance(values, list):
        wrong["vector"] = [_("A list of numbers is expected.") if "vector" in entry else _("This field is required.")]
    elif len(values) != VECTOR_DIMENSIONS:
        wrong["vector"] = [
            _("%(expected)s numbers are expected, not %(given)s.")
            % {"expected": VECTOR_DIMENSIONS, "given": len(values)}
        ]
    elif not NUMBERS.issuperset(map(type, values)):
        at = next(at for at, value in enumerate(values) if type(value) not in NUMBERS)
        wrong["vector"] = [
            _("Only numbers are expected; number %(place)s is %(value)s.")
            % {"place": at + 1, "value": f"{values[at]!r:.40}"}
        ]
    else:
        try:
            return np.array(values, np.float64)
        except OverflowError:
            return np.full(VECTOR_DIMENSIONS, np.inf)
    return np.zeros(VECTOR_DIMENSIONS)


def _top(given: Any, wrong: Fields) -> int:
    is_number = type(given) is int or (isinstance(given, str) and given.isascii() and given.isdigit())
    top = int(given) if is_number and len(str(given)) < 10 else 0
    if not 1 <= top <= settings.RECOMMENDATIONS_MAX_K:
        wrong["top"] = [_("A whole number from 1 to %(most)s is expected.") % {"most": settings.RECOMMENDATIONS_MAX_K}]
    return top


def _group(given: Any, wrong: Fields) -> GroupBy | None:
    if given is not None and given not in GROUPS:
        wrong["group_by"] = [_("One of %(known)s is expected.") % {"known": ", ".join(GROUPS)}]
    group: GroupBy | None = given
    return group


# --- As documented views ---------------------------------------------------------------------------------------------


class EntrySerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="Comes back with the answer.")
    vector = serializers.ListField(
        child=serializers.FloatField(),
        min_length=VECTOR_DIMENSIONS,
        max_length=VECTOR_DIMENSIONS,
        help_text="In the space of the live ranker. With NaN or Infinity in it, the answer is null.",
    )


class AnswerSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    recommendations = serializers.JSONField(
        help_text="The matches, best first, ties by id; with `group_by`, such a list for each group; or null."
    )


PARAMETERS = [
    OpenApiParameter("top", int, default=10, description=f"How many, 1 to {settings.RECOMMENDATIONS_MAX_K}."),
    OpenApiParameter("group_by", str, enum=GROUPS, description="So many of each group."),
]
EXAMPLE_ENTRY = {"name": "someone", "vector": [0.1] * VECTOR_DIMENSIONS}
EXAMPLE_ANSWER = {
    "name": "someone",
    "recommendations": [{"id": 4711, "name": "Skoda Octavia Combi 1.4 TSI", "score": 1.25}],
}


class InferenceView(APIView):
    parser_classes = [LenientJSONParser]
    permission_classes = [IsOpenOrHasScope]
    key_setting = "INFERENCE_NEEDS_KEY"
    required_scope = ApiKey.Scope.READ
    throttle_classes = OPEN_ROUTE_THROTTLES
    carried_in = ()  # a list of vectors counts as many as it has


class InferView(InferenceView):
    """The live cars with the highest inner product with a vector."""

    @extend_schema(
        tags=INFERENCE,
        summary="Answer one vector",
        operation_id="infer",
        parameters=PARAMETERS,
        request=EntrySerializer,
        responses=AnswerSerializer,
        examples=[
            OpenApiExample("A vector", value=EXAMPLE_ENTRY, request_only=True),
            OpenApiExample("One car", value=EXAMPLE_ANSWER, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        return Response(answer_one(request.data, request.query_params))


class BatchView(InferenceView):
    """The same for many vectors at once, in their order."""

    @extend_schema(
        tags=INFERENCE,
        summary="Answer many vectors",
        operation_id="batch",
        parameters=PARAMETERS,
        request=EntrySerializer(many=True),
        responses=AnswerSerializer(many=True),
        examples=[
            OpenApiExample("Vectors", value=EXAMPLE_ENTRY, request_only=True),
            OpenApiExample("Answers", value=EXAMPLE_ANSWER, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        return Response(answer_many(request.data, request.query_params))
