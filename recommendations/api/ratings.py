"""Star ratings over HTTP: how a person would rate titles, and which titles are alike.

These routes are open in demo mode, as the clients they were made for have no token; elsewhere they need an API key. The
log is then for staff and admin keys. What comes in is checked entry by entry, and each entry that is wrong is named.
"""

import logging
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.permissions import IsOpenOrHasScope, has_scope
from accounts.api.throttles import CountingThrottle
from accounts.models import ApiKey, User
from recommendations.ratings.current import rating_model
from recommendations.ratings.exceptions import TRAIN_COMMAND, NoRatingModel, NoReadableModel
from recommendations.ratings.loaded import LoadedModel
from web.addresses import address_of, network_of
from web.build import AUTHORS, built_at
from web.logs import last_lines, log_files
from web.parsers import LenientJSONParser

logger = logging.getLogger(__name__)

RATINGS = ["Star ratings"]
RATINGS_AT_MOST = 5_000  # of one person in one request
LIST_AT_MOST = 1_000
NAME_AT_MOST = 300  # letters
SEARCHES_AT_MOST = 50  # names of one request that are looked for by their likeness, which takes milliseconds each
LOG_LINES = 20

Fields = dict[str, list[str]]


class NotTrained(APIException):
    """There is no model to answer with; the message says how to get one."""

    status_code = 503
    default_code = "unavailable"

    def __init__(self, refusal: NoRatingModel) -> None:
        if isinstance(refusal, NoReadableModel):
            message = _("no stored rating model can be read, see the log; run: %(command)s")
        else:
            message = _("no rating model has been trained yet; run: %(command)s")
        super().__init__(message % {"command": TRAIN_COMMAND})


class TitlesNotFound(ValidationError):
    """Names that mean no title, each with the nearest ones."""

    status_code = 404


def loaded_model() -> LoadedModel:
    try:
        return rating_model().current()
    except NoRatingModel as refusal:
        raise NotTrained(refusal) from None


# --- Questions -------------------------------------------------------------------------------------------------------


def names_and_ratings(data: Any) -> tuple[list[str], list[float]]:
    """The two lists of a body, each entry of its type. Raises ValidationError naming every one that is not."""
    if isinstance(data, list) and len(data) == 2:
        names, ratings = data
    elif isinstance(data, dict):
        names, ratings = data.get("names"), data.get("ratings")
    else:
        raise ValidationError(_("Two lists are expected: [[names], [ratings]]."))
    problems: Fields = {
        field: [_("A list is expected.") if values is not None else _("This field is required.")]
        for field, values in (("names", names), ("ratings", ratings))
        if not isinstance(values, list)
    }
    if not problems:
        problems = _problems_of_lists(names, ratings)
    if problems:
        raise ValidationError(problems)
    return names, [float(rating) for rating in ratings]


def _problems_of_lists(names: list[Any], ratings: list[Any]) -> Fields:
    if len(names) != len(ratings):
        counts = {"names": len(names), "ratings": len(ratings)}
        return {"ratings": [_("There are %(names)s names, but %(ratings)s ratings.") % counts]}
    if not 1 <= len(names) <= RATINGS_AT_MOST:
        return {"names": [_("Between 1 and %(most)s names are expected.") % {"most": RATINGS_AT_MOST}]}
    problems = {f"names[{index}]": [reason] for index, name in enumerate(names) if (reason := _wrong_name(name))}
    problems |= {
        f"ratings[{index}]": [_("A number is expected.")]
        for index, rating in enumerate(ratings)
        if not _is_number(rating)
    }
    return problems


def _wrong_name(name: Any) -> str:
    if not isinstance(name, str) or not name.strip():
        return _("A title is expected.")
    return _("A title has at most %(most)s letters.") % {"most": NAME_AT_MOST} if len(name) > NAME_AT_MOST else ""


