"""Saved searches and the alerts that come of them, of the caller or of the buyer that a client system names."""

from typing import Any
from zoneinfo import available_timezones

from django.db import transaction
from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.identity import BUYER, known_named_buyer_of, named_buyer_of
from accounts.api.permissions import IsUserOrHasScope
from accounts.api.throttles import CALLER_THROTTLES
from accounts.models import ApiKey, Buyer
from catalog.api.fields import FiltersSerializer
from catalog.filters import ListingFilters
from recommendations.alerts.subscriptions import TooManySearches, save_alert_settings, save_search
from recommendations.models import AlertSettings, SavedSearch
from web.strict import KnownFieldsSerializer, StrictView, checked

ALERTS = ["Alerts"]
SEARCH_ID = OpenApiParameter("search_id", OpenApiTypes.INT, OpenApiParameter.PATH, description="Of the saved search.")
SEARCH_EXAMPLE = {"name": "Estate for the dog", "query": {"body": ["estate"], "max_price": 15000, "min_year": 2018}}


class SavedSearchInSerializer(KnownFieldsSerializer):
    """A search to save."""

    name = serializers.CharField(max_length=120, default="", allow_blank=True, help_text="As the buyer calls it.")
    query = FiltersSerializer(help_text="What is asked for, in the parameters of our own search.")
    alerts = serializers.BooleanField(default=True, help_text="New and cheaper cars that match reach the buyer.")

    def validate_query(self, query: dict[str, Any]) -> ListingFilters:
        filters = FiltersSerializer.filters_of(query)
        if not filters:
            raise serializers.ValidationError(_("This search asks for nothing."))
        return filters


class SavedSearchChangeSerializer(SavedSearchInSerializer):
    """What is left out stays as it is."""

    name = serializers.CharField(max_length=120, required=False, allow_blank=True)
    query = FiltersSerializer(required=False)
    alerts = serializers.BooleanField(required=False)


class SavedSearchSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    query = serializers.DictField(help_text="As events of searches have it.")
    alerts = serializers.BooleanField(source="is_alerting")
    created_at = serializers.DateTimeField()


class SavedSearchesSerializer(serializers.Serializer[Any]):
    searches = SavedSearchSerializer(many=True, help_text="The newest first.")


class AlertSettingsSerializer(KnownFieldsSerializer):
    """Fields that are left out stay as they are; null, or an empty time zone, stands for the setting of the site."""

    is_enabled = serializers.BooleanField(required=False, help_text="False: no alerts for any saved search.")
    frequency = serializers.ChoiceField(
        AlertSettings.Frequency.choices, required=False,
        help_text="`instant`: as cars come. `daily`: once a day, in one message.",
    )  # fmt: skip
    per_day = serializers.IntegerField(
        min_value=1, max_value=100, required=False, allow_null=True, help_text="The most messages within 24 hours."
    )
    time_zone = serializers.CharField(
        max_length=40,
        required=False,
        allow_blank=True,
        help_text="Time zone of the quiet hours, such as `Europe/London`.",
    )
    quiet_from = serializers.IntegerField(
        min_value=0, max_value=23, required=False, allow_null=True, help_text="The hour at which quiet hours begin."
    )
    quiet_until = serializers.IntegerField(
        min_value=0, max_value=23, required=False, allow_null=True,
        help_text="The hour at which they end; the same as `quiet_from` for none.",
    )  # fmt: skip

    def validate_time_zone(self, zone: str) -> str:
        if zone and zone not in available_timezones():
            raise serializers.ValidationError(_("is no time zone, as Europe/London is one"))
        return zone

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        ends = [name for name in ("quiet_from", "quiet_until") if name in attrs]
        if len(ends) == 1 or (ends and (attrs["quiet_from"] is None) != (attrs["quiet_until"] is None)):
            raise serializers.ValidationError({"quiet_from": _("quiet_from and quiet_until go together")})
        return attrs


class AlertRoute(StrictView):
    """A user's own, or those of the buyer that a client system names; a visitor key is no account."""

    permission_classes = [IsUserOrHasScope]
    required_scope = ApiKey.Scope.INGEST
    throttle_classes = CALLER_THROTTLES
    without_body = ("delete",)

    def known_buyer(self, request: Request) -> Buyer | None:
        """The buyer of a request that only reads; None where no row of them exists."""
        return known_named_buyer_of(request)

    def buyer(self, request: Request) -> Buyer:
        """The buyer of a request that writes; created if new."""
        return named_buyer_of(request)


