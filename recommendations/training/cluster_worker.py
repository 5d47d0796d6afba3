"""What runs in a worker of a cluster around each function; imported there before Django is set up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connections

from recommendations.training.shared_values import give_back, read_values

T = TypeVar("T")


def in_worker(function: Callable[..., T], *arguments: Any) -> T:
    """``function`` of a partition. Connections to the database are given back: a worker may idle for hours."""
    try:
        return function(*read_values(arguments))
    finally:
        give_back()
        for each in connections.all(initialized_only=True):
            each.close()
