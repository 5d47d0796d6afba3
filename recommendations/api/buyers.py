"""A marketplace's own customers, by the ids it knows them by.

Reading makes no buyer: of an id that is not known every route answers 404, but for those that add something.
"""

from contextlib import suppress
from typing import Any

from django.db import transaction
from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.permissions import HasScope
from accounts.api.throttles import CALLER_THROTTLES
from accounts.exceptions import EraseRefused, MergeRefused
from accounts.models import ApiKey, Buyer
from accounts.services import buyer_for_external_id, erase_person, export_person, known_buyer, merge_buyer
from catalog.api.references import ListingReferenceSerializer, default_source, referenced_listing
from catalog.models import Listing
from recommendations.api.buyer_serializers import (
    BuyerChangeSerializer,
    BuyerIdField,
    BuyerSerializer,
    HiddenCarsSerializer,
    MergeSerializer,
    SellerReferenceSerializer,
    SellersSerializer,
)
from recommendations.buyers.preferences import current_preference
from recommendations.buyers.profiles import profile_of
from recommendations.buyers.relations import (
    Relation,
    add_seller,
    hidden_listings,
    hide_listing,
    remove_seller,
    sellers_related_to,
    set_sellers,
    show_listing_again,
)
from recommendations.exceptions import RankerRefused
from recommendations.models import BuyerSeller, Interaction
from web.strict import StrictView, checked

BUYERS = ["Buyers"]
HIDDEN_AT_MOST = 1000
UNKNOWN = gettext_lazy("Nothing is known about this buyer.")
ASKED_FOR = "Asked for with the API key “{}”."  # in the audit log
PATH_ID = OpenApiParameter("external_id", str, OpenApiParameter.PATH, description="Your id of the buyer.")
CHANGE_EXAMPLE = {
    "location": {"latitude": 53.8, "longitude": -1.55},
    "country": "GB",
    "locale": "en-GB",
    "own_sellers": [{"seller_id": "77", "source": "garage"}],
    "is_personalised": True,
}
_external_id = BuyerIdField()


