"""The results of tasks as rows of the database, which operators read; an outage of it ends no worker.

Celery stores some results in the main process of a worker: of messages that had expired, of tasks that a time limit
or a signal ended. That process never closes its connection, so that after a restart of the database the first of them
ended the whole worker, and what its other processes were doing with it.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import InterfaceError, OperationalError, connection
from django_celery_results.backends import DatabaseBackend

logger = logging.getLogger(__name__)


class ResultBackend(DatabaseBackend):  # type: ignore[misc]
    """Stores results as ``django-db`` does, over a new connection where the old one is broken."""

    def _store_result(self, task_id: str, result: Any, status: str, *args: Any, **kwargs: Any) -> Any:
        """The result; where the database does not answer it is not recorded, which is logged and fails no task."""
        try:
            return super()._store_result(task_id, result, status, *args, **kwargs)
        except (InterfaceError, OperationalError):
            if connection.in_atomic_block:  # the caller's transaction is lost, which the caller has to learn
                raise
            connection.close()
        try:
            return super()._store_result(task_id, result, status, *args, **kwargs)
        except (InterfaceError, OperationalError) as error:
            connection.close()
            logger.error("the result of task %s, %s, is not recorded: %s", task_id, status, error)
            return result
