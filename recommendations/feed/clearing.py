"""A fresh start: no listing, event, preference or ranker is left; accounts, API keys, schedules and rules stay."""

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
PATIENCE = "10s"  # for transactions that are writing at the moment; then 503, and nothing was removed
KEPT = {  # what operators set up
    "recommendations.EventKind",
    "recommendations.Placement",
    "recommendations.Experiment",
    "recommendations.ListingVector",  # partitions, see below
}


def empty_site() -> None:
    """Remove what was added, what happened and what was learned of it, in one transaction.

    A transaction that is writing may wait for us while we wait for it; which of the two gives way is PostgreSQL's
    choice, so we try again.
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
    """Tables are emptied whole, which takes no longer for many rows than for few.

    That fires no trigger, so a line in the log of changes makes every process read its listings anew. A training or
    import under way fails on its next write, as its run is gone, and leaves nothing behind.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])  # no fit learns meanwhile from what was
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # nothing may wait to be checked in a table that is emptied
        for partition in _partitions(cursor):
            cursor.execute(f"DROP TABLE {partition}")
        cursor.execute(f"TRUNCATE {', '.join(sorted(_tables()))}")
        cursor.execute("INSERT INTO catalog_listingchange (listing_id) VALUES (%s)", [EVERYTHING])
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    Buyer.objects.filter(user=None).delete()
    ErasedId.objects.all().delete()  # no buyer is left whom they were about
    Buyer.objects.update(questionnaire={})
    transaction.on_commit(_forget)


def _tables() -> set[str]:
    """Every table of the catalogue and of recommendations, but for what operators set up."""
    apps_emptied = (apps.get_app_config(name) for name in ("catalog", "recommendations"))
    models = [model for app in apps_emptied for model in app.get_models(include_auto_created=True)]
    # what joins two tables has no model of its own, and goes with the one that declares it
    owners = [(cast("type[Model]", model._meta.auto_created or model), model) for model in models]
    return {model._meta.db_table for owner, model in owners if owner._meta.label not in KEPT}


def _partitions(cursor: Any) -> list[str]:
    cursor.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'recommendations_listingvector'::regclass"
    )
    return [row[0] for row in cursor.fetchall()]


def _forget() -> None:
    """What this process has in memory; the others notice by themselves."""
    memory.forget()
    drop_index()
    forget_market_statistics()
    cache.empty()  # type: ignore[attr-defined]  # ours
