"""A car as the API shows it. The names of the first fields are those that clients of older systems know."""

from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from catalog.api.fields import CountField, FiniteFloatField
from catalog.api.references import ExternalIdField, SourceField
from catalog.imports.names import name_car
from catalog.imports.quantities import Unreadable
from catalog.imports.rows import ListingRow, read_vin
from catalog.imports.vocabulary import colour_of
from catalog.models import Listing, Seller
from web.strict import KnownFieldsSerializer

LISTINGS_PER_REQUEST = 1000


class CarCardSerializer(serializers.Serializer):
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
    km_driven = serializers.IntegerField(source="mileage_km", allow_null=True)
    fuel = serializers.CharField(help_text="Empty where it is unknown.")
    gearbox = serializers.CharField(help_text="Empty where it is unknown.")
    body = serializers.CharField(help_text="Empty where it is unknown.")
    drive = serializers.CharField(help_text="Empty where it is unknown.")
    colour = serializers.CharField(help_text="Empty where it is unknown.")
    power_kw = serializers.IntegerField(allow_null=True)
    engine_l = FiniteFloatField(allow_null=True)
    seller_type = serializers.CharField(source="seller.kind", default="", help_text="`dealer`, `private`, or empty.")
    place = serializers.CharField()
    photo_url = serializers.CharField(help_text="Empty where there is none.")
    published_at = serializers.DateTimeField(allow_null=True)


class CarSerializer(CarCardSerializer):
    """Everything about one car."""

    transmission = serializers.CharField(source="gearbox", help_text="The same as `gearbox`.")
    owner = serializers.IntegerField(source="owner_count", allow_null=True, help_text="How many owners it has had.")
    seller_name = serializers.CharField(source="seller.name", default="")
    status = serializers.ChoiceField(Listing.Status.choices)
    description = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    doors = serializers.IntegerField(allow_null=True)
    seats = serializers.IntegerField(allow_null=True)
    consumption_l_100km = FiniteFloatField(allow_null=True)
    annual_tax = FiniteFloatField(allow_null=True)
    latitude = FiniteFloatField(allow_null=True)
    longitude = FiniteFloatField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


STATUSES_TO_SET = [status for status in Listing.Status.values if status != Listing.Status.EXPIRED]


