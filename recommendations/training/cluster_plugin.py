"""Makes a Dask worker one of this site; needs the packages of requirements-cluster.txt."""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass
from typing import Any

import django
from dask.sizeof import sizeof
from distributed import WorkerPlugin
from django.apps import apps


class PrepareWorker(WorkerPlugin):
    """Sets up Django in every worker, also in those that come later: what they are asked to do imports models.

    Attributes:
        database: Name of the database, where it is another than that of the worker's own settings.
    """

    name = "forecourt"

    def __init__(self, database: str | None) -> None:
        self.database = database

    def setup(self, worker: Any) -> None:
        sizeof.register(object, size_of_object)  # type: ignore[no-untyped-call]
        if apps.ready:  # a worker that is a thread of the site itself
            return
        from django.db import connections

        if self.database is not None:
            connections.settings["default"]["NAME"] = self.database
        django.setup()


def size_of_object(value: Any) -> int:
    """Bytes of a value with its fields, by which a worker sees what to write to its disk: Dask itself takes what holds
    arrays in fields for as small as the holder."""
    size = sys.getsizeof(value)
    if is_dataclass(value):
        size += sum(int(sizeof(getattr(value, each.name))) for each in fields(value))
    return size
