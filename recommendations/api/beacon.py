"""Events of a guest as a browser sends them while its page is left: ``navigator.sendBeacon`` sets no header, is not
asked about by a preflight, and reads no answer. So the key is in the body, and the page's origin is checked here."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import VISITOR_KEY, VisitorKey
from recommendations.api.event_serializers import EventSerializer, RecordedSerializer
from recommendations.api.events import EVENTS, EventsView
from web.origin import is_from_another_site
from web.parsers import JSONParser, PlainTextJSONParser
from web.strict import checked, field_names, unknown_names


class GuestSerializer(serializers.Serializer[Any]):
    partial = serializers.BooleanField(  # type: ignore[assignment]
        default=True, help_text="Record the events that are right, though others are not."
    )
    visitor_key = serializers.RegexField(
        rf"^{VISITOR_KEY.pattern}$", help_text="As the header `X-Visitor-Key` has it elsewhere."
    )


class BeaconSerializer(GuestSerializer):
    """What a guest did, and who they are."""

    events = EventSerializer(many=True)


class BeaconView(EventsView):
    """What a guest did, from `navigator.sendBeacon`."""

    authentication_classes = []
    permission_classes = [AllowAny]  # the body says who it is
    parser_classes = [JSONParser, PlainTextJSONParser]
    parameters = {}

    @extend_schema(
        tags=EVENTS,
        summary="Record a guest's events from a page that is closed",
        operation_id="record_events_of_page",
        description=(
            "For `navigator.sendBeacon`, which sets no header: the key of the guest is in the body, and the body may "
            "be called `text/plain`. Unlike `POST /events` it records the events that are right though others are "
            "not. A page of an origin that CORS_ALLOWED_ORIGINS does not name is refused."
        ),
        auth=[],
        request={"application/json": BeaconSerializer},
        responses={201: RecordedSerializer, 200: RecordedSerializer},
        examples=[
            OpenApiExample(
                "A look at a car of a list",
                value={
                    "visitor_key": "dGhlLWJyb3dzZXItb2YtZ3Vz",
                    "events": [
                        {
                            "kind": "view",
                            "event_id": "6f1f0b0e-view",
                            "external_id": "A-1017",
                            "list_id": "5f0c9a1e-0000-4000-8000-000000000000",
                            "position": 3,
                        }
                    ],
                },
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        refuse_pages_of_other_sites(request)
        body = request.data if isinstance(request.data, dict) else {}
        if unknown := unknown_names(body, field_names(BeaconSerializer)):
            raise ValidationError(unknown)
        asked = checked(GuestSerializer, body)
        request.auth = VisitorKey(asked["visitor_key"])
        # From here on it is the question that `POST /events` answers, of a guest whom a header names there.
        request._full_data = {"events": body.get("events"), "partial": asked["partial"]}  # type: ignore[attr-defined]
        return super().post(request)


def refuse_pages_of_other_sites(request: Request) -> None:
    """Where a preflight would have asked. Raises PermissionDenied."""
    is_allowed = settings.CORS_ALLOW_ALL_ORIGINS or request.headers.get("Origin") in settings.CORS_ALLOWED_ORIGINS
    if is_from_another_site(request._request) and not is_allowed:
        raise PermissionDenied
