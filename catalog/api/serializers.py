"""A car as the API shows it. The names of the first fields are those that clients of older systems know."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from catalog.api.fields import (
    AS_A_MONTH,
    AmountField,
    AnyField,
    CountField,
    FiniteFloatField,
    MonthField,
    QuestionSerializer,
)
from catalog.api.references import SOURCE_HELP, ExternalIdField, SourceField
from catalog.api.stock_fields import (
    CurrencyField,
    DistanceField,
    WebAddressesField,
    WebAddressField,
    WordField,
    as_refused_by_api,
)
from catalog.attributes import (
    ADDRESSES,
    ATTRIBUTES,
    CATEGORIES,
    TEXTS,
    Addresses,
    AnyAttribute,
    Category,
    Moment,
    Number,
    Text,
    year_and_month,
)
from catalog.columns import CHOICES
from catalog.imports.cells import read_vin
from catalog.imports.colours import colour_of, manufacturer_colour_of
from catalog.imports.ingest import EMPTY
from catalog.imports.known import KnownNames
from catalog.imports.listing_row import ListingRow
from catalog.imports.names import name_car
from catalog.imports.numbers import Unreadable
from catalog.imports.vocabulary import damage_in_title
from catalog.models import Listing, Seller
from catalog.web_addresses import check_number
from web.strict import KnownFieldsSerializer

LISTINGS_PER_REQUEST = 1000
COMPLETE_SET_AT_MOST = 200_000


STATUSES_TO_SET = [pair for pair in Listing.Status.choices if pair[0] != Listing.Status.EXPIRED]  # named in settings
WITH_UNIT = "A text may name its unit: `37,442 miles`."
ANY_WORD = "Any word for it that an import reads is understood."


CUT_AT = {  # letters of a text that are kept
    "brand": 80, "make": 80, "model": 120, "title": 255, "description": 20_000, "place": 120,
    "seller_name": 200, **{category.column: category.max_length for category in CATEGORIES if category.is_open},
    **{text.column: text.max_length for text in TEXTS},
}  # fmt: skip


PHOTOS = next(each for each in ADDRESSES if each.name == "photos")
PICTURES = {"photo_url", *(each.column for each in ADDRESSES)}


class CutField(serializers.CharField):
    """A text of which so many letters are kept; the listing's serializer cuts it, and notes that."""

    def __init__(self, letters: int, *, help_text: str = "", **kwargs: Any) -> None:
        super().__init__(
            default="",
            allow_blank=True,
            help_text=f"{help_text} Cut at {letters:,} letters, with a note.".strip(),
            **kwargs,
        )


def attribute_fields(*, is_on_card: bool) -> dict[str, AnyField]:
    """The attributes that a card shows, or those that the page of a car shows besides."""
    return {each.answers_as: field_to_read(each) for each in ATTRIBUTES if each.is_on_card == is_on_card}


def field_to_read(attribute: AnyAttribute) -> AnyField:
    """How answers have an attribute; a field may not name a source of its own name."""
    source: dict[str, Any] = {} if attribute.answers_as == attribute.column else {"source": attribute.column}
    match attribute:
        case Category() | Text():
            return serializers.CharField(help_text=attribute.about or "Empty where it is unknown.", **source)
        case Moment():
            return serializers.DateTimeField(allow_null=True, help_text=attribute.about, **source)
        case Addresses():
            return serializers.ListField(child=serializers.CharField(), help_text=attribute.about, **source)
        case Number(kind="month"):
            return MonthField(allow_null=True, help_text=f"{AS_A_MONTH} Null where it is unknown.", **source)
    kind = serializers.IntegerField if "count" in attribute.kind else FiniteFloatField
    return kind(allow_null=True, help_text=attribute.about, **source)


