"""System checks for settings that have to agree; they stop the worker as well as the web server."""

import importlib.util
from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import OperationalError, connection

from jobs.limits import LONG, SHORT
from recommendations.models import VECTOR_DIMENSIONS
from web.postgres.versions import server_problem


@register()
def vector_size_fits_its_column(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The parts of a vector must fit the column, which is as wide as the migration made it."""
    n_dims = settings.CONTENT_DIMENSIONS + settings.COLLABORATIVE_DIMENSIONS
    if n_dims <= VECTOR_DIMENSIONS:
        return []
    return [
        Error(
            f"CONTENT_DIMENSIONS + COLLABORATIVE_DIMENSIONS is {n_dims}, but vectors have {VECTOR_DIMENSIONS}.",
            hint="Lower one of the two.",
            id="recommendations.E001",
        )
    ]


@register()
def tasks_end_before_they_are_handed_out_again(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A task that outlives the broker's visibility timeout would run twice."""
    timeout = settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("visibility_timeout")
    errors: list[CheckMessage] = [
        Error(
            f"A soft time limit of {limits['soft_time_limit']} s is not below the hard one.", id="recommendations.E002"
        )
        for limits in (SHORT, LONG)
        if limits["soft_time_limit"] >= limits["time_limit"]
    ]
    if timeout is not None and LONG["time_limit"] >= timeout:
        errors.append(
            Error(
                f"A task may run for {LONG['time_limit']} s, but the broker hands it out again after {timeout} s.",
                hint="Raise visibility_timeout in CELERY_BROKER_TRANSPORT_OPTIONS.",
                id="recommendations.E003",
            )
        )
    return errors


@register()
def a_cluster_needs_its_packages(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Dask is an optional extra; without it a training would fail in the night."""
    if not settings.TRAINING_CLUSTER or all(importlib.util.find_spec(name) for name in ("dask", "distributed")):
        return []
    return [
        Error(
            f"TRAINING_CLUSTER is {settings.TRAINING_CLUSTER}, but Dask is not installed.",
            hint="pip install -r requirements-cluster.txt, or leave TRAINING_CLUSTER empty.",
            id="recommendations.E005",
        )
    ]


@register(Tags.database)
def the_database_is_new_enough(
    app_configs: Any, databases: Collection[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Asked by ``migrate`` and ``check --database default``: an old pgvector may corrupt its indexes."""
    if "default" not in (databases or ()):
        return []
    try:
        with connection.cursor() as cursor:
            problem = server_problem(cursor)
    except OperationalError:
        return []  # a server that is away is reported by what needs it
    if not problem:
        return []
    return [Error(f"{problem}.", hint="Upgrade it, then run: ALTER EXTENSION vector UPDATE", id="recommendations.E004")]
