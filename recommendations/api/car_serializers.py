"""A car as the answers show it: beside what such a car costs, and beside the list it was opened from."""

from typing import Any

from rest_framework import serializers

from catalog.api.fields import AnyField, QuestionSerializer
from catalog.api.serializers import CarCardSerializer, CarSerializer


class MarketPriceSerializer(serializers.Serializer[Any]):
    """What such a car costs: the middle 80% of prices lie from `low` to `high`."""

    label = serializers.ChoiceField(  # type: ignore[assignment]
        ["good", "fair", "high"], help_text="`good` below the range, `high` above it, `fair` within."
    )
    low = serializers.FloatField()
    median = serializers.FloatField()
    high = serializers.FloatField()
    currency = serializers.CharField(help_text="The listing's own.")


class PricedCardSerializer(serializers.Serializer[Any]):
    """A car card with its market price."""

    market_price = MarketPriceSerializer(
        allow_null=True, help_text="Null where such cars' prices spread too widely to say, or the price is no price."
    )

    def get_fields(self) -> dict[str, AnyField]:
        card = self.card().get_fields()
        for name, field in card.items():
            field.source = f"listing.{field.source or name}"
        return {**card, **super().get_fields()}

    def card(self) -> serializers.Serializer[Any]:
        return CarCardSerializer()


class PricedCarSerializer(PricedCardSerializer):
    """Everything about one car, with its market price."""

    def card(self) -> serializers.Serializer[Any]:
        return CarSerializer()


class OriginSerializer(QuestionSerializer):
    """Which list a car was found in; shows the recommender which cars it was preferred to."""

    list_id = serializers.UUIDField(
        required=False,
        help_text="The `list_id` of the recommendations it came from. A list that is unknown, another buyer's, or "
        "without this car or position is left out.",
    )
    position = serializers.IntegerField(required=False, min_value=1, max_value=32_767, help_text="1 is the top.")