def field_to_write(attribute: AnyAttribute) -> AnyField:
    """How a client system sends an attribute."""
    if isinstance(attribute, Category):
        if attribute.is_open:
            return CutField(attribute.max_length)
        about = f"{attribute.about} {ANY_WORD}".strip()
        return WordField(CHOICES[attribute.name], attribute.name, default="", help_text=about)
    if isinstance(attribute, Text):
        return CutField(attribute.max_length, help_text=attribute.about)
    unknown: dict[str, Any] = {"required": False, "allow_null": True, "help_text": attribute.about}
    if isinstance(attribute, Addresses):
        return WebAddressesField(attribute)
    if isinstance(attribute, Moment):
        return PostedField(**unknown)
    return number_to_write(attribute, unknown)


def number_to_write(attribute: Number, unknown: dict[str, Any]) -> AnyField:
    if attribute.kind == "month":
        return MonthField(**unknown | {"help_text": AS_A_MONTH})
    if attribute.name == "mileage":
        unknown["help_text"] = WITH_UNIT
        return DistanceField(max_value=attribute.holds_at_most, **unknown)
    if attribute.kind == "fraction":
        return FiniteFloatField(min_value=0, max_value=attribute.largest, **unknown)
    if attribute.kind == "money":
        return AmountField(max_digits=8, decimal_places=2, min_value=Decimal(0), **unknown)
    return CountField(max_value=attribute.holds_at_most, **unknown)


class PostedField(serializers.DateTimeField):
    """A time, or a day, which began at midnight."""

    def to_internal_value(self, value: Any) -> datetime:
        if isinstance(value, str) and _A_DAY.fullmatch(value.strip()):
            value = f"{value.strip()}T00:00:00"
        return super().to_internal_value(value)


_A_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class CarCardSerializer(serializers.Serializer[Any]):
    """What a card shows; needs ``with_card_data()``, or it costs three queries a car.

    Every field is declared: to work them out from the model would take longer than to fill twenty cards.
    """

    id = serializers.IntegerField(help_text="Our id.")
    external_id = serializers.CharField(allow_null=True, help_text="The id its source knows it by; null without one.")
    listing_source = serializers.CharField(source="source", help_text="Whose id that is.")
    source = serializers.CharField(help_text="The same as `listing_source`.")  # type: ignore[assignment]
    url = serializers.CharField(help_text="The page of the advertisement; empty where it is unknown.")
    brand = serializers.CharField(source="make.name", default="", help_text="Empty where it is unknown.")
    model = serializers.CharField(source="car_model.name", default="", help_text="Empty where it is unknown.")
    name = serializers.CharField(help_text="The title of the advertisement, or brand and model.")
    selling_price = FiniteFloatField(source="price", allow_null=True)
    currency = serializers.CharField()
    year = serializers.IntegerField(allow_null=True)
    vars().update(attribute_fields(is_on_card=True))
    seller_type = serializers.CharField(source="seller.kind", default="", help_text="`dealer`, `private`, or empty.")
    place = serializers.CharField()
    photo_url = serializers.CharField(help_text="The first of the photos; empty where there is none.")
    published_at = serializers.DateTimeField(allow_null=True)


