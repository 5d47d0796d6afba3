"""What a search and a completion ask and answer."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from catalog.api.fields import AnyField, FiltersSerializer, OneOfField, QuestionSerializer, WordsField
from catalog.search.parameters import SET_PARAMETERS, circle_around
from catalog.search.stock import current_lexicon
from recommendations.api.car_serializers import PricedCardSerializer

PAGE_SIZE = 20
PAGE_SIZE_AT_MOST = 100
RECOMMENDED = "recommended"
ORDERINGS = ("newest", "price", "-price", "year", "-year", "mileage", "-mileage", RECOMMENDED)
ALSO_ORDERINGS = {  # by the names that the answer has for them
    "selling_price": "price",
    "-selling_price": "-price",
    "km_driven": "mileage",
    "-km_driven": "-mileage",
    "-published_at": "newest",
}


class SearchSerializer(FiltersSerializer):
    """Words, conditions, ordering and page of a search."""

    q = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=200,
        help_text="Typed words: names, amounts and words of closed sets become filters, the others are looked for in "
        "title, description and equipment; “quoted” phrases, OR and -without work as on the web.",
    )  # fmt: skip
    literal = serializers.BooleanField(default=False, help_text="Look for `q` as it stands; understand nothing.")
    not_understood = WordsField(help_text="Parameters, or words of `q`, that are not to be understood.")
    near = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=120, help_text="A town; `radius_km` around it, or 50."
    )
    ordering = OneOfField(
        ORDERINGS, also=ALSO_ORDERINGS, required=False,
        help_text="A minus sign: the highest first; `recommended`: what suits the buyer best. Left out, `newest`.",
    )  # fmt: skip
    facets = serializers.BooleanField(default=False, help_text="Count the values of each field.")
    page = serializers.IntegerField(default=1, min_value=1, max_value=1_000_000)
    page_size = serializers.IntegerField(default=PAGE_SIZE, min_value=1, max_value=PAGE_SIZE_AT_MOST)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if near := attrs["near"].strip():
            if {"lat", "lon"} & attrs.keys():
                raise serializers.ValidationError({"near": _("a town or lat and lon, not both")})
            circle = circle_around(near, current_lexicon(), attrs.get("radius_km"))
            if not circle:
                raise serializers.ValidationError({"near": _("There is no town “%(town)s”.") % {"town": near}})
            attrs |= {"lat": circle["latitude"], "lon": circle["longitude"], "radius_km": circle["radius_km"]}
        return super().validate(attrs)


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "number"}]})
class ReadingValueField(AnyField):
    """A word or a number, as its parameter takes it."""

    def to_representation(self, value: Any) -> Any:
        return value


class UnderstoodSerializer(serializers.Serializer[Any]):
    """A part of `q` that became a filter; several of one field are alternatives."""

    text = serializers.CharField(help_text="The words, as they were typed.")
    field = serializers.CharField(help_text="The parameter of the search that they set.")
    value = ReadingValueField(help_text="Its value, as the parameter takes it.")


class FacetValueSerializer(serializers.Serializer[Any]):
    value = serializers.CharField()
    count = serializers.IntegerField(help_text="Cars that the search would find with this value.")


class FacetsSerializer(serializers.Serializer[Any]):
    """The values of each field, the most frequent first, by the search without that field's own filter."""

    def get_fields(self) -> dict[str, AnyField]:
        return {name: FacetValueSerializer(many=True) for name in SET_PARAMETERS}


class SearchAnswerSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField(help_text="Of all pages.")
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    listings = PricedCardSerializer(many=True)
    understood = UnderstoodSerializer(many=True, help_text="What was understood of `q`, and can be undone.")
    rest = serializers.CharField(help_text="The words of `q` that were looked for in the texts.")
    is_rest_found = serializers.BooleanField(
        help_text="False: no car has the words of `rest`, and the cars that satisfy the other filters are shown."
    )
    facets = FacetsSerializer(allow_null=True, help_text="Null unless asked for.")


class CompletionQuestionSerializer(QuestionSerializer):
    q = serializers.CharField(max_length=200, help_text="What has been typed so far.")
    limit = serializers.IntegerField(default=8, min_value=1, max_value=20)


class CompletionSerializer(serializers.Serializer[Any]):
    text = serializers.CharField(help_text="What was typed, with its last word completed.")
    field = serializers.CharField(help_text="The parameter of the search that the completion sets.")
    value = serializers.CharField()
    count = serializers.IntegerField(help_text="Cars for sale that have it, a minute ago at most.")


class CompletionsAnswerSerializer(serializers.Serializer[Any]):
    completions = CompletionSerializer(many=True)
