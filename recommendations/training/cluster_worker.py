"""The wrapper of each function in a worker of a cluster; imported there before Django is set up."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connections

from recommendations.training.shared_values import give_back, read_values

T = TypeVar("T")


def in_worker(function: Callable[..., T], *arguments: Any) -> T:
    """``function`` of a partition. Connections to the database are given back, as a worker may idle for hours, and so
    is memory, of which it is judged by what the system says that it has."""
    try:
        return function(*read_values(arguments))
    finally:
        give_back()
        give_back_what_is_free()
        for each in connections.all(initialized_only=True):
            each.close()


def give_back_what_is_free() -> None:
    """Memory that was freed, from the allocators that keep it for later: a worker at its limit is given nothing to do
    until it has less, and one whose memory is merely kept would wait for ever."""
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)
