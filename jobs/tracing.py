"""The id of the request that asked for a task goes with it to the worker, and onto every line that the task logs."""

from collections.abc import Mapping
from contextvars import Token
from typing import Any

from celery.signals import before_task_publish, task_postrun, task_prerun
from structlog.contextvars import bind_contextvars, reset_contextvars

from web.tracing import current_request_id

REQUEST_ID = "forecourt_request_id"  # among the headers of a task

_bound: dict[str, Mapping[str, Token[Any]]] = {}  # by task id, of the tasks this process works on


@before_task_publish.connect(dispatch_uid="jobs.send_request_id")
def send_request_id(headers: dict[str, Any] | None = None, **kwargs: Any) -> None:
    """A task that a task enqueues carries on the id of the first request."""
    if headers is not None and (request_id := current_request_id()):
        headers.setdefault(REQUEST_ID, request_id)


@task_prerun.connect(dispatch_uid="jobs.bind_ids")
def bind_ids(task_id: str, task: Any, **kwargs: Any) -> None:
    request_id = getattr(task.request, REQUEST_ID, None)
    ids = {"task_id": task_id, "task": task.name, **({"request_id": str(request_id)} if request_id else {})}
    _bound[task_id] = bind_contextvars(**ids)


@task_postrun.connect(dispatch_uid="jobs.release_ids")
def release_ids(task_id: str, **kwargs: Any) -> None:
    if tokens := _bound.pop(task_id, None):
        reset_contextvars(**tokens)
