"""Background work in plain words: what a task does, what it was given, how it ended, and whether it may be repeated."""

from __future__ import annotations

import ast
import inspect
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from celery import Task, current_app

OURS = "tasks."  # the modules whose tasks may be handed out again
LONGEST_LIST = 3  # items of a list that are named one by one
LONGEST_ERROR = 300


class ArgumentsLost(Exception):
    """What a task was given was too long to be kept, or is written in a way we cannot read."""


@dataclass(frozen=True)
class Given:
    """The arguments of a task, as they can be handed to it again."""

    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()


def registered(name: str | None) -> Task | None:
    """The task of that name, or None when this release has none."""
    import_all_tasks()
    return current_app.tasks.get(name or "")


@cache
def import_all_tasks() -> None:
    """Once for each process: Celery lets Django check the whole project each time, a quarter of a second."""
    current_app.loader.import_default_modules()


def known_task(name: str | None) -> Task | None:
    """A task of ours: those are safe to run twice, so that an operator may repeat them."""
    task = registered(name)
    return task if task is not None and type(task).__module__.startswith(OURS) else None


def sentence_of(name: str | None) -> str:
    """What a task does, from the first line of its documentation; its bare name when there is none."""
    task = registered(name)
    first_line = inspect.cleandoc(task.__doc__ or "").partition("\n")[0] if task is not None else ""
    return first_line.partition(";")[0].rstrip(". ") or name or "a task without a name"


def given_to(args: str | None, kwargs: str | None) -> Given:
    """The arguments as they stand in a stored result, in JSON of Python's spelling. Raises ArgumentsLost."""
    positional, named = as_python(args, ()), as_python(kwargs, {})
    if not isinstance(positional, tuple | list) or not isinstance(named, dict):
        raise ArgumentsLost
    return Given(tuple(positional), tuple(named.items()))


def as_python(text: str | None, nothing: Any) -> Any:
    if not text:
        return nothing
    try:
        spelt = json.loads(text) if text.startswith('"') else text  # stored as JSON of a text
        value = ast.literal_eval(spelt)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise ArgumentsLost(f"“{text[:40]}” cannot be read") from None
    if holds_ellipsis(value):
        raise ArgumentsLost
    return value


def holds_ellipsis(value: Any) -> bool:
    """Whether something was left out when the arguments were written down."""
    if value is ... or value == "...":
        return True
    if isinstance(value, dict):
        return any(map(holds_ellipsis, value.values()))
    return isinstance(value, list | tuple | set) and any(map(holds_ellipsis, value))


def arguments_in_words(name: str | None, args: str | None, kwargs: str | None) -> str:
    """``run 3`` for ``(3,)`` given to a task that takes a ``run_id``; lists are counted."""
    try:
        given = given_to(args, kwargs)
    except ArgumentsLost:
        return "too long to be shown"
    task = registered(name)
    names = list(inspect.signature(task.run).parameters) if task is not None else []
    pairs = list(zip([*names, *([""] * len(given.args))], given.args, strict=False)) + list(given.kwargs)
    return ", ".join(f"{label(each)} {value_in_words(value)}".strip() for each, value in pairs)


def label(parameter: str) -> str:
    return parameter.removesuffix("_id").removesuffix("_ids").replace("_", " ")


def value_in_words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) if len(value) <= LONGEST_LIST else f"({len(value):,} of them)"
    return str(value)


def error_in_words(result: str | None, traceback: str | None) -> str:
    """The last line of what went wrong, first: ``ValueError: no such file``."""
    lines = [line for line in (traceback or "").splitlines() if line.strip()]
    if lines and "SoftTimeLimitExceeded" in lines[-1]:
        return "It was asked to stop, or took longer than it may."
    if lines:
        return lines[-1].strip()[:LONGEST_ERROR]
    try:
        stored = json.loads(result or "{}")
    except ValueError:
        return (result or "")[:LONGEST_ERROR]
    if isinstance(stored, dict) and "exc_type" in stored:
        message = stored.get("exc_message") or ""
        words = " ".join(map(str, message)) if isinstance(message, list) else str(message)
        return f"{stored['exc_type']}: {words}".rstrip(": ")[:LONGEST_ERROR]
    return ""
