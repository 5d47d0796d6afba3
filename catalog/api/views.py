"""How client systems bring their stock in and keep it true."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from accounts.api.permissions import HasScope
from accounts.api.throttles import CALLER_THROTTLES
from accounts.models import ApiKey
from catalog.api.references import SOURCE_HELP, default_source, referenced_listing
from catalog.api.serializers import (
    CarSerializer,
    CompletedSerializer,
    CompleteSetSerializer,
    ListingChangeSerializer,
    ListingInSerializer,
    ListingsEnvelopeSerializer,
    ListingsInSerializer,
    ReplacementSerializer,
    SourceQuestionSerializer,
    StockQuestionSerializer,
    StockSerializer,
    StoredSerializer,
    StoreQuestionSerializer,
)
from catalog.exceptions import CatalogRefusal, MassDisappearance, PriceRefused, StatusRefused
from catalog.imports.ingest import seller_key_of, store_rows
from catalog.models import Listing
from catalog.services import (
    change_price,
    complete_set,
    mark_sold,
    publish_listing,
    relist_listing,
    reserve_listing,
    withdraw_listing,
)
from web.errors import flattened
from web.strict import StrictView, checked

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

    is_revalidated = True
    permission_classes = [HasScope]
    required_scope = ApiKey.Scope.INGEST
    throttle_classes = CALLER_THROTTLES
    carried_in = ("listings",)
    parameters = {"get": [StockQuestionSerializer], "post": [StoreQuestionSerializer]}

    @extend_schema(
        tags=STOCK,
        summary="List the stock of a source",
        operation_id="list_listings",
        description="Of every status, drafts included, in the order in which they came in.",
        parameters=parameters["get"],
        responses=StockSerializer,
    )
    def get(self, request: Request) -> Response:
        asked = checked(StockQuestionSerializer, request.query_params.dict())
        listings = Listing.objects.filter(source=asked.get("source", default_source(request)))
        if "status" in asked:
            listings = listings.filter(status=asked["status"])
        after = listings.filter(pk__gt=asked.get("cursor", 0)).with_card_data().order_by("pk")
        page = list(after[: asked["page_size"] + 1])
        shown, url = page[: asked["page_size"]], request.build_absolute_uri()
        following = replace_query_param(url, "cursor", shown[-1].pk) if len(page) > len(shown) else None
        return Response(StockSerializer({"listings": shown, "next": following}).data)

    @extend_schema(
        tags=STOCK,
        summary="Create or update listings",
        operation_id="store_listings",
        parameters=parameters["post"],
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
                    "listings": [
                        {"external_id": "A-1017", "source": "garage", "id": 4711, "result": "created", "notes": {}}
                    ],
                    "refused": [],
                },
                response_only=True,
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        if _is_partial(request):
            return self._store_those_that_are_right(request)
        source, listings = self._checked(request)
        return store(source, listings)

    def _checked(self, request: Request) -> tuple[str, list[dict[str, Any]]]:
        asked = checked(ListingsInSerializer, _as_object(request.data))
        return asked.get("source", default_source(request)), asked["listings"]

    def _store_those_that_are_right(self, request: Request) -> Response:
        body = _as_object(request.data)
        asked = checked(ListingsEnvelopeSerializer, body)
        right, refused = checked_one_by_one(asked["listings"])
        return store(asked.get("source", default_source(request)), right, refused)

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
            known = Listing.objects.ids_by_reference({(source, listing["external_id"]) for listing in listings})
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
            return store(source, listings)


def _is_partial(request: Request) -> bool:
    return bool(checked(StoreQuestionSerializer, request.query_params)["partial"])


def _as_object(body: Any) -> Any:
    return {"listings": body} if isinstance(body, list) else body


def checked_one_by_one(listings: list[Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The listings that can be stored, and what is wrong with each of the others."""
    right: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    seen: set[str] = set()
    context: dict[str, Any] = {}  # of the whole request
    for index, listing in enumerate(listings):
        question = ListingInSerializer(data=listing, context=context)
        if problems := _problems_of(question, seen):
            key = listing.get("external_id") if isinstance(listing, dict) else None
            refused.append({"index": index, "external_id": key if isinstance(key, str) else "", "fields": problems})
        else:
            seen.add(question.validated_data["external_id"])
            right.append(question.validated_data)
    return right, refused


def _problems_of(question: ListingInSerializer, seen: Collection[str]) -> dict[str, list[str]]:
    if question.is_valid():
        is_repeated = question.validated_data["external_id"] in seen
        return {"external_id": [_("occurs twice in this request")]} if is_repeated else {}
    problems: dict[str, list[str]] = {}
    for path, reason in flattened(question.errors):
        problems.setdefault(path, []).append(reason)
    return problems


def store(source: str, listings: list[dict[str, Any]], refused: Sequence[dict[str, Any]] = ()) -> Response:
    """Store checked listings, and say what became of each."""
    rows = [ListingInSerializer.row_of(listing) for listing in listings]
    cleared = {listing["external_id"]: listing["cleared"] for listing in listings if listing["cleared"]}
    stored = store_rows(source=source, rows=rows, cleared=cleared)
    answer = {
        "created": stored.n_created,
        "updated": stored.n_updated,
        "unchanged": stored.n_unchanged,
        "listings": [
            {
                "external_id": listing["external_id"],
                "source": source,
                "id": stored.listing_id_by_external_id[listing["external_id"]],
                "result": stored.result_of(listing["external_id"]),
                "notes": listing["notes"],
            }
            for listing in listings
        ],
        "refused": refused,
    }
    return Response(StoredSerializer(answer).data)


