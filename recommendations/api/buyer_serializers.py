"""The shapes of a client system's customers."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from accounts.api.authentication import VISITOR_KEY
from accounts.api.serializers import TrueOrFalseField
from catalog.api.fields import AnyField, FiniteFloatField, QuestionSerializer
from catalog.api.references import SOURCE_HELP, SourceField
from catalog.api.serializers import CarCardSerializer
from recommendations.api.questionnaire_serializers import QuestionnaireSerializer
from web.strict import KnownFieldsSerializer

SELLERS_AT_MOST = 100


class BuyerIdField(serializers.CharField):
    """The id that a client system knows a buyer by: opaque, so that " 7" is not "7"."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 255, "trim_whitespace": False, **kwargs})


class LocationSerializer(KnownFieldsSerializer):
    """A location in degrees (WGS 84)."""

    latitude = FiniteFloatField(min_value=-90, max_value=90)
    longitude = FiniteFloatField(min_value=-180, max_value=180)


class SellerReferenceSerializer(QuestionSerializer):
    """A seller by the id that a source knows them by."""

    seller_id = serializers.CharField(
        max_length=160, trim_whitespace=False, help_text="As in the `seller_id` of listings."
    )
    source = SourceField(help_text=SOURCE_HELP)  # type: ignore[assignment]


class SellerAnswerSerializer(serializers.Serializer[Any]):
    seller_id = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]


class SellersSerializer(serializers.Serializer[Any]):
    sellers = SellerAnswerSerializer(many=True)


class BuyerChangeSerializer(KnownFieldsSerializer):
    """What a client system says of a buyer."""

    location = LocationSerializer(required=False, allow_null=True, help_text="Where the buyer is; null: not known.")
    country = serializers.RegexField(
        r"\A[A-Za-z]{2}\Z", required=False, allow_blank=True, help_text="Home country, two letters as in ISO 3166."
    )
    locale = serializers.RegexField(
        r"\A[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}\Z", required=False, allow_blank=True, max_length=20,
        help_text="Language and region, as `en-GB`.",
    )  # fmt: skip
    own_sellers = SellerReferenceSerializer(
        many=True, required=False, max_length=SELLERS_AT_MOST, help_text="Sellers that the buyer is: no list shows "
        "the buyer a car of theirs.",
    )  # type: ignore[call-arg]  # fmt: skip
    is_personalised = TrueOrFalseField(
        required=False, help_text="False: the lists of a new visitor. Left out: as it is, with PUT too."
    )

    def validate_country(self, country: str) -> str:
        return country.upper()


class WishSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="`make`, `body`, `price`, `age`, …")
    wanted = serializers.CharField(help_text="In words; empty where nothing stands out.")
    unwanted = serializers.CharField(help_text="In words; empty where nothing stands out.")
    strength = serializers.FloatField(help_text="The largest utility at stake, from 0; higher decides more.")


class BuyerProfileSerializer(serializers.Serializer[Any]):
    """What was learned of a buyer, in words."""

    version = serializers.IntegerField(help_text="Of the ranker.")
    computed_at = serializers.DateTimeField()
    n_events = serializers.IntegerField(help_text="Events that it rests on.")
    confidence = serializers.FloatField(
        help_text="0 to 1: the share of the spread among all buyers that this buyer's events have removed."
    )
    wishes = WishSerializer(many=True, help_text="The strongest first.")


class BuyerSerializer(serializers.Serializer[Any]):
    external_id = serializers.CharField(help_text="Of the buyer that the id stands for, after a merge too.")
    location = LocationSerializer(allow_null=True)
    country = serializers.CharField(help_text="Empty where it is not known.")
    locale = serializers.CharField(help_text="Empty where it is not known.")
    own_sellers = SellerAnswerSerializer(many=True)
    is_personalised = serializers.BooleanField()
    merged_external_ids = serializers.ListField(
        child=serializers.CharField(), help_text="Other ids of your system that stand for this buyer."
    )
    n_events = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    answers = QuestionnaireSerializer(help_text="What the buyer answered to the questionnaire.")
    profile = BuyerProfileSerializer(
        allow_null=True, help_text="Null for a buyer with no history, or one who opted out, and before a training."
    )


class MergeSerializer(KnownFieldsSerializer):
    """Who turned out to be the same person: one of the two."""

    visitor_key = serializers.RegexField(
        rf"\A{VISITOR_KEY.pattern}\Z", required=False, help_text="Of a guest; the key is spent by this."
    )
    external_id = BuyerIdField(required=False, help_text="Another id of your system.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError(
                {"external_id": _("Name a visitor_key or an external_id, one of the two.")}
            )
        return attrs


class HiddenCarSerializer(serializers.Serializer[Any]):
    hidden_at = serializers.DateTimeField()
    kind = serializers.CharField(help_text="Of the event that hid it.")

    def get_fields(self) -> dict[str, AnyField]:
        card = CarCardSerializer().get_fields()
        for name, field in card.items():
            field.source = f"listing.{field.source or name}"
        return {**card, **super().get_fields()}


class HiddenCarsSerializer(serializers.Serializer[Any]):
    cars = HiddenCarSerializer(many=True, help_text="The newest first, at most 1,000.")