class Conflict(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


def checked_id(external_id: str) -> str:
    try:
        return str(_external_id.run_validation(external_id))
    except ValidationError as error:
        raise ValidationError({"external_id": error.detail}) from None


def known(external_id: str) -> Buyer:
    """The buyer with an external id. Raises Http404 for an unknown one."""
    buyer = known_buyer(external_id=checked_id(external_id))
    if buyer is None:
        raise Http404(UNKNOWN)
    return buyer


def made(external_id: str) -> Buyer:
    """The buyer with an external id; created if new."""
    return buyer_for_external_id(checked_id(external_id))


class BuyerRoute(StrictView):
    """For client systems; what a buyer does is written with the same scope."""

    permission_classes = [HasScope]
    required_scope = ApiKey.Scope.INGEST
    throttle_classes = CALLER_THROTTLES
    without_body = ("delete",)


class BuyerView(BuyerRoute):
    """One customer of the client system."""

    carried_in = ("own_sellers",)

    def get_permissions(self) -> list[BasePermission]:
        self.required_scope = ApiKey.Scope.ADMIN if self.request.method == "DELETE" else ApiKey.Scope.INGEST
        return [HasScope()]

    @extend_schema(
        tags=BUYERS,
        summary="Read a buyer",
        operation_id="get_buyer",
        description="With what was learned of them, in words and with its confidence.",
        parameters=[PATH_ID],
        responses=BuyerSerializer,
    )
    def get(self, request: Request, external_id: str) -> Response:
        return Response(BuyerSerializer(as_shown(known(external_id))).data)

    @extend_schema(
        tags=BUYERS,
        summary="Create or replace a buyer",
        operation_id="put_buyer",
        description="What is left out becomes unknown, except `is_personalised`; events and answers stay.",
        parameters=[PATH_ID],
        request=BuyerChangeSerializer,
        responses={200: BuyerSerializer, 201: OpenApiResponse(BuyerSerializer, description="The buyer is new.")},
        examples=[OpenApiExample("A dealer", value=CHANGE_EXAMPLE, request_only=True)],
    )
    def put(self, request: Request, external_id: str) -> Response:
        change = {"location": None, "country": "", "locale": "", "own_sellers": [], **self._checked(request)}
        is_new = known_buyer(external_id=checked_id(external_id)) is None
        with transaction.atomic():
            buyer = made(external_id)
            change_buyer(buyer, change, default_source(request))
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(BuyerSerializer(as_shown(buyer)).data, status=code)

    @extend_schema(
        tags=BUYERS,
        summary="Change a buyer",
        operation_id="change_buyer",
        description="What is left out stays as it is.",
        parameters=[PATH_ID],
        request=BuyerChangeSerializer,
        responses=BuyerSerializer,
        examples=[OpenApiExample("Opted out", value={"is_personalised": False}, request_only=True)],
    )
    def patch(self, request: Request, external_id: str) -> Response:
        change = self._checked(request)
        buyer = known(external_id)
        with transaction.atomic():
            change_buyer(buyer, change, default_source(request))
        return Response(BuyerSerializer(as_shown(buyer)).data)

    @extend_schema(
        tags=BUYERS,
        summary="Erase a buyer",
        operation_id="erase_buyer",
        description="Everything known about the buyer, at once and for good. Needs the scope `admin`.",
        parameters=[PATH_ID],
        responses={204: None, 409: OpenApiResponse(description="An operator, whose account others rely on.")},
    )
    def delete(self, request: Request, external_id: str) -> Response:
        try:
            erase_person(buyer=known(external_id), note=ASKED_FOR.format(request.auth))
        except EraseRefused as refusal:
            raise Conflict(str(refusal)) from None
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _checked(self, request: Request) -> dict[str, Any]:
        answers: dict[str, Any] = checked(BuyerChangeSerializer, request.data)
        return answers


def change_buyer(buyer: Buyer, change: dict[str, Any], source: str) -> None:
    """Set what ``change`` names, of checked values; call it in a transaction."""
    values: dict[str, Any] = {name: change[name] for name in ("country", "locale", "is_personalised") if name in change}
    if "location" in change:
        place = change["location"] or {}
        values |= {"latitude": place.get("latitude"), "longitude": place.get("longitude")}
    for name, value in values.items():
        setattr(buyer, name, value)
    buyer.save(update_fields=list(values))
    if "own_sellers" in change:
        sellers = [stored_seller(seller, source) for seller in change["own_sellers"]]
        set_sellers(buyer=buyer, relation=Relation.OWN, sellers=sellers)


def stored_seller(seller: dict[str, Any], source: str) -> str:
    """A seller as imports and ``POST /listings`` store them."""
    return f"{seller.get('source', source)}/{seller['seller_id']}"


def as_said(relation: BuyerSeller) -> dict[str, str]:
    source, _, seller_id = relation.seller_external_id.partition("/")
    return {"seller_id": seller_id, "source": source}


def sellers_of(buyer: Buyer, relation: str) -> list[dict[str, str]]:
    return [as_said(each) for each in sellers_related_to(buyer, relation)]


def as_shown(buyer: Buyer) -> dict[str, Any]:
    has_location = buyer.latitude is not None and buyer.longitude is not None
    merged = buyer.merged_from.filter(external_id__isnull=False).order_by("pk")
    return {
        "external_id": buyer.external_id,
        "location": {"latitude": buyer.latitude, "longitude": buyer.longitude} if has_location else None,
        "country": buyer.country,
        "locale": buyer.locale,
        "own_sellers": sellers_of(buyer, Relation.OWN),
        "is_personalised": buyer.is_personalised,
        "merged_external_ids": list(merged.values_list("external_id", flat=True)),
        "n_events": buyer.interactions.count(),
        "created_at": buyer.created_at,
        "answers": buyer.questionnaire,
        "profile": profile_shown(buyer),
    }


def profile_shown(buyer: Buyer) -> dict[str, Any] | None:
    """The buyer's profile, recomputed if the log is ahead; None without one, or where it may not be used."""
    preference = current_preference(buyer) if buyer.is_personalised else None
    if preference is None:
        return None
    with suppress(RankerRefused):
        profile = profile_of(preference)
        return {
            "version": preference.version_id,
            "computed_at": preference.computed_at,
            "n_events": preference.n_interactions,
            "confidence": profile.certainty,
            "wishes": profile.wishes,
        }
    return None


class BuyerExportView(BuyerRoute):
    """Everything known about a buyer, as one file."""

    required_scope = ApiKey.Scope.ADMIN

    @extend_schema(
        tags=BUYERS,
        summary="Export a buyer",
        operation_id="export_buyer",
        parameters=[PATH_ID],
        responses={(200, "application/json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, external_id: str) -> Response:
        exported = export_person(buyer=known(external_id))
        return Response(exported, headers={"Content-Disposition": 'attachment; filename="forecourt-export.json"'})


class BuyerMergeView(BuyerRoute):
    """Two that turned out to be one person: a guest who logged in on the client's site, or another id of theirs."""

    @extend_schema(
        tags=BUYERS,
        summary="Merge another into a buyer",
        operation_id="merge_into_buyer",
        description=(
            "Events, lists, sellers, hidden cars and answers become this buyer's, and the other id stands for this "
            "buyer from now on. A visitor key is spent: what it sends afterwards is another guest's. An opt-out of "
            "either holds for both. Safe to repeat. There is no way back."
        ),
        parameters=[PATH_ID],
        request=MergeSerializer,
        responses={
            200: BuyerSerializer,
            404: OpenApiResponse(description="Nothing is known about the other."),
            409: OpenApiResponse(description="It has an account, was merged into another buyer, or is this buyer."),
        },
        examples=[OpenApiExample("A guest", value={"visitor_key": "9f8b5c1e4711a0b2c3d4"}, request_only=True)],
    )
    def post(self, request: Request, external_id: str) -> Response:
        asked = checked(MergeSerializer, request.data)
        with transaction.atomic():
            into = made(external_id)
            try:
                into = merge_buyer(other=other_of(asked, into), into=into)
            except MergeRefused as refusal:
                raise Conflict(str(refusal)) from None
        return Response(BuyerSerializer(as_shown(into)).data)


def other_of(named: dict[str, str], into: Buyer) -> Buyer:
    """The buyer to merge: the one with this external id, else one that was merged into this buyer before.

    Raises Http404 for an unknown one.
    """
    rows = Buyer.objects.filter(**named)
    standing = rows.filter(merged_into=None, spent_at=None) if "visitor_key" in named else rows
    other = standing.first() or rows.filter(merged_into=into).first()
    if other is None:
        raise Http404(UNKNOWN)
    return other


class BlockedSellersView(BuyerRoute):
    """Sellers whose cars a buyer does not want to see."""

    parameters = {"delete": [PATH_ID, SellerReferenceSerializer]}

    @extend_schema(
        tags=BUYERS,
        summary="List blocked sellers",
        operation_id="list_blocked_sellers",
        parameters=[PATH_ID],
        responses=SellersSerializer,
    )
    def get(self, request: Request, external_id: str) -> Response:
        return self._answer(known(external_id))

    @extend_schema(
        tags=BUYERS,
        summary="Block a seller",
        operation_id="block_seller",
        description="From the next list on. Safe to repeat.",
        parameters=[PATH_ID],
        request=SellerReferenceSerializer,
        responses=SellersSerializer,
        examples=[OpenApiExample("A seller", value={"seller_id": "77", "source": "garage"}, request_only=True)],
    )
    def post(self, request: Request, external_id: str) -> Response:
        seller = self._seller(request, request.data)
        with transaction.atomic():
            buyer = made(external_id)
            add_seller(buyer=buyer, relation=Relation.BLOCKED, seller=seller)
        return self._answer(buyer)

    @extend_schema(
        tags=BUYERS,
        summary="Unblock a seller",
        operation_id="unblock_seller",
        parameters=parameters["delete"],
        responses={204: None, 404: OpenApiResponse(description="The seller is not blocked.")},
    )
    def delete(self, request: Request, external_id: str) -> Response:
        seller = self._seller(request, request.query_params)
        if not remove_seller(buyer=known(external_id), relation=Relation.BLOCKED, seller=seller):
            raise Http404(_("This seller is not blocked."))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _seller(self, request: Request, data: Any) -> str:
        return stored_seller(checked(SellerReferenceSerializer, data), default_source(request))

    def _answer(self, buyer: Buyer) -> Response:
        return Response(SellersSerializer({"sellers": sellers_of(buyer, Relation.BLOCKED)}).data)


class HiddenCarsView(BuyerRoute):
    """Cars that a buyer does not want to see again: those of events that dismiss, too."""

    parameters = {"delete": [PATH_ID, ListingReferenceSerializer]}

    @extend_schema(
        tags=BUYERS,
        summary="List hidden cars",
        operation_id="list_hidden_cars",
        parameters=[PATH_ID],
        responses=HiddenCarsSerializer,
    )
    def get(self, request: Request, external_id: str) -> Response:
        return self._answer(known(external_id))

    @extend_schema(
        tags=BUYERS,
        summary="Hide a car",
        operation_id="hide_car",
        description="As an event `hide` does, from the next list on, with all advertisements of the car.",
        parameters=[PATH_ID],
        request=ListingReferenceSerializer,
        responses=HiddenCarsSerializer,
        examples=[OpenApiExample("A car", value={"external_id": "A-1017", "source": "garage"}, request_only=True)],
    )
    def post(self, request: Request, external_id: str) -> Response:
        listing = referenced_listing(request, Listing.objects.cars(), named=request.data)
        with transaction.atomic():
            buyer = made(external_id)
            hide_listing(buyer=buyer, listing=listing)
        return self._answer(buyer)

    @extend_schema(
        tags=BUYERS,
        summary="Show a car again",
        operation_id="show_car_again",
        description="The events that hid it stay in the log, and hide it no more.",
        parameters=parameters["delete"],
        responses={204: None, 404: OpenApiResponse(description="The car is not hidden.")},
    )
    def delete(self, request: Request, external_id: str) -> Response:
        buyer = known(external_id)
        if not show_listing_again(buyer=buyer, listing=referenced_listing(request, Listing.objects.cars())):
            raise Http404(_("This car is not hidden."))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _answer(self, buyer: Buyer) -> Response:
        return Response(HiddenCarsSerializer({"cars": hidden_cars_of(buyer)}).data)


def hidden_cars_of(buyer: Buyer) -> list[dict[str, Any]]:
    """Each hidden listing once, the newest first, in two queries."""
    newest: dict[int | None, Interaction] = {}
    for event in hidden_listings(buyer)[: 2 * HIDDEN_AT_MOST]:
        newest.setdefault(event.listing_id, event)
    listings = Listing.objects.with_card_data().in_bulk([key for key in newest if key][:HIDDEN_AT_MOST])
    return [
        {"listing": listings[listing_id], "hidden_at": event.received_at, "kind": event.kind_id}
        for listing_id, event in newest.items()
        if listing_id is not None and listing_id in listings
    ]