class CarSerializer(CarCardSerializer):
    """Everything about one car."""

    transmission = serializers.CharField(source="gearbox", help_text="The same as `gearbox`.")
    seller_name = serializers.CharField(source="seller.name", default="")
    status = serializers.ChoiceField(Listing.Status.choices)
    description = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    vars().update(attribute_fields(is_on_card=False))
    latitude = FiniteFloatField(allow_null=True)
    longitude = FiniteFloatField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class ListingInSerializer(KnownFieldsSerializer):
    """A listing as a client system sends it. Fields that are left out stay as they are; null clears a field.

    Null leaves a price as it is, since no car is on sale without one.
    """

    # What is validated has two more fields: ``cleared``, the names of fields that are null, and ``notes``, what was
    # done to the text of each field, by name.

    external_id = ExternalIdField(help_text="Your id of the listing.")
    vin = serializers.CharField(
        max_length=40, default="", allow_blank=True,
        help_text="Vehicle identification number: one of 17 characters names the car, whichever sources advertise it.",
    )  # fmt: skip
    brand = CutField(CUT_AT["brand"], help_text="Refused where it is nearly written like a known one.")
    make = CutField(CUT_AT["make"], help_text="The same as `brand`.")
    model = CutField(CUT_AT["model"])
    title = CutField(CUT_AT["title"])
    description = CutField(CUT_AT["description"])
    tags = serializers.ListField(child=serializers.CharField(max_length=80), default=list, max_length=50)
    year = CountField(min_value=1885, max_value=2100, required=False, allow_null=True)
    price = AmountField(max_digits=12, decimal_places=2, min_value=Decimal("0.01"), required=False, allow_null=True)
    currency = CurrencyField(default="", max_length=40, help_text="The market's, when left out.")
    vars().update({attribute.column: field_to_write(attribute) for attribute in ATTRIBUTES})
    photo_url = WebAddressField(
        max_length=PHOTOS.max_length,
        default="",
        allow_blank=True,
        help_text="The first of the photos; alone it is all of them.",
    )
    url = WebAddressField(max_length=1000, default="", allow_blank=True, help_text="The page of the advertisement.")
    place = CutField(CUT_AT["place"])
    latitude = FiniteFloatField(min_value=-90, max_value=90, required=False, allow_null=True)
    longitude = FiniteFloatField(min_value=-180, max_value=180, required=False, allow_null=True)
    seller_id = serializers.CharField(max_length=120, default="", allow_blank=True, help_text="Your id of the seller.")
    seller_name = CutField(CUT_AT["seller_name"])
    seller_type = WordField(Seller.Kind, "seller_kind", default="", help_text=ANY_WORD)
    status = WordField(
        Listing.Status, "status", default="", help_text="A new listing with a price goes live by itself. " + ANY_WORD
    )

    def validate_vin(self, vin: str) -> str:
        try:
            return read_vin(vin) if vin else ""
        except Unreadable:
            raise serializers.ValidationError(_("is no vehicle identification number")) from None

    def get_fields(self) -> dict[str, AnyField]:
        fields = super().get_fields()
        for name in EMPTY:
            fields[name].allow_null = True
        return fields

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        cleared = [name for name, value in data.items() if value is None and name in EMPTY]
        notes = {name: _("was cut at %(number)d letters") % {"number": CUT_AT[name]} for name, value in data.items()
                 if isinstance(value, str) and len(value) > CUT_AT.get(name, len(value))}  # fmt: skip
        kept = {name: value[: CUT_AT[name]] if name in notes else value for name, value in data.items()
                if name not in cleared}  # fmt: skip
        checked = super().to_internal_value(kept)
        if any(checked[name] for name in PICTURES):  # what is sent of them is all of them
            cleared = [name for name in cleared if name not in PICTURES]
        elif PICTURES & set(cleared):
            cleared = list(dict.fromkeys((*cleared, *PICTURES)))
        return checked | {"cleared": cleared, "notes": notes}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        half_cleared = len({"latitude", "longitude"} & set(attrs["cleared"])) == 1
        if half_cleared or (attrs.get("latitude") is None) != (attrs.get("longitude") is None):
            raise serializers.ValidationError({"latitude": _("latitude and longitude go together")})
        if attrs["seller_id"] and not attrs["seller_name"]:
            raise serializers.ValidationError({"seller_name": _("is needed beside a seller_id")})
        try:
            as_refused_by_api(check_number, PHOTOS, photos_in(attrs))
        except serializers.ValidationError as refusal:
            raise serializers.ValidationError({PHOTOS.column: refusal.detail}) from None
        if not attrs["damage"] and (damage := damage_in_title(attrs["title"])):  # as a file is read
            attrs |= {"damage": damage, "cleared": [name for name in attrs["cleared"] if name != "damage"]}
        attrs |= self._colours(attrs)
        self._check_names(attrs)
        return attrs

    @staticmethod
    def _colours(attrs: dict[str, Any]) -> dict[str, Any]:
        """The plain colour and the manufacturer's name for it; as a file is read, either says the other if left out."""
        named = attrs["manufacturer_colour"]
        said = {
            "colour": colour_of(attrs["colour"]) or colour_of(named),
            "manufacturer_colour": named or manufacturer_colour_of(attrs["colour"]),
        }
        return said | {"cleared": [name for name in attrs["cleared"] if not said.get(name)]}

    def _check_names(self, attrs: dict[str, Any]) -> None:
        """A make that is nearly written like a known one is a typing error and refused. A model may be a new one, which
        no client can do anything about: it is taken, with a note. A name like no known one is a new one."""
        context: dict[str, Any] = self.context  # type: ignore[assignment]  # REST framework's is a dictionary
        known = context.setdefault("known_names", KnownNames())  # of the whole request
        unknown = known.unknown(self.row_of(attrs))
        if unknown is None or not unknown.near:
            return
        stated = {"make": "brand" if attrs["brand"] else "make"}.get(unknown.field, unknown.field)
        field = stated if attrs[stated] else "title"
        said = {"name": unknown.name, "near": ", ".join(unknown.near)}
        message = _("“%(name)s” is not known; did you mean %(near)s?") % said
        if unknown.field == "make":
            raise serializers.ValidationError({field: message})
        attrs["notes"] = {**attrs["notes"], field: message}

    @staticmethod
    def row_of(attrs: dict[str, Any]) -> ListingRow:
        """Checked fields as a row of the catalogue, make and model under their usual names."""
        name = name_car(attrs["brand"] or attrs["make"], attrs["model"], attrs["title"])
        others = ("brand", "make", "model", "seller_type", "cleared", "notes")
        plain = {key: value for key, value in attrs.items() if key not in others}
        photos = tuple(photos_in(attrs))
        plain |= {"photos": photos, "photo_url": next(iter(photos), "")}
        if plain.get("year") is None and (registered := plain.get("first_registration")):
            plain["year"] = year_and_month(registered)[0]
        return ListingRow(
            **plain | {"tags": tuple(attrs["tags"]), "seller_kind": attrs["seller_type"]},
            make=name.make,
            make_slug=name.make_slug,
            model=name.model,
            model_slug=name.model_slug,
            built_title=name.title,
        )


