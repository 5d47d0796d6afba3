"""The columns of ``Listing`` that its attributes declare, as fields of a model."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from catalog.attributes import (
    ATTRIBUTES,
    CATEGORIES,
    Addresses,
    AnyAttribute,
    Attribute,
    Category,
    Moment,
    Number,
    Text,
)


def _enumeration(category: Category) -> type[models.TextChoices]:
    members = [(choice.value.upper(), (choice.value, choice.label)) for choice in category.choices]
    made: type[models.TextChoices] = models.TextChoices(category.name.title().replace("_", ""), members)  # type: ignore[call-overload]
    return made


# Of each category with a fixed set of values, by its name.
CHOICES = {category.name: _enumeration(category) for category in CATEGORIES if not category.is_open}


def attribute_columns() -> dict[str, models.Field[Any, Any]]:
    """Column -> field, in the order of the attributes."""
    return {each.column: _field(each) for each in ATTRIBUTES}


def _field(attribute: AnyAttribute) -> models.Field[Any, Any]:
    match attribute:
        case Category():
            return _text(attribute)
        case Number():
            return _number(attribute)
        case Moment():
            options: dict[str, Any] = _verbose(attribute)
            return models.DateTimeField(null=True, blank=True, help_text=attribute.about, **options)
        case Text():
            return _words(attribute)
        case Addresses():
            return _addresses(attribute)


def _addresses(attribute: Addresses) -> models.Field[Any, Any]:
    address = models.URLField(max_length=attribute.max_length)
    return ArrayField(address, default=list, db_default=[], blank=True, help_text=attribute.about)


def _words(attribute: Text) -> models.Field[Any, Any]:
    options: dict[str, Any] = _verbose(attribute)
    unknown: dict[str, Any] = {"blank": True, "default": "", "db_default": ""}
    return models.CharField(max_length=attribute.max_length, help_text=attribute.about, **unknown, **options)


def _text(category: Category) -> models.Field[Any, Any]:
    options: dict[str, Any] = _verbose(category)
    if category.name in CHOICES:
        options["choices"] = CHOICES[category.name].choices
    return models.CharField(max_length=category.max_length, blank=True, default="", db_default="", **options)


def _number(number: Number) -> models.Field[Any, Any]:
    unknown: dict[str, Any] = {"null": True, "blank": True, **_verbose(number, number.unit)}
    match number.kind:
        case "count":
            return models.PositiveSmallIntegerField(**unknown)
        case "large count" | "month":
            return models.PositiveIntegerField(**unknown)
        case "fraction":
            return models.FloatField(**unknown)
        case "money":
            return models.DecimalField(max_digits=8, decimal_places=2, **unknown)


def _verbose(attribute: Attribute, unit: str = "") -> dict[str, str]:
    """The name that people read, where Django would not make the same of the column."""
    name = f"{attribute.label.lower()} ({unit})" if unit else attribute.label.lower()
    return {} if name == attribute.column.replace("_", " ") else {"verbose_name": name}
