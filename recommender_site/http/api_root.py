"""Where the browsable API begins: every route that needs no id, by name."""

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.api.throttles import CALLER_THROTTLES
from web.strict import StrictView

ROUTES = {
    "me": "me",
    "privacy": "me-privacy",
    "preferences": "me-preferences",
    "search": "car-search",
    "recommendations": "car-recommendations",
    "events": "events",
    "listings": "listings",
    "token": "token",
    "docs": "docs",
}


class ApiRootView(StrictView):
    """The routes of the Forecourt API. Log in above, or send a token; /api/docs describes each."""

    permission_classes = [AllowAny]
    throttle_classes = CALLER_THROTTLES

    def get_view_name(self) -> str:
        return "Forecourt API"

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        return Response({label: reverse(name, request=request).rstrip("/") for label, name in ROUTES.items()})