def photos_in(attrs: Mapping[str, Any]) -> list[str]:
    """All that a client sends of photos, each once, the main one first."""
    return list(dict.fromkeys(filter(None, (attrs["photo_url"], *attrs[PHOTOS.column]))))


class ListingsInSerializer(KnownFieldsSerializer):
    """Listings of one source."""

    source = SourceField(  # type: ignore[assignment]
        help_text="Whose ids these are; the same id of two sources is two cars. Left out: the source of the API key."
    )
    listings = ListingInSerializer(many=True, allow_empty=False, max_length=LISTINGS_PER_REQUEST)  # type: ignore[call-arg]

    def validate_listings(self, listings: list[dict[str, Any]]) -> list[dict[str, Any]]:
        problems = [{"external_id": reason} if reason else {} for reason in repeats_among(listings)]
        if any(problems):
            raise serializers.ValidationError(problems)
        return listings


class ReplacementSerializer(ListingInSerializer):
    """A listing as it is from now on: what is left out is cleared."""

    external_id = ExternalIdField(required=False, help_text="Left out, or the same as in the path.")

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        own = {"external_id": self.context["external_id"]}
        return super().to_internal_value({**dict.fromkeys(EMPTY), **own, **data})

    def validate_external_id(self, external_id: str) -> str:
        if external_id != self.context["external_id"]:
            raise serializers.ValidationError(_("is another one than that of the path"))
        return external_id


