"""Makes a Dask worker one of this site; needs the packages of requirements-cluster.txt."""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass
from typing import Any

import django
from dask.sizeof import sizeof
from distributed import Status, WorkerPlugin
from django.apps import apps
from tornado.ioloop import PeriodicCallback

from recommendations.training.cluster_worker import give_back_what_is_free

GIVE_BACK_SECONDS = 1


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
        self.giving_back = PeriodicCallback(lambda: give_back_when_paused(worker), 1000 * GIVE_BACK_SECONDS)
        self.giving_back.start()
        if apps.ready:  # a worker that is a thread of the site itself
            return
        from django.db import connections

        if self.database is not None:
            connections.settings["default"]["NAME"] = self.database
        django.setup()

    def teardown(self, worker: Any) -> None:
        self.giving_back.stop()


def give_back_when_paused(worker: Any) -> None:
    """A paused worker runs nothing, after which it would give memory back: what values took that were written to disk
    meanwhile would stay with it, and it would stay paused."""
    if worker.status == Status.paused:
        give_back_what_is_free()


def size_of_object(value: Any) -> int:
    """Bytes of a value with its fields, by which a worker sees what to write to its disk: Dask itself takes what holds
    arrays in fields for as small as the holder."""
    size = sys.getsizeof(value)
    if is_dataclass(value):
        size += sum(int(sizeof(getattr(value, each.name))) for each in fields(value))
    return size
