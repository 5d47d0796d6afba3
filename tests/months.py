"""Tables kept by month, as the release before had them, and put back after a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module

from django.apps import apps
from django.db import connection

from recommendations.models import Impression, Interaction, ServedList
from recommendations.upkeep import months as kept
from web.postgres import months

MIGRATION = import_module("recommendations.migrations.0029_months")
MODELS = {kept.EVENTS: Interaction, kept.IMPRESSIONS: Impression, kept.LISTS: ServedList}


def as_one_table() -> None:
    """What the release before had."""
    with connection.schema_editor(atomic=False) as editor:
        MIGRATION.keep_whole(apps, editor)


@contextmanager
def months_put_back() -> Iterator[None]:
    """The parts that there were are there again after the block, without rows where others had come."""
    before = {monthly: months.parts_of(monthly.table) for monthly in kept.TABLES}
    try:
        yield
    finally:
        if before != {monthly: months.parts_of(monthly.table) for monthly in kept.TABLES}:
            put_back(before)


def put_back(before: dict[months.Monthly, list[months.Part]]) -> None:
    for model in MODELS.values():
        model.objects.all().delete()
    as_one_table()
    for monthly, parts in before.items():
        kept.keep_by_month(monthly, parts[0].until - timedelta(days=40))
        months.make_months(monthly, parts[-1].until)