class SourceQuestionSerializer(QuestionSerializer):
    source = SourceField(help_text=SOURCE_HELP)  # type: ignore[assignment]


class ListingsEnvelopeSerializer(KnownFieldsSerializer):
    """A request of which each listing is checked by itself."""

    source = SourceField()  # type: ignore[assignment]
    listings = serializers.ListField(allow_empty=False, max_length=LISTINGS_PER_REQUEST)


def repeats_among(listings: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with each listing whose external id an earlier one has; '' where nothing is."""
    seen: set[str] = set()
    reasons = []
    for listing in listings:
        reasons.append(_("occurs twice in this request") if listing["external_id"] in seen else "")
        seen.add(listing["external_id"])
    return reasons


class ListingKeySerializer(serializers.Serializer[Any]):
    external_id = serializers.CharField()
    source = serializers.CharField(help_text="Whose id that is.")  # type: ignore[assignment]
    id = serializers.IntegerField(help_text="Our id, as in `/cars/detail/{id}`.")
    result = serializers.ChoiceField(["created", "updated", "unchanged"])
    notes = serializers.DictField(child=serializers.CharField(), help_text="Field -> what was done to its text.")


class RefusedListingSerializer(serializers.Serializer[Any]):
    index = serializers.IntegerField(help_text="Which of the listings that were sent; 0 is the first.")
    external_id = serializers.CharField(help_text="Empty where it has none that can be read.")
    fields = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()), help_text="Field -> what is wrong with it."
    )


class StoredSerializer(serializers.Serializer[Any]):
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    listings = ListingKeySerializer(many=True)
    refused = RefusedListingSerializer(many=True, help_text="Of a request with `partial`; else one is refused whole.")


class StoreQuestionSerializer(QuestionSerializer):
    partial = serializers.BooleanField(  # type: ignore[assignment]
        default=False, help_text="Store the listings that are right, and name those that are wrong in `refused`."
    )


class CompleteSetSerializer(KnownFieldsSerializer):
    """All external ids of a source, or of one of its sellers, that are for sale."""

    source = SourceField(help_text=SOURCE_HELP)  # type: ignore[assignment]
    seller_id = serializers.CharField(
        max_length=120, required=False, help_text="Your id of the seller whose set it is."
    )
    external_ids = serializers.ListField(child=ExternalIdField(), max_length=COMPLETE_SET_AT_MOST)
    confirm = serializers.BooleanField(default=False, help_text="Withdraw even if it is much of the set.")


class CompletedSerializer(serializers.Serializer[Any]):
    kept = serializers.IntegerField(help_text="Listings of the set that are as they were.")
    withdrawn = serializers.IntegerField(help_text="Listings that were not in the set, and are off the market now.")
    unknown = serializers.ListField(
        child=serializers.CharField(), help_text="Ids that no listing has, 100 at most: bring them in."
    )


class ListingChangeSerializer(KnownFieldsSerializer):
    """What can be changed about one listing; at least one of the two."""

    status = WordField(Listing.Status, "status", required=False, help_text=ANY_WORD)
    price = AmountField(max_digits=12, decimal_places=2, min_value=Decimal("0.01"), required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(_("Send a status, a price, or both."))
        return attrs


class StockQuestionSerializer(serializers.Serializer[Any]):
    source = SourceField(help_text=SOURCE_HELP)  # type: ignore[assignment]
    status = WordField(Listing.Status, "status", required=False, help_text="Left out: of every status.")
    cursor = serializers.IntegerField(
        required=False, min_value=0, max_value=2**63 - 1, help_text="From `next`; left out: the first page."
    )
    page_size = serializers.IntegerField(default=100, min_value=1, max_value=LISTINGS_PER_REQUEST)


class StockSerializer(serializers.Serializer[Any]):
    listings = CarSerializer(many=True)
    next = serializers.URLField(allow_null=True, help_text="The next page; null on the last.")