def _is_number(value: Any) -> bool:
    """A finite number; neither true nor false, which Python takes for 1 and 0, nor too large for a float."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def check_scale(ratings: list[float], loaded: LoadedModel) -> None:
    scale = {"low": f"{loaded.scale.low:g}", "high": f"{loaded.scale.high:g}"}
    outside = _("%(rating)s is outside of the scale, which goes from %(low)s to %(high)s.")
    problems = {
        f"ratings[{index}]": [outside % {"rating": f"{rating:g}", **scale}]
        for index, rating in enumerate(ratings)
        if rating not in loaded.scale
    }
    if problems:
        raise ValidationError(problems)


def whole_number(name: str, data: Any, parameters: Mapping[str, str], default: int) -> int:
    """A number from the body or else the address. Raises ValidationError when it is none, or not in bounds."""
    given = data[name] if isinstance(data, dict) and name in data else _from_address(parameters.get(name, str(default)))
    if type(given) is not int or not 1 <= given <= LIST_AT_MOST:
        raise ValidationError({name: [_("A whole number from 1 to %(most)s is expected.") % {"most": LIST_AT_MOST}]})
    return given


def _from_address(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def flag(name: str, parameters: Mapping[str, str]) -> bool:
    """A switch in the address, off when it is left out. Raises ValidationError when it is neither on nor off."""
    try:
        return bool(serializers.BooleanField().run_validation(parameters.get(name, "false")))
    except ValidationError as refusal:
        raise ValidationError({name: refusal.detail}) from None


def items_named(names: Mapping[str, str], loaded: LoadedModel) -> list[str]:
    """The item ids that names mean, by the paths of the names. Raises TitlesNotFound naming each that means none."""
    found = {path: loaded.titles.find_exactly(name) for path, name in names.items()}
    inexact = [path for path, item_id in found.items() if item_id is None]
    for path in inexact[:SEARCHES_AT_MOST]:
        found[path] = loaded.titles.find(names[path])
    missing = [path for path in inexact if found[path] is None]
    if missing:
        raise TitlesNotFound({path: [_not_found(names[path], loaded, path in missing[:5])] for path in missing})
    return [item_id for item_id in found.values() if item_id is not None]


def _not_found(name: str, loaded: LoadedModel, with_nearest: bool) -> str:
    nearest = loaded.titles.nearest(name) if with_nearest else []
    if nearest:
        return _("There is no title “%(title)s”. The nearest titles are: %(nearest)s.") % {
            "title": name,
            "nearest": "; ".join(nearest),
        }
    return _("There is no title “%(title)s”.") % {"title": name}


# --- Views -----------------------------------------------------------------------------------------------------------


class RatingsThrottle(CountingThrottle):
    """By address, for every caller, with an allowance of its own: these clients ask for one person after another."""

    scope = "ratings"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        return f"throttle_ratings_{network_of(address_of(request.META))}"


class RatingsView(APIView):
    permission_classes: list[type[BasePermission]] = [IsOpenOrHasScope]
    key_setting = "RATINGS_NEED_KEY"
    required_scope = ApiKey.Scope.READ
    throttle_classes = [RatingsThrottle]
    parser_classes = [LenientJSONParser]  # NaN gets as far as the check that names the entry


NAMES = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": NAME_AT_MOST}, "minItems": 1}
NUMBERS = {"type": "array", "items": {"type": "number"}, "minItems": 1}
PAIR_OF_LISTS = {
    "type": "array",
    "items": {"oneOf": [NAMES, NUMBERS]},
    "minItems": 2,
    "maxItems": 2,
    "description": "Names, and as many ratings.",
}
COUNT = {"type": "integer", "minimum": 1, "maximum": LIST_AT_MOST}
RATED = {
    "oneOf": [
        PAIR_OF_LISTS,
        {
            "type": "object",
            "required": ["names", "ratings"],
            "properties": {"names": NAMES, "ratings": NUMBERS, "top": COUNT},
        },
    ]
}
LISTS = {
    "type": "array",
    "items": {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "number"}]}},
    "minItems": 2,
    "maxItems": 3,
}
NAMED = {
    "anyOf": [
        {"type": "object", "required": [key], "properties": {key: {"type": "string", "minLength": 1}, "n": COUNT}}
        for key in ("movie_name", "name")
    ]
}
NOT_FOUND = OpenApiResponse(description="A name matches no title; the message names the nearest ones.")
NOT_TRAINED = OpenApiResponse(description="No model has been trained; the message names the command.")
EXAMPLE_RATED = [["Toy Story (1995)", "Heat", "Forest Gump"], [5, 3, 4]]
EXAMPLE_LISTS = [["The Shawshank Redemption (1994)", "Toy Story 2 (1999)"], [4.61, 4.52]]


class PredictView(RatingsView):
    """Estimated ratings of titles that a person has not rated, best first; the person need not be known."""

    @extend_schema(
        tags=RATINGS,
        summary="Estimate a person's ratings",
        operation_id="predict",
        description=(
            "`[[names], [ratings]]` in, `[[names], [estimates]]` out: the titles with the highest estimates, highest "
            "first, none of them among those that were rated. Names go with or without the year and with small typos; "
            "of a title that is named twice the later rating counts, and a title without ratings in the training "
            "changes nothing. Estimates and ratings are on the scale of the training, see `/api/info`."
        ),
        parameters=[
            OpenApiParameter("top", COUNT, default=20, description="How many."),
            OpenApiParameter("uncertainty", bool, default=False, description="A third list: standard deviations."),
        ],
        request={"application/json": RATED},
        responses={200: LISTS, 404: NOT_FOUND, 503: NOT_TRAINED},
        examples=[
            OpenApiExample("Three titles rated", value=EXAMPLE_RATED, request_only=True),
            OpenApiExample("Two estimates", value=EXAMPLE_LISTS, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        started = time.perf_counter()
        names, ratings = names_and_ratings(request.data)
        top = whole_number("top", request.data, request.query_params, 20)
        with_uncertainty = flag("uncertainty", request.query_params)
        loaded = loaded_model()
        check_scale(ratings, loaded)
        item_ids = items_named({f"names[{index}]": name for index, name in enumerate(names)}, loaded)
        rated = [(item_id, rating) for item_id, rating in zip(item_ids, ratings, strict=True) if loaded.knows(item_id)]
        best = loaded.recommend([item_id for item_id, _ in rated], [rating for _, rating in rated], top)
        logger.info("predict: %d ratings, %d estimates, %.0f ms", len(names), len(best), since(started))
        answer: list[list[Any]] = [
            [loaded.titles.title_of(estimate.item_id) for estimate in best],
            [round(estimate.stars, 4) for estimate in best],
        ]
        return Response(
            [*answer, [round(estimate.uncertainty, 4) for estimate in best]] if with_uncertainty else answer
        )


class SimilarTitlesView(RatingsView):
    """The titles that people find most like one, without itself."""

    @extend_schema(
        tags=RATINGS,
        summary="Find similar titles",
        operation_id="similar_titles",
        description=(
            "`[[names], [similarities]]`, most alike first. A similarity is the correlation, over people, between what "
            "they would say of the two titles: -1 to 1."
        ),
        parameters=[OpenApiParameter("n", COUNT, default=5, description="How many.")],
        request={"application/json": NAMED},
        responses={200: LISTS, 404: NOT_FOUND, 503: NOT_TRAINED},
        examples=[
            OpenApiExample("By a name without its year", value={"movie_name": "Toy Story"}, request_only=True),
            OpenApiExample(
                "Two titles", value=[["Toy Story 2 (1999)", "Aladdin (1992)"], [0.83, 0.61]], response_only=True
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        started = time.perf_counter()
        field, name = _name_in(request.data)
        n = whole_number("n", request.data, request.query_params, 5)
        loaded = loaded_model()
        [item_id] = items_named({field: name}, loaded)
        if not loaded.knows(item_id):
            unrated = _("“%(title)s” has no rating in the training.") % {"title": loaded.titles.title_of(item_id)}
            raise TitlesNotFound({field: [unrated]})
        alike = loaded.similar(item_id, n)
        logger.info("similar: %s, %d titles, %.0f ms", loaded.titles.title_of(item_id), len(alike), since(started))
        return Response(
            [
                [loaded.titles.title_of(similar_id) for similar_id, _ in alike],
                [round(similarity, 4) for _, similarity in alike],
            ]
        )


def _name_in(data: Any) -> tuple[str, str]:
    """(field, name). Raises ValidationError when there is none."""
    if not isinstance(data, dict):
        raise ValidationError(_('An object is expected: {"movie_name": "…"}.'))
    field = "name" if "movie_name" not in data and "name" in data else "movie_name"
    if field not in data:
        raise ValidationError({field: [_("This field is required.")]})
    if reason := _wrong_name(data[field]):
        raise ValidationError({field: [reason]})
    return field, data[field]


def since(started: float) -> float:
    """Milliseconds."""
    return 1000 * (time.perf_counter() - started)


class ModelInfoSerializer(serializers.Serializer[Any]):
    authors = serializers.ListField(child=serializers.CharField())
    version = serializers.CharField(help_text="Of the software.")
    built_at = serializers.DateTimeField(help_text="When the image was built, or the environment installed.")
    model = serializers.CharField(
        allow_null=True, help_text="Name of the loaded model; null before the first training."
    )
    trained_at = serializers.DateTimeField(allow_null=True)
    training_seconds = serializers.FloatField(allow_null=True)
    dataset = serializers.JSONField(allow_null=True, help_text="File, numbers of ratings, people and items, and scale.")
    parameters = serializers.JSONField(allow_null=True, help_text="Of the training.")
    metrics = serializers.JSONField(
        allow_null=True, help_text="Errors in stars on held-out ratings in training, and of later evaluations."
    )


class InfoView(RatingsView):
    """Who made this, when it was built, and everything about the model that answers."""

    @extend_schema(tags=RATINGS, summary="Describe the model", operation_id="info", responses=ModelInfoSerializer)
    def get(self, request: Request) -> Response:
        return Response(ModelInfoSerializer(_info()).data)


def _info() -> dict[str, Any]:
    info: dict[str, Any] = {
        "authors": AUTHORS,
        "version": settings.SPECTACULAR_SETTINGS["VERSION"],
        "built_at": built_at(),
        **dict.fromkeys(["model", "trained_at", "training_seconds", "dataset", "parameters", "metrics"]),
    }
    try:
        loaded = rating_model().current()
    except NoRatingModel:
        return info
    about = {name: loaded.about[name] for name in ("trained_at", "training_seconds", "dataset", "parameters")}
    metrics = {**loaded.about["metrics"], "evaluations": rating_model().evaluations()}
    return info | about | {"model": loaded.name, "metrics": metrics}


class ReloadedSerializer(serializers.Serializer[Any]):
    model = serializers.CharField(help_text="Name of the model that answers from now on.")
    trained_at = serializers.DateTimeField()


class ReloadView(RatingsView):
    """Load the newest model without a restart. Other processes load it by themselves with their next answer."""

    required_scope = ApiKey.Scope.ADMIN

    @extend_schema(
        tags=RATINGS,
        summary="Load the newest model",
        operation_id="reload",
        request=None,
        responses={200: ReloadedSerializer, 503: NOT_TRAINED},
    )
    def post(self, request: Request) -> Response:
        try:
            loaded = rating_model().warmup()
        except NoRatingModel as refusal:
            raise NotTrained(refusal) from None
        return Response(ReloadedSerializer({"model": loaded.name, "trained_at": loaded.about["trained_at"]}).data)

    @extend_schema(
        tags=RATINGS,
        summary="Load the newest model, by its address alone",
        operation_id="reload_by_address",
        responses={200: ReloadedSerializer, 503: NOT_TRAINED},
    )
    def get(self, request: Request) -> Response:
        return self.post(request)


class MayReadLog(BasePermission):
    """Everybody in demo mode; otherwise staff, and client systems whose key may do everything."""

    message = gettext_lazy("The log is for staff, and for API keys with the scope “admin”.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        is_staff = isinstance(request.user, User) and request.user.is_staff
        return settings.DEMO_MODE or is_staff or has_scope(request, ApiKey.Scope.ADMIN)


class LogSerializer(serializers.Serializer[Any]):
    lines = serializers.ListField(child=serializers.CharField(), help_text="Newest last.")


class LogView(RatingsView):
    """What this machine has logged; passwords, tokens and keys are never in it."""

    permission_classes = [MayReadLog]

    @extend_schema(
        tags=RATINGS,
        summary="Read the log",
        operation_id="log",
        description="The last 20 lines; with `full=1` all that is kept, as a text file to download.",
        parameters=[OpenApiParameter("full", bool, default=False, description="Download all of it.")],
        responses={
            (200, "application/json"): LogSerializer,
            (200, "text/plain"): OpenApiTypes.STR,
            404: OpenApiResponse(description="No log file is kept."),
        },
    )
    def get(self, request: Request) -> HttpResponseBase:
        if not settings.LOG_FILE:
            raise NotFound(_("No log file is kept: the setting LOG_FILE is empty."))
        path = settings.BASE_DIR / settings.LOG_FILE
        if not flag("full", request.query_params):
            return Response(LogSerializer({"lines": last_lines(path, LOG_LINES)}).data)
        return StreamingHttpResponse(
            _content_of(log_files(path)),
            content_type="text/plain; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{path.name}"'},
        )


def _content_of(files: list[Path]) -> Iterator[bytes]:
    for path in files:
        with path.open("rb") as file:
            while part := file.read(65536):
                yield part
