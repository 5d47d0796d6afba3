"""What a buyer states outright."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from catalog.api.fields import BrandsField, ChoicesField, OneOfField, PriceField
from catalog.models import Listing
from recommendations.buyers.questionnaire import IMPLIED_BY_USE, answers_in
from web.strict import KnownFieldsSerializer

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
