"""Reading what callers ask of listings: several words in one parameter, numbers that are numbers, and the filters."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from django.db.models import Choices
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.plumbing import build_choice_field
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from catalog.attributes import CATEGORIES, LONGEST_MONTH, RANGES, Category, Number, is_month, month_as_text
from catalog.columns import CHOICES
from catalog.filters import ListingFilters
from catalog.imports.colours import colour_of
from catalog.imports.dates import read_month
from catalog.imports.names import name_car, slug_of
from catalog.imports.vocabulary import VOCABULARIES
from catalog.models import Seller
from web.strict import KnownFieldsSerializer

LONGEST_WORD = 100
WORDS_AT_MOST = 50  # in one filter; more than any form offers
PRICE_AT_MOST = 9_999_999_999  # what the column holds
HALF_THE_EQUATOR_KM = 20_038
BOUNDS = ("min", "max")
SEVERAL = "Several are alternatives."  # in descriptions
AS_A_MONTH = "Year and month: `2018-03`."
SAME_AS = "The same as `{low}` and `{high}`."


class FiniteFloatField(serializers.FloatField):
    """A number that can be compared: neither NaN nor infinite, however it was spelled."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool):
            self.fail("invalid")
        try:
            value = super().to_internal_value(data)
        except OverflowError:
            self.fail("invalid")
        if not isfinite(value):
            self.fail("invalid")
        return value

    def to_representation(self, value: Any) -> Any:
        """Null for what JSON has no number for: columns hold NaN where an earlier release stored it."""
        number = float(value)
        return number if isfinite(number) else None