class CompleteSetView(StrictView):
    """These are all my cars: what a source, or one of its sellers, does not name leaves the market."""

    permission_classes = [HasScope]
    required_scope = ApiKey.Scope.INGEST
    throttle_classes = CALLER_THROTTLES
    carried_in = ("external_ids",)

    @extend_schema(
        tags=STOCK,
        summary="Complete the stock of a source or seller",
        operation_id="complete_listings",
        description="Listings that are for sale and not named are withdrawn, until they are brought in again; those "
        "that are named stay as they are, and expire so many days after they were named last. "
        "Where more than a fifth of them (and more than five) would go, nothing changes unless `confirm` is true.",
        request=CompleteSetSerializer,
        responses={
            200: CompletedSerializer,
            409: OpenApiResponse(description="Much of the set would leave the market, and that is not confirmed."),
        },
        examples=[
            OpenApiExample("All of a garage", value={"source": "garage", "external_ids": ["A-1017"]}, request_only=True)
        ],
    )
    def post(self, request: Request) -> Response:
        asked = checked(CompleteSetSerializer, request.data)
        source = asked.get("source", default_source(request))
        try:
            completed = complete_set(
                source=source,
                external_ids=asked["external_ids"],
                seller_key=seller_key_of(source, asked["seller_id"]) if "seller_id" in asked else "",
                is_confirmed=asked["confirm"],
            )
        except MassDisappearance as refusal:
            raise Conflict(str(refusal)) from None
        answer = {"kept": completed.n_kept, "withdrawn": completed.n_withdrawn, "unknown": completed.unknown}
        return Response(CompletedSerializer(answer).data)


class ListingView(StrictView):
    """Look at a listing, mark it as sold, reserve it, withdraw it, put it back on sale, or change its price."""

    is_revalidated = True
    permission_classes = [HasScope]
    required_scope = ApiKey.Scope.INGEST
    throttle_classes = CALLER_THROTTLES
    without_body = ("delete",)

    @extend_schema(
        tags=STOCK,
        summary="Read one listing",
        operation_id="get_listing",
        description="Of every status, drafts included; it is no event of a buyer.",
        parameters=[OpenApiParameter("listing_id", OpenApiTypes.INT64, OpenApiParameter.PATH)],
        responses=CarSerializer,
    )
    def get(self, request: Request, listing_id: str) -> Response:
        return Response(CarSerializer(self.listing(request, listing_id)).data)

    @extend_schema(
        tags=STOCK,
        summary="Withdraw one listing",
        operation_id="withdraw_listing",
        description="It leaves the market, and its history stays. Of one that has ended nothing changes.",
        parameters=[OpenApiParameter("listing_id", OpenApiTypes.INT64, OpenApiParameter.PATH)],
        responses={204: None},
    )
    def delete(self, request: Request, listing_id: str) -> Response:
        with suppress(StatusRefused):
            withdraw_listing(listing=self.listing(request, listing_id))
        return Response(status=204)

    def listing(self, request: Request, listing_id: str) -> Listing:
        return referenced_listing(request, Listing.objects.cars().with_card_data(), listing_id)

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
        asked = checked(ListingChangeSerializer, request.data)
        listing = self.listing(request, listing_id)
        change_listing(listing, asked)
        return Response(CarSerializer(listing).data)


BY_EXTERNAL_ID = [
    OpenApiParameter("external_id", str, OpenApiParameter.PATH, description="Your id of the listing."),
    OpenApiParameter("source", str, description=SOURCE_HELP),
]


class ListingByExternalIdView(ListingView):
    """The same by the id of its source."""

    parameters = dict.fromkeys(("get", "put", "patch", "delete"), BY_EXTERNAL_ID)

    @extend_schema(
        tags=STOCK,
        summary="Read one listing, by your id",
        operation_id="get_listing_by_external_id",
        parameters=BY_EXTERNAL_ID,
        responses=CarSerializer,
    )
    def get(self, request: Request, external_id: str) -> Response:
        return super().get(request, external_id)

    @extend_schema(
        tags=STOCK,
        summary="Withdraw one listing, by your id",
        operation_id="withdraw_listing_by_external_id",
        parameters=BY_EXTERNAL_ID,
        responses={204: None},
    )
    def delete(self, request: Request, external_id: str) -> Response:
        return super().delete(request, external_id)

    @extend_schema(
        tags=STOCK,
        summary="Change one listing, by your id",
        operation_id="change_listing_by_external_id",
        parameters=BY_EXTERNAL_ID,
        request=ListingChangeSerializer,
        responses={
            200: CarSerializer,
            409: OpenApiResponse(description="Its present status, or what it lacks, does not allow this."),
        },
        examples=[OpenApiExample("Sold", value={"status": "sold"}, request_only=True)],
    )
    def patch(self, request: Request, external_id: str) -> Response:
        return super().patch(request, external_id)

    @extend_schema(
        tags=STOCK,
        summary="Create or replace one listing, by your id",
        operation_id="replace_listing_by_external_id",
        description="What is left out is cleared, but for the price, the currency, the status and the seller, which "
        "stay. The `external_id` of the path is the one that counts.",
        parameters=BY_EXTERNAL_ID,
        request=ReplacementSerializer,
        responses=StoredSerializer,
    )
    def put(self, request: Request, external_id: str) -> Response:
        question = ReplacementSerializer(data=request.data, context={"external_id": external_id})
        question.is_valid(raise_exception=True)
        asked = checked(SourceQuestionSerializer, request.query_params)
        return store(asked.get("source", default_source(request)), [question.validated_data])

    def listing(self, request: Request, listing_id: str) -> Listing:
        named = {"external_id": listing_id}
        if "source" in request.query_params:
            named["source"] = request.query_params["source"]
        return referenced_listing(request, Listing.objects.cars().with_card_data(), named=named)


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
