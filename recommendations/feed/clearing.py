"""Empty the site: remove all listings, events, preferences and rankers, but no accounts, API keys, schedules or
rules."""

from __future__ import annotations

import logging
from typing import Any, cast

from django.apps import apps
from django.core.cache import cache
from django.db import OperationalError, connection, transaction
from django.db.models import Model
from psycopg.errors import DeadlockDetected

from accounts.models import Buyer, ErasedId
from recommendations.feed.fitting import LOCK
from recommendations.feed.memory import EVERYTHING, memory
from recommendations.listings.index import drop_index
from recommendations.listings.market_statistics import forget_market_statistics

logger = logging.getLogger(__name__)

ATTEMPTS = 3
PATIENCE = "10s"  # longest wait for transactions that are writing; then the API answers 503
KEPT = {  # what operators set up
    "recommendations.EventKind",
    "recommendations.Placement",
    "recommendations.Experiment",
    "recommendations.ListingVector",  # partitions, see below
}


def empty_site() -> None:
    """Remove all listings, events and learned rows in one transaction.

    A transaction that is writing may wait for this one while this one waits for it. PostgreSQL ends one of the two, so
    this one is tried again, up to ``ATTEMPTS`` times.

    Raises:
        OperationalError: If other transactions hold their locks for longer than ``PATIENCE``; nothing was removed then.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _empty()
            break
        except OperationalError as error:
            if not isinstance(error.__cause__, DeadlockDetected) or attempt == ATTEMPTS:
                raise
    logger.warning("the site was emptied")


@transaction.atomic
def _empty() -> None:
    """Truncate the tables, which takes the same time however many rows they have.

    TRUNCATE fires no row trigger, so a row in the log of changes makes every process read its listings again. A
    training or import that is running fails on its next write, because its row is gone, and stores nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])  # no fit of the old rows is stored meanwhile
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # TRUNCATE refuses tables with checks that are pending
        for partition in _partitions(cursor):
            cursor.execute(f"DROP TABLE {partition}")
        cursor.execute(f"TRUNCATE {', '.join(sorted(_tables()))}")
        cursor.execute("INSERT INTO catalog_listingchange (listing_id) VALUES (%s)", [EVERYTHING])
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    Buyer.objects.filter(user=None).delete()
    ErasedId.objects.all().delete()  # the buyers they name are gone too
    Buyer.objects.update(questionnaire={})
    transaction.on_commit(_forget)


def _tables() -> set[str]:
    """Names of the tables of ``catalog`` and ``recommendations``, without those of ``KEPT``."""
    apps_emptied = (apps.get_app_config(name) for name in ("catalog", "recommendations"))
    models = [model for app in apps_emptied for model in app.get_models(include_auto_created=True)]
    # a many-to-many table has a model made by Django; it is emptied with the model that declares it
    owners = [(cast("type[Model]", model._meta.auto_created or model), model) for model in models]
    return {model._meta.db_table for owner, model in owners if owner._meta.label not in KEPT}


def _partitions(cursor: Any) -> list[str]:
    cursor.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'recommendations_listingvector'::regclass"
    )
    return [row[0] for row in cursor.fetchall()]


def _forget() -> None:
    """Clear the caches of this process; the other processes notice the change by themselves."""
    memory.forget()
    drop_index()
    forget_market_statistics()
    cache.empty()  # type: ignore[attr-defined]  # of web.cache
