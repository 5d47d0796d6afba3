"""What a buyer states outright."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from catalog.api.fields import (
    BrandsField,
    ChoicesField,
    ColoursField,
    CountField,
    ModelsField,
    OneOfField,
    PriceField,
)
from catalog.models import Listing
from recommendations.buyers.questionnaire import IMPLIED_BY_USE, answers_in
from web.strict import KnownFieldsSerializer

ALSO_ANSWERS = {
    "budget": "budget_max", "body": "bodies", "fuel": "fuels", "gearbox": "gearboxes", "brand": "brands",
    "make": "brands", "makes": "brands", "model": "models", "drive": "drives", "colour": "colours",
    "year": "min_year", "mileage": "max_mileage", "seats": "min_seats",
}  # fmt: skip
KEPT_AS = {  # answer -> the filter that it is kept as
    "budget_min": "min_price", "budget_max": "max_price", "bodies": "bodies", "fuels": "fuels",
    "gearboxes": "gearboxes", "drives": "drives", "colours": "colours", "brands": "makes", "models": "models",
    "min_year": "min_year", "max_mileage": "max_mileage_km", "min_seats": "min_seats", "use": "use",
}  # fmt: skip
LISTS = {"bodies", "fuels", "gearboxes", "drives", "colours", "brands", "models"}  # answers of several values


class QuestionnaireSerializer(KnownFieldsSerializer):
    """What a buyer states outright. Everything is optional; what is left out is open. `budget` (the most that may be
    spent), `body`, `fuel`, `gearbox`, `drive`, `colour`, `brand`, `make`, `model`, `year` (the oldest), `mileage` (the
    most) and `seats` (the fewest) are understood as well."""

    also_known = ALSO_ANSWERS

    budget_min = PriceField(required=False, allow_null=True, help_text="In the market's currency.")
    budget_max = PriceField(required=False, allow_null=True, help_text="In the market's currency.")
    bodies = ChoicesField(Listing.Body, "body")
    fuels = ChoicesField(Listing.Fuel, "fuel")
    gearboxes = ChoicesField(Listing.Gearbox, "gearbox")
    drives = ChoicesField(Listing.Drive, "drive")
    colours = ColoursField(help_text="Any word for a colour.")
    brands = BrandsField(help_text="Name or slug, any case.")
    models = ModelsField(help_text="Name or slug, any case.")
    min_year = CountField(required=False, allow_null=True, max_value=9999, help_text="Built in this year or later.")
    max_mileage = CountField(required=False, allow_null=True, max_value=2_147_483_647, help_text="In km.")
    min_seats = CountField(required=False, allow_null=True, help_text="So many seats or more.")
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
        """Validated answers as they are stored: by field of ``ListingFilters``, without empty ones."""
        answers = {kept: list(attrs[name]) if name in LISTS else attrs.get(name) for name, kept in KEPT_AS.items()}
        return {name: value for name, value in answers.items() if value not in (None, [])}

    def to_representation(self, stored: object) -> dict[str, Any]:
        answers = answers_in(stored)
        return {name: answers.get(kept, [] if name in LISTS else None) for name, kept in KEPT_AS.items()}
