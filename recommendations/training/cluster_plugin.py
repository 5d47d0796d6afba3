"""Makes a Dask worker one of this site; needs the packages of requirements-cluster.txt."""

from __future__ import annotations

from typing import Any

import django
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
        if apps.ready:  # a worker that is a thread of the site itself
            return
        from django.db import connections

        if self.database is not None:
            connections.settings["default"]["NAME"] = self.database
        django.setup()
