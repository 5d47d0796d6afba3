"""Form fields for stored filters, so that operators need not write JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
)

from catalog import units
from catalog.admin.market_fields import MarketField
from catalog.api.fields import BOUNDS, FiltersSerializer
from catalog.attributes import CATEGORIES, RANGES, month_as_text
from catalog.columns import CHOICES
from catalog.filters import ListingFilters
from catalog.models import Seller
from catalog.search.parameters import RANGE_PARAMETERS

FILTER_OF: Mapping[str, str] = {  # parameter of a search -> field of ListingFilters
    "make": "makes", "model": "models", **{category.name: category.filter for category in CATEGORIES},
    "seller_type": "seller_kinds", "tag": "tags", "q": "text",
    **{f"{bound}_{name}": f"{bound}_{column}" for name, column in RANGE_PARAMETERS.items() for bound in BOUNDS},
    "lat": "latitude", "lon": "longitude", "radius_km": "radius_km",
}  # fmt: skip
LABELS = {
    "make": "Makes", "model": "Models",
    **{category.name: category.label for category in CATEGORIES},
    "seller_type": "Kinds of seller", "tag": "Tags", "q": "Words",
    "min_price": "Price from", "max_price": "Price to", "min_year": "Year from", "max_year": "Year to",
    **{f"{bound}_{number.name}": f"{number.label} {word}"
       for number in RANGES for bound, word in zip(BOUNDS, ("from", "to"), strict=True)},
    "lat": "Latitude", "lon": "Longitude", "radius_km": "Within",
}  # fmt: skip
MONTHS = tuple(f"{bound}_{number.name}" for number in RANGES if number.kind == "month" for bound in BOUNDS)
UNITS: Mapping[str, str] = {  # of those that markets have other units for
    "radius_km": units.KM,
    **{f"{bound}_{number.name}": number.unit for number in RANGES for bound in BOUNDS
       if number.unit in (units.KM, units.KW)},
}  # fmt: skip
PRICES = tuple(f"{bound}_price" for bound in BOUNDS)
HELP = {
    "make": "With commas between: Skoda, Land Rover.",
    "model": "With commas between: Octavia, 3 Series.",
    "tag": "With commas between; a car needs all of them.",
    **dict.fromkeys(MONTHS, "Year and month: 2018-03."),
    "q": "As in a search: of title and description.",
    "radius_km": "A place needs all three: latitude, longitude and radius.",
}
CHOICES_OF: Mapping[str, Any] = {**CHOICES, "seller_type": Seller.Kind}
MANY = tuple(name for name, choices in CHOICES_OF.items() if len(choices) > 4)  # which take a row of their own
OPEN = tuple(category.name for category in CATEGORIES if category.is_open)
LISTS = ("make", "model", *OPEN, "tag")
WHOLE = tuple(
    field for name in RANGE_PARAMETERS if name != "price" for bound in BOUNDS
    if (field := f"{bound}_{name}") not in MONTHS
)  # fmt: skip
# As they stand in a form, in rows
ROWS: tuple[Any, ...] = (
    ("make", "model"), *MANY, tuple(name for name in CHOICES_OF if name not in MANY),
    *(tuple(f"{bound}_{name}" for bound in BOUNDS) for name in RANGE_PARAMETERS),
    (*OPEN, "tag", "q"), ("lat", "lon", "radius_km"),
)  # fmt: skip


def rows_of(prefix: str) -> list[Any]:
    """The fields as a fieldset of the admin lays them out."""
    return [f"{prefix}_{row}" if isinstance(row, str) else tuple(f"{prefix}_{name}" for name in row) for row in ROWS]


def with_filter_fields(*prefixes: str) -> Any:
    """A form class with a field for each filter, under each prefix."""

    def decorated(form: Any) -> Any:
        fields = {f"{prefix}_{name}": field_of(name) for prefix in prefixes for name in FILTER_OF}
        form.declared_fields = {**form.declared_fields, **fields}
        form.base_fields = {**form.base_fields, **fields}
        return form

    return decorated


def field_of(name: str) -> forms.Field:
    given: dict[str, Any] = {"label": LABELS[name], "help_text": HELP.get(name, ""), "required": False}
    if name in CHOICES_OF:
        return forms.MultipleChoiceField(
            choices=CHOICES_OF[name].choices, widget=UnfoldAdminCheckboxSelectMultipleWidget, **given
        )
    if name in (*LISTS, *MONTHS, "q"):
        return forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget, **given)
    if name in UNITS:
        return MarketField(stored_unit=UNITS[name], is_whole=name in WHOLE, **given)
    if name in PRICES:
        given["label"] = units.priced(LABELS[name])
    if name in WHOLE:
        return forms.IntegerField(widget=UnfoldAdminIntegerFieldWidget, **given)
    return forms.FloatField(widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}), **given)


def as_typed(query: object, prefix: str) -> dict[str, Any]:
    """Stored filters as initial values of the fields."""
    asked = ListingFilters.from_query(query).as_query()
    values = {name: asked[of] for name, of in FILTER_OF.items() if of in asked}
    return {f"{prefix}_{name}": _as_typed(name, value) for name, value in values.items()}


def _as_typed(name: str, value: Any) -> Any:
    if name in LISTS:
        return ", ".join(value)
    return month_as_text(value) if name in MONTHS else value


def read_filters(form: forms.BaseForm, prefix: str) -> dict[str, Any]:
    """The filters of a form, validated as those of a search; errors are added to their fields."""
    given = {name: form.cleaned_data.get(f"{prefix}_{name}") for name in FILTER_OF}
    question = FiltersSerializer(data={name: value for name, value in given.items() if value not in (None, "", [])})
    if not question.is_valid():
        for name, problems in question.errors.items():
            form.add_error(f"{prefix}_{name}" if name in FILTER_OF else None, list(problems))
        return {}
    return FiltersSerializer.filters_of(question.validated_data).as_query()