class OneOfField(serializers.ChoiceField):
    """One word of a few; a refusal names them. ``also``: other words for some, as in ``{"selling_price": "price"}``."""

    default_error_messages = {"invalid_choice": _("“{input}” is unknown; known are {known}.")}

    def __init__(self, choices: Iterable[str], *, also: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        self._also = dict(also or {})
        super().__init__(list(choices), **kwargs)

    def to_internal_value(self, data: Any) -> str:
        word = self._also.get(data, data) if isinstance(data, str) else ""
        if word not in self.choices:
            self.fail("invalid_choice", input=data, known=", ".join(self.choices))
        return word


AnyField = serializers.Field[Any, Any, Any, Any]


class WordsField(AnyField):
    """One or more words: ``?fuel=petrol&fuel=diesel``, ``?fuel=petrol,diesel``, or a list in JSON."""

    default_error_messages = {
        "not_words": _("Text, or a list of texts, is expected."),
        "too_many": _("At most {n} values can be asked for at once."),
    }
    item_schema: Mapping[str, Any] = {"type": "string"}

    def __init__(self, *, max_length: int = 120, at_most: int = WORDS_AT_MOST, **kwargs: Any) -> None:
        kwargs.setdefault("required", False)
        kwargs.setdefault("default", ())
        super().__init__(**kwargs)
        self.at_most = at_most
        self._word = serializers.CharField(max_length=max_length, allow_blank=True)

    def to_internal_value(self, data: Any) -> tuple[str, ...]:
        texts = [data] if isinstance(data, str) else data
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            self.fail("not_words")
        words = [word for text in texts for word in self._split(text)]
        if len(words) > self.at_most:
            self.fail("too_many", n=self.at_most)
        return tuple(dict.fromkeys(self.read(word) for word in words))

    def read(self, word: str) -> str:
        """One word as it is compared; subclasses translate here, or refuse."""
        return word

    def to_representation(self, value: Iterable[str]) -> list[str]:
        return list(value)

    def _split(self, text: str) -> list[str]:
        checked = (
            self._word.run_validation(text)
            if len(text) <= self.at_most * 120
            else self.fail("too_many", n=self.at_most)
        )
        return [word.strip() for word in checked.split(",") if word.strip()]


class ChoicesField(WordsField):
    """Words with a fixed set of values, by value, by label, or in any word the catalogue's vocabulary knows."""

    default_error_messages = {"unknown": _("“{word}” is unknown; known are {known}.")}

    def __init__(self, choices: type[Choices], vocabulary: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.choices = choices.choices
        self.values: list[str] = list(choices.values)
        self._vocabulary = VOCABULARIES[vocabulary]

    def read(self, word: str) -> str:
        value = word.lower() if word.lower() in self.values else self._vocabulary.exact(word)
        if value not in self.values:
            self.fail("unknown", word=word, known=", ".join(self.values))
        return str(value)


class BrandsField(WordsField):
    """Makes by name, slug or usual short form: ``Škoda``, ``skoda``, ``VW``."""

    def read(self, word: str) -> str:
        return name_car(word, "").make_slug or slug_of(word)


class ModelsField(WordsField):
    """Models by name or slug: ``3 Series``, ``3-series``."""

    def read(self, word: str) -> str:
        return slug_of(word)


class ColoursField(WordsField):
    """Colours in any word the vocabulary knows; others are kept in small letters."""

    def read(self, word: str) -> str:
        return colour_of(word) or word.lower()


class WordsFieldSchema(OpenApiSerializerFieldExtension):
    """Describes the fields above to OpenAPI."""

    target_class = "catalog.api.fields.WordsField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        item: dict[str, Any] = dict(self.target.item_schema)
        if isinstance(self.target, ChoicesField):
            item = or_any_word(build_choice_field(serializers.ChoiceField(self.target.choices)))
        words = {"type": "array", "items": item, "maxItems": self.target.at_most}
        return words if auto_schema.method == "GET" else {"oneOf": [words, item]}


def or_any_word(choice: dict[str, Any]) -> dict[str, Any]:
    """The description of a choice that is read from other words too."""
    return {"anyOf": [choice, {"type": "string", "maxLength": LONGEST_WORD}]}


@extend_schema_field({"anyOf": [{"type": "number"}, {"type": "string", "format": "decimal"}]})
class AmountField(serializers.DecimalField):
    """An exact amount of money, as a number or as a text."""


class PriceField(FiniteFloatField):
    """An amount in the market's currency."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_value": 0, "max_value": PRICE_AT_MOST, **kwargs})


class CountField(serializers.IntegerField):
    """A whole number from 0 up to what its column holds."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_value": 0, "max_value": 32_767, **kwargs})

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "maxLength": LONGEST_MONTH, "example": "2018-03"})
class MonthField(AnyField):
    """A year and month: ``2018-03``, and whatever an import reads as one. Plain numbers are read as texts."""

    default_error_messages = {"unreadable": _("“{text}” is no month: send it as in 2018-03.")}

    def to_internal_value(self, data: Any) -> int:
        text = str(data) if isinstance(data, str | int) and not isinstance(data, bool) else ""
        month = read_month(text, timezone.now().year) if len(text) <= LONGEST_MONTH else None
        if month is None or not is_month(month):
            self.fail("unreadable", text=str(data)[:LONGEST_MONTH])
        return month

    def to_representation(self, value: int) -> str:
        return month_as_text(value)


ASKED_RANGES = ("year", "price", *(number.name for number in RANGES))
EXACT = ("year", *(number.name for number in RANGES if number.is_asked_exactly))  # one number for both bounds


def category_filter(category: Category) -> WordsField:
    """The parameter that asks for values of a category; several are alternatives."""
    if category.is_open:
        return ColoursField(help_text=SEVERAL)
    return ChoicesField(CHOICES[category.name], category.name, help_text=SEVERAL)


def range_filters(number: Number) -> dict[str, CountField | MonthField]:
    """The parameters that ask for a range of a number, or for one number."""
    low, high = f"min_{number.name}", f"max_{number.name}"
    fields = {name: field_to_ask(number) for name in (low, high)}
    if number.is_asked_exactly:
        fields[number.name] = field_to_ask(number, SAME_AS.format(low=low, high=high))
    return fields


def field_to_ask(number: Number, about: str = "") -> CountField | MonthField:
    """A parameter that names a bound of a number."""
    if number.kind == "month":
        return MonthField(required=False, help_text=f"{AS_A_MONTH} {about}".strip())
    unit = f"In {number.unit}." if number.unit else ""
    most = number.asked_up_to or number.holds_at_most
    return CountField(required=False, max_value=most, help_text=about or unit)


