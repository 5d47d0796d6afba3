"""``/interact``, ``/add_items``, ``/recs/{user_id}``: the feed for client systems that know bare ids.

What comes in and goes out is plain data here, so that the documented views below and the short way of
``recommender_site.http.fast_lane`` give one answer. ``/healthcheck`` and ``/cleanup`` are at the end.
"""

import math
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from celery import current_app
from django.conf import settings
from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, PermissionDenied, ValidationError
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.permissions import IsOpenOrHasScope, has_scope
from accounts.api.throttles import CALLER_THROTTLES, OPEN_ROUTE_THROTTLES
from accounts.models import ApiKey
from recommendations import telemetry
from recommendations.feed.clearing import empty_site
from recommendations.feed.lists import ACTIONS, add_items, recommend, record_actions
from web.errors import OUTAGES, RETRY_AFTER_SECONDS, error_body
from web.origin import is_from_another_site
from web.servers import broker_connection, problems_found

FEED = ["Likes and recommendations"]
ID_AT_MOST = 255  # letters
GENRE_AT_MOST = 80
GENRES_AT_MOST = 100  # of one item
PROBLEMS_NAMED = 20

Fields = dict[str, list[str]]


class Unprocessable(ValidationError):
    """Valid JSON that does not have the documented shape."""

    status_code = 422


# --- Questions and answers, as plain data ----------------------------------------------------------------------------


def interact(data: Any) -> dict[str, Any]:
    """Record the actions of a user on items. Raises Unprocessable naming every wrong field."""
    problems: Fields = {}
    body = _object(data)
    user_id = _id(body.get("user_id"), "user_id", "user_id" in body, problems)
    item_ids = _ids(body, "item_ids", settings.FEED_ACTIONS_PER_REQUEST, problems)
    actions = _list(body, "actions", settings.FEED_ACTIONS_PER_REQUEST, problems)
    for at, action in enumerate(actions):
        if action not in ACTIONS and len(problems) < PROBLEMS_NAMED:
            problems[f"actions[{at}]"] = [_("One of %(known)s is expected.") % {"known": ", ".join(ACTIONS)}]
    if not problems and len(item_ids) != len(actions):
        problems["actions"] = [
            _("There are %(items)s item_ids, but %(actions)s actions.")
            % {"items": len(item_ids), "actions": len(actions)}
        ]
    timestamp = _timestamp(body.get("timestamp"), problems)
    if problems:
        raise Unprocessable(problems)
    return {"recorded": record_actions(user_id, item_ids, actions, timestamp)}


def add(data: Any) -> dict[str, Any]:
    """Add items to the feed; the last one counts where an id is repeated. Raises Unprocessable."""
    problems: Fields = {}
    body = _object(data)
    item_ids = _ids(body, "item_ids", settings.FEED_ITEMS_PER_REQUEST, problems)
    if body.get("genres") is None:
        genres: list[Any] = [None] * len(item_ids)
    else:
        genres = _list(body, "genres", settings.FEED_ITEMS_PER_REQUEST, problems)
        for at, names in enumerate(genres):
            if (reason := _wrong_genres(names)) and len(problems) < PROBLEMS_NAMED:
                problems[f"genres[{at}]"] = [reason]
        if not problems and len(item_ids) != len(genres):
            problems["genres"] = [
                _("There are %(items)s item_ids, but %(lists)s lists of genres.")
                % {"items": len(item_ids), "lists": len(genres)}
            ]
    if problems:
        raise Unprocessable(problems)
    return {"added_or_changed": add_items(dict(zip(item_ids, genres, strict=True)))}


def list_for(user_id: str) -> dict[str, Any]:
    """A user's next list; raises Unprocessable for what cannot be an id."""
    problems: Fields = {}
    checked = _id(user_id, "user_id", True, problems)
    if problems:
        raise Unprocessable(problems)
    return {"item_ids": recommend(checked)}


def user_id_in(path: str, raw_path: str | None) -> str:
    """The user of a request to ``/recs/…``; '' when none is named.

    From the address as it was sent where the server gives it, since an encoded slash is part of the id. Text that is
    not UTF-8 comes out with a letter that no id may hold.
    """
    rest = (raw_path or "").partition("?")[0]
    prefix, found, user_id = rest.partition("/recs/")
    if raw_path is None or not found or prefix.strip("/"):
        return path.removeprefix("/recs").strip("/")
    return unquote_to_bytes(user_id.removesuffix("/")).decode(errors="surrogateescape")


def _object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise Unprocessable(_("An object is expected."))
    return data


def _list(body: dict[str, Any], field: str, at_most: int, problems: Fields) -> list[Any]:
    values = body.get(field)
    if not isinstance(values, list):
        problems[field] = [_("A list is expected.") if field in body else _("This field is required.")]
        return []
    if len(values) > at_most:
        problems[field] = [
            _("At most %(most)s are taken at once, not %(given)s.") % {"most": at_most, "given": len(values)}
        ]
        return []
    return values


