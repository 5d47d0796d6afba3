"""The audit log of the console: what operators changed, with before and after.

Values are kept as people read them (names rather than keys); secrets and what is too large to read are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import BinaryField, Field, Manager, Model, QuerySet
from django.forms import BaseForm, ModelChoiceField, PasswordInput
from django.utils.functional import Promise

from web.redaction import IS_SECRET_NAME

SECRETS = {"password", "hashed_key", "token", "usable_password", "password1", "password2"}
BULKY = {"search_text"}
LONGEST = 500  # characters of one value
GONE = "an erased person"
PLAIN = (int, float, bool, type(None), Decimal, date, time, timedelta, UUID, Promise)  # that JSON is made of here
Values = dict[str, Any]


def audit_log() -> Manager[Any]:
    """The rows of the audit log: a model of ``accounts``, which this package may not import (``AUDIT_LOG_MODEL``)."""
    manager: Manager[Any] = apps.get_model(settings.AUDIT_LOG_MODEL)._default_manager
    return manager


def record(
    *,
    by: Any,
    action: str,
    target: Model | type[Model],
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    note: str = "",
) -> Model:
    """Write one entry; call it inside the transaction of the change, so that neither is without the other.

    ``target`` is the row, or its model where many rows are meant; a row that was deleted still knows what it was.
    """
    author = by if isinstance(by, get_user_model()) else None
    row = target if isinstance(target, Model) else None
    entry: Model = audit_log().create(
        by=author,
        by_name=str(author or ""),
        action=action,
        model=target._meta.label_lower,
        object_id="" if row is None else str(row.pk),
        object_name="" if row is None else str(row)[:200],
        before=None if before is None else readable_values(before),
        after=None if after is None else readable_values(after),
        note=note,
    )
    return entry


def snapshot(row: Model) -> Values:
    """The current values of a row's columns, by name."""
    return {field.name: value_of(row, field) for field in row._meta.concrete_fields if is_readable(field)}


def is_readable(field: Field[Any, Any]) -> bool:
    """Whether a column is for people to read: no secret, and no packed numbers."""
    kinds = type(field).__name__
    is_bulky = field.name in BULKY or isinstance(field, BinaryField) or kinds == "VectorField"
    return not is_bulky and not is_secret(field.name)


def is_secret(name: str) -> bool:
    """Whether a name is that of a secret, by our list of columns or by the rules of log redaction."""
    return name in SECRETS or IS_SECRET_NAME.search(name) is not None


def value_of(row: Model, field: Field[Any, Any]) -> Any:
    """A column's value; of a relation its key, because a name would cost a query for each row."""
    return getattr(row, field.attname)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Values, Values]:
    """The entries that differ, of both mappings."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {name: before.get(name) for name in names}, {name: after.get(name) for name in names}


def changes_of(form: BaseForm) -> tuple[Values, Values]:
    """What an operator changed in a form, of a new row everything that was filled in."""
    names = [
        name
        for name in form.changed_data
        if not is_secret(name) and not isinstance(form.fields[name].widget, PasswordInput)
    ]
    before = {name: as_chosen(form, name, form.get_initial_for_field(form.fields[name], name)) for name in names}
    return before, {name: form.cleaned_data.get(name) for name in names}


def as_chosen(form: BaseForm, name: str, value: Any) -> Any:
    """The initial value of a choice among rows is a key; people know the row's name."""
    field = form.fields[name]
    if isinstance(field, ModelChoiceField) and value and not isinstance(value, Model | list | tuple | QuerySet):
        return field.queryset.filter(**{field.to_field_name or "pk": value}).first() if field.queryset else value
    return value


def readable_values(values: Mapping[str, Any]) -> Values:
    return {name: readable(value) for name, value in values.items()}


def readable(value: Any) -> Any:
    """A value as JSON can hold it and a person can read it; long texts are cut."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST else f"{value[:LONGEST]}…"
    if isinstance(value, Model):
        return str(value)
    if isinstance(value, Mapping):
        return readable_values({str(name): each for name, each in value.items()})
    if isinstance(value, QuerySet | Iterable) and not isinstance(value, bytes):
        return [readable(each) for each in value]
    return value if isinstance(value, PLAIN) else str(value)


def forget(rows: Iterable[Model]) -> None:
    """Take people who are erased out of the log; that something was changed, when and by whom, stays."""
    for row in rows:
        of_row = audit_log().filter(model=row._meta.label_lower, object_id=str(row.pk))
        of_row.update(object_name=GONE, before=None, after=None, note="")
