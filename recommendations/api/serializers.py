"""The shapes of questions and answers about lists, events and preferences."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from catalog.api.fields import (
    AmountField,
    AnyField,
    BrandsField,
    ChoicesField,
    FiltersSerializer,
    FiniteFloatField,
    OneOfField,
    PriceField,
    QuestionSerializer,
    WordsField,
)
from catalog.api.references import SOURCE_HELP, ExternalIdField, SourceField
from catalog.api.serializers import CarCardSerializer, CarSerializer
from catalog.models import Listing
from catalog.search.reading import SET_PARAMETERS, circle_around
from catalog.search.stock import current_lexicon
from recommendations.buyers.histories import VIEW
from recommendations.buyers.questionnaire import IMPLIED_BY_USE, answers_in
from recommendations.events.log import IMPRESSION, SEARCH
from recommendations.models import Placement
from recommendations.serving.placements import HOME
from web.strict import KnownFieldsSerializer

EARLIEST_EVENT = datetime(1990, 1, 1, tzinfo=UTC)  # anything before is a broken clock
NAMED_AT_MOST = 1_000  # cars, in one parameter or field
LISTS_AT_ONCE = 10
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
    """A car card with its market price: of ``{"listing": …, "market_price": …}``."""

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


class OriginSerializer(QuestionSerializer):
    """Which list a car was found in; shows the recommender which cars it was preferred to."""

    list_id = serializers.UUIDField(
        required=False,
        help_text="The `list_id` of the recommendations it came from. A list that is unknown, another buyer's, or "
        "without this car or position is left out.",
    )
    position = serializers.IntegerField(required=False, min_value=1, max_value=32_767, help_text="1 is the top.")


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
        source="goes_on_from",
        allow_null=True,
        help_text="The list that this is the next page of; null for a first one.",
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


SEEN_AT_MOST = 1000  # cars of one impression
SEVERAL_CARS = {"positions", "listing_ids", "external_ids"}  # fields of an impression
LONGEST_DWELL_SECONDS = 86_400


class EventSerializer(OriginSerializer):
    """Something a buyer did."""

    kind = serializers.CharField(max_length=40, help_text="`view`, `like`, `contact`, …; the admin lists them.")
    event_id = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=64,
        help_text="Made by you; an event sent twice with it counts once.",
    )  # fmt: skip
    listing_id = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=2**63 - 1,
        help_text="Our id of the car; or else `external_id`.",
    )  # fmt: skip
    external_id = ExternalIdField(required=False, allow_null=True, help_text="Your id of the car.")
    source = SourceField(help_text=SOURCE_HELP)  # type: ignore[assignment]
    query = FiltersSerializer(
        required=False, allow_null=True, help_text="What a search asked for, with the parameters of `/cars/search`."
    )
    occurred_at = serializers.DateTimeField(required=False, help_text="Now, when left out.")
    positions = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=32_767), required=False, allow_null=True,
        max_length=SEEN_AT_MOST, help_text="Of an `impression`: which positions of the list `list_id` were seen.",
    )  # fmt: skip
    listing_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), required=False, allow_null=True,
        max_length=SEEN_AT_MOST, help_text="Of an `impression`: which cars were seen, in place of `positions`.",
    )  # fmt: skip
    external_ids = serializers.ListField(
        child=ExternalIdField(), required=False, allow_null=True, max_length=SEEN_AT_MOST,
        help_text="The same, by your ids.",
    )  # fmt: skip
    dwell_seconds = FiniteFloatField(
        required=False, allow_null=True, min_value=0, max_value=LONGEST_DWELL_SECONDS,
        help_text="Of a `view`: for how long the page was looked at. Send the view when the page is left, or once more "
        "with this.",
    )  # fmt: skip
    value = AmountField(
        max_digits=12, decimal_places=2, required=False, allow_null=True, min_value=0,
        help_text="With an API key, of a contact or a sale: what it is worth to you, in the market's currency. "
        "Experiments add it up.",
    )  # fmt: skip
    buyer = serializers.CharField(
        required=False, max_length=255, trim_whitespace=False, help_text="With an API key: your id of the buyer."
    )

    def validate_occurred_at(self, moment: datetime) -> datetime:
        if moment < EARLIEST_EVENT:
            raise serializers.ValidationError(_("Lies too far in the past to be true."))
        return moment

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("listing_id") is not None and attrs.get("external_id") is not None:
            raise serializers.ValidationError({"external_id": _("Name the car by listing_id or by this, not by both.")})
        if problems := misplaced_fields(attrs):
            raise serializers.ValidationError(problems)
        return attrs


def misplaced_fields(event: Mapping[str, Any]) -> dict[str, str]:
    """Fields that an event of this kind does not have, and why."""
    kind = event["kind"]
    given = {name for name in (*SEVERAL_CARS, "query", "dwell_seconds", "value") if event.get(name)}
    given |= {name for name in ("dwell_seconds", "value") if event.get(name) is not None}
    if kind == IMPRESSION:
        nothing_else = _("An impression says which cars were seen, and nothing else.")
        return dict.fromkeys(given - SEVERAL_CARS, nothing_else)
    problems = dict.fromkeys(given & SEVERAL_CARS, _("Only an impression is about several cars."))
    if kind != VIEW and "dwell_seconds" in given:
        problems["dwell_seconds"] = _("Only a view has it.")
    if kind in (VIEW, SEARCH) and "value" in given:
        problems["value"] = _("A view or a search has no value; a contact or a sale has.")
    return problems


class EventsSerializer(serializers.Serializer[Any]):
    """One event by itself, a list of events, or this."""

    events = EventSerializer(many=True)
    partial = serializers.BooleanField(  # type: ignore[assignment]
        required=False, help_text="The same as the parameter `partial`."
    )


class EventResultSerializer(serializers.Serializer[Any]):
    """What became of one event of a list."""

    event_id = serializers.CharField(help_text="Yours, or made here; empty for one that could not be read.")
    status = serializers.ChoiceField(
        ["recorded", "waiting", "repeated", "conflict", "refused"],
        help_text="`conflict`: the id is that of another event of yours. `waiting`: it is recorded once its listing "
        "comes.",
    )
    fields = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()), help_text="Why it was not recorded, by field."
    )


class RecordedSerializer(serializers.Serializer[Any]):
    recorded = serializers.IntegerField(help_text="New events.")
    waiting = serializers.IntegerField(help_text="New events whose listing is yet to come.")
    repeated = serializers.IntegerField(help_text="Events that this sender had sent before.")
    events = EventResultSerializer(many=True, required=False, help_text="Of a list: each event, in order.")


ALSO_ANSWERS = {
    "budget": "budget_max", "body": "bodies", "fuel": "fuels", "gearbox": "gearboxes", "brand": "brands",
    "make": "brands", "makes": "brands",
}  # fmt: skip


class QuestionnaireSerializer(KnownFieldsSerializer):
    """What a buyer states outright. Everything is optional; what is left out is open. `budget` (the most that may be
    spent), `body`, `fuel`, `gearbox`, `brand` and `make` are understood as well."""

    also_known = ALSO_ANSWERS

    budget_min = PriceField(required=False, allow_null=True, help_text="In the market's currency.")
    budget_max = PriceField(required=False, allow_null=True, help_text="In the market's currency.")
    bodies = ChoicesField(Listing.Body, "body")
    fuels = ChoicesField(Listing.Fuel, "fuel")
    gearboxes = ChoicesField(Listing.Gearbox, "gearbox")
    brands = BrandsField(help_text="Name or slug, any case.")
    use = OneOfField(sorted(IMPLIED_BY_USE), required=False, allow_null=True, help_text="What the car is for.")

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            data = {
                ALSO_ANSWERS.get(name, name): data[name] for name in sorted(data, key=lambda name: name in self.fields)
            }
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        low, high = attrs.get("budget_min"), attrs.get("budget_max")
        if low is not None and high is not None and low > high:
            raise serializers.ValidationError({"budget_min": _("is greater than %(field)s") % {"field": "budget_max"}})
        return attrs

    @staticmethod
    def answers_of(attrs: dict[str, Any]) -> dict[str, Any]:
        """Checked answers as they are kept: in the names of ``ListingFilters``, without what was left open."""
        answers = {
            "min_price": attrs.get("budget_min"),
            "max_price": attrs.get("budget_max"),
            "bodies": list(attrs["bodies"]),
            "fuels": list(attrs["fuels"]),
            "gearboxes": list(attrs["gearboxes"]),
            "makes": list(attrs["brands"]),
            "use": attrs.get("use"),
        }
        return {name: value for name, value in answers.items() if value not in (None, [])}

    def to_representation(self, stored: object) -> dict[str, Any]:
        answers = answers_in(stored)
        return {
            "budget_min": answers.get("min_price"),
            "budget_max": answers.get("max_price"),
            "bodies": answers.get("bodies", []),
            "fuels": answers.get("fuels", []),
            "gearboxes": answers.get("gearboxes", []),
            "brands": answers.get("makes", []),
            "use": answers.get("use"),
        }
