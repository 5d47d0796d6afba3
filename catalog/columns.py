"""The columns of ``Listing`` that its attributes declare, as fields of a model."""

from __future__ import annotations

from typing import Any

from django.db import models

from catalog.attributes import ATTRIBUTES, CATEGORIES, Attribute, Category, Number


def _enumeration(category: Category) -> type[models.TextChoices]:
    members = [(choice.value.upper(), (choice.value, choice.label)) for choice in category.choices]
    made: type[models.TextChoices] = models.TextChoices(category.name.title().replace("_", ""), members)  # type: ignore[call-overload]
    return made


# Of each category with a fixed set of values, by its name.
CHOICES = {category.name: _enumeration(category) for category in CATEGORIES if not category.is_open}


def attribute_columns() -> dict[str, models.Field[Any, Any]]:
    """Column -> field, in the order of the attributes."""
    return {each.column: _text(each) if isinstance(each, Category) else _number(each) for each in ATTRIBUTES}


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
        case "large count":
            return models.PositiveIntegerField(**unknown)
        case "fraction":
            return models.FloatField(**unknown)
        case "money":
            return models.DecimalField(max_digits=8, decimal_places=2, **unknown)


def _verbose(attribute: Attribute, unit: str = "") -> dict[str, str]:
    """The name that people read, where Django would not make the same of the column."""
    name = f"{attribute.label.lower()} ({unit})" if unit else attribute.label.lower()
    return {} if name == attribute.column.replace("_", " ") else {"verbose_name": name}