def _ids(body: dict[str, Any], field: str, at_most: int, problems: Fields) -> list[str]:
    values = _list(body, field, at_most, problems)
    for at, value in enumerate(values):
        if (type(value) is not str or not 0 < len(value) <= ID_AT_MOST) and len(problems) < PROBLEMS_NAMED:
            _id(value, f"{field}[{at}]", True, problems)
    return values


def _id(value: Any, field: str, is_given: bool, problems: Fields) -> str:
    if not isinstance(value, str):
        problems[field] = [_("A string is expected.") if is_given else _("This field is required.")]
    elif not 0 < len(value) <= ID_AT_MOST:
        problems[field] = [
            _("An id has 1 to %(most)s letters, not %(given)s.") % {"most": ID_AT_MOST, "given": len(value)}
        ]
    elif "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        problems[field] = [_("An id is text in UTF-8 without NUL.")]
    else:
        return value
    return ""


def _wrong_genres(names: Any) -> str:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return _("A list of strings is expected.")
    if len(names) > GENRES_AT_MOST:
        return _("An item has at most %(most)s genres.") % {"most": GENRES_AT_MOST}
    if any(not 0 < len(name) <= GENRE_AT_MOST for name in names):
        return _("A genre has 1 to %(most)s letters.") % {"most": GENRE_AT_MOST}
    return ""


def _timestamp(value: Any, problems: Fields) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < math.inf:
        problems["timestamp"] = [_("Seconds since 1970 are expected, as a number.")]
        return None
    return float(min(value, 2**40))


