"""What can go wrong, one class for each kind of answer; `code` and `fields` are those of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class ForecourtError(Exception):
    """Whatever this package raises for reasons outside of the program."""


class NoAnswer(ForecourtError):
    """The site could not be reached, or did not answer in time, at any attempt."""


class ApiError(ForecourtError):
    """An answer that is an error.

    Attributes:
        status: Of HTTP.
        code: For programs: `invalid`, `not_found`, `conflict`, …; `error` where the answer is not one of the API's own.
        message: For people, in the language that the client asked for.
        fields: What was wrong with which part of the question, by its path: `events[3].listing_id`.
        request_id: By which the site's operators find the request in their log; empty without one.
        retry_after: Seconds, where the site named them.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        fields: Mapping[str, list[str]],
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.fields = dict(fields)
        self.request_id = request_id
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        """So that it passes from one process to another."""
        return type(self), (self.status, self.code, self.message, self.fields, self.request_id, self.retry_after)


class Invalid(ApiError):
    """400 or 422: something about the question is wrong; `fields` says what. Nothing was changed."""


class NotAuthenticated(ApiError):
    """401: no key or token, or one that is not accepted."""


class Forbidden(ApiError):
    """403: a scope that the key lacks, or another buyer's data."""


class NotFound(ApiError):
    """404: there is no such thing."""


class Conflict(ApiError):
    """409: not of this listing, event or set as it is now."""


class TooLarge(ApiError):
    """413: the body is larger than the site takes."""


class Throttled(ApiError):
    """429: too many requests, at each attempt; `retry_after` says for how many seconds."""


class Unavailable(ApiError):
    """502, 503 or 504: a server is down. Where the answer is of Forecourt itself, nothing was changed."""


BY_STATUS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: NotAuthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: Invalid,
    429: Throttled,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
SHOWN_AT_MOST = 200  # letters of an answer that is no error of the API, as of a proxy


def error_of(status: int, body: str, *, request_id: str = "", retry_after: float | None = None) -> ApiError:
    """The error that an answer is. One that does not have the API's shape, as of a proxy, has the code `error`."""
    kind = BY_STATUS.get(status, ApiError)
    try:
        said = json.loads(body)["error"]
        return kind(status, str(said["code"]), str(said["message"]), said["fields"], request_id, retry_after)
    except (ValueError, KeyError, TypeError):
        return kind(status, "error", body[:SHOWN_AT_MOST].strip(), {}, request_id, retry_after)