class QuestionSerializer(KnownFieldsSerializer):
    """A question in a query string, read as if it were JSON: where words are expected all values of a name count,
    elsewhere the last one. An empty parameter is an empty value, which REST framework would take for none at all."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, QueryDict):  # of which other serializers may read other parameters
            data = {
                name: values if isinstance(self.fields.get(name), WordsField) else values[-1]
                for name, values in data.lists()
                if name in self.fields
            }
        return super().to_internal_value(data)


class FiltersSerializer(QuestionSerializer):
    """Conditions on listings. Ranges are inclusive; a listing without the attribute does not match."""

    brand = BrandsField(help_text="Name or slug, any case; several are alternatives.")
    make = BrandsField(help_text="The same as `brand`.")
    model = ModelsField(help_text="Name or slug, any case; several are alternatives.")
    vars().update({category.name: category_filter(category) for category in CATEGORIES})
    seller_type = ChoicesField(Seller.Kind, "seller_kind", help_text=SEVERAL)
    tag = WordsField(help_text="Several must all be present.")
    min_year = CountField(required=False, max_value=9999)
    max_year = CountField(required=False, max_value=9999)
    min_price = PriceField(required=False, help_text="In the market's currency.")
    max_price = PriceField(required=False, help_text="In the market's currency.")
    year = CountField(required=False, max_value=9999, help_text="The same as `min_year` and `max_year`.")
    vars().update({name: field for number in RANGES for name, field in range_filters(number).items()})
    q = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=200,
        help_text="Words of title and description; “quoted” phrases, OR and -without work as on the web.",
    )  # fmt: skip
    lat = FiniteFloatField(required=False, min_value=-90, max_value=90, help_text="With `lon` and `radius_km`.")
    lon = FiniteFloatField(required=False, min_value=-180, max_value=180, help_text="With `lat` and `radius_km`.")
    radius_km = FiniteFloatField(
        required=False, min_value=0, max_value=HALF_THE_EQUATOR_KM, help_text="With `lat` and `lon`."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in EXACT:
            if (exact := attrs.pop(name, None)) is not None:
                attrs[f"min_{name}"] = max(exact, attrs.get(f"min_{name}", exact))
                attrs[f"max_{name}"] = min(exact, attrs.get(f"max_{name}", exact))
        problems = {
            f"min_{name}": gettext("is greater than %(field)s") % {"field": f"max_{name}"}
            for name in ASKED_RANGES
            if _is_upside_down(attrs, name)
        }
        place = {"lat", "lon", "radius_km"}
        if place & attrs.keys():
            problems |= dict.fromkeys(place - attrs.keys(), gettext("lat, lon and radius_km go together"))
        if problems:
            raise serializers.ValidationError(problems)
        return attrs

    @staticmethod
    def filters_of(attrs: Mapping[str, Any]) -> ListingFilters:
        """Checked parameters as plain filters."""
        bounds: dict[str, Any] = {
            f"{bound}_{number.column}": attrs.get(f"{bound}_{number.name}") for number in RANGES for bound in BOUNDS
        }
        return ListingFilters(
            makes=tuple(dict.fromkeys((*attrs["brand"], *attrs["make"]))),
            models=attrs["model"],
            **{category.filter: attrs[category.name] for category in CATEGORIES},
            seller_kinds=attrs["seller_type"],
            tags=attrs["tag"],
            min_year=attrs.get("min_year"),
            max_year=attrs.get("max_year"),
            min_price=attrs.get("min_price"),
            max_price=attrs.get("max_price"),
            **bounds,
            latitude=attrs.get("lat"),
            longitude=attrs.get("lon"),
            radius_km=attrs.get("radius_km"),
            text=attrs["q"],
        )


def _is_upside_down(attrs: Mapping[str, Any], name: str) -> bool:
    low, high = attrs.get(f"min_{name}"), attrs.get(f"max_{name}")
    return low is not None and high is not None and low > high
