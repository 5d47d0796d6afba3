"""Reverse match: the buyers who would want a car, for client systems whose key may read personal data."""

from typing import Any

from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.permissions import HasScope
from accounts.api.throttles import CALLER_THROTTLES
from accounts.models import ApiKey
from catalog.api.fields import QuestionSerializer
from catalog.models import Listing
from recommendations.insight.reverse_match import BUYERS, Match, matching_buyers, without_exclusions
from web.strict import StrictView, checked

K_DEFAULT = 20
LISTING_ID = OpenApiParameter("listing_id", OpenApiTypes.INT, OpenApiParameter.PATH, description="Our id of the car.")


class BuyersQuestionSerializer(QuestionSerializer):
    k = serializers.IntegerField(min_value=1, max_value=BUYERS, default=K_DEFAULT, help_text="How many buyers at most.")


class MatchingBuyerSerializer(serializers.Serializer[Any]):
    buyer_id = serializers.IntegerField(help_text="Our id.")
    external_id = serializers.CharField(
        allow_null=True, help_text="Your id; null for accounts and guests of this site."
    )
    rank = serializers.IntegerField(help_text="About where the car stands among all cars for this buyer; 1 is the top.")
    share_better = serializers.FloatField(help_text="Share of the cars for sale that suit the buyer better, 0 to 1.")
    score = serializers.FloatField(help_text="Of the car for the buyer; higher is better.")
    last_event_at = serializers.DateTimeField()


class MatchingBuyersSerializer(serializers.Serializer[Any]):
    buyers = MatchingBuyerSerializer(many=True, help_text="Those who want the car most first.")


class ListingBuyersView(StrictView):
    permission_classes = [HasScope]
    required_scope = ApiKey.Scope.BUYERS
    throttle_classes = CALLER_THROTTLES
    parameters = {"get": [LISTING_ID, BuyersQuestionSerializer]}

    @extend_schema(
        tags=["Stock"],
        summary="Find buyers for a car",
        operation_id="list_buyers_of_listing",
        description=(
            f"Of the {BUYERS} buyers who were active last, by their preferences. Left out are buyers who opted out of "
            "personal lists, who hid the car, whose own it is, or who blocked its seller. Needs the scope `buyers`, "
            "which no other scope but `admin` includes: the answer is personal data. Empty before the first training, "
            "and for a car that is not for sale."
        ),
        parameters=parameters["get"],
        responses={200: MatchingBuyersSerializer, 404: OpenApiResponse(description="There is no such listing.")},
    )
    def get(self, request: Request, listing_id: str) -> Response:
        asked = checked(BuyersQuestionSerializer, request.query_params)
        listing = Listing.objects.cars().with_card_data().filter(pk=int(listing_id)).first()
        if listing is None or listing.status == Listing.Status.DRAFT:
            raise Http404(_("There is no such listing."))
        matched = matching_buyers(listing) if listing.is_available else None
        found = without_exclusions(listing, matched.matches if matched else ())[: asked["k"]]
        return Response(MatchingBuyersSerializer({"buyers": [as_shown(match) for match in found]}).data)


def as_shown(match: Match) -> dict[str, Any]:
    return {
        "buyer_id": match.buyer.pk,
        "external_id": match.buyer.external_id,
        "rank": match.rank,
        "share_better": match.share_better,
        "score": match.score,
        "last_event_at": match.last_event_at,
    }
