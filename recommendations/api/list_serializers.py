"""What recommended lists, similar cars and an order of named cars ask and answer."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import serializers

from catalog.api.fields import FiltersSerializer, OneOfField, QuestionSerializer, WordsField
from catalog.api.references import SOURCE_HELP, ExternalIdField, SourceField
from recommendations.api.car_serializers import PricedCardSerializer
from recommendations.models import Placement
from recommendations.serving.placements import HOME

NAMED_AT_MOST = 1_000  # cars, in one parameter or field
LISTS_AT_ONCE = 10


class LengthField(serializers.IntegerField):
    """How many cars a list should have."""

    def __init__(self, **kwargs: Any) -> None:
        limits = {"min_value": 1, "max_value": settings.RECOMMENDATIONS_MAX_K}
        super().__init__(**{**limits, "help_text": "How many cars.", **kwargs})


class ListingIdsField(WordsField):
    """Our ids of cars: ``?exclude=1&exclude=2``, ``?exclude=1,2``, or a list of numbers in JSON."""

    default_error_messages = {"not_ids": gettext_lazy("Ids of listings are expected: whole numbers from 1.")}
    item_schema = {"type": "integer", "minimum": 1}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 20, "at_most": NAMED_AT_MOST, **kwargs})

    def to_internal_value(self, data: Any) -> tuple[int, ...]:  # type: ignore[override]
        numbers = data if isinstance(data, list) else [data]
        texts = [str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in numbers]
        return tuple(map(int, super().to_internal_value(texts)))

    def read(self, word: str) -> str:
        if not (word.isascii() and word.isdecimal() and 1 <= int(word) <= 2**63 - 1):
            self.fail("not_ids")
        return word

    def to_representation(self, value: Iterable[int]) -> list[int]:  # type: ignore[override]
        return list(value)


class ExternalIdsField(WordsField):
    """Your ids of cars, each by itself, since an id may hold a comma: ``?exclude_external=A-1&exclude_external=B``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 255, "at_most": NAMED_AT_MOST, **kwargs})
        self._external_id = ExternalIdField()

    def to_internal_value(self, data: Any) -> tuple[str, ...]:
        if isinstance(data, list):  # as of an event, a whole number is an id too
            data = [str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in data]
        return super().to_internal_value(data)

    def _split(self, text: str) -> list[str]:
        return [self._external_id.run_validation(text)]


class LeftOutSerializer(QuestionSerializer):
    """Cars that lists are not to hold, whatever advertisement of them is named; unknown ones are ignored."""

    exclude = ListingIdsField(help_text="Cars to leave out, by our ids; up to 1,000.")
    exclude_external = ExternalIdsField(help_text="Cars to leave out, by your ids, one in each parameter; up to 1,000.")
    exclude_source = SourceField(help_text=SOURCE_HELP)


class RecommendationsQuestionSerializer(FiltersSerializer, LeftOutSerializer):
    """Conditions on the cars of a list, its length, and what to exclude.

    Ranges are inclusive; a listing without the attribute does not match.
    """

    after = serializers.UUIDField(
        required=False,
        help_text="The `list_id` of a list of this buyer: the answer is its next page, the following `k` cars of the "
        "same question. Only `k` and what to exclude may be asked along with it; anything else must be as it was.",
    )
    k = LengthField(required=False, help_text="How many cars; left out, as many as the placement is made for.")
    source = OneOfField(  # type: ignore[assignment]
        ["hybrid", "content", "collaborative"],
        default="hybrid",
        help_text="What the score may look at: the car itself, what like-minded buyers looked at, or both.",
    )
    placement = serializers.CharField(default=HOME, max_length=50, help_text="The spot on the site; see the admin.")

    def validate_placement(self, slug: str) -> str:
        # Most lists are of the default placement, whose rules are read once, with the list, even where it is missing.
        if slug != HOME and not Placement.objects.filter(slug=slug).exists():
            raise serializers.ValidationError(_("There is no placement “%(placement)s”.") % {"placement": slug})
        return slug


class SimilarQuestionSerializer(FiltersSerializer):
    k = LengthField(default=10)