def timed(route: str, answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Call a function, and record its duration and outcome in the metrics."""
    started, status = time.perf_counter(), 500
    try:
        body = answer()
        status = 200
    except APIException as refusal:
        status = refusal.status_code
        raise
    except OUTAGES:
        status = 503
        raise
    finally:
        telemetry.FEED_SECONDS.labels(route, str(status)).observe(time.perf_counter() - started)
    return body


# --- As documented views ---------------------------------------------------------------------------------------------


class FeedView(APIView):
    permission_classes: list[type[BasePermission]] = [IsOpenOrHasScope]
    key_setting = "FEED_NEEDS_KEY"
    throttle_classes = OPEN_ROUTE_THROTTLES
    required_scope = ApiKey.Scope.INGEST
    carried_in = ("item_ids",)


def _array(description: str, of: dict[str, Any], **bounds: int) -> dict[str, Any]:
    return {"type": "array", "items": of, "description": description, **bounds}


ID = {"type": "string", "minLength": 1, "maxLength": ID_AT_MOST}
INTERACTION = {
    "type": "object",
    "required": ["user_id", "item_ids", "actions"],
    "properties": {
        "user_id": ID,
        "item_ids": _array("What was acted on.", ID),
        "actions": _array("What was said of each, in the same order.", {"type": "string", "enum": list(ACTIONS)}),
        "timestamp": {
            "type": "number",
            "nullable": True,
            "minimum": 0,
            "description": "When, in seconds since 1970; now, when left out. The same said twice counts once.",
        },
    },
}
NEW_ITEMS = {
    "type": "object",
    "required": ["item_ids"],
    "properties": {
        "item_ids": _array("Opaque; “007” and “7” are two.", ID),
        "genres": {
            **_array("Of each item, in the same order.",
                     _array("", {"type": "string", "minLength": 1, "maxLength": GENRE_AT_MOST},
                            maxItems=GENRES_AT_MOST)),
            "nullable": True,
        },
    },
}  # fmt: skip
UNPROCESSABLE = OpenApiResponse(description="A field is missing, of the wrong type, or does not fit the others.")


class RecordedActionsSerializer(serializers.Serializer[Any]):
    recorded = serializers.IntegerField(help_text="How many were new.")


class AddedItemsSerializer(serializers.Serializer[Any]):
    added_or_changed = serializers.IntegerField(help_text="How many were new, or have other genres now.")


class FeedListSerializer(serializers.Serializer[Any]):
    item_ids = serializers.ListField(child=serializers.CharField(), help_text="Best first, all different.")


class InteractView(FeedView):
    """Likes and dislikes of one user. They count in the user's next list."""

    @extend_schema(
        tags=FEED,
        summary="Like and dislike items",
        operation_id="interact",
        description=(
            "Written down before it is answered. Users need not be known. An item that was not added yet is "
            "remembered; it is on no list until it is added."
        ),
        request={"application/json": INTERACTION},
        responses={200: RecordedActionsSerializer, 422: UNPROCESSABLE},
        examples=[
            OpenApiExample(
                "A like and a dislike",
                value={"user_id": "u1", "item_ids": ["007", "a-b"], "actions": ["like", "dislike"]},
                request_only=True,
            ),
            OpenApiExample("Both were new", value={"recorded": 2}, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        return Response(timed("interact", lambda: interact(request.data)))


class AddItemsView(FeedView):
    """Items to recommend, many at once; adding again changes nothing but the genres, where some are given."""

    @extend_schema(
        tags=FEED,
        summary="Add items",
        operation_id="add_items",
        request={"application/json": NEW_ITEMS},
        responses={200: AddedItemsSerializer, 422: UNPROCESSABLE},
        examples=[
            OpenApiExample(
                "Two items", value={"item_ids": ["007", "a-b"], "genres": [["spy", "drama"], []]}, request_only=True
            ),
            OpenApiExample("Both are new", value={"added_or_changed": 2}, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        return Response(timed("add_items", lambda: add(request.data)))


class RecsView(FeedView):
    """The next list of a user, known or not; what was on it does not come back while there is anything else."""

    required_scope = ApiKey.Scope.READ

    @extend_schema(
        tags=FEED,
        summary="Recommend items",
        operation_id="recs",
        parameters=[OpenApiParameter("user_id", ID, OpenApiParameter.PATH, description="Opaque; encode a slash.")],
        responses={200: FeedListSerializer, 422: UNPROCESSABLE},
        examples=[OpenApiExample("A list", value={"item_ids": ["007", "a-b"]}, response_only=True)],
    )
    def get(self, request: Request, user_id: str) -> Response:
        asked = user_id_in(request.path, request.META.get("RAW_URI"))
        return Response(timed("recs", lambda: list_for(asked)))


# --- Health and a fresh start ----------------------------------------------------------------------------------------


class HealthSerializer(serializers.Serializer[Any]):
    status = serializers.CharField()
    database = serializers.CharField()
    cache = serializers.CharField()
    broker = serializers.CharField()


class EmptiedSerializer(serializers.Serializer[Any]):
    status = serializers.CharField()


class HealthView(APIView):
    """Whether everything that is needed answers; 503 otherwise, naming what does not."""

    authentication_classes: list[type] = []
    permission_classes = [AllowAny]
    throttle_classes = CALLER_THROTTLES

    @extend_schema(tags=FEED, summary="Check the servers", operation_id="healthcheck", responses=HealthSerializer)
    def get(self, request: Request) -> Response:
        answers = {name: _("does not answer") if problem else "ok" for name, problem in problems_found().items()}
        broken = {name: [answer] for name, answer in answers.items() if answer != "ok"}
        if broken:
            message = _("What does not answer: %(servers)s.") % {"servers": ", ".join(broken)}
            again = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return Response(error_body(503, message, broken), status=503, headers=again)
        return Response({"status": "ok", **answers})


class CleanUpView(APIView):
    """A fresh start. Outside demo mode this route exists for API keys with the scope “admin” only."""

    http_method_names = ["get", "post", "options"]  # HEAD only looks, and must not empty anything
    permission_classes = [AllowAny]  # what may be done is decided below, as a route that is closed answers 404
    throttle_classes = CALLER_THROTTLES

    @extend_schema(
        tags=FEED,
        summary="Empty the site",
        operation_id="cleanup",
        description=(
            "Removes listings and items, events, preferences, rankers, caches and waiting tasks. Accounts, API keys, "
            "rules of lists and schedules stay. Only in demo mode, or with an API key of the scope “admin”; 404 "
            "otherwise. Without such a key, a request that a page of another site sent (by Origin, Referer or "
            "Sec-Fetch-Site) is refused."
        ),
        request=None,
        responses={200: EmptiedSerializer, 404: OpenApiResponse(description="Neither demo mode nor an admin key.")},
    )
    def post(self, request: Request) -> Response:
        if not has_scope(request, ApiKey.Scope.ADMIN):
            self._refuse_unless_demo(request)
        empty_queues()
        empty_site()
        return Response({"status": "empty"})

    @extend_schema(
        tags=FEED,
        summary="Empty the site (the same by GET)",
        operation_id="cleanup_by_get",
        responses={200: EmptiedSerializer, 404: OpenApiResponse(description="Neither demo mode nor an admin key.")},
    )
    def get(self, request: Request) -> Response:
        return self.post(request)

    def _refuse_unless_demo(self, request: Request) -> None:
        """Without an admin key: demo mode only, and not for an image or a form on a page of another site."""
        if not settings.DEMO_MODE:
            raise Http404
        if is_from_another_site(request._request):
            raise PermissionDenied(_("A page of another site sent this. Empty the site from its own address."))


def empty_queues() -> None:
    """Delete waiting tasks; tasks that are already running find no rows."""
    with broker_connection() as connection:
        for queue in settings.QUEUES:
            current_app.amqp.queues[queue](connection.default_channel).purge()
