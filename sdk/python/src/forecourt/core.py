"""What the sync and the async client have in common: how a question is written, an answer read, and when to ask again.

Nothing here sends anything, but for the two functions that wait.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
import uuid
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, quote, urlsplit

import httpx

from forecourt.errors import NoAnswer, error_of

VERSION = "1.0.0"
API = "/api/v1"
PASSING = frozenset({429, 502, 503, 504})  # may be gone at the next attempt
AT_ONCE = 1000  # listings, events or ids that one request takes
Item = TypeVar("Item")
Query = list[tuple[str, str]]


@dataclass(frozen=True)
class Call:
    """One question. Every call of the API that has one here may be asked twice without doing anything twice."""

    method: str
    path: str
    query: Query = field(default_factory=list)
    body: Any = None

    @property
    def content(self) -> bytes | None:
        return None if self.body is None else json_of(self.body)


@dataclass(frozen=True)
class Retries:
    """How often, and how patiently, a question is asked again.

    Attributes:
        attempts: At most, the first included; 1 for none but the first.
        first_seconds: The wait after the first attempt; it doubles with each, and is up to half shorter by chance, so
            that many clients do not come back at once.
        longest_seconds: Of one wait. Where the site asks for more (`Retry-After`), the error is raised at once.
    """

    attempts: int = 5
    first_seconds: float = 0.5
    longest_seconds: float = 30.0

    def wait(self, outcome: httpx.Response | httpx.TransportError, attempt: int) -> float | None:
        """Seconds until the next attempt; None where there is none."""
        if attempt >= self.attempts or not may_pass(outcome):
            return None
        asked = retry_after_of(outcome) or 0.0
        if asked > self.longest_seconds:
            return None
        doubled = min(self.longest_seconds, self.first_seconds * 2.0 ** (attempt - 1))
        return max(asked, doubled * random.uniform(0.5, 1.0))


def may_pass(outcome: httpx.Response | httpx.TransportError) -> bool:
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in PASSING
    return not isinstance(outcome, httpx.UnsupportedProtocol | httpx.LocalProtocolError)


def retry_after_of(outcome: httpx.Response | httpx.TransportError) -> float | None:
    """Seconds from now, as a number or a date says; None without one."""
    said = outcome.headers.get("Retry-After", "") if isinstance(outcome, httpx.Response) else ""
    if said.isascii() and said.isdecimal():
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def result_of(call: Call, outcome: httpx.Response | httpx.TransportError, attempt: int) -> Any:
    """The answer to a call, as JSON; None for one without content. Raises ForecourtError.

    Where a removal is repeated because its answer was lost, that there is nothing to remove is what was wanted.
    """
    if not isinstance(outcome, httpx.Response):
        raise NoAnswer(f"{call.method} {call.path}: {outcome or type(outcome).__name__}") from outcome
    if outcome.is_success:
        return _json_in(outcome) if outcome.content else None
    if call.method == "DELETE" and outcome.status_code == httpx.codes.NOT_FOUND and attempt > 1:
        return None
    raise error_of(
        outcome.status_code,
        outcome.text,
        request_id=outcome.headers.get("X-Request-ID", ""),
        retry_after=retry_after_of(outcome),
    )


def _json_in(answer: httpx.Response) -> Any:
    """What another server answered in place of the site, as a page of a proxy, is an error whatever its status."""
    try:
        return answer.json()
    except ValueError:
        raise error_of(answer.status_code, answer.text) from None


# --- Writing a question ----------------------------------------------------------------------------------------------
def headers_of(
    *, api_key: str | None, token: str | None, visitor_key: str | None, language: str | None
) -> dict[str, str]:
    """Who is calling, and in which language reasons and errors are wanted."""
    named = {
        "X-Api-Key": api_key,
        "Authorization": f"Bearer {token}" if token else None,
        "X-Visitor-Key": visitor_key,
        "Accept-Language": language,
    }
    fixed = {"Accept": "application/json", "User-Agent": f"forecourt-python/{VERSION}"}
    return fixed | {name: value for name, value in named.items() if value}


def json_of(body: Any) -> bytes:
    return json.dumps(body, default=_plain, allow_nan=False, ensure_ascii=False).encode()


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value!r} names no time zone")
        return value.isoformat()
    if isinstance(value, Decimal | uuid.UUID | date):
        return str(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be sent")


def query_of(parameters: Mapping[str, Any]) -> Query:
    """A query string: several values are repeated, what is None is left out."""
    pairs: Query = []
    for name, value in parameters.items():
        several = value if isinstance(value, list | tuple | set | frozenset) else [value]
        pairs += [(name, _word(each)) for each in several if each is not None]
    return pairs


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def query_in(address: str) -> Query:
    """The query string of an address. The site may know itself by a name that is not that of `base_url`, as behind a
    proxy, so that nothing else of the address is used."""
    return parse_qsl(urlsplit(address).query, keep_blank_values=True)


def part(value: object) -> str:
    """An id as a part of a path, whatever letters it has."""
    text = str(value)
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} cannot be an id in an address")
    return quote(text, safe="")


def given(**values: Any) -> dict[str, Any]:
    """What is not None: null says something else to the API than nothing."""
    return {name: value for name, value in values.items() if value is not None}


def chunks(items: Iterable[Item], size: int = AT_ONCE) -> Iterator[list[Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


# --- Processes that are forked ----------------------------------------------------------------------------------------
class Forked(Protocol):
    """What a forked process has a copy of, and cannot share."""

    def forked(self) -> None:
        """Called in the new process, before anything else runs there."""


_forked: weakref.WeakSet[Forked] = weakref.WeakSet()


def begin_anew_when_forked(each: Forked) -> None:
    """Threads do not live on in a forked process, locks stay as others held them, and connections are shared."""
    _forked.add(each)


def _all_begin_anew() -> None:
    for each in list(_forked):
        each.forked()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_all_begin_anew)


# --- Waiting ---------------------------------------------------------------------------------------------------------
def pause(seconds: float) -> None:
    time.sleep(seconds)


async def async_pause(seconds: float) -> None:
    await asyncio.sleep(seconds)
