"""How client systems bring their stock in and keep it true."""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.permissions import HasScope
from accounts.api.throttles import CALLER_THROTTLES
from accounts.models import ApiKey
from catalog.api.references import default_source, listing_ids_of, referenced_listing
from catalog.api.serializers import (
    CarSerializer,
    ListingChangeSerializer,
    ListingInSerializer,
    ListingsInSerializer,
    StoredSerializer,
)
from catalog.exceptions import CatalogRefusal, PriceRefused
from catalog.imports.ingest import store_rows
from catalog.models import Listing
from catalog.services import (
    change_price,
    mark_sold,
    publish_listing,
    relist_listing,
    reserve_listing,
    withdraw_listing,
)
from web.strict import StrictView

STOCK = ["Stock"]
Status = Listing.Status
EXAMPLE = {
    "source": "garage",
    "listings": [
        {
            "external_id": "A-1017",
            "brand": "Skoda",
            "model": "Octavia",
            "title": "Skoda Octavia Combi 1.4 TSI",
            "year": 2019,
            "price": "12500.00",
            "mileage_km": 61200,
            "fuel": "petrol",
            "body": "estate",
            "seller_name": "Aire Valley Cars",
            "seller_type": "dealer",
            "url": "https://garage.example/cars/A-1017",
        }
    ],
}


class UnknownListings(ValidationError):
    """A change of listings that do not exist; ``fields`` names them."""

    status_code = 404
    default_code = "not_found"


class Conflict(APIException):
    """Well asked, but not of this listing as it is now."""

    status_code = 409
    default_code = "conflict"


class ListingsView(StrictView):
    """Add and update listings by your own ids, up to 1,000 at once; all of them are stored or, when one is wrong, none.

    Sending a listing again changes nothing; sending it with other values updates what it says and leaves the rest. It
    can be searched for at once, and recommended within a second.
    """

    permission_classes = [HasScope]
    required_scope = ApiKey.Scope.INGEST
    throttle_classes = CALLER_THROTTLES
    carried_in = ("listings",)

    @extend_schema(
        tags=STOCK,
        summary="Bring listings in",
        operation_id="store_listings",
        request=ListingsInSerializer,
        responses=StoredSerializer,
        examples=[
            OpenApiExample("One listing", value=EXAMPLE, request_only=True),
            OpenApiExample(
                "Stored",
                value={
                    "created": 1,
                    "updated": 0,
                    "unchanged": 0,
                    "listings": [{"external_id": "A-1017", "source": "garage", "id": 4711}],
                },
                response_only=True,
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        source, listings = self._checked(request)
        return self._store(source, listings)

    def _checked(self, request: Request) -> tuple[str, list[dict[str, Any]]]:
        body = {"listings": request.data} if isinstance(request.data, list) else request.data
        question = ListingsInSerializer(data=body)
        question.is_valid(raise_exception=True)
        return question.validated_data.get("source", default_source(request)), question.validated_data["listings"]

    def _store(self, source: str, listings: list[dict[str, Any]]) -> Response:
        rows = [ListingInSerializer.row_of(listing) for listing in listings]
        stored = store_rows(source=source, rows=rows)
        answer = {
            "created": stored.n_created,
            "updated": stored.n_updated,
            "unchanged": stored.n_unchanged,
            "listings": [
                {
                    "external_id": row.external_id,
                    "source": source,
                    "id": stored.listing_id_by_external_id[str(row.external_id)],
                }
                for row in rows
            ],
        }
        return Response(StoredSerializer(answer).data)

    @extend_schema(
        tags=STOCK,
        summary="Update listings",
        operation_id="update_listings",
        description="As POST, but of listings that exist: an id that is not known is a 404, and nothing is changed.",
        request=ListingsInSerializer,
        responses={200: StoredSerializer, 404: OpenApiResponse(description="A listing does not exist.")},
        examples=[
            OpenApiExample(
                "A price drop",
                value={"source": "garage", "listings": [{"external_id": "A-1017", "price": "11900.00"}]},
                request_only=True,
            )
        ],
    )
    def patch(self, request: Request) -> Response:
        source, listings = self._checked(request)
        with transaction.atomic():
            known = listing_ids_of({(source, listing["external_id"]) for listing in listings})
            unknown = {
                f"listings[{index}].external_id": [
                    _("there is no listing “%(external_id)s” of “%(source)s”")
                    % {"external_id": listing["external_id"], "source": source}
                ]
                for index, listing in enumerate(listings)
                if (source, listing["external_id"]) not in known
            }
            if unknown:
                raise UnknownListings(unknown)
            return self._store(source, listings)


class ListingView(StrictView):
    """Mark a listing as sold, reserve it, withdraw it, put it back on sale, or change its price."""

    permission_classes = [HasScope]
    required_scope = ApiKey.Scope.INGEST
    throttle_classes = CALLER_THROTTLES

    @extend_schema(
        tags=STOCK,
        summary="Change one listing",
        operation_id="change_listing",
        parameters=[OpenApiParameter("listing_id", OpenApiTypes.INT64, OpenApiParameter.PATH)],
        request=ListingChangeSerializer,
        responses={
            200: CarSerializer,
            409: OpenApiResponse(description="Its present status, or what it lacks, does not allow this."),
        },
        examples=[
            OpenApiExample("Sold", value={"status": "sold"}, request_only=True),
            OpenApiExample("A price drop", value={"price": "11900.00"}, request_only=True),
        ],
    )
    def patch(self, request: Request, listing_id: str) -> Response:
        question = ListingChangeSerializer(data=request.data)
        question.is_valid(raise_exception=True)
        listing = referenced_listing(request, Listing.objects.cars().with_card_data(), listing_id)
        change_listing(listing, question.validated_data)
        return Response(CarSerializer(listing).data)


@transaction.atomic
def change_listing(listing: Listing, change: dict[str, Any]) -> None:
    """Both changes or none, by the services that also note them. A status it already has is no change."""
    try:
        if "price" in change:
            change_price(listing=listing, price=change["price"])
        if change.get("status", listing.status) != listing.status:
            step_to(change["status"], listing)(listing=listing)
    except PriceRefused as refusal:
        raise ValidationError({"price": [str(refusal)]}) from None
    except CatalogRefusal as refusal:
        raise Conflict(str(refusal)) from None


def step_to(status: str, listing: Listing) -> Callable[..., Listing]:
    """The service that brings a listing to a status. Back to a draft leads nothing."""
    steps: dict[str, Callable[..., Listing]] = {
        Status.LIVE: publish_listing if listing.status == Status.DRAFT else relist_listing,
        Status.RESERVED: reserve_listing,
        Status.SOLD: mark_sold,
        Status.WITHDRAWN: withdraw_listing,
    }
    if status not in steps:
        raise Conflict(_("What was published once cannot become a draft again; withdraw it."))
    return steps[status]