class ListingInSerializer(KnownFieldsSerializer):
    """A listing as a client system sends it. What is left out leaves what is known."""

    external_id = ExternalIdField(help_text="Your id of the listing.")
    vin = serializers.CharField(
        max_length=40, default="", allow_blank=True,
        help_text="Vehicle identification number: one of 17 characters names the car, whichever sources advertise it.",
    )  # fmt: skip
    brand = serializers.CharField(max_length=80, default="", allow_blank=True)
    make = serializers.CharField(max_length=80, default="", allow_blank=True, help_text="The same as `brand`.")
    model = serializers.CharField(max_length=120, default="", allow_blank=True)
    title = serializers.CharField(max_length=255, default="", allow_blank=True)
    description = serializers.CharField(max_length=20_000, default="", allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField(max_length=80), default=list, max_length=50)
    year = CountField(min_value=1885, max_value=2100, required=False, allow_null=True)
    price = serializers.DecimalField(
        max_digits=12, decimal_places=2, min_value=Decimal("0.01"), required=False, allow_null=True
    )
    currency = serializers.RegexField(r"\A[A-Z]{3}\Z", default="", help_text="The market's, when left out.")
    mileage_km = CountField(max_value=2_147_483_647, required=False, allow_null=True)
    fuel = serializers.ChoiceField(Listing.Fuel.choices, default="")
    gearbox = serializers.ChoiceField(Listing.Gearbox.choices, default="")
    body = serializers.ChoiceField(Listing.Body.choices, default="")
    drive = serializers.ChoiceField(Listing.Drive.choices, default="")
    colour = serializers.CharField(max_length=30, default="", allow_blank=True)
    power_kw = CountField(required=False, allow_null=True)
    engine_l = FiniteFloatField(min_value=0, max_value=100, required=False, allow_null=True)
    consumption_l_100km = FiniteFloatField(min_value=0, max_value=1000, required=False, allow_null=True)
    doors = CountField(required=False, allow_null=True)
    seats = CountField(required=False, allow_null=True)
    owner_count = CountField(required=False, allow_null=True)
    annual_tax = serializers.DecimalField(
        max_digits=8, decimal_places=2, min_value=Decimal(0), required=False, allow_null=True
    )
    photo_url = serializers.URLField(max_length=500, default="", allow_blank=True)
    url = serializers.URLField(
        max_length=1000, default="", allow_blank=True, help_text="The page of the advertisement."
    )
    place = serializers.CharField(max_length=120, default="", allow_blank=True)
    latitude = FiniteFloatField(min_value=-90, max_value=90, required=False, allow_null=True)
    longitude = FiniteFloatField(min_value=-180, max_value=180, required=False, allow_null=True)
    seller_id = serializers.CharField(max_length=120, default="", allow_blank=True, help_text="Your id of the seller.")
    seller_name = serializers.CharField(max_length=200, default="", allow_blank=True)
    seller_type = serializers.ChoiceField(Seller.Kind.choices, default="")
    status = serializers.ChoiceField(
        STATUSES_TO_SET, default="", help_text="A new listing with a price goes live by itself."
    )

    def validate_vin(self, vin: str) -> str:
        try:
            return read_vin(vin) if vin else ""
        except Unreadable:
            raise serializers.ValidationError(_("is no vehicle identification number")) from None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if (attrs.get("latitude") is None) != (attrs.get("longitude") is None):
            raise serializers.ValidationError({"latitude": _("latitude and longitude go together")})
        if attrs["seller_id"] and not attrs["seller_name"]:
            raise serializers.ValidationError({"seller_name": _("is needed beside a seller_id")})
        return attrs

    @staticmethod
    def row_of(attrs: dict[str, Any]) -> ListingRow:
        """Checked fields as a row of the catalogue, make and model under their usual names."""
        name = name_car(attrs["brand"] or attrs["make"], attrs["model"], attrs["title"])
        plain = {key: value for key, value in attrs.items() if key not in ("brand", "make", "model", "seller_type")}
        return ListingRow(
            **plain
            | {"tags": tuple(attrs["tags"]), "colour": colour_of(attrs["colour"]), "seller_kind": attrs["seller_type"]},
            make=name.make,
            make_slug=name.make_slug,
            model=name.model,
            model_slug=name.model_slug,
            built_title=name.title,
        )


class ListingsInSerializer(KnownFieldsSerializer):
    source = SourceField(  # type: ignore[assignment]
        help_text="Whose ids these are; the same id of two sources is two cars. Left out: the source of the API key."
    )
    listings = ListingInSerializer(many=True, allow_empty=False, max_length=LISTINGS_PER_REQUEST)  # type: ignore[call-arg]

    def validate_listings(self, listings: list[dict[str, Any]]) -> list[dict[str, Any]]:
        seen: set[str] = set()
        problems: list[dict[str, str]] = []
        for listing in listings:
            is_repeated = listing["external_id"] in seen
            problems.append({"external_id": _("occurs twice in this request")} if is_repeated else {})
            seen.add(listing["external_id"])
        if any(problems):
            raise serializers.ValidationError(problems)
        return listings


class ListingKeySerializer(serializers.Serializer):
    external_id = serializers.CharField()
    source = serializers.CharField(help_text="Whose id that is.")  # type: ignore[assignment]
    id = serializers.IntegerField(help_text="Our id, as in `/cars/detail/{id}`.")


class StoredSerializer(serializers.Serializer):
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    listings = ListingKeySerializer(many=True)


class ListingChangeSerializer(KnownFieldsSerializer):
    """What can be changed about one listing; at least one of the two."""

    status = serializers.ChoiceField(STATUSES_TO_SET, required=False)
    price = serializers.DecimalField(max_digits=12, decimal_places=2, min_value=Decimal("0.01"), required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(_("Send a status, a price, or both."))
        return attrs