class SavedSearchesView(AlertRoute):
    parameters = {"get": [BUYER], "post": [BUYER]}

    @extend_schema(
        tags=ALERTS,
        summary="List saved searches",
        operation_id="list_saved_searches",
        parameters=parameters["get"],
        responses=SavedSearchesSerializer,
    )
    def get(self, request: Request, **named: str) -> Response:
        searches = SavedSearch.objects.filter(buyer=self.known_buyer(request)).order_by("-created_at", "-pk")
        return Response(SavedSearchesSerializer({"searches": searches}).data)

    @extend_schema(
        tags=ALERTS,
        summary="Save a search",
        operation_id="save_search",
        description=(
            "In the parameters of our own search, checked as there. Lists look for such cars too, and new and cheaper "
            "cars that match reach the buyer. The same query again changes the name and the alerts of what is saved."
        ),
        parameters=parameters["post"],
        request=SavedSearchInSerializer,
        responses={
            201: SavedSearchSerializer,
            200: OpenApiResponse(SavedSearchSerializer, description="Saved before."),
        },
        examples=[OpenApiExample("An estate", value=SEARCH_EXAMPLE, request_only=True)],
    )
    def post(self, request: Request, **named: str) -> Response:
        asked = checked(SavedSearchInSerializer, request.data)
        try:
            with transaction.atomic():
                search, is_new = save_search(
                    buyer=self.buyer(request),
                    filters=asked["query"],
                    name=asked["name"],
                    is_alerting=asked["alerts"],
                )
        except TooManySearches as refusal:
            raise ValidationError({"query": [str(refusal)]}) from None
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(SavedSearchSerializer(search).data, status=code)


class SavedSearchView(AlertRoute):
    parameters = {"get": [BUYER, SEARCH_ID], "patch": [BUYER, SEARCH_ID], "delete": [BUYER, SEARCH_ID]}

    @extend_schema(
        tags=ALERTS,
        summary="Read a saved search",
        operation_id="get_saved_search",
        parameters=parameters["get"],
        responses=SavedSearchSerializer,
    )
    def get(self, request: Request, search_id: str, **named: str) -> Response:
        return Response(SavedSearchSerializer(self._found(request, search_id)).data)

    @extend_schema(
        tags=ALERTS,
        summary="Change a saved search",
        operation_id="change_saved_search",
        parameters=parameters["patch"],
        request=SavedSearchChangeSerializer,
        responses=SavedSearchSerializer,
        examples=[OpenApiExample("No alerts of it", value={"alerts": False}, request_only=True)],
    )
    def patch(self, request: Request, search_id: str, **named: str) -> Response:
        asked = checked(SavedSearchChangeSerializer, request.data)
        search = self._found(request, search_id)
        search.name = asked.get("name") or search.name
        search.query = asked["query"].as_query() if "query" in asked else search.query
        search.is_alerting = asked.get("alerts", search.is_alerting)
        search.save(update_fields=["name", "query", "is_alerting"])
        return Response(SavedSearchSerializer(search).data)

    @extend_schema(
        tags=ALERTS,
        summary="Remove a saved search",
        operation_id="remove_saved_search",
        parameters=parameters["delete"],
        responses={204: None},
    )
    def delete(self, request: Request, search_id: str, **named: str) -> Response:
        self._found(request, search_id).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _found(self, request: Request, search_id: str) -> SavedSearch:
        """The buyer's own row. Raises Http404 for another buyer's as for a missing one, so that neither is revealed."""
        search = SavedSearch.objects.filter(pk=int(search_id), buyer=self.known_buyer(request)).first()
        if search is None:
            raise Http404(_("There is no such saved search."))
        return search


class AlertSettingsView(AlertRoute):
    parameters = {"get": [BUYER], "patch": [BUYER]}

    @extend_schema(
        tags=ALERTS,
        summary="Read alert settings",
        operation_id="get_alert_settings",
        parameters=parameters["get"],
        responses=AlertSettingsSerializer,
    )
    def get(self, request: Request, **named: str) -> Response:
        buyer = self.known_buyer(request)
        return Response(AlertSettingsSerializer(settings_of(buyer)).data)

    @extend_schema(
        tags=ALERTS,
        summary="Change alert settings",
        operation_id="change_alert_settings",
        parameters=parameters["patch"],
        request=AlertSettingsSerializer,
        responses=AlertSettingsSerializer,
        examples=[
            OpenApiExample("Once a day", value={"frequency": "daily", "time_zone": "Europe/Berlin"}, request_only=True),
        ],
    )
    def patch(self, request: Request, **named: str) -> Response:
        changed = save_alert_settings(buyer=self.buyer(request), **checked(AlertSettingsSerializer, request.data))
        return Response(AlertSettingsSerializer(changed).data)


def settings_of(buyer: Buyer | None) -> AlertSettings:
    return AlertSettings.objects.filter(buyer=buyer).first() or AlertSettings()