class RecommendedCarSerializer(PricedCardSerializer):
    """A car card, and why it is there."""

    position = serializers.IntegerField(help_text="1 is the top.")
    score = serializers.FloatField(help_text="How well it suits this buyer; higher is better.")
    source = serializers.CharField(  # type: ignore[assignment]
        help_text="Which way it came into the list; whose listing it is says `listing_source`."
    )
    reason = serializers.CharField(help_text="One sentence for the buyer, in the language of the request.")
    promoted = serializers.BooleanField(
        source="is_promoted", help_text="Whether it stands where it does because that was paid for: label it."
    )
    placed_by = serializers.CharField(
        help_text="What put it where it stands. Cars with `score` stand in the order of their scores; others say what "
        "came before the score: `pinned`, `promoted`, `exploration`, `new`, `wish`, `cap`, `variety`, `shown often`, "
        "`stand-in` or, in lists that two variants of an experiment make together, `interleaved`."
    )
    propensity = serializers.FloatField(
        allow_null=True,
        help_text="How likely it was to stand here, given those above it; 1 where nothing was left to chance, null "
        "where that is not known.",
    )


class RecommendationsAnswerSerializer(serializers.Serializer[Any]):
    recommended = RecommendedCarSerializer(many=True)
    list_id = serializers.UUIDField(help_text="Send it back with events about these cars, or for the next page.")
    after = serializers.UUIDField(
        allow_null=True, help_text="The list that this is the next page of; null for a first one."
    )
    next = serializers.URLField(
        allow_null=True, help_text="The address of the next page; null where the list ends here."
    )
    experiment = serializers.CharField(help_text="The experiment that the list is part of; empty outside of any.")
    variant = serializers.CharField(
        help_text="The arm of the experiment that the list is part of, “holdout” for buyers who take part in none; "
        "empty outside of experiments."
    )
    version = serializers.IntegerField(allow_null=True, help_text="Of the ranker; null before the first training.")
    is_personalised = serializers.BooleanField()
    n_events = serializers.IntegerField(help_text="How many events of this buyer the list rests on.")


class PlacementQuestionSerializer(FiltersSerializer):
    """One list of several; as a question of `/cars/recommendations`."""

    k = LengthField(required=False, help_text="How many cars; left out, as many as the placement is made for.")
    source = OneOfField(["hybrid", "content", "collaborative"], default="hybrid")  # type: ignore[assignment]
    placement = serializers.CharField(default=HOME, max_length=50, help_text="The spot on the site; see the admin.")
    validate_placement = RecommendationsQuestionSerializer.validate_placement


class PlacementsQuestionSerializer(LeftOutSerializer):
    """Several lists of one page, in the order in which they choose their cars."""

    lists = PlacementQuestionSerializer(many=True, allow_empty=False, max_length=LISTS_AT_ONCE)  # type: ignore[call-arg]


class PlacementListSerializer(RecommendationsAnswerSerializer):
    placement = serializers.CharField()


class PlacementsAnswerSerializer(serializers.Serializer[Any]):
    lists = PlacementListSerializer(many=True, help_text="In the order of the question; no car is in two of them.")


class RankQuestionSerializer(QuestionSerializer):
    """Cars to put in order, by our ids, by yours, or some by each; up to 1,000 of either."""

    listing_ids = ListingIdsField(help_text="Our ids.")
    external_ids = ExternalIdsField(help_text="Your ids.")
    source = SourceField(help_text=SOURCE_HELP)  # type: ignore[assignment]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs["listing_ids"] and not attrs["external_ids"]:
            raise serializers.ValidationError({"listing_ids": _("Name at least one car, here or in external_ids.")})
        return attrs


class LeftOutCarSerializer(serializers.Serializer[Any]):
    """A car that was named and is not in the order; as it was named."""

    listing_id = serializers.IntegerField(allow_null=True)
    external_id = serializers.CharField(allow_null=True)
    reason = serializers.ChoiceField(
        ["unknown", "not_for_sale", "hidden"],
        help_text="`hidden`: dismissed or blocked by the buyer, their own, or hidden by the site.",
    )


class RankAnswerSerializer(serializers.Serializer[Any]):
    ranked = RecommendedCarSerializer(many=True, help_text="The best for the buyer first.")
    left_out = LeftOutCarSerializer(many=True)
    list_id = serializers.UUIDField(help_text="Send it back with events about these cars.")
    version = serializers.IntegerField(allow_null=True, help_text="Of the ranker; null before the first training.")
    is_personalised = serializers.BooleanField()
    n_events = serializers.IntegerField(help_text="How many events of this buyer the order rests on.")


class SimilarAnswerSerializer(serializers.Serializer[Any]):
    similar = RecommendedCarSerializer(many=True)
    list_id = serializers.UUIDField(help_text="Send it back with events about these cars.")
